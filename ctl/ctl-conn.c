/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that never block: poll(2) waits for all of them up to a deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "berth/printable.h"

#include "ctl-conn.h"

#define SUFFIX ".qmp"
#define PIECE (64 * 1024)
#define RETRY_MS 10             /* of a socket whose backlog is full */

int64_t ctl_conn_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

/* Finding. */

CtlConn *ctl_conn_new(const char *path)
{
    CtlConn *conn = g_new0(CtlConn, 1);
    g_autofree char *file = g_path_get_basename(path);

    if (g_str_has_suffix(file, SUFFIX))
        file[strlen(file) - strlen(SUFFIX)] = '\0';
    conn->name = printable_text(file);
    conn->path = g_strdup(path);
    conn->fd = -1;
    conn->stream = json_stream_new();
    conn->output = g_string_new(NULL);
    conn->events = g_ptr_array_new_with_free_func((GDestroyNotify)json_unref);
    return conn;
}

static void drop_replies(CtlConn *conn)
{
    for (unsigned i = 0; i < conn->n_replies; i++)
        json_unref(conn->replies[i]);
    conn->n_replies = 0;
    conn->n_requests = 0;
}

void ctl_conn_free(CtlConn *conn)
{
    if (!conn)
        return;
    base_close_fd(&conn->fd);
    drop_replies(conn);
    json_stream_free(conn->stream);
    g_string_free(conn->output, true);
    g_ptr_array_unref(conn->events);
    g_clear_error(&conn->error);
    g_free(conn->name);
    g_free(conn->path);
    g_free(conn);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(CtlConn *const *)a)->name, (*(CtlConn *const *)b)->name);
}

static bool is_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

GPtrArray *ctl_conn_find_all(const CtlOptions *options, GError **error)
{
    g_autoptr(GPtrArray) conns =
        g_ptr_array_new_with_free_func((GDestroyNotify)ctl_conn_free);
    g_autoptr(GError) why = NULL;
    g_autoptr(GDir) folder = g_dir_open(options->folder, 0, &why);
    const char *name;

    if (g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_ACCES)) {
        error_set(error, "you may not read the folder '%s': try as root, or as the user "
                  "who runs the machines", options->folder);
        return NULL;
    }
    if (!folder) {
        error_set(error, "there is no folder '%s' with sockets of machines (-d FOLDER or "
                  "BERTH_RUN_DIR names another one)", options->folder);
        return NULL;
    }
    while ((name = g_dir_read_name(folder))) {
        g_autofree char *path = g_build_filename(options->folder, name, NULL);

        if (g_str_has_suffix(name, SUFFIX) && is_socket(path))
            g_ptr_array_add(conns, ctl_conn_new(path));
    }
    g_ptr_array_sort(conns, by_name);
    return g_steal_pointer(&conns);
}

CtlConn *ctl_conn_find(const CtlOptions *options, const char *name)
{
    g_autofree char *file = g_strconcat(name, SUFFIX, NULL);
    g_autofree char *path = strchr(name, '/') ? g_strdup(name)
                            : g_build_filename(options->folder, file, NULL);

    return ctl_conn_new(path);
}

/* Failing. */

static void fail(CtlConn *conn, const char *why)
{
    base_close_fd(&conn->fd);
    if (!conn->error)
        error_set(&conn->error, "machine '%s': %s", conn->name, why);
}

static void fail_connect(CtlConn *conn, int errnum)
{
    g_autofree char *why = NULL;

    if (errnum == ENOENT)
        why = g_strdup_printf("there is no socket '%s' (\"berthctl list\" shows which "
                              "machines there are; -d names another folder)", conn->path);
    else if (errnum == ECONNREFUSED && !is_socket(conn->path))
        why = g_strdup_printf("'%s' is no socket", conn->path);
    else if (errnum == ECONNREFUSED)
        why = g_strdup_printf("nobody listens at '%s': the machine has ended, and the "
                              "file can be removed", conn->path);
    else if (errnum == EACCES)
        why = g_strdup_printf("you may not connect to '%s': try as root, or as the user "
                              "who runs the machine", conn->path);
    else
        why = g_strdup_printf("cannot connect to '%s': %s", conn->path,
                              error_text(errnum));
    fail(conn, why);
}

static void fail_late(CtlConn *conn)
{
    if (conn->fd < 0 || !conn->greeted)
        fail(conn, "no greeting came in time: another client has its only session, or "
             "it hangs (-t SECONDS waits longer)");
    else
        fail(conn, "no answer came in time: it is stopped by the host, or hangs (-t "
             "SECONDS waits longer)");
}

/* Talking. */

/* Whether the attempt is over; one that found the backlog full is not. */
static bool try_connect(CtlConn *conn)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    g_autofd int fd = -1;

    if (strlen(conn->path) >= sizeof(address.sun_path)) {
        fail(conn, "the path of its socket is too long");
        return true;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        fail_connect(conn, errno);
        return true;
    }
    g_strlcpy(address.sun_path, conn->path, sizeof(address.sun_path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        conn->fd = autofd_steal(&fd);
    else if (errno != EAGAIN)
        fail_connect(conn, errno);
    else
        return false;
    return true;
}

static void append_request(CtlConn *conn, const char *command, const JsonValue *arguments)
{
    JsonWriter writer;

    json_writer_init(&writer, conn->output, false);
    json_writer_begin_object(&writer);
    json_writer_key(&writer, "execute");
    json_writer_string(&writer, command);
    if (arguments) {
        json_writer_key(&writer, "arguments");
        json_writer_value(&writer, arguments);
    }
    json_writer_end_object(&writer);
    g_string_append_c(conn->output, '\n');
}

unsigned ctl_conn_request(CtlConn *conn, const char *command, JsonValue *arguments)
{
    /* The exchange before this one has ended. */
    if (conn->n_replies == conn->n_requests)
        drop_replies(conn);
    g_assert(conn->n_requests < CTL_REQUESTS);
    if (!conn->negotiated && conn->output->len == 0)
        append_request(conn, "qmp_capabilities", NULL);
    append_request(conn, command, arguments);
    json_unref(arguments);
    return conn->n_requests++;
}

/* Takes @message. */
static void take_message(CtlConn *conn, JsonValue *message)
{
    if (json_member(message, "event")) {
        g_ptr_array_add(conn->events, message);
    } else if (!conn->greeted && json_member(message, "QMP")) {
        conn->greeted = true;
        json_unref(message);
    } else if (!conn->greeted) {
        fail(conn, "what listens there does not speak QMP");
        json_unref(message);
    } else if (!conn->negotiated) {
        conn->negotiated = true;
        json_unref(message);
    } else if (conn->n_replies < conn->n_requests) {
        conn->replies[conn->n_replies++] = message;
    } else {
        json_unref(message);
    }
}

static void take_bytes(CtlConn *conn, const char *data, size_t size)
{
    JsonStreamResult result;

    do {
        g_autoptr(GError) error = NULL;
        JsonValue *message = NULL;
        size_t used = 0;

        result = json_stream_feed(conn->stream, data, size, &used, &message, &error);
        data += used;
        size -= used;
        if (result == JSON_STREAM_VALUE)
            take_message(conn, message);
        else if (result == JSON_STREAM_ERROR)
            fail(conn, "what listens there does not speak QMP");
    } while (result != JSON_STREAM_MORE && conn->fd >= 0);
}

static void receive(CtlConn *conn)
{
    g_autofree char *data = g_malloc(PIECE);
    ssize_t n = recv(conn->fd, data, PIECE, 0);

    if (n > 0)
        take_bytes(conn, data, n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        fail(conn, "it has ended");
}

static void send_output(CtlConn *conn)
{
    ssize_t n = send(conn->fd, conn->output->str, conn->output->len, MSG_NOSIGNAL);

    if (n > 0)
        g_string_erase(conn->output, 0, n);
    else if (errno != EAGAIN && errno != EINTR)
        fail(conn, "it has ended");
}

static bool is_waiting(const CtlConn *conn)
{
    return !conn->error && conn->n_replies < conn->n_requests;
}

/* How long poll(2) may wait. */
static int timeout_ms(int64_t deadline_ns, bool retries)
{
    int64_t left_ns = retries ? RETRY_MS * NS_PER_MS : deadline_ns - ctl_conn_clock_ns();

    return left_ns <= 0 ? 0 : (int)MIN(left_ns / NS_PER_MS + 1, 60 * 1000);
}

/* Connects, or waits for sockets and does what they are ready for. */
static void turn(CtlConn *const *conns, unsigned n, int64_t deadline_ns)
{
    g_autofree struct pollfd *polled = g_new0(struct pollfd, n);
    bool retries = false, failed = false;

    for (unsigned i = 0; i < n; i++) {
        polled[i].fd = -1;
        if (conns[i]->error)
            continue;
        if (conns[i]->fd < 0 && !try_connect(conns[i]))
            retries = true;
        failed = failed || conns[i]->error;
        polled[i].fd = conns[i]->fd;
        polled[i].events = POLLIN | (conns[i]->output->len > 0 ? POLLOUT : 0);
    }
    poll(polled, n, failed ? 0 : timeout_ms(deadline_ns, retries));
    for (unsigned i = 0; i < n; i++) {
        if (polled[i].revents & POLLOUT)
            send_output(conns[i]);
        if (conns[i]->fd >= 0 && (polled[i].revents & (POLLIN | POLLHUP | POLLERR)))
            receive(conns[i]);
    }
}

static bool are_waiting(CtlConn *const *conns, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (is_waiting(conns[i]))
            return true;
    }
    return false;
}

void ctl_conn_exchange(CtlConn *const *conns, unsigned n, int64_t deadline_ns)
{
    while (are_waiting(conns, n) && ctl_conn_clock_ns() < deadline_ns)
        turn(conns, n, deadline_ns);
    for (unsigned i = 0; i < n; i++) {
        if (is_waiting(conns[i]))
            fail_late(conns[i]);
    }
}

const JsonValue *ctl_conn_return(const CtlConn *conn, unsigned index, GError **error)
{
    const JsonValue *reply = index < conn->n_replies ? conn->replies[index] : NULL;
    const JsonValue *value = reply ? json_member(reply, "return") : NULL;
    const char *text = NULL;

    if (value)
        return value;
    if (reply && json_member(reply, "error"))
        text = json_as_string(json_member(json_member(reply, "error"), "desc"));
    if (text)
        error_set(error, "machine '%s' says: %s", conn->name, text);
    else if (conn->error)
        g_propagate_error(error, g_error_copy(conn->error));
    else
        error_set(error, "machine '%s': its answer is none", conn->name);
    return NULL;
}

size_t ctl_conn_length(const JsonValue *list)
{
    return list && json_kind(list) == JSON_ARRAY ? json_length(list) : 0;
}

const char *ctl_conn_text(const JsonValue *object, const char *key)
{
    const JsonValue *member = json_member(object, key);

    return member ? json_as_string(member) : NULL;
}

uint64_t ctl_conn_number(const JsonValue *object, const char *key)
{
    const JsonValue *member = object ? json_member(object, key) : NULL;
    uint64_t number = 0;

    if (member)
        json_as_uint(member, &number);
    return number;
}

const JsonValue *ctl_conn_ask(CtlConn *conn, const CtlOptions *options,
                              const char *command, JsonValue *arguments, GError **error)
{
    unsigned index = ctl_conn_request(conn, command, arguments);

    ctl_conn_exchange(&conn, 1, ctl_conn_clock_ns() + options->timeout_ns);
    return ctl_conn_return(conn, index, error);
}

JsonValue *ctl_conn_event(CtlConn *conn, int64_t deadline_ns, GError **error)
{
    while (conn->events->len == 0 && !conn->error && ctl_conn_clock_ns() < deadline_ns)
        turn(&conn, 1, deadline_ns);
    if (conn->events->len > 0) {
        JsonValue *event = json_ref(g_ptr_array_index(conn->events, 0));

        g_ptr_array_remove_index(conn->events, 0);
        return event;
    }
    if (conn->error)
        g_propagate_error(error, g_error_copy(conn->error));
    return NULL;
}

bool ctl_conn_wait_exit(CtlConn *conn, int pidfd, int64_t deadline_ns)
{
    struct pollfd polled = { .fd = pidfd, .events = POLLIN };
    JsonValue *event;

    while ((event = ctl_conn_event(conn, deadline_ns, NULL)))
        json_unref(event);
    if (!conn->error)
        return false;
    return pidfd < 0 || poll(&polled, 1, timeout_ms(deadline_ns, false)) > 0;
}

int ctl_conn_pid(const CtlConn *conn)
{
    struct ucred peer = { 0 };
    socklen_t size = sizeof(peer);

    if (conn->fd < 0 ||
        getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return 0;
    return peer.pid;
}
