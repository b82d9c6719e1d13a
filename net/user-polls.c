/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of a user network on main's loop.
 *
 * A socket is here from when it is opened until it is about to be closed, so that the
 * loop never has a descriptor that is another's by now, and so that they are counted: a
 * guest makes as many connections as it likes.
 */
#include <sys/resource.h>
#include <sys/socket.h>

#include "user-polls.h"

#define SOCKETS_MAX 4096u

typedef struct Socket {
    LoopFd source;
    UserPolls *polls;
    bool is_listener;           /* others open connections through it */
    bool is_forward;            /* there for good, until it is removed */
    uint32_t wanted;
    uint32_t ready;
} Socket;

static void free_socket(void *opaque)
{
    Socket *socket = opaque;

    loop_fd_remove(&socket->source);
    g_free(socket);
}

static void on_socket(void *opaque, uint32_t events)
{
    Socket *socket = opaque;

    socket->ready |= events;
    socket->polls->on_ready(socket->polls->opaque);
}

static Socket *find(const UserPolls *polls, int fd)
{
    return g_hash_table_lookup(polls->sockets, GINT_TO_POINTER(fd));
}

void user_polls_init(UserPolls *polls, Loop *loop, LoopFn *on_ready, void *opaque)
{
    struct rlimit limit;

    polls->loop = loop;
    polls->on_ready = on_ready;
    polls->opaque = opaque;
    polls->sockets = g_hash_table_new_full(NULL, NULL, NULL, free_socket);
    polls->max = SOCKETS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        polls->max = (unsigned)MIN(polls->max, limit.rlim_cur / 2);
}

void user_polls_done(UserPolls *polls)
{
    g_clear_pointer(&polls->sockets, g_hash_table_destroy);
}

static bool accepts_connections(int fd)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value;
}

static void add_socket(UserPolls *polls, int fd, bool is_forward)
{
    Socket *socket;

    if (fd < 0 || !polls->sockets || find(polls, fd))
        return;
    socket = g_new0(Socket, 1);
    socket->polls = polls;
    socket->is_listener = accepts_connections(fd);
    socket->is_forward = is_forward;
    loop_fd_init(&socket->source, fd, on_socket, socket);
    /* One that the host cannot poll is silent, and ends by its time. */
    loop_fd_add(polls->loop, &socket->source, 0, NULL);
    g_hash_table_insert(polls->sockets, GINT_TO_POINTER(fd), socket);
    polls->n_forwards += is_forward;
}

void user_polls_open(UserPolls *polls, int fd)
{
    add_socket(polls, fd, false);
}

void user_polls_close(UserPolls *polls, int fd)
{
    const Socket *socket = polls->sockets ? find(polls, fd) : NULL;

    if (!socket)
        return;
    polls->n_forwards -= socket->is_forward;
    g_hash_table_remove(polls->sockets, GINT_TO_POINTER(fd));
}

bool user_polls_has_connections(const UserPolls *polls)
{
    return g_hash_table_size(polls->sockets) > polls->n_forwards;
}

bool user_polls_is_full(const UserPolls *polls)
{
    return g_hash_table_size(polls->sockets) >= polls->max;
}

void user_polls_begin(UserPolls *polls)
{
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, polls->sockets);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Socket *socket = value;

        socket->wanted = socket->ready = 0;
    }
}

void user_polls_want(UserPolls *polls, int fd, uint32_t events)
{
    Socket *socket;

    /* Those of forwards are not announced. */
    add_socket(polls, fd, true);
    socket = find(polls, fd);
    if (socket)
        socket->wanted = events;
}

void user_polls_end(UserPolls *polls, bool held)
{
    bool is_full = user_polls_is_full(polls);
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, polls->sockets);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Socket *socket = value;
        bool is_silent = held || (is_full && socket->is_listener);

        if (socket->source.loop)
            loop_fd_set_events(&socket->source, is_silent ? 0 : socket->wanted);
    }
}

uint32_t user_polls_take(UserPolls *polls, int fd)
{
    Socket *socket = find(polls, fd);
    uint32_t ready = socket ? socket->ready : 0;

    if (socket)
        socket->ready = 0;
    return ready;
}
