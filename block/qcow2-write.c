/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing, by workers: into clusters that are there, or into new ones.
 *
 *     plan      under the lock: find or take clusters, claim the guest's part
 *     transfer  without it: the data, and around it what was there before
 *     finish    under the lock: the L2 entries refer to the clusters; the claim ends
 *
 * What is planned at once lies in one slice and is of one sort:
 *
 *     in place  the clusters are there and nobody else's
 *     reuse     the same, but the part that is written was zero or unallocated
 *     new       nothing is there, or zeroes
 *     copy      the clusters are a snapshot's as well, or compressed
 *
 * An L2 entry refers to units: clusters, or subclusters where entries are extended.  A
 * unit that is written in part is filled with what it had: from the old clusters, the
 * backing file, or with zeroes.  In a part of the file that was never used before zeroes
 * need not be written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2-clusters.h"
#include "qcow2-data.h"

#define MAX_RUN (16 * MIB)      /* bytes that are planned at once, or one cluster */
#define MAX_FILL (128 * KIB)    /* zeroes that are written with the data */
#define MAX_GAP (16 * KIB)      /* that is read for want of a second read */

typedef enum Sort {
    SORT_IN_PLACE,
    SORT_REUSE,
    SORT_NEW,
    SORT_COPY,
} Sort;

typedef struct Write {
    uint64_t offset;            /* the guest's */
    uint64_t bytes;
    Sort sort;
    uint64_t fill_start;        /* what is filled around it */
    uint64_t fill_end;
    uint64_t host;              /* of fill_start; in place: of offset */
    bool is_fresh;
    Qcow2Run run;               /* that was taken: n = 0 for none */
    Qcow2Claim claim;
    unsigned slot;              /* of the epoch, in place */
} Write;

/* Plan. */

static uint64_t cluster_start(const Qcow2 *q, uint64_t offset)
{
    return offset - qcow2_in_cluster(q, offset);
}

static uint64_t unit_size(const Qcow2 *q)
{
    return 1ull << q->layout.unit_bits;
}

static uint64_t host_of(const Qcow2 *q, Qcow2Entry entry, uint64_t offset)
{
    return q->layout.is_external ? cluster_start(q, offset)
                                 : entry.entry & QCOW2_OFFSET_MASK;
}

/* What is to be done with the cluster at @offset to write units that are not there. */
static Sort sort_of(const Qcow2 *q, Qcow2Entry entry)
{
    uint64_t host = entry.entry & QCOW2_OFFSET_MASK;
    bool has_data = q->layout.entry_words == 2
        ? entry.bitmap & QCOW2_ALL_ALLOCATED
        : host && !(q->layout.version >= 3 && entry.entry & QCOW2_ZERO);

    if (entry.entry & QCOW2_COMPRESSED)
        return SORT_COPY;
    if (q->layout.is_external || (host && entry.entry & QCOW2_COPIED))
        return SORT_REUSE;
    return has_data ? SORT_COPY : SORT_NEW;
}

/* Whether the cluster at @offset goes on what @write has up to there. */
static bool goes_on(Qcow2 *q, const Qcow2Table *slice, const Write *write,
                    uint64_t offset)
{
    unsigned index = qcow2_map_index(q, offset);
    Qcow2Entry first, entry;
    Qcow2Extent unit;

    /* A slice is as long as its words; the next one begins at index 0. */
    if (index == 0 || !slice || !slice->is_sound)
        return !slice && index != 0;
    first = qcow2_map_get(q, slice, qcow2_map_index(q, write->offset));
    entry = qcow2_map_get(q, slice, index);
    unit = qcow2_map_unit(q, entry, offset);
    if (unit.kind == QCOW2_KIND_BAD || sort_of(q, entry) != write->sort ||
        (unit.kind == QCOW2_KIND_DATA && unit.in_place))
        return false;
    return write->sort != SORT_REUSE ||
        (q->layout.entry_words == 1 &&
         host_of(q, entry, offset) - host_of(q, first, write->offset) ==
             cluster_start(q, offset) - cluster_start(q, write->offset));
}

/* Cuts the write to one run of clusters; how many there are. */
static uint64_t cut_to_run(Qcow2 *q, const Qcow2Table *slice, Write *write)
{
    uint64_t size = qcow2_cluster_size(q);
    uint64_t most = write->offset + MIN(write->bytes, MAX(MAX_RUN, size));
    uint64_t end = cluster_start(q, write->offset) + size;

    while (end < most && goes_on(q, slice, write, end))
        end += size;
    write->bytes = MIN(write->bytes, end - write->offset);
    return (end - cluster_start(q, write->offset)) / size;
}

/* Which units are filled up; of one that has its data only what is written changes. */
static void plan_fill(const Qcow2 *q, const Qcow2Table *slice, Write *write)
{
    uint64_t unit = write->sort == SORT_COPY ? qcow2_cluster_size(q) : unit_size(q);
    uint64_t end = write->offset + write->bytes;
    Qcow2Entry entry = { 0 };

    write->fill_start = ALIGN_DOWN(write->offset, unit);
    write->fill_end = ALIGN_UP(end, unit);
    /* A data file is not to be longer than the disk that others read from it. */
    if (q->layout.is_external)
        write->fill_end = MIN(write->fill_end, MAX(end, block_node_size(&q->node)));
    if (write->sort != SORT_REUSE || !slice)
        return;
    entry = qcow2_map_get(q, slice, qcow2_map_index(q, write->offset));
    if (qcow2_map_unit(q, entry, write->offset).kind == QCOW2_KIND_DATA)
        write->fill_start = write->offset;
    entry = qcow2_map_get(q, slice, qcow2_map_index(q, end - 1));
    if (qcow2_map_unit(q, entry, end - 1).kind == QCOW2_KIND_DATA)
        write->fill_end = end;
}

/* A data file is as long as the guest's disk, if need be. */
static int grow_data(Qcow2 *q, uint64_t end)
{
    if (q->data == q->file || end <= block_node_size(q->data) ||
        block_node_resize(q->data, end, PREALLOC_MODE_OFF, NULL))
        return 0;
    return -ENOSPC;
}

static int take_clusters(Qcow2 *q, uint64_t n, Write *write)
{
    uint64_t start = cluster_start(q, write->offset);
    int ret = qcow2_alloc_clusters(q, n, &write->run);

    if (ret < 0)
        return ret;
    write->bytes = MIN(write->bytes, start + (write->run.n << q->layout.cluster_bits) -
                       write->offset);
    write->is_fresh = write->run.is_fresh;
    return 0;
}

static int plan_run(Qcow2 *q, const Qcow2Table *slice, Write *write)
{
    uint64_t start = cluster_start(q, write->offset);
    Qcow2Entry entry = { 0 };
    uint64_t n;
    int ret = 0;

    if (slice)
        entry = qcow2_map_get(q, slice, qcow2_map_index(q, write->offset));
    write->sort = sort_of(q, entry);
    n = cut_to_run(q, slice, write);
    if (write->sort != SORT_REUSE)
        ret = take_clusters(q, n, write);
    if (ret < 0)
        return ret;
    plan_fill(q, slice, write);
    write->host = write->run.n ? write->run.offset : host_of(q, entry, write->offset);
    write->host += write->fill_start - start;
    ret = grow_data(q, write->host + write->fill_end - write->fill_start);
    if (ret == 0)
        qcow2_claim_take(q, &write->claim, start,
                         ALIGN_UP(write->fill_end, qcow2_cluster_size(q)));
    else if (write->run.n)
        qcow2_alloc_undo(q, write->run.offset, write->run.n);
    return ret;
}

static int plan(Qcow2 *q, Write *write)
{
    Qcow2Extent extent;
    int ret = q->is_corrupt ? -EIO : qcow2_flush_if_due(q);

    if (ret == 0)
        ret = qcow2_claim_wait(q, write->offset, write->bytes, &write->bytes);
    if (ret == 0)
        ret = qcow2_l2_find(q, write->offset, write->bytes, &extent);
    if (ret < 0)
        return ret;
    if (extent.kind != QCOW2_KIND_DATA || !extent.in_place)
        return plan_run(q, qcow2_cache_find(&q->l2, qcow2_map_slice(q, write->offset)),
                        write);
    write->sort = SORT_IN_PLACE;
    write->bytes = extent.bytes;
    write->host = extent.host;
    ret = grow_data(q, extent.host + extent.bytes);
    if (ret == 0 && q->data == q->file)
        ret = qcow2_disk_grow(q, (extent.host + extent.bytes +
                                  qcow2_cluster_size(q) - 1) >> q->layout.cluster_bits);
    if (ret == 0)
        write->slot = qcow2_epoch_enter_worker(q);
    return ret;
}

/* Transfer. */

static int write_host(Qcow2 *q, uint64_t host, const Qcow2Piece *piece)
{
    IovSlice slice;
    int ret;

    iov_slice_begin(&slice, piece->iov, piece->done, piece->bytes);
    ret = block_io(q->data, &(BlockIo) {
        .op = BLOCK_OP_WRITE, .offset = host, .bytes = piece->bytes,
        .iov = slice.iov, .n_iov = slice.n_iov,
    });
    iov_slice_end(&slice);
    return ret;
}

/* Bytes around the data: none when they are zero and the file is, or was made so. */
typedef struct Fill {
    uint64_t offset;
    uint64_t bytes;
    bool is_read;               /* from where they are now */
    uint8_t *data;
    void *buffer;               /* that data is in; NULL: the other one's */
} Fill;

static int make_buffer(Qcow2 *q, Fill *fill, size_t size)
{
    fill->buffer = qcow2_disk_buffer(q, size);
    fill->data = fill->buffer;
    return fill->buffer ? 0 : -ENOMEM;
}

/* What is zero; the rest is to be read. */
static int make_fill(Qcow2 *q, const Write *write, Fill *fill)
{
    uint64_t host = write->host + (fill->offset - write->fill_start);
    bool is_zero = false;
    int ret;

    if (fill->bytes == 0)
        return 0;
    ret = write->sort != SORT_COPY
        ? qcow2_read_is_zero(q, fill->offset, fill->bytes, &is_zero) : 0;
    fill->is_read = !is_zero;
    if (ret < 0 || !is_zero)
        return ret;
    if (write->is_fresh) {
        fill->bytes = 0;
        return 0;
    }
    if (fill->bytes > MAX_FILL) {
        const BlockIo io = { .op = BLOCK_OP_ZERO, .offset = host, .bytes = fill->bytes };

        fill->bytes = 0;
        return block_io(q->data, &io);
    }
    ret = make_buffer(q, fill, fill->bytes);
    if (ret == 0)
        memset(fill->data, 0, fill->bytes);
    return ret;
}

static int read_fill(Qcow2 *q, Fill *fill)
{
    int ret = fill->is_read ? make_buffer(q, fill, fill->bytes) : 0;

    return ret == 0 && fill->is_read
        ? qcow2_read_buffer(q, fill->offset, fill->data, fill->bytes) : ret;
}

/* Both at once, with the little that is between them; whether that went well. */
static bool read_both(Qcow2 *q, Fill *head, Fill *tail)
{
    uint64_t to_tail = tail->offset - head->offset;
    size_t size = to_tail + tail->bytes;

    if (!head->is_read || !tail->is_read || to_tail - head->bytes > MAX_GAP ||
        make_buffer(q, head, size) < 0)
        return false;
    if (qcow2_read_buffer(q, head->offset, head->data, size) == 0) {
        tail->data = head->data + to_tail;
        return true;
    }
    g_clear_pointer(&head->buffer, free);
    return false;
}

/* The data with what is before and behind it, in one request. */
static int write_filled(Qcow2 *q, const Write *write, const Qcow2Piece *piece,
                        const Fill *head, const Fill *tail)
{
    uint64_t offset = write->offset - head->bytes;
    g_autofree struct iovec *iov = NULL;
    Qcow2Piece whole = { .bytes = head->bytes + piece->bytes + tail->bytes };
    IovSlice slice;
    int ret;

    iov_slice_begin(&slice, piece->iov, piece->done, piece->bytes);
    iov = g_new(struct iovec, slice.n_iov + 2);
    if (head->bytes > 0)
        iov[whole.n_iov++] = (struct iovec) { head->data, head->bytes };
    memcpy(iov + whole.n_iov, slice.iov, slice.n_iov * sizeof(*iov));
    whole.n_iov += slice.n_iov;
    if (tail->bytes > 0)
        iov[whole.n_iov++] = (struct iovec) { tail->data, tail->bytes };
    whole.iov = iov;
    ret = write_host(q, write->host + (offset - write->fill_start), &whole);
    iov_slice_end(&slice);
    return ret;
}

static int transfer(Qcow2 *q, const Write *write, const Qcow2Piece *piece)
{
    uint64_t end = write->offset + write->bytes;
    Fill head = {
        .offset = write->fill_start, .bytes = write->offset - write->fill_start,
    };
    Fill tail = { .offset = end, .bytes = write->fill_end - end };
    int ret;

    if (write->sort == SORT_IN_PLACE)
        return write_host(q, write->host, piece);
    ret = make_fill(q, write, &head);
    if (ret == 0)
        ret = make_fill(q, write, &tail);
    if (ret == 0 && !read_both(q, &head, &tail)) {
        ret = read_fill(q, &head);
        if (ret == 0)
            ret = read_fill(q, &tail);
    }
    if (ret == 0)
        ret = write_filled(q, write, piece, &head, &tail);
    free(head.buffer);
    free(tail.buffer);
    return ret;
}

/* Finish. */

/* The units of the cluster at @start that the write has made. */
static uint64_t units_of(const Qcow2 *q, const Write *write, uint64_t start)
{
    unsigned bits = q->layout.unit_bits;
    uint64_t from = MAX(write->fill_start, start) - start;
    uint64_t end = MIN(write->fill_end, start + qcow2_cluster_size(q)) - start;

    return (QCOW2_ALL_ALLOCATED >> (QCOW2_SUBCLUSTERS - ((end - 1) >> bits) - 1)) &
        (QCOW2_ALL_ALLOCATED << (from >> bits));
}

static Qcow2Entry new_entry(const Qcow2 *q, const Write *write, Qcow2Entry old,
                            uint64_t start)
{
    uint64_t host = write->host - write->fill_start + start;
    Qcow2Entry entry = { .entry = host | QCOW2_COPIED };
    uint64_t units;

    if (q->layout.entry_words == 1)
        return entry;
    units = units_of(q, write, start);
    if (write->sort == SORT_COPY)
        old.bitmap = 0;
    entry.bitmap = (old.bitmap | units) & ~(units << QCOW2_SUBCLUSTERS);
    return entry;
}

static int link_clusters(Qcow2 *q, const Write *write)
{
    uint64_t size = qcow2_cluster_size(q);
    Qcow2Table *slice;
    int ret = qcow2_l2_get(q, write->offset, &slice);

    if (ret < 0)
        return ret;
    for (uint64_t at = write->claim.start; at < write->claim.end; at += size) {
        unsigned index = qcow2_map_index(q, at);
        Qcow2Entry old = qcow2_map_get(q, slice, index);

        qcow2_l2_set(q, slice, index, new_entry(q, write, old, at));
        if (write->sort != SORT_REUSE)
            qcow2_free_entry(q, old.entry, QCOW2_DISCARD_OTHER);
    }
    q->needs_barrier = true;
    return 0;
}

static int finish(Qcow2 *q, Write *write, int ret)
{
    if (write->sort == SORT_IN_PLACE) {
        qcow2_epoch_leave_worker(q, write->slot);
        return ret;
    }
    if (ret == 0)
        ret = q->is_corrupt ? -EIO : link_clusters(q, write);
    if (ret < 0 && write->run.n)
        qcow2_alloc_undo(q, write->run.offset, write->run.n);
    qcow2_claim_drop(q, &write->claim);
    return ret;
}

int qcow2_write(Qcow2 *q, uint64_t offset, const Qcow2Piece *piece)
{
    int ret = 0;

    for (uint64_t done = 0; ret == 0 && done < piece->bytes;) {
        Write write = { .offset = offset + done, .bytes = piece->bytes - done };
        Qcow2Piece part = *piece;

        lock_take_long(&q->lock);
        ret = plan(q, &write);
        lock_drop_long(&q->lock);
        if (ret < 0)
            return ret;
        part.done += done;
        part.bytes = write.bytes;
        done += write.bytes;
        ret = transfer(q, &write, &part);
        lock_take_long(&q->lock);
        ret = finish(q, &write, ret);
        lock_drop_long(&q->lock);
    }
    return ret;
}

int qcow2_write_zeroes(Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    size_t size = MIN(bytes, MAX_FILL);
    uint8_t *data = qcow2_disk_buffer(q, size);
    int ret = data ? 0 : -ENOMEM;

    if (data)
        memset(data, 0, size);
    for (uint64_t done = 0; ret == 0 && done < bytes; done += size) {
        struct iovec iov = { data, MIN(bytes - done, size) };

        ret = qcow2_write(q, offset + done, &(Qcow2Piece) { &iov, 1, 0, iov.iov_len });
    }
    free(data);
    return ret;
}

/* What is not in place gets clusters, which are zero; what is, is zero already. */
static int preallocate(Qcow2 *q, Write *write, bool reserves)
{
    const BlockIo zeroes = {
        .op = BLOCK_OP_ZERO, .offset = write->host, .bytes = write->bytes,
    };
    bool is_needed = reserves || (write->sort != SORT_IN_PLACE && !write->is_fresh);

    return is_needed ? block_io(q->data, &zeroes) : 0;
}

int qcow2_write_preallocate(Qcow2 *q, uint64_t offset, uint64_t bytes, bool reserves)
{
    uint64_t size = qcow2_cluster_size(q), end = ALIGN_UP(offset + bytes, size);
    int ret = 0;

    offset = ALIGN_UP(offset, size);
    while (ret == 0 && offset < end) {
        Write write = { .offset = offset, .bytes = end - offset };

        lock_take_long(&q->lock);
        ret = plan(q, &write);
        lock_drop_long(&q->lock);
        if (ret < 0)
            break;
        offset += write.bytes;
        ret = preallocate(q, &write, reserves);
        lock_take_long(&q->lock);
        ret = finish(q, &write, ret);
        lock_drop_long(&q->lock);
    }
    return ret;
}
