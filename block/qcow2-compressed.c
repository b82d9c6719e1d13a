/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed clusters: read, never written.
 *
 * The entry says where the data begins and how many sectors it touches, not how many
 * bytes it has: decompression ends when it has a cluster.
 */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "berth/iov.h"

#include "qcow2-clusters.h"
#include "qcow2-data.h"

#define ZSTD_WINDOW_BITS_MAX 23 /* what a frame may make us allocate */
#define DEFLATE_WINDOW_BITS 12  /* as every writer of the format uses; no zlib header */

static int inflate_cluster(const uint8_t *data, size_t size, uint8_t *cluster,
                           size_t cluster_size)
{
    z_stream stream = {
        .next_in = (uint8_t *)data, .avail_in = (uInt)size,
        .next_out = cluster, .avail_out = (uInt)cluster_size,
    };
    int ret;

    if (inflateInit2(&stream, -DEFLATE_WINDOW_BITS) != Z_OK)
        return -ENOMEM;
    ret = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    /* Z_BUF_ERROR: the cluster is full before the stream has said that it ends. */
    if ((ret == Z_STREAM_END || ret == Z_BUF_ERROR) && stream.avail_out == 0)
        return 0;
    return ret == Z_MEM_ERROR ? -ENOMEM : -EIO;
}

static int decompress_zstd(const uint8_t *data, size_t size, uint8_t *cluster,
                           size_t cluster_size)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = { data, size, 0 };
    ZSTD_outBuffer out = { cluster, cluster_size, 0 };
    int ret = context ? 0 : -ENOMEM;

    if (ret == 0)
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_BITS_MAX);
    while (ret == 0 && out.pos < out.size) {
        size_t before = out.pos + in.pos;

        if (ZSTD_isError(ZSTD_decompressStream(context, &out, &in)) ||
            out.pos + in.pos == before)
            ret = -EIO;
    }
    ZSTD_freeDCtx(context);
    return ret;
}

static int decompress(Qcow2 *q, uint64_t entry, uint8_t *cluster)
{
    unsigned bits = q->layout.cluster_bits;
    unsigned size_shift = 62 - (bits - 8);
    uint64_t offset = entry & ((1ull << size_shift) - 1) & (QCOW2_OFFSET_MASK | 0x1ff);
    uint64_t n_sectors = (entry >> size_shift & ((1u << (bits - 8)) - 1)) + 1;
    size_t size = n_sectors * 512 - offset % 512;
    uint8_t *data = qcow2_disk_buffer(q, size);
    int ret;

    if (!data)
        return -ENOMEM;
    ret = qcow2_disk_read(q, offset, data, size);
    if (ret == 0)
        ret = q->layout.compression == QCOW2_ZSTD
            ? decompress_zstd(data, size, cluster, qcow2_cluster_size(q))
            : inflate_cluster(data, size, cluster, qcow2_cluster_size(q));
    free(data);
    return ret;
}

int qcow2_compressed_read(Qcow2 *q, uint64_t entry, uint64_t offset,
                          const Qcow2Piece *piece)
{
    uint8_t *cluster = qcow2_disk_buffer(q, qcow2_cluster_size(q));
    int ret = cluster ? decompress(q, entry, cluster) : -ENOMEM;

    if (ret == 0)
        iov_write(piece->iov, piece->n_iov, piece->done,
                  cluster + qcow2_in_cluster(q, offset), piece->bytes);
    free(cluster);
    return ret;
}
