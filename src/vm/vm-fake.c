/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hypervisor of arrays.  One lock around everything: tests are not in a hurry.
 *
 * An irqfd is the eventfd itself, read when somebody asks or before its route changes;
 * so what was fired is known by the message that the route had then.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#include "vm-fake-vcpu.h"
#include "vm-ops.h"

#define FAKE_GSIS 4096
#define FAKE_SLOTS 509
#define FAKE_SPACES 2
#define PAGE_MASK 4095ull
#define MSI_LEVEL_TRIGGERED 0x8000u

typedef struct FakeIrqfd {
    int fd;
    unsigned gsi;
} FakeIrqfd;

typedef struct FakeMessage {
    MsiMessage msi;
    unsigned count;
} FakeMessage;

typedef struct FakeVm {
    Vm vm;
    GMutex lock;
    VmFakeCpu cpu;              /* main only */

    /* Under the lock. */
    GArray *slots;              /* of VmSlot, by address in each space */
    GArray *doorbells;          /* of VmDoorbell */
    GArray *irqfds;             /* of FakeIrqfd */
    GArray *routes;             /* of IrqRoute */
    GArray *messages;           /* of FakeMessage, by first firing */
    bool levels[VM_GSI_LINES];
    unsigned edges[VM_GSI_LINES];
    bool extint;
    bool pit_inhibited;
    unsigned n_clock_stops;
    unsigned n_clock_starts;
    unsigned n_resets;
    VmFakeCalls calls;
    unsigned fail_in;           /* calls until one fails, 0 for never */
    int fail_with;
    GBytes *stats[2];           /* of the VM and of vCPUs, NULL: none */
} FakeVm;

static FakeVm *to_fake(Vm *vm)
{
    return CONTAINER_OF(vm, FakeVm, vm);
}

static int next_failure_locked(FakeVm *fake)
{
    if (fake->fail_in == 0 || --fake->fail_in > 0)
        return 0;
    return fake->fail_with;
}

int vm_fake_next_failure(Vm *vm)
{
    FakeVm *fake = to_fake(vm);
    int err;

    lock_take(&fake->lock);
    err = next_failure_locked(fake);
    lock_drop(&fake->lock);
    return err;
}

static int map_locked(FakeVm *fake, const VmSlot *slot)
{
    unsigned at = 0;
    int err = next_failure_locked(fake);

    fake->calls.map++;
    if (err)
        return err;
    if (slot->size == 0 || (slot->gpa | slot->size) & PAGE_MASK ||
        slot->gpa + slot->size - 1 < slot->gpa || slot->id >= FAKE_SLOTS ||
        slot->space >= FAKE_SPACES)
        return -EINVAL;
    for (unsigned i = 0; i < fake->slots->len; i++) {
        const VmSlot *other = &g_array_index(fake->slots, VmSlot, i);

        if (other->space != slot->space)
            continue;
        if (other->id == slot->id)
            return -EINVAL;
        if (slot->gpa <= other->gpa + other->size - 1 &&
            other->gpa <= slot->gpa + slot->size - 1)
            return -EEXIST;
        if (other->gpa < slot->gpa)
            at = i + 1;
    }
    g_array_insert_val(fake->slots, at, *slot);
    return 0;
}

static int fake_map(Vm *vm, const VmSlot *slot)
{
    FakeVm *fake = to_fake(vm);
    int err;

    lock_take(&fake->lock);
    err = map_locked(fake, slot);
    lock_drop(&fake->lock);
    return err;
}

static int fake_unmap(Vm *vm, const VmSlot *slot)
{
    FakeVm *fake = to_fake(vm);
    int err = -ENOENT;

    lock_take(&fake->lock);
    fake->calls.unmap++;
    for (unsigned i = 0; i < fake->slots->len; i++) {
        const VmSlot *other = &g_array_index(fake->slots, VmSlot, i);

        if (other->id == slot->id && other->space == slot->space) {
            g_array_remove_index(fake->slots, i);
            err = 0;
            break;
        }
    }
    lock_drop(&fake->lock);
    return err;
}

static bool same_place(const VmDoorbell *a, const VmDoorbell *b)
{
    return a->addr == b->addr && a->is_io == b->is_io &&
           (a->size == b->size || !a->size || !b->size) &&
           (!a->match || !b->match || a->value == b->value);
}

static int add_doorbell_locked(FakeVm *fake, const VmDoorbell *doorbell)
{
    int err = next_failure_locked(fake);

    fake->calls.doorbell_add++;
    if (err)
        return err;
    for (unsigned i = 0; i < fake->doorbells->len; i++) {
        if (same_place(&g_array_index(fake->doorbells, VmDoorbell, i), doorbell))
            return -EEXIST;
    }
    g_array_append_val(fake->doorbells, *doorbell);
    return 0;
}

static int del_doorbell_locked(FakeVm *fake, const VmDoorbell *doorbell)
{
    fake->calls.doorbell_del++;
    for (unsigned i = 0; i < fake->doorbells->len; i++) {
        const VmDoorbell *bell = &g_array_index(fake->doorbells, VmDoorbell, i);

        if (same_place(bell, doorbell) && bell->fd == doorbell->fd) {
            g_array_remove_index(fake->doorbells, i);
            return 0;
        }
    }
    return -ENOENT;
}

static int fake_doorbell(Vm *vm, const VmDoorbell *doorbell, bool add)
{
    FakeVm *fake = to_fake(vm);
    int err;

    lock_take(&fake->lock);
    err = add ? add_doorbell_locked(fake, doorbell) : del_doorbell_locked(fake, doorbell);
    lock_drop(&fake->lock);
    return err;
}

static void count_message_locked(FakeVm *fake, const MsiMessage *msi, unsigned count)
{
    FakeMessage message = { .msi = *msi, .count = count };

    for (unsigned i = 0; i < fake->messages->len; i++) {
        FakeMessage *known = &g_array_index(fake->messages, FakeMessage, i);

        if (known->msi.addr == msi->addr && known->msi.data == msi->data) {
            known->count += count;
            return;
        }
    }
    g_array_append_val(fake->messages, message);
}

static void drain_irqfd_locked(FakeVm *fake, const FakeIrqfd *irqfd)
{
    uint64_t count;

    if (read(irqfd->fd, &count, sizeof(count)) != sizeof(count))
        return;
    for (unsigned i = 0; i < fake->routes->len; i++) {
        const IrqRoute *route = &g_array_index(fake->routes, IrqRoute, i);

        if (route->kind == IRQ_ROUTE_MSI && route->gsi == irqfd->gsi)
            count_message_locked(fake, &route->msi, (unsigned)count);
    }
}

static void drain_locked(FakeVm *fake)
{
    for (unsigned i = 0; i < fake->irqfds->len; i++)
        drain_irqfd_locked(fake, &g_array_index(fake->irqfds, FakeIrqfd, i));
}

static int find_irqfd_locked(const FakeVm *fake, int fd)
{
    for (unsigned i = 0; i < fake->irqfds->len; i++) {
        if (g_array_index(fake->irqfds, FakeIrqfd, i).fd == fd)
            return (int)i;
    }
    return -1;
}

static int change_irqfd_locked(FakeVm *fake, int fd, unsigned gsi, bool add)
{
    FakeIrqfd irqfd = { fd, gsi };
    int at = find_irqfd_locked(fake, fd);
    int err;

    if (!add) {
        fake->calls.irqfd_del++;
        if (at < 0)
            return -ENOENT;
        drain_locked(fake);
        g_array_remove_index(fake->irqfds, at);
        return 0;
    }
    fake->calls.irqfd_add++;
    err = next_failure_locked(fake);
    if (err)
        return err;
    if (at >= 0)
        return -EBUSY;
    g_array_append_val(fake->irqfds, irqfd);
    return 0;
}

static int fake_irqfd(Vm *vm, int fd, unsigned gsi, bool add)
{
    FakeVm *fake = to_fake(vm);
    int err;

    lock_take(&fake->lock);
    err = change_irqfd_locked(fake, fd, gsi, add);
    lock_drop(&fake->lock);
    return err;
}

static int check_routes(const IrqRoute *routes, unsigned n)
{
    if (n > FAKE_GSIS)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++) {
        if (routes[i].kind == IRQ_ROUTE_MSI && routes[i].msi.addr >> 32 & 0xff)
            return -EINVAL;
    }
    return 0;
}

static int fake_set_routes(Vm *vm, const IrqRoute *routes, unsigned n)
{
    FakeVm *fake = to_fake(vm);
    int err;

    lock_take(&fake->lock);
    fake->calls.set_routes++;
    err = next_failure_locked(fake);
    if (!err)
        err = check_routes(routes, n);
    if (!err) {
        drain_locked(fake);
        g_array_set_size(fake->routes, 0);
        g_array_append_vals(fake->routes, routes, n);
    }
    lock_drop(&fake->lock);
    return err;
}

static void fake_set_irq(Vm *vm, unsigned gsi, bool level)
{
    FakeVm *fake = to_fake(vm);

    g_assert(gsi < VM_GSI_LINES);
    lock_take(&fake->lock);
    if (level && !fake->levels[gsi])
        fake->edges[gsi]++;
    fake->levels[gsi] = level;
    lock_drop(&fake->lock);
}

static void fake_set_extint(Vm *vm, bool level)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    fake->extint = level;
    lock_drop(&fake->lock);
}

static void fake_inhibit_pit(Vm *vm, bool inhibit)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    fake->pit_inhibited = inhibit;
    lock_drop(&fake->lock);
}

static void fake_send_msi(Vm *vm, const MsiMessage *message)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    count_message_locked(fake, message, 1);
    lock_drop(&fake->lock);
}

static void fake_reset(Vm *vm)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    fake->n_resets++;
    memset(fake->levels, 0, sizeof(fake->levels));
    lock_drop(&fake->lock);
}

static void fake_stop_clock(Vm *vm)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    fake->n_clock_stops++;
    lock_drop(&fake->lock);
}

static void fake_start_clock(Vm *vm)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    fake->n_clock_starts++;
    lock_drop(&fake->lock);
}

static int open_stats(FakeVm *fake, bool of_vcpus)
{
    g_autofd int fd = memfd_create("stats", MFD_CLOEXEC);
    GBytes *bytes;
    const void *data;
    size_t size = 0;

    lock_take(&fake->lock);
    bytes = fake->stats[of_vcpus] ? g_bytes_ref(fake->stats[of_vcpus]) : NULL;
    lock_drop(&fake->lock);
    if (!bytes)
        return -ENOTTY;
    data = g_bytes_get_data(bytes, &size);
    g_assert_true(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    g_bytes_unref(bytes);
    return autofd_steal(&fd);
}

static int fake_open_stats(Vm *vm)
{
    return open_stats(to_fake(vm), false);
}

int vm_fake_open_vcpu_stats(Vm *vm)
{
    return open_stats(to_fake(vm), true);
}

void vm_fake_set_stats(Vm *vm, bool of_vcpus, const void *data, size_t size)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    g_clear_pointer(&fake->stats[of_vcpus], g_bytes_unref);
    fake->stats[of_vcpus] = g_bytes_new(data, size);
    lock_drop(&fake->lock);
}

static CpuHost *fake_cpu_host(Vm *vm, GError **error)
{
    return vm_fake_vcpu_host(&to_fake(vm)->cpu);
}

static void fake_free(Vm *vm)
{
    FakeVm *fake = to_fake(vm);

    g_array_unref(fake->slots);
    g_array_unref(fake->doorbells);
    g_array_unref(fake->irqfds);
    g_array_unref(fake->routes);
    g_array_unref(fake->messages);
    for (unsigned i = 0; i < G_N_ELEMENTS(fake->stats); i++)
        g_clear_pointer(&fake->stats[i], g_bytes_unref);
    g_mutex_clear(&fake->lock);
    vm_done(vm);
    g_free(fake);
}

static const VmOps fake_ops = {
    .name = "fake",
    .vcpu = &vm_fake_vcpu_ops,
    .free = fake_free,
    .map = fake_map,
    .unmap = fake_unmap,
    .doorbell = fake_doorbell,
    .irqfd = fake_irqfd,
    .set_routes = fake_set_routes,
    .set_irq = fake_set_irq,
    .set_extint = fake_set_extint,
    .send_msi = fake_send_msi,
    .inhibit_pit = fake_inhibit_pit,
    .reset = fake_reset,
    .stop_clock = fake_stop_clock,
    .start_clock = fake_start_clock,
    .open_stats = fake_open_stats,
    .cpu_host = fake_cpu_host,
};

static Vm *new_fake(VmIrqchip irqchip)
{
    FakeVm *fake = g_new0(FakeVm, 1);

    vm_init(&fake->vm, &fake_ops, irqchip, FAKE_GSIS);
    fake->vm.max_vcpus = irqchip == VM_IRQCHIP_KERNEL ? VM_XAPIC_VCPUS : VM_MAX_VCPUS;
    fake->vm.max_apic_id =
        irqchip == VM_IRQCHIP_KERNEL ? VM_XAPIC_ID_MAX : VM_X2APIC_ID_MAX;
    g_mutex_init(&fake->lock);
    fake->slots = g_array_new(FALSE, FALSE, sizeof(VmSlot));
    fake->doorbells = g_array_new(FALSE, FALSE, sizeof(VmDoorbell));
    fake->irqfds = g_array_new(FALSE, FALSE, sizeof(FakeIrqfd));
    fake->routes = g_array_new(FALSE, FALSE, sizeof(IrqRoute));
    fake->messages = g_array_new(FALSE, FALSE, sizeof(FakeMessage));
    return &fake->vm;
}

Vm *vm_fake_new(void)
{
    return new_fake(VM_IRQCHIP_KERNEL);
}

Vm *vm_fake_new_split(void)
{
    return new_fake(VM_IRQCHIP_SPLIT);
}

void vm_fake_set_cpu(Vm *vm, const VmFakeCpu *cpu)
{
    to_fake(vm)->cpu = *cpu;
}

VmFakeCalls vm_fake_calls(Vm *vm)
{
    FakeVm *fake = to_fake(vm);
    VmFakeCalls calls;

    lock_take(&fake->lock);
    calls = fake->calls;
    lock_drop(&fake->lock);
    return calls;
}

void vm_fake_fail_nth(Vm *vm, unsigned n, int err)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    fake->fail_in = n;
    fake->fail_with = err;
    lock_drop(&fake->lock);
}

unsigned vm_fake_slot_count(Vm *vm)
{
    FakeVm *fake = to_fake(vm);
    unsigned n;

    lock_take(&fake->lock);
    n = fake->slots->len;
    lock_drop(&fake->lock);
    return n;
}

VmFakeSlot vm_fake_slot(Vm *vm, unsigned index)
{
    FakeVm *fake = to_fake(vm);
    VmSlot slot;

    lock_take(&fake->lock);
    g_assert(index < fake->slots->len);
    slot = g_array_index(fake->slots, VmSlot, index);
    lock_drop(&fake->lock);
    return (VmFakeSlot){ slot.gpa, slot.size, slot.host, slot.readonly };
}

/* The slot's memory of a guest access, NULL when it is not in one that allows it. */
static uint8_t *slot_memory(FakeVm *fake, const AddressSpace *as, uint64_t addr,
                            unsigned size, bool for_write)
{
    uint8_t space = address_space_is_smm(as);
    uint8_t *host = NULL;

    if (address_space_is_io(as))
        return NULL;

    lock_take(&fake->lock);
    for (unsigned i = 0; i < fake->slots->len && !host; i++) {
        const VmSlot *slot = &g_array_index(fake->slots, VmSlot, i);

        if (slot->space == space && addr >= slot->gpa &&
            addr - slot->gpa <= slot->size - size && !(for_write && slot->readonly))
            host = (uint8_t *)slot->host + (addr - slot->gpa);
    }
    lock_drop(&fake->lock);
    return host;
}

static int doorbell_fd_locked(FakeVm *fake, const VmDoorbell *store)
{
    for (unsigned i = 0; i < fake->doorbells->len; i++) {
        const VmDoorbell *bell = &g_array_index(fake->doorbells, VmDoorbell, i);

        if (same_place(bell, store))
            return bell->fd;
    }
    return -1;
}

int vm_fake_doorbell_fd(Vm *vm, bool is_io, uint64_t addr, unsigned size, uint64_t value)
{
    FakeVm *fake = to_fake(vm);
    VmDoorbell store = { .addr = addr, .size = size, .is_io = is_io, .match = true,
                         .value = value };
    int fd;

    lock_take(&fake->lock);
    fd = doorbell_fd_locked(fake, &store);
    lock_drop(&fake->lock);
    return fd;
}

/* Signals under the lock, as the kernel holds its own reference to the eventfd. */
static bool ring_doorbell(FakeVm *fake, const VmDoorbell *store)
{
    uint64_t one = 1;
    int fd;

    lock_take(&fake->lock);
    fd = doorbell_fd_locked(fake, store);
    if (fd >= 0)
        g_assert(write(fd, &one, sizeof(one)) == sizeof(one));
    lock_drop(&fake->lock);
    return fd >= 0;
}

void vm_fake_write(Vm *vm, AddressSpace *as, uint64_t addr, unsigned size, uint64_t value)
{
    bool is_io = address_space_is_io(as);
    VmDoorbell store = { .addr = addr, .size = size, .is_io = is_io, .match = true,
                         .value = value };
    uint8_t *host = slot_memory(to_fake(vm), as, addr, size, true);
    uint64_t bytes = GUINT64_TO_LE(value);

    if (ring_doorbell(to_fake(vm), &store))
        return;
    if (host)
        memcpy(host, &bytes, size);
    else
        address_space_write(as, addr, &bytes, size);
}

uint64_t vm_fake_read(Vm *vm, AddressSpace *as, uint64_t addr, unsigned size)
{
    uint8_t *host = slot_memory(to_fake(vm), as, addr, size, false);
    uint64_t bytes = 0;

    if (host)
        memcpy(&bytes, host, size);
    else
        address_space_read(as, addr, &bytes, size);
    return GUINT64_FROM_LE(bytes);
}

unsigned vm_fake_doorbell_count(Vm *vm)
{
    FakeVm *fake = to_fake(vm);
    unsigned n;

    lock_take(&fake->lock);
    n = fake->doorbells->len;
    lock_drop(&fake->lock);
    return n;
}

bool vm_fake_msi(Vm *vm, unsigned index, MsiMessage *ret_message, unsigned *ret_count)
{
    FakeVm *fake = to_fake(vm);
    bool found;

    lock_take(&fake->lock);
    drain_locked(fake);
    found = index < fake->messages->len;
    if (found) {
        *ret_message = g_array_index(fake->messages, FakeMessage, index).msi;
        *ret_count = g_array_index(fake->messages, FakeMessage, index).count;
    }
    lock_drop(&fake->lock);
    return found;
}

unsigned vm_fake_msi_count(Vm *vm, uint64_t addr, uint32_t data)
{
    MsiMessage message;
    unsigned count;

    for (unsigned i = 0; vm_fake_msi(vm, i, &message, &count); i++) {
        if (message.addr == addr && message.data == data)
            return count;
    }
    return 0;
}

unsigned vm_fake_msi_total(Vm *vm)
{
    MsiMessage message;
    unsigned total = 0;
    unsigned count;

    for (unsigned i = 0; vm_fake_msi(vm, i, &message, &count); i++)
        total += count;
    return total;
}

void vm_fake_clear(Vm *vm)
{
    FakeVm *fake = to_fake(vm);

    lock_take(&fake->lock);
    drain_locked(fake);
    g_array_set_size(fake->messages, 0);
    memset(fake->edges, 0, sizeof(fake->edges));
    lock_drop(&fake->lock);
}

bool vm_fake_gsi_level(Vm *vm, unsigned gsi)
{
    FakeVm *fake = to_fake(vm);
    bool level;

    g_assert(gsi < VM_GSI_LINES);
    lock_take(&fake->lock);
    level = fake->levels[gsi];
    lock_drop(&fake->lock);
    return level;
}

unsigned vm_fake_gsi_edges(Vm *vm, unsigned gsi)
{
    FakeVm *fake = to_fake(vm);
    unsigned edges;

    g_assert(gsi < VM_GSI_LINES);
    lock_take(&fake->lock);
    edges = fake->edges[gsi];
    lock_drop(&fake->lock);
    return edges;
}

bool vm_fake_extint(Vm *vm)
{
    FakeVm *fake = to_fake(vm);
    bool level;

    lock_take(&fake->lock);
    level = fake->extint;
    lock_drop(&fake->lock);
    return level;
}

bool vm_fake_pit_inhibited(Vm *vm)
{
    FakeVm *fake = to_fake(vm);
    bool inhibited;

    lock_take(&fake->lock);
    inhibited = fake->pit_inhibited;
    lock_drop(&fake->lock);
    return inhibited;
}

bool vm_fake_take_extint(Vm *vm, uint8_t *ret_vector)
{
    return vm_fake_extint(vm) && irqchip_acknowledge(vm, ret_vector);
}

bool vm_fake_pin_route(Vm *vm, unsigned pin, MsiMessage *ret_message)
{
    FakeVm *fake = to_fake(vm);
    bool found = false;

    lock_take(&fake->lock);
    for (unsigned i = 0; i < fake->routes->len && !found; i++) {
        const IrqRoute *route = &g_array_index(fake->routes, IrqRoute, i);

        found = route->kind == IRQ_ROUTE_MSI && route->gsi == pin;
        if (found)
            *ret_message = route->msi;
    }
    lock_drop(&fake->lock);
    return found;
}

bool vm_fake_eoi(Vm *vm, uint8_t vector)
{
    MsiMessage message;

    for (unsigned pin = 0; pin < IRQCHIP_IOAPIC_PINS; pin++) {
        if (!vm_fake_pin_route(vm, pin, &message) || (uint8_t)message.data != vector ||
            !(message.data & MSI_LEVEL_TRIGGERED))
            continue;
        irqchip_eoi(vm, vector);
        return true;
    }
    return false;
}

/* One counter, read under the lock. */
static unsigned read_counter(Vm *vm, const unsigned *counter)
{
    FakeVm *fake = to_fake(vm);
    unsigned n;

    lock_take(&fake->lock);
    n = *counter;
    lock_drop(&fake->lock);
    return n;
}

unsigned vm_fake_clock_stops(Vm *vm)
{
    return read_counter(vm, &to_fake(vm)->n_clock_stops);
}

unsigned vm_fake_clock_starts(Vm *vm)
{
    return read_counter(vm, &to_fake(vm)->n_clock_starts);
}

unsigned vm_fake_resets(Vm *vm)
{
    return read_counter(vm, &to_fake(vm)->n_resets);
}
