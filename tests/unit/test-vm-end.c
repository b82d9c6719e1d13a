/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a machine: what it takes apart is not taken back from the hypervisor piece
 * by piece.  Each would wait for the kernel, in which no vCPU runs any more.
 */
#include <sys/eventfd.h>

#include "berth/irq.h"
#include "berth/ram-map.h"
#include "berth/region.h"
#include "berth/vm-fake.h"

#define PAGE 0x1000ull
#define ADDR 0xfee00000ull

typedef struct Fixture {
    Vm *vm;
    Region root;
    AddressSpace *as;
    RamBlock *ram;
} Fixture;

static uint64_t read_nothing(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void write_nothing(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const RegionOps ops = { .read = read_nothing, .write = write_nothing };

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

static void test_slots_and_doorbells_stay(Fixture *f, gconstpointer data)
{
    g_autofd int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    RegionDoorbell bell = { .offset = 0x10, .size = 4, .fd = fd };
    Region ram, more, io;
    VmFakeCalls before, after;

    region_init_ram(&ram, "ram", f->ram, 0, 4 * PAGE);
    region_init_ram(&more, "more", f->ram, 4 * PAGE, 4 * PAGE);
    region_init_io(&io, "io", 0x100, &ops, NULL, NULL);
    region_add_doorbell(&io, &bell);
    region_add(&f->root, 0, &ram, 0);
    region_add(&f->root, 0x100000, &io, 0);
    before = vm_fake_calls(f->vm);

    vm_end(f->vm);
    region_add(&f->root, 0x200000, &more, 0);
    region_done(&more);
    region_done(&io);
    region_done(&ram);

    after = vm_fake_calls(f->vm);
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
    g_assert_cmpuint(vm_fake_slot_count(f->vm), ==, 1);
    g_assert_cmpuint(vm_fake_doorbell_count(f->vm), ==, 1);
}

static void test_routes_stay(Fixture *f, gconstpointer data)
{
    MsiRoute route;

    g_assert_true(msi_route_init(&route, f->vm, NULL));
    msi_route_set(&route, ADDR, 0x41);

    vm_end(f->vm);
    msi_route_done(&route);

    g_assert_cmpuint(vm_fake_calls(f->vm).irqfd_del, ==, 0);
    g_assert_cmpuint(vm_fake_calls(f->vm).set_routes, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/vm-end/slots-and-doorbells-stay", Fixture, NULL, set_up,
               test_slots_and_doorbells_stay, tear_down);
    g_test_add("/vm-end/routes-stay", Fixture, NULL, set_up, test_routes_stay, tear_down);
    return g_test_run();
}
