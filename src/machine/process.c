/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Background as clients that start QEMU expect it: the parent of -daemonize may end with
 * success only when every socket listens and the pid file is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "berth/error.h"
#include "berth/log.h"

#include "berth/process.h"

/* The status for the parent to end with, when its daemon is ready or gone. */
static int wait_for_daemon(pid_t child, int fd)
{
    char ready = 0;
    ssize_t n;
    int status;

    do {
        n = read(fd, &ready, 1);
    } while (n < 0 && errno == EINTR);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return n == 1 && ready == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static pid_t fork_part(GError **error)
{
    pid_t pid = fork();

    if (pid < 0)
        error_set_errno(error, errno, "-daemonize: cannot fork");
    return pid;
}

/*
 * With a name the zone is read once, here; without one, at its first use and again when
 * the file has changed: by a thread that may open no file, or from another root folder.
 */
static void read_time_zone(void)
{
    setenv("TZ", ":/etc/localtime", false);
    tzset();
}

void process_init(void)
{
    read_time_zone();
    /* Threads allocate seldom, and what they share they need not have each. */
    mallopt(M_ARENA_MAX, 1);
    log_take_library_messages();
}

void process_set_name(const char *name)
{
    prctl(PR_SET_NAME, name);
}

bool process_lock_memory(bool on_fault, GError **error)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE | (on_fault ? MCL_ONFAULT : 0)) == 0)
        return true;
    error_set_errno(error, errno,
                    "-overcommit mem-lock: cannot lock memory (is the limit of locked "
                    "memory, RLIMIT_MEMLOCK, high enough?)");
    return false;
}

ProcessPart process_daemonize(int *ret_ready_fd, int *ret_status, GError **error)
{
    g_autofd int reader = -1;
    g_autofd int writer = -1;
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_set_errno(error, errno, "-daemonize: cannot make a pipe");
        return PROCESS_FAILED;
    }
    reader = fds[0];
    writer = fds[1];
    pid = fork_part(error);
    if (pid < 0)
        return PROCESS_FAILED;
    if (pid > 0) {
        base_close_fd(&writer);
        *ret_status = wait_for_daemon(pid, reader);
        return PROCESS_PARENT;
    }
    setsid();
    /* The leader of the session ends, so that no terminal can become the daemon's. */
    pid = fork_part(error);
    if (pid < 0)
        return PROCESS_FAILED;
    if (pid > 0) {
        *ret_status = EXIT_SUCCESS;
        return PROCESS_PARENT;
    }
    umask(027);
    signal(SIGTSTP, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
    *ret_ready_fd = autofd_steal(&writer);
    return PROCESS_DAEMON;
}

int process_detach(GError **error)
{
    int fd;

    if (chdir("/") < 0) {
        error_set_errno(error, errno, "-daemonize: cannot change to '/'");
        return -1;
    }
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        error_set_errno(error, errno, "-daemonize: cannot open '/dev/null'");
    return fd;
}

void process_ready(int ready_fd, int null_fd)
{
    bool has_log = log_fd() != STDERR_FILENO;
    char ready = 1;
    ssize_t n;

    dup2(null_fd, STDIN_FILENO);
    dup2(null_fd, STDOUT_FILENO);
    /* What libraries say when they abort. */
    dup2(has_log ? log_fd() : null_fd, STDERR_FILENO);
    close(null_fd);
    do {
        n = write(ready_fd, &ready, 1);
    } while (n < 0 && errno == EINTR);
    close(ready_fd);
}

bool process_end_with_parent(GError **error)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0)
        return true;
    error_set_errno(error, errno, "cannot be told of the parent's end");
    return false;
}
