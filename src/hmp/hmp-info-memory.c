/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory there is: which addresses are answered by what (info mtree), and what the
 * process has of the host's (info memory-ledger).
 */
#include "berth/machine.h"

#include "qmp-commands.h"

#include "hmp-call.h"

static void show_tree(HmpCall *call, const char *name, AddressSpace *as)
{
    g_autofree char *text =
        region_text_tree(as, address_space_root(as), hmp_flag(call, "disabled"));

    hmp_printf(call, "address-space: %s\n%s\n", name, text);
}

static void show_view(HmpCall *call, const char *name, AddressSpace *as, int n)
{
    const Region *root = address_space_root(as);
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
    } spaces[] = {
        { "memory", machine->memory },
        { "I/O", machine->io },
        { "smm", machine->smm },
    };

    for (int i = 0; i < (int)G_N_ELEMENTS(spaces); i++) {
        if (!spaces[i].as)
            continue;
        if (hmp_flag(call, "flat"))
            show_view(call, spaces[i].name, spaces[i].as, i);
        else
            show_tree(call, spaces[i].name, spaces[i].as);
    }
}

/* The name of a row and its numbers, in KiB, with "-" for @worst when nobody can tell. */
static void show_row(HmpCall *call, const char *owner, const char *id,
                     const uint64_t *columns, int n, const uint64_t *worst)
{
    hmp_printf(call, "%-11s", owner);
    for (int i = 0; i < n; i++)
        hmp_printf(call, " %10" PRIu64, columns[i] / (uint64_t)KIB);
    if (worst)
        hmp_printf(call, " %10" PRIu64, *worst / (uint64_t)KIB);
    else
        hmp_printf(call, " %10s", "-");
    hmp_printf(call, "%s%s\n", id ? "  " : "", id ? id : "");
}

static void show_mappings(HmpCall *call, const MemoryLedgerEntryList *entries)
{
    hmp_printf(call, "%-11s %10s %10s %10s %10s %10s %10s\n", "KiB", "mapped", "resident",
               "private", "shared", "swapped", "at most");
    for (size_t i = 0; i < entries->n; i++) {
        const MemoryLedgerEntry *entry = entries->items[i];
        const uint64_t columns[] = { entry->mapped, entry->resident, entry->private,
                                     entry->shared, entry->swapped };

        show_row(call, MemoryOwner_str(entry->owner), entry->id, columns,
                 G_N_ELEMENTS(columns),
                 entry->has_worst_case ? &entry->worst_case : NULL);
    }
}

static void show_heap(HmpCall *call, const MemoryLedgerHeapList *heap)
{
    hmp_printf(call, "\n%-11s %10s %10s\n", "of the heap", "allocated", "at most");
    for (size_t i = 0; i < heap->n; i++) {
        const MemoryLedgerHeap *part = heap->items[i];

        show_row(call, MemoryHeapOwner_str(part->owner), part->id, &part->allocated, 1,
                 part->has_worst_case ? &part->worst_case : NULL);
    }
}

void hmp_info_memory_ledger(HmpCall *call, const MemoryLedger *value)
{
    show_mappings(call, value->entries);
    show_heap(call, value->heap);
    hmp_printf(call, "\nresident: %" PRIu64 " KiB\nprivate: %" PRIu64
               " KiB\npage tables: %" PRIu64 " KiB\n",
               value->resident / (uint64_t)KIB, value->private / (uint64_t)KIB,
               value->page_tables / (uint64_t)KIB);
}
