/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs beside a tap: scripts, which get the name of the interface, and helpers with
 * more rights than ours, which send a descriptor:
 *
 *     HELPER --use-vnet --fd=N --br=BRIDGE
 *
 * whose descriptor N is a socket, to which one byte goes with the tap (SCM_RIGHTS).
 *
 * One that does not end is killed: nothing else goes on meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/error.h"

#include "tap-program.h"

#define END_MS 60000
#define SOCKET_THERE 3          /* its number in the helper */

/* Signals as a program expects them; descriptor @fd, if any, as SOCKET_THERE. */
static int spawn(const char *const *argv, int fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int errnum;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                             POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, fd, SOCKET_THERE);
    errnum = posix_spawn(ret_pid, argv[0], &actions, &attributes,
                         (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return errnum;
}

/* Its status, or -1 when it had to be killed. */
static int wait_for(pid_t pid)
{
    g_autofd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = { .fd = fd, .events = POLLIN };
    int status = 0, ready;

    do
        ready = fd >= 0 ? poll(&end, 1, END_MS) : 1;
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return ready == 0 ? -1 : status;
}

static bool run(const char *const *argv, int fd, GError **error)
{
    pid_t pid;
    int errnum = spawn(argv, fd, &pid);
    int status;

    if (errnum != 0) {
        error_set_errno(error, errnum, "cannot start '%s'", argv[0]);
        return false;
    }
    status = wait_for(pid);
    if (status == 0)
        return true;
    if (status == -1)
        error_set(error, "'%s' did not end in %d seconds", argv[0], END_MS / 1000);
    else if (WIFSIGNALED(status))
        error_set(error, "'%s' ended by signal %d", argv[0], WTERMSIG(status));
    else
        error_set(error, "'%s' ended with status %d", argv[0], WEXITSTATUS(status));
    return false;
}

bool tap_program_run(const char *script, const char *ifname, GError **error)
{
    const char *argv[] = { script, ifname, NULL };

    return run(argv, -1, error);
}

/* What has been sent; -1: nothing, or not one descriptor. */
static int receive_fd(int sock)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char byte;
    struct iovec iov = { &byte, sizeof(byte) };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control.bytes, .msg_controllen = sizeof(control),
    };
    const struct cmsghdr *header;
    int fd = -1;

    if (recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return -1;
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

int tap_program_open(const char *helper, const char *bridge, GError **error)
{
    g_autofree char *to_bridge = g_strconcat("--br=", bridge, NULL);
    g_autofree char *to_fd = g_strdup_printf("--fd=%d", SOCKET_THERE);
    const char *argv[] = { helper, "--use-vnet", to_fd, to_bridge, NULL };
    int socks[2], fd = -1;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0) {
        error_set_errno(error, errno, "cannot make a socket for '%s'", helper);
        return -1;
    }
    if (run(argv, socks[1], error)) {
        fd = receive_fd(socks[0]);
        if (fd < 0)
            error_set(error, "'%s' sent no descriptor", helper);
    }
    close(socks[0]);
    close(socks[1]);
    return fd;
}
