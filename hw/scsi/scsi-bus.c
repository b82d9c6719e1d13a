/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCSI bus: places of logical units, and finding a unit by its place.
 *
 * The table of units is read by every request, on any loop, without a lock.  Main makes a
 * new one when a unit comes or goes, publishes it, and has every loop pass a turn before
 * it frees the old one.
 */
#include <string.h>

#include "berth/ata-unit.h"
#include "berth/error.h"
#include "berth/thread.h"

#include "scsi-req.h"

#define REPORT_LUNS 0xa0

typedef struct Place {
    uint32_t key;               /* target and LUN */
    ScsiUnit *unit;
} Place;

/* Sorted by key. */
struct ScsiTable {
    unsigned n;
    Place places[];
};

static uint32_t key_of(unsigned target, unsigned lun)
{
    return target << 16 | lun;
}

/* The first place that is not before @key. */
static unsigned lower_bound(const ScsiTable *table, uint32_t key)
{
    unsigned low = 0, high = table->n;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (table->places[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const ScsiTable *table_of(const ScsiBus *bus)
{
    return __atomic_load_n(&bus->table, __ATOMIC_ACQUIRE);
}

static ScsiUnit *find(const ScsiTable *table, unsigned target, unsigned lun)
{
    uint32_t key = key_of(target, lun);
    unsigned at = lower_bound(table, key);

    return at < table->n && table->places[at].key == key ? table->places[at].unit : NULL;
}

bool scsi_bus_has_unit(const ScsiBus *bus, unsigned target, unsigned lun)
{
    return find(table_of(bus), target, lun) != NULL;
}

bool scsi_bus_has_target(const ScsiBus *bus, unsigned target)
{
    const ScsiTable *table = table_of(bus);
    unsigned at = lower_bound(table, key_of(target, 0));

    return at < table->n && table->places[at].key >> 16 == target;
}

bool scsi_bus_next(const ScsiBus *bus, unsigned *target, unsigned *lun)
{
    const ScsiTable *table = table_of(bus);
    unsigned at = lower_bound(table, key_of(*target, *lun));

    if (at == table->n)
        return false;
    *target = table->places[at].key >> 16;
    *lun = table->places[at].key & UINT16_MAX;
    return true;
}

static bool concerns(const ScsiTasks *tasks, const ScsiUnit *unit)
{
    return unit->target == tasks->target && (tasks->all_units || unit->lun == tasks->lun);
}

void scsi_bus_foreach(ScsiBus *bus, unsigned loop, const ScsiTasks *tasks,
                      ScsiLaneFn *fn, void *opaque)
{
    const ScsiTable *table = table_of(bus);

    for (unsigned i = 0; i < table->n; i++) {
        if (concerns(tasks, table->places[i].unit))
            fn(&table->places[i].unit->lanes[loop], opaque);
    }
}

static void reset_lane(ScsiLane *lane, void *opaque)
{
    const bool *nexus = opaque;

    scsi_unit_reset(lane->unit, *nexus ? SCSI_ATTENTION_NEXUS_LOSS
                                       : SCSI_ATTENTION_UNIT_RESET);
}

void scsi_bus_reset_units(ScsiBus *bus, const ScsiTasks *tasks, bool nexus)
{
    scsi_bus_foreach(bus, 0, tasks, reset_lane, &nexus);
}

void scsi_bus_reset(ScsiBus *bus)
{
    const ScsiTable *table = table_of(bus);

    for (unsigned i = 0; i < table->n; i++)
        scsi_unit_reset(table->places[i].unit, SCSI_ATTENTION_POWER_ON);
}

void scsi_bus_attention(ScsiBus *bus, unsigned target, uint32_t set, uint32_t clear)
{
    const ScsiTable *table = table_of(bus);

    for (unsigned i = 0; i < table->n; i++) {
        ScsiUnit *unit = table->places[i].unit;

        if (unit->target != target)
            continue;
        scsi_unit_attention(unit, set);
        __atomic_and_fetch(&unit->attentions, ~clear, __ATOMIC_SEQ_CST);
    }
}

/* The first request after the queues stood still. */
static void start_again(ScsiBus *bus, unsigned loop)
{
    const ScsiTable *table = table_of(bus);

    bus->loops[loop].stopping = false;
    for (unsigned i = 0; i < table->n; i++)
        scsi_lane_go_on(&table->places[i].unit->lanes[loop]);
}

void scsi_bus_start(ScsiBus *bus, unsigned loop, unsigned target, unsigned lun,
                    ScsiReq *req)
{
    ScsiUnit *unit = find(table_of(bus), target, lun);

    if (bus->loops[loop].stopping)
        start_again(bus, loop);
    /* A port has one unit, which has no list of others. */
    if (unit && (req->cdb[0] != REPORT_LUNS || bus->bus.kind == BUS_IDE))
        scsi_req_start(&unit->lanes[loop], req);
    else
        scsi_target_start(bus, target, lun, req);
}

void scsi_bus_start_well_known(ScsiBus *bus, ScsiReq *req)
{
    scsi_target_start_well_known(bus, req);
}

void scsi_bus_stop(ScsiBus *bus, unsigned loop)
{
    const ScsiTable *table = table_of(bus);

    bus->loops[loop].stopping = true;
    for (unsigned i = 0; i < table->n; i++)
        scsi_lane_stop(&table->places[i].unit->lanes[loop]);
}

/* Main. */

static bool choose_free(const ScsiTable *table, ScsiUnit *unit, GError **error)
{
    const ScsiUnitProps *props = unit->props;

    while (find(table, unit->target, unit->lun)) {
        if (!props->has_scsi_id && unit->target < SCSI_MAX_TARGET) {
            unit->target++;
        } else if (props->has_scsi_id && unit->lun < SCSI_MAX_LUN) {
            unit->lun++;
        } else {
            error_set(error, "parameter '%s': there is no free %s",
                      props->has_scsi_id ? "lun" : "scsi-id",
                      props->has_scsi_id ? "LUN" : "target");
            return false;
        }
    }
    return true;
}

/* What is not said is the first that is free: the target, or the LUN of a target. */
bool scsi_bus_choose_place(ScsiBus *bus, ScsiUnit *unit, GError **error)
{
    const ScsiUnitProps *props = unit->props;
    const ScsiUnit *other;

    unit->target = props->has_scsi_id ? (uint16_t)props->scsi_id : 0;
    unit->lun = props->has_lun ? (uint16_t)props->lun : 0;
    if (!props->has_scsi_id || !props->has_lun)
        return choose_free(table_of(bus), unit, error);
    other = find(table_of(bus), unit->target, unit->lun);
    if (other)
        error_set(error, "parameter 'lun': lun already used by '%s'",
                  device_name(&other->dev));
    return !other;
}

static void pass(void *opaque)
{
}

static void publish(ScsiBus *bus, ScsiTable *table)
{
    ScsiTable *before = bus->table;

    __atomic_store_n(&bus->table, table, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < bus->n_loops; i++)
        loop_call_sync(bus->loops[i].loop, pass, NULL);
    g_free(before);
}

static ScsiTable *table_new(unsigned n)
{
    ScsiTable *table = g_malloc0(sizeof(ScsiTable) + n * sizeof(Place));

    table->n = n;
    return table;
}

static void tell_change(ScsiBus *bus, const ScsiUnit *unit, ScsiChange change)
{
    if (!unit->dev.tree->started)
        return;
    scsi_bus_attention(bus, unit->target, SCSI_ATTENTION_LUNS_CHANGED, 0);
    bus->hba->changed(bus, unit->target, unit->lun, change);
}

static void bus_plug(Bus *b, Device *dev)
{
    ScsiBus *bus = CONTAINER_OF(b, ScsiBus, bus);
    ScsiUnit *unit = scsi_unit(dev);
    const ScsiTable *before = bus->table;
    uint32_t key = key_of(unit->target, unit->lun);
    unsigned at = lower_bound(before, key);
    ScsiTable *table = table_new(before->n + 1);

    memcpy(table->places, before->places, at * sizeof(Place));
    table->places[at] = (Place) { key, unit };
    memcpy(&table->places[at + 1], &before->places[at],
           (before->n - at) * sizeof(Place));
    publish(bus, table);
    tell_change(bus, unit, SCSI_CHANGE_ADDED);
    /* The others of the target are told; this one says that it is new. */
    __atomic_and_fetch(&unit->attentions, ~(uint32_t)SCSI_ATTENTION_LUNS_CHANGED,
                       __ATOMIC_SEQ_CST);
}

static void close_lane(void *opaque)
{
    scsi_lane_close(opaque);
}

static void bus_unplug(Bus *b, Device *dev)
{
    ScsiBus *bus = CONTAINER_OF(b, ScsiBus, bus);
    ScsiUnit *unit = scsi_unit(dev);
    const ScsiTable *before = bus->table;
    unsigned at = lower_bound(before, key_of(unit->target, unit->lun));
    ScsiTable *table = table_new(before->n - 1);

    memcpy(table->places, before->places, at * sizeof(Place));
    memcpy(&table->places[at], &before->places[at + 1],
           (table->n - at) * sizeof(Place));
    scsi_set_flag(&unit->leaving, true);
    publish(bus, table);
    for (unsigned i = 0; i < bus->n_loops; i++)
        loop_call_sync(bus->loops[i].loop, close_lane, &unit->lanes[i]);
    tell_change(bus, unit, SCSI_CHANGE_REMOVED);
}

static const BusOps bus_ops = { .plug = bus_plug, .unplug = bus_unplug };

static void init(ScsiBus *bus, const ScsiHba *hba, unsigned n_loops, unsigned depth)
{
    bus->bus.ops = &bus_ops;
    bus->hba = hba;
    bus->depth = depth;
    bus->n_loops = n_loops;
    bus->loops = g_new0(ScsiLoop, n_loops);
    bus->table = table_new(0);
}

bool scsi_bus_init(ScsiBus *bus, Device *owner, const ScsiHba *hba,
                   const GPtrArray *loops, unsigned depth, GError **error)
{
    assert_main();
    if (!bus_init_below(&bus->bus, BUS_SCSI, owner, error))
        return false;
    init(bus, hba, loops->len, depth);
    for (unsigned i = 0; i < loops->len; i++)
        bus->loops[i].loop = g_ptr_array_index(loops, i);
    return true;
}

bool scsi_bus_init_port(ScsiBus *bus, Device *owner, unsigned n, const ScsiHba *hba,
                        unsigned depth, GError **error)
{
    assert_main();
    if (!bus_init_below_as(&bus->bus, BUS_IDE, owner, n, error))
        return false;
    init(bus, hba, 1, depth);
    bus->bus.max_devices = 1;
    bus->clips = true;
    return true;
}

void scsi_bus_done(ScsiBus *bus)
{
    bus_done(&bus->bus);
    g_clear_pointer(&bus->loops, g_free);
    g_clear_pointer(&bus->table, g_free);
}
