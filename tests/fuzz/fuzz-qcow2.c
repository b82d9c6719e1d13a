/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile qcow2 image under a guest that uses it and a client that resizes it and takes
 * snapshots: the first bytes are what they do, the rest is the file.  What was written
 * and can be read again is the same.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "berth/block-driver.h"
#include "berth/thread.h"

#include "fuzz.h"

#define MAX_IMAGE (512 * KIB)
#define N_STEPS 8u

typedef struct __attribute__((packed)) Step {
    uint8_t what;
    uint8_t length;             /* of 2 KiB */
    uint32_t offset;            /* sectors */
} Step;

typedef struct __attribute__((packed)) Input {
    uint8_t options;
    Step steps[N_STEPS];
} Input;

static BlockNode *open_image(BlockGraph *graph, int fd, uint8_t options)
{
    g_autofree char *json = g_strdup_printf(
        "{'driver':'qcow2','node-name':'n','read-only':%s,'discard':'unmap',%s%s"
        "'backing':null,'file':{'driver':'file','filename':'/proc/self/fd/%d',"
        "'discard':'unmap','locking':'off'}}", options & 1 ? "true" : "false",
        options & 2 ? "'l2-cache-entry-size':512,'l2-cache-size':1024," : "",
        options & 4 ? "'overlap-check':'all'," : "", fd);
    g_autoptr(BlockdevOptions) parsed =
        qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, json, NULL);

    return block_graph_add(graph, parsed, NULL);
}

/* A write that succeeds is what a read finds. */
static void write_and_read(BlockNode *node, uint64_t offset, size_t size, uint8_t value)
{
    g_autofree uint8_t *data = g_malloc(size);

    memset(data, value, size);
    if (block_io_write(node, offset, data, size, 0) < 0)
        return;
    memset(data, ~value, size);
    if (block_io_read(node, offset, data, size) < 0)
        return;
    for (size_t i = 0; i < size; i++)
        g_assert_cmpuint(data[i], ==, value);
}

/* What is longer than this is left to other tests. */
#define MAX_GROWTH (64 * MIB)

static void resize(BlockNode *node, const Step *step)
{
    uint64_t size = block_node_size(node);
    uint64_t by = (uint64_t)step->offset * 512 % MAX_GROWTH;
    PreallocMode prealloc = step->length % 8 == 7 ? PREALLOC_MODE_METADATA
                                                  : PREALLOC_MODE_OFF;
    bool grows = step->what & 0x40 || by > size;
    uint64_t to = grows ? size + by : size - by;

    /* A disk of any size may be there already. */
    if (size > 4 * MAX_GROWTH)
        prealloc = PREALLOC_MODE_OFF;
    if (block_node_resize(node, to, grows ? prealloc : PREALLOC_MODE_OFF, NULL))
        g_assert_cmpuint(block_node_size(node), ==, to);
}

static void change_snapshots(BlockNode *node, const Step *step)
{
    g_autofree char *id = g_strdup_printf("%u", step->length % 4);

    if (node->read_only)
        return;
    if (step->what & 0x40)
        node->driver->snapshot_create(node, id, NULL);
    else
        qapi_free_SnapshotInfo(node->driver->snapshot_delete(node, id, NULL, NULL));
}

static void take_step(BlockNode *node, const Step *step)
{
    uint64_t size = block_node_size(node);
    BlockIo io = {
        .offset = (uint64_t)step->offset * 512,
        .bytes = (step->length + 1) * 2 * KIB,
    };

    if (size == 0)
        return;
    if (step->what & 0x80)
        io.offset *= 0x10001;
    io.offset %= size;
    io.bytes = MIN(io.bytes, size - io.offset);
    if (step->what & 0x40)
        io.flags = BLOCK_MAY_UNMAP;
    switch (step->what % 8) {
    case 0:
    case 1:
    case 2:
        write_and_read(node, io.offset, io.bytes, step->what);
        return;
    case 3:
        io.op = BLOCK_OP_ZERO;
        break;
    case 4:
        io.op = BLOCK_OP_DISCARD;
        break;
    case 5:
        io = (BlockIo) { .op = BLOCK_OP_FLUSH };
        break;
    case 6:
        resize(node, step);
        return;
    case 7:
        change_snapshots(node, step);
        return;
    }
    block_io(node, &io);
}

static void check_map(BlockNode *node)
{
    uint64_t size = block_node_size(node);
    BlockMap map;

    for (uint64_t at = 0, n = 0; at < size && n < 64; at += map.bytes, n++) {
        if (node->driver->map(node, at, size - at, &map) < 0)
            return;
        g_assert_cmpuint(map.bytes, >, 0);
        g_assert_cmpuint(map.bytes, <=, size - at);
    }
}

static void describe(BlockNode *node)
{
    g_autoptr(ImageInfo) info = g_new0(ImageInfo, 1);

    node->driver->describe(node, info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static Loop *loop;
    BlockGraph *graph;
    BlockNode *node;
    Input input;

    if (size < sizeof(input) || size - sizeof(input) > MAX_IMAGE)
        return 0;
    if (fd < 0) {
        thread_set_role(THREAD_MAIN);
        fd = memfd_create("image", MFD_CLOEXEC);
        loop = loop_new("fuzz", THREAD_MAIN, NULL);
    }
    memcpy(&input, data, sizeof(input));
    size -= sizeof(input);
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, data + sizeof(input), size, 0), ==, size);
    graph = block_graph_new(loop);
    node = open_image(graph, fd, input.options);
    for (unsigned i = 0; node && i < N_STEPS; i++)
        take_step(node, &input.steps[i]);
    if (node) {
        check_map(node);
        describe(node);
    }
    block_graph_free(graph);
    return 0;
}
