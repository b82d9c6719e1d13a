/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGBUS on guest memory.
 *
 * The kernel sends it to the thread whose access cannot be served: the page lies behind
 * the end of its file, its file system or pool of huge pages is full, the disk cannot be
 * read, or the hardware has lost the page (BUS_MCEERR_AR, which KVM also sends to a vCPU
 * whose guest met it).  The handler finds the block in a table, maps a page of zeros in
 * the place of the lost one, counts it and wakes main by an eventfd; the access is made
 * again and goes on.  What is lost stays lost: main tells and stops the machine.
 *
 * The handler runs anywhere, so it makes system calls alone (mmap, write), takes no lock
 * and follows no pointer.  The table has a fixed place.  A row has a version, odd while
 * its range changes: a reader that sees two versions takes the row for another's, which
 * it is, since the thread that met the fault keeps the block of its access alive.
 *
 * Two threads that meet the same page at once may both map one, and the later takes what
 * the earlier has written: of a page that is lost anyway.
 *
 * An address that is in no block is a defect of this program and ends it as if there were
 * no handler: who had the signal before gets it (the terminal is restored); then the
 * access is made again with SIGBUS blocked, which the kernel answers by its default
 * action, with the registers of the access in the core dump.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/ram-fault.h"

/* More blocks than that are not looked after. */
#define MAX_ROWS 1024

typedef struct Row {
    atomic_bool taken;
    atomic_uint version;
    atomic_uintptr_t start;
    atomic_uintptr_t size;
    atomic_uintptr_t page;

    /* What was not told of yet. */
    atomic_uintptr_t offset;
    atomic_bool is_hardware;
    atomic_ullong n_lost;
    atomic_ullong n_spoilt;
} Row;

typedef struct Range {
    uintptr_t start;
    uintptr_t size;
    uintptr_t page;
} Range;

static struct {
    Row rows[MAX_ROWS];
    atomic_int wake_fd;         /* of nobody when 0 */
    bool catches;
    struct sigaction before;
} faults;

/* False when the row changes meanwhile, or is nobody's. */
static bool read_range(Row *row, Range *ret_range)
{
    unsigned version = atomic_load_explicit(&row->version, memory_order_acquire);

    *ret_range = (Range) {
        .start = atomic_load_explicit(&row->start, memory_order_acquire),
        .size = atomic_load_explicit(&row->size, memory_order_acquire),
        .page = atomic_load_explicit(&row->page, memory_order_acquire),
    };
    return version % 2 == 0 && ret_range->size > 0 &&
           atomic_load_explicit(&row->version, memory_order_relaxed) == version;
}

static void write_range(Row *row, const Range *range)
{
    atomic_fetch_add(&row->version, 1);
    atomic_store(&row->start, range->start);
    atomic_store(&row->size, range->size);
    atomic_store(&row->page, range->page);
    atomic_fetch_add(&row->version, 1);
}

static Row *find_row(uintptr_t address, Range *ret_range)
{
    for (size_t i = 0; i < MAX_ROWS; i++) {
        if (read_range(&faults.rows[i], ret_range) &&
            address - ret_range->start < ret_range->size)
            return &faults.rows[i];
    }
    return NULL;
}

static void tell(Row *row, atomic_ullong *counter, uintptr_t offset, bool is_hardware)
{
    int fd = atomic_load(&faults.wake_fd);
    uint64_t one = 1;
    ssize_t n = 0;

    atomic_store(&row->offset, offset);
    if (is_hardware)
        atomic_store(&row->is_hardware, true);
    atomic_fetch_add(counter, 1);
    if (fd > 0)
        n = write(fd, &one, sizeof(one));
    (void)n;
}

/*
 * Zeros in the place of what was lost with the page at @address.  The bare call: a
 * sanitizer takes the library's for a write to the memory.
 */
static bool stand_in(const Range *range, uintptr_t address, uintptr_t size)
{
    uintptr_t offset = ALIGN_DOWN(address - range->start, size);

    return syscall(SYS_mmap, range->start + offset, MIN(size, range->size - offset),
                   PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != -1;
}

/* What the hardware has lost at once. */
static uintptr_t lost_size(const siginfo_t *info, const Range *range)
{
    bool is_hardware = info->si_code == BUS_MCEERR_AR;
    unsigned bits = is_hardware ? (unsigned)info->si_addr_lsb : 0;

    return bits < 40 ? MAX(range->page, (uintptr_t)1 << bits) : range->page;
}

/* True when the thread can go on. */
static bool serve(const siginfo_t *info)
{
    uintptr_t address = (uintptr_t)info->si_addr;
    Range range;
    Row *row;

    if (info->si_code <= 0)
        return false;
    row = find_row(address, &range);
    if (!row)
        return false;
    /* Nobody has used the page: the signal that comes then is another. */
    if (info->si_code == BUS_MCEERR_AO) {
        tell(row, &row->n_spoilt, address - range.start, true);
        return true;
    }
    if (!stand_in(&range, address, lost_size(info, &range)))
        return false;
    tell(row, &row->n_lost, address - range.start, info->si_code == BUS_MCEERR_AR);
    return true;
}

static void let_end(int number, siginfo_t *info, ucontext_t *context)
{
    const struct sigaction *before = &faults.before;

    /* Sent by somebody, so it does not come again by itself. */
    if (info->si_code <= 0 || info->si_code == BUS_MCEERR_AO)
        signal(number, SIG_DFL);
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
        before->sa_handler(number);
    else if (info->si_code <= 0 || info->si_code == BUS_MCEERR_AO)
        raise(number);
    if (info->si_code > 0 && info->si_code != BUS_MCEERR_AO)
        sigaddset(&context->uc_sigmask, number);
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (!serve(info))
        let_end(number, info, context);
    errno = saved;
}

bool ram_fault_catch(GError **error)
{
    struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

    assert_main();
    if (faults.catches)
        return true;
    if (sigaction(SIGBUS, NULL, &faults.before) < 0 ||
        sigaction(SIGBUS, &action, NULL) < 0) {
        error_set_errno(error, errno, "cannot catch SIGBUS");
        return false;
    }
    faults.catches = true;
    return true;
}

static void on_wake(void *opaque, uint32_t events)
{
    RamFaultWatch *watch = opaque;

    watch->fn(watch->opaque);
}

/* The eventfd is never read: each watch hears of each write by an edge. */
static int wake_fd(GError **error)
{
    int fd = atomic_load(&faults.wake_fd);

    if (fd > 0)
        return fd;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        error_set_errno(error, errno, "cannot make an eventfd");
    else
        atomic_store(&faults.wake_fd, fd);
    return fd;
}

bool ram_fault_watch_init(RamFaultWatch *watch, Loop *loop, LoopFn *fn, void *opaque,
                          GError **error)
{
    int common = wake_fd(error);
    int fd;

    assert_main();
    if (common < 0)
        return false;
    /* An epoll takes a descriptor once, so each watch has its own. */
    fd = fcntl(common, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot duplicate an eventfd");
        return false;
    }
    watch->fn = fn;
    watch->opaque = opaque;
    loop_fd_init(&watch->source, fd, on_wake, watch);
    if (loop_fd_add(loop, &watch->source, EPOLLIN | EPOLLET, error))
        return true;
    close(fd);
    *watch = (RamFaultWatch) { .fn = NULL };
    return false;
}

void ram_fault_watch_done(RamFaultWatch *watch)
{
    if (!watch->fn)
        return;
    loop_fd_remove(&watch->source);
    close(watch->source.fd);
    *watch = (RamFaultWatch) { .fn = NULL };
}

static Row *row_of(const RamBlock *block)
{
    return block->fault_row > 0 ? &faults.rows[block->fault_row - 1] : NULL;
}

bool ram_fault_take(const RamBlock *block, RamFault *ret_fault)
{
    Row *row = row_of(block);

    if (!row)
        return false;
    *ret_fault = (RamFault) {
        .n_lost = atomic_exchange(&row->n_lost, 0),
        .n_spoilt = atomic_exchange(&row->n_spoilt, 0),
        .offset = atomic_load(&row->offset),
        .is_hardware = atomic_exchange(&row->is_hardware, false),
    };
    return ret_fault->n_lost + ret_fault->n_spoilt > 0;
}

void ram_fault_add(RamBlock *block)
{
    const Range range = { (uintptr_t)block->host, block->size, block->page_size };

    for (int i = 0; i < MAX_ROWS; i++) {
        if (atomic_exchange(&faults.rows[i].taken, true))
            continue;
        write_range(&faults.rows[i], &range);
        block->fault_row = i + 1;
        return;
    }
}

void ram_fault_remove(RamBlock *block)
{
    Row *row = row_of(block);
    RamFault fault;

    if (!row)
        return;
    write_range(row, &(Range) { 0 });
    ram_fault_take(block, &fault);
    block->fault_row = 0;
    atomic_store(&row->taken, false);
}
