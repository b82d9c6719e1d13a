/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients are told of disks and nodes, and the counts, with a driver at the ring.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/block-drive.h"
#include "berth/timer.h"

#include "disk-bench.h"

#define QDEV "/machine/peripheral/disk/virtio-backend"

typedef DiskBench Fixture;

static void set_up(Fixture *f, const void *props)
{
    disk_bench_init_with_file(f, false);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'fmt', "
               "'discard': 'unmap', 'file': {'driver': 'file', 'node-name': 'sto', "
               "'filename': '%s'}}", f->path);
    disk_bench_start(f, "fmt", props);
}

static JsonValue *ask(Fixture *f, const char *command)
{
    return kit_qmp_ask(f->qmp, command, NULL);
}

static void test_a_disk_as_libvirt_reads_it(Fixture *f, const void *unused)
{
    static const struct {
        const char *path;
        const char *value;
    } rows[] = {
        { "0.device", "" },
        { "0.qdev", QDEV },
        { "0.type", "unknown" },
        { "0.removable", "false" },
        { "0.locked", "false" },
        { "0.tray_open", "absent" },
        { "0.io-status", "ok" },
        { "0.inserted.node-name", "fmt" },
        { "0.inserted.drv", "raw" },
        { "0.inserted.ro", "false" },
        { "0.inserted.encrypted", "false" },
        { "0.inserted.backing_file_depth", "0" },
        { "0.inserted.backing_file", "absent" },
        { "0.inserted.detect_zeroes", "off" },
        { "0.inserted.bps", "0" },
        { "0.inserted.iops_wr", "0" },
        { "0.inserted.group", "absent" },
        { "0.inserted.write_threshold", "0" },
        { "0.inserted.cache",
          "{\"writeback\": true, \"direct\": false, \"no-flush\": false}" },
        { "0.inserted.children", "[{\"child\": \"file\", \"node-name\": \"sto\"}]" },
        { "0.inserted.image.format", "raw" },
        { "0.inserted.image.virtual-size", "1048576" },
        { "0.inserted.image.actual-size", "0" },
        { "0.inserted.image.dirty-flag", "false" },
        { "1", "absent" },
    };
    g_autoptr(JsonValue) disks = ask(f, "query-block");

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_at(disks, rows[i].path, rows[i].value);
    kit_qmp_assert_at(disks, "0.inserted.file", f->path);
    kit_qmp_assert_at(disks, "0.inserted.image.filename", f->path);
}

static void test_nodes_the_last_made_first(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes",
                                             "{'flat': true}");

    kit_qmp_assert_at(nodes, "0.node-name", "fmt");
    kit_qmp_assert_at(nodes, "1.node-name", "sto");
    kit_qmp_assert_at(nodes, "1.drv", "file");
    kit_qmp_assert_at(nodes, "1.image.filename", f->path);
    kit_qmp_assert_at(nodes, "1.image.format-specific.type", "file");
    kit_qmp_assert_at(nodes, "1.image.format-specific.data", "{}");
    kit_qmp_assert_at(nodes, "2", "absent");
}

static void test_what_has_no_file_of_its_own(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) nodes = NULL;
    g_autofree char *part = NULL;

    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'null', 'size': 8192}");
    kit_add_node(f->kit, "{'driver': 'raw', 'node-name': 'part', 'file': 'null', "
                 "'offset': 4096}");
    nodes = ask(f, "query-named-block-nodes");

    kit_qmp_assert_at(nodes, "1.file", "null-co://");
    kit_qmp_assert_at(nodes, "1.image.actual-size", "absent");
    kit_qmp_assert_at(nodes, "0.image.virtual-size", "4096");
    part = kit_qmp_at(nodes, "0.file");
    g_assert_true(g_str_has_prefix(part, "json:{"));
    g_assert_nonnull(strstr(part, "\"offset\": 4096"));
}

static void test_counts(Fixture *f, const void *unused)
{
    static const struct {
        const char *path;
        const char *value;
    } rows[] = {
        { "0.device", "" },
        { "0.qdev", QDEV },
        { "0.node-name", "fmt" },
        { "0.stats.wr_operations", "2" },
        { "0.stats.wr_bytes", "8192" },
        { "0.stats.rd_operations", "1" },
        { "0.stats.rd_bytes", "512" },
        { "0.stats.flush_operations", "1" },
        { "0.stats.unmap_operations", "1" },
        { "0.stats.unmap_bytes", "4096" },
        { "0.stats.invalid_rd_operations", "1" },
        { "0.stats.invalid_wr_operations", "0" },
        { "0.stats.failed_rd_operations", "0" },
        { "0.stats.wr_highest_offset", "12288" },
        { "0.stats.rd_merged", "0" },
        { "0.stats.timed_stats", "[]" },
        { "0.stats.account_failed", "true" },
        { "0.stats.rd_latency_histogram", "absent" },
        { "0.parent.node-name", "sto" },
        { "0.parent.stats.wr_highest_offset", "12288" },
        { "0.parent.stats.wr_operations", "0" },
        { "0.parent.stats.idle_time_ns", "absent" },
        { "0.parent.driver-specific.driver", "file" },
        { "0.parent.driver-specific.discard-nb-ok", "1" },
        { "0.parent.driver-specific.discard-bytes-ok", "4096" },
        { "0.backing", "absent" },
        { "1", "absent" },
    };
    int64_t start_ns = loop_clock_ns();
    g_autoptr(JsonValue) stats = NULL, nodes = NULL;

    kit_blk_write(f->blk, 0, 0xaa, 4096);
    kit_blk_write(f->blk, 16, 0xbb, 4096);
    kit_blk_read(f->blk, 16, 512);
    kit_blk_flush(f->blk);
    kit_blk_discard(f->blk, 0, 8);
    g_assert_cmpuint(kit_blk_ask(f->blk, VIRTIO_BLK_T_IN, 1u << 20, 512), ==,
                     VIRTIO_BLK_S_IOERR);
    stats = ask(f, "query-blockstats");
    nodes = kit_qmp_ask(f->qmp, "query-blockstats", "{'query-nodes': true}");

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_at(stats, rows[i].path, rows[i].value);
    g_assert_cmpint(kit_qmp_int(stats, "0.stats.wr_total_time_ns"), >, 0);
    g_assert_cmpint(kit_qmp_int(stats, "0.stats.wr_total_time_ns"), <,
                    loop_clock_ns() - start_ns);
    g_assert_cmpint(kit_qmp_int(stats, "0.stats.idle_time_ns"), <,
                    loop_clock_ns() - start_ns);
    kit_qmp_assert_at(nodes, "0.node-name", "sto");
    kit_qmp_assert_at(nodes, "0.device", "absent");
    kit_qmp_assert_at(nodes, "1.stats.wr_operations", "0");
    kit_qmp_assert_at(nodes, "1.parent.node-name", "sto");
}

/* Each counts, and of those that were joined to another it is said. */
static void test_joined_requests(Fixture *f, const void *unused)
{
    static const struct {
        const char *path;
        const char *value;
    } rows[] = {
        { "0.stats.wr_operations", "4" },
        { "0.stats.wr_bytes", "14336" },
        { "0.stats.wr_merged", "2" },
        { "0.stats.rd_operations", "2" },
        { "0.stats.rd_bytes", "1024" },
        { "0.stats.rd_merged", "1" },
        { "0.stats.unmap_merged", "0" },
        { "0.stats.failed_wr_operations", "0" },
        { "0.stats.wr_latency_histogram.bins", "[0, 4]" },
    };
    g_autoptr(JsonValue) stats = NULL;
    unsigned n_taken = 0, slot;
    uint8_t status;

    kit_qmp_do(f->qmp, "block-latency-histogram-set",
               "{'id': 'disk', 'boundaries': [1]}");
    kit_blk_offer(f->blk, 0, VIRTIO_BLK_T_OUT, 0, 4096);
    kit_blk_offer(f->blk, 1, VIRTIO_BLK_T_OUT, 8, 2048);
    kit_blk_offer(f->blk, 2, VIRTIO_BLK_T_OUT, 12, 4096);
    kit_blk_offer(f->blk, 3, VIRTIO_BLK_T_OUT, 24, 4096);
    kit_blk_offer(f->blk, 4, VIRTIO_BLK_T_IN, 0, 512);
    kit_blk_submit(f->blk, 5, VIRTIO_BLK_T_IN, 1, 512);
    while (n_taken < 6) {
        kit_run_both(f->kit);
        for (; kit_blk_take(f->blk, &slot, &status); n_taken++)
            g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    }
    stats = ask(f, "query-blockstats");

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_at(stats, rows[i].path, rows[i].value);
}

static void test_latency_histograms(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) stats = NULL, less = NULL, none = NULL;
    const char *command = "block-latency-histogram-set";

    kit_qmp_do(f->qmp, command, "{'id': '" QDEV "', 'boundaries': [1, 60000000000], "
               "'boundaries-flush': [5]}");
    kit_blk_write(f->blk, 0, 0xaa, 4096);
    kit_blk_write(f->blk, 0, 0xaa, 4096);
    kit_blk_flush(f->blk);
    stats = ask(f, "query-blockstats");

    kit_qmp_assert_at(stats, "0.stats.wr_latency_histogram.boundaries",
                      "[1, 60000000000]");
    kit_qmp_assert_at(stats, "0.stats.wr_latency_histogram.bins", "[0, 2, 0]");
    kit_qmp_assert_at(stats, "0.stats.rd_latency_histogram.bins", "[0, 0, 0]");
    kit_qmp_assert_at(stats, "0.stats.flush_latency_histogram.bins", "[0, 1]");

    /* What is not named stays. */
    kit_qmp_do(f->qmp, command, "{'id': 'disk', 'boundaries-write': [7]}");
    less = ask(f, "query-blockstats");
    kit_qmp_assert_at(less, "0.stats.wr_latency_histogram.bins", "[0, 0]");
    kit_qmp_assert_at(less, "0.stats.flush_latency_histogram.bins", "[0, 1]");
    kit_qmp_assert_fails(f->qmp, "boundaries-read", command,
                         "{'id': 'disk', 'boundaries-write': [1], "
                         "'boundaries-read': [4, 4]}");
    kit_qmp_assert_fails(f->qmp, "'boundaries'", command,
                         "{'id': 'disk', 'boundaries': [0]}");
    kit_qmp_assert_fails(f->qmp, "'gone'", command, "{'id': 'gone'}");
    kit_qmp_do(f->qmp, command, "{'id': '/machine/peripheral/disk'}");
    none = ask(f, "query-blockstats");
    kit_qmp_assert_at(none, "0.stats.wr_latency_histogram", "absent");
    kit_qmp_assert_at(none, "0.stats.flush_latency_histogram", "absent");
}

/* It comes once, of the node that channels pass by as of the one below. */
static void test_write_threshold(Fixture *f, const void *unused)
{
    static const char *const names[] = { "fmt", "sto" };
    const char *command = "block-set-write-threshold";

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(JsonValue) event = NULL, nodes = NULL;
        g_autofree char *at = g_strdup_printf("%zu.write_threshold", i);

        kit_qmp_do(f->qmp, command, "{'node-name': '%s', 'write-threshold': 8192}",
                   names[i]);
        nodes = ask(f, "query-named-block-nodes");
        kit_qmp_assert_at(nodes, at, "8192");
        kit_blk_write(f->blk, 0, 0xaa, 4096);
        kit_blk_write(f->blk, 8, 0xaa, 4096);
        kit_run_both(f->kit);
        g_assert_cmpuint(kit_qmp_n_events(f->qmp, "BLOCK_WRITE_THRESHOLD"), ==, 0);

        kit_blk_write(f->blk, 9, 0xaa, 4096);
        kit_blk_write(f->blk, 20, 0xaa, 4096);
        event = kit_qmp_wait_event(f->qmp, "BLOCK_WRITE_THRESHOLD");
        kit_qmp_assert_at(event, "node-name", names[i]);
        kit_qmp_assert_at(event, "write-threshold", "8192");
        kit_run_both(f->kit);
        g_assert_cmpuint(kit_qmp_n_events(f->qmp, "BLOCK_WRITE_THRESHOLD"), ==, 0);
    }
    kit_qmp_do(f->qmp, command, "{'node-name': 'fmt', 'write-threshold': 1}");
    kit_qmp_do(f->qmp, command, "{'node-name': 'fmt', 'write-threshold': 0}");
    kit_blk_write(f->blk, 30, 0xaa, 4096);
    kit_run_both(f->kit);
    g_assert_cmpuint(kit_qmp_n_events(f->qmp, "BLOCK_WRITE_THRESHOLD"), ==, 0);
    kit_qmp_assert_fails(f->qmp, "'gone'", command,
                         "{'node-name': 'gone', 'write-threshold': 0}");
}

static void test_io_status(Fixture *f, const void *unused)
{
    BlockDrive *drive = block_drive_find(f->kit->blocks, "disk");
    g_autoptr(JsonValue) full = NULL, again = NULL;

    g_assert_cmpint(block_drive_on_error(drive, true, EIO), ==,
                    BLOCK_ERROR_ACTION_REPORT);
    g_assert_cmpint(block_drive_on_error(drive, true, ENOSPC), ==,
                    BLOCK_ERROR_ACTION_STOP);
    full = ask(f, "query-block");
    kit_qmp_assert_at(full, "0.io-status", "nospace");

    block_drive_reset_errors(f->kit->blocks);
    again = ask(f, "query-block");
    kit_qmp_assert_at(again, "0.io-status", "ok");
}

static void test_policies(Fixture *f, const void *unused)
{
    BlockDrive *drive = block_drive_find(f->kit->blocks, "disk");
    g_autoptr(JsonValue) disks = ask(f, "query-block");

    kit_qmp_assert_at(disks, "0.io-status", "absent");
    g_assert_cmpint(block_drive_on_error(drive, true, ENOSPC), ==,
                    BLOCK_ERROR_ACTION_REPORT);
    g_assert_cmpint(block_drive_on_error(drive, false, EIO), ==,
                    BLOCK_ERROR_ACTION_IGNORE);
}

static void test_a_disk_that_is_gone(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) disks = NULL, stats = NULL;

    device_remove(device_find(&f->kit->tree, "disk"));
    disks = ask(f, "query-block");
    stats = ask(f, "query-blockstats");

    g_assert_cmpuint(json_length(disks), ==, 0);
    g_assert_cmpuint(json_length(stats), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, props, fn)                                                             \
    g_test_add("/block-info/" name, Fixture, props, set_up, fn, disk_bench_tear_down)
    ADD("a-disk-as-libvirt-reads-it", "", test_a_disk_as_libvirt_reads_it);
    ADD("nodes-the-last-made-first", "", test_nodes_the_last_made_first);
    ADD("what-has-no-file-of-its-own", "", test_what_has_no_file_of_its_own);
    ADD("counts", "", test_counts);
    ADD("joined-requests", "", test_joined_requests);
    ADD("latency-histograms", "", test_latency_histograms);
    ADD("write-threshold", "", test_write_threshold);
    ADD("io-status", "", test_io_status);
    ADD("policies", ", 'werror': 'report', 'rerror': 'ignore'", test_policies);
    ADD("a-disk-that-is-gone", "", test_a_disk_that_is_gone);
    return g_test_run();
}
