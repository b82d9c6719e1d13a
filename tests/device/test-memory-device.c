/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where memory devices go, what is refused, and that what devices have under way with
 * such memory ends before it goes.
 */
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/inject.h"
#include "berth/memory-backend.h"
#include "berth/memory-device.h"
#include "berth/virtio.h"
#include "berth/vm-fake.h"

#include "kit-blk.h"

#define BASE (8 * GIB)
#define SIZE (64 * MIB)
#define LIMIT (48 * MIB)

typedef struct Fixture {
    KitBoard *kit;
    Device dev;                 /* that the memory is a part of */
} Fixture;

static MemoryDeviceInfo *query(const MemoryDevice *memory)
{
    return g_new0(MemoryDeviceInfo, 1);
}

static const MemoryDeviceOps ops = { .query = query };

static void set_up(Fixture *f, gconstpointer unused)
{
    f->kit = kit_board_new();
    kit_add_memory_window(f->kit, BASE, SIZE, LIMIT);
    f->dev = (Device) { .tree = &f->kit->tree, .board = &f->kit->board,
                        .path = (char *)"/test" };
    kit_add_object(f->kit, "{'qom-type': 'memory-backend-ram', 'id': 'a',"
                   " 'size': 16777216}");
    kit_add_object(f->kit, "{'qom-type': 'memory-backend-ram', 'id': 'b',"
                   " 'size': 16777216}");
    kit_add_object(f->kit, "{'qom-type': 'memory-backend-ram', 'id': 'c',"
                   " 'size': 4194304}");
    kit_add_object(f->kit, "{'qom-type': 'memory-backend-ram', 'id': 'large',"
                   " 'size': 50331648}");
    kit_add_object(f->kit, "{'qom-type': 'memory-backend-ram', 'id': 'odd',"
                   " 'size': 2101248}");
    kit_add_object(f->kit, "{'qom-type': 'rng-builtin', 'id': 'rng0'}");
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    kit_board_free(f->kit);
}

static bool plug(Fixture *f, MemoryDevice *memory, const MemoryRequest *request,
                 GError **error)
{
    *memory = (MemoryDevice) { .ops = &ops, .dev = &f->dev };
    return memory_device_plug(memory, request, error);
}

static void must_plug(Fixture *f, MemoryDevice *memory, const char *id, uint64_t gpa)
{
    const MemoryRequest request = {
        .memdev = id, .gpa_name = "addr", .has_gpa = gpa != 0, .gpa = gpa,
    };
    g_autoptr(GError) error = NULL;

    plug(f, memory, &request, &error);
    g_assert_no_error(error);
}

static void test_the_first_free_range(Fixture *f, gconstpointer unused)
{
    MemoryDevice a, b, c;

    must_plug(f, &b, "b", BASE + 16 * MIB);
    must_plug(f, &c, "c", 0);
    g_assert_cmphex(c.gpa, ==, BASE);
    must_plug(f, &a, "a", 0);
    g_assert_cmphex(a.gpa, ==, BASE + 32 * MIB);
    kit_write(f->kit, BASE + 32 * MIB, 4, 0x12345678);
    g_assert_cmphex(*(uint32_t *)(void *)a.ram->host, ==, 0x12345678);
    g_assert_cmpuint(memory_device_plugged(f->kit->board.memory_window, -1), ==,
                     36 * MIB);
    g_assert_false(object_del(f->kit->objects, "a", NULL));

    memory_device_done(&b);
    g_assert_cmphex(kit_read(f->kit, BASE + 16 * MIB, 4), ==, UINT32_MAX);
    must_plug(f, &b, "b", 0);
    g_assert_cmphex(b.gpa, ==, BASE + 4 * MIB);
    memory_device_done(&a);
    memory_device_done(&b);
    memory_device_done(&c);
    g_assert_true(object_del(f->kit->objects, "a", NULL));
}

static const struct {
    MemoryRequest request;
    const char *words;
} wrong[] = {
    { { .memdev = "nothing" }, "there is no memory backend 'nothing'" },
    { { .memdev = "rng0" }, "there is no memory backend 'rng0'" },
    { { .memdev = "a" }, "busy memdev: a" },
    { { .memdev = "b", .node = 2 }, "'node' is 2, but the machine has 2 NUMA nodes" },
    { { .memdev = "b", .node = UINT32_MAX }, "'node' is 4294967295" },
    { { .memdev = "odd" }, "must be a multiple of 2097152" },
    { { .memdev = "large" }, "not enough space" },
    { { .memdev = "b", .has_gpa = true, .gpa = BASE + 0x1000 }, "multiple of 0x200000" },
    { { .memdev = "b", .has_gpa = true, .gpa = 0 }, "must be within 0x200000000" },
    { { .memdev = "b", .has_gpa = true, .gpa = BASE - 2 * MIB }, "must be within" },
    { { .memdev = "b", .has_gpa = true, .gpa = BASE + 50 * MIB }, "must be within" },
    { { .memdev = "b", .has_gpa = true, .gpa = -(2 * MIB) }, "must be within" },
    { { .memdev = "b", .has_gpa = true, .gpa = BASE + 14 * MIB }, "conflicts" },
    { { .memdev = "b", .has_gpa = true, .gpa = BASE + 44 * MIB }, "conflicts" },
    { { .memdev = "b", .align = 1 * GIB }, "multiple of 1073741824" },
};

static void test_wrong_places_are_refused(Fixture *f, gconstpointer unused)
{
    g_autofree char *before = NULL;
    MemoryDevice memory, a, c;

    must_plug(f, &a, "a", BASE + 16 * MIB);
    must_plug(f, &c, "c", BASE + 44 * MIB);
    before = kit_dump(f->kit);
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        MemoryRequest request = wrong[i].request;
        g_autofree char *after = NULL;
        g_autoptr(GError) error = NULL;

        request.gpa_name = "addr";
        g_assert_false(plug(f, &memory, &request, &error));
        if (!strstr(error->message, wrong[i].words))
            g_error("\"%s\" is not in \"%s\"", wrong[i].words, error->message);
        after = kit_dump(f->kit);
        g_assert_cmpstr(after, ==, before);
    }
    g_assert_cmpuint(memory_device_plugged(f->kit->board.memory_window, 0), ==, 20 * MIB);
    memory_device_done(&a);
    memory_device_done(&c);
}

static void test_scattered_memory_leaves_no_room(Fixture *f, gconstpointer unused)
{
    const MemoryRequest request = { .memdev = "a", .align = 16 * MIB };
    g_autoptr(GError) error = NULL;
    MemoryDevice c, b, a;

    must_plug(f, &c, "c", BASE + 30 * MIB);
    must_plug(f, &b, "b", BASE + 34 * MIB);
    memory_device_done(&b);
    must_plug(f, &b, "b", BASE + 8 * MIB);
    g_assert_true(plug(f, &a, &request, &error));
    g_assert_cmphex(a.gpa, ==, BASE + 48 * MIB);
    memory_device_done(&a);
    memory_device_done(&b);
    must_plug(f, &b, "b", BASE + 46 * MIB);
    memory_device_done(&c);
    must_plug(f, &c, "c", BASE + 14 * MIB);
    g_assert_false(plug(f, &a, &request, &error));
    g_assert_nonnull(strstr(error->message, "scattered"));
    memory_device_done(&b);
    memory_device_done(&c);
}

static void test_a_refusal_of_the_hypervisor(Fixture *f, gconstpointer unused)
{
    g_autofree char *before = kit_dump(f->kit), *after = NULL;
    const MemoryRequest request = { .memdev = "a" };
    g_autoptr(GError) error = NULL;
    MemoryDevice a;

    vm_fake_fail_nth(f->kit->vm, 1, -ENOMEM);
    g_assert_false(plug(f, &a, &request, &error));
    g_assert_nonnull(strstr(error->message, "refused memory"));
    after = kit_dump(f->kit);
    g_assert_cmpstr(after, ==, before);
    must_plug(f, &a, "a", 0);
    memory_device_done(&a);
}

/* A driver has its rings in memory that goes. */
static void test_rings_in_memory_that_goes(Fixture *f, gconstpointer unused)
{
    MemoryDevice a;
    KitVirtio *v;
    Device *dev = kit_add(f->kit, "{'driver': 'virtio-rng-pci', 'id': 'rng'}");
    uint32_t head, len;

    must_plug(f, &a, "a", 0);
    kit_start(f->kit);
    v = kit_virtio_new(f->kit, dev);
    v->ring = BASE;
    kit_virtio_start(v, UINT64_MAX, 8);
    kit_virtio_desc(v, 0, BASE + MIB, 64, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(v, 0);
    kit_virtio_kick(v);
    g_assert_true(kit_virtio_take(v, &head, &len));
    g_assert_cmpuint(len, ==, 64);

    memory_device_hide(&a);
    kit_run_both(f->kit);
    g_assert_false(memory_device_is_used(&a));
    g_assert_true(kit_virtio_status(v) & VIRTIO_CONFIG_S_NEEDS_RESET);
    memory_device_done(&a);
    g_assert_true(object_del(f->kit->objects, "a", NULL));
    g_free(v);
}

/* A disk hangs: the memory stays until its request has ended, and the disk goes on. */
static void test_a_request_that_hangs(Fixture *f, gconstpointer unused)
{
    static const char hang[] = "{'node-name': 'n', 'rules': [{'ops': ['write'],"
                               " 'delay-ns': 18446744073709551615}]}";
    BlockNode *inject = kit_add_node(f->kit, "{'driver': 'inject', 'node-name': 'n',"
                                     " 'file': {'driver': 'null-co', 'size': 1048576}}");
    g_autoptr(XBlockInjectSetArgs) args =
        qapi_parse_json(QAPI_TYPE_X_BLOCK_INJECT_SET_ARGS, hang, NULL);
    g_autoptr(KitBlk) blk = NULL;
    unsigned slot;
    uint8_t status;
    MemoryDevice a;

    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'n'}");
    must_plug(f, &a, "a", 0);
    kit_start(f->kit);
    blk = kit_blk_new(f->kit, "disk");
    g_assert_true(inject_set_rules(inject, args->rules, NULL));
    kit_blk_submit(blk, 0, VIRTIO_BLK_T_OUT, 0, 512);
    kit_run_both(f->kit);

    memory_device_hide(&a);
    kit_run_both(f->kit);
    g_assert_true(memory_device_is_used(&a));
    kit_blk_submit(blk, 1, VIRTIO_BLK_T_IN, 0, 512);
    g_assert_false(kit_blk_take(blk, &slot, &status));

    g_assert_true(inject_set_rules(inject, NULL, NULL));
    for (unsigned i = 0; i < 2; i++) {
        while (!kit_blk_take(blk, &slot, &status))
            kit_run_both(f->kit);
        g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    }
    g_assert_false(memory_device_is_used(&a));
    memory_device_done(&a);
}

#define ADD(name, fn) g_test_add("/memory-device/" name, Fixture, NULL, set_up, fn, \
                                 tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("the-first-free-range", test_the_first_free_range);
    ADD("wrong-places-are-refused", test_wrong_places_are_refused);
    ADD("scattered-memory-leaves-no-room", test_scattered_memory_leaves_no_room);
    ADD("a-refusal-of-the-hypervisor", test_a_refusal_of_the_hypervisor);
    ADD("a-request-that-hangs", test_a_request_that_hangs);
    ADD("rings-in-memory-that-goes", test_rings_in_memory_that_goes);
    return g_test_run();
}
