/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file and host_device: a file or a block device of the host.
 *
 * The short way is Linux AIO, for what is aligned, on descriptors with O_DIRECT.  With
 * the page cache, what needs not wait is done by the loop (file-now.c).  All else goes to
 * workers (file-io.c).
 *
 * A size that is not a multiple of 512 is rounded up: what is beyond the end of the file
 * reads as zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "berth/error.h"
#include "berth/iov.h"
#include "berth/log.h"

#include "block-reopen.h"
#include "file-private.h"

#define SECTOR 512u
#define ALIGN_MAX 4096u

bool file_names_fdset(const char *path)
{
    return g_str_has_prefix(path, "/dev/fdset/");
}

int file_open_flags(bool is_read_only, bool is_direct)
{
    return O_CLOEXEC | (is_read_only ? O_RDONLY : O_RDWR) | (is_direct ? O_DIRECT : 0);
}

static int open_flags(const File *file)
{
    return file_open_flags(file->node.read_only, file->is_direct);
}

/* A set of descriptors is main's, and looking into it does not block. */
static bool file_prepare(BlockNode *node, GError **error)
{
    File *file = file_of(node);
    const BlockdevOptions *options = node->options;

    file->options = node->driver == &file_driver ? &options->u.file
                                                 : &options->u.host_device;
    file->path = g_strdup(file->options->filename);
    file->fd = -1;
    file->is_direct = options->cache->direct;
    file->no_flush = options->cache->no_flush;
    file->is_native = file->options->aio == BLOCKDEV_AIO_OPTIONS_NATIVE;
    file->may_discard = options->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP;
    file_range_init(&file->ranges);
    g_mutex_init(&file->end_lock);
    if (file->is_native && !file->is_direct) {
        error_set(error, "parameter 'aio': 'native' needs cache.direct=on");
        return false;
    }
    if (!file_names_fdset(file->path))
        return true;
    file->fd = block_graph_open_file(node->graph, file->path, open_flags(file), error);
    if (file->fd < 0 && options->auto_read_only && !node->read_only) {
        g_clear_error(error);
        node->read_only = true;
        file->fd = block_graph_open_file(node->graph, file->path, open_flags(file),
                                         error);
    }
    return file->fd >= 0;
}

/* What is there may be a FIFO, which would wait for its other end. */
int file_open_path(const char *path, int open_flags)
{
    int fd = open(path, open_flags | O_NONBLOCK);
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    return fd;
}

bool file_is_read_only_error(int errnum)
{
    return errnum == EACCES || errnum == EROFS || errnum == EPERM;
}

static bool open_file(File *file, GError **error)
{
    BlockNode *node = &file->node;

    if (file->fd >= 0)
        return true;
    file->fd = file_open_path(file->path, open_flags(file));
    if (file->fd < 0 && !node->read_only && node->options->auto_read_only &&
        file_is_read_only_error(errno)) {
        node->read_only = true;
        file->fd = file_open_path(file->path, open_flags(file));
    }
    if (file->fd >= 0)
        return true;
    error_set_errno(error, errno, "cannot open '%s'%s", file->path,
                    errno == EINVAL && file->is_direct
                        ? " (its file system may not know cache.direct=on)" : "");
    return false;
}

static bool check_kind(File *file, const struct stat *st, GError **error)
{
    bool wants_device = file->node.driver == &file_driver_host_device;

    file->is_device = S_ISBLK(st->st_mode);
    if (wants_device ? file->is_device : S_ISREG(st->st_mode))
        return true;
    error_set(error, "'%s' is no %s", file->path,
              wants_device ? "block device" : "regular file");
    return false;
}

static bool find_size(File *file, const struct stat *st, GError **error)
{
    uint64_t size = (uint64_t)st->st_size;

    if (file->is_device && ioctl(file->fd, BLKGETSIZE64, &size) < 0) {
        error_set_errno(error, errno, "cannot find the size of '%s'", file->path);
        return false;
    }
    block_node_set_size(&file->node, ALIGN_UP(size, SECTOR));
    return true;
}

/* Whether a read of @align bytes into memory aligned to @memory works. */
static bool can_read(int fd, uint8_t *buffer, size_t align, size_t memory)
{
    return pread(fd, buffer + memory, align, 0) >= 0 || errno != EINVAL;
}

/* The kernel does not tell of every file system; a read of the beginning does. */
static void probe_alignment(int fd, BlockLimits *limits)
{
    uint8_t *buffer = aligned_alloc(2 * ALIGN_MAX, 4 * ALIGN_MAX);
    uint32_t align = SECTOR;

    while (align < ALIGN_MAX && !can_read(fd, buffer, align, 0))
        align *= 2;
    limits->request_alignment = align;
    for (align = SECTOR; align < ALIGN_MAX; align *= 2) {
        if (can_read(fd, buffer, ALIGN_MAX, align))
            break;
    }
    limits->memory_alignment = align;
    free(buffer);
}

void file_find_alignment(int fd, bool is_direct, BlockLimits *limits)
{
    struct statx stx;

    limits->request_alignment = 1;
    limits->memory_alignment = 1;
    if (!is_direct)
        return;
#ifdef STATX_DIOALIGN
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
        stx.stx_mask & STATX_DIOALIGN && stx.stx_dio_offset_align > 0) {
        limits->request_alignment = MAX(stx.stx_dio_offset_align, SECTOR);
        limits->memory_alignment = MAX(stx.stx_dio_mem_align, 1);
        return;
    }
#else
    (void)stx;
#endif
    probe_alignment(fd, limits);
}

/* What the file system was told to allocate at a time. */
static void find_extent_size(File *file)
{
    struct fsxattr attributes;

    if (!file->is_device && ioctl(file->fd, FS_IOC_FSGETXATTR, &attributes) == 0 &&
        attributes.fsx_xflags & FS_XFLAG_EXTSIZE)
        file->extent_size = attributes.fsx_extsize;
}

static bool file_open(BlockNode *node, GError **error)
{
    File *file = file_of(node);
    struct stat st;

    if (!open_file(file, error))
        return false;
    if (fstat(file->fd, &st) < 0) {
        error_set_errno(error, errno, "cannot stat '%s'", file->path);
        return false;
    }
    if (!check_kind(file, &st, error) || !find_size(file, &st, error))
        return false;
    file_find_alignment(file->fd, file->is_direct, &node->limits);
    find_extent_size(file);
    file_now_look(file);
    file->has_locks = file->options->locking != ON_OFF_AUTO_OFF;
    return true;
}

static void file_close(BlockNode *node)
{
    File *file = file_of(node);

    base_close_fd(&file->fd);
    g_free(file->path);
    g_mutex_clear(&file->end_lock);
    file_range_done(&file->ranges);
}

static bool file_set_perm(BlockNode *node, uint8_t wants, uint8_t permits, GError **error)
{
    File *file = file_of(node);

    if (!file->has_locks)
        return true;
    return file_lock_set(file, wants, node->force_share ? BLOCK_PERM_ALL : permits,
                         error);
}

/* A file system that cannot lock is no reason against auto. */
static bool file_attach(BlockQueue *queue, GError **error)
{
    File *file = file_of(queue->node);
    FileQueue *state = block_queue_state(queue);
    g_autoptr(GError) reason = NULL;

    if (!file->is_native)
        return true;
    state->has_aio = aio_attach(queue->loop, &reason);
    if (state->has_aio)
        file_range_attach(state, file, queue->loop);
    else
        log_warn("node '%s': requests go to threads: %s", block_node_name(queue->node),
                 reason->message);
    return true;
}

static void file_detach(BlockQueue *queue)
{
    FileQueue *state = block_queue_state(queue);

    if (!state->has_aio)
        return;
    file_range_detach(state);
    aio_detach(queue->loop);
}

static void on_aio_done(AioReq *aio, int64_t ret)
{
    FileCtx *ctx = CONTAINER_OF(aio, FileCtx, aio);
    BlockReq *req = ctx->req;
    bool is_transfer = req->io.op != BLOCK_OP_FLUSH;

    if (req->io.op == BLOCK_OP_WRITE)
        file_range_end(block_queue_state(req->queue), ctx);
    if (ret < 0)
        block_req_complete(req, (int)ret);
    else if (is_transfer && (uint64_t)ret != req->io.bytes)
        block_req_punt(req);
    else
        block_req_complete(req, 0);
}

static bool is_aligned(const File *file, const BlockReq *req)
{
    const BlockLimits *limits = &file->node.limits;

    return (req->io.offset | req->io.bytes) % limits->request_alignment == 0 &&
        iov_is_aligned(req->io.iov, req->io.n_iov, limits->memory_alignment);
}

static void submit_native(File *file, BlockReq *req)
{
    FileCtx *ctx = block_req_ctx(req);
    bool is_durable = req->io.flags & BLOCK_FUA && !file->no_flush;

    ctx->req = req;
    ctx->aio.done = on_aio_done;
    switch (req->io.op) {
    case BLOCK_OP_READ:
        aio_prepare_read(&ctx->aio, file->fd, req->io.iov, req->io.n_iov,
                         req->io.offset);
        break;
    case BLOCK_OP_WRITE:
        aio_prepare_write(&ctx->aio, file->fd, req->io.iov, req->io.n_iov, req->io.offset,
                          is_durable ? RWF_DSYNC : 0);
        file_range_begin(block_queue_state(req->queue), ctx);
        break;
    default:
        aio_prepare_sync(&ctx->aio, file->fd);
        break;
    }
    aio_submit(req->queue->loop, &ctx->aio, file->options->aio_max_batch);
}

static void file_submit(BlockReq *req)
{
    File *file = file_of(req->queue->node);
    const FileQueue *state = block_queue_state(req->queue);

    switch (req->io.op) {
    case BLOCK_OP_READ:
    case BLOCK_OP_WRITE:
        if (state->has_aio && is_aligned(file, req) &&
            (req->io.op == BLOCK_OP_READ || file_range_is_free(file, &req->io)))
            submit_native(file, req);
        else if (file_now_transfer(file, &req->io))
            block_req_complete(req, 0);
        else
            block_req_punt(req);
        break;
    case BLOCK_OP_FLUSH:
        if (file->no_flush || file->is_memory)
            block_req_complete(req, 0);
        else if (state->has_aio)
            submit_native(file, req);
        else
            block_req_punt(req);
        break;
    case BLOCK_OP_DISCARD:
        if (!file->may_discard)
            block_req_complete(req, 0);
        else
            block_req_punt(req);
        break;
    case BLOCK_OP_ZERO:
    case BLOCK_OP__MAX:
        block_req_punt(req);
        break;
    }
}

/* Which parts are holes, as the file system says. */
static int file_map(BlockNode *node, uint64_t offset, uint64_t bytes, BlockMap *ret_map)
{
    const File *file = file_of(node);
    off_t data, hole;

    *ret_map = (BlockMap) {
        .kind = BLOCK_MAP_DATA, .allocated = true, .bytes = bytes, .has_offset = true,
        .child_offset = offset,
    };
    if (file->is_device)
        return 0;
    data = lseek(file->fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno != ENXIO)
        return 0;
    if (data != (off_t)offset) {
        ret_map->kind = BLOCK_MAP_ZERO;
        ret_map->allocated = false;
        if (data > 0)
            ret_map->bytes = MIN(bytes, (uint64_t)data - offset);
        return 0;
    }
    hole = lseek(file->fd, (off_t)offset, SEEK_HOLE);
    if (hole > (off_t)offset)
        ret_map->bytes = MIN(bytes, (uint64_t)hole - offset);
    return 0;
}

static bool preallocate(File *file, uint64_t from, uint64_t to, PreallocMode prealloc,
                        GError **error)
{
    const BlockIo zeroes = { .op = BLOCK_OP_ZERO, .offset = from, .bytes = to - from };
    int ret = 0;

    switch (prealloc) {
    case PREALLOC_MODE_OFF:
        return true;
    case PREALLOC_MODE_METADATA:
        error_set(error, "parameter 'preallocation': a file has no metadata");
        return false;
    case PREALLOC_MODE_FALLOC:
        if (fallocate(file->fd, 0, (off_t)from, (off_t)(to - from)) < 0)
            ret = -errno;
        break;
    case PREALLOC_MODE_FULL:
        __atomic_store_n(&file->no_zero_range, true, __ATOMIC_RELAXED);
        ret = file_io(&file->node, &zeroes);
        __atomic_store_n(&file->no_zero_range, false, __ATOMIC_RELAXED);
        break;
    }
    if (ret < 0)
        error_set_errno(error, -ret, "cannot preallocate '%s'", file->path);
    return ret == 0;
}

/* 0 or -errno. */
static int cut(File *file, uint64_t size)
{
    int ret = size > INT64_MAX ? -EFBIG : 0;

    lock_take_long(&file->end_lock);
    if (ret == 0 && ftruncate(file->fd, (off_t)size) < 0)
        ret = -errno;
    lock_drop_long(&file->end_lock);
    return ret;
}

static bool file_resize(BlockNode *node, uint64_t size, PreallocMode prealloc,
                        GError **error)
{
    File *file = file_of(node);
    uint64_t before = block_node_size(node);
    struct stat st;
    int ret;

    if (file->is_device) {
        /* Somebody resized it; ours is to look. */
        if (fstat(file->fd, &st) < 0 || !find_size(file, &st, error))
            return false;
        if (block_node_size(node) >= size)
            return true;
        error_set(error, "'%s' has %" PRIu64 " bytes", file->path, block_node_size(node));
        return false;
    }
    ret = cut(file, size);
    if (ret < 0) {
        error_set_errno(error, -ret, "cannot resize '%s'", file->path);
        return false;
    }
    if (size > before && !preallocate(file, before, size, prealloc, error)) {
        ret = cut(file, before);
        if (ret < 0)
            log_warn("cannot cut '%s' again: %s", file->path, error_text(-ret));
        return false;
    }
    block_node_set_size(node, ALIGN_UP(size, SECTOR));
    return true;
}

static void file_discard_changed(BlockNode *node)
{
    file_of(node)->may_discard = node->options->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP;
}

/* What the host knows without asking a server: main does not wait. */
static void file_describe(BlockNode *node, ImageInfo *info)
{
    const File *file = file_of(node);
    ImageInfoSpecific *specific;
    struct statx stx;

    if (statx(file->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BLOCKS,
              &stx) == 0) {
        info->has_actual_size = true;
        info->actual_size = (int64_t)stx.stx_blocks * SECTOR;
    }
    if (file->is_device)
        return;
    specific = g_new0(ImageInfoSpecific, 1);
    specific->type = IMAGE_INFO_SPECIFIC_KIND_FILE;
    specific->u.file.data = g_new0(ImageInfoSpecificFile, 1);
    specific->u.file.data->has_extent_size_hint = file->extent_size > 0;
    specific->u.file.data->extent_size_hint = file->extent_size;
    info->format_specific = specific;
}

static char *file_filename(const BlockNode *node)
{
    return g_strdup(CONTAINER_OF(node, File, node)->path);
}

static BlockStatsSpecific *file_count(BlockNode *node)
{
    const File *file = file_of(node);
    BlockStatsSpecific *stats = g_new0(BlockStatsSpecific, 1);

    stats->driver = node->driver == &file_driver
        ? BLOCK_STATS_SPECIFIC_DRIVER_FILE : BLOCK_STATS_SPECIFIC_DRIVER_HOST_DEVICE;
    stats->u.file = (BlockStatsSpecificFile) {
        .discard_nb_ok = __atomic_load_n(&file->n_discards, __ATOMIC_RELAXED),
        .discard_nb_failed = __atomic_load_n(&file->n_failed_discards, __ATOMIC_RELAXED),
        .discard_bytes_ok = __atomic_load_n(&file->n_discarded, __ATOMIC_RELAXED),
    };
    return stats;
}

const BlockDriver file_driver = {
    .name = "file",
    .instance_size = sizeof(File),
    .prepare = file_prepare,
    .open = file_open,
    .close = file_close,
    .io = file_io,
    .ctx_size = sizeof(FileCtx),
    .queue_size = sizeof(FileQueue),
    .attach = file_attach,
    .detach = file_detach,
    .submit = file_submit,
    .map = file_map,
    .resize = file_resize,
    .discard_changed = file_discard_changed,
    .reopen = &file_reopen_ops,
    .set_perm = file_set_perm,
    .describe = file_describe,
    .filename = file_filename,
    .count = file_count,
};

const BlockDriver file_driver_host_device = {
    .name = "host_device",
    .instance_size = sizeof(File),
    .prepare = file_prepare,
    .open = file_open,
    .close = file_close,
    .io = file_io,
    .ctx_size = sizeof(FileCtx),
    .queue_size = sizeof(FileQueue),
    .attach = file_attach,
    .detach = file_detach,
    .submit = file_submit,
    .map = file_map,
    .resize = file_resize,
    .discard_changed = file_discard_changed,
    .reopen = &file_reopen_ops,
    .set_perm = file_set_perm,
    .describe = file_describe,
    .filename = file_filename,
    .count = file_count,
};
