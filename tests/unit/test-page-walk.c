/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through page tables of every mode, written by the test; and through those of a
 * hostile guest.
 */
#include <string.h>

#include "berth/page-walk.h"
#include "berth/thread.h"

#define RAM_SIZE (8 * MIB)
#define HIGH_GPA (4 * GIB)              /* where the second half of the RAM is */

#define PRESENT 1ull
#define PAGE_SIZE_BIT 0x80ull

#define PG (1ull << 31)
#define PSE (1ull << 4)
#define PAE (1ull << 5)
#define LA57 (1ull << 12)
#define LMA (1ull << 10)

typedef struct Fixture {
    RamBlock *ram;
    Region root;
    Region low;
    Region high;
    AddressSpace *as;
    RamMap *map;
    VcpuRegisters registers;
    PageWalk walk;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    const RamOptions options = { .share = false };

    f->ram = ram_block_new("ram", RAM_SIZE, &options, NULL);
    region_init_container(&f->root, "root", UINT64_MAX);
    region_init_ram(&f->low, "low", f->ram, 0, RAM_SIZE / 2);
    region_init_rom(&f->high, "high", f->ram, RAM_SIZE / 2, RAM_SIZE / 2);
    region_add(&f->root, 0, &f->low, 0);
    region_add(&f->root, HIGH_GPA, &f->high, 0);
    f->as = address_space_new("memory", &f->root, NULL, false);
    f->map = ram_map_new(f->as);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    ram_map_free(f->map);
    address_space_free(f->as);
    region_done(&f->low);
    region_done(&f->high);
    region_done(&f->root);
    ram_block_unref(f->ram);
}

static void set_mode(Fixture *f, uint64_t cr3, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    f->registers = (VcpuRegisters) { .cr0 = cr0, .cr3 = cr3, .cr4 = cr4, .efer = efer };
    page_walk_init(&f->walk, f->map, &f->registers);
}

static void set_entry(Fixture *f, uint64_t table, unsigned index, uint64_t entry)
{
    memcpy(f->ram->host + table + index * 8, &entry, 8);
}

static void set_entry_32(Fixture *f, uint64_t table, unsigned index, uint32_t entry)
{
    memcpy(f->ram->host + table + index * 4, &entry, 4);
}

static void assert_at(Fixture *f, uint64_t gva, uint64_t gpa, uint64_t size)
{
    uint64_t got_gpa, got_size;

    g_assert_true(page_walk_translate(&f->walk, gva, &got_gpa, &got_size));
    g_assert_cmphex(got_gpa, ==, gpa);
    g_assert_cmphex(got_size, ==, size);
}

static void assert_nowhere(Fixture *f, uint64_t gva)
{
    uint64_t gpa, size;

    g_assert_false(page_walk_translate(&f->walk, gva, &gpa, &size));
}

static GArray *list(Fixture *f, uint64_t max_entries, size_t max_mappings,
                    bool *ret_whole)
{
    const PageWalkLimits limits = { max_entries, max_mappings };
    GArray *mappings = g_array_new(false, false, sizeof(PageMapping));
    const bool cancelled = false;

    *ret_whole = page_walk_list(&f->walk, &limits, &cancelled, mappings);
    return mappings;
}

/* Compares the list with @n triples of address, place and size. */
static void assert_list(Fixture *f, const uint64_t (*expected)[3], guint n)
{
    bool whole;
    g_autoptr(GArray) mappings = list(f, 1 << 20, 1000, &whole);

    g_assert_true(whole);
    g_assert_cmpuint(mappings->len, ==, n);
    for (guint i = 0; i < n; i++) {
        const PageMapping *mapping = &g_array_index(mappings, PageMapping, i);

        g_assert_cmphex(mapping->gva, ==, expected[i][0]);
        g_assert_cmphex(mapping->gpa, ==, expected[i][1]);
        g_assert_cmphex(mapping->size, ==, expected[i][2]);
    }
}

static void test_ram_map_reads_over_ends(Fixture *f, gconstpointer data)
{
    uint8_t bytes[16];

    memcpy(f->ram->host + RAM_SIZE / 2 - 8, "end of lbegin of high", 21);

    g_assert_true(ram_map_read(f->map, RAM_SIZE / 2 - 8, bytes, 8));
    g_assert_cmpmem(bytes, 8, "end of l", 8);
    g_assert_true(ram_map_read(f->map, HIGH_GPA, bytes, 8));
    g_assert_cmpmem(bytes, 8, "begin of", 8);
    g_assert_false(ram_map_read(f->map, RAM_SIZE / 2 - 8, bytes, 9));
    g_assert_false(ram_map_read(f->map, HIGH_GPA - 1, bytes, 2));
    g_assert_false(ram_map_read(f->map, HIGH_GPA + RAM_SIZE / 2 - 1, bytes, 2));
    g_assert_false(ram_map_read(f->map, UINT64_MAX, bytes, 8));
    g_assert_true(ram_map_read(f->map, UINT64_MAX, bytes, 0));
    g_assert_null(ram_map_find(f->map, HIGH_GPA + RAM_SIZE / 2));
    g_assert_cmphex(ram_map_find(f->map, RAM_SIZE / 2)->gpa, ==, HIGH_GPA);
}

static void test_ram_map_holds_what_is_taken_out(Fixture *f, gconstpointer data)
{
    uint32_t value;

    memcpy(f->ram->host, "abcd", 4);
    region_done(&f->low);
    region_done(&f->high);
    ram_block_unref(f->ram);

    g_assert_true(ram_map_read(f->map, 0, &value, sizeof(value)));
    g_assert_cmpmem(&value, 4, "abcd", 4);

    /* For the end. */
    f->ram = ram_block_ref(f->map->ranges[0].block);
    region_init_ram(&f->low, "low", f->ram, 0, RAM_SIZE / 2);
    region_init_ram(&f->high, "high", f->ram, RAM_SIZE / 2, RAM_SIZE / 2);
}

static void test_without_paging_addresses_are_places(Fixture *f, gconstpointer data)
{
    bool whole;

    set_mode(f, 0x1000, 1, PAE, 0);

    g_assert_false(page_walk_is_paging(&f->walk));
    assert_at(f, 0x12345, 0x12345, 0xcbb);
    g_autoptr(GArray) mappings = list(f, 10, 10, &whole);
    g_assert_true(whole);
    g_assert_cmpuint(mappings->len, ==, 0);
}

static void write_4_level(Fixture *f, uint64_t pml4)
{
    set_entry(f, pml4, 511, 0x2000 | PRESENT);
    set_entry(f, pml4, 3, 0x10000000000ull | PRESENT);          /* no memory */
    set_entry(f, 0x2000, 510, 0x3000 | PRESENT);
    set_entry(f, 0x2000, 511, 0x40000000 | PRESENT | PAGE_SIZE_BIT);
    set_entry(f, 0x3000, 0, 0x4000 | PRESENT);
    set_entry(f, 0x3000, 1, 0x200000 | PRESENT | PAGE_SIZE_BIT | 1ull << 63);
    set_entry(f, 0x4000, 7, 0x7000 | PRESENT);
    set_entry(f, 0x4000, 8, 0x8000 | PRESENT);
    set_entry(f, 0x4000, 9, 0x5000 | PRESENT);
    set_entry(f, 0x4000, 10, 0x6000);
}

static const uint64_t mappings_4_level[][3] = {
    { 0xffffffff80007000, 0x7000, 0x2000 },
    { 0xffffffff80009000, 0x5000, 0x1000 },
    { 0xffffffff80200000, 0x200000, 0x200000 },
    { 0xffffffffc0000000, 0x40000000, 0x40000000 },
};

static void test_4_levels(Fixture *f, gconstpointer data)
{
    write_4_level(f, 0x1000);
    set_mode(f, 0x1fff, PG, PAE, LMA);

    assert_at(f, 0xffffffff80007123, 0x7123, 0xedd);
    assert_at(f, 0xffffffff80200010, 0x200010, 0x1ffff0);
    assert_at(f, 0xffffffffc0000001, 0x40000001, 0x3fffffff);
    assert_nowhere(f, 0xffffffff8000a000);
    assert_nowhere(f, 0xffffffff80000000);
    assert_nowhere(f, 0x0000ffff80007123);              /* not canonical */
    assert_nowhere(f, 0x0000018000000000);              /* its table is no memory */
    assert_list(f, mappings_4_level, G_N_ELEMENTS(mappings_4_level));
}

static void test_5_levels(Fixture *f, gconstpointer data)
{
    uint64_t expected[5][3] = { { 0x0002000000000000 + 0x8000000000, 0x80000000,
                                  0x40000000 } };

    memcpy(expected[1], mappings_4_level, sizeof(mappings_4_level));
    write_4_level(f, 0x1000);
    set_entry(f, 0x9000, 511, 0x1000 | PRESENT);
    set_entry(f, 0x9000, 2, 0xa000 | PRESENT);
    set_entry(f, 0xa000, 1, 0xb000 | PRESENT);
    set_entry(f, 0xb000, 0, 0x80000000 | PRESENT | PAGE_SIZE_BIT);
    set_mode(f, 0x9000, PG, PAE | LA57, LMA);

    assert_at(f, 0xffffffff80007123, 0x7123, 0xedd);
    assert_at(f, 0x0002008000000000, 0x80000000, 0x40000000);
    assert_nowhere(f, 0x0100000000000000);
    assert_list(f, expected, G_N_ELEMENTS(expected));
}

static void test_pae(Fixture *f, gconstpointer data)
{
    static const uint64_t expected[][3] = {
        { 0xc0000000, 0x100000000, 0x200000 },
        { 0xc0201000, 0x3000, 0x1000 },
    };

    set_entry(f, 0x1020, 3, 0x2000 | PRESENT);
    set_entry(f, 0x2000, 0, HIGH_GPA | PRESENT | PAGE_SIZE_BIT);
    set_entry(f, 0x2000, 1, 0x5000 | PRESENT);
    set_entry(f, 0x5000, 1, 0x3000 | PRESENT | PAGE_SIZE_BIT);  /* PAT there */
    set_mode(f, 0x1020, PG, PAE, 0);

    assert_at(f, 0xc0000010, HIGH_GPA + 0x10, 0x1ffff0);
    assert_at(f, 0xc0201000, 0x3000, 0x1000);
    assert_nowhere(f, 0x1c0201000);
    assert_list(f, expected, G_N_ELEMENTS(expected));
}

static void test_32_bits(Fixture *f, gconstpointer data)
{
    static const uint64_t expected[][3] = {
        { 0x00400000, 0x2340000000, 0x400000 },
        { 0xc0001000, 0x6000, 0x1000 },
    };

    /* 0x23 is bits 32 and up (PSE-36). */
    set_entry_32(f, 0x1000, 1, 0x40000000 | 0x23 << 13 | PRESENT | PAGE_SIZE_BIT);
    set_entry_32(f, 0x1000, 0x300, 0x2000 | PRESENT);
    set_entry_32(f, 0x2000, 1, 0x6000 | PRESENT);
    set_mode(f, 0x1000, PG, PSE, 0);

    assert_at(f, 0x00400008, 0x2340000008, 0x3ffff8);
    assert_at(f, 0xc0001008, 0x6008, 0xff8);
    assert_nowhere(f, 0xc0002000);
    assert_list(f, expected, G_N_ELEMENTS(expected));

    set_mode(f, 0x1000, PG, 0, 0);
    assert_nowhere(f, 0x00400008);              /* a table that is no memory */
    assert_at(f, 0xc0001008, 0x6008, 0xff8);
}

static void test_reads_cross_pages(Fixture *f, gconstpointer data)
{
    char text[12] = "";

    set_entry(f, 0x1000, 0, 0x2000 | PRESENT);
    set_entry(f, 0x2000, 0, 0x3000 | PRESENT);
    set_entry(f, 0x3000, 0, 0x4000 | PRESENT);
    set_entry(f, 0x4000, 0, 0x10000 | PRESENT);
    set_entry(f, 0x4000, 1, HIGH_GPA | PRESENT);
    set_entry(f, 0x4000, 2, 0x70000000 | PRESENT);              /* no memory */
    set_mode(f, 0x1000, PG, PAE, LMA);
    memcpy(f->ram->host + 0x10ffa, "hello ", 6);
    memcpy(f->ram->host + RAM_SIZE / 2, "world", 6);

    g_assert_true(page_walk_read(&f->walk, 0xffa, text, sizeof(text)));
    g_assert_cmpstr(text, ==, "hello world");
    g_assert_false(page_walk_read(&f->walk, 0x1ffa, text, sizeof(text)));
    g_assert_false(page_walk_read(&f->walk, 0x2ffa, text, sizeof(text)));
    g_assert_false(page_walk_read(&f->walk, UINT64_MAX - 3, text, sizeof(text)));
}

/* One table that is every level of itself: 2^36 pages in 4 KiB. */
static void test_a_table_in_itself_is_bounded(Fixture *f, gconstpointer data)
{
    bool whole;

    for (unsigned i = 0; i < 512; i++)
        set_entry(f, 0x1000, i, 0x1000 | PRESENT);
    set_mode(f, 0x1000, PG, PAE, LMA);

    g_autoptr(GArray) some = list(f, 1 << 30, 1000, &whole);
    g_assert_false(whole);
    g_assert_cmpuint(some->len, ==, 1000);
    g_autoptr(GArray) few = list(f, 10000, 1 << 20, &whole);
    g_assert_false(whole);
    g_assert_cmpuint(few->len, <=, 10000);
    assert_at(f, 0x7fffffffffff, 0x1fff, 1);
}

static void test_a_list_can_be_cancelled(Fixture *f, gconstpointer data)
{
    const PageWalkLimits limits = { 1 << 20, 1 << 20 };
    g_autoptr(GArray) mappings = g_array_new(false, false, sizeof(PageMapping));
    const bool cancelled = true;

    write_4_level(f, 0x1000);
    set_mode(f, 0x1000, PG, PAE, LMA);

    g_assert_false(page_walk_list(&f->walk, &limits, &cancelled, mappings));
    g_assert_cmpuint(mappings->len, ==, 0);
}

/* Random tables in every mode: what is listed is what translates. */
static void test_lists_agree_with_translations(Fixture *f, gconstpointer data)
{
    static const uint64_t modes[][2] = { { PSE, 0 }, { 0, 0 }, { PAE, 0 }, { PAE, LMA },
                                         { PAE | LA57, LMA } };

    for (unsigned round = 0; round < 200; round++) {
        const uint64_t *mode = modes[round % G_N_ELEMENTS(modes)];
        bool whole;

        for (unsigned at = 0; at < 0x8000; at += 4)
            *(uint32_t *)(f->ram->host + at) =
                g_test_rand_int_range(0, 40) ? 0 : (uint32_t)g_test_rand_int();
        for (unsigned i = 0; i < 40; i++)
            set_entry(f, (uint64_t)g_test_rand_int_range(0, 8) << 12,
                      (unsigned)g_test_rand_int_range(0, 512),
                      ((uint64_t)g_test_rand_int_range(0, 8) << 12) | PRESENT);
        set_mode(f, (uint64_t)g_test_rand_int_range(0, 8) << 12, PG, mode[0], mode[1]);
        g_autoptr(GArray) mappings = list(f, 1 << 18, 1 << 14, &whole);

        for (guint i = 0; i < mappings->len; i++) {
            const PageMapping *mapping = &g_array_index(mappings, PageMapping, i);
            uint64_t gpa, size;

            g_assert_true(page_walk_translate(&f->walk, mapping->gva, &gpa, &size));
            g_assert_cmphex(gpa, ==, mapping->gpa);
            g_assert_true(page_walk_translate(&f->walk, mapping->gva + mapping->size - 1,
                                              &gpa, &size));
            g_assert_cmphex(gpa, ==, mapping->gpa + mapping->size - 1);
        }
    }
}

static bool take_leaf(void *opaque, const PageLeaf *leaf)
{
    g_array_append_vals(opaque, leaf, 1);
    return true;
}

static GArray *leaves(Fixture *f)
{
    GArray *found = g_array_new(false, false, sizeof(PageLeaf));
    const bool cancelled = false;

    g_assert_true(page_walk_visit(&f->walk, 1 << 20, &cancelled, take_leaf, found));
    return found;
}

static void assert_leaf(const GArray *found, guint i, uint64_t gva, uint64_t entry,
                        uint64_t access)
{
    const PageLeaf *leaf = &g_array_index(found, PageLeaf, i);

    g_assert_cmphex(leaf->mapping.gva, ==, gva);
    g_assert_cmphex(leaf->entry, ==, entry);
    g_assert_cmphex(leaf->access & (PAGE_ENTRY_WRITE | PAGE_ENTRY_USER), ==, access);
}

/* A right is one where each level has it; of PAE the first has none to give. */
static void test_rights(Fixture *f, gconstpointer data)
{
    const uint64_t all = PRESENT | PAGE_ENTRY_WRITE | PAGE_ENTRY_USER;

    set_entry(f, 0x1000, 0, 0x2000 | all);
    set_entry(f, 0x2000, 0, 0x3000 | PRESENT | PAGE_ENTRY_USER);
    set_entry(f, 0x2000, 1, 0x40000000 | all | PAGE_SIZE_BIT);
    set_entry(f, 0x3000, 0, 0x4000 | all);
    set_entry(f, 0x4000, 0, 0x5000 | all | PAGE_SIZE_BIT);      /* PAT there */
    set_mode(f, 0x1000, PG, PAE, LMA);
    g_autoptr(GArray) four = leaves(f);
    g_assert_cmpuint(four->len, ==, 2);
    assert_leaf(four, 0, 0, 0x5000 | all, PAGE_ENTRY_USER);
    assert_leaf(four, 1, 0x40000000, 0x40000000 | all | PAGE_ENTRY_LARGE,
                PAGE_ENTRY_WRITE | PAGE_ENTRY_USER);

    set_entry(f, 0x1020, 0, 0x3000 | PRESENT);
    set_mode(f, 0x1020, PG, PAE, 0);
    g_autoptr(GArray) pae = leaves(f);
    g_assert_cmpuint(pae->len, ==, 1);
    assert_leaf(pae, 0, 0, 0x5000 | all, PAGE_ENTRY_WRITE | PAGE_ENTRY_USER);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(_path, _fn) \
    g_test_add("/page-walk/" _path, Fixture, NULL, set_up, _fn, tear_down)
    ADD("ram-map-reads-over-ends", test_ram_map_reads_over_ends);
    ADD("ram-map-holds", test_ram_map_holds_what_is_taken_out);
    ADD("no-paging", test_without_paging_addresses_are_places);
    ADD("4-levels", test_4_levels);
    ADD("5-levels", test_5_levels);
    ADD("pae", test_pae);
    ADD("32-bits", test_32_bits);
    ADD("reads-cross-pages", test_reads_cross_pages);
    ADD("table-in-itself", test_a_table_in_itself_is_bounded);
    ADD("cancelled", test_a_list_can_be_cancelled);
    ADD("rights", test_rights);
    ADD("random-tables", test_lists_agree_with_translations);
    return g_test_run();
}
