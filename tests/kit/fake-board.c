/* SPDX-License-Identifier: Apache-2.0 */
#include <glib-unix.h>
#include <sys/socket.h>

#include "berth/qapi.h"
#include "berth/qsbr.h"
#include "berth/timer.h"

#include "char-bench.h"
#include "fake-board.h"

static void on_request_reset(void *opaque, BoardResetReason reason)
{
    FakeBoard *fake = opaque;

    fake->n_resets++;
}

static void on_request_shutdown(void *opaque)
{
    FakeBoard *fake = opaque;

    fake->n_shutdowns++;
}

static void on_request_exit(void *opaque, int status)
{
    FakeBoard *fake = opaque;

    fake->n_exits++;
    fake->exit_status = status;
}

static void on_request_suspend(void *opaque)
{
    FakeBoard *fake = opaque;

    fake->n_suspends++;
}

static void on_request_suspend_disk(void *opaque)
{
    FakeBoard *fake = opaque;

    fake->n_disk_suspends++;
}

static void on_request_wakeup(void *opaque, BoardWakeReason reason)
{
    FakeBoard *fake = opaque;

    fake->n_wakeups++;
    fake->wake_reason = reason;
}

static void on_panicked(void *opaque, const GuestPanicInformation *info)
{
    FakeBoard *fake = opaque;

    fake->n_panics++;
}

static void on_crashloaded(void *opaque, const GuestPanicInformation *info)
{
    FakeBoard *fake = opaque;

    fake->n_crashloads++;
}

static void on_shuts_down(void *opaque)
{
    FakeBoard *fake = opaque;

    fake->n_pvshutdowns++;
}

static void on_watchdog_expired(void *opaque)
{
    FakeBoard *fake = opaque;

    fake->n_watchdogs++;
}

static void on_inject_nmi(void *opaque)
{
    FakeBoard *fake = opaque;

    fake->n_nmis++;
}

static void on_clock_set(void *opaque, const char *path, int64_t ahead)
{
    FakeBoard *fake = opaque;

    g_assert_cmpstr(path, ==, "/machine/rtc");
    fake->n_clock_sets++;
    fake->clock_ahead = ahead;
}

static const BoardOps fake_board_ops = {
    .clock_set = on_clock_set,
    .request_reset = on_request_reset,
    .request_shutdown = on_request_shutdown,
    .request_exit = on_request_exit,
    .request_suspend = on_request_suspend,
    .request_suspend_disk = on_request_suspend_disk,
    .request_wakeup = on_request_wakeup,
    .guest_panicked = on_panicked,
    .guest_crashloaded = on_crashloaded,
    .guest_shuts_down = on_shuts_down,
    .watchdog_expired = on_watchdog_expired,
    .inject_nmi = on_inject_nmi,
};

FakeBoard *fake_board_new(void)
{
    return fake_board_new_on(vm_fake_new());
}

FakeBoard *fake_board_new_on(Vm *vm)
{
    FakeBoard *fake = g_new0(FakeBoard, 1);
    RamOptions ram_options = { 0 };
    Board *board = &fake->board;

    qsbr_register();            /* the test's thread is the vCPU */
    fake->vm = vm;
    fake->loop = loop_new("main", THREAD_MAIN, NULL);
    fake->ram = ram_block_new("ram", FAKE_BOARD_RAM, &ram_options, NULL);
    region_init_container(&fake->memory_root, "memory", UINT64_MAX);
    region_init_container(&fake->io_root, "io", 0x10000);
    region_init_ram(&fake->ram_region, "ram", fake->ram, 0, FAKE_BOARD_RAM);
    board->vm = fake->vm;
    board->loop = fake->loop;
    board->memory_root = &fake->memory_root;
    board->io_root = &fake->io_root;
    board->memory = address_space_new("memory", &fake->memory_root, fake->vm, false);
    board->io = address_space_new("io", &fake->io_root, fake->vm, true);
    board->ops = &fake_board_ops;
    board->opaque = fake;
    for (unsigned i = 0; i < G_N_ELEMENTS(board->isa_irqs); i++)
        board->isa_irqs[i] = vm_gsi_line(fake->vm, i);
    for (unsigned i = 0; i < G_N_ELEMENTS(board->pci_irqs); i++)
        board->pci_irqs[i] = vm_gsi_line(fake->vm, 16 + i);
    board->ecam_base = 0xb0000000;
    board->chars = char_set_new(fake->loop);
    region_add(&fake->memory_root, 0, &fake->ram_region, 0);
    device_tree_init(&fake->tree, board);
    return fake;
}

void fake_board_free(FakeBoard *fake)
{
    if (!fake)
        return;
    device_tree_pause(&fake->tree);
    device_tree_done(&fake->tree);
    char_set_free(fake->board.chars);
    fake_board_turn(fake);
    region_done(&fake->ram_region);
    address_space_free(fake->board.memory);
    address_space_free(fake->board.io);
    region_done(&fake->memory_root);
    region_done(&fake->io_root);
    ram_block_unref(fake->ram);
    loop_free(fake->loop);
    vm_free(fake->vm);
    g_free(fake);
    qsbr_quiescent();
}

Device *fake_board_add(FakeBoard *fake, const char *text, GError **error)
{
    DeviceAddArgs *args = qapi_parse_keyval(QAPI_TYPE_DEVICE_ADD_ARGS, text, "driver",
                                            error);
    Device *dev = args ? device_add(&fake->tree, args, error) : NULL;

    qapi_free_DeviceAddArgs(args);
    return dev;
}

int fake_board_add_chardev(FakeBoard *fake, const char *id)
{
    g_autofree char *text = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_true(g_unix_set_fd_nonblocking(fds[0], true, NULL));
    text = g_strdup_printf("socket,fd=%d", fds[1]);
    g_assert_nonnull(char_bench_add_to(fake->board.chars, id, text, NULL));
    return fds[0];
}

uint32_t fake_board_in(FakeBoard *fake, uint16_t port, unsigned size)
{
    uint32_t value = vm_fake_read(fake->vm, fake->board.io, port, size);

    qsbr_quiescent();
    return value;
}

void fake_board_out(FakeBoard *fake, uint16_t port, unsigned size, uint32_t value)
{
    vm_fake_write(fake->vm, fake->board.io, port, size, value);
    qsbr_quiescent();
}

uint64_t fake_board_read(FakeBoard *fake, uint64_t gpa, unsigned size)
{
    uint64_t value = vm_fake_read(fake->vm, fake->board.memory, gpa, size);

    qsbr_quiescent();
    return value;
}

void fake_board_write(FakeBoard *fake, uint64_t gpa, unsigned size, uint64_t value)
{
    vm_fake_write(fake->vm, fake->board.memory, gpa, size, value);
    qsbr_quiescent();
}

void fake_board_turn(FakeBoard *fake)
{
    for (unsigned i = 0; i < 4; i++)
        loop_turn(fake->loop, false);
}

static void on_wait_ended(void *opaque)
{
    bool *ended = opaque;

    *ended = true;
}

void fake_board_wait(FakeBoard *fake, const unsigned *flag, unsigned ms)
{
    bool ended = false;
    Timer timer;

    timer_init(&timer, fake->loop, on_wait_ended, &ended);
    timer_set(&timer, loop_clock_ns() + ms * NS_PER_MS);
    while (*flag == 0 && !ended)
        loop_turn(fake->loop, true);
    timer_cancel(&timer);
    g_assert_cmpuint(*flag, !=, 0);
}

void fake_board_check_copy(FakeBoard *from, FakeBoard *to)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GByteArray) again = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    device_tree_pause(&from->tree);
    device_tree_pause(&to->tree);
    device_tree_save(&from->tree, saved);
    device_tree_load(&to->tree, saved->data, saved->len, &error);
    g_assert_no_error(error);
    device_tree_save(&to->tree, again);

    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    device_tree_resume(&from->tree);
    device_tree_resume(&to->tree);
}

void fake_board_poke_ports(FakeBoard *fake, uint16_t first, unsigned n, unsigned rounds)
{
    static const unsigned widths[] = { 1, 2, 4 };

    for (unsigned i = 0; i < rounds; i++) {
        unsigned width = widths[g_test_rand_int_range(0, G_N_ELEMENTS(widths))];
        unsigned port = g_test_rand_int_range(MAX((int)first - 3, 0), first + n);

        if (port + width > 0x10000)
            continue;
        if (g_test_rand_bit())
            fake_board_out(fake, port, width, g_test_rand_int());
        else
            fake_board_in(fake, port, width);
        if (i % 64 == 0)
            fake_board_turn(fake);
    }
}
