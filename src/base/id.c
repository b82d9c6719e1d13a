/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names given by operators and clients.  They appear in paths, in lists separated by
 * commas and in logs, hence the narrow alphabet, which is QEMU's.
 */
#include "berth/error.h"
#include "berth/id.h"

bool id_check(const char *id, const char *parameter, GError **error)
{
    bool valid = g_ascii_isalpha(id[0]);

    for (const char *c = id; *c && valid; c++)
        valid = g_ascii_isalnum(*c) || *c == '-' || *c == '.' || *c == '_';
    if (!valid)
        error_set(error,
                  "parameter '%s' expects an identifier (a letter, then letters, digits, "
                  "'-', '.', '_'), not '%s'", parameter, id);
    return valid;
}
