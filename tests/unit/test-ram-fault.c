/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that the host takes away under each kind of thread, and addresses that are
 * none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/ram-fault.h"

#include "sanitized.h"

#define PAGE 4096
#define N_PAGES 1024

typedef struct Fixture {
    char *path;
    int fd;
    RamBlock *block;
    Loop *loop;
    RamFaultWatch watch;
    unsigned n_told;
} Fixture;

static void on_told(void *opaque)
{
    ((Fixture *)opaque)->n_told++;
}

static void setup(Fixture *f, gconstpointer shared)
{
    RamOptions options = { .share = shared != NULL };

    f->fd = g_file_open_tmp("ram-fault-XXXXXX", &f->path, NULL);
    g_assert_cmpint(ftruncate(f->fd, N_PAGES * PAGE), ==, 0);
    options.path = f->path;
    f->block = ram_block_new("ram", N_PAGES * PAGE, &options, NULL);
    g_assert_nonnull(f->block);
    memset(f->block->host, 0x5a, f->block->size);
    f->loop = loop_new("main", THREAD_MAIN, NULL);
    g_assert_true(ram_fault_catch(NULL));
    g_assert_true(ram_fault_watch_init(&f->watch, f->loop, on_told, f, NULL));
}

static void teardown(Fixture *f, gconstpointer shared)
{
    ram_fault_watch_done(&f->watch);
    loop_free(f->loop);
    ram_block_unref(f->block);
    close(f->fd);
    unlink(f->path);
    g_free(f->path);
}

static void shrink(Fixture *f, unsigned n_pages)
{
    g_assert_cmpint(ftruncate(f->fd, (off_t)n_pages * PAGE), ==, 0);
}

static uint64_t sum(const volatile uint8_t *bytes, size_t size)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

static void test_reads_go_on_with_zeros(Fixture *f, gconstpointer shared)
{
    RamFault fault;

    shrink(f, 2);
    errno = 17;
    g_assert_cmpuint(sum(f->block->host, 5 * PAGE), ==, 2 * PAGE * 0x5a);
    g_assert_cmpint(errno, ==, 17);

    g_assert_true(ram_fault_take(f->block, &fault));
    g_assert_cmpuint(fault.n_lost, ==, 3);
    g_assert_cmphex(fault.offset, ==, 4 * PAGE);
    g_assert_cmpuint(fault.n_spoilt, ==, 0);
    g_assert_false(fault.is_hardware);
    g_assert_false(ram_fault_take(f->block, &fault));
    loop_turn(f->loop, false);
    g_assert_cmpuint(f->n_told, ==, 1);
    loop_turn(f->loop, false);
    g_assert_cmpuint(f->n_told, ==, 1);
}

static void test_writes_are_kept(Fixture *f, gconstpointer shared)
{
    RamFault fault;

    shrink(f, 0);
    memset(f->block->host + 3 * PAGE, 1, 2 * PAGE);

    g_assert_cmpuint(sum(f->block->host + 3 * PAGE, 2 * PAGE), ==, 2 * PAGE);
    g_assert_true(ram_fault_take(f->block, &fault));
    g_assert_cmpuint(fault.n_lost, ==, 2);
}

/* The last page of the file keeps what of it is there. */
static void test_a_part_of_a_page_stays(Fixture *f, gconstpointer shared)
{
    RamFault fault;

    g_assert_cmpint(ftruncate(f->fd, PAGE + 10), ==, 0);
    g_assert_cmpuint(sum(f->block->host + PAGE, PAGE), ==, 10 * 0x5a);
    g_assert_false(ram_fault_take(f->block, &fault));
}

static void *touch(void *opaque)
{
    Fixture *f = opaque;

    return (void *)(uintptr_t)sum(f->block->host, f->block->size);
}

static void test_every_role_of_thread(Fixture *f, gconstpointer shared)
{
    static const ThreadRole roles[] = { THREAD_WORKER, THREAD_IOTHREAD, THREAD_VCPU };
    RamFault fault;

    shrink(f, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(roles); i++) {
        pthread_t thread;
        void *result;

        g_assert_true(thread_start(&thread, roles[i], "toucher", touch, f, NULL));
        pthread_join(thread, &result);
        g_assert_cmpuint((uintptr_t)result, ==, PAGE * 0x5a);
        /* Who comes later finds the page that stands in. */
        g_assert_true(ram_fault_take(f->block, &fault) == (i == 0));
    }
}

static void test_many_threads_at_once(Fixture *f, gconstpointer shared)
{
    pthread_t threads[4];
    RamFault fault;
    void *result;

    shrink(f, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_true(thread_start(&threads[i], THREAD_WORKER, "toucher", touch, f,
                                   NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        pthread_join(threads[i], &result);
        g_assert_cmpuint((uintptr_t)result, ==, PAGE * 0x5a);
    }
    g_assert_true(ram_fault_take(f->block, &fault));
    g_assert_cmpuint(fault.n_lost, >=, N_PAGES - 1);
}

static void test_two_watches_both_hear(Fixture *f, gconstpointer shared)
{
    Fixture other = { 0 };
    RamFault fault;

    g_assert_true(ram_fault_watch_init(&other.watch, f->loop, on_told, &other, NULL));
    for (unsigned round = 1; round <= 2; round++) {
        shrink(f, 10 - round);
        sum(f->block->host, 10 * PAGE);
        loop_turn(f->loop, false);
        g_assert_cmpuint(f->n_told, ==, round);
        g_assert_cmpuint(other.n_told, ==, round);
    }
    g_assert_true(ram_fault_take(f->block, &fault));
    g_assert_cmpuint(fault.n_lost, ==, 2);
    ram_fault_watch_done(&other.watch);
}

/* As the kernel raises it, which a test cannot have it do without spoiling memory. */
static void raise_as_hardware(void *address, int code, unsigned bits)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = SIGBUS;
    info.si_code = code;
    info.si_addr = address;
    info.si_addr_lsb = (short)bits;
    g_assert_cmpint(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info),
                    ==, 0);
}

static void test_a_defect_of_the_hardware(Fixture *f, gconstpointer shared)
{
    RamFault fault;

    raise_as_hardware(f->block->host + 17 * PAGE + 5, BUS_MCEERR_AR, 12);

    g_assert_true(ram_fault_take(f->block, &fault));
    g_assert_cmpuint(fault.n_lost, ==, 1);
    g_assert_true(fault.is_hardware);
    g_assert_cmpuint(sum(f->block->host + 17 * PAGE, PAGE), ==, 0);
    g_assert_cmpuint(sum(f->block->host + 16 * PAGE, PAGE), ==, PAGE * 0x5a);
    g_assert_cmpuint(sum(f->block->host + 18 * PAGE, PAGE), ==, PAGE * 0x5a);

    raise_as_hardware(f->block->host + 3 * MIB, BUS_MCEERR_AR, 21);
    g_assert_cmpuint(sum(f->block->host + 2 * MIB, 2 * MIB), ==, 0);
    g_assert_cmpuint(sum(f->block->host + 2 * MIB - PAGE, PAGE), ==, PAGE * 0x5a);
    /* One that is larger than the memory. */
    raise_as_hardware(f->block->host, BUS_MCEERR_AR, 30);
    g_assert_cmpuint(sum(f->block->host, f->block->size), ==, 0);
}

static void test_a_defect_told_beforehand(Fixture *f, gconstpointer shared)
{
    RamFault fault;

    raise_as_hardware(f->block->host + 17 * PAGE, BUS_MCEERR_AO, 12);

    g_assert_true(ram_fault_take(f->block, &fault));
    g_assert_cmpuint(fault.n_lost, ==, 0);
    g_assert_cmpuint(fault.n_spoilt, ==, 1);
    g_assert_cmpuint(sum(f->block->host + 17 * PAGE, PAGE), ==, PAGE * 0x5a);
}

/* How a child ends that does what the test says. */
static int status_of_child(void (*fn)(Fixture *f), Fixture *f)
{
    pid_t pid = fork();
    int status;

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        static const int ends[] = { SIGSEGV, SIGABRT };
        int null = open("/dev/null", O_WRONLY);

        for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++)
            signal(ends[i], SIG_DFL);
        dup2(null, STDERR_FILENO);
        fn(f);
        _exit(EXIT_SUCCESS);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return status;
}

static void touch_file_of_another_kind(Fixture *f)
{
    uint8_t *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);

    shrink(f, 0);
    sum(other, PAGE);
}

static void send_to_itself(Fixture *f)
{
    kill(getpid(), SIGBUS);
}

static void touch_without_room(Fixture *f)
{
    uint8_t *host = f->block->host;

    ram_fault_remove(f->block);
    shrink(f, 0);
    sum(host, PAGE);
}

static void touch_guest_memory(Fixture *f)
{
    shrink(f, 0);
    sum(f->block->host, PAGE);
}

static void test_other_addresses_end_the_process(Fixture *f, gconstpointer shared)
{
    int status = status_of_child(touch_guest_memory, f);

    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    shrink(f, N_PAGES);
    status = status_of_child(touch_file_of_another_kind, f);
    g_assert_false(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    status = status_of_child(send_to_itself, f);
    g_assert_false(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    /* Memory that is looked after no more. */
    status = status_of_child(touch_without_room, f);
    g_assert_false(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    if (!SANITIZED)
        g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

/* Whether a number of the host's pool of huge pages is 0. */
static bool is_zero(const char *name)
{
    g_autofree char *path =
        g_build_filename("/sys/kernel/mm/hugepages/hugepages-2048kB", name, NULL);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && g_str_equal(text, "0\n");
}

static void test_no_huge_pages_left(void)
{
    RamOptions options = {
        .memfd = true, .share = true, .hugetlb = true, .no_reserve = true,
    };
    g_autoptr(RamBlock) block = NULL;
    RamFault fault;

    if (is_zero("free_hugepages") && is_zero("nr_overcommit_hugepages"))
        block = ram_block_new("huge", 4 * MIB, &options, NULL);
    if (!block) {
        g_test_skip("the host has no empty pool of huge pages");
        return;
    }
    g_assert_true(ram_fault_catch(NULL));
    block->host[3 * MIB] = 7;

    g_assert_cmpint(block->host[3 * MIB], ==, 7);
    g_assert_cmpuint(sum(block->host + 2 * MIB, 2 * MIB), ==, 7);
    g_assert_true(ram_fault_take(block, &fault));
    g_assert_cmpuint(fault.n_lost, ==, 1);
}

/* What was there before a block is not told of the next in its row. */
static void test_a_row_is_used_again(Fixture *f, gconstpointer shared)
{
    RamFault fault;
    int row = f->block->fault_row;
    RamBlock *next;

    shrink(f, 0);
    sum(f->block->host, PAGE);
    ram_fault_remove(f->block);
    next = ram_block_new("next", PAGE, &(RamOptions) { 0 }, NULL);

    g_assert_cmpint(next->fault_row, ==, row);
    g_assert_false(ram_fault_take(next, &fault));
    g_assert_false(ram_fault_take(f->block, &fault));
    ram_block_unref(next);
}

static void add(const char *name, void (*fn)(Fixture *f, gconstpointer shared))
{
    g_autofree char *private_path = g_strdup_printf("/ram-fault/private/%s", name);
    g_autofree char *shared_path = g_strdup_printf("/ram-fault/shared/%s", name);

    g_test_add(private_path, Fixture, NULL, setup, fn, teardown);
    g_test_add(shared_path, Fixture, "shared", setup, fn, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("reads-go-on-with-zeros", test_reads_go_on_with_zeros);
    add("writes-are-kept", test_writes_are_kept);
    add("every-role-of-thread", test_every_role_of_thread);
    add("many-threads-at-once", test_many_threads_at_once);
    add("two-watches-both-hear", test_two_watches_both_hear);
    add("a-defect-of-the-hardware", test_a_defect_of_the_hardware);
    add("a-defect-told-beforehand", test_a_defect_told_beforehand);
    add("other-addresses-end-the-process", test_other_addresses_end_the_process);
    add("a-row-is-used-again", test_a_row_is_used_again);
    g_test_add("/ram-fault/shared/a-part-of-a-page-stays", Fixture, "shared", setup,
               test_a_part_of_a_page_stays, teardown);
    g_test_add_func("/ram-fault/no-huge-pages-left", test_no_huge_pages_left);
    return g_test_run();
}
