/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AML is a prefix code, so it can be written front to back without a tree.  The one thing
 * that is known late is the length of a block, whose own size depends on it: a block is
 * written without its length, and aml_end() makes room for that.
 *
 * Encodings are the shortest ones, which are those of the iasl compiler too: the tests
 * compare.  ACPI 6.3: 20.2 (grammar), 19.3.4 (EISA ids), 6.4 (resource descriptors).
 */
#include <string.h>

#include "berth/aml.h"

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXT = 0x5b,
    OP_EXT_REGION = 0x80,
    OP_EXT_FIELD = 0x81,
    OP_EXT_DEVICE = 0x82,
    OP_LOCAL0 = 0x60,
    OP_ARG0 = 0x68,
    OP_IF = 0xa0,
    OP_ELSE = 0xa1,
    OP_WHILE = 0xa2,
};

enum {
    RES_IRQ_NO_FLAGS = 0x22,
    RES_IO = 0x47,
    RES_END = 0x79,
    RES_MEMORY32_FIXED = 0x86,
    RES_RANGE32 = 0x87,
    RES_RANGE16 = 0x88,
    RES_INTERRUPT = 0x89,
    RES_RANGE64 = 0x8a,
};

#define RANGE_FIXED 0x0c                /* minimum and maximum */
#define RANGE_MEMORY_FLAGS 0x03         /* cacheable, read and write */
#define RANGE_IO_FLAGS 0x03             /* entire range */
#define INTERRUPT_LEVEL_SHARED 0x09     /* consumer, level, active high, shared */

static void put(Aml *aml, uint64_t value, unsigned size)
{
    uint64_t little = GUINT64_TO_LE(value);

    g_byte_array_append(aml->out, (const uint8_t *)&little, size);
}

static void insert(Aml *aml, guint at, const uint8_t *bytes, guint size)
{
    guint tail = aml->out->len - at;

    g_byte_array_set_size(aml->out, aml->out->len + size);
    memmove(aml->out->data + at + size, aml->out->data + at, tail);
    memcpy(aml->out->data + at, bytes, size);
}

/* PkgLength of @length, which takes @n bytes. */
static void encode_length(uint8_t *bytes, unsigned n, uint32_t length)
{
    if (n == 1) {
        bytes[0] = length;
        return;
    }
    bytes[0] = (n - 1) << 6 | (length & 0x0f);
    for (unsigned i = 1; i < n; i++)
        bytes[i] = length >> (8 * i - 4);
}

/* How many bytes hold @length plus, when @with_itself, their own number. */
static unsigned length_size(uint32_t length, bool with_itself)
{
    for (unsigned n = 1; n < 4; n++) {
        uint32_t limit = n == 1 ? 0x40 : 1u << (8 * n - 4);

        if (length + (with_itself ? n : 0) < limit)
            return n;
    }
    g_assert(length < (1u << 28) - 4);
    return 4;
}

static unsigned encode_int(uint8_t bytes[9], uint64_t value)
{
    uint64_t little = GUINT64_TO_LE(value);
    unsigned size = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;

    if (value <= 1) {
        bytes[0] = value ? OP_ONE : OP_ZERO;
        return 1;
    }
    bytes[0] = size == 1 ? OP_BYTE
             : size == 2 ? OP_WORD : size == 4 ? OP_DWORD : OP_QWORD;
    memcpy(bytes + 1, &little, size);
    return size + 1;
}

static void block_begin(Aml *aml, AmlBlockKind kind)
{
    g_assert(aml->depth < AML_DEPTH_MAX);
    aml->open[aml->depth++] = (AmlBlock){ .kind = kind, .start = aml->out->len };
}

/* Four characters of a name, filled up with underscores. */
static const char *put_segment(Aml *aml, const char *text)
{
    unsigned n = 0;

    for (; *text && *text != '.'; text++, n++) {
        g_assert(n < 4 && (g_ascii_isupper(*text) || *text == '_' ||
                           (n > 0 && g_ascii_isdigit(*text))));
        aml_byte(aml, *text);
    }
    g_assert(n > 0);
    for (; n < 4; n++)
        aml_byte(aml, '_');
    return *text ? text + 1 : text;
}

void aml_init(Aml *aml, GByteArray *out)
{
    *aml = (Aml){ .out = out };
}

void aml_done(Aml *aml)
{
    g_assert(aml->depth == 0);
}

void aml_end(Aml *aml)
{
    uint8_t bytes[9];
    AmlBlock block;
    uint32_t length;
    unsigned n;

    g_assert(aml->depth > 0);
    block = aml->open[--aml->depth];
    if (block.kind == AML_BLOCK_RESOURCES) {
        aml_byte(aml, RES_END);
        aml_byte(aml, 0);       /* no checksum */
    }
    if (block.kind != AML_BLOCK_PLAIN)
        insert(aml, block.start, bytes, encode_int(bytes, aml->out->len - block.start));
    length = aml->out->len - block.start;
    n = length_size(length, true);
    encode_length(bytes, n, length + n);
    insert(aml, block.start, bytes, n);
}

void aml_byte(Aml *aml, uint8_t value)
{
    g_byte_array_append(aml->out, &value, 1);
}

void aml_word(Aml *aml, uint16_t value)
{
    put(aml, value, 2);
}

void aml_op(Aml *aml, AmlOp op)
{
    if (op > 0xff)
        aml_byte(aml, op >> 8);
    aml_byte(aml, op);
}

void aml_path(Aml *aml, const char *path)
{
    unsigned n = 1;

    while (*path == '\\' || *path == '^')
        aml_byte(aml, *path++);
    if (!*path) {
        aml_byte(aml, 0);       /* NullName */
        return;
    }
    for (const char *p = path; *p; p++)
        n += *p == '.';
    if (n == 2) {
        aml_byte(aml, OP_DUAL_NAME);
    } else if (n > 2) {
        aml_byte(aml, OP_MULTI_NAME);
        aml_byte(aml, n);
    }
    while (*path)
        path = put_segment(aml, path);
}

void aml_int(Aml *aml, uint64_t value)
{
    uint8_t bytes[9];
    unsigned size = encode_int(bytes, value);

    g_byte_array_append(aml->out, bytes, size);
}

void aml_dword(Aml *aml, uint32_t value)
{
    uint32_t little = GUINT32_TO_LE(value);

    aml_byte(aml, OP_DWORD);
    g_byte_array_append(aml->out, (const uint8_t *)&little, sizeof(little));
}

void aml_string(Aml *aml, const char *text)
{
    aml_byte(aml, OP_STRING);
    g_byte_array_append(aml->out, (const uint8_t *)text, strlen(text) + 1);
}

void aml_buffer(Aml *aml, const void *data, size_t size)
{
    aml_byte(aml, OP_BUFFER);
    block_begin(aml, AML_BLOCK_BUFFER);
    g_byte_array_append(aml->out, data, size);
    aml_end(aml);
}

/* The first three groups are little-endian numbers, the last two bytes in order. */
void aml_uuid(Aml *aml, const char *uuid)
{
    static const uint8_t order[16] = {
        6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34
    };
    uint8_t bytes[16];

    g_assert(strlen(uuid) == 36);
    for (unsigned i = 0; i < 16; i++)
        bytes[i] = g_ascii_xdigit_value(uuid[order[i]]) << 4 |
                   g_ascii_xdigit_value(uuid[order[i] + 1]);
    aml_buffer(aml, bytes, sizeof(bytes));
}

/* Three letters of five bits, four hexadecimal digits, as a big-endian number. */
void aml_eisaid(Aml *aml, const char *id)
{
    uint32_t value = 0;

    g_assert(strlen(id) == 7);
    for (unsigned i = 0; i < 3; i++)
        value = value << 5 | ((id[i] - 0x40) & 0x1f);
    for (unsigned i = 3; i < 7; i++)
        value = value << 4 | g_ascii_xdigit_value(id[i]);
    aml_int(aml, GUINT32_SWAP_LE_BE(value));
}

void aml_arg(Aml *aml, unsigned n)
{
    g_assert(n < 7);
    aml_byte(aml, OP_ARG0 + n);
}

void aml_local(Aml *aml, unsigned n)
{
    g_assert(n < 8);
    aml_byte(aml, OP_LOCAL0 + n);
}

void aml_scope(Aml *aml, const char *path)
{
    aml_byte(aml, OP_SCOPE);
    block_begin(aml, AML_BLOCK_PLAIN);
    aml_path(aml, path);
}

void aml_device(Aml *aml, const char *name)
{
    aml_byte(aml, OP_EXT);
    aml_byte(aml, OP_EXT_DEVICE);
    block_begin(aml, AML_BLOCK_PLAIN);
    aml_path(aml, name);
}

void aml_method(Aml *aml, const char *name, unsigned n_args, bool serialized)
{
    g_assert(n_args < 8);
    aml_byte(aml, OP_METHOD);
    block_begin(aml, AML_BLOCK_PLAIN);
    aml_path(aml, name);
    aml_byte(aml, n_args | (serialized ? 0x08 : 0));
}

void aml_if(Aml *aml)
{
    aml_byte(aml, OP_IF);
    block_begin(aml, AML_BLOCK_PLAIN);
}

void aml_else(Aml *aml)
{
    aml_byte(aml, OP_ELSE);
    block_begin(aml, AML_BLOCK_PLAIN);
}

void aml_while(Aml *aml)
{
    aml_byte(aml, OP_WHILE);
    block_begin(aml, AML_BLOCK_PLAIN);
}

void aml_package(Aml *aml, unsigned n_elements)
{
    g_assert(n_elements <= 255);
    aml_byte(aml, OP_PACKAGE);
    block_begin(aml, AML_BLOCK_PLAIN);
    aml_byte(aml, n_elements);
}

void aml_resources(Aml *aml)
{
    aml_byte(aml, OP_BUFFER);
    block_begin(aml, AML_BLOCK_RESOURCES);
}

void aml_field(Aml *aml, const char *region, AmlAccess access, AmlUpdate update)
{
    aml_byte(aml, OP_EXT);
    aml_byte(aml, OP_EXT_FIELD);
    block_begin(aml, AML_BLOCK_PLAIN);
    aml_path(aml, region);
    aml_byte(aml, access | update << 5);
}

static void put_bits(Aml *aml, uint32_t n_bits)
{
    uint8_t bytes[4];
    unsigned n = length_size(n_bits, false);

    encode_length(bytes, n, n_bits);
    g_byte_array_append(aml->out, bytes, n);
}

void aml_field_bits(Aml *aml, const char *name, uint32_t n_bits)
{
    put_segment(aml, name);
    put_bits(aml, n_bits);
}

void aml_field_skip(Aml *aml, uint32_t n_bits)
{
    aml_byte(aml, 0);
    put_bits(aml, n_bits);
}

void aml_name(Aml *aml, const char *name)
{
    aml_byte(aml, OP_NAME);
    aml_path(aml, name);
}

void aml_name_int(Aml *aml, const char *name, uint64_t value)
{
    aml_name(aml, name);
    aml_int(aml, value);
}

void aml_name_string(Aml *aml, const char *name, const char *text)
{
    aml_name(aml, name);
    aml_string(aml, text);
}

void aml_name_eisaid(Aml *aml, const char *name, const char *id)
{
    aml_name(aml, name);
    aml_eisaid(aml, id);
}

void aml_region(Aml *aml, const char *name, AmlSpace space, uint64_t offset,
                uint64_t size)
{
    aml_byte(aml, OP_EXT);
    aml_byte(aml, OP_EXT_REGION);
    aml_path(aml, name);
    aml_byte(aml, space);
    aml_int(aml, offset);
    aml_int(aml, size);
}

void aml_res_io(Aml *aml, uint16_t base, uint8_t size)
{
    aml_byte(aml, RES_IO);
    aml_byte(aml, 1);           /* all 16 address bits are decoded */
    put(aml, base, 2);
    put(aml, base, 2);
    aml_byte(aml, 0);           /* alignment */
    aml_byte(aml, size);
}

void aml_res_irq(Aml *aml, unsigned irq)
{
    g_assert(irq < 16);
    aml_byte(aml, RES_IRQ_NO_FLAGS);
    put(aml, 1u << irq, 2);
}

void aml_res_interrupts(Aml *aml, const uint32_t *gsis, unsigned n)
{
    g_assert(n <= 255);
    aml_byte(aml, RES_INTERRUPT);
    put(aml, 2 + 4 * n, 2);
    aml_byte(aml, INTERRUPT_LEVEL_SHARED);
    aml_byte(aml, n);
    for (unsigned i = 0; i < n; i++)
        put(aml, gsis[i], 4);
}

void aml_res_memory32(Aml *aml, uint32_t base, uint32_t size)
{
    aml_byte(aml, RES_MEMORY32_FIXED);
    put(aml, 9, 2);
    aml_byte(aml, 1);
    put(aml, base, 4);
    put(aml, size, 4);
}

static void res_range(Aml *aml, uint8_t tag, unsigned width, AmlRange range,
                      uint64_t first, uint64_t last)
{
    static const uint8_t type_flags[] = {
        [AML_RANGE_MEMORY] = RANGE_MEMORY_FLAGS,
        [AML_RANGE_IO] = RANGE_IO_FLAGS,
        [AML_RANGE_BUS] = 0,
    };

    g_assert(first <= last);
    aml_byte(aml, tag);
    put(aml, 3 + 5 * width, 2);
    aml_byte(aml, range);
    aml_byte(aml, RANGE_FIXED);
    aml_byte(aml, type_flags[range]);
    put(aml, 0, width);         /* granularity */
    put(aml, first, width);
    put(aml, last, width);
    put(aml, 0, width);         /* translation */
    put(aml, last - first + 1, width);
}

void aml_res_range16(Aml *aml, AmlRange range, uint16_t first, uint16_t last)
{
    res_range(aml, RES_RANGE16, 2, range, first, last);
}

void aml_res_range32(Aml *aml, AmlRange range, uint32_t first, uint32_t last)
{
    res_range(aml, RES_RANGE32, 4, range, first, last);
}

void aml_res_range64(Aml *aml, AmlRange range, uint64_t first, uint64_t last)
{
    res_range(aml, RES_RANGE64, 8, range, first, last);
}
