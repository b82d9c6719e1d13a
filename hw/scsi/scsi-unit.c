/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logical units as devices: scsi-hd, a disk, and scsi-cd, a CD or DVD drive.  Properties,
 * life, state; and the commands that every unit has and that do little.
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"
#include "berth/vmstate.h"

#include "scsi-req.h"

#define CD_BLOCK_SIZE 2048u
#define DEFAULT_DISCARD_GRANULARITY 4096u
#define SERIAL_MAX 36u
#define DEVICE_ID_MAX 200u

#define DESCRIPTOR_FORMAT 0x01          /* REQUEST SENSE, byte 1 */
#define SELF_TEST 0x04                  /* SEND DIAGNOSTIC, byte 1 */

/* The branches of the schema have these members first, in this order. */
G_STATIC_ASSERT(offsetof(ScsiHdProps, werror) == offsetof(ScsiUnitProps, werror));
G_STATIC_ASSERT(offsetof(ScsiCdProps, werror) == offsetof(ScsiUnitProps, werror));

static const ScsiSense attention_sense[] = {
    SCSI_SENSE_POWER_ON, SCSI_SENSE_UNIT_RESET, SCSI_SENSE_NEXUS_LOSS,
    SCSI_SENSE_MEDIUM_CHANGED, SCSI_SENSE_CAPACITY_CHANGED, SCSI_SENSE_LUNS_CHANGED,
};

G_STATIC_ASSERT(1 << G_N_ELEMENTS(attention_sense) == SCSI_ATTENTION__ALL + 1);

void scsi_unit_attention(ScsiUnit *unit, uint32_t attentions)
{
    __atomic_or_fetch(&unit->attentions, attentions & unit->told_attentions,
                      __ATOMIC_SEQ_CST);
}

ScsiSense scsi_unit_take_attention(ScsiUnit *unit)
{
    uint32_t all = __atomic_load_n(&unit->attentions, __ATOMIC_SEQ_CST);

    while (all) {
        unsigned first = (unsigned)__builtin_ctz(all);

        /* Another loop may have told of it meanwhile. */
        if (__atomic_fetch_and(&unit->attentions, ~(1u << first), __ATOMIC_SEQ_CST) >>
            first & 1)
            return attention_sense[first];
        all &= ~(1u << first);
    }
    return SCSI_SENSE_NONE;
}

void scsi_unit_test_ready(ScsiReq *req)
{
    scsi_req_good(req);
}

/* SPC-5, 6.39.  What other commands had to tell they told themselves. */
void scsi_unit_request_sense(ScsiReq *req)
{
    ScsiSense sense = scsi_unit_take_attention(scsi_req_unit(req));
    const uint8_t descriptor[8] = {
        0x72, (uint8_t)(sense >> 16), (uint8_t)(sense >> 8), (uint8_t)sense,
    };

    if (req->cdb[1] & DESCRIPTOR_FORMAT) {
        scsi_req_reply(req, descriptor, sizeof(descriptor));
        return;
    }
    scsi_req_set_sense(req, sense);
    scsi_req_reply(req, req->sense, SCSI_SENSE_SIZE);
}

/* RESERVE and RELEASE: there is one initiator, which has it all the time. */
void scsi_unit_reserve(ScsiReq *req)
{
    uint8_t others = scsi_command_size(req->cdb[0]) > 6 ? 0x13 : 0x11;

    if (req->cdb[1] & others)
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
    else
        scsi_req_good(req);
}

void scsi_unit_send_diagnostic(ScsiReq *req)
{
    if (req->cdb[1] & SELF_TEST && req->cdb[3] == 0 && req->cdb[4] == 0)
        scsi_req_good(req);
    else
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
}

unsigned scsi_unit_n_reqs(const ScsiUnit *unit)
{
    unsigned n = 0;

    for (unsigned i = 0; i < unit->n_lanes; i++)
        n += __atomic_load_n(&unit->lanes[i].n_reqs, __ATOMIC_ACQUIRE);
    return n;
}

bool scsi_unit_wants_write_cache(const ScsiUnit *unit)
{
    if (unit->props->write_cache == ON_OFF_AUTO_AUTO)
        return block_drive_is_write_back(unit->drive);
    return unit->props->write_cache == ON_OFF_AUTO_ON;
}

void scsi_unit_reset(ScsiUnit *unit, uint32_t attention)
{
    scsi_set_flag(&unit->write_cache, scsi_unit_wants_write_cache(unit));
    scsi_set_flag(&unit->locked, false);
    scsi_unit_attention(unit, attention);
}

bool scsi_unit_check_text(const char *name, const char *text, size_t max, GError **error)
{
    if (!text || strlen(text) <= max)
        return true;
    error_set(error, "parameter '%s' expects up to %zu characters", name, max);
    return false;
}

static bool check_texts(const ScsiUnitProps *props, GError **error)
{
    return scsi_unit_check_text("serial", props->serial, SERIAL_MAX, error) &&
        scsi_unit_check_text("device_id", props->device_id, DEVICE_ID_MAX, error) &&
        scsi_unit_check_text("vendor", props->vendor, 8, error) &&
        scsi_unit_check_text("product", props->product, 16, error) &&
        scsi_unit_check_text("ver", props->ver, 4, error);
}

static bool set_sizes(ScsiUnit *unit, GError **error)
{
    const ScsiHdProps *hd = unit->hd;

    unit->block_size = unit->physical_block_size = CD_BLOCK_SIZE;
    if (!hd)
        return true;
    unit->block_size = (uint32_t)hd->logical_block_size;
    unit->physical_block_size = hd->has_physical_block_size
        ? (uint32_t)hd->physical_block_size : unit->block_size;
    unit->discard_granularity = hd->has_discard_granularity
        ? (uint32_t)hd->discard_granularity
        : MAX(unit->block_size, DEFAULT_DISCARD_GRANULARITY);
    return block_drive_check_sizes(&(BlockDriveSizes) {
        unit->block_size, unit->physical_block_size, hd->min_io_size, hd->opt_io_size,
        unit->discard_granularity,
    }, error);
}

static bool attach_drive(ScsiUnit *unit, GError **error)
{
    const ScsiUnitProps *props = unit->props;
    const BlockDriveDevice device = {
        .qdev = device_name(&unit->dev),
        .path = unit->dev.path,
        .removable = unit->has_tray,
        .on_read_error = props->rerror,
        .on_write_error = props->werror,
        .ops = &scsi_medium_drive_ops,
        .opaque = unit,
    };

    if (unit->hd && !props->drive) {
        error_set(error, "parameter 'drive' is missing: a disk needs a medium");
        return false;
    }
    unit->drive = block_drive_attach(unit->dev.board->blocks, props->drive, &device,
                                     error);
    return unit->drive != NULL;
}

/* What the unit is known by in the guest. */
static void set_device_id(ScsiUnit *unit)
{
    const char *id = unit->props->device_id;

    if (!id)
        id = unit->props->serial;
    if (!id && *block_drive_name(unit->drive))
        id = block_drive_name(unit->drive);
    unit->device_id = g_strdup(id);
}

static void make_lanes(ScsiUnit *unit)
{
    const ScsiBus *bus = scsi_unit_bus(unit);

    unit->n_lanes = bus->n_loops;
    unit->lanes = g_new0(ScsiLane, unit->n_lanes);
    for (unsigned i = 0; i < unit->n_lanes; i++) {
        ScsiLane *lane = &unit->lanes[i];

        lane->unit = unit;
        lane->loop = i;
        list_init(&lane->active);
        list_init(&lane->waiting);
        list_init(&lane->held);
        list_init(&lane->cancels);
        loop_message_init(&lane->step, scsi_lane_step, lane);
    }
}

void scsi_unit_unrealize(Device *dev)
{
    ScsiUnit *unit = scsi_unit(dev);

    if (unit->drive) {
        scsi_medium_drop(unit);
        block_drive_detach(unit->drive, dev->state != DEVICE_STATE_NEW);
    }
    loop_message_cancel(dev->board->loop, &unit->to_main);
    g_free(unit->lanes);
    g_free(unit->device_id);
}

static bool take_medium(ScsiUnit *unit, GError **error)
{
    BlockNode *node = block_drive_node(unit->drive);

    if (!node || scsi_medium_insert(unit, node, error))
        return true;
    g_prefix_error(error, "parameter 'drive': ");
    return false;
}

bool scsi_unit_realize(ScsiUnit *unit, const ScsiUnitProps *props, const ScsiHdProps *hd,
                       GError **error)
{
    unit->hd = hd;
    unit->props = props;
    unit->has_tray = !hd || hd->removable;
    loop_message_init(&unit->to_main, scsi_medium_on_message, unit);
    make_lanes(unit);
    if (set_sizes(unit, error) &&
        scsi_bus_choose_place(scsi_unit_bus(unit), unit, error) &&
        attach_drive(unit, error) && take_medium(unit, error)) {
        set_device_id(unit);
        scsi_unit_reset(unit, SCSI_ATTENTION_POWER_ON);
        return true;
    }
    scsi_unit_unrealize(&unit->dev);
    return false;
}

static bool unit_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    ScsiUnit *unit = scsi_unit(dev);
    const ScsiUnitProps *props = (const ScsiUnitProps *)&args->u;

    unit->told_attentions = SCSI_ATTENTION__ALL;
    return check_texts(props, error) &&
        scsi_unit_realize(unit, props, args->driver == DEVICE_DRIVER_SCSI_HD
                          ? &args->u.scsi_hd : NULL, error);
}

void scsi_unit_place(const Device *dev, unsigned *ret_target, unsigned *ret_lun)
{
    const ScsiUnit *unit = CONTAINER_OF(dev, const ScsiUnit, dev);

    *ret_target = unit->target;
    *ret_lun = unit->lun;
}

void scsi_unit_power_on(Device *dev)
{
    ScsiUnit *unit = scsi_unit(dev);

    scsi_medium_reset(unit);
    __atomic_store_n(&unit->attentions, 0, __ATOMIC_SEQ_CST);
    scsi_unit_reset(unit, SCSI_ATTENTION_POWER_ON);
}

bool scsi_unit_is_draining(Device *dev)
{
    return scsi_unit_n_reqs(scsi_unit(dev)) > 0;
}

static bool unit_post_load(void *opaque, GError **error)
{
    ScsiUnit *unit = opaque;
    const char *field = NULL;

    if (unit->attentions & ~unit->told_attentions)
        field = "attentions";
    else if (unit->medium_events & ~(uint32_t)SCSI_MEDIUM__ALL ||
             (unit->medium_events && !unit->has_tray))
        field = "medium_events";
    else if (unit->tray_open && !unit->has_tray)
        field = "tray_open";
    else if (unit->locked && !unit->has_tray)
        field = "locked";
    if (field)
        error_set(error, "field '%s' has an impossible value", field);
    /* No move of the tray, so nothing to tell. */
    unit->shown_open = unit->tray_open;
    unit->tray_was_opened = false;
    return !field;
}

static const VMStateField unit_fields[] = {
    VMSTATE_U32(ScsiUnit, attentions),
    VMSTATE_U32(ScsiUnit, medium_events),
    VMSTATE_BOOL(ScsiUnit, write_cache),
    VMSTATE_BOOL(ScsiUnit, tray_open),
    VMSTATE_BOOL(ScsiUnit, locked),
    VMSTATE_END
};

const VMStateDesc scsi_unit_vmstate = {
    .name = "scsi-unit", .version = 1, .min_version = 1, .fields = unit_fields,
    .post_load = unit_post_load,
};

const DeviceClass scsi_hd_class = {
    .name = "scsi-hd",
    .description = "SCSI disk",
    .bus = BUS_SCSI,
    .instance_size = sizeof(ScsiUnit),
    .vmstate = &scsi_unit_vmstate,
    .realize = unit_realize,
    .unrealize = scsi_unit_unrealize,
    .reset = scsi_unit_power_on,
    .is_draining = scsi_unit_is_draining,
};

const DeviceClass scsi_cd_class = {
    .name = "scsi-cd",
    .description = "SCSI CD or DVD drive",
    .bus = BUS_SCSI,
    .instance_size = sizeof(ScsiUnit),
    .vmstate = &scsi_unit_vmstate,
    .realize = unit_realize,
    .unrealize = scsi_unit_unrealize,
    .reset = scsi_unit_power_on,
    .is_draining = scsi_unit_is_draining,
};
