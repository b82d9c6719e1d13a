/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole q35 on the fake hypervisor: what a kernel finds at start, and that a reset
 * brings it all back.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/memory-backend.h"
#include "berth/numa.h"
#include "berth/qmp.h"
#include "berth/vm-fake.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"
#include "qmp-commands.h"

#include "machine-bench.h"

#define KERNEL "tests/fuzz/seeds/kernel/elf64"

static char *const argv[] = {
    "berth", "-machine", "q35", "-nodefaults", "-no-shutdown", "-m", "3G", "-smp", "2",
    "-kernel", KERNEL, "-append", "quiet", "-serial", "null", "-device", "isa-debug-exit",
    "-device", "virtio-rng-pci,id=rng0", "-device", "pcie-root-port,id=port,chassis=1",
    "-device", "virtio-rng-pci,bus=port,id=rng1",
    "-smbios", "type=1,serial=serial-1,uuid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90e",
    "-fw_cfg", "name=opt/org.example/text,string=a,,b",
    "-fw_cfg", ("opt/org.example/file,file=" KERNEL),
    "-device", "vmgenid,guid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90e",
    "-smbios", "type=11,value=one,value=two",
    "-smbios", "type=9,slot_designation=S,pci_device=port",
};

static Vm *make_vm(const MachineOptions *options)
{
    if (options && options->kernel_irqchip == ON_OFF_SPLIT_SPLIT)
        return vm_fake_new_split();
    return vm_fake_new();
}

/* The machine that @words describe, or none with @error. */
static void rig_make(MachineBench *rig, char *const *words, int n_words, GError **error)
{
    if (machine_bench_init(rig, words, (size_t)n_words, error))
        machine_bench_make(rig, make_vm(rig->cmdline->machine), error);
}

/* @more: further words of the command line, ended by NULL, or NULL. */
static void rig_init_with(MachineBench *rig, const char *const *more)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(argv); i++)
        g_ptr_array_add(words, argv[i]);
    for (size_t i = 0; more && more[i]; i++)
        g_ptr_array_add(words, (char *)more[i]);
    rig_make(rig, (char **)words->pdata, (int)words->len, &error);
    g_assert_no_error(error);
    g_assert_true(machine_start(rig->machine, &error));
    g_assert_no_error(error);
}

static void rig_init(MachineBench *rig)
{
    rig_init_with(rig, NULL);
}

static uint64_t peek(MachineBench *rig, uint64_t gpa, unsigned size)
{
    return vm_fake_read(rig->machine->vm, rig->machine->memory, gpa, size);
}

static uint8_t fw_cfg_byte(MachineBench *rig)
{
    return vm_fake_read(rig->machine->vm, rig->machine->io, X86_PORT_FW_CFG + 1, 1);
}

static uint32_t fw_cfg_be(MachineBench *rig, unsigned size)
{
    uint32_t value = 0;

    while (size-- > 0)
        value = value << 8 | fw_cfg_byte(rig);
    return value;
}

static void fw_cfg_select(MachineBench *rig, uint16_t key)
{
    vm_fake_write(rig->machine->vm, rig->machine->io, X86_PORT_FW_CFG, 2, key);
}

/* The bytes of file @name, as a guest reads them by the ports; it is there. */
static char *fw_cfg_file(MachineBench *rig, const char *name, size_t *ret_size)
{
    unsigned n;

    fw_cfg_select(rig, 0x19);
    n = fw_cfg_be(rig, 4);
    for (unsigned i = 0; i < n; i++) {
        uint32_t size = fw_cfg_be(rig, 4);
        uint16_t key = fw_cfg_be(rig, 4) >> 16;
        char file[56];
        char *bytes;

        for (size_t at = 0; at < sizeof(file); at++)
            file[at] = fw_cfg_byte(rig);
        if (strcmp(file, name) != 0)
            continue;
        fw_cfg_select(rig, key);
        bytes = g_malloc(size + 1);
        for (uint32_t at = 0; at < size; at++)
            bytes[at] = fw_cfg_byte(rig);
        *ret_size = size;
        return bytes;
    }
    g_assert_not_reached();
}

static uint64_t config(unsigned bus, unsigned slot, unsigned offset)
{
    return X86_ECAM_BASE + (bus << 20) + (slot << 15) + offset;
}

static GByteArray *save(MachineBench *rig)
{
    GByteArray *state = g_byte_array_new();

    runstate_stop(&rig->machine->run, RUN_STATE_PAUSED);
    device_tree_save(&rig->machine->tree, state);
    return state;
}

/* All devices but the RTC, whose time goes on. */
static GByteArray *save_but_rtc(MachineBench *rig)
{
    GByteArray *state = g_byte_array_new();

    runstate_stop(&rig->machine->run, RUN_STATE_PAUSED);
    LIST_FOREACH(node, &rig->machine->tree.devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->vmstate && strcmp(dev->class->name, "mc146818rtc") != 0)
            vmstate_save(state, dev->class->vmstate, dev);
    }
    return state;
}

static void test_kernel_finds_tables_and_resources(gconstpointer more)
{
    MachineBench rig;
    uint8_t rsdp[8];

    rig_init_with(&rig, more);

    g_assert_true(address_space_read(rig.machine->memory, X86_BIOS_AREA_BASE, rsdp, 8));
    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmphex(peek(&rig, config(0, 0, 0), 4), ==, 0x29c08086);
    g_assert_cmphex(peek(&rig, config(0, 31, 0), 4), ==, 0x29188086);
    g_assert_cmphex(peek(&rig, config(0, 1, 0), 4), ==, 0x10441af4);
    g_assert_cmphex(peek(&rig, config(1, 0, 0), 4), ==, 0x10441af4);
    g_assert_cmphex(peek(&rig, config(0, 1, 4), 2) & 2, ==, 2);
    g_assert_cmphex(peek(&rig, config(0, 1, 0x20), 4) & ~0xfull, !=, 0);

    machine_bench_done(&rig);
}

/* The tables of thousands of vCPUs do not fit below 1 MiB. */
static void test_tables_of_many_vcpus_go_to_the_end_of_ram(void)
{
    static const char *const more[] = {
        "-machine", "kernel-irqchip=split", "-smp", "2,maxcpus=4096,cores=4096", NULL,
    };
    uint64_t xsdt, madt;
    char text[4];
    MachineBench rig;

    rig_init_with(&rig, more);

    xsdt = peek(&rig, X86_BIOS_AREA_BASE + 24, 8);
    g_assert_cmphex(xsdt, >, X86_LOW_RAM_MAX - MIB);
    g_assert_true(address_space_read(rig.machine->memory, xsdt, text, 4));
    g_assert_cmpmem(text, 4, "XSDT", 4);
    madt = peek(&rig, xsdt + 44, 8);
    g_assert_true(address_space_read(rig.machine->memory, madt, text, 4));
    g_assert_cmpmem(text, 4, "APIC", 4);
    g_assert_cmpuint(peek(&rig, madt + 4, 4), >, 60000);

    machine_bench_done(&rig);
}

static void test_without_acpi_there_is_an_mp_table(void)
{
    static const char *const more[] = { "-no-acpi", NULL };
    uint8_t text[8];
    uint32_t table;
    MachineBench rig;

    rig_init_with(&rig, more);

    for (uint64_t gpa = X86_BIOS_AREA_BASE; gpa < X86_EXT_RAM_BASE; gpa += 16) {
        g_assert_true(address_space_read(rig.machine->memory, gpa, text, 8));
        g_assert_cmpint(memcmp(text, "RSD PTR ", 8), !=, 0);
    }
    g_assert_true(address_space_read(rig.machine->memory, X86_EBDA_BASE, text, 8));
    g_assert_cmpmem(text, 4, "_MP_", 4);
    memcpy(&table, text + 4, sizeof(table));
    g_assert_true(address_space_read(rig.machine->memory, table, text, 4));
    g_assert_cmpmem(text, 4, "PCMP", 4);
    g_assert_nonnull(device_find(&rig.machine->tree, "/machine/kbc"));
    g_assert_cmphex(peek(&rig, config(0, 31, 0), 4), ==, 0x29188086);

    machine_bench_done(&rig);
}

static uint8_t cmos(MachineBench *rig, uint8_t reg)
{
    vm_fake_write(rig->machine->vm, rig->machine->io, X86_PORT_RTC, 1, reg);
    return (uint8_t)vm_fake_read(rig->machine->vm, rig->machine->io, X86_PORT_RTC + 1, 1);
}

static void test_clock_begins_as_told(void)
{
    static const char *const more[] = {
        "-rtc", "base=2001-09-09T01:46:40,clock=vm,driftfix=slew", NULL,
    };
    MachineBench rig;

    rig_init_with(&rig, more);
    runstate_stop(&rig.machine->run, RUN_STATE_PAUSED);

    g_assert_cmphex(cmos(&rig, 9), ==, 0x01);
    g_assert_cmphex(cmos(&rig, 7), ==, 0x09);
    g_assert_cmphex(cmos(&rig, 4), ==, 0x01);
    g_assert_cmphex(cmos(&rig, 2), ==, 0x46);
    machine_bench_done(&rig);
}

static void test_boot_order_of_the_first_start_is_its_own(void)
{
    static const char *const more[] = {
        "-boot", "order=nc,once=d,menu=on", "-no-fd-bootchk", NULL,
    };
    MachineBench rig;

    rig_init_with(&rig, more);
    g_assert_cmphex(cmos(&rig, 0x3d), ==, 0x03);
    g_assert_cmphex(cmos(&rig, 0x38), ==, 0x01);

    runstate_stop(&rig.machine->run, RUN_STATE_PAUSED);
    runstate_request_reset(&rig.machine->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    loop_turn(rig.loop, false);

    g_assert_cmphex(cmos(&rig, 0x3d), ==, 0x24);
    g_assert_cmphex(cmos(&rig, 0x38), ==, 0x01);
    machine_bench_done(&rig);
}

static void test_machine_options_reach_memory(void)
{
    static const char *const more[] = {
        "-object", "memory-backend-ram,id=ram0,size=3G", "-machine",
        "memory-backend=ram0,dump-guest-core=off,mem-merge=off,i8042=off", NULL,
    };
    const MemoryBackendProps *props;
    MachineBench rig;

    rig_init_with(&rig, more);
    props = memory_backend_props(rig.machine->ram_object);

    g_assert_cmpstr(rig.machine->ram_object->id, ==, "ram0");
    g_assert_false(props->dump);
    g_assert_false(props->merge);
    g_assert_null(device_find(&rig.machine->tree, "/machine/kbc"));
    machine_bench_done(&rig);
}

static void test_memory_goes_on_at_four_gib(gconstpointer more)
{
    static const char text[] = "above";
    char back[sizeof(text)];
    MachineBench rig;

    rig_init_with(&rig, more);

    g_assert_true(address_space_write(rig.machine->memory, X86_HIGH_RAM_BASE, text,
                                      sizeof(text)));
    g_assert_true(address_space_read(rig.machine->memory, X86_HIGH_RAM_BASE, back,
                                     sizeof(back)));
    g_assert_cmpstr(back, ==, text);
    g_assert_cmpmem(memory_backend_ram(rig.machine->ram_object)->host + X86_LOW_RAM_MAX,
                    sizeof(text), text, sizeof(text));
    g_assert_null(address_space_map(rig.machine->memory, X86_LOW_RAM_MAX, 1, false));

    machine_bench_done(&rig);
}

static const char *const nodes[] = {
    "-m", "2560", "-smp", "2,sockets=2",
    "-object", "memory-backend-ram,id=a,size=1G",
    "-object", "memory-backend-memfd,id=b,size=1536M",
    "-numa", "node,memdev=a,cpus=1", "-numa", "node,memdev=b,cpus=0",
    "-numa", "dist,src=0,dst=1,val=31", NULL,
};

/* The second node's memory goes on behind the hole. */
static void test_nodes_have_memory(void)
{
    g_autoptr(CpuInfoFastList) cpus = NULL;
    QmpContext ctx = { 0 };
    RamBlock *ram;
    MachineBench rig;
    char back[5];

    rig_init_with(&rig, nodes);
    ram = memory_backend_ram(object_find(rig.machine->objects, "b"));

    g_assert_cmpuint(rig.machine->ram_size, ==, 2560 * MIB);
    g_assert_cmpuint(rig.machine->numa->nodes[1].size, ==, 1536 * MIB);
    memcpy(ram->host + GIB, "above", 5);
    g_assert_true(address_space_read(rig.machine->memory, X86_HIGH_RAM_BASE, back, 5));
    g_assert_cmpmem(back, 5, "above", 5);
    memcpy(ram->host, "below", 5);
    g_assert_true(address_space_read(rig.machine->memory, GIB, back, 5));
    g_assert_cmpmem(back, 5, "below", 5);
    g_assert_false(object_del(rig.machine->objects, "a", NULL));
    ctx.machine = rig.machine;
    cpus = qmp_query_cpus_fast(&ctx, NULL);
    g_assert_cmpuint(cpus->n, ==, 2);
    g_assert_cmpint(cpus->items[0]->props->node_id, ==, 1);
    g_assert_cmpint(cpus->items[1]->props->node_id, ==, 0);
    machine_bench_done(&rig);
}

static const struct {
    const char *args[10];
    const char *words;
} wrong_nodes[] = {
    { { "-numa", "node,memdev=c" }, "there is no memory backend 'c'" },
    { { "-numa", "node,memdev=io" }, "there is no memory backend 'io'" },
    { { "-numa", "node,memdev=a" }, "(0x4000000) should equal RAM size (0x8000000)" },
    { { "-numa", "node" }, "(0x0) should equal RAM size" },
    { { "-numa", "node,memdev=a", "-numa", "node,memdev=a" }, "busy memdev: a" },
    { { "-numa", "node,memdev=a", "-numa", "node,memdev=b", "-m", "64" }, "RAM size" },
    { { "-numa", "node,memdev=a", "-machine", "memory-backend=b" }, "exclusive" },
    { { "-numa", "node,memdev=a", "-mem-path", "/tmp" }, "exclusive" },
    { { "-numa", "node,memdev=a", "-numa", "node,memdev=b", "-m", "128,maxmem=64" },
      "maxmem" },
};

static const struct {
    const char *m;
    const char *words;
} wrong_memory[] = {
    { "0", "parameter 'size' expects 1 byte to 16384 GiB" },
    { "64,slots=1", "'slots' expects 'maxmem', too" },
    { "64,slots=257,maxmem=1G", "'slots' expects 0 to 256" },
    { "64,slots=1,maxmem=64", "'slots' expects 'maxmem' to be more than 'size'" },
    { "64,maxmem=32", "'maxmem' must be at least 'size' (67108864 bytes)" },
    { "64,maxmem=100001K", "'maxmem' expects a multiple of 4096 bytes" },
    { "64,maxmem=17T", "'maxmem' expects 16384 GiB at most" },
    { "64,slots=256,maxmem=1G", "memory would end at 0x413fffffff, but the guest's CPU "
      "has addresses of 36 bits" },
};

static void test_wrong_memory_is_refused(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(wrong_memory); i++) {
        const char *const words[] = {
            "berth", "-nodefaults", "-cpu", "host,phys-bits=36", "-m", wrong_memory[i].m,
        };
        g_autoptr(GError) error = NULL;
        MachineBench rig;

        rig_make(&rig, (char *const *)words, G_N_ELEMENTS(words), &error);
        g_assert_null(rig.machine);
        if (!strstr(error->message, wrong_memory[i].words))
            g_error("\"%s\" is not in \"%s\"", wrong_memory[i].words, error->message);
        machine_bench_done(&rig);
    }
}

/* At 1 GiB above RAM, with 1 GiB more a slot; the PCI window is behind it. */
static void test_addresses_for_memory_to_come(void)
{
    const char *const words[] = { "berth", "-nodefaults", "-m",
                                  "size=2560M,slots=2,maxmem=5G" };
    g_autofree char *view = NULL;
    g_autoptr(GError) error = NULL;
    MachineBench rig;

    rig_make(&rig, (char *const *)words, G_N_ELEMENTS(words), &error);
    g_assert_no_error(error);
    view = region_text_tree(rig.machine->memory, &rig.machine->memory_root, false);
    g_assert_nonnull(strstr(view, "0000000140000000-000000027fffffff"
                            " (prio 0, i/o): device-memory"));
    g_assert_cmphex(rig.machine->high_end, ==, 10 * GIB);
    machine_bench_done(&rig);
}

static void test_wrong_nodes_are_refused(void)
{
    static const char *const first[] = {
        "berth", "-nodefaults", "-object", "iothread,id=io",
        "-object", "memory-backend-ram,id=a,size=64M",
        "-object", "memory-backend-ram,id=b,size=64M",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(wrong_nodes); i++) {
        g_autoptr(GPtrArray) words = g_ptr_array_new();
        g_autoptr(GError) error = NULL;
        MachineBench rig;

        for (size_t n = 0; n < G_N_ELEMENTS(first); n++)
            g_ptr_array_add(words, (char *)first[n]);
        for (size_t n = 0; wrong_nodes[i].args[n]; n++)
            g_ptr_array_add(words, (char *)wrong_nodes[i].args[n]);
        rig_make(&rig, (char *const *)words->pdata, (int)words->len, &error);

        g_assert_null(rig.machine);
        if (!strstr(error->message, wrong_nodes[i].words))
            g_error("'%s' is not in: %s", wrong_nodes[i].words, error->message);
        machine_bench_done(&rig);
    }
}

/* As a guest without firmware looks for it (DSP0134, 5.2.1). */
static uint64_t find_smbios(MachineBench *rig)
{
    char anchor[4];

    for (uint64_t gpa = 0xf0000; gpa < X86_EXT_RAM_BASE; gpa += 16) {
        address_space_read(rig->machine->memory, gpa, anchor, sizeof(anchor));
        if (memcmp(anchor, "_SM_", sizeof(anchor)) == 0)
            return gpa;
    }
    return 0;
}

static void test_guest_finds_smbios(void)
{
    g_autofree char *tables = NULL;
    uint64_t entry, start, size;
    MachineBench rig;

    rig_init(&rig);
    entry = find_smbios(&rig);
    g_assert_cmphex(entry, !=, 0);
    size = peek(&rig, entry + 0x16, 2);
    start = peek(&rig, entry + 0x18, 4);
    tables = g_malloc(size);
    g_assert_true(address_space_read(rig.machine->memory, start, tables, size));

    g_assert_cmphex(start, >=, X86_SHADOW_BASE);
    g_assert_cmphex(start + size, <=, entry);
    g_assert_nonnull(memmem(tables, size, "serial-1\0\0", 10));
    g_assert_nonnull(memmem(tables, size, "one\0two\0\0", 9));
    /* The first fields are little-endian. */
    g_assert_nonnull(memmem(tables, size, "\xf8\x0c\xdc\x43\x9b\x80\xdb\x4a\x9b", 9));
    g_assert_cmphex(rig.machine->uuid.bytes[0], ==, 0x43);
    g_assert_cmphex((uint8_t)tables[size - 6], ==, 127);

    machine_bench_done(&rig);
}

static void test_guest_finds_its_generation_id(void)
{
    static const uint8_t guid[] = { 0xf8, 0x0c, 0xdc, 0x43, 0x9b, 0x80, 0xdb, 0x4a };
    g_autofree char *page = NULL, *address = NULL;
    uint8_t bytes[sizeof(guid)];
    size_t page_size, address_size;
    MachineBench rig;

    rig_init(&rig);
    page = fw_cfg_file(&rig, "etc/vmgenid_guid", &page_size);
    address = fw_cfg_file(&rig, "etc/vmgenid_addr", &address_size);

    g_assert_cmpuint(page_size, ==, 4096);
    g_assert_cmpmem(page + 40, sizeof(guid), guid, sizeof(guid));
    g_assert_cmpuint(address_size, ==, 8);

    g_assert_true(address_space_read(rig.machine->memory, X86_VMGENID_PAGE + 40, bytes,
                                     sizeof(bytes)));
    g_assert_cmpmem(bytes, sizeof(bytes), guid, sizeof(guid));

    machine_bench_done(&rig);
}

static void test_fw_cfg_has_the_same_smbios(void)
{
    static const char *const names[] = { "etc/smbios/smbios-anchor",
                                         "etc/smbios/smbios-tables" };
    MachineBench rig;

    rig_init(&rig);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *bytes = NULL;
        size_t size;
        uint64_t start = peek(&rig, find_smbios(&rig) + 0x18, 4);

        bytes = fw_cfg_file(&rig, names[i], &size);
        if (i == 0) {
            g_assert_cmpuint(size, ==, 31);
            g_assert_cmpmem(bytes, 4, "_SM_", 4);
        } else {
            g_autofree char *memory = g_malloc(size);

            address_space_read(rig.machine->memory, start, memory, size);
            g_assert_cmpmem(bytes, size, memory, size);
        }
    }

    machine_bench_done(&rig);
}

static void test_fw_cfg_has_the_operators_files(void)
{
    g_autofree char *text = NULL, *bytes = NULL, *wanted = NULL;
    size_t text_size, size;
    gsize wanted_size;
    MachineBench rig;

    rig_init(&rig);
    text = fw_cfg_file(&rig, "opt/org.example/text", &text_size);
    bytes = fw_cfg_file(&rig, "opt/org.example/file", &size);

    g_assert_cmpmem(text, text_size, "a,b", 3);
    g_assert_true(g_file_get_contents(KERNEL, &wanted, &wanted_size, NULL));
    g_assert_cmpmem(bytes, size, wanted, wanted_size);

    machine_bench_done(&rig);
}

static void test_wrong_fw_cfg_files_are_refused(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "name=opt/a", "'file' and 'string'" },
        { "name=opt/a,file=" KERNEL ",string=x", "'file' and 'string'" },
        { "name=,string=x", "1 to 55 bytes" },
        { "name=opt/3456789012345678901234567890123456789012345678901234,string=x",
          "1 to 55 bytes" },
        { "name=opt/a,file=tests/data/none", "tests/data/none" },
        { "name=opt/a,file=tests", "regular" },
        { "name=opt/a,gen_id=cipher0", "cipher0" },
        { "name=etc/smbios/smbios-tables,string=x", "already" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *wrong[] = { "berth", "-nodefaults", "-fw_cfg", (char *)cases[i].text };
        g_autoptr(GError) error = NULL;
        MachineBench rig;

        rig_make(&rig, wrong, G_N_ELEMENTS(wrong), &error);

        g_assert_null(rig.machine);
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
        machine_bench_done(&rig);
    }
}

/*
 * Registers of the board and of every function, at all widths; not the RTC's, whose
 * memory and time a battery keeps over a reset.
 */
static void scribble(MachineBench *rig, GRand *rand)
{
    static const uint16_t ports[] = {
        X86_PORT_COM1, X86_PORT_KBC_DATA, X86_PORT_PCI_ADDRESS, X86_PORT_PCI_DATA,
        X86_PM_BASE + X86_PM_GPE0, X86_PORT_FW_CFG, X86_PORT_POST, X86_PORT_PIC_MASTER,
        X86_PORT_PIC_SLAVE, X86_PORT_PIT, X86_PORT_B, X86_PORT_ELCR,
    };
    Machine *machine = rig->machine;

    for (unsigned i = 0; i < 20000; i++) {
        unsigned size = 1u << g_rand_int_range(rand, 0, 3);
        uint32_t value = g_rand_int(rand);
        uint32_t devfn = (uint32_t)g_rand_int_range(rand, 0, 256);

        if (i % 32 == 0) {
            vm_fake_write(machine->vm, machine->memory,
                          X86_IOAPIC_BASE + (value & 0x10), 4, g_rand_int(rand));
        } else if (i % 32 == 16) {
            vm_fake_write(machine->vm, machine->memory,
                          X86_HPET_BASE + (value & 0x1fc), 4, g_rand_int(rand));
        } else if (i % 2) {
            uint16_t port = ports[value % G_N_ELEMENTS(ports)];

            port += (uint16_t)g_rand_int_range(rand, 0, 8);
            if (port != X86_PORT_RESET && port + size <= X86_PORT_RESET + 3)
                vm_fake_write(machine->vm, machine->io, port, size, value);
        } else {
            vm_fake_write(machine->vm, machine->memory,
                          X86_ECAM_BASE + ((value & 1) << 20) + (devfn << 12) +
                              (g_rand_int(rand) & 0xfc), size, g_rand_int(rand));
        }
    }
}

static void test_reset_brings_every_device_back(gconstpointer more)
{
    g_autoptr(GByteArray) before = NULL;
    g_autoptr(GByteArray) dirty = NULL;
    g_autoptr(GByteArray) after = NULL;
    GRand *rand = g_rand_new_with_seed(1);
    MachineBench rig;

    rig_init_with(&rig, more);
    before = save_but_rtc(&rig);
    scribble(&rig, rand);
    dirty = save_but_rtc(&rig);

    runstate_request_reset(&rig.machine->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    loop_turn(rig.loop, false);
    after = save_but_rtc(&rig);

    g_assert_cmpint(rig.machine->run.state, ==, RUN_STATE_PRELAUNCH);
    g_assert_cmpuint(dirty->len, ==, before->len);
    g_assert_cmpint(memcmp(dirty->data, before->data, before->len), !=, 0);
    g_assert_cmpmem(after->data, after->len, before->data, before->len);

    g_rand_free(rand);
    machine_bench_done(&rig);
}

static void test_state_goes_from_one_machine_to_another(gconstpointer more)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GByteArray) again = NULL;
    GRand *rand = g_rand_new_with_seed(2);
    MachineBench source, target;

    rig_init_with(&source, more);
    rig_init_with(&target, more);
    scribble(&source, rand);
    saved = save(&source);
    runstate_stop(&target.machine->run, RUN_STATE_PAUSED);

    g_assert_true(
        device_tree_load(&target.machine->tree, saved->data, saved->len, &error));
    g_assert_no_error(error);
    again = save(&target);

    g_assert_cmpmem(again->data, again->len, saved->data, saved->len);

    g_rand_free(rand);
    machine_bench_done(&source);
    machine_bench_done(&target);
}

/* What a device does on vCPU 1 while that accesses its register. */
static void tell_panic(void *opaque)
{
    Machine *machine = opaque;
    const GuestPanicInformation info = { .u.hyper_v.arg1 = 7 };

    machine->board.ops->guest_panicked(machine, &info);
}

static void suspend(void *opaque)
{
    Machine *machine = opaque;

    machine->board.ops->request_suspend(machine);
}

static void on_vcpu(MachineBench *rig, VmFakeExitFn *fn, RunState expected)
{
    gint64 end = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;

    vm_fake_vcpu_exit(rig->machine->vcpus[1], fn, rig->machine);
    while (rig->machine->run.state != expected && g_get_monotonic_time() < end)
        loop_turn(rig->loop, false);
    g_assert_cmpint(rig->machine->run.state, ==, expected);
}

static void test_panic_stops_the_machine(void)
{
    MachineBench rig;

    rig_init(&rig);

    on_vcpu(&rig, tell_panic, RUN_STATE_GUEST_PANICKED);
    for (unsigned i = 0; i < 2; i++)
        vcpu_wait_paused(rig.machine->vcpus[i]);

    g_assert_true(runstate_start(&rig.machine->run, NULL));
    machine_bench_done(&rig);
}

static void test_panic_that_does_nothing_leaves_the_vcpus_running(void)
{
    const ActionOptions actions = { .has_panic = true, .panic = PANIC_ACTION_NONE };
    MachineBench rig;

    rig_init(&rig);
    runstate_set_action(&rig.machine->run, &actions);

    tell_panic(rig.machine);
    vcpu_wait_paused(rig.machine->vcpus[1]);
    loop_turn(rig.loop, false);
    /* A vCPU that was left paused would never come to this. */
    on_vcpu(&rig, suspend, RUN_STATE_SUSPENDED);

    machine_bench_done(&rig);
}

static void test_suspended_machine_has_lost_its_devices(void)
{
    Machine *machine;
    MachineBench rig;

    rig_init(&rig);
    machine = rig.machine;
    vm_fake_write(machine->vm, machine->memory, 0x5000, 4, 0x12345678);

    on_vcpu(&rig, suspend, RUN_STATE_SUSPENDED);

    g_assert_cmphex(peek(&rig, config(0, 1, 4), 2), ==, 0);
    g_assert_cmphex(peek(&rig, 0x5000, 4), ==, 0x12345678);
    g_assert_true(machine->tree.running);
    machine_bench_done(&rig);
}

static uint64_t find_facs(MachineBench *rig)
{
    uint64_t at = X86_BIOS_AREA_BASE;

    while (peek(rig, at, 4) != 0x53434146)
        at += 16;
    return at;
}

static void test_woken_machine_is_at_its_vector(void)
{
    Machine *machine;
    VcpuBoot boot;
    uint64_t bar;
    MachineBench rig;

    rig_init(&rig);
    machine = rig.machine;
    bar = peek(&rig, config(1, 0, 0x20), 4);
    vm_fake_write(machine->vm, machine->memory, find_facs(&rig) + 12, 4, 0x98765);
    on_vcpu(&rig, suspend, RUN_STATE_SUSPENDED);
    g_assert_cmphex(peek(&rig, config(1, 0, 0), 4), ==, 0xffffffff);

    machine->board.ops->request_wakeup(machine, BOARD_WAKE_OTHER);
    loop_turn(rig.loop, false);

    g_assert_cmpint(machine->run.state, ==, RUN_STATE_RUNNING);
    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpuint(vm_fake_vcpu_resets(machine->vcpus[i], &boot), ==, 2);
    g_assert_cmpint(boot.entry, ==, VCPU_ENTRY_REAL);
    g_assert_cmphex(boot.ip, ==, 0x98765);
    g_assert_cmphex(peek(&rig, config(1, 0, 0x20), 4), ==, bar);
    machine_bench_done(&rig);
}

static void test_nmi_comes_to_every_vcpu(void)
{
    MachineBench rig;

    rig_init(&rig);
    runstate_stop(&rig.machine->run, RUN_STATE_PAUSED);

    rig.machine->board.ops->inject_nmi(rig.machine);
    loop_turn(rig.loop, false);

    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpuint(vm_fake_vcpu_nmis(rig.machine->vcpus[i]), ==, 1);
    machine_bench_done(&rig);
}

/* With the interrupt controllers in the hypervisor, in user space, and with an HPET. */
static void add_test(const char *name, GTestDataFunc test)
{
    static const char *const split[] = { "-machine", "kernel-irqchip=split", NULL };
    static const char *const hpet[] = {
        "-machine", "hpet=on", "-global", "hpet.msi=on", "-global", "hpet.timers=5", NULL,
    };
    static const struct {
        const char *group;
        const char *const *more;
    } variants[] = {
        { "", NULL }, { "split-irqchip/", split }, { "hpet/", hpet },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path =
            g_strdup_printf("/machine/%s%s", variants[i].group, name);

        g_test_add_data_func(path, variants[i].more, test);
    }
}

int main(int argc, char **argv_)
{
    g_test_init(&argc, &argv_, NULL);
    thread_set_role(THREAD_MAIN);
    add_test("kernel-finds-tables-and-resources",
             test_kernel_finds_tables_and_resources);
    g_test_add_func("/machine/guest-finds-smbios", test_guest_finds_smbios);
    g_test_add_func("/machine/guest-finds-its-generation-id",
                    test_guest_finds_its_generation_id);
    g_test_add_func("/machine/fw-cfg-has-the-same-smbios",
                    test_fw_cfg_has_the_same_smbios);
    g_test_add_func("/machine/fw-cfg-has-the-operators-files",
                    test_fw_cfg_has_the_operators_files);
    g_test_add_func("/machine/wrong-fw-cfg-files-are-refused",
                    test_wrong_fw_cfg_files_are_refused);
    g_test_add_func("/machine/tables-of-many-vcpus-go-to-the-end-of-ram",
                    test_tables_of_many_vcpus_go_to_the_end_of_ram);
    g_test_add_func("/machine/without-acpi-there-is-an-mp-table",
                    test_without_acpi_there_is_an_mp_table);
    g_test_add_func("/machine/clock-begins-as-told", test_clock_begins_as_told);
    g_test_add_func("/machine/boot-order-of-the-first-start-is-its-own",
                    test_boot_order_of_the_first_start_is_its_own);
    g_test_add_func("/machine/nodes-have-memory", test_nodes_have_memory);
    g_test_add_func("/machine/wrong-nodes-are-refused", test_wrong_nodes_are_refused);
    g_test_add_func("/machine/wrong-memory-is-refused", test_wrong_memory_is_refused);
    g_test_add_func("/machine/addresses-for-memory-to-come",
                    test_addresses_for_memory_to_come);
    g_test_add_func("/machine/machine-options-reach-memory",
                    test_machine_options_reach_memory);
    add_test("memory-goes-on-at-four-gib",
             test_memory_goes_on_at_four_gib);
    add_test("reset-brings-every-device-back",
             test_reset_brings_every_device_back);
    add_test("state-goes-from-one-machine-to-another",
             test_state_goes_from_one_machine_to_another);
    g_test_add_func("/machine/panic-stops-the-machine", test_panic_stops_the_machine);
    g_test_add_func("/machine/panic-that-does-nothing-leaves-the-vcpus-running",
                    test_panic_that_does_nothing_leaves_the_vcpus_running);
    g_test_add_func("/machine/suspended-machine-has-lost-its-devices",
                    test_suspended_machine_has_lost_its_devices);
    g_test_add_func("/machine/woken-machine-is-at-its-vector",
                    test_woken_machine_is_at_its_vector);
    g_test_add_func("/machine/nmi-comes-to-every-vcpu", test_nmi_comes_to_every_vcpu);
    return g_test_run();
}
