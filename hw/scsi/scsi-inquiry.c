/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a unit is: INQUIRY and its vital product data (SPC-5, 6.6 and 7.7; SBC-4, 6.6).
 *
 * Vendor, product and revision are by default those that guests know from QEMU: names of
 * disks in a guest (/dev/disk/by-id) are made of them.
 */
#include <string.h>

#include "scsi-req.h"

#define STANDARD_SIZE 36u
#define PAGE_HEADER 4u
#define PAGE_SIZE_MAX (PAGE_HEADER + UINT8_MAX)

#define TYPE_DISK 0x00
#define TYPE_CD 0x05

/* Designators of page 83h: code set with protocol, association with type. */
#define ASCII 0x02
#define BINARY 0x01
#define BINARY_SAS 0x61
#define VENDOR_SPECIFIC 0x00
#define NAA 0x03
#define NAA_OF_PORT 0x93
#define PORT_INDEX 0x94

typedef struct Page {
    uint8_t data[PAGE_SIZE_MAX];
    unsigned size;
} Page;

static void put(Page *page, unsigned at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        page->data[at + i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

static void append(Page *page, const void *data, size_t size)
{
    size_t n = MIN(size, PAGE_SIZE_MAX - page->size);

    memcpy(page->data + page->size, data, n);
    page->size += (unsigned)n;
}

static uint8_t peripheral_type(const ScsiUnit *unit)
{
    return unit->hd ? TYPE_DISK : TYPE_CD;
}

static bool page_serial(const ScsiUnit *unit, Page *page)
{
    if (!unit->props->serial)
        return false;
    append(page, unit->props->serial, strlen(unit->props->serial));
    return true;
}

static void append_designator(Page *page, uint8_t set, uint8_t type, const void *data,
                              size_t size)
{
    const uint8_t header[4] = { set, type, 0, (uint8_t)size };

    append(page, header, sizeof(header));
    append(page, data, size);
}

static bool page_identification(const ScsiUnit *unit, Page *page)
{
    const ScsiUnitProps *props = unit->props;
    uint64_t wwn = GUINT64_TO_BE(props->wwn);
    uint64_t port_wwn = GUINT64_TO_BE(props->port_wwn);
    uint32_t port = GUINT32_TO_BE(props->port_index);

    if (unit->device_id)
        append_designator(page, ASCII, VENDOR_SPECIFIC, unit->device_id,
                          strlen(unit->device_id));
    if (props->wwn)
        append_designator(page, BINARY, NAA, &wwn, sizeof(wwn));
    if (props->port_wwn)
        append_designator(page, BINARY_SAS, NAA_OF_PORT, &port_wwn, sizeof(port_wwn));
    if (props->port_index)
        append_designator(page, BINARY_SAS, PORT_INDEX, &port, sizeof(port));
    return true;
}

static bool page_limits(const ScsiUnit *unit, Page *page)
{
    const ScsiHdProps *hd = unit->hd;
    uint32_t block = unit->block_size;

    if (!hd)
        return false;
    page->size = 64;
    page->data[4] = 1;                  /* WSNZ */
    put(page, 6, 2, MIN(hd->min_io_size / block, UINT16_MAX));
    put(page, 8, 4, hd->max_io_size / block);
    put(page, 12, 4, hd->opt_io_size / block);
    put(page, 20, 4, MIN(hd->max_unmap_size / block, UINT32_MAX));
    put(page, 24, 4, SCSI_MAX_UNMAP_DESCRIPTORS);
    put(page, 28, 4, unit->discard_granularity / block);
    put(page, 36, 8, SCSI_MAX_WRITE_SAME / block);
    return true;
}

static bool page_characteristics(const ScsiUnit *unit, Page *page)
{
    if (!unit->hd)
        return false;
    page->size = 64;
    put(page, 4, 2, unit->hd->rotation_rate);
    return true;
}

static bool page_provisioning(const ScsiUnit *unit, Page *page)
{
    if (!unit->hd)
        return false;
    page->size = 8;
    if (unit->discard_granularity > 0) {
        page->data[5] = 0xe0;           /* UNMAP, WRITE SAME(16) and (10) free blocks */
        page->data[6] = 2;              /* thin */
    }
    return true;
}

static bool page_supported(const ScsiUnit *unit, Page *page);

static const struct {
    uint8_t code;
    bool (*fill)(const ScsiUnit *unit, Page *page);     /* false: the unit has it not */
} pages[] = {
    { 0x00, page_supported },
    { 0x80, page_serial },
    { 0x83, page_identification },
    { 0xb0, page_limits },
    { 0xb1, page_characteristics },
    { 0xb2, page_provisioning },
};

static bool page_supported(const ScsiUnit *unit, Page *page)
{
    append(page, &pages[0].code, 1);
    for (size_t i = 1; i < G_N_ELEMENTS(pages); i++) {
        Page other = { .size = PAGE_HEADER };

        if (pages[i].fill(unit, &other))
            append(page, &pages[i].code, 1);
    }
    return true;
}

static void reply_page(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    Page page = { .size = PAGE_HEADER };

    for (size_t i = 0; i < G_N_ELEMENTS(pages); i++) {
        if (pages[i].code != req->cdb[2])
            continue;
        if (!pages[i].fill(unit, &page))
            break;
        page.data[0] = peripheral_type(unit);
        page.data[1] = pages[i].code;
        put(&page, 2, 2, page.size - PAGE_HEADER);
        scsi_req_reply(req, page.data, page.size);
        return;
    }
    scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
}

static void put_text(uint8_t *to, size_t size, const char *text)
{
    memset(to, ' ', size);
    memcpy(to, text, MIN(strlen(text), size));
}

void scsi_inquiry(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    const ScsiUnitProps *props = unit->props;
    const char *product = props->product ? props->product
                                         : unit->hd ? "QEMU HARDDISK" : "QEMU CD-ROM";
    uint8_t data[STANDARD_SIZE] = { 0 };

    if (req->cdb[1] & 1) {
        reply_page(req);
        return;
    }
    if (req->cdb[1] != 0 || req->cdb[2] != 0) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    data[0] = peripheral_type(unit);
    data[1] = unit->has_tray ? 0x80 : 0;        /* RMB */
    data[2] = 5;                                /* SPC-3: there is more to ask for */
    data[3] = 0x12;                             /* HiSup, format 2 */
    data[4] = STANDARD_SIZE - 5;
    data[7] = 0x02;                             /* CmdQue */
    put_text(data + 8, 8, props->vendor);
    put_text(data + 16, 16, product);
    put_text(data + 32, 4, props->ver);
    scsi_req_reply(req, data, sizeof(data));
}
