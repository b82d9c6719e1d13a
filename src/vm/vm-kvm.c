/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine of KVM: slots, doorbells, clock; its interrupts are in vm-kvm-irq.c.
 * Linux, Documentation/virt/kvm/api.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/thread.h"
#include "berth/x86-layout.h"

#include "vcpu-kvm.h"
#include "vm-kvm-cpu.h"

int vm_kvm_ioctl(int fd, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

static int check_extension(int fd, unsigned long cap)
{
    return vm_kvm_ioctl(fd, KVM_CHECK_EXTENSION, (void *)cap);
}

/* The address space is in the high half. */
static uint32_t slot_number(const VmSlot *slot)
{
    return slot->id | (uint32_t)slot->space << 16;
}

static int kvm_map(Vm *vm, const VmSlot *slot)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot_number(slot),
        .flags = slot->readonly ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = slot->gpa,
        .memory_size = slot->size,
        .userspace_addr = (uintptr_t)slot->host,
    };

    return vm_kvm_ioctl(vm_kvm_of(vm)->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int kvm_unmap(Vm *vm, const VmSlot *slot)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot_number(slot),
        .guest_phys_addr = slot->gpa,
    };

    return vm_kvm_ioctl(vm_kvm_of(vm)->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int kvm_doorbell(Vm *vm, const VmDoorbell *doorbell, bool add)
{
    KvmVm *kvm = vm_kvm_of(vm);
    struct kvm_ioeventfd bell = {
        .addr = doorbell->addr,
        .len = doorbell->size,
        .fd = doorbell->fd,
        .datamatch = doorbell->value,
    };

    if (doorbell->size == 0 && !kvm->any_length)
        return -ENOTSUP;
    if (doorbell->match)
        bell.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
    if (doorbell->is_io)
        bell.flags |= KVM_IOEVENTFD_FLAG_PIO;
    if (!add)
        bell.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
    return vm_kvm_ioctl(kvm->vm_fd, KVM_IOEVENTFD, &bell);
}

static void kvm_stop_clock(Vm *vm)
{
    KvmVm *kvm = vm_kvm_of(vm);
    struct kvm_clock_data clock = { 0 };

    assert_main();
    if (kvm->clock_stopped || vm_kvm_ioctl(kvm->vm_fd, KVM_GET_CLOCK, &clock) < 0)
        return;
    kvm->clock_ns = clock.clock;
    kvm->clock_stopped = true;
    vm_kvm_irq_stop_pit(kvm);
}

static void kvm_start_clock(Vm *vm)
{
    KvmVm *kvm = vm_kvm_of(vm);
    struct kvm_clock_data clock = { .clock = kvm->clock_ns };
    int err;

    assert_main();
    if (!kvm->clock_stopped)
        return;
    kvm->clock_stopped = false;
    err = vm_kvm_ioctl(kvm->vm_fd, KVM_SET_CLOCK, &clock);
    if (err)
        log_warn("the guest's clock jumps over the pause: %s", error_text(-err));
    vm_kvm_irq_start_pit(kvm);
}

static int kvm_open_stats(Vm *vm)
{
    return vm_kvm_ioctl(vm_kvm_of(vm)->vm_fd, KVM_GET_STATS_FD, NULL);
}

static CpuHost *kvm_cpu_host(Vm *vm, GError **error)
{
    KvmVm *kvm = vm_kvm_of(vm);
    CpuHost *host = vm_kvm_cpu_host(kvm->kvm_fd, error);

    if (host && kvm->guest_mwait)
        vm_kvm_cpu_allow_mwait(host);
    return host;
}

static void kvm_free(Vm *vm)
{
    KvmVm *kvm = vm_kvm_of(vm);

    vcpu_kvm_free_parked(kvm);
    g_clear_pointer(&kvm->power_on, vcpu_state_free);
    g_clear_pointer(&kvm->msrs, g_array_unref);
    g_clear_pointer(&kvm->chips, g_free);
    g_clear_pointer(&kvm->stopped_pit, g_free);
    base_close_fd(&kvm->vm_fd);
    base_close_fd(&kvm->kvm_fd);
    g_mutex_clear(&kvm->lock);
    vm_done(vm);
    g_free(kvm);
}

static const VmOps kvm_ops = {
    .name = "kvm",
    .vcpu = &vcpu_kvm_ops,
    .free = kvm_free,
    .map = kvm_map,
    .unmap = kvm_unmap,
    .doorbell = kvm_doorbell,
    .irqfd = vm_kvm_irq_fd,
    .set_routes = vm_kvm_irq_set_routes,
    .set_irq = vm_kvm_irq_set_irq,
    .set_extint = vm_kvm_irq_set_extint,
    .send_msi = vm_kvm_irq_send_msi,
    .inhibit_pit = vm_kvm_irq_inhibit_pit,
    .reset = vm_kvm_irq_reset,
    .stop_clock = kvm_stop_clock,
    .start_clock = kvm_start_clock,
    .open_stats = kvm_open_stats,
    .look_at_irqchip = vm_kvm_irq_look,
    .cpu_host = kvm_cpu_host,
};

static int open_device(const char *path, GError **error)
{
    g_autofd int fd = open(path, O_RDWR | O_CLOEXEC);
    int version;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot open '%s' (see --check-host)", path);
        return -1;
    }
    version = vm_kvm_ioctl(fd, KVM_GET_API_VERSION, NULL);
    if (version != KVM_API_VERSION) {
        error_set(error, "'%s' is not KVM of API version %d", path, KVM_API_VERSION);
        return -1;
    }
    if (!vm_kvm_caps_check(fd, error))
        return -1;
    return autofd_steal(&fd);
}

CpuHost *vm_kvm_probe_cpu(GError **error)
{
    g_autofd int fd = open_device("/dev/kvm", error);

    return fd < 0 ? NULL : vm_kvm_cpu_host(fd, error);
}

bool vm_kvm_available(GError **error)
{
    g_autofd int fd = open_device("/dev/kvm", error);

    return fd >= 0;
}

static bool check_split(int kvm_fd, GError **error)
{
    if (check_extension(kvm_fd, KVM_CAP_SPLIT_IRQCHIP) > 0)
        return true;
    error_set_class(error, BERTH_ERROR_KVM_MISSING_CAP,
                    "KVM of this host lacks KVM_CAP_SPLIT_IRQCHIP, which "
                    "'kernel-irqchip=split' needs");
    return false;
}

static bool check_smm(int kvm_fd, GError **error)
{
    if (check_extension(kvm_fd, KVM_CAP_X86_SMM) > 0 &&
        check_extension(kvm_fd, KVM_CAP_MULTI_ADDRESS_SPACE) > 1)
        return true;
    error_set_class(error, BERTH_ERROR_KVM_MISSING_CAP,
                    "KVM of this host lacks KVM_CAP_X86_SMM, which 'smm=on' needs");
    return false;
}

int vm_kvm_enable(KvmVm *kvm, uint32_t cap, uint64_t argument)
{
    struct kvm_enable_cap request = { .cap = cap, .args = { argument } };

    if (check_extension(kvm->kvm_fd, cap) <= 0)
        return -ENOTSUP;
    return vm_kvm_ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &request);
}

/*
 * Addresses that KVM needs for itself on Intel; APIC ids of 32 bits; and triple faults as
 * part of a vCPU's events: one that a vCPU was stopped in the middle of would strike it
 * after a reset.
 */
static bool prepare(KvmVm *kvm, GError **error)
{
    uint64_t identity_map = X86_KVM_IDENTITY_MAP;
    int err = vm_kvm_ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);

    if (!err)
        err = vm_kvm_ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)X86_KVM_TSS);
    if (err) {
        error_set_errno(error, -err, "KVM refuses the addresses of its own pages");
        return false;
    }
    vm_kvm_irq_enable_x2apic(kvm, KVM_X2APIC_API_USE_32BIT_IDS |
                                  KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
    vm_kvm_enable(kvm, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1);
    return true;
}

/* False when the VM's own limits do not let in what was asked for. */
static bool check_limits(const KvmVm *kvm, const VmOptions *options, GError **error)
{
    if (options->max_vcpus <= kvm->vm.max_vcpus)
        return true;
    if (kvm->vm.irqchip == VM_IRQCHIP_KERNEL && options->max_vcpus > VM_XAPIC_VCPUS) {
        error_set(error, "%u vCPUs were asked for, but the kernel's IOAPIC reaches %u; "
                  "use 'kernel-irqchip=split'", options->max_vcpus, VM_XAPIC_VCPUS);
        return false;
    }
    error_set(error, "%u vCPUs were asked for, but this host allows %u",
              options->max_vcpus, kvm->vm.max_vcpus);
    return false;
}

static void read_limits(KvmVm *kvm)
{
    int most = kvm->vm.irqchip == VM_IRQCHIP_KERNEL ? VM_XAPIC_VCPUS : VM_MAX_VCPUS;
    int max_vcpus = check_extension(kvm->kvm_fd, KVM_CAP_MAX_VCPUS);
    int run_size = vm_kvm_ioctl(kvm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    int xsave_size = check_extension(kvm->vm_fd, KVM_CAP_XSAVE2);
    int nested_size = check_extension(kvm->vm_fd, KVM_CAP_NESTED_STATE);

    kvm->vm.max_vcpus = (unsigned)CLAMP(max_vcpus, 1, most);
    kvm->vm.max_apic_id = vm_kvm_irq_max_apic_id(kvm);
    kvm->run_size = (uint32_t)MAX(run_size, (int)sizeof(struct kvm_run));
    kvm->xsave_size = (uint32_t)MAX(xsave_size, (int)sizeof(struct kvm_xsave));
    kvm->nested_size = (uint32_t)MAX(nested_size, 0);
    kvm->any_length = check_extension(kvm->kvm_fd, KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
}

/*
 * A vCPU's thread is called out of KVM_RUN by this signal; there is nothing else to do.
 */
static void on_kick(int signal_number)
{
}

Vm *vm_kvm_new(const VmOptions *options, GError **error)
{
    struct sigaction kick = { .sa_handler = on_kick, .sa_flags = SA_RESTART };
    g_autofd int kvm_fd = -1;
    g_autoptr(Vm) vm = NULL;
    KvmVm *kvm;

    assert_main();
    kvm_fd = open_device(options->device ? options->device : "/dev/kvm", error);
    if (kvm_fd < 0)
        return NULL;
    if ((options->irqchip == VM_IRQCHIP_SPLIT && !check_split(kvm_fd, error)) ||
        (options->smm && !check_smm(kvm_fd, error)))
        return NULL;

    kvm = g_new0(KvmVm, 1);
    vm = &kvm->vm;
    vm_init(vm, &kvm_ops, options->irqchip,
            (unsigned)check_extension(kvm_fd, KVM_CAP_IRQ_ROUTING));
    g_mutex_init(&kvm->lock);
    kvm->pit = options->pit && options->irqchip == VM_IRQCHIP_KERNEL;
    kvm->pit_discards = options->pit_discards;
    kvm->kvm_fd = autofd_steal(&kvm_fd);
    vm_kvm_cpu_permit();
    kvm->vm_fd = vm_kvm_ioctl(kvm->kvm_fd, KVM_CREATE_VM, NULL);
    if (kvm->vm_fd < 0) {
        error_set_errno(error, -kvm->vm_fd, "KVM cannot make a virtual machine");
        return NULL;
    }
    if (!prepare(kvm, error) || !vm_kvm_tuning_apply(kvm, &options->tuning, error))
        return NULL;
    read_limits(kvm);
    if (!check_limits(kvm, options, error))
        return NULL;
    sigaction(VCPU_KICK_SIGNAL, &kick, NULL);
    return g_steal_pointer(&vm);
}
