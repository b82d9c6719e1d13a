/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files, "-readconfig":
 *
 *     # a comment
 *     [device "rng0"]
 *       driver = "virtio-rng-pci"
 *
 * A section is one occurrence of an option, by the name of its group; the text behind it
 * is the key "id".  A value ends at the next quote, without escapes.  Main only.
 */
#pragma once

#include "berth/base.h"

/*
 * Takes a section, @pairs as the command line has them ("id=rng0,driver=..."); an error
 * tells of it as @where.  Everything is lent.
 */
typedef bool CmdlineConfigFn(void *opaque, const char *group, const char *pairs,
                             const char *where, GError **error);

/* Calls @fn for each section in order, until one is refused. */
bool cmdline_config_read(const char *path, CmdlineConfigFn *fn, void *opaque,
                         GError **error);
