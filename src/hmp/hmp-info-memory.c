/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory there is: which addresses are answered by what (info mtree), and what the
 * process has of the host's (info memory-ledger).
 */
#include "berth/machine.h"
#include "berth/ram-map.h"

#include "qmp-commands.h"

#include "hmp-call.h"

#define ROM_END (4 * GIB)       /* the processor starts 16 bytes before */

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

/* Whether range @i is nearest to the begin of its block, which several may have. */
static bool is_first_of_block(const RamMap *map, size_t i)
{
    const RamMapRange *range = &map->ranges[i];

    for (size_t j = 0; j < map->n; j++) {
        const RamMapRange *other = &map->ranges[j];

        if (other->block == range->block &&
            (other->offset < range->offset || (other->offset == range->offset && j < i)))
            return false;
    }
    return true;
}

static void show_block(HmpCall *call, const RamMapRange *range)
{
    const RamBlock *block = range->block;
    g_autofree char *page = hmp_size_text((int64_t)block->page_size);

    hmp_printf(call, "%24s %8s  0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64
               " 0x%016" PRIx64 " %3s\n", block->name, page, range->gpa - range->offset,
               block->size, block->size, (uint64_t)(uintptr_t)block->host,
               range->is_rom ? "ro" : "rw");
}

void hmp_info_ramblock(HmpCall *call)
{
    AddressSpace *memory = call->ctx->machine->memory;
    g_autoptr(RamMap) map = memory ? ram_map_new(memory) : NULL;

    hmp_printf(call, "%24s %8s  %18s %18s %18s %18s %3s\n", "Block Name", "PSize",
               "Offset", "Used", "Total", "HVA", "RO");
    for (size_t i = 0; map && i < map->n; i++) {
        if (is_first_of_block(map, i))
            show_block(call, &map->ranges[i]);
    }
}

/* Option ROMs are the devices', and memory of the guest's where it maps them. */
void hmp_info_roms(HmpCall *call)
{
    const RamBlock *rom = call->ctx->machine->rom;

    if (rom)
        hmp_printf(call, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=rom name=\"%s\"\n",
                   (uint64_t)(ROM_END - rom->size), rom->size, rom->name);
    fw_cfg_hmp_show(call);
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
