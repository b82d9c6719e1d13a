/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's KVM: entry points, ports, MMIO, interrupts, doorbells, and hosts without it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "berth/irqchip.h"
#include "berth/qsbr.h"
#include "berth/thread.h"

#include "kvm-guest.h"

GUEST(real, 16,
      GUEST_SAY("r")
      " mov $0x1000, %ax\n mov %ax, %ds\n mov %ax, %es\n"
      " mov $3, %cx\n mov $(real_text - guest_real), %si\n"
      " mov $" GUEST_STRING(GUEST_PORT_SAY) ", %dx\n cld\n rep outsb\n"
      " mov $4, %cx\n mov $0x200, %di\n mov $" GUEST_STRING(GUEST_PORT_ECHO) ", %dx\n"
      " rep insb\n"
      " movb $0x77, %ds:0x300\n"
      GUEST_SAY("!") GUEST_DONE GUEST_SLEEP
      "real_text: .ascii \"abc\"\n");

GUEST(reset_vector, 16, " ljmp $0x1000, $0\n");

static void test_reset_vector_and_string_io(KvmGuest *f, gconstpointer data)
{
    VcpuBoot boot = { .entry = VCPU_ENTRY_RESET };

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_load(f, GUEST_CODE, guest_real, guest_real_end);
    memcpy(f->rom->host + GUEST_ROM_SIZE - 16, guest_reset_vector,
           (size_t)(guest_reset_vector_end - guest_reset_vector));
    kvm_guest_reset(f, &boot);

    kvm_guest_resume(f);
    kvm_guest_wait_for(f, &f->n_done, 1);

    kvm_guest_assert_said(f, "rabc!");
    g_assert_cmpmem(f->ram->host + GUEST_CODE + 0x200, 4, "PPPP", 4);
}

static void test_flat_entry_ports_and_mmio(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;

    GUEST_RUN(f, flat);
    kvm_guest_wait_for(f, &f->n_done, 1);

    kvm_guest_assert_said(f, "b[m1 1=12][m2 2=1234][m4 4=12345678]");
    g_assert_cmpmem(f->ram->host + 0x9000, 14,
                    "\x19\x22\x33\x44\xff\xff\xff\xff\x40\1\0\0\xff\xff", 14);
}

/* At a place that is not a multiple of 16: %cs and %ip have a part each. */
GUEST(waking, 16,
      " call 1f\n1: pop %ax\n out %ax, $" GUEST_STRING(GUEST_PORT_ECHO) "\n"
      " mov %cs, %ax\n out %ax, $" GUEST_STRING(GUEST_PORT_ECHO) "\n"
      GUEST_DONE GUEST_SLEEP);

static void test_real_entry(KvmGuest *f, gconstpointer data)
{
    const VcpuBoot boot = { .entry = VCPU_ENTRY_REAL, .ip = 0x8015 };

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_load(f, 0x8015, guest_waking, guest_waking_end);
    kvm_guest_reset(f, &boot);
    kvm_guest_resume(f);
    kvm_guest_wait_for(f, &f->n_done, 1);

    kvm_guest_assert_said(f, "[w2 50=8][w2 50=801]");
}

GUEST(long, 64,
      " cmp $0x1234, %rsi\n jne 1f\n" GUEST_SAY("s") "1:\n"
      " mov $" GUEST_STRING(GUEST_MMIO) ", %rbx\n mov $0x1122334455667788, %rcx\n"
      " mov %rcx, (%rbx)\n mov 8(%rbx), %rdx\n mov %rdx, 0x9000\n"
      GUEST_DONE GUEST_SLEEP);

static void test_long_entry(KvmGuest *f, gconstpointer data)
{
    VcpuBoot boot = {
        .entry = VCPU_ENTRY_LONG, .ip = GUEST_CODE, .arg = 0x1234,
        .page_table = GUEST_PAGE_TABLES, .gdt = GUEST_GDT,
    };

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_load(f, GUEST_CODE, guest_long, guest_long_end);
    kvm_guest_write_gdt(f, true);
    kvm_guest_write_page_tables(f);
    kvm_guest_reset(f, &boot);

    kvm_guest_resume(f);
    kvm_guest_wait_for(f, &f->n_done, 1);

    kvm_guest_assert_said(f, "s[m8 0=1122334455667788]");
    g_assert_cmpmem(f->ram->host + 0x9000, 8, "\x19\x22\x33\x44\x55\x66\x77\x88", 8);
}

static void test_msi_wakes_from_halt(KvmGuest *f, gconstpointer data)
{
    MsiRoute route;

    if (kvm_guest_skipped(f))
        return;
    g_assert_true(msi_route_init(&route, f->vm, NULL));
    g_assert_cmpint(msi_route_set(&route, GUEST_LAPIC, GUEST_VECTOR), ==, 0);
    kvm_guest_run_interrupts(f);
    kvm_guest_wait_halted(f->vcpus[0]);

    msi_route_fire(&route);
    kvm_guest_wait_for(f, &f->n_done, 2);
    kvm_guest_wait_halted(f->vcpus[0]);
    msi_route_fire(&route);
    kvm_guest_wait_for(f, &f->n_done, 3);

    kvm_guest_assert_said(f, "!!");
    msi_route_done(&route);
}

static void test_nmi_arrives(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;
    kvm_guest_run_interrupts(f);
    kvm_guest_wait_halted(f->vcpus[0]);

    vcpu_inject_nmi(f->vcpus[0]);
    kvm_guest_wait_for(f, &f->n_done, 2);
    kvm_guest_assert_said(f, "N");
}

static void test_nmi_to_a_paused_vcpu(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;
    kvm_guest_run_interrupts(f);
    kvm_guest_wait_halted(f->vcpus[0]);
    kvm_guest_pause(f);

    vcpu_inject_nmi(f->vcpus[0]);
    kvm_guest_assert_said(f, "");
    kvm_guest_resume(f);
    kvm_guest_wait_for(f, &f->n_done, 2);

    kvm_guest_assert_said(f, "N");
}

/* As interrupts, with LINT1 masked as it is after a reset. */
GUEST(deaf, 32,
      " lidt " GUEST_STRING(GUEST_IDTR) "\n mov $0x8000, %esp\n"
      " movl $0x1ff, 0xfee000f0\n" GUEST_DONE " sti\n" GUEST_SLEEP);

static void test_nmi_ends_at_a_masked_lint1(KvmGuest *f, gconstpointer data)
{
    uint32_t base = 0x18000 - (uint32_t)(uintptr_t)guest_interrupts;
    MsiRoute route;

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_load(f, 0x18000, guest_interrupts, guest_interrupts_end);
    kvm_guest_write_gate(f, 2, base + (uint32_t)(uintptr_t)guest_nmi_handler);
    kvm_guest_write_gate(f, GUEST_VECTOR,
                         base + (uint32_t)(uintptr_t)guest_interrupts_handler);
    g_assert_true(msi_route_init(&route, f->vm, NULL));
    g_assert_cmpint(msi_route_set(&route, GUEST_LAPIC, GUEST_VECTOR), ==, 0);
    GUEST_RUN(f, deaf);
    kvm_guest_wait_for(f, &f->n_done, 1);
    kvm_guest_wait_halted(f->vcpus[0]);

    vcpu_inject_nmi(f->vcpus[0]);
    kvm_guest_wait_halted(f->vcpus[0]);
    msi_route_fire(&route);
    kvm_guest_wait_for(f, &f->n_done, 2);

    kvm_guest_assert_said(f, "!");
    msi_route_done(&route);
}

/*
 * As interrupts, with the PIC masked and pin 4 of the IOAPIC as GUEST_VECTOR, by level.
 */
GUEST(ioapic, 32,
      " lidt " GUEST_STRING(GUEST_IDTR) "\n"
      " mov $0xff, %al\n out %al, $0x21\n out %al, $0xa1\n"
      " mov $0x8000, %esp\n movl $0x1ff, 0xfee000f0\n"
      " movl $0x18, 0xfec00000\n movl $0x8041, 0xfec00010\n"
      " movl $0x19, 0xfec00000\n movl $0, 0xfec00010\n"
      GUEST_DONE " sti\n" GUEST_SLEEP);

static void test_line_reaches_ioapic(KvmGuest *f, gconstpointer data)
{
    uint32_t handler = (uint32_t)(guest_interrupts_handler - guest_interrupts);

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_load(f, 0x18000, guest_interrupts, guest_interrupts_end);
    kvm_guest_write_gate(f, GUEST_VECTOR, 0x18000 + handler);
    GUEST_RUN(f, ioapic);
    kvm_guest_wait_for(f, &f->n_done, 1);

    irq_raise(vm_gsi_line(f->vm, 4));
    kvm_guest_wait_for(f, &f->n_done, 2);
    irq_lower(vm_gsi_line(f->vm, 4));

    g_assert_cmpint(f->said->str[0], ==, '!');
}

static void test_init_sipi_starts_the_others(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;

    kvm_guest_run_smp(f);
    kvm_guest_wait_for(f, &f->n_done, 3);

    g_assert_cmpuint(f->said->len, ==, 3);
    for (char c = '1'; c <= '3'; c++)
        g_assert_nonnull(strchr(f->said->str, c));
}

GUEST(doorbells, 32,
      " movw $5, " GUEST_STRING(GUEST_MMIO) "+0x10\n"
      " movl $6, " GUEST_STRING(GUEST_MMIO) "+0x10\n"
      " mov $0x30, %dx\n mov $7, %al\n out %al, %dx\n mov $8, %al\n out %al, %dx\n"
      GUEST_DONE GUEST_SLEEP);

static void test_doorbells_are_ioeventfds(KvmGuest *f, gconstpointer data)
{
    g_autofd int mmio_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_autofd int port_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    RegionDoorbell mmio = { .offset = 0x10, .size = 2, .fd = mmio_fd };
    RegionDoorbell port = {
        .offset = 0x30, .size = 1, .match = true, .value = 7, .fd = port_fd,
    };
    uint64_t count;

    if (kvm_guest_skipped(f))
        return;
    region_add_doorbell(&f->mmio_region, &mmio);
    region_add_doorbell(&f->port_region, &port);

    GUEST_RUN(f, doorbells);
    kvm_guest_wait_for(f, &f->n_done, 1);

    g_assert_cmpint(read(mmio_fd, &count, 8), ==, 8);
    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpint(read(port_fd, &count, 8), ==, 8);
    g_assert_cmpuint(count, ==, 1);
    kvm_guest_assert_said(f, "[m4 10=6][w1 30=8]");
    region_remove_doorbell(&f->mmio_region, &mmio);
    region_remove_doorbell(&f->port_region, &port);
}

/* A machine of one vCPU; false with an error. */
static bool make_machine(GError **error)
{
    VmOptions options = { .pit = true, .max_vcpus = 1 };
    CpuTopology topology = { 1, 1, 1, 1, 1, 1 };
    VcpuOwner owner = { 0 };
    g_autoptr(Vm) vm = vm_kvm_new(&options, error);
    g_autoptr(CpuModel) model = vm ? cpu_model_new(vm, "host", &topology, error) : NULL;
    Vcpu *vcpu = model ? vcpu_new(vm, 0, model, &owner, error) : NULL;
    bool ok = vcpu != NULL;

    vcpu_free(vcpu);
    return ok;
}

static void test_each_missing_descriptor_is_an_error(void)
{
    struct rlimit saved;
    unsigned n_failed = 0;
    int next;

    qsbr_quiescent();           /* what other tests left to be freed has descriptors */
    next = dup(0);
    close(next);
    if (!vm_kvm_available(NULL)) {
        g_test_skip("no KVM");
        return;
    }
    getrlimit(RLIMIT_NOFILE, &saved);
    for (bool ok = false; !ok; n_failed += !ok) {
        struct rlimit few = { (rlim_t)next + n_failed, saved.rlim_max };
        GError *error = NULL;

        setrlimit(RLIMIT_NOFILE, &few);
        ok = make_machine(&error);
        setrlimit(RLIMIT_NOFILE, &saved);
        g_assert_true(ok == !error);
        g_clear_error(&error);
    }

    g_assert_cmpuint(n_failed, ==, 3);
    g_assert_cmpint(dup(0), ==, next);
    close(next);
}

static void test_missing_device_is_named(void)
{
    VmOptions options = { .device = "/nowhere/kvm" };
    g_autoptr(GError) error = NULL;

    g_assert_null(vm_kvm_new(&options, &error));
    g_assert_nonnull(strstr(error->message, "/nowhere/kvm"));
}

static void test_not_a_kvm_device(void)
{
    VmOptions options = { .device = "/dev/null" };
    g_autoptr(GError) error = NULL;

    g_assert_null(vm_kvm_new(&options, &error));
    g_assert_nonnull(strstr(error->message, "not KVM"));
}

/* A PIC that requests GUEST_VECTOR as often as it was asked to. */
typedef struct OneVector {
    Vm *vm;
    unsigned n_requests;        /* atomic */
} OneVector;

static bool acknowledge(void *opaque, uint8_t *ret_vector)
{
    OneVector *pic = opaque;

    *ret_vector = GUEST_VECTOR;
    if (__atomic_sub_fetch(&pic->n_requests, 1, __ATOMIC_SEQ_CST) == 0)
        irqchip_set_extint(pic->vm, false);
    return true;
}

static void request(OneVector *pic)
{
    __atomic_add_fetch(&pic->n_requests, 1, __ATOMIC_SEQ_CST);
    irqchip_set_extint(pic->vm, true);
}

/* With interrupts off until DONE was said; then as interrupts. */
GUEST(late, 32,
      " lidt " GUEST_STRING(GUEST_IDTR) "\n"
      " movl $0x1ff, 0xfee000f0\n movl $0x700, 0xfee00350\n"
      GUEST_DONE
      " mov $20000, %ecx\n 1: pause\n loop 1b\n" GUEST_SAY("L")
      " mov $0x8000, %esp\n sti\n" GUEST_SLEEP);

static void test_extint_of_a_pic_in_user_space(KvmGuest *f, gconstpointer data)
{
    uint32_t handler = (uint32_t)(guest_interrupts_handler - guest_interrupts);
    OneVector one = { .vm = f->vm };
    VmPic pic = { .acknowledge = acknowledge, .opaque = &one };

    if (kvm_guest_skipped(f))
        return;
    irqchip_set_pic(f->vm, &pic);
    kvm_guest_load(f, 0x18000, guest_interrupts, guest_interrupts_end);
    kvm_guest_write_gate(f, GUEST_VECTOR, 0x18000 + handler);
    GUEST_RUN(f, late);
    kvm_guest_wait_for(f, &f->n_done, 1);

    request(&one);                                      /* waits for the window */
    kvm_guest_wait_for(f, &f->n_done, 2);
    kvm_guest_assert_said(f, "L!");
    for (unsigned i = 0; i < 50; i++) {
        request(&one);                                  /* out of HLT */
        kvm_guest_wait_for(f, &f->n_done, 3 + i);
    }
    kvm_guest_pause(f);
    request(&one);
    kvm_guest_resume(f);
    kvm_guest_wait_for(f, &f->n_done, 53);

    g_assert_cmpuint(one.n_requests, ==, 0);
    kvm_guest_pause(f);
    irqchip_set_pic(f->vm, NULL);
}

static void note_eoi(void *opaque, uint8_t vector)
{
    __atomic_add_fetch((unsigned *)opaque, vector == GUEST_VECTOR ? 1 : 1000,
                       __ATOMIC_SEQ_CST);
}

static void test_eoi_is_told_to_an_ioapic_in_user_space(KvmGuest *f, gconstpointer data)
{
    MsiMessage pins[IRQCHIP_IOAPIC_PINS] = {
        [9] = { GUEST_LAPIC, 0xc000 | GUEST_VECTOR },
    };
    unsigned n_eois = 0;
    VmIoapic ioapic = { .eoi = note_eoi, .opaque = &n_eois };

    if (kvm_guest_skipped(f))
        return;
    irqchip_set_ioapic(f->vm, &ioapic);
    kvm_guest_run_interrupts(f);
    kvm_guest_wait_halted(f->vcpus[0]);

    vm_send_msi(f->vm, &pins[9]);
    kvm_guest_wait_for(f, &f->n_done, 2);
    kvm_guest_pause(f);
    g_assert_cmpuint(n_eois, ==, 0);                    /* nobody asked for it */
    g_assert_cmpint(irqchip_set_routes(f->vm, pins), ==, 0);
    kvm_guest_resume(f);
    vm_send_msi(f->vm, &pins[9]);
    kvm_guest_wait_for(f, &f->n_done, 3);
    kvm_guest_pause(f);

    g_assert_cmpuint(n_eois, ==, 1);
    kvm_guest_assert_said(f, "!!");
    irqchip_set_ioapic(f->vm, NULL);
}

/* Interrupts that are ended without a broadcast; says whether the APIC offers that. */
GUEST(directed, 32,
      " lidt " GUEST_STRING(GUEST_IDTR) "\n movl $0x11ff, 0xfee000f0\n"
      " testl $0x1000000, 0xfee00030\n jz 1f\n" GUEST_SAY("D") "1:\n" GUEST_DONE
      " mov $0x8000, %esp\n sti\n" GUEST_SLEEP);

static void test_suppressed_eoi_is_not_told(KvmGuest *f, gconstpointer data)
{
    uint32_t handler = (uint32_t)(guest_interrupts_handler - guest_interrupts);
    MsiMessage pins[IRQCHIP_IOAPIC_PINS] = {
        [9] = { GUEST_LAPIC, 0xc000 | GUEST_VECTOR },
    };
    unsigned n_eois = 0;
    VmIoapic ioapic = { .eoi = note_eoi, .opaque = &n_eois };

    if (kvm_guest_skipped(f))
        return;
    irqchip_set_ioapic(f->vm, &ioapic);
    g_assert_cmpint(irqchip_set_routes(f->vm, pins), ==, 0);
    kvm_guest_load(f, 0x18000, guest_interrupts, guest_interrupts_end);
    kvm_guest_write_gate(f, GUEST_VECTOR, 0x18000 + handler);
    GUEST_RUN(f, directed);
    kvm_guest_wait_for(f, &f->n_done, 1);
    vm_send_msi(f->vm, &pins[9]);
    kvm_guest_wait_for(f, &f->n_done, 2);
    kvm_guest_pause(f);

    if (strcmp(f->said->str, "D!") != 0 || n_eois == 1)
        g_test_skip("this KVM does not suppress broadcasts of EOI");
    irqchip_set_ioapic(f->vm, NULL);
}

static void test_check_host_reports(void)
{
    g_autofree char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    bool can_run = vm_kvm_check_host(out);

    fclose(out);

    g_assert_nonnull(strstr(text, "/dev/kvm"));
    g_assert_nonnull(strstr(text, can_run ? "can run" : "cannot run"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    kvm_guest_add_test("/vm-kvm/reset-vector-and-string-io", 1,
                       test_reset_vector_and_string_io);
    kvm_guest_add_test("/vm-kvm/flat-entry-ports-and-mmio", 1,
                       test_flat_entry_ports_and_mmio);
    kvm_guest_add_test("/vm-kvm/real-entry", 1, test_real_entry);
    kvm_guest_add_test("/vm-kvm/long-entry", 1, test_long_entry);
    kvm_guest_add_test("/vm-kvm/msi-wakes-from-halt", 1, test_msi_wakes_from_halt);
    kvm_guest_add_test("/vm-kvm/nmi-arrives", 1, test_nmi_arrives);
    kvm_guest_add_test("/vm-kvm/nmi-to-a-paused-vcpu", 1, test_nmi_to_a_paused_vcpu);
    kvm_guest_add_test("/vm-kvm/nmi-ends-at-a-masked-lint1", 1,
                       test_nmi_ends_at_a_masked_lint1);
    kvm_guest_add_test("/vm-kvm/line-reaches-ioapic", 1, test_line_reaches_ioapic);
    kvm_guest_add_test("/vm-kvm/init-sipi-starts-the-others", 4,
                       test_init_sipi_starts_the_others);
    kvm_guest_add_test("/vm-kvm/doorbells-are-ioeventfds", 1,
                       test_doorbells_are_ioeventfds);
    kvm_guest_add_split_test("/vm-kvm/extint-of-a-pic-in-user-space", 2,
                             test_extint_of_a_pic_in_user_space);
    kvm_guest_add_split_test("/vm-kvm/eoi-is-told-to-an-ioapic-in-user-space", 1,
                             test_eoi_is_told_to_an_ioapic_in_user_space);
    kvm_guest_add_split_test("/vm-kvm/suppressed-eoi-is-not-told", 1,
                             test_suppressed_eoi_is_not_told);
    kvm_guest_add_split_test("/vm-kvm/split/msi-wakes-from-halt", 1,
                             test_msi_wakes_from_halt);
    kvm_guest_add_split_test("/vm-kvm/split/nmi-arrives", 1, test_nmi_arrives);
    kvm_guest_add_split_test("/vm-kvm/split/init-sipi-starts-the-others", 4,
                             test_init_sipi_starts_the_others);
    g_test_add_func("/vm-kvm/each-missing-descriptor-is-an-error",
                    test_each_missing_descriptor_is_an_error);
    g_test_add_func("/vm-kvm/missing-device-is-named", test_missing_device_is_named);
    g_test_add_func("/vm-kvm/not-a-kvm-device", test_not_a_kvm_device);
    g_test_add_func("/vm-kvm/check-host-reports", test_check_host_reports);
    return g_test_run();
}
