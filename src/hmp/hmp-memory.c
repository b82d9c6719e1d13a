/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory, as a debugger sees it: x and xp, checksums, what addresses mean.
 *
 * What is no memory but a device's registers is read as the guest would, with what that
 * does to the device.
 */
#include <errno.h>
#include <fcntl.h>

#include "berth/error.h"
#include "berth/machine.h"
#include "berth/page-walk.h"

#include "hmp-call.h"

/* Of one command, whose text is several times as long. */
#define SHOW_MAX (256u * 1024)
#define SUM_MAX (16u * MIB)

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_FRAME ((1ull << 55) - 1)

/* Where x and xp read. */
typedef struct View {
    AddressSpace *memory;
    RamMap *ram;                /* of virtual addresses, else NULL */
    PageWalk walk;
} View;

static bool view_init(View *view, HmpCall *call, bool is_virtual, GError **error)
{
    VcpuRegisters registers;
    Vcpu *vcpu = hmp_vcpu(call, error);

    if (!vcpu)
        return false;
    *view = (View) { .memory = call->ctx->machine->memory };
    if (!is_virtual)
        return true;
    if (!vcpu_read_registers(vcpu, &registers, error))
        return false;
    view->ram = ram_map_new(view->memory);
    page_walk_init(&view->walk, view->ram, &registers);
    return true;
}

static void view_done(View *view)
{
    ram_map_free(view->ram);
}

static bool view_read(const View *view, uint64_t addr, uint8_t *data, size_t size)
{
    if (!view->ram)
        return address_space_read(view->memory, addr, data, size);
    while (size > 0) {
        uint64_t gpa, n;

        if (!page_walk_translate(&view->walk, addr, &gpa, &n))
            return false;
        n = MIN(n, size);
        if (!address_space_read(view->memory, gpa, data, n))
            return false;
        addr += n;
        data += n;
        size -= n;
    }
    return true;
}

static uint64_t read_value(const uint8_t *data, unsigned size, bool is_signed)
{
    uint64_t value = 0;

    for (unsigned i = size; i-- > 0;)
        value = value << 8 | data[i];
    if (is_signed && size < 8 && value >> (size * 8 - 1))
        value |= UINT64_MAX << (size * 8);
    return value;
}

static void show_value(HmpCall *call, const HmpFormat *format, uint64_t value)
{
    int bits = (int)format->size * 8;

    switch (format->letter) {
    case 'o':
        hmp_printf(call, " %#*" PRIo64, (bits + 2) / 3, value);
        break;
    case 'u':
        hmp_printf(call, " %*" PRIu64, (bits * 10 + 32) / 33, value);
        break;
    case 'd':
        hmp_printf(call, " %*" PRId64, (bits * 10 + 32) / 33, (int64_t)value);
        break;
    case 'c':
        hmp_printf(call, " ");
        hmp_show_character(call, (uint8_t)value);
        break;
    default:
        hmp_printf(call, " 0x%0*" PRIx64, bits / 4, value);
        break;
    }
}

static void show_lines(HmpCall *call, const View *view, const HmpFormat *format,
                       uint64_t addr)
{
    size_t left = (size_t)format->count * format->size;
    size_t line_size = format->size == 1 ? 8 : 16;

    while (left > 0) {
        uint8_t data[16];
        size_t size = MIN(left, line_size);

        hmp_printf(call, "%016" PRIx64 ":", addr);
        if (!view_read(view, addr, data, size)) {
            hmp_printf(call, " Cannot access memory\n");
            return;
        }
        for (size_t at = 0; at < size; at += format->size)
            show_value(call, format,
                       read_value(data + at, format->size, format->letter == 'd'));
        hmp_printf(call, "\n");
        addr += size;
        left -= size;
    }
}

static void show_memory(HmpCall *call, bool is_virtual)
{
    HmpFormat format = call->state->format;
    GError *error = NULL;
    View view;

    if (format.letter == 'c')
        format.size = 1;
    if (format.letter == 'i')
        error_set(&error, "instructions are not disassembled; show them as bytes (/xb)");
    else if (format.count > SHOW_MAX / format.size)
        error_set(&error, "at most %u bytes are shown at a time; memsave and pmemsave "
                  "write more to a file", SHOW_MAX);
    if (error || !view_init(&view, call, is_virtual, &error)) {
        hmp_fail(call, error);
        return;
    }
    show_lines(call, &view, &format, (uint64_t)hmp_int(call, "addr"));
    view_done(&view);
}

void hmp_x(HmpCall *call)
{
    show_memory(call, true);
}

void hmp_xp(HmpCall *call)
{
    show_memory(call, false);
}

/* As sum(1) counts by default. */
static uint16_t add_to_sum(uint16_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (uint16_t)((sum >> 1 | sum << 15) + data[i]);
    return sum;
}

static bool sum_memory(HmpCall *call, uint64_t start, uint64_t size, uint16_t *ret_sum,
                       GError **error)
{
    g_autoptr(RamMap) ram = NULL;
    uint8_t data[4096];

    if (!hmp_vcpu(call, error))
        return false;
    ram = ram_map_new(call->ctx->machine->memory);
    *ret_sum = 0;
    for (uint64_t done = 0; done < size;) {
        size_t n = MIN(size - done, sizeof(data));

        if (!ram_map_read(ram, start + done, data, n)) {
            error_set(error, "not all from 0x%" PRIx64 " to 0x%" PRIx64 " is memory",
                      start + done, start + done + n - 1);
            return false;
        }
        *ret_sum = add_to_sum(*ret_sum, data, n);
        done += n;
    }
    return true;
}

void hmp_sum(HmpCall *call)
{
    int64_t size = hmp_int(call, "size");
    GError *error = NULL;
    uint16_t sum;

    if (size < 0 || size > (int64_t)SUM_MAX)
        error_set(&error, "a size from 0 to %llu is expected", SUM_MAX);
    if (error ||
        !sum_memory(call, (uint64_t)hmp_int(call, "start"), (uint64_t)size, &sum, &error))
        hmp_fail(call, error);
    else
        hmp_printf(call, "%05u\n", sum);
}

/* The host's memory of a guest address, in @ram (kept by the caller). */
static const RamMapRange *find_range(HmpCall *call, RamMap **ret_ram, uint64_t gpa)
{
    const RamMapRange *range;
    GError *error = NULL;

    if (!hmp_vcpu(call, &error)) {
        hmp_fail(call, error);
        return NULL;
    }
    *ret_ram = ram_map_new(call->ctx->machine->memory);
    range = ram_map_find(*ret_ram, gpa);
    if (range && range->gpa <= gpa)
        return range;
    hmp_printf(call, "No memory is mapped at address 0x%" PRIx64 "\n", gpa);
    return NULL;
}

void hmp_gpa2hva(HmpCall *call)
{
    uint64_t gpa = (uint64_t)hmp_int(call, "addr");
    g_autoptr(RamMap) ram = NULL;
    const RamMapRange *range = find_range(call, &ram, gpa);

    if (range)
        hmp_printf(call, "Host virtual address for 0x%" PRIx64 " (%s) is %p\n", gpa,
                   range->block->name, (void *)(range->host + (gpa - range->gpa)));
}

/* What the kernel tells of the page at @host: the rights to know are root's. */
static bool find_frame(const uint8_t *host, uint64_t *ret_frame, GError **error)
{
    long page_size = sysconf(_SC_PAGESIZE);
    off_t at = (off_t)((uintptr_t)host / (uintptr_t)page_size * sizeof(uint64_t));
    g_autofd int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entry;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot open '/proc/self/pagemap'");
        return false;
    }
    if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry)) {
        error_set(error, "cannot read '/proc/self/pagemap'");
        return false;
    }
    if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_FRAME)) {
        error_set(error, entry & PAGEMAP_PRESENT
                         ? "the host does not tell where the page is"
                         : "the page is not in the host's memory");
        return false;
    }
    *ret_frame = entry & PAGEMAP_FRAME;
    return true;
}

void hmp_gpa2hpa(HmpCall *call)
{
    uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t gpa = (uint64_t)hmp_int(call, "addr"), frame;
    g_autoptr(RamMap) ram = NULL;
    const RamMapRange *range = find_range(call, &ram, gpa);
    GError *error = NULL;

    if (!range)
        return;
    if (find_frame(range->host + (gpa - range->gpa), &frame, &error))
        hmp_printf(call, "Host physical address for 0x%" PRIx64 " (%s) is 0x%" PRIx64
                   "\n", gpa, range->block->name, frame * page_size + gpa % page_size);
    else
        hmp_fail(call, error);
}

void hmp_gva2gpa(HmpCall *call)
{
    uint64_t gva = (uint64_t)hmp_int(call, "addr"), gpa, size;
    GError *error = NULL;
    View view;

    if (!view_init(&view, call, true, &error)) {
        hmp_fail(call, error);
        return;
    }
    if (page_walk_translate(&view.walk, gva, &gpa, &size))
        hmp_printf(call, "gpa: %#" PRIx64 "\n", gpa);
    else
        hmp_printf(call, "Unmapped\n");
    view_done(&view);
}
