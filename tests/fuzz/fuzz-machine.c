/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any guest on the whole machine: a q35 with every device, on the fake hypervisor.  The
 * bytes are a list of accesses to ports, memory, configuration space, BARs and rings, of
 * every width, with turns of the main loop between them, of devices and vCPUs that a
 * client adds and removes, and of keys and movements that it sends.  Nothing a guest does
 * ends the process, and the state that it leaves the machine in can be saved and loaded.
 * An odd last byte has the interrupt controllers in user space, one with bit 1 firmware,
 * which starts the kernel.
 */
#include <string.h>
#include <sys/mman.h>

#include "berth/char-set.h"
#include "berth/hotplug.h"
#include "berth/i8042.h"
#include "berth/log.h"
#include "berth/machine.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "fuzz.h"

#define RAM_MIB "32"
#define RINGS 0x100000u                 /* where this guest has the rings of virtio */
#define RING_SIZE 8
#define AVAIL (RINGS + 0x1000)
#define USED (RINGS + 0x2000)
#define DMA (RINGS + 0x3000)
#define OPS_MAX 4096
#define ROM_SIZE (64 * KIB)
#define MCH_PCIEXBAR 0x80000060u

/* Offsets in the common configuration structure of virtio 1.3, section 4.1.4.3. */
#define COMMON_FEATURE_SELECT 8
#define COMMON_FEATURE 12
#define COMMON_STATUS 20
#define COMMON_QUEUE_SELECT 22
#define COMMON_QUEUE_SIZE 24
#define COMMON_QUEUE_ENABLE 28
#define COMMON_QUEUE_DESC 32
#define COMMON_QUEUE_AVAIL 40
#define COMMON_QUEUE_USED 48

typedef struct Guest {
    Machine *machine;
    AddressSpace *memory;       /* as it is seen in system management mode, or outside */
    const uint8_t *data;
    size_t size;
    uint16_t next_avail;
} Guest;

static char *const argv[] = {
    "berth", "-machine", "q35", "-nodefaults", "-no-shutdown", "-m",
    RAM_MIB ",slots=2,maxmem=1G", "-object", "memory-backend-ram,id=mem,size=64M",
    "-object", "memory-backend-ram,id=module,size=2M",
    "-smp", "1,maxcpus=3,sockets=3",
    "-machine", "hpet=on", "-global", "hpet.msi=on",
    "-append", "quiet",
    "-serial", "null", "-serial", "null",
    "-device", "isa-debugcon,chardev=null", "-device", "isa-debug-exit",
    "-device", "virtio-rng-pci,max-bytes=1M,period=1",
    "-device", "pcie-root-port,id=port,chassis=1",
    "-device", "virtio-rng-pci,bus=port",
    "-device", "pcie-root-port,id=empty,chassis=2",
    "-device", "pvpanic", "-device", "i6300esb,addr=0x10",
    "-device", "pcie-pci-bridge,id=bridge,addr=0x11",
    "-device", "pvpanic-pci,bus=bridge,addr=0x1",
    "-global", "ICH9-LPC.noreboot=off",
    "-device", "virtio-balloon-pci,addr=0x12,free-page-reporting=on,free-page-hint=on",
    "-device", "virtio-mem-pci,addr=0x13,memdev=mem,requested-size=32M",
    "-device", "pc-dimm,memdev=module",
    "-device", "qemu-xhci,addr=0x14,p2=2,p3=2",
};

/* The next @size bytes as a number; zero when there are no more. */
static uint64_t take(Guest *g, unsigned size)
{
    uint64_t value = 0;

    size = MIN(size, g->size);
    memcpy(&value, g->data, size);
    g->data += size;
    g->size -= size;
    return value;
}

static void write_memory(Guest *g, uint64_t gpa, unsigned size, uint64_t value)
{
    vm_fake_write(g->machine->vm, g->memory, gpa, size, value);
}

static uint64_t read_memory(Guest *g, uint64_t gpa, unsigned size)
{
    return vm_fake_read(g->machine->vm, g->memory, gpa, size);
}

/* The configuration space of a function: mostly one that may be there, or any. */
static uint64_t take_function(Guest *g)
{
    uint8_t where = (uint8_t)take(g, 1);
    uint64_t bus = where >> 6;
    uint64_t devfn = bus == 0 ? (where & 0x1f) << 3 : 0;

    if (bus == 3) {
        bus = where & 0x3f;
        devfn = take(g, 1);
    }
    return X86_ECAM_BASE + (bus << 20) + (devfn << 12);
}

/* An address in what the machine has, or about it. */
static uint64_t take_address(Guest *g)
{
    static const uint64_t bases[] = {
        0, X86_BASE_RAM_END - 0x1000, RINGS, X86_LOW_RAM_MAX - 0x1000, X86_ECAM_BASE,
        X86_PCI32_BASE, X86_IOAPIC_BASE, X86_RCBA_BASE, X86_LAPIC_BASE,
        X86_KVM_IDENTITY_MAP, X86_HIGH_RAM_BASE - 0x1000, X86_HIGH_RAM_BASE,
        X86_PCI64_ALIGN * 4, UINT64_MAX - 0xffffff, X86_HPET_BASE,
    };

    return bases[take(g, 1) % G_N_ELEMENTS(bases)] + take(g, 3);
}

static uint64_t take_bar(Guest *g)
{
    uint64_t config = take_function(g);
    unsigned bar = 0x10 + take(g, 1) % 6 * 4;
    uint64_t low = read_memory(g, config + bar, 4);
    uint64_t high = (low & 7) == 4 ? read_memory(g, config + bar + 4, 4) : 0;

    return (high << 32 | (low & ~0xfull)) + take(g, 2);
}

/* A port of the interrupt controllers and the timer. */
static uint16_t take_chip_port(Guest *g, unsigned choice)
{
    static const uint16_t bases[] = {
        X86_PORT_PIC_MASTER, X86_PORT_PIC_SLAVE, X86_PORT_ELCR, X86_PORT_PIT, X86_PORT_B,
    };

    return bases[choice % G_N_ELEMENTS(bases)] + take(g, 1) % 4;
}

/* A port: mostly one of a device, or any. */
static uint16_t take_port(Guest *g)
{
    static const uint16_t bases[] = {
        X86_PORT_KBC_DATA, X86_PORT_RTC, X86_PORT_A, X86_PORT_SMI_CMD, X86_PORT_DEBUGCON,
        X86_PORT_COM2, X86_PORT_COM1, X86_PORT_DEBUG_EXIT, X86_PORT_FW_CFG, X86_PM_BASE,
        X86_PM_BASE + X86_PM_GPE0, X86_PORT_PCI_ADDRESS, X86_PORT_PCI_DATA,
        X86_PORT_PCIHP, X86_PORT_CPUHP,
    };
    uint8_t choice = (uint8_t)take(g, 1);

    if (choice == 0xf0)
        return X86_PORT_PCIHP + 16 + take(g, 1) % 8;
    if (choice / 16 == G_N_ELEMENTS(bases))
        return choice % 2 ? take_chip_port(g, choice % 16 / 2) : (uint16_t)take(g, 2);
    return bases[choice / 16] + choice % 16;
}

static void out(Guest *g, uint16_t port, unsigned size, uint32_t value)
{
    vm_fake_write(g->machine->vm, g->machine->io, port, size, value);
}

static void op_out(Guest *g, unsigned size)
{
    uint16_t port = take_port(g);

    size = MIN(size, 4);
    out(g, port, size, (uint32_t)take(g, size));
}

static void op_in(Guest *g, unsigned size)
{
    vm_fake_read(g->machine->vm, g->machine->io, take_port(g), MIN(size, 4));
}

/* A descriptor that the guest made, and the ports that run it. */
static void op_dma(Guest *g, unsigned size)
{
    uint8_t entry = (uint8_t)take(g, 1);
    uint16_t control = (uint16_t)take(g, 1);
    uint32_t length = (uint32_t)take(g, 2);
    uint64_t gpa = take_address(g);

    write_memory(g, DMA, 4, GUINT32_TO_BE((uint32_t)entry << 16 | control));
    write_memory(g, DMA + 4, 4, GUINT32_TO_BE(length));
    write_memory(g, DMA + 8, 8, GUINT64_TO_BE(gpa));
    out(g, X86_PORT_FW_CFG + 4, 4, 0);
    out(g, X86_PORT_FW_CFG + 8, 4, GUINT32_TO_BE(DMA));
}

static void op_write(Guest *g, unsigned size)
{
    uint64_t gpa = take_address(g);

    write_memory(g, gpa, size, take(g, size));
}

static void op_read(Guest *g, unsigned size)
{
    read_memory(g, take_address(g), size);
}

static void op_write_config(Guest *g, unsigned size)
{
    uint64_t config = take_function(g) + take(g, 2) % 4096;

    write_memory(g, config, size, take(g, size));
}

static void op_read_config(Guest *g, unsigned size)
{
    read_memory(g, take_function(g) + take(g, 2) % 4096, size);
}

static void op_write_bar(Guest *g, unsigned size)
{
    uint64_t gpa = take_bar(g);

    write_memory(g, gpa, size, take(g, size));
}

static void op_read_bar(Guest *g, unsigned size)
{
    read_memory(g, take_bar(g), size);
}

static void nothing(void *opaque)
{
}

/* Lets main and the queues' thread do what they can now. */
static void op_turn(Guest *g, unsigned size)
{
    Machine *machine = g->machine;

    if (machine->tree.queue_loop)
        loop_call_sync(machine->tree.queue_loop, nothing, NULL);
    loop_turn(machine->loop, false);
    if (machine->run.suspended) {
        runstate_request_wakeup(&machine->run, BOARD_WAKE_OTHER);
        loop_turn(machine->loop, false);
    }
    if (!runstate_is_running(&machine->run))
        runstate_start(&machine->run, NULL);
}

static void op_reset(Guest *g, unsigned size)
{
    out(g, X86_PORT_RESET, 1, X86_RESET_VALUE);
    op_turn(g, size);
}

static void op_descriptor(Guest *g, unsigned size)
{
    uint64_t desc = RINGS + take(g, 1) % (RING_SIZE * 4) * 16;

    write_memory(g, desc, 8, RINGS + take(g, 3));
    write_memory(g, desc + 8, 4, take(g, 2));
    write_memory(g, desc + 12, 2, take(g, 1));
    write_memory(g, desc + 14, 2, take(g, 1) % (RING_SIZE + 1));
}

/* BAR 4: the common structure, and in the pages behind it the others. */
static uint64_t virtio_registers(Guest *g, uint64_t config)
{
    uint64_t low = read_memory(g, config + 0x20, 4);

    return (read_memory(g, config + 0x24, 4) << 32) | (low & ~0xfull);
}

/* What a driver does up to DRIVER_OK. */
static void op_start_virtio(Guest *g, unsigned size)
{
    uint64_t config = take_function(g);
    uint64_t common = virtio_registers(g, config);

    write_memory(g, config + 4, 2, 7);
    write_memory(g, common + COMMON_STATUS, 1, 0);
    write_memory(g, common + COMMON_STATUS, 1, 3);
    for (unsigned i = 0; i < 2; i++) {
        write_memory(g, common + COMMON_FEATURE_SELECT, 4, i);
        write_memory(g, common + COMMON_FEATURE, 4, i == 1 ? 1 : take(g, 4));
    }
    write_memory(g, common + COMMON_STATUS, 1, 11);
    write_memory(g, common + COMMON_QUEUE_SELECT, 2, 0);
    write_memory(g, common + COMMON_QUEUE_SIZE, 2, RING_SIZE);
    write_memory(g, common + COMMON_QUEUE_DESC, 8, RINGS);
    write_memory(g, common + COMMON_QUEUE_AVAIL, 8, AVAIL);
    write_memory(g, common + COMMON_QUEUE_USED, 8, USED);
    write_memory(g, common + COMMON_QUEUE_ENABLE, 2, 1);
    write_memory(g, common + COMMON_STATUS, 1, 15);
    g->next_avail = (uint16_t)read_memory(g, AVAIL + 2, 2);
}

static void op_offer(Guest *g, unsigned size)
{
    unsigned slot = g->next_avail++ % RING_SIZE;

    write_memory(g, AVAIL + 4 + 2 * slot, 2, take(g, 1) % (RING_SIZE + 1));
    write_memory(g, AVAIL + 2, 2, g->next_avail);
}

/* The doorbell is at the start of one of the pages. */
static void op_kick(Guest *g, unsigned size)
{
    uint64_t registers = virtio_registers(g, take_function(g));

    for (unsigned page = 1; page < 4; page++)
        write_memory(g, registers + page * 0x1000, 2, 0);
    op_turn(g, size);
}

static void op_pause(Guest *g, unsigned size)
{
    runstate_stop(&g->machine->run, RUN_STATE_PAUSED);
    op_turn(g, size);
}

static void op_power_button(Guest *g, unsigned size)
{
    runstate_request_powerdown(&g->machine->run);
    op_turn(g, size);
}

/* What a vCPU does with chips in user space. */
static void op_take_extint(Guest *g, unsigned size)
{
    uint8_t vector;

    vm_fake_take_extint(g->machine->vm, &vector);
}

static void op_eoi(Guest *g, unsigned size)
{
    vm_fake_eoi(g->machine->vm, (uint8_t)take(g, 1));
}

/* Devices that may be there at once, by name: "d0" and so on. */
#define N_PLUGGED 8u

/* A client's device_add. */
static void op_plug(Guest *g, unsigned size)
{
    static const char *const places[] = {
        "'driver': 'virtio-rng-pci', 'bus': 'empty'",
        "'driver': 'virtio-rng-pci', 'bus': 'empty', 'addr': '0.1'",
        "'driver': 'virtio-rng-pci', 'bus': 'empty', 'multifunction': true",
        "'driver': 'pci-bridge', 'bus': 'empty', 'chassis_nr': 1",
        "'driver': 'virtio-rng-pci', 'bus': 'bridge'",
        "'driver': 'pvpanic-pci', 'bus': 'bridge', 'addr': '0x1f'",
        "'driver': 'i6300esb', 'bus': 'bridge', 'addr': '0x5.3'",
        "'driver': 'vcpu', 'socket-id': 1, 'core-id': 0, 'thread-id': 0",
        "'driver': 'vcpu', 'socket-id': 2, 'core-id': 0, 'thread-id': 0",
    };
    uint8_t choice = (uint8_t)take(g, 1);
    g_autofree char *json = g_strdup_printf(
        "{%s, 'id': 'd%u'}", places[choice % G_N_ELEMENTS(places)],
        choice / (unsigned)G_N_ELEMENTS(places) % N_PLUGGED);
    g_autoptr(DeviceAddArgs) args =
        qapi_parse_json(QAPI_TYPE_DEVICE_ADD_ARGS, json, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(args);
    hotplug_add(&g->machine->tree, args, &error);
}

/* A client's device_del, or the one that asks nobody. */
static void op_unplug(Guest *g, unsigned size)
{
    uint8_t choice = (uint8_t)take(g, 1);
    g_autofree char *id = g_strdup_printf("d%u", choice % N_PLUGGED);
    Device *dev = device_find(&g->machine->tree, id);
    g_autoptr(GError) error = NULL;

    if (dev && choice & 0x80)
        hotplug_force(dev, &error);
    else if (dev)
        hotplug_remove(dev, &error);
}

/* Somebody at the keyboard and the mouse; accesses to the controller are op_out. */
static void op_hands(Guest *g, unsigned size)
{
    Device *kbc = i8042_find(&g->machine->tree);
    uint8_t what = (uint8_t)take(g, 1);

    i8042_key(kbc, what, size & 1);
    i8042_mouse_button(kbc, what, size & 2);
    i8042_mouse_move(kbc, (int8_t)take(g, 1), (int64_t)take(g, size), (int8_t)what);
}

static void (*const ops[])(Guest *g, unsigned size) = {
    op_out, op_in, op_write, op_read, op_write_config, op_read_config, op_write_bar,
    op_read_bar, op_turn, op_reset, op_descriptor, op_start_virtio, op_offer, op_kick,
    op_pause, op_power_button, op_dma, op_take_extint, op_eoi, op_plug, op_unplug,
    op_hands,
};

/* What a guest can bring about can be migrated. */
static void check_state(Machine *machine)
{
    g_autoptr(GByteArray) first = g_byte_array_new();
    g_autoptr(GByteArray) second = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    runstate_stop(&machine->run, RUN_STATE_PAUSED);
    while (!device_tree_is_quiet(&machine->tree))
        loop_turn(machine->loop, true);
    device_tree_save(&machine->tree, first);
    device_tree_load(&machine->tree, first->data, first->len, &error);
    g_assert_no_error(error);
    device_tree_save(&machine->tree, second);
    g_assert_cmpmem(first->data, first->len, second->data, second->len);
}

/* What firmware does before all else: the ECAM is where the operations have it. */
static void place_ecam(Guest *g)
{
    out(g, X86_PORT_PCI_ADDRESS, 4, MCH_PCIEXBAR);
    out(g, X86_PORT_PCI_DATA, 4, (uint32_t)X86_ECAM_BASE | 1);
}

static void run_guest(const Cmdline *cmdline, Loop *loop, CharSet *chars,
                      const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Machine) machine = NULL;
    const MachineHost host = { .loop = loop, .chars = chars };
    Guest g = { .data = data, .size = size };
    bool split = size > 0 && data[size - 1] % 2;

    machine = machine_new(cmdline, &host, split ? vm_fake_new_split() : vm_fake_new(),
                          &error);
    g_assert_no_error(error);
    g_assert_true(machine_start(machine, &error));
    g.machine = machine;
    g.memory = machine->smm && data[size - 1] & 8 ? machine->smm : machine->memory;
    if (machine->rom)
        place_ecam(&g);
    for (unsigned i = 0; i < OPS_MAX && g.size > 0; i++) {
        uint8_t op = (uint8_t)take(&g, 1);

        ops[(op & 0x3f) % G_N_ELEMENTS(ops)](&g, 1u << (op >> 6));
    }
    op_turn(&g, 0);
    check_state(machine);
}

/* The path of a ROM, made once. */
static char *rom_path(void)
{
    static char path[32];
    int fd;

    if (!*path) {
        fd = memfd_create("rom", 0);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(ftruncate(fd, ROM_SIZE), ==, 0);
        g_snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    return path;
}

static Cmdline *parse(bool firmware, bool smm)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    Cmdline *cmdline;

    for (size_t i = 0; i < G_N_ELEMENTS(argv); i++)
        g_ptr_array_add(words, argv[i]);
    g_ptr_array_add(words, (char *)"-kernel");
    g_ptr_array_add(words, (char *)(firmware ? "tests/fuzz/seeds/kernel/bzimage"
                                             : "tests/fuzz/seeds/kernel/elf64"));
    if (firmware) {
        g_ptr_array_add(words, (char *)"-bios");
        g_ptr_array_add(words, rom_path());
    }
    g_ptr_array_add(words, (char *)"-machine");
    g_ptr_array_add(words, (char *)(smm ? "smm=on" : "smm=off"));
    cmdline = cmdline_parse((int)words->len, (char **)words->pdata, &error);
    g_assert_no_error(error);
    return cmdline;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline = NULL;
    g_autoptr(Loop) loop = NULL;
    g_autoptr(CharSet) chars = NULL;

    thread_set_role(THREAD_MAIN);
    log_set_level(LOG_LEVEL_ERROR);
    cmdline = parse(size > 0 && data[size - 1] & 2, size > 0 && data[size - 1] & 4);
    loop = loop_new("main", THREAD_MAIN, &error);
    g_assert_no_error(error);
    chars = char_set_new(loop);
    char_add_from_text(chars, "null", "null", &error);
    g_assert_no_error(error);
    run_guest(cmdline, loop, chars, data, size);
    return 0;
}
