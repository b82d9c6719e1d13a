/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel frees an address space when its last user is gone.  A process made by
 * clone(2) with CLONE_VM and nothing else is such a user: while it is still there, the
 * end of this process takes no time, and the freeing is done at the end of the other.
 *
 * It runs on a stack of its own, but in our memory: whoever has got hold of this process
 * has got hold of that one.  So it is made with the rights that are left at the end of
 * the set-up, drops its descriptors, and confines itself by seccomp(2) to waiting.  It
 * makes its system calls itself, since the C library's keep errno in this thread's
 * memory.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "berth/error.h"

#include "berth/async-teardown.h"

#define STACK_SIZE (16 * KIB)

typedef struct Teardown {
    pid_t parent;
    char name[16];
} Teardown;

/* Allows waiting and ending; anything else ends the process. */
static const struct sock_filter wait_only[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_pause, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

/* The arguments that are not given are 0, which prctl(2) looks at. */
static inline long call(long number, long a, long b, long c)
{
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    long result;

    __asm__ volatile("syscall" : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

static int wait_for_parent(void *opaque)
{
    const struct sock_fprog filter = {
        .len = G_N_ELEMENTS(wait_only), .filter = (struct sock_filter *)wait_only,
    };
    Teardown *teardown = opaque;
    pid_t parent = teardown->parent;

    call(__NR_prctl, PR_SET_NAME, (long)teardown->name, 0);
    call(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
    call(__NR_close_range, 0, (long)UINT32_MAX, 0);
    call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0);
    /* One whose parent ended before it could be told waits for nothing. */
    if (call(__NR_getppid, 0, 0, 0) == parent &&
        call(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&filter) == 0) {
        for (;;)
            call(__NR_pause, 0, 0, 0);
    }
    call(__NR_exit, 0, 0, 0);
    return 0;
}

bool async_teardown_start(GError **error)
{
    sigset_t blocked, before;
    Teardown *teardown;
    uint8_t *stack;
    int pid;

    if (syscall(__NR_close_range, UINT32_MAX, UINT32_MAX, 0) < 0) {
        error_set_errno(error, errno, "the kernel cannot close a range of descriptors");
        return false;
    }
    stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        error_set_errno(error, errno, "cannot get memory for a process");
        return false;
    }
    /* At the lower end of its stack, which is never freed. */
    teardown = (Teardown *)stack;
    teardown->parent = getpid();
    snprintf(teardown->name, sizeof(teardown->name), "cleanup/%d", teardown->parent);
    sigfillset(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    pid = clone(wait_for_parent, stack + STACK_SIZE, CLONE_VM, teardown);
    if (pid < 0)
        error_set_errno(error, errno, "cannot make a process");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid >= 0;
}
