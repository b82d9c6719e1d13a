/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of snapshots, as it is on disk.
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"

#include "qcow2-clusters.h"
#include "qcow2-image.h"

/* What the extra data of an entry holds. */
enum {
    EXTRA_VM_STATE_SIZE = 0,
    EXTRA_DISK_SIZE = 8,
    EXTRA_ICOUNT = 16,
};

void qcow2_snapshot_table_free_entry(gpointer data)
{
    Qcow2Snapshot *snapshot = data;

    g_free(snapshot->id);
    g_free(snapshot->name);
    g_free(snapshot->extra);
    g_free(snapshot);
}

static uint64_t extra_word(const uint8_t *extra, uint32_t size, uint32_t at,
                           uint64_t otherwise)
{
    uint64_t word;

    if (size < at + sizeof(word))
        return otherwise;
    memcpy(&word, extra + at, sizeof(word));
    return GUINT64_FROM_BE(word);
}

static bool check(const Qcow2 *q, const Qcow2Snapshot *snapshot, GError **error)
{
    uint64_t size = snapshot->n_l1 * sizeof(uint64_t);

    if (qcow2_in_cluster(q, snapshot->l1_offset) || size > QCOW2_MAX_L1_SIZE ||
        snapshot->l1_offset > QCOW2_OFFSET_MASK - size) {
        error_set(error, "snapshot '%s' cannot have an L1 table of %u entries at %#"
                  PRIx64, snapshot->name, snapshot->n_l1, snapshot->l1_offset);
        return false;
    }
    return true;
}

/* The bytes of the entry at the beginning of @data; 0 with @error. */
static size_t parse(Qcow2 *q, const uint8_t *data, size_t size, GError **error)
{
    Qcow2SnapshotHeader header;
    Qcow2Snapshot *snapshot;
    size_t id_size, name_size, extra_size, end;

    if (size < sizeof(header)) {
        error_set(error, "the list of snapshots ends within an entry");
        return 0;
    }
    memcpy(&header, data, sizeof(header));
    id_size = GUINT16_FROM_BE(header.id_size);
    name_size = GUINT16_FROM_BE(header.name_size);
    extra_size = GUINT32_FROM_BE(header.extra_size);
    if (extra_size > QCOW2_MAX_SNAPSHOT_EXTRA_SIZE ||
        sizeof(header) + extra_size + id_size + name_size > size) {
        error_set(error, "the list of snapshots has an entry that is too large");
        return 0;
    }
    data += sizeof(header);
    snapshot = g_new0(Qcow2Snapshot, 1);
    g_ptr_array_add(q->snapshots, snapshot);
    snapshot->l1_offset = GUINT64_FROM_BE(header.l1_table_offset);
    snapshot->n_l1 = GUINT32_FROM_BE(header.l1_size);
    snapshot->date_sec = GUINT32_FROM_BE(header.date_sec);
    snapshot->date_nsec = GUINT32_FROM_BE(header.date_nsec);
    snapshot->vm_clock_ns = GUINT64_FROM_BE(header.vm_clock_nsec);
    snapshot->vm_state_size = extra_word(data, (uint32_t)extra_size, EXTRA_VM_STATE_SIZE,
                                         GUINT32_FROM_BE(header.vm_state_size));
    snapshot->disk_size = extra_word(data, (uint32_t)extra_size, EXTRA_DISK_SIZE,
                                     block_node_size(&q->node));
    snapshot->icount = extra_word(data, (uint32_t)extra_size, EXTRA_ICOUNT, UINT64_MAX);
    snapshot->has_icount = snapshot->icount != UINT64_MAX;
    snapshot->extra_size = (uint32_t)extra_size;
    snapshot->extra = g_memdup2(data, extra_size);
    snapshot->id = g_strndup((const char *)data + extra_size, id_size);
    snapshot->name = g_strndup((const char *)data + extra_size + id_size, name_size);
    end = ALIGN_UP(sizeof(header) + extra_size + id_size + name_size, (size_t)8);
    return check(q, snapshot, error) ? end : 0;
}

/* Reads on: the length of the list is known at its end only. */
static bool read_more(Qcow2 *q, GByteArray *data, GError **error)
{
    guint before = data->len;
    guint now = MAX(2 * before, (guint)(64 * KIB));
    int ret;

    g_byte_array_set_size(data, now);
    ret = qcow2_disk_read(q, q->snapshots_offset + before, data->data + before,
                          now - before);
    if (ret < 0)
        error_set_errno(error, -ret, "cannot read the list of snapshots");
    return ret == 0;
}

/* The most bytes that an entry can have. */
#define ENTRY_MAX (sizeof(Qcow2SnapshotHeader) + QCOW2_MAX_SNAPSHOT_EXTRA_SIZE + \
                   2 * UINT16_MAX + 8)

static bool check_sizes(const Qcow2 *q, GError **error)
{
    uint64_t size = 0;

    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *snapshot = q->snapshots->pdata[i];

        size += snapshot->n_l1 * sizeof(uint64_t);
    }
    if (size <= QCOW2_MAX_SNAPSHOT_L1_SIZE)
        return true;
    error_set(error, "the L1 tables of %u snapshots have %" PRIu64 " bytes, more than %"
              PRIu64, q->snapshots->len, size, (uint64_t)QCOW2_MAX_SNAPSHOT_L1_SIZE);
    return false;
}

bool qcow2_snapshot_table_read(Qcow2 *q, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    uint32_t n = GUINT32_FROM_BE(((const Qcow2Header *)q->header)->nb_snapshots);
    size_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        size_t size;

        while (at + ENTRY_MAX > data->len &&
               data->len < QCOW2_MAX_SNAPSHOT_TABLE_SIZE) {
            if (!read_more(q, data, error))
                return false;
        }
        size = parse(q, data->data + at, data->len - MIN(at, data->len), error);
        if (size == 0)
            return false;
        at += size;
    }
    q->snapshots_size = at;
    return check_sizes(q, error);
}

static void put(GByteArray *data, const void *bytes, size_t size)
{
    g_byte_array_append(data, bytes, (guint)size);
}

GByteArray *qcow2_snapshot_table_compose(const GPtrArray *snapshots)
{
    static const uint8_t zeroes[8];
    GByteArray *data = g_byte_array_new();

    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *snapshot = snapshots->pdata[i];
        uint64_t vm_state_size = snapshot->vm_state_size;
        const Qcow2SnapshotHeader header = {
            .l1_table_offset = GUINT64_TO_BE(snapshot->l1_offset),
            .l1_size = GUINT32_TO_BE(snapshot->n_l1),
            .id_size = GUINT16_TO_BE((uint16_t)strlen(snapshot->id)),
            .name_size = GUINT16_TO_BE((uint16_t)strlen(snapshot->name)),
            .date_sec = GUINT32_TO_BE(snapshot->date_sec),
            .date_nsec = GUINT32_TO_BE(snapshot->date_nsec),
            .vm_clock_nsec = GUINT64_TO_BE(snapshot->vm_clock_ns),
            /* The extra data has it as well, in full. */
            .vm_state_size = vm_state_size <= UINT32_MAX
                ? GUINT32_TO_BE((uint32_t)vm_state_size) : 0,
            .extra_size = GUINT32_TO_BE(snapshot->extra_size),
        };

        put(data, &header, sizeof(header));
        put(data, snapshot->extra, snapshot->extra_size);
        put(data, snapshot->id, strlen(snapshot->id));
        put(data, snapshot->name, strlen(snapshot->name));
        put(data, zeroes, ALIGN_UP(data->len, 8u) - data->len);
    }
    return data;
}
