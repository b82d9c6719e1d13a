/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts: the chips, and what was counted.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/irqchip.h"
#include "berth/machine.h"
#include "berth/vcpu-apic.h"

#include "qmp-commands.h"

#include "hmp-call.h"

/* An entry of the IOAPIC (82093AA, 3.2.4). */
#define ENTRY_VECTOR 0xffu
#define ENTRY_MODE(entry) ((entry) >> 8 & 7)
#define ENTRY_LOGICAL (1ull << 11)
#define ENTRY_ACTIVE_LOW (1ull << 13)
#define ENTRY_REMOTE_IRR (1ull << 14)
#define ENTRY_LEVEL (1ull << 15)
#define ENTRY_MASKED (1ull << 16)
#define ENTRY_DEST(entry) ((entry) >> 56)
#define IOAPIC_VERSION 0x20

static void show_entry(HmpCall *call, unsigned pin, uint64_t entry)
{
    static const char modes[][7] = { "fixed", "lowest", "SMI", "...",
                                     "NMI", "INIT", "...", "extINT" };

    hmp_printf(call, "  pin %-2u 0x%016" PRIx64 " dest=%" PRIx64 " vec=%-3u %s %-5s %-6s "
               "%-6s %s\n", pin, entry, ENTRY_DEST(entry),
               (unsigned)(entry & ENTRY_VECTOR),
               entry & ENTRY_ACTIVE_LOW ? "active-lo" : "active-hi",
               entry & ENTRY_LEVEL ? "level" : "edge",
               entry & ENTRY_MASKED ? "masked" : "", modes[ENTRY_MODE(entry)],
               entry & ENTRY_LOGICAL ? "logical" : "physical");
}

static void show_pins(HmpCall *call, const char *name, uint32_t pins)
{
    hmp_printf(call, "  %-8s", name);
    for (unsigned i = 0; i < IRQCHIP_IOAPIC_PINS; i++) {
        if (pins & 1u << i)
            hmp_printf(call, " %u", i);
    }
    hmp_printf(call, pins ? "\n" : " (none)\n");
}

static void show_ioapic(HmpCall *call, const IrqchipIoapicView *ioapic)
{
    uint32_t remote = 0;

    hmp_printf(call, "ioapic0: ver=0x%x id=0x%02x sel=0x%02x\n", IOAPIC_VERSION,
               ioapic->id, ioapic->select);
    for (unsigned i = 0; i < IRQCHIP_IOAPIC_PINS; i++) {
        show_entry(call, i, ioapic->entries[i]);
        if ((ioapic->entries[i] & ENTRY_LEVEL) && (ioapic->entries[i] & ENTRY_REMOTE_IRR))
            remote |= 1u << i;
    }
    show_pins(call, "IRR", ioapic->irr);
    show_pins(call, "Remote IRR", remote);
}

static void show_pic(HmpCall *call, int n, const IrqchipPicView *pic)
{
    hmp_printf(call, "pic%d: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%d "
               "elcr=%02x fnm=%d\n", n, pic->irr, pic->imr, pic->isr, pic->highest,
               pic->base, pic->read_isr, pic->elcr, pic->fully_nested);
}

void hmp_info_pic(HmpCall *call)
{
    Vm *vm = call->ctx->machine->vm;
    IrqchipView view;
    GError *error = NULL;
    int err;

    if (!vm) {
        error_set(&error, "No CPU available");
        hmp_fail(call, error);
        return;
    }
    err = irqchip_look(vm, &view);
    if (err) {
        error_set_errno(&error, -err, "the interrupt controllers cannot be read");
        hmp_fail(call, error);
        return;
    }
    show_ioapic(call, &view.ioapic);
    show_pic(call, 0, &view.master);
    show_pic(call, 1, &view.slave);
}

/* By the id of its APIC, or the chosen one. */
static Vcpu *find_vcpu(HmpCall *call, GError **error)
{
    const Machine *machine = call->ctx->machine;

    if (!hmp_has(call, "apic-id"))
        return hmp_vcpu(call, error);
    for (unsigned i = 0; machine && machine_next_vcpu(machine, &i); i++) {
        Vcpu *vcpu = machine_vcpu(machine, i);

        if (vcpu_place(vcpu).apic_id == hmp_int(call, "apic-id"))
            return vcpu;
    }
    error_set(error, "No CPU available with the APIC id %" PRId64,
              hmp_int(call, "apic-id"));
    return NULL;
}

void hmp_info_lapic(HmpCall *call)
{
    GError *error = NULL;
    Vcpu *vcpu = find_vcpu(call, &error);
    g_autofree char *text = NULL;
    VcpuApic apic;

    if (!vcpu || !vcpu_read_apic(vcpu, &apic, &error)) {
        hmp_fail(call, error);
        return;
    }
    text = vcpu_apic_text(&apic, vcpu_index(vcpu));
    hmp_printf(call, "%s", text);
}

/* What KVM counts of interrupts; lines are not counted one by one. */
static StatsResultList *count(HmpCall *call, GError **error)
{
    static const char *const names[] = {
        "irq_injections", "nmi_injections", "irq_exits", "irq_window_exits",
    };
    g_autoptr(StatsFilter) filter = g_new0(StatsFilter, 1);
    StatsRequest *request = g_new0(StatsRequest, 1);

    filter->target = STATS_TARGET_VCPU;
    filter->providers = StatsRequestList_new();
    StatsRequestList_append(filter->providers, request);
    request->provider = STATS_PROVIDER_KVM;
    request->names = StrList_new();
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        StrList_append(request->names, g_strdup(names[i]));
    return qmp_query_stats(call->ctx, filter, error);
}

void hmp_info_irq(HmpCall *call)
{
    GError *error = NULL;
    g_autoptr(StatsResultList) results = count(call, &error);

    if (!results) {
        hmp_fail(call, error);
        return;
    }
    if (results->n == 0)
        hmp_printf(call, "IRQ statistics are not available\n");
    for (size_t i = 0; i < results->n; i++) {
        const StatsList *list = results->items[i]->stats;

        hmp_printf(call, "IRQ statistics for CPU #%zu:\n", i);
        for (size_t j = 0; j < list->n; j++)
            hmp_printf(call, " %s: %" PRIu64 "\n", list->items[j]->name,
                       list->items[j]->value->u.scalar);
    }
}
