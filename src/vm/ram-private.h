/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of host memory share.  Main only.
 */
#pragma once

#include "berth/ram.h"

/* The size of the pages that @options ask for: the host's, or huge ones. */
uint64_t ram_page_size(const RamOptions *options);
/* The bytes that the host says it can still give as such memory. */
uint64_t ram_available(const RamBlock *block, const RamOptions *options);
/* How much was wanted for @block, and what there is. */
void ram_set_error(GError **error, int errnum, const RamBlock *block,
                   const RamOptions *options);

/*
 * Opens the file that holds the memory: a memfd, or the file at options->path, which is
 * made when it is not there.  Nothing to do for anonymous memory.
 */
bool ram_file_open(RamBlock *block, const RamOptions *options, GError **error);
/* The page size of the file system that options->path is on. */
bool ram_file_page_size(const RamOptions *options, uint64_t *ret_size, GError **error);
/* The bytes that the file system has left. */
uint64_t ram_file_available(const RamOptions *options);

/* Says which nodes of the host the memory comes from; before it is touched. */
bool ram_populate_from(RamBlock *block, const RamOptions *options, GError **error);
/* Touches all of it, on several threads. */
bool ram_populate(RamBlock *block, const RamOptions *options, GError **error);
