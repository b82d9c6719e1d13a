/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "golden.h"

bool golden_is_written(void)
{
    return g_getenv("BERTH_UPDATE_GOLDEN") != NULL;
}

void golden_check(const char *path, const void *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *wanted = NULL;
    gsize wanted_size;

    if (golden_is_written()) {
        g_assert_true(g_file_set_contents(path, data, size, &error));
        return;
    }
    g_file_get_contents(path, &wanted, &wanted_size, &error);
    g_assert_no_error(error);
    if (wanted_size != size || memcmp(wanted, data, size) != 0)
        g_test_message("%s differs", path);
    g_assert_cmpmem(data, size, wanted, wanted_size);
}

void golden_check_versioned(const char *path, const char *text)
{
    g_autofree char *wanted = NULL;

    if (!golden_is_written()) {
        g_assert_true(g_file_get_contents(path, &wanted, NULL, NULL));
        if (strncmp(text, wanted, strcspn(text, "\n")) != 0) {
            g_test_message("%s is of another version", path);
            return;
        }
    }
    golden_check(path, text, strlen(text));
}
