/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only CD and DVD drives answer (MMC-6, chapter 6).  A medium is one track of data:
 * a CD, or a DVD when it is too large for one.
 */
#include <string.h>

#include "scsi-req.h"

#define CD_MAX_BLOCKS (80u * 60 * 75)
#define FRAMES_BEFORE_TRACK 150u        /* two seconds */
#define LEAD_OUT 0xaa
#define DATA_TRACK 0x14                 /* ADR 1, recorded without interruption */

#define PROFILE_NONE 0x0000
#define PROFILE_CD_ROM 0x0008
#define PROFILE_DVD_ROM 0x0010

#define POLLED 0x01                     /* of GET EVENT STATUS NOTIFICATION */
#define CLASS_MEDIA 4
#define NO_EVENT 0x80
#define MEDIA_EJECT_REQUEST 1
#define MEDIA_NEW 2
#define MEDIA_REMOVAL 3
#define MEDIA_TRAY_OPEN 0x01
#define MEDIA_PRESENT 0x02

#define DVD_STRUCTURE_SIZE 2048u

static bool is_readable(const ScsiUnit *unit)
{
    return scsi_flag(&unit->has_medium) && !scsi_flag(&unit->tray_open);
}

static uint32_t n_blocks(const ScsiUnit *unit)
{
    return (uint32_t)MIN(__atomic_load_n(&unit->n_blocks, __ATOMIC_RELAXED), UINT32_MAX);
}

static uint16_t profile(const ScsiUnit *unit)
{
    if (!is_readable(unit))
        return PROFILE_NONE;
    return n_blocks(unit) > CD_MAX_BLOCKS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

static void put(uint8_t *to, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

/* Takes the event that is to be told next. */
static uint8_t take_event(ScsiUnit *unit)
{
    static const struct {
        uint32_t bit;
        uint8_t code;
    } events[] = {
        { SCSI_MEDIUM_EJECT_WANTED, MEDIA_EJECT_REQUEST },
        { SCSI_MEDIUM_REMOVED, MEDIA_REMOVAL },
        { SCSI_MEDIUM_NEW, MEDIA_NEW },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(events); i++) {
        if (__atomic_fetch_and(&unit->medium_events, ~events[i].bit, __ATOMIC_SEQ_CST) &
            events[i].bit)
            return events[i].code;
    }
    return 0;
}

/* 6.6: GET EVENT STATUS NOTIFICATION. */
void scsi_cd_event_status(ScsiReq *req)
{
    ScsiUnit *unit = scsi_req_unit(req);
    uint8_t data[8] = { 0, 0, NO_EVENT, 1 << CLASS_MEDIA };

    if (!(req->cdb[1] & POLLED)) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    if (!(req->cdb[4] & 1 << CLASS_MEDIA)) {
        scsi_req_reply(req, data, 4);
        return;
    }
    data[1] = 4;
    data[2] = CLASS_MEDIA;
    /* Without room for it the event stays. */
    if (req->length >= sizeof(data))
        data[4] = take_event(unit);
    if (scsi_flag(&unit->tray_open))
        data[5] = MEDIA_TRAY_OPEN;
    else if (scsi_flag(&unit->has_medium))
        data[5] = MEDIA_PRESENT;
    scsi_req_reply(req, data, sizeof(data));
}

/* An address as the command wants it: a block, or minute, second and frame. */
static void put_address(uint8_t *to, uint32_t block, bool msf)
{
    uint32_t frames = block + FRAMES_BEFORE_TRACK;

    if (!msf) {
        put(to, 4, block);
        return;
    }
    to[0] = 0;
    to[1] = (uint8_t)MIN(frames / 75 / 60, UINT8_MAX);
    to[2] = (uint8_t)(frames / 75 % 60);
    to[3] = (uint8_t)(frames % 75);
}

static void put_track(uint8_t *to, uint8_t track, uint32_t block, bool msf)
{
    to[1] = DATA_TRACK;
    to[2] = track;
    put_address(to + 4, block, msf);
}

static void reply_toc(ScsiReq *req, bool msf)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    uint8_t first = req->cdb[6];
    uint8_t data[20] = { 0, 0, 1, 1 };
    unsigned size = 4;

    if (first > 1 && first != LEAD_OUT) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    if (first <= 1) {
        put_track(data + size, 1, 0, msf);
        size += 8;
    }
    put_track(data + size, LEAD_OUT, n_blocks(unit), msf);
    size += 8;
    put(data, 2, size - 2);
    scsi_req_reply(req, data, size);
}

static void reply_sessions(ScsiReq *req, bool msf)
{
    uint8_t data[12] = { 0, 10, 1, 1 };

    put_track(data + 4, 1, 0, msf);
    scsi_req_reply(req, data, sizeof(data));
}

/* Points A0h, A1h (first and last track), A2h (lead-out) and track 1. */
static void reply_raw_toc(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    static const uint8_t points[] = { 0xa0, 0xa1, 0xa2, 0x01 };
    uint8_t data[4 + 11 * G_N_ELEMENTS(points)] = { 0, 0, 1, 1 };

    put(data, 2, sizeof(data) - 2);
    for (size_t i = 0; i < G_N_ELEMENTS(points); i++) {
        uint8_t *entry = data + 4 + 11 * i;
        uint8_t address[4];

        entry[0] = 1;
        entry[1] = DATA_TRACK;
        entry[3] = points[i];
        if (points[i] == 0xa0 || points[i] == 0xa1) {
            entry[8] = 1;
            continue;
        }
        put_address(address, points[i] == 0xa2 ? n_blocks(unit) : 0, true);
        memcpy(entry + 8, address + 1, 3);
    }
    scsi_req_reply(req, data, sizeof(data));
}

/* 6.26: READ TOC/PMA/ATIP.  Old drivers have the format in the last byte. */
void scsi_cd_read_toc(ScsiReq *req)
{
    bool msf = req->cdb[1] & 2;
    unsigned format = req->cdb[2] & 15 ? req->cdb[2] & 15 : req->cdb[9] >> 6;

    switch (format) {
    case 0:
        reply_toc(req, msf);
        break;
    case 1:
        reply_sessions(req, msf);
        break;
    case 2:
        reply_raw_toc(req);
        break;
    default:
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
    }
}

typedef struct Feature {
    uint16_t code;
    uint8_t version;
    bool persistent;
    bool of_cd;                         /* current with such a medium */
    bool of_dvd;
    uint8_t size;
    uint8_t data[8];
} Feature;

/* MMC-6, 5.3; the profiles of the first are filled in. */
static const Feature features[] = {
    { 0x0000, 0, true, false, false, 8,
      { PROFILE_DVD_ROM >> 8, PROFILE_DVD_ROM, 0, 0,
        PROFILE_CD_ROM >> 8, PROFILE_CD_ROM, 0, 0 } },
    { 0x0001, 2, true, false, false, 8, { 0, 0, 0, 1, 0x01 } }, /* core: SCSI; DBE */
    { 0x0003, 2, true, false, false, 4, { 0x39 } },     /* tray: loads, ejects, locks */
    { 0x0010, 0, false, true, true, 8, { 0, 0, 0x08, 0, 0, 1, 0 } },    /* random reads */
    { 0x001e, 2, false, true, false, 4, { 0 } },                        /* reads CDs */
    { 0x001f, 1, false, false, true, 4, { 0 } },                        /* reads DVDs */
};

/* 6.5: GET CONFIGURATION. */
void scsi_cd_configuration(ScsiReq *req)
{
    uint16_t now = profile(scsi_req_unit(req));
    unsigned which = req->cdb[1] & 3;
    unsigned first = (unsigned)req->cdb[2] << 8 | req->cdb[3];
    uint8_t data[8 + sizeof(features)] = { 0 };
    unsigned size = 8;

    if (which == 3) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        const Feature *feature = &features[i];
        bool is_current = feature->persistent ||
            (now == PROFILE_CD_ROM && feature->of_cd) ||
            (now == PROFILE_DVD_ROM && feature->of_dvd);
        uint8_t *to = data + size;

        if (which == 2 ? feature->code != first
                       : feature->code < first || (which == 1 && !is_current))
            continue;
        put(to, 2, feature->code);
        to[2] = (uint8_t)(feature->version << 2 | feature->persistent << 1 | is_current);
        to[3] = feature->size;
        memcpy(to + 4, feature->data, feature->size);
        if (feature->code == 0) {
            to[4 + 2] = now == PROFILE_DVD_ROM;
            to[4 + 6] = now == PROFILE_CD_ROM;
        }
        size += 4u + feature->size;
    }
    put(data, 4, size - 4);
    put(data + 6, 2, now);
    scsi_req_reply(req, data, size);
}

/* 6.21: READ DISC INFORMATION: complete, one session of one track. */
void scsi_cd_disc_information(ScsiReq *req)
{
    uint8_t data[34] = { 0, 32, 0x0e, 1, 1, 1, 1, 0x20 };

    if (req->cdb[1] & 7)
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
    else
        scsi_req_reply(req, data, sizeof(data));
}

/* 6.14: MECHANISM STATUS: no changer. */
void scsi_cd_mechanism_status(ScsiReq *req)
{
    uint8_t data[8] = { 0 };

    data[1] = scsi_flag(&scsi_req_unit(req)->tray_open) ? 0x10 : 0;
    scsi_req_reply(req, data, sizeof(data));
}

static void reply_dvd_formats(ScsiReq *req)
{
    static const uint8_t formats[] = {
        0x00, 0x40, 0x08, 0x04, 0x01, 0x40, 0x00, 0x08, 0x04, 0x40, 0x08, 0x04,
    };
    uint8_t data[4 + sizeof(formats)] = { 0, 2 + sizeof(formats) };

    memcpy(data + 4, formats, sizeof(formats));
    scsi_req_reply(req, data, sizeof(data));
}

/* One layer, read-only, of 12 cm. */
static void describe_dvd(const ScsiUnit *unit, uint8_t *data)
{
    const uint32_t start = 0x30000;

    data[4] = 0x01;
    data[5] = 0x0f;
    data[6] = 0x01;
    put(data + 9, 3, start);
    put(data + 13, 3, MIN(start + n_blocks(unit) - 1, 0xffffff));
}

/* 6.22: READ DVD STRUCTURE, as far as every disc has them. */
void scsi_cd_dvd_structure(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    uint8_t data[4 + DVD_STRUCTURE_SIZE] = { 0 };
    unsigned size = sizeof(data);

    if (req->cdb[1] & 15) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    if (req->cdb[7] == 0xff) {
        reply_dvd_formats(req);
        return;
    }
    if (profile(unit) != PROFILE_DVD_ROM) {
        scsi_req_fail(req, is_readable(unit) ? SCSI_SENSE_INCOMPATIBLE_FORMAT
                                             : SCSI_SENSE_NOT_READY_NO_MEDIUM);
        return;
    }
    switch (req->cdb[7]) {
    case 0x00:
        describe_dvd(unit, data);
        break;
    case 0x01:                          /* no copyright protection */
        size = 8;
        break;
    case 0x04:                          /* nothing of the manufacturer's */
        break;
    default:
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    put(data, 2, size - 2);
    scsi_req_reply(req, data, size);
}
