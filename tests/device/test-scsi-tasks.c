/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI requests whose disk fails or does not answer: task management, error policy,
 * resets, units that go; on one thread and on several.
 */
#include <linux/virtio_pci.h>
#include <string.h>

#include "berth/block-drive.h"
#include "berth/inject.h"
#include "berth/throttle.h"

#include "kit-image.h"
#include "kit-qmp.h"
#include "scsi-bench.h"

static void test_task_management_without_tasks(void)
{
    static const struct {
        uint32_t subtype;
        uint8_t target;
        uint16_t lun;
        uint8_t response;
    } cases[] = {
        { VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, VIRTIO_SCSI_S_OK },
        { VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 0, 0, VIRTIO_SCSI_S_OK },
        { VIRTIO_SCSI_T_TMF_CLEAR_ACA, 0, 0, VIRTIO_SCSI_S_FUNCTION_REJECTED },
        { VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET, 0, 0, VIRTIO_SCSI_S_OK },
        { VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, 0, 9, VIRTIO_SCSI_S_OK },
        { VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0, VIRTIO_SCSI_S_OK },
        { VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 9, VIRTIO_SCSI_S_INCORRECT_LUN },
        { VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 9, 0, VIRTIO_SCSI_S_BAD_TARGET },
        { VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 0, VIRTIO_SCSI_S_OK },
        { VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, 0, 0, VIRTIO_SCSI_S_OK },
        { 8, 0, 0, VIRTIO_SCSI_S_FUNCTION_REJECTED },
        { UINT32_MAX, 0, 0, VIRTIO_SCSI_S_FUNCTION_REJECTED },
    };
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t response = kit_scsi_task(f.scsi, cases[i].subtype, cases[i].target,
                                         cases[i].lun, 0);

        if (response != cases[i].response)
            g_error("case %zu: response %u", i, response);
    }
    /* The latest tells of both resets. */
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0x062903);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0x062907);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0);
    scsi_bench_done(&f);
}

/* An abort is answered when what it aborts has ended, and not before. */
static void test_abort_waits_for_the_disk(void)
{
    KitScsiResult result;
    uint8_t response;
    unsigned slot;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_hang(&f);
    for (unsigned i = 0; i < 4; i++)
        scsi_bench_submit_read(&f, i, 100 + i);
    kit_run_both(f.kit);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 0, 102), ==,
                     VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 0, 99), ==,
                     VIRTIO_SCSI_S_OK);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, 0, 0, 99),
                     ==, VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);

    kit_scsi_submit_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 102);
    kit_run_both(f.kit);
    g_assert_false(kit_scsi_take_task(f.scsi, &response));
    g_assert_false(kit_scsi_take(f.scsi, &slot, &result));

    scsi_bench_set_rules(&f, "[]");
    for (unsigned i = 0; i < 4; i++) {
        slot = kit_scsi_wait(f.scsi, &result);
        g_assert_cmpuint(result.response, ==,
                         slot == 2 ? VIRTIO_SCSI_S_ABORTED : VIRTIO_SCSI_S_OK);
    }
    while (!kit_scsi_take_task(f.scsi, &response))
        kit_run_both(f.kit);
    g_assert_cmpuint(response, ==, VIRTIO_SCSI_S_OK);
    scsi_bench_done(&f);
}

static unsigned n_limited(ScsiBench *f)
{
    KitScsiResult result;
    unsigned n = 0, slot;

    /* A request in whole goes at once, and what follows waits for minutes. */
    for (unsigned i = 0; i < 6; i++)
        scsi_bench_submit_read(f, i, 100 + i);
    kit_run_both(f->kit);
    while (kit_scsi_take(f->scsi, &slot, &result))
        n++;
    return 6 - n;
}

/* What a limit holds back is not waited for. */
static void check_aborts_of_limited(ScsiBench *f)
{
    unsigned n = n_limited(f), slot;
    KitScsiResult result;

    g_assert_cmpuint(n, >, 3);
    g_assert_cmpuint(kit_scsi_task(f->scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 104), ==,
                     VIRTIO_SCSI_S_OK);
    g_assert_true(kit_scsi_take(f->scsi, &slot, &result));
    g_assert_cmpuint(slot, ==, 4);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_ABORTED);
    g_assert_false(kit_scsi_take(f->scsi, &slot, &result));
    g_assert_cmpuint(kit_scsi_task(f->scsi, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 0, 105), ==,
                     VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
    g_assert_cmpuint(kit_scsi_task(f->scsi, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0,
                                   0), ==, VIRTIO_SCSI_S_OK);
    scsi_bench_expect(f, n - 1, VIRTIO_SCSI_S_RESET);
    g_assert_cmphex(kit_scsi_sense(f->scsi, "00 00 00 00 00 00", 0, 0), ==, 0x062903);
}

static void test_abort_does_not_wait_for_limits(void)
{
    DriveThrottling throttling = { .has_bps_total = true, .bps_total = 1 };
    BlockDrive *drive;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    drive = block_drive_find(f.kit->blocks, "hd");
    g_assert_true(block_drive_set_throttle(drive, &throttling, NULL));
    check_aborts_of_limited(&f);
    /* The limit has lost nothing of what went. */
    scsi_bench_submit_read(&f, 0, 0);
    kit_run_both(f.kit);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 0, 0, 0), ==,
                     VIRTIO_SCSI_S_OK);
    scsi_bench_expect(&f, 1, VIRTIO_SCSI_S_ABORTED);
    throttling.bps_total = 0;
    g_assert_true(block_drive_set_throttle(drive, &throttling, NULL));
    kit_scsi_read(f.scsi, 0, 1);
    scsi_bench_done(&f);
}

/* The same of a limit below the disk's uppermost node. */
static void test_abort_does_not_wait_for_limits_below(void)
{
    g_autoptr(KitQmp) qmp = NULL;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    qmp = kit_qmp_new(f.kit);
    kit_qmp_do(qmp, "object-add", "{'qom-type': 'throttle-group', 'id': 'g', 'limits': "
               "{'bps-total': 1}}");
    kit_qmp_do(qmp, "blockdev-add", "{'driver': 'throttle', 'node-name': 'limit', "
               "'throttle-group': 'g', 'file': 'below'}");
    kit_qmp_do(qmp, "blockdev-reopen", "{'options': [{'driver': 'inject', 'node-name': "
               "'n', 'file': 'limit'}]}");
    check_aborts_of_limited(&f);
    g_clear_pointer(&qmp, kit_qmp_free);
    scsi_bench_done(&f);
}

/* A disk on a qcow2 image whose file is in a group that has no limits yet. */
static ThrottleGroup *init_on_image(ScsiBench *f, KitImage *image, KitBoard *kit)
{
    ThrottleGroup *group;
    g_autofree char *path = kit_image_path(image, "disk");
    g_autofree char *node = g_strdup_printf(
        "{'driver': 'qcow2', 'node-name': 'n', 'file': {'driver': 'throttle', "
        "'throttle-group': 'g', 'file': {'driver': 'file', 'filename': '%s'}}}", path);

    *f = (ScsiBench) { .kit = kit };
    kit_image_do(image, "qemu-img create -q -f qcow2 -o preallocation=metadata disk 1M");
    group = throttle_group_new(f->kit->blocks, "g", NULL);
    kit_add_node(f->kit, node);
    kit_add(f->kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba'}");
    kit_add(f->kit, "{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n'}");
    kit_start(f->kit);
    f->scsi = kit_scsi_new(f->kit, "hba");
    kit_scsi_clear(f->scsi, 0, 0);
    return group;
}

/*
 * A table that has to be read is for all that wait for it: a limit that holds a worker
 * back does not, until what is aborted has ended.
 */
static void check_aborts_on_workers(ScsiBench *f)
{
    KitScsiResult result;
    unsigned slot;

    for (unsigned i = 0; i < 6; i++)
        scsi_bench_submit_read(f, i, 100 + i);
    kit_run_both(f->kit);
    g_assert_false(kit_scsi_take(f->scsi, &slot, &result));
    g_assert_cmpuint(kit_scsi_task(f->scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 104), ==,
                     VIRTIO_SCSI_S_OK);
    for (slot = 0; slot != 4;)
        slot = kit_scsi_wait(f->scsi, &result);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_ABORTED);
    g_assert_cmpuint(kit_scsi_task(f->scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 0, 0, 0),
                     ==, VIRTIO_SCSI_S_OK);
    while (kit_scsi_take(f->scsi, &slot, &result))
        continue;
    /* What went counts, and limits hold for what comes. */
    scsi_bench_submit_read(f, 0, 7);
    kit_run_both(f->kit);
    g_assert_false(kit_scsi_take(f->scsi, &slot, &result));
    g_assert_cmpuint(kit_scsi_task(f->scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 7), ==,
                     VIRTIO_SCSI_S_OK);
    scsi_bench_expect(f, 1, VIRTIO_SCSI_S_ABORTED);
}

static void check_reset(ScsiBench *f)
{
    for (unsigned i = 0; i < 6; i++)
        scsi_bench_submit_read(f, i, i);
    kit_run_both(f->kit);
    kit_virtio_set_status(f->scsi->v, 0);
    while (kit_virtio_status(f->scsi->v) != 0)
        kit_run_both(f->kit);
}

static void check_removal(ScsiBench *f)
{
    for (unsigned i = 0; i < 6; i++)
        scsi_bench_submit_read(f, i, i);
    kit_run_both(f->kit);
    device_remove(device_find(&f->kit->tree, "hd"));
    for (unsigned i = 0; i < 6; i++) {
        KitScsiResult result;

        kit_scsi_wait(f->scsi, &result);
        g_assert_true(result.response == VIRTIO_SCSI_S_OK ||
                      result.response == VIRTIO_SCSI_S_BAD_TARGET);
    }
}

static void test_limits_below_qcow2_are_not_waited_for(void)
{
    static void (*const checks[])(ScsiBench *f) = {
        check_aborts_on_workers, check_reset, check_removal,
    };
    ThrottleLimits limits = { .has_bps_total = true, .bps_total = 1 };

    /* The table is in memory in the first round only. */
    for (unsigned i = 0; i <= G_N_ELEMENTS(checks) && kit_image_has_tools(); i++) {
        g_autoptr(ThrottleGroup) group = NULL;
        KitImage image;
        ScsiBench f;

        kit_image_init(&image);
        /* Who removes a unit waits on main, where other loops do not turn. */
        group = init_on_image(&f, &image, i == G_N_ELEMENTS(checks)
                                              ? kit_board_new_threaded()
                                              : kit_board_new());
        if (i == 0)
            kit_scsi_read(f.scsi, 0, 1);
        g_assert_true(throttle_group_set_limits(group, &limits, NULL));
        if (i == 0)
            check_aborts_of_limited(&f);
        else
            checks[i - 1](&f);
        scsi_bench_done(&f);
        kit_image_done(&image);
    }
}

/* As many as the ring has room for wait for a disk that does not answer. */
static void test_many_aborts_stop_no_other_task(void)
{
    const unsigned n = KIT_SCSI_RING / 2 - 2;
    uint8_t response;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_add_disk(f.kit, "other", "");
    kit_scsi_clear(f.scsi, 1, 0);
    scsi_bench_hang(&f);
    for (unsigned i = 0; i < 4; i++)
        scsi_bench_submit_read(&f, i, i);
    kit_run_both(f.kit);
    for (unsigned i = 0; i < n; i++)
        kit_scsi_submit_task(f.scsi, i % 8 == 7 ? VIRTIO_SCSI_T_TMF_ABORT_TASK_SET
                                                : VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0,
                             i % 4);
    kit_run_both(f.kit);
    g_assert_false(kit_scsi_take_task(f.scsi, &response));
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 1, 0, 0),
                     ==, VIRTIO_SCSI_S_OK);

    scsi_bench_set_rules(&f, "[]");
    scsi_bench_expect(&f, 4, VIRTIO_SCSI_S_ABORTED);
    for (unsigned i = 0; i < n; i++) {
        while (!kit_scsi_take_task(f.scsi, &response))
            kit_run_both(f.kit);
        g_assert_cmpuint(response, ==, VIRTIO_SCSI_S_OK);
    }
    scsi_bench_done(&f);
}

static void test_reset_of_a_unit_with_tasks(void)
{
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_hang(&f);
    for (unsigned i = 0; i < 4; i++)
        scsi_bench_submit_read(&f, i, i);
    kit_run_both(f.kit);
    kit_scsi_submit_task(f.scsi, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0, 0);
    kit_run_both(f.kit);
    scsi_bench_set_rules(&f, "[]");
    scsi_bench_expect(&f, 4, VIRTIO_SCSI_S_RESET);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0x062903);
    kit_scsi_read(f.scsi, 0, 1);
    scsi_bench_done(&f);
}

/* Another disk of the controller goes on, and so do its tasks. */
static void test_disk_that_does_not_answer_stops_no_other(void)
{
    const KitScsiCommand command = {
        .cdb = { 0x28, [8] = 1 }, .in_size = 512, .target = 1,
    };
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_add_disk(f.kit, "other", "");
    kit_scsi_clear(f.scsi, 1, 0);
    scsi_bench_hang(&f);
    scsi_bench_submit_read(&f, 1, 1);
    kit_scsi_submit_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 0, 0, 0);
    kit_run_both(f.kit);

    g_assert_cmphex(kit_scsi_ask(f.scsi, &command).sense, ==, 0);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 1, 0, 0), ==,
                     VIRTIO_SCSI_S_OK);
    scsi_bench_set_rules(&f, "[]");
    scsi_bench_expect(&f, 1, VIRTIO_SCSI_S_ABORTED);
    scsi_bench_done(&f);
}

/* Errors are reported as sense, by kind. */
static void test_errors_as_sense(void)
{
    static const struct {
        const char *rule;
        const char *cdb;
        uint32_t out_size;
        uint32_t in_size;
        uint32_t sense;
    } cases[] = {
        { "'ops': ['read'], 'errno': 'EIO'", "28 00 00000000 00 0001 00", 0, 512,
          0x031100 },
        { "'ops': ['write'], 'errno': 'EIO'", "2a 00 00000000 00 0001 00", 512, 0,
          0x030c00 },
        { "'ops': ['write'], 'errno': 'ENOSPC'", "2a 00 00000000 00 0001 00", 512, 0,
          0x072707 },
        { "'ops': ['flush'], 'errno': 'EIO'", "35 00 00000000 00 0000 00", 0, 0,
          0x030c00 },
        { "'ops': ['flush'], 'errno': 'EIO'", "28 08 00000000 00 0001 00", 0, 512,
          0x030c00 },
        { "'ops': ['zero'], 'errno': 'ENOMEM'",
          "93 01 0000000000000000 00000001 00 00", 0, 0, 0x044400 },
    };
    ScsiBench f;

    scsi_bench_init(&f, "", ", 'werror': 'report'");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *rules = g_strdup_printf("[{%s}]", cases[i].rule);
        uint32_t sense;

        scsi_bench_set_rules(&f, rules);
        sense = kit_scsi_sense(f.scsi, cases[i].cdb, cases[i].out_size, cases[i].in_size);
        if (sense != cases[i].sense)
            g_error("case %zu: sense 0x%06x", i, sense);
        g_assert_cmpuint(f.kit->n_io_errors, ==, i + 1);
        g_assert_cmpint(f.kit->io_error, ==, BLOCK_ERROR_ACTION_REPORT);
    }
    scsi_bench_done(&f);
}

static void test_error_that_is_ignored(void)
{
    ScsiBench f;

    scsi_bench_init(&f, "", ", 'werror': 'ignore'");
    scsi_bench_set_rules(&f, "[{'ops': ['write'], 'errno': 'EIO'}]");
    kit_scsi_write(f.scsi, 0, 1, 1);
    g_assert_cmpint(f.kit->io_error, ==, BLOCK_ERROR_ACTION_IGNORE);
    scsi_bench_done(&f);
}

static void test_stop_does_not_wait_for_limits(void)
{
    int64_t end_ns = loop_clock_ns() + 2 * NS_PER_SEC;   /* the limit would need 3 s */
    DriveThrottling throttling = { .has_iops_total = true, .iops_total = 1 };
    BlockDrive *drive;
    unsigned slot;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    drive = block_drive_find(f.kit->blocks, "hd");
    g_assert_true(block_drive_set_throttle(drive, &throttling, NULL));
    for (unsigned i = 0; i < 4; i++)
        scsi_bench_submit_read(&f, i, i);
    kit_run_both(f.kit);
    device_tree_pause(&f.kit->tree);
    while (!device_tree_is_quiet(&f.kit->tree)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(f.kit);
    }
    scsi_bench_expect(&f, 4, VIRTIO_SCSI_S_OK);

    device_tree_resume(&f.kit->tree);
    scsi_bench_submit_read(&f, 0, 0);
    kit_run_both(f.kit);
    g_assert_false(kit_scsi_take(f.scsi, &slot, &(KitScsiResult) { 0 }));
    throttling.iops_total = 0;
    g_assert_true(block_drive_set_throttle(drive, &throttling, NULL));
    scsi_bench_expect(&f, 1, VIRTIO_SCSI_S_OK);
    scsi_bench_done(&f);
}

static void test_full_disk_stops_and_the_rest_is_written_later(void)
{
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    for (unsigned i = 0; i < 2; i++) {
        f.kit->n_io_errors = 0;
        scsi_bench_make_held(&f);
        scsi_bench_stop_and_go_on(&f, i == 1);
        scsi_bench_expect(&f, 4, VIRTIO_SCSI_S_OK);
    }
    scsi_bench_done(&f);
}

/* One that is held is still a task. */
static void test_abort_of_what_is_held(void)
{
    KitScsiResult result;
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_make_held(&f);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 0, 1), ==,
                     VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 1), ==,
                     VIRTIO_SCSI_S_OK);
    g_assert_cmpuint(kit_scsi_wait(f.scsi, &result), ==, 1);
    g_assert_cmpuint(result.response, ==, VIRTIO_SCSI_S_ABORTED);
    scsi_bench_stop_and_go_on(&f, false);
    scsi_bench_expect(&f, 3, VIRTIO_SCSI_S_OK);

    f.kit->n_io_errors = 0;
    scsi_bench_make_held(&f);
    g_assert_cmpuint(kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0, 0),
                     ==, VIRTIO_SCSI_S_OK);
    scsi_bench_expect(&f, 4, VIRTIO_SCSI_S_RESET);
    scsi_bench_done(&f);
}

/* A driver that resets the device while requests are held, or under way. */
static void test_reset_with_requests(void)
{
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_make_held(&f);
    kit_scsi_restart(f.scsi);
    kit_scsi_clear(f.scsi, 0, 0);
    kit_scsi_read(f.scsi, 0, 1);

    scsi_bench_hang(&f);
    scsi_bench_submit_read(&f, 1, 1);
    scsi_bench_submit_read(&f, 2, 2);
    kit_scsi_submit_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 0, 0, 0);
    kit_run_both(f.kit);
    kit_virtio_set_status(f.scsi->v, 0);
    g_assert_cmpuint(kit_virtio_status(f.scsi->v), !=, 0);
    scsi_bench_set_rules(&f, "[]");
    while (kit_virtio_status(f.scsi->v) != 0)
        kit_run_both(f.kit);
    kit_scsi_restart(f.scsi);
    kit_scsi_clear(f.scsi, 0, 0);
    kit_scsi_read(f.scsi, 0, 1);
    scsi_bench_done(&f);
}

static void test_unit_removed_with_held_requests(void)
{
    ScsiBench f;

    scsi_bench_init(&f, "", "");
    scsi_bench_make_held(&f);
    device_remove(device_find(&f.kit->tree, "hd"));
    scsi_bench_stop_and_go_on(&f, false);
    scsi_bench_expect(&f, 4, VIRTIO_SCSI_S_BAD_TARGET);
    scsi_bench_done(&f);
}

/* Queues on two threads: data on both, and tasks that are found on either. */
static void test_queues_on_several_iothreads(void)
{
    KitBoard *kit = kit_board_new_threaded();
    ScsiBench f;

    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'a'}");
    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'b'}");
    scsi_bench_init_on(&f, kit, ", 'num_queues': 2, 'iothread-vq-mapping': ["
                    "{'iothread': 'a'}, {'iothread': 'b'}]", "");
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < KIT_SCSI_SLOTS; i++)
            scsi_bench_submit_read(&f, i, i);
        if (round % 4 == 0)
            kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, 0, 0, 0);
        if (round % 4 == 1)
            kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, round % 8);
        if (round % 4 == 2)
            kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0, 0);
        for (unsigned i = 0; i < KIT_SCSI_SLOTS; i++) {
            KitScsiResult result;

            kit_scsi_wait(f.scsi, &result);
        }
    }
    kit_scsi_clear(f.scsi, 0, 0);
    scsi_bench_hang(&f);
    for (unsigned i = 0; i < 6; i++)
        scsi_bench_submit_read(&f, i, i);
    kit_scsi_submit_task(f.scsi, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 0, 0, 0);
    /* When a later one is answered, this one has been told to both. */
    kit_scsi_task(f.scsi, VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, 0, 0, 0);
    scsi_bench_set_rules(&f, "[]");
    scsi_bench_expect(&f, 6, VIRTIO_SCSI_S_ABORTED);
    scsi_bench_done(&f);
}

/* Units come and go while both threads use the others, and the one that goes. */
static void test_units_come_and_go_under_load(void)
{
    KitBoard *kit = kit_board_new_threaded();
    ScsiBench f;

    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'a'}");
    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'b'}");
    scsi_bench_init_on(&f, kit, ", 'num_queues': 2, 'iothread-vq-mapping': ["
                    "{'iothread': 'a'}, {'iothread': 'b'}]", "");
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'm', 'size': 1048576, "
                 "'latency-ns': 20000}");
    for (unsigned round = 0; round < 50; round++) {
        kit_add(kit, "{'driver': 'scsi-hd', 'id': 'other', 'drive': 'm', 'scsi-id': 1}");
        for (unsigned i = 0; i < KIT_SCSI_SLOTS; i++) {
            const KitScsiCommand command = {
                .cdb = { 0x28, [8] = 1 }, .in_size = 512, .target = i % 4 < 3,
                .queue = i % 2,
            };

            kit_scsi_submit(f.scsi, i, &command);
        }
        device_remove(device_find(&kit->tree, "other"));
        for (unsigned i = 0; i < KIT_SCSI_SLOTS; i++) {
            KitScsiResult result;

            kit_scsi_wait(f.scsi, &result);
            g_assert_true(result.response == VIRTIO_SCSI_S_OK ||
                          result.response == VIRTIO_SCSI_S_BAD_TARGET);
        }
    }
    scsi_bench_done(&f);
}

/* Queue @index, with rings where there is no memory. */
static void enable_at(KitVirtio *v, unsigned index, uint32_t gpa)
{
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SIZE, 2, KIT_SCSI_RING);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_DESCLO, 4, gpa);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, gpa);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_USEDLO, 4, gpa);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* What was under way has ended: nothing of it comes later. */
static void assert_memory_is_left_alone(ScsiBench *f)
{
    struct vring_desc *desc = f->scsi->requests[0].desc;
    g_autofree uint8_t *before = NULL;
    uint8_t *data = kit_scsi_data(f->scsi, 0);
    size_t size = KIT_SCSI_SLOTS * KIT_SCSI_DATA;

    memset(data, 0x5a, size);
    before = g_memdup2(data, size);
    memset(desc, 0xff, KIT_SCSI_RING * sizeof(*desc));
    memset(f->scsi->requests[0].used, 0xff, 64);
    kit_run_both(f->kit);
    g_usleep(1000);
    kit_run_both(f->kit);
    g_assert_cmpmem(data, size, before, size);
    for (unsigned i = 0; i < 32; i++)
        g_assert_cmphex(f->scsi->requests[0].used[i], ==, 0xffff);
}

/*
 * A queue that cannot start while another one runs, and may have taken requests, which do
 * not end yet: the device drains before it can be reset.
 */
static void test_start_that_fails_with_requests_in_flight(void)
{
    const uint8_t driver = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                           VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
    KitBoard *kit = kit_board_new_threaded();
    ScsiBench f;

    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'a'}");
    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'b'}");
    scsi_bench_init_on(&f, kit, ", 'num_queues': 2, 'iothread-vq-mapping': ["
                    "{'iothread': 'a'}, {'iothread': 'b'}]", "");
    scsi_bench_hang(&f);
    for (unsigned round = 0; round < 20; round++) {
        kit_virtio_negotiate(f.scsi->v, UINT64_MAX);
        kit_virtio_setup_queue(f.scsi->v, KIT_SCSI_RING);
        kit_queue_setup(&f.scsi->requests[0], f.scsi->v, 2, KIT_SCSI_RING);
        enable_at(f.scsi->v, 3, 0xfffff000);
        memset(f.scsi->busy, 0, sizeof(f.scsi->busy));
        for (unsigned i = 0; i < 4; i++)
            scsi_bench_submit_read(&f, 2 * i, i);
        kit_virtio_set_status(f.scsi->v, driver);
        while (!(kit_virtio_status(f.scsi->v) & VIRTIO_CONFIG_S_NEEDS_RESET))
            kit_run_both(kit);
        kit_virtio_set_status(f.scsi->v, 0);
        scsi_bench_set_rules(&f, "[]");
        while (kit_virtio_status(f.scsi->v) != 0)
            kit_run_both(kit);
        assert_memory_is_left_alone(&f);
        scsi_bench_hang(&f);
    }
    scsi_bench_set_rules(&f, "[]");
    kit_scsi_restart(f.scsi);
    kit_scsi_clear(f.scsi, 0, 0);
    kit_scsi_read(f.scsi, 0, 1);
    scsi_bench_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scsi-tasks/task-management-without-tasks",
                    test_task_management_without_tasks);
    g_test_add_func("/scsi-tasks/abort-waits-for-the-disk",
                    test_abort_waits_for_the_disk);
    g_test_add_func("/scsi-tasks/abort-does-not-wait-for-limits",
                    test_abort_does_not_wait_for_limits);
    g_test_add_func("/scsi-tasks/abort-does-not-wait-for-limits-below",
                    test_abort_does_not_wait_for_limits_below);
    g_test_add_func("/scsi-tasks/limits-below-qcow2-are-not-waited-for",
                    test_limits_below_qcow2_are_not_waited_for);
    g_test_add_func("/scsi-tasks/many-aborts-stop-no-other-task",
                    test_many_aborts_stop_no_other_task);
    g_test_add_func("/scsi-tasks/reset-of-a-unit-with-tasks",
                    test_reset_of_a_unit_with_tasks);
    g_test_add_func("/scsi-tasks/disk-that-does-not-answer-stops-no-other",
                    test_disk_that_does_not_answer_stops_no_other);
    g_test_add_func("/scsi-tasks/errors-as-sense", test_errors_as_sense);
    g_test_add_func("/scsi-tasks/error-that-is-ignored", test_error_that_is_ignored);
    g_test_add_func("/scsi-tasks/stop-does-not-wait-for-limits",
                    test_stop_does_not_wait_for_limits);
    g_test_add_func("/scsi-tasks/full-disk-stops-and-the-rest-is-written-later",
                    test_full_disk_stops_and_the_rest_is_written_later);
    g_test_add_func("/scsi-tasks/abort-of-what-is-held", test_abort_of_what_is_held);
    g_test_add_func("/scsi-tasks/reset-with-requests", test_reset_with_requests);
    g_test_add_func("/scsi-tasks/unit-removed-with-held-requests",
                    test_unit_removed_with_held_requests);
    g_test_add_func("/scsi-tasks/queues-on-several-iothreads",
                    test_queues_on_several_iothreads);
    g_test_add_func("/scsi-tasks/units-come-and-go-under-load",
                    test_units_come_and_go_under_load);
    g_test_add_func("/scsi-tasks/start-that-fails-with-requests-in-flight",
                    test_start_that_fails_with_requests_in_flight);
    return g_test_run();
}
