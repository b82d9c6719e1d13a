/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ATA device: its state, what a reset makes of it, and the commands that change it.
 *
 * The state belongs to the loop while commands are under way; at other times to whoever
 * has the controller's lock.
 */
#include <string.h>

#include "berth/error.h"

#include "ata.h"

#define MULTIPLE_MAX 16u
#define DEFAULT_DMA_MODE 0x45           /* Ultra DMA 5 */

#define SIGNATURE_DISK 0x000001u
#define SIGNATURE_CD 0xeb1401u
#define DIAGNOSTICS_PASSED 0x01

/* Subcommands of SET FEATURES (ACS-3, 7.45). */
#define WRITE_CACHE_ON 0x02
#define WRITE_CACHE_OFF 0x82
#define TRANSFER_MODE 0x03

#define POWER_ACTIVE 0xff
#define POWER_STANDBY 0x00

bool ata_device_attach(AtaDevice *ata, ScsiBus *bus, Device *unit, GError **error)
{
    ata->trim = g_try_malloc0(ATA_TRIM_SIZE);
    if (!ata->trim) {
        error_set(error, "no memory for a device of an ATA port");
        return false;
    }
    ata->bus = bus;
    ata->unit = unit;
    ata->is_cd = unit->class == &ide_cd_class;
    return true;
}

void ata_device_detach(AtaDevice *ata)
{
    ata->unit = NULL;
    g_clear_pointer(&ata->trim, g_free);
}

void ata_device_reset(AtaDevice *ata, bool power_on)
{
    ata->standby = false;
    ata->sense_size = 0;
    ata->queue_failed = false;
    ata->multiple = 0;
    if (!power_on)
        return;
    ata->dma_mode = DEFAULT_DMA_MODE;
    ata->smart = true;
}

AtaResult ata_device_signature(const AtaDevice *ata)
{
    return (AtaResult) {
        .status = ata->is_cd ? 0 : ATA_STATUS_READY,
        .error = DIAGNOSTICS_PASSED,
        .count = 1,
        .lba = ata->is_cd ? SIGNATURE_CD : SIGNATURE_DISK,
    };
}

/* EXECUTE DEVICE DIAGNOSTIC. */
void ata_device_diagnose(AtaReq *req)
{
    req->result = ata_device_signature(req->ata);
    ata_end(req);
}

/* DEVICE RESET of a CD drive. */
void ata_device_reset_command(AtaReq *req)
{
    ata_device_reset(req->ata, false);
    ata_device_diagnose(req);
}

/* SET MULTIPLE MODE: a power of two, or 0 for none. */
void ata_device_multiple(AtaReq *req)
{
    unsigned n = req->command.count & 0xff;

    if (n > MULTIPLE_MAX || (n & (n - 1))) {
        ata_abort(req);
        return;
    }
    req->ata->multiple = (uint8_t)n;
    ata_good(req);
}

static void enter_standby(AtaReq *req)
{
    req->ata->standby = true;
    ata_good(req);
}

/* A disk that is put to rest has all that was written. */
void ata_device_power(AtaReq *req)
{
    bool rests = req->command.command == 0xe0 || req->command.command == 0xe2 ||
                 req->command.command == 0xe6;

    if (!rests) {
        req->ata->standby = false;
        ata_good(req);
    } else if (req->ata->is_cd) {
        enter_standby(req);
    } else {
        ata_block_flush_then(req, enter_standby);
    }
}

void ata_device_check_power(AtaReq *req)
{
    req->result.count = req->ata->standby ? POWER_STANDBY : POWER_ACTIVE;
    ata_good(req);
}

/* Type in the upper five bits, mode in the lower three (ACS-3, table 111). */
static void set_transfer_mode(AtaReq *req)
{
    uint8_t mode = (uint8_t)req->command.count;

    switch (mode >> 3) {
    case 0:                             /* PIO */
    case 1:
        break;
    case 4:                             /* multiword DMA */
        if ((mode & 7) > 2) {
            ata_abort(req);
            return;
        }
        req->ata->dma_mode = mode;
        break;
    case 8:                             /* Ultra DMA */
        if ((mode & 7) > 6) {
            ata_abort(req);
            return;
        }
        req->ata->dma_mode = mode;
        break;
    default:
        ata_abort(req);
        return;
    }
    ata_good(req);
}

static void end_write_cache(AtaReq *req)
{
    ata_unit_set_write_cache(req->ata->unit, false);
    ata_good(req);
}

void ata_device_features(AtaReq *req)
{
    switch (req->command.features & 0xff) {
    case TRANSFER_MODE:
        set_transfer_mode(req);
        break;
    case WRITE_CACHE_ON:
        if (req->ata->is_cd) {
            ata_abort(req);
            break;
        }
        ata_unit_set_write_cache(req->ata->unit, true);
        ata_good(req);
        break;
    case WRITE_CACHE_OFF:
        if (req->ata->is_cd)
            ata_abort(req);
        else
            ata_block_flush_then(req, end_write_cache);
        break;
    case 0x55:                          /* look-ahead, what a reset reverts: no matter */
    case 0xaa:
    case 0x66:
    case 0xcc:
        ata_good(req);
        break;
    default:
        ata_abort(req);
    }
}

bool ata_device_check_loaded(const AtaDevice *ata, GError **error)
{
    const char *field = NULL;

    if (ata->multiple > MULTIPLE_MAX || (ata->multiple & (ata->multiple - 1)))
        field = "multiple";
    else if (ata->dma_mode >> 3 != 4 && ata->dma_mode >> 3 != 8)
        field = "dma_mode";
    else if (ata->sense_size != 0 && ata->sense_size != ATA_SENSE_SIZE)
        field = "sense_size";
    if (field)
        error_set(error, "field '%s' has an impossible value", field);
    return !field;
}

static const VMStateField ata_fields[] = {
    VMSTATE_U8(AtaDevice, multiple),
    VMSTATE_U8(AtaDevice, dma_mode),
    VMSTATE_BOOL(AtaDevice, smart),
    VMSTATE_BOOL(AtaDevice, standby),
    VMSTATE_U8(AtaDevice, sense_size),
    VMSTATE_BYTES(AtaDevice, sense, ATA_SENSE_SIZE),
    VMSTATE_BOOL(AtaDevice, queue_failed),
    VMSTATE_U8(AtaDevice, failed_tag),
    VMSTATE_U8(AtaDevice, failed_status),
    VMSTATE_U8(AtaDevice, failed_error),
    VMSTATE_U64(AtaDevice, failed_lba),
    VMSTATE_U16(AtaDevice, failed_count),
    VMSTATE_END
};

const VMStateDesc ata_device_vmstate = {
    .name = "ata", .version = 1, .min_version = 1, .fields = ata_fields,
};
