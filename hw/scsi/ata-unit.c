/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units on a port of an ATA controller: ide-hd, a disk, and ide-cd, a CD or DVD drive.
 *
 * They are units as those of a SCSI bus are, with the properties that ATA has.  An ATA
 * disk has no unit attentions; a CD drive tells of another medium by one.
 */
#include <stdio.h>
#include <string.h>

#include "berth/ata-unit.h"
#include "berth/error.h"

#include "scsi-req.h"

#define CD_BLOCK_SIZE 2048u
#define SERIAL_MAX 20u
#define MODEL_MAX 40u
#define REVISION_MAX 8u
#define MAX_UNMAP (1024 * GIB)

typedef struct AtaUnit {
    ScsiUnit unit;
    ScsiHdProps props;          /* its texts are lent: of dev->args, and @serial */
    char serial[SERIAL_MAX + 1];
} AtaUnit;

/* The branches of the schema have these members first, in this order. */
G_STATIC_ASSERT(offsetof(IdeHdProps, werror) == offsetof(IdeUnitProps, werror));
G_STATIC_ASSERT(offsetof(IdeCdProps, werror) == offsetof(IdeUnitProps, werror));

static AtaUnit *ata_unit(Device *dev)
{
    return CONTAINER_OF(dev, AtaUnit, unit.dev);
}

/* Names of disks in a guest are made of it, so it is QEMU's: two numbers a port. */
static void make_serial(AtaUnit *ata)
{
    const Device *dev = &ata->unit.dev;
    unsigned n = 1;

    LIST_FOREACH(node, &dev->tree->buses) {
        const Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        if (bus == dev->bus)
            break;
        if (bus->kind == BUS_IDE)
            n += 2;
    }
    snprintf(ata->serial, sizeof(ata->serial), "QM%05u", n);
}

static void set_props(AtaUnit *ata, const IdeUnitProps *props, const char *model)
{
    make_serial(ata);
    ata->props = (ScsiHdProps) {
        .drive = props->drive,
        .serial = props->serial ? props->serial : ata->serial,
        .vendor = (char *)"QEMU",
        .product = props->model ? props->model : (char *)model,
        .ver = props->ver,
        .wwn = props->wwn,
        .write_cache = props->write_cache,
        .share_rw = props->share_rw,
        .rerror = props->rerror,
        .werror = props->werror,
        .logical_block_size = ATA_SECTOR_SIZE,
        .max_unmap_size = MAX_UNMAP,
    };
}

static void set_hd_props(AtaUnit *ata, const IdeHdProps *props)
{
    ata->props.rotation_rate = props->rotation_rate;
    ata->props.logical_block_size = props->logical_block_size;
    ata->props.has_physical_block_size = props->has_physical_block_size;
    ata->props.physical_block_size = props->physical_block_size;
    ata->props.has_discard_granularity = props->has_discard_granularity;
    ata->props.discard_granularity = props->discard_granularity;
}

static void unit_unrealize(Device *dev)
{
    ScsiBus *bus = scsi_unit_bus(scsi_unit(dev));

    scsi_unit_unrealize(dev);
    bus->hba->detach(bus);
}

static bool realize(AtaUnit *ata, const ScsiHdProps *hd, GError **error)
{
    const ScsiHdProps *props = &ata->props;
    ScsiBus *bus = scsi_unit_bus(&ata->unit);

    if (!scsi_unit_check_text("serial", props->serial, SERIAL_MAX, error) ||
        !scsi_unit_check_text("model", props->product, MODEL_MAX, error) ||
        !scsi_unit_check_text("ver", props->ver, REVISION_MAX, error) ||
        !bus->hba->attach(bus, &ata->unit.dev, error))
        return false;
    if (scsi_unit_realize(&ata->unit, (const ScsiUnitProps *)props, hd, error))
        return true;
    bus->hba->detach(bus);
    return false;
}

static bool hd_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    AtaUnit *ata = ata_unit(dev);

    set_props(ata, (const IdeUnitProps *)&args->u.ide_hd, "QEMU HARDDISK");
    set_hd_props(ata, &args->u.ide_hd);
    if (!realize(ata, &ata->props, error))
        return false;
    if (!scsi_flag(&ata->unit.is_read_only))
        return true;
    error_set(error, "parameter 'drive': an ATA disk cannot be read-only");
    unit_unrealize(dev);
    return false;
}

static bool cd_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    AtaUnit *ata = ata_unit(dev);

    set_props(ata, (const IdeUnitProps *)&args->u.ide_cd, "QEMU DVD-ROM");
    ata->unit.told_attentions = SCSI_ATTENTION_MEDIUM_CHANGED;
    return realize(ata, NULL, error);
}

void ata_unit_query(const Device *dev, AtaUnitInfo *ret_info)
{
    const ScsiUnit *unit = CONTAINER_OF(dev, const ScsiUnit, dev);
    const ScsiUnitProps *props = unit->props;

    *ret_info = (AtaUnitInfo) {
        .is_cd = !unit->hd,
        .write_cache = scsi_flag(&unit->write_cache),
        .n_sectors = __atomic_load_n(&unit->n_blocks, __ATOMIC_RELAXED),
        .physical_block_size = unit->physical_block_size,
        .can_trim = unit->discard_granularity > 0,
        .rotation_rate = unit->hd ? unit->hd->rotation_rate : 0,
        .wwn = props->wwn,
        .serial = props->serial,
        .model = props->product,
        .revision = props->ver,
    };
}

uint32_t ata_unit_packet_size(const uint8_t *cdb)
{
    const ScsiCommand *command = scsi_command_find(cdb[0]);
    ScsiReq req = { 0 };

    if (!command || command->direction == SCSI_NO_DATA)
        return 0;
    memcpy(req.cdb, cdb, sizeof(req.cdb));
    if (command->length_size > 0 || command->fixed_length > 0)
        return scsi_command_length(command, &req);
    return (uint32_t)MIN((uint64_t)scsi_command_blocks(&req) * CD_BLOCK_SIZE, UINT32_MAX);
}

void ata_unit_set_write_cache(Device *dev, bool on)
{
    scsi_set_flag(&scsi_unit(dev)->write_cache, on);
}

const DeviceClass ide_hd_class = {
    .name = "ide-hd",
    .description = "ATA disk",
    .bus = BUS_IDE,
    .instance_size = sizeof(AtaUnit),
    .vmstate = &scsi_unit_vmstate,
    .realize = hd_realize,
    .unrealize = unit_unrealize,
    .reset = scsi_unit_power_on,
    .is_draining = scsi_unit_is_draining,
};

const DeviceClass ide_cd_class = {
    .name = "ide-cd",
    .description = "ATAPI CD or DVD drive",
    .bus = BUS_IDE,
    .instance_size = sizeof(AtaUnit),
    .vmstate = &scsi_unit_vmstate,
    .realize = cd_realize,
    .unrealize = unit_unrealize,
    .reset = scsi_unit_power_on,
    .is_draining = scsi_unit_is_draining,
};
