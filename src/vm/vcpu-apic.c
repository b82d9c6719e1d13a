/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local APIC as text, in the layout of QEMU's "info lapic", which people know.  The
 * numbers of figures and tables are those of the Intel SDM 3A, chapter 11.
 */
#include "berth/vcpu-apic.h"

/* Words, table 11-1. */
#define APIC_TPR 0x08
#define APIC_APR 0x09
#define APIC_PPR 0x0a
#define APIC_LDR 0x0d
#define APIC_DFR 0x0e
#define APIC_SPIV 0x0f
#define APIC_ISR 0x10
#define APIC_TMR 0x18
#define APIC_IRR 0x20
#define APIC_ESR 0x28
#define APIC_ICR 0x30
#define APIC_ICR_HIGH 0x31
#define APIC_INITIAL_COUNT 0x38
#define APIC_CURRENT_COUNT 0x39
#define APIC_DIVIDE 0x3e

#define VECTOR_WORDS 8

/* Of an entry of the local vector table, figure 11-8, and of ICR, figure 11-12. */
#define VECTOR(word) ((word) & 0xff)
#define DELIVERY(word) ((word) >> 8 & 7)
#define DELIVERY_NMI 4
#define ICR_LOGICAL (1u << 11)
#define LVT_PENDING (1u << 12)
#define LVT_ACTIVE_LOW (1u << 13)
#define ICR_ASSERT (1u << 14)
#define LEVEL (1u << 15)
#define LVT_MASKED (1u << 16)
#define LVT_TIMER_MODE(word) ((word) >> 17 & 3)
#define ICR_SHORTHAND(word) ((word) >> 18 & 3)

#define SPIV_ENABLED (1u << 8)
#define SPIV_NO_FOCUS (1u << 9)

typedef struct Entry {
    const char *name;
    unsigned word;
} Entry;

static const Entry entries[] = {
    { "LVT0", 0x35 }, { "LVT1", 0x36 }, { "LVTPC", 0x34 },
    { "LVTERR", 0x37 }, { "LVTTHMR", 0x33 }, { "LVTT", 0x32 },
};

static void append_entry(GString *out, const Entry *entry, uint32_t word)
{
    static const char deliveries[][7] = { "Fixed", "...", "SMI", "...",
                                          "NMI", "INIT", "...", "ExtINT" };
    static const char modes[][13] = { "one-shot", "periodic", "tsc-deadline", "..." };
    bool is_timer = entry->word == 0x32;

    g_string_append_printf(out, "%s\t 0x%08x %s %-5s %-6s %-7s %-12s %-6s", entry->name,
                           word, word & LVT_ACTIVE_LOW ? "active-lo" : "active-hi",
                           word & LEVEL ? "level" : "edge",
                           word & LVT_MASKED ? "masked" : "",
                           word & LVT_PENDING ? "pending" : "",
                           is_timer ? modes[LVT_TIMER_MODE(word)] : "",
                           deliveries[DELIVERY(word)]);
    if (DELIVERY(word) != DELIVERY_NMI)
        g_string_append_printf(out, " (vec %u)", VECTOR(word));
    g_string_append_c(out, '\n');
}

/* Figure 11-10: three bits, of which the third is bit 3, and a 1 comes last. */
static unsigned divisor(uint32_t word)
{
    unsigned bits = (word & 3) | (word >> 1 & 4);

    return 1u << ((bits + 1) & 7);
}

static void append_timer(GString *out, const VcpuApic *apic)
{
    uint32_t divide = apic->words[APIC_DIVIDE];

    g_string_append_printf(out, "Timer\t DCR=0x%x (divide by %u) initial_count = %u "
                           "current_count = %u\n", divide, divisor(divide),
                           apic->words[APIC_INITIAL_COUNT],
                           apic->words[APIC_CURRENT_COUNT]);
}

static void append_spurious(GString *out, uint32_t word)
{
    g_string_append_printf(out, "SPIV\t 0x%08x APIC %s, focus=%s, spurious vec %u\n",
                           word, word & SPIV_ENABLED ? "enabled" : "disabled",
                           word & SPIV_NO_FOCUS ? "on" : "off", VECTOR(word));
}

/* Who is meant, when it is no shorthand. */
static void append_destination(GString *out, const VcpuApic *apic)
{
    uint32_t low = apic->words[APIC_ICR], high = apic->words[APIC_ICR_HIGH];
    const char *kind = apic->x2apic ? "X2APIC ID" : "APIC ID";
    uint32_t destination = apic->x2apic ? high : high >> 24;

    g_string_append_printf(out, "ICR2\t 0x%08x", high);
    if (ICR_SHORTHAND(low) == 0 && (low & ICR_LOGICAL))
        g_string_append_printf(out, " mask 0x%02x (%s)", destination, kind);
    else if (ICR_SHORTHAND(low) == 0)
        g_string_append_printf(out, " cpu %u (%s)", destination, kind);
    g_string_append_c(out, '\n');
}

static void append_command(GString *out, const VcpuApic *apic)
{
    static const char shorthands[][13] = { "no-shorthand", "self", "all-self", "all" };
    uint32_t word = apic->words[APIC_ICR];

    g_string_append_printf(out, "ICR\t 0x%08x %s %s %s %s\n", word,
                           word & ICR_LOGICAL ? "logical" : "physical",
                           word & LEVEL ? "level" : "edge",
                           word & ICR_ASSERT ? "assert" : "de-assert",
                           shorthands[ICR_SHORTHAND(word)]);
    append_destination(out, apic);
}

static void append_vectors(GString *out, const VcpuApic *apic, const char *name,
                           unsigned first)
{
    bool any = false;

    g_string_append_printf(out, "%s\t ", name);
    for (unsigned i = 0; i < VECTOR_WORDS * 32; i++) {
        uint32_t bit = 1u << i % 32;

        if (!(apic->words[first + i / 32] & bit))
            continue;
        g_string_append_printf(out, "%u%s ", i,
                               apic->words[APIC_TMR + i / 32] & bit ? "(level)" : "");
        any = true;
    }
    g_string_append(out, any ? "\n" : "(none)\n");
}

/* In xAPIC mode what is meant is the high byte of LDR and the high four bits of DFR. */
static void append_priorities(GString *out, const VcpuApic *apic)
{
    uint32_t ldr = apic->words[APIC_LDR], dfr = apic->words[APIC_DFR];

    g_string_append_printf(out, "\nAPR 0x%02x TPR 0x%02x DFR 0x%02x LDR 0x%02x "
                           "PPR 0x%02x\n", apic->words[APIC_APR], apic->words[APIC_TPR],
                           dfr >> 28, apic->x2apic ? ldr : ldr >> 24,
                           apic->words[APIC_PPR]);
}

char *vcpu_apic_text(const VcpuApic *apic, unsigned index)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "dumping local APIC state for CPU %-2u\n\n", index);
    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++)
        append_entry(out, &entries[i], apic->words[entries[i].word]);
    append_timer(out, apic);
    append_spurious(out, apic->words[APIC_SPIV]);
    append_command(out, apic);
    g_string_append_printf(out, "ESR\t 0x%08x\n", apic->words[APIC_ESR]);
    append_vectors(out, apic, "ISR", APIC_ISR);
    append_vectors(out, apic, "IRR", APIC_IRR);
    append_priorities(out, apic);
    return g_string_free(out, false);
}
