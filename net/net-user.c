/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network behind sockets of this process, for a guest without rights on the host.
 *
 * The backend is a pair of datagram sockets: the queue's end is polled by its loop, as
 * that of any datagram socket, the other by main, where libslirp is (user-stack.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/iov.h"
#include "berth/net-driver.h"
#include "berth/net-user.h"

#include "berth/user-frame.h"
#include "user-library.h"
#include "user-stack.h"

typedef struct User {
    NetBackend backend;
    int fd;                     /* main's end */
    UserStack *stack;
    char *net;                  /* "10.0.2.0", for people */
    bool is_restricted;
} User;

static User *user_of(const NetBackend *backend)
{
    return CONTAINER_OF(backend, User, backend);
}

static bool make_pair(User *user, GError **error)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
        error_set_errno(error, errno, "cannot make a pair of sockets");
        return false;
    }
    user->backend.queues[0].fd = fds[0];
    user->fd = fds[1];
    return true;
}

static bool add_forwards(User *user, const StringList *rules, GError **error)
{
    for (size_t i = 0; rules && i < rules->n; i++) {
        UserForward forward;

        if (!user_forward_parse(rules->items[i]->str, &forward, error) ||
            !user_stack_add_forward(user->stack, &forward, error)) {
            g_prefix_error(error, "parameter 'hostfwd': ");
            return false;
        }
    }
    return true;
}

static bool open_user(NetBackend *backend, const Netdev *netdev, GError **error)
{
    const NetdevUserOptions *options = &netdev->u.user;
    User *user = user_of(backend);
    UserNetwork network;

    user->fd = -1;
    net_backend_make_queues(backend, 1);
    if (!user_options_read(options, &network, error) || !make_pair(user, error))
        return false;
    user->stack = user_stack_new(net_backend_main(backend), user->fd, &network,
                                 net_backend_may_start_programs(backend), error);
    user->net = user_options_name(&network);
    user->is_restricted = options->q_restrict;
    return user->stack && add_forwards(user, options->hostfwd, error);
}

static void close_user(NetBackend *backend)
{
    User *user = user_of(backend);

    user_stack_free(user->stack);
    base_close_fd(&user->fd);
    g_free(user->net);
}

static char *describe(const NetBackend *backend)
{
    const User *user = user_of(backend);
    uint64_t n_lost = user_stack_n_lost(user->stack);
    g_autofree char *lost = n_lost ? g_strdup_printf(",lost=%" PRIu64, n_lost) : NULL;

    return g_strdup_printf("net=%s,restrict=%s%s", user->net,
                           user->is_restricted ? "on" : "off", lost ? lost : "");
}

static int send_frame(NetQueue *queue, struct iovec *iov, unsigned n)
{
    return iov_size(iov, n) > NET_HEADER_SIZE + USER_FRAME_MAX
        ? -EMSGSIZE : net_bare_send(queue, iov, n);
}

const NetDriver net_user_driver = {
    .instance_size = sizeof(User),
    .open = open_user,
    .close = close_user,
    .describe = describe,
    .send = send_frame,
    .receive = net_bare_receive,
};

bool net_user_load(GError **error)
{
    UserLibrary library;

    return user_library_load(true, &library, error);
}

void net_user_describe(const NetSet *set, GString *out)
{
    for (NetBackend *backend = net_set_next_backend(set, NULL); backend;
         backend = net_set_next_backend(set, backend)) {
        g_autofree char *text = NULL;

        if (backend->driver != &net_user_driver)
            continue;
        text = user_stack_describe(user_of(backend)->stack);
        /* No backend is in a hub; tools read the rest of QEMU's line. */
        g_string_append_printf(out, "Hub -1 (%s):\n%s", backend->id, text);
    }
}

/* Network @id, or the first one when that is NULL. */
static User *find(const NetSet *set, const char *id, GError **error)
{
    for (NetBackend *backend = net_set_next_backend(set, NULL); backend;
         backend = net_set_next_backend(set, backend)) {
        bool is_user = backend->driver == &net_user_driver;

        if (is_user && (!id || strcmp(backend->id, id) == 0))
            return user_of(backend);
    }
    if (id)
        error_set(error, "there is no user network '%s'", id);
    else
        error_set(error, "there is no user network");
    return NULL;
}

bool net_user_add_forward(const NetSet *set, const char *id, const char *rule,
                          GError **error)
{
    User *user = find(set, id, error);
    UserForward forward;

    return user && user_forward_parse(rule, &forward, error) &&
        user_stack_add_forward(user->stack, &forward, error);
}

bool net_user_remove_forward(const NetSet *set, const char *id, const char *rule,
                             bool *ret_found, GError **error)
{
    User *user = find(set, id, error);
    UserForward forward;

    if (!user || !user_forward_parse_host(rule, &forward, error))
        return false;
    *ret_found = user_stack_remove_forward(user->stack, &forward);
    return true;
}
