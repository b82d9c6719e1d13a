/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-add and blockdev-del as clients use them, well and ill meant.
 */
#include <string.h>

#include "berth/block.h"
#include "berth/fdset.h"

#include "disk-bench.h"

#define N_ROUNDS 1000u

typedef DiskBench Fixture;

/* The names of all nodes, the last made first, each with a blank behind. */
static char *names(Fixture *f)
{
    g_autoptr(JsonValue) nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < json_length(nodes); i++)
        g_string_append_printf(text, "%s ", json_as_string(json_member(json_at(nodes, i),
                                                                       "node-name")));
    return g_string_free(text, FALSE);
}

static void assert_names(Fixture *f, const char *expected)
{
    g_autofree char *text = names(f);

    g_assert_cmpstr(text, ==, expected);
}

static unsigned n_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}

static void test_what_was_defined_inside_goes_with_it(Fixture *f, const void *unused)
{
    unsigned before = n_fds();

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'top', 'file': "
               "{'driver': 'raw', 'node-name': 'mid', 'file': {'driver': 'file', "
               "'node-name': 'low', 'filename': '%s'}}}", f->path);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'other', "
               "'read-only': true, 'file': 'mid'}");
    assert_names(f, "other top mid low ");
    kit_qmp_assert_fails(f->qmp, "in use: by node", "blockdev-del",
                         "{'node-name': 'mid'}");

    /* Another node holds the middle. */
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'top'}");
    assert_names(f, "other mid low ");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'other'}");
    assert_names(f, "");
    g_assert_cmpuint(n_fds(), ==, before);
}

static void test_what_a_node_needed_is_given_up_with_it(Fixture *f, const void *unused)
{
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'a', "
               "'filename': '%s'}", f->path);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'b', "
               "'filename': '%s'}", f->path);
    kit_qmp_do(f->qmp, "blockdev-add",
               "{'driver': 'raw', 'node-name': 'top', 'file': 'a'}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'top'}");
    kit_assert_refused(f->kit, "{'driver': 'virtio-blk-pci', 'drive': 'b'}", f->path);

    device_remove(device_find(&f->kit->tree, "disk"));
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'top'}");

    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'b'}");
}

static void test_a_name_is_taken_from_the_start(Fixture *f, const void *unused)
{
    static const char add[] = "{'driver': 'null-co', 'node-name': 'n'}";
    g_autoptr(KitQmp) other = kit_qmp_new(f->kit);
    g_autoptr(JsonValue) first = NULL, second = NULL;

    kit_qmp_send(f->qmp, "blockdev-add", add);
    kit_qmp_send(other, "blockdev-add", add);
    second = kit_qmp_receive(other);
    first = kit_qmp_receive(f->qmp);

    kit_qmp_assert_at(first, "return", "{}");
    kit_qmp_assert_at(second, "error.desc",
                      "parameter 'node-name': there is a block node 'n' already");
}

static void test_faulty_definitions(Fixture *f, const void *unused)
{
    static const struct {
        const char *json;
        const char *words;
    } rows[] = {
        { "{'driver': 'null-co'}", "'node-name' is missing" },
        { "{'driver': 'raw', 'node-name': 'x', 'file': 'x'}", "'x'" },
        { "{'driver': 'raw', 'node-name': 'x', 'file': {'driver': 'raw', 'file': 'x'}}",
          "'x'" },
        { "{'driver': 'raw', 'node-name': 'x', 'file': {'driver': 'raw', "
          "'node-name': 'y', 'file': 'y'}}", "'y'" },
        { "{'driver': 'raw', 'node-name': 'x', 'file': ''}", "''" },
        { "{'driver': 'raw', 'node-name': '', 'file': 'n'}", "node-name" },
        { "{'driver': 'raw', 'node-name': '#block000', 'file': 'n'}", "node-name" },
        { "{'driver': 'vvfat', 'node-name': 'x'}", "driver" },
        { "{'driver': 'raw', 'node-name': 'x', 'file': 'n', 'filename': 'x'}",
          "filename" },
        { "{'driver': 'null-co', 'node-name': 'x', 'size': 9223372036854775808}",
          "'size'" },
        { "{'driver': 'file', 'node-name': 'x', 'filename': '/dev/fdset/7'}",
          "/dev/fdset/7" },
    };

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'n'}");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, "blockdev-add", "%s", rows[i].json);
    kit_qmp_assert_fails(f->qmp, "'x'", "blockdev-del", "{'node-name': 'x'}");
    assert_names(f, "n ");
}

static void test_thousand_rounds_leave_nothing(Fixture *f, const void *unused)
{
    unsigned before = n_fds();

    for (unsigned i = 0; i < N_ROUNDS; i++) {
        kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'n', 'file': "
                   "{'driver': 'file', 'filename': '%s'}}", f->path);
        kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'n'}");
    }

    assert_names(f, "");
    g_assert_cmpuint(n_fds(), ==, before);
}

static void test_thousand_nodes_beside_each_other(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) nodes = NULL, stats = NULL;

    kit_qmp_do(f->qmp, "blockdev-add",
               "{'driver': 'null-co', 'node-name': 'n', 'read-only': true}");
    for (unsigned i = 0; i < N_ROUNDS; i++)
        kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'n%u', "
                   "'read-only': true, 'file': 'n'}", i);
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    stats = kit_qmp_ask(f->qmp, "query-blockstats", "{'query-nodes': true}");
    g_assert_cmpuint(json_length(nodes), ==, N_ROUNDS + 1);
    g_assert_cmpuint(json_length(stats), ==, N_ROUNDS + 1);

    for (unsigned i = 0; i < N_ROUNDS; i++)
        kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'n%u'}", i);
    assert_names(f, "n ");
}

/* Each with a size, so that no channel passes it by. */
static void test_a_tower_has_an_end(Fixture *f, const void *unused)
{
    g_autofree uint8_t *data = g_malloc(8192);
    g_autoptr(JsonValue) stats = NULL;
    BlockNode *node;

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'n0', "
               "'filename': '%s'}", f->path);
    for (unsigned i = 1; i < 400; i++)
        kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'n%u', "
                   "'file': 'n%u', 'offset': 512}", i, i - 1);
    kit_qmp_assert_fails(f->qmp, "one below the other", "blockdev-add",
                         "{'driver': 'raw', 'node-name': 'n400', 'file': 'n399'}");
    kit_qmp_assert_fails(f->qmp, "one below the other", "blockdev-add",
                         "{'driver': 'raw', 'node-name': 'x', 'file': {'driver': 'raw', "
                         "'file': 'n399'}}");

    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'n399'}");
    node = block_graph_find(f->kit->blocks, "n399");
    memset(data, 0xaa, 8192);
    g_assert_cmpint(block_io_write(node, 0, data, 8192, 0), ==, 0);
    stats = kit_qmp_ask(f->qmp, "query-blockstats", NULL);
    kit_qmp_assert_at(stats, "0.stats.wr_highest_offset", "8192");
    kit_qmp_assert_at(stats, "0.parent.parent.stats.wr_highest_offset", "9216");
}

static void test_a_definition_has_an_end(Fixture *f, const void *unused)
{
    g_autoptr(GString) json = g_string_new("{'driver': 'null-co'}");

    for (unsigned i = 0; i < 450; i++) {
        g_string_prepend(json, "{'driver': 'raw', 'file': ");
        g_string_append_c(json, '}');
    }
    kit_qmp_assert_fails(f->qmp, "one below the other", "blockdev-add",
                         "{'driver': 'raw', 'node-name': 'n', 'file': %s}", json->str);
    assert_names(f, "");
}

/* The machine ends while a node is being made: the client gets its reply. */
static void test_the_end_of_the_machine(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) reply = NULL;

    kit_qmp_send(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'n'}");
    block_graph_free(g_steal_pointer(&f->kit->blocks));
    reply = kit_qmp_receive(f->qmp);

    kit_qmp_assert_at(reply, "error.desc", "the machine ends");
    f->kit->blocks = block_graph_new(f->kit->loop);
}

/* A node is used wherever its users are: what is asked is checked, and is so. */
static void test_a_thread_for_a_node(Fixture *f, const void *unused)
{
#define SET "x-blockdev-set-iothread"
    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'free'}");
    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'below'}");
    kit_add_node(f->kit, "{'driver': 'raw', 'node-name': 'above', 'file': 'below'}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'above'}");
    kit_qmp_do(f->qmp, "object-add", "{'qom-type': 'iothread', 'id': 'io'}");
    kit_qmp_do(f->qmp, SET, "{'node-name': 'free', 'iothread': 'io'}");
    kit_qmp_do(f->qmp, SET, "{'node-name': 'free', 'iothread': null}");
    /* Nobody has it. */
    kit_qmp_do(f->qmp, "object-del", "{'id': 'io'}");
    kit_qmp_assert_fails(f->qmp, "'io'", SET, "{'node-name': 'free', 'iothread': 'io'}");
    kit_qmp_assert_fails(f->qmp, "'none'", SET,
                         "{'node-name': 'none', 'iothread': null}");
    kit_qmp_assert_fails(f->qmp, "device 'disk'", SET,
                         "{'node-name': 'above', 'iothread': null}");
    kit_qmp_assert_fails(f->qmp, "device 'disk'", SET,
                         "{'node-name': 'below', 'iothread': null}");
    kit_qmp_do(f->qmp, SET, "{'node-name': 'below', 'iothread': null, 'force': true}");
    kit_qmp_assert_fails(f->qmp, "'io'", SET,
                         "{'node-name': 'below', 'iothread': 'io', 'force': true}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/block-add/" name, Fixture, NULL, disk_bench_set_up_with_file, fn,       \
               disk_bench_tear_down)
    ADD("what-was-defined-inside-goes-with-it",
        test_what_was_defined_inside_goes_with_it);
    ADD("what-a-node-needed-is-given-up-with-it",
        test_what_a_node_needed_is_given_up_with_it);
    ADD("a-name-is-taken-from-the-start", test_a_name_is_taken_from_the_start);
    ADD("faulty-definitions", test_faulty_definitions);
    ADD("thousand-rounds-leave-nothing", test_thousand_rounds_leave_nothing);
    ADD("thousand-nodes-beside-each-other", test_thousand_nodes_beside_each_other);
    ADD("a-tower-has-an-end", test_a_tower_has_an_end);
    ADD("a-definition-has-an-end", test_a_definition_has_an_end);
    ADD("a-thread-for-a-node", test_a_thread_for_a_node);
    ADD("the-end-of-the-machine", test_the_end_of_the_machine);
    return g_test_run();
}
