/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handlers of dumps.
 */
#include <fcntl.h>
#include <string.h>

#include "berth/error.h"
#include "berth/fdset.h"

#include "qmp-commands.h"

#include "machine-dump.h"

static bool check_filter(const DumpGuestMemoryArgs *args, GError **error)
{
    if (args->has_begin && !args->has_length)
        error_set(error, "Parameter 'length' is missing");
    else if (args->has_length && !args->has_begin)
        error_set(error, "Parameter 'begin' is missing");
    else if (args->has_format && args->format != DUMP_GUEST_MEMORY_FORMAT_ELF &&
             (args->paging || args->has_begin))
        error_set(error,
                  "kdump-compressed format doesn't support paging or filtering");
    else
        return true;
    return false;
}

/* Files of sets are main's, and opening one does not wait. */
static bool find_file(QmpContext *ctx, const char *path, DumpTarget *ret_target,
                      GError **error)
{
    *ret_target = (DumpTarget) { .path = path, .fd = -1 };
    if (!g_str_has_prefix(path, FDSET_PREFIX))
        return true;
    ret_target->path = NULL;
    ret_target->fd = fdset_open(ctx->fdsets, path, O_WRONLY, error);
    return ret_target->fd >= 0;
}

static bool find_target(QmpContext *ctx, const char *protocol,
                        DumpTarget *ret_target, GError **error)
{
    if (g_str_has_prefix(protocol, "file:"))
        return find_file(ctx, protocol + strlen("file:"), ret_target, error);
    if (!g_str_has_prefix(protocol, "fd:")) {
        error_set(error, "Parameter 'protocol' expects 'file:PATH' or 'fd:NAME'");
        return false;
    }
    *ret_target = (DumpTarget) { .path = NULL };
    ret_target->fd = qmp_session_take_named_fd(ctx->session, protocol + strlen("fd:"),
                                               error);
    return ret_target->fd >= 0;
}

void qmp_dump_guest_memory(QmpContext *ctx, const DumpGuestMemoryArgs *args,
                           QmpReply *reply)
{
    const DumpOptions options = {
        .format = args->has_format ? args->format : DUMP_GUEST_MEMORY_FORMAT_ELF,
        .paging = args->paging,
        .filtered = args->has_begin,
        .begin = (uint64_t)args->begin,
        .length = (uint64_t)args->length,
    };
    DumpTarget target;
    GError *error = NULL;

    if (!machine_dump_check(ctx->machine, &error) || !check_filter(args, &error) ||
        !dump_format_check(options.format, &error) ||
        !find_target(ctx, args->protocol, &target, &error)) {
        qmp_reply_fail(reply, error);
        return;
    }
    machine_dump_start(ctx->machine, &options, &target, args->has_detach && args->detach,
                       reply);
}

DumpQueryResult *qmp_query_dump(QmpContext *ctx, GError **error)
{
    DumpQueryResult *result = g_new0(DumpQueryResult, 1);

    machine_dump_query(ctx->machine, result);
    return result;
}

DumpGuestMemoryCapability *qmp_query_dump_guest_memory_capability(QmpContext *ctx,
                                                                  GError **error)
{
    DumpGuestMemoryCapability *capability = g_new0(DumpGuestMemoryCapability, 1);

    capability->formats = DumpGuestMemoryFormatList_new();
    for (int i = 0; i < DUMP_GUEST_MEMORY_FORMAT__MAX; i++) {
        if (dump_format_check((DumpGuestMemoryFormat)i, NULL))
            DumpGuestMemoryFormatList_append(capability->formats,
                                             (DumpGuestMemoryFormat)i);
    }
    return capability;
}

/* A machine without vCPUs has no memory either. */
static bool check_save(QmpContext *ctx, int64_t vcpu, GError **error)
{
    if (!ctx->machine->vm) {
        error_set(error, "the machine has no memory");
        return false;
    }
    if (!machine_vcpu(ctx->machine, vcpu)) {
        error_set(error, "Parameter 'cpu-index' expects a CPU number");
        return false;
    }
    return true;
}

void qmp_memsave(QmpContext *ctx, const MemsaveArgs *args, QmpReply *reply)
{
    const DumpRange range = {
        .start = (uint64_t)args->val,
        .size = (uint64_t)args->size,
        .is_virtual = true,
    };
    DumpTarget target;
    GError *error = NULL;

    if (!check_save(ctx, args->cpu_index, &error) ||
        !find_file(ctx, args->filename, &target, &error)) {
        qmp_reply_fail(reply, error);
        return;
    }
    machine_dump_save(ctx->machine, &range, (unsigned)args->cpu_index, &target, reply);
}

void qmp_pmemsave(QmpContext *ctx, const PmemsaveArgs *args, QmpReply *reply)
{
    const DumpRange range = {
        .start = (uint64_t)args->val,
        .size = (uint64_t)args->size,
    };
    DumpTarget target;
    GError *error = NULL;

    if (!check_save(ctx, 0, &error) ||
        !find_file(ctx, args->filename, &target, &error)) {
        qmp_reply_fail(reply, error);
        return;
    }
    machine_dump_save(ctx->machine, &range, 0, &target, reply);
}
