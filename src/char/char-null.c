/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Swallows output, has no input: a chardev whose far end never comes.
 */
#include "char-private.h"

static bool null_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    return true;
}

static void null_close(Chardev *chr)
{
}

const CharClass char_null_class = {
    .name = "null",
    .instance_size = sizeof(Chardev),
    .open = null_open,
    .close = null_close,
};
