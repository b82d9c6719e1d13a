/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>

#include "kit-process.h"

/* proc(5): "stat" has flags of the kernel's as the seventh word after the name. */
#define WORDS_TO_FLAGS " %*c %*d %*d %*d %*d %*d %u"
#define PF_EXITING 0x4u

static bool is_living(const char *task)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%s/stat", task);
    g_autofree char *text = NULL;
    const char *after_name;
    unsigned flags;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return false;
    after_name = strrchr(text, ')');
    g_assert_nonnull(after_name);
    g_assert_cmpint(sscanf(after_name + 1, WORDS_TO_FLAGS, &flags), ==, 1);
    return !(flags & PF_EXITING);
}

unsigned kit_count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (dir && readdir(dir))
        n++;
    closedir(dir);
    return n;
}

unsigned kit_count_tasks(void)
{
    DIR *dir = opendir("/proc/self/task");
    unsigned n = 0;

    g_assert_nonnull(dir);
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += entry->d_name[0] != '.' && is_living(entry->d_name);
    closedir(dir);
    return n;
}
