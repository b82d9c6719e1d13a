/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tables in memory say of the guest's clusters.
 *
 * Loops look without the lock, while workers change entries under it.  An entry of 64
 * bits is read in one load.  One of 128 bits is read between two looks at the table's
 * sequence, which its writer makes odd meanwhile; a reader that meets a change says that
 * it does not know.
 */
#include "qcow2-clusters.h"
#include "qcow2-tables.h"

/* Bytes that an L1 entry, and a slice, tells of. */
static unsigned l1_shift(const Qcow2 *q)
{
    return q->layout.cluster_bits + q->layout.table_bits;
}

static unsigned slice_shift(const Qcow2 *q)
{
    return q->layout.cluster_bits + q->layout.slice_bits;
}

uint64_t qcow2_map_slice(const Qcow2 *q, uint64_t offset)
{
    return offset >> slice_shift(q);
}

unsigned qcow2_map_index(const Qcow2 *q, uint64_t offset)
{
    return offset >> q->layout.cluster_bits & ((1u << q->layout.slice_bits) - 1);
}

uint64_t qcow2_map_l1_entry(const Qcow2 *q, uint64_t offset)
{
    uint64_t index = offset >> l1_shift(q);

    return index < q->n_l1 ? __atomic_load_n(&q->l1[index], __ATOMIC_ACQUIRE) : 0;
}

static uint64_t load_word(const Qcow2Table *slice, unsigned i)
{
    return GUINT64_FROM_BE(__atomic_load_n(&slice->words[i], __ATOMIC_ACQUIRE));
}

/* False: it is being changed. */
static bool try_get(const Qcow2 *q, const Qcow2Table *slice, unsigned index,
                    Qcow2Entry *ret_entry)
{
    uint32_t sequence;

    if (q->layout.entry_words == 1) {
        *ret_entry = (Qcow2Entry) { .entry = load_word(slice, index) };
        return true;
    }
    sequence = __atomic_load_n(&slice->sequence, __ATOMIC_ACQUIRE);
    ret_entry->entry = load_word(slice, 2 * index);
    ret_entry->bitmap = load_word(slice, 2 * index + 1);
    return sequence % 2 == 0 &&
        __atomic_load_n(&slice->sequence, __ATOMIC_RELAXED) == sequence;
}

Qcow2Entry qcow2_map_get(const Qcow2 *q, const Qcow2Table *slice, unsigned index)
{
    Qcow2Entry entry;
    bool is_whole = try_get(q, slice, index, &entry);

    g_assert(is_whole);
    return entry;
}

/* Whether a standard entry's host offset can be; with a data file it is the guest's. */
static bool is_placed(const Qcow2 *q, uint64_t host, uint64_t offset)
{
    if (q->layout.is_external)
        return host == offset - qcow2_in_cluster(q, offset);
    return qcow2_in_cluster(q, host) == 0;
}

Qcow2Extent qcow2_map_unit(const Qcow2 *q, Qcow2Entry entry, uint64_t offset)
{
    const Qcow2Layout *layout = &q->layout;
    uint64_t host = entry.entry & QCOW2_OFFSET_MASK;
    bool is_extended = layout->entry_words == 2;
    uint64_t unit = 1ull << layout->unit_bits;
    unsigned bit = qcow2_in_cluster(q, offset) >> layout->unit_bits;
    bool has_host = host != 0 || (layout->is_external && entry.entry & QCOW2_COPIED);
    bool is_zero = is_extended ? entry.bitmap >> 32 >> bit & 1
                               : layout->version >= 3 && entry.entry & QCOW2_ZERO;
    bool is_data = is_extended ? entry.bitmap >> bit & 1 : has_host && !is_zero;
    Qcow2Extent extent = {
        .kind = QCOW2_KIND_BACKING,
        .in_place = entry.entry & QCOW2_COPIED,
        .descriptor = entry.entry,
        .bytes = unit - (offset & (unit - 1)),
    };

    if (entry.entry & QCOW2_COMPRESSED && !layout->is_external) {
        extent.kind = QCOW2_KIND_COMPRESSED;
        extent.bytes = qcow2_cluster_size(q) - qcow2_in_cluster(q, offset);
    } else if (entry.entry & QCOW2_COMPRESSED ||
               (layout->version < 3 && entry.entry & QCOW2_ZERO) ||
               (has_host && !is_placed(q, host, offset)) || (is_data && is_zero) ||
               (is_data && !has_host)) {
        extent.kind = QCOW2_KIND_BAD;
    } else if (is_data) {
        extent.kind = QCOW2_KIND_DATA;
        extent.host = host + qcow2_in_cluster(q, offset);
    } else if (is_zero) {
        extent.kind = QCOW2_KIND_ZERO;
    }
    return extent;
}

/* The unit at @offset; at worst that it is not known. */
static Qcow2Extent find_unit(const Qcow2 *q, const Qcow2Table *slice, uint64_t offset)
{
    Qcow2Entry entry;

    if (!slice && qcow2_map_l1_entry(q, offset) == 0)
        return (Qcow2Extent) {
            .kind = QCOW2_KIND_BACKING,
            .bytes = (1ull << slice_shift(q)) - (offset & ((1ull << slice_shift(q)) - 1)),
        };
    if (!slice || !slice->is_sound ||
        !try_get(q, slice, qcow2_map_index(q, offset), &entry))
        return (Qcow2Extent) { .kind = QCOW2_KIND_UNKNOWN };
    return qcow2_map_unit(q, entry, offset);
}

static bool continues(const Qcow2Extent *extent, const Qcow2Extent *next)
{
    if (extent->kind != next->kind)
        return false;
    switch (extent->kind) {
    case QCOW2_KIND_BACKING:
    case QCOW2_KIND_ZERO:
        return true;
    case QCOW2_KIND_DATA:
        return next->host == extent->host + extent->bytes &&
            next->in_place == extent->in_place;
    case QCOW2_KIND_UNKNOWN:
    case QCOW2_KIND_COMPRESSED:
    case QCOW2_KIND_BAD:
        break;
    }
    return false;
}

Qcow2Extent qcow2_map_find(const Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    uint64_t key = qcow2_map_slice(q, offset);
    const Qcow2Table *slice = qcow2_cache_find(&q->l2, key);
    Qcow2Extent extent = find_unit(q, slice, offset);

    while (extent.bytes < bytes) {
        uint64_t at = offset + extent.bytes;
        Qcow2Extent next;

        if (extent.kind == QCOW2_KIND_UNKNOWN)
            break;
        if (qcow2_map_slice(q, at) != key) {
            key = qcow2_map_slice(q, at);
            slice = qcow2_cache_find(&q->l2, key);
        }
        next = find_unit(q, slice, at);
        if (!continues(&extent, &next))
            break;
        extent.bytes += next.bytes;
    }
    extent.bytes = MIN(extent.bytes, bytes);
    return extent;
}
