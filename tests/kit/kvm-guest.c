/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests of a few instructions on the host's /dev/kvm.
 */
#include <string.h>
#include <time.h>

#include "berth/qsbr.h"

#include "kvm-guest.h"

#define WAIT_SECONDS 60
#define SPLIT 0x100u                    /* in a test's data, beside the number of vCPUs */

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset * size;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    KvmGuest *f = opaque;

    pthread_mutex_lock(&f->lock);
    if (offset == GUEST_PORT_SAY)
        g_string_append_c(f->said, (char)value);
    else if (offset == GUEST_PORT_DONE)
        f->n_done++;
    else
        g_string_append_printf(f->said, "[w%u %" PRIx64 "=%" PRIx64 "]", size, offset,
                               value);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static const RegionOps port_ops = { .read = port_read, .write = port_write };

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0x8877665544332211ull + offset;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    KvmGuest *f = opaque;

    pthread_mutex_lock(&f->lock);
    g_string_append_printf(f->said, "[m%u %" PRIx64 "=%" PRIx64 "]", size, offset, value);
    pthread_mutex_unlock(&f->lock);
}

static const RegionOps mmio_ops = { .read = mmio_read, .write = mmio_write };

static void on_stopped(void *opaque, Vcpu *vcpu, VcpuStopReason reason,
                       const char *detail)
{
    KvmGuest *f = opaque;

    pthread_mutex_lock(&f->lock);
    f->n_stopped++;
    f->reason = reason;
    g_strlcpy(f->detail, detail, sizeof(f->detail));
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void kvm_guest_wait_for(KvmGuest *f, const unsigned *counter, unsigned wanted)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&f->lock);
    while (*counter < wanted &&
           pthread_cond_timedwait(&f->changed, &f->lock, &end) == 0)
        ;
    if (*counter < wanted)
        g_error("the guest did not do it; it said \"%s\", stopped: %s", f->said->str,
                f->detail);
    pthread_mutex_unlock(&f->lock);
}

void kvm_guest_assert_said(KvmGuest *f, const char *expected)
{
    pthread_mutex_lock(&f->lock);
    g_assert_cmpstr(f->said->str, ==, expected);
    g_string_truncate(f->said, 0);
    pthread_mutex_unlock(&f->lock);
}

void kvm_guest_write_gdt(KvmGuest *f, bool is_long)
{
    uint64_t gdt[] = { 0, 0, is_long ? 0x00af9b000000ffff : 0x00cf9b000000ffff,
                       0x00cf93000000ffff, 0x00008b0000000067, 0 };

    memcpy(f->ram->host + GUEST_GDT, gdt, sizeof(gdt));
}

void kvm_guest_write_page_tables(KvmGuest *f)
{
    uint64_t *pml4 = (uint64_t *)(f->ram->host + GUEST_PAGE_TABLES);
    uint64_t *pdpt = pml4 + 512;
    uint64_t *low = pdpt + 512;
    uint64_t *mmio = low + 512;

    pml4[0] = (GUEST_PAGE_TABLES + 0x1000) | 3;
    pdpt[0] = (GUEST_PAGE_TABLES + 0x2000) | 3;
    pdpt[1] = (GUEST_PAGE_TABLES + 0x3000) | 3;
    for (uint64_t i = 0; i < 512; i++) {
        low[i] = i * 2 * MIB | 0x83;
        mmio[i] = (GIB + i * 2 * MIB) | 0x83;
    }
}

void kvm_guest_write_gate(KvmGuest *f, unsigned vector, uint32_t handler)
{
    uint64_t gate = (handler & 0xffff) | 0x10ull << 16 | 0x8e00ull << 32 |
                    (uint64_t)(handler >> 16) << 48;

    uint16_t limit = 0x7ff;
    uint32_t base = GUEST_IDT;

    memcpy(f->ram->host + GUEST_IDTR, &limit, sizeof(limit));
    memcpy(f->ram->host + GUEST_IDTR + 2, &base, sizeof(base));
    memcpy(f->ram->host + GUEST_IDT + vector * 8, &gate, sizeof(gate));
}

static void add_memory(KvmGuest *f)
{
    RamOptions options = { .memfd = true, .share = true };

    f->ram = ram_block_new("ram", GUEST_RAM_SIZE, &options, NULL);
    f->rom = ram_block_new("rom", GUEST_ROM_SIZE, &(RamOptions){ 0 }, NULL);
    region_init_container(&f->memory_root, "memory", UINT64_MAX);
    region_init_container(&f->io_root, "io", 0x10000);
    region_init_ram(&f->ram_region, "ram", f->ram, 0, GUEST_RAM_SIZE);
    region_init_rom(&f->rom_region, "rom", f->rom, 0, GUEST_ROM_SIZE);
    region_init_io(&f->port_region, "ports", 0x100, &port_ops, f, NULL);
    region_init_io(&f->mmio_region, "mmio", 0x1000, &mmio_ops, f, NULL);
    f->memory = address_space_new("memory", &f->memory_root, f->vm, false);
    f->io = address_space_new("io", &f->io_root, f->vm, true);
    region_batch_begin(f->memory);
    region_add(&f->memory_root, 0, &f->ram_region, 0);
    region_add(&f->memory_root, 4 * GIB - GUEST_ROM_SIZE, &f->rom_region, 0);
    region_add(&f->memory_root, GUEST_MMIO, &f->mmio_region, 0);
    region_batch_end(f->memory);
    region_add(&f->io_root, 0, &f->port_region, 0);
}

static void make_vcpu(KvmGuest *f, unsigned index)
{
    VcpuOwner owner = {
        .memory = f->memory, .io = f->io, .stopped = on_stopped, .opaque = f,
    };
    GError *error = NULL;

    f->vcpus[index] = vcpu_new(f->vm, index, f->model, &owner, &error);
    g_assert_no_error(error);
}

void kvm_guest_replace(KvmGuest *f, unsigned index)
{
    vcpu_free(f->vcpus[index]);
    make_vcpu(f, index);
}

static void add_vcpus(KvmGuest *f, unsigned n)
{
    CpuTopology topology = {
        .cpus = n, .max_cpus = n, .sockets = 1, .dies = 1, .cores = n, .threads = 1,
    };
    GError *error = NULL;

    f->model = cpu_model_new(f->vm, "host", &topology, &error);
    g_assert_no_error(error);
    for (f->n_vcpus = 0; f->n_vcpus < n; f->n_vcpus++)
        make_vcpu(f, f->n_vcpus);
}

static void set_up(KvmGuest *f, gconstpointer data)
{
    bool split = GPOINTER_TO_UINT(data) & SPLIT;
    VmOptions options = {
        .irqchip = split ? VM_IRQCHIP_SPLIT : VM_IRQCHIP_KERNEL,
        .pit = true,
        .max_vcpus = KVM_GUEST_VCPUS,
    };
    GError *error = NULL;

    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    f->said = g_string_new(NULL);
    if (!vm_kvm_available(NULL))
        return;
    f->vm = vm_kvm_new(&options, &error);
    g_assert_no_error(error);
    add_memory(f);
    add_vcpus(f, GPOINTER_TO_UINT(data) & ~SPLIT);
    g_assert_true(address_space_check(f->memory, NULL));
}

static void tear_down(KvmGuest *f, gconstpointer data)
{
    if (f->vm) {
        for (unsigned i = 0; i < f->n_vcpus; i++)
            vcpu_free(f->vcpus[i]);
        cpu_model_free(f->model);
        address_space_free(f->memory);
        address_space_free(f->io);
        region_done(&f->ram_region);
        region_done(&f->rom_region);
        region_done(&f->port_region);
        region_done(&f->mmio_region);
        region_done(&f->memory_root);
        region_done(&f->io_root);
        ram_block_unref(f->ram);
        ram_block_unref(f->rom);
        vm_free(f->vm);
        qsbr_synchronize();     /* what was replaced is freed before the next test */
    }
    g_string_free(f->said, TRUE);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
}

bool kvm_guest_skipped(KvmGuest *f)
{
    g_autoptr(GError) error = NULL;

    if (f->vm)
        return false;
    vm_kvm_available(&error);
    g_test_skip(error->message);
    return true;
}

void kvm_guest_load(KvmGuest *f, uint32_t gpa, const char *start, const char *end)
{
    memcpy(f->ram->host + gpa, start, (size_t)(end - start));
}

void kvm_guest_reset(KvmGuest *f, const VcpuBoot *boot)
{
    for (unsigned i = 0; i < f->n_vcpus; i++) {
        GError *error = NULL;

        vcpu_reset(f->vcpus[i], boot, &error);
        g_assert_no_error(error);
    }
}

void kvm_guest_resume(KvmGuest *f)
{
    for (unsigned i = 0; i < f->n_vcpus; i++)
        vcpu_resume(f->vcpus[i]);
}

void kvm_guest_pause(KvmGuest *f)
{
    for (unsigned i = 0; i < f->n_vcpus; i++)
        vcpu_request_pause(f->vcpus[i]);
    for (unsigned i = 0; i < f->n_vcpus; i++)
        vcpu_wait_paused(f->vcpus[i]);
}

void kvm_guest_boot_flat(KvmGuest *f)
{
    VcpuBoot boot = {
        .entry = VCPU_ENTRY_PVH, .ip = GUEST_CODE, .arg = 0x1234, .gdt = GUEST_GDT,
    };

    kvm_guest_write_gdt(f, false);
    kvm_guest_reset(f, &boot);
}

void kvm_guest_run(KvmGuest *f, const char *start, const char *end)
{
    kvm_guest_load(f, GUEST_CODE, start, end);
    kvm_guest_boot_flat(f);
    kvm_guest_resume(f);
}

GUEST(flat, 32,
      " cmp $0x1234, %ebx\n jne 1f\n" GUEST_SAY("b") "1:\n"
      " movb $0x12, " GUEST_STRING(GUEST_MMIO) "+1\n"
      " movw $0x1234, " GUEST_STRING(GUEST_MMIO) "+2\n"
      " movl $0x12345678, " GUEST_STRING(GUEST_MMIO) "+4\n"
      " mov " GUEST_STRING(GUEST_MMIO) "+8, %eax\n mov %eax, 0x9000\n"
      " mov " GUEST_STRING(GUEST_NOWHERE) ", %eax\n mov %eax, 0x9004\n"
      " mov $" GUEST_STRING(GUEST_PORT_ECHO) ", %dx\n in %dx, %eax\n mov %eax, 0x9008\n"
      " mov $0xfff0, %dx\n in %dx, %ax\n mov %ax, 0x900c\n"
      GUEST_DONE GUEST_SLEEP);

/*
 * Takes interrupts; between them it sleeps.  The handlers go back to the loop by a
 * jump, for KVM's emulator, which runs this where there is no VMX or SVM, has no 32-bit
 * IRET.
 */
GUEST(interrupts, 32,
      " lidt " GUEST_STRING(GUEST_IDTR) "\n"
      " movl $0x1ff, 0xfee000f0\n movl $0x400, 0xfee00360\n" GUEST_DONE
      "interrupts_sleep: mov $0x8000, %esp\n sti\n" GUEST_SLEEP
      ".globl guest_interrupts_handler, guest_nmi_handler\n"
      "guest_interrupts_handler:" GUEST_SAY("!") " movl $0, 0xfee000b0\n" GUEST_DONE
      " jmp interrupts_sleep\n"
      "guest_nmi_handler:" GUEST_SAY("N") GUEST_DONE " jmp interrupts_sleep\n");

void kvm_guest_run_interrupts(KvmGuest *f)
{
    uint32_t handler = (uint32_t)(guest_interrupts_handler - guest_interrupts);
    uint32_t nmi_handler = (uint32_t)(guest_nmi_handler - guest_interrupts);

    kvm_guest_write_gate(f, GUEST_VECTOR, GUEST_CODE + handler);
    kvm_guest_write_gate(f, 2, GUEST_CODE + nmi_handler);
    GUEST_RUN(f, interrupts);
    kvm_guest_wait_for(f, &f->n_done, 1);
}

void kvm_guest_wait_halted(Vcpu *vcpu)
{
    gint64 end = g_get_monotonic_time() + WAIT_SECONDS * G_TIME_SPAN_SECOND;

    while (!vcpu_is_halted(vcpu) && g_get_monotonic_time() < end)
        g_usleep(1000);
    g_assert_true(vcpu_is_halted(vcpu));
}

/*
 * Sends INIT and SIPI to all others; they begin at GUEST_CODE + 0x1000 in real mode.  Its
 * own LINT1 is an NMI.
 */
GUEST(smp, 32,
      " movl $0x1ff, 0xfee000f0\n movl $0x400, 0xfee00360\n"
      " movl $0xc4500, 0xfee00300\n movl $0xc4611, 0xfee00300\n" GUEST_SLEEP);
GUEST(processor, 16,
      " mov $1, %eax\n cpuid\n shr $24, %ebx\n mov %bl, %al\n add $'0', %al\n"
      " out %al, $" GUEST_STRING(GUEST_PORT_SAY) "\n" GUEST_DONE
      "1: inc %ecx\n jmp 1b\n");

void kvm_guest_run_smp(KvmGuest *f)
{
    kvm_guest_load(f, GUEST_CODE + 0x1000, guest_processor, guest_processor_end);
    GUEST_RUN(f, smp);
}

void kvm_guest_add_test(const char *path, unsigned n_vcpus,
                        void (*fn)(KvmGuest *f, gconstpointer data))
{
    g_test_add(path, KvmGuest, GUINT_TO_POINTER(n_vcpus), set_up, fn,
               tear_down);
}

void kvm_guest_add_split_test(const char *path, unsigned n_vcpus,
                              void (*fn)(KvmGuest *f, gconstpointer data))
{
    g_test_add(path, KvmGuest, GUINT_TO_POINTER(n_vcpus | SPLIT), set_up, fn, tear_down);
}
