/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware finds on the q35, on the fake hypervisor: its ROM, memory that it
 * shadows, registers at power-on, and its files in fw_cfg.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/error.h"
#include "berth/fw-cfg.h"
#include "berth/hotplug.h"
#include "berth/qmp.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "golden.h"
#include "machine-bench.h"

#define ROM_SIZE (256 * KIB)
#define MCH 0x80000000u                 /* configuration addresses */
#define PAM0 0x90u
#define PCIEXBAR 0x60u
#define GOLDEN_BYTES 16u
#define MCH_ID 0x29c08086u
#define VCPU "vcpu,id=c1,socket-id=1,core-id=0,thread-id=0"

typedef struct Rig {
    MachineBench bench;
    char *rom;                  /* its path */
} Rig;

/* Each 16 KiB of the ROM are of one byte. */
static char *write_rom(size_t size)
{
    g_autofree char *bytes = g_malloc(size);
    char *path;
    int fd = g_file_open_tmp("berth-rom-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(0xa0 + i / (16 * KIB));
    g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
    return path;
}

/* The machine of @words, one string; none with @error. */
static void rig_make(Rig *rig, const char *words, GError **error)
{
    g_autofree char *line = g_strconcat("berth -nodefaults -no-shutdown ", words, NULL);
    g_auto(GStrv) argv = g_strsplit(g_strchomp(line), " ", -1);

    if (machine_bench_init(&rig->bench, argv, g_strv_length(argv), error))
        machine_bench_make(&rig->bench, vm_fake_new(), error);
}

static void rig_init(Rig *rig, const char *more)
{
    g_autofree char *words = NULL;
    g_autoptr(GError) error = NULL;

    rig->rom = write_rom(ROM_SIZE);
    words = g_strdup_printf("-m 64 -bios %s -S %s", rig->rom, more);
    rig_make(rig, words, &error);
    g_assert_no_error(error);
    g_assert_true(machine_start(rig->bench.machine, &error));
    g_assert_no_error(error);
}

static void rig_done(Rig *rig)
{
    machine_bench_done(&rig->bench);
    if (rig->rom)
        g_unlink(rig->rom);
    g_clear_pointer(&rig->rom, g_free);
}

static uint64_t peek(Rig *rig, uint64_t gpa, unsigned size)
{
    return vm_fake_read(rig->bench.machine->vm, rig->bench.machine->memory, gpa, size);
}

static void poke(Rig *rig, uint64_t gpa, uint64_t value)
{
    vm_fake_write(rig->bench.machine->vm, rig->bench.machine->memory, gpa, 1, value);
}

static uint64_t in(Rig *rig, uint16_t port, unsigned size)
{
    return vm_fake_read(rig->bench.machine->vm, rig->bench.machine->io, port, size);
}

static void out(Rig *rig, uint16_t port, unsigned size, uint64_t value)
{
    vm_fake_write(rig->bench.machine->vm, rig->bench.machine->io, port, size, value);
}

static void mch_write(Rig *rig, unsigned reg, unsigned size, uint32_t value)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, MCH | (reg & ~3u));
    out(rig, (uint16_t)(X86_PORT_PCI_DATA + (reg & 3)), size, value);
}

static uint32_t mch_read(Rig *rig, unsigned reg, unsigned size)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, MCH | (reg & ~3u));
    return (uint32_t)in(rig, (uint16_t)(X86_PORT_PCI_DATA + (reg & 3)), size);
}

static uint32_t fw_cfg_be(Rig *rig, unsigned size)
{
    uint32_t value = 0;

    while (size-- > 0)
        value = value << 8 | (uint32_t)in(rig, X86_PORT_FW_CFG + 1, 1);
    return value;
}

/* The bytes of file @name, NULL when there is none; a zero follows them. */
static uint8_t *fw_cfg_file(Rig *rig, const char *name, size_t *ret_size)
{
    unsigned n;

    out(rig, X86_PORT_FW_CFG, 2, 0x19);
    n = fw_cfg_be(rig, 4);
    for (unsigned i = 0; i < n; i++) {
        uint32_t size = fw_cfg_be(rig, 4);
        uint16_t key = fw_cfg_be(rig, 4) >> 16;
        uint8_t *bytes;
        char file[56];

        for (size_t at = 0; at < sizeof(file); at++)
            file[at] = (char)fw_cfg_be(rig, 1);
        if (strcmp(file, name) != 0)
            continue;
        out(rig, X86_PORT_FW_CFG, 2, key);
        bytes = g_malloc0(size + 1);
        for (uint32_t at = 0; at < size; at++)
            bytes[at] = (uint8_t)fw_cfg_be(rig, 1);
        *ret_size = size;
        return bytes;
    }
    return NULL;
}

static void reset(Rig *rig)
{
    runstate_request_reset(&rig->bench.machine->run,
                           SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    loop_turn(rig->bench.loop, false);
}

static void test_rom_is_at_both_ends(void)
{
    Rig rig;

    rig_init(&rig, "");
    g_assert_cmphex(peek(&rig, 0xffffffff, 1), ==, 0xaf);
    g_assert_cmphex(peek(&rig, 0xfffc0000, 1), ==, 0xa0);
    g_assert_cmphex(peek(&rig, 0xfffbffff, 1), ==, 0xff);
    g_assert_cmphex(peek(&rig, 0xfffff, 1), ==, 0xaf);
    g_assert_cmphex(peek(&rig, 0xe0000, 1), ==, 0xa8);
    g_assert_cmphex(peek(&rig, 0xdffff, 1), ==, 0xff);
    poke(&rig, 0xfffffff0, 0x11);
    poke(&rig, 0xffff0, 0x11);
    poke(&rig, 0xc0000, 0x11);
    g_assert_cmphex(peek(&rig, 0xfffffff0, 1), ==, 0xaf);
    g_assert_cmphex(peek(&rig, 0xffff0, 1), ==, 0xaf);
    mch_write(&rig, PAM0 + 1, 1, 0x33);
    g_assert_cmphex(peek(&rig, 0xc0000, 1), ==, 0);
    rig_done(&rig);
}

static void test_pam_chooses_of_rom_and_ram(void)
{
    Rig rig;

    rig_init(&rig, "");
    mch_write(&rig, PAM0, 1, 0x30);
    g_assert_cmphex(peek(&rig, 0xf0000, 2), ==, 0);
    poke(&rig, 0xf0000, 0x42);
    mch_write(&rig, PAM0, 1, 0x10);
    poke(&rig, 0xf0000, 0x43);
    g_assert_cmphex(peek(&rig, 0xf0000, 1), ==, 0x42);
    g_assert_cmphex(peek(&rig, 0xeffff, 1), ==, 0xab);
    mch_write(&rig, PAM0, 1, 0x20);
    g_assert_cmphex(peek(&rig, 0xf0000, 1), ==, 0xac);

    /* Halves of a register, and registers that one write reaches. */
    mch_write(&rig, PAM0 + 1, 1, 0x03);
    poke(&rig, 0xc0000, 0x44);
    poke(&rig, 0xc4000, 0x44);
    g_assert_cmphex(peek(&rig, 0xc0000, 1), ==, 0x44);
    g_assert_cmphex(peek(&rig, 0xc4000, 1), ==, 0xff);
    mch_write(&rig, PAM0 + 4, 4, 0xffffffff);
    g_assert_cmphex(mch_read(&rig, PAM0 + 4, 2), ==, 0x3333);
    g_assert_cmphex(peek(&rig, 0xe0000, 1), ==, 0);
    g_assert_cmphex(peek(&rig, 0xec000, 1), ==, 0);
    rig_done(&rig);
}

/* There a backend of a node is in the place of the machine's. */
static void test_pam_of_a_machine_of_nodes(void)
{
    Rig rig;

    rig_init(&rig, "-object memory-backend-ram,id=a,size=32M -object "
             "memory-backend-ram,id=b,size=32M -numa node,memdev=a -numa node,memdev=b");
    mch_write(&rig, PAM0, 1, 0x30);
    g_assert_cmphex(peek(&rig, 0xf0000, 2), ==, 0);
    poke(&rig, 0xf0000, 0x42);
    g_assert_cmphex(peek(&rig, 0xf0000, 1), ==, 0x42);
    mch_write(&rig, PAM0, 1, 0);
    g_assert_cmphex(peek(&rig, 0xf0000, 1), ==, 0xac);
    rig_done(&rig);
}

static void test_reset_brings_the_rom_back_and_sleep_does_not(void)
{
    Rig rig;

    rig_init(&rig, "");
    mch_write(&rig, PAM0, 1, 0x30);
    poke(&rig, 0xf0000, 0x42);
    device_tree_suspend(&rig.bench.machine->tree);
    g_assert_cmphex(peek(&rig, 0xf0000, 1), ==, 0x42);
    g_assert_cmphex(mch_read(&rig, PCIEXBAR, 4), ==, 0);
    reset(&rig);
    g_assert_cmphex(peek(&rig, 0xf0000, 1), ==, 0xac);
    mch_write(&rig, PAM0, 1, 0x30);
    g_assert_cmphex(peek(&rig, 0xf0000, 1), ==, 0x42);
    rig_done(&rig);
}

/* SeaBIOS counted the processors that came since it began in memory that was locked. */
static void test_firmware_that_wakes_writes_to_its_variables(void)
{
    Rig rig = { 0 };

    rig_init(&rig, "");
    mch_write(&rig, PAM0, 4, 0x01331110);
    poke(&rig, 0xf5240, 0x11);
    poke(&rig, 0xc4000, 0x12);
    g_assert_cmphex(peek(&rig, 0xf5240, 1), ==, 0);
    g_assert_cmphex(peek(&rig, 0xc4000, 1), ==, 0);

    device_tree_suspend(&rig.bench.machine->tree);

    g_assert_cmphex(mch_read(&rig, PAM0, 4), ==, 0x03333330);
    poke(&rig, 0xf5240, 0x11);
    poke(&rig, 0xc4000, 0x12);
    g_assert_cmphex(peek(&rig, 0xf5240, 1), ==, 0x11);
    g_assert_cmphex(peek(&rig, 0xc4000, 1), ==, 0x12);
    rig_done(&rig);
}

static void test_firmware_places_the_ecam(void)
{
    Rig rig;

    rig_init(&rig, "");
    g_assert_cmphex(peek(&rig, X86_ECAM_BASE, 4), ==, UINT32_MAX);
    mch_write(&rig, PCIEXBAR, 4, (uint32_t)X86_ECAM_BASE | 1);
    g_assert_cmphex(peek(&rig, X86_ECAM_BASE, 4), ==, MCH_ID);
    mch_write(&rig, PCIEXBAR, 4, 0xe0000001);
    g_assert_cmphex(peek(&rig, X86_ECAM_BASE, 4), ==, UINT32_MAX);
    g_assert_cmphex(peek(&rig, 0xe0000000, 4), ==, MCH_ID);
    mch_write(&rig, PCIEXBAR + 4, 4, 0xffffffff);
    g_assert_cmphex(peek(&rig, 0xfe0000000, 4), ==, MCH_ID);
    mch_write(&rig, PCIEXBAR + 4, 4, 0);
    /* It hides neither RAM nor ROM. */
    mch_write(&rig, PCIEXBAR, 4, 1);
    g_assert_cmphex(peek(&rig, 0, 4), ==, 0);
    mch_write(&rig, PCIEXBAR, 4, 0xf0000001);
    g_assert_cmphex(peek(&rig, 0xffffffff, 1), ==, 0xaf);
    g_assert_cmphex(peek(&rig, 0xf0000000, 4), ==, MCH_ID);
    rig_done(&rig);
}

static void test_nothing_of_pci_is_assigned(void)
{
    Rig rig;

    rig_init(&rig, "-device virtio-rng-pci,addr=3");
    out(&rig, X86_PORT_PCI_ADDRESS, 4, 0x80001804);
    g_assert_cmphex(in(&rig, X86_PORT_PCI_DATA, 2), ==, 0);
    out(&rig, X86_PORT_PCI_ADDRESS, 4, 0x80001820);
    g_assert_cmphex(in(&rig, X86_PORT_PCI_DATA, 4) & ~0xfu, ==, 0);
    out(&rig, X86_PORT_PCI_ADDRESS, 4, 0x8000f840);
    g_assert_cmphex(in(&rig, X86_PORT_PCI_DATA, 4), ==, 1);
    g_assert_cmphex(in(&rig, X86_PM_BASE + X86_PM_TMR, 4), ==, UINT32_MAX);
    rig_done(&rig);
}

static void assert_list(const char *args, const char *expected)
{
    g_autofree uint8_t *list = NULL;
    size_t size;
    Rig rig;

    rig_init(&rig, args);
    list = fw_cfg_file(&rig, "bootorder", &size);
    g_assert_nonnull(list);
    g_assert_cmpstr((char *)list, ==, expected);
    g_assert_cmpuint(size, ==, *expected ? strlen(expected) + 1 : 0);
    rig_done(&rig);
}

static void test_boot_devices_are_listed(void)
{
    assert_list("", "");
    assert_list("-boot strict=on", "HALT");
    /* Kinds of device are in the CMOS alone, which OVMF does not read. */
    assert_list("-boot order=n,once=d -blockdev null-co,node-name=a,size=1048576 "
                "-device virtio-blk-pci,drive=a", "");
    assert_list("-boot order=n,once=d -blockdev null-co,node-name=a,size=1048576 "
                "-device virtio-blk-pci,drive=a,addr=5,bootindex=0",
                "/pci@i0cf8/scsi@5/disk@0,0");
    assert_list("-blockdev null-co,node-name=a,size=1048576 "
                "-blockdev null-co,node-name=b,size=1048576 "
                "-device pcie-root-port,id=port,addr=1.2,chassis=1,multifunction=on "
                "-device virtio-scsi-pci,id=s,addr=4 "
                "-device virtio-blk-pci,drive=a,bus=port,bootindex=7 "
                "-device scsi-hd,drive=b,bus=s.0,scsi-id=10,lun=2,bootindex=1 "
                "-netdev dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=0,"
                "remote.type=inet,remote.host=127.0.0.1,remote.port=9 "
                "-device virtio-net-pci,netdev=n,addr=5,bootindex=3 "
                "-boot strict=on",
                "/pci@i0cf8/scsi@4/channel@0/disk@a,2\n"
                "/pci@i0cf8/ethernet@5/ethernet-phy@0\n"
                "/pci@i0cf8/pci-bridge@1,2/scsi@0/disk@0,0\n"
                "HALT");
}

static uint32_t le32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return GUINT32_FROM_LE(value);
}

static uint64_t le64(const uint8_t *bytes)
{
    return le32(bytes) | (uint64_t)le32(bytes + 4) << 32;
}

static void test_memory_and_console_are_told(void)
{
    g_autofree uint8_t *e820 = NULL, *console = NULL, *states = NULL, *wait = NULL;
    size_t size;
    Rig rig;

    rig_init(&rig, "-serial null");
    e820 = fw_cfg_file(&rig, "etc/e820", &size);
    g_assert_cmpuint(size, ==, 2 * 20);
    g_assert_cmphex(le64(e820 + 8), ==, 64 * MIB);
    g_assert_cmpuint(le32(e820 + 16), ==, 1);
    g_assert_cmphex(le64(e820 + 20), ==, X86_KVM_IDENTITY_MAP);
    console = fw_cfg_file(&rig, "etc/sercon-port", &size);
    g_assert_cmpuint(size, ==, 2);
    g_assert_cmphex(console[1] << 8 | console[0], ==, X86_PORT_COM1);
    states = fw_cfg_file(&rig, "etc/system-states", &size);
    g_assert_cmpmem(states, size, "\x80\x00\x00\x81\x82\x80", 6);
    wait = fw_cfg_file(&rig, "etc/boot-fail-wait", &size);
    g_assert_cmpmem(wait, size, "\xff\xff\xff\xff", 4);
    rig_done(&rig);

    rig_init(&rig, "-global ICH9-LPC.disable_s3=1 -boot reboot-timeout=5");
    g_assert_null(fw_cfg_file(&rig, "etc/sercon-port", &size));
    g_free(g_steal_pointer(&states));
    states = fw_cfg_file(&rig, "etc/system-states", &size);
    g_assert_cmphex(states[3], ==, 0x01);
    g_free(g_steal_pointer(&wait));
    wait = fw_cfg_file(&rig, "etc/boot-fail-wait", &size);
    g_assert_cmpmem(wait, size, "\x05\x00\x00\x00", 4);
    rig_done(&rig);
}

static void test_vmx_is_to_be_switched_on(void)
{
    g_autofree uint8_t *with = NULL;
    size_t size;
    Rig rig;

    rig_init(&rig, "-cpu host");
    with = fw_cfg_file(&rig, "etc/msr_feature_control", &size);
    g_assert_nonnull(with);
    g_assert_cmpmem(with, size, "\5\0\0\0\0\0\0\0", 8);
    rig_done(&rig);
    rig_init(&rig, "-cpu host,vmx=off");
    g_assert_null(fw_cfg_file(&rig, "etc/msr_feature_control", &size));
    rig_done(&rig);
}

/* Keys and names of all files, and the bytes of the small ones. */
static void test_directory_is_the_golden_one(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned n;
    Rig rig;

    rig_init(&rig, "-serial null -device pvpanic -device vmcoreinfo -device "
             "vmgenid,guid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90e -boot "
             "menu=on,splash-time=1000,strict=on -fw_cfg name=opt/org.x/y,string=z");
    out(&rig, X86_PORT_FW_CFG, 2, 0x19);
    n = fw_cfg_be(&rig, 4);
    for (unsigned i = 0; i < n; i++) {
        g_autofree uint8_t *bytes = NULL;
        char entry[64];
        size_t size;

        out(&rig, X86_PORT_FW_CFG, 2, 0x19);
        for (size_t at = 0; at < 4 + i * sizeof(entry); at++)
            fw_cfg_be(&rig, 1);
        for (size_t at = 0; at < sizeof(entry); at++)
            entry[at] = (char)fw_cfg_be(&rig, 1);
        bytes = fw_cfg_file(&rig, entry + 8, &size);
        g_string_append_printf(text, "%02x%02x %s", (uint8_t)entry[4], (uint8_t)entry[5],
                               entry + 8);
        for (size_t at = 0; size <= GOLDEN_BYTES && at < size; at++)
            g_string_append_printf(text, "%s%02x", at == 0 ? ": " : " ", bytes[at]);
        g_string_append_c(text, '\n');
    }
    golden_check("tests/data/fw-cfg.txt", text->str, text->len);
    rig_done(&rig);
}

/* A firmware's linker of tables. */
typedef struct Linker {
    Rig *rig;
    struct {
        char name[56];
        uint8_t *bytes;
        size_t size;
        uint64_t gpa;
    } files[8];
    unsigned n_files;
    uint64_t next;              /* free memory */
    char written_to[56];
    uint64_t written;
} Linker;

static unsigned find(const Linker *linker, const uint8_t *name)
{
    for (unsigned i = 0; i < linker->n_files; i++) {
        if (strncmp(linker->files[i].name, (const char *)name, 56) == 0)
            return i;
    }
    g_assert_not_reached();
}

static void link_allocate(Linker *linker, const uint8_t *entry)
{
    unsigned i = linker->n_files++;
    uint32_t align = le32(entry + 56);

    memcpy(linker->files[i].name, entry, 56);
    linker->files[i].bytes =
        fw_cfg_file(linker->rig, (const char *)entry, &linker->files[i].size);
    g_assert_nonnull(linker->files[i].bytes);
    linker->files[i].gpa = ALIGN_UP(linker->next, (uint64_t)align);
    linker->next = linker->files[i].gpa + linker->files[i].size;
}

static void link_pointer(Linker *linker, const uint8_t *entry)
{
    unsigned dest = find(linker, entry), source = find(linker, entry + 56);
    uint32_t offset = le32(entry + 112);
    uint8_t size = entry[116];
    uint64_t value = 0;

    g_assert_cmpuint(offset + size, <=, linker->files[dest].size);
    memcpy(&value, linker->files[dest].bytes + offset, size);
    g_assert_cmpuint(value, <, linker->files[source].size);
    value += linker->files[source].gpa;
    memcpy(linker->files[dest].bytes + offset, &value, size);
}

static uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;

    while (size-- > 0)
        total += *bytes++;
    return total;
}

static void link_checksum(Linker *linker, const uint8_t *entry)
{
    unsigned i = find(linker, entry);
    uint32_t offset = le32(entry + 56), start = le32(entry + 60);
    uint32_t length = le32(entry + 64);

    g_assert_cmpuint(start + length, <=, linker->files[i].size);
    linker->files[i].bytes[offset] -= sum(linker->files[i].bytes + start, length);
}

static void link_all(Linker *linker, Rig *rig)
{
    g_autofree uint8_t *script = NULL;
    size_t size;

    *linker = (Linker) { .rig = rig, .next = 0x12345 };
    script = fw_cfg_file(rig, "etc/table-loader", &size);
    g_assert_nonnull(script);
    g_assert_cmpuint(size % 128, ==, 0);
    for (size_t at = 0; at < size; at += 128) {
        const uint8_t *entry = script + at + 4;

        switch (le32(script + at)) {
        case 1:
            link_allocate(linker, entry);
            break;
        case 2:
            link_pointer(linker, entry);
            break;
        case 3:
            link_checksum(linker, entry);
            break;
        case 4:
            memcpy(linker->written_to, entry, 56);
            linker->written = linker->files[find(linker, entry + 56)].gpa +
                              le32(entry + 116);
            break;
        default:
            g_assert_not_reached();
        }
    }
}

static void link_done(Linker *linker)
{
    for (unsigned i = 0; i < linker->n_files; i++)
        g_free(linker->files[i].bytes);
}

/* What is at @gpa in the tables. */
static const uint8_t *at(const Linker *linker, uint64_t gpa, size_t size)
{
    unsigned i = find(linker, (const uint8_t *)"etc/acpi/tables");
    uint64_t offset = gpa - linker->files[i].gpa;

    g_assert_cmpuint(gpa, >=, linker->files[i].gpa);
    g_assert_cmpuint(offset + size, <=, linker->files[i].size);
    return linker->files[i].bytes + offset;
}

static const uint8_t *table_at(const Linker *linker, uint64_t gpa, const char *signature)
{
    const uint8_t *table = at(linker, gpa, 36);

    g_assert_cmpmem(table, 4, signature, 4);
    at(linker, gpa, le32(table + 4));
    if (strcmp(signature, "FACS") != 0)
        g_assert_cmphex(sum(table, le32(table + 4)), ==, 0);
    return table;
}

static void test_tables_can_be_linked(void)
{
    const uint8_t *rsdp, *xsdt, *fadt;
    Linker linker;
    Rig rig;

    rig_init(&rig, "");
    link_all(&linker, &rig);
    rsdp = linker.files[find(&linker, (const uint8_t *)"etc/acpi/rsdp")].bytes;
    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmphex(sum(rsdp, 20), ==, 0);
    g_assert_cmphex(sum(rsdp, 36), ==, 0);
    xsdt = table_at(&linker, le64(rsdp + 24), "XSDT");
    g_assert_cmpuint(le32(xsdt + 4), ==, 36 + 4 * 8);
    fadt = table_at(&linker, le64(xsdt + 36), "FACP");
    table_at(&linker, le64(xsdt + 44), "APIC");
    table_at(&linker, le64(xsdt + 52), "MCFG");
    table_at(&linker, le32(fadt + 36), "FACS");
    table_at(&linker, le32(fadt + 40), "DSDT");
    g_assert_cmphex(le64(fadt + 140), ==, le32(fadt + 40));
    g_assert_cmphex(linker.written, ==, 0);
    link_done(&linker);
    rig_done(&rig);

    rig_init(&rig, "-machine acpi=off");
    g_assert_null(fw_cfg_file(&rig, "etc/table-loader", &(size_t){ 0 }));
    rig_done(&rig);
}

static void test_generation_id_is_linked(void)
{
    static const uint8_t address[] = { 'A', 'D', 'D', 'R', 0x12 };
    const uint8_t *dsdt, *found;
    unsigned tables, guid;
    Linker linker;
    Rig rig;

    rig_init(&rig, "-device vmgenid,guid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90e");
    link_all(&linker, &rig);
    tables = find(&linker, (const uint8_t *)"etc/acpi/tables");
    guid = find(&linker, (const uint8_t *)"etc/vmgenid_guid");
    g_assert_cmpstr(linker.written_to, ==, "etc/vmgenid_addr");
    g_assert_cmphex(linker.written, ==, linker.files[guid].gpa);
    g_assert_cmphex(linker.files[guid].gpa % 4096, ==, 0);
    dsdt = linker.files[tables].bytes;
    found = memmem(dsdt, linker.files[tables].size, address, sizeof(address));
    g_assert_nonnull(found);
    /* The package's length and count, then the constant. */
    g_assert_cmphex(found[7], ==, 0x0c);
    g_assert_cmphex(le32(found + 8), ==, linker.files[guid].gpa + 40);
    link_done(&linker);
    rig_done(&rig);
}

static unsigned n_cpus(Rig *rig)
{
    out(rig, X86_PORT_FW_CFG, 2, FW_CFG_N_CPUS);
    return (unsigned)(in(rig, X86_PORT_FW_CFG + 1, 1) |
                      in(rig, X86_PORT_FW_CFG + 1, 1) << 8);
}

/* The flags of vCPU 1 in the MADT: 1 it is there, 2 it may come. */
static uint32_t madt_flags(Rig *rig)
{
    size_t size;
    g_autofree uint8_t *tables = fw_cfg_file(rig, "etc/acpi/tables", &size);
    const uint8_t *madt = memmem(tables, size, "APIC", 4);

    g_assert_nonnull(madt);
    g_assert_cmphex(madt[44] | madt[52], ==, 0);
    return le32(madt + 52 + 4);
}

static void plug(Rig *rig, const char *text)
{
    g_autoptr(DeviceAddArgs) args =
        qapi_parse_keyval(QAPI_TYPE_DEVICE_ADD_ARGS, text, "driver", NULL);

    g_assert_nonnull(hotplug_add(&rig->bench.machine->tree, args, NULL));
}

static void test_disk_that_came_before_the_start_is_listed(void)
{
    g_autofree uint8_t *list = NULL;
    size_t size;
    Rig rig;

    rig_init(&rig, "-device pcie-root-port,id=p,addr=3 -blockdev null-co,node-name=a");
    plug(&rig, "virtio-blk-pci,drive=a,bus=p,bootindex=1");
    g_assert_true(machine_cont(rig.bench.machine, NULL));
    list = fw_cfg_file(&rig, "bootorder", &size);
    g_assert_cmpstr((char *)list, ==, "/pci@i0cf8/pci-bridge@3/scsi@0/disk@0,0");
    rig_done(&rig);
}

static void test_vcpus_that_came_are_told_of(void)
{
    Rig rig;

    rig_init(&rig, "-smp 1,maxcpus=2,sockets=2");
    g_assert_cmpuint(n_cpus(&rig), ==, 1);
    g_assert_cmphex(madt_flags(&rig), ==, 2);
    plug(&rig, VCPU);
    g_assert_true(machine_cont(rig.bench.machine, NULL));
    g_assert_cmpuint(n_cpus(&rig), ==, 2);
    g_assert_cmphex(madt_flags(&rig), ==, 1);

    /* While the guest runs what it reads stays. */
    g_assert_true(hotplug_force(device_find(&rig.bench.machine->tree, "c1"), NULL));
    g_assert_cmpuint(n_cpus(&rig), ==, 2);
    reset(&rig);
    g_assert_cmpuint(n_cpus(&rig), ==, 1);
    g_assert_cmphex(madt_flags(&rig), ==, 2);
    rig_done(&rig);

    rig_init(&rig, "-smp 1,maxcpus=2,sockets=2 -device "
             "host-x86_64-cpu,socket-id=1,core-id=0,thread-id=0");
    g_assert_cmpuint(n_cpus(&rig), ==, 2);
    g_assert_cmphex(madt_flags(&rig), ==, 1);
    rig_done(&rig);
}

/* Firmware waits for as many as it is told of, also when the guest wakes. */
static void test_vcpus_that_came_are_told_of_at_the_wake_up(void)
{
    Machine *machine;
    Rig rig;

    rig_init(&rig, "-smp 1,maxcpus=2,sockets=2");
    machine = rig.bench.machine;
    g_assert_true(machine_cont(machine, NULL));
    plug(&rig, VCPU);
    g_assert_cmpuint(n_cpus(&rig), ==, 1);
    runstate_request_suspend(&machine->run);
    loop_turn(rig.bench.loop, false);
    g_assert_cmpint(machine->run.state, ==, RUN_STATE_SUSPENDED);
    runstate_request_wakeup(&machine->run, BOARD_WAKE_OTHER);
    loop_turn(rig.bench.loop, false);
    g_assert_cmpint(machine->run.state, ==, RUN_STATE_RUNNING);
    g_assert_cmpuint(n_cpus(&rig), ==, 2);
    reset(&rig);
    g_assert_cmphex(madt_flags(&rig), ==, 1);
    rig_done(&rig);
}

#define SLOT3 0x80001800u
#define ROM_BAR 0x30u
#define ROM_AT 0xc0100000u

static uint32_t config(Rig *rig, unsigned reg)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, SLOT3 | reg);
    return (uint32_t)in(rig, X86_PORT_PCI_DATA, 4);
}

static void set_config(Rig *rig, unsigned reg, uint32_t value)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, SLOT3 | reg);
    out(rig, X86_PORT_PCI_DATA, 4, value);
}

static void test_option_rom_has_a_bar(void)
{
    g_autofree char *file = write_rom(100 * KIB);
    g_autofree char *args =
        g_strdup_printf("-device virtio-rng-pci,addr=3,romfile=%s", file);
    g_autofree char *off = g_strconcat(args, ",rombar=0", NULL);
    Rig rig;

    rig_init(&rig, args);
    g_assert_cmphex(config(&rig, ROM_BAR), ==, 0);
    set_config(&rig, ROM_BAR, 0xfffffffe);
    g_assert_cmphex(config(&rig, ROM_BAR), ==, ~(uint32_t)(128 * KIB - 1));
    set_config(&rig, 4, 2);
    set_config(&rig, ROM_BAR, ROM_AT);
    g_assert_cmphex(peek(&rig, ROM_AT, 1), ==, 0xff);
    set_config(&rig, ROM_BAR, ROM_AT | 1);
    g_assert_cmphex(peek(&rig, ROM_AT, 1), ==, 0xa0);
    poke(&rig, ROM_AT, 0x11);
    g_assert_cmphex(peek(&rig, ROM_AT, 1), ==, 0xa0);
    g_assert_cmphex(peek(&rig, ROM_AT + 100 * KIB - 1, 2), ==, 0xffa6);
    set_config(&rig, ROM_BAR, (ROM_AT + MIB) | 1);
    g_assert_cmphex(peek(&rig, ROM_AT, 1), ==, 0xff);
    g_assert_cmphex(peek(&rig, ROM_AT + MIB + 16 * KIB, 1), ==, 0xa1);
    /* It hides no RAM, and is unmapped with the function's memory. */
    set_config(&rig, ROM_BAR, MIB | 1);
    g_assert_cmphex(peek(&rig, MIB, 1), ==, 0);
    set_config(&rig, ROM_BAR, ROM_AT | 1);
    set_config(&rig, 4, 0);
    g_assert_cmphex(peek(&rig, ROM_AT, 1), ==, 0xff);
    set_config(&rig, 4, 2);
    reset(&rig);
    g_assert_cmphex(config(&rig, ROM_BAR), ==, 0);
    g_assert_cmphex(peek(&rig, ROM_AT, 1), ==, 0xff);
    rig_done(&rig);

    rig_init(&rig, off);
    set_config(&rig, ROM_BAR, UINT32_MAX);
    g_assert_cmphex(config(&rig, ROM_BAR), ==, 0);
    rig_done(&rig);
    g_unlink(file);
}

static void test_network_device_has_a_rom(void)
{
    const char *device = "-netdev dgram,id=n,local.type=inet,local.host=127.0.0.1,"
                         "local.port=0,remote.type=inet,remote.host=127.0.0.1,"
                         "remote.port=9 -device virtio-net-pci,netdev=n,addr=3";
    g_autofree char *none = g_strconcat(device, ",romfile=", NULL);
    uint8_t total = 0;
    uint32_t data;
    Rig rig;

    if (!g_file_test("/usr/lib/ipxe/qemu/efi-virtio.rom", G_FILE_TEST_EXISTS)) {
        g_test_skip("the package ipxe-qemu is not installed");
        return;
    }
    rig_init(&rig, device);
    set_config(&rig, 4, 2);
    set_config(&rig, ROM_BAR, ROM_AT | 1);
    g_assert_cmphex(peek(&rig, ROM_AT, 2), ==, 0xaa55);
    data = (uint32_t)peek(&rig, ROM_AT + 0x18, 2);
    g_assert_cmphex(peek(&rig, ROM_AT + data + 4, 4), ==, config(&rig, 0));
    for (uint32_t i = 0; i < peek(&rig, ROM_AT + 2, 1) * 512; i++)
        total += (uint8_t)peek(&rig, ROM_AT + i, 1);
    g_assert_cmphex(total, ==, 0);
    rig_done(&rig);

    rig_init(&rig, none);
    set_config(&rig, ROM_BAR, UINT32_MAX);
    g_assert_cmphex(config(&rig, ROM_BAR), ==, 0);
    rig_done(&rig);
}

static void assert_refused(const char *words, const char *part)
{
    g_autoptr(GError) error = NULL;
    Rig rig = { 0 };

    rig_make(&rig, words, &error);
    g_assert_null(rig.bench.machine);
    g_assert_nonnull(error);
    if (!strstr(error->message, part))
        g_error("'%s' is not in '%s'", part, error->message);
    rig_done(&rig);
}

/* For firmware that -bios names, and for the one that is started without it. */
static void test_folders_of_the_operator_come_first(void)
{
    g_autofree char *folder = g_dir_make_tmp("berth-roms-XXXXXX", NULL);
    static const char *const options[] = { "", "-bios bios-256k.bin" };
    g_autofree char *path = g_build_filename(folder, "bios-256k.bin", NULL);
    g_autofree char *rom = write_rom(ROM_SIZE);

    g_assert_cmpint(g_rename(rom, path), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autofree char *words =
            g_strdup_printf("-m 64 -L /nowhere -L %s -S %s", folder, options[i]);
        g_autoptr(GError) error = NULL;
        Rig rig = { 0 };

        rig_make(&rig, words, &error);
        g_assert_no_error(error);
        g_assert_cmphex(peek(&rig, X86_HIGH_RAM_BASE - ROM_SIZE, 1), ==, 0xa0);
        rig_done(&rig);
    }
    g_unlink(path);
    g_rmdir(folder);
}

static void test_refusals(void)
{
    g_autofree char *odd = write_rom(100 * KIB + 1), *good = write_rom(ROM_SIZE);
    g_autofree char *with_odd = g_strconcat("-bios ", odd, NULL);
    g_autofree char *empty = write_rom(0);
    g_autofree char *large = write_rom(16 * MIB + 64 * KIB);
    g_autofree char *no_rom = g_strconcat("-device virtio-rng-pci,romfile=", empty, NULL);
    g_autofree char *large_rom = g_strconcat("-device virtio-rng-pci,romfile=", large,
                                             NULL);
    g_autofree char *with_empty = g_strconcat("-bios ", empty, NULL);
    g_autofree char *with_large = g_strconcat("-bios ", large, NULL);
    g_autofree char *small = g_strdup_printf("-m 512K -bios %s", good);
    g_autofree char *twice = g_strdup_printf(
        "-bios %s -blockdev null-co,node-name=a,size=1048576 "
        "-device virtio-blk-pci,drive=a,bootindex=1,id=x "
        "-blockdev null-co,node-name=b,size=1048576 "
        "-device virtio-blk-pci,drive=b,bootindex=1,id=y", good);

    assert_refused("-bios /nowhere/rom", "/nowhere/rom");
    assert_refused("-bios no-such-rom.bin", "no-such-rom.bin");
    assert_refused(with_odd, "64 KiB");
    assert_refused(with_empty, empty);
    assert_refused(with_large, "16777216 bytes");
    assert_refused("-bios /dev/null", "not a regular file");
    assert_refused(small, "-m: ");
    assert_refused(twice, "'x' and 'y'");
    assert_refused("-device virtio-rng-pci,romfile=/nowhere/rom", "'romfile'");
    assert_refused("-device virtio-rng-pci,romfile=no-such.rom", "'no-such.rom'");
    assert_refused("-device virtio-rng-pci,romfile=/dev/null", "not a regular file");
    assert_refused("-device virtio-rng-pci,romfile=/dev/zero", "'romfile'");
    assert_refused(no_rom, "is empty");
    assert_refused(large_rom, "'romfile'");
    g_unlink(odd);
    g_unlink(good);
    g_unlink(empty);
    g_unlink(large);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/firmware/vcpus-that-came-are-told-of",
                    test_vcpus_that_came_are_told_of);
    g_test_add_func("/firmware/directory-is-the-golden-one",
                    test_directory_is_the_golden_one);
    g_test_add_func("/firmware/vcpus-that-came-are-told-of-at-the-wake-up",
                    test_vcpus_that_came_are_told_of_at_the_wake_up);
    g_test_add_func("/firmware/rom", test_rom_is_at_both_ends);
    g_test_add_func("/firmware/pam", test_pam_chooses_of_rom_and_ram);
    g_test_add_func("/firmware/pam-of-nodes", test_pam_of_a_machine_of_nodes);
    g_test_add_func("/firmware/reset", test_reset_brings_the_rom_back_and_sleep_does_not);
    g_test_add_func("/firmware/firmware-that-wakes-writes-to-its-variables",
                    test_firmware_that_wakes_writes_to_its_variables);
    g_test_add_func("/firmware/ecam", test_firmware_places_the_ecam);
    g_test_add_func("/firmware/pci", test_nothing_of_pci_is_assigned);
    g_test_add_func("/firmware/boot-devices", test_boot_devices_are_listed);
    g_test_add_func("/firmware/boot-devices-before-the-start",
                    test_disk_that_came_before_the_start_is_listed);
    g_test_add_func("/firmware/files", test_memory_and_console_are_told);
    g_test_add_func("/firmware/vmx", test_vmx_is_to_be_switched_on);
    g_test_add_func("/firmware/tables", test_tables_can_be_linked);
    g_test_add_func("/firmware/vmgenid", test_generation_id_is_linked);
    g_test_add_func("/firmware/option-rom", test_option_rom_has_a_bar);
    g_test_add_func("/firmware/network-rom", test_network_device_has_a_rom);
    g_test_add_func("/firmware/folders",
                    test_folders_of_the_operator_come_first);
    g_test_add_func("/firmware/refusals", test_refusals);
    return g_test_run();
}
