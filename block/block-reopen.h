/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other options for a node that is there: what drivers do for it.
 *
 *     main     prepare()     for all nodes; nothing is changed
 *     worker   apply()       node by node, those below first; who will only read: last
 *     main     enter()       after its apply()
 *     ...
 *     main     leave()       one was refused: in reverse order
 *     worker   undo()
 *     worker   close()       in either case, for all
 *
 * All of it is quiet.  node->options are the new ones up to enter(), and the old ones
 * again from leave() on; node->read_only is off from apply() to undo() if the node was
 * written before or will be.
 */
#pragma once

#include "berth/block-driver.h"

typedef struct BlockReopen {
    BlockNode *node;            /* held */
    bool was_read_only;
    bool read_only;             /* as asked for; apply() may set it: auto-read-only */
    int fd;                     /* the driver's, as the next; -1 */
    void *state;
} BlockReopen;

struct BlockReopenOps {
    const char *const *options; /* its own that may differ, ended by NULL */

    /* Each may be NULL: nothing is to be done. */
    bool (*prepare)(BlockReopen *reopen, GError **error);
    /* On false undo() is called, and neither enter() nor leave(). */
    bool (*apply)(BlockReopen *reopen, GError **error);
    void (*enter)(BlockReopen *reopen);
    void (*leave)(BlockReopen *reopen);
    void (*undo)(BlockReopen *reopen);
    /* Also when prepare() was not called, or failed. */
    void (*close)(BlockReopen *reopen);
};

/* qcow2-reopen.c, as the next. */
extern const BlockReopenOps qcow2_reopen_ops;
extern const BlockReopenOps file_reopen_ops;
