/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of descriptors that a client or the parent passed in: add-fd, -add-fd, and files
 * named "/dev/fdset/N".  Main only.
 *
 * A set holds descriptors of the same file with different access; who opens
 * "/dev/fdset/N" gets a duplicate of the one that has the access he asks for.
 */
#pragma once

#include "qapi-types.h"

/* What the names of files in sets begin with. */
#define FDSET_PREFIX "/dev/fdset/"

typedef struct FdSets FdSets;

/*
 * Whether descriptor @fd is one that the parent left open for berth, and that berth has
 * not taken: all that berth opens and takes is close-on-exec.
 */
bool fdset_fd_is_of_parent(int64_t fd, GError **error);

FdSets *fdset_new(void);
/* Closes every descriptor.  Accepts NULL. */
void fdset_free(FdSets *sets);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FdSets, fdset_free)

/*
 * Puts @fd, which is taken also on failure, into set *@id, or into a new set when @id
 * is NULL; @label is kept with it, or NULL.  Returns what add-fd returns.
 */
AddfdInfo *fdset_add(FdSets *sets, const int64_t *id, int fd, const char *label,
                     GError **error);

/* Closes descriptor *@fd of set @id, or all of them when @fd is NULL. */
bool fdset_remove(FdSets *sets, int64_t id, const int64_t *fd, GError **error);

FdsetInfoList *fdset_query(const FdSets *sets);

/*
 * Opens @path with the open(2) @flags, close-on-exec added, mode 0600 for a new file;
 * "/dev/fdset/N" is a duplicate from set N, whose access must be that of @flags.
 * Returns the descriptor or -1 with @error.  @sets may be NULL: then there are no sets.
 */
int fdset_open(const FdSets *sets, const char *path, int flags, GError **error);
