/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the sandbox, the filters that are made of it, and the page that shows it.
 *
 * The filters are compared with those that libseccomp makes of the same rows: both are
 * run by a machine of this test on every call with every argument that the table names.
 *
 * After a change of the table "make reference" writes docs/threat-model.md.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/sandbox-filter.h"

#include "golden.h"

#define PAGE "docs/threat-model.md"
#define PAGE_BEGIN \
    "<!-- The table of src/machine/sandbox-table.c; \"make reference\" -->\n"
#define PAGE_END "<!-- The end of the table -->\n"

#define N_NUMBERS 600u
#define X32 0x40000000u
#define PID 4711u
#define ALL_GROUPS (~0u << SANDBOX_GROUP__OPTIONAL)

static const struct {
    SandboxRoles role;
    const char *name;
} roles[] = {
    { SANDBOX_MAIN, "main" },
    { SANDBOX_VCPU, "vCPU" },
    { SANDBOX_IOTHREAD, "iothread" },
    { SANDBOX_WORKER, "worker" },
};

static bool is_on(const SandboxFilterOptions *options, const SandboxCall *row)
{
    return (row->roles & sandbox_table_effective(options->role)) &&
           (row->group < SANDBOX_GROUP__OPTIONAL || options->groups & 1u << row->group);
}

/* The machine: what seccomp(2) has of the classic BPF. */

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
    uint32_t word;

    g_assert_cmpuint(offset, <=, sizeof(*data) - sizeof(word));
    memcpy(&word, (const uint8_t *)data + offset, sizeof(word));
    return word;
}

static bool holds(const struct sock_filter *jump, uint32_t a)
{
    switch (BPF_OP(jump->code)) {
    case BPF_JEQ:
        return a == jump->k;
    case BPF_JGT:
        return a > jump->k;
    case BPF_JGE:
        return a >= jump->k;
    case BPF_JSET:
        return a & jump->k;
    default:
        g_assert_not_reached();
    }
}

static uint32_t run(const GArray *program, const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (guint at = 0; at < program->len; at++) {
        const struct sock_filter *now = &g_array_index(program, struct sock_filter, at);

        switch (BPF_CLASS(now->code)) {
        case BPF_RET:
            return now->k;
        case BPF_LD:
            a = load(data, now->k);
            break;
        case BPF_ALU:
            g_assert_cmpuint(BPF_OP(now->code), ==, BPF_AND);
            a &= now->k;
            break;
        case BPF_JMP:
            if (BPF_OP(now->code) == BPF_JA)
                at += now->k;
            else
                at += holds(now, a) ? now->jt : now->jf;
            break;
        default:
            g_assert_not_reached();
        }
    }
    g_assert_not_reached();
}

static uint32_t verdict(const GArray *program, unsigned number, unsigned argument,
                        uint64_t value)
{
    struct seccomp_data data = { .nr = (int)number, .arch = AUDIT_ARCH_X86_64 };

    data.args[argument] = value;
    return run(program, &data);
}

/* The other maker. */

static void add_row(scmp_filter_ctx other, const SandboxFilterOptions *options,
                    const SandboxCall *row)
{
    const SandboxCheck *check = sandbox_table_check(row->check);
    uint64_t mask = check->is_wide ? UINT64_MAX : check->mask;
    int ret = 0;

    if (row->check == SANDBOX_ANY || check->free_roles & options->role)
        ret = seccomp_rule_add_exact(other, SCMP_ACT_ALLOW, row->number, 0);
    else if (row->check == SANDBOX_ABSENT)
        ret = seccomp_rule_add_exact(other, SCMP_ACT_ERRNO(ENOSYS), row->number, 0);
    for (unsigned i = 0; ret == 0 && i < check->n_values &&
         !(check->free_roles & options->role); i++) {
        uint32_t value = check->is_own ? options->pid : check->values[i].value;

        if (check->values[i].roles & sandbox_table_effective(options->role))
            ret = seccomp_rule_add_exact(other, SCMP_ACT_ALLOW, row->number, 1,
                                         SCMP_CMP(check->argument, SCMP_CMP_MASKED_EQ,
                                                  mask, value));
        if (ret == -EEXIST)
            ret = 0;
    }
    g_assert_cmpint(ret, ==, 0);
}

static void deny(scmp_filter_ctx other, int number)
{
    g_assert_cmpint(seccomp_rule_add_exact(other, SCMP_ACT_TRAP, number, 0), ==, 0);
}

static void add_denials(scmp_filter_ctx other, const SandboxFilterOptions *options)
{
    for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
        if (!is_on(options, &sandbox_table_calls[i]))
            deny(other, sandbox_table_calls[i].number);
    }
    for (unsigned i = 0; i < sandbox_table_n_never; i++)
        deny(other, sandbox_table_never[i]);
}

static GArray *export(scmp_filter_ctx other)
{
    GArray *program = g_array_new(false, false, sizeof(struct sock_filter));
    int fd = memfd_create("filter", MFD_CLOEXEC);
    off_t size;

    g_assert_cmpint(seccomp_export_bpf(other, fd), ==, 0);
    size = lseek(fd, 0, SEEK_END);
    g_array_set_size(program, (guint)((size_t)size / sizeof(struct sock_filter)));
    g_assert_cmpint(pread(fd, program->data, (size_t)size, 0), ==, size);
    close(fd);
    return program;
}

static bool is_open(const SandboxFilterOptions *options)
{
    return options->may_spawn && options->role == SANDBOX_MAIN;
}

static GArray *make_other(const SandboxFilterOptions *options)
{
    scmp_filter_ctx other =
        seccomp_init(is_open(options) ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
    GArray *program;

    g_assert_cmpint(seccomp_attr_set(other, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP), ==,
                    0);
    if (is_open(options)) {
        add_denials(other, options);
    } else {
        for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
            if (is_on(options, &sandbox_table_calls[i]))
                add_row(other, options, &sandbox_table_calls[i]);
        }
    }
    program = export(other);
    seccomp_release(other);
    return program;
}

/* A value that is allowed to one argument, and its neighbours, for every argument. */
static void compare_values(const GArray *ours, const GArray *other, unsigned number,
                           uint32_t value)
{
    const uint64_t values[] = {
        value, value ^ 1, value | 1ull << 32, value | 1ull << 63, ~(uint64_t)value,
    };

    for (unsigned argument = 0; argument < 6; argument++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(values); i++)
            g_assert_cmphex(verdict(ours, number, argument, values[i]), ==,
                            verdict(other, number, argument, values[i]));
    }
}

static void compare(const SandboxFilterOptions *options)
{
    g_autoptr(GArray) ours = sandbox_filter_new(options);
    g_autoptr(GArray) other = make_other(options);

    g_assert_cmpuint(ours->len, <, BPF_MAXINSNS);
    for (unsigned number = 0; number < N_NUMBERS; number++) {
        const SandboxCheck *check = sandbox_table_check_of(number);

        compare_values(ours, other, number, 0);
        compare_values(ours, other, number | X32, 0);
        for (unsigned i = 0; check && i < check->n_values; i++)
            compare_values(ours, other, number, check->values[i].value);
        if (check && check->is_own)
            compare_values(ours, other, number, PID);
    }
    /* The handler of SIGSYS relies on it; libseccomp leaves it to a tracer. */
    g_assert_cmphex(verdict(ours, UINT32_MAX, 0, 0), ==, SECCOMP_RET_TRAP);
}

static void test_filters_are_those_of_libseccomp(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(roles); i++) {
        SandboxFilterOptions options = { .role = roles[i].role, .pid = PID };

        compare(&options);
        for (unsigned bit = SANDBOX_GROUP__OPTIONAL; bit < SANDBOX_GROUP__MAX; bit++) {
            options.groups = 1u << bit;
            compare(&options);
        }
        options.groups = ALL_GROUPS;
        compare(&options);
        options.may_spawn = true;
        compare(&options);
        options.groups = 0;
        compare(&options);
    }
}

static void test_other_architectures(void)
{
    const SandboxFilterOptions options = {
        .role = SANDBOX_MAIN, .groups = ALL_GROUPS, .pid = PID,
    };
    const struct seccomp_data i386 = { .nr = __NR_read, .arch = AUDIT_ARCH_I386 };
    g_autoptr(GArray) program = sandbox_filter_new(&options);

    g_assert_cmphex(run(program, &i386), ==, SECCOMP_RET_TRAP);
    for (unsigned number = 0; number < N_NUMBERS; number++)
        g_assert_cmphex(verdict(program, number | X32, 0, 0), ==, SECCOMP_RET_TRAP);
}

/* A thread that is made by another has the filter of that one, too. */
static void test_a_thread_may_what_it_inherits(void)
{
    const SandboxFilterOptions main_options = { .role = SANDBOX_MAIN, .pid = PID };
    g_autoptr(GArray) main_program = sandbox_filter_new(&main_options);

    for (unsigned i = 0; i < G_N_ELEMENTS(roles); i++) {
        const SandboxFilterOptions options = { .role = roles[i].role, .pid = PID };
        g_autoptr(GArray) program = sandbox_filter_new(&options);

        for (unsigned number = 0; number < N_NUMBERS; number++) {
            uint32_t own = verdict(program, number, 0, 0);

            if (own == SECCOMP_RET_ALLOW)
                g_assert_cmphex(verdict(main_program, number, 0, 0), ==, own);
        }
    }
}

static void test_what_no_thread_may(void)
{
    static const unsigned numbers[] = {
        __NR_execve, __NR_execveat, __NR_fork, __NR_vfork, __NR_ptrace, __NR_kill,
        __NR_mount, __NR_chroot, __NR_setuid, __NR_bpf, __NR_io_uring_setup,
        __NR_process_vm_writev, __NR_open_by_handle_at, __NR_init_module, __NR_unshare,
        __NR_setns, __NR_keyctl, __NR_userfaultfd, __NR_perf_event_open,
        __NR_pkey_mprotect, __NR_chmod, __NR_rename, __NR_link,
    };
    const SandboxFilterOptions options = { .role = SANDBOX_MAIN, .pid = PID };
    g_autoptr(GArray) program = sandbox_filter_new(&options);

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
        g_assert_cmphex(verdict(program, numbers[i], 0, 0), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_mprotect, 2, PROT_READ), ==, SECCOMP_RET_ALLOW);
    g_assert_cmphex(verdict(program, __NR_mprotect, 2, PROT_READ | PROT_EXEC), ==,
                    SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_ioctl, 1, TIOCSTI), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_socket, 0, AF_PACKET), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_tgkill, 0, PID + 1), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_clone, 0, 0), ==, SECCOMP_RET_TRAP);
}

/* A program that main starts has its filter, and is no part of berth. */
static void test_what_a_program_may(void)
{
    SandboxFilterOptions options = {
        .role = SANDBOX_MAIN, .may_spawn = true, .pid = PID,
    };
    g_autoptr(GArray) program = sandbox_filter_new(&options);
    g_autoptr(GArray) vcpu = NULL;

    g_assert_cmphex(verdict(program, __NR_execve, 0, 0), ==, SECCOMP_RET_ALLOW);
    g_assert_cmphex(verdict(program, __NR_clone3, 0, 0), ==, SECCOMP_RET_ALLOW);
    g_assert_cmphex(verdict(program, __NR_mmap, 2, PROT_EXEC), ==, SECCOMP_RET_ALLOW);
    g_assert_cmphex(verdict(program, __NR_mount, 0, 0), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_setuid, 0, 0), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_setpriority, 0, 0), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(program, __NR_uselib, 0, 0), ==, SECCOMP_RET_TRAP);
    options.role = SANDBOX_VCPU;
    vcpu = sandbox_filter_new(&options);
    g_assert_cmphex(verdict(vcpu, __NR_execve, 0, 0), ==, SECCOMP_RET_TRAP);
    g_assert_cmphex(verdict(vcpu, __NR_openat, 0, 0), ==, SECCOMP_RET_TRAP);
}

static void test_rows(void)
{
    for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
        const SandboxCall *row = &sandbox_table_calls[i];

        g_assert_nonnull(sandbox_table_name(row->number));
        g_assert_cmpuint(row->roles, !=, 0);
        g_assert_cmpuint(row->group, <, SANDBOX_GROUP__MAX);
        g_assert_cmpuint(row->check, <, SANDBOX_CHECK__MAX);
        for (unsigned j = 0; j < i; j++)
            g_assert_cmpuint(row->number, !=, sandbox_table_calls[j].number);
        for (unsigned j = 0; j < sandbox_table_n_never; j++)
            g_assert_cmpuint(row->number, !=, sandbox_table_never[j]);
    }
    for (unsigned id = SANDBOX_ANY + 1; id < SANDBOX_CHECK__MAX; id++)
        g_assert_cmpstr(sandbox_table_check_words(id), !=, "");
    g_assert_cmpstr(sandbox_table_name(__NR_openat), ==, "openat");
    g_assert_null(sandbox_table_name(UINT32_MAX));
}

/* The page. */

static void add_roles(GString *text, unsigned bits)
{
    const char *separator = "";

    if (bits == (SANDBOX_MAIN | SANDBOX_VCPU | SANDBOX_IOTHREAD | SANDBOX_WORKER)) {
        g_string_append(text, "all");
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(roles); i++) {
        if (!(bits & roles[i].role))
            continue;
        g_string_append_printf(text, "%s%s", separator, roles[i].name);
        separator = ", ";
    }
}

static void add_calls(GString *text, SandboxGroup group, unsigned bits)
{
    const char *separator = "";

    for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
        const SandboxCall *row = &sandbox_table_calls[i];
        const char *words = sandbox_table_check_words(row->check);

        if (row->group != group || row->roles != bits)
            continue;
        g_string_append_printf(text, "%s%s", separator, sandbox_table_name(row->number));
        if (*words)
            g_string_append_printf(text, " (%s)", words);
        separator = ", ";
    }
}

static bool has_calls(SandboxGroup group, unsigned bits)
{
    for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
        if (sandbox_table_calls[i].group == group && sandbox_table_calls[i].roles == bits)
            return true;
    }
    return false;
}

static bool has_requests(const SandboxCheck *check, unsigned bits)
{
    for (unsigned i = 0; i < check->n_values; i++) {
        if (check->values[i].roles == bits)
            return true;
    }
    return false;
}

static void add_requests(GString *text, const SandboxCheck *check, unsigned bits)
{
    const char *separator = "";

    for (unsigned i = 0; i < check->n_values; i++) {
        if (check->values[i].roles != bits)
            continue;
        g_string_append_printf(text, "%s%s", separator, check->values[i].name);
        separator = ", ";
    }
}

static void add_spawn(GString *text)
{
    g_string_append(text, "| `spawn=allow` | main | all but those above that are not "
                          "allowed, and but ");
    for (unsigned i = 0; i < sandbox_table_n_never; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "",
                               sandbox_table_name(sandbox_table_never[i]));
    g_string_append(text, " |\n");
}

static char *show_table(void)
{
    const SandboxCheck *requests = sandbox_table_check(SANDBOX_REQUEST);
    GString *text = g_string_new("| for | threads | calls |\n|---|---|---|\n");

    for (unsigned group = 0; group < SANDBOX_GROUP__MAX; group++) {
        for (unsigned bits = 15; bits > 0; bits--) {
            if (!has_calls(group, bits))
                continue;
            g_string_append_printf(text, "| %s | ", sandbox_table_why(group));
            add_roles(text, bits);
            g_string_append(text, " | ");
            add_calls(text, group, bits);
            g_string_append(text, " |\n");
        }
    }
    add_spawn(text);
    g_string_append(text, "\n| threads | requests of ioctl |\n|---|---|\n");
    for (unsigned bits = 15; bits > 0; bits--) {
        if (!has_requests(requests, bits))
            continue;
        g_string_append(text, "| ");
        add_roles(text, bits);
        g_string_append(text, " | ");
        add_requests(text, requests, bits);
        g_string_append(text, " |\n");
    }
    return g_string_free(text, false);
}

static void test_page(void)
{
    g_autofree char *table = show_table();
    g_autofree char *page = NULL;
    g_autofree char *wanted = NULL;
    const char *begin, *end;

    g_assert_true(g_file_get_contents(PAGE, &page, NULL, NULL));
    begin = strstr(page, PAGE_BEGIN);
    end = strstr(page, PAGE_END);
    g_assert_true(begin && end);
    wanted = g_strdup_printf("%.*s" PAGE_BEGIN "\n%s\n%s", (int)(begin - page), page,
                             table, end);
    golden_check(PAGE, wanted, strlen(wanted));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sandbox-table/rows", test_rows);
    g_test_add_func("/sandbox-table/filters-are-those-of-libseccomp",
                    test_filters_are_those_of_libseccomp);
    g_test_add_func("/sandbox-table/other-architectures", test_other_architectures);
    g_test_add_func("/sandbox-table/a-thread-may-what-it-inherits",
                    test_a_thread_may_what_it_inherits);
    g_test_add_func("/sandbox-table/what-no-thread-may", test_what_no_thread_may);
    g_test_add_func("/sandbox-table/what-a-program-may", test_what_a_program_may);
    g_test_add_func("/sandbox-table/page", test_page);
    return g_test_run();
}
