/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "call-counter.h"
#include "sanitized.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define DISPATCH_ON 1
#define DISPATCH_OFF 0
#define RESTORER_SIZE 16        /* of rt_sigreturn(2) in the C library */

/* The kernel reads `gate` before each system call of the thread. */
enum { GATE_OPEN, GATE_COUNTS };

static volatile char gate;
static volatile unsigned n_calls;

static long raw_call(long number, const greg_t *registers)
{
    register long r10 __asm__("r10") = registers[REG_R10];
    register long r8 __asm__("r8") = registers[REG_R8];
    register long r9 __asm__("r9") = registers[REG_R9];
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(registers[REG_RDI]), "S"(registers[REG_RSI]),
                       "d"(registers[REG_RDX]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

/* Makes the call that the kernel did not. */
static void on_call(int signal, siginfo_t *info, void *opaque)
{
    greg_t *registers = ((ucontext_t *)opaque)->uc_mcontext.gregs;

    gate = GATE_OPEN;
    n_calls++;
    registers[REG_RAX] = raw_call(info->si_syscall, registers);
    gate = GATE_COUNTS;
}

/* The way back from the signal is no call of the program's. */
bool call_counter_begin(void)
{
    const struct sigaction action = { .sa_sigaction = on_call, .sa_flags = SA_SIGINFO };
    struct {
        void *handler;
        unsigned long flags;
        uintptr_t restorer;
        uint64_t mask;
    } installed;

    gate = GATE_OPEN;
    n_calls = 0;
    if (SANITIZED)
        return false;
    sigaction(SIGSYS, &action, NULL);
    syscall(SYS_rt_sigaction, SIGSYS, NULL, &installed, sizeof(installed.mask));
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_ON, installed.restorer,
                 RESTORER_SIZE, &gate) == 0;
}

void call_counter_end(void)
{
    prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0);
}

bool call_counter_switch(bool on)
{
    bool before = gate == GATE_COUNTS;

    gate = on ? GATE_COUNTS : GATE_OPEN;
    return before;
}

void call_counter_add(void)
{
    n_calls++;
}

unsigned call_counter_take(void)
{
    unsigned n = n_calls;

    n_calls = 0;
    return n;
}
