/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest that is dumped.  The first bytes are registers and the guest's note,
 * the rest is memory: page tables of every mode that point wherever they like.  What is
 * listed translates to the same places; an ELF file and a kdump of it can be written.
 */
#include <fcntl.h>
#include <string.h>

#include "berth/dump.h"
#include "berth/loop.h"
#include "berth/page-walk.h"

#include "fuzz.h"

#define RAM_SIZE (128 * KIB)
#define HIGH_GPA (4 * GIB)
#define MAX_ENTRIES (1u << 16)
#define MAX_MAPPINGS 4096u

typedef struct __attribute__((packed)) Input {
    uint32_t cr0;
    uint64_t cr3;
    uint32_t cr4;
    uint16_t efer;
    uint64_t gva;
    uint64_t begin;
    uint64_t length;
    uint8_t format;
    uint8_t note[32];
} Input;

typedef struct Guest {
    RamBlock *ram;
    Region root;
    Region low;
    Region high;
    AddressSpace *as;
    Loop *loop;
    DumpJob *job;
    const Input *input;
    bool ended;
} Guest;

static void make_guest(Guest *guest)
{
    const RamOptions options = { .memfd = true, .share = true };

    guest->ram = ram_block_new("ram", RAM_SIZE, &options, NULL);
    region_init_container(&guest->root, "root", UINT64_MAX);
    region_init_ram(&guest->low, "low", guest->ram, 0, RAM_SIZE / 2);
    region_init_ram(&guest->high, "high", guest->ram, RAM_SIZE / 2, RAM_SIZE / 2);
    region_add(&guest->root, 0, &guest->low, 0);
    region_add(&guest->root, HIGH_GPA, &guest->high, 0);
    guest->as = address_space_new("memory", &guest->root, NULL, false);
    guest->loop = loop_new("fuzz", THREAD_MAIN, NULL);
}

static VcpuRegisters registers_of(const Input *input)
{
    return (VcpuRegisters) {
        .cr0 = input->cr0, .cr3 = input->cr3, .cr4 = input->cr4, .efer = input->efer,
    };
}

static void check_list(const PageWalk *walk)
{
    const PageWalkLimits limits = { MAX_ENTRIES, MAX_MAPPINGS };
    g_autoptr(GArray) mappings = g_array_new(false, false, sizeof(PageMapping));
    const bool cancelled = false;

    page_walk_list(walk, &limits, &cancelled, mappings);
    g_assert_cmpuint(mappings->len, <=, MAX_MAPPINGS);
    for (guint i = 0; i < mappings->len; i++) {
        const PageMapping *mapping = &g_array_index(mappings, PageMapping, i);
        uint64_t gpa, size;

        g_assert_true(page_walk_translate(walk, mapping->gva, &gpa, &size));
        g_assert_cmphex(gpa, ==, mapping->gpa);
    }
}

static void walk_pages(Guest *guest)
{
    VcpuRegisters registers = registers_of(guest->input);
    g_autoptr(RamMap) map = ram_map_new(guest->as);
    uint8_t bytes[9000];
    PageWalk walk;

    page_walk_init(&walk, map, &registers);
    page_walk_read(&walk, guest->input->gva, bytes, sizeof(bytes));
    check_list(&walk);
}

static void on_finished(void *opaque, const GError *error)
{
    ((Guest *)opaque)->ended = true;
}

static void on_opened(void *opaque, const GError *error)
{
    Guest *guest = opaque;
    const Input *input = guest->input;
    VcpuRegisters registers = registers_of(input);
    DumpGuest dumped = { .n_vcpus = 1 };

    dumped.vcpus = g_memdup2(&registers, sizeof(registers));
    dumped.ram = ram_map_new(guest->as);
    if (dump_note_check(input->note, sizeof(input->note)))
        dumped.note = g_bytes_new(input->note, sizeof(input->note));
    guest->ended = !dump_job_write(guest->job, &dumped, NULL);
}

static void dump_guest(Guest *guest)
{
    static const DumpJobOps ops = { on_opened, on_finished };
    static const DumpGuestMemoryFormat formats[] = {
        DUMP_GUEST_MEMORY_FORMAT_ELF, DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB,
    };
    const Input *input = guest->input;
    const DumpOptions options = {
        .format = formats[input->format % G_N_ELEMENTS(formats)],
        .paging = input->format & 2,
        .filtered = (input->format & 4) && input->length > 0,
        .begin = input->begin,
        .length = input->length,
    };
    const DumpTarget target = { "/dev/null", -1 };

    guest->ended = false;
    guest->job = dump_job_new(guest->loop, &options, &target, &ops, guest, NULL);
    while (!guest->ended)
        loop_turn(guest->loop, true);
    g_clear_pointer(&guest->job, dump_job_free);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Guest guest;
    Input input;

    if (size < sizeof(input))
        return 0;
    if (!guest.ram)
        make_guest(&guest);
    memcpy(&input, data, sizeof(input));
    guest.input = &input;
    size = MIN(size - sizeof(input), RAM_SIZE);
    memcpy(guest.ram->host, data + sizeof(input), size);
    memset(guest.ram->host + size, 0, RAM_SIZE - size);
    walk_pages(&guest);
    if (input.format & 0x80)
        dump_guest(&guest);
    return 0;
}
