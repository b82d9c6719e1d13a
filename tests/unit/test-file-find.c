/* SPDX-License-Identifier: Apache-2.0 */
#include <glib/gstdio.h>

#include "berth/file-find.h"

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

static void test_where_a_named_file_is(Fixture *f, const void *unused)
{
    const char *const folders[] = { "/nonexistent", f->folder, NULL };
    g_autofree char *here = g_get_current_dir();
    g_autofree char *found = NULL;

    g_assert_null(file_find("file", folders));
    g_assert_true(g_file_set_contents(f->path, "1", 1, NULL));
    found = file_find("file", folders);
    g_assert_cmpstr(found, ==, f->path);
    g_free(found);
    found = file_find(f->path, folders);
    g_assert_cmpstr(found, ==, f->path);
    g_assert_null(file_find("./file", folders));

    g_assert_cmpint(g_chdir(f->folder), ==, 0);
    g_free(found);
    found = file_find("file", folders);
    g_assert_cmpstr(found, ==, "file");
    g_free(found);
    found = file_find_installed("file", folders);
    g_assert_cmpstr(found, ==, f->path);
    g_assert_null(file_find_installed("file", folders + 2));
    g_assert_cmpint(g_chdir(here), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/file-find/where-a-named-file-is", Fixture, NULL, set_up,
               test_where_a_named_file_is, tear_down);
    return g_test_run();
}
