/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x-blockdev-set-iothread: a node is used on the loops of its users' channels, whichever
 * those are, so there is nothing to be set.
 */
#include "berth/error.h"
#include "berth/object.h"

#include "block-private.h"
#include "qmp-commands.h"

/* A user of @node, or of one above; NULL: there is none. */
static const BlockUse *find_use(const BlockNode *node)
{
    LIST_FOREACH(at, &node->parents) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);
        const BlockUse *use = link->use ? link->use : find_use(link->parent);

        if (use)
            return use;
    }
    return NULL;
}

static bool check_unused(const BlockNode *node, GError **error)
{
    const BlockUse *use = find_use(node);
    g_autofree char *who = NULL;

    if (!use)
        return true;
    who = use->ops->describe(use->opaque);
    error_set(error, "node '%s' is in use by %s, on its own threads ('force' says that "
              "this is no matter)", node->name, who);
    return false;
}

bool qmp_x_blockdev_set_iothread(QmpContext *ctx, const XBlockdevSetIothreadArgs *args,
                                 GError **error)
{
    const BlockNode *node = block_graph_find(ctx->blocks, args->node_name);
    Object *iothread = NULL;

    if (!node) {
        error_set(error, "there is no block node '%s'", args->node_name);
        return false;
    }
    if (args->iothread->type == QAPI_KIND_STR) {
        iothread = object_hold(ctx->objects, args->iothread->u.s, OBJECT_FAMILY_IOTHREAD,
                               error);
        if (!iothread)
            return false;
        object_release(iothread);
    }
    return args->force || check_unused(node, error);
}
