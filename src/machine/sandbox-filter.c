/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rows to a program of the classic BPF machine (Linux,
 * Documentation/userspace-api/seccomp_filter.rst):
 *
 *     another architecture?        trap
 *     call == row 1?               allow
 *     call == row 2?               load its argument; one of its values? allow; else trap
 *     ...
 *     trap
 *
 * Calls of the 32-bit and x32 interfaces have other numbers or another architecture, and
 * are in no row.
 *
 * A program that main starts inherits main's filter, and no list of what berth calls fits
 * it.  Where it may start one, nothing that this program can do could be kept from main
 * either; so main's filter is then a list of what is denied.
 *
 * The program is made here and not by libseccomp because a VM is started in two
 * milliseconds: loading that library and compiling one of these filters by it takes a
 * quarter of that, for each role, and here a hundredth.  The unit test compares what
 * both make of the table.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include "berth/sandbox-filter.h"

#define ALLOW SECCOMP_RET_ALLOW
#define TRAP SECCOMP_RET_TRAP
#define X32 0x40000000u         /* numbers of that interface; __X32_SYSCALL_BIT */

static void emit(GArray *program, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    const struct sock_filter instruction = { code, jt, jf, k };

    g_array_append_val(program, instruction);
}

static void emit_load(GArray *program, size_t offset)
{
    emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(GArray *program, uint32_t verdict)
{
    emit(program, BPF_RET | BPF_K, verdict, 0, 0);
}

/* If what is loaded is @value, the verdict; else on. */
static void emit_case(GArray *program, uint32_t value, uint32_t verdict)
{
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    emit_return(program, verdict);
}

/* Loads what the check looks at; little-endian: the low half comes first. */
static void emit_argument(GArray *program, const SandboxCheck *check)
{
    size_t offset = offsetof(struct seccomp_data, args) + 8u * check->argument;

    if (check->is_wide) {
        emit_load(program, offset + 4);
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        emit_return(program, TRAP);
    }
    emit_load(program, offset);
    if (check->mask != ~0u)
        emit(program, BPF_ALU | BPF_AND | BPF_K, check->mask, 0, 0);
}

/* The call is this one: allowed with the values of its check, else a trap. */
static void emit_check(GArray *program, const SandboxFilterOptions *options,
                       SandboxCheckId id)
{
    const SandboxCheck *check = sandbox_table_check(id);
    unsigned roles = sandbox_table_effective(options->role);

    emit_argument(program, check);
    for (unsigned i = 0; i < check->n_values; i++) {
        const SandboxValue *value = &check->values[i];

        if (value->roles & roles)
            emit_case(program, check->is_own ? options->pid : value->value, ALLOW);
    }
    emit_return(program, TRAP);
}

static void emit_row(GArray *program, const SandboxFilterOptions *options,
                     const SandboxCall *row)
{
    const SandboxCheck *check = sandbox_table_check(row->check);
    g_autoptr(GArray) checked = NULL;

    if (row->check == SANDBOX_ANY || check->free_roles & options->role) {
        emit_case(program, row->number, ALLOW);
        return;
    }
    if (row->check == SANDBOX_ABSENT) {
        emit_case(program, row->number, SECCOMP_RET_ERRNO | ENOSYS);
        return;
    }
    checked = g_array_new(false, false, sizeof(struct sock_filter));
    emit_check(checked, options, row->check);
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, row->number, 1, 0);
    emit(program, BPF_JMP | BPF_JA, checked->len, 0, 0);
    g_array_append_vals(program, checked->data, checked->len);
}

static bool is_on(const SandboxFilterOptions *options, const SandboxCall *row)
{
    return (row->roles & sandbox_table_effective(options->role)) &&
           (row->group < SANDBOX_GROUP__OPTIONAL ||
            (options->groups & (1u << row->group)));
}

static void emit_rows(GArray *program, const SandboxFilterOptions *options)
{
    for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
        if (is_on(options, &sandbox_table_calls[i]))
            emit_row(program, options, &sandbox_table_calls[i]);
    }
    emit_return(program, TRAP);
}

/* For a program that is started by another, which inherits the filter. */
static void emit_denials(GArray *program, const SandboxFilterOptions *options)
{
    emit(program, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
    emit_return(program, TRAP);
    for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
        if (!is_on(options, &sandbox_table_calls[i]))
            emit_case(program, sandbox_table_calls[i].number, TRAP);
    }
    for (unsigned i = 0; i < sandbox_table_n_never; i++)
        emit_case(program, sandbox_table_never[i], TRAP);
    emit_return(program, ALLOW);
}

GArray *sandbox_filter_new(const SandboxFilterOptions *options)
{
    GArray *program = g_array_new(false, false, sizeof(struct sock_filter));

    emit_load(program, offsetof(struct seccomp_data, arch));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit_return(program, TRAP);
    emit_load(program, offsetof(struct seccomp_data, nr));
    if (options->role == SANDBOX_MAIN && options->may_spawn)
        emit_denials(program, options);
    else
        emit_rows(program, options);
    return program;
}
