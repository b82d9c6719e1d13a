/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AHCI controller as a driver sees it: registers, link and signature, commands with
 * many buffers, queued ones, errors and what follows, resets in the middle, state.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/inject.h"
#include "berth/qapi.h"
#include "berth/qsbr.h"
#include "berth/thread.h"

#include "kit-ahci.h"

#define PORTS 0x100u
#define SECTORS 2048u
#define VCPUS 3
#define POKES 2000
#define HANG "[{'ops': ['read', 'write'], 'delay-ns': 18446744073709551615}]"

typedef struct Fixture {
    KitBoard *kit;
    Device *hba;
    BlockNode *inject;          /* "n": what the disk is on */
    KitAhci *port;
} Fixture;

/* On the bus @bus of its board, if it has one already. */
static void fixture_init_in(Fixture *f, const char *bus, const char *props)
{
    g_autofree char *hba = g_strdup_printf("{'driver': 'ich9-ahci', 'id': 'hba', "
                                           "'bus': '%s'}", bus);
    g_autofree char *disk = g_strdup_printf("{'driver': 'ide-hd', 'id': 'hd', "
                                            "'drive': 'n', 'bus': 'hba.1'%s}", props);

    if (!f->kit)
        f->kit = kit_board_new();
    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'below', 'size': 1048576, "
                 "'read-zeroes': true}");
    f->inject = kit_add_node(f->kit, "{'driver': 'inject', 'node-name': 'n', "
                             "'file': 'below'}");
    f->hba = kit_add(f->kit, hba);
    kit_add(f->kit, disk);
    kit_start(f->kit);
    f->port = kit_ahci_new(f->kit, f->hba, 1);
}

static void fixture_init_on(Fixture *f, const char *props)
{
    fixture_init_in(f, "pcie.0", props);
}

static void fixture_init_with(Fixture *f, const char *props)
{
    *f = (Fixture) { 0 };
    fixture_init_on(f, props);
}

static void fixture_init(Fixture *f)
{
    fixture_init_with(f, "");
}

static void fixture_done(Fixture *f)
{
    kit_ahci_free(f->port);
    kit_board_free(f->kit);
}

static void set_rules(Fixture *f, const char *json)
{
    g_autofree char *text = g_strconcat("{'node-name': 'n', 'rules': ", json, "}", NULL);
    g_autoptr(XBlockInjectSetArgs) args = NULL;
    GError *error = NULL;

    args = qapi_parse_json(QAPI_TYPE_X_BLOCK_INJECT_SET_ARGS, text, &error);
    g_assert_no_error(error);
    inject_set_rules(f->inject, args->rules, &error);
    g_assert_no_error(error);
}

static KitAta queued_read(unsigned lba)
{
    return (KitAta) {
        .command = 0x60, .lba = lba, .count = 1, .size = 512, .is_queued = true,
    };
}

static void test_is_what_guests_look_for(void)
{
    Fixture f;
    KitPci *pci;
    unsigned cap;

    fixture_init(&f);
    pci = &f.port->pci;
    g_assert_cmphex(kit_pci_read(pci, PCI_VENDOR_ID, 4), ==, 0x29228086);
    g_assert_cmphex(kit_pci_read(pci, PCI_CLASS_REVISION, 4), ==, 0x01060102);
    g_assert_cmphex(kit_pci_read(pci, PCI_INTERRUPT_PIN, 1), ==, 1);
    g_assert_cmpuint(kit_pci_bar_size(pci, 5), ==, 0x1000);
    g_assert_cmphex(kit_pci_read(pci, 0x90, 1), ==, 0x40);
    cap = kit_pci_find_cap(pci, 0x12, 0);
    g_assert_cmpuint(cap, >, 0);
    g_assert_cmphex(kit_pci_read(pci, cap + 4, 4), ==, 0x48);
    g_assert_cmpuint(kit_pci_find_cap(pci, PCI_CAP_ID_MSI, 0), >, 0);

    g_assert_cmphex(kit_ahci_get_global(f.port, KIT_CAP), ==, 0xc1341f05);
    g_assert_cmphex(kit_ahci_get_global(f.port, KIT_PI), ==, 0x3f);
    g_assert_cmphex(kit_ahci_get_global(f.port, KIT_VS), ==, 0x10300);
    g_assert_cmphex(kit_ahci_get_global(f.port, KIT_GHC), ==, 0x80000000);
    kit_ahci_set_global(f.port, KIT_CAP, 0);
    kit_ahci_set_global(f.port, KIT_PI, 0);
    g_assert_cmphex(kit_ahci_get_global(f.port, KIT_PI), ==, 0x3f);
    fixture_done(&f);
}

/* The same registers by the pair of ports. */
static void test_index_and_data(void)
{
    uint16_t io;
    Fixture f;

    fixture_init(&f);
    io = kit_pci_read(&f.port->pci, PCI_BASE_ADDRESS_4, 4) & 0xfffc;
    kit_out(f.kit, io + 0x10, 4, KIT_VS);
    g_assert_cmphex(kit_in(f.kit, io + 0x14, 4), ==, 0x10300);
    kit_out(f.kit, io + 0x10, 4, PORTS + 0x80 + KIT_PxIE);
    kit_out(f.kit, io + 0x14, 4, 0x40000001);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxIE), ==, 0x40000001);
    kit_out(f.kit, io + 0x10, 4, UINT32_MAX);
    g_assert_cmphex(kit_in(f.kit, io + 0x10, 4), ==, 0xffc);
    g_assert_cmphex(kit_in(f.kit, io + 0x14, 4), ==, 0);
    fixture_done(&f);
}

static void test_bits_of_registers(void)
{
    static const struct {
        unsigned at;
        uint32_t bits;
    } cases[] = {
        { KIT_PxCLB, 0xfffffc00 }, { KIT_PxCLBU, 0xffffffff }, { KIT_PxFB, 0xffffff00 },
        { KIT_PxFBU, 0xffffffff }, { KIT_PxIE, 0xfdc000ff }, { KIT_PxSERR, 0 },
        { KIT_PxCI, 0 }, { KIT_PxSACT, 0 }, { KIT_PxSIG, 0x101 }, { KIT_PxSSTS, 0x133 },
        { 0x3c, 0 }, { 0x40, 0 }, { 0x70, 0 },
    };
    Fixture f;

    fixture_init(&f);
    kit_ahci_set(f.port, KIT_PxCMD, KIT_CMD_FRE);
    kit_ahci_set(f.port, KIT_PxCMD, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        kit_ahci_set(f.port, cases[i].at, UINT32_MAX);
        g_assert_cmphex(kit_ahci_get(f.port, cases[i].at), ==, cases[i].bits);
    }
    kit_ahci_set(f.port, KIT_PxSCTL, 0x300);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSCTL), ==, 0x300);
    kit_ahci_set(f.port, KIT_PxCMD, ~KIT_CMD_ST);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxCMD), ==, 0x03004016);
    fixture_done(&f);
}

static void test_signature(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSSTS), ==, 0x133);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSIG), ==, 0x101);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxTFD), ==, 0x150);
    g_assert_cmpmem(kit_ahci_frame(f.port, 0x40), 8, "\x34\0\x50\x01\x01\0\0\0", 8);

    /* It waits for somebody to receive it. */
    kit_ahci_set(f.port, KIT_PxCMD, 0);
    kit_ahci_set(f.port, KIT_PxSCTL, 1);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSSTS), ==, 0);
    kit_ahci_set(f.port, KIT_PxSCTL, 0);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSSTS), ==, 0x133);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSIG), ==, UINT32_MAX);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxTFD), ==, 0x80);
    kit_ahci_set(f.port, KIT_PxCMD, KIT_CMD_FRE);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSIG), ==, 0x101);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxTFD), ==, 0x150);
    fixture_done(&f);
}

/* No memory, no thread, no answer. */
static void test_an_empty_port(void)
{
    g_autoptr(KitAhci) empty = NULL;
    const KitAta read = { .command = 0x25, .count = 1, .size = 512 };
    Fixture f;

    fixture_init(&f);
    empty = kit_ahci_new(f.kit, f.hba, 4);
    g_assert_cmphex(kit_ahci_get(empty, KIT_PxSSTS), ==, 0);
    g_assert_cmphex(kit_ahci_get(empty, KIT_PxTFD), ==, 0x7f);
    kit_ahci_submit(empty, 3, &read);
    kit_ahci_set(empty, KIT_PxSCTL, 1);
    kit_ahci_set(empty, KIT_PxSCTL, 0);
    kit_run_both(f.kit);
    g_assert_cmphex(kit_ahci_get(empty, KIT_PxSSTS), ==, 0);
    g_assert_cmphex(kit_ahci_get(empty, KIT_PxSIG), ==, UINT32_MAX);
    fixture_done(&f);
}

/* SRST set and cleared by two frames without a command. */
static void test_software_reset(void)
{
    const KitAta none = { 0 };
    Fixture f;

    fixture_init(&f);
    kit_ahci_prepare(f.port, 0, &none);
    kit_ahci_table(f.port, 0)[1] = 0;
    kit_ahci_table(f.port, 0)[15] = 4;
    kit_ahci_issue(f.port, 1, false);
    kit_ahci_wait(f.port, 1);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxTFD) & 0x80, ==, 0x80);
    kit_ahci_table(f.port, 0)[15] = 0;
    kit_ahci_issue(f.port, 1, false);
    kit_ahci_wait(f.port, 1);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxTFD), ==, 0x150);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSIG), ==, 0x101);
    fixture_done(&f);
}

/* By the pin and by the message; what is not enabled is silent. */
static void test_interrupts(void)
{
    const KitAta read = { .command = 0x25, .count = 1, .size = 512 };
    unsigned line, cap;
    Fixture f;

    fixture_init(&f);
    line = PCI_SLOT(pci_device(f.hba)->devfn) % BOARD_PCI_IRQS;
    kit_ahci_ask(f.port, &read);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxIS), ==, KIT_IS_DHRS);
    g_assert_false(f.kit->irq_levels[line]);
    kit_ahci_set(f.port, KIT_PxIE, KIT_IS_DHRS);
    g_assert_cmphex(kit_ahci_get_global(f.port, KIT_IS), ==, 2);
    g_assert_false(f.kit->irq_levels[line]);
    kit_ahci_set_global(f.port, KIT_GHC, 0x80000002);
    g_assert_true(f.kit->irq_levels[line]);
    /* Cleared at the controller it comes back while the port has it. */
    kit_ahci_set_global(f.port, KIT_IS, 2);
    g_assert_true(f.kit->irq_levels[line]);
    kit_ahci_set(f.port, KIT_PxIS, KIT_IS_DHRS);
    g_assert_true(f.kit->irq_levels[line]);
    kit_ahci_set_global(f.port, KIT_IS, 2);
    g_assert_false(f.kit->irq_levels[line]);

    cap = kit_pci_find_cap(&f.port->pci, PCI_CAP_ID_MSI, 0);
    kit_pci_write(&f.port->pci, cap + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
    kit_pci_write(&f.port->pci, cap + PCI_MSI_DATA_64, 2, 0x4041);
    kit_pci_write(&f.port->pci, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
    kit_ahci_ask(f.port, &read);
    g_assert_cmpuint(kit_msix_count(f.kit, 0x4041), ==, 1);
    g_assert_false(f.kit->irq_levels[line]);
    kit_pci_write(&f.port->pci, cap + PCI_MSI_FLAGS, 2, 0);
    g_assert_true(f.kit->irq_levels[line]);
    fixture_done(&f);
}

/* What was moved is counted in the header, in as many pieces as it came. */
static void test_buffers(void)
{
    static const unsigned n_prds[] = { 1, 2, 8, 64, 264, 265, 512, 600 };
    Fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < G_N_ELEMENTS(n_prds); i++) {
        const KitAta read = {
            .command = 0x25, .lba = 3, .count = 24, .size = 24 * 512,
            .n_prds = n_prds[i],
        };
        uint32_t piece = read.size / n_prds[i];
        uint16_t count = (uint16_t)(piece * n_prds[i] / 512);
        KitAta exact = read;

        /* As many whole sectors as the pieces hold. */
        exact.count = count;
        exact.size = piece * n_prds[i];
        memset(kit_ahci_data(f.port, 0), 0xee, KIT_AHCI_DATA);
        g_assert_cmphex(kit_ahci_ask(f.port, &exact), ==, KIT_TFD_GOOD);
        g_assert_cmpuint(kit_ahci_count(f.port, 0), ==, count * 512u);
        g_assert_cmphex(kit_ahci_data(f.port, 0)[exact.size - 1], ==, 0);
    }
    fixture_done(&f);
}

/* Both need the memory for more pieces than a slot has room for: one after the other. */
static void test_two_long_lists(void)
{
    KitAta read = queued_read(0);
    Fixture f;

    fixture_init(&f);
    read.count = 8;
    read.size = 4096;
    read.n_prds = 512;
    set_rules(&f, HANG);
    for (unsigned slot = 0; slot < 3; slot++)
        kit_ahci_prepare(f.port, slot, &read);
    kit_ahci_issue(f.port, 7, true);
    kit_run_both(f.kit);
    set_rules(&f, "[]");
    g_assert_cmphex(kit_ahci_wait(f.port, 7) & 0xff, ==, KIT_TFD_GOOD);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSACT), ==, 0);
    fixture_done(&f);
}

static void test_queued(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned slot = 0; slot < 32; slot++) {
        const KitAta read = queued_read(slot);

        kit_ahci_prepare(f.port, slot, &read);
        memset(kit_ahci_data(f.port, slot), 0xee, 512);
    }
    kit_ahci_issue(f.port, UINT32_MAX, true);
    g_assert_cmphex(kit_ahci_wait(f.port, UINT32_MAX), ==, 0x50);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxIS), ==, KIT_IS_SDBS);
    for (unsigned slot = 0; slot < 32; slot++)
        g_assert_cmphex(kit_ahci_data(f.port, slot)[511], ==, 0);
    g_assert_cmpmem(kit_ahci_frame(f.port, 0x58), 4, "\xa1\x40\x50\0", 4);
    fixture_done(&f);
}

/* One that is not queued waits for those that are, and they for it. */
static void test_queued_and_not(void)
{
    const KitAta identify = { .command = 0xec, .size = 512 };
    const KitAta read = queued_read(9);
    Fixture f;

    fixture_init(&f);
    set_rules(&f, HANG);
    kit_ahci_submit(f.port, 4, &read);
    kit_run_both(f.kit);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxCI), ==, 0);
    kit_ahci_submit(f.port, 2, &identify);
    kit_run_both(f.kit);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxCI), ==, 1 << 2);
    set_rules(&f, "[]");
    g_assert_cmphex(kit_ahci_wait(f.port, UINT32_MAX), ==, KIT_TFD_GOOD);
    g_assert_cmphex(kit_ahci_data(f.port, 2)[0], ==, 0x40);
    fixture_done(&f);
}

/* The others are given up with the one that failed, which the log tells. */
static void test_a_queued_one_fails(void)
{
    const KitAta log = { .command = 0x2f, .lba = 0x10, .count = 1, .size = 512 };
    KitAta read = queued_read(5);
    const uint8_t *data;
    Fixture f;

    fixture_init(&f);
    set_rules(&f, "[{'ops': ['read'], 'errno': 'EIO', 'offset': 2560, 'size': 512}, "
              "{'ops': ['read'], 'delay-ns': 18446744073709551615, 'offset': 5120, "
              "'size': 512}]");
    read.lba = 10;
    kit_ahci_submit(f.port, 9, &read);
    kit_run_both(f.kit);
    read.lba = 5;
    kit_ahci_submit(f.port, 7, &read);
    g_assert_cmphex(kit_ahci_wait(f.port, 1u << 7), ==, 0x4051);
    g_assert_true(kit_ahci_get(f.port, KIT_PxIS) & KIT_IS_TFES);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSACT), ==, 1u << 9 | 1u << 7);

    /* The port stops when the one that hangs has ended. */
    kit_ahci_set(f.port, KIT_PxCMD, KIT_CMD_FRE);
    kit_run_both(f.kit);
    g_assert_true(kit_ahci_get(f.port, KIT_PxCMD) & KIT_CMD_CR);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSACT), ==, 0);
    set_rules(&f, "[]");
    kit_ahci_recover(f.port);
    g_assert_cmphex(kit_ahci_ask(f.port, &log), ==, KIT_TFD_GOOD);
    data = kit_ahci_data(f.port, 0);
    g_assert_cmphex(data[0], ==, 7);
    g_assert_cmphex(data[2], ==, 0x51);
    g_assert_cmphex(data[3], ==, 0x40);
    g_assert_cmphex(data[4], ==, 5);
    g_assert_cmphex(kit_ahci_ask(f.port, &log), ==, KIT_TFD_GOOD);
    g_assert_cmphex(kit_ahci_data(f.port, 0)[0], ==, 0x80);
    fixture_done(&f);
}

/* Everything in the guest's memory can be wrong. */
static void test_wrong_memory(void)
{
    const KitAta read = { .command = 0x25, .count = 2, .size = 1024, .n_prds = 2 };
    static const struct {
        unsigned at;            /* in the header; 0x20 and on: in the table */
        uint32_t value;
        uint32_t is;
    } cases[] = {
        { 0x08, 0xfffffc00, KIT_IS_HBFS },              /* the table is nowhere */
        { 0x0c, 0xffffffff, KIT_IS_HBFS },
        { 0x08, KIT_RAM_SIZE - 0x80, KIT_IS_HBDS },     /* its end is not RAM */
        { 0x00, 2 << 16 | 4, KIT_IS_IFS },              /* a frame that is too short */
        { 0x00, 2 << 16, KIT_IS_IFS },
        { 0x20, 0x00808034, KIT_IS_IFS },               /* no frame of a host */
        { 0x20 + 0x80, 0xe0000000, KIT_IS_HBDS },       /* a buffer is no memory */
        { 0x20 + 0x84, 0x80000000, KIT_IS_HBDS },
        { 0x20 + 0x90, KIT_ECAM_BASE, KIT_IS_HBDS },    /* it is registers */
        { 0x20 + 0x80, KIT_RAM_SIZE - 2, KIT_IS_HBDS }, /* it ends behind RAM */
        { 0x00, 1 << 16 | 5, KIT_IS_TFES | KIT_IS_OFS | KIT_IS_DHRS },  /* too small */
        { 0x00, 5, KIT_IS_TFES | KIT_IS_OFS | KIT_IS_DHRS },            /* none */
    };
    Fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t value = GUINT32_TO_LE(cases[i].value);

        kit_ahci_prepare(f.port, 6, &read);
        /* What the table of the third case has is at the end of RAM. */
        memcpy(kit_ram(f.kit, KIT_RAM_SIZE - 0x80, 0x80), kit_ahci_table(f.port, 6),
               0x80);
        if (cases[i].at < 0x20)
            memcpy(kit_ahci_header(f.port, 6) + cases[i].at, &value, 4);
        else
            memcpy(kit_ahci_table(f.port, 6) + cases[i].at - 0x20, &value, 4);
        kit_ahci_set(f.port, KIT_PxIS, UINT32_MAX);
        kit_ahci_issue(f.port, 1u << 6, false);
        kit_ahci_wait(f.port, 1u << 6);
        g_assert_cmphex(kit_ahci_get(f.port, KIT_PxIS), ==, cases[i].is);
        g_assert_cmphex(kit_ahci_get(f.port, KIT_PxCMD) >> 8 & 31, ==, 6);
        kit_ahci_recover(f.port);
        kit_ahci_read(f.port, 0, 1);
    }
    /* The list itself, and where frames are received. */
    kit_ahci_set(f.port, KIT_PxCMD, 0);
    kit_ahci_set(f.port, KIT_PxCLBU, 0xffffffff);
    kit_ahci_set(f.port, KIT_PxFB, 0xfffffff0);
    kit_ahci_set(f.port, KIT_PxCMD, KIT_CMD_FRE | KIT_CMD_ST);
    kit_ahci_set(f.port, KIT_PxIS, UINT32_MAX);
    kit_ahci_issue(f.port, UINT32_MAX, true);
    kit_ahci_wait(f.port, UINT32_MAX);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxIS), ==, KIT_IS_HBFS);
    fixture_done(&f);
}

/* A reset of the port or the controller takes effect when the I/O has ended. */
static void test_reset_in_the_middle(void)
{
    const KitAta read = queued_read(1);
    Fixture f;

    fixture_init(&f);
    for (unsigned way = 0; way < 3; way++) {
        set_rules(&f, HANG);
        kit_ahci_submit(f.port, 1, &read);
        kit_run_both(f.kit);
        if (way == 0) {
            kit_ahci_set(f.port, KIT_PxSCTL, 1);
            kit_ahci_set(f.port, KIT_PxSCTL, 0);
        } else if (way == 1) {
            kit_ahci_set_global(f.port, KIT_GHC, 0x80000001);
        } else {
            kit_ahci_set(f.port, KIT_PxCMD, 0);
        }
        kit_run_both(f.kit);
        g_assert_cmphex(kit_ahci_get_global(f.port, KIT_GHC) & 1, ==, way == 1);
        if (way == 2)
            g_assert_true(kit_ahci_get(f.port, KIT_PxCMD) & KIT_CMD_CR);
        else
            g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSSTS), ==, 0);
        set_rules(&f, "[]");
        kit_ahci_wait_for(f.port, KIT_PxSSTS, 0xf, 3);
        kit_ahci_wait_for(f.port, KIT_PxCMD, KIT_CMD_CR, way == 0 ? KIT_CMD_CR : 0);
        g_assert_false(kit_ahci_get_global(f.port, KIT_GHC) & 1);
        g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSACT), ==, 0);
        kit_ahci_start(f.port);
        kit_ahci_read(f.port, 0, 2);
    }
    /* It ended, whatever is under way now. */
    kit_ahci_set_global(f.port, KIT_GHC, 0x80000001);
    g_assert_cmphex(kit_ahci_get_global(f.port, KIT_GHC), ==, 0x80000000);
    fixture_done(&f);
}

/* Failed writes wait for the machine to go on; so does what is saved and loaded. */
static void test_held(void)
{
    Fixture f;

    fixture_init_with(&f, ", 'werror': 'stop', 'rerror': 'stop'");
    for (unsigned round = 0; round < 4; round++) {
        bool queued = round & 1;
        KitAta write = {
            .command = queued ? 0x61 : 0x35, .count = 1, .size = 512, .writes = true,
            .is_queued = queued,
        };

        set_rules(&f, "[{'ops': ['write'], 'errno': 'ENOSPC', 'times': 1}]");
        f.kit->n_io_errors = 0;
        kit_ahci_submit(f.port, 3, &write);
        kit_run_both(f.kit);
        g_assert_cmpuint(f.kit->n_io_errors, ==, 1);
        g_assert_cmpint(f.kit->io_error, ==, BLOCK_ERROR_ACTION_STOP);
        kit_ahci_issue(f.port, 0, false);
        kit_run_both(f.kit);
        g_assert_cmphex(kit_ahci_get(f.port, KIT_PxCI) |
                        kit_ahci_get(f.port, KIT_PxSACT), ==, 1 << 3);
        if (round < 2) {
            kit_save_and_load(f.kit);
            g_assert_cmphex(kit_ahci_wait(f.port, 1 << 3) & 0xff, ==, 0x50);
        } else {
            /* The driver gives it up before the machine stands still. */
            kit_ahci_recover(f.port);
        }
        kit_ahci_read(f.port, 0, 1);
    }
    fixture_done(&f);
}

/* Saved, with what is yet to be started, and refused where it says what cannot be. */
static void test_state(void)
{
    const KitAta read = { .command = 0x25, .count = 1, .size = 512 };
    Fixture f;

    fixture_init(&f);
    kit_save_and_load(f.kit);
    device_tree_pause(&f.kit->tree);
    kit_ahci_submit(f.port, 5, &read);
    kit_run_both(f.kit);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxCI), ==, 1 << 5);
    kit_save_and_load(f.kit);
    g_assert_cmphex(kit_ahci_wait(f.port, 1 << 5), ==, KIT_TFD_GOOD);
    fixture_done(&f);
}

/* Memory goes when what was under way before has ended, whatever has begun since. */
static void test_memory_goes_from_a_busy_port(void)
{
    const KitAta reads[] = { queued_read(1), queued_read(2) };
    const DeviceClass *class;
    Fixture f;

    fixture_init(&f);
    class = f.hba->class;
    g_assert_false(class->uses_removed(f.hba));
    set_rules(&f, HANG);
    kit_ahci_submit(f.port, 1, &reads[0]);
    kit_run_both(f.kit);
    class->memory_removed(f.hba);
    kit_run_both(f.kit);
    g_assert_true(class->uses_removed(f.hba));
    set_rules(&f, "[]");
    kit_ahci_wait(f.port, 1u << 1);
    set_rules(&f, HANG);
    kit_ahci_submit(f.port, 2, &reads[1]);
    kit_run_both(f.kit);
    g_assert_true(class->is_draining(f.hba));
    g_assert_false(class->uses_removed(f.hba));
    set_rules(&f, "[]");
    g_assert_cmphex(kit_ahci_wait(f.port, 1u << 2) & 0xff, ==, KIT_TFD_GOOD);
    fixture_done(&f);
}

/* With a disk that hangs, behind a port that takes it out under the guest. */
static void test_controller_that_leaves_with_a_disk_that_hangs(void)
{
    gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    const KitAta read = queued_read(1);
    Fixture f = { .kit = kit_board_new() };

    kit_add(f.kit, "{'driver': 'pcie-root-port', 'id': 'slot'}");
    fixture_init_in(&f, "slot", "");
    set_rules(&f, HANG);
    kit_ahci_submit(f.port, 1, &read);
    kit_run_both(f.kit);
    g_assert_true(hotplug_force(f.hba, NULL));
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->removals->str, ==, "");
    set_rules(&f, "[]");
    while (f.kit->removals->len < strlen("hd- hba-") && g_get_monotonic_time() < end)
        kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->removals->str, ==, "hd- hba-");
    fixture_done(&f);
}

/* A port that is off the bus does nothing. */
static void test_bus_mastering(void)
{
    const KitAta read = { .command = 0x25, .count = 1, .size = 512 };
    Fixture f;

    fixture_init(&f);
    kit_pci_set_command(&f.port->pci, PCI_COMMAND_MEMORY);
    kit_ahci_submit(f.port, 0, &read);
    kit_run_both(f.kit);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxCI), ==, 1);
    kit_pci_set_command(&f.port->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_assert_cmphex(kit_ahci_wait(f.port, 1), ==, KIT_TFD_GOOD);
    fixture_done(&f);
}

/* Every register, at every width, with every kind of value. */
static void test_a_storm_of_writes(void)
{
    static const uint32_t values[] = { 0, 1, 0x10, 0x11, 0x19, 0x55555555, UINT32_MAX };
    Fixture f;

    fixture_init(&f);
    set_rules(&f, "[{'ops': ['read', 'write'], 'errno': 'EIO', 'every': 3}]");
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned at = 0; at < 0x1000; at += round + 1) {
            for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
                kit_write(f.kit, f.port->abar + at, 4 >> round, values[i]);
                kit_read(f.kit, f.port->abar + at, 4 >> round);
            }
            if (at % 64 == 0)
                kit_run_both(f.kit);
        }
    }
    set_rules(&f, "[]");
    kit_run_both(f.kit);
    kit_ahci_set_global(f.port, KIT_GHC, 0x80000001);
    kit_run_both(f.kit);
    kit_ahci_start(f.port);
    kit_ahci_read(f.port, 0, 1);
    fixture_done(&f);
}

/* One of several vCPUs that know nothing of each other. */
static void *poke(void *opaque)
{
    Fixture *f = opaque;
    g_autoptr(GRand) rand = g_rand_new();

    for (unsigned i = 0; i < POKES; i++) {
        switch (g_rand_int_range(rand, 0, 12)) {
        case 0:
            kit_ahci_set(f->port, KIT_PxCMD, KIT_CMD_FRE);
            break;
        case 1:
            kit_ahci_set(f->port, KIT_PxSCTL, i & 1);
            break;
        case 2:
            kit_ahci_set_global(f->port, KIT_GHC, 0x80000002u | (i % 8 == 0));
            break;
        case 3:
            kit_pci_set_command(&f->port->pci, PCI_COMMAND_MEMORY |
                                (i & 1 ? PCI_COMMAND_MASTER : 0));
            break;
        case 4:
        case 5:
        case 6:
            kit_ahci_start(f->port);
            break;
        default:
            kit_ahci_issue(f->port, g_rand_int(rand), g_rand_boolean(rand));
        }
        kit_ahci_get(f->port, (unsigned)g_rand_int_range(rand, 0, 16) * 4);
        qsbr_quiescent();
    }
    return NULL;
}

/* Commands, stops and resets at once, with the queues on a thread of their own. */
static void test_several_vcpus_at_random(void)
{
    Fixture f = { .kit = kit_board_new_threaded() };
    pthread_t vcpus[VCPUS];

    fixture_init_on(&f, "");
    set_rules(&f, "[{'ops': ['read', 'write'], 'errno': 'EIO', 'every': 7}]");
    for (unsigned slot = 0; slot < 32; slot++) {
        KitAta ata = queued_read(slot);

        if (slot % 2)
            ata = (KitAta) { .command = 0x35, .count = 2, .size = 1024, .writes = true };
        kit_ahci_prepare(f.port, slot, &ata);
    }
    for (unsigned i = 0; i < VCPUS; i++)
        g_assert_true(thread_start(&vcpus[i], THREAD_VCPU, "vCPU", poke, &f, NULL));
    qsbr_offline();
    for (unsigned i = 0; i < VCPUS; i++)
        pthread_join(vcpus[i], NULL);
    qsbr_online();

    set_rules(&f, "[]");
    kit_pci_set_command(&f.port->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_ahci_set_global(f.port, KIT_GHC, 0x80000001u);
    for (int64_t end_ns = loop_clock_ns() + 60 * NS_PER_SEC;
         kit_ahci_get_global(f.port, KIT_GHC) & 1;)
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
    kit_ahci_start(f.port);
    kit_ahci_read(f.port, 0, 1);
    device_tree_pause(&f.kit->tree);
    fixture_done(&f);
}

static void test_places(void)
{
    static const char *const refused[][2] = {
        { "{'driver': 'ide-hd'}", "'drive'" },
        { "{'driver': 'ide-hd', 'drive': 'absent'}", "'drive'" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'bus': 'hba.1'}", "'hba.1' is full" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'bus': 'hba.6'}", "not found" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'bus': 'pcie.0'}", "pcie.0" },
        { "{'driver': 'ide-hd', 'drive': 'ro'}", "read-only" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'serial': '123456789012345678901'}",
          "'serial'" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'ver': '123456789'}", "'ver'" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'model': "
          "'12345678901234567890123456789012345678901'}", "'model'" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'physical_block_size': 1000}",
          "'physical_block_size'" },
        { "{'driver': 'ide-hd', 'drive': 'm', 'rerror': 'enospc'}", "'rerror'" },
    };
    const char *first = "{'driver': 'ide-cd'}";
    Fixture f;

    fixture_init(&f);
    kit_add_node(f.kit, "{'driver': 'null-co', 'node-name': 'm', 'size': 1048576}");
    kit_add_node(f.kit, "{'driver': 'null-co', 'node-name': 'ro', 'size': 1048576, "
                 "'read-only': true}");
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
        kit_assert_refused(f.kit, refused[i][0], refused[i][1]);
    /* Without a bus it is the first that is free. */
    g_assert_cmpstr(kit_add(f.kit, first)->bus->name, ==, "hba.0");
    g_assert_cmpstr(kit_add(f.kit, first)->bus->name, ==, "hba.2");
    kit_add(f.kit, first);
    kit_add(f.kit, first);
    g_assert_cmpstr(kit_add(f.kit, first)->bus->name, ==, "hba.5");
    kit_assert_refused(f.kit, first, "is full");
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ahci/is-what-guests-look-for", test_is_what_guests_look_for);
    g_test_add_func("/ahci/index-and-data", test_index_and_data);
    g_test_add_func("/ahci/bits-of-registers", test_bits_of_registers);
    g_test_add_func("/ahci/signature", test_signature);
    g_test_add_func("/ahci/an-empty-port", test_an_empty_port);
    g_test_add_func("/ahci/software-reset", test_software_reset);
    g_test_add_func("/ahci/interrupts", test_interrupts);
    g_test_add_func("/ahci/buffers", test_buffers);
    g_test_add_func("/ahci/two-long-lists", test_two_long_lists);
    g_test_add_func("/ahci/queued", test_queued);
    g_test_add_func("/ahci/queued-and-not", test_queued_and_not);
    g_test_add_func("/ahci/a-queued-one-fails", test_a_queued_one_fails);
    g_test_add_func("/ahci/wrong-memory", test_wrong_memory);
    g_test_add_func("/ahci/reset-in-the-middle", test_reset_in_the_middle);
    g_test_add_func("/ahci/held", test_held);
    g_test_add_func("/ahci/state", test_state);
    g_test_add_func("/ahci/memory-goes-from-a-busy-port",
                    test_memory_goes_from_a_busy_port);
    g_test_add_func("/ahci/leaves-with-a-disk-that-hangs",
                    test_controller_that_leaves_with_a_disk_that_hangs);
    g_test_add_func("/ahci/bus-mastering", test_bus_mastering);
    g_test_add_func("/ahci/a-storm-of-writes", test_a_storm_of_writes);
    g_test_add_func("/ahci/several-vcpus-at-random", test_several_vcpus_at_random);
    g_test_add_func("/ahci/places", test_places);
    return g_test_run();
}
