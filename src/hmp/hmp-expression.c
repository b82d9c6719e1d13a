/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of a monitor: expressions of 64 bits as QEMU reads them, with registers.
 *
 *     sum   = logic { + | - logic }
 *     logic = product { & | ^ product }
 *     product = unit { * / % unit }
 *     unit  = + - ~ unit | ( sum ) | 'c' | $register | number of C
 *
 * A "/" is one only where a unit follows, so that "0 10 /tmp/file" is three words.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "berth/vcpu-registers.h"

#include "hmp-call.h"

/* Brackets and signs within each other; the text is bounded, the stack is to be, too. */
#define DEPTH_MAX 64

typedef struct Expression {
    HmpCall *call;
    const char *at;
    unsigned depth;
    GError **error;
} Expression;

/* The names that debuggers use, and where the value is. */
typedef struct RegisterName {
    char name[8];
    uint16_t offset;
    uint8_t size;
} RegisterName;

#define REGISTER(name_, field) \
    { name_, offsetof(VcpuRegisters, field), sizeof(((VcpuRegisters *)NULL)->field) }
#define GENERAL(name_, index) REGISTER(name_, general[index])
#define SEGMENT(name_, index) REGISTER(name_, segments[index].selector)

static const RegisterName registers[] = {
    GENERAL("rax", VCPU_RAX), GENERAL("rcx", VCPU_RCX), GENERAL("rdx", VCPU_RDX),
    GENERAL("rbx", VCPU_RBX), GENERAL("rsp", VCPU_RSP), GENERAL("rbp", VCPU_RBP),
    GENERAL("rsi", VCPU_RSI), GENERAL("rdi", VCPU_RDI), GENERAL("eax", VCPU_RAX),
    GENERAL("ecx", VCPU_RCX), GENERAL("edx", VCPU_RDX), GENERAL("ebx", VCPU_RBX),
    GENERAL("esp", VCPU_RSP), GENERAL("sp", VCPU_RSP), GENERAL("ebp", VCPU_RBP),
    GENERAL("fp", VCPU_RBP), GENERAL("esi", VCPU_RSI), GENERAL("edi", VCPU_RDI),
    GENERAL("r8", VCPU_R8), GENERAL("r9", VCPU_R9), GENERAL("r10", VCPU_R10),
    GENERAL("r11", VCPU_R11), GENERAL("r12", VCPU_R12), GENERAL("r13", VCPU_R13),
    GENERAL("r14", VCPU_R14), GENERAL("r15", VCPU_R15), REGISTER("rip", rip),
    REGISTER("eip", rip), REGISTER("eflags", rflags), REGISTER("rflags", rflags),
    REGISTER("cr0", cr0), REGISTER("cr2", cr2), REGISTER("cr3", cr3),
    REGISTER("cr4", cr4), REGISTER("cr8", cr8), REGISTER("efer", efer),
    SEGMENT("es", VCPU_ES), SEGMENT("cs", VCPU_CS), SEGMENT("ss", VCPU_SS),
    SEGMENT("ds", VCPU_DS), SEGMENT("fs", VCPU_FS), SEGMENT("gs", VCPU_GS),
    SEGMENT("ldt", VCPU_LDT), SEGMENT("tr", VCPU_TR),
};

static bool read_sum(Expression *e, int64_t *ret_value);

static void skip_space(Expression *e)
{
    e->at += strspn(e->at, " \t");
}

/* "cs.base", "gdt.limit": where the segment is that a name with a dot begins with. */
static const VcpuSegment *find_segment(const VcpuRegisters *values, const char *name)
{
    static const char names[][4] = { "es", "cs", "ss", "ds", "fs",
                                     "gs", "ldt", "tr", "gdt", "idt" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        size_t size = strlen(names[i]);

        if (strncmp(name, names[i], size) == 0 && name[size] == '.')
            return &values->segments[i];
    }
    return NULL;
}

static bool find_part(const VcpuRegisters *values, const char *name, int64_t *ret_value)
{
    const VcpuSegment *segment = find_segment(values, name);
    const char *part = strchr(name, '.');

    if (segment && strcmp(part, ".base") == 0)
        *ret_value = (int64_t)segment->base;
    else if (segment && strcmp(part, ".limit") == 0)
        *ret_value = segment->limit;
    else
        return false;
    return true;
}

static bool find_register(const VcpuRegisters *values, const char *name,
                          int64_t *ret_value)
{
    if (strcmp(name, "pc") == 0) {
        *ret_value = (int64_t)(values->segments[VCPU_CS].base + values->rip);
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(registers); i++) {
        if (strcmp(registers[i].name, name) == 0) {
            *ret_value = 0;
            memcpy(ret_value, (const char *)values + registers[i].offset,
                   registers[i].size);
            return true;
        }
    }
    return find_part(values, name, ret_value);
}

static bool read_register(Expression *e, int64_t *ret_value)
{
    size_t size = strspn(e->at, "abcdefghijklmnopqrstuvwxyz0123456789_.");
    g_autofree char *name = g_strndup(e->at, size);
    Vcpu *vcpu = hmp_vcpu(e->call, e->error);
    VcpuRegisters values;

    if (!vcpu || !vcpu_read_registers(vcpu, &values, e->error))
        return false;
    if (!find_register(&values, name, ret_value)) {
        error_set(e->error, "unknown register");
        return false;
    }
    e->at += size;
    return true;
}

static bool read_character(Expression *e, int64_t *ret_value)
{
    if (!e->at[0] || e->at[1] != '\'') {
        error_set(e->error, "missing terminating ' character");
        return false;
    }
    *ret_value = (unsigned char)e->at[0];
    e->at += 2;
    return true;
}

static bool read_number(Expression *e, int64_t *ret_value)
{
    char *end;

    if (!*e->at) {
        error_set(e->error, "unexpected end of expression");
        return false;
    }
    if (!g_ascii_isdigit(*e->at)) {
        error_set(e->error, "invalid char '%c' in expression", *e->at);
        return false;
    }
    errno = 0;
    *ret_value = (int64_t)strtoull(e->at, &end, 0);
    if (errno == ERANGE) {
        error_set(e->error, "number too large");
        return false;
    }
    e->at = end;
    return true;
}

static bool read_brackets(Expression *e, int64_t *ret_value)
{
    if (!read_sum(e, ret_value))
        return false;
    if (*e->at != ')') {
        error_set(e->error, "')' expected");
        return false;
    }
    e->at++;
    return true;
}

static bool read_unit(Expression *e, int64_t *ret_value);

static bool read_signed(Expression *e, char sign, int64_t *ret_value)
{
    int64_t value;

    if (!read_unit(e, &value))
        return false;
    if (sign == '-')
        value = (int64_t)(0 - (uint64_t)value);
    else if (sign == '~')
        value = ~value;
    *ret_value = value;
    return true;
}

static bool read_inner(Expression *e, int64_t *ret_value)
{
    char c = *e->at;

    if (!c || !strchr("+-~('$", c))
        return read_number(e, ret_value);
    e->at++;
    if (c == '(')
        return read_brackets(e, ret_value);
    if (c == '\'')
        return read_character(e, ret_value);
    if (c == '$')
        return read_register(e, ret_value);
    return read_signed(e, c, ret_value);
}

static bool read_unit(Expression *e, int64_t *ret_value)
{
    bool done;

    skip_space(e);
    if (e->depth == DEPTH_MAX) {
        error_set(e->error, "more than %d brackets and signs within each other",
                  DEPTH_MAX);
        return false;
    }
    e->depth++;
    done = read_inner(e, ret_value);
    e->depth--;
    if (done)
        skip_space(e);
    return done;
}

static bool is_operator(const Expression *e, const char *operators)
{
    if (!*e->at || !strchr(operators, *e->at))
        return false;
    if (*e->at != '/')
        return true;
    return e->at[1] && (g_ascii_isdigit(e->at[1]) || strchr(" \t+-~('$", e->at[1]));
}

/* The lowest number divided by -1 does not fit: negation does the same, and wraps. */
static bool divide(Expression *e, char operator, int64_t *value, int64_t other)
{
    if (other == 0) {
        error_set(e->error, "division by zero");
        return false;
    }
    if (other == -1)
        *value = operator == '/' ? (int64_t)(0 - (uint64_t)*value) : 0;
    else
        *value = operator == '/' ? *value / other : *value % other;
    return true;
}

static bool read_product(Expression *e, int64_t *ret_value)
{
    int64_t value, other;

    if (!read_unit(e, &value))
        return false;
    while (is_operator(e, "*/%")) {
        char operator = *e->at++;

        if (!read_unit(e, &other))
            return false;
        if (operator == '*')
            value = (int64_t)((uint64_t)value * (uint64_t)other);
        else if (!divide(e, operator, &value, other))
            return false;
    }
    *ret_value = value;
    return true;
}

static bool read_logic(Expression *e, int64_t *ret_value)
{
    int64_t value, other;

    if (!read_product(e, &value))
        return false;
    while (is_operator(e, "&|^")) {
        char operator = *e->at++;

        if (!read_product(e, &other))
            return false;
        value = operator == '&' ? value & other : operator == '|' ? value | other
                                                                  : value ^ other;
    }
    *ret_value = value;
    return true;
}

static bool read_sum(Expression *e, int64_t *ret_value)
{
    int64_t value, other;

    if (!read_logic(e, &value))
        return false;
    while (is_operator(e, "+-")) {
        char operator = *e->at++;

        if (!read_logic(e, &other))
            return false;
        value = (int64_t)(operator == '+' ? (uint64_t)value + (uint64_t)other
                                          : (uint64_t)value - (uint64_t)other);
    }
    *ret_value = value;
    return true;
}

bool hmp_expression_read(HmpCall *call, const char **text, int64_t *ret_value,
                         GError **error)
{
    Expression e = { .call = call, .at = *text, .error = error };

    if (!read_sum(&e, ret_value))
        return false;
    *text = e.at;
    return true;
}
