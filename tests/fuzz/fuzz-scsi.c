/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a driver does with a SCSI controller and its units: commands with any
 * CDB and any room for data, buffers of any size and place on all queues, task
 * management, configuration space; units that come and go, media that clients change,
 * faults of the disk, resets, stops, and the state saved and loaded between them.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"
#include "berth/inject.h"
#include "berth/log.h"
#include "berth/virtio.h"

#include "fuzz.h"
#include "kit-qmp.h"
#include "kit-scsi.h"

static struct {
    KitBoard *kit;
    KitScsi *scsi;
    KitQmp *qmp;
    BlockNode *inject;
} subject;

/* A unit that comes and goes, and its place. */
#define GUEST_UNIT                                                                       \
    "{'driver': 'scsi-hd', 'id': 'guest', 'drive': 'g', 'scsi-id': 0, 'lun': 3, "        \
    "'removable': true}"

static void make_subject(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    subject.kit = kit_board_new();
    kit_add_node(subject.kit, "{'driver': 'null-co', 'node-name': 'below', "
                 "'size': 4194304, 'read-zeroes': true}");
    subject.inject = kit_add_node(subject.kit, "{'driver': 'inject', 'node-name': 'n', "
                                  "'file': 'below'}");
    kit_add_node(subject.kit, "{'driver': 'null-co', 'node-name': 'g', 'size': 1048576}");
    kit_add_node(subject.kit, "{'driver': 'null-co', 'node-name': 'c'}");
    kit_add(subject.kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba', 'num_queues': 2}");
    kit_add(subject.kit, "{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n', 'scsi-id': 0, "
            "'lun': 0, 'serial': 's', 'werror': 'stop', 'rerror': 'stop'}");
    kit_add(subject.kit, "{'driver': 'scsi-cd', 'id': 'cd', 'drive': 'c', 'scsi-id': 1}");
    kit_add(subject.kit, "{'driver': 'scsi-cd', 'id': 'empty', 'scsi-id': 0, 'lun': 1}");
    kit_start(subject.kit);
    subject.scsi = kit_scsi_new(subject.kit, "hba");
    subject.qmp = kit_qmp_new(subject.kit);
}

/* The used rings are read, so that slots are free again. */
static void take_all(void)
{
    KitScsi *scsi = subject.scsi;
    uint32_t head, len;

    for (unsigned i = 0; i < scsi->n_queues; i++) {
        while (kit_queue_take(&scsi->requests[i], &head, &len))
            scsi->busy[head / 4 % KIT_SCSI_SLOTS] = false;
    }
    while (kit_queue_take(&scsi->control, &head, &len))
        continue;
    while (kit_queue_take(&scsi->events, &head, &len))
        continue;
}

static void restart(void)
{
    kit_run_both(subject.kit);
    kit_scsi_restart(subject.scsi);
}

static void act_of_command(FuzzInput *in)
{
    /* Opcodes, so that most inputs begin with one that there is. */
    static const uint8_t opcodes[] = {
        0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x1a, 0x1b, 0x1d, 0x1e, 0x25, 0x28,
        0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a, 0x88,
        0x8a, 0x8e, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xad, 0xae, 0xbd,
    };
    unsigned slot = fuzz_take(in, 1) % KIT_SCSI_SLOTS;
    uint8_t choice = fuzz_take(in, 1);
    unsigned room = fuzz_take(in, 1);
    KitScsiCommand command = {
        .target = fuzz_take(in, 1) % 3,
        .lun = fuzz_take(in, 1) % 5,
        .tag = fuzz_take(in, 1) % 4,
        .queue = slot % 2,
    };
    uint8_t *data = kit_scsi_data(subject.scsi, slot);
    unsigned n;

    command.cdb[0] = choice < G_N_ELEMENTS(opcodes) ? opcodes[choice] : choice;
    n = fuzz_take(in, 1) % sizeof(command.cdb);
    for (unsigned i = 1; i <= n && i < sizeof(command.cdb); i++)
        command.cdb[i] = fuzz_take(in, 1);
    if (room & 1)
        command.out_size = fuzz_take(in, 2);
    if (room & 2)
        command.in_size = fuzz_take(in, 2);
    n = room >> 2;
    for (unsigned i = 0; i < n; i++)
        data[i] = fuzz_take(in, 1);
    if (!subject.scsi->busy[slot])
        kit_scsi_submit(subject.scsi, slot, &command);
}

static KitQueue *queue_of(unsigned n)
{
    KitScsi *scsi = subject.scsi;

    switch (n % 4) {
    case 0:
        return &scsi->control;
    case 1:
        return &scsi->events;
    default:
        return &scsi->requests[n % 2];
    }
}

/* A descriptor anywhere, and a chain that begins anywhere. */
static void act_of_queue(FuzzInput *in)
{
    KitQueue *q = queue_of(fuzz_take(in, 1));
    unsigned kind = fuzz_take(in, 1);
    unsigned n = fuzz_take(in, 1) % q->size;

    if (kind & 1)
        kit_queue_desc(q, n, fuzz_take(in, 4), fuzz_take(in, 3), fuzz_take(in, 1) & 7,
                       fuzz_take(in, 1));
    else
        kit_queue_desc(q, n, KIT_VIRTIO_DATA + fuzz_take(in, 2), fuzz_take(in, 1),
                       fuzz_take(in, 1) & 3, fuzz_take(in, 1) % q->size);
    if (kind & 2 && (uint16_t)(q->next_avail - q->next_used) < q->size) {
        kit_queue_offer(q, n);
        kit_queue_kick(q);
    }
}

static void act_of_task(FuzzInput *in)
{
    KitScsi *scsi = subject.scsi;
    uint8_t subtype = fuzz_take(in, 1) % 10;
    uint8_t target = fuzz_take(in, 1) % 3;
    uint8_t lun = fuzz_take(in, 1) % 5;

    if ((uint16_t)(scsi->control.next_avail - scsi->control.next_used) < 16)
        kit_scsi_submit_task(scsi, subtype, target, lun, fuzz_take(in, 1) % 4);
}

static void toggle_unit(void)
{
    Device *dev = device_find(&subject.kit->tree, "guest");

    if (dev)
        device_remove(dev);
    else
        kit_add(subject.kit, GUEST_UNIT);
}

/* A command that changes a medium; it may well fail. */
static void change_medium(unsigned which)
{
    static const char *const commands[][2] = {
        { "blockdev-open-tray", "{'id': 'cd'}" },
        { "blockdev-open-tray", "{'id': 'cd', 'force': true}" },
        { "blockdev-close-tray", "{'id': 'cd'}" },
        { "blockdev-remove-medium", "{'id': 'cd'}" },
        { "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'c'}" },
        { "blockdev-insert-medium", "{'id': 'empty', 'node-name': 'c'}" },
        { "eject", "{'id': 'empty', 'force': true}" },
        { "eject", "{'id': 'cd'}" },
    };
    g_autoptr(JsonValue) reply = NULL;

    which %= G_N_ELEMENTS(commands);
    kit_qmp_send(subject.qmp, commands[which][0], commands[which][1]);
    reply = kit_qmp_receive(subject.qmp);
}

/* One act, chosen and described by the next bytes. */
static void act(FuzzInput *in)
{
    KitBoard *kit = subject.kit;
    unsigned size;

    switch (fuzz_take(in, 1) % 11) {
    case 0:
    case 1:
    case 2:
    case 3:
        act_of_command(in);
        break;
    case 4:
        act_of_queue(in);
        break;
    case 5:
        act_of_task(in);
        break;
    case 6:
        inject_fail_nth(subject.inject, fuzz_take(in, 1) % 8,
                        fuzz_take(in, 1) & 1 ? ENOSPC : EIO);
        break;
    case 7:
        size = 1u << fuzz_take(in, 1) % 4;
        kit_write(kit, subject.scsi->v->config + fuzz_take(in, 1) % 40, size,
                  fuzz_take(in, size));
        break;
    case 8:
        toggle_unit();
        break;
    case 9:
        change_medium(fuzz_take(in, 1));
        break;
    default:
        if (fuzz_take(in, 1) % 4 == 0)
            restart();
        else
            kit_save_and_load(subject.kit);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t as_at_first[] = { 6, 1, 4, 2 };
    FuzzInput in = { .data = data, .size = size };

    if (!subject.kit)
        make_subject();
    inject_fail_nth(subject.inject, 0, 0);
    restart();
    while (in.size > 0) {
        act(&in);
        kit_run_both(subject.kit);
        take_all();
    }

    if (device_find(&subject.kit->tree, "guest"))
        toggle_unit();
    /* As at first: one disc in the drive that had it. */
    for (unsigned i = 0; i < G_N_ELEMENTS(as_at_first); i++)
        change_medium(as_at_first[i]);
    /* A reset of the machine: trays are closed, modes are as at first. */
    device_tree_pause(&subject.kit->tree);
    kit_run_both(subject.kit);
    kit_start(subject.kit);
    g_string_truncate(subject.kit->tray_moves, 0);
    g_ptr_array_set_size(subject.qmp->events, 0);
    return 0;
}
