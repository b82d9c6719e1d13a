/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory of every kind, and errors that tell what was wanted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "berth/ram.h"
#include "berth/thread.h"

#define PAGE 4096

static unsigned resident_pages(const RamBlock *block)
{
    g_autofree unsigned char *pages = g_malloc0(block->size / PAGE);
    unsigned n = 0;

    g_assert_cmpint(mincore(block->host, block->size, pages), ==, 0);
    for (uint64_t i = 0; i < block->size / PAGE; i++)
        n += pages[i] & 1;
    return n;
}

static void test_anonymous(void)
{
    g_autoptr(RamBlock) block = ram_block_new("ram", 5000, &(RamOptions){ 0 }, NULL);

    g_assert_cmpuint(block->size, ==, 2 * PAGE);
    g_assert_cmpint(block->fd, ==, -1);
    g_assert_cmpint(block->host[5000], ==, 0);
    block->host[2 * PAGE - 1] = 1;
}

static void test_nothing_is_touched(void)
{
    RamOptions options = { .memfd = true, .share = true, .no_reserve = true };
    g_autoptr(RamBlock) block = ram_block_new("ram", 64 * MIB, &options, NULL);

    g_assert_cmpuint(resident_pages(block), ==, 0);
}

static void test_large_memory_is_aligned(void)
{
    static const uint64_t sizes[] = { 2 * MIB, 3 * MIB + PAGE, 64 * MIB };

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        RamOptions options = { .memfd = i % 2, .share = i % 2, .no_reserve = true };
        g_autoptr(RamBlock) block = ram_block_new("ram", sizes[i], &options, NULL);

        g_assert_cmphex((uintptr_t)block->host % (2 * MIB), ==, 0);
        block->host[0] = 1;
        block->host[block->size - 1] = 1;
    }
}

/* The mapping that holds @address, as /proc tells it: its first line to its flags. */
static char *mapping_of(const void *address)
{
    g_autofree char *maps = NULL;
    char **lines;
    char *found = NULL;
    bool here = false;

    g_assert_true(g_file_get_contents("/proc/self/smaps", &maps, NULL, NULL));
    lines = g_strsplit(maps, "\n", -1);
    for (unsigned i = 0; lines[i] && !found; i++) {
        uint64_t begin, end;

        if (sscanf(lines[i], "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2)
            here = (uintptr_t)address >= begin && (uintptr_t)address < end;
        if (here && g_str_has_prefix(lines[i], "VmFlags:"))
            found = g_strconcat(lines[i], " ", NULL);
    }
    g_strfreev(lines);
    return found ? found : g_strdup("");
}

static bool has_flag(const void *address, const char *flag)
{
    g_autofree char *flags = mapping_of(address);
    g_autofree char *word = g_strdup_printf(" %s ", flag);

    return strstr(flags, word) != NULL;
}

static void test_neighbours_cannot_be_reached(void)
{
    g_autoptr(RamBlock) block = ram_block_new("ram", 4 * MIB, &(RamOptions){ 0 }, NULL);

    g_assert_true(has_flag(block->host, "wr"));
    g_assert_true(has_flag(block->host + block->size - 1, "wr"));
    g_assert_false(has_flag(block->host - 1, "wr"));
    g_assert_false(has_flag(block->host + block->size, "wr"));
    g_assert_cmpint(msync(block->host - PAGE, PAGE, MS_ASYNC), ==, 0);
    g_assert_cmpint(msync(block->host + block->size, PAGE, MS_ASYNC), ==, 0);
}

/* Large requests to disks are twice as fast with them. */
static void test_huge_pages_are_asked_for(void)
{
    static const struct {
        RamWish wish;
        bool asked;
        bool refused;
    } cases[] = {
        { RAM_WISH_NONE, false, false },
        { RAM_WISH_TRY, true, false },
        { RAM_WISH_OFF, false, true },
    };

    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0) {
        g_test_skip("the host has no transparent huge pages");
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        RamOptions options = { .thp = cases[i].wish };
        g_autoptr(RamBlock) block = ram_block_new("ram", 16 * MIB, &options, NULL);

        g_assert_cmpint(has_flag(block->host, "hg"), ==, cases[i].asked);
        g_assert_cmpint(has_flag(block->host, "nh"), ==, cases[i].refused);
    }
}

/* Where the kernel says that it gives none, and only there, who insists hears so. */
static void test_huge_pages_that_there_must_be(void)
{
    for (unsigned i = 0; i < 2; i++) {
        RamOptions options = { .memfd = i, .share = i, .thp = RAM_WISH_ON };
        const char *path = i ? "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
                             : "/sys/kernel/mm/transparent_hugepage/enabled";
        g_autofree char *text = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(RamBlock) block = ram_block_new("ram", 16 * MIB, &options, &error);

        if (g_file_get_contents(path, &text, NULL, NULL) && !strstr(text, "[never]") &&
            !strstr(text, "[deny]")) {
            g_assert_no_error(error);
            g_assert_true(has_flag(block->host, "hg"));
        } else {
            g_assert_null(block);
            g_assert_nonnull(strstr(error->message, path));
        }
    }
}

static void test_prealloc_touches_all(void)
{
    RamOptions options = { .memfd = true, .share = true, .prealloc = true };
    g_autoptr(RamBlock) block = ram_block_new("ram", MIB, &options, NULL);

    g_assert_cmpuint(resident_pages(block), ==, MIB / PAGE);
}

static void test_memfd_is_shared_and_sealed(void)
{
    RamOptions options = { .memfd = true, .share = true, .seal = true };
    g_autoptr(RamBlock) block = ram_block_new("pc.ram", 4 * PAGE, &options, NULL);
    char bytes[5];

    memcpy(block->host + PAGE, "berth", 5);

    g_assert_cmpint(pread(block->fd, bytes, 5, PAGE), ==, 5);
    g_assert_cmpmem(bytes, 5, "berth", 5);
    g_assert_cmpint(ftruncate(block->fd, PAGE), ==, -1);
    g_assert_cmpint(errno, ==, EPERM);
    g_assert_cmpint(fcntl(block->fd, F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
    g_assert_cmpint(fcntl(block->fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
}

static void test_private_memfd_keeps_writes(void)
{
    RamOptions options = { .memfd = true };
    g_autoptr(RamBlock) block = ram_block_new("ram", PAGE, &options, NULL);
    char byte = 'x';

    block->host[0] = 'b';

    g_assert_cmpint(pread(block->fd, &byte, 1, 0), ==, 1);
    g_assert_cmpint(byte, ==, 0);
}

static void test_huge_pages_or_a_reason(void)
{
    RamOptions options = { .memfd = true, .share = true, .hugetlb = true,
                           .hugetlb_size = 2 * MIB };
    g_autoptr(GError) error = NULL;
    g_autoptr(RamBlock) block = ram_block_new("ram", 64 * GIB, &options, &error);

    g_assert_null(block);
    g_assert_nonnull(strstr(error->message, "65536 MiB"));
    g_assert_nonnull(strstr(error->message, "2048 KiB"));
    g_assert_nonnull(strstr(error->message, "available"));
}

static void test_impossible_sizes(void)
{
    static const uint64_t sizes[] = { 0, UINT64_MAX, INT64_MAX, 1ull << 62 };

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        RamOptions options = { .memfd = true };

        g_assert_null(ram_block_new("pc.ram", sizes[i], &options, &error));
        g_assert_nonnull(strstr(error->message, "pc.ram"));
    }
}

static void test_wrong_page_size(void)
{
    g_autoptr(GError) error = NULL;
    RamOptions options = { .hugetlb = true, .hugetlb_size = 3 * MIB };

    g_assert_null(ram_block_new("ram", MIB, &options, &error));
    g_assert_nonnull(strstr(error->message, "power of two"));
}

static void test_last_reference_unmaps(void)
{
    RamBlock *block = ram_block_new("ram", PAGE, &(RamOptions){ .memfd = true }, NULL);
    int fd = block->fd;

    ram_block_unref(ram_block_ref(block));
    g_assert_cmpint(fcntl(fd, F_GETFD), >=, 0);
    ram_block_unref(block);

    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    ram_block_unref(NULL);
}

typedef struct Folder {
    char *path;
    char *file;
} Folder;

static void set_up(Folder *f, gconstpointer data)
{
    f->path = g_dir_make_tmp("berth-ram-XXXXXX", NULL);
    f->file = g_build_filename(f->path, "ram", NULL);
}

static void tear_down(Folder *f, gconstpointer data)
{
    unlink(f->file);
    g_assert_cmpint(rmdir(f->path), ==, 0);
    g_free(f->file);
    g_free(f->path);
}

/* What is told is what was free before any of it was taken. */
static void test_more_than_the_file_system_has(Folder *f, gconstpointer data)
{
    RamOptions options = { .path = f->path, .share = true, .prealloc = true };
    g_autoptr(GError) error = NULL;
    g_autoptr(RamBlock) block = NULL;
    struct statvfs stat;
    uint64_t room;

    g_assert_cmpint(statvfs(f->path, &stat), ==, 0);
    room = (uint64_t)stat.f_bavail * stat.f_frsize;
    block = ram_block_new("ram", ALIGN_UP(room, GIB) + 4 * GIB, &options, &error);

    g_assert_null(block);
    if (!strstr(error->message, "the file system has"))
        g_test_skip("its files cannot be that large");
    else
        g_assert_null(strstr(error->message, "has 0 MiB"));
}

static uint64_t file_size(const Folder *f)
{
    struct stat stat_ = { 0 };

    return stat(f->file, &stat_) < 0 ? 0 : (uint64_t)stat_.st_size;
}

static void test_a_shared_file_is_the_memory(Folder *f, gconstpointer data)
{
    RamOptions options = { .path = f->file, .share = true, .offset = 2 * PAGE };
    RamBlock *block = ram_block_new("ram", 4 * PAGE, &options, NULL);
    g_autofree char *bytes = NULL;
    size_t size;

    g_assert_cmpuint(file_size(f), ==, 6 * PAGE);
    memcpy(block->host + PAGE, "berth", 5);
    ram_block_unref(block);

    g_assert_true(g_file_get_contents(f->file, &bytes, &size, NULL));
    g_assert_cmpmem(bytes + 3 * PAGE, 5, "berth", 5);

    block = ram_block_new("ram", 4 * PAGE, &options, NULL);
    g_assert_cmpmem(block->host + PAGE, 5, "berth", 5);
    ram_block_unref(block);
}

/* Several guests start from the memory of one. */
static void test_a_template_stays_as_it_is(Folder *f, gconstpointer data)
{
    RamOptions options = { .path = f->file, .read_only = true };
    g_autoptr(RamBlock) one = NULL, other = NULL;

    g_assert_true(g_file_set_contents(f->file, "template", 8, NULL));
    g_assert_cmpint(truncate(f->file, 2 * PAGE), ==, 0);
    one = ram_block_new("one", 2 * PAGE, &options, NULL);
    other = ram_block_new("other", 2 * PAGE, &options, NULL);

    memcpy(one->host, "its own!", 8);

    g_assert_cmpmem(other->host, 8, "template", 8);
    g_assert_false(one->shared);
}

static void test_a_folder_keeps_nothing(Folder *f, gconstpointer data)
{
    RamOptions options = { .path = f->path, .share = true };
    g_autoptr(RamBlock) block = ram_block_new("a/b", 2 * PAGE, &options, NULL);

    block->host[PAGE] = 1;

    /* The folder is empty, or tear_down() fails. */
    g_assert_cmpint(block->fd, >=, 0);
}

static void test_what_is_discarded_is_not_in_the_file(Folder *f, gconstpointer data)
{
    RamOptions options = { .path = f->file, .share = true, .discard = true };
    RamBlock *block = ram_block_new("ram", PAGE, &options, NULL);
    g_autofree char *bytes = NULL;
    size_t size;

    block->host[0] = 'x';
    ram_block_unref(block);

    g_assert_true(g_file_get_contents(f->file, &bytes, &size, NULL));
    g_assert_cmpuint(size, ==, PAGE);
    g_assert_cmpint(bytes[0], ==, 0);
}

static void assert_refused(const RamOptions *options, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(ram_block_new("ram", 2 * PAGE, options, &error));
    if (!strstr(error->message, words))
        g_error("'%s' is not in: %s", words, error->message);
}

static void test_files_that_cannot_be(Folder *f, gconstpointer data)
{
    g_autofree char *absent = g_build_filename(f->path, "absent", "ram", NULL);

    assert_refused(&(RamOptions){ .path = absent }, "No such file");
    assert_refused(&(RamOptions){ .path = f->file, .read_only = true }, "No such file");
    assert_refused(&(RamOptions){ .path = "/dev/null" }, "not a file");
    assert_refused(&(RamOptions){ .path = f->file, .offset = 1 }, "offset 1");
    assert_refused(&(RamOptions){ .path = f->file, .offset = ~0xfffull }, "offset");
    assert_refused(&(RamOptions){ .path = f->file, .align = 3 * PAGE }, "power of two");
    g_assert_false(g_file_test(f->file, G_FILE_TEST_EXISTS));

    g_assert_true(g_file_set_contents(f->file, "short", 5, NULL));
    assert_refused(&(RamOptions){ .path = f->file }, "has 5 bytes, too few for 8192");
    g_assert_cmpuint(file_size(f), ==, 5);
}

static void test_addresses_are_aligned(Folder *f, gconstpointer data)
{
    static const uint64_t aligns[] = { PAGE, 4 * MIB, 64 * MIB };

    for (unsigned i = 0; i < G_N_ELEMENTS(aligns); i++) {
        RamOptions options = { .path = f->file, .align = aligns[i] };
        g_autoptr(RamBlock) block = ram_block_new("ram", 2 * PAGE, &options, NULL);

        g_assert_cmphex((uintptr_t)block->host % aligns[i], ==, 0);
    }
}

static void test_threads_touch_all(void)
{
    static const unsigned threads[] = { 1, 2, 3, 7, 1000 };

    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        RamOptions options = { .prealloc = true, .prealloc_threads = threads[i] };
        g_autoptr(RamBlock) block = ram_block_new("ram", 101 * PAGE, &options, NULL);

        g_assert_cmpuint(resident_pages(block), ==, 101);
    }
}

/* It is known before the host's kernel has to end somebody. */
static void test_more_than_the_host_has(void)
{
    RamOptions options = { .prealloc = true, .no_reserve = true };
    g_autoptr(GError) error = NULL;
    g_autoptr(RamBlock) block = ram_block_new("ram", 16 * 1024 * GIB, &options, &error);

    g_assert_null(block);
    g_assert_nonnull(strstr(error->message, "16777216 MiB"));
    g_assert_nonnull(strstr(error->message, "available"));
}

static void test_nodes_of_the_host(void)
{
    RamOptions options = { .policy = RAM_POLICY_BIND, .n_node_bits = 1, .nodes = { 1 } };
    g_autoptr(RamBlock) block = NULL;
    g_autoptr(GError) error = NULL;

    if (access("/sys/devices/system/node/node0", F_OK) < 0) {
        g_test_skip("the host's kernel knows no nodes");
        return;
    }
    block = ram_block_new("ram", PAGE, &options, NULL);
    g_assert_nonnull(block);
    block->host[0] = 1;

    if (access("/sys/devices/system/node/node77", F_OK) == 0)
        return;
    options.nodes[0] = 0;
    options.nodes[1] = 1ul << 13;
    options.n_node_bits = 78;
    g_assert_null(ram_block_new("ram", PAGE, &options, &error));
    g_assert_nonnull(strstr(error->message, "nodes of the host"));
}

/* What a balloon gives back: the host has it, and the rest is as it was. */
static void check_discard(const char *name, const RamOptions *options, bool leaves_zeros)
{
    g_autoptr(RamBlock) block = ram_block_new(name, 16 * PAGE, options, NULL);
    unsigned before;

    g_assert_nonnull(block);
    memset(block->host, 7, block->size);
    before = resident_pages(block);
    g_assert_cmpuint(block->page_size, ==, PAGE);
    g_assert_cmpint(ram_discard_pages(block, 4 * PAGE, 8 * PAGE), ==, 0);

    g_assert_true(ram_discard_leaves_zeros(block) == leaves_zeros);
    /* A file system may keep pages of its own. */
    if (!options->path)
        g_assert_cmpuint(resident_pages(block), ==, before - 8);
    for (unsigned i = 0; i < 16; i++) {
        bool is_gone = i >= 4 && i < 12;

        g_assert_cmpint(block->host[i * PAGE], ==, !is_gone ? 7 : leaves_zeros ? 0 : 3);
    }
}

static void test_pages_are_given_back(Folder *f, gconstpointer unused)
{
    g_autofree char *path = g_build_filename(f->path, "memory", NULL);
    g_autofree char *contents = g_malloc(16 * PAGE);
    static const RamOptions plain[] = {
        { .no_reserve = true },
        { .share = true },
        { .memfd = true, .share = true },
        { .memfd = true },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(plain); i++)
        check_discard("plain", &plain[i], true);
    memset(contents, 3, 16 * PAGE);
    g_assert_true(g_file_set_contents(path, contents, 16 * PAGE, NULL));
    check_discard("private file", &(RamOptions) { .path = path }, false);
    check_discard("file", &(RamOptions) { .path = path, .share = true }, true);
    g_assert_cmpint(unlink(path), ==, 0);
}

#define add_file_test(path, fn) \
    g_test_add("/ram/file/" path, Folder, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    add_file_test("shared", test_a_shared_file_is_the_memory);
    add_file_test("template", test_a_template_stays_as_it_is);
    add_file_test("full", test_more_than_the_file_system_has);
    add_file_test("folder", test_a_folder_keeps_nothing);
    add_file_test("discard", test_what_is_discarded_is_not_in_the_file);
    add_file_test("given-back", test_pages_are_given_back);
    add_file_test("wrong", test_files_that_cannot_be);
    add_file_test("aligned", test_addresses_are_aligned);
    g_test_add_func("/ram/prealloc-threads", test_threads_touch_all);
    g_test_add_func("/ram/more-than-the-host-has", test_more_than_the_host_has);
    g_test_add_func("/ram/nodes-of-the-host", test_nodes_of_the_host);
    g_test_add_func("/ram/anonymous-is-rounded-to-pages", test_anonymous);
    g_test_add_func("/ram/nothing-is-touched", test_nothing_is_touched);
    g_test_add_func("/ram/large-memory-is-aligned", test_large_memory_is_aligned);
    g_test_add_func("/ram/neighbours-cannot-be-reached",
                    test_neighbours_cannot_be_reached);
    g_test_add_func("/ram/huge-pages/asked-for", test_huge_pages_are_asked_for);
    g_test_add_func("/ram/huge-pages/insisted-on", test_huge_pages_that_there_must_be);
    g_test_add_func("/ram/prealloc-touches-all", test_prealloc_touches_all);
    g_test_add_func("/ram/memfd-is-shared-and-sealed", test_memfd_is_shared_and_sealed);
    g_test_add_func("/ram/private-memfd-keeps-writes", test_private_memfd_keeps_writes);
    g_test_add_func("/ram/huge-pages-or-a-reason", test_huge_pages_or_a_reason);
    g_test_add_func("/ram/impossible-sizes", test_impossible_sizes);
    g_test_add_func("/ram/wrong-page-size", test_wrong_page_size);
    g_test_add_func("/ram/last-reference-unmaps", test_last_reference_unmaps);
    return g_test_run();
}
