/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a file of the host.
 *
 * An existing one is emptied, after asking by locks whether somebody uses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "block-create.h"
#include "file-private.h"

#define DEFAULT_EXTENT_SIZE (1 * MIB)
#define ZEROES_A_STEP (4 * MIB)

static bool fail(const BlockdevCreateOptionsFile *options, const char *what,
                 GError **error)
{
    error_set_errno(error, errno, "cannot %s '%s'", what, options->filename);
    return false;
}

static bool open_file(BlockCreate *create, const BlockdevCreateOptionsFile *options,
                      GError **error)
{
    if (create->fd < 0)
        create->fd = open(options->filename,
                          O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    return create->fd >= 0 || fail(options, "create", error);
}

static bool check_kind(const BlockCreate *create,
                       const BlockdevCreateOptionsFile *options, GError **error)
{
    struct stat st;

    if (fstat(create->fd, &st) < 0)
        return fail(options, "stat", error);
    if (S_ISREG(st.st_mode))
        return true;
    error_set(error, "'%s' is no regular file", options->filename);
    return false;
}

/* Held until the descriptor is closed. */
static bool lock(const BlockCreate *create, const BlockdevCreateOptionsFile *options,
                 GError **error)
{
    const uint8_t changes = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    File file = { .fd = create->fd, .path = options->filename };

    return file_lock_set(&file, changes, (uint8_t)(BLOCK_PERM_ALL & ~changes), error);
}

/* What a file system does not know is no reason against it, unless asked for. */
static bool set_attributes(const BlockCreate *create,
                           const BlockdevCreateOptionsFile *options, GError **error)
{
    uint64_t extent_size = options->has_extent_size_hint ? options->extent_size_hint
                                                         : DEFAULT_EXTENT_SIZE;
    struct fsxattr attributes;
    int flags;

    if (extent_size > UINT32_MAX) {
        error_set(error, "parameter 'extent-size-hint' is too large");
        return false;
    }
    if (options->nocow && ioctl(create->fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        ioctl(create->fd, FS_IOC_SETFLAGS, &flags);
    }
    if (extent_size == 0 || ioctl(create->fd, FS_IOC_FSGETXATTR, &attributes) < 0)
        return true;
    attributes.fsx_xflags |= FS_XFLAG_EXTSIZE;
    attributes.fsx_extsize = (uint32_t)extent_size;
    if (ioctl(create->fd, FS_IOC_FSSETXATTR, &attributes) < 0 &&
        options->has_extent_size_hint)
        return fail(options, "set the extent size of", error);
    return true;
}

static bool set_size(const BlockCreate *create, const BlockdevCreateOptionsFile *options,
                     uint64_t size, GError **error)
{
    if (options->preallocation == PREALLOC_MODE_FALLOC && size > 0 &&
        fallocate(create->fd, 0, 0, (off_t)size) < 0)
        return fail(options, "preallocate", error);
    return ftruncate(create->fd, (off_t)size) == 0 || fail(options, "resize", error);
}

static bool begin(BlockCreate *create, const BlockdevCreateOptionsFile *options,
                  uint64_t size, GError **error)
{
    if (options->preallocation == PREALLOC_MODE_METADATA) {
        error_set(error, "parameter 'preallocation': a file has no metadata");
        return false;
    }
    if (options->size > INT64_MAX - 511) {
        error_set(error, "parameter 'size' is too large");
        return false;
    }
    if (!open_file(create, options, error) || !check_kind(create, options, error) ||
        !lock(create, options, error))
        return false;
    if (ftruncate(create->fd, 0) < 0)
        return fail(options, "empty", error);
    return set_attributes(create, options, error) &&
        set_size(create, options, size, error);
}

static bool write_zeroes(BlockCreate *create, const BlockdevCreateOptionsFile *options,
                         uint64_t size, GError **error)
{
    g_autofree uint8_t *zeroes = g_malloc0(ZEROES_A_STEP);
    uint64_t end = MIN(size, create->done + ZEROES_A_STEP);

    while (create->done < end) {
        ssize_t n = pwrite(create->fd, zeroes, end - create->done, (off_t)create->done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : ENOSPC;
            return fail(options, "write to", error);
        }
        create->done += (uint64_t)n;
    }
    job_set_progress(&create->job, create->done, size);
    return true;
}

JobStep file_create_step(BlockCreate *create, const BlockdevCreateOptionsFile *options)
{
    uint64_t size = ALIGN_UP(options->size, (uint64_t)512);
    bool is_full = options->preallocation == PREALLOC_MODE_FULL;

    if (create->done == 0 && !begin(create, options, size, &create->job.error))
        return JOB_STEP_FAILED;
    if (is_full && !write_zeroes(create, options, size, &create->job.error))
        return JOB_STEP_FAILED;
    return is_full && create->done < size ? JOB_STEP_MORE : JOB_STEP_DONE;
}
