/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is there before the guest starts: from which of the host's nodes, and, for
 * who asks, all of it at once.  The kernel clears the pages, which one thread does at a
 * fraction of what memory can take, so several do, a slice each.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "ram-private.h"

/* A thread that touches less is not worth while; more of them meet in the kernel. */
#define SLICE_MIN (64 * MIB)
#define DEFAULT_THREADS 16u

typedef struct Slice {
    uint8_t *start;
    uint64_t size;
    int err;                    /* errno; valid when the thread has ended */
    pthread_t thread;
} Slice;

bool ram_populate_from(RamBlock *block, const RamOptions *options, GError **error)
{
    static const int modes[] = {
        [RAM_POLICY_PREFERRED] = MPOL_PREFERRED,
        [RAM_POLICY_BIND] = MPOL_BIND,
        [RAM_POLICY_INTERLEAVE] = MPOL_INTERLEAVE,
    };
    long ret;

    if (options->policy == RAM_POLICY_DEFAULT)
        return true;
    /* The kernel takes the number of bits less one. */
    ret = syscall(SYS_mbind, block->host, block->size, modes[options->policy],
                  options->nodes, (unsigned long)options->n_node_bits + 1,
                  MPOL_MF_STRICT | MPOL_MF_MOVE);
    if (ret == 0)
        return true;
    error_set_errno(error, errno, "cannot bind memory '%s' to nodes of the host%s",
                    block->name, errno == EINVAL ? " (has it those?)" : "");
    return false;
}

static int touch(uint8_t *start, uint64_t size)
{
    int ret;

    do {
        ret = madvise(start, size, MADV_POPULATE_WRITE);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? errno : 0;
}

int ram_populate_pages(RamBlock *block, uint64_t offset, uint64_t size)
{
    g_assert(offset % block->page_size == 0 && size % block->page_size == 0 &&
             offset <= block->size && size <= block->size - offset);
    return -touch(block->host + offset, size);
}

static void *touch_slice(void *opaque)
{
    Slice *slice = opaque;

    slice->err = touch(slice->start, slice->size);
    return NULL;
}

static unsigned count_threads(const RamBlock *block, const RamOptions *options,
                              uint64_t page)
{
    uint64_t most = MAX(block->size / SLICE_MIN, 1);
    uint64_t n = MIN(most, MIN(g_get_num_processors(), DEFAULT_THREADS));

    if (options->prealloc_threads)
        n = options->prealloc_threads;
    return (unsigned)MIN(n, block->size / page);
}

/* Slices are of whole pages, the last one takes the rest. */
static int touch_on_threads(RamBlock *block, unsigned n, uint64_t page, GError **error)
{
    g_autofree Slice *slices = g_new0(Slice, n);
    uint64_t size = ALIGN_DOWN(block->size / n, page);
    unsigned n_started = 0;
    int err = 0;

    for (; n_started < n; n_started++) {
        Slice *slice = &slices[n_started];

        slice->start = block->host + n_started * size;
        slice->size = n_started + 1 == n ? block->size - n_started * size : size;
        if (!thread_start(&slice->thread, THREAD_WORKER, "prealloc", touch_slice, slice,
                          error))
            break;
    }
    for (unsigned i = 0; i < n_started; i++) {
        pthread_join(slices[i].thread, NULL);
        err = err ? err : slices[i].err;
    }
    return err;
}

/* What a file has already needs no room in its file system. */
static uint64_t bytes_of_file(const RamBlock *block)
{
    struct stat stat;

    return block->shared && block->fd >= 0 && fstat(block->fd, &stat) == 0
        ? (uint64_t)stat.st_blocks * 512 : 0;
}

/*
 * What the host does not have would be paid for by whom its kernel ends; so it is asked
 * before, while what is free is not yet taken in part.
 */
static bool is_available(const RamBlock *block, const RamOptions *options, GError **error)
{
    uint64_t wanted = block->size - MIN(block->size, bytes_of_file(block));

    if (options->hugetlb || wanted <= ram_available(block, options))
        return true;
    ram_set_error(error, ENOMEM, block, options);
    return false;
}

bool ram_populate(RamBlock *block, const RamOptions *options, GError **error)
{
    uint64_t page = ram_page_size(options);
    unsigned n = count_threads(block, options, page);
    GError *start_error = NULL;
    int err;

    if (!is_available(block, options, error))
        return false;
    err = n > 1 ? touch_on_threads(block, n, page, &start_error)
                : touch(block->host, block->size);
    if (start_error) {
        g_propagate_error(error, start_error);
        return false;
    }
    if (err)
        ram_set_error(error, err == EFAULT ? ENOMEM : err, block, options);
    return err == 0;
}
