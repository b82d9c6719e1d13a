/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "berth/fdset.h"

static int open_null(int flags)
{
    return open("/dev/null", flags | O_CLOEXEC);
}

static int64_t add(FdSets *sets, const int64_t *id, int fd)
{
    g_autoptr(AddfdInfo) info = fdset_add(sets, id, fd, NULL, NULL);

    return info->fdset_id;
}

static void test_a_new_set_has_the_lowest_free_number(void)
{
    g_autoptr(FdSets) sets = fdset_new();
    int64_t one = 1;

    g_assert_cmpint(add(sets, &one, open_null(O_RDONLY)), ==, 1);

    g_assert_cmpint(add(sets, NULL, open_null(O_RDONLY)), ==, 0);
    g_assert_cmpint(add(sets, NULL, open_null(O_RDONLY)), ==, 2);
}

static void test_sets_are_listed_by_number(void)
{
    g_autoptr(FdSets) sets = fdset_new();
    g_autoptr(FdsetInfoList) list = NULL;
    int64_t ids[] = { 7, 2, 5, 2 };

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
        add(sets, &ids[i], open_null(O_RDONLY));
    list = fdset_query(sets);

    g_assert_cmpuint(list->n, ==, 3);
    g_assert_cmpint(list->items[0]->fdset_id, ==, 2);
    g_assert_cmpuint(list->items[0]->fds->n, ==, 2);
    g_assert_cmpint(list->items[1]->fdset_id, ==, 5);
    g_assert_cmpint(list->items[2]->fdset_id, ==, 7);
}

static void test_open_finds_the_descriptor_by_its_access(void)
{
    g_autoptr(FdSets) sets = fdset_new();
    g_autofd int fd = -1;
    int64_t id = 4;

    add(sets, &id, open_null(O_RDONLY));
    add(sets, &id, open_null(O_WRONLY));

    fd = fdset_open(sets, "/dev/fdset/4", O_WRONLY, NULL);

    g_assert_cmpint(fcntl(fd, F_GETFL) & O_ACCMODE, ==, O_WRONLY);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
}

static void test_open_tells_what_is_missing(void)
{
    static const struct {
        const char *path;
        const char *message;
    } cases[] = {
        { "/dev/fdset/4", "cannot open '/dev/fdset/4': Permission denied" },
        { "/dev/fdset/5", "cannot open '/dev/fdset/5': No such file or directory" },
        { "/dev/fdset/", "cannot open '/dev/fdset/': No such file or directory" },
        { "/dev/fdset/4x", "cannot open '/dev/fdset/4x': No such file or directory" },
        { "/no/such", "cannot open '/no/such': No such file or directory" },
    };
    g_autoptr(FdSets) sets = fdset_new();
    int64_t id = 4;

    add(sets, &id, open_null(O_RDONLY));

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(fdset_open(sets, cases[i].path, O_RDWR, &error), ==, -1);
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
}

static void test_remove_closes_one_or_all(void)
{
    g_autoptr(FdSets) sets = fdset_new();
    g_autoptr(GError) error = NULL;
    int64_t id = 0;
    int64_t first = open_null(O_RDONLY);
    int second = open_null(O_RDONLY);

    add(sets, &id, (int)first);
    add(sets, &id, second);

    g_assert_true(fdset_remove(sets, 0, &first, NULL));
    g_assert_cmpint(fcntl((int)first, F_GETFD), ==, -1);
    g_assert_cmpint(fcntl(second, F_GETFD), !=, -1);
    g_assert_false(fdset_remove(sets, 0, &first, &error));
    g_assert_cmpint(fcntl(second, F_GETFD), !=, -1);
    g_assert_true(fdset_remove(sets, 0, NULL, NULL));
    g_assert_cmpint(fcntl(second, F_GETFD), ==, -1);
    g_clear_error(&error);
    g_assert_false(fdset_remove(sets, 0, NULL, &error));
    g_assert_cmpstr(error->message, ==, "File descriptor named 'fdset-id:0' not found");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fdset/number", test_a_new_set_has_the_lowest_free_number);
    g_test_add_func("/fdset/list", test_sets_are_listed_by_number);
    g_test_add_func("/fdset/open", test_open_finds_the_descriptor_by_its_access);
    g_test_add_func("/fdset/open-errors", test_open_tells_what_is_missing);
    g_test_add_func("/fdset/remove", test_remove_closes_one_or_all);
    return g_test_run();
}
