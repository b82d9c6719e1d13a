/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the header's first cluster anew: extensions, and the name of the backing file
 * behind them.
 *
 * What is not ours to know stays, in its order.  The cluster is written in one piece, and
 * has the old header or the new one but for a host that tears a cluster.
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"

#include "qcow2-image.h"
#include "qcow2-clusters.h"

typedef struct Writer {
    uint8_t *bytes;
    size_t size;
    size_t at;
    bool is_full;
} Writer;

static void put(Writer *writer, const void *data, size_t size)
{
    if (writer->is_full || size > writer->size - writer->at) {
        writer->is_full = true;
        return;
    }
    memcpy(writer->bytes + writer->at, data, size);
    writer->at += size;
}

static void put_extension(Writer *writer, uint32_t type, const void *data, uint32_t size)
{
    static const uint8_t zeroes[8];
    uint32_t head[2] = { GUINT32_TO_BE(type), GUINT32_TO_BE(size) };

    put(writer, head, sizeof(head));
    put(writer, data, size);
    put(writer, zeroes, ALIGN_UP((size_t)size, (size_t)8) - size);
}

static void put_bitmaps(Writer *writer, const Qcow2 *q)
{
    Qcow2BitmapsExt bitmaps = {
        .nb_bitmaps = GUINT32_TO_BE(q->bitmaps.nb_bitmaps),
        .directory_size = GUINT64_TO_BE(q->bitmaps.directory_size),
        .directory_offset = GUINT64_TO_BE(q->bitmaps.directory_offset),
    };

    if (q->bitmaps.nb_bitmaps > 0)
        put_extension(writer, QCOW2_EXT_BITMAPS, &bitmaps, sizeof(bitmaps));
}

/* Those that the image has and we do not change. */
static bool put_others(Writer *writer, const uint8_t *old, size_t at, size_t end,
                       GError **error)
{
    Qcow2Extension extension;
    GError *broken = NULL;

    while (qcow2_header_next_extension(old, end, &at, &extension, &broken)) {
        if (extension.type != QCOW2_EXT_BACKING_FORMAT &&
            extension.type != QCOW2_EXT_BITMAPS)
            put_extension(writer, extension.type, extension.data, extension.size);
    }
    if (!broken)
        return true;
    g_propagate_error(error, broken);
    return false;
}

static size_t header_length(const Qcow2 *q)
{
    const Qcow2Header *header = (const void *)q->header;

    return q->layout.version >= 3 ? GUINT32_FROM_BE(header->header_length)
                                  : QCOW2_V2_HEADER_SIZE;
}

/* The new cluster in @writer, from the old one. */
static bool compose(Qcow2 *q, Writer *writer, const uint8_t *old, GError **error)
{
    size_t length = header_length(q);
    Qcow2Header header;
    uint64_t end;

    memcpy(&header, old, sizeof(header));
    end = GUINT64_FROM_BE(header.backing_file_offset);
    if (end < length || end > writer->size)
        end = writer->size;
    put(writer, old, length);
    if (q->backing_name && q->backing_format)
        put_extension(writer, QCOW2_EXT_BACKING_FORMAT, q->backing_format,
                      (uint32_t)strlen(q->backing_format));
    put_bitmaps(writer, q);
    if (!put_others(writer, old, length, end, error))
        return false;
    put_extension(writer, QCOW2_EXT_END, "", 0);
    header.backing_file_offset =
        q->backing_name ? GUINT64_TO_BE((uint64_t)writer->at) : 0;
    header.backing_file_size =
        q->backing_name ? GUINT32_TO_BE((uint32_t)strlen(q->backing_name)) : 0;
    if (q->backing_name)
        put(writer, q->backing_name, strlen(q->backing_name));
    if (writer->is_full) {
        error_set(error, "the header does not fit into a cluster");
        return false;
    }
    memcpy(writer->bytes, &header, MIN(sizeof(header), length));
    return true;
}

static bool replace(Qcow2 *q, uint8_t *old, uint8_t *new, GError **error)
{
    size_t size = qcow2_cluster_size(q);
    Writer writer = { .bytes = new, .size = size };
    int ret = qcow2_disk_read(q, 0, old, size);
    bool has_begun = ret == 0;

    memset(new, 0, size);
    if (ret == 0 && !compose(q, &writer, old, error))
        return false;
    if (ret == 0)
        ret = qcow2_disk_write(q, 0, new, size);
    if (ret == 0)
        ret = qcow2_disk_flush(q);
    if (ret == 0) {
        memcpy(q->header, new, q->header_size);
        return true;
    }
    error_set_errno(error, -ret, "cannot write the header");
    if (has_begun && qcow2_disk_write(q, 0, old, size) < 0)
        log_error("node '%s': the header is not what it was", block_node_name(&q->node));
    return false;
}

bool qcow2_header_write_extensions(Qcow2 *q, GError **error)
{
    uint8_t *old = qcow2_disk_buffer(q, qcow2_cluster_size(q));
    uint8_t *new = qcow2_disk_buffer(q, qcow2_cluster_size(q));
    bool ok = old && new;

    if (ok)
        ok = replace(q, old, new, error);
    else
        error_set(error, "no memory for the header");
    free(old);
    free(new);
    return ok;
}
