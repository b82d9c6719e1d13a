/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to a disk with a file, from the ring and back to it: the system calls that it
 * costs, counted by the kernel's own gate (syscall user dispatch): all of the thread.
 *
 * The disk is this program's (io_submit(3) and the rest of libaio), and does what it has
 * got when the loop goes to sleep, so that each run is the same.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <libaio.h>
#include <linux/virtio_blk.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "berth/iothread.h"
#include "berth/virtio.h"

#include "fake-aio-ring.h"
#include "kit-blk.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define DISPATCH_ON 1
#define DISPATCH_OFF 0
#define RESTORER_SIZE 16        /* of rt_sigreturn(2) in the C library */
#define DEPTH KIT_BLK_SLOTS
#define ROUNDS 50u
#define BLOCK 4096u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_COUNT 0             /* a sanitizer has its own signals and system calls */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CAN_COUNT 0
#endif
#endif
#ifndef CAN_COUNT
#define CAN_COUNT 1
#endif

/* The gate: the kernel reads `gate` before each system call of the thread. */
enum { GATE_OPEN, GATE_COUNTS };

static volatile char gate;
static volatile unsigned n_calls;

static FakeAioRing ring;
static struct iocb *pending[FAKE_AIO_RING_SIZE];
static unsigned n_pending;

typedef struct Fixture {
    KitBoard *kit;
    KitBlk *blk;
    char *path;
} Fixture;

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
static bool open_gate(void)
{
    const struct sigaction action = { .sa_sigaction = on_call, .sa_flags = SA_SIGINFO };
    struct {
        void *handler;
        unsigned long flags;
        uintptr_t restorer;
        uint64_t mask;
    } installed;

    sigaction(SIGSYS, &action, NULL);
    syscall(SYS_rt_sigaction, SIGSYS, NULL, &installed, sizeof(installed.mask));
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_ON, installed.restorer,
                 RESTORER_SIZE, &gate) == 0;
}

int io_setup(int size, io_context_t *ret_context)
{
    *ret_context = fake_aio_ring_init(&ring);
    return 0;
}

int io_destroy(io_context_t context)
{
    return 0;
}

int io_getevents(io_context_t context, long min, long max, struct io_event *events,
                 struct timespec *timeout)
{
    n_calls++;
    return 0;
}

int io_submit(io_context_t context, long n, struct iocb **iocbs)
{
    n_calls++;
    for (long i = 0; i < n; i++)
        pending[n_pending++] = iocbs[i];
    return (int)n;
}

static void end_requests(void)
{
    uint64_t one = 1;

    for (unsigned i = 0; i < n_pending; i++)
        fake_aio_ring_add(&ring, (struct io_event) {
            .data = pending[i]->data, .res = BLOCK,
        });
    if (n_pending > 0)
        g_assert_cmpint(write((int)pending[0]->u.c.resfd, &one, sizeof(one)), ==,
                        sizeof(one));
    n_pending = 0;
}

int epoll_pwait2(int epoll_fd, struct epoll_event *events, int n,
                 const struct timespec *timeout, const sigset_t *mask)
{
    bool may_sleep = !timeout || timeout->tv_sec || timeout->tv_nsec;
    char before = gate;

    gate = GATE_OPEN;
    if (may_sleep)
        end_requests();
    gate = before;
    return (int)syscall(SYS_epoll_pwait2, epoll_fd, events, n, timeout, mask, 8);
}

static void set_up(Fixture *f, const void *unused)
{
    g_autofree char *node = NULL;
    int fd;

    f->path = g_strdup("build/test-disk-calls-XXXXXX");
    fd = g_mkstemp(f->path);
    g_assert_cmpint(ftruncate(fd, DEPTH * BLOCK), ==, 0);
    close(fd);
    node = g_strdup_printf("{'driver': 'file', 'node-name': 'n', 'filename': '%s', "
                           "'aio': 'native', 'cache': {'direct': true}}", f->path);
    f->kit = kit_board_new();
    kit_add_node(f->kit, node);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'd', 'drive': 'n'}");
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "d");
    poller_set_polling(f->kit->queue_loop, &iothread_default_tuning.polling);
}

static void tear_down(Fixture *f, const void *unused)
{
    kit_blk_free(f->blk);
    kit_board_free(f->kit);
    g_unlink(f->path);
    g_free(f->path);
}

/* @depth requests, which the driver has offered, until it has them back. */
static void serve(Fixture *f, unsigned depth)
{
    unsigned n_taken = 0, slot;
    uint8_t status;

    while (n_taken < depth) {
        gate = GATE_COUNTS;
        loop_turn(f->kit->queue_loop, true);
        gate = GATE_OPEN;
        for (; kit_blk_take(f->blk, &slot, &status); n_taken++)
            g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    }
}

static uint64_t n_interrupts(const Fixture *f)
{
    return virtio_pci_device(device_find(&f->kit->tree, "d"))->queues[0]
        .counters.interrupts;
}

/* One for eight requests at most, and one to interrupt a driver that wants to be. */
static void test_full_queue(Fixture *f, const void *unused)
{
    uint64_t interrupts;

    if (!CAN_COUNT || !open_gate()) {
        g_test_skip("system calls cannot be counted here");
        return;
    }
    n_calls = 0;
    interrupts = n_interrupts(f);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < DEPTH; i++)
            kit_blk_offer(f->blk, i, VIRTIO_BLK_T_IN, 8 * i, BLOCK);

        serve(f, DEPTH);
    }

    prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0);
    interrupts = n_interrupts(f) - interrupts;
    g_test_message("%u calls for %u requests", n_calls, ROUNDS * DEPTH);
    g_assert_cmpuint(interrupts, ==, ROUNDS);
    g_assert_cmpuint(n_calls - interrupts, >=, 2 * ROUNDS);
    g_assert_cmpuint(n_calls - interrupts, <=, ROUNDS * DEPTH / 8);
}

/*
 * From the doorbell to the interrupt, without busy waits: io_submit(2), the look at the
 * descriptors that finds the doorbell, the sleep that the disk ends, the interrupt.
 */
static void test_one_write(Fixture *f, const void *unused)
{
    int doorbell =
        virtio_pci_device(device_find(&f->kit->tree, "d"))->queues[0].kick_fd;
    const Polling none = { 0 };
    uint64_t one = 1, interrupts;

    if (!CAN_COUNT || !open_gate()) {
        g_test_skip("system calls cannot be counted here");
        return;
    }
    poller_set_polling(f->kit->queue_loop, &none);
    for (unsigned round = 0; round < ROUNDS; round++) {
        kit_blk_offer(f->blk, 0, VIRTIO_BLK_T_OUT, 0, BLOCK);
        g_assert_cmpint(write(doorbell, &one, sizeof(one)), ==, sizeof(one));
        interrupts = n_interrupts(f);
        n_calls = 0;

        serve(f, 1);

        g_assert_cmpuint(n_interrupts(f) - interrupts, ==, 1);
        g_assert_cmpuint(n_calls, <=, 4);
    }
    prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/disk-calls/full-queue", test_full_queue);
    ADD("/disk-calls/one-write", test_one_write);
    return g_test_run();
}
