/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of an image, which is hostile until it is checked, and changes of it.
 *
 * All fields lie in the first 112 bytes, which a disk writes as a whole or not at all:
 * each change writes the first block and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"

#include "qcow2-clusters.h"
#include "qcow2-image.h"

#define SECTOR 512u

/* Names features that we do not know, as far as the image's table does. */
static char *name_features(const uint8_t *names, size_t size, uint64_t bits)
{
    GString *text = g_string_new(NULL);

    for (unsigned bit = 0; bit < 64; bit++) {
        bool is_named = false;

        if (!(bits >> bit & 1))
            continue;
        g_string_append(text, text->len > 0 ? ", " : "");
        for (size_t at = 0; !is_named && at + sizeof(Qcow2FeatureName) <= size;
             at += sizeof(Qcow2FeatureName)) {
            const Qcow2FeatureName *name = (const void *)(names + at);

            is_named = name->kind == 0 && name->bit == bit;
            if (is_named)
                g_string_append_len(text, name->name,
                                    strnlen(name->name, sizeof(name->name)));
        }
        if (!is_named)
            g_string_append_printf(text, "bit %u", bit);
    }
    return g_string_free(text, FALSE);
}

static bool refuse_features(const uint8_t *names, size_t size, uint64_t bits,
                            GError **error)
{
    g_autofree char *raw = name_features(names, size, bits);
    g_autofree char *text = g_utf8_make_valid(raw, -1);

    error_set(error, "the image needs features that are not known: %s", text);
    return false;
}

bool qcow2_header_next_extension(const uint8_t *cluster, size_t end, size_t *at,
                                 Qcow2Extension *ret_extension, GError **error)
{
    uint32_t words[2];

    if (*at + sizeof(words) > end)
        return false;
    memcpy(words, cluster + *at, sizeof(words));
    *ret_extension = (Qcow2Extension) {
        .type = GUINT32_FROM_BE(words[0]),
        .size = GUINT32_FROM_BE(words[1]),
        .data = cluster + *at + sizeof(words),
    };
    if (ret_extension->type == QCOW2_EXT_END)
        return false;
    *at += sizeof(words);
    if (ret_extension->size > end - *at) {
        error_set(error, "a header extension of %u bytes is larger than its place",
                  ret_extension->size);
        return false;
    }
    *at += MIN(ALIGN_UP((size_t)ret_extension->size, (size_t)8), end - *at);
    return true;
}

static bool take_name(const Qcow2Extension *extension, size_t max, char **name,
                      GError **error)
{
    if (extension->size == 0 || extension->size > max ||
        memchr(extension->data, 0, extension->size)) {
        error_set(error, "a name in the header has %u bytes, or a zero among them",
                  extension->size);
        return false;
    }
    g_free(*name);
    *name = g_strndup((const char *)extension->data, extension->size);
    return true;
}

static bool take_bitmaps(Qcow2 *q, const Qcow2Extension *extension, GError **error)
{
    Qcow2BitmapsExt bitmaps;

    if (extension->size != sizeof(bitmaps)) {
        error_set(error, "the extension of bitmaps has %u bytes", extension->size);
        return false;
    }
    memcpy(&bitmaps, extension->data, sizeof(bitmaps));
    q->bitmaps.nb_bitmaps = GUINT32_FROM_BE(bitmaps.nb_bitmaps);
    q->bitmaps.directory_size = GUINT64_FROM_BE(bitmaps.directory_size);
    q->bitmaps.directory_offset = GUINT64_FROM_BE(bitmaps.directory_offset);
    if (!(q->autoclear & QCOW2_BITMAPS))
        return true;
    if (q->bitmaps.nb_bitmaps == 0 || q->bitmaps.nb_bitmaps > QCOW2_MAX_BITMAPS ||
        bitmaps.reserved || qcow2_in_cluster(q, q->bitmaps.directory_offset) ||
        q->bitmaps.directory_offset == 0 ||
        q->bitmaps.directory_size > QCOW2_MAX_BITMAP_DIRECTORY_SIZE ||
        q->bitmaps.directory_size < sizeof(Qcow2BitmapHeader) ||
        q->bitmaps.directory_offset > QCOW2_OFFSET_MASK - q->bitmaps.directory_size) {
        error_set(error, "the extension of bitmaps cannot be: %u bitmaps in %" PRIu64
                  " bytes at %#" PRIx64, q->bitmaps.nb_bitmaps, q->bitmaps.directory_size,
                  q->bitmaps.directory_offset);
        return false;
    }
    return true;
}

static bool take_extension(Qcow2 *q, const Qcow2Extension *extension, GError **error)
{
    switch (extension->type) {
    case QCOW2_EXT_BACKING_FORMAT:
        return take_name(extension, 15, &q->backing_format, error);
    case QCOW2_EXT_DATA_FILE:
        return take_name(extension, QCOW2_MAX_BACKING_NAME, &q->data_file_name, error);
    case QCOW2_EXT_BITMAPS:
        return take_bitmaps(q, extension, error);
    case QCOW2_EXT_ENCRYPTION:
        error_set(error, "encrypted images are not supported");
        return false;
    default:
        return true;
    }
}

/* The extensions lie between the header and the backing file's name, or the cluster's
 * end. */
static bool read_extensions(Qcow2 *q, const uint8_t *cluster, size_t begin, size_t end,
                            GError **error)
{
    uint64_t unknown = q->incompatible & ~QCOW2_INCOMPATIBLE_KNOWN;
    g_autoptr(GError) broken = NULL;
    Qcow2Extension extension;
    size_t at = begin;

    while (qcow2_header_next_extension(cluster, end, &at, &extension, &broken)) {
        if (unknown && extension.type == QCOW2_EXT_FEATURE_NAMES)
            return refuse_features(extension.data, extension.size, unknown, error);
        if (!unknown && !take_extension(q, &extension, error))
            return false;
    }
    if (unknown)
        return refuse_features(NULL, 0, unknown, error);
    if (!broken)
        return true;
    g_propagate_error(error, g_steal_pointer(&broken));
    return false;
}

static bool read_backing_name(Qcow2 *q, const uint8_t *cluster, const Qcow2Header *header,
                              GError **error)
{
    uint64_t offset = GUINT64_FROM_BE(header->backing_file_offset);
    Qcow2Extension name = {
        .size = GUINT32_FROM_BE(header->backing_file_size),
    };

    if (offset == 0)
        return true;
    if (offset > qcow2_cluster_size(q) || name.size > qcow2_cluster_size(q) - offset) {
        error_set(error, "the backing file's name, %u bytes at %#" PRIx64
                  ", is not in the first cluster", name.size, offset);
        return false;
    }
    name.data = cluster + offset;
    return name.size == 0 || take_name(&name, QCOW2_MAX_BACKING_NAME, &q->backing_name,
                                       error);
}

/* Whether a table of @n entries of @entry_size bytes can be at @offset. */
static bool check_table(const Qcow2 *q, const char *name, uint64_t offset, uint64_t size,
                        uint64_t max_size, GError **error)
{
    if (size > max_size) {
        error_set(error, "the %s has %" PRIu64 " bytes, more than %" PRIu64, name, size,
                  max_size);
        return false;
    }
    if (qcow2_in_cluster(q, offset) || offset > QCOW2_OFFSET_MASK - size ||
        (size > 0 && offset == 0)) {
        error_set(error, "the %s cannot be at %#" PRIx64, name, offset);
        return false;
    }
    return true;
}

static bool read_layout(Qcow2 *q, const Qcow2Header *header, GError **error)
{
    Qcow2Layout *layout = &q->layout;
    uint32_t cluster_bits = GUINT32_FROM_BE(header->cluster_bits);
    uint32_t order = layout->version >= 3 ? GUINT32_FROM_BE(header->refcount_order) : 4;
    bool is_extended = q->incompatible & QCOW2_EXTENDED_L2;

    if (cluster_bits < QCOW2_MIN_CLUSTER_BITS || cluster_bits > QCOW2_MAX_CLUSTER_BITS ||
        (is_extended && cluster_bits < QCOW2_MIN_EXTENDED_CLUSTER_BITS)) {
        error_set(error, "clusters of 2^%u bytes are not supported%s", cluster_bits,
                  is_extended ? " with extended L2 entries" : "");
        return false;
    }
    if (order > QCOW2_MAX_REFCOUNT_ORDER) {
        error_set(error, "refcounts of 2^%u bits are not supported", order);
        return false;
    }
    layout->cluster_bits = cluster_bits;
    layout->entry_words = is_extended ? 2 : 1;
    layout->table_bits = cluster_bits - (is_extended ? 4 : 3);
    layout->unit_bits = cluster_bits - (is_extended ? 5 : 0);
    layout->refcount_order = order;
    layout->refblock_bits = cluster_bits + 3 - order;
    layout->is_external = q->incompatible & QCOW2_DATA_FILE;
    layout->is_raw = layout->is_external && q->autoclear & QCOW2_DATA_FILE_RAW;
    return true;
}

static bool read_compression(Qcow2 *q, const Qcow2Header *header, uint32_t length,
                             GError **error)
{
    bool has_field = length > offsetof(Qcow2Header, compression_type);
    uint8_t type = has_field ? header->compression_type : 0;

    if (type > QCOW2_ZSTD || (type != 0) != !!(q->incompatible & QCOW2_COMPRESSION)) {
        error_set(error, "compression type %u is not known, or the header contradicts "
                  "itself", type);
        return false;
    }
    q->layout.compression = type;
    return true;
}

/* Sizes and places of the tables that the header points to. */
static bool read_tables(Qcow2 *q, const Qcow2Header *header, GError **error)
{
    const Qcow2Layout *layout = &q->layout;
    uint64_t size = GUINT64_FROM_BE(header->size);
    unsigned l1_bits = layout->cluster_bits + layout->table_bits;
    uint64_t n_clusters = GUINT32_FROM_BE(header->refcount_table_clusters);
    uint64_t reftable_size = n_clusters << layout->cluster_bits;
    uint32_t n_snapshots = GUINT32_FROM_BE(header->nb_snapshots);

    q->n_l1 = GUINT32_FROM_BE(header->l1_size);
    q->l1_offset = GUINT64_FROM_BE(header->l1_table_offset);
    q->reftable_offset = GUINT64_FROM_BE(header->refcount_table_offset);
    q->n_reftable = reftable_size / sizeof(uint64_t);
    q->snapshots_offset = GUINT64_FROM_BE(header->snapshots_offset);
    if (!check_table(q, "L1 table", q->l1_offset, q->n_l1 * sizeof(uint64_t),
                     QCOW2_MAX_L1_SIZE, error) ||
        !check_table(q, "refcount table", q->reftable_offset, reftable_size,
                     QCOW2_MAX_REFTABLE_SIZE, error) ||
        !check_table(q, "snapshot table", q->snapshots_offset, n_snapshots,
                     QCOW2_MAX_SNAPSHOTS, error))
        return false;
    if (reftable_size == 0) {
        error_set(error, "the image has no refcount table");
        return false;
    }
    if (size > INT64_MAX || (size > 0 && (size - 1) >> l1_bits >= q->n_l1)) {
        error_set(error, "the L1 table of %u entries is too small for %" PRIu64 " bytes",
                  q->n_l1, size);
        return false;
    }
    block_node_set_size(&q->node, ALIGN_DOWN(size, SECTOR));
    return true;
}

static bool read_fields(Qcow2 *q, const Qcow2Header *header, uint32_t *ret_length,
                        GError **error)
{
    uint32_t version = GUINT32_FROM_BE(header->version);
    uint32_t length = version >= 3 ? GUINT32_FROM_BE(header->header_length)
                                   : QCOW2_V2_HEADER_SIZE;

    if (header->magic != GUINT32_TO_BE(QCOW2_MAGIC)) {
        error_set(error, "it is not a qcow2 image");
        return false;
    }
    if (version != 2 && version != 3) {
        error_set(error, "version %u of the format is not supported", version);
        return false;
    }
    q->layout.version = version;
    if (version >= 3) {
        q->incompatible = GUINT64_FROM_BE(header->incompatible_features);
        q->compatible = GUINT64_FROM_BE(header->compatible_features);
        q->autoclear = GUINT64_FROM_BE(header->autoclear_features);
    }
    if (!read_layout(q, header, error))
        return false;
    if (header->crypt_method) {
        error_set(error, "encrypted images are not supported");
        return false;
    }
    if (version >= 3 && (length < QCOW2_V3_HEADER_SIZE || length % 8 ||
                         length > qcow2_cluster_size(q))) {
        error_set(error, "the header has %u bytes", length);
        return false;
    }
    *ret_length = length;
    return read_compression(q, header, length, error);
}

static bool read_cluster(Qcow2 *q, uint8_t *cluster, const Qcow2Header *header,
                         uint32_t length, GError **error)
{
    uint64_t end = GUINT64_FROM_BE(header->backing_file_offset);
    int ret = qcow2_disk_read(q, 0, cluster, qcow2_cluster_size(q));

    if (ret < 0) {
        error_set_errno(error, -ret, "cannot read the header");
        return false;
    }
    if (end == 0 || end > qcow2_cluster_size(q) || end < length)
        end = qcow2_cluster_size(q);
    return read_extensions(q, cluster, length, end, error) &&
        read_backing_name(q, cluster, header, error) && read_tables(q, header, error);
}

bool qcow2_header_read(Qcow2 *q, GError **error)
{
    Qcow2Header header;
    uint8_t *cluster;
    uint32_t length;
    int ret = qcow2_disk_read(q, 0, &header, sizeof(header));
    bool ok;

    if (ret < 0) {
        error_set_errno(error, -ret, "cannot read the header");
        return false;
    }
    if (!read_fields(q, &header, &length, error))
        return false;
    cluster = qcow2_disk_buffer(q, qcow2_cluster_size(q));
    if (!cluster) {
        error_set(error, "no memory for the header");
        return false;
    }
    ok = read_cluster(q, cluster, &header, length, error);
    q->header_size = MIN(MAX(SECTOR, q->file->limits.request_alignment),
                         qcow2_cluster_size(q));
    q->header = qcow2_disk_buffer(q, q->header_size);
    if (q->header)
        memcpy(q->header, cluster, q->header_size);
    else if (ok)
        error_set(error, "no memory for the header");
    free(cluster);
    return ok && q->header;
}

/* Writes the header as @header has it; what is in memory changes if that went well. */
static int write_header(Qcow2 *q, const Qcow2Header *header)
{
    uint8_t before[sizeof(Qcow2Header)];
    size_t size = q->layout.version >= 3 ? sizeof(before) : QCOW2_V2_HEADER_SIZE;
    int ret;

    memcpy(before, q->header, size);
    memcpy(q->header, header, size);
    ret = qcow2_disk_write(q, 0, q->header, q->header_size);
    if (ret < 0)
        memcpy(q->header, before, size);
    return ret;
}

static Qcow2Header get_header(const Qcow2 *q)
{
    Qcow2Header header;

    memcpy(&header, q->header, sizeof(header));
    return header;
}

static int set_features(Qcow2 *q, uint64_t incompatible, uint64_t autoclear)
{
    Qcow2Header header = get_header(q);
    int ret;

    header.incompatible_features = GUINT64_TO_BE(incompatible);
    header.autoclear_features = GUINT64_TO_BE(autoclear);
    ret = write_header(q, &header);
    if (ret < 0)
        return ret;
    q->incompatible = incompatible;
    q->autoclear = autoclear;
    __atomic_store_n(&q->is_dirty_for_query, incompatible & QCOW2_DIRTY,
                     __ATOMIC_RELAXED);
    return 0;
}

int qcow2_header_set_dirty(Qcow2 *q, bool is_dirty)
{
    uint64_t bits = is_dirty ? q->incompatible | QCOW2_DIRTY
                             : q->incompatible & ~QCOW2_DIRTY;
    int ret = bits != q->incompatible ? set_features(q, bits, q->autoclear) : 0;

    if (ret == 0 && is_dirty && !q->dirty_is_stable) {
        ret = qcow2_disk_flush(q);
        q->dirty_is_stable = ret == 0;
    }
    if (!is_dirty)
        q->dirty_is_stable = false;
    return ret;
}

int qcow2_header_set_corrupt(Qcow2 *q)
{
    if (q->layout.version < 3)
        return 0;
    return set_features(q, q->incompatible | QCOW2_CORRUPT, q->autoclear);
}

int qcow2_header_set_autoclear(Qcow2 *q, uint64_t autoclear)
{
    return set_features(q, q->incompatible, autoclear);
}

int qcow2_header_set_reftable(Qcow2 *q, uint64_t offset, uint64_t n)
{
    Qcow2Header header = get_header(q);
    uint64_t n_clusters = (n * sizeof(uint64_t)) >> q->layout.cluster_bits;

    header.refcount_table_offset = GUINT64_TO_BE(offset);
    header.refcount_table_clusters = GUINT32_TO_BE((uint32_t)n_clusters);
    return write_header(q, &header);
}

int qcow2_header_set_l1(Qcow2 *q, uint64_t offset, uint64_t n, uint64_t size)
{
    Qcow2Header header = get_header(q);

    header.l1_table_offset = GUINT64_TO_BE(offset);
    header.l1_size = GUINT32_TO_BE((uint32_t)n);
    header.size = GUINT64_TO_BE(size);
    return write_header(q, &header);
}

int qcow2_header_set_snapshots(Qcow2 *q, uint64_t offset, unsigned n)
{
    Qcow2Header header = get_header(q);

    header.snapshots_offset = GUINT64_TO_BE(offset);
    header.nb_snapshots = GUINT32_TO_BE(n);
    return write_header(q, &header);
}
