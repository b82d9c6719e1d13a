/* SPDX-License-Identifier: Apache-2.0 */
#include <glib/gstdio.h>

#include "berth/file-find.h"

static void test_where_a_named_file_is(void)
{
    g_autofree char *folder = g_dir_make_tmp("berth-file-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "file", NULL);
    const char *const folders[] = { "/nonexistent", folder, NULL };
    g_autofree char *here = g_get_current_dir();
    g_autofree char *found = NULL;

    g_assert_null(file_find("file", folders));
    g_assert_true(g_file_set_contents(path, "1", 1, NULL));
    found = file_find("file", folders);
    g_assert_cmpstr(found, ==, path);
    g_free(found);
    found = file_find(path, folders);
    g_assert_cmpstr(found, ==, path);
    g_assert_null(file_find("./file", folders));

    g_assert_cmpint(g_chdir(folder), ==, 0);
    g_free(found);
    found = file_find("file", folders);
    g_assert_cmpstr(found, ==, "file");
    g_free(found);
    found = file_find_installed("file", folders);
    g_assert_cmpstr(found, ==, path);
    g_assert_null(file_find_installed("file", folders + 2));
    g_assert_cmpint(g_chdir(here), ==, 0);

    g_unlink(path);
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-find/where-a-named-file-is", test_where_a_named_file_is);
    return g_test_run();
}
