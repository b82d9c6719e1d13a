/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file below a qcow2 image, read and written by workers.
 *
 * The file grows in larger steps than clusters: a request that makes a file longer waits
 * for its file system in io_submit(2).  What was not needed goes when the image is
 * closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2-clusters.h"

#define GROW_MAX (16 * MIB)
#define GROW_PART 16u           /* of what there is */
#define WORDS_AT_ONCE 8192u

void *qcow2_disk_buffer(const Qcow2 *q, size_t size)
{
    size_t alignment = MAX(q->file->limits.memory_alignment,
                           q->data->limits.memory_alignment);
    void *data;

    return posix_memalign(&data, MAX(alignment, sizeof(void *)), size) == 0 ? data : NULL;
}

int qcow2_disk_read(Qcow2 *q, uint64_t offset, void *data, size_t size)
{
    uint64_t end = block_node_size(q->file);
    size_t n = offset < end ? MIN(size, end - offset) : 0;
    int ret = n > 0 ? block_io_read(q->file, offset, data, n) : 0;

    memset((uint8_t *)data + n, 0, size - n);
    return ret;
}

int qcow2_disk_write(Qcow2 *q, uint64_t offset, const void *data, size_t size)
{
    return block_io_write(q->file, offset, data, size, 0);
}

int qcow2_disk_flush(Qcow2 *q)
{
    int ret = q->data != q->file ? block_io_flush(q->data) : 0;

    return ret < 0 ? ret : block_io_flush(q->file);
}

int qcow2_disk_read_words(Qcow2 *q, uint64_t offset, uint64_t *words, uint64_t n)
{
    int ret = qcow2_disk_read(q, offset, words, n * sizeof(*words));

    for (uint64_t i = 0; i < n; i++)
        words[i] = GUINT64_FROM_BE(words[i]);
    return ret;
}

int qcow2_disk_write_words(Qcow2 *q, uint64_t offset, const uint64_t *words, uint64_t n)
{
    size_t n_most = MIN(n, WORDS_AT_ONCE);
    uint64_t *data = qcow2_disk_buffer(q, n_most * sizeof(*words));
    int ret = data ? 0 : -ENOMEM;

    for (uint64_t done = 0; ret == 0 && done < n; done += n_most) {
        uint64_t now = MIN(n - done, n_most);

        for (uint64_t i = 0; i < now; i++)
            data[i] = GUINT64_TO_BE(words[done + i]);
        ret = qcow2_disk_write(q, offset + done * sizeof(*words), data,
                               now * sizeof(*words));
    }
    free(data);
    return ret;
}

int qcow2_disk_grow(Qcow2 *q, uint64_t cluster)
{
    uint64_t end = cluster << q->layout.cluster_bits;
    uint64_t more = ALIGN_UP(MIN(end / GROW_PART, GROW_MAX), qcow2_cluster_size(q));

    if (end <= block_node_size(q->file) ||
        block_node_resize(q->file, end + more, PREALLOC_MODE_OFF, NULL) ||
        block_node_resize(q->file, end, PREALLOC_MODE_OFF, NULL))
        return 0;
    return -ENOSPC;
}
