/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions and address spaces: what answers where, on trees that are written out and on
 * random ones that are compared with a map of bytes; what the hypervisor is told of
 * changes.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/ram-map.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#define PAGE 4096

/* A device that remembers its accesses as text: "r4@10 w1@3=ab". */
typedef struct Probe {
    GString *log;
    unsigned held;              /* locks during the last read */
    Region region;
} Probe;

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
    Probe *probe = opaque;
    uint64_t value = 0;

    probe->held = lock_held_count();
    g_string_append_printf(probe->log, "r%u@%" PRIx64 " ", size, offset);
    for (unsigned i = 0; i < size; i++)
        value |= ((offset + i) & 0xff) << (8 * i);
    return value;
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Probe *probe = opaque;

    g_string_append_printf(probe->log, "w%u@%" PRIx64 "=%" PRIx64 " ", size, offset,
                           value);
}

#define PROBE_OPS(_min, _max) \
    { .read = probe_read, .write = probe_write, .min_size = (_min), .max_size = (_max) }

static const RegionOps any_ops = PROBE_OPS(0, 0);
static const RegionOps byte_ops = PROBE_OPS(1, 1);
static const RegionOps word_ops = PROBE_OPS(4, 4);
static const RegionOps upto4_ops = PROBE_OPS(1, 4);

static void probe_init(Probe *probe, const char *name, uint64_t size,
                       const RegionOps *ops)
{
    probe->log = g_string_new(NULL);
    region_init_io(&probe->region, name, size, ops, probe, NULL);
}

static void probe_done(Probe *probe)
{
    region_done(&probe->region);
    g_string_free(probe->log, TRUE);
}

static void assert_log(Probe *probe, const char *expected)
{
    g_assert_cmpstr(probe->log->str, ==, expected);
    g_string_truncate(probe->log, 0);
}

typedef struct Fixture {
    Vm *vm;
    Region root;
    AddressSpace *as;
    RamBlock *ram;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->vm = vm_fake_new();
    region_init_container(&f->root, "root", UINT64_MAX);
    f->as = address_space_new("memory", &f->root, f->vm, false);
    f->ram = ram_block_new("ram", 16 * PAGE, &(RamOptions){ 0 }, NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    address_space_free(f->as);
    region_done(&f->root);
    ram_block_unref(f->ram);
    vm_free(f->vm);
}

static uint64_t read_as(Fixture *f, uint64_t addr, unsigned size)
{
    uint64_t value = 0;

    address_space_read(f->as, addr, &value, size);
    return value;
}

static void test_empty_reads_as_ones(Fixture *f, gconstpointer data)
{
    uint32_t value = 0;

    bool assigned = address_space_read(f->as, 0x1000, &value, sizeof(value));

    g_assert_false(assigned);
    g_assert_cmphex(value, ==, 0xffffffff);
    g_assert_false(address_space_write(f->as, 0x1000, &value, sizeof(value)));
}

static void test_priority_wins(Fixture *f, gconstpointer data)
{
    Probe low, high;

    probe_init(&low, "low", 0x100, &any_ops);
    probe_init(&high, "high", 0x10, &any_ops);
    region_add(&f->root, 0x1000, &high.region, 1);
    region_add(&f->root, 0x1000, &low.region, 0);

    read_as(f, 0x100c, 8);

    assert_log(&high, "r4@c ");
    assert_log(&low, "r4@10 ");
    probe_done(&low);
    probe_done(&high);
}

static void test_later_wins_among_equals(Fixture *f, gconstpointer data)
{
    Probe first, second;

    probe_init(&first, "first", 0x10, &any_ops);
    probe_init(&second, "second", 0x10, &any_ops);
    region_add(&f->root, 0x1000, &first.region, 0);
    region_add(&f->root, 0x1000, &second.region, 0);

    read_as(f, 0x1000, 1);

    assert_log(&first, "");
    assert_log(&second, "r1@0 ");
    region_remove(&second.region);
    read_as(f, 0x1000, 1);
    assert_log(&first, "r1@0 ");
    probe_done(&first);
    probe_done(&second);
}

static void test_container_clips_and_moves_children(Fixture *f, gconstpointer data)
{
    Region window;
    Probe probe;

    region_init_container(&window, "window", 0x20);
    probe_init(&probe, "probe", 0x100, &any_ops);
    region_add(&window, 0x10, &probe.region, 0);
    region_add(&f->root, 0x1000, &window, 0);

    g_assert_true(address_space_read(f->as, 0x101f, &(uint8_t){ 0 }, 1));
    g_assert_false(address_space_read(f->as, 0x1020, &(uint8_t){ 0 }, 1));
    assert_log(&probe, "r1@f ");
    region_set_addr(&window, 0x5000);
    g_assert_false(address_space_read(f->as, 0x101f, &(uint8_t){ 0 }, 1));
    g_assert_true(address_space_read(f->as, 0x5010, &(uint8_t){ 0 }, 1));
    assert_log(&probe, "r1@0 ");
    region_set_enabled(&window, false);
    g_assert_false(address_space_read(f->as, 0x5010, &(uint8_t){ 0 }, 1));
    probe_done(&probe);
    region_done(&window);
}

static void test_alias_shows_part_of_target(Fixture *f, gconstpointer data)
{
    Region alias;
    Probe probe;

    probe_init(&probe, "probe", 0x100, &any_ops);
    region_init_alias(&alias, "alias", &probe.region, 0x40, 0x10);
    region_add(&f->root, 0x10, &alias, 0);

    read_as(f, 0x1c, 4);
    g_assert_false(address_space_read(f->as, 0x20, &(uint8_t){ 0 }, 1));
    assert_log(&probe, "r4@4c ");

    /* A change of the target is seen through the alias. */
    region_set_enabled(&probe.region, false);
    g_assert_false(address_space_read(f->as, 0x1c, &(uint8_t){ 0 }, 1));
    region_done(&alias);
    probe_done(&probe);
}

static void test_top_of_address_space(Fixture *f, gconstpointer data)
{
    Probe probe;

    probe_init(&probe, "probe", 0x1000, &any_ops);
    region_add(&f->root, UINT64_MAX - 0xfff, &probe.region, 0);

    read_as(f, UINT64_MAX - 7, 8);
    assert_log(&probe, "r8@ff8 ");
    region_set_addr(&probe.region, UINT64_MAX - 7);
    read_as(f, UINT64_MAX, 1);
    assert_log(&probe, "r1@7 ");
    g_assert_false(address_space_read(f->as, 0, &(uint8_t){ 0 }, 1));
    probe_done(&probe);
}

typedef struct Cut {
    const RegionOps *ops;
    unsigned offset;
    unsigned size;
    const char *reads;
    const char *writes;         /* of 0x8877665544332211 */
} Cut;

static const Cut cuts[] = {
    { &any_ops, 0, 8, "r8@0 ", "w8@0=8877665544332211 " },
    { &any_ops, 1, 4, "r1@1 r2@2 r1@4 ", "w1@1=11 w2@2=3322 w1@4=44 " },
    { &any_ops, 4, 8, "r4@4 r4@8 ", "w4@4=44332211 w4@8=88776655 " },
    { &byte_ops, 2, 4, "r1@2 r1@3 r1@4 r1@5 ", "w1@2=11 w1@3=22 w1@4=33 w1@5=44 " },
    { &upto4_ops, 8, 8, "r4@8 r4@c ", "w4@8=44332211 w4@c=88776655 " },
    { &upto4_ops, 6, 4, "r2@6 r2@8 ", "w2@6=2211 w2@8=4433 " },
    { &word_ops, 8, 8, "r4@8 r4@c ", "w4@8=44332211 w4@c=88776655 " },
    { &word_ops, 5, 1, "r4@4 ", "" },
    { &word_ops, 6, 4, "r4@4 r4@8 ", "" },
    { &word_ops, 7, 8, "r4@4 r4@8 r4@c ", "w4@8=55443322 " },
};

static void test_accesses_are_cut(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cuts); i++) {
        uint64_t bytes = 0x8877665544332211;
        uint64_t expected = 0;
        uint64_t value = 0;
        Probe probe;

        probe_init(&probe, "probe", 0x100, cuts[i].ops);
        region_add(&f->root, 0x1000, &probe.region, 0);
        for (unsigned b = 0; b < cuts[i].size; b++)
            expected |= (uint64_t)(cuts[i].offset + b) << (8 * b);

        address_space_read(f->as, 0x1000 + cuts[i].offset, &value, cuts[i].size);
        assert_log(&probe, cuts[i].reads);
        g_assert_cmphex(value, ==, expected);
        address_space_write(f->as, 0x1000 + cuts[i].offset, &bytes, cuts[i].size);
        assert_log(&probe, cuts[i].writes);
        probe_done(&probe);
    }
}

static void test_access_across_regions(Fixture *f, gconstpointer data)
{
    uint8_t bytes[8];
    Probe left, right;

    probe_init(&left, "left", 0x10, &byte_ops);
    probe_init(&right, "right", 0x10, &byte_ops);
    region_add(&f->root, 0x1000, &left.region, 0);
    region_add(&f->root, 0x1012, &right.region, 0);

    bool assigned = address_space_read(f->as, 0x100e, bytes, sizeof(bytes));

    g_assert_false(assigned);
    g_assert_cmpmem(bytes, 8, "\x0e\x0f\xff\xff\x00\x01\x02\x03", 8);
    probe_done(&left);
    probe_done(&right);
}

static void test_null_functions(Fixture *f, gconstpointer data)
{
    static const RegionOps none = { 0 };
    Region region;

    region_init_io(&region, "none", 4, &none, NULL, NULL);
    region_add(&f->root, 0, &region, 0);

    g_assert_cmphex(read_as(f, 0, 2), ==, 0xffff);
    g_assert_true(address_space_write(f->as, 0, "ab", 2));
    region_done(&region);
}

static void test_device_lock_is_held(Fixture *f, gconstpointer data)
{
    GMutex lock;
    Probe probe;

    g_mutex_init(&lock);
    probe.log = g_string_new(NULL);
    region_init_io(&probe.region, "probe", 4, &any_ops, &probe, &lock);
    region_add(&f->root, 0, &probe.region, 0);

    read_as(f, 0, 4);

    g_assert_cmpuint(probe.held, ==, 1);
    g_assert_cmpuint(lock_held_count(), ==, 0);
    g_assert_true(g_mutex_trylock(&lock));
    g_mutex_unlock(&lock);
    g_mutex_clear(&lock);
    probe_done(&probe);
}

static void test_ram_and_rom(Fixture *f, gconstpointer data)
{
    Region ram, rom;

    region_init_ram(&ram, "ram", f->ram, 0, 4 * PAGE);
    region_init_rom(&rom, "rom", f->ram, 4 * PAGE, PAGE);
    region_add(&f->root, 0x10000, &ram, 0);
    region_add(&f->root, 0x20000, &rom, 0);

    g_assert_true(address_space_write(f->as, 0x10004, "berth", 5));
    g_assert_true(address_space_write(f->as, 0x20000, "berth", 5));

    g_assert_cmpmem(f->ram->host + 4, 5, "berth", 5);
    g_assert_cmpint(f->ram->host[4 * PAGE], ==, 0);
    g_assert_true(address_space_map(f->as, 0x10004, 5, true) == f->ram->host + 4);
    g_assert_null(address_space_map(f->as, 0x10000, 4 * PAGE + 1, true));
    g_assert_null(address_space_map(f->as, 0x10000, UINT64_MAX, true));
    g_assert_null(address_space_map(f->as, 0x10000, 0, true));
    g_assert_null(address_space_map(f->as, 0xffff, 2, true));
    g_assert_null(address_space_map(f->as, 0x20000, 1, true));
    g_assert_nonnull(address_space_map(f->as, 0x20000, 1, false));
    region_done(&ram);
    region_done(&rom);
}

static void test_slots_follow_ram(Fixture *f, gconstpointer data)
{
    Region ram, rom;
    Probe hole;

    region_init_ram(&ram, "ram", f->ram, 0, 8 * PAGE);
    region_init_rom(&rom, "rom", f->ram, 8 * PAGE, PAGE);
    probe_init(&hole, "hole", 0x10, &any_ops);
    region_batch_begin(f->as);
    region_add(&f->root, 0, &ram, 0);
    region_add(&f->root, 0x100000, &rom, 0);
    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 0);
    region_batch_end(f->as);

    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 2);
    g_assert_cmpuint(vm_fake_slot(f->vm, 0).size, ==, 8 * PAGE);
    g_assert_true(vm_fake_slot(f->vm, 1).readonly);

    /* Registers in the middle of a page take the whole page from the slots. */
    region_add(&f->root, 2 * PAGE + 8, &hole.region, 1);
    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 3);
    g_assert_cmpuint(vm_fake_slot(f->vm, 0).size, ==, 2 * PAGE);
    g_assert_cmphex(vm_fake_slot(f->vm, 1).gpa, ==, 3 * PAGE);
    g_assert_true(vm_fake_slot(f->vm, 1).host == f->ram->host + 3 * PAGE);
    region_done(&ram);
    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 1);
    region_done(&rom);
    probe_done(&hole);
}

static void test_unchanged_slots_stay(Fixture *f, gconstpointer data)
{
    Region low, high;
    VmFakeCalls before, after;

    region_init_ram(&low, "low", f->ram, 0, 4 * PAGE);
    region_init_ram(&high, "high", f->ram, 8 * PAGE, 4 * PAGE);
    region_add(&f->root, 0, &low, 0);
    region_add(&f->root, 0x100000, &high, 0);
    before = vm_fake_calls(f->vm);

    region_set_addr(&high, 0x200000);

    after = vm_fake_calls(f->vm);
    g_assert_cmpuint(after.map - before.map, ==, 1);
    g_assert_cmpuint(after.unmap - before.unmap, ==, 1);
    region_done(&low);
    region_done(&high);
}

static void test_neighbours_of_one_block_are_one_slot(Fixture *f, gconstpointer data)
{
    Region low, high;

    region_init_ram(&low, "low", f->ram, 0, 4 * PAGE);
    region_init_ram(&high, "high", f->ram, 4 * PAGE, 4 * PAGE);
    region_add(&f->root, 0, &low, 0);
    region_add(&f->root, 4 * PAGE, &high, 0);

    size_t n;
    g_autofree RamRange *ram = address_space_ram(f->as, &n);

    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 1);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(ram[0].size, ==, 8 * PAGE);
    region_done(&low);
    region_done(&high);
}

/* Pieces come and go beside each other while vCPUs use the rest. */
static void test_pieces_apart_keep_their_slots(Fixture *f, gconstpointer data)
{
    Region pieces[3];
    VmFakeCalls before, after;

    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        region_init_ram(&pieces[i], "piece", f->ram, i * PAGE, PAGE);
        pieces[i].apart = true;
        pieces[i].enabled = i != 1;
        region_add(&f->root, i * PAGE, &pieces[i], 0);
    }
    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 2);
    g_assert_null(address_space_map(f->as, PAGE - 1, 2, true));
    before = vm_fake_calls(f->vm);

    region_set_enabled(&pieces[1], true);

    after = vm_fake_calls(f->vm);
    g_assert_cmpuint(after.map - before.map, ==, 1);
    g_assert_cmpuint(after.unmap, ==, before.unmap);
    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 3);
    /* Who does not look at slots sees one piece of memory. */
    g_assert_true(address_space_map(f->as, 1, 3 * PAGE - 1, true) == f->ram->host + 1);
    g_assert_null(address_space_map(f->as, 1, 3 * PAGE, true));

    size_t n;
    g_autofree RamRange *ram = address_space_ram(f->as, &n);
    g_autoptr(RamMap) map = ram_map_new(f->as);

    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(ram[0].size, ==, 3 * PAGE);
    g_assert_cmpuint(map->n, ==, 1);
    g_assert_cmpuint(map->ranges[0].size, ==, 3 * PAGE);
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++)
        region_done(&pieces[i]);
}

static void test_refused_slot_is_told_and_tried_again(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    Region low, high;

    region_init_ram(&low, "low", f->ram, 0, 4 * PAGE);
    region_init_ram(&high, "high", f->ram, 8 * PAGE, 4 * PAGE);
    vm_fake_fail_nth(f->vm, 1, -ENOMEM);

    region_add(&f->root, 0, &low, 0);
    g_assert_false(address_space_check(f->as, &error));
    g_assert_nonnull(strstr(error->message, "memory"));
    region_add(&f->root, 0x100000, &high, 0);

    g_assert_true(address_space_check(f->as, NULL));
    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 2);
    region_done(&low);
    region_done(&high);
}

/* A guest moves a BAR as often as it likes. */
static void test_refused_doorbells_fill_no_log(Fixture *f, gconstpointer data)
{
    g_autofd int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    RegionDoorbell any = { .offset = 0x10, .size = 2, .fd = fd };
    g_autofd int reader = -1;
    g_autofd int writer = -1;
    char text[65536];
    unsigned n_lines = 0;
    int fds[2];
    Probe probe;

    g_assert_cmpint(pipe(fds), ==, 0);
    reader = fds[0];
    writer = fds[1];
    log_set_fd(writer);
    probe_init(&probe, "probe", 0x100, &any_ops);
    region_add_doorbell(&probe.region, &any);
    for (int i = 0; i < 100; i++) {
        vm_fake_fail_nth(f->vm, 1, -ENOSPC);
        region_add(&f->root, 0x1000, &probe.region, 0);
        region_remove(&probe.region);
    }
    log_set_fd(STDERR_FILENO);
    region_done(&probe.region);

    base_close_fd(&writer);
    for (ssize_t i = read(reader, text, sizeof(text)); i > 0; i--)
        n_lines += text[i - 1] == '\n';
    g_assert_cmpuint(n_lines, ==, 10);
}

static void test_doorbell_follows_its_region(Fixture *f, gconstpointer data)
{
    g_autofd int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    RegionDoorbell any = { .offset = 0x10, .size = 2, .fd = fd };
    RegionDoorbell seven = {
        .offset = 0x20, .size = 2, .match = true, .value = 7, .fd = fd,
    };
    uint64_t count;
    Probe probe;

    probe_init(&probe, "probe", 0x100, &any_ops);
    region_add_doorbell(&probe.region, &any);
    region_add(&f->root, 0x1000, &probe.region, 0);
    region_add_doorbell(&probe.region, &seven);

    vm_fake_write(f->vm, f->as, 0x1010, 2, 5);
    vm_fake_write(f->vm, f->as, 0x1020, 2, 7);
    vm_fake_write(f->vm, f->as, 0x1020, 2, 8);
    vm_fake_write(f->vm, f->as, 0x1010, 4, 9);

    g_assert_cmpint(read(fd, &count, 8), ==, 8);
    g_assert_cmpuint(count, ==, 2);
    assert_log(&probe, "w2@20=8 w4@10=9 ");
    region_set_addr(&probe.region, 0x3000);
    g_assert_cmpint(vm_fake_doorbell_fd(f->vm, false, 0x1010, 2, 0), ==, -1);
    g_assert_cmpint(vm_fake_doorbell_fd(f->vm, false, 0x3010, 2, 0), ==, fd);
    region_remove_doorbell(&probe.region, &any);
    g_assert_cmpint(vm_fake_doorbell_fd(f->vm, false, 0x3010, 2, 0), ==, -1);
    g_assert_cmpuint(vm_fake_doorbell_count(f->vm), ==, 1);
    region_remove(&probe.region);
    g_assert_cmpuint(vm_fake_doorbell_count(f->vm), ==, 0);
    probe_done(&probe);
}

static void test_hidden_doorbell_is_not_set(Fixture *f, gconstpointer data)
{
    g_autofd int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    RegionDoorbell bell = { .offset = 0x10, .size = 4, .fd = fd };
    Probe probe, cover;

    probe_init(&probe, "probe", 0x100, &any_ops);
    probe_init(&cover, "cover", 0x10, &any_ops);
    region_add_doorbell(&probe.region, &bell);
    region_add(&f->root, 0x1000, &probe.region, 0);
    g_assert_cmpuint(vm_fake_doorbell_count(f->vm), ==, 1);

    region_add(&f->root, 0x1012, &cover.region, 1);

    g_assert_cmpuint(vm_fake_doorbell_count(f->vm), ==, 0);
    probe_done(&cover);
    g_assert_cmpuint(vm_fake_doorbell_count(f->vm), ==, 1);
    probe_done(&probe);
}

static void test_describe(Fixture *f, gconstpointer data)
{
    Region ram;
    Probe probe;

    region_init_ram(&ram, "pc.ram", f->ram, 0, 4 * PAGE);
    probe_init(&probe, "probe", 0x1000, &any_ops);
    region_add(&f->root, 0, &ram, 0);
    region_add(&f->root, 0x3800, &probe.region, -1);

    g_autofree char *text = address_space_describe(f->as);

    g_assert_cmpstr(text, ==,
                    "  0000000000000000-0000000000003fff (prio 0, ram): pc.ram\n"
                    "  0000000000004000-00000000000047ff (prio -1, i/o): probe "
                    "@0000000000000800\n");
    region_done(&ram);
    probe_done(&probe);
}

/*
 * Random trees.  The naive map asks the tree for each byte anew: the first child, in
 * order of priority and of addition, that has an answer.
 */
#define SPACE 512               /* units */
#define MAX_REGIONS 24

typedef struct RandomRegion {
    Region region;
    unsigned order;             /* of addition */
} RandomRegion;

static const Region *naive_find(RandomRegion *all, unsigned n, const Region *region,
                                int64_t offset, int64_t *ret_offset)
{
    const RandomRegion *tried[MAX_REGIONS];
    unsigned n_tried = 0;

    if (!region->enabled || offset < 0 || offset >= (int64_t)region->size)
        return NULL;
    if (region->kind == REGION_ALIAS)
        return naive_find(all, n, region->alias, offset + (int64_t)region->alias_offset,
                          ret_offset);
    if (region->kind != REGION_CONTAINER) {
        *ret_offset = offset;
        return region;
    }
    for (unsigned i = 0; i < n; i++) {
        if (all[i].region.parent == region)
            tried[n_tried++] = &all[i];
    }
    while (n_tried > 0) {
        const Region *found;
        unsigned best = 0;

        for (unsigned i = 1; i < n_tried; i++) {
            const Region *a = &tried[i]->region;
            const Region *b = &tried[best]->region;

            if (a->priority > b->priority ||
                (a->priority == b->priority && tried[i]->order > tried[best]->order))
                best = i;
        }
        found = naive_find(all, n, &tried[best]->region,
                           offset - (int64_t)tried[best]->region.addr, ret_offset);
        if (found)
            return found;
        tried[best] = tried[--n_tried];
    }
    return NULL;
}

typedef struct Answer {
    const Region *region;
    uint64_t offset;
} Answer;

/* Each access of one byte says who answered, through the region's opaque. */
static Answer answer;

static uint64_t answer_read(void *opaque, uint64_t offset, unsigned size)
{
    answer = (Answer){ opaque, offset };
    return 0;
}

static const RegionOps answer_ops = { .read = answer_read };

static uint64_t random_below(uint64_t n, uint64_t unit)
{
    return unit * (uint64_t)g_test_rand_int_range(0, (int)n);
}

static void random_init(RandomRegion *all, unsigned i, RamBlock *ram, uint64_t unit)
{
    Region *region = &all[i].region;
    uint64_t size = unit + random_below(SPACE - 1, unit);

    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        region_init_container(region, "container", size);
        break;
    case 1:
        if (i > 0) {
            Region *target = &all[random_below(i, 1)].region;

            region_init_alias(region, "alias", target, random_below(SPACE, unit), size);
            break;
        }
        G_GNUC_FALLTHROUGH;
    case 2:
        region_init_ram(region, "ram", ram, random_below(SPACE, unit), size);
        break;
    default:
        region_init_io(region, "io", size, &answer_ops, region, NULL);
        break;
    }
}

/* Whether @maybe_above is @region or reaches it as parent or through an alias. */
static bool reaches(const Region *region, const Region *maybe_above, RandomRegion *all,
                    unsigned n)
{
    if (region == maybe_above)
        return true;
    for (unsigned i = 0; i < n; i++) {
        const Region *r = &all[i].region;

        if (r->parent == maybe_above && reaches(region, r, all, n))
            return true;
    }
    return maybe_above->kind == REGION_ALIAS &&
           reaches(region, maybe_above->alias, all, n);
}

static void random_change(RandomRegion *all, unsigned n, Region *root, uint64_t unit,
                          unsigned *order)
{
    unsigned i = (unsigned)random_below(n, 1);
    Region *region = &all[i].region;
    Region *parent = root;

    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        region_set_enabled(region, !region->enabled);
        break;
    case 1:
        region_set_addr(region, random_below(SPACE, unit));
        break;
    default:
        region_remove(region);
        for (unsigned k = 0; k < n; k++) {
            Region *other = &all[random_below(n, 1)].region;

            if (other->kind == REGION_CONTAINER && !reaches(other, region, all, n))
                parent = other;
        }
        all[i].order = ++*order;
        region_add(parent, random_below(SPACE, unit), region,
                   g_test_rand_int_range(-1, 2));
        break;
    }
}

/* The host memory that the slots have for @gpa. */
static uint8_t *slot_host(Vm *vm, uint64_t gpa)
{
    for (unsigned i = 0; i < vm_fake_slot_count(vm); i++) {
        VmFakeSlot slot = vm_fake_slot(vm, i);

        if (gpa >= slot.gpa && gpa - slot.gpa < slot.size)
            return (uint8_t *)slot.host + (gpa - slot.gpa);
    }
    return NULL;
}

static void compare_with_naive(AddressSpace *as, Vm *vm, RandomRegion *all, unsigned n,
                               const Region *root, uint64_t unit)
{
    AddressHint hint = { 0 };

    for (uint64_t addr = 0; addr < SPACE * unit; addr += unit) {
        int64_t offset = 0;
        const Region *region = naive_find(all, n, root, (int64_t)addr, &offset);
        uint8_t *host = address_space_map_near(as, &hint, addr, 1, true);
        uint8_t byte = 0;

        if (unit >= PAGE)
            g_assert_true(slot_host(vm, addr) == host);

        answer = (Answer){ 0 };
        g_assert_cmpint(address_space_read(as, addr, &byte, 1), ==, region != NULL);
        if (!region) {
            g_assert_cmphex(byte, ==, 0xff);
        } else if (region->kind == REGION_RAM) {
            g_assert_true(host == region->ram->host + region->ram_offset + offset);
        } else {
            g_assert_null(host);
            g_assert_true(answer.region == region);
            g_assert_cmpuint(answer.offset, ==, offset);
        }
    }
}

static void test_random_trees(void)
{
    RamOptions options = { .no_reserve = true };
    g_autoptr(RamBlock) ram = ram_block_new("ram", 2 * SPACE * PAGE, &options, NULL);

    for (unsigned round = 0; round < 60; round++) {
        uint64_t unit = round % 2 ? PAGE : 1;
        g_autoptr(Vm) vm = vm_fake_new();
        RandomRegion all[MAX_REGIONS];
        unsigned n = 2 + (unsigned)random_below(MAX_REGIONS - 1, 1);
        unsigned order = 0;
        Region root;

        region_init_container(&root, "root", SPACE * unit);
        AddressSpace *as = address_space_new("space", &root, vm, false);
        for (unsigned i = 0; i < n; i++)
            random_init(all, i, ram, unit);
        for (unsigned change = 0; change < 40; change++) {
            random_change(all, n, &root, unit, &order);
            compare_with_naive(as, vm, all, n, &root, unit);
        }
        address_space_free(as);
        for (unsigned i = 0; i < n; i++)
            region_remove(&all[i].region);
        for (unsigned i = n; i-- > 0;)
            region_done(&all[i].region);
        region_done(&root);
    }
}

#define N_READERS 3

typedef struct Race {
    AddressSpace *as;
    int stop;                   /* atomic */
} Race;

static uint64_t race_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0x5a;
}

static const RegionOps race_ops = { .read = race_read };

static void *race_reader(void *opaque)
{
    Race *race = opaque;
    AddressHint hint = { 0 };
    uint64_t n = 0;

    while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
        for (uint64_t addr = 0; addr < 0x4000; addr += 0x40) {
            uint8_t byte = 0;

            if (address_space_read_near(race->as, &hint, addr, &byte, 1))
                g_assert_cmphex(byte, ==, 0x5a);
            else
                g_assert_cmphex(byte, ==, 0xff);
        }
        if (++n % 7 == 0) {
            qsbr_offline();
            qsbr_online();
        } else {
            qsbr_quiescent();
        }
    }
    return NULL;
}

static void test_readers_beside_changes(void)
{
    pthread_t readers[N_READERS];
    Region root, regions[8];
    Race race = { 0 };

    region_init_container(&root, "root", 0x10000);
    race.as = address_space_new("space", &root, NULL, false);
    for (unsigned i = 0; i < G_N_ELEMENTS(regions); i++)
        region_init_io(&regions[i], "io", 0x800, &race_ops, NULL, NULL);
    for (unsigned i = 0; i < N_READERS; i++)
        g_assert_true(thread_start(&readers[i], THREAD_VCPU, "reader", race_reader, &race,
                                   NULL));

    for (unsigned i = 0; i < 3000; i++) {
        Region *region = &regions[i % G_N_ELEMENTS(regions)];

        if (region->parent && i % 3 == 0)
            region_set_addr(region, (i * 0x140) & 0x3fff);
        else if (region->parent)
            region_remove(region);
        else
            region_add(&root, (i * 0x1c0) & 0x3fff, region, (int)(i % 2));
    }

    __atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < N_READERS; i++)
        pthread_join(readers[i], NULL);
    address_space_free(race.as);
    for (unsigned i = 0; i < G_N_ELEMENTS(regions); i++)
        region_done(&regions[i]);
    region_done(&root);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(_path, _fn) \
    g_test_add("/region/" _path, Fixture, NULL, set_up, _fn, tear_down)
    ADD("unassigned-reads-as-ones", test_empty_reads_as_ones);
    ADD("higher-priority-wins", test_priority_wins);
    ADD("later-wins-among-equals", test_later_wins_among_equals);
    ADD("container-clips-and-moves-children", test_container_clips_and_moves_children);
    ADD("alias-shows-part-of-target", test_alias_shows_part_of_target);
    ADD("top-of-address-space", test_top_of_address_space);
    ADD("accesses-are-cut", test_accesses_are_cut);
    ADD("access-across-regions", test_access_across_regions);
    ADD("null-functions", test_null_functions);
    ADD("device-lock-is-held", test_device_lock_is_held);
    ADD("ram-and-rom", test_ram_and_rom);
    ADD("slots-follow-ram", test_slots_follow_ram);
    ADD("unchanged-slots-stay", test_unchanged_slots_stay);
    ADD("neighbours-of-a-block-are-one-slot", test_neighbours_of_one_block_are_one_slot);
    ADD("pieces-apart-keep-their-slots", test_pieces_apart_keep_their_slots);
    ADD("refused-slot-is-tried-again", test_refused_slot_is_told_and_tried_again);
    ADD("refused-doorbells-fill-no-log", test_refused_doorbells_fill_no_log);
    ADD("doorbell-follows-its-region", test_doorbell_follows_its_region);
    ADD("hidden-doorbell-is-not-set", test_hidden_doorbell_is_not_set);
    ADD("describe", test_describe);
    g_test_add_func("/region/random-trees-equal-a-byte-map", test_random_trees);
    g_test_add_func("/region/readers-beside-changes", test_readers_beside_changes);
    return g_test_run();
}
