/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk tells of itself: general purpose logs (ACS-3, annex A), of which the one of
 * failed queued commands is there, and SMART, by which the disk is always well.
 */
#include <string.h>

#include "ata.h"

#define LOG_DIRECTORY 0x00
#define LOG_SUMMARY 0x01
#define LOG_SELF_TEST 0x06
#define LOG_QUEUED_ERROR 0x10
#define DIRECTORY_VERSION 0x0001

/* Subcommands of SMART, and what has to be in the LBA. */
#define SMART_READ_DATA 0xd0
#define SMART_READ_THRESHOLDS 0xd1
#define SMART_AUTOSAVE 0xd2
#define SMART_OFFLINE 0xd4
#define SMART_READ_LOG 0xd5
#define SMART_ENABLE 0xd8
#define SMART_DISABLE 0xd9
#define SMART_STATUS 0xda
#define SMART_KEY 0xc24f00u
#define SMART_KEY_MASK 0xffff00u
#define SMART_ENTRY 12u

#define NOT_QUEUED 0x80

/* The bytes of a sector add up to 0. */
static void add_checksum(uint8_t *sector)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < ATA_SECTOR_SIZE - 1; i++)
        sum += sector[i];
    sector[ATA_SECTOR_SIZE - 1] = (uint8_t)-sum;
}

void ata_log_note_failure(const AtaReq *req)
{
    AtaDevice *ata = req->ata;

    ata->queue_failed = true;
    ata->failed_tag = req->tag;
    ata->failed_status = req->result.status;
    ata->failed_error = req->result.error;
    ata->failed_lba = req->command.lba;
    ata->failed_count = req->command.count;
}

static void put_lba(uint8_t *to, uint64_t lba)
{
    for (unsigned i = 0; i < 6; i++)
        to[i] = (uint8_t)(lba >> 8 * i);
}

/* Reading it lets the disk take queued commands again. */
static void fill_queued_error(AtaDevice *ata, uint8_t *sector)
{
    if (ata->queue_failed) {
        uint8_t lba[6];

        put_lba(lba, ata->failed_lba);
        sector[0] = ata->failed_tag;
        sector[2] = ata->failed_status;
        sector[3] = ata->failed_error;
        memcpy(sector + 4, lba, 3);
        memcpy(sector + 8, lba + 3, 3);
        sector[12] = (uint8_t)ata->failed_count;
        sector[13] = (uint8_t)(ata->failed_count >> 8);
    } else {
        sector[0] = NOT_QUEUED;
    }
    ata->queue_failed = false;
    add_checksum(sector);
}

static void fill_directory(uint8_t *sector)
{
    sector[0] = DIRECTORY_VERSION;
    sector[2 * LOG_QUEUED_ERROR] = 1;
}

/* READ LOG EXT; each log has one page. */
void ata_log_read(AtaReq *req)
{
    unsigned page = (req->command.lba >> 8 & 0xff) | (req->command.lba >> 24 & 0xff00);
    uint8_t sector[ATA_SECTOR_SIZE] = { 0 };
    uint8_t log = req->command.lba & 0xff;

    if (page != 0 || req->command.count != 1 ||
        (log != LOG_DIRECTORY && log != LOG_QUEUED_ERROR)) {
        ata_abort(req);
        return;
    }
    if (log == LOG_QUEUED_ERROR)
        fill_queued_error(req->ata, sector);
    else
        fill_directory(sector);
    ata_reply(req, sector, sizeof(sector));
}

typedef struct Attribute {
    uint8_t id;
    uint8_t flags;
    uint8_t raw;
    uint8_t threshold;
} Attribute;

/* What is read of every disk: start, reallocations, hours, power cycles, temperature. */
static const Attribute attributes[] = {
    { 0x03, 0x03, 0x00, 0x00 }, { 0x05, 0x03, 0x00, 0x24 }, { 0x09, 0x03, 0x01, 0x00 },
    { 0x0c, 0x03, 0x00, 0x00 }, { 0xc2, 0x03, 0x1f, 0x32 },
};

static void fill_attributes(uint8_t *sector, bool thresholds)
{
    sector[0] = 1;
    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
        uint8_t *to = sector + 2 + SMART_ENTRY * i;
        const Attribute *attribute = &attributes[i];

        to[0] = attribute->id;
        if (thresholds) {
            to[1] = attribute->threshold;
            continue;
        }
        to[1] = attribute->flags;
        to[3] = to[4] = 100;            /* now, and at the worst */
        to[5] = attribute->raw;
    }
    if (!thresholds) {
        sector[362] = 0x02;             /* collection completed */
        sector[367] = 0x01;             /* EXECUTE OFF-LINE IMMEDIATE */
        sector[368] = 0x03;             /* saves attributes */
        sector[370] = 0x01;             /* has logs */
        sector[372] = 1;                /* minutes of a self-test */
    }
    add_checksum(sector);
}

static bool fill_smart_log(uint8_t log, uint8_t *sector)
{
    switch (log) {
    case LOG_DIRECTORY:
        sector[0] = DIRECTORY_VERSION;
        sector[2 * LOG_SUMMARY] = sector[2 * LOG_SELF_TEST] = 1;
        return true;
    case LOG_SUMMARY:                   /* no errors */
        sector[0] = 1;
        break;
    case LOG_SELF_TEST:                 /* none was made */
        sector[0] = 1;
        break;
    default:
        return false;
    }
    add_checksum(sector);
    return true;
}

/* Those with data. */
static bool fill_smart(const AtaReq *req, uint8_t *sector)
{
    switch (req->command.features & 0xff) {
    case SMART_READ_DATA:
        fill_attributes(sector, false);
        return true;
    case SMART_READ_THRESHOLDS:
        fill_attributes(sector, true);
        return true;
    case SMART_READ_LOG:
        return fill_smart_log((uint8_t)req->command.lba, sector);
    }
    return false;
}

bool ata_log_smart_has_data(const AtaCommand *command)
{
    uint8_t subcommand = command->features & 0xff;

    return subcommand == SMART_READ_DATA || subcommand == SMART_READ_THRESHOLDS ||
        subcommand == SMART_READ_LOG;
}

void ata_log_smart(AtaReq *req)
{
    uint8_t subcommand = req->command.features & 0xff;
    uint8_t sector[ATA_SECTOR_SIZE] = { 0 };

    if ((req->command.lba & SMART_KEY_MASK) != SMART_KEY ||
        (!req->ata->smart && subcommand != SMART_ENABLE)) {
        ata_abort(req);
        return;
    }
    switch (subcommand) {
    case SMART_ENABLE:
    case SMART_DISABLE:
        req->ata->smart = subcommand == SMART_ENABLE;
        ata_good(req);
        break;
    case SMART_STATUS:                  /* the key as it was: no threshold is exceeded */
    case SMART_AUTOSAVE:
    case SMART_OFFLINE:
        ata_good(req);
        break;
    default:
        if (fill_smart(req, sector))
            ata_reply(req, sector, sizeof(sector));
        else
            ata_abort(req);
    }
}
