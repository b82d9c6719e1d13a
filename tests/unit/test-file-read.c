/* SPDX-License-Identifier: Apache-2.0 */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/file-read.h"

typedef struct Fixture {
    char *folder;
    char *path;
} Fixture;

static void set_up(Fixture *f, const void *unused)
{
    f->folder = g_dir_make_tmp("berth-file-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "file", NULL);
}

static void tear_down(Fixture *f, const void *unused)
{
    g_unlink(f->path);
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->path);
}

static void test_sizes_around_every_limit(Fixture *f, const void *unused)
{
    static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 20000 };
    static const size_t limits[] = { 1, 4095, 4096, 4097, 8192, 8193, 20000, 1 << 20 };
    g_autofree char *bytes = g_malloc(20000);

    for (size_t i = 0; i < 20000; i++)
        bytes[i] = i * 7;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_assert_true(g_file_set_contents(f->path, bytes, sizes[i], NULL));
        for (size_t k = 0; k < G_N_ELEMENTS(limits); k++) {
            g_autoptr(GError) error = NULL;
            size_t size;
            g_autofree uint8_t *data = file_read(f->path, limits[k], &size, &error);

            g_assert_true((data != NULL) == (sizes[i] <= limits[k]));
            g_assert_true(!data == !!error);
            if (!data)
                continue;
            g_assert_cmpmem(data, size, bytes, sizes[i]);
            g_assert_cmpuint(data[size], ==, 0);
        }
    }
}

/* Their size is 0 before they are read. */
static void test_files_of_proc_are_read(Fixture *f, const void *unused)
{
    size_t size;
    g_autofree uint8_t *data = file_read("/proc/self/status", MIB, &size, NULL);

    g_assert_nonnull(data);
    g_assert_nonnull(strstr((char *)data, "VmRSS"));
}

static void test_what_is_no_file_is_refused(Fixture *f, const void *unused)
{
    const char *const paths[] = { "/dev/null", f->folder, f->path, "/proc/no/file" };

    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GError) error = NULL;
        size_t size;

        g_assert_null(file_read(paths[i], MIB, &size, &error));
        g_assert_nonnull(strstr(error->message, paths[i]));
    }
}

#define add(path, fn) g_test_add("/file-read/" path, Fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("sizes-around-every-limit", test_sizes_around_every_limit);
    add("files-of-proc-are-read", test_files_of_proc_are_read);
    add("what-is-no-file-is-refused", test_what_is_no_file_is_refused);
    return g_test_run();
}
