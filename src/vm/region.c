/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of regions: making, adding, moving.
 *
 * Whatever changes a region that some address space shows begins and ends a batch of
 * that address space, so that single changes and explicit batches are one path.  The
 * address space of a region is found upwards, through parents and through the aliases
 * of each.
 */
#include "berth/region.h"

#include "address-space.h"

static AddressSpace *find_space(const Region *region)
{
    for (; region; region = region->parent) {
        if (region->as)
            return region->as;
        LIST_FOREACH(node, &region->aliases) {
            AddressSpace *as = find_space(CONTAINER_OF(node, Region, alias_node));

            if (as)
                return as;
        }
    }
    return NULL;
}

static AddressSpace *change_begin(const Region *region)
{
    AddressSpace *as = find_space(region);

    if (as)
        address_space_begin(as);
    return as;
}

static void change_end(AddressSpace *as, AddressSpaceChange change)
{
    if (!as)
        return;
    address_space_changed(as, change);
    address_space_end(as);
}

void region_batch_begin(AddressSpace *as)
{
    address_space_begin(as);
}

void region_batch_end(AddressSpace *as)
{
    address_space_end(as);
}

static void init(Region *region, RegionKind kind, const char *name, uint64_t size)
{
    g_assert(size > 0);
    *region = (Region){ .kind = kind, .name = name, .size = size, .enabled = true };
    list_init(&region->node);
    list_init(&region->children);
    list_init(&region->alias_node);
    list_init(&region->aliases);
}

void region_init_container(Region *region, const char *name, uint64_t size)
{
    init(region, REGION_CONTAINER, name, size);
}

void region_init_io(Region *region, const char *name, uint64_t size, const RegionOps *ops,
                    void *opaque, GMutex *lock)
{
    g_assert(ops->min_size <= 1 || size % ops->min_size == 0);
    init(region, REGION_IO, name, size);
    region->ops = ops;
    region->opaque = opaque;
    region->lock = lock;
}

static void init_memory(Region *region, RamBlock *ram, uint64_t offset)
{
    g_assert(offset <= ram->size && region->size <= ram->size - offset);
    region->ram = ram_block_ref(ram);
    region->ram_offset = offset;
}

void region_init_ram(Region *region, const char *name, RamBlock *ram, uint64_t offset,
                     uint64_t size)
{
    init(region, REGION_RAM, name, size);
    init_memory(region, ram, offset);
}

void region_init_rom(Region *region, const char *name, RamBlock *ram, uint64_t offset,
                     uint64_t size)
{
    init(region, REGION_ROM, name, size);
    init_memory(region, ram, offset);
}

void region_init_rom_device(Region *region, const char *name, RamBlock *ram,
                            const RegionOps *ops, void *opaque)
{
    region_init_rom(region, name, ram, 0, ram->size);
    region->apart = true;
    region->ops = ops;
    region->opaque = opaque;
}

void region_init_alias(Region *region, const char *name, Region *target, uint64_t offset,
                       uint64_t size)
{
    init(region, REGION_ALIAS, name, size);
    region->alias = target;
    region->alias_offset = offset;
    list_append(&target->aliases, &region->alias_node);
}

void region_done(Region *region)
{
    region_remove(region);
    g_assert(list_is_empty(&region->children) && list_is_empty(&region->aliases));
    g_assert(!region->as);
    list_remove(&region->alias_node);
    g_clear_pointer(&region->ram, ram_block_unref);
    g_clear_pointer(&region->doorbells, g_array_unref);
}

/*
 * Before the first sibling that is not of higher priority: the later added comes first.
 */
static void link_child(Region *parent, Region *region)
{
    ListNode *at = parent->children.next;

    while (at != &parent->children &&
           CONTAINER_OF(at, Region, node)->priority > region->priority)
        at = at->next;
    list_insert_before(at, &region->node);
}

void region_add(Region *parent, uint64_t addr, Region *region, int priority)
{
    AddressSpace *as = change_begin(parent);

    g_assert(parent->kind == REGION_CONTAINER && !region->parent && !region->as);
    region->parent = parent;
    region->addr = addr;
    region->priority = priority;
    link_child(parent, region);
    change_end(as, ADDRESS_SPACE_CHANGED_VIEW);
}

void region_remove(Region *region)
{
    AddressSpace *as;

    if (!region->parent)
        return;
    as = change_begin(region);
    list_remove(&region->node);
    region->parent = NULL;
    change_end(as, ADDRESS_SPACE_CHANGED_VIEW);
}

void region_set_enabled(Region *region, bool enabled)
{
    AddressSpace *as;

    if (region->enabled == enabled)
        return;
    as = change_begin(region);
    region->enabled = enabled;
    change_end(as, ADDRESS_SPACE_CHANGED_VIEW);
}

void region_set_addr(Region *region, uint64_t addr)
{
    AddressSpace *as;

    if (region->addr == addr)
        return;
    as = change_begin(region);
    region->addr = addr;
    change_end(as, ADDRESS_SPACE_CHANGED_VIEW);
}

static bool same_doorbell(const RegionDoorbell *a, const RegionDoorbell *b)
{
    return a->offset == b->offset && a->size == b->size && a->match == b->match &&
           (!a->match || a->value == b->value) && a->fd == b->fd;
}

void region_add_doorbell(Region *region, const RegionDoorbell *doorbell)
{
    AddressSpace *as = change_begin(region);

    g_assert(region->kind == REGION_IO && doorbell->offset < region->size);
    if (!region->doorbells)
        region->doorbells = g_array_new(FALSE, FALSE, sizeof(RegionDoorbell));
    g_array_append_val(region->doorbells, *doorbell);
    change_end(as, ADDRESS_SPACE_CHANGED_DOORBELLS);
}

void region_remove_doorbell(Region *region, const RegionDoorbell *doorbell)
{
    AddressSpace *as = change_begin(region);

    for (unsigned i = 0; region->doorbells && i < region->doorbells->len; i++) {
        const RegionDoorbell *bell = &g_array_index(region->doorbells, RegionDoorbell, i);

        if (same_doorbell(bell, doorbell)) {
            g_array_remove_index(region->doorbells, i);
            break;
        }
    }
    change_end(as, ADDRESS_SPACE_CHANGED_DOORBELLS);
}
