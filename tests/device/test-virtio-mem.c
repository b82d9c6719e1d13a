/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio-mem: blocks that come and go, what the host has of them, sizes that are asked
 * for, and drivers that lie.
 */
#include <errno.h>
#include <linux/virtio_mem.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/hotplug.h"
#include "berth/memory-backend.h"
#include "berth/memory-device.h"
#include "berth/ram-extent.h"
#include "berth/virtio-mem.h"
#include "berth/vm-fake.h"

#include "kit-virtio.h"

#define BLOCK (2 * MIB)
#define SECTION (16 * MIB)      /* of a window of 1 GiB */
#define REGION GIB
#define USABLE_EXTRA (256 * MIB)
#define ADDR (5 * GIB)
#define MEM_F_PERSISTENT_SUSPEND 2
#define WAIT_US (20 * G_TIME_SPAN_SECOND)

#define DEVICE(more) \
    "{'driver': 'virtio-mem-pci', 'id': 'vm0', 'memdev': 'mem0', 'memaddr': 5368709120" \
    more "}"
#define ASKED_64M DEVICE(", 'requested-size': 67108864")

typedef struct virtio_mem_req Request;
typedef struct virtio_mem_resp Response;
typedef struct virtio_mem_config Config;

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    RamBlock *ram;
    uint16_t state;             /* of the last response */
} Fixture;

static void init_board(Fixture *f, KitBoard *kit, const char *object, const char *device)
{
    *f = (Fixture) { .kit = kit };
    kit_add_memory_window(kit, ADDR, 2 * REGION, REGION);
    f->ram = memory_backend_ram(kit_add_object(kit, object));
    if (strstr(device, "'port'"))
        kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port', 'chassis': 1}");
    f->dev = kit_add(kit, device);
    kit_start(kit);
    f->v = kit_virtio_new(kit, f->dev);
    kit_virtio_start(f->v, UINT64_MAX, 64);
}

#define PRIVATE "{'qom-type': 'memory-backend-ram', 'id': 'mem0', 'size': 1073741824}"
#define MEMFD "{'qom-type': 'memory-backend-memfd', 'id': 'mem0', 'size': 1073741824}"
#define UNSEALED "{'qom-type': 'memory-backend-memfd', 'id': 'mem0', 'seal': false," \
    " 'size': 1073741824}"

static void fixture_init(Fixture *f, const char *device)
{
    init_board(f, kit_board_new(), PRIVATE, device);
}

static void fixture_done(Fixture *f)
{
    kit_board_free(f->kit);
    g_free(f->v);
}

static void wait_used(Fixture *f)
{
    int64_t end = g_get_monotonic_time() + WAIT_US;
    uint32_t head, len;

    while (!kit_virtio_take(f->v, &head, &len)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        kit_run_both(f->kit);
        g_usleep(20);
    }
    g_assert_cmpuint(head, ==, 0);
    g_assert_cmpuint(len, ==, sizeof(Response));
}

static void offer(Fixture *f, uint16_t type, uint64_t addr, uint16_t n)
{
    Request *request = kit_ram(f->kit, KIT_VIRTIO_DATA, sizeof(*request));

    memset(request, 0, sizeof(*request));
    request->type = GUINT16_TO_LE(type);
    request->u.plug.addr = GUINT64_TO_LE(addr);
    request->u.plug.nb_blocks = GUINT16_TO_LE(n);
    kit_virtio_desc(f->v, 0, KIT_VIRTIO_DATA, sizeof(*request), VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f->v, 1, KIT_VIRTIO_DATA + 64, sizeof(Response), VRING_DESC_F_WRITE,
                    0);
    kit_virtio_offer(f->v, 0);
    kit_virtio_kick(f->v);
}

static uint16_t ask(Fixture *f, uint16_t type, uint64_t addr, uint16_t n)
{
    const Response *response = kit_ram(f->kit, KIT_VIRTIO_DATA + 64, sizeof(*response));

    offer(f, type, addr, n);
    wait_used(f);
    kit_run_both(f->kit);
    f->state = GUINT16_FROM_LE(response->u.state.state);
    return GUINT16_FROM_LE(response->type);
}

/* Of blocks that are counted from the first. */

static uint16_t plug(Fixture *f, unsigned first, uint16_t n)
{
    return ask(f, VIRTIO_MEM_REQ_PLUG, ADDR + first * BLOCK, n);
}

static uint16_t unplug(Fixture *f, unsigned first, uint16_t n)
{
    return ask(f, VIRTIO_MEM_REQ_UNPLUG, ADDR + first * BLOCK, n);
}

static uint16_t state(Fixture *f, unsigned first, uint16_t n)
{
    g_assert_cmpuint(ask(f, VIRTIO_MEM_REQ_STATE, ADDR + first * BLOCK, n), ==,
                     VIRTIO_MEM_RESP_ACK);
    return f->state;
}

static uint64_t config(Fixture *f, unsigned offset)
{
    return kit_read(f->kit, f->v->config + offset, 4) |
        kit_read(f->kit, f->v->config + offset + 4, 4) << 32;
}

static uint64_t plugged(Fixture *f)
{
    return config(f, offsetof(Config, plugged_size));
}

static uint64_t usable(Fixture *f)
{
    return config(f, offsetof(Config, usable_region_size));
}

/* What query-memory-devices says of the device. */
static VirtioMEMDeviceInfo info(Fixture *f)
{
    g_autoptr(MemoryDeviceInfoList) list =
        memory_device_query(f->kit->board.memory_window);

    g_assert_cmpuint(list->n, ==, 1);
    g_assert_cmpint(list->items[0]->type, ==, MEMORY_DEVICE_INFO_KIND_VIRTIO_MEM);
    g_assert_cmpstr(list->items[0]->u.virtio_mem.data->id, ==, "vm0");
    g_assert_cmpstr(list->items[0]->u.virtio_mem.data->memdev, ==, "/objects/mem0");
    return *list->items[0]->u.virtio_mem.data;
}

/* Whether the guest finds memory there, which it writes to. */
static bool touch(Fixture *f, uint64_t offset)
{
    uint8_t *host = address_space_map(f->kit->memory, ADDR + offset, 1, true);

    if (!host)
        return false;
    g_assert_true(host == f->ram->host + offset);
    *host = 1;
    return true;
}

/* The bytes that the host has of the backend. */
static uint64_t held(Fixture *f)
{
    uint64_t start, end, at = 0, sum = 0;
    RamExtents extents;

    ram_extent_init(&extents, f->ram);
    while (ram_extent_next(&extents, at, f->ram->size, &start, &end)) {
        sum += end - start;
        at = end;
    }
    ram_extent_done(&extents);
    return sum;
}

static void test_configuration(void)
{
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(config(&f, offsetof(Config, block_size)), ==, BLOCK);
    g_assert_cmpuint(kit_read(f.kit, f.v->config + offsetof(Config, node_id), 2), ==, 0);
    g_assert_cmphex(config(&f, offsetof(Config, addr)), ==, ADDR);
    g_assert_cmpuint(config(&f, offsetof(Config, region_size)), ==, REGION);
    g_assert_cmpuint(usable(&f), ==, 64 * MIB + USABLE_EXTRA);
    g_assert_cmpuint(plugged(&f), ==, 0);
    g_assert_cmpuint(config(&f, offsetof(Config, requested_size)), ==, 64 * MIB);
    g_assert_cmphex(f.v->features & 7, ==, 7);
    /* Nothing of it can be written. */
    kit_write(f.kit, f.v->config, 4, 0);
    g_assert_cmpuint(config(&f, offsetof(Config, block_size)), ==, BLOCK);
    fixture_done(&f);
}

static void check_blocks(const char *object)
{
    Fixture f;

    init_board(&f, kit_board_new(), object, ASKED_64M);
    g_assert_false(touch(&f, 0));
    g_assert_cmpuint(plug(&f, 0, 3), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(plug(&f, 100, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(plugged(&f), ==, 4 * BLOCK);
    g_assert_cmpuint(f.kit->memory_size, ==, 4 * BLOCK);
    g_assert_cmpuint(state(&f, 0, 3), ==, VIRTIO_MEM_STATE_PLUGGED);
    g_assert_cmpuint(state(&f, 0, 4), ==, VIRTIO_MEM_STATE_MIXED);
    g_assert_cmpuint(state(&f, 3, 97), ==, VIRTIO_MEM_STATE_UNPLUGGED);

    for (unsigned i = 0; i < 3; i++)
        g_assert_true(touch(&f, i * BLOCK));
    g_assert_true(touch(&f, 100 * BLOCK));
    g_assert_cmpuint(held(&f), >=, 4 * 4096);
    g_assert_cmpuint(unplug(&f, 0, 3), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_false(touch(&f, 0));
    g_assert_true(touch(&f, 100 * BLOCK));
    g_assert_cmpuint(held(&f), <=, BLOCK);
    g_assert_cmpuint(unplug(&f, 100, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(held(&f), ==, 0);
    g_assert_cmpuint(f.kit->memory_size, ==, 0);
    g_assert_cmpuint(info(&f).size, ==, 0);
    fixture_done(&f);
}

static void test_blocks_come_and_go(void)
{
    check_blocks(PRIVATE);
    check_blocks(MEMFD);
}

/* D8 of the hostile inputs: what is no range of whole blocks below the usable size. */
static void test_requests_that_are_refused(void)
{
    static const struct {
        uint16_t type;
        uint64_t addr;
        uint16_t n;
        uint16_t response;
    } cases[] = {
        { VIRTIO_MEM_REQ_PLUG, ADDR, 0, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR + 1, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR + BLOCK / 2, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR - BLOCK, 2, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, 0, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, UINT64_MAX - BLOCK + 1, 2, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR, 65535, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR + 64 * MIB + USABLE_EXTRA, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR + 62 * MIB + USABLE_EXTRA, 2, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR + REGION, 1, VIRTIO_MEM_RESP_ERROR },
        /* Of which some are plugged. */
        { VIRTIO_MEM_REQ_PLUG, ADDR + 4 * BLOCK, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR, 5, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_PLUG, ADDR + 7 * BLOCK, 2, VIRTIO_MEM_RESP_ERROR },
        /* More than was asked for. */
        { VIRTIO_MEM_REQ_PLUG, ADDR + 10 * BLOCK, 29, VIRTIO_MEM_RESP_NACK },
        { VIRTIO_MEM_REQ_PLUG, ADDR + 10 * BLOCK, 150, VIRTIO_MEM_RESP_NACK },
        /* Not all plugged. */
        { VIRTIO_MEM_REQ_UNPLUG, ADDR + 3 * BLOCK, 2, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_UNPLUG, ADDR + 7 * BLOCK, 2, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_UNPLUG, ADDR, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_UNPLUG, ADDR + 4 * BLOCK, 0, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_UNPLUG, ADDR + 4 * BLOCK, 65535, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_UNPLUG, ADDR + 4 * BLOCK + 1, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_STATE, ADDR, 0, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_STATE, ADDR + 1, 1, VIRTIO_MEM_RESP_ERROR },
        { VIRTIO_MEM_REQ_STATE, ADDR + REGION - BLOCK, 1, VIRTIO_MEM_RESP_ERROR },
        { 4, ADDR, 1, VIRTIO_MEM_RESP_ERROR },
        { 0xffff, ADDR, 1, VIRTIO_MEM_RESP_ERROR },
    };
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(plug(&f, 4, 4), ==, VIRTIO_MEM_RESP_ACK);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint16_t response = ask(&f, cases[i].type, cases[i].addr, cases[i].n);

        if (response != cases[i].response)
            g_error("case %u: %u", i, response);
        g_assert_cmpuint(plugged(&f), ==, 4 * BLOCK);
    }
    /* What is left, and not a block more. */
    g_assert_cmpuint(plug(&f, 132, 28), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(plug(&f, 0, 1), ==, VIRTIO_MEM_RESP_NACK);
    g_assert_cmpuint(state(&f, 4, 4), ==, VIRTIO_MEM_STATE_PLUGGED);
    fixture_done(&f);
}

static void expect_broken(Fixture *f)
{
    uint32_t head, len;

    kit_virtio_offer(f->v, 0);
    kit_virtio_kick(f->v);
    kit_run_both(f->kit);
    g_assert_false(kit_virtio_take(f->v, &head, &len));
    g_assert_cmphex(kit_virtio_status(f->v) & VIRTIO_CONFIG_S_NEEDS_RESET, !=, 0);
    kit_virtio_start(f->v, UINT64_MAX, 64);
}

/* What the driver has plugged is there after it has begun anew. */
static void test_broken_requests(void)
{
    const uint64_t data = KIT_VIRTIO_DATA;
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(plug(&f, 0, 2), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_true(touch(&f, BLOCK));
    kit_virtio_desc(f.v, 0, data, sizeof(Request) - 1, VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, data + 64, sizeof(Response), VRING_DESC_F_WRITE, 0);
    expect_broken(&f);
    kit_virtio_desc(f.v, 0, data, sizeof(Request), VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, data + 64, sizeof(Response) - 1, VRING_DESC_F_WRITE, 0);
    expect_broken(&f);
    kit_virtio_desc(f.v, 0, data, sizeof(Request), 0, 0);
    expect_broken(&f);
    kit_virtio_desc(f.v, 0, data, sizeof(Response), VRING_DESC_F_WRITE, 0);
    expect_broken(&f);
    /* The request is in memory that is not plugged, or reaches into it. */
    kit_virtio_desc(f.v, 0, ADDR + 2 * SECTION, sizeof(Request), VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, data + 64, sizeof(Response), VRING_DESC_F_WRITE, 0);
    expect_broken(&f);
    kit_virtio_desc(f.v, 0, ADDR + SECTION - 8, sizeof(Request), VRING_DESC_F_NEXT, 1);
    expect_broken(&f);
    g_assert_cmpuint(state(&f, 0, 2), ==, VIRTIO_MEM_STATE_PLUGGED);
    g_assert_cmpuint(f.ram->host[BLOCK], ==, 1);
    fixture_done(&f);
}

static void test_unplug_all(void)
{
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(plug(&f, 30, 8), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_true(touch(&f, 30 * BLOCK));
    g_assert_true(virtio_mem_size_request(f.dev, 0, NULL));
    g_assert_cmpuint(usable(&f), ==, 64 * MIB + USABLE_EXTRA);
    /* The range of such a request does not matter. */
    g_assert_cmpuint(ask(&f, VIRTIO_MEM_REQ_UNPLUG_ALL, 1, 65535), ==,
                     VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(plugged(&f), ==, 0);
    g_assert_cmpuint(usable(&f), ==, 0);
    g_assert_false(touch(&f, 30 * BLOCK));
    g_assert_cmpuint(held(&f), ==, 0);
    g_assert_cmpuint(ask(&f, VIRTIO_MEM_REQ_STATE, ADDR, 1), ==, VIRTIO_MEM_RESP_ERROR);
    fixture_done(&f);
}

/* A section is memory while any of it is plugged; what else was touched goes with it. */
static void test_sections(void)
{
    const unsigned n = SECTION / BLOCK;
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(plug(&f, n, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_false(touch(&f, SECTION - 1));
    g_assert_true(touch(&f, SECTION));
    g_assert_true(touch(&f, 2 * SECTION - 1));
    g_assert_false(touch(&f, 2 * SECTION));
    /* Nobody answers there. */
    kit_write(f.kit, ADDR, 4, 0);
    g_assert_cmphex(kit_read(f.kit, ADDR, 4), ==, UINT32_MAX);
    g_assert_cmpuint(unplug(&f, n, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(held(&f), ==, 0);
    /* A buffer may lie across two. */
    g_assert_cmpuint(plug(&f, n - 1, 2), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_nonnull(address_space_map(f.kit->memory, ADDR + SECTION - 8, 16, true));
    g_assert_cmpuint(unplug(&f, n - 1, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_null(address_space_map(f.kit->memory, ADDR + SECTION - 8, 16, true));
    fixture_done(&f);

    fixture_init(&f, DEVICE(", 'requested-size': 67108864, 'dynamic-memslots': false"));
    g_assert_false(touch(&f, 0));
    g_assert_cmpuint(plug(&f, 1, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_true(touch(&f, REGION - 1));
    g_assert_cmpuint(unplug(&f, 1, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(held(&f), ==, 0);
    fixture_done(&f);
}

static void test_reset_of_the_machine(void)
{
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(plug(&f, 0, 32), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_true(touch(&f, 5 * BLOCK));
    g_assert_true(virtio_mem_size_request(f.dev, 32 * MIB, NULL));
    device_tree_pause(&f.kit->tree);
    kit_run_both(f.kit);
    device_tree_suspend(&f.kit->tree);
    g_assert_cmpuint(info(&f).size, ==, 64 * MIB);
    g_assert_cmpuint(f.ram->host[5 * BLOCK], ==, 1);
    device_tree_reset(&f.kit->tree);
    kit_run_both(f.kit);
    g_assert_cmpuint(info(&f).size, ==, 0);
    g_assert_cmpuint(info(&f).requested_size, ==, 32 * MIB);
    g_assert_cmpuint(f.kit->memory_size, ==, 0);
    g_assert_cmpuint(held(&f), ==, 0);
    g_assert_false(touch(&f, 0));
    fixture_done(&f);
}

static void test_memory_that_is_taken_at_once(void)
{
    Fixture f;

    init_board(&f, kit_board_new(), UNSEALED,
               DEVICE(", 'requested-size': 67108864, 'prealloc': true"));
    g_assert_cmpuint(plug(&f, 0, 2), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(held(&f), ==, 2 * BLOCK);
    /* The host has no more: nothing is plugged, and nothing left over. */
    g_assert_cmpint(ftruncate(f.ram->fd, 3 * BLOCK), ==, 0);
    g_assert_cmpuint(plug(&f, 2, 2), ==, VIRTIO_MEM_RESP_BUSY);
    g_assert_cmpuint(plugged(&f), ==, 2 * BLOCK);
    g_assert_cmpuint(state(&f, 2, 2), ==, VIRTIO_MEM_STATE_UNPLUGGED);
    g_assert_cmpuint(plug(&f, 2, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(held(&f), ==, 3 * BLOCK);
    fixture_done(&f);
}

/* The hypervisor has no room for the slot: the guest may try again. */
static void test_slot_that_is_refused(void)
{
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(plug(&f, 0, 1), ==, VIRTIO_MEM_RESP_ACK);
    vm_fake_fail_nth(f.kit->vm, 1, -ENOMEM);
    g_assert_cmpuint(plug(&f, SECTION / BLOCK, 1), ==, VIRTIO_MEM_RESP_BUSY);
    g_assert_cmpuint(plugged(&f), ==, BLOCK);
    g_assert_false(touch(&f, SECTION));
    g_assert_cmpuint(plug(&f, SECTION / BLOCK, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_true(touch(&f, SECTION));
    fixture_done(&f);
}

/* What blocks are plugged, as the test has it. */
typedef struct Model {
    bool plugged[REGION / BLOCK];
    unsigned n_plugged;
    unsigned n_usable;
} Model;

#define N_ASKED 64u             /* blocks */

static uint16_t model_range(Model *m, uint16_t type, unsigned first, unsigned n)
{
    unsigned count = 0;

    if (n == 0 || first >= m->n_usable || n > m->n_usable - first)
        return VIRTIO_MEM_RESP_ERROR;
    for (unsigned i = first; i < first + n; i++)
        count += m->plugged[i];
    if (type == VIRTIO_MEM_REQ_STATE)
        return VIRTIO_MEM_RESP_ACK;
    if (count != (type == VIRTIO_MEM_REQ_PLUG ? 0 : n))
        return VIRTIO_MEM_RESP_ERROR;
    if (type == VIRTIO_MEM_REQ_PLUG && m->n_plugged + n > N_ASKED)
        return VIRTIO_MEM_RESP_NACK;
    for (unsigned i = first; i < first + n; i++)
        m->plugged[i] = type == VIRTIO_MEM_REQ_PLUG;
    m->n_plugged += type == VIRTIO_MEM_REQ_PLUG ? n : -n;
    return VIRTIO_MEM_RESP_ACK;
}

static uint16_t model_ask(Model *m, uint16_t type, unsigned first, unsigned n)
{
    if (type < VIRTIO_MEM_REQ_UNPLUG_ALL || type == VIRTIO_MEM_REQ_STATE)
        return model_range(m, type, first, n);
    if (type != VIRTIO_MEM_REQ_UNPLUG_ALL)
        return VIRTIO_MEM_RESP_ERROR;
    memset(m->plugged, 0, sizeof(m->plugged));
    m->n_plugged = 0;
    return VIRTIO_MEM_RESP_ACK;
}

static void check_shown(Fixture *f, const Model *m)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(m->plugged); i += SECTION / BLOCK) {
        bool shown = false;

        for (unsigned j = 0; j < SECTION / BLOCK; j++)
            shown = shown || m->plugged[i + j];
        g_assert_true(touch(f, i * BLOCK) == shown);
    }
}

static void test_random_requests(void)
{
    Model *m = g_new0(Model, 1);
    Fixture f;

    fixture_init(&f, DEVICE(", 'requested-size': 134217728"));
    m->n_usable = N_ASKED + USABLE_EXTRA / BLOCK;
    for (unsigned i = 0; i < 3000; i++) {
        uint16_t type = (uint16_t)g_test_rand_int_range(0, 60);
        unsigned first = (unsigned)g_test_rand_int_range(0, 200);
        unsigned n = (unsigned)g_test_rand_int_range(0, i % 8 ? 6 : 100);

        type = type < 56 ? type % 2 : type - 55;
        g_assert_cmpuint(ask(&f, type, ADDR + first * BLOCK, (uint16_t)n), ==,
                         model_ask(m, type, first, n));
        g_assert_cmpuint(plugged(&f), ==, m->n_plugged * BLOCK);
        if (i % 64 == 0)
            check_shown(&f, m);
    }
    fixture_done(&f);
    g_free(m);
}

static void assert_request_fails(Fixture *f, uint64_t size, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(virtio_mem_size_request(f->dev, size, &error));
    if (!strstr(error->message, words))
        g_error("'%s' is not in: %s", words, error->message);
    g_assert_cmpuint(info(f).requested_size, ==, 64 * MIB);
}

static void test_size_that_is_asked_for(void)
{
    Fixture f;
    unsigned n;

    fixture_init(&f, ASKED_64M);
    assert_request_fails(&f, BLOCK + 1, "multiple");
    assert_request_fails(&f, REGION + BLOCK, "cannot exceed");
    assert_request_fails(&f, UINT64_MAX - BLOCK + 1, "cannot exceed");
    n = kit_msix_count(f.kit, KIT_VIRTIO_VECTOR_DATA + 1);
    g_assert_true(virtio_mem_size_request(f.dev, REGION, NULL));
    g_assert_cmpuint(kit_msix_count(f.kit, KIT_VIRTIO_VECTOR_DATA + 1), ==, n + 1);
    g_assert_cmpuint(usable(&f), ==, REGION);
    g_assert_cmpuint(plug(&f, 0, 512), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(info(&f).size, ==, REGION);
    /* Less: the guest keeps what it has until it gives it back. */
    g_assert_true(virtio_mem_size_request(f.dev, BLOCK, NULL));
    g_assert_cmpuint(usable(&f), ==, REGION);
    g_assert_cmpuint(unplug(&f, 511, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(plug(&f, 511, 1), ==, VIRTIO_MEM_RESP_NACK);
    fixture_done(&f);
}

static MemoryUnmetReason wait_unmet(Fixture *f, uint64_t size, uint64_t requested)
{
    kit_wait_for(f->kit, &f->kit->n_memory_unmet, 1);
    g_assert_cmpstr(f->kit->memory_unmet.id, ==, "vm0");
    g_assert_cmpuint(f->kit->memory_unmet.size, ==, size);
    g_assert_cmpuint(f->kit->memory_unmet.requested_size, ==, requested);
    g_assert_cmpuint(f->kit->memory_unmet.seconds, ==, 3);
    g_assert_true(info(f).has_x_unmet);
    g_assert_cmpint(info(f).x_unmet, ==, f->kit->memory_unmet.reason);
    return info(f).x_unmet;
}

/* Long enough for what a test does before, on a host that is busy. */
#define HURRIED \
    DEVICE(", 'prealloc': true, 'x-unplug-timeout': 3, 'requested-size': 4194304")

/* Several machines, so that all of them wait at once. */
static void test_sizes_that_are_not_met(void)
{
    Fixture none, silent, kept, host, met;

    init_board(&none, kit_board_new(), PRIVATE, HURRIED);
    kit_virtio_set_status(none.v, 0);
    init_board(&silent, kit_board_new(), PRIVATE, HURRIED);
    init_board(&kept, kit_board_new(), PRIVATE, HURRIED);
    init_board(&host, kit_board_new(), UNSEALED, HURRIED);
    init_board(&met, kit_board_new(), PRIVATE, HURRIED);
    g_assert_true(virtio_mem_size_request(none.dev, BLOCK, NULL));
    g_assert_true(virtio_mem_size_request(silent.dev, BLOCK, NULL));
    g_assert_cmpuint(plug(&kept, 0, 2), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_true(virtio_mem_size_request(kept.dev, 0, NULL));
    g_assert_cmpuint(unplug(&kept, 0, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpint(ftruncate(host.ram->fd, 0), ==, 0);
    g_assert_true(virtio_mem_size_request(host.dev, BLOCK, NULL));
    g_assert_cmpuint(plug(&host, 0, 1), ==, VIRTIO_MEM_RESP_BUSY);
    g_assert_true(virtio_mem_size_request(met.dev, BLOCK, NULL));
    g_assert_cmpuint(plug(&met, 0, 1), ==, VIRTIO_MEM_RESP_ACK);

    g_assert_cmpint(wait_unmet(&none, 0, BLOCK), ==, MEMORY_UNMET_REASON_NO_DRIVER);
    g_assert_cmpint(wait_unmet(&silent, 0, BLOCK), ==, MEMORY_UNMET_REASON_SILENT);
    g_assert_cmpint(wait_unmet(&kept, BLOCK, 0), ==, MEMORY_UNMET_REASON_KEPT);
    g_assert_cmpint(wait_unmet(&host, 0, BLOCK), ==, MEMORY_UNMET_REASON_HOST);
    kit_run_both(met.kit);
    g_assert_cmpuint(met.kit->n_memory_unmet, ==, 0);
    /* Late, but met. */
    g_assert_cmpuint(unplug(&kept, 1, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_false(info(&kept).has_x_unmet);
    fixture_done(&none);
    fixture_done(&silent);
    fixture_done(&kept);
    fixture_done(&host);
    fixture_done(&met);
}

static void test_removal(void)
{
    g_autoptr(GError) error = NULL, again = NULL;
    Fixture f;

    fixture_init(&f, DEVICE(", 'requested-size': 67108864, 'bus': 'port'"));
    g_assert_cmpuint(plug(&f, 0, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_false(hotplug_remove(f.dev, &error));
    g_assert_nonnull(strstr(error->message, "still plugged"));
    g_assert_cmpuint(unplug(&f, 0, 1), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_false(hotplug_remove(f.dev, &again));
    g_assert_nonnull(strstr(again->message, "requested-size"));
    g_assert_cmpuint(plug(&f, 0, 1), ==, VIRTIO_MEM_RESP_ACK);
    /* Taken out all the same: the guest finds nobody. */
    device_remove(f.dev);
    g_assert_false(touch(&f, 0));
    fixture_done(&f);
}

static void test_drivers_without_the_promise(void)
{
    const uint64_t promise = 1ull << VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE;
    Fixture f;

    fixture_init(&f, DEVICE(", 'unplugged-inaccessible': 'on'"));
    kit_virtio_negotiate(f.v, ~promise);
    g_assert_cmphex(kit_virtio_status(f.v) & VIRTIO_CONFIG_S_FEATURES_OK, ==, 0);
    fixture_done(&f);

    fixture_init(&f, DEVICE(", 'unplugged-inaccessible': 'auto'"));
    kit_virtio_negotiate(f.v, ~promise);
    g_assert_cmphex(kit_virtio_status(f.v) & VIRTIO_CONFIG_S_FEATURES_OK, !=, 0);
    fixture_done(&f);

    fixture_init(&f, DEVICE(", 'unplugged-inaccessible': 'off'"));
    g_assert_cmphex(f.v->features & promise, ==, 0);
    fixture_done(&f);
}

static void test_wrong_properties(void)
{
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        { "{'driver': 'virtio-mem-pci'}", "memdev" },
        { "{'driver': 'virtio-mem-pci', 'memdev': 'none'}", "memdev" },
        { "{'driver': 'virtio-mem-pci', 'memdev': 'busy'}", "busy" },
        { DEVICE(", 'block-size': 3145728"), "power of two" },
        { DEVICE(", 'block-size': 524288"), "block-size" },
        { DEVICE(", 'block-size': 2147483648"), "multiple of block-size" },
        { DEVICE(", 'node': 2"), "node" },
        { DEVICE(", 'requested-size': 1048576"), "requested-size" },
        { DEVICE(", 'requested-size': 1075838976"), "cannot exceed" },
        { "{'driver': 'virtio-mem-pci', 'memdev': 'mem0', 'memaddr': 5369757696}",
          "memaddr" },
        { "{'driver': 'virtio-mem-pci', 'memdev': 'locked', 'memaddr': 5368709120}",
          "given back" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();
    RamBlock *locked;

    kit_add_object(kit, PRIVATE);
    kit_assert_refused(kit, ASKED_64M, "maxmem");
    kit_add_memory_window(kit, ADDR, 2 * REGION, REGION);
    kit_add_object(kit, "{'qom-type': 'memory-backend-ram', 'id': 'busy',"
                   " 'size': 2097152}")->n_users++;
    locked = memory_backend_ram(kit_add_object(
        kit, "{'qom-type': 'memory-backend-ram', 'id': 'locked', 'size': 2097152}"));
    /* Not mlock(), which sanitizers leave out. */
    g_assert_cmpint(syscall(SYS_mlock, locked->host, 4096), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_assert_refused(kit, cases[i].json, cases[i].words);
    object_release(object_find(kit->objects, "busy"));
}

/* Each byte of the state turned round: loaded whole, or refused. */
static void test_saved_state(void)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autofree uint8_t *bad = NULL;
    Fixture f;

    fixture_init(&f, ASKED_64M);
    g_assert_cmpuint(plug(&f, 40, 3), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_true(virtio_mem_size_request(f.dev, 8 * MIB, NULL));
    kit_save_and_load(f.kit);
    g_assert_cmpuint(state(&f, 40, 3), ==, VIRTIO_MEM_STATE_PLUGGED);
    g_assert_true(touch(&f, 40 * BLOCK));
    device_tree_pause(&f.kit->tree);
    kit_run_both(f.kit);
    saved = kit_save(f.kit);
    /* Another machine shows the same. */
    g_assert_cmpuint(info(&f).size, ==, 6 * MIB);
    device_tree_reset(&f.kit->tree);
    g_assert_false(touch(&f, 40 * BLOCK));
    g_assert_true(device_tree_load(&f.kit->tree, saved->data, saved->len, NULL));
    g_assert_true(touch(&f, 40 * BLOCK));
    g_assert_false(touch(&f, 0));
    g_assert_cmpuint(info(&f).size, ==, 6 * MIB);
    bad = g_memdup2(saved->data, saved->len);
    for (unsigned i = 0; i < saved->len; i++) {
        g_autoptr(GError) error = NULL;

        bad[i] ^= 0xff;
        if (!device_tree_load(&f.kit->tree, bad, saved->len, &error))
            g_assert_nonnull(error);
        bad[i] ^= 0xff;
        g_assert_cmpuint(info(&f).size, <=, REGION);
    }
    device_tree_reset(&f.kit->tree);
    fixture_done(&f);
}

/* A guest that uses what it unplugs, while clients ask. */
static void test_racing_guest(void)
{
    Fixture f;

    init_board(&f, kit_board_new_threaded(), MEMFD, ASKED_64M);
    for (unsigned i = 0; i < 60; i++) {
        offer(&f, i % 2 ? VIRTIO_MEM_REQ_UNPLUG : VIRTIO_MEM_REQ_PLUG, ADDR, 32);
        for (unsigned j = 0; j < 4; j++) {
            touch(&f, 5 * BLOCK);
            info(&f);
            virtio_mem_size_request(f.dev, (32 + j) * BLOCK, NULL);
        }
        wait_used(&f);
    }
    g_assert_cmpuint(plugged(&f), ==, 0);
    device_tree_pause(&f.kit->tree);
    kit_run_both(f.kit);
    device_tree_reset(&f.kit->tree);
    g_assert_cmpuint(held(&f), ==, 0);
    fixture_done(&f);
}

/* The machine stands still, or ends, with a request under way. */
static void test_end_with_a_request(void)
{
    for (unsigned round = 0; round < 8; round++) {
        Fixture f;

        init_board(&f, kit_board_new_threaded(), MEMFD,
                   DEVICE(", 'requested-size': 67108864, 'prealloc': true"));
        offer(&f, VIRTIO_MEM_REQ_PLUG, ADDR, 32);
        if (round % 2)
            g_usleep(100 * round);
        fixture_done(&f);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-mem/configuration", test_configuration);
    g_test_add_func("/virtio-mem/blocks-come-and-go", test_blocks_come_and_go);
    g_test_add_func("/virtio-mem/requests-that-are-refused",
                    test_requests_that_are_refused);
    g_test_add_func("/virtio-mem/broken-requests", test_broken_requests);
    g_test_add_func("/virtio-mem/unplug-all", test_unplug_all);
    g_test_add_func("/virtio-mem/sections", test_sections);
    g_test_add_func("/virtio-mem/reset-of-the-machine", test_reset_of_the_machine);
    g_test_add_func("/virtio-mem/memory-that-is-taken-at-once",
                    test_memory_that_is_taken_at_once);
    g_test_add_func("/virtio-mem/slot-that-is-refused", test_slot_that_is_refused);
    g_test_add_func("/virtio-mem/random-requests", test_random_requests);
    g_test_add_func("/virtio-mem/size-that-is-asked-for", test_size_that_is_asked_for);
    g_test_add_func("/virtio-mem/sizes-that-are-not-met", test_sizes_that_are_not_met);
    g_test_add_func("/virtio-mem/removal", test_removal);
    g_test_add_func("/virtio-mem/drivers-without-the-promise",
                    test_drivers_without_the_promise);
    g_test_add_func("/virtio-mem/wrong-properties", test_wrong_properties);
    g_test_add_func("/virtio-mem/saved-state", test_saved_state);
    g_test_add_func("/virtio-mem/racing-guest", test_racing_guest);
    g_test_add_func("/virtio-mem/end-with-a-request", test_end_with_a_request);
    return g_test_run();
}
