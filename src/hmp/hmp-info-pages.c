/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What virtual addresses of the chosen vCPU are mapped: info mem, runs of pages with the
 * same rights, and info tlb, page by page, in the lines that QEMU's monitor has.
 *
 * The tables are the guest's, which may have a page mapped billions of times: what is
 * looked at and what is shown are bounded, and what is left out is told.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/page-walk.h"

#include "hmp-call.h"

#define ENTRIES_MAX (1u << 20)    /* tables of 8 MiB: main has other things to do */
#define LINES_MAX (1u << 16)

typedef struct Pages {
    HmpCall *call;
    unsigned n_lines;
    PageLeaf run;               /* of size 0: none; of equal rights */
} Pages;

static bool may_show(Pages *pages)
{
    return pages->n_lines++ < LINES_MAX;
}

static bool show_run(Pages *pages)
{
    const PageMapping *run = &pages->run.mapping;

    if (run->size == 0)
        return true;
    if (!may_show(pages))
        return false;
    hmp_printf(pages->call, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c\n",
               run->gva, run->gva + run->size, run->size,
               pages->run.access & PAGE_ENTRY_USER ? 'u' : '-',
               pages->run.access & PAGE_ENTRY_WRITE ? 'w' : '-');
    return true;
}

static bool add_to_run(void *opaque, const PageLeaf *leaf)
{
    const uint64_t rights = PAGE_ENTRY_USER | PAGE_ENTRY_WRITE;
    Pages *pages = opaque;
    PageMapping *run = &pages->run.mapping;
    bool more = run->size > 0 && run->gva + run->size == leaf->mapping.gva &&
                ((pages->run.access ^ leaf->access) & rights) == 0;

    if (more) {
        run->size += leaf->mapping.size;
        return true;
    }
    if (!show_run(pages))
        return false;
    pages->run = *leaf;
    return true;
}

static bool show_page(void *opaque, const PageLeaf *leaf)
{
    static const struct {
        uint64_t bit;
        char letter;
    } letters[] = {
        { PAGE_ENTRY_NO_EXECUTE, 'X' }, { PAGE_ENTRY_GLOBAL, 'G' },
        { PAGE_ENTRY_LARGE, 'P' }, { PAGE_ENTRY_DIRTY, 'D' },
        { PAGE_ENTRY_ACCESSED, 'A' }, { PAGE_ENTRY_CACHE_DISABLE, 'C' },
        { PAGE_ENTRY_WRITE_THROUGH, 'T' }, { PAGE_ENTRY_USER, 'U' },
        { PAGE_ENTRY_WRITE, 'W' },
    };
    Pages *pages = opaque;
    char text[G_N_ELEMENTS(letters) + 1] = "";

    for (size_t i = 0; i < G_N_ELEMENTS(letters); i++)
        text[i] = leaf->entry & letters[i].bit ? letters[i].letter : '-';
    if (!may_show(pages))
        return false;
    hmp_printf(pages->call, "%016" PRIx64 ": %016" PRIx64 " %s\n", leaf->mapping.gva,
               leaf->mapping.gpa, text);
    return true;
}

/* False with @error where the vCPU's registers cannot be read. */
static bool visit(Pages *pages, PageLeafFn *fn, bool *ret_whole, GError **error)
{
    static const bool never = false;
    HmpCall *call = pages->call;
    Vcpu *vcpu = hmp_vcpu(call, error);
    g_autoptr(RamMap) ram = NULL;
    VcpuRegisters registers;
    PageWalk walk;

    if (!vcpu || !vcpu_read_registers(vcpu, &registers, error))
        return false;
    ram = ram_map_new(call->ctx->machine->memory);
    page_walk_init(&walk, ram, &registers);
    if (!page_walk_is_paging(&walk))
        hmp_printf(call, "PG disabled\n");
    *ret_whole = page_walk_visit(&walk, ENTRIES_MAX, &never, fn, pages);
    return true;
}

static void show_all(HmpCall *call, PageLeafFn *fn)
{
    Pages pages = { .call = call };
    GError *error = NULL;
    bool whole;

    if (!visit(&pages, fn, &whole, &error)) {
        hmp_fail(call, error);
        return;
    }
    if (!whole || !show_run(&pages))
        hmp_printf(call, "(more is mapped than is listed; gva2gpa translates any "
                   "address)\n");
}

void hmp_info_mem(HmpCall *call)
{
    show_all(call, add_to_run);
}

void hmp_info_tlb(HmpCall *call)
{
    show_all(call, show_page);
}
