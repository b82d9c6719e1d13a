/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that hold a guest's memory: memfds, and files that have a name.
 *
 * A name may be that of a folder, mostly of a hugetlbfs: the file in it has a name only
 * until it is open.  A file that is there and not empty is the guest's memory as it is,
 * and has to be large enough; one that is made, or is empty, gets its size.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "berth/error.h"

#include "ram-private.h"

/* The page size that was asked for, as flags; 0 leaves it to the host. */
static unsigned huge_size_flags(const RamOptions *options)
{
    if (!options->hugetlb_size)
        return 0;
    return (unsigned)__builtin_ctzll(options->hugetlb_size) << MFD_HUGE_SHIFT;
}

static unsigned memfd_flags(const RamOptions *options)
{
    unsigned flags = MFD_CLOEXEC;

    if (options->seal)
        flags |= MFD_ALLOW_SEALING;
    if (options->hugetlb)
        flags |= MFD_HUGETLB | huge_size_flags(options);
    return flags;
}

static bool open_memfd(RamBlock *block, const RamOptions *options, GError **error)
{
    block->fd = memfd_create(block->name, memfd_flags(options));
    if (block->fd < 0 || ftruncate(block->fd, (off_t)block->size) < 0) {
        ram_set_error(error, errno, block, options);
        return false;
    }
    if (options->seal &&
        fcntl(block->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        error_set_errno(error, errno, "cannot seal the memory of '%s'", block->name);
        return false;
    }
    return true;
}

static bool fail(GError **error, const RamOptions *options)
{
    error_set_errno(error, errno, "cannot have memory in '%s'", options->path);
    return false;
}

/* Of the folder, when the file is not there yet. */
static int stat_file_system(const char *path, struct statfs *ret_stat)
{
    g_autofree char *folder = NULL;

    if (statfs(path, ret_stat) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    folder = g_path_get_dirname(path);
    return statfs(folder, ret_stat);
}

bool ram_file_page_size(const RamOptions *options, uint64_t *ret_size, GError **error)
{
    struct statfs stat;

    if (stat_file_system(options->path, &stat) < 0)
        return fail(error, options);
    *ret_size = stat.f_type == HUGETLBFS_MAGIC ? (uint64_t)stat.f_bsize
                                               : (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

uint64_t ram_file_available(const RamOptions *options)
{
    struct statfs stat;

    if (stat_file_system(options->path, &stat) < 0)
        return 0;
    return (uint64_t)stat.f_bavail * (uint64_t)stat.f_bsize;
}

static int open_nameless(const RamBlock *block, const char *folder)
{
    g_autofree char *name = g_strdup_printf("%s/berth-%s-XXXXXX", folder, block->name);
    int fd;

    for (char *c = name + strlen(folder) + 1; *c; c++)
        *c = *c == '/' ? '_' : *c;
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

/* *@ret_made: this call made the file, and takes it away if it cannot be used. */
static int open_path(const RamBlock *block, const RamOptions *options, bool *ret_made)
{
    int mode = options->read_only ? O_RDONLY : O_RDWR;
    int fd = open(options->path, mode | O_CLOEXEC);

    *ret_made = false;
    if (fd >= 0 || options->read_only)
        return fd;
    if (errno == EISDIR)
        return open_nameless(block, options->path);
    if (errno != ENOENT)
        return -1;
    fd = open(options->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    *ret_made = fd >= 0;
    return fd;
}

/* Makes an empty file as large as needed; one with something in it has to be. */
static bool settle_size(const RamBlock *block, const RamOptions *options, GError **error)
{
    uint64_t wanted = block->fd_offset + block->size;
    struct stat stat;

    if (fstat(block->fd, &stat) < 0)
        return fail(error, options);
    if (!S_ISREG(stat.st_mode)) {
        error_set(error, "cannot have memory in '%s': it is not a file", options->path);
        return false;
    }
    if ((uint64_t)stat.st_size >= wanted)
        return true;
    if (stat.st_size > 0 || options->read_only) {
        error_set(error, "the file '%s' has %" PRIu64 " bytes, too few for %" PRIu64
                  " bytes of memory", options->path, (uint64_t)stat.st_size, wanted);
        return false;
    }
    return ftruncate(block->fd, (off_t)wanted) == 0 ? true : fail(error, options);
}

static bool open_named(RamBlock *block, const RamOptions *options, GError **error)
{
    bool made;

    block->fd = open_path(block, options, &made);
    if (block->fd < 0)
        return fail(error, options);
    if (settle_size(block, options, error))
        return true;
    if (made)
        unlink(options->path);
    return false;
}

bool ram_file_open(RamBlock *block, const RamOptions *options, GError **error)
{
    if (options->path)
        return open_named(block, options, error);
    return !options->memfd || open_memfd(block, options, error);
}
