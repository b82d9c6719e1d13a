/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of the process has what memory: each mapping that the kernel tells of is one
 * owner's, so that the sum is the kernel's own.
 *
 * A worker reads, since it takes the kernel time to count what a large guest has, and
 * sums up into fixed places.  What it needs to know of the machine main has noted before:
 * where guest memory is, which is held until then.  The rest is told by what the kernel
 * says of a mapping:
 *
 *     between the linker's __ehdr_start and _end                program
 *     a file, and what follows one without a gap (its .bss)     libraries
 *     [stack], and what follows a mapping that nobody can
 *     access, as the C library makes stacks of threads          stacks
 *     other private memory, [heap] among it                     heap
 */
#include "berth/error.h"
#include "berth/host-memory.h"
#include "berth/memory-backend.h"
#include "berth/ram-map.h"
#include "berth/thread.h"
#include "berth/worker.h"

#include "qmp-commands.h"

#include "berth/memory-ledger.h"
#include "berth/smaps.h"

/* The linker's, of what this file is linked into. */
#pragma GCC visibility push(hidden)
extern const char __ehdr_start[], _end[];
#pragma GCC visibility pop

/* What mappings of one owner sum up to, in bytes. */
typedef struct LedgerSum {
    uint64_t mapped;
    uint64_t resident;
    uint64_t private;
    uint64_t shared;
    uint64_t swapped;
    uint64_t merged;
    uint64_t huge;
} LedgerSum;

/* Memory of the guest. */
typedef struct LedgerBlock {
    RamBlock *ram;              /* referenced */
    bool is_rom;
    LedgerSum sum;
} LedgerBlock;

typedef struct MemoryQuery {
    Machine *machine;
    ListNode node;              /* in Machine.memory_queries */
    QmpReply *reply;
    WorkerJob job;
    MemoryLedgerHeapList *heap; /* as it was when the query came */

    /* The worker's while it works. */
    GArray *blocks;             /* of LedgerBlock */
    LedgerSum sums[MEMORY_OWNER__MAX];
    uint64_t end;               /* of the mapping before */
    bool after_guard;
    bool after_file;
    int err;                    /* errno */
    uint64_t page_tables;
    uint64_t host_kvm_tables;   /* 0: the kernel does not tell */
} MemoryQuery;

static LedgerSum *find_block(MemoryQuery *query, uint64_t address)
{
    for (guint i = 0; i < query->blocks->len; i++) {
        LedgerBlock *block = &g_array_index(query->blocks, LedgerBlock, i);
        uint64_t start = (uintptr_t)block->ram->host;

        if (address >= start && address - start < block->ram->size)
            return &block->sum;
    }
    return NULL;
}

static MemoryOwner find_owner(const MemoryQuery *query, const SmapsMapping *mapping)
{
    static const struct {
        const char *prefix;
        MemoryOwner owner;
    } names[] = {
        { "[stack", MEMORY_OWNER_STACKS },
        { "[heap]", MEMORY_OWNER_HEAP },
        { "[anon", MEMORY_OWNER_HEAP },
        { "anon_inode:kvm", MEMORY_OWNER_KVM },
        { "/[aio]", MEMORY_OWNER_AIO },
        { "[", MEMORY_OWNER_OTHER },
        { "/memfd:", MEMORY_OWNER_OTHER },
        { "/dev/", MEMORY_OWNER_OTHER },
        { "/", MEMORY_OWNER_LIBRARIES },
        { "", MEMORY_OWNER_OTHER },
    };
    size_t i = 0;

    if (mapping->start >= (uintptr_t)__ehdr_start &&
        mapping->start < (uintptr_t)_end)
        return MEMORY_OWNER_PROGRAM;
    if (!mapping->name[0] && query->after_file)
        return MEMORY_OWNER_LIBRARIES;
    if (!mapping->name[0])
        return query->after_guard ? MEMORY_OWNER_STACKS : MEMORY_OWNER_HEAP;
    while (!g_str_has_prefix(mapping->name, names[i].prefix))
        i++;
    return names[i].owner;
}

static void on_mapping(void *opaque, const SmapsMapping *mapping)
{
    MemoryQuery *query = opaque;
    LedgerSum *sum = find_block(query, mapping->start);

    query->after_guard = query->after_guard && mapping->start == query->end;
    query->after_file = query->after_file && mapping->start == query->end;
    if (!sum && !mapping->is_guard)
        sum = &query->sums[find_owner(query, mapping)];
    query->end = mapping->end;
    query->after_guard = mapping->is_guard && !mapping->is_file;
    query->after_file = mapping->is_file;
    if (!sum)
        return;
    sum->mapped += mapping->end - mapping->start;
    sum->resident += mapping->resident;
    sum->private += mapping->private;
    sum->shared += mapping->shared;
    sum->swapped += mapping->swapped;
    sum->merged += mapping->merged;
    sum->huge += mapping->huge;
}

static void on_work(void *opaque)
{
    MemoryQuery *query = opaque;

    query->err = -smaps_read_own(on_mapping, query);
    query->page_tables = host_memory_read_line("/proc/self/status", "VmPTE:");
    query->host_kvm_tables = host_memory_read_line("/proc/meminfo", "SecPageTables:");
}

static MemoryLedgerEntry *add_entry(MemoryLedger *ledger, MemoryOwner owner,
                                    const char *id, const LedgerSum *sum)
{
    MemoryLedgerEntry *entry = g_new0(MemoryLedgerEntry, 1);

    *entry = (MemoryLedgerEntry) {
        .owner = owner,
        .id = g_strdup(id),
        .mapped = sum->mapped,
        .resident = sum->resident,
        .private = sum->private,
        .shared = sum->shared,
        .swapped = sum->swapped,
        .merged = sum->merged,
        .huge = sum->huge,
        .has_worst_case = true,
        .worst_case = sum->mapped,
    };
    ledger->resident += sum->resident;
    ledger->private += sum->private;
    MemoryLedgerEntryList_append(ledger->entries, entry);
    return entry;
}

/* The threads that there can be: of the machine as it is, and all that are plugged. */
static uint64_t count_threads(const Machine *machine)
{
    uint64_t n = machine->topology.max_cpus + WORKER_MAX_THREADS;

    if (machine->tree.queue_thread)
        n += 1 + WORKER_MAX_THREADS;
    LIST_FOREACH(node, object_set_list(machine->objects)) {
        const Object *object = CONTAINER_OF(node, Object, node);

        if (object->class == &object_iothread_class)
            n += 1 + (uint64_t)object->options->u.iothread.thread_pool_max;
        if (object->class == &object_filter_dump_class)
            n++;
    }
    return n;
}

static MemoryLedger *make_ledger(MemoryQuery *query)
{
    MemoryLedger *ledger = g_new0(MemoryLedger, 1);

    ledger->entries = MemoryLedgerEntryList_new();
    for (guint i = 0; i < query->blocks->len; i++) {
        const LedgerBlock *block = &g_array_index(query->blocks, LedgerBlock, i);

        add_entry(ledger, block->is_rom ? MEMORY_OWNER_ROM : MEMORY_OWNER_GUEST_RAM,
                  block->ram->name, &block->sum);
    }
    for (int owner = MEMORY_OWNER_HEAP; owner < MEMORY_OWNER__MAX; owner++) {
        MemoryLedgerEntry *entry = add_entry(ledger, (MemoryOwner)owner, NULL,
                                             &query->sums[owner]);

        entry->has_worst_case = owner != MEMORY_OWNER_HEAP;
        if (owner == MEMORY_OWNER_STACKS)
            entry->worst_case = MAX(entry->mapped, count_threads(query->machine) *
                                    THREAD_STACK_SIZE);
    }
    ledger->heap = g_steal_pointer(&query->heap);
    ledger->page_tables = query->page_tables;
    ledger->has_host_kvm_page_tables = query->host_kvm_tables != 0;
    ledger->host_kvm_page_tables = query->host_kvm_tables;
    return ledger;
}

/* Takes @error, NULL for none. */
static void end_query(MemoryQuery *query, GError *error)
{
    if (error) {
        qmp_reply_fail(query->reply, error);
    } else {
        g_autoptr(MemoryLedger) ledger = make_ledger(query);

        qmp_return_x_query_memory_ledger(query->reply, g_steal_pointer(&ledger));
    }
    list_remove(&query->node);
    qapi_free_MemoryLedgerHeapList(query->heap);
    for (guint i = 0; i < query->blocks->len; i++)
        ram_block_unref(g_array_index(query->blocks, LedgerBlock, i).ram);
    g_array_unref(query->blocks);
    g_free(query);
}

static void on_done(void *opaque)
{
    MemoryQuery *query = opaque;
    GError *error = NULL;

    if (query->err)
        error_set_errno(&error, query->err, "cannot read /proc/self/smaps");
    end_query(query, error);
}

static void add_block(MemoryQuery *query, RamBlock *ram, bool is_rom)
{
    LedgerBlock block = { .ram = ram, .is_rom = is_rom };

    if (find_block(query, (uintptr_t)ram->host))
        return;
    ram_block_ref(ram);
    g_array_append_val(query->blocks, block);
}

/* Memory of backends, which need not be the guest's, and what else it finds. */
static void note_blocks(MemoryQuery *query)
{
    Machine *machine = query->machine;
    g_autoptr(RamMap) map = machine->memory ? ram_map_new(machine->memory) : NULL;

    LIST_FOREACH(node, object_set_list(machine->objects)) {
        RamBlock *ram = memory_backend_ram(CONTAINER_OF(node, Object, node));

        if (ram)
            add_block(query, ram, false);
    }
    for (size_t i = 0; map && i < map->n; i++)
        add_block(query, map->ranges[i].block, true);
}

void memory_ledger_query(const QmpContext *ctx, QmpReply *reply)
{
    Machine *machine = ctx->machine;
    MemoryQuery *query = g_new0(MemoryQuery, 1);
    GError *error = NULL;

    query->machine = machine;
    query->reply = reply;
    query->blocks = g_array_new(false, true, sizeof(LedgerBlock));
    query->heap = memory_ledger_heap(ctx);
    note_blocks(query);
    if (!machine->memory_queries.next)
        list_init(&machine->memory_queries);
    list_append(&machine->memory_queries, &query->node);
    worker_job_init(&query->job, on_work, on_done, query);
    if (!worker_submit(worker_pool_of(machine->loop), &query->job, &error))
        end_query(query, error);
}

void memory_ledger_done(Machine *machine)
{
    if (!machine->memory_queries.next)
        return;
    LIST_FOREACH(node, &machine->memory_queries) {
        MemoryQuery *query = CONTAINER_OF(node, MemoryQuery, node);

        worker_take_back(&query->job);
        end_query(query, g_error_new_literal(BERTH_ERROR, BERTH_ERROR_GENERIC,
                                             "the machine ends"));
    }
}
