/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info mtree: which addresses are answered by what.
 */
#include "berth/machine.h"

#include "hmp-call.h"

static void show_tree(HmpCall *call, const char *name, AddressSpace *as,
                      const Region *root)
{
    g_autofree char *text = region_text_tree(as, root, hmp_flag(call, "disabled"));

    hmp_printf(call, "address-space: %s\n%s\n", name, text);
}

static void show_view(HmpCall *call, const char *name, AddressSpace *as,
                      const Region *root, int n)
{
    g_autofree char *text = address_space_describe(as);

    hmp_printf(call, "FlatView #%d\n AS \"%s\", root: %s\n Root memory region: %s\n%s\n",
               n, name, root->name, root->name, text);
}

void hmp_info_mtree(HmpCall *call)
{
    const Machine *machine = call->ctx->machine;
    const struct {
        const char *name;
        AddressSpace *as;
        const Region *root;
    } spaces[] = {
        { "memory", machine->memory, &machine->memory_root },
        { "I/O", machine->io, &machine->io_root },
    };

    for (int i = 0; i < (int)G_N_ELEMENTS(spaces); i++) {
        if (!spaces[i].as)
            continue;
        if (hmp_flag(call, "flat"))
            show_view(call, spaces[i].name, spaces[i].as, spaces[i].root, i);
        else
            show_tree(call, spaces[i].name, spaces[i].as, spaces[i].root);
    }
}
