/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that contradicts itself.
 *
 * Nothing is written to it any more, and the image says so to the next who opens it; what
 * can be read still is.
 */
#include <errno.h>

#include "berth/log.h"

#include "qcow2-clusters.h"
#include "qcow2-image.h"

int qcow2_corrupt(Qcow2 *q, uint64_t offset, uint64_t size, const char *format, ...)
{
    bool was_known = __atomic_exchange_n(&q->is_corrupt, true, __ATOMIC_RELAXED);
    va_list args;

    if (was_known)
        return -EIO;
    va_start(args, format);
    q->corrupt_text = g_strdup_vprintf(format, args);
    va_end(args);
    q->corrupt_offset = offset;
    q->corrupt_size = size;
    __atomic_store_n(&q->has_corrupt_text, true, __ATOMIC_RELEASE);
    log_error("node '%s': the image is corrupt: %s%s", block_node_name(&q->node),
              q->corrupt_text,
              q->node.read_only ? "" : "; nothing is written to it any more");
    if (!q->node.read_only && qcow2_header_set_corrupt(q) < 0)
        log_error("node '%s': that cannot be noted in the image",
                  block_node_name(&q->node));
    block_node_tell(&q->node);
    return -EIO;
}
