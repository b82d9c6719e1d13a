/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory for the guest.
 *
 * Every kind is one mmap of one descriptor (memfd, file) or of none, so that start
 * time does not depend on the size: pages come with the guest's first touch, unless
 * preallocation was asked for.  Whether huge pages suffice is known at once, since the
 * kernel reserves them at mmap.
 *
 * Memory of 2 MiB and more begins at a multiple of 2 MiB, so that KVM can map it in
 * pages of that size where the host has given such ones, and lies between two pages
 * that nobody can access: the kernel makes one mapping of neighbours that are alike, and
 * what runs over the end of one shall not reach the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "berth/error.h"
#include "berth/host-memory.h"
#include "berth/ram-fault.h"

#include "ram-private.h"

/* KVM maps so much at once, when guest and host address agree in the bits below. */
#define LARGE_PAGE (2 * MIB)

static uint64_t default_huge_size(void)
{
    uint64_t size = host_memory_read_line("/proc/meminfo", "Hugepagesize:");

    return size ? size : 2 * MIB;
}

static uint64_t host_page(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t ram_page_size(const RamOptions *options)
{
    if (!options->hugetlb)
        return host_page();
    return options->hugetlb_size ? options->hugetlb_size : default_huge_size();
}

/* The bytes of free huge pages of @size, 0 when the host has no such pages. */
static uint64_t free_huge_bytes(uint64_t size)
{
    uint64_t kib = size / KIB;
    g_autofree char *path = g_strdup_printf(
        "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/free_hugepages", kib);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    return g_ascii_strtoull(text, NULL, 10) * size;
}

/* Of a private mapping of a file, what is written to is the host's memory. */
static bool is_in_file(const RamBlock *block, const RamOptions *options)
{
    return options->path && block->shared && !options->hugetlb;
}

uint64_t ram_available(const RamBlock *block, const RamOptions *options)
{
    if (options->hugetlb)
        return free_huge_bytes(ram_page_size(options));
    if (is_in_file(block, options))
        return ram_file_available(options);
    return host_memory_read_line("/proc/meminfo", "MemAvailable:");
}

void ram_set_error(GError **error, int errnum, const RamBlock *block,
                   const RamOptions *options)
{
    uint64_t page = ram_page_size(options);
    uint64_t page_kib = page / KIB;
    uint64_t wanted_mib = block->size / MIB;
    uint64_t available_mib = ram_available(block, options) / MIB;
    g_autofree char *pages = NULL;

    if (options->hugetlb)
        pages = g_strdup_printf(" in pages of %" PRIu64 " KiB", page_kib);

    error_set_errno(error, errnum,
                    "cannot get %" PRIu64 " MiB of memory%s for '%s' "
                    "(the %s has %" PRIu64 " MiB available)",
                    wanted_mib, pages ? pages : "", block->name,
                    is_in_file(block, options) ? "file system" : "host", available_mib);
}

static int map_flags(const RamBlock *block, const RamOptions *options)
{
    int flags = block->shared ? MAP_SHARED : MAP_PRIVATE;

    if (block->fd < 0)
        flags |= MAP_ANONYMOUS;
    if (block->fd < 0 && options->hugetlb)
        flags |= MAP_HUGETLB;
    if (options->no_reserve)
        flags |= MAP_NORESERVE;
    return flags;
}

/*
 * Addresses for @size bytes, aligned to @align, with a guard page on either side;
 * nothing is there yet.  NULL: none.
 */
static uint8_t *reserve_aligned(uint64_t size, uint64_t align)
{
    size_t guard = host_page();
    uint8_t *start = mmap(NULL, size + align + 2 * guard, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint8_t *aligned;

    if (start == MAP_FAILED)
        return NULL;
    aligned = (uint8_t *)ALIGN_UP((uintptr_t)start + guard, align);
    if (aligned - guard > start)
        munmap(start, (size_t)(aligned - guard - start));
    munmap(aligned + size + guard, (size_t)(start + align + guard - aligned));
    return aligned;
}

static void unmap(uint8_t *host, uint64_t size, bool guarded)
{
    size_t guard = guarded ? host_page() : 0;

    munmap(host - guard, size + 2 * guard);
}

/* For who reads /proc/PID/smaps; kernels that keep no names say so and go on. */
static void set_name(const RamBlock *block)
{
    if (block->fd < 0)
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, block->host, block->size, block->name);
}

static bool map(RamBlock *block, const RamOptions *options, GError **error)
{
    int flags = map_flags(block, options);
    uint8_t *at = NULL;
    void *host;

    if (!options->hugetlb && (block->size >= LARGE_PAGE || options->align))
        at = reserve_aligned(block->size, MAX(options->align, LARGE_PAGE));
    if (at)
        flags |= MAP_FIXED;
    host = mmap(at, block->size, PROT_READ | PROT_WRITE, flags, block->fd,
                (off_t)block->fd_offset);
    if (host == MAP_FAILED) {
        ram_set_error(error, errno, block, options);
        if (at)
            unmap(at, block->size, true);
        return false;
    }
    block->host = host;
    block->guarded = at != NULL;
    set_name(block);
    return true;
}

static bool advise(RamBlock *block, int advice, const char *what, GError **error)
{
    if (madvise(block->host, block->size, advice) == 0)
        return true;
    error_set_errno(error, errno, "cannot set '%s' of memory '%s'", what, block->name);
    return false;
}

/*
 * Whether the kernel gives huge pages to those who ask.  Of memory in memfds it decides
 * apart, and takes the advice in any case.
 */
static const char *thp_switch(const RamBlock *block)
{
    return block->fd < 0 ? "/sys/kernel/mm/transparent_hugepage/enabled"
                         : "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
}

static bool has_thp(const RamBlock *block)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(thp_switch(block), &text, NULL, NULL) &&
           !strstr(text, "[never]") && !strstr(text, "[deny]");
}

static bool apply_thp(RamBlock *block, RamWish wish, GError **error)
{
    switch (wish) {
    case RAM_WISH_NONE:
        return true;
    case RAM_WISH_OFF:
        madvise(block->host, block->size, MADV_NOHUGEPAGE);
        return true;
    case RAM_WISH_TRY:
        madvise(block->host, block->size, MADV_HUGEPAGE);
        return true;
    case RAM_WISH_ON:
        break;
    }
    if (!has_thp(block)) {
        error_set(error, "the host gives no transparent huge pages to memory '%s' (%s)",
                  block->name, thp_switch(block));
        return false;
    }
    return advise(block, MADV_HUGEPAGE, "thp", error);
}

static bool apply_merge(RamBlock *block, RamWish wish, GError **error)
{
    if (wish == RAM_WISH_TRY)
        madvise(block->host, block->size, MADV_MERGEABLE);
    return wish != RAM_WISH_ON || advise(block, MADV_MERGEABLE, "merge", error);
}

static bool apply_options(RamBlock *block, const RamOptions *options, GError **error)
{
    if (options->no_dump && !advise(block, MADV_DONTDUMP, "dump", error))
        return false;
    if (!apply_merge(block, options->merge, error) ||
        !apply_thp(block, options->thp, error))
        return false;
    return ram_populate_from(block, options, error) &&
           (!options->prealloc || ram_populate(block, options, error));
}

/* Rounds up, and refuses what no host has. */
static bool set_size(RamBlock *block, uint64_t size, const RamOptions *options,
                     GError **error)
{
    uint64_t page = ram_page_size(options);

    if (options->hugetlb_size &&
        (page & (page - 1) || page < host_page())) {
        error_set(error, "a page size of %" PRIu64 " bytes is not a power of two of at "
                  "least the host's pages", page);
        return false;
    }
    if (size == 0 || size > (uint64_t)INT64_MAX - page) {
        error_set(error, "memory '%s' cannot have %" PRIu64 " bytes", block->name, size);
        return false;
    }
    if (options->align & (options->align - 1)) {
        error_set(error, "an alignment of %" PRIu64 " bytes is not a power of two",
                  options->align);
        return false;
    }
    if (options->offset % page || options->offset > (uint64_t)INT64_MAX - size - page) {
        error_set(error, "memory '%s' cannot be at offset %" PRIu64 " of a file with "
                  "pages of %" PRIu64 " bytes", block->name, options->offset, page);
        return false;
    }
    block->size = ALIGN_UP(size, page);
    block->page_size = page;
    block->fd_offset = options->offset;
    return true;
}

/* A file has the pages of its file system. */
static bool settle_options(const RamOptions *asked, RamOptions *ret_options,
                           GError **error)
{
    uint64_t page;

    *ret_options = *asked;
    if (!asked->path)
        return true;
    if (!ram_file_page_size(asked, &page, error))
        return false;
    ret_options->hugetlb = page > host_page();
    ret_options->hugetlb_size = ret_options->hugetlb ? page : 0;
    return true;
}

RamBlock *ram_block_new(const char *name, uint64_t size, const RamOptions *asked,
                        GError **error)
{
    g_autoptr(RamBlock) block = g_new0(RamBlock, 1);
    RamOptions options;

    block->ref_count = 1;
    block->fd = -1;
    block->name = g_strdup(name);
    block->shared = asked->share;
    block->has_contents = asked->path != NULL;
    if (!settle_options(asked, &options, error) ||
        !set_size(block, size, &options, error) ||
        !ram_file_open(block, &options, error) || !map(block, &options, error))
        return NULL;
    ram_fault_add(block);
    if (!apply_options(block, &options, error))
        return NULL;
    block->discards = options.discard;
    return g_steal_pointer(&block);
}

RamBlock *ram_block_ref(RamBlock *block)
{
    g_atomic_int_inc(&block->ref_count);
    return block;
}

void ram_block_unref(RamBlock *block)
{
    if (!block || !g_atomic_int_dec_and_test(&block->ref_count))
        return;
    ram_fault_remove(block);
    /* Not to be written to a disk any more. */
    if (block->host && block->discards)
        madvise(block->host, block->size, MADV_REMOVE);
    if (block->host)
        unmap(block->host, block->size, block->guarded);
    base_close_fd(&block->fd);
    g_free(block->name);
    g_free(block);
}
