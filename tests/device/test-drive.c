/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -drive: what its keys make of nodes, drives and devices.
 */
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>

#include "berth/cmdline.h"
#include "berth/drive-options.h"

#include "disk-bench.h"

typedef DiskBench Fixture;

/* Of words "-drive X" of a command line. */
static Cmdline *parse(GError **error, const char *const *drives, unsigned n)
{
    const char *argv[64] = { "berth" };
    int argc = 1;

    for (unsigned i = 0; i < n; i++) {
        argv[argc++] = "-drive";
        argv[argc++] = drives[i];
    }
    return cmdline_parse(argc, (char **)argv, error);
}

static Cmdline *parse_one(const char *drive, GError **error)
{
    return parse(error, &drive, 1);
}

static const DriveOptions *drive_at(const Cmdline *cmdline, unsigned i)
{
    return g_ptr_array_index(cmdline->drives, i);
}

/* Makes the drives and devices of one -drive. */
static void make(Fixture *f, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline = parse_one(text, &error);

    g_assert_no_error(error);
    drive_options_make(f->kit->blocks, drive_at(cmdline, 0), &error);
    g_assert_no_error(error);
    for (guint i = 0; i < cmdline->devices->len; i++) {
        device_add(&f->kit->tree, g_ptr_array_index(cmdline->devices, i), &error);
        g_assert_no_error(error);
    }
}

static void test_keys_of_a_node(Fixture *f, const void *unused)
{
    static const struct {
        const char *drive;
        const char *node;
    } rows[] = {
        { "if=none,file=a,format=raw",
          "{'driver': 'raw', 'file': {'driver': 'file', 'filename': 'a'}}" },
        { "a,if=virtio,format=raw,cache=none,aio=native,discard=unmap,"
          "detect-zeroes=unmap",
          "{'driver': 'raw', 'discard': 'unmap', 'detect-zeroes': 'unmap', "
          "'cache': {'direct': true, 'no-flush': false}, "
          "'file': {'driver': 'file', 'filename': 'a', 'aio': 'native'}}" },
        { "file=file:a,,b,if=none,format=raw,cache=unsafe,readonly=on",
          "{'driver': 'raw', 'read-only': true, "
          "'cache': {'direct': false, 'no-flush': true}, "
          "'file': {'driver': 'file', 'filename': 'a,b'}}" },
        { "file.filename=a:b,file.locking=off,if=none,driver=raw,node-name=n",
          "{'driver': 'raw', 'node-name': 'n', "
          "'file': {'driver': 'file', 'filename': 'a:b', 'locking': 'off'}}" },
        { "if=none,media=cdrom,file=a,format=raw,cache.direct=on,force-share=on",
          "{'driver': 'raw', 'read-only': true, 'cache': {'direct': true}, "
          "'force-share': true, "
          "'file': {'driver': 'file', 'filename': 'a', 'force-share': true}}" },
        { "if=none,format=file,file=a,aio=threads",
          "{'driver': 'file', 'filename': 'a', 'aio': 'threads'}" },
        { "if=none,driver=null-co,size=1M", "{'driver': 'null-co', 'size': 1048576}" },
        { "if=none,node.driver=null-co,size=1M",
          "{'driver': 'null-co', 'size': 1048576}" },
        { "if=none,format=raw,file=n0", "{'driver': 'raw', "
          "'file': {'driver': 'file', 'filename': 'n0'}}" },
        { "if=none,format=raw,offset=512,size=1k,file.driver=null-co",
          "{'driver': 'raw', 'offset': 512, 'size': 1024, 'file': "
          "{'driver': 'null-co'}}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline = parse_one(rows[i].drive, &error);
        g_autoptr(JsonValue) got = NULL, json = NULL, wanted = NULL;
        BlockdevOptions *options;

        g_assert_no_error(error);
        got = qapi_emit(QAPI_TYPE_BLOCKDEV_OPTIONS, drive_at(cmdline, 0)->node);
        json = json_parse_text(rows[i].node, strlen(rows[i].node), &error);
        g_assert_no_error(error);
        options = qapi_parse(QAPI_TYPE_BLOCKDEV_OPTIONS, json, QAPI_INPUT_JSON, &error);
        g_assert_no_error(error);
        wanted = qapi_emit(QAPI_TYPE_BLOCKDEV_OPTIONS, options);
        qapi_free_BlockdevOptions(options);
        if (!json_equal(got, wanted)) {
            g_autofree char *text = json_to_text(got);

            g_error("%s: %s", rows[i].drive, text);
        }
    }
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *drive;
        const char *words;
    } rows[] = {
        { "file=a", "never guessed" },
        { "file=a,format=raw,index=6", "0 to 5" },
        { "file=a,format=raw,bus=6", "bus" },
        { "file=a,format=raw,unit=1", "'unit'" },
        { "file=a,format=raw,index=1,bus=2", "contradict" },
        { "file=a,format=raw,if=scsi", "no SCSI controller" },
        { "file=a,format=raw,if=floppy", "no floppy" },
        { "file=a,if=virtio", "never guessed" },
        { "file=a,if=virtio,format=vmdk", "format" },
        { "file=a,if=virtio,format=raw,driver=file", "contradict" },
        { "file=nbd://h/x,if=virtio,format=raw", "no protocol 'nbd'" },
        { "file=json:{},if=virtio,format=raw", "no protocol 'json'" },
        { "file=a,if=virtio,format=raw,copy-on-read=on", "copy-on-read" },
        { "file=a,if=virtio,format=raw,cache=lots", "cache" },
        { "file=a,if=virtio,format=raw,index=1,unit=2", "contradict" },
        { "file=a,if=virtio,format=raw,bus=1", "bus" },
        { "file=a,if=virtio,format=raw,wheels=4", "wheels" },
        { "file=a,if=virtio,format=raw,id=1x", "id" },
        { "if=virtio,discard=unmap", "'discard' is of a medium" },
    };
    static const char *const twice[][2] = {
        { "if=none,id=a", "if=none,id=a" },
        { "if=none,index=1", "if=none,unit=1" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(parse_one(rows[i].drive, &error));
        if (!strstr(error->message, rows[i].words))
            g_error("%s: %s", rows[i].drive, error->message);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(twice); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(parse(&error, twice[i], 2));
        g_assert_nonnull(strstr(error->message, "already"));
    }
}

static void test_names_and_devices(Fixture *f, const void *unused)
{
    static const char *const drives[] = {
        "if=virtio,index=1,driver=null-co", "if=virtio,driver=null-co",
        "if=virtio,driver=null-co", "if=none", "if=none,id=cd0,media=cdrom,readonly=on",
    };
    static const char *const ids[] = { "virtio1", "virtio0", "virtio2", "none0", "cd0" };
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline = parse(&error, drives, G_N_ELEMENTS(drives));

    g_assert_no_error(error);
    for (unsigned i = 0; i < G_N_ELEMENTS(ids); i++)
        g_assert_cmpstr(drive_at(cmdline, i)->id, ==, ids[i]);
    g_assert_cmpuint(cmdline->devices->len, ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        const DeviceAddArgs *args = g_ptr_array_index(cmdline->devices, i);

        g_assert_cmpint(args->driver, ==, DEVICE_DRIVER_VIRTIO_BLK_PCI);
        g_assert_cmpstr(args->u.virtio_blk_pci.drive, ==, ids[i]);
    }
}

/* Each has a port of the board's ATA controller: the one that it says, or the first. */
static void test_ata_ports(Fixture *f, const void *unused)
{
    static const struct {
        const char *drive;
        const char *id;
        DeviceDriver driver;
        const char *bus;
    } rows[] = {
        { "index=1,driver=null-co", "ide1-hd0", DEVICE_DRIVER_IDE_HD, "ide.1" },
        { "driver=null-co", "ide0-hd0", DEVICE_DRIVER_IDE_HD, "ide.0" },
        { "if=ide,media=cdrom", "ide2-cd0", DEVICE_DRIVER_IDE_CD, "ide.2" },
        { "bus=5,unit=0,id=x,driver=null-co", "x", DEVICE_DRIVER_IDE_HD, "ide.5" },
        { "driver=null-co", "ide3-hd0", DEVICE_DRIVER_IDE_HD, "ide.3" },
    };
    const char *drives[G_N_ELEMENTS(rows)];
    g_autoptr(Cmdline) cmdline = NULL;
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++)
        drives[i] = rows[i].drive;
    cmdline = parse(&error, drives, G_N_ELEMENTS(drives));
    g_assert_no_error(error);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        const DeviceAddArgs *args = g_ptr_array_index(cmdline->devices, i);

        g_assert_cmpstr(drive_at(cmdline, i)->id, ==, rows[i].id);
        g_assert_cmpint(args->driver, ==, rows[i].driver);
        g_assert_cmpstr(args->bus, ==, rows[i].bus);
    }
}

/* Old options for the same. */
static void test_short_options(Fixture *f, const void *unused)
{
    const char *argv[] = { "berth", "-hda", "a,b", "-cdrom", "c.iso" };
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline = cmdline_parse(5, (char **)argv, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(drive_at(cmdline, 0)->id, ==, "ide0-hd0");
    g_assert_cmpstr(drive_at(cmdline, 0)->node->u.raw.file->u.definition->u.file.filename,
                    ==, "a,b");
    g_assert_cmpstr(drive_at(cmdline, 1)->id, ==, "ide2-cd0");
    g_assert_true(drive_at(cmdline, 1)->node->read_only);
}

static void test_a_guest_uses_it(Fixture *f, const void *unused)
{
    g_autofree char *drive = g_strdup_printf(
        "file=%s,format=raw,if=none,id=d0,cache=writethrough,werror=stop", f->path);
    g_autoptr(JsonValue) info = NULL;
    KitBlk *blk;

    make(f, drive);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'd0'}");
    kit_start(f->kit);
    blk = kit_blk_new(f->kit, "disk");
    kit_blk_write(blk, 8, 0xaa, 4096);
    g_assert_cmpuint(kit_blk_read(blk, 8, 4096)[0], ==, 0xaa);
    kit_blk_free(blk);

    info = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(info, "0.device", "d0");
    kit_qmp_assert_at(info, "0.inserted.drv", "raw");
    kit_qmp_assert_at(info, "0.inserted.file", f->path);
    kit_qmp_assert_at(info, "0.inserted.cache.writeback", "false");
    kit_qmp_assert_at(info, "0.io-status", "ok");
    kit_qmp_assert_fails(f->qmp, "already", "blockdev-add",
                         "{'driver': 'null-co', 'node-name': 'd0'}");
    kit_qmp_do(f->qmp, "block_resize", "{'device': 'd0', 'size': 2097152}");
    kit_assert_refused(f->kit, "{'driver': 'virtio-blk-pci', 'drive': 'd0'}", "in use");
}

/* A device that could not be made leaves it; one that was there takes it along. */
static void test_it_goes_with_its_device(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) with = NULL, without = NULL, nodes = NULL;

    make(f, "if=none,id=d0,driver=null-co,node-name=n0");
    kit_assert_refused(f->kit, "{'driver': 'virtio-blk-pci', 'drive': 'd0', "
                       "'logical_block_size': 513}", "power of two");
    kit_qmp_assert_fails(f->qmp, "drive 'd0'", "blockdev-del", "{'node-name': 'n0'}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'd0'}");
    kit_start(f->kit);
    with = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(with, "0.qdev", "/machine/peripheral/disk/virtio-backend");
    device_remove(device_find(&f->kit->tree, "disk"));

    without = kit_qmp_ask(f->qmp, "query-block", NULL);
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_assert_cmpuint(json_length(without), ==, 0);
    g_assert_cmpuint(json_length(nodes), ==, 0);
}

static void test_the_device_s_words_count(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) info = NULL;

    make(f, "if=none,id=d0,driver=null-co,cache=writethrough");
    make(f, "if=none,id=d1,driver=null-co,cache=writeback");
    make(f, "if=none,id=d2,driver=null-co,cache=writethrough");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'drive': 'd0', 'write-cache': 'on'}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'drive': 'd1', 'write-cache': 'off'}");
    kit_add(f->kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba'}");
    kit_add(f->kit, "{'driver': 'scsi-hd', 'drive': 'd2'}");
    kit_start(f->kit);

    info = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(info, "0.inserted.cache.writeback", "true");
    kit_qmp_assert_at(info, "1.inserted.cache.writeback", "false");
    kit_qmp_assert_at(info, "2.inserted.cache.writeback", "false");
}

/* The image stays as it was, and nothing is left of the writes. */
static void test_writes_that_are_thrown_away(Fixture *f, const void *unused)
{
    g_autofree char *folder = g_dir_make_tmp("berth-test-XXXXXX", NULL);
    g_autofree char *drive = g_strdup_printf(
        "file=%s,format=raw,if=none,id=d0,snapshot=on", f->path);
    g_autoptr(JsonValue) info = NULL, nodes = NULL;
    g_autofree char *bytes = NULL;
    KitBlk *blk;

    g_setenv("TMPDIR", folder, TRUE);
    make(f, drive);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'd0'}");
    kit_start(f->kit);
    blk = kit_blk_new(f->kit, "disk");
    kit_blk_write(blk, 8, 0xaa, 4096);
    g_assert_cmpuint(kit_blk_read(blk, 8, 4096)[0], ==, 0xaa);
    g_assert_cmpuint(kit_blk_read(blk, 16, 4096)[0], ==, 0);
    kit_blk_free(blk);
    info = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(info, "0.inserted.ro", "false");
    kit_qmp_assert_at(info, "0.inserted.backing_file", f->path);
    device_remove(device_find(&f->kit->tree, "disk"));

    /* The folder was empty all the time. */
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_unsetenv("TMPDIR");
    g_assert_true(g_file_get_contents(f->path, &bytes, NULL, NULL));
    g_assert_cmpint(bytes[4096], ==, 0);
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_assert_cmpuint(json_length(nodes), ==, 0);
}

/* -snapshot is snapshot=on for all that do not say otherwise, or are only read. */
static void test_snapshot_for_all(Fixture *f, const void *unused)
{
    static const struct {
        const char *drive;
        bool snapshot;
        bool read_only;         /* the image below */
    } rows[] = {
        { "if=none,file=a,format=raw", true, true },
        { "if=virtio,file=b,format=qcow2,cache=none", true, true },
        { "if=none,file=c,format=raw,snapshot=off", false, false },
        { "if=none,file=d,format=raw,read-only=on", false, true },
        { "if=none,file=e,format=raw,media=cdrom", false, true },
        { "if=none,file=f,format=raw,snapshot=on,read-only=off", true, false },
        { "if=none", false, false },
    };

    for (size_t i = 0; i < 2 * G_N_ELEMENTS(rows); i++) {
        const char *drive = rows[i / 2].drive;
        const char *argv[] = {
            "berth", i % 2 ? "-snapshot" : "-drive", i % 2 ? "-drive" : drive,
            i % 2 ? drive : "-snapshot",
        };
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline = cmdline_parse(4, (char **)argv, &error);
        const DriveOptions *options;

        g_assert_no_error(error);
        options = drive_at(cmdline, 0);
        g_assert_cmpint(options->snapshot, ==, rows[i / 2].snapshot);
        if (options->node)
            g_assert_cmpint(options->node->read_only, ==, rows[i / 2].read_only);
    }
}

static void test_a_failure_leaves_nothing(Fixture *f, const void *unused)
{
    static const char *const drives[] = {
        "if=none,id=d0,format=raw,file=/nowhere/at/all",
        "if=none,id=n1,driver=null-co",
        "if=none,id=d0,driver=null-co,rerror=enospc",
        "if=none,id=d0,driver=null-co,snapshot=on",
    };

    g_setenv("TMPDIR", "/nowhere", TRUE);

    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'n1'}");
    for (size_t i = 0; i < G_N_ELEMENTS(drives); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline = parse_one(drives[i], &error);
        g_autoptr(JsonValue) nodes = NULL, blocks = NULL;

        g_assert_no_error(error);
        g_assert_null(drive_options_make(f->kit->blocks, drive_at(cmdline, 0), &error));
        g_assert_nonnull(error);
        nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
        blocks = kit_qmp_ask(f->qmp, "query-block", NULL);
        g_assert_cmpuint(json_length(nodes), ==, 1);
        g_assert_cmpuint(json_length(blocks), ==, 0);
    }
    g_unsetenv("TMPDIR");
}

static void test_limits(Fixture *f, const void *unused)
{
    static const struct {
        const char *path;
        const char *value;
    } rows[] = {
        { "0.inserted.group", "a" }, { "0.inserted.iops", "100" },
        { "0.inserted.bps_rd", "4096" }, { "0.inserted.bps_rd_max", "8192" },
        { "0.inserted.bps_rd_max_length", "2" }, { "0.inserted.bps_wr", "1024" },
        { "1.inserted.group", "g" }, { "1.inserted.iops_wr", "7" },
        { "1.inserted.iops_wr_max", "9" }, { "1.inserted.iops_size", "512" },
    };
    static const char *const refused[] = {
        "if=none,driver=null-co,iops=1,iops_rd=1",
        "if=none,driver=null-co,throttling.bps-read-max=1",
        "if=none,driver=null-co,throttling.group=g",
    };
    g_autoptr(JsonValue) disks = NULL;

    make(f, "if=none,id=a,driver=null-co,throttling.iops-total=100,bps_wr=1024,"
         "throttling.bps-read=4096,throttling.bps-read-max=8192,"
         "throttling.bps-read-max-length=2");
    make(f, "if=none,id=b,driver=null-co,group=g,iops_wr=7,iops_wr_max=9,iops_size=512");
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(Cmdline) cmdline = parse_one(refused[i], NULL);

        g_assert_null(drive_options_make(f->kit->blocks, drive_at(cmdline, 0), NULL));
    }

    disks = kit_qmp_ask(f->qmp, "query-block", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_at(disks, rows[i].path, rows[i].value);
    kit_qmp_assert_at(disks, "2", "absent");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/drive/" name, Fixture, NULL, disk_bench_set_up_with_file, fn,           \
               disk_bench_tear_down)
    ADD("keys-of-a-node", test_keys_of_a_node);
    ADD("what-is-refused", test_what_is_refused);
    ADD("names-and-devices", test_names_and_devices);
    ADD("ata-ports", test_ata_ports);
    ADD("short-options", test_short_options);
    ADD("a-guest-uses-it", test_a_guest_uses_it);
    ADD("it-goes-with-its-device", test_it_goes_with_its_device);
    ADD("the-device-s-words-count", test_the_device_s_words_count);
    ADD("writes-that-are-thrown-away", test_writes_that_are_thrown_away);
    ADD("snapshot-for-all", test_snapshot_for_all);
    ADD("a-failure-leaves-nothing", test_a_failure_leaves_nothing);
    ADD("limits", test_limits);
    return g_test_run();
}
