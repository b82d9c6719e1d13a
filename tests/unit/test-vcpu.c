/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a vCPU's thread, on the fake hypervisor: no request is lost.
 */
#include <string.h>

#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#define N_VCPUS 3

typedef struct Fixture {
    Vm *vm;
    CpuModel *model;
    Vcpu *vcpus[N_VCPUS];
    int n_stopped;              /* atomic */
    int n_called;               /* atomic */
    int reason;                 /* atomic */
} Fixture;

static void on_stopped(void *opaque, Vcpu *vcpu, VcpuStopReason reason,
                       const char *detail)
{
    Fixture *f = opaque;

    g_assert_cmpint(thread_role(), ==, THREAD_VCPU);
    g_assert_cmpstr(detail, ==, "for a test");
    g_atomic_int_set(&f->reason, (int)reason);
    g_atomic_int_inc(&f->n_stopped);
}

static void set_up(Fixture *f, gconstpointer data)
{
    VcpuOwner owner = { .stopped = on_stopped, .opaque = f };
    CpuTopology topology = {
        .cpus = N_VCPUS, .max_cpus = N_VCPUS, .sockets = 1, .dies = 1, .cores = N_VCPUS,
        .threads = 1,
    };

    f->vm = vm_fake_new();
    f->model = cpu_model_new(f->vm, "host", &topology, NULL);
    for (unsigned i = 0; i < N_VCPUS; i++)
        f->vcpus[i] = vcpu_new(f->vm, i, f->model, &owner, NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < N_VCPUS; i++)
        vcpu_free(f->vcpus[i]);
    cpu_model_free(f->model);
    vm_free(f->vm);
}

static void wait_count(const int *counter, int wanted)
{
    while (g_atomic_int_get(counter) < wanted)
        g_usleep(100);
}

static void count_call(void *opaque)
{
    Fixture *f = opaque;

    g_assert_cmpint(thread_role(), ==, THREAD_VCPU);
    g_atomic_int_inc(&f->n_called);
}

static void test_new_vcpu_is_paused(Fixture *f, gconstpointer data)
{
    vm_fake_vcpu_exit(f->vcpus[0], count_call, f);

    vcpu_wait_paused(f->vcpus[0]);
    g_usleep(2000);

    g_assert_cmpint(g_atomic_int_get(&f->n_called), ==, 0);
    vcpu_resume(f->vcpus[0]);
    wait_count(&f->n_called, 1);
}

static void test_paused_vcpu_does_nothing(Fixture *f, gconstpointer data)
{
    vcpu_resume(f->vcpus[0]);
    vcpu_request_pause(f->vcpus[0]);
    vcpu_wait_paused(f->vcpus[0]);

    vm_fake_vcpu_exit(f->vcpus[0], count_call, f);
    g_usleep(2000);

    g_assert_cmpint(g_atomic_int_get(&f->n_called), ==, 0);
}

static void test_reset_tells_the_entry(Fixture *f, gconstpointer data)
{
    VcpuBoot boot = { .entry = VCPU_ENTRY_LONG, .ip = 0x1000000 };
    VcpuBoot seen;

    g_assert_true(vcpu_reset(f->vcpus[1], &boot, NULL));

    g_assert_cmpuint(vm_fake_vcpu_resets(f->vcpus[1], &seen), ==, 1);
    g_assert_cmphex(seen.ip, ==, 0x1000000);
    g_assert_cmpuint(vm_fake_vcpu_resets(f->vcpus[0], NULL), ==, 0);
}

static void test_stop_pauses_and_resume_goes_on(Fixture *f, gconstpointer data)
{
    vcpu_resume(f->vcpus[0]);
    vm_fake_vcpu_stop(f->vcpus[0], VCPU_STOP_SHUTDOWN, "for a test");
    wait_count(&f->n_stopped, 1);
    vcpu_wait_paused(f->vcpus[0]);
    g_assert_cmpint(g_atomic_int_get(&f->reason), ==, VCPU_STOP_SHUTDOWN);
    vm_fake_vcpu_exit(f->vcpus[0], count_call, f);
    g_usleep(2000);
    g_assert_cmpint(g_atomic_int_get(&f->n_called), ==, 0);

    vcpu_resume(f->vcpus[0]);

    wait_count(&f->n_called, 1);
}

static void test_halted_can_be_asked_any_time(Fixture *f, gconstpointer data)
{
    g_assert_true(vcpu_is_halted(f->vcpus[0]));
    vcpu_resume(f->vcpus[0]);

    for (unsigned i = 0; i < 50; i++)
        g_assert_true(vcpu_is_halted(f->vcpus[0]));

    vm_fake_vcpu_exit(f->vcpus[0], count_call, f);
    wait_count(&f->n_called, 1);
}

static void test_registers_can_be_asked_any_time(Fixture *f, gconstpointer data)
{
    VcpuRegisters set = { .general[VCPU_RBX] = 3, .cr3 = 0x1000 };
    VcpuRegisters got = { .rip = 1 };

    vm_fake_vcpu_set_registers(f->vcpus[0], &set);
    g_assert_true(vcpu_read_registers(f->vcpus[0], &got, NULL));
    g_assert_cmpmem(&got, sizeof(got), &set, sizeof(set));
    vcpu_resume(f->vcpus[0]);

    for (unsigned i = 0; i < 50; i++) {
        set.rip = i;
        vm_fake_vcpu_set_registers(f->vcpus[0], &set);
        g_assert_true(vcpu_read_registers(f->vcpus[0], &got, NULL));
        g_assert_cmpuint(got.rip, ==, i);
    }
}

static void request_pause(void *opaque)
{
    vcpu_request_pause(opaque);
}

static void test_vcpu_pauses_itself(Fixture *f, gconstpointer data)
{
    vcpu_resume(f->vcpus[0]);

    vm_fake_vcpu_exit(f->vcpus[0], request_pause, f->vcpus[0]);

    vcpu_wait_paused(f->vcpus[0]);
}

/* One that makes requests beside main, as a device on another vCPU does. */
static void *pause_others(void *opaque)
{
    Fixture *f = opaque;

    for (unsigned i = 0; i < 500; i++)
        vcpu_request_pause(f->vcpus[i % N_VCPUS]);
    return NULL;
}

static void test_storm_of_requests(Fixture *f, gconstpointer data)
{
    pthread_t other;

    g_assert_true(thread_start(&other, THREAD_IOTHREAD, "other", pause_others, f, NULL));
    for (unsigned i = 0; i < 500; i++) {
        Vcpu *vcpu = f->vcpus[(unsigned)g_test_rand_int_range(0, N_VCPUS)];

        switch (g_test_rand_int_range(0, 5)) {
        case 0:
            vcpu_request_pause(vcpu);
            vcpu_wait_paused(vcpu);
            break;
        case 1:
            vcpu_is_halted(vcpu);
            break;
        case 2:
            vcpu_read_registers(vcpu, &(VcpuRegisters) { 0 }, NULL);
            break;
        default:
            vcpu_resume(vcpu);
            break;
        }
    }
    pthread_join(other, NULL);

    for (unsigned i = 0; i < N_VCPUS; i++) {
        vcpu_resume(f->vcpus[i]);
        vm_fake_vcpu_exit(f->vcpus[i], count_call, f);
    }
    wait_count(&f->n_called, N_VCPUS);
    for (unsigned i = 0; i < N_VCPUS; i++) {
        vcpu_request_pause(f->vcpus[i]);
        vcpu_wait_paused(f->vcpus[i]);
    }
}

static void test_running_vcpus_can_be_freed(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < N_VCPUS; i++)
        vcpu_resume(f->vcpus[i]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(_path, _fn) g_test_add("/vcpu/" _path, Fixture, NULL, set_up, _fn, tear_down)
    ADD("new-vcpu-is-paused", test_new_vcpu_is_paused);
    ADD("paused-vcpu-does-nothing", test_paused_vcpu_does_nothing);
    ADD("reset-tells-the-entry", test_reset_tells_the_entry);
    ADD("stop-pauses-and-resume-goes-on", test_stop_pauses_and_resume_goes_on);
    ADD("halted-can-be-asked-any-time", test_halted_can_be_asked_any_time);
    ADD("registers-can-be-asked-any-time", test_registers_can_be_asked_any_time);
    ADD("vcpu-pauses-itself", test_vcpu_pauses_itself);
    ADD("storm-of-requests", test_storm_of_requests);
    ADD("running-vcpus-can-be-freed", test_running_vcpus_can_be_freed);
    return g_test_run();
}
