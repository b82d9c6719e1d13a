/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "berth/error.h"

static void test_errno_is_appended(void)
{
    g_autoptr(GError) error = NULL;

    error_set_errno(&error, ENOENT, "cannot open '%s'", "x");

    g_assert_cmpstr(error->message, ==, "cannot open 'x': No such file or directory");
}

static void test_class_names_are_qmp_spelling(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) foreign = g_error_new(g_quark_from_static_string("other"), 3, "x");

    error_set_class(&error, BERTH_ERROR_DEVICE_NOT_FOUND, "device '%s' not found", "a");

    g_assert_cmpstr(error_class_name(error), ==, "DeviceNotFound");
    g_assert_cmpstr(error_class_name(foreign), ==, "GenericError");
}

static void test_null_error_is_accepted(void)
{
    error_set(NULL, "x");
    error_set_errno(NULL, EIO, "x");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/errno-is-appended", test_errno_is_appended);
    g_test_add_func("/error/class-names-are-qmp-spelling",
                    test_class_names_are_qmp_spelling);
    g_test_add_func("/error/null-error-is-accepted", test_null_error_is_accepted);
    return g_test_run();
}
