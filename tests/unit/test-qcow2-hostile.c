/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2 images made to do harm: numbers in headers and tables that cannot be.  They are
 * refused, or their disk can be read and written as far as it makes sense; in no case is
 * something written outside the places that they have for data.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "berth/thread.h"

#include "kit-image.h"

#define SIZE (4u * MIB)
/* Where qemu-img puts things in a new image with clusters of 64 KiB. */
#define REFTABLE 0x10000u
#define REFBLOCK 0x20000u
#define L1 0x30000u
#define L2 0x40000u
#define DATA 0x50000u
#define COPIED 0x8000000000000000ull
#define COMPRESSED 0x4000000000000000ull
#define BOMB (64u * MIB)
#define BOTH NULL, NULL
#define WRITTEN 0xee            /* what the guest writes */

typedef struct Case {
    unsigned at;
    unsigned width;             /* bytes */
    uint64_t value;
    const char *write_error;    /* words; NULL: it opens to be written */
    const char *read_error;     /* the same to be read */
} Case;

/* Of an image that make_image() made. */

static const Case version[] = {
    { 0, 4, 0x514649fa, "not a qcow2", "not a qcow2" },
    { 4, 4, 0, "version 0", "version 0" },
    { 4, 4, 1, "version 1", "version 1" },
    { 4, 4, 4, "version 4", "version 4" },
    { 4, 4, UINT32_MAX, "version", "version" },
};

static const Case backing_name[] = {
    { 8, 8, 0x10000, BOTH },
    { 8, 8, UINT64_MAX, "backing file's name", "backing file's name" },
};

static const Case cluster_bits[] = {
    { 20, 4, 8, "2^8 bytes", "2^8 bytes" },
    { 20, 4, 22, "2^22 bytes", "2^22 bytes" },
    { 20, 4, 0, "2^0 bytes", "2^0 bytes" },
    { 20, 4, 63, "2^63 bytes", "2^63 bytes" },
    { 20, 4, UINT32_MAX, "bytes are not", "bytes are not" },
    { 20, 4, 9, "too small", "too small" },
    { 20, 4, 21, "cannot be at", "cannot be at" },
};

static const Case disk_size[] = {
    { 24, 8, UINT64_MAX, "too small", "too small" },
    { 24, 8, 1ull << 62, "too small", "too small" },
    { 24, 8, (1ull << 29) + 1, "too small", "too small" },
    { 24, 8, 1, BOTH },
    { 24, 8, 0, BOTH },
};

static const Case encryption[] = {
    { 32, 4, 1, "encrypted", "encrypted" },
    { 32, 4, 2, "encrypted", "encrypted" },
    { 32, 4, UINT32_MAX, "encrypted", "encrypted" },
};

static const Case l1_table[] = {
    { 36, 4, 0, "too small", "too small" },
    { 36, 4, UINT32_MAX, "L1 table", "L1 table" },
    { 36, 4, 4 * 1024 * 1024 + 1, "L1 table", "L1 table" },
    { 36, 4, 4 * 1024 * 1024, "share a cluster", NULL },
    { 40, 8, 0, "L1 table", "L1 table" },
    { 40, 8, L1 + 512, "L1 table", "L1 table" },
    { 40, 8, UINT64_MAX & ~0xffffull, "L1 table", "L1 table" },
    { 40, 8, 1ull << 55, NULL, NULL },
    { 40, 8, REFTABLE, "share a cluster", NULL },
};

static const Case refcount_table_place[] = {
    { 48, 8, 0, "refcount table", "refcount table" },
    { 48, 8, REFTABLE + 8, "refcount table", "refcount table" },
    { 48, 8, 1ull << 63, "refcount table", "refcount table" },
    { 48, 8, L1, "share a cluster", NULL },
    { 56, 4, 0, "no refcount table", "no refcount table" },
    { 56, 4, UINT32_MAX, "refcount table", "refcount table" },
};

static const Case snapshot_table[] = {
    { 60, 4, UINT32_MAX, "snapshot table", "snapshot table" },
    { 60, 4, 1, "snapshot table", "snapshot table" },
    { 64, 8, UINT64_MAX, "snapshot table", "snapshot table" },
};

static const Case features[] = {
    { 72, 8, 1ull << 63, "bit 63", "bit 63" },
    { 72, 8, 1ull << 5, "not known", "not known" },
    { 72, 8, 1, NULL, NULL },
    { 72, 8, 2, "corrupt", NULL },
    { 72, 8, 4, "data-file", "data-file" },
    { 72, 8, 8, "compression", "compression" },
    { 72, 8, 16, BOTH },
    { 88, 8, UINT64_MAX, BOTH },
};

static const Case refcount_order[] = {
    { 96, 4, 7, "refcounts of", "refcounts of" },
    { 96, 4, UINT32_MAX, "refcounts of", "refcounts of" },
    { 96, 4, 0, BOTH },
};

static const Case header_length[] = {
    { 100, 4, 0, "the header has", "the header has" },
    { 100, 4, 103, "the header has", "the header has" },
    { 100, 4, 0x10008, "the header has", "the header has" },
};

static const Case compression[] = {
    { 104, 1, 1, "compression", "compression" },
    { 104, 1, 255, "compression", "compression" },
};

static const Case extensions[] = {
    { 112, 4, 0xe2792aca, "a name in the header", "a name in the header" },
    { 112, 4, 0x0537be77, "encrypted", "encrypted" },
    { 112, 4, 0x23852875, "bitmaps", "bitmaps" },
    { 116, 4, UINT32_MAX, "extension", "extension" },
    { 116, 4, 0xff90, "extension", "extension" },
};

static const Case refcount_table[] = {
    { REFTABLE, 8, 0, BOTH },
    { REFTABLE, 8, 1ull << 55, "refcounts", NULL },
    { REFTABLE, 8, REFBLOCK + 512, "refcounts", NULL },
    { REFTABLE, 8, L1, "share a cluster", NULL },
    { REFTABLE, 8, 0x1ff, BOTH },
    { REFTABLE + 8, 8, REFBLOCK, "share a cluster", NULL },
};

static const Case refcounts[] = {
    { REFBLOCK, 2, 0, BOTH },
    { REFBLOCK + 2, 8, 0, BOTH },
    { REFBLOCK + 8, 4, 0, BOTH },
    { REFBLOCK + 8, 8, UINT64_MAX, BOTH },
    { REFBLOCK + 0xfffe, 2, 1, BOTH },
};

static const Case l1_entries[] = {
    { L1, 8, COPIED | 512, "share a cluster", NULL },
    { L1, 8, COPIED | 1ull << 54, BOTH },
    { L1, 8, COPIED | L1, "share a cluster", NULL },
    { L1, 8, COPIED | (L2 + 512), BOTH },
    { L1, 8, L2, BOTH },
    { L1, 8, UINT64_MAX, BOTH },
    { L1, 8, COPIED | DATA, BOTH },
};

static const Case l2_entries[] = {
    { L2, 8, COPIED | 512, BOTH },
    { L2, 8, COPIED | 1ull << 54, BOTH },
    { L2, 8, COPIED | L1, BOTH },
    { L2, 8, COPIED | L2, BOTH },
    { L2, 8, COPIED | REFTABLE, BOTH },
    { L2, 8, COPIED | REFBLOCK, BOTH },
    { L2, 8, COPIED | REFBLOCK | 1, BOTH },
    { L2, 8, REFBLOCK, BOTH },
    { L2, 8, COPIED, BOTH },
    { L2, 8, COPIED | 1, BOTH },
    { L2, 8, COPIED | (DATA + 0x10000), BOTH },
    { L2, 8, DATA, BOTH },
    { L2, 8, UINT64_MAX, BOTH },
};

static const Case compressed_entries[] = {
    { L2, 8, COMPRESSED, BOTH },
    { L2, 8, COMPRESSED | DATA, BOTH },
    { L2, 8, COMPRESSED | 0x3fc0000000000000ull | DATA, BOTH },
    { L2, 8, COMPRESSED | 1ull << 53, BOTH },
    { L2, 8, COMPRESSED | L1, BOTH },
};

/* The tests: numbers that cannot be, in one place each. */
static const struct Group {
    const char *name;
    const Case *cases;
    size_t n;
} groups[] = {
#define GROUP(name, cases) { name, cases, G_N_ELEMENTS(cases) }
    GROUP("header/version", version),
    GROUP("header/backing-name", backing_name),
    GROUP("header/cluster-bits", cluster_bits),
    GROUP("header/disk-size", disk_size),
    GROUP("header/encryption", encryption),
    GROUP("header/l1-table", l1_table),
    GROUP("header/refcount-table", refcount_table_place),
    GROUP("header/snapshot-table", snapshot_table),
    GROUP("header/features", features),
    GROUP("header/refcount-order", refcount_order),
    GROUP("header/header-length", header_length),
    GROUP("header/compression", compression),
    GROUP("header/extensions", extensions),
    GROUP("tables/refcount-table", refcount_table),
    GROUP("tables/refcounts", refcounts),
    GROUP("tables/l1-entries", l1_entries),
    GROUP("tables/l2-entries", l2_entries),
    GROUP("tables/compressed-entries", compressed_entries),
};

static void set_up(KitImage *kit, const void *unused)
{
    kit_image_init(kit);
}

static void tear_down(KitImage *kit, const void *unused)
{
    kit_image_done(kit);
}

static void patch(const KitImage *kit, const Case *c)
{
    g_autofree char *path = kit_image_path(kit, "image");
    uint64_t value = GUINT64_TO_BE(c->value << (64 - 8 * c->width));
    int fd = open(path, O_RDWR | O_CLOEXEC);

    g_assert_cmpint(pwrite(fd, &value, c->width, c->at), ==, c->width);
    close(fd);
}

/* A snapshot of tables that cannot be is not taken, or goes again. */
static void use_snapshots(BlockNode *node)
{
    const BlockDriver *driver = node->driver;

    driver->snapshot_create(node, "x", NULL);
    qapi_free_SnapshotInfo(driver->snapshot_delete(node, NULL, "x", NULL));
}

/* Writes wherever a guest can; each may fail, but in one way only. */
static void use(BlockNode *node)
{
    uint64_t size = MIN(block_node_size(node), SIZE);
    g_autofree uint8_t *data = g_malloc0(SIZE);
    bool is_written = !block_node_is_read_only(node);

    if (is_written)
        use_snapshots(node);
    for (uint64_t at = 0; at + 64 * KIB <= size; at += 64 * KIB) {
        const BlockIo io = { .op = at / (64 * KIB) % 3 ? BLOCK_OP_ZERO : BLOCK_OP_DISCARD,
                             .offset = at, .bytes = 64 * KIB, .flags = BLOCK_MAY_UNMAP };

        block_io_read(node, at, data, 64 * KIB);
        memset(data, WRITTEN, 64 * KIB);
        if (is_written)
            block_io_write(node, at + 512, data, 512, 0);
        if (is_written && at / (64 * KIB) % 5 == 0)
            block_io(node, &io);
        if (is_written && at / (64 * KIB) % 7 == 0)
            block_io_flush(node);
    }
}

static void try_case(KitImage *kit, const Case *c, bool read_only)
{
    const char *words = read_only ? c->read_error : c->write_error;
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    kit_image_do(kit, "cp before image");
    patch(kit, c);
    node = kit_image_try_open(kit, &error, "{'driver':'qcow2','node-name':'n',"
                              "'read-only':%s,'discard':'unmap','file':{'driver':'file',"
                              "'filename':'%s/image','cache':{'no-flush':true}}}",
                              read_only ? "true" : "false", kit->folder);
    if (!node && (!words || !strstr(error->message, words)))
        g_error("%#x = %#" PRIx64 ": %s", c->at, c->value, error->message);
    if (node && words)
        g_error("%#x = %#" PRIx64 ": it opens", c->at, c->value);
    if (node)
        use(node);
    kit_image_close(kit);
}

/* The tables where they were are still tables: a guest's data is in none of them. */
static void assert_tables(const KitImage *kit, const Case *c)
{
    static const unsigned tables[] = { 0, REFTABLE, REFBLOCK, L1, L2 };
    g_autofree char *path = kit_image_path(kit, "image");
    uint8_t data[1024];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        memset(data, 0, sizeof(data));
        g_assert_cmpint(pread(fd, data, sizeof(data), tables[i]), >=, 0);
        g_assert_false(data[512] == WRITTEN &&
                       memcmp(data + 512, data + 513, 511) == 0);
        if (tables[i] == 0 && c->at > 0)
            g_assert_cmpmem(data, 4, "QFI\xfb", 4);
    }
    close(fd);
}

static void make_image(const KitImage *kit)
{
    kit_image_do(kit, "qemu-img create -f qcow2 before 4M");
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write -P 1 0 64k' -c 'write -P 2 64k 64k' "
                 "before");
}

static void test_numbers_that_cannot_be(KitImage *kit, const void *data)
{
    const struct Group *group = data;

    if (!kit_image_has_tools())
        return;
    make_image(kit);
    for (size_t i = 0; i < group->n; i++) {
        try_case(kit, &group->cases[i], true);
        try_case(kit, &group->cases[i], false);
        assert_tables(kit, &group->cases[i]);
    }
}

static uint64_t read_word(const KitImage *kit, uint64_t at)
{
    g_autofree char *path = kit_image_path(kit, "before");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t word;

    g_assert_cmpint(pread(fd, &word, sizeof(word), (off_t)at), ==, sizeof(word));
    close(fd);
    return GUINT64_FROM_BE(word);
}

/* Tries numbers in the table at @base. */
static void try_cases_at(KitImage *kit, uint64_t base, const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        Case c = cases[i];

        c.at += (unsigned)base;
        try_case(kit, &c, true);
        try_case(kit, &c, false);
        assert_tables(kit, &c);
    }
}

static void test_list_of_snapshots(KitImage *kit, const void *unused)
{
    /* In the first of two entries. */
    static const Case cases[] = {
        { 0, 8, 512, "L1 table", "L1 table" },
        { 0, 8, UINT64_MAX, "L1 table", "L1 table" },
        { 0, 8, 0, "share a cluster", NULL },
        { 0, 8, L1, "share a cluster", NULL },
        { 0, 8, 1ull << 54, BOTH },
        { 8, 4, UINT32_MAX, "L1 table", "L1 table" },
        { 8, 4, 4 * 1024 * 1024, "share a cluster", NULL },
        { 12, 2, UINT16_MAX, BOTH },
        { 14, 2, UINT16_MAX, BOTH },
        { 32, 4, UINT32_MAX, BOTH },
        { 36, 4, 1025, "too large", "too large" },
        { 36, 4, UINT32_MAX, "too large", "too large" },
    };

    if (!kit_image_has_tools())
        return;
    make_image(kit);
    kit_image_do(kit, "qemu-img snapshot -c one before");
    kit_image_do(kit, "qemu-img snapshot -c two before");
    try_cases_at(kit, read_word(kit, 64), cases, G_N_ELEMENTS(cases));
}

/* Where the data of an extension is. */
static uint64_t find_extension(const KitImage *kit, uint32_t type)
{
    uint64_t at = 112;
    uint64_t word = read_word(kit, at);

    while (word >> 32 != type) {
        g_assert_cmpuint(word >> 32, !=, 0);
        at += 8 + ALIGN_UP(word & UINT32_MAX, 8ull);
        word = read_word(kit, at);
    }
    return at + 8;
}

static void test_list_of_bitmaps(KitImage *kit, const void *unused)
{
    static const Case in_extension[] = {
        { 0, 4, 0, "bitmaps", "bitmaps" },
        { 0, 4, UINT32_MAX, "bitmaps", "bitmaps" },
        { 0, 4, 60000, "bitmaps", "bitmaps" },
        { 8, 8, 0, "bitmaps", "bitmaps" },
        { 8, 8, 25, "bitmaps", "bitmaps" },
        { 8, 8, UINT64_MAX, "bitmaps", "bitmaps" },
        { 8, 8, 64 * MIB, "bitmaps", "bitmaps" },
        { 16, 8, 0, "bitmaps", "bitmaps" },
        { 16, 8, 512, "bitmaps", "bitmaps" },
        { 16, 8, UINT64_MAX & ~0xffffull, "bitmaps", "bitmaps" },
        { 16, 8, L1, "bitmaps", "bitmaps" },
    };
    static const Case in_entry[] = {
        { 0, 8, 0, "bitmaps", "bitmaps" },
        { 0, 8, 512, "bitmaps", "bitmaps" },
        { 0, 8, UINT64_MAX, "bitmaps", "bitmaps" },
        { 8, 4, UINT32_MAX, "bitmaps", "bitmaps" },
        { 12, 4, UINT32_MAX, "bitmaps", "bitmaps" },
        { 16, 1, 0, "bitmaps", "bitmaps" },
        { 17, 1, 8, "bitmaps", "bitmaps" },
        { 17, 1, 255, "bitmaps", "bitmaps" },
        { 18, 2, UINT16_MAX, "bitmaps", "bitmaps" },
        { 18, 2, 0, "bitmaps", "bitmaps" },
        { 20, 4, UINT32_MAX, "bitmaps", "bitmaps" },
    };
    uint64_t extension;

    if (!kit_image_has_tools())
        return;
    make_image(kit);
    kit_image_do(kit, "qemu-img bitmap --add before one");
    kit_image_do(kit, "qemu-img bitmap --add before two");
    extension = find_extension(kit, 0x23852875);
    try_cases_at(kit, extension, in_extension, G_N_ELEMENTS(in_extension));
    try_cases_at(kit, read_word(kit, extension + 16), in_entry, G_N_ELEMENTS(in_entry));
}

/*
 * As many snapshots as there can be, each with as large a table as there can be, in a
 * small file: nothing is done for each of their clusters.
 */
static void test_snapshots_that_are_enormous(KitImage *kit, const void *unused)
{
    const unsigned n = 65536, entry_size = 40, at = 0x80000;
    const Case number = { 60, 4, n, BOTH }, place = { 64, 8, at, BOTH };
    g_autofree char *path = kit_image_path(kit, "image");
    g_autofree uint8_t *list = g_malloc0(n * entry_size);
    g_autoptr(GError) error = NULL;
    int fd;

    if (!kit_image_has_tools())
        return;
    make_image(kit);
    kit_image_do(kit, "cp before image");
    for (unsigned i = 0; i < n; i++) {
        uint64_t offset = GUINT64_TO_BE((1ull << 40) + i * 32 * MIB);
        uint32_t n_l1 = GUINT32_TO_BE(4 * 1024 * 1024);

        memcpy(list + i * entry_size, &offset, 8);
        memcpy(list + i * entry_size + 8, &n_l1, 4);
    }
    patch(kit, &number);
    patch(kit, &place);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, list, n * entry_size, at), ==, n * entry_size);
    close(fd);
    g_assert_null(kit_image_try_open(kit, &error, "{'driver':'qcow2','node-name':'n',"
                                     "'file':{'driver':'file','filename':'%s/image'}}",
                                     kit->folder));
    g_assert_nonnull(strstr(error->message, "65536 snapshots"));
}

/* A snapshot whose tables say that others' clusters are its own is deleted. */
static void test_snapshot_that_refers_to_tables(KitImage *kit, const void *unused)
{
    static const uint64_t entries[] = {
        512, L1, REFTABLE, REFBLOCK, DATA, 1ull << 54, UINT64_MAX, COMPRESSED, L2,
    };
    uint64_t table;

    if (!kit_image_has_tools())
        return;
    make_image(kit);
    kit_image_do(kit, "qemu-img snapshot -c s before");
    table = read_word(kit, read_word(kit, 64));
    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
        const Case c = { (unsigned)table, 8, entries[i], BOTH };
        BlockNode *node;

        kit_image_do(kit, "cp before image");
        patch(kit, &c);
        node = kit_image_open(kit, "{'driver':'qcow2','node-name':'n','file':{'driver':"
                              "'file','filename':'%s/image'}}", kit->folder);
        qapi_free_SnapshotInfo(node->driver->snapshot_delete(node, NULL, "s", NULL));
        use(node);
        kit_image_close(kit);
        assert_tables(kit, &c);
    }
}

/* A file that ends anywhere: what is not there reads as zero, or the open fails. */
static void test_file_cut_anywhere(KitImage *kit, const void *unused)
{
    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 before 4M");
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write -P 1 0 64k' before");
    for (unsigned size = 0; size < 0x60000; size += size < 0x400 ? 37 : 0x7ab1) {
        BlockNode *node;

        kit_image_do(kit, "cp before image");
        kit_image_do(kit, "truncate -s %u image", size);
        node = kit_image_try_open(kit, NULL, "{'driver':'qcow2','node-name':'n',"
                                  "'file':{'driver':'file','filename':'%s/image',"
                                  "'cache':{'no-flush':true}}}", kit->folder);
        if (node)
            use(node);
        kit_image_close(kit);
    }
}

/* Data that does not decompress is an error of the request, not of the image. */
static void test_compressed_data_that_is_none(KitImage *kit, const void *type)
{
    g_autofree uint8_t *zeroes = g_malloc0(SIZE);
    g_autofree char *path = kit_image_path(kit, "image");
    uint8_t data[512];
    BlockNode *node;
    int fd;

    if (!kit_image_has_tools())
        return;
    memset(zeroes, 7, SIZE);
    kit_image_write_file(kit, "base", zeroes, SIZE);
    kit_image_do(kit, "qemu-img convert -c -f raw -O qcow2 -o compression_type=%s base "
                 "image", (const char *)type);
    memset(data, 0xff, sizeof(data));
    fd = open(path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, data, sizeof(data), DATA), ==, sizeof(data));
    close(fd);

    node = kit_image_open(kit, "{'driver':'qcow2','node-name':'n','file':{'driver':"
                          "'file','filename':'%s/image'}}", kit->folder);
    g_assert_cmpint(block_io_read(node, 0, data, sizeof(data)), ==, -EIO);
    g_assert_cmpint(block_io_write(node, 0, data, sizeof(data), 0), ==, -EIO);
    g_assert_cmpint(block_io_read(node, SIZE - 512, data, sizeof(data)), ==, 0);
    g_assert_cmpuint(data[0], ==, 7);
    g_assert_cmpint(block_io_write(node, SIZE - 512, data, sizeof(data), 0), ==, 0);
    kit_image_close(kit);
    kit_image_assert_clean(kit, "image");
}

/* All zero, far more than a cluster; the bytes that it takes. */
static size_t make_bomb(uint8_t *data, size_t size, bool is_zstd)
{
    g_autofree uint8_t *zeroes = g_malloc0(BOMB);
    z_stream stream = {
        .next_in = zeroes, .avail_in = BOMB, .next_out = data, .avail_out = (uInt)size,
    };
    size_t n;

    if (is_zstd) {
        n = ZSTD_compress(data, size, zeroes, BOMB, 3);
        g_assert_false(ZSTD_isError(n));
        return n;
    }
    g_assert_cmpint(deflateInit2(&stream, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), ==,
                    Z_OK);
    g_assert_cmpint(deflate(&stream, Z_FINISH), ==, Z_STREAM_END);
    n = stream.total_out;
    deflateEnd(&stream);
    return n;
}

/* A few bytes that become a lot: a cluster is all that is made of them. */
static void test_compressed_bomb(KitImage *kit, const void *type)
{
    g_autofree uint8_t *bomb = g_malloc(64 * KIB);
    g_autofree uint8_t *data = g_malloc(SIZE);
    g_autofree char *path = kit_image_path(kit, "image");
    bool is_zstd = strcmp(type, "zstd") == 0;
    size_t size = make_bomb(bomb, 64 * KIB, is_zstd);
    const Case entry = { L2, 8, COMPRESSED | 0x3fc0000000000000ull | DATA, BOTH };
    BlockNode *node;
    int fd;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 -o compression_type=%s image 4M",
                 (const char *)type);
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write -P 1 0 192k' image");
    patch(kit, &entry);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, bomb, size, DATA), ==, size);
    close(fd);
    node = kit_image_open(kit, "{'driver':'qcow2','node-name':'n','read-only':true,"
                          "'file':{'driver':'file','filename':'%s/image'}}", kit->folder);
    memset(data, 9, SIZE);
    g_assert_cmpint(block_io_read(node, 0, data, SIZE), ==, 0);
    for (unsigned i = 0; i < 64 * KIB; i++)
        g_assert_cmpuint(data[i], ==, 0);
    g_assert_cmpuint(data[64 * KIB], ==, 1);
    g_assert_cmpuint(data[192 * KIB], ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(path, data, fn) \
    g_test_add("/qcow2-hostile/" path, KitImage, data, set_up, fn, tear_down)
    for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
        g_autofree char *path = g_strconcat("/qcow2-hostile/", groups[i].name, NULL);

        g_test_add(path, KitImage, &groups[i], set_up, test_numbers_that_cannot_be,
                   tear_down);
    }
    ADD("file-cut-anywhere", NULL, test_file_cut_anywhere);
    ADD("compressed-data-that-is-none/zlib", "zlib", test_compressed_data_that_is_none);
    ADD("compressed-data-that-is-none/zstd", "zstd", test_compressed_data_that_is_none);
    ADD("compressed-bomb/zlib", "zlib", test_compressed_bomb);
    ADD("compressed-bomb/zstd", "zstd", test_compressed_bomb);
    ADD("tables/list-of-snapshots", NULL, test_list_of_snapshots);
    ADD("tables/list-of-bitmaps", NULL, test_list_of_bitmaps);
    ADD("snapshots-that-are-enormous", NULL, test_snapshots_that_are_enormous);
    ADD("snapshot-that-refers-to-tables", NULL, test_snapshot_that_refers_to_tables);
    return g_test_run();
}
