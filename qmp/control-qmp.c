/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about the session and the protocol: negotiation, versions, lists of commands,
 * introspection, descriptors.
 */
#include "berth/qapi-tables.h"
#include "berth/qmp-introspect.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

bool qmp_qmp_capabilities(QmpContext *ctx, const QmpCapabilitiesArgs *args,
                          GError **error)
{
    QmpSession *session = ctx->session;

    for (size_t i = 0; args->enable && i < args->enable->n; i++) {
        switch (args->enable->items[i]) {
        case QMP_CAPABILITY_OOB:
            session->oob = true;
            break;
        }
    }
    session->negotiated = true;
    qmp_events_subscribe(ctx->events, session);
    return true;
}

VersionInfo *qmp_query_version(QmpContext *ctx, GError **error)
{
    return qmp_session_version();
}

CommandInfoList *qmp_query_commands(QmpContext *ctx, GError **error)
{
    CommandInfoList *list = CommandInfoList_new();

    for (unsigned i = 0; i < qmp_n_commands; i++) {
        CommandInfo *info = g_new0(CommandInfo, 1);

        info->name = g_strdup(qapi_text(qmp_commands[i].name));
        CommandInfoList_append(list, info);
    }
    return list;
}

SchemaInfoList *qmp_query_qmp_schema(QmpContext *ctx, GError **error)
{
    return qmp_introspect();
}

bool qmp_getfd(QmpContext *ctx, const GetfdArgs *args, GError **error)
{
    g_autofd int fd = qmp_session_receive_fd(ctx->session, error);

    if (fd < 0)
        return false;
    if (g_ascii_isdigit(args->fdname[0])) {
        error_set(error, "Parameter 'fdname' expects a name not starting with a digit");
        return false;
    }
    qmp_session_name_fd(ctx->session, args->fdname, autofd_steal(&fd));
    return true;
}

bool qmp_closefd(QmpContext *ctx, const ClosefdArgs *args, GError **error)
{
    g_autofd int fd = qmp_session_take_named_fd(ctx->session, args->fdname, error);

    return fd >= 0;
}

AddfdInfo *qmp_add_fd(QmpContext *ctx, const AddFdArgs *args, GError **error)
{
    int fd = qmp_session_receive_fd(ctx->session, error);

    if (fd < 0)
        return NULL;
    return fdset_add(ctx->fdsets, args->has_fdset_id ? &args->fdset_id : NULL, fd,
                     args->opaque, error);
}

bool qmp_remove_fd(QmpContext *ctx, const RemoveFdArgs *args, GError **error)
{
    return fdset_remove(ctx->fdsets, args->fdset_id, args->has_fd ? &args->fd : NULL,
                        error);
}

FdsetInfoList *qmp_query_fdsets(QmpContext *ctx, GError **error)
{
    return fdset_query(ctx->fdsets);
}
