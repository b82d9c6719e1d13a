/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of regions as text, in the lines of QEMU's "info mtree".
 */
#include "berth/region.h"

typedef struct Text {
    GString *out;
    bool disabled;              /* shows what is disabled, too */
} Text;

static const char *kind_of(const Region *region)
{
    while (region->kind == REGION_ALIAS)
        region = region->alias;
    switch (region->kind) {
    case REGION_RAM:
        return "ram";
    case REGION_ROM:
        return region->ops ? "romd" : "rom";
    case REGION_CONTAINER:
    case REGION_IO:
    case REGION_ALIAS:
        break;
    }
    return "i/o";
}

/* A region of 2^64 bytes has UINT64_MAX as its size. */
static uint64_t last_of(uint64_t start, uint64_t size)
{
    return size == UINT64_MAX ? UINT64_MAX : start + size - 1;
}

/* By address; of those that begin together, the one that is in front. */
static gint compare(gconstpointer a, gconstpointer b)
{
    const Region *left = *(const Region *const *)a;
    const Region *right = *(const Region *const *)b;

    if (left->addr != right->addr)
        return left->addr < right->addr ? -1 : 1;
    return right->priority - left->priority;
}

static GPtrArray *sort_children(const Region *region)
{
    GPtrArray *children = g_ptr_array_new();

    LIST_FOREACH(node, &region->children)
        g_ptr_array_add(children, CONTAINER_OF(node, Region, node));
    g_ptr_array_sort(children, compare);
    return children;
}

/* @base is where the parent begins, in the address space or as far as is known. */
static void append(const Text *text, const Region *region, uint64_t base, int depth)
{
    g_autoptr(GPtrArray) children = NULL;
    uint64_t start = base + region->addr;

    if (!region->enabled && !text->disabled)
        return;
    g_string_append_printf(text->out,
                           "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", depth * 2,
                           "", start, last_of(start, region->size), region->priority,
                           kind_of(region));
    if (region->kind == REGION_ALIAS)
        g_string_append_printf(text->out, "alias %s @%s %016" PRIx64 "-%016" PRIx64,
                               region->name, region->alias->name, region->alias_offset,
                               last_of(region->alias_offset, region->size));
    else
        g_string_append(text->out, region->name);
    g_string_append(text->out, region->enabled ? "\n" : " [disabled]\n");
    children = sort_children(region);
    for (guint i = 0; i < children->len; i++)
        append(text, g_ptr_array_index(children, i), start, depth + 1);
}

char *region_text_tree(AddressSpace *as, const Region *root, bool disabled)
{
    Text text = { .out = g_string_new(NULL), .disabled = disabled };

    region_batch_begin(as);
    append(&text, root, 0, 1);
    region_batch_end(as);
    return g_string_free(text.out, false);
}
