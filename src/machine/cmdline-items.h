/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The items of options that may be repeated (each -device, each -chardev), as pairs until
 * the whole command line is known: "-set" may change them, and "-global" says what
 * devices leave out.  Main only.
 */
#pragma once

#include "berth/device-globals.h"
#include "berth/qapi-option.h"

typedef struct CmdlineItems CmdlineItems;

CmdlineItems *cmdline_items_new(void);
void cmdline_items_free(CmdlineItems *items);

/*
 * Keeps @pairs, of which the typed value goes to @list (lent) later.  @where is what an
 * error names: "-device pcie-root-port,id=a".
 */
void cmdline_items_add(CmdlineItems *items, const CmdlineOption *option, GPtrArray *list,
                       const JsonValue *pairs, const char *where);

/*
 * "GROUP.ID.PARAMETER=VALUE": GROUP is an option without its dash.  False with @error
 * when there is no such item.
 */
bool cmdline_items_set(CmdlineItems *items, const char *text, GError **error);

/* Types all items, in their order, into their lists; false with the first @error. */
bool cmdline_items_parse(CmdlineItems *items, const DeviceGlobals *globals,
                         GError **error);
