/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/stat.h>

#include "berth/file-find.h"

/* By a call that the main thread may make in the sandbox, for what is hot-plugged. */
static bool is_there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

char *file_find(const char *name, const char *const *folders)
{
    if (is_there(name))
        return g_strdup(name);
    return strchr(name, '/') ? NULL : file_find_installed(name, folders);
}

char *file_find_installed(const char *name, const char *const *folders)
{
    for (; *folders; folders++) {
        g_autofree char *path = g_build_filename(*folders, name, NULL);

        if (is_there(path))
            return g_steal_pointer(&path);
    }
    return NULL;
}
