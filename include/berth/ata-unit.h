/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATA disks and CD drives: units that a port of an ATA controller has.  A port is a
 * ScsiBus for one unit; the controller translates commands (hw/ata), and what a unit does
 * is the same as on a SCSI bus.
 */
#pragma once

#include "berth/scsi.h"

#define ATA_SECTOR_SIZE 512u
#define ATA_PORTS 6u                    /* of a controller */
#define ATA_PORT_DEPTH 32u              /* commands at a time */

/* What a unit is, now. */
typedef struct AtaUnitInfo {
    bool is_cd;
    bool write_cache;
    uint64_t n_sectors;
    uint32_t physical_block_size;       /* bytes */
    bool can_trim;
    uint16_t rotation_rate;
    uint64_t wwn;                       /* 0: none */
    /* Lent while the unit is there. */
    const char *serial;
    const char *model;
    const char *revision;
} AtaUnitInfo;

/* Main only. */

/*
 * The bus of port @n of @owner, a device that is being realized.  attach() of @hba sets
 * its loop, so that a port without a unit needs none.
 */
bool scsi_bus_init_port(ScsiBus *bus, Device *owner, unsigned n, const ScsiHba *hba,
                        unsigned depth, GError **error);

/* Of the port that @unit is on. */
unsigned ahci_port_number(const Device *unit);

/* Any thread. */

void ata_unit_query(const Device *dev, AtaUnitInfo *ret_info);
/* The most bytes of data that the SCSI command @cdb of a CD drive moves. */
uint32_t ata_unit_packet_size(const uint8_t *cdb);
/* Whether writes are durable after a flush only. */
void ata_unit_set_write_cache(Device *dev, bool on);

extern const DeviceClass ahci_class;
extern const DeviceClass ide_hd_class;
extern const DeviceClass ide_cd_class;
