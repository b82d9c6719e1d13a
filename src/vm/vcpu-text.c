/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's registers as text, in the layout of QEMU's "info registers", which people and
 * tools know: 64 bits wide in 64-bit code, else 32.
 */
#include <string.h>

#include "berth/vcpu-registers.h"

#define CR0_PE (1u << 0)
#define EFER_LMA (1u << 10)

/* Bits of VcpuSegment.flags. */
#define SEGMENT_TYPE(flags) ((flags) >> 8 & 15)
#define SEGMENT_S (1u << 12)
#define SEGMENT_DPL(flags) ((flags) >> 13 & 3)
#define SEGMENT_P (1u << 15)
#define SEGMENT_L (1u << 21)
#define SEGMENT_B (1u << 22)

/* Of code and data segments. */
#define TYPE_ACCESSED 1u
#define TYPE_WRITABLE 2u        /* of code: readable */
#define TYPE_EXPAND_DOWN 4u     /* of code: conforming */
#define TYPE_CODE 8u

typedef struct Text {
    const VcpuRegisters *registers;
    GString *out;
    bool wide;                  /* 64-bit code */
    bool long_mode;
} Text;

static void append_value(const Text *text, const char *name, uint64_t value, char after)
{
    if (text->wide)
        g_string_append_printf(text->out, "%-3s=%016" PRIx64 "%c", name, value, after);
    else
        g_string_append_printf(text->out, "%-3s=%08x%c", name, (uint32_t)value, after);
}

static void append_general(const Text *text)
{
    static const struct {
        char name[4];
        VcpuRegister index;
    } order[] = {
        { "RAX", VCPU_RAX }, { "RBX", VCPU_RBX }, { "RCX", VCPU_RCX },
        { "RDX", VCPU_RDX }, { "RSI", VCPU_RSI }, { "RDI", VCPU_RDI },
        { "RBP", VCPU_RBP }, { "RSP", VCPU_RSP }, { "R8", VCPU_R8 }, { "R9", VCPU_R9 },
        { "R10", VCPU_R10 }, { "R11", VCPU_R11 }, { "R12", VCPU_R12 },
        { "R13", VCPU_R13 }, { "R14", VCPU_R14 }, { "R15", VCPU_R15 },
    };
    size_t n = text->wide ? G_N_ELEMENTS(order) : 8;

    for (size_t i = 0; i < n; i++) {
        char name[4];

        memcpy(name, order[i].name, sizeof(name));
        if (!text->wide)
            name[0] = 'E';
        append_value(text, name, text->registers->general[order[i].index],
                     i % 4 == 3 ? '\n' : ' ');
    }
}

static void append_state(const Text *text)
{
    static const struct {
        unsigned bit;
        char letter;
    } flags[] = { { 10, 'D' }, { 11, 'O' }, { 7, 'S' }, { 6, 'Z' },
                  { 4, 'A' }, { 2, 'P' }, { 0, 'C' } };
    const VcpuRegisters *r = text->registers;

    append_value(text, text->wide ? "RIP" : "EIP", r->rip, ' ');
    g_string_append_printf(text->out, "%s=%08x [", text->wide ? "RFL" : "EFL",
                           (uint32_t)r->rflags);
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++)
        g_string_append_c(text->out, r->rflags >> flags[i].bit & 1 ? flags[i].letter
                                                                    : '-');
    g_string_append_printf(text->out, "] CPL=%u II=%d A20=1 SMM=%d HLT=%d\n",
                           SEGMENT_DPL(r->segments[VCPU_SS].flags), r->interrupt_shadow,
                           r->smm, r->halted);
}

static const char *code_or_data(uint32_t flags)
{
    if (!(SEGMENT_TYPE(flags) & TYPE_CODE))
        return flags & SEGMENT_B ? "DS  " : "DS16";
    if (flags & SEGMENT_L)
        return "CS64";
    return flags & SEGMENT_B ? "CS32" : "CS16";
}

/* Intel SDM 3A, 3.5: what a system segment is. */
static const char *system_name(bool long_mode, unsigned type)
{
    static const char *const names[2][16] = {
        { "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate",
          "IntGate16", "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy",
          "CallGate32", "Reserved", "IntGate32", "TrapGate32" },
        { "<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved",
          "Reserved", "Reserved", "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64",
          "Reserved", "IntGate64", "TrapGate64" },
    };

    return names[long_mode][type];
}

static void append_kind(const Text *text, uint32_t flags)
{
    unsigned type = SEGMENT_TYPE(flags);
    bool is_code = type & TYPE_CODE;

    g_string_append_printf(text->out, " DPL=%u ", SEGMENT_DPL(flags));
    if (!(flags & SEGMENT_S)) {
        g_string_append(text->out, system_name(text->long_mode, type));
        return;
    }
    g_string_append_printf(text->out, "%s [%c%c%c]", code_or_data(flags),
                           !(type & TYPE_EXPAND_DOWN) ? '-' : is_code ? 'C' : 'E',
                           !(type & TYPE_WRITABLE) ? '-' : is_code ? 'R' : 'W',
                           type & TYPE_ACCESSED ? 'A' : '-');
}

static void append_segment(const Text *text, const char *name, const VcpuSegment *s)
{
    g_string_append_printf(text->out, "%-3s=%04x ", name, s->selector);
    if (text->wide)
        g_string_append_printf(text->out, "%016" PRIx64, s->base);
    else
        g_string_append_printf(text->out, "%08x", (uint32_t)s->base);
    g_string_append_printf(text->out, " %08x %08x", s->limit, s->flags);
    if ((text->registers->cr0 & CR0_PE) && (s->flags & SEGMENT_P))
        append_kind(text, s->flags);
    g_string_append_c(text->out, '\n');
}

static void append_table(const Text *text, const char *name, const VcpuSegment *s)
{
    if (text->wide)
        g_string_append_printf(text->out, "%s=     %016" PRIx64 " %08x\n", name, s->base,
                               s->limit);
    else
        g_string_append_printf(text->out, "%s=     %08x %08x\n", name, (uint32_t)s->base,
                               s->limit);
}

static void append_segments(const Text *text)
{
    static const char names[][4] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR" };
    const VcpuSegment *segments = text->registers->segments;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        append_segment(text, names[i], &segments[i]);
    append_table(text, "GDT", &segments[VCPU_GDT]);
    append_table(text, "IDT", &segments[VCPU_IDT]);
}

static void append_control(const Text *text)
{
    const VcpuRegisters *r = text->registers;

    g_string_append_printf(text->out, "CR0=%08x ", (uint32_t)r->cr0);
    append_value(text, "CR2", r->cr2, ' ');
    append_value(text, "CR3", r->cr3, ' ');
    g_string_append_printf(text->out, "CR4=%08x\n", (uint32_t)r->cr4);
    for (int i = 0; i < 4; i++)
        g_string_append_printf(text->out, "DR%d=%016" PRIx64 " ", i, r->debug[i]);
    g_string_append_printf(text->out, "\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\n",
                           r->debug[6], r->debug[7]);
    g_string_append_printf(text->out, "EFER=%016" PRIx64 "\n", r->efer);
}

static void append_floats(const Text *text)
{
    const VcpuFloats *f = &text->registers->floats;
    int n_xmm = text->wide ? 16 : 8;

    g_string_append_printf(text->out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n",
                           f->fcw, f->fsw, f->fsw >> 11 & 7, f->ftw, f->mxcsr);
    for (int i = 0; i < 8; i++) {
        uint64_t mantissa;
        uint16_t exponent;

        memcpy(&mantissa, f->st[i], sizeof(mantissa));
        memcpy(&exponent, f->st[i] + sizeof(mantissa), sizeof(exponent));
        g_string_append_printf(text->out, "FPR%d=%016" PRIx64 " %04x%c", i, mantissa,
                               exponent, i % 2 ? '\n' : ' ');
    }
    for (int i = 0; i < n_xmm; i++)
        g_string_append_printf(text->out, "XMM%02d=%016" PRIx64 " %016" PRIx64 "%c", i,
                               f->xmm[i][1], f->xmm[i][0], i % 2 ? '\n' : ' ');
}

char *vcpu_text_registers(const VcpuRegisters *registers, bool floats)
{
    Text text = { .registers = registers, .out = g_string_new(NULL) };

    text.long_mode = registers->efer & EFER_LMA;
    text.wide = text.long_mode && (registers->segments[VCPU_CS].flags & SEGMENT_L);
    append_general(&text);
    append_state(&text);
    append_segments(&text);
    append_control(&text);
    if (floats)
        append_floats(&text);
    return g_string_free(text.out, false);
}
