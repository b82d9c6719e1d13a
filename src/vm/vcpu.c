/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's thread: when it is in the guest, and how it is called out.
 *
 *                 resume                       kick, run() interrupted
 *     PARKED -----------------> IN THE GUEST ---------------------------> PARKED
 *       |  ^                         |
 *       |  +---- stopped() called ---+  triple fault, internal error, ...
 *       |
 *       +--- vcpu_free(): wanted GONE --> the thread ends, is joined
 *
 * `wanted` is what others ask for, `parked` what the thread tells; both under the lock.
 *
 * Invariant: while the thread is not parked and `wanted` is not RUNNING, or a question
 * waits, the kick is set.  For the one who asks sets both under the lock; and the
 * thread takes the kick back only when it holds the lock and then looks at what is
 * asked.  So no request is lost, whether it comes before, during or after run().
 *
 * run() returns INTERRUPTED only when no access of the guest is half done, so a parked
 * vCPU can be saved or reset.
 */
#include "berth/vcpu.h"

#include "berth/error.h"
#include "berth/qsbr.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "vcpu-ops.h"
#include "vm-ops.h"

/*
 * Parks until the guest is to run again, which is at once when nobody asked for a pause;
 * false when the thread is to end.
 */
static bool park(Vcpu *vcpu)
{
    bool run;

    lock_take(&vcpu->lock);
    vcpu->ops->unkick(vcpu);
    for (;;) {
        if (vcpu->question) {
            vcpu->question->answer(vcpu, vcpu->question);
            vcpu->question = NULL;
            g_cond_broadcast(&vcpu->changed);
        }
        if (vcpu->ask_nmi) {
            vcpu->ops->inject_nmi(vcpu);
            vcpu->ask_nmi = false;
        }
        if (vcpu->ask_smi) {
            vcpu->ops->inject_smi(vcpu);
            vcpu->ask_smi = false;
        }
        if (vcpu->wanted != VCPU_WANTED_PAUSED)
            break;
        if (!vcpu->parked) {
            TRACE(vcpu_parked, "vCPU %u", vcpu->index);
            vcpu->parked = true;
            g_cond_broadcast(&vcpu->changed);
        }
        lock_wait(&vcpu->changed, &vcpu->lock);
    }
    run = vcpu->wanted == VCPU_WANTED_RUNNING;
    if (run && vcpu->parked) {
        TRACE(vcpu_resumed, "vCPU %u", vcpu->index);
        vcpu->ops->resumed(vcpu);
    }
    vcpu->parked = !run;
    lock_drop(&vcpu->lock);
    return run;
}

/* The vCPU pauses itself; before others hear of it, so that their resume is not lost. */
static void stop(Vcpu *vcpu, const VcpuStop *why)
{
    lock_take(&vcpu->lock);
    if (vcpu->wanted == VCPU_WANTED_RUNNING)
        vcpu->wanted = VCPU_WANTED_PAUSED;
    lock_drop(&vcpu->lock);
    vcpu->owner.stopped(vcpu->owner.opaque, vcpu, why->reason, why->detail);
}

static void *run_thread(void *opaque)
{
    Vcpu *vcpu = opaque;
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, VCPU_KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    lock_take(&vcpu->lock);
    vcpu->thread_id = gettid();
    g_cond_broadcast(&vcpu->changed);
    lock_drop(&vcpu->lock);

    while (park(vcpu)) {
        VcpuStop why;
        VcpuRun result;

        thread_confine();
        do {
            result = vcpu->ops->run(vcpu, &why);
        } while (result == VCPU_RUN_AGAIN);
        if (result == VCPU_RUN_STOPPED)
            stop(vcpu, &why);
    }
    return NULL;
}

static bool start_thread(Vcpu *vcpu, GError **error)
{
    g_autofree char *name = g_strdup_printf("CPU %u/KVM", vcpu->index);

    vcpu->has_thread =
        thread_start(&vcpu->thread, THREAD_VCPU, name, run_thread, vcpu, error);
    return vcpu->has_thread;
}

Vcpu *vcpu_new(Vm *vm, unsigned index, const CpuModel *model, const VcpuOwner *owner,
               GError **error)
{
    const VcpuOps *ops = vm->ops->vcpu;
    Vcpu *vcpu = g_malloc0(ops->instance_size);

    assert_main();
    vcpu->ops = ops;
    vcpu->vm = vm;
    vcpu->index = index;
    vcpu->place = cpu_model_place(model, index);
    vcpu->model = model;
    vcpu->owner = *owner;
    vcpu->parked = true;
    vcpu->stats_fd = -1;
    g_mutex_init(&vcpu->lock);
    g_cond_init(&vcpu->changed);
    if (!ops->open(vcpu, error) || !start_thread(vcpu, error)) {
        vcpu_free(vcpu);
        return NULL;
    }
    if (owner->smm)
        vm_add_smi_target(vm, vcpu);
    return vcpu;
}

/* Sets what is wanted and calls the thread out of the guest, or out of its sleep. */
static void want_locked(Vcpu *vcpu, VcpuWanted wanted)
{
    vcpu->wanted = wanted;
    if (!vcpu->parked && wanted != VCPU_WANTED_RUNNING)
        vcpu->ops->kick(vcpu);
    g_cond_broadcast(&vcpu->changed);
}

void vcpu_free(Vcpu *vcpu)
{
    if (!vcpu)
        return;
    assert_main();
    if (vcpu->owner.smm)
        vm_remove_smi_target(vcpu->vm, vcpu);
    if (vcpu->has_thread) {
        lock_take(&vcpu->lock);
        want_locked(vcpu, VCPU_WANTED_GONE);
        lock_drop(&vcpu->lock);
        assert_may_wait(THREAD_VCPU);
        qsbr_offline();
        pthread_join(vcpu->thread, NULL);
        qsbr_online();
    }
    base_close_fd(&vcpu->stats_fd);
    vcpu->ops->close(vcpu);
    g_cond_clear(&vcpu->changed);
    g_mutex_clear(&vcpu->lock);
    g_free(vcpu);
}

unsigned vcpu_index(const Vcpu *vcpu)
{
    return vcpu->index;
}

CpuPlace vcpu_place(const Vcpu *vcpu)
{
    return vcpu->place;
}

int vcpu_thread_id(Vcpu *vcpu)
{
    int id;

    lock_take(&vcpu->lock);
    while (vcpu->thread_id == 0)
        lock_wait(&vcpu->changed, &vcpu->lock);
    id = vcpu->thread_id;
    lock_drop(&vcpu->lock);
    return id;
}

void vcpu_ask(Vcpu *vcpu, VcpuQuestion *question)
{
    lock_take(&vcpu->lock);
    g_assert(!vcpu->question);
    vcpu->question = question;
    if (!vcpu->parked)
        vcpu->ops->kick(vcpu);
    g_cond_broadcast(&vcpu->changed);
    lock_drop(&vcpu->lock);
}

void vcpu_wait_answer(Vcpu *vcpu)
{
    assert_may_wait(THREAD_VCPU);
    lock_take(&vcpu->lock);
    while (vcpu->question)
        lock_wait(&vcpu->changed, &vcpu->lock);
    lock_drop(&vcpu->lock);
}

static void ask(Vcpu *vcpu, VcpuQuestion *question)
{
    vcpu_ask(vcpu, question);
    vcpu_wait_answer(vcpu);
}

typedef struct HaltedQuestion {
    VcpuQuestion question;
    bool is_halted;
} HaltedQuestion;

static void answer_halted(Vcpu *vcpu, VcpuQuestion *question)
{
    CONTAINER_OF(question, HaltedQuestion, question)->is_halted =
        vcpu->ops->is_halted(vcpu);
}

bool vcpu_is_halted(Vcpu *vcpu)
{
    HaltedQuestion halted = { .question.answer = answer_halted };

    ask(vcpu, &halted.question);
    return halted.is_halted;
}

typedef struct Reading {
    VcpuQuestion question;
    void *ret;
    int err;
} Reading;

static bool read_state(Vcpu *vcpu, Reading *reading, const char *what, GError **error)
{
    assert_main();
    ask(vcpu, &reading->question);
    if (reading->err)
        error_set_errno(error, -reading->err, "vCPU %u: %s cannot be read", vcpu->index,
                        what);
    return !reading->err;
}

static void answer_registers(Vcpu *vcpu, VcpuQuestion *question)
{
    Reading *reading = CONTAINER_OF(question, Reading, question);

    reading->err = vcpu->ops->registers(vcpu, reading->ret);
}

bool vcpu_read_registers(Vcpu *vcpu, VcpuRegisters *ret_registers, GError **error)
{
    Reading reading = { .question.answer = answer_registers, .ret = ret_registers };

    return read_state(vcpu, &reading, "the registers", error);
}

static void answer_apic(Vcpu *vcpu, VcpuQuestion *question)
{
    Reading *reading = CONTAINER_OF(question, Reading, question);

    reading->err = vcpu->ops->apic(vcpu, reading->ret);
}

bool vcpu_read_apic(Vcpu *vcpu, VcpuApic *ret_apic, GError **error)
{
    Reading reading = { .question.answer = answer_apic, .ret = ret_apic };

    return read_state(vcpu, &reading, "the local APIC", error);
}

/* At once, or by the vCPU's thread when it comes out of the guest. */
static void inject(Vcpu *vcpu, void (*now)(Vcpu *vcpu), bool *asked)
{
    lock_take(&vcpu->lock);
    if (vcpu->parked) {
        now(vcpu);
    } else {
        *asked = true;
        vcpu->ops->kick(vcpu);
    }
    lock_drop(&vcpu->lock);
}

void vcpu_inject_nmi(Vcpu *vcpu)
{
    assert_main();
    inject(vcpu, vcpu->ops->inject_nmi, &vcpu->ask_nmi);
}

void vcpu_inject_smi(Vcpu *vcpu)
{
    inject(vcpu, vcpu->ops->inject_smi, &vcpu->ask_smi);
}

void vcpu_resume(Vcpu *vcpu)
{
    lock_take(&vcpu->lock);
    want_locked(vcpu, VCPU_WANTED_RUNNING);
    lock_drop(&vcpu->lock);
}

void vcpu_request_pause(Vcpu *vcpu)
{
    lock_take(&vcpu->lock);
    if (vcpu->wanted == VCPU_WANTED_RUNNING)
        want_locked(vcpu, VCPU_WANTED_PAUSED);
    lock_drop(&vcpu->lock);
}

void vcpu_recall(Vcpu *vcpu)
{
    if (pthread_equal(vcpu->thread, pthread_self()))
        return;
    lock_take(&vcpu->lock);
    if (!vcpu->parked)
        vcpu->ops->kick(vcpu);
    lock_drop(&vcpu->lock);
}

void vcpu_wait_paused(Vcpu *vcpu)
{
    assert_may_wait(THREAD_VCPU);
    lock_take(&vcpu->lock);
    while (!vcpu->parked)
        lock_wait(&vcpu->changed, &vcpu->lock);
    lock_drop(&vcpu->lock);
}

static void assert_paused(Vcpu *vcpu)
{
    lock_take(&vcpu->lock);
    g_assert(vcpu->parked && vcpu->wanted == VCPU_WANTED_PAUSED);
    lock_drop(&vcpu->lock);
}

bool vcpu_reset(Vcpu *vcpu, const VcpuBoot *boot, GError **error)
{
    assert_main();
    assert_paused(vcpu);
    return vcpu->ops->reset(vcpu, boot, error);
}

VcpuState *vcpu_get_state(Vcpu *vcpu, GError **error)
{
    assert_main();
    assert_paused(vcpu);
    return vcpu->ops->get_state(vcpu, error);
}

bool vcpu_set_state(Vcpu *vcpu, const VcpuState *state, GError **error)
{
    assert_main();
    assert_paused(vcpu);
    return vcpu->ops->set_state(vcpu, state, error);
}

char *vcpu_describe(Vcpu *vcpu)
{
    VcpuRegisters registers;

    assert_paused(vcpu);
    if (vcpu->ops->registers(vcpu, &registers) < 0)
        return g_strdup("the registers cannot be read\n");
    return vcpu_text_registers(&registers, false);
}
