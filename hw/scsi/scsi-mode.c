/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mode parameters (SPC-5, 6.11 to 6.14 and 7.5; SBC-4, 6.5; MMC-6, 7).
 *
 * The one that a guest may change is WCE of the caching page.  A MODE SELECT is checked
 * as a whole before anything is changed, against the pages as MODE SENSE gives them.
 * Without a cache it ends when all that was written before is on stable storage.
 */
#include <string.h>

#include "scsi-req.h"

#define PAGE_HEADER 2u
#define LIST_MAX 256u                   /* longer than all pages together */
#define BLOCK_DESCRIPTOR 8u

#define PAGE_ERROR_RECOVERY 0x01
#define PAGE_CACHING 0x08
#define PAGE_CONTROL 0x0a
#define PAGE_AUDIO 0x0e
#define PAGE_CAPABILITIES 0x2a
#define PAGE_ALL 0x3f
#define SUBPAGE_ALL 0xff

#define WCE 0x04
#define NO_BLOCK_DESCRIPTOR 0x08        /* DBD, of MODE SENSE */
#define SELECT_PF 0x10
#define SELECT_SP 0x01
#define WRITE_PROTECTED 0x80
#define DPOFUA 0x10

/* PC of MODE SENSE. */
enum { CURRENT, CHANGEABLE, DEFAULT, SAVED };

typedef struct ModePage {
    uint8_t code;
    uint8_t kinds;                      /* SCSI_FOR_DISK, SCSI_FOR_CD */
    uint8_t size;                       /* bytes behind the header */
    uint8_t data[20];                   /* by default, but WCE */
} ModePage;

static const ModePage mode_pages[] = {
    /* AWRE */
    { PAGE_ERROR_RECOVERY, SCSI_FOR_ALL, 10, { 0x80 } },
    { PAGE_CACHING, SCSI_FOR_DISK, 18, { 0 } },
    /* Unrestricted order of requests; time-outs have no limit */
    { PAGE_CONTROL, SCSI_FOR_DISK, 10, { 0x00, 0x10, 0, 0, 0, 0, 0xff, 0xff } },
    { PAGE_AUDIO, SCSI_FOR_CD, 14, { 0x04 } },
    /*
     * Reads CD-R and CD-RW, DVD-ROM; multi session, mode 2 forms; locks, ejects, has a
     * tray; no volume levels; 50 times 176 kB/s
     */
    { PAGE_CAPABILITIES, SCSI_FOR_CD, 20,
      { 0x0b, 0x00, 0x70, 0x00, 0x29, 0x00, 0x22, 0x60, 0, 0, 0x08, 0x00, 0x22, 0x60 } },
};

/* A list of parameters as it is made. */
typedef struct List {
    uint8_t data[LIST_MAX];
    unsigned size;
} List;

static bool is_of(const ModePage *page, const ScsiUnit *unit)
{
    return page->kinds & (unit->hd ? SCSI_FOR_DISK : SCSI_FOR_CD);
}

/* The bytes behind the page's header. */
static void fill_page(const ScsiUnit *unit, const ModePage *page, unsigned which,
                      uint8_t *to)
{
    bool write_cache = which == DEFAULT
        ? scsi_unit_wants_write_cache(unit) : scsi_flag(&unit->write_cache);

    memset(to, 0, page->size);
    if (which != CHANGEABLE)
        memcpy(to, page->data, page->size);
    if (page->code == PAGE_CACHING && (which == CHANGEABLE || write_cache))
        to[0] |= WCE;
    if (page->code == PAGE_CAPABILITIES && which != CHANGEABLE &&
        scsi_flag(&unit->locked))
        to[4] |= 0x02;
}

static void append_page(List *list, const ScsiUnit *unit, const ModePage *page,
                        unsigned which)
{
    list->data[list->size] = page->code;
    list->data[list->size + 1] = page->size;
    fill_page(unit, page, which, list->data + list->size + PAGE_HEADER);
    list->size += PAGE_HEADER + page->size;
}

/* Returns whether there is any page of @code. */
static bool append_pages(List *list, const ScsiUnit *unit, uint8_t code, unsigned which)
{
    bool found = false;

    for (size_t i = 0; i < G_N_ELEMENTS(mode_pages); i++) {
        const ModePage *page = &mode_pages[i];

        if (!is_of(page, unit) || (code != PAGE_ALL && code != page->code))
            continue;
        append_page(list, unit, page, which);
        found = true;
    }
    return found;
}

static void append_block_descriptor(List *list, const ScsiUnit *unit)
{
    uint64_t n = __atomic_load_n(&unit->n_blocks, __ATOMIC_RELAXED);
    uint32_t blocks = GUINT32_TO_BE((uint32_t)MIN(n, UINT32_MAX));
    uint32_t size = GUINT32_TO_BE(unit->block_size);

    memcpy(list->data + list->size, &blocks, sizeof(blocks));
    memcpy(list->data + list->size + 4, &size, sizeof(size));
    list->size += BLOCK_DESCRIPTOR;
}

static uint8_t device_specific(const ScsiUnit *unit)
{
    uint8_t value = 0;

    if (!unit->hd)
        return 0;
    if (scsi_flag(&unit->is_read_only))
        value |= WRITE_PROTECTED;
    if (unit->hd->dpofua)
        value |= DPOFUA;
    return value;
}

static bool is_long(const ScsiReq *req)
{
    return scsi_command_size(req->cdb[0]) > 6;
}

static unsigned header_size(const ScsiReq *req)
{
    return is_long(req) ? 8 : 4;
}

static void finish_header(const ScsiReq *req, const ScsiUnit *unit, List *list,
                          unsigned n_descriptor)
{
    uint8_t *data = list->data;

    if (is_long(req)) {
        data[0] = (uint8_t)((list->size - 2) >> 8);
        data[1] = (uint8_t)(list->size - 2);
        data[3] = device_specific(unit);
        data[7] = (uint8_t)n_descriptor;
    } else {
        data[0] = (uint8_t)(list->size - 1);
        data[2] = device_specific(unit);
        data[3] = (uint8_t)n_descriptor;
    }
}

/* A disk has one block descriptor; MMC has none for CDs. */
void scsi_mode_sense(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    uint8_t code = req->cdb[2] & 0x3f;
    uint8_t subpage = req->cdb[3];
    unsigned which = req->cdb[2] >> 6;
    List list = { .size = header_size(req) };
    unsigned n_descriptor = 0;

    if (which == SAVED) {
        scsi_req_fail(req, SCSI_SENSE_SAVING_NOT_SUPPORTED);
        return;
    }
    if (unit->hd && !(req->cdb[1] & NO_BLOCK_DESCRIPTOR)) {
        append_block_descriptor(&list, unit);
        n_descriptor = BLOCK_DESCRIPTOR;
    }
    if ((subpage != 0 && subpage != SUBPAGE_ALL) ||
        !append_pages(&list, unit, code, which)) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    finish_header(req, unit, &list, n_descriptor);
    scsi_req_reply(req, list.data, list.size);
}

static const ModePage *find_page(const ScsiUnit *unit, uint8_t code)
{
    for (size_t i = 0; i < G_N_ELEMENTS(mode_pages); i++) {
        if (mode_pages[i].code == code && is_of(&mode_pages[i], unit))
            return &mode_pages[i];
    }
    return NULL;
}

/* What differs from the current values may be changed. */
static bool may_select(const ScsiUnit *unit, const ModePage *page, const uint8_t *data)
{
    uint8_t current[sizeof(page->data)], changeable[sizeof(page->data)];

    fill_page(unit, page, CURRENT, current);
    fill_page(unit, page, CHANGEABLE, changeable);
    for (unsigned i = 0; i < page->size; i++) {
        if ((current[i] ^ data[i]) & ~changeable[i])
            return false;
    }
    return true;
}

/* What is wrong with the pages; else in *@write_cache what becomes of WCE. */
static ScsiSense check_pages(const ScsiUnit *unit, const uint8_t *data, size_t size,
                             bool *write_cache)
{
    while (size > 0) {
        const ModePage *page;

        if (size < PAGE_HEADER || (size_t)PAGE_HEADER + data[1] > size)
            return SCSI_SENSE_PARAMETER_LIST_LENGTH;
        /* PS is reserved here, SPF is for subpages, of which there are none. */
        page = find_page(unit, data[0] & 0x7f);
        if (!page || data[1] != page->size || !may_select(unit, page, data + PAGE_HEADER))
            return SCSI_SENSE_INVALID_PARAMETER;
        if (page->code == PAGE_CACHING)
            *write_cache = data[PAGE_HEADER] & WCE;
        data += PAGE_HEADER + page->size;
        size -= PAGE_HEADER + page->size;
    }
    return SCSI_SENSE_NONE;
}

/* The block descriptor must say what is; 0 is no number of blocks, so anything. */
static bool is_our_descriptor(const ScsiUnit *unit, const uint8_t *data)
{
    uint32_t size = (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];

    return size == unit->block_size;
}

static ScsiSense check_list(const ScsiReq *req, const uint8_t *data, bool *write_cache)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    unsigned header = header_size(req);
    unsigned n_descriptor;

    if (req->length < header)
        return SCSI_SENSE_PARAMETER_LIST_LENGTH;
    n_descriptor = is_long(req) ? (unsigned)data[6] << 8 | data[7] : data[3];
    if (n_descriptor > req->length - header)
        return SCSI_SENSE_PARAMETER_LIST_LENGTH;
    if (n_descriptor != 0 &&
        (n_descriptor != BLOCK_DESCRIPTOR || !is_our_descriptor(unit, data + header)))
        return SCSI_SENSE_INVALID_PARAMETER;
    return check_pages(unit, data + header + n_descriptor,
                       req->length - header - n_descriptor, write_cache);
}

static void on_flushed(ScsiReq *req)
{
    req->n_moved = req->length;
    scsi_req_good(req);
}

static void flush(ScsiReq *req)
{
    scsi_req_submit(req, &(BlockIo) { .op = BLOCK_OP_FLUSH }, on_flushed);
}

void scsi_mode_select(ScsiReq *req)
{
    ScsiUnit *unit = scsi_req_unit(req);
    bool write_cache = scsi_flag(&unit->write_cache);
    uint8_t data[LIST_MAX];
    ScsiSense sense;

    if ((req->cdb[1] & (SELECT_PF | SELECT_SP)) != SELECT_PF) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    if (req->length == 0) {
        scsi_req_good(req);
        return;
    }
    if (req->length > sizeof(data) || !scsi_req_read(req, 0, data, req->length)) {
        scsi_req_fail(req, SCSI_SENSE_PARAMETER_LIST_LENGTH);
        return;
    }
    sense = check_list(req, data, &write_cache);
    if (sense != SCSI_SENSE_NONE) {
        scsi_req_fail(req, sense);
        return;
    }
    scsi_set_flag(&unit->write_cache, write_cache);
    if (unit->hd && !write_cache && scsi_flag(&unit->has_medium))
        scsi_req_with_block(req, flush);
    else
        on_flushed(req);
}
