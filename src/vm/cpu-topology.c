/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each vCPU is, and the CPUID leaves that say so.
 *
 * An APIC id is four fields, from above: socket, die, core, thread; each as wide as its
 * greatest number needs.  Intel SDM volume 3A, 9.9 (leaves 1, 4, 0xb, 0x1f); AMD APM
 * volume 3, E.4 (leaves 0x80000008, 0x8000001d, 0x8000001e).
 */
#include "cpu-topology.h"

#define LEAF_CACHES 4u
#define LEAF_TOPOLOGY 0xbu
#define LEAF_TOPOLOGY_V2 0x1fu
#define LEAF_AMD_FEATURES 0x80000001u
#define LEAF_AMD_SIZES 0x80000008u
#define LEAF_AMD_CACHES 0x8000001du
#define LEAF_AMD_TOPOLOGY 0x8000001eu

#define LEVEL_THREAD 1u
#define LEVEL_CORE 2u
#define LEVEL_DIE 5u

#define HTT (1u << 28)
#define CMP_LEGACY (1u << 1)

/* The bits of an APIC id below each level. */
typedef struct Shifts {
    unsigned core;
    unsigned die;
    unsigned package;
} Shifts;

static unsigned bits_for(unsigned count)
{
    return count > 1 ? 32 - (unsigned)__builtin_clz(count - 1) : 0;
}

static Shifts shifts_of(const CpuTopology *topology)
{
    Shifts shifts;

    shifts.core = bits_for(topology->threads);
    shifts.die = shifts.core + bits_for(topology->cores);
    shifts.package = shifts.die + bits_for(topology->dies);
    return shifts;
}

unsigned cpu_topology_package_shift(const CpuTopology *topology)
{
    return shifts_of(topology).package;
}

CpuPlace cpu_topology_place(const CpuTopology *topology, unsigned index)
{
    Shifts shifts = shifts_of(topology);
    CpuPlace place;

    place.thread = index % topology->threads;
    index /= topology->threads;
    place.core = index % topology->cores;
    index /= topology->cores;
    place.die = index % topology->dies;
    place.socket = index / topology->dies;
    place.apic_id = place.socket << shifts.package | place.die << shifts.die |
                    place.core << shifts.core | place.thread;
    return place;
}

static void set_bits(uint32_t *reg, unsigned low, unsigned n, uint32_t value)
{
    uint32_t mask = ((1u << n) - 1) << low;

    *reg = (*reg & ~mask) | (MIN(value, mask >> low) << low);
}

static void apply_basic(GArray *cpuid, const CpuPlace *place, const Shifts *shifts)
{
    CpuidEntry *entry = cpu_leaf_find(cpuid, 1, 0);

    if (!entry)
        return;
    set_bits(&entry->regs[CPUID_EBX], 24, 8, place->apic_id & 0xff);
    set_bits(&entry->regs[CPUID_EBX], 16, 8, 1u << shifts->package);
    entry->regs[CPUID_EDX] &= ~HTT;
    if (shifts->package > 0)
        entry->regs[CPUID_EDX] |= HTT;
}

/* The bits of APIC ids below those that share a cache. */
static unsigned shift_of_cache(const CpuidEntry *entry, const Shifts *shifts)
{
    unsigned level = (entry->regs[CPUID_EAX] >> 5) & 7;

    switch ((CpuShare)entry->share) {
    case CPU_SHARE_CORE:
        return shifts->core;
    case CPU_SHARE_DIE:
        return shifts->die;
    case CPU_SHARE_PACKAGE:
        return shifts->package;
    case CPU_SHARE_BY_LEVEL:
        break;
    }
    return level < 3 ? shifts->core : shifts->die;
}

static void apply_caches(GArray *cpuid, uint32_t function, const Shifts *shifts)
{
    for (unsigned i = 0; i < cpuid->len; i++) {
        CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);
        uint32_t *eax = &entry->regs[CPUID_EAX];

        if (entry->function != function || (*eax & 0x1f) == 0)
            continue;
        set_bits(eax, 14, 12, (1u << shift_of_cache(entry, shifts)) - 1);
        if (function == LEAF_CACHES)
            set_bits(eax, 26, 6, (1u << (shifts->package - shifts->core)) - 1);
    }
}

static void append_level(GArray *cpuid, uint32_t function, uint32_t index, uint32_t level,
                         const uint32_t values[3])
{
    CpuidEntry entry = {
        .function = function,
        .index = index,
        .regs = { values[0], values[1], level << 8 | index, values[2] },
    };

    g_array_append_val(cpuid, entry);
}

/*
 * A leaf of one level after another: bits to shift, vCPUs in it; and the whole APIC id.
 */
static void apply_levels(GArray *cpuid, uint32_t function, const CpuTopology *topology,
                         const CpuPlace *place, const Shifts *shifts)
{
    unsigned in_die = topology->threads * topology->cores;
    unsigned in_package = in_die * topology->dies;
    bool has_dies = function == LEAF_TOPOLOGY_V2;
    uint32_t thread[] = { shifts->core, topology->threads, place->apic_id };
    uint32_t core[] = { has_dies ? shifts->die : shifts->package,
                        has_dies ? in_die : in_package, place->apic_id };
    uint32_t die[] = { shifts->package, in_package, place->apic_id };
    uint32_t end[] = { 0, 0, place->apic_id };

    append_level(cpuid, function, 0, LEVEL_THREAD, thread);
    append_level(cpuid, function, 1, LEVEL_CORE, core);
    if (has_dies)
        append_level(cpuid, function, 2, LEVEL_DIE, die);
    append_level(cpuid, function, has_dies ? 3 : 2, 0, end);
}

static void apply_amd(GArray *cpuid, const CpuTopology *topology, const CpuPlace *place,
                      const Shifts *shifts)
{
    unsigned in_package = topology->threads * topology->cores * topology->dies;
    CpuidEntry *features = cpu_leaf_find(cpuid, LEAF_AMD_FEATURES, 0);
    CpuidEntry *sizes = cpu_leaf_find(cpuid, LEAF_AMD_SIZES, 0);
    CpuidEntry *node = cpu_leaf_find(cpuid, LEAF_AMD_TOPOLOGY, 0);

    if (features && in_package > 1)
        features->regs[CPUID_ECX] |= CMP_LEGACY;
    if (features && in_package == 1)
        features->regs[CPUID_ECX] &= ~CMP_LEGACY;
    if (sizes) {
        set_bits(&sizes->regs[CPUID_ECX], 0, 8, in_package - 1);
        set_bits(&sizes->regs[CPUID_ECX], 12, 4, shifts->package);
    }
    if (node) {
        node->regs[CPUID_EAX] = place->apic_id;
        node->regs[CPUID_EBX] = (topology->threads - 1) << 8 |
                                ((place->die * topology->cores + place->core) & 0xff);
        node->regs[CPUID_ECX] = (MIN(topology->dies, 8) - 1) << 8 |
                                ((place->socket * topology->dies + place->die) & 0xff);
    }
}

void cpu_topology_apply(GArray *cpuid, const CpuTopology *topology, const CpuPlace *place,
                        const CpuTopologyForm *form)
{
    CpuidEntry *basic = cpu_leaf_find(cpuid, 0, 0);
    Shifts shifts = shifts_of(topology);

    apply_basic(cpuid, place, &shifts);
    cpu_leaf_drop(cpuid, LEAF_TOPOLOGY, LEAF_TOPOLOGY);
    cpu_leaf_drop(cpuid, LEAF_TOPOLOGY_V2, LEAF_TOPOLOGY_V2);
    if (!form->no_levels && (topology->dies > 1 || form->levels_v2)) {
        /* Dies are told nowhere else: the model's own last leaf gives way. */
        basic->regs[CPUID_EAX] = MAX(basic->regs[CPUID_EAX], LEAF_TOPOLOGY_V2);
        apply_levels(cpuid, LEAF_TOPOLOGY_V2, topology, place, &shifts);
    }
    if (!form->no_levels && basic->regs[CPUID_EAX] >= LEAF_TOPOLOGY)
        apply_levels(cpuid, LEAF_TOPOLOGY, topology, place, &shifts);
    if (form->is_amd) {
        apply_caches(cpuid, LEAF_AMD_CACHES, &shifts);
        apply_amd(cpuid, topology, place, &shifts);
    } else {
        apply_caches(cpuid, LEAF_CACHES, &shifts);
    }
}
