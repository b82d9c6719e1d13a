/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a driver does with an AHCI controller that has a disk and a CD drive:
 * registers of the controller and of ports, commands of any kind in any slot with buffers
 * of any place and size, frames and headers that are none, media that clients change,
 * faults of the disk, resets, stops, and the state saved and loaded between them.
 */
#include <errno.h>
#include <string.h>

#include "berth/inject.h"
#include "berth/log.h"

#include "fuzz.h"
#include "kit-ahci.h"
#include "kit-qmp.h"

#define PORTS 2u                        /* that have a device; more are written to */

static struct {
    KitBoard *kit;
    Device *hba;
    KitAhci *ports[PORTS];
    KitQmp *qmp;
    BlockNode *inject;
} subject;

static void make_subject(void)
{
    KitBoard *kit = kit_board_new();

    log_set_level(LOG_LEVEL_ERROR);
    subject.kit = kit;
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'below', 'size': 4194304, "
                 "'read-zeroes': true}");
    subject.inject = kit_add_node(kit, "{'driver': 'inject', 'node-name': 'n', "
                                  "'file': 'below'}");
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'c', 'read-only': true}");
    subject.hba = kit_add(kit, "{'driver': 'ich9-ahci', 'id': 'hba'}");
    kit_add(kit, "{'driver': 'ide-hd', 'id': 'hd', 'drive': 'n', 'bus': 'hba.0', "
            "'werror': 'stop', 'rerror': 'stop'}");
    kit_add(kit, "{'driver': 'ide-cd', 'id': 'cd', 'drive': 'c', 'bus': 'hba.1'}");
    kit_start(kit);
    for (unsigned i = 0; i < PORTS; i++)
        subject.ports[i] = kit_ahci_new(kit, subject.hba, i);
    subject.qmp = kit_qmp_new(kit);
}

/* As the driver has it before it does anything wrong. */
static void restart(void)
{
    kit_pci_set_command(&subject.ports[0]->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_IO |
                        PCI_COMMAND_MASTER);
    kit_ahci_set_global(subject.ports[0], KIT_GHC, 0x80000001);
    kit_run_both(subject.kit);
    for (unsigned i = 0; i < PORTS; i++)
        kit_ahci_start(subject.ports[i]);
}

/* Stops and starts a port, whatever became of it. */
static void recover(unsigned n)
{
    kit_pci_set_command(&subject.ports[0]->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_ahci_recover(subject.ports[n % PORTS]);
}

static void act_of_register(FuzzInput *in)
{
    KitAhci *port = subject.ports[0];
    unsigned offset = fuzz_take(in, 1) * 4;
    uint32_t value = (uint32_t)fuzz_take(in, 4);

    /* The lower half is the controller's; the upper that of ports 0 to 3. */
    kit_ahci_set_global(port, offset < 0x200 ? offset : 0x100 + offset % 0x200, value);
    kit_ahci_get_global(port, offset);
}

static void act_of_command(FuzzInput *in)
{
    /* Most inputs begin with a command that there is. */
    static const uint8_t opcodes[] = {
        0x00, 0x06, 0x08, 0x10, 0x20, 0x24, 0x25, 0x27, 0x29, 0x2f, 0x30, 0x34, 0x35,
        0x39, 0x3d, 0x40, 0x42, 0x47, 0x60, 0x61, 0x70, 0x90, 0x91, 0xa0, 0xa1, 0xb0,
        0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xce, 0xe0, 0xe3, 0xe5, 0xe7, 0xea, 0xec, 0xef,
        0xf8,
    };
    KitAhci *port = subject.ports[fuzz_take(in, 1) % PORTS];
    unsigned slot = fuzz_take(in, 1) % 32;
    uint8_t choice = fuzz_take(in, 1);
    unsigned flags = fuzz_take(in, 1);
    KitAta ata = {
        .command = choice < G_N_ELEMENTS(opcodes) ? opcodes[choice] : choice,
        .writes = flags & 1,
        .is_queued = flags & 2,
        .features = fuzz_take(in, 2),
        .count = fuzz_take(in, 2),
        .lba = fuzz_take(in, 3),
        .size = fuzz_take(in, 2) % KIT_AHCI_DATA & ~1u,
        .n_prds = flags & 4 ? fuzz_take(in, 2) % KIT_AHCI_PRDS : 0,
    };
    unsigned n = flags & 8 ? fuzz_take(in, 1) % 16 : 0;

    if (ata.n_prds * 2 > ata.size)
        ata.n_prds = 0;
    for (unsigned i = 0; i < n; i++)
        ata.packet[i] = (uint8_t)fuzz_take(in, 1);
    kit_ahci_prepare(port, slot, &ata);
    if (flags & 16)
        kit_ahci_data(port, slot)[fuzz_take(in, 1)] = (uint8_t)fuzz_take(in, 1);
    /* The header, or the table with its frame, buffers and packet, is otherwise. */
    if (flags & 32)
        kit_ahci_header(port, slot)[fuzz_take(in, 1) % 32] = (uint8_t)fuzz_take(in, 1);
    if (flags & 64)
        kit_ahci_table(port, slot)[fuzz_take(in, 1)] = (uint8_t)fuzz_take(in, 1);
    kit_ahci_issue(port, flags & 128 ? (uint32_t)fuzz_take(in, 4) : 1u << slot,
                   ata.is_queued);
}

/* A command that changes the medium; it may well fail. */
static void change_medium(unsigned which)
{
    static const char *const commands[][2] = {
        { "blockdev-open-tray", "{'id': 'cd'}" },
        { "blockdev-open-tray", "{'id': 'cd', 'force': true}" },
        { "blockdev-close-tray", "{'id': 'cd'}" },
        { "blockdev-remove-medium", "{'id': 'cd'}" },
        { "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'c'}" },
    };
    g_autoptr(JsonValue) reply = NULL;

    which %= G_N_ELEMENTS(commands);
    kit_qmp_send(subject.qmp, commands[which][0], commands[which][1]);
    reply = kit_qmp_receive(subject.qmp);
}

/* One act, chosen and described by the next bytes. */
static void act(FuzzInput *in)
{
    switch (fuzz_take(in, 1) % 10) {
    case 0:
    case 1:
    case 2:
    case 3:
        act_of_command(in);
        break;
    case 4:
    case 5:
        act_of_register(in);
        break;
    case 6:
        inject_fail_nth(subject.inject, fuzz_take(in, 1) % 8,
                        fuzz_take(in, 1) & 1 ? ENOSPC : EIO);
        break;
    case 7:
        change_medium((unsigned)fuzz_take(in, 1));
        break;
    case 8:
        kit_pci_set_command(&subject.ports[0]->pci, (uint16_t)fuzz_take(in, 2));
        break;
    default:
        if (fuzz_take(in, 1) % 2 == 0)
            recover((unsigned)fuzz_take(in, 1));
        else
            kit_save_and_load(subject.kit);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t as_at_first[] = { 1, 3, 4, 2 };
    FuzzInput in = { .data = data, .size = size };

    if (!subject.kit)
        make_subject();
    inject_fail_nth(subject.inject, 0, 0);
    restart();
    while (in.size > 0) {
        act(&in);
        kit_run_both(subject.kit);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(as_at_first); i++)
        change_medium(as_at_first[i]);
    device_tree_pause(&subject.kit->tree);
    kit_run_both(subject.kit);
    kit_start(subject.kit);
    g_string_truncate(subject.kit->tray_moves, 0);
    g_ptr_array_set_size(subject.qmp->events, 0);
    return 0;
}
