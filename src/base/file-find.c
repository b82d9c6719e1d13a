/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "berth/file-find.h"

char *file_find(const char *name, const char *const *folders)
{
    if (access(name, F_OK) == 0)
        return g_strdup(name);
    return strchr(name, '/') ? NULL : file_find_installed(name, folders);
}

char *file_find_installed(const char *name, const char *const *folders)
{
    for (; *folders; folders++) {
        g_autofree char *path = g_build_filename(*folders, name, NULL);

        if (access(path, F_OK) == 0)
            return g_steal_pointer(&path);
    }
    return NULL;
}
