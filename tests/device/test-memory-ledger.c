/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process says of its memory: reading what the kernel tells, and the query on a
 * machine without a guest.  The numbers of a real one are tests/e2e/test_memory.py's.
 */
#include <string.h>

#include "berth/json.h"
#include "berth/memory-backend.h"
#include "berth/vm-fake.h"

#include "hmp-bench.h"
#include "kit-qmp.h"
#include "berth/memory-ledger.h"
#include "berth/smaps.h"

#define SIZES \
    "Size: 8 kB\nRss: 8 kB\nPss: 4 kB\nShared_Clean: 1 kB\nShared_Dirty: 2 kB\n" \
    "Private_Clean: 3 kB\nPrivate_Dirty: 2 kB\nKSM: 1 kB\nAnonHugePages: 4 kB\n" \
    "Shared_Hugetlb: 16 kB\nPrivate_Hugetlb: 32 kB\nSwap: 64 kB\nSwapPss: 9 kB\n" \
    "Rss2: 99 kB\nTHPeligible: 1\nVmFlags: rd wr\n"

typedef struct Told {
    unsigned n;
    SmapsMapping last;
} Told;

static void on_mapping(void *opaque, const SmapsMapping *mapping)
{
    Told *told = opaque;

    told->n++;
    told->last = *mapping;
}

static void read_text(const char *text, size_t piece, Told *told)
{
    size_t size = strlen(text);
    SmapsReader reader;

    *told = (Told) { 0 };
    smaps_begin(&reader, on_mapping, told);
    for (size_t at = 0; at < size; at += piece)
        smaps_feed(&reader, text + at, MIN(piece, size - at));
    smaps_end(&reader);
}

static void test_sizes_in_pieces(void)
{
    static const char text[] =
        "1000-2000 ---p 00000000 00:00 0 \nRss: 1 kB\n"
        "7f00aa000000-7f00aa002000 rw-p 00001000 fe:00 12   /lib/a b.so (deleted)\n"
        SIZES;

    for (size_t piece = 1; piece < sizeof(text); piece++) {
        Told told;

        read_text(text, piece, &told);

        g_assert_cmpuint(told.n, ==, 2);
        g_assert_cmphex(told.last.start, ==, 0x7f00aa000000);
        g_assert_cmphex(told.last.end, ==, 0x7f00aa002000);
        g_assert_cmpstr(told.last.name, ==, "/lib/a b.so (deleted)");
        g_assert_true(told.last.is_file && !told.last.is_guard);
        g_assert_cmpuint(told.last.resident, ==, (8 + 16 + 32) * KIB);
        g_assert_cmpuint(told.last.shared, ==, (1 + 2 + 16) * KIB);
        g_assert_cmpuint(told.last.private, ==, (3 + 2 + 32) * KIB);
        g_assert_cmpuint(told.last.merged, ==, KIB);
        g_assert_cmpuint(told.last.huge, ==, 4 * KIB);
        g_assert_cmpuint(told.last.swapped, ==, 64 * KIB);
    }
}

static void test_odd_lines(void)
{
    g_autofree char *name = g_strnfill(3 * SMAPS_LINE_SIZE, 'x');
    g_autofree char *long_name =
        g_strdup_printf("10-20 rw-s 0 00:00 1 /%s\nRss: 4 kB\n", name);
    const struct {
        const char *text;
        unsigned n;
        uint64_t resident;
    } cases[] = {
        { "", 0, 0 },
        { "\n\n", 0, 0 },
        { "Rss: 4 kB\n", 0, 0 },
        { "10-20 rw-p 0 00:00 0\nRss: 4 kB", 1, 0 },
        { "10-20 rw-p 0 00:00 0\nRss:\nRss: x\nRss 4 kB\nRss: 12 kB\n", 1, 12 * KIB },
        { "10 rw-p 0 00:00 0\nRss: 4 kB\n", 0, 0 },
        { "10-20 rw-p 0 00:00\nRss: 4 kB\n", 0, 0 },
        { long_name, 1, 4 * KIB },
        { "10-20 ---p 0 00:00 0\n10-20 r--p 0 00:00 0 [x]\nRss: 4 kB\n", 2, 4 * KIB },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Told told;

        read_text(cases[i].text, 7, &told);

        g_assert_cmpuint(told.n, ==, cases[i].n);
        g_assert_cmpuint(told.last.resident, ==, cases[i].resident);
    }
}

static void test_own_mappings(void)
{
    Told told = { 0 };

    g_assert_cmpint(smaps_read_own(on_mapping, &told), ==, 0);
    g_assert_cmpuint(told.n, >, 5);
}

typedef struct Fixture {
    HmpBench bench;
    KitQmp *qmp;
} Fixture;

static void setup(Fixture *f, gconstpointer unused)
{
    hmp_bench_init(&f->bench, (const char *const[]) {
        "-nodefaults", "-S", "-m", "64", "-object",
        "memory-backend-memfd,id=spare,size=4M", "-device", "virtio-rng-pci,id=rng",
        "-blockdev", "null-co,node-name=nothing,size=1M", "-device",
        "virtio-blk-pci,drive=nothing,id=disk", NULL,
    });
    f->qmp = kit_qmp_new_on(&f->bench.ctx, f->bench.loop);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    kit_qmp_free(f->qmp);
    hmp_bench_done(&f->bench);
}

/* The index of the part of "entries" or "heap" that has that owner and id, or -1. */
static int find(const JsonValue *ledger, const char *list, const char *owner,
                const char *id)
{
    for (int i = 0;; i++) {
        g_autofree char *owner_path = g_strdup_printf("%s.%d.owner", list, i);
        g_autofree char *id_path = g_strdup_printf("%s.%d.id", list, i);
        g_autofree char *its_owner = kit_qmp_at(ledger, owner_path);
        g_autofree char *its_id = kit_qmp_at(ledger, id_path);

        if (!strcmp(its_owner, "absent"))
            return -1;
        if (!strcmp(its_owner, owner) && (!id || !strcmp(its_id, id)))
            return i;
    }
}

static int64_t number(const JsonValue *ledger, const char *list, const char *owner,
                      const char *id, const char *member)
{
    int at = find(ledger, list, owner, id);
    g_autofree char *path = g_strdup_printf("%s.%d.%s", list, at, member);

    g_assert_cmpint(at, >=, 0);
    return kit_qmp_int(ledger, path);
}

static void test_owners(Fixture *f, gconstpointer unused)
{
    g_autoptr(JsonValue) before = kit_qmp_ask(f->qmp, "x-query-memory-ledger", NULL);
    g_autoptr(JsonValue) after = NULL;
    uint8_t *spare = memory_backend_ram(f->bench.machine->ram_object)->host;
    int64_t grown;

    memset(spare, 1, 8 * MIB);
    after = kit_qmp_ask(f->qmp, "x-query-memory-ledger", NULL);

    grown = number(after, "entries", "guest-ram", "pc.ram", "private") -
        number(before, "entries", "guest-ram", "pc.ram", "private");
    g_assert_cmpint(grown, >=, 8 * MIB);
    g_assert_cmpint(number(after, "entries", "guest-ram", "pc.ram", "worst-case"), ==,
                    64 * MIB);
    g_assert_cmpint(number(after, "entries", "guest-ram", "spare", "mapped"), ==,
                    4 * MIB);
    g_assert_cmpint(number(after, "entries", "guest-ram", "spare", "resident"), ==, 0);
    g_assert_cmpint(number(after, "entries", "program", NULL, "resident"), >, 0);
    g_assert_cmpint(number(after, "entries", "stacks", NULL, "worst-case"), >,
                    2 * MIB);
    /* A disk has not begun: the queue's memory comes with the driver. */
    g_assert_cmpint(number(after, "heap", "device", "/machine/peripheral/disk",
                           "worst-case"), >,
                    number(after, "heap", "device", "/machine/peripheral/disk",
                           "allocated") + 64 * (int64_t)KIB);
    g_assert_cmpint(number(after, "heap", "block-node", "nothing", "allocated"), >, 0);
    g_assert_cmpint(kit_qmp_int(after, "page-tables"), >, 0);
}

/* As machine_free() does first. */
static void test_machine_ends(Fixture *f, gconstpointer unused)
{
    g_autoptr(JsonValue) reply = NULL;

    kit_qmp_send(f->qmp, "x-query-memory-ledger", NULL);
    memory_ledger_done(f->bench.machine);
    reply = kit_qmp_receive(f->qmp);

    kit_qmp_assert_at(reply, "error.desc", "the machine ends");
}

/* A machine without memory has a process all the same. */
static void test_no_machine(void)
{
    HmpBench bench;
    g_autoptr(KitQmp) qmp = NULL;
    g_autoptr(JsonValue) ledger = NULL;

    hmp_bench_init(&bench, (const char *const[]) { "-machine", "none", NULL });
    qmp = kit_qmp_new_on(&bench.ctx, bench.loop);
    ledger = kit_qmp_ask(qmp, "x-query-memory-ledger", NULL);

    g_assert_cmpint(find(ledger, "entries", "guest-ram", NULL), ==, -1);
    g_assert_cmpint(number(ledger, "entries", "program", NULL, "resident"), >, 0);
    g_clear_pointer(&qmp, kit_qmp_free);
    hmp_bench_done(&bench);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/memory-ledger/sizes-in-pieces", test_sizes_in_pieces);
    g_test_add_func("/memory-ledger/odd-lines", test_odd_lines);
    g_test_add_func("/memory-ledger/own-mappings", test_own_mappings);
    g_test_add("/memory-ledger/owners", Fixture, NULL, setup, test_owners, teardown);
    g_test_add("/memory-ledger/machine-ends", Fixture, NULL, setup, test_machine_ends,
               teardown);
    g_test_add_func("/memory-ledger/no-machine", test_no_machine);
    return g_test_run();
}
