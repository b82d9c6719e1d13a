/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board of device tests.  Its queue loop has the role of an iothread and no thread,
 * so what would wait for it is a plain call.
 */
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/memory-device.h"
#include "berth/msix.h"
#include "berth/net-set.h"
#include "berth/pci-assign.h"
#include "berth/qsbr.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/vm-fake.h"

#include "char-bench.h"
#include "kit-board.h"
#include "kit-process.h"

static void on_irq(void *opaque, unsigned n, bool level)
{
    KitBoard *kit = opaque;

    g_assert_true(kit->irq_levels[n] != level);
    kit->irq_levels[n] = level;
}

static void on_reset(void *opaque, BoardResetReason reason)
{
    KitBoard *kit = opaque;

    kit->n_resets++;
}

static void on_serial_port(void *opaque, const char *id, bool open)
{
    KitBoard *kit = opaque;

    g_string_append_printf(kit->port_changes, "%s%s%c", kit->port_changes->len ? " " : "",
                           id, open ? '+' : '-');
}

static void on_tray_moved(void *opaque, const char *drive_name, const char *id, bool open)
{
    KitBoard *kit = opaque;

    g_string_append_printf(kit->tray_moves, "%s%s%c", kit->tray_moves->len ? " " : "", id,
                           open ? '+' : '-');
}

static void note_removal(KitBoard *kit, const char *id, char what)
{
    g_string_append_printf(kit->removals, "%s%s%c", kit->removals->len ? " " : "",
                           id ? id : "(none)", what);
}

static void on_device_deleted(void *opaque, const char *id, const char *path)
{
    note_removal(opaque, id, '-');
}

static void on_device_kept(void *opaque, const char *id, const char *path,
                           const char *reason)
{
    note_removal(opaque, id, '!');
}

static void on_device_silent(void *opaque, const char *id, const char *path,
                             uint32_t seconds)
{
    note_removal(opaque, id, '?');
}

static void on_rx_filter_changed(void *opaque, const char *id, const char *path)
{
    KitBoard *kit = opaque;

    kit->n_rx_filter_changes++;
}

static void on_balloon_changed(void *opaque, uint64_t actual)
{
    KitBoard *kit = opaque;

    kit->n_balloon_changes++;
    kit->balloon_actual = actual;
}

static void on_memory_size_changed(void *opaque, const char *id, const char *path,
                                   uint64_t size)
{
    KitBoard *kit = opaque;

    kit->n_memory_changes++;
    kit->memory_size = size;
}

static void on_memory_size_unmet(void *opaque, const XMemoryDeviceSizeUnmetEvent *event)
{
    KitBoard *kit = opaque;

    kit->n_memory_unmet++;
    kit->memory_unmet = *event;
}

static void on_balloon_moved(void *opaque, const XAutoballoonDecisionEvent *event)
{
    KitBoard *kit = opaque;

    kit->n_balloon_moves++;
    kit->balloon_reason = event->reason;
    kit->balloon_target = event->target;
}

static void on_watchdog_expired(void *opaque)
{
    KitBoard *kit = opaque;

    kit->n_watchdogs++;
}

static void on_panicked(void *opaque, const GuestPanicInformation *info)
{
    KitBoard *kit = opaque;

    kit->n_panics++;
}

static void on_crashloaded(void *opaque, const GuestPanicInformation *info)
{
    KitBoard *kit = opaque;

    kit->n_crashloads++;
}

static void on_shuts_down(void *opaque)
{
    KitBoard *kit = opaque;

    kit->n_pvshutdowns++;
}

static void on_io_error(void *opaque, const BoardIoError *error)
{
    KitBoard *kit = opaque;

    kit->n_io_errors++;
    kit->io_error = error->action;
    kit->io_errnum = error->errnum;
}

static const BoardOps kit_ops = {
    .request_reset = on_reset,
    .watchdog_expired = on_watchdog_expired,
    .guest_panicked = on_panicked,
    .guest_crashloaded = on_crashloaded,
    .guest_shuts_down = on_shuts_down,
    .serial_port_changed = on_serial_port,
    .block_io_error = on_io_error,
    .tray_moved = on_tray_moved,
    .device_deleted = on_device_deleted,
    .device_kept = on_device_kept,
    .device_silent = on_device_silent,
    .rx_filter_changed = on_rx_filter_changed,
    .balloon_changed = on_balloon_changed,
    .memory_size_changed = on_memory_size_changed,
    .memory_size_unmet = on_memory_size_unmet,
    .balloon_moved = on_balloon_moved,
};

static void init_memory(KitBoard *kit)
{
    const RamOptions options = { 0 };

    region_init_container(&kit->memory_root, "memory", UINT64_MAX);
    region_init_container(&kit->io_root, "io", 0x10000);
    kit->memory = address_space_new("memory", &kit->memory_root, kit->vm, false);
    kit->io = address_space_new("io", &kit->io_root, kit->vm, true);
    kit->ram = ram_block_new("ram", KIT_RAM_SIZE, &options, NULL);
    kit->high_ram = ram_block_new("high-ram", KIT_HIGH_RAM_SIZE, &options, NULL);
    region_init_ram(&kit->ram_region, "ram", kit->ram, 0, KIT_RAM_SIZE);
    region_init_ram(&kit->high_ram_region, "high-ram", kit->high_ram, 0,
                    KIT_HIGH_RAM_SIZE);
    region_add(&kit->memory_root, 0, &kit->ram_region, 0);
    region_add(&kit->memory_root, KIT_HIGH_RAM_BASE, &kit->high_ram_region, 0);
}

static void init_board(KitBoard *kit)
{
    kit->board = (Board) {
        .vm = kit->vm,
        .loop = kit->loop,
        .memory = kit->memory,
        .io = kit->io,
        .memory_root = &kit->memory_root,
        .io_root = &kit->io_root,
        .ecam_base = KIT_ECAM_BASE,
        .chars = kit->chars,
        .objects = kit->objects,
        .blocks = kit->blocks,
        .nets = kit->nets,
        .n_cpus = 2,
        .ram_size = KIT_RAM_SIZE + KIT_HIGH_RAM_SIZE,
        .ops = &kit_ops,
        .opaque = kit,
    };
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++) {
        irq_line_init(&kit->irqs[i], on_irq, kit, i);
        kit->board.pci_irqs[i] = &kit->irqs[i];
    }
}

KitBoard *kit_board_new_threaded(void)
{
    KitBoard *kit = g_new0(KitBoard, 1);
    GError *error = NULL;

    /* An access may replace the view that it goes through: be a reader of it. */
    thread_set_role(THREAD_MAIN);
    kit->vm = vm_fake_new();
    kit->loop = loop_new("main", THREAD_MAIN, &error);
    kit->objects = object_set_new();
    kit->blocks = block_graph_new(kit->loop);
    object_set_lend_blocks(kit->objects, kit->blocks);
    kit->nets = net_set_new(kit->loop);
    object_set_lend_nets(kit->objects, kit->nets);
    object_set_lend_tree(kit->objects, &kit->tree);
    kit->chars = char_set_new(kit->loop);
    kit->port_changes = g_string_new(NULL);
    kit->removals = g_string_new(NULL);
    kit->tray_moves = g_string_new(NULL);
    init_memory(kit);
    init_board(kit);
    device_tree_init(&kit->tree, &kit->board);
    device_add_onboard(&kit->tree, &pci_host_class, "q35", NULL, &error);
    g_assert_no_error(error);
    device_add_onboard(&kit->tree, &mch_class, "q35/mch", NULL, &error);
    g_assert_no_error(error);
    kit->root = pci_bus(device_tree_find_bus(&kit->tree, "pcie.0"));
    return kit;
}

KitBoard *kit_board_new(void)
{
    KitBoard *kit = kit_board_new_threaded();

    kit->queue_loop = loop_new("queues", THREAD_IOTHREAD, NULL);
    kit->tree.queue_loop = kit->queue_loop;
    return kit;
}

void kit_board_free(KitBoard *kit)
{
    if (!kit)
        return;
    device_tree_done(&kit->tree);
    memory_device_window_free(kit->board.memory_window);
    block_graph_free(kit->blocks);
    net_set_free(kit->nets);
    object_set_free(kit->objects);
    char_set_free(kit->chars);
    g_string_free(kit->port_changes, TRUE);
    g_string_free(kit->removals, TRUE);
    g_string_free(kit->tray_moves, TRUE);
    region_done(&kit->high_ram_region);
    region_done(&kit->ram_region);
    address_space_free(kit->io);
    address_space_free(kit->memory);
    region_done(&kit->io_root);
    region_done(&kit->memory_root);
    ram_block_unref(kit->high_ram);
    ram_block_unref(kit->ram);
    loop_free(kit->queue_loop);
    loop_free(kit->loop);
    vm_free(kit->vm);
    g_free(kit);
    qsbr_quiescent();
}

Device *kit_try_add(KitBoard *kit, const char *json, GError **error)
{
    g_autoptr(DeviceAddArgs) args = NULL;

    args = qapi_parse_json(QAPI_TYPE_DEVICE_ADD_ARGS, json, error);
    return args ? device_add(&kit->tree, args, error) : NULL;
}

Device *kit_add(KitBoard *kit, const char *json)
{
    g_autoptr(GError) error = NULL;
    Device *dev = kit_try_add(kit, json, &error);

    g_assert_no_error(error);
    g_assert_nonnull(dev);
    return dev;
}

BlockNode *kit_add_node(KitBoard *kit, const char *json)
{
    g_autoptr(BlockdevOptions) options = NULL;
    GError *error = NULL;
    BlockNode *node;

    options = qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, json, &error);
    g_assert_no_error(error);
    node = block_graph_add(kit->blocks, options, &error);
    g_assert_no_error(error);
    return node;
}

void kit_add_netdev(KitBoard *kit, const char *json)
{
    g_autoptr(Netdev) options = NULL;
    GError *error = NULL;

    options = qapi_parse_json(QAPI_TYPE_NETDEV, json, &error);
    g_assert_no_error(error);
    net_set_add(kit->nets, options, &error);
    g_assert_no_error(error);
}

Object *kit_add_object(KitBoard *kit, const char *json)
{
    g_autoptr(ObjectOptions) options = NULL;
    g_autoptr(GError) error = NULL;

    options = qapi_parse_json(QAPI_TYPE_OBJECT_OPTIONS, json, &error);
    g_assert_no_error(error);
    object_add(kit->objects, options, &error);
    g_assert_no_error(error);
    return object_find(kit->objects, options->id);
}

int kit_add_chardev(KitBoard *kit, const char *id)
{
    g_autofree char *text = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_true(g_unix_set_fd_nonblocking(fds[0], true, NULL));
    text = g_strdup_printf("socket,fd=%d", fds[1]);
    g_assert_nonnull(char_bench_add_to(kit->chars, id, text, NULL));
    return fds[0];
}

static void on_changed(void *opaque, Chardev *chr, GError *error)
{
    g_assert_no_error(error);
    *(bool *)opaque = true;
}

int kit_change_chardev(KitBoard *kit, const char *id)
{
    g_autoptr(ChardevBackend) backend = NULL;
    g_autofree char *json = NULL;
    bool changed = false;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
                               fds), ==, 0);
    json = g_strdup_printf("{'type':'socket','data':{'addr':{'type':'fd','data':"
                           "{'str':'%d'}},'server':false}}", fds[1]);
    backend = qapi_parse_json(QAPI_TYPE_CHARDEV_BACKEND, json, NULL);
    char_change_later(kit->chars, id, backend, on_changed, &changed);
    g_assert_true(changed);
    return fds[0];
}

void kit_assert_refused(KitBoard *kit, const char *json, const char *words)
{
    g_autofree char *before = kit_dump(kit);
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_null(kit_try_add(kit, json, &error));

    g_assert_nonnull(error);
    if (!strstr(error->message, words))
        g_error("'%s' is not in: %s", words, error->message);
    after = kit_dump(kit);
    g_assert_cmpstr(before, ==, after);
}

void kit_add_memory_window(KitBoard *kit, uint64_t gpa, uint64_t size, uint64_t limit)
{
    const MemoryWindowOptions options = {
        .root = &kit->memory_root, .memory = kit->memory, .gpa = gpa, .size = size,
        .limit = limit, .n_nodes = 2,
    };

    kit->board.memory_window = memory_device_window_new(&options);
}

void kit_start(KitBoard *kit)
{
    static const PciWindows windows = {
        .io_base = 0x1000, .io_size = 0xf000,
        .mem32_base = 0xc0000000, .mem32_size = 0x3ec00000,
        .mem64_base = 0x800000000, .mem64_size = 0x800000000,
        .irq_base = 16,
    };
    g_autoptr(GError) error = NULL;

    device_tree_reset(&kit->tree);
    pci_assign_resources(kit->root, &windows, &error);
    g_assert_no_error(error);
    device_tree_resume(&kit->tree);
}

static void on_limit(void *opaque)
{
    g_assert_not_reached();
}

void kit_wait_for(KitBoard *kit, const unsigned *counter, unsigned wanted)
{
    Timer limit;

    timer_init(&limit, kit->loop, on_limit, NULL);
    timer_set(&limit, loop_clock_ns() + 60 * NS_PER_SEC);
    while (*counter < wanted)
        loop_turn(kit->loop, true);
    timer_cancel(&limit);
    g_assert_cmpuint(*counter, ==, wanted);
}

void kit_run(KitBoard *kit)
{
    for (int i = 0; i < 4 && kit->queue_loop; i++)
        loop_turn(kit->queue_loop, false);
}

static void on_timer(void *opaque)
{
}

void kit_let_sleep(KitBoard *kit)
{
    Timer timer;

    timer_init(&timer, kit->queue_loop, on_timer, NULL);
    timer_set(&timer, loop_clock_ns() + NS_PER_MS);
    while (timer_is_set(&timer))
        loop_turn(kit->queue_loop, true);
}

void kit_run_both(KitBoard *kit)
{
    for (int i = 0; i < 4; i++) {
        loop_turn(kit->loop, false);
        kit_run(kit);
    }
    loop_turn(kit->loop, false);
}

uint64_t kit_read(KitBoard *kit, uint64_t gpa, unsigned size)
{
    return vm_fake_read(kit->vm, kit->memory, gpa, size);
}

void kit_write(KitBoard *kit, uint64_t gpa, unsigned size, uint64_t value)
{
    vm_fake_write(kit->vm, kit->memory, gpa, size, value);
}

uint64_t kit_in(KitBoard *kit, uint16_t port, unsigned size)
{
    return vm_fake_read(kit->vm, kit->io, port, size);
}

void kit_out(KitBoard *kit, uint16_t port, unsigned size, uint64_t value)
{
    vm_fake_write(kit->vm, kit->io, port, size, value);
}

void *kit_ram(KitBoard *kit, uint64_t gpa, uint64_t size)
{
    void *host = address_space_map(kit->memory, gpa, size, true);

    g_assert_nonnull(host);
    return host;
}

void kit_limit_fds(int n)
{
    static struct rlimit before;
    struct rlimit limit;

    if (before.rlim_max)
        setrlimit(RLIMIT_NOFILE, &before);
    if (n < 0)
        return;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    /* The limit is on numbers: count the free ones from below. */
    for (limit.rlim_cur = 0; n >= 0; limit.rlim_cur++)
        n -= fcntl(limit.rlim_cur, F_GETFD) < 0;
    limit.rlim_cur--;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void dump_places(GString *text, const PciBus *bus)
{
    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        if (bus->reserved[devfn])
            g_string_append_printf(text, "  %02x: %s %s\n", devfn,
                                   device_name(&bus->reserved[devfn]->dev),
                                   bus->functions[devfn] ? "" : "(hidden)");
    }
}

char *kit_dump(KitBoard *kit)
{
    GString *text = g_string_new(NULL);
    g_autofree char *memory = address_space_describe(kit->memory);
    g_autofree char *io = address_space_describe(kit->io);

    LIST_FOREACH(node, &kit->tree.devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        g_string_append_printf(text, "device %s %s on %s\n", dev->path, dev->class->name,
                               dev->bus ? dev->bus->name : "-");
    }
    LIST_FOREACH(node, &kit->tree.buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        g_string_append_printf(text, "bus %s\n", bus->name);
        if (bus->kind == BUS_PCI)
            dump_places(text, pci_bus(bus));
    }
    LIST_FOREACH(node, object_set_list(kit->objects)) {
        Object *object = CONTAINER_OF(node, Object, node);

        g_string_append_printf(text, "object %s: %u users\n", object->id,
                               object->n_users);
    }
    g_string_append_printf(text, "ids %u, anonymous %u, doorbells %u, descriptors %u\n",
                           g_hash_table_size(kit->tree.by_id), kit->tree.n_anon,
                           vm_fake_doorbell_count(kit->vm), kit_count_fds());
    g_string_append_printf(text, "memory:\n%sports:\n%s", memory, io);
    return g_string_free(text, FALSE);
}

GByteArray *kit_save(KitBoard *kit)
{
    GByteArray *out = g_byte_array_new();

    device_tree_save(&kit->tree, out);
    return out;
}

void kit_save_and_load(KitBoard *kit)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;

    device_tree_pause(&kit->tree);
    kit_run_both(kit);
    saved = kit_save(kit);
    if (!device_tree_load(&kit->tree, saved->data, saved->len, &error))
        g_error("%s", error->message);
    again = kit_save(kit);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    device_tree_resume(&kit->tree);
}
