/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering the sandbox.
 *
 * Main's filter is put on all threads at once (SECCOMP_FILTER_FLAG_TSYNC), so that none
 * is ever outside.  It allows what any role may; a thread adds the filter of its own role
 * before it goes on (thread_confine(): a vCPU before it enters the guest, a loop after it
 * woke up, a worker before a job), and of two filters the stricter verdict counts.
 *
 * A forbidden call is not made; the kernel raises SIGSYS in the thread.  The handler
 * writes its line by system calls alone, for the thread may be anywhere, the allocator
 * included.  Then it makes one more forbidden call: SIGSYS, which is blocked in its own
 * handler, then ends the process whatever its action is, and the status says why.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "berth/char-set.h"
#include "berth/error.h"
#include "berth/log.h"
#include "berth/sandbox-filter.h"
#include "berth/thread.h"

#include "berth/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED \
    (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

#define LINE_MAX_SIZE 256
#define SIGSYS_OF_SECCOMP 1     /* SYS_SECCOMP, which the C library has no name for */

static const struct {
    SandboxRoles role;
    const char *name;
} roles[] = {
    [THREAD_NONE] = { SANDBOX_MAIN, "none" },
    [THREAD_WORKER] = { SANDBOX_WORKER, "worker" },
    [THREAD_IOTHREAD] = { SANDBOX_IOTHREAD, "iothread" },
    [THREAD_VCPU] = { SANDBOX_VCPU, "vCPU" },
    [THREAD_MAIN] = { SANDBOX_MAIN, "main" },
};

/* What -sandbox allows; set before other threads look. */
static struct {
    uint32_t groups;
    bool may_spawn;
} sandbox;

static void append(char *line, size_t *size, const char *text)
{
    size_t room = LINE_MAX_SIZE - *size;
    size_t length = MIN(strlen(text), room);

    memcpy(line + *size, text, length);
    *size += length;
}

static void append_number(char *line, size_t *size, uint64_t number, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    append(line, size, digits + at);
}

/* The argument that matters, if one does; the registers are as the call had them. */
static void append_argument(char *line, size_t *size, unsigned number,
                            const ucontext_t *context)
{
    static const int registers[] = { REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9 };
    const SandboxCheck *check = sandbox_table_check_of(number);

    if (!check)
        return;
    append(line, size, " with 0x");
    append_number(line, size,
                  (uint64_t)context->uc_mcontext.gregs[registers[check->argument]], 16);
}

static size_t describe_call(char *line, const siginfo_t *info, const ucontext_t *context)
{
    unsigned number = (unsigned)info->si_syscall;
    bool is_native = info->si_arch == AUDIT_ARCH_X86_64;
    const char *call = is_native ? sandbox_table_name(number) : NULL;
    char thread[16] = "?";
    size_t size = 0;

    prctl(PR_GET_NAME, thread);
    append(line, &size, "berth: sandbox: thread '");
    append(line, &size, thread);
    append(line, &size, "' (");
    append(line, &size, roles[thread_role()].name);
    append(line, &size, ") may not make the system call ");
    append(line, &size, call ? call : "without a name");
    append(line, &size, " (");
    append_number(line, &size, number, 10);
    append(line, &size, is_native ? ")" : " of another architecture)");
    if (is_native)
        append_argument(line, &size, number, context);
    append(line, &size, "; the VM ends\n");
    return size;
}

/* A reader that has stopped keeps nothing alive. */
static void tell(const char *line, size_t size)
{
    struct pollfd poll_fd = { .fd = log_fd(), .events = POLLOUT };
    ssize_t n = 0;

    if (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT))
        n = write(poll_fd.fd, line, size);
    (void)n;
}

static void on_forbidden_call(int signal_number, siginfo_t *info, void *context)
{
    char line[LINE_MAX_SIZE];

    if (info->si_code == SIGSYS_OF_SECCOMP)
        tell(line, describe_call(line, info, context));
    char_set_restore_terminal();
    /* A number that is in no row. */
    for (;;)
        syscall(-1);
}

static bool catch_forbidden_calls(GError **error)
{
    struct sigaction action = {
        .sa_sigaction = on_forbidden_call,
        .sa_flags = SA_SIGINFO,
    };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    if (sigaction(SIGSYS, &action, NULL) == 0)
        return true;
    error_set_errno(error, errno, "cannot catch SIGSYS");
    return false;
}

/* 0, or -1 with errno. */
static long load(SandboxRoles role, unsigned flags)
{
    const SandboxFilterOptions options = {
        .role = role,
        .may_spawn = sandbox.may_spawn,
        .groups = sandbox.groups,
        .pid = (uint32_t)getpid(),
    };
    g_autoptr(GArray) program = sandbox_filter_new(&options);
    struct sock_fprog filter = {
        .len = (unsigned short)program->len,
        .filter = (struct sock_filter *)program->data,
    };

    /* Filters say nothing about speculation: the guest's speed is its own. */
    return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                   flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter);
}

/* What thread_confine() calls once in every thread but main. */
static void confine_thread(ThreadRole role)
{
    long ret = load(roles[role].role, 0);

    if (ret != 0)
        log_error("sandbox: cannot confine a thread: %s", error_text(errno));
    g_assert(ret == 0);
}

static bool is_allowed(bool has_rule, SandboxRule rule)
{
    return has_rule && rule == SANDBOX_RULE_ALLOW;
}

static bool allows_elevation(const SandboxOptions *options)
{
    return options->has_elevateprivileges &&
           options->elevateprivileges == SANDBOX_PRIVILEGES_ALLOW;
}

static void read_options(const SandboxOptions *options)
{
    if (is_allowed(options->has_obsolete, options->obsolete))
        sandbox.groups |= 1u << SANDBOX_GROUP_OBSOLETE;
    if (is_allowed(options->has_resourcecontrol, options->resourcecontrol))
        sandbox.groups |= 1u << SANDBOX_GROUP_RESOURCES;
    if (allows_elevation(options))
        sandbox.groups |= 1u << SANDBOX_GROUP_PRIVILEGES;
    sandbox.may_spawn = is_allowed(options->has_spawn, options->spawn);
}

bool sandbox_is_wanted(const SandboxOptions *options, bool *ret_wanted, GError **error)
{
    *ret_wanted = options ? options->enable : !SANITIZED;
    if (!options || !options->enable || !SANITIZED)
        return true;
    error_set(error, "-sandbox on: this build has a sanitizer, which makes system calls "
              "of its own");
    return false;
}

bool sandbox_allows_programs(const SandboxOptions *options)
{
    if (!options)
        return SANITIZED;
    return !options->enable || is_allowed(options->has_spawn, options->spawn);
}

bool sandbox_enter(const SandboxOptions *options, GError **error)
{
    long ret;

    assert_main();
    if (options)
        read_options(options);
    if (!catch_forbidden_calls(error))
        return false;
    /* What is executed gets no more rights; also what lets anyone have a filter. */
    if (!(sandbox.groups & 1u << SANDBOX_GROUP_PRIVILEGES) &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        error_set_errno(error, errno, "cannot give up new privileges");
        return false;
    }
    ret = load(SANDBOX_MAIN, SECCOMP_FILTER_FLAG_TSYNC);
    if (ret < 0 && errno == EACCES) {
        error_set(error, "-sandbox: only root may have elevateprivileges=allow");
        return false;
    }
    if (ret != 0) {
        error_set_errno(error, ret < 0 ? errno : EBUSY,
                        "cannot enter the sandbox (-sandbox off goes without)");
        return false;
    }
    thread_set_confinement(confine_thread);
    return true;
}
