/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command set 0001 of Intel (Common Flash Memory Interface and Command Sets, JEP137;
 * JESD68.01 for the query table), one chip of 8 bits.
 *
 *     ff            read the array             70      read the status
 *     90            read identifier codes      98      read the query table
 *     50            clear the status
 *     10, 40        program: data              20      erase a block: d0
 *     e8            program a buffer: count - 1, data ..., d0
 *     60            unlock: d0 (blocks are never locked; 01 and 2f, lock, fail)
 *
 * All is done at once, so the status is never busy.
 *
 * Reads do not come here: they are of memory.  So what is to be read is put there, for
 * the block that the last command was written to, and its own bytes are hidden
 * meanwhile.  As of chips with a partition for each block, the others read as an array
 * all the time.  (To take the memory away instead costs each time all that the hypervisor
 * knows of the guest's memory.)
 *
 * Three habits are those of QEMU's chip, which is the one that firmware for virtual
 * machines knows:
 *
 *   - what is programmed is what is read, also where the bits had not been erased;
 *   - clearing the status clears "ready", too, until the next command: OVMF tells a flash
 *     from RAM and ROM by a status of 0;
 *   - a command that there is not, 00 and f0 (a probe for chips of AMD) read the array.
 */
#include <string.h>

#include "berth/error.h"

#include "pflash-chip.h"

#define CMD_READ_ARRAY 0xffu
#define CMD_READ_ARRAY_OLD 0x00u
#define CMD_PROGRAM 0x10u
#define CMD_PROGRAM_ALT 0x40u
#define CMD_ERASE 0x20u
#define CMD_CLEAR_STATUS 0x50u
#define CMD_LOCK 0x60u
#define CMD_READ_STATUS 0x70u
#define CMD_READ_ID 0x90u
#define CMD_QUERY 0x98u
#define CMD_BUFFER 0xe8u
#define CMD_RESET_AMD 0xf0u
#define CONFIRM 0xd0u

#define STATUS_READY 0x80u
#define STATUS_ERASE_ERROR 0x20u
#define STATUS_PROGRAM_ERROR 0x10u
#define STATUS_PROTECTED 0x02u
/* Both: the commands make no sense in that order. */
#define STATUS_SEQUENCE_ERROR (STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR)

#define ID_MANUFACTURER 0x89u           /* Intel */
#define ID_DEVICE 0x18u

/* Offsets in the query table. */
#define QUERY_SIZE_LOG2 0x27u
#define QUERY_BLOCKS 0x2du
#define QUERY_TABLE_SIZE 0x40u

static const uint8_t query_table[QUERY_TABLE_SIZE] = {
    [0x10] = 'Q', 'R', 'Y',
    [0x13] = 0x01, 0x00,                /* command set 0001, its table at 0x31 */
    [0x15] = 0x31, 0x00,
    [0x1b] = 0x45, 0x55,                /* 4.5 V to 5.5 V */
    [0x1f] = 0x07, 0x07, 0x0a,          /* log2: us a datum, us a buffer, ms a block */
    [0x23] = 0x04, 0x04, 0x04,          /* log2 of how much longer at most */
    [0x2a] = 0x08,                      /* log2 of PFLASH_BUFFER */
    [0x2c] = 0x01,                      /* all blocks are alike */
    [0x2f] = (uint8_t)(PFLASH_BLOCK >> 8), (uint8_t)(PFLASH_BLOCK >> 16),
    [0x31] = 'P', 'R', 'I', '1', '0',   /* nothing that is optional */
    [0x3d] = 0x50,                      /* 5 V */
};

static uint8_t log2_up(uint64_t size)
{
    return (uint8_t)(64 - __builtin_clzll(size - 1));
}

/* The table begins anew in each 256 bytes. */
static uint8_t query_byte(const PflashChip *chip, uint64_t offset)
{
    unsigned at = offset & 0xff;
    uint64_t last_block = chip->size / PFLASH_BLOCK - 1;

    if (at == QUERY_SIZE_LOG2)
        return log2_up(chip->size);
    if (at == QUERY_BLOCKS || at == QUERY_BLOCKS + 1)
        return (uint8_t)(last_block >> 8 * (at - QUERY_BLOCKS));
    return at < sizeof(query_table) ? query_table[at] : 0;
}

/* Of each block: who made the chip, which one it is, and whether the block is locked. */
static uint8_t id_byte(uint64_t offset)
{
    switch (offset & 0xff) {
    case 0:
        return ID_MANUFACTURER;
    case 1:
        return ID_DEVICE;
    default:
        return 0;
    }
}

/* The bytes of @block, whatever is read there. */
static uint8_t *bytes_of(PflashChip *chip, uint64_t block)
{
    return chip->is_hidden && chip->hidden_block == block ? chip->hidden
                                                          : chip->array + block;
}

static void restore(PflashChip *chip)
{
    if (chip->is_hidden)
        memcpy(chip->array + chip->hidden_block, chip->hidden, PFLASH_BLOCK);
    chip->is_hidden = false;
}

/* Has the block at chip->block read as the mode says. */
static void show(PflashChip *chip)
{
    uint8_t *shown = chip->array + chip->block;

    if (chip->mode == PFLASH_MODE_ARRAY || chip->hidden_block != chip->block)
        restore(chip);
    if (chip->mode == PFLASH_MODE_ARRAY)
        return;
    if (!chip->is_hidden)
        memcpy(chip->hidden, shown, PFLASH_BLOCK);
    chip->is_hidden = true;
    chip->hidden_block = chip->block;
    if (chip->mode == PFLASH_MODE_STATUS)
        memset(shown, chip->status, PFLASH_BLOCK);
    for (unsigned i = 0; chip->mode != PFLASH_MODE_STATUS && i < PFLASH_BLOCK; i++)
        shown[i] = chip->mode == PFLASH_MODE_ID ? id_byte(i) : query_byte(chip, i);
}

void pflash_chip_reset(PflashChip *chip)
{
    chip->mode = PFLASH_MODE_ARRAY;
    chip->step = PFLASH_STEP_COMMAND;
    chip->status = STATUS_READY;
    chip->left = 0;
    chip->window = 0;
    chip->begin = 0;
    chip->end = 0;
    chip->block = 0;
    memset(chip->buffer, 0, sizeof(chip->buffer));
    show(chip);
}

static void end_command(PflashChip *chip, PflashMode mode)
{
    chip->mode = mode;
    chip->step = PFLASH_STEP_COMMAND;
}

/* The rest of a sequence is not what it has to be. */
static const char *give_up(PflashChip *chip, uint64_t value, const char *what)
{
    if ((value & 0xff) == CMD_READ_ARRAY) {
        end_command(chip, PFLASH_MODE_ARRAY);
        return NULL;
    }
    chip->status |= STATUS_READY | STATUS_SEQUENCE_ERROR;
    end_command(chip, PFLASH_MODE_STATUS);
    return what;
}

/* Whether the array may change; else the status tells that @error. */
static bool may_change(PflashChip *chip, uint8_t error)
{
    chip->status |= STATUS_READY;
    if (chip->read_only)
        chip->status |= error | STATUS_PROTECTED;
    return !chip->read_only;
}

/* @size bytes of a block become those at @bytes, or are erased when that is NULL. */
static void change(PflashChip *chip, uint64_t offset, const void *bytes, unsigned size)
{
    uint64_t block = ALIGN_DOWN(offset, (uint64_t)PFLASH_BLOCK);
    uint32_t begin = (uint32_t)(offset - block);
    uint8_t *own = bytes_of(chip, block);

    if (bytes)
        memcpy(own + begin, bytes, size);
    else
        memset(own + begin, 0xff, size);
    chip->changed(chip->opaque, block, begin, begin + size, own);
}

static void program(PflashChip *chip, uint64_t offset, uint64_t value, unsigned size)
{
    uint64_t little = GUINT64_TO_LE(value);

    end_command(chip, PFLASH_MODE_STATUS);
    if (may_change(chip, STATUS_PROGRAM_ERROR))
        change(chip, offset, &little, size);
}

static void erase(PflashChip *chip, uint64_t offset)
{
    end_command(chip, PFLASH_MODE_STATUS);
    if (may_change(chip, STATUS_ERASE_ERROR))
        change(chip, ALIGN_DOWN(offset, (uint64_t)PFLASH_BLOCK), NULL, PFLASH_BLOCK);
}

static const char *fill(PflashChip *chip, uint64_t offset, uint64_t value, unsigned size)
{
    uint64_t little = GUINT64_TO_LE(value);
    uint64_t window = ALIGN_DOWN(offset, (uint64_t)PFLASH_BUFFER);
    uint64_t block = ALIGN_DOWN(offset, (uint64_t)PFLASH_BLOCK);
    uint16_t at = (uint16_t)(offset - window);

    if (chip->begin == chip->end) {
        chip->window = (uint32_t)window;
        chip->begin = at;
        memcpy(chip->buffer, bytes_of(chip, block) + (window - block), PFLASH_BUFFER);
    } else if (window != chip->window) {
        return give_up(chip, 0, "buffered data are too far from each other");
    }
    memcpy(chip->buffer + at, &little, size);
    chip->begin = MIN(chip->begin, at);
    chip->end = (uint16_t)MAX(chip->end, at + size);
    if (--chip->left == 0)
        chip->step = PFLASH_STEP_CONFIRM;
    return NULL;
}

static void program_buffer(PflashChip *chip)
{
    end_command(chip, PFLASH_MODE_STATUS);
    if (may_change(chip, STATUS_PROGRAM_ERROR))
        change(chip, chip->window + chip->begin, chip->buffer + chip->begin,
               chip->end - chip->begin);
}

static const char *begin_command(PflashChip *chip, uint8_t command)
{
    PflashMode mode = PFLASH_MODE_STATUS;
    PflashStep step = PFLASH_STEP_COMMAND;
    const char *wrong = NULL;

    switch (command) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
        step = PFLASH_STEP_PROGRAM;
        break;
    case CMD_ERASE:
        step = PFLASH_STEP_ERASE;
        break;
    case CMD_LOCK:
        step = PFLASH_STEP_LOCK;
        break;
    case CMD_BUFFER:
        step = PFLASH_STEP_COUNT;
        chip->status |= STATUS_READY;
        break;
    case CMD_READ_STATUS:
        break;
    case CMD_READ_ID:
        mode = PFLASH_MODE_ID;
        break;
    case CMD_QUERY:
        mode = PFLASH_MODE_QUERY;
        break;
    case CMD_CLEAR_STATUS:
        chip->status = 0;
        mode = PFLASH_MODE_ARRAY;
        break;
    case CMD_READ_ARRAY:
    case CMD_READ_ARRAY_OLD:
    case CMD_RESET_AMD:
        mode = PFLASH_MODE_ARRAY;
        break;
    default:
        mode = PFLASH_MODE_ARRAY;
        chip->status |= STATUS_READY | STATUS_SEQUENCE_ERROR;
        wrong = "there is no such command";
        break;
    }
    chip->mode = (uint8_t)mode;
    chip->step = (uint8_t)step;
    return wrong;
}

static void begin_fill(PflashChip *chip, uint8_t count)
{
    chip->left = (uint16_t)(count + 1);
    chip->begin = 0;
    chip->end = 0;
    chip->step = PFLASH_STEP_FILL;
}

static const char *unlock(PflashChip *chip, uint64_t value)
{
    if ((value & 0xff) != CONFIRM)
        return give_up(chip, value, "blocks cannot be locked");
    chip->status |= STATUS_READY;
    end_command(chip, PFLASH_MODE_STATUS);
    return NULL;
}

static const char *take_write(PflashChip *chip, uint64_t offset, uint64_t value,
                              unsigned size)
{
    uint8_t byte = (uint8_t)value;

    switch ((PflashStep)chip->step) {
    case PFLASH_STEP_COMMAND:
        return begin_command(chip, byte);
    case PFLASH_STEP_PROGRAM:
        program(chip, offset, value, size);
        return NULL;
    case PFLASH_STEP_ERASE:
        if (byte != CONFIRM)
            return give_up(chip, value, "an erasure that is not confirmed");
        erase(chip, offset);
        return NULL;
    case PFLASH_STEP_LOCK:
        return unlock(chip, value);
    case PFLASH_STEP_COUNT:
        begin_fill(chip, byte);
        return NULL;
    case PFLASH_STEP_FILL:
        return fill(chip, offset, value, size);
    case PFLASH_STEP_CONFIRM:
        if (byte != CONFIRM)
            return give_up(chip, value, "a buffer that is not confirmed");
        program_buffer(chip);
        return NULL;
    case PFLASH_STEP__MAX:
        break;
    }
    g_assert_not_reached();
}

const char *pflash_chip_write(PflashChip *chip, uint64_t offset, uint64_t value,
                              unsigned size)
{
    const char *wrong = take_write(chip, offset, value, size);

    chip->block = (uint32_t)ALIGN_DOWN(offset, (uint64_t)PFLASH_BLOCK);
    show(chip);
    return wrong;
}

void pflash_chip_fail(PflashChip *chip)
{
    chip->status |= STATUS_PROGRAM_ERROR;
}

static bool chip_post_load(void *opaque, GError **error)
{
    PflashChip *chip = opaque;
    bool fills = chip->step == PFLASH_STEP_FILL;

    if (chip->mode < PFLASH_MODE__MAX && chip->step < PFLASH_STEP__MAX &&
        chip->left <= PFLASH_BUFFER && (chip->left > 0 || !fills) &&
        chip->begin <= chip->end && chip->end <= PFLASH_BUFFER &&
        (chip->begin < chip->end || chip->step != PFLASH_STEP_CONFIRM) &&
        chip->window % PFLASH_BUFFER == 0 && chip->window < chip->size &&
        chip->block % PFLASH_BLOCK == 0 && chip->block < chip->size) {
        show(chip);
        return true;
    }
    error_set(error, "flash: a state that no commands lead to");
    return false;
}

static const VMStateField chip_fields[] = {
    VMSTATE_U8(PflashChip, mode),
    VMSTATE_U8(PflashChip, step),
    VMSTATE_U8(PflashChip, status),
    VMSTATE_U16(PflashChip, left),
    VMSTATE_U32(PflashChip, window),
    VMSTATE_U16(PflashChip, begin),
    VMSTATE_U16(PflashChip, end),
    VMSTATE_BYTES(PflashChip, buffer, PFLASH_BUFFER),
    VMSTATE_U32(PflashChip, block),
    VMSTATE_END
};

const VMStateDesc pflash_chip_vmstate = {
    .name = "pflash-chip",
    .version = 1,
    .min_version = 1,
    .fields = chip_fields,
    .post_load = chip_post_load,
};
