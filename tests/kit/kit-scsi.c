/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/timer.h"

#include "kit-scsi.h"

#define HEADERS KIT_VIRTIO_DATA                 /* 128 bytes of each slot */
#define RESPONSES (KIT_VIRTIO_DATA + 0x1000)
#define TASKS (KIT_VIRTIO_DATA + 0x2000)        /* of 64 bytes */
#define TASK_SPACE 64u
#define TASK_RESPONSE 32u                       /* in the middle of one */
#define EVENTS (KIT_VIRTIO_DATA + 0x3000)       /* 16 bytes each */
#define DATA (KIT_VIRTIO_DATA + 0x10000)
#define SPACE 128u
#define HEADER_SIZE sizeof(struct virtio_scsi_cmd_req)
#define RESPONSE_SIZE sizeof(struct virtio_scsi_cmd_resp)
#define WAIT_NS (20 * NS_PER_SEC)

static void offer_event(KitScsi *scsi, unsigned n)
{
    kit_queue_desc(&scsi->events, n, EVENTS + n * 16, sizeof(struct virtio_scsi_event),
                   VRING_DESC_F_WRITE, 0);
    kit_queue_offer(&scsi->events, (uint16_t)n);
}

void kit_scsi_restart(KitScsi *scsi)
{
    KitVirtio *v = scsi->v;

    kit_pci_set_command(&v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_virtio_negotiate(v, UINT64_MAX);
    scsi->n_queues = (unsigned)kit_read(scsi->kit, v->config, 4);
    g_assert_cmpuint(scsi->n_queues, <=, KIT_SCSI_QUEUES);
    kit_virtio_setup_queue(v, KIT_SCSI_RING);
    scsi->control = v->queue;
    kit_queue_setup(&scsi->events, v, 1, KIT_SCSI_RING);
    for (unsigned i = 0; i < scsi->n_queues; i++)
        kit_queue_setup(&scsi->requests[i], v, 2 + i, KIT_SCSI_RING);
    for (unsigned i = 0; i < KIT_SCSI_EVENTS; i++)
        offer_event(scsi, i);
    memset(scsi->busy, 0, sizeof(scsi->busy));
    kit_virtio_set_status(v, kit_virtio_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
}

KitScsi *kit_scsi_new(KitBoard *kit, const char *id)
{
    KitScsi *scsi = g_new0(KitScsi, 1);

    scsi->kit = kit;
    scsi->v = kit_virtio_new(kit, device_find(&kit->tree, id));
    kit_scsi_restart(scsi);
    return scsi;
}

void kit_scsi_free(KitScsi *scsi)
{
    g_free(scsi->v);
    g_free(scsi);
}

void kit_scsi_address(uint8_t *to, uint8_t target, uint16_t lun)
{
    memset(to, 0, 8);
    to[0] = 1;
    to[1] = target;
    to[2] = 0x40 | (uint8_t)(lun >> 8);
    to[3] = (uint8_t)lun;
}

uint8_t *kit_scsi_data(KitScsi *scsi, unsigned slot)
{
    return kit_ram(scsi->kit, DATA + slot * KIT_SCSI_DATA, KIT_SCSI_DATA);
}

void kit_scsi_submit(KitScsi *scsi, unsigned slot, const KitScsiCommand *command)
{
    KitQueue *q = &scsi->requests[command->queue];
    struct virtio_scsi_cmd_req header = { .tag = GUINT64_TO_LE(command->tag) };
    unsigned head = slot * 4, at = head;

    g_assert_false(scsi->busy[slot]);
    scsi->busy[slot] = true;
    kit_scsi_address(header.lun, command->target, command->lun);
    memcpy(header.cdb, command->cdb, sizeof(command->cdb));
    memcpy(kit_ram(scsi->kit, HEADERS + slot * SPACE, HEADER_SIZE), &header, HEADER_SIZE);
    memset(kit_ram(scsi->kit, RESPONSES + slot * SPACE, RESPONSE_SIZE), 0xee,
           RESPONSE_SIZE);

    kit_queue_desc(q, at, HEADERS + slot * SPACE, HEADER_SIZE, VRING_DESC_F_NEXT, at + 1);
    at++;
    if (command->out_size > 0) {
        kit_queue_desc(q, at, DATA + slot * KIT_SCSI_DATA, command->out_size,
                       VRING_DESC_F_NEXT, at + 1);
        at++;
    }
    kit_queue_desc(q, at, RESPONSES + slot * SPACE, RESPONSE_SIZE,
                   VRING_DESC_F_WRITE | (command->in_size > 0 ? VRING_DESC_F_NEXT : 0),
                   at + 1);
    if (command->in_size > 0)
        kit_queue_desc(q, at + 1, DATA + slot * KIT_SCSI_DATA, command->in_size,
                       VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, (uint16_t)head);
    kit_queue_kick(q);
}

static uint32_t sense_of(const struct virtio_scsi_cmd_resp *response)
{
    if (response->sense_len == 0)
        return 0;
    g_assert_cmpuint(GUINT32_FROM_LE(response->sense_len), ==, 18);
    g_assert_cmphex(response->sense[0], ==, 0x70);
    g_assert_cmphex(response->sense[7], ==, 10);
    return (uint32_t)response->sense[2] << 16 | (uint32_t)response->sense[12] << 8 |
        response->sense[13];
}

bool kit_scsi_take(KitScsi *scsi, unsigned *ret_slot, KitScsiResult *ret_result)
{
    const struct virtio_scsi_cmd_resp *response;
    uint32_t head, len = 0;
    bool taken = false;

    for (unsigned i = 0; i < scsi->n_queues && !taken; i++)
        taken = kit_queue_take(&scsi->requests[i], &head, &len);
    if (!taken)
        return false;
    *ret_slot = head / 4;
    g_assert_true(scsi->busy[*ret_slot]);
    scsi->busy[*ret_slot] = false;
    response = kit_ram(scsi->kit, RESPONSES + *ret_slot * SPACE, RESPONSE_SIZE);
    *ret_result = (KitScsiResult) {
        .response = response->response, .status = response->status,
        .sense = sense_of(response), .resid = GUINT32_FROM_LE(response->resid),
        .n_written = len,
    };
    return true;
}

unsigned kit_scsi_wait(KitScsi *scsi, KitScsiResult *ret_result)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    unsigned slot;

    while (!kit_scsi_take(scsi, &slot, ret_result)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(scsi->kit);
    }
    return slot;
}

KitScsiResult kit_scsi_ask(KitScsi *scsi, const KitScsiCommand *command)
{
    KitScsiResult result;

    kit_scsi_submit(scsi, 0, command);
    g_assert_cmpuint(kit_scsi_wait(scsi, &result), ==, 0);
    return result;
}

static void parse_hex(KitScsiCommand *command, const char *hex)
{
    unsigned n = 0;

    for (; *hex; hex += 2) {
        while (*hex == ' ')
            hex++;
        g_assert_cmpuint(n, <, sizeof(command->cdb));
        command->cdb[n++] = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 |
                                      g_ascii_xdigit_value(hex[1]));
    }
}

uint32_t kit_scsi_sense(KitScsi *scsi, const char *cdb_hex, uint32_t out_size,
                        uint32_t in_size)
{
    KitScsiCommand command = { .out_size = out_size, .in_size = in_size };
    KitScsiResult result;

    parse_hex(&command, cdb_hex);
    result = kit_scsi_ask(scsi, &command);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_OK);
    g_assert_cmphex(result.status, ==, result.sense ? 0x02 : 0x00);
    return result.sense;
}

void kit_scsi_check_senses(KitScsi *scsi, const KitScsiSense *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t sense =
            kit_scsi_sense(scsi, rows[i].cdb, rows[i].out_size, rows[i].in_size);

        if (sense != rows[i].sense)
            g_error("case %zu: sense 0x%06x, not 0x%06x", i, sense, rows[i].sense);
    }
}

const uint8_t *kit_scsi_get(KitScsi *scsi, const char *cdb_hex, uint32_t size)
{
    KitScsiCommand command = { .in_size = KIT_SCSI_DATA };
    KitScsiResult result;

    parse_hex(&command, cdb_hex);
    memset(kit_scsi_data(scsi, 0), 0xee, KIT_SCSI_DATA);
    result = kit_scsi_ask(scsi, &command);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_OK);
    g_assert_cmphex(result.sense, ==, 0);
    g_assert_cmphex(result.status, ==, 0);
    g_assert_cmpuint(KIT_SCSI_DATA - result.resid, ==, size);
    g_assert_cmpuint(result.n_written, ==, RESPONSE_SIZE + size);
    return kit_scsi_data(scsi, 0);
}

void kit_scsi_clear(KitScsi *scsi, uint8_t target, uint16_t lun)
{
    const KitScsiCommand command = { .target = target, .lun = lun };
    unsigned n = 0;

    while (kit_scsi_ask(scsi, &command).sense >> 16 == 0x06)
        g_assert_cmpuint(++n, <, 8);
}

static KitScsiCommand transfer(uint8_t opcode, uint32_t lba, uint16_t n)
{
    return (KitScsiCommand) {
        .cdb = { opcode, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
                 (uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(n >> 8), (uint8_t)n },
    };
}

const uint8_t *kit_scsi_read(KitScsi *scsi, uint32_t lba, uint16_t n)
{
    KitScsiCommand command = transfer(0x28, lba, n);
    KitScsiResult result;

    command.in_size = n * 512u;
    memset(kit_scsi_data(scsi, 0), 0xee, command.in_size);
    result = kit_scsi_ask(scsi, &command);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_OK);
    g_assert_cmphex(result.sense, ==, 0);
    g_assert_cmpuint(result.resid, ==, 0);
    return kit_scsi_data(scsi, 0);
}

void kit_scsi_write(KitScsi *scsi, uint32_t lba, uint8_t value, uint16_t n)
{
    KitScsiCommand command = transfer(0x2a, lba, n);
    KitScsiResult result;

    command.out_size = n * 512u;
    memset(kit_scsi_data(scsi, 0), value, command.out_size);
    result = kit_scsi_ask(scsi, &command);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_OK);
    g_assert_cmphex(result.sense, ==, 0);
    g_assert_cmpuint(result.resid, ==, 0);
}

void kit_scsi_submit_task(KitScsi *scsi, uint32_t subtype, uint8_t target, uint16_t lun,
                          uint64_t tag)
{
    struct virtio_scsi_ctrl_tmf_req req = {
        .type = GUINT32_TO_LE(VIRTIO_SCSI_T_TMF), .subtype = GUINT32_TO_LE(subtype),
        .tag = GUINT64_TO_LE(tag),
    };
    KitQueue *q = &scsi->control;
    unsigned slot = q->next_avail % (KIT_SCSI_RING / 2);
    uint64_t gpa = TASKS + slot * TASK_SPACE;
    uint8_t *bytes = kit_ram(scsi->kit, gpa, TASK_SPACE);

    kit_scsi_address(req.lun, target, lun);
    memcpy(bytes, &req, sizeof(req));
    bytes[TASK_RESPONSE] = 0xee;
    kit_queue_desc(q, 2 * slot, gpa, sizeof(req), VRING_DESC_F_NEXT, 2 * slot + 1);
    kit_queue_desc(q, 2 * slot + 1, gpa + TASK_RESPONSE, 1, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, (uint16_t)(2 * slot));
    kit_queue_kick(q);
}

bool kit_scsi_take_task(KitScsi *scsi, uint8_t *ret_response)
{
    uint32_t head, len;

    if (!kit_queue_take(&scsi->control, &head, &len))
        return false;
    g_assert_cmpuint(len, ==, 1);
    *ret_response = *(uint8_t *)kit_ram(scsi->kit, TASKS + head / 2 * TASK_SPACE +
                                        TASK_RESPONSE, 1);
    return true;
}

uint8_t kit_scsi_task(KitScsi *scsi, uint32_t subtype, uint8_t target, uint16_t lun,
                      uint64_t tag)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    uint8_t response;

    kit_scsi_submit_task(scsi, subtype, target, lun, tag);
    while (!kit_scsi_take_task(scsi, &response)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(scsi->kit);
    }
    return response;
}

bool kit_scsi_event(KitScsi *scsi, struct virtio_scsi_event *ret_event)
{
    uint32_t head, len;

    if (!kit_queue_take(&scsi->events, &head, &len))
        return false;
    g_assert_cmpuint(len, ==, sizeof(*ret_event));
    memcpy(ret_event, kit_ram(scsi->kit, EVENTS + head * 16, sizeof(*ret_event)),
           sizeof(*ret_event));
    offer_event(scsi, head);
    return true;
}
