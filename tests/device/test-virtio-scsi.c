/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCSI controller as a driver sees it: configuration, how requests lie in buffers,
 * addresses of units, task management, events, errors that stop the machine.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/error.h"
#include "berth/scsi.h"
#include "berth/virtio.h"

#include "kit-qmp.h"
#include "scsi-bench.h"

#define HEADER_SIZE sizeof(struct virtio_scsi_cmd_req)
#define RESPONSE_SIZE sizeof(struct virtio_scsi_cmd_resp)
#define SPARE (KIT_VIRTIO_DATA + 0x4000)

static uint32_t config(KitScsi *scsi, size_t offset, unsigned size)
{
    return (uint32_t)kit_read(scsi->kit, scsi->v->config + offset, size);
}

#define CONFIG(scsi, field)                                                              \
    config(scsi, offsetof(struct virtio_scsi_config, field),                             \
           sizeof(((struct virtio_scsi_config *)0)->field))

static void test_configuration(void)
{
    const uint64_t cdb_size = offsetof(struct virtio_scsi_config, cdb_size);
    ScsiBench f;

    scsi_bench_init(&f, ", 'max_sectors': 8192, 'cmd_per_lun': 77, "
                    "'virtqueue_size': 64", "");
    g_assert_cmpuint(CONFIG(f.scsi, num_queues), ==, 2);
    g_assert_cmpuint(CONFIG(f.scsi, seg_max), ==, 62);
    g_assert_cmpuint(CONFIG(f.scsi, max_sectors), ==, 8192);
    g_assert_cmpuint(CONFIG(f.scsi, cmd_per_lun), ==, 77);
    g_assert_cmpuint(CONFIG(f.scsi, event_info_size), ==, 16);
    g_assert_cmpuint(CONFIG(f.scsi, sense_size), ==, 96);
    g_assert_cmpuint(CONFIG(f.scsi, cdb_size), ==, 32);
    g_assert_cmpuint(CONFIG(f.scsi, max_channel), ==, 0);
    g_assert_cmpuint(CONFIG(f.scsi, max_target), ==, 255);
    g_assert_cmpuint(CONFIG(f.scsi, max_lun), ==, 16383);
    g_assert_cmphex(f.scsi->v->features & 0xf, ==,
                    1 << VIRTIO_SCSI_F_HOTPLUG | 1 << VIRTIO_SCSI_F_CHANGE);

    kit_write(f.kit, f.scsi->v->config + cdb_size, 4, 257);
    kit_write(f.kit, f.scsi->v->config + cdb_size, 4, UINT32_MAX);
    kit_write(f.kit, f.scsi->v->config + cdb_size, 2, 1);
    kit_write(f.kit, f.scsi->v->config, 4, 9);
    g_assert_cmpuint(CONFIG(f.scsi, cdb_size), ==, 32);
    g_assert_cmpuint(CONFIG(f.scsi, num_queues), ==, 2);
    kit_write(f.kit, f.scsi->v->config + cdb_size, 4, 256);
    g_assert_cmpuint(CONFIG(f.scsi, cdb_size), ==, 256);
    kit_scsi_restart(f.scsi);
    g_assert_cmpuint(CONFIG(f.scsi, cdb_size), ==, 32);
    scsi_bench_done(&f);
}

/* A request whose header and response are of the sizes that the driver chose. */
static void test_sizes_that_the_driver_chose(void)
{
    KitQueue *q;
    uint8_t *bytes;
    uint32_t head, len;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    kit_write(f.kit, f.scsi->v->config + offsetof(struct virtio_scsi_config, cdb_size), 4,
              6);
    kit_write(f.kit, f.scsi->v->config + offsetof(struct virtio_scsi_config, sense_size),
              4, 14);
    bytes = kit_ram(f.kit, SPARE, 4096);
    memset(bytes, 0xee, 4096);
    memset(bytes, 0, 19 + 6);
    bytes[0] = 1;
    bytes[19] = 0x28;
    q = &f.scsi->requests[0];
    kit_queue_desc(q, 0, SPARE, 25, VRING_DESC_F_NEXT, 1);
    kit_queue_desc(q, 1, SPARE + 0x100, 12 + 14, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, 0);
    kit_queue_kick(q);

    g_assert_true(kit_queue_take(q, &head, &len));
    g_assert_cmpuint(len, ==, 26);
    g_assert_cmphex(bytes[0x100], ==, 14);
    g_assert_cmphex(bytes[0x10a], ==, 0x02);
    g_assert_cmphex(bytes[0x10c + 2], ==, 0x05);
    g_assert_cmphex(bytes[0x10c + 12], ==, 0x24);
    g_assert_cmphex(bytes[0x100 + 26], ==, 0xee);
    scsi_bench_done(&f);
}

/* The driver may cut its buffers anywhere. */
static void test_header_and_response_within_other_buffers(void)
{
    struct virtio_scsi_cmd_req header = { .lun = { 1 }, .cdb = { 0x2a, [8] = 2 } };
    uint8_t *bytes;
    uint32_t head, len;
    KitQueue *q;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    q = &f.scsi->requests[1];
    bytes = kit_ram(f.kit, SPARE, 4096);
    memcpy(bytes, &header, HEADER_SIZE);
    memset(bytes + HEADER_SIZE, 0x42, 1024);
    kit_queue_desc(q, 0, SPARE, 7, VRING_DESC_F_NEXT, 1);
    kit_queue_desc(q, 1, SPARE + 7, 100, VRING_DESC_F_NEXT, 2);
    kit_queue_desc(q, 2, SPARE + 107, HEADER_SIZE + 1024 - 107, VRING_DESC_F_NEXT, 3);
    kit_queue_desc(q, 3, SPARE + 2048, 5, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 4);
    kit_queue_desc(q, 4, SPARE + 2053, RESPONSE_SIZE - 5, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, 0);
    kit_queue_kick(q);
    kit_run_both(f.kit);
    g_assert_true(kit_queue_take(q, &head, &len));
    g_assert_cmpuint(len, ==, RESPONSE_SIZE);
    g_assert_cmphex(bytes[2048 + 11], ==, VIRTIO_SCSI_S_OK);
    g_assert_cmpmem(bytes + 2048, 8, "\0\0\0\0\0\0\0\0", 8);

    /* INQUIRY, whose data follow the response in the same buffer and the next. */
    header.cdb[0] = 0x12;
    header.cdb[4] = 36;
    header.cdb[8] = 0;
    memcpy(bytes, &header, HEADER_SIZE);
    memset(bytes + 2048, 0xee, 1024);
    kit_queue_desc(q, 0, SPARE, HEADER_SIZE, VRING_DESC_F_NEXT, 1);
    kit_queue_desc(q, 1, SPARE + 2048, RESPONSE_SIZE + 20,
                   VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
    kit_queue_desc(q, 2, SPARE + 3000, 30, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, 0);
    kit_queue_kick(q);

    g_assert_true(kit_queue_take(q, &head, &len));
    g_assert_cmpuint(len, ==, RESPONSE_SIZE + 36);
    g_assert_cmpuint(bytes[2048 + 4], ==, 50 - 36);
    g_assert_cmpmem(bytes + 2048 + RESPONSE_SIZE + 8, 12, "QEMU    QEMU", 12);
    g_assert_cmpmem(bytes + 3000, 16, " HARDDISK   2.5+", 16);
    g_assert_cmphex(bytes[3016], ==, 0xee);
    scsi_bench_done(&f);
}

/* What is no request breaks the device, and only it; a reset mends it. */
static void test_chains_that_are_no_requests(void)
{
    static const struct {
        unsigned queue;
        uint32_t out;
        uint32_t in;
        uint32_t type;
    } cases[] = {
        { 2, HEADER_SIZE - 1, RESPONSE_SIZE, 0 },
        { 2, HEADER_SIZE, RESPONSE_SIZE - 1, 0 },
        { 2, HEADER_SIZE, 0, 0 }, { 2, 0, 4096, 0 }, { 3, 1, 1, 0 },
        { 0, 23, 1, VIRTIO_SCSI_T_TMF }, { 0, 24, 0, VIRTIO_SCSI_T_TMF },
        { 0, 16, 4, VIRTIO_SCSI_T_AN_QUERY }, { 0, 15, 5, VIRTIO_SCSI_T_AN_SUBSCRIBE },
    };
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KitQueue *q = cases[i].queue == 0 ? &f.scsi->control
                                          : &f.scsi->requests[cases[i].queue - 2];
        bool both = cases[i].out > 0 && cases[i].in > 0;

        *(uint32_t *)kit_ram(f.kit, SPARE, 4) = GUINT32_TO_LE(cases[i].type);
        kit_queue_desc(q, 0, SPARE, cases[i].out > 0 ? cases[i].out : cases[i].in,
                       (both ? VRING_DESC_F_NEXT : 0) |
                       (cases[i].out > 0 ? 0 : VRING_DESC_F_WRITE), 1);
        kit_queue_desc(q, 1, SPARE + 0x800, MAX(cases[i].in, 1), VRING_DESC_F_WRITE, 0);
        kit_queue_offer(q, 0);
        kit_queue_kick(q);
        if (!(kit_virtio_status(f.scsi->v) & VIRTIO_CONFIG_S_NEEDS_RESET))
            g_error("case %zu is taken for a request", i);

        kit_scsi_restart(f.scsi);
        kit_scsi_clear(f.scsi, 0, 0);
        kit_scsi_read(f.scsi, 0, 1);
    }
    scsi_bench_done(&f);
}

static void test_control_requests_of_other_types(void)
{
    static const uint32_t types[] = {
        VIRTIO_SCSI_T_AN_QUERY, VIRTIO_SCSI_T_AN_SUBSCRIBE, 3, UINT32_MAX,
    };
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        KitQueue *q = &f.scsi->control;
        uint8_t *bytes = kit_ram(f.kit, SPARE, 4096);
        uint32_t head, len;

        memset(bytes, 0, 64);
        memset(bytes + 64, 0xee, 8);
        *(uint32_t *)bytes = GUINT32_TO_LE(types[i]);
        kit_queue_desc(q, 0, SPARE, 16, VRING_DESC_F_NEXT, 1);
        kit_queue_desc(q, 1, SPARE + 64, 5, VRING_DESC_F_WRITE, 0);
        kit_queue_offer(q, 0);
        kit_queue_kick(q);

        g_assert_true(kit_queue_take(q, &head, &len));
        g_assert_cmpuint(len, ==, i < 2 ? 5 : 0);
        if (i < 2)
            g_assert_cmpmem(bytes + 64, 5, "\0\0\0\0\0", 5);
    }
    scsi_bench_done(&f);
}

static void test_data_in_both_directions(void)
{
    const KitScsiCommand command = { .cdb = { 0x12 }, .out_size = 1, .in_size = 1 };
    KitScsiResult result;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    result = kit_scsi_ask(f.scsi, &command);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_FAILURE);
    g_assert_cmpuint(result.resid, ==, 2);
    scsi_bench_done(&f);
}

/* Each address with TEST UNIT READY. */
static void test_addresses(void)
{
    static const struct {
        const char *address;
        uint8_t response;
        uint32_t sense;
    } cases[] = {
        { "\x01\x00\x00\x00\0\0\0\0", VIRTIO_SCSI_S_OK, 0 },
        { "\x01\x00\x40\x00\0\0\0\0", VIRTIO_SCSI_S_OK, 0 },
        { "\x01\x05\x41\x00\0\0\0\0", VIRTIO_SCSI_S_OK, 0 },
        { "\x01\x00\x00\x01\0\0\0\0", VIRTIO_SCSI_S_OK, 0x052500 },
        { "\x01\x05\x00\x00\0\0\0\0", VIRTIO_SCSI_S_OK, 0x052500 },
        { "\x01\x00\x7f\xff\0\0\0\0", VIRTIO_SCSI_S_OK, 0x052500 },
        { "\x01\x01\x00\x00\0\0\0\0", VIRTIO_SCSI_S_BAD_TARGET, 0 },
        { "\x01\xff\x40\x00\0\0\0\0", VIRTIO_SCSI_S_BAD_TARGET, 0 },
        { "\x00\x00\x00\x00\0\0\0\0", VIRTIO_SCSI_S_BAD_TARGET, 0 },
        { "\x01\x00\x80\x00\0\0\0\0", VIRTIO_SCSI_S_BAD_TARGET, 0 },
        { "\x01\x00\xc1\x01\0\0\0\0", VIRTIO_SCSI_S_BAD_TARGET, 0 },
        { "\x01\x00\x01\x00\0\0\0\0", VIRTIO_SCSI_S_BAD_TARGET, 0 },
        { "\xc1\x01\x00\x00\0\0\0\0", VIRTIO_SCSI_S_OK, 0 },
        { "\xc1\x02\x00\x00\0\0\0\0", VIRTIO_SCSI_S_BAD_TARGET, 0 },
    };
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_add_disk(f.kit, "far", ", 'scsi-id': 5, 'lun': 256");
    for (unsigned i = 0; i < 2; i++) {
        kit_scsi_clear(f.scsi, 0, 0);
        kit_scsi_clear(f.scsi, 5, 256);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KitQueue *q = &f.scsi->requests[0];
        struct virtio_scsi_cmd_req header = { 0 };
        const uint8_t *bytes = kit_ram(f.kit, SPARE + 0x100, RESPONSE_SIZE);
        uint32_t head, len, sense;

        memcpy(header.lun, cases[i].address, 8);
        memcpy(kit_ram(f.kit, SPARE, HEADER_SIZE), &header, HEADER_SIZE);
        kit_queue_desc(q, 0, SPARE, HEADER_SIZE, VRING_DESC_F_NEXT, 1);
        kit_queue_desc(q, 1, SPARE + 0x100, RESPONSE_SIZE, VRING_DESC_F_WRITE, 0);
        kit_queue_offer(q, 0);
        kit_queue_kick(q);
        g_assert_true(kit_queue_take(q, &head, &len));
        sense = (uint32_t)bytes[12 + 2] << 16 | (uint32_t)bytes[12 + 12] << 8 |
            bytes[12 + 13];
        if (bytes[11] != cases[i].response || sense != cases[i].sense)
            g_error("case %zu: response %u, sense 0x%06x", i, bytes[11], sense);
    }
    scsi_bench_done(&f);
}

static KitScsiCommand report_luns(uint8_t target, uint16_t lun, uint8_t select)
{
    return (KitScsiCommand) {
        .cdb = { 0xa0, 0, select, [8] = 0x10 }, .in_size = 0x1000,
        .target = target, .lun = lun,
    };
}

static void test_report_luns(void)
{
    static const uint8_t luns[] = {
        0, 0, 0, 0x18, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x41, 0x2c, 0, 0, 0, 0, 0, 0,
    };
    KitScsiCommand command;
    KitScsiResult result;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_add_disk(f.kit, "a", ", 'scsi-id': 3, 'lun': 7");
    scsi_bench_add_disk(f.kit, "b", ", 'scsi-id': 3, 'lun': 300");
    scsi_bench_add_disk(f.kit, "c", ", 'scsi-id': 4");

    /* Of LUN 0, which is not there, and of one that is. */
    command = report_luns(3, 0, 0);
    command.cdb[9] = 0;
    result = kit_scsi_ask(f.scsi, &command);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_OK);
    g_assert_cmpmem(kit_scsi_data(f.scsi, 0), 0x1000 - result.resid, luns, sizeof(luns));
    command = report_luns(3, 7, 2);
    result = kit_scsi_ask(f.scsi, &command);
    g_assert_cmpmem(kit_scsi_data(f.scsi, 0), 0x1000 - result.resid, luns, sizeof(luns));
    command = report_luns(3, 7, 1);
    result = kit_scsi_ask(f.scsi, &command);
    g_assert_cmpuint(result.resid, ==, 0x1000 - 8);
    command = report_luns(3, 7, 3);
    g_assert_cmphex(kit_scsi_ask(f.scsi, &command).sense, ==, 0x052400);
    command.cdb[2] = 0;
    command.cdb[8] = 0;
    command.cdb[9] = 15;
    g_assert_cmphex(kit_scsi_ask(f.scsi, &command).sense, ==, 0x052400);
    command = report_luns(9, 0, 0);
    g_assert_cmphex(kit_scsi_ask(f.scsi, &command).response, ==,
                    VIRTIO_SCSI_S_BAD_TARGET);
    scsi_bench_done(&f);
}

/* What a target says of a unit that it has not. */
static void test_unit_that_is_not_there(void)
{
    KitScsiCommand command = { .cdb = { 0x12, [4] = 36 }, .in_size = 36, .lun = 9 };
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    g_assert_cmphex(kit_scsi_ask(f.scsi, &command).sense, ==, 0);
    g_assert_cmphex(kit_scsi_data(f.scsi, 0)[0], ==, 0x7f);
    command.cdb[0] = 0x03;
    g_assert_cmphex(kit_scsi_ask(f.scsi, &command).sense, ==, 0);
    g_assert_cmpmem(kit_scsi_data(f.scsi, 0), 3, "\x70\0\x05", 3);
    command.cdb[0] = 0x28;
    g_assert_cmphex(kit_scsi_ask(f.scsi, &command).sense, ==, 0x052500);
    scsi_bench_done(&f);
}

static void expect_event(ScsiBench *f, uint32_t type, uint32_t reason, uint8_t target)
{
    struct virtio_scsi_event event;

    g_assert_true(kit_scsi_event(f->scsi, &event));
    g_assert_cmphex(GUINT32_FROM_LE(event.event), ==, type);
    g_assert_cmphex(GUINT32_FROM_LE(event.reason), ==, reason);
    if (type < VIRTIO_SCSI_T_EVENTS_MISSED)
        g_assert_cmphex(event.lun[1], ==, target);
}

static void test_events_of_units_that_come_and_go(void)
{
    struct virtio_scsi_event event;
    const KitScsiCommand ready = { .target = 1 };
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_add_disk(f.kit, "other", "");
    kit_run_both(f.kit);
    expect_event(&f, VIRTIO_SCSI_T_TRANSPORT_RESET, VIRTIO_SCSI_EVT_RESET_RESCAN, 1);
    g_assert_cmphex(kit_scsi_ask(f.scsi, &ready).sense, ==, 0x062901);
    g_assert_cmphex(kit_scsi_ask(f.scsi, &ready).sense, ==, 0);

    device_remove(device_find(&f.kit->tree, "other"));
    kit_run_both(f.kit);
    expect_event(&f, VIRTIO_SCSI_T_TRANSPORT_RESET, VIRTIO_SCSI_EVT_RESET_REMOVED, 1);
    g_assert_cmpuint(kit_scsi_ask(f.scsi, &ready).response, ==, VIRTIO_SCSI_S_BAD_TARGET);
    g_assert_false(kit_scsi_event(f.scsi, &event));
    scsi_bench_done(&f);
}

/* More events than buffers: the driver is told that it missed some. */
static void test_events_that_are_missed(void)
{
    struct virtio_scsi_event event;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    for (unsigned i = 0; i < KIT_SCSI_EVENTS + 2; i++) {
        g_autofree char *id = g_strdup_printf("d%u", i);

        scsi_bench_add_disk(f.kit, id, "");
    }
    kit_run_both(f.kit);
    for (uint8_t i = 0; i < KIT_SCSI_EVENTS; i++)
        expect_event(&f, VIRTIO_SCSI_T_TRANSPORT_RESET, VIRTIO_SCSI_EVT_RESET_RESCAN,
                     i + 1);
    kit_queue_kick(&f.scsi->events);
    kit_run_both(f.kit);
    expect_event(&f, VIRTIO_SCSI_T_EVENTS_MISSED, 0, 0);
    g_assert_false(kit_scsi_event(f.scsi, &event));
    scsi_bench_done(&f);
}

static void test_no_events_without_the_features(void)
{
    struct virtio_scsi_event event;
    ScsiBench f;

    scsi_bench_init(&f, ", 'hotplug': false, 'param_change': false", "");
    g_assert_cmphex(f.scsi->v->features & 0xf, ==, 0);
    scsi_bench_add_disk(f.kit, "other", "");
    kit_run_both(f.kit);
    g_assert_false(kit_scsi_event(f.scsi, &event));
    scsi_bench_done(&f);
}

static void test_event_of_a_disk_that_grew(void)
{
    const KitScsiCommand ready = { .target = 1 };
    g_autofree char *path = g_strdup("build/test-virtio-scsi-XXXXXX");
    KitQmp *qmp;
    ScsiBench f;

    close(g_mkstemp(path));
    g_assert_cmpint(truncate(path, 1 * MIB), ==, 0);
    scsi_bench_init(&f, "", "");
    qmp = kit_qmp_new(f.kit);
    kit_qmp_do(qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'file', "
               "'filename': '%s'}", path);
    kit_add(f.kit, "{'driver': 'scsi-hd', 'drive': 'file', 'scsi-id': 1}");
    kit_run_both(f.kit);
    expect_event(&f, VIRTIO_SCSI_T_TRANSPORT_RESET, VIRTIO_SCSI_EVT_RESET_RESCAN, 1);
    kit_scsi_clear(f.scsi, 1, 0);

    kit_qmp_do(qmp, "block_resize", "{'node-name': 'file', 'size': 2097152}");
    kit_run_both(f.kit);

    expect_event(&f, VIRTIO_SCSI_T_PARAM_CHANGE, 0x2a | 0x09 << 8, 1);
    g_assert_cmphex(kit_scsi_ask(f.scsi, &ready).sense, ==, 0x062a09);
    g_assert_cmphex(kit_scsi_ask(f.scsi, &(KitScsiCommand) {
        .cdb = { 0x25 }, .in_size = 8, .target = 1,
    }).sense, ==, 0);
    g_assert_cmpmem(kit_scsi_data(f.scsi, 0), 8, "\0\0\x0f\xff\0\0\2\0", 8);
    kit_qmp_free(qmp);
    scsi_bench_done(&f);
    g_unlink(path);
}

/* The disk's others on the target are told that there is a new unit. */
static void test_new_unit_on_the_same_target(void)
{
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_add_disk(f.kit, "other", ", 'scsi-id': 0, 'lun': 5");
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0x063f0e);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0);
    scsi_bench_done(&f);
}

static void test_properties_that_are_refused(void)
{
    static const struct {
        const char *props;
        const char *words;
    } cases[] = {
        { "'driver': 'virtio-scsi-pci', 'virtqueue_size': 100", "'virtqueue_size'" },
        { "'driver': 'virtio-scsi-pci', 'iothread': 'absent'", "'iothread'" },
        { "'driver': 'virtio-scsi-pci', 'num_queues': 1, 'iothread-vq-mapping': ["
          "{'iothread': 'a', 'vqs': [0, 1]}]", "queue 1 is not there" },
        { "'driver': 'virtio-scsi-pci', 'id': 'hba'", "'hba'" },
        { "'driver': 'scsi-hd'", "'drive'" },
        { "'driver': 'scsi-hd', 'drive': 'absent'", "'drive'" },
        { "'driver': 'scsi-hd', 'drive': 'used'", "'first'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'scsi-id': 0, 'lun': 0", "'first'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'bus': 'pcie.0'", "pcie.0" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'logical_block_size': 1000",
          "'logical_block_size'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'physical_block_size': 1000",
          "'physical_block_size'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'min_io_size': 700", "'min_io_size'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'discard_granularity': 700",
          "'discard_granularity'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'vendor': 'more than 8'", "'vendor'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'product': 'more than sixteen'",
          "'product'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'ver': '12345'", "'ver'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'serial': "
          "'more than thirty-six characters of it'", "'serial'" },
        { "'driver': 'scsi-hd', 'drive': 'n', 'rerror': 'enospc'", "'rerror'" },
        { "'driver': 'virtio-scsi-pci', 'packed': true", "packed" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_assert_refused(kit, "{'driver': 'scsi-hd', 'drive': 'n'}", "SCSI");
    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'a'}");
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'n'}");
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'used'}");
    kit_add(kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba'}");
    kit_add(kit, "{'driver': 'scsi-hd', 'drive': 'used', 'id': 'first'}");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *json = g_strdup_printf("{%s}", cases[i].props);

        kit_assert_refused(kit, json, cases[i].words);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-scsi/configuration", test_configuration);
    g_test_add_func("/virtio-scsi/sizes-that-the-driver-chose",
                    test_sizes_that_the_driver_chose);
    g_test_add_func("/virtio-scsi/header-and-response-within-other-buffers",
                    test_header_and_response_within_other_buffers);
    g_test_add_func("/virtio-scsi/chains-that-are-no-requests",
                    test_chains_that_are_no_requests);
    g_test_add_func("/virtio-scsi/control-requests-of-other-types",
                    test_control_requests_of_other_types);
    g_test_add_func("/virtio-scsi/data-in-both-directions", test_data_in_both_directions);
    g_test_add_func("/virtio-scsi/addresses", test_addresses);
    g_test_add_func("/virtio-scsi/report-luns", test_report_luns);
    g_test_add_func("/virtio-scsi/unit-that-is-not-there", test_unit_that_is_not_there);
    g_test_add_func("/virtio-scsi/events-of-units-that-come-and-go",
                    test_events_of_units_that_come_and_go);
    g_test_add_func("/virtio-scsi/event-of-a-disk-that-grew",
                    test_event_of_a_disk_that_grew);
    g_test_add_func("/virtio-scsi/events-that-are-missed", test_events_that_are_missed);
    g_test_add_func("/virtio-scsi/no-events-without-the-features",
                    test_no_events_without_the_features);
    g_test_add_func("/virtio-scsi/new-unit-on-the-same-target",
                    test_new_unit_on_the_same_target);
    g_test_add_func("/virtio-scsi/properties-that-are-refused",
                    test_properties_that_are_refused);
    return g_test_run();
}
