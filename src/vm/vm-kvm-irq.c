/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of a virtual machine of KVM: its chips, lines, routes, messages.  Linux,
 * Documentation/virt/kvm/api.rst.
 *
 * Order of the start.  Once the kernel's interrupt controllers are on its I/O bus, the
 * next change of a memory slot waits milliseconds for a grace period (seen: 5.5 ms;
 * before: 0.1 ms).  So the controllers are made when the first vCPU, route or irqfd
 * needs them, and a board that adds its memory first starts that much faster.  A level
 * that a device sets before is remembered.
 *
 * With the PIC in user space, vCPU 0 is called out of the guest when the PIC's output
 * rises, and takes the vector itself before it goes back in (vcpu-kvm.c).
 */
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/thread.h"

#include "vcpu-kvm.h"

/* Of Linux 7.0; earlier headers lack it. */
#ifndef KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST
#define KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST (1ull << 2)
#endif

#define X2APIC_IDS \
    ((uint64_t)(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))

static int set_line(KvmVm *kvm, unsigned gsi, bool level)
{
    struct kvm_irq_level line = { .irq = gsi, .level = level };

    return vm_kvm_ioctl(kvm->vm_fd, KVM_IRQ_LINE, &line);
}

static int save_chips_locked(KvmVm *kvm)
{
    g_autofree VmKvmChips *chips = g_new0(VmKvmChips, 1);
    int err = 0;

    for (unsigned i = 0; !err && i < G_N_ELEMENTS(chips->chips); i++) {
        chips->chips[i].chip_id = i;
        err = vm_kvm_ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &chips->chips[i]);
    }
    if (!err && kvm->pit)
        err = vm_kvm_ioctl(kvm->vm_fd, KVM_GET_PIT2, &chips->pit);
    if (!err)
        kvm->chips = g_steal_pointer(&chips);
    return err;
}

static uint64_t check(KvmVm *kvm, unsigned long cap)
{
    int has = vm_kvm_ioctl(kvm->kvm_fd, KVM_CHECK_EXTENSION, (void *)cap);

    return (uint64_t)MAX(has, 0);
}

void vm_kvm_irq_enable_x2apic(KvmVm *kvm, uint64_t flags)
{
    uint64_t has = check(kvm, KVM_CAP_X2APIC_API);

    if (has & flags)
        vm_kvm_enable(kvm, KVM_CAP_X2APIC_API, has & flags);
}

/* Messages need 32 bits of APIC id, and 255 to be one of them. */
uint32_t vm_kvm_irq_max_apic_id(KvmVm *kvm)
{
    uint64_t ids = check(kvm, KVM_CAP_MAX_VCPU_ID);

    if (kvm->vm.irqchip == VM_IRQCHIP_KERNEL ||
        (check(kvm, KVM_CAP_X2APIC_API) & X2APIC_IDS) != X2APIC_IDS)
        return VM_XAPIC_ID_MAX;
    return (uint32_t)CLAMP(ids, VM_XAPIC_VCPUS, VM_X2APIC_ID_MAX + 1) - 1;
}

/*
 * Local APICs only; the GSIs of the IOAPIC's pins are kept free for its routes.  A guest
 * that suppresses EOI broadcasts, since our IOAPIC has an EOI register, gets none from a
 * kernel that can.
 */
static int make_split_locked(KvmVm *kvm)
{
    int err = vm_kvm_enable(kvm, KVM_CAP_SPLIT_IRQCHIP, IRQCHIP_IOAPIC_PINS);

    if (!err)
        vm_kvm_irq_enable_x2apic(
            kvm, X2APIC_IDS | KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST);
    return err;
}

/* KVM makes up for lost ticks unless it is told not to. */
static int make_pit_locked(KvmVm *kvm)
{
    struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
    struct kvm_reinject_control discard = { .pit_reinject = 0 };
    int err = vm_kvm_ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &config);

    if (!err && kvm->pit_discards)
        err = vm_kvm_ioctl(kvm->vm_fd, KVM_REINJECT_CONTROL, &discard);
    return err;
}

static int make_chips_locked(KvmVm *kvm)
{
    int err = vm_kvm_ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, NULL);

    if (!err && kvm->pit)
        err = make_pit_locked(kvm);
    if (!err)
        err = save_chips_locked(kvm);
    if (err)
        return err;
    for (unsigned gsi = 0; gsi < VM_GSI_LINES; gsi++) {
        if (kvm->early_levels & (1u << gsi))
            set_line(kvm, gsi, true);
    }
    return 0;
}

static int make_irqchip_locked(KvmVm *kvm)
{
    int err = kvm->vm.irqchip == VM_IRQCHIP_SPLIT ? make_split_locked(kvm)
                                                  : make_chips_locked(kvm);

    if (!err)
        __atomic_store_n(&kvm->has_irqchip, true, __ATOMIC_RELEASE);
    return err;
}

static int make_irqchip(KvmVm *kvm, bool *ret_made)
{
    int err = 0;

    *ret_made = false;
    if (__atomic_load_n(&kvm->has_irqchip, __ATOMIC_ACQUIRE))
        return 0;
    lock_take(&kvm->lock);
    if (!kvm->has_irqchip) {
        err = make_irqchip_locked(kvm);
        *ret_made = !err;
    }
    lock_drop(&kvm->lock);
    return err;
}

int vm_kvm_irq_need_chips(KvmVm *kvm)
{
    bool made;
    int err = make_irqchip(kvm, &made);

    if (made && kvm->vm.irqchip == VM_IRQCHIP_KERNEL)
        return irq_route_commit(&kvm->vm);
    return err;
}

int vm_kvm_irq_fd(Vm *vm, int fd, unsigned gsi, bool add)
{
    KvmVm *kvm = vm_kvm_of(vm);
    struct kvm_irqfd irqfd = {
        .fd = (uint32_t)fd,
        .gsi = gsi,
        .flags = add ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
    };
    int err = vm_kvm_irq_need_chips(kvm);

    return err ? err : vm_kvm_ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd);
}

static struct kvm_irq_routing_entry routing_entry(const IrqRoute *route)
{
    struct kvm_irq_routing_entry entry = { .gsi = route->gsi };

    switch (route->kind) {
    case IRQ_ROUTE_PIC:
        entry.type = KVM_IRQ_ROUTING_IRQCHIP;
        entry.u.irqchip.irqchip =
            route->pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
        entry.u.irqchip.pin = route->pin % 8;
        break;
    case IRQ_ROUTE_IOAPIC:
        entry.type = KVM_IRQ_ROUTING_IRQCHIP;
        entry.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
        entry.u.irqchip.pin = route->pin;
        break;
    case IRQ_ROUTE_MSI:
        entry.type = KVM_IRQ_ROUTING_MSI;
        entry.u.msi.address_lo = (uint32_t)route->msi.addr;
        entry.u.msi.address_hi = (uint32_t)(route->msi.addr >> 32);
        entry.u.msi.data = route->msi.data;
        break;
    }
    return entry;
}

int vm_kvm_irq_set_routes(Vm *vm, const IrqRoute *routes, unsigned n)
{
    KvmVm *kvm = vm_kvm_of(vm);
    g_autofree struct kvm_irq_routing *routing =
        g_malloc0(sizeof(*routing) + n * sizeof(routing->entries[0]));
    bool made;
    int err = make_irqchip(kvm, &made);

    if (err)
        return err;
    routing->nr = n;
    for (unsigned i = 0; i < n; i++)
        routing->entries[i] = routing_entry(&routes[i]);
    return vm_kvm_ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, routing);
}

/* True when there is no irqchip yet, and the level will be set when there is. */
static bool remember_level(KvmVm *kvm, unsigned gsi, bool level)
{
    bool early;

    lock_take(&kvm->lock);
    early = !kvm->has_irqchip;
    if (level)
        kvm->early_levels |= 1u << gsi;
    else
        kvm->early_levels &= ~(1u << gsi);
    lock_drop(&kvm->lock);
    return early;
}

void vm_kvm_irq_set_irq(Vm *vm, unsigned gsi, bool level)
{
    KvmVm *kvm = vm_kvm_of(vm);

    if (!__atomic_load_n(&kvm->has_irqchip, __ATOMIC_ACQUIRE) &&
        remember_level(kvm, gsi, level))
        return;
    set_line(kvm, gsi, level);
}

/* It fails for a message that nobody takes, as a bus drops it. */
void vm_kvm_irq_send_msi(Vm *vm, const MsiMessage *message)
{
    KvmVm *kvm = vm_kvm_of(vm);
    struct kvm_msi msi = {
        .address_lo = (uint32_t)message->addr,
        .address_hi = (uint32_t)(message->addr >> 32),
        .data = message->data,
    };

    if (vm_kvm_irq_need_chips(kvm) == 0)
        vm_kvm_ioctl(kvm->vm_fd, KVM_SIGNAL_MSI, &msi);
}

void vm_kvm_irq_set_extint(Vm *vm, bool level)
{
    KvmVm *kvm = vm_kvm_of(vm);

    __atomic_store_n(&kvm->extint, level, __ATOMIC_SEQ_CST);
    if (!level)
        return;
    lock_take(&kvm->lock);
    if (kvm->boot_vcpu)
        vcpu_recall(kvm->boot_vcpu);
    lock_drop(&kvm->lock);
}

static int get_pit_locked(KvmVm *kvm, struct kvm_pit_state2 *ret_state)
{
    if (!kvm->stopped_pit)
        return vm_kvm_ioctl(kvm->vm_fd, KVM_GET_PIT2, ret_state);
    *ret_state = *kvm->stopped_pit;
    return 0;
}

static int set_pit_locked(KvmVm *kvm, const struct kvm_pit_state2 *state)
{
    if (!kvm->stopped_pit)
        return vm_kvm_ioctl(kvm->vm_fd, KVM_SET_PIT2, (void *)state);
    *kvm->stopped_pit = *state;
    return 0;
}

void vm_kvm_irq_inhibit_pit(Vm *vm, bool inhibit)
{
    KvmVm *kvm = vm_kvm_of(vm);
    struct kvm_pit_state2 state = { 0 };
    int err;

    if (!kvm->pit || vm_kvm_irq_need_chips(kvm) < 0)
        return;
    lock_take(&kvm->lock);
    err = get_pit_locked(kvm, &state);
    if (inhibit)
        state.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
    else
        state.flags &= ~(uint32_t)KVM_PIT_FLAGS_HPET_LEGACY;
    if (!err)
        err = set_pit_locked(kvm, &state);
    lock_drop(&kvm->lock);
    if (err)
        log_error("cannot switch the timer chip's interrupt: %s", error_text(-err));
}

/*
 * KVM would count the ticks of the pause as lost, and make up for them.  An HPET in the
 * PIT's place, for as long, takes its timer away.
 */
void vm_kvm_irq_stop_pit(KvmVm *kvm)
{
    struct kvm_pit_state2 state = { 0 }, still;
    int err;

    lock_take(&kvm->lock);
    if (kvm->pit && kvm->chips && !kvm->stopped_pit) {
        err = vm_kvm_ioctl(kvm->vm_fd, KVM_GET_PIT2, &state);
        still = state;
        still.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
        if (!err)
            err = vm_kvm_ioctl(kvm->vm_fd, KVM_SET_PIT2, &still);
        if (!err)
            kvm->stopped_pit = g_memdup2(&state, sizeof(state));
    }
    lock_drop(&kvm->lock);
}

/* The tick that was under way begins anew; none is owed. */
void vm_kvm_irq_start_pit(KvmVm *kvm)
{
    g_autofree struct kvm_pit_state2 *state = NULL;
    int err = 0;

    lock_take(&kvm->lock);
    state = g_steal_pointer(&kvm->stopped_pit);
    if (state)
        err = vm_kvm_ioctl(kvm->vm_fd, KVM_SET_PIT2, state);
    lock_drop(&kvm->lock);
    if (err)
        log_error("cannot start the timer chip again: %s", error_text(-err));
}

void vm_kvm_irq_reset(Vm *vm)
{
    KvmVm *kvm = vm_kvm_of(vm);
    int err = 0;

    lock_take(&kvm->lock);
    for (unsigned i = 0; kvm->chips && !err && i < G_N_ELEMENTS(kvm->chips->chips); i++)
        err = vm_kvm_ioctl(kvm->vm_fd, KVM_SET_IRQCHIP, &kvm->chips->chips[i]);
    if (kvm->chips && !err && kvm->pit)
        err = set_pit_locked(kvm, &kvm->chips->pit);
    lock_drop(&kvm->lock);
    if (err)
        log_error("cannot reset the interrupt controllers: %s", error_text(-err));
}

static IrqchipPicView pic_view(const struct kvm_pic_state *pic)
{
    return (IrqchipPicView) {
        .irr = pic->irr,
        .imr = pic->imr,
        .isr = pic->isr,
        .elcr = pic->elcr,
        .base = pic->irq_base,
        .highest = pic->priority_add,
        .read_isr = pic->read_reg_select,
        .fully_nested = pic->special_fully_nested_mode,
    };
}

static IrqchipIoapicView ioapic_view(const struct kvm_ioapic_state *ioapic)
{
    IrqchipIoapicView view = {
        .id = (uint8_t)ioapic->id,
        .select = (uint8_t)ioapic->ioregsel,
        .irr = ioapic->irr,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(view.entries); i++)
        view.entries[i] = ioapic->redirtbl[i].bits;
    return view;
}

int vm_kvm_irq_look(Vm *vm, IrqchipView *ret_view)
{
    KvmVm *kvm = vm_kvm_of(vm);
    struct kvm_irqchip chips[] = {
        { .chip_id = KVM_IRQCHIP_PIC_MASTER },
        { .chip_id = KVM_IRQCHIP_PIC_SLAVE },
        { .chip_id = KVM_IRQCHIP_IOAPIC },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(chips); i++) {
        int err = vm_kvm_ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &chips[i]);

        if (err)
            return err;
    }
    ret_view->master = pic_view(&chips[0].chip.pic);
    ret_view->slave = pic_view(&chips[1].chip.pic);
    ret_view->ioapic = ioapic_view(&chips[2].chip.ioapic);
    return 0;
}
