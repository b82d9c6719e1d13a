/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs on the host's KVM: pause, reset, state, and what stops them.
 */
#include <stdlib.h>
#include <string.h>

#include "berth/thread.h"
#include "berth/vcpu-registers.h"

#include "kvm-guest.h"

static void test_twenty_resets_while_all_run(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;

    for (unsigned i = 1; i <= 20; i++) {
        kvm_guest_run_smp(f);
        kvm_guest_wait_for(f, &f->n_done, 3 * i);
        /*
         * Without a GUEST_IDT this is a triple fault, at times in the middle of the
         * pause: such a one must not strike the vCPU after its reset.
         */
        if (i % 3 == 0)
            vcpu_inject_nmi(f->vcpus[0]);
        if (i % 6 == 0)
            g_usleep(1000);
        irq_set(vm_gsi_line(f->vm, 4), i % 2);
        kvm_guest_pause(f);
        vm_reset(f->vm);
    }
    g_assert_cmpuint(f->said->len, ==, 60);
}

static void test_reset_is_the_state_at_power_on(KvmGuest *f, gconstpointer data)
{
    VcpuBoot boot = { .entry = VCPU_ENTRY_RESET };
    VcpuState *before[KVM_GUEST_VCPUS];

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_reset(f, &boot);
    for (unsigned i = 0; i < f->n_vcpus; i++)
        before[i] = vcpu_get_state(f->vcpus[i], NULL);
    kvm_guest_run_smp(f);
    kvm_guest_wait_for(f, &f->n_done, 3);
    kvm_guest_pause(f);

    kvm_guest_reset(f, &boot);

    for (unsigned i = 0; i < f->n_vcpus; i++) {
        g_autoptr(VcpuState) after = vcpu_get_state(f->vcpus[i], NULL);

        g_assert_cmpstr(vcpu_state_difference(before[i], after), ==, NULL);
        vcpu_state_free(before[i]);
    }
}

static void test_state_survives_a_round_trip(KvmGuest *f, gconstpointer data)
{
    VcpuBoot boot = { .entry = VCPU_ENTRY_RESET };
    GError *error = NULL;

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_run_interrupts(f);
    kvm_guest_wait_halted(f->vcpus[0]);
    kvm_guest_pause(f);
    g_autoptr(VcpuState) saved = vcpu_get_state(f->vcpus[0], &error);
    g_assert_no_error(error);
    kvm_guest_reset(f, &boot);
    g_autoptr(VcpuState) other = vcpu_get_state(f->vcpus[0], &error);
    g_assert_nonnull(vcpu_state_difference(saved, other));

    vcpu_set_state(f->vcpus[0], saved, &error);
    g_assert_no_error(error);
    g_autoptr(VcpuState) loaded = vcpu_get_state(f->vcpus[0], &error);

    g_assert_cmpstr(vcpu_state_difference(saved, loaded), ==, NULL);
    kvm_guest_resume(f);
    vcpu_inject_nmi(f->vcpus[0]);
    kvm_guest_wait_for(f, &f->n_done, 2);
    kvm_guest_assert_said(f, "N");
}

GUEST(triple_fault, 32,
      " lidt null_idt - guest_triple_fault + " GUEST_STRING(GUEST_CODE) "\n ud2\n"
      " null_idt: .word 0\n .long 0\n");

/* KVM cannot free a vCPU: the next one with its number gets it, as at power-on. */
static void test_a_vcpu_goes_and_comes_again(KvmGuest *f, gconstpointer data)
{
    VcpuBoot boot = { .entry = VCPU_ENTRY_RESET };
    g_autoptr(VcpuState) first = NULL, last = NULL;

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_reset(f, &boot);
    first = vcpu_get_state(f->vcpus[2], NULL);
    for (unsigned i = 1; i <= 3; i++) {
        kvm_guest_run_smp(f);
        kvm_guest_wait_for(f, &f->n_done, 3 * i);
        kvm_guest_pause(f);
        kvm_guest_replace(f, 2);
        kvm_guest_replace(f, 3);
    }
    kvm_guest_reset(f, &boot);
    last = vcpu_get_state(f->vcpus[2], NULL);
    g_assert_cmpstr(vcpu_state_difference(first, last), ==, NULL);
}

static void test_triple_fault_stops(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;

    GUEST_RUN(f, triple_fault);
    kvm_guest_wait_for(f, &f->n_stopped, 1);
    vcpu_wait_paused(f->vcpus[0]);

    g_assert_cmpint(f->reason, ==, VCPU_STOP_SHUTDOWN);
    GUEST_RUN(f, flat);
    kvm_guest_wait_for(f, &f->n_done, 1);
}

GUEST(lost, 32, " mov $" GUEST_STRING(GUEST_NOWHERE) ", %eax\n jmp *%eax\n");

static void test_code_outside_ram_is_an_internal_error(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;

    GUEST_RUN(f, lost);
    kvm_guest_wait_for(f, &f->n_stopped, 1);
    vcpu_wait_paused(f->vcpus[0]);

    g_assert_cmpint(f->reason, ==, VCPU_STOP_INTERNAL_ERROR);
    g_assert_nonnull(strstr(f->detail, "suberror"));
    g_autofree char *registers = vcpu_describe(f->vcpus[0]);
    g_assert_nonnull(strstr(registers, "EIP=50000000 "));
}

GUEST(known, 32, " mov $0x12345678, %ecx\n mov $0x9abcdef0, %edi\n" GUEST_DONE
      "guest_known_loop: jmp guest_known_loop\n");

static void test_registers_of_a_running_vcpu(KvmGuest *f, gconstpointer data)
{
    const uint32_t present_code = 0x9a00 | 0xc00000;    /* accessed or not: bit 8 */
    VcpuRegisters got = { 0 };

    if (kvm_guest_skipped(f))
        return;
    GUEST_RUN(f, known);
    kvm_guest_wait_for(f, &f->n_done, 1);

    for (int i = 0; i < 20; i++)
        g_assert_true(vcpu_read_registers(f->vcpus[0], &got, NULL));

    g_assert_cmphex(got.general[VCPU_RCX], ==, 0x12345678);
    g_assert_cmphex(got.general[VCPU_RDI], ==, 0x9abcdef0);
    g_assert_cmphex(got.general[VCPU_RBX], ==, 0x1234);
    g_assert_cmphex(got.rip - GUEST_CODE, <, 0x100);
    g_assert_cmphex(got.segments[VCPU_CS].flags & ~0x100u, ==, present_code);
    g_assert_cmphex(got.segments[VCPU_CS].limit, ==, 0xffffffff);
    g_assert_cmphex(got.cr0 & 0x80000001, ==, 1);
    kvm_guest_pause(f);
    g_assert_true(vcpu_read_registers(f->vcpus[0], &got, NULL));
    g_assert_cmphex(got.general[VCPU_RCX], ==, 0x12345678);
}

GUEST(spin, 32, GUEST_DONE "1: inc %ecx\n jmp 1b\n");

static int compare_i64(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a;
    gint64 y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

static void test_pause_reaches_a_spinning_guest(KvmGuest *f, gconstpointer data)
{
    gint64 took[51];

    if (kvm_guest_skipped(f))
        return;
    GUEST_RUN(f, spin);
    kvm_guest_wait_for(f, &f->n_done, 1);

    for (unsigned i = 0; i < G_N_ELEMENTS(took); i++) {
        gint64 start = g_get_monotonic_time();

        vcpu_request_pause(f->vcpus[0]);
        vcpu_wait_paused(f->vcpus[0]);
        took[i] = g_get_monotonic_time() - start;
        vcpu_resume(f->vcpus[0]);
        g_usleep(i * 20);
    }

    qsort(took, G_N_ELEMENTS(took), sizeof(took[0]), compare_i64);
    g_test_message("pause: median %d us, worst %d us", (int)took[25], (int)took[50]);
    g_assert_cmpint(took[25], <, 250000);
}

/* Writes without end, so that a pause falls between an exit and its completion. */
GUEST(chatter, 32,
      " xor %ecx, %ecx\n 1: mov %ecx, " GUEST_STRING(GUEST_MMIO) "\n"
      " mov " GUEST_STRING(GUEST_MMIO) ", %eax\n"
      " mov $" GUEST_STRING(GUEST_PORT_ECHO) ", %dx\n in %dx, %eax\n"
      " cmp $0x140, %eax\n jne 2f\n"
      " inc %ecx\n mov %ecx, 0x9000\n cmp $3000, %ecx\n jne 1b\n"
      GUEST_DONE GUEST_SLEEP "2:\n" GUEST_SAY("X") GUEST_DONE GUEST_SLEEP);

static uint64_t read_zero(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void test_pauses_do_not_lose_accesses(KvmGuest *f, gconstpointer data)
{
    static const RegionOps quiet = { .read = read_zero };
    Region region;

    if (kvm_guest_skipped(f))
        return;
    region_init_io(&region, "quiet", 0x1000, &quiet, NULL, NULL);
    region_add(&f->memory_root, GUEST_MMIO, &region, 1);
    GUEST_RUN(f, chatter);

    for (unsigned i = 0; i < 300; i++) {
        kvm_guest_pause(f);
        kvm_guest_resume(f);
        g_usleep(i % 50);
    }
    kvm_guest_wait_for(f, &f->n_done, 1);

    kvm_guest_assert_said(f, "");
    g_assert_cmpuint(*(uint32_t *)(f->ram->host + 0x9000), ==, 3000);
    kvm_guest_pause(f);
    region_done(&region);
}

static void test_pause_before_the_first_run(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;

    for (unsigned i = 0; i < 20; i++) {
        GUEST_RUN(f, spin);
        kvm_guest_pause(f);
    }
    GUEST_RUN(f, flat);
    kvm_guest_wait_for(f, &f->n_done, 1);
}

GUEST(topology, 32,
      " mov $1, %eax\n cpuid\n mov %ebx, 0x9000\n mov %ecx, 0x9004\n"
      " mov $0xb, %eax\n mov $1, %ecx\n cpuid\n mov %eax, 0x9008\n mov %ebx, 0x900c\n"
      " mov $0x40000000, %eax\n cpuid\n mov %eax, 0x9010\n mov %ebx, 0x9014\n"
      " mov $0x40000010, %eax\n cpuid\n mov %eax, 0x9018\n mov %ebx, 0x901c\n"
      GUEST_DONE GUEST_SLEEP);

static void test_guest_sees_the_model(KvmGuest *f, gconstpointer data)
{
    const uint32_t *seen;

    if (kvm_guest_skipped(f))
        return;

    GUEST_RUN(f, topology);
    kvm_guest_wait_for(f, &f->n_done, 1);

    seen = (const uint32_t *)(f->ram->host + 0x9000);
    g_assert_cmphex(seen[0] >> 16, ==, 4);              /* APIC id 0, 4 in the package */
    g_assert_cmphex(seen[1] >> 31, ==, 1);              /* a hypervisor */
    g_assert_cmpuint(seen[2] & 0x1f, ==, 2);
    g_assert_cmpuint(seen[3], ==, 4);
    g_assert_cmphex(seen[4], >=, 0x40000010);
    g_assert_cmpmem(&seen[5], 4, "KVMK", 4);
    g_assert_cmpuint(seen[6], >, 100000);
    g_assert_cmpuint(seen[7], ==, 1000000);
}

static void test_thread_has_its_name(KvmGuest *f, gconstpointer data)
{
    g_autofree char *path = NULL;
    g_autofree char *name = NULL;

    if (kvm_guest_skipped(f))
        return;
    path = g_strdup_printf("/proc/self/task/%d/comm", vcpu_thread_id(f->vcpus[0]));

    g_assert_true(g_file_get_contents(path, &name, NULL, NULL));

    g_assert_cmpstr(name, ==, "CPU 0/KVM\n");
}

/* Context switches of all vCPU threads so far. */
static unsigned long count_switches(KvmGuest *f)
{
    unsigned long sum = 0;

    for (unsigned i = 0; i < f->n_vcpus; i++) {
        g_autofree char *path =
            g_strdup_printf("/proc/self/task/%d/status", vcpu_thread_id(f->vcpus[i]));
        g_autofree char *text = NULL;

        const char *line;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        line = strstr(text, "\nvoluntary_ctxt_switches:");
        sum += g_ascii_strtoull(strchr(line, ':') + 1, NULL, 10);
    }
    return sum;
}

static void test_halted_guest_costs_no_wake_ups(KvmGuest *f, gconstpointer data)
{
    unsigned long before, n_switches;
    unsigned n_tries = 0;

    if (kvm_guest_skipped(f))
        return;
    kvm_guest_run_interrupts(f);
    kvm_guest_wait_halted(f->vcpus[0]);
    /* KVM brings the guest's clocks in step 100 ms after the start, or when it can. */
    do {
        g_usleep(300000);
        before = count_switches(f);
        g_usleep(G_USEC_PER_SEC);
        n_switches = count_switches(f) - before;
    } while (n_switches > 0 && ++n_tries < 10);

    g_assert_cmpuint(n_switches, ==, 0);
}

static void test_clock_stands_still(KvmGuest *f, gconstpointer data)
{
    if (kvm_guest_skipped(f))
        return;
    GUEST_RUN(f, spin);
    kvm_guest_wait_for(f, &f->n_done, 1);

    kvm_guest_pause(f);
    vm_stop_clock(f->vm);
    vm_stop_clock(f->vm);
    vm_start_clock(f->vm);
    vm_start_clock(f->vm);
    kvm_guest_resume(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    kvm_guest_add_test("/vcpu-kvm/twenty-resets-while-all-run", 4,
                       test_twenty_resets_while_all_run);
    kvm_guest_add_test("/vcpu-kvm/reset-is-the-state-at-power-on", 4,
                       test_reset_is_the_state_at_power_on);
    kvm_guest_add_test("/vcpu-kvm/state-survives-a-round-trip", 1,
                       test_state_survives_a_round_trip);
    kvm_guest_add_test("/vcpu-kvm/a-vcpu-goes-and-comes-again", 4,
                       test_a_vcpu_goes_and_comes_again);
    kvm_guest_add_test("/vcpu-kvm/triple-fault-stops", 1, test_triple_fault_stops);
    kvm_guest_add_test("/vcpu-kvm/code-outside-ram-is-an-error", 1,
                       test_code_outside_ram_is_an_internal_error);
    kvm_guest_add_test("/vcpu-kvm/registers-of-a-running-vcpu", 1,
                       test_registers_of_a_running_vcpu);
    kvm_guest_add_test("/vcpu-kvm/pause-reaches-a-spinning-guest", 1,
                       test_pause_reaches_a_spinning_guest);
    kvm_guest_add_test("/vcpu-kvm/pauses-do-not-lose-accesses", 1,
                       test_pauses_do_not_lose_accesses);
    kvm_guest_add_test("/vcpu-kvm/pause-before-the-first-run", 1,
                       test_pause_before_the_first_run);
    kvm_guest_add_test("/vcpu-kvm/guest-sees-the-model", 4, test_guest_sees_the_model);
    kvm_guest_add_test("/vcpu-kvm/thread-has-its-name", 1, test_thread_has_its_name);
    kvm_guest_add_test("/vcpu-kvm/halted-guest-costs-no-wake-ups", 2,
                       test_halted_guest_costs_no_wake_ups);
    kvm_guest_add_test("/vcpu-kvm/clock-stands-still", 1, test_clock_stands_still);
    return g_test_run();
}
