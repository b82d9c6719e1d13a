/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects over QMP: object-add, object-del, and what clients ask of iothreads and memory
 * backends.
 */
#include "berth/iothread.h"
#include "berth/memory-backend.h"
#include "berth/object.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

bool qmp_object_add(QmpContext *ctx, const ObjectOptions *args, GError **error)
{
    return object_add(ctx->objects, args, error);
}

bool qmp_object_del(QmpContext *ctx, const ObjectDelArgs *args, GError **error)
{
    return object_del(ctx->objects, args->id, error);
}

IOThreadInfoList *qmp_query_iothreads(QmpContext *ctx, GError **error)
{
    IOThreadInfoList *list = IOThreadInfoList_new();

    LIST_FOREACH(node, object_set_list(ctx->objects)) {
        const Object *object = CONTAINER_OF(node, Object, node);
        const Iothread *iothread = object_iothread(object);
        const IothreadProps *props = &object->options->u.iothread;
        IOThreadInfo *info;

        if (!iothread)
            continue;
        info = g_new0(IOThreadInfo, 1);
        info->id = g_strdup(object->id);
        info->thread_id = iothread_thread_id(iothread);
        info->poll_max_ns = props->poll_max_ns;
        info->poll_grow = props->poll_grow;
        info->poll_shrink = props->poll_shrink;
        info->aio_max_batch = props->aio_max_batch;
        IOThreadInfoList_append(list, info);
    }
    return list;
}

MemdevList *qmp_query_memdev(QmpContext *ctx, GError **error)
{
    MemdevList *list = MemdevList_new();

    LIST_FOREACH(node, object_set_list(ctx->objects)) {
        const Object *object = CONTAINER_OF(node, Object, node);
        const MemoryBackendProps *props = memory_backend_props(object);
        Memdev *memdev;

        if (!props)
            continue;
        memdev = g_new0(Memdev, 1);
        memdev->id = g_strdup(object->id);
        memdev->size = memory_backend_ram(object)->size;
        memdev->merge = props->merge;
        memdev->dump = props->dump;
        memdev->prealloc = props->prealloc;
        memdev->share = props->share;
        memdev->has_reserve = true;
        memdev->reserve = props->reserve;
        memdev->host_nodes = props->host_nodes ? qapi_clone_Uint16List(props->host_nodes)
                                               : Uint16List_new();
        memdev->policy = props->policy;
        MemdevList_append(list, memdev);
    }
    return list;
}
