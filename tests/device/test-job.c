/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs as clients see them, by making images.
 */
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <sys/stat.h>

#include "berth/inject.h"

#include "disk-bench.h"

#define HELD "{'node-name': 'sto', 'rules': [{'ops': ['write'], " \
             "'delay-ns': 18446744073709551615}]}"
#define NO_RULES "{'node-name': 'sto', 'rules': []}"

typedef DiskBench Fixture;

static void set_up(Fixture *f, const void *unused)
{
    disk_bench_init(f, false);
    kit_image_write_file(&f->image, "file", "", 0);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': 'sto', 'file': "
               "{'driver': 'file', 'node-name': 'low', 'filename': '%s'}}", f->path);
}

static uint64_t file_size(const char *path, uint64_t *ret_blocks)
{
    struct stat st;

    g_assert_cmpint(stat(path, &st), ==, 0);
    if (ret_blocks)
        *ret_blocks = (uint64_t)st.st_blocks * 512;
    return (uint64_t)st.st_size;
}

/* The states that job "j" has come through, up to @last, each with a blank behind. */
static char *states_up_to(Fixture *f, const char *last)
{
    GString *states = g_string_new(NULL);
    const char *state;

    do {
        g_autoptr(JsonValue) event = kit_qmp_wait_event(f->qmp, "JOB_STATUS_CHANGE");

        kit_qmp_assert_at(event, "id", "j");
        state = json_as_string(json_member(event, "status"));
        g_string_append_printf(states, "%s ", state);
        if (g_strcmp0(state, last) == 0)
            return g_string_free(states, FALSE);
    } while (states->len < 1000);
    g_assert_not_reached();
}

static void assert_states(Fixture *f, const char *last, const char *expected)
{
    g_autofree char *states = states_up_to(f, last);

    g_assert_cmpstr(states, ==, expected);
}

static JsonValue *query(Fixture *f)
{
    return kit_qmp_ask(f->qmp, "query-jobs", NULL);
}

static void dismiss(Fixture *f)
{
    g_autoptr(JsonValue) jobs = NULL;

    kit_qmp_do(f->qmp, "job-dismiss", "{'id': 'j'}");
    assert_states(f, "null", "null ");
    jobs = query(f);
    g_assert_cmpuint(json_length(jobs), ==, 0);
}

static void create(Fixture *f, const char *options)
{
    kit_qmp_do(f->qmp, "blockdev-create", "{'job-id': 'j', 'options': %s}", options);
}

static void test_a_job_that_succeeds(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) jobs = NULL;

    create(f, "{'driver': 'raw', 'file': 'sto', 'size': 4096}");
    assert_states(f, "concluded", "created running waiting pending concluded ");

    jobs = query(f);
    kit_qmp_assert_at(jobs, "0.id", "j");
    kit_qmp_assert_at(jobs, "0.type", "create");
    kit_qmp_assert_at(jobs, "0.status", "concluded");
    kit_qmp_assert_at(jobs, "0.error", "absent");
    g_assert_cmpint(kit_qmp_int(jobs, "0.current-progress"), ==,
                    kit_qmp_int(jobs, "0.total-progress"));
    g_assert_cmpuint(file_size(f->path, NULL), ==, 4096);
    kit_qmp_assert_fails(f->qmp, "already", "blockdev-create", "{'job-id': 'j', "
                         "'options': {'driver': 'raw', 'file': 'sto', 'size': 0}}");
    dismiss(f);
    kit_qmp_do(f->qmp, "block_resize", "{'node-name': 'low', 'size': 512}");
}

static void test_a_job_that_fails(Fixture *f, const void *unused)
{
    static const struct {
        const char *options;
        const char *words;
    } rows[] = {
        { "{'driver': 'raw', 'file': 'none', 'size': 4096}", "'none'" },
        { "{'driver': 'raw', 'file': 'null', 'size': 4096}", "cannot be resized" },
        { "{'driver': 'raw', 'file': 'ro', 'size': 4096}", "read-only" },
        { "{'driver': 'raw', 'file': {'driver': 'file', 'filename': '/nowhere/x'}, "
          "'size': 4096}", "/nowhere/x" },
        { "{'driver': 'raw', 'file': 'sto', 'size': 9223372036854775807}", "resize" },
        { "{'driver': 'file', 'filename': '/nowhere/x', 'size': 4096}", "/nowhere/x" },
        { "{'driver': 'file', 'filename': '/dev/null', 'size': 4096}", "no regular" },
        { "{'driver': 'file', 'filename': '/dev/fdset/7', 'size': 4096}", "fdset" },
        { "{'driver': 'file', 'filename': '/tmp/x', 'size': 9223372036854775807}",
          "too large" },
        { "{'driver': 'file', 'filename': '/tmp/x', 'size': 0, "
          "'preallocation': 'metadata'}", "no metadata" },
    };

    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'null'}");
    kit_add_node(f->kit, "{'driver': 'raw', 'node-name': 'ro', 'read-only': true, "
                 "'file': 'null'}");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(JsonValue) jobs = NULL;
        g_autofree char *message = NULL;

        create(f, rows[i].options);
        assert_states(f, "concluded", "created running aborting concluded ");
        jobs = query(f);
        message = kit_qmp_at(jobs, "0.error");
        if (!strstr(message, rows[i].words))
            g_error("%s: %s", rows[i].options, message);
        dismiss(f);
    }
    g_assert_cmpuint(file_size(f->path, NULL), ==, 0);
}

static void assert_refused_all(Fixture *f, const char *words)
{
    static const char *const commands[] = {
        "job-pause", "job-resume", "job-cancel", "job-complete", "job-finalize",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        kit_qmp_assert_fails(f->qmp, words, commands[i], "{'id': 'j'}");
}

/* A guest with a request under way, so that the node does not become quiet. */
static KitBlk *add_busy_disk(Fixture *f)
{
    KitBlk *blk;

    kit_qmp_do(f->qmp, "block_resize", "{'node-name': 'sto', 'size': 8192}");
    kit_qmp_do(f->qmp, "blockdev-add",
               "{'driver': 'raw', 'node-name': 'fmt', 'file': 'sto'}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'fmt', "
            "'share-rw': true}");
    kit_start(f->kit);
    blk = kit_blk_new(f->kit, "disk");
    kit_qmp_do(f->qmp, "x-block-inject-set", HELD);
    kit_blk_submit(blk, 1, VIRTIO_BLK_T_OUT, 0, 4096);
    kit_run_both(f->kit);
    return blk;
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    KitBlk *blk;

    assert_refused_all(f, "there is no job 'j'");
    kit_qmp_assert_fails(f->qmp, "there is no job", "job-dismiss", "{'id': 'j'}");
    kit_qmp_assert_fails(f->qmp, "job-id", "blockdev-create", "{'job-id': '1', "
                         "'options': {'driver': 'raw', 'file': 'sto', 'size': 0}}");

    blk = add_busy_disk(f);
    create(f, "{'driver': 'raw', 'file': 'sto', 'size': 4096}");
    assert_states(f, "running", "created running ");
    kit_run_both(f->kit);
    kit_qmp_assert_fails(f->qmp, "it is running", "job-dismiss", "{'id': 'j'}");
    kit_qmp_assert_fails(f->qmp, "it is running", "job-complete", "{'id': 'j'}");
    kit_qmp_assert_fails(f->qmp, "it is running", "job-finalize", "{'id': 'j'}");
    kit_qmp_assert_fails(f->qmp, "not paused", "job-resume", "{'id': 'j'}");
    kit_qmp_assert_fails(f->qmp, "busy: blockdev-create", "block_resize",
                         "{'node-name': 'low', 'size': 512}");
    kit_qmp_do(f->qmp, "x-block-inject-set", NO_RULES);
    assert_states(f, "concluded", "waiting pending concluded ");
    assert_refused_all(f, "it is concluded");
    dismiss(f);
    /* The guest is told. */
    g_assert_cmpuint(kit_blk_capacity(blk), ==, 8);
    kit_blk_free(blk);
}

static void test_pause_and_cancel(Fixture *f, const void *unused)
{
    g_autofree char *other = g_strconcat(f->path, ".new", NULL);
    g_autofree char *options = g_strdup_printf(
        "{'driver': 'file', 'filename': '%s', 'size': 268435456, "
        "'preallocation': 'full'}", other);
    g_autoptr(JsonValue) before = NULL, after = NULL, jobs = NULL;

    create(f, options);
    assert_states(f, "running", "created running ");
    kit_qmp_do(f->qmp, "job-pause", "{'id': 'j'}");
    kit_qmp_assert_fails(f->qmp, "paused already", "job-pause", "{'id': 'j'}");
    assert_states(f, "paused", "paused ");
    before = query(f);
    for (unsigned i = 0; i < 20; i++)
        kit_run_both(f->kit);
    after = query(f);
    g_assert_cmpint(kit_qmp_int(before, "0.current-progress"), ==,
                    kit_qmp_int(after, "0.current-progress"));
    g_assert_cmpint(kit_qmp_int(after, "0.current-progress"), <, 268435456);
    kit_qmp_do(f->qmp, "job-resume", "{'id': 'j'}");
    assert_states(f, "running", "running ");
    kit_qmp_do(f->qmp, "job-cancel", "{'id': 'j'}");
    assert_states(f, "concluded", "aborting concluded ");
    jobs = query(f);
    kit_qmp_assert_at(jobs, "0.error", "cancelled");
    dismiss(f);
    g_unlink(other);
}

static void test_files_that_are_made(Fixture *f, const void *unused)
{
    static const struct {
        const char *more;
        uint64_t size;
        bool is_full;
    } rows[] = {
        { "'size': 1", 512, false },
        { "'size': 0", 0, false },
        { "'size': 8388608, 'preallocation': 'full'", 8388608, true },
        { "'size': 1048576, 'preallocation': 'falloc'", 1048576, true },
        { "'size': 1048576, 'nocow': true, 'extent-size-hint': 0", 1048576, false },
    };
    g_autofree char *other = g_strconcat(f->path, ".new", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *options = g_strdup_printf(
            "{'driver': 'file', 'filename': '%s', %s}", other, rows[i].more);
        uint64_t blocks;

        /* What was there is gone. */
        g_assert_true(g_file_set_contents(other, "old", 3, NULL));
        create(f, options);
        assert_states(f, "concluded", "created running waiting pending concluded ");
        g_assert_cmpuint(file_size(other, &blocks), ==, rows[i].size);
        if (rows[i].is_full)
            g_assert_cmpuint(blocks, >=, rows[i].size);
        else
            g_assert_cmpuint(blocks, ==, 0);
        dismiss(f);
    }
    g_unlink(other);
}

/* Of another process, or of a node: who has it open is asked by locks. */
static void test_a_file_in_use_is_not_emptied(Fixture *f, const void *unused)
{
    g_autofree char *options = g_strdup_printf(
        "{'driver': 'file', 'filename': '%s', 'size': 512}", f->path);
    g_autoptr(JsonValue) jobs = NULL;
    g_autofree char *message = NULL;

    g_assert_cmpint(truncate(f->path, 4096), ==, 0);
    kit_qmp_do(f->qmp, "block_resize", "{'node-name': 'low', 'size': 4096}");
    kit_qmp_do(f->qmp, "blockdev-add",
               "{'driver': 'raw', 'node-name': 'fmt', 'file': 'sto'}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'drive': 'fmt'}");
    create(f, options);
    assert_states(f, "concluded", "created running aborting concluded ");

    jobs = query(f);
    message = kit_qmp_at(jobs, "0.error");
    g_assert_nonnull(strstr(message, "lock"));
    g_assert_cmpuint(file_size(f->path, NULL), ==, 4096);
}

static void test_a_node_that_is_defined_inside_is_gone_afterwards(Fixture *f,
                                                                  const void *unused)
{
    g_autofree char *options = g_strdup_printf(
        "{'driver': 'raw', 'file': {'driver': 'file', 'filename': '%s'}, 'size': 8192}",
        f->path);
    g_autoptr(JsonValue) before = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_autoptr(JsonValue) after = NULL;

    create(f, options);
    assert_states(f, "concluded", "created running waiting pending concluded ");

    after = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_assert_cmpuint(json_length(before), ==, json_length(after));
    g_assert_cmpuint(file_size(f->path, NULL), ==, 8192);
    dismiss(f);
}

static char *describe(void *opaque)
{
    return g_strdup("test");
}

/* A job that waits for quiet, and one that has ended. */
static void test_the_end_of_the_machine(Fixture *f, const void *unused)
{
    static const BlockUseOps use_ops = { .describe = describe };
    static const BlockChannelOps channel_ops = { .ready = NULL };
    BlockNode *low = block_graph_find(f->kit->blocks, "low");
    BlockUse *use = block_use_new(low, 0, BLOCK_PERM_ALL, &use_ops, NULL, NULL);
    BlockChannel *channel =
        block_channel_new(use, f->kit->loop, 1, &channel_ops, NULL, NULL);
    BlockReq *req = block_channel_get(channel);

    create(f, "{'driver': 'raw', 'file': 'none', 'size': 0}");
    assert_states(f, "concluded", "created running aborting concluded ");
    kit_qmp_do(f->qmp, "blockdev-create", "{'job-id': 'k', 'options': "
               "{'driver': 'raw', 'file': 'sto', 'size': 4096}}");
    for (unsigned i = 0; i < 10; i++)
        kit_run_both(f->kit);
    block_channel_put(channel, req);
    block_channel_free(channel);
    block_use_free(use);
    block_graph_free(g_steal_pointer(&f->kit->blocks));

    g_assert_cmpuint(kit_qmp_n_events(f->qmp, "JOB_STATUS_CHANGE"), ==, 4);
    g_assert_cmpuint(file_size(f->path, NULL), ==, 0);
    f->kit->blocks = block_graph_new(f->kit->loop);
}

static void test_there_are_only_so_many(Fixture *f, const void *unused)
{
    for (unsigned i = 0; i < 256; i++)
        kit_qmp_do(f->qmp, "blockdev-create", "{'job-id': 'j%u', 'options': "
                   "{'driver': 'raw', 'file': 'none', 'size': 0}}", i);
    kit_qmp_assert_fails(f->qmp, "job-dismiss", "blockdev-create", "{'job-id': 'j', "
                         "'options': {'driver': 'raw', 'file': 'none', 'size': 0}}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/job/" name, Fixture, NULL, set_up, fn, disk_bench_tear_down)
    ADD("a-job-that-succeeds", test_a_job_that_succeeds);
    ADD("a-job-that-fails", test_a_job_that_fails);
    ADD("what-is-refused", test_what_is_refused);
    ADD("pause-and-cancel", test_pause_and_cancel);
    ADD("files-that-are-made", test_files_that_are_made);
    ADD("a-file-in-use-is-not-emptied", test_a_file_in_use_is_not_emptied);
    ADD("a-node-that-is-defined-inside-is-gone-afterwards",
        test_a_node_that_is_defined_inside_is_gone_afterwards);
    ADD("the-end-of-the-machine", test_the_end_of_the_machine);
    ADD("there-are-only-so-many", test_there_are_only_so_many);
    return g_test_run();
}
