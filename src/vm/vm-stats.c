/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binary statistics of KVM (Linux, Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD):
 *
 *     header | id | descriptors, each with its name | data, 8 bytes a value
 *
 * Nothing is allocated or indexed by a number of the header or of a descriptor that was
 * not held to a limit.  A statistic of a type that berth does not know is left out.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"
#include "berth/vm-stats.h"

#include "vm-ops.h"

#define STATS_MAX 1024u
#define NAME_SIZE_MAX 256u
#define VALUES_MAX 4096u                /* of one statistic */
#define DATA_SIZE_MAX (1024u * 1024u)

#define TYPE_MASK 0xfu
#define UNIT_SHIFT 4
#define UNIT_MASK 0xfu
#define BASE_SHIFT 8
#define BASE_MASK 0xfu
#define UNIT_NONE 0u

typedef struct Header {
    uint32_t flags;
    uint32_t name_size;
    uint32_t n_stats;
    uint32_t id_offset;
    uint32_t desc_offset;
    uint32_t data_offset;
} Header;

typedef struct Desc {
    uint32_t flags;
    int16_t exponent;
    uint16_t n_values;
    uint32_t offset;            /* in the data */
    uint32_t bucket_size;
} Desc;

struct VmStats {
    GArray *stats;              /* of VmStat */
    char *names;                /* the descriptors with their names, as they were read */
    uint32_t data_offset;
    size_t data_size;
    uint64_t *values;
};

static const StatsType types[] = {
    STATS_TYPE_CUMULATIVE, STATS_TYPE_INSTANT, STATS_TYPE_PEAK,
    STATS_TYPE_LINEAR_HISTOGRAM, STATS_TYPE_LOG2_HISTOGRAM,
};

/* From UNIT_NONE + 1. */
static const StatsUnit units[] = {
    STATS_UNIT_BYTES, STATS_UNIT_SECONDS, STATS_UNIT_CYCLES, STATS_UNIT_BOOLEAN,
};

static const uint8_t bases[] = { 10, 2 };

static bool read_exactly(int fd, void *data, size_t size, uint64_t offset,
                         GError **error)
{
    ssize_t n = pread(fd, data, size, (off_t)offset);

    if (n == (ssize_t)size)
        return true;
    if (n < 0)
        error_set_errno(error, errno, "cannot read the kernel's statistics");
    else
        error_set(error, "the kernel's statistics end early");
    return false;
}

static bool check_header(const Header *header, GError **error)
{
    if (header->n_stats <= STATS_MAX && header->name_size > 0 &&
        header->name_size <= NAME_SIZE_MAX)
        return true;
    error_set(error, "the kernel's statistics are %u with names of %u bytes",
              header->n_stats, header->name_size);
    return false;
}

/* Adds what @desc describes, when it is known and lies within the limits. */
static void add_stat(VmStats *stats, const Desc *desc, const char *name, size_t name_size)
{
    unsigned type = desc->flags & TYPE_MASK;
    unsigned unit = desc->flags >> UNIT_SHIFT & UNIT_MASK;
    unsigned base = desc->flags >> BASE_SHIFT & BASE_MASK;
    size_t size = sizeof(uint64_t) * desc->n_values;
    VmStat stat = {
        .name = name,
        .exponent = desc->exponent,
        .n_values = desc->n_values,
        .first_value = desc->offset / sizeof(uint64_t),
    };

    if (type >= G_N_ELEMENTS(types) || unit > G_N_ELEMENTS(units) ||
        base >= G_N_ELEMENTS(bases) || !memchr(name, 0, name_size) ||
        !g_utf8_validate(name, -1, NULL))
        return;
    if (desc->n_values == 0 || desc->n_values > VALUES_MAX ||
        desc->offset % sizeof(uint64_t) || desc->offset > DATA_SIZE_MAX - size)
        return;
    stat.type = types[type];
    stat.has_unit = unit != UNIT_NONE;
    if (stat.has_unit)
        stat.unit = units[unit - 1];
    if (desc->exponent)
        stat.base = bases[base];
    if (stat.type == STATS_TYPE_LINEAR_HISTOGRAM)
        stat.bucket_size = desc->bucket_size;
    stats->data_size = MAX(stats->data_size, desc->offset + size);
    g_array_append_val(stats->stats, stat);
}

int vm_stats_open(Vm *vm)
{
    return vm->ops->open_stats(vm);
}

VmStats *vm_stats_new(int fd, GError **error)
{
    g_autoptr(VmStats) stats = g_new0(VmStats, 1);
    Header header;
    size_t stride;

    stats->stats = g_array_new(false, false, sizeof(VmStat));
    if (!read_exactly(fd, &header, sizeof(header), 0, error) ||
        !check_header(&header, error))
        return NULL;
    stride = sizeof(Desc) + header.name_size;
    stats->names = g_malloc(stride * header.n_stats);
    stats->data_offset = header.data_offset;
    if (!read_exactly(fd, stats->names, stride * header.n_stats, header.desc_offset,
                      error))
        return NULL;
    for (uint32_t i = 0; i < header.n_stats; i++) {
        const char *at = stats->names + stride * i;
        Desc desc;

        memcpy(&desc, at, sizeof(desc));
        add_stat(stats, &desc, at + sizeof(desc), header.name_size);
    }
    /* Never NULL, which would be an error of vm_stats_read(). */
    stats->values = g_malloc(MAX(stats->data_size, sizeof(uint64_t)));
    return g_steal_pointer(&stats);
}

void vm_stats_free(VmStats *stats)
{
    if (!stats)
        return;
    g_array_unref(stats->stats);
    g_free(stats->names);
    g_free(stats->values);
    g_free(stats);
}

unsigned vm_stats_count(const VmStats *stats)
{
    return stats->stats->len;
}

const VmStat *vm_stats_get(const VmStats *stats, unsigned index)
{
    return &g_array_index(stats->stats, VmStat, index);
}

const uint64_t *vm_stats_read(VmStats *stats, int fd, GError **error)
{
    if (!read_exactly(fd, stats->values, stats->data_size, stats->data_offset, error))
        return NULL;
    return stats->values;
}
