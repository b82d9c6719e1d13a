/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's session: bytes in, lines out, and the descriptors that the client sent
 * along.
 *
 *     init -> negotiation (only qmp_capabilities) -> negotiated (commands,
                                                                  events) -> done
 *
 * While an asynchronous command is under way, only what overtakes is executed
 * (exec-oob); the rest waits in `queue`, errors of the parser too, so that the replies
 * keep the order of what they answer.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "berth/error.h"
#include "berth/fdset.h"
#include "berth/qmp.h"
#include "berth/thread.h"
#include "qmp-line.h"
#include "qmp-reply.h"

/* The version of QEMU whose interface the schema is. */
#define LEVEL_MAJOR 10
#define LEVEL_MINOR 0
#define LEVEL_MICRO 0

VersionInfo *qmp_session_version(void)
{
    VersionInfo *version = g_new0(VersionInfo, 1);

    version->qemu = g_new0(VersionTriple, 1);
    version->qemu->major = LEVEL_MAJOR;
    version->qemu->minor = LEVEL_MINOR;
    version->qemu->micro = LEVEL_MICRO;
    version->package = g_strdup("berth-" BERTH_VERSION);
    return version;
}

void qmp_session_init(QmpSession *session, QmpContext *ctx, const QmpSessionOps *ops,
                      void *opaque)
{
    assert_main();
    *session = (QmpSession){ .ctx = ctx, .ops = ops, .opaque = opaque };
    session->stream = json_stream_new();
    list_init(&session->node);
}

void qmp_session_done(QmpSession *session)
{
    assert_main();
    list_remove(&session->node);
    qmp_reply_abandon(g_steal_pointer(&session->pending));
    for (unsigned i = 0; i < session->n_queued; i++) {
        json_unref(session->queue[i].request);
        g_clear_error(&session->queue[i].error);
    }
    session->n_queued = 0;
    g_clear_pointer(&session->stream, json_stream_free);
    g_clear_pointer(&session->fds, g_hash_table_unref);
}

void qmp_session_greet(QmpSession *session, GString *out)
{
    g_autoptr(VersionInfo) version = qmp_session_version();
    JsonWriter writer;

    qmp_line_begin(&writer, out, session->pretty);
    json_writer_key(&writer, "QMP");
    json_writer_begin_object(&writer);
    json_writer_key(&writer, "version");
    qapi_write(QAPI_TYPE_VERSION_INFO, version, &writer);
    json_writer_key(&writer, "capabilities");
    json_writer_begin_array(&writer);
    for (int i = 0; i < QMP_CAPABILITY__MAX; i++)
        json_writer_string(&writer, QmpCapability_str((QmpCapability)i));
    json_writer_end_array(&writer);
    json_writer_end_object(&writer);
    qmp_line_end(&writer);
}

bool qmp_session_can_feed(const QmpSession *session, size_t size)
{
    if (!session->pending)
        return size > 0 || session->n_queued > 0;
    return size > 0 && session->oob && session->n_queued < QMP_QUEUE_MAX;
}

/* Answers a request, or what is wrong with it; both are taken. */
static void answer(QmpSession *session, JsonValue *request, GError *error, GString *out)
{
    if (error)
        qmp_dispatch_error(session, error, NULL, out);
    else
        qmp_dispatch(session, request, out);
    json_unref(request);
    g_clear_error(&error);
}

static void answer_queued(QmpSession *session, GString *out)
{
    QmpQueued first = session->queue[0];

    session->n_queued--;
    memmove(&session->queue[0], &session->queue[1], session->n_queued * sizeof(first));
    answer(session, first.request, first.error, out);
}

/* Nothing that a readonly session may ask for takes one. */
static void drop_fds(const QmpSession *session)
{
    int fd;

    while ((fd = session->ops->take_fd(session->opaque)) >= 0)
        close(fd);
}

size_t qmp_session_feed(QmpSession *session, const char *data, size_t size, GString *out)
{
    JsonValue *request = NULL;
    GError *error = NULL;
    size_t used;

    assert_main();
    g_assert(qmp_session_can_feed(session, size));
    if (!session->pending && session->n_queued > 0) {
        answer_queued(session, out);
        return 0;
    }
    if (session->readonly)
        drop_fds(session);
    if (json_stream_feed(session->stream, data, size, &used, &request, &error) ==
        JSON_STREAM_MORE)
        return used;
    if (session->pending && (error || !qmp_dispatch_is_oob(request)))
        session->queue[session->n_queued++] = (QmpQueued) { request, error };
    else
        answer(session, request, error, out);
    return used;
}

int qmp_session_receive_fd(QmpSession *session, GError **error)
{
    int fd = session->ops->take_fd(session->opaque);

    if (fd < 0)
        error_set(error, "No file descriptor supplied via SCM_RIGHTS");
    return fd;
}

static void close_fd(void *fd)
{
    close(GPOINTER_TO_INT(fd));
}

void qmp_session_name_fd(QmpSession *session, const char *name, int fd)
{
    if (!session->fds)
        session->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_fd);
    g_hash_table_replace(session->fds, g_strdup(name), GINT_TO_POINTER(fd));
}

int qmp_session_take_named_fd(QmpSession *session, const char *name, GError **error)
{
    void *key, *fd;

    if (!session || !session->fds ||
        !g_hash_table_steal_extended(session->fds, name, &key, &fd)) {
        error_set(error, "File descriptor named '%s' not found", name);
        return -1;
    }
    g_free(key);
    return GPOINTER_TO_INT(fd);
}

int qmp_session_take_fd(QmpSession *session, const char *name, GError **error)
{
    uint64_t number;

    if (!g_ascii_isdigit(name[0]))
        return qmp_session_take_named_fd(session, name, error);
    if (!g_ascii_string_to_unsigned(name, 10, 0, INT_MAX, &number, NULL)) {
        error_set(error, "Invalid file descriptor number '%s'", name);
        return -1;
    }
    if (!fdset_fd_is_of_parent((int64_t)number, error))
        return -1;
    fcntl((int)number, F_SETFD, FD_CLOEXEC);
    return (int)number;
}
