/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing all registers of a vCPU.
 *
 * Order of writing (each needs what is above it):
 *
 *     nested guest left, system registers (APIC base, EFER), nested state
 *     general registers, XSAVE area, extended control registers, debug registers
 *     MSRs but the TSC deadline, local APIC, TSC deadline
 *     multiprocessor state, pending events
 *
 * When reading, the multiprocessor state comes first, for KVM then acts on an INIT or
 * SIPI that waits, which changes the others.
 *
 * Which MSRs there are KVM says itself; one that it lists and refuses to read is taken
 * off the VM's list, one that it refuses to write is left as it is.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"

#include "vcpu-model.h"
#include "vcpu-state.h"

#define EFER_SVME (1u << 12)

#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6e0u

/* Offsets of the APIC's registers. */
#define APIC_CURRENT_COUNT 0x390
#define APIC_DIVIDE 0x3e0

/* So many MSRs fit in one call. */
#define MSRS_MAX 255

/* As struct kvm_msrs, with room. */
typedef struct MsrBatch {
    uint32_t n;
    uint32_t pad;
    struct kvm_msr_entry entries[MSRS_MAX];
} MsrBatch;

G_STATIC_ASSERT(offsetof(MsrBatch, entries) == offsetof(struct kvm_msrs, entries));

typedef struct StatePart {
    unsigned long get;
    unsigned long set;
    size_t offset;
    const char *name;
} StatePart;

#define PART(_request, _field) \
    { KVM_GET_##_request, KVM_SET_##_request, offsetof(VcpuState, _field), #_request }

/* In order of writing, but for what has functions of its own. */
static const StatePart part_sregs = PART(SREGS, sregs);
static const StatePart part_lapic = PART(LAPIC, lapic);
static const StatePart part_xcrs = PART(XCRS, xcrs);
static const StatePart parts_before_msrs[] = {
    PART(REGS, regs),
    PART(DEBUGREGS, debugregs),
};
static const StatePart parts_last[] = {
    PART(MP_STATE, mp_state),
    PART(VCPU_EVENTS, events),
};

void vcpu_state_free(VcpuState *state)
{
    if (!state)
        return;
    g_free(state->xsave);
    g_free(state->nested);
    g_free(state->msrs);
    g_free(state);
}

static bool set_error(GError **error, int err, const char *verb, const char *what)
{
    error_set_errno(error, -err, "KVM cannot %s the vCPU's %s", verb, what);
    return false;
}

static bool get_part(KvmVcpu *kv, VcpuState *state, const StatePart *part, GError **error)
{
    int err = vm_kvm_ioctl(kv->fd, part->get, (char *)state + part->offset);

    return err < 0 ? set_error(error, err, "read", part->name) : true;
}

static bool set_part(KvmVcpu *kv, const VcpuState *state, const StatePart *part,
                     GError **error)
{
    int err = vm_kvm_ioctl(kv->fd, part->set, (char *)state + part->offset);

    return err < 0 ? set_error(error, err, "write", part->name) : true;
}

/* Without XSAVE there are none to read, and KVM refuses to write none. */
static bool set_xcrs(KvmVcpu *kv, const VcpuState *state, GError **error)
{
    return state->xcrs.nr_xcrs == 0 || set_part(kv, state, &part_xcrs, error);
}

static bool get_xsave(KvmVcpu *kv, VcpuState *state, GError **error)
{
    KvmVm *kvm = vcpu_kvm_vm(kv);
    bool large = kvm->xsave_size > sizeof(struct kvm_xsave);
    int err;

    state->xsave_size = kvm->xsave_size;
    state->xsave = g_malloc0(kvm->xsave_size);
    err = vm_kvm_ioctl(kv->fd, large ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, state->xsave);
    return err < 0 ? set_error(error, err, "read", "XSAVE area") : true;
}

static bool get_nested(KvmVcpu *kv, VcpuState *state, GError **error)
{
    KvmVm *kvm = vcpu_kvm_vm(kv);
    int err;

    if (kvm->nested_size == 0)
        return true;
    state->nested_size = kvm->nested_size;
    state->nested = g_malloc0(kvm->nested_size);
    state->nested->size = kvm->nested_size;
    err = vm_kvm_ioctl(kv->fd, KVM_GET_NESTED_STATE, state->nested);
    return err < 0 ? set_error(error, err, "read", "nested state") : true;
}

/* The MSRs that KVM says are worth saving. */
static GArray *list_msrs(int kvm_fd)
{
    struct kvm_msr_list none = { .nmsrs = 0 };
    g_autofree struct kvm_msr_list *list = NULL;
    GArray *msrs = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    if (vm_kvm_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &none) != -E2BIG)
        return msrs;
    list = g_malloc0(sizeof(*list) + none.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = none.nmsrs;
    if (vm_kvm_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list) == 0)
        g_array_append_vals(msrs, list->indices, list->nmsrs);
    return msrs;
}

/* Reads the MSRs @from and on into @state; returns how many, or a negative errno. */
static int read_msrs(KvmVcpu *kv, VcpuState *state, const GArray *indices, unsigned from)
{
    MsrBatch some = { .n = MIN(indices->len - from, MSRS_MAX) };
    int n;

    for (unsigned i = 0; i < some.n; i++)
        some.entries[i].index = g_array_index(indices, uint32_t, from + i);
    n = vm_kvm_ioctl(kv->fd, KVM_GET_MSRS, &some);
    for (int i = 0; i < n; i++)
        state->msrs->entries[from + (unsigned)i] = some.entries[i];
    return n;
}

static bool get_msrs(KvmVcpu *kv, VcpuState *state, GError **error)
{
    KvmVm *kvm = vcpu_kvm_vm(kv);
    unsigned done = 0;

    if (!kvm->msrs) {
        kvm->msrs = list_msrs(kvm->kvm_fd);
        vcpu_model_add_msrs(kv, kvm->msrs);
    }
    state->msrs = g_malloc0(sizeof(struct kvm_msrs) +
                            kvm->msrs->len * sizeof(struct kvm_msr_entry));
    while (done < kvm->msrs->len) {
        unsigned wanted = MIN(kvm->msrs->len - done, MSRS_MAX);
        int n = read_msrs(kv, state, kvm->msrs, done);

        if (n < 0)
            return set_error(error, n, "read", "MSRs");
        done += (unsigned)n;
        if ((unsigned)n < wanted) {
            log_debug("MSR 0x%x: listed by KVM, but it cannot be read",
                      g_array_index(kvm->msrs, uint32_t, done));
            g_array_remove_index(kvm->msrs, done);
        }
    }
    state->msrs->nmsrs = done;
    return true;
}

VcpuState *vcpu_state_get(KvmVcpu *kv, GError **error)
{
    g_autoptr(VcpuState) state = g_new0(VcpuState, 1);
    bool ok = true;

    for (unsigned i = 0; ok && i < G_N_ELEMENTS(parts_last); i++)
        ok = get_part(kv, state, &parts_last[i], error);
    ok = ok && get_part(kv, state, &part_sregs, error) && get_nested(kv, state, error);
    for (unsigned i = 0; ok && i < G_N_ELEMENTS(parts_before_msrs); i++)
        ok = get_part(kv, state, &parts_before_msrs[i], error);
    ok = ok && get_part(kv, state, &part_xcrs, error);
    ok = ok && get_xsave(kv, state, error) && get_msrs(kv, state, error) &&
         get_part(kv, state, &part_lapic, error);
    return ok ? g_steal_pointer(&state) : NULL;
}

struct kvm_msr_entry *vcpu_state_msr(VcpuState *state, uint32_t index)
{
    for (unsigned i = 0; i < state->msrs->nmsrs; i++) {
        if (state->msrs->entries[i].index == index)
            return &state->msrs->entries[i];
    }
    return NULL;
}

int vcpu_state_write_msrs(KvmVcpu *kv, const struct kvm_msr_entry *entries, unsigned n)
{
    unsigned done = 0;

    while (done < n) {
        MsrBatch some = { .n = MIN(n - done, MSRS_MAX) };
        int written;

        memcpy(some.entries, entries + done, some.n * sizeof(entries[0]));
        written = vm_kvm_ioctl(kv->fd, KVM_SET_MSRS, &some);
        if (written < 0)
            return written;
        done += (unsigned)written;
        if ((unsigned)written < some.n) {
            log_debug("MSR 0x%x: KVM refuses the value 0x%llx", entries[done].index,
                      entries[done].data);
            done++;
        }
    }
    return 0;
}

/*
 * All but the TSC deadline, which is refused while the APIC's timer is in another mode.
 */
static bool set_msrs(KvmVcpu *kv, const VcpuState *state, GError **error)
{
    const struct kvm_msrs *msrs = state->msrs;
    g_autofree struct kvm_msr_entry *entries =
        g_new(struct kvm_msr_entry, msrs->nmsrs + 1);
    unsigned n = 0;
    int err;

    for (unsigned i = 0; i < msrs->nmsrs; i++) {
        if (msrs->entries[i].index != MSR_TSC_DEADLINE)
            entries[n++] = msrs->entries[i];
    }
    err = vcpu_state_write_msrs(kv, entries, n);
    return err < 0 ? set_error(error, err, "write", "MSRs") : true;
}

static bool set_deadline(KvmVcpu *kv, const VcpuState *state, GError **error)
{
    int err = 0;

    for (unsigned i = 0; i < state->msrs->nmsrs && !err; i++) {
        if (state->msrs->entries[i].index == MSR_TSC_DEADLINE)
            err = vcpu_state_write_msrs(kv, &state->msrs->entries[i], 1);
    }
    return err < 0 ? set_error(error, err, "write", "TSC deadline") : true;
}

static bool set_xsave(KvmVcpu *kv, const VcpuState *state, GError **error)
{
    int err = vm_kvm_ioctl(kv->fd, KVM_SET_XSAVE, state->xsave);

    return err < 0 ? set_error(error, err, "write", "XSAVE area") : true;
}

/* Out of a nested guest, if the vCPU is in one: its system registers are not ours. */
static void leave_nested(KvmVcpu *kv, const VcpuState *state)
{
    struct kvm_nested_state none = { .size = sizeof(none) };

    if (!state->nested)
        return;
    none.format = state->nested->format;
    if (none.format == KVM_STATE_NESTED_FORMAT_SVM) {
        none.flags = KVM_STATE_NESTED_GIF_SET;
    } else {
        none.hdr.vmx.vmxon_pa = UINT64_MAX;
        none.hdr.vmx.vmcs12_pa = UINT64_MAX;
    }
    vm_kvm_ioctl(kv->fd, KVM_SET_NESTED_STATE, &none);
}

/* Whether there is more to write than leave_nested() wrote. */
static bool uses_nesting(const VcpuState *state)
{
    if (!state->nested)
        return false;
    if (state->nested->format == KVM_STATE_NESTED_FORMAT_SVM)
        return (state->sregs.efer & EFER_SVME) != 0;
    return state->nested->hdr.vmx.vmxon_pa != UINT64_MAX;
}

static bool set_nested(KvmVcpu *kv, const VcpuState *state, GError **error)
{
    int err;

    if (!uses_nesting(state))
        return true;
    err = vm_kvm_ioctl(kv->fd, KVM_SET_NESTED_STATE, state->nested);
    return err < 0 ? set_error(error, err, "write", "nested state") : true;
}

bool vcpu_state_set(KvmVcpu *kv, const VcpuState *state, GError **error)
{
    struct kvm_mp_state flushed;
    struct kvm_vcpu_events flushed_events;
    bool ok = true;

    /* An INIT, SIPI or SMI that waits must not strike the new state. */
    vm_kvm_ioctl(kv->fd, KVM_GET_MP_STATE, &flushed);
    vm_kvm_ioctl(kv->fd, KVM_GET_VCPU_EVENTS, &flushed_events);
    leave_nested(kv, state);
    ok = set_part(kv, state, &part_sregs, error) && set_nested(kv, state, error);
    for (unsigned i = 0; ok && i < G_N_ELEMENTS(parts_before_msrs); i++)
        ok = set_part(kv, state, &parts_before_msrs[i], error);
    ok = ok && set_xcrs(kv, state, error);
    ok = ok && set_xsave(kv, state, error) && set_msrs(kv, state, error) &&
         set_part(kv, state, &part_lapic, error) && set_deadline(kv, state, error);
    for (unsigned i = 0; ok && i < G_N_ELEMENTS(parts_last); i++)
        ok = set_part(kv, state, &parts_last[i], error);
    return ok;
}

/* Registers that go on by themselves. */
static bool is_clock(uint32_t msr)
{
    return msr == MSR_TSC || msr == MSR_TSC_DEADLINE;
}

static bool msrs_equal(const struct kvm_msrs *a, const struct kvm_msrs *b)
{
    if (a->nmsrs != b->nmsrs)
        return false;
    for (unsigned i = 0; i < a->nmsrs; i++) {
        if (a->entries[i].index != b->entries[i].index)
            return false;
        if (!is_clock(a->entries[i].index) && a->entries[i].data != b->entries[i].data)
            return false;
    }
    return true;
}

static bool lapics_equal(const struct kvm_lapic_state *a, const struct kvm_lapic_state *b)
{
    return !memcmp(a->regs, b->regs, APIC_CURRENT_COUNT) &&
           !memcmp(a->regs + APIC_DIVIDE, b->regs + APIC_DIVIDE,
                   sizeof(a->regs) - APIC_DIVIDE);
}

const char *vcpu_state_difference(const VcpuState *a, const VcpuState *b)
{
    if (memcmp(&a->mp_state, &b->mp_state, sizeof(a->mp_state)))
        return "multiprocessor state";
    if (memcmp(&a->regs, &b->regs, sizeof(a->regs)))
        return "general registers";
    if (memcmp(&a->sregs, &b->sregs, sizeof(a->sregs)))
        return "system registers";
    if (memcmp(&a->debugregs, &b->debugregs, sizeof(a->debugregs)))
        return "debug registers";
    if (memcmp(&a->xcrs, &b->xcrs, sizeof(a->xcrs)))
        return "extended control registers";
    if (memcmp(&a->events, &b->events, sizeof(a->events)))
        return "pending events";
    if (a->xsave_size != b->xsave_size || memcmp(a->xsave, b->xsave, a->xsave_size))
        return "XSAVE area";
    if (!msrs_equal(a->msrs, b->msrs))
        return "MSRs";
    return lapics_equal(&a->lapic, &b->lapic) ? NULL : "local APIC";
}
