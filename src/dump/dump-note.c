/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF notes of a dump: for each vCPU an NT_PRSTATUS as of a Linux process, which gdb and
 * crash take registers from, and one of QEMU's ("QEMU", type 0) with the system
 * registers, which crash needs to find the kernel's page tables; then the guest's own,
 * which is hostile and was checked.
 */
#include <elf.h>
#include <string.h>
#include <sys/procfs.h>

#include "dump-private.h"

#define NOTE_ALIGN 4u
#define QEMU_NOTE_TYPE 0u
#define QEMU_NOTE_VERSION 1u

typedef struct QemuSegment {
    uint32_t selector;
    uint32_t limit;
    uint32_t flags;
    uint32_t pad;
    uint64_t base;
} QemuSegment;

/* The description of the note "QEMU". */
typedef struct QemuCpuState {
    uint32_t version;
    uint32_t size;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags;
    QemuSegment cs, ds, es, fs, gs, ss;
    QemuSegment ldt, tr, gdt, idt;
    uint64_t cr[5];
    uint64_t kernel_gs_base;
} QemuCpuState;

G_STATIC_ASSERT(sizeof(QemuCpuState) == 440);
G_STATIC_ASSERT(sizeof(struct elf_prstatus) == 336);

static void append_padded(GByteArray *bytes, const void *data, size_t size)
{
    static const uint8_t zeros[NOTE_ALIGN];

    g_byte_array_append(bytes, data, size);
    g_byte_array_append(bytes, zeros, ALIGN_UP(size, NOTE_ALIGN) - size);
}

static void append_note(GByteArray *bytes, const char *name, uint32_t type,
                        const void *desc, size_t size)
{
    const Elf64_Nhdr header = {
        .n_namesz = strlen(name) + 1,
        .n_descsz = size,
        .n_type = type,
    };

    append_padded(bytes, &header, sizeof(header));
    append_padded(bytes, name, header.n_namesz);
    append_padded(bytes, desc, size);
}

static void append_prstatus(GByteArray *bytes, const VcpuRegisters *r, unsigned index)
{
    const uint64_t *general = r->general;
    struct elf_prstatus status = { .pr_pid = (pid_t)index + 1 };
    const uint64_t regs[] = {
        general[VCPU_R15], general[VCPU_R14], general[VCPU_R13], general[VCPU_R12],
        general[VCPU_RBP], general[VCPU_RBX], general[VCPU_R11], general[VCPU_R10],
        general[VCPU_R9], general[VCPU_R8], general[VCPU_RAX], general[VCPU_RCX],
        general[VCPU_RDX], general[VCPU_RSI], general[VCPU_RDI],
        general[VCPU_RAX],      /* of a system call that was interrupted */
        r->rip, r->segments[VCPU_CS].selector, r->rflags, general[VCPU_RSP],
        r->segments[VCPU_SS].selector, r->segments[VCPU_FS].base,
        r->segments[VCPU_GS].base, r->segments[VCPU_DS].selector,
        r->segments[VCPU_ES].selector, r->segments[VCPU_FS].selector,
        r->segments[VCPU_GS].selector,
    };

    G_STATIC_ASSERT(sizeof(regs) == sizeof(status.pr_reg));
    memcpy(&status.pr_reg, regs, sizeof(regs));
    append_note(bytes, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static QemuSegment qemu_segment(const VcpuRegisters *r, VcpuSegmentName name)
{
    const VcpuSegment *segment = &r->segments[name];

    return (QemuSegment) {
        .selector = segment->selector,
        .limit = segment->limit,
        .flags = segment->flags,
        .base = segment->base,
    };
}

static void append_qemu(GByteArray *bytes, const VcpuRegisters *r)
{
    const uint64_t *general = r->general;
    const QemuCpuState state = {
        .version = QEMU_NOTE_VERSION,
        .size = sizeof(state),
        .rax = general[VCPU_RAX], .rbx = general[VCPU_RBX],
        .rcx = general[VCPU_RCX], .rdx = general[VCPU_RDX],
        .rsi = general[VCPU_RSI], .rdi = general[VCPU_RDI],
        .rsp = general[VCPU_RSP], .rbp = general[VCPU_RBP],
        .r8 = general[VCPU_R8], .r9 = general[VCPU_R9],
        .r10 = general[VCPU_R10], .r11 = general[VCPU_R11],
        .r12 = general[VCPU_R12], .r13 = general[VCPU_R13],
        .r14 = general[VCPU_R14], .r15 = general[VCPU_R15],
        .rip = r->rip, .rflags = r->rflags,
        .cs = qemu_segment(r, VCPU_CS), .ds = qemu_segment(r, VCPU_DS),
        .es = qemu_segment(r, VCPU_ES), .fs = qemu_segment(r, VCPU_FS),
        .gs = qemu_segment(r, VCPU_GS), .ss = qemu_segment(r, VCPU_SS),
        .ldt = qemu_segment(r, VCPU_LDT), .tr = qemu_segment(r, VCPU_TR),
        .gdt = qemu_segment(r, VCPU_GDT), .idt = qemu_segment(r, VCPU_IDT),
        .cr = { r->cr0, 0, r->cr2, r->cr3, r->cr4 },
        .kernel_gs_base = r->kernel_gs_base,
    };

    append_note(bytes, "QEMU", QEMU_NOTE_TYPE, &state, sizeof(state));
}

bool dump_note_parse(const uint8_t *bytes, size_t size, size_t *ret_size,
                     size_t *ret_desc, size_t *ret_desc_size)
{
    Elf64_Nhdr header;
    uint64_t desc, end;

    if (size < sizeof(header))
        return false;
    memcpy(&header, bytes, sizeof(header));
    desc = sizeof(header) + ALIGN_UP((uint64_t)header.n_namesz, NOTE_ALIGN);
    end = desc + ALIGN_UP((uint64_t)header.n_descsz, NOTE_ALIGN);
    if (desc + header.n_descsz > size)
        return false;
    *ret_size = end;
    *ret_desc = desc;
    *ret_desc_size = header.n_descsz;
    return true;
}

bool dump_note_check(const uint8_t *bytes, size_t size)
{
    size_t note_size, desc, desc_size;

    return dump_note_parse(bytes, size, &note_size, &desc, &desc_size);
}

static void append_guest_note(DumpNotes *notes, GBytes *note)
{
    size_t size, note_size, desc;
    const uint8_t *bytes = g_bytes_get_data(note, &size);

    if (!dump_note_parse(bytes, size, &note_size, &desc, &notes->guest_desc_size))
        return;
    notes->guest_desc = notes->bytes->len + desc;
    append_padded(notes->bytes, bytes, MIN(size, note_size));
}

void dump_note_init(DumpNotes *notes, const DumpGuest *guest)
{
    *notes = (DumpNotes) { .bytes = g_byte_array_new() };
    for (unsigned i = 0; i < guest->n_vcpus; i++)
        append_prstatus(notes->bytes, &guest->vcpus[i], i);
    for (unsigned i = 0; i < guest->n_vcpus; i++)
        append_qemu(notes->bytes, &guest->vcpus[i]);
    if (guest->note)
        append_guest_note(notes, guest->note);
}

void dump_note_done(DumpNotes *notes)
{
    g_byte_array_unref(notes->bytes);
}
