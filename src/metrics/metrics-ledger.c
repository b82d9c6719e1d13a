/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger of the process's memory, a text of its own: it takes the kernel time.
 */
#include "metrics-private.h"

static void add_owner(MetricsText *text, const char *labels, const char *state,
                      uint64_t value)
{
    g_autoptr(GString) all = g_string_new(labels);

    metrics_text_label(all, "state", state);
    metrics_text_gauge(text, "berth_ledger_memory_bytes",
                       "Memory of the process by owner", all->str, value);
}

static void add_entry(MetricsText *text, const MemoryLedgerEntry *entry)
{
    g_autoptr(GString) labels = g_string_new(NULL);

    metrics_text_label(labels, "owner", MemoryOwner_str(entry->owner));
    if (entry->id)
        metrics_text_label(labels, "id", entry->id);
    add_owner(text, labels->str, "mapped", entry->mapped);
    add_owner(text, labels->str, "resident", entry->resident);
    add_owner(text, labels->str, "private", entry->private);
    add_owner(text, labels->str, "shared", entry->shared);
    add_owner(text, labels->str, "swapped", entry->swapped);
    add_owner(text, labels->str, "merged", entry->merged);
    add_owner(text, labels->str, "huge", entry->huge);
    if (entry->has_worst_case)
        metrics_text_gauge(text, "berth_ledger_memory_worst_case_bytes",
                           "The most of an owner's that can ever be resident",
                           labels->str, entry->worst_case);
}

static void add_heap(MetricsText *text, const MemoryLedgerHeap *heap)
{
    g_autoptr(GString) labels = g_string_new(NULL);

    metrics_text_label(labels, "owner", MemoryHeapOwner_str(heap->owner));
    if (heap->id)
        metrics_text_label(labels, "id", heap->id);
    metrics_text_gauge(text, "berth_ledger_heap_bytes",
                       "Memory of the heap by who has allocated it", labels->str,
                       heap->allocated);
    if (heap->has_worst_case)
        metrics_text_gauge(text, "berth_ledger_heap_worst_case_bytes",
                           "The most that it can ever have allocated", labels->str,
                           heap->worst_case);
}

MetricsText *metrics_ledger_read(const MemoryLedger *ledger)
{
    MetricsText *text = metrics_text_new();

    for (size_t i = 0; i < ledger->entries->n; i++)
        add_entry(text, ledger->entries->items[i]);
    for (size_t i = 0; i < ledger->heap->n; i++)
        add_heap(text, ledger->heap->items[i]);
    metrics_text_gauge(text, "berth_ledger_resident_bytes",
                       "What of the process is in memory", "", ledger->resident);
    metrics_text_gauge(text, "berth_ledger_private_bytes",
                       "What of it no other process has", "", ledger->private);
    metrics_text_gauge(text, "berth_ledger_page_tables_bytes",
                       "Page tables that the kernel has for the process", "",
                       ledger->page_tables);
    if (ledger->has_host_kvm_page_tables)
        metrics_text_gauge(text, "berth_ledger_host_kvm_page_tables_bytes",
                           "Page tables that the kernel has for guests, of all machines",
                           "", ledger->host_kvm_page_tables);
    return text;
}
