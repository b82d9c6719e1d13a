/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp on main's loop.
 *
 * Frames go through a pair of datagram sockets, of which the far end is the queue's: so
 * what a guest sends is done here and never on an I/O thread, and each direction is
 * bounded by what the kernel keeps of a socket.
 *
 *     a frame, an event of a socket, a timer --> is_due
 *     the end of the turn, when it is: slirp_pollfds_poll(), slirp_pollfds_fill()
 *
 * libslirp changes by nothing else, so it is not asked more often, and an idle network
 * wakes nobody.
 *
 * A guest that is slow to take frames: when the kernel says that the pair has no room
 * (from a quarter of the buffer on), sockets of the host are not read any more, until
 * there is.  What libslirp sends all the same, up to a window of each connection, has the
 * rest of the buffer; beyond that frames are lost, as on a cable, and sent again by TCP.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/timer.h"

#include "berth/user-frame.h"
#include "user-library.h"
#include "user-polls.h"
#include "user-stack.h"

#define FRAMES_PER_TURN 64u
/* libslirp's time is that of its last look at the clock. */
#define CLOCK_STALE_NS (20 * NS_PER_MS)
/* What libslirp says when it waits for nothing. */
#define NO_TIMEOUT_MS 1000u

struct UserStack {
    UserLibrary library;
    Slirp *slirp;
    Loop *loop;
    UserPolls polls;
    LoopFd guest;
    LoopHook hook;
    Timer timer;
    bool is_due;                /* something has happened since the last turn */
    bool is_held;               /* the guest takes no frames now */
    int64_t polled_ns;
    uint64_t n_lost;
    LogLimit complaints;
};

/* A timer of libslirp's. */
typedef struct StackTimer {
    Timer timer;
    UserStack *stack;
    SlirpTimerId id;
    void *opaque;
} StackTimer;

static const struct {
    int slirp;
    uint32_t loop;
} events[] = {
    { SLIRP_POLL_IN, EPOLLIN },
    { SLIRP_POLL_OUT, EPOLLOUT },
    { SLIRP_POLL_PRI, EPOLLPRI },
    { SLIRP_POLL_ERR, EPOLLERR },
    { SLIRP_POLL_HUP, EPOLLHUP },
};

/* Callbacks. */

static ssize_t send_to_guest(const void *frame, size_t size, void *opaque)
{
    UserStack *stack = opaque;

    if (send(stack->guest.fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        stack->n_lost++;
    return (ssize_t)size;
}

static void on_guest_error(const char *text, void *opaque)
{
    UserStack *stack = opaque;

    if (log_limit_pass(&stack->complaints, NULL))
        log_warn("user network: %s", text);
}

static int64_t clock_ns(void *opaque)
{
    return loop_clock_ns();
}

static void mark_due(void *opaque)
{
    ((UserStack *)opaque)->is_due = true;
}

static void on_stack_timer(void *opaque)
{
    const StackTimer *timer = opaque;
    UserStack *stack = timer->stack;

    stack->library.handle_timer(stack->slirp, timer->id, timer->opaque);
    mark_due(stack);
}

static void *new_timer(SlirpTimerId id, void *timer_opaque, void *opaque)
{
    StackTimer *timer = g_new0(StackTimer, 1);

    timer->stack = opaque;
    timer->id = id;
    timer->opaque = timer_opaque;
    timer_init(&timer->timer, timer->stack->loop, on_stack_timer, timer);
    return timer;
}

static void free_timer(void *timer, void *opaque)
{
    timer_cancel(&((StackTimer *)timer)->timer);
    g_free(timer);
}

static void set_timer(void *timer, int64_t expire_ms, void *opaque)
{
    timer_set(&((StackTimer *)timer)->timer, expire_ms * NS_PER_MS);
}

static void on_open(int fd, void *opaque)
{
    UserStack *stack = opaque;

    user_polls_open(&stack->polls, fd);
}

static void on_close(int fd, void *opaque)
{
    UserStack *stack = opaque;

    user_polls_close(&stack->polls, fd);
}

static const SlirpCb callbacks = {
    .send_packet = send_to_guest,
    .guest_error = on_guest_error,
    .clock_get_ns = clock_ns,
    .timer_new_opaque = new_timer,
    .timer_free = free_timer,
    .timer_mod = set_timer,
    .register_poll_fd = on_open,
    .unregister_poll_fd = on_close,
    .notify = mark_due,
};

/* A turn. */

static bool guest_has_room(const UserStack *stack)
{
    struct pollfd fd = { .fd = stack->guest.fd, .events = POLLOUT };

    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT);
}

/* Asked for one socket after the other, each of which may fill the pair. */
static int take_events(int fd, void *opaque)
{
    UserStack *stack = opaque;
    uint32_t ready = user_polls_take(&stack->polls, fd);
    int taken = 0;

    if (ready && !guest_has_room(stack))
        stack->is_held = true;
    if (stack->is_held)
        return 0;
    for (size_t i = 0; i < G_N_ELEMENTS(events); i++)
        taken |= ready & events[i].loop ? events[i].slirp : 0;
    return taken;
}

static int want_events(int fd, int wanted, void *opaque)
{
    UserStack *stack = opaque;
    uint32_t of_loop = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(events); i++)
        of_loop |= wanted & events[i].slirp ? events[i].loop : 0;
    user_polls_want(&stack->polls, fd, of_loop);
    return fd;
}

static void let_run(UserStack *stack)
{
    stack->polled_ns = loop_clock_ns();
    stack->library.pollfds_poll(stack->slirp, 0, take_events, stack);
}

static void ask(UserStack *stack)
{
    uint32_t timeout_ms = UINT32_MAX;

    user_polls_begin(&stack->polls);
    stack->library.pollfds_fill(stack->slirp, &timeout_ms, want_events, stack);
    user_polls_end(&stack->polls, stack->is_held);
    loop_fd_set_events(&stack->guest, EPOLLIN | (stack->is_held ? EPOLLOUT : 0u));
    /* What libslirp would do for forwards alone is nothing. */
    if (timeout_ms < NO_TIMEOUT_MS && user_polls_has_connections(&stack->polls))
        timer_set(&stack->timer, loop_clock_ns() + timeout_ms * NS_PER_MS);
    else
        timer_cancel(&stack->timer);
}

static void on_turn_end(void *opaque)
{
    UserStack *stack = opaque;

    if (!stack->is_due)
        return;
    stack->is_due = false;
    let_run(stack);
    ask(stack);
}

static void take_frame(UserStack *stack, const uint8_t *frame, size_t size)
{
    if (user_polls_is_full(&stack->polls) && user_frame_opens_socket(frame, size)) {
        stack->n_lost++;
        on_guest_error("the guest has too many connections", stack);
        return;
    }
    stack->library.input(stack->slirp, frame, (int)size);
}

static void on_guest(void *opaque, uint32_t ready)
{
    UserStack *stack = opaque;
    uint8_t frame[USER_FRAME_MAX];

    if (ready & EPOLLOUT)
        stack->is_held = false;
    mark_due(stack);
    /* The age of what is new now is counted from now on. */
    if (loop_clock_ns() - stack->polled_ns > CLOCK_STALE_NS)
        let_run(stack);
    for (unsigned i = 0; i < FRAMES_PER_TURN; i++) {
        ssize_t size = recv(stack->guest.fd, frame, sizeof(frame), MSG_DONTWAIT);

        if (size < 0)
            break;
        take_frame(stack, frame, (size_t)size);
    }
}

/* From the outside. */

static bool start(UserStack *stack, const UserNetwork *network)
{
    const NetdevUserOptions *options = network->options;
    g_autofree const char **domains = user_options_domains(options);
    const SlirpConfig config = {
        .version = 4,
        .restricted = options->q_restrict,
        .in_enabled = network->has_ipv4,
        .vnetwork = network->net,
        .vnetmask = network->mask,
        .vhost = network->host,
        .in6_enabled = network->has_ipv6,
        .vprefix_addr6 = network->prefix6,
        .vprefix_len = network->prefix6_length,
        .vhost6 = network->host6,
        .vhostname = options->hostname,
        .tftp_server_name = options->tftp_server_name,
        .tftp_path = options->tftp,
        .bootfile = options->bootfile,
        .vdhcp_start = network->dhcp_start,
        .vnameserver = network->dns,
        .vnameserver6 = network->dns6,
        .vdnssearch = domains,
        .vdomainname = options->domainname,
    };

    stack->slirp = stack->library.new(&config, &callbacks, stack);
    return stack->slirp != NULL;
}

UserStack *user_stack_new(Loop *loop, int fd, const UserNetwork *network, bool may_load,
                          GError **error)
{
    UserStack *stack = g_new0(UserStack, 1);

    stack->loop = loop;
    user_polls_init(&stack->polls, loop, mark_due, stack);
    timer_init(&stack->timer, loop, mark_due, stack);
    loop_hook_add(loop, &stack->hook, on_turn_end, stack);
    loop_fd_init(&stack->guest, fd, on_guest, stack);
    if (!user_library_load(may_load, &stack->library, error) ||
        !loop_fd_add(loop, &stack->guest, EPOLLIN, error)) {
        user_stack_free(stack);
        return NULL;
    }
    if (!start(stack, network)) {
        error_set(error, "libslirp refuses the network");
        user_stack_free(stack);
        return NULL;
    }
    return stack;
}

void user_stack_free(UserStack *stack)
{
    if (!stack)
        return;
    user_polls_done(&stack->polls);
    if (stack->slirp)
        stack->library.cleanup(stack->slirp);
    loop_hook_remove(&stack->hook);
    loop_fd_remove(&stack->guest);
    timer_cancel(&stack->timer);
    g_free(stack);
}

bool user_stack_add_forward(UserStack *stack, const UserForward *forward, GError **error)
{
    errno = 0;
    mark_due(stack);
    if (stack->library.add_hostfwd(stack->slirp, forward->is_udp, forward->host,
                                   forward->host_port, forward->guest,
                                   forward->guest_port) == 0)
        return true;
    error_set_errno(error, errno, "cannot listen at port %u of the host",
                    forward->host_port);
    return false;
}

bool user_stack_remove_forward(UserStack *stack, const UserForward *forward)
{
    mark_due(stack);
    return stack->library.remove_hostfwd(stack->slirp, forward->is_udp, forward->host,
                                         forward->host_port) == 0;
}

char *user_stack_describe(UserStack *stack)
{
    return stack->library.connection_info(stack->slirp);
}

uint64_t user_stack_n_lost(const UserStack *stack)
{
    return stack->n_lost;
}
