/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System management mode on the q35, on the fake hypervisor: who sees which memory, who
 * is interrupted, and what cannot be changed any more once firmware has locked it.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/smi-features.h"
#include "berth/pci.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "kit-smi.h"
#include "machine-bench.h"

#define MCH 0x80000000u                 /* configuration addresses */
#define LPC (0x80000000u | PCI_DEVFN(0x1f, 0) << 8)
#define PAM 0x90u
#define SMBASE_REGISTER 0x9cu
#define SMBASE 0x30000u
#define SMBASE_SIZE 0x20000u
#define PLACES "-smp 1,maxcpus=2"       /* for vCPUs that may come */
#define SMRAM 0x9du
#define ESMRAMC 0x9eu
#define TSEG_MBYTES 0x50u
#define TSEGMB 0xacu
#define OPEN 0x40u
#define CLS 0x20u
#define LCK 0x10u
#define ENABLE 0x08u
#define SEG 0x02u
#define T_EN 0x01u
#define RAM (64 * MIB)
#define ONES 0xffu

#define PMCON 0xa0u
#define SMI_LOCK 0x10u
#define SMI_EN (X86_PM_BASE + X86_PM_SMI)
#define SMI_STS (SMI_EN + 4)
#define GBL 0x01u
#define APMC 0x20u
#define APM_CNT X86_PORT_SMI_CMD
#define SUPPORTED "etc/smi/supported-features"

typedef struct Rig {
    MachineBench bench;
    char *rom;
    Vm *vm;
    AddressSpace *memory;
    AddressSpace *smm;
    unsigned n_exits;           /* atomic */
} Rig;

/* @how is what the name of the file with firmware, all zeros, follows. */
static void rig_init_how(Rig *rig, const char *how, const char *words)
{
    g_autofree char *rom = g_malloc0(64 * KIB);
    g_autofree char *line = NULL;
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("berth-rom-XXXXXX", &rig->rom, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(rig->rom, rom, 64 * KIB, NULL));
    line = g_strdup_printf("berth -nodefaults -no-shutdown -S %s%s %s", how, rig->rom,
                           words);
    argv = g_strsplit(line, " ", -1);
    rig->vm = vm_fake_new();
    g_assert_true(machine_bench_init(&rig->bench, argv, g_strv_length(argv), &error));
    machine_bench_make(&rig->bench, rig->vm, &error);
    g_assert_no_error(error);
    g_assert_true(machine_start(rig->bench.machine, &error));
    rig->memory = rig->bench.machine->memory;
    rig->smm = rig->bench.machine->smm;
    rig->n_exits = 0;
}

static void rig_init(Rig *rig, const char *words)
{
    rig_init_how(rig, "-bios ", words);
}

static void rig_done(Rig *rig)
{
    machine_bench_done(&rig->bench);
    g_unlink(rig->rom);
    g_free(rig->rom);
}

static uint64_t peek(Rig *rig, AddressSpace *as, uint64_t gpa)
{
    return vm_fake_read(rig->vm, as, gpa, 1);
}

static void poke(Rig *rig, AddressSpace *as, uint64_t gpa, uint8_t value)
{
    vm_fake_write(rig->vm, as, gpa, 1, value);
}

static void out(Rig *rig, uint16_t port, unsigned size, uint32_t value)
{
    vm_fake_write(rig->vm, rig->bench.machine->io, port, size, value);
}

static uint32_t in(Rig *rig, uint16_t port, unsigned size)
{
    return (uint32_t)vm_fake_read(rig->vm, rig->bench.machine->io, port, size);
}

static void config_write(Rig *rig, unsigned reg, unsigned size, uint32_t value)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, MCH | (reg & ~3u));
    out(rig, (uint16_t)(X86_PORT_PCI_DATA + (reg & 3)), size, value);
}

static uint32_t config_read(Rig *rig, unsigned reg, unsigned size)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, MCH | (reg & ~3u));
    return in(rig, (uint16_t)(X86_PORT_PCI_DATA + (reg & 3)), size);
}

static void lpc_write(Rig *rig, unsigned reg, unsigned size, uint32_t value)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, LPC | (reg & ~3u));
    out(rig, (uint16_t)(X86_PORT_PCI_DATA + (reg & 3)), size, value);
}

static uint32_t lpc_read(Rig *rig, unsigned reg, unsigned size)
{
    out(rig, X86_PORT_PCI_ADDRESS, 4, LPC | (reg & ~3u));
    return in(rig, (uint16_t)(X86_PORT_PCI_DATA + (reg & 3)), size);
}

/* Whether RAM is seen at @gpa: what is written there stays, and is there. */
static bool sees_ram(Rig *rig, AddressSpace *as, uint64_t gpa)
{
    uint8_t *ram = address_space_map(rig->smm, gpa, 1, true);

    poke(rig, as, gpa, 0x5a);
    if (peek(rig, as, gpa) != 0x5a) {
        g_assert_cmphex(peek(rig, as, gpa), ==, ONES);
        g_assert_null(address_space_map(as, gpa, 1, false));
        g_assert_true(!ram || *ram != 0x5a);
        return false;
    }
    g_assert_nonnull(ram);
    g_assert_cmphex(*ram, ==, 0x5a);
    poke(rig, as, gpa, 0);
    return true;
}

static void reset(Rig *rig)
{
    device_tree_reset(&rig->bench.machine->tree);
}

static void test_without(void)
{
    Rig rig;

    rig_init(&rig, "-m 64 -machine smm=off");

    g_assert_null(rig.smm);
    for (unsigned value = 0; value < 256; value++) {
        config_write(&rig, SMRAM, 1, value);
        config_write(&rig, ESMRAMC, 1, value);
        g_assert_cmphex(config_read(&rig, SMRAM, 1), ==, LCK | SEG);
        g_assert_cmphex(config_read(&rig, ESMRAMC, 1), ==, 0);
    }
    config_write(&rig, TSEG_MBYTES, 2, 0xffff);
    g_assert_cmphex(config_read(&rig, TSEG_MBYTES, 2), ==, 0);
    poke(&rig, rig.memory, RAM - 1, 7);
    g_assert_cmphex(peek(&rig, rig.memory, RAM - 1), ==, 7);
    rig_done(&rig);
}

static void test_compatible_segment(void)
{
    static const struct {
        uint8_t smram;
        bool outside;
        bool inside;
    } rows[] = {
        { 0, false, false },
        { OPEN, false, false },
        { ENABLE, false, true },
        { ENABLE | CLS, false, true },
        { ENABLE | OPEN, true, true },
        { ENABLE, false, true },
        { 0xff & ~LCK, true, true },
    };
    Rig rig;

    rig_init(&rig, "-m 64 -machine smm=on");
    g_assert_cmphex(config_read(&rig, SMRAM, 1), ==, SEG);

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        config_write(&rig, SMRAM, 1, rows[i].smram);
        g_assert_cmphex(config_read(&rig, SMRAM, 1), ==,
                        (rows[i].smram & (OPEN | CLS | ENABLE)) | SEG);
        for (uint64_t gpa = 0xa0000; gpa < 0xc0000; gpa += 0x7fff) {
            g_assert_cmpint(sees_ram(&rig, rig.memory, gpa), ==, rows[i].outside);
            g_assert_cmpint(sees_ram(&rig, rig.smm, gpa), ==, rows[i].inside);
        }
        g_assert_true(sees_ram(&rig, rig.memory, 0x9ffff));
        g_assert_true(sees_ram(&rig, rig.smm, 0x9ffff));
    }
    rig_done(&rig);
}

/* RAM is seen at the end of low RAM outside of the mode up to @size bytes before it. */
static void check_tseg(Rig *rig, uint64_t low, uint64_t size)
{
    g_assert_true(sees_ram(rig, rig->memory, low - size - 1));
    g_assert_true(sees_ram(rig, rig->smm, low - size - 1));
    if (size == 0)
        return;
    for (uint64_t gpa = low - size; gpa < low; gpa += size / 2 - 1) {
        g_assert_false(sees_ram(rig, rig->memory, gpa));
        g_assert_true(sees_ram(rig, rig->smm, gpa));
    }
}

static void check_tsegs(const char *words, uint64_t low, unsigned extended)
{
    const unsigned mbytes[] = { 1, 2, 8, extended };
    Rig rig;

    rig_init(&rig, words);
    g_assert_cmphex(config_read(&rig, ESMRAMC, 1), ==, 0x38);
    g_assert_cmphex(config_read(&rig, TSEG_MBYTES, 2), ==, 0);
    config_write(&rig, TSEG_MBYTES, 2, 0xffff);
    g_assert_cmphex(config_read(&rig, TSEG_MBYTES, 2), ==, extended);

    for (unsigned i = 0; i < G_N_ELEMENTS(mbytes); i++) {
        config_write(&rig, SMRAM, 1, ENABLE);
        config_write(&rig, ESMRAMC, 1, i << 1);
        check_tseg(&rig, low, 0);
        config_write(&rig, ESMRAMC, 1, i << 1 | T_EN);
        g_assert_cmphex(config_read(&rig, ESMRAMC, 1), ==, 0x38 | i << 1 | T_EN);
        check_tseg(&rig, low, mbytes[i] * MIB);
        config_write(&rig, SMRAM, 1, OPEN);
        check_tseg(&rig, low, 0);
    }
    rig_done(&rig);
}

static void test_tseg(void)
{
    check_tsegs("-m 64 -machine smm=on", RAM, 16);
    check_tsegs("-m 64 -machine smm=on -global mch.extended-tseg-mbytes=48", RAM, 48);
    check_tsegs("-m 64 -machine smm=on -global mch.extended-tseg-mbytes=0", RAM, 0);
    /* It lies in the memory of two nodes. */
    check_tsegs("-m 64 -machine smm=on -object memory-backend-ram,id=a,size=60M "
                "-object memory-backend-ram,id=b,size=4M "
                "-numa node,memdev=a -numa node,memdev=b", RAM, 16);
    /* Low RAM ends in the middle of the guest's memory. */
    check_tsegs("-m 3G -machine smm=on", X86_LOW_RAM_MAX, 16);
}

static void test_memory_too_small(void)
{
    char *const words[] = { "berth", "-nodefaults", "-m", "16", "-machine", "smm=on" };
    g_autoptr(GError) error = NULL;
    MachineBench bench;

    g_assert_true(machine_bench_init(&bench, words, G_N_ELEMENTS(words), &error));
    g_assert_false(machine_bench_make(&bench, vm_fake_new(), &error));

    g_assert_nonnull(strstr(error->message, "16 MiB below 4 GiB"));
    machine_bench_done(&bench);
}

static void test_lock(void)
{
    Rig rig;

    rig_init(&rig, "-m 64 -machine smm=on");
    config_write(&rig, ESMRAMC, 1, 2 << 1 | T_EN);
    config_write(&rig, TSEGMB, 4, 0x03890123);
    config_write(&rig, SMRAM, 1, ENABLE | OPEN);
    config_write(&rig, SMRAM, 1, ENABLE | OPEN | LCK);

    for (unsigned value = 0; value < 256; value++) {
        g_assert_cmphex(config_read(&rig, SMRAM, 1) & ~CLS, ==, ENABLE | LCK | SEG);
        g_assert_cmphex(config_read(&rig, ESMRAMC, 1), ==, 0x38 | 2 << 1 | T_EN);
        g_assert_cmphex(config_read(&rig, TSEGMB, 4), ==, 0x03800000);
        config_write(&rig, TSEGMB, 4, value << 20);
        g_assert_false(sees_ram(&rig, rig.memory, 0xa0000));
        check_tseg(&rig, RAM, 8 * MIB);
        config_write(&rig, SMRAM, 1, value);
        config_write(&rig, ESMRAMC, 1, value);
        /* Together with what is beside them, too. */
        config_write(&rig, SMRAM - 1, 4, value * 0x01010101u);
        config_write(&rig, SMRAM, 2, value | value << 8);
    }
    reset(&rig);
    g_assert_cmphex(config_read(&rig, SMRAM, 1), ==, SEG);
    check_tseg(&rig, RAM, 0);
    config_write(&rig, SMRAM, 1, ENABLE | OPEN);
    g_assert_true(sees_ram(&rig, rig.memory, 0xa0000));
    rig_done(&rig);
}

/* Whether each end of what is at the default SMBASE, and its middle, is seen. */
static void check_smbase(Rig *rig, bool outside)
{
    for (uint64_t gpa = SMBASE; gpa < SMBASE + SMBASE_SIZE; gpa += SMBASE_SIZE / 2 - 1) {
        g_assert_cmpint(sees_ram(rig, rig->memory, gpa), ==, outside);
        g_assert_true(sees_ram(rig, rig->smm, gpa));
    }
    for (unsigned i = 0; i < 2; i++) {
        uint64_t beside = i ? SMBASE - 1 : SMBASE + SMBASE_SIZE;

        g_assert_true(sees_ram(rig, rig->memory, beside));
        g_assert_true(sees_ram(rig, rig->smm, beside));
    }
}

static void test_smram_at_smbase(void)
{
    Rig rig;

    rig_init(&rig, "-m 64 -machine smm=on " PLACES);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 0);
        check_smbase(&rig, true);
        /* Of what means nothing nothing follows. */
        config_write(&rig, SMBASE_REGISTER, 1, 0xfc);
        g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 0);
        config_write(&rig, SMBASE_REGISTER, 1, 0xff);
        g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 1);
        config_write(&rig, SMBASE_REGISTER, 1, 0);
        g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 1);
        check_smbase(&rig, true);
        config_write(&rig, SMBASE_REGISTER, 1, 2);
        /* It is locked, whatever is written there and beside it. */
        for (unsigned value = 0; value < 256; value++) {
            g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 2);
            config_write(&rig, SMBASE_REGISTER, 1, value);
            config_write(&rig, SMBASE_REGISTER, 2, value);
            config_write(&rig, SMBASE_REGISTER, 4, value);
        }
        check_smbase(&rig, false);
        reset(&rig);
    }
    /* Without having asked, too; and it has to do with SMRAM's lock no more than that. */
    config_write(&rig, SMRAM, 1, ENABLE | LCK);
    config_write(&rig, SMBASE_REGISTER, 1, 2);
    g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 2);
    check_smbase(&rig, false);
    rig_done(&rig);
}

static void check_no_smram_at_smbase(const char *words)
{
    Rig rig;

    rig_init(&rig, words);
    for (unsigned value = 0; value < 256; value++) {
        config_write(&rig, SMBASE_REGISTER, 1, value);
        g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 0);
    }
    poke(&rig, rig.memory, SMBASE, 0x5a);
    g_assert_cmphex(peek(&rig, rig.memory, SMBASE), ==, 0x5a);
    rig_done(&rig);
}

static void test_boards_without_smram_at_smbase(void)
{
    check_no_smram_at_smbase("-m 64 " PLACES);
    check_no_smram_at_smbase("-m 64 -machine pc-q35-4.2,smm=on " PLACES);
    check_no_smram_at_smbase("-m 64 -machine smm=on -global mch.smbase-smram=off "
                             PLACES);
}

/* OVMF waits for ever when it finds the one and not the registers of hot-plug. */
static void test_no_smram_at_smbase_where_no_vcpu_may_come(void)
{
    check_no_smram_at_smbase("-m 64 -smp 2 -machine smm=on");
    check_no_smram_at_smbase("-m 64 -smp 2 -machine smm=on "
                             "-global mch.smbase-smram=on");
    check_no_smram_at_smbase("-m 64 -machine smm=on,acpi=off " PLACES);
}

static void test_state(void)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GByteArray) again = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    DeviceTree *tree;
    Rig rig;

    rig_init(&rig, "-m 64 -machine smm=on " PLACES);
    tree = &rig.bench.machine->tree;
    config_write(&rig, ESMRAMC, 1, 1 << 1 | T_EN);
    config_write(&rig, SMRAM, 1, ENABLE | LCK);
    config_write(&rig, SMBASE_REGISTER, 1, 0xff);
    config_write(&rig, SMBASE_REGISTER, 1, 2);
    device_tree_save(tree, saved);
    reset(&rig);
    check_tseg(&rig, RAM, 0);
    check_smbase(&rig, true);

    g_assert_true(device_tree_load(tree, saved->data, saved->len, &error));

    check_tseg(&rig, RAM, 2 * MIB);
    config_write(&rig, SMBASE_REGISTER, 1, 0);
    g_assert_cmphex(config_read(&rig, SMBASE_REGISTER, 1), ==, 2);
    check_smbase(&rig, false);
    config_write(&rig, SMRAM, 1, OPEN);
    config_write(&rig, ESMRAMC, 1, 0);
    g_assert_cmphex(config_read(&rig, SMRAM, 1), ==, ENABLE | LCK | SEG);
    check_tseg(&rig, RAM, 2 * MIB);
    device_tree_save(tree, again);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    rig_done(&rig);
}

/* What is above is that of every machine; without the mode nothing is there twice. */
static void test_slots(void)
{
    Rig without, with;

    rig_init(&without, "-m 64");
    rig_init(&with, "-m 64 -machine smm=on");

    g_assert_null(without.smm);
    /* In each space also what the sizes of TSEG cut off. */
    g_assert_cmpuint(vm_fake_slot_count(with.vm), ==,
                     2 * (vm_fake_slot_count(without.vm) + 4));
    rig_done(&with);
    rig_done(&without);
}

/* How often a slot is now what one of @had is; each is in both spaces. */
static unsigned n_kept(Rig *rig, const GArray *had)
{
    unsigned n = 0;

    for (unsigned i = 0; i < had->len; i++) {
        const VmFakeSlot *old = &g_array_index(had, VmFakeSlot, i);

        for (unsigned j = 0; j < vm_fake_slot_count(rig->vm); j++) {
            VmFakeSlot slot = vm_fake_slot(rig->vm, j);

            n += slot.gpa == old->gpa && slot.size == old->size;
        }
    }
    return n;
}

/* A processor that runs in memory beside what is shown and hidden must not lose it. */
static void test_shown_memory_leaves_what_is_beside(void)
{
    g_autoptr(GArray) had = g_array_new(FALSE, FALSE, sizeof(VmFakeSlot));
    unsigned n;
    Rig rig;

    rig_init(&rig, "-m 64 -machine smm=on " PLACES);
    for (unsigned i = 0; i < vm_fake_slot_count(rig.vm); i++) {
        VmFakeSlot slot = vm_fake_slot(rig.vm, i);

        if (slot.gpa + slot.size <= X86_BASE_RAM_END ||
            (slot.gpa >= MIB && slot.gpa + slot.size <= RAM - 16 * MIB))
            g_array_append_val(had, slot);
    }
    n = n_kept(&rig, had);
    g_assert_cmpuint(n, ==, 2 * had->len);
    g_assert_cmpuint(had->len, ==, 8);
    config_write(&rig, ESMRAMC, 1, 3 << 1 | T_EN);
    config_write(&rig, SMRAM, 1, ENABLE);
    g_assert_cmpuint(n_kept(&rig, had), ==, n);
    config_write(&rig, SMRAM, 1, ENABLE | OPEN);
    g_assert_cmpuint(n_kept(&rig, had), ==, n);
    for (unsigned reg = PAM; reg < PAM + 7; reg++)
        config_write(&rig, reg, 1, 0x33);
    g_assert_cmpuint(n_kept(&rig, had), ==, n);
    rig_done(&rig);
}

/* As firmware does, the registers are where this file has them. */
static void place_registers(Rig *rig)
{
    lpc_write(rig, 0x40, 4, X86_PM_BASE);
    lpc_write(rig, 0x44, 1, 0x80);
}

/* Asks for @features; returns whether they are agreed on. */
static bool negotiate(Rig *rig, uint64_t features)
{
    return kit_smi_negotiate(rig->bench.machine, features);
}

/* On the vCPU's thread. */
static void write_apm(void *opaque)
{
    Rig *rig = opaque;

    out(rig, APM_CNT, 1, 0x77);
    __atomic_add_fetch(&rig->n_exits, 1, __ATOMIC_RELEASE);
}

/* Has @fn run on @vcpu's thread, and what follows from it happen on all. */
static void exit_and_settle(Rig *rig, Vcpu *vcpu, VmFakeExitFn *fn)
{
    unsigned before = __atomic_load_n(&rig->n_exits, __ATOMIC_ACQUIRE);

    vm_fake_vcpu_exit(vcpu, fn, rig);
    while (__atomic_load_n(&rig->n_exits, __ATOMIC_ACQUIRE) == before)
        g_thread_yield();
    for (unsigned i = 0; i < machine_n_vcpus(rig->bench.machine); i++) {
        vcpu = machine_vcpu(rig->bench.machine, i);
        vcpu_request_pause(vcpu);
        vcpu_wait_paused(vcpu);
        vcpu_resume(vcpu);
    }
}

/* vCPU 1 writes to APM_CNT; a digit for each vCPU: how many SMIs came. */
static unsigned smis_of_a_write(Rig *rig)
{
    Vcpu *zero = machine_vcpu(rig->bench.machine, 0);
    Vcpu *one = machine_vcpu(rig->bench.machine, 1);
    unsigned before = vm_fake_vcpu_smis(zero) * 10 + vm_fake_vcpu_smis(one);

    exit_and_settle(rig, one, write_apm);
    return vm_fake_vcpu_smis(zero) * 10 + vm_fake_vcpu_smis(one) - before;
}

static void start(Rig *rig, const char *words)
{
    rig_init(rig, words);
    place_registers(rig);
    g_assert_true(machine_cont(rig->bench.machine, NULL));
}

static void test_interrupts(void)
{
    static const struct {
        uint32_t enabled;
        unsigned wanted;
    } rows[] = {
        { 0, 0 }, { GBL, 0 }, { APMC, 0 }, { ~(GBL | APMC), 0 }, { GBL | APMC, 1 },
        { 0xffffffff, 1 },
    };
    Rig rig;

    start(&rig, "-m 64 -smp 2 -machine smm=on");
    g_assert_cmphex(in(&rig, SMI_EN, 4), ==, 0);

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        out(&rig, SMI_STS, 4, 0xffffffff);
        out(&rig, SMI_EN, 4, rows[i].enabled);
        g_assert_cmpuint(smis_of_a_write(&rig), ==, rows[i].wanted);
        g_assert_cmphex(in(&rig, SMI_STS, 4), ==, rows[i].wanted ? APMC : 0);
        g_assert_cmphex(in(&rig, APM_CNT, 1), ==, 0x77);
    }
    out(&rig, SMI_STS + 1, 1, 0xff);
    g_assert_cmphex(in(&rig, SMI_STS, 4), ==, APMC);
    rig_done(&rig);
}

static void write_acpi(void *opaque)
{
    Rig *rig = opaque;

    out(rig, APM_CNT, 1, X86_ACPI_ENABLE);
    out(rig, APM_CNT, 1, X86_ACPI_DISABLE);
    out(rig, APM_CNT + 1, 1, 0x77);
    __atomic_add_fetch(&rig->n_exits, 1, __ATOMIC_RELEASE);
}

static void test_values_of_acpi_are_no_interrupts(void)
{
    Rig rig;

    start(&rig, "-m 64 -smp 2 -machine smm=on");
    out(&rig, SMI_EN, 4, GBL | APMC);
    exit_and_settle(&rig, machine_vcpu(rig.bench.machine, 0), write_acpi);
    g_assert_cmpuint(vm_fake_vcpu_smis(machine_vcpu(rig.bench.machine, 0)), ==, 0);
    rig_done(&rig);
}

static void test_none_without_the_mode(void)
{
    Rig rig;

    start(&rig, "-m 64 -smp 2");
    g_assert_cmphex(in(&rig, SMI_EN, 4), ==, APMC);
    out(&rig, SMI_EN, 4, GBL | APMC);
    g_assert_cmpuint(smis_of_a_write(&rig), ==, 0);
    g_assert_cmphex(in(&rig, SMI_STS, 4), ==, 0);
    g_assert_cmpuint(kit_smi_select(rig.bench.machine, SUPPORTED), ==, 0);
    lpc_write(&rig, PMCON, 2, SMI_LOCK);
    g_assert_cmphex(lpc_read(&rig, PMCON, 2), ==, 0);
    rig_done(&rig);
}

static void test_negotiation(void)
{
    Rig rig;

    start(&rig, "-m 64 -smp 2 -machine smm=on");
    out(&rig, SMI_EN, 4, GBL | APMC);
    g_assert_cmphex(kit_smi_supported(rig.bench.machine), ==,
                    SMI_BROADCAST | SMI_CPU_HOTPLUG | SMI_CPU_HOT_UNPLUG);

    /* What there is not. */
    g_assert_false(negotiate(&rig, 1ull << 63 | SMI_BROADCAST));
    g_assert_false(negotiate(&rig, 8 | SMI_BROADCAST));
    g_assert_cmpuint(smis_of_a_write(&rig), ==, 1);
    g_assert_true(negotiate(&rig, 1));
    g_assert_cmpuint(smis_of_a_write(&rig), ==, 11);
    /* What runs later takes nothing back. */
    g_assert_true(negotiate(&rig, 0));
    g_assert_cmpuint(smis_of_a_write(&rig), ==, 11);

    runstate_request_reset(&rig.bench.machine->run, SHUTDOWN_CAUSE_GUEST_RESET);
    loop_turn(rig.bench.loop, false);
    place_registers(&rig);
    g_assert_cmphex(in(&rig, SMI_EN, 4), ==, 0);
    out(&rig, SMI_EN, 4, GBL | APMC);
    g_assert_cmpuint(smis_of_a_write(&rig), ==, 1);
    g_assert_true(negotiate(&rig, 0));
    rig_done(&rig);
}

static void test_smi_lock(void)
{
    Rig rig;

    start(&rig, "-m 64 -smp 2 -machine smm=on");
    out(&rig, SMI_EN, 4, GBL | APMC);
    lpc_write(&rig, PMCON, 2, SMI_LOCK);

    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(lpc_read(&rig, PMCON, 2), ==, SMI_LOCK);
        out(&rig, SMI_EN, 4, APMC);
        out(&rig, SMI_EN, 1, APMC);
        g_assert_cmphex(in(&rig, SMI_EN, 4), ==, GBL | APMC);
        g_assert_cmpuint(smis_of_a_write(&rig), ==, 1);
        lpc_write(&rig, PMCON - i % 4, 4, 0);
    }
    device_tree_pause(&rig.bench.machine->tree);
    reset(&rig);
    place_registers(&rig);
    g_assert_cmphex(lpc_read(&rig, PMCON, 2), ==, 0);
    g_assert_cmphex(in(&rig, SMI_EN, 4), ==, 0);
    rig_done(&rig);
}

static void test_state_of_interrupts(void)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    DeviceTree *tree;
    Rig rig;

    rig_init(&rig, "-m 64 -smp 2 -machine smm=on");
    tree = &rig.bench.machine->tree;
    place_registers(&rig);
    out(&rig, SMI_EN, 4, GBL | APMC);
    lpc_write(&rig, PMCON, 2, SMI_LOCK);
    g_assert_true(negotiate(&rig, 1));
    device_tree_save(tree, saved);
    reset(&rig);

    g_assert_true(device_tree_load(tree, saved->data, saved->len, &error));

    out(&rig, SMI_EN, 4, APMC);
    lpc_write(&rig, PMCON, 2, 0);
    g_assert_cmphex(lpc_read(&rig, PMCON, 2), ==, SMI_LOCK);
    g_assert_true(machine_cont(rig.bench.machine, NULL));
    g_assert_cmpuint(smis_of_a_write(&rig), ==, 11);
    rig_done(&rig);
}

/* The one that writes and the ones that pause meet in every order. */
static void test_interrupt_and_pause_at_once(void)
{
    Vcpu *vcpus[2];
    Rig rig;

    start(&rig, "-m 64 -smp 2 -machine smm=on");
    out(&rig, SMI_EN, 4, GBL | APMC);
    g_assert_true(negotiate(&rig, 1));
    for (unsigned i = 0; i < 2; i++)
        vcpus[i] = machine_vcpu(rig.bench.machine, i);

    for (unsigned i = 1; i <= 200; i++) {
        vm_fake_vcpu_exit(vcpus[i % 2], write_apm, &rig);
        for (unsigned j = 0; j < 2; j++)
            vcpu_request_pause(vcpus[j]);
        for (unsigned j = 0; j < 2; j++)
            vcpu_wait_paused(vcpus[j]);
        for (unsigned j = 0; j < 2; j++)
            vcpu_resume(vcpus[j]);
        while (__atomic_load_n(&rig.n_exits, __ATOMIC_ACQUIRE) < i)
            g_thread_yield();
    }
    exit_and_settle(&rig, vcpus[0], write_apm);
    /* Of those that came before one was taken, that one is left. */
    for (unsigned j = 0; j < 2; j++) {
        g_assert_cmpuint(vm_fake_vcpu_smis(vcpus[j]), >, 0);
        g_assert_cmpuint(vm_fake_vcpu_smis(vcpus[j]), <=, 201);
    }
    rig_done(&rig);
}

#define FLASH "-global driver=cfi.pflash01,property=secure,value=%s " \
              "-blockdev driver=file,node-name=flash,filename="
#define FLASH_BASE (4 * GIB - 64 * KIB)

static void init_flash(Rig *rig, bool secure)
{
    g_autofree char *how = g_strdup_printf(FLASH, secure ? "on" : "off");

    rig_init_how(rig, how, "-m 64 -machine smm=on,pflash0=flash");
}

/* Programs a byte from a view; returns what is there then. */
static uint64_t program(Rig *rig, AddressSpace *as, uint64_t gpa, uint8_t value)
{
    poke(rig, as, gpa, 0x20);           /* erases its block, */
    poke(rig, as, gpa, 0xd0);
    poke(rig, as, gpa, 0x40);           /* programs it, */
    poke(rig, as, gpa, value);
    poke(rig, as, gpa, 0xff);           /* and reads what is there */
    g_assert_cmphex(peek(rig, rig->memory, gpa), ==, peek(rig, rig->smm, gpa));
    return peek(rig, rig->memory, gpa);
}

static void test_secure_flash(void)
{
    Rig rig;

    init_flash(&rig, true);

    g_assert_cmphex(program(&rig, rig.memory, FLASH_BASE + 5, 0x51), ==, 0);
    g_assert_cmphex(program(&rig, rig.smm, FLASH_BASE + 5, 0x52), ==, 0x52);
    g_assert_cmphex(program(&rig, rig.memory, FLASH_BASE + 5, 0x53), ==, 0x52);
    /* In the middle of a command, too, which goes on. */
    poke(&rig, rig.smm, FLASH_BASE + 6, 0x40);
    poke(&rig, rig.memory, FLASH_BASE + 6, 0x54);
    poke(&rig, rig.memory, FLASH_BASE + 6, 0xff);
    poke(&rig, rig.smm, FLASH_BASE + 6, 0x55);
    poke(&rig, rig.smm, FLASH_BASE + 6, 0xff);
    g_assert_cmphex(peek(&rig, rig.memory, FLASH_BASE + 6), ==, 0x55);
    /* No command is begun from outside: neither ids nor the status are read. */
    poke(&rig, rig.memory, FLASH_BASE, 0x90);
    g_assert_cmphex(peek(&rig, rig.memory, FLASH_BASE), ==, ONES);
    poke(&rig, rig.memory, FLASH_BASE, 0x70);
    g_assert_cmphex(peek(&rig, rig.memory, FLASH_BASE), ==, ONES);
    rig_done(&rig);
}

static void test_flash_that_is_not_secure(void)
{
    Rig rig;

    init_flash(&rig, false);

    g_assert_cmphex(program(&rig, rig.memory, FLASH_BASE + 5, 0x51), ==, 0x51);
    g_assert_cmphex(program(&rig, rig.smm, FLASH_BASE + 5, 0x52), ==, 0x52);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/smm/without", test_without);
    g_test_add_func("/smm/compatible-segment", test_compatible_segment);
    g_test_add_func("/smm/tseg", test_tseg);
    g_test_add_func("/smm/memory-too-small", test_memory_too_small);
    g_test_add_func("/smm/lock", test_lock);
    g_test_add_func("/smm/smram-at-smbase", test_smram_at_smbase);
    g_test_add_func("/smm/boards-without-smram-at-smbase",
                    test_boards_without_smram_at_smbase);
    g_test_add_func("/smm/no-smram-at-smbase-where-no-vcpu-may-come",
                    test_no_smram_at_smbase_where_no_vcpu_may_come);
    g_test_add_func("/smm/state", test_state);
    g_test_add_func("/smm/slots", test_slots);
    g_test_add_func("/smm/shown-memory-leaves-what-is-beside",
                    test_shown_memory_leaves_what_is_beside);
    g_test_add_func("/smm/interrupts", test_interrupts);
    g_test_add_func("/smm/values-of-acpi-are-no-interrupts",
                    test_values_of_acpi_are_no_interrupts);
    g_test_add_func("/smm/no-interrupts-without-the-mode", test_none_without_the_mode);
    g_test_add_func("/smm/negotiation", test_negotiation);
    g_test_add_func("/smm/smi-lock", test_smi_lock);
    g_test_add_func("/smm/state-of-interrupts", test_state_of_interrupts);
    g_test_add_func("/smm/interrupt-and-pause-at-once", test_interrupt_and_pause_at_once);
    g_test_add_func("/smm/secure-flash", test_secure_flash);
    g_test_add_func("/smm/flash-that-is-not-secure", test_flash_that_is_not_secure);
    return g_test_run();
}
