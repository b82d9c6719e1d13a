/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"
#include "berth/inject.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

static BlockNode *find(QmpContext *ctx, const char *name, GError **error)
{
    BlockNode *node = block_graph_find(ctx->blocks, name);

    if (!node) {
        error_set(error, "there is no block node '%s'", name);
        return NULL;
    }
    if (!inject_is(node)) {
        error_set(error, "node '%s' is not of driver 'inject'", name);
        return NULL;
    }
    return node;
}

bool qmp_x_block_inject_set(QmpContext *ctx, const XBlockInjectSetArgs *args,
                            GError **error)
{
    BlockNode *node = find(ctx, args->node_name, error);

    return node && inject_set_rules(node, args->rules, error);
}

InjectInfo *qmp_x_query_block_inject(QmpContext *ctx, const XQueryBlockInjectArgs *args,
                                     GError **error)
{
    BlockNode *node = find(ctx, args->node_name, error);

    return node ? inject_query(node) : NULL;
}
