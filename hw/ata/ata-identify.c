/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDENTIFY DEVICE (ACS-3, 7.16) and IDENTIFY PACKET DEVICE (ATA8-ACS, 7.18): 256 words,
 * the last of which has a checksum.
 */
#include <string.h>

#include "ata.h"

#define WORDS 256u
#define CHS_MAX 16383u
#define CHS_HEADS 16u
#define CHS_SECTORS 63u
#define LBA28_MAX ((1u << 28) - 1)
#define MULTIPLE_MAX 16u

#define VALID 0x4000u                   /* of words that say so */
#define GENERATIONS 0x000eu             /* SATA 1.5, 3 and 6 Gb/s */
#define QUEUED 0x0100u
#define VERSIONS 0x07f0u                /* ATA/ATAPI-4 to ACS-3 */
#define TRANSPORT 0x107fu               /* serial */
#define SIGNATURE 0xa5

#define SMART 0x0001u                   /* words 82 and 85 */
#define POWER 0x0008u
#define PACKET 0x0010u
#define CACHE 0x0020u
#define DEVICE_RESET 0x0200u
#define FLUSHES 0x3000u                 /* words 83 and 86: FLUSH CACHE, and EXT */
#define LBA48 0x0400u
#define GPL 0x0020u                     /* words 84 and 87 */
#define WRITE_FUA 0x0040u
#define WWN 0x0100u

typedef struct Words {
    uint16_t w[WORDS];
} Words;

/* Two characters a word, the first above, filled up with spaces. */
static void put_text(Words *words, unsigned at, unsigned n_words, const char *text)
{
    size_t length = strlen(text);

    for (unsigned i = 0; i < n_words; i++) {
        uint8_t first = 2 * i < length ? (uint8_t)text[2 * i] : ' ';
        uint8_t second = 2 * i + 1 < length ? (uint8_t)text[2 * i + 1] : ' ';

        words->w[at + i] = (uint16_t)(first << 8 | second);
    }
}

static void put(Words *words, unsigned at, unsigned n_words, uint64_t value)
{
    for (unsigned i = 0; i < n_words; i++)
        words->w[at + i] = (uint16_t)(value >> 16 * i);
}

static void put_identity(Words *words, const AtaUnitInfo *info)
{
    put_text(words, 10, 10, info->serial);
    put_text(words, 23, 4, info->revision);
    put_text(words, 27, 20, info->model);
    for (unsigned i = 0; i < 4 && info->wwn; i++)
        words->w[108 + i] = (uint16_t)(info->wwn >> 16 * (3 - i));
}

/* Modes that there are, and above them the one that was chosen. */
static void put_modes(Words *words, const AtaDevice *ata)
{
    uint16_t chosen = (uint16_t)(0x100 << (ata->dma_mode & 7));
    bool is_ultra = ata->dma_mode >> 3 == 8;

    words->w[53] = 0x0007;
    words->w[63] = 0x0007 | (is_ultra ? 0 : chosen);
    words->w[64] = 0x0003;
    for (unsigned i = 65; i <= 68; i++)
        words->w[i] = 120;              /* ns of a cycle */
    words->w[88] = 0x007f | (is_ultra ? chosen : 0);
}

static void put_geometry(Words *words, uint64_t n_sectors)
{
    uint64_t cylinders = MIN(n_sectors / (CHS_HEADS * CHS_SECTORS), CHS_MAX);

    words->w[1] = words->w[54] = (uint16_t)cylinders;
    words->w[3] = words->w[55] = CHS_HEADS;
    words->w[6] = words->w[56] = CHS_SECTORS;
    put(words, 57, 2, cylinders * CHS_HEADS * CHS_SECTORS);
    put(words, 60, 2, MIN(n_sectors, LBA28_MAX));
    put(words, 100, 4, n_sectors);
}

static void put_features(Words *words, const AtaDevice *ata, const AtaUnitInfo *info)
{
    words->w[80] = VERSIONS;
    words->w[82] = POWER | CACHE | SMART;
    words->w[83] = VALID | FLUSHES | LBA48;
    words->w[84] = VALID | GPL | WRITE_FUA | (info->wwn ? WWN : 0);
    words->w[85] = (uint16_t)(POWER | (info->write_cache ? CACHE : 0) |
                              (ata->smart ? SMART : 0));
    words->w[86] = FLUSHES | LBA48;
    words->w[87] = words->w[84];
}

static void put_blocks(Words *words, const AtaUnitInfo *info)
{
    unsigned shift = (unsigned)__builtin_ctz(info->physical_block_size / ATA_SECTOR_SIZE);

    words->w[106] = (uint16_t)(VALID | (shift ? 0x2000 | shift : 0));
    words->w[209] = VALID;              /* aligned */
    words->w[217] = info->rotation_rate;
    if (!info->can_trim)
        return;
    words->w[69] = VALID;               /* what was trimmed reads the same each time */
    words->w[105] = 1;                  /* sector of ranges */
    words->w[169] = 1;                  /* TRIM */
}

static void reply(AtaReq *req, Words *words)
{
    uint8_t sum = SIGNATURE;

    for (unsigned i = 0; i < WORDS - 1; i++) {
        sum = (uint8_t)(sum + words->w[i] + (words->w[i] >> 8));
        words->w[i] = GUINT16_TO_LE(words->w[i]);
    }
    words->w[WORDS - 1] = GUINT16_TO_LE((uint16_t)((uint8_t)-sum << 8 | SIGNATURE));
    ata_reply(req, words, sizeof(*words));
}

void ata_identify(AtaReq *req)
{
    const AtaDevice *ata = req->ata;
    Words words = { 0 };
    AtaUnitInfo info;

    ata_unit_query(ata->unit, &info);
    words.w[0] = 0x0040;                /* fixed */
    words.w[47] = 0x8000 | MULTIPLE_MAX;
    words.w[48] = VALID;
    words.w[49] = 0x2f00;               /* standby timer, IORDY, LBA, DMA */
    words.w[50] = VALID;
    words.w[51] = words.w[52] = 0x0200;
    words.w[59] = ata->multiple ? 0x0100 | ata->multiple : 0;
    words.w[75] = ATA_PORT_DEPTH - 1;
    words.w[76] = QUEUED | GENERATIONS;
    words.w[77] = 3 << 1;               /* at 6 Gb/s */
    words.w[222] = TRANSPORT;
    put_identity(&words, &info);
    put_geometry(&words, info.n_sectors);
    put_modes(&words, ata);
    put_features(&words, ata, &info);
    put_blocks(&words, &info);
    reply(req, &words);
}

void ata_identify_packet(AtaReq *req)
{
    const AtaDevice *ata = req->ata;
    Words words = { 0 };
    AtaUnitInfo info;

    ata_unit_query(ata->unit, &info);
    words.w[0] = 0x85c0;                /* ATAPI, CD, removable, 12 bytes at once */
    words.w[49] = 0x0f00;               /* IORDY, LBA, DMA */
    words.w[50] = VALID;
    words.w[76] = GENERATIONS;
    words.w[77] = 3 << 1;
    words.w[80] = VERSIONS;
    words.w[82] = PACKET | DEVICE_RESET | POWER;
    words.w[83] = VALID;
    words.w[84] = VALID | (info.wwn ? WWN : 0);
    words.w[85] = words.w[82];
    words.w[87] = words.w[84];
    words.w[222] = TRANSPORT;
    put_identity(&words, &info);
    put_modes(&words, ata);
    reply(req, &words);
}
