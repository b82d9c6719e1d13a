/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fields make a device's state.  One const table serves save and load.
 *
 *     static const VMStateField rtc_fields[] = {
 *         VMSTATE_U8(Rtc, index),
 *         VMSTATE_U8_ARRAY(Rtc, cmos, 128),
 *         VMSTATE_END
 *     };
 *     const VMStateDesc rtc_vmstate = {
 *         .name = "rtc", .version = 1, .fields = rtc_fields,
 *         .post_load = rtc_post_load,
 *     };
 *
 * The stream is big-endian.  What is loaded is hostile: post_load() checks every value
 * that is used as an index, a length or an address, and refuses with an error that names
 * the field.
 */
#pragma once

#include "berth/base.h"

typedef enum VMStateKind {
    VMSTATE_KIND_END,
    VMSTATE_KIND_U8,
    VMSTATE_KIND_U16,
    VMSTATE_KIND_U32,
    VMSTATE_KIND_U64,
    VMSTATE_KIND_I64,
    VMSTATE_KIND_BOOL,          /* refused when not 0 or 1 */
    VMSTATE_KIND_BYTES,         /* @count bytes as they are */
    VMSTATE_KIND_STRUCT,        /* @count structs of @size, described by @desc */
    VMSTATE_KIND_VIA,           /* what @via says: another table for another struct */
} VMStateKind;

/*
 * The struct at @opaque's side and its table; NULL when this machine has none (none
 * saved).
 */
typedef void *VMStateVia(void *opaque, const VMStateDesc **ret_desc);

typedef struct VMStateField {
    const char *name;
    VMStateKind kind;
    size_t offset;
    size_t size;                /* of one element */
    uint32_t count;             /* elements, 1 for a scalar */
    uint32_t min_version;       /* the first version of the table that has it */
    const VMStateDesc *desc;    /* VMSTATE_KIND_STRUCT only */
    /*
     * The field is a pointer to the elements, whose number is the uint32_t at
     * @count_offset.  The configuration sets the number: a stream that has another is
     * refused.
     */
    bool is_pointer;
    size_t count_offset;
    /* VMSTATE_KIND_BYTES only: the stream sets the number, up to @count. */
    bool is_variable;
    /* The same, and loading frees what the pointer had and allocates what is loaded. */
    bool is_allocated;
    VMStateVia *via;            /* VMSTATE_KIND_VIA only */
} VMStateField;

struct VMStateDesc {
    const char *name;
    uint32_t version;
    uint32_t min_version;       /* the oldest that can still be loaded */
    const VMStateField *fields;
    void (*pre_save)(void *opaque);
    /* Everything of the table is loaded, the tables within it too (theirs ran before). */
    bool (*post_load)(void *opaque, GError **error);
};

#define VMSTATE_FIELD_(_type, _field, _kind, _count, _ctype)                             \
    { .name = #_field, .kind = (_kind), .offset = offsetof(_type, _field),               \
      .size = sizeof(_ctype) +                                                           \
              0 * sizeof(char[sizeof(((_type *)0)->_field) == sizeof(_ctype) * (_count)  \
                              ? 1 : -1]),                                                \
      .count = (_count) }

#define VMSTATE_U8(t, f) VMSTATE_FIELD_(t, f, VMSTATE_KIND_U8, 1, uint8_t)
#define VMSTATE_U16(t, f) VMSTATE_FIELD_(t, f, VMSTATE_KIND_U16, 1, uint16_t)
#define VMSTATE_U32(t, f) VMSTATE_FIELD_(t, f, VMSTATE_KIND_U32, 1, uint32_t)
#define VMSTATE_U64(t, f) VMSTATE_FIELD_(t, f, VMSTATE_KIND_U64, 1, uint64_t)
#define VMSTATE_I64(t, f) VMSTATE_FIELD_(t, f, VMSTATE_KIND_I64, 1, int64_t)
#define VMSTATE_BOOL(t, f) VMSTATE_FIELD_(t, f, VMSTATE_KIND_BOOL, 1, bool)
#define VMSTATE_U16_ARRAY(t, f, n) VMSTATE_FIELD_(t, f, VMSTATE_KIND_U16, n, uint16_t)
#define VMSTATE_U32_ARRAY(t, f, n) VMSTATE_FIELD_(t, f, VMSTATE_KIND_U32, n, uint32_t)
#define VMSTATE_U64_ARRAY(t, f, n) VMSTATE_FIELD_(t, f, VMSTATE_KIND_U64, n, uint64_t)
#define VMSTATE_BYTES(t, f, n) VMSTATE_FIELD_(t, f, VMSTATE_KIND_BYTES, n, uint8_t)
#define VMSTATE_STRUCT(t, f, d)                                                          \
    { .name = #f, .kind = VMSTATE_KIND_STRUCT, .offset = offsetof(t, f),                 \
      .size = sizeof(((t *)0)->f), .count = 1, .desc = &(d) }
#define VMSTATE_STRUCT_ARRAY(t, f, n, d)                                                 \
    { .name = #f, .kind = VMSTATE_KIND_STRUCT, .offset = offsetof(t, f),                 \
      .size = sizeof(((t *)0)->f[0]), .count = (n), .desc = &(d) }
/* @f points to the t.n elements of an array. */
#define VMSTATE_U64_POINTER(t, f, n)                                                     \
    { .name = #f, .kind = VMSTATE_KIND_U64, .offset = offsetof(t, f), .size = 8,         \
      .is_pointer = true, .count_offset = offsetof(t, n) }
#define VMSTATE_STRUCT_POINTER(t, f, n, d)                                               \
    { .name = #f, .kind = VMSTATE_KIND_STRUCT, .offset = offsetof(t, f),                 \
      .size = sizeof(((t *)0)->f[0]), .is_pointer = true,                                \
      .count_offset = offsetof(t, n), .desc = &(d) }
/* @f points to t.n bytes, room for @max of them; NULL: has none. */
#define VMSTATE_VBYTES(t, f, n, max)                                                     \
    { .name = #f, .kind = VMSTATE_KIND_BYTES, .offset = offsetof(t, f), .size = 1,       \
      .is_pointer = true, .count_offset = offsetof(t, n), .is_variable = true,           \
      .count = (max) }
/* @f points to t.n bytes of g_malloc(), at most @max, or is NULL. */
#define VMSTATE_ABYTES(t, f, n, max)                                                     \
    { .name = #f, .kind = VMSTATE_KIND_BYTES, .offset = offsetof(t, f), .size = 1,       \
      .is_pointer = true, .count_offset = offsetof(t, n), .is_variable = true,           \
      .is_allocated = true, .count = (max) }
#define VMSTATE_VIA(label, fn) { .name = (label), .kind = VMSTATE_KIND_VIA, .via = (fn) }
#define VMSTATE_END { .kind = VMSTATE_KIND_END }

/* The owner of the state serialises access; no other thread rule. */

/* Appends the state of @opaque: name, version, fields. */
void vmstate_save(GByteArray *out, const VMStateDesc *desc, void *opaque);

/*
 * Reads a state written by vmstate_save() from *@data (of *@size bytes) and moves both
 * past it.  On false nothing of @opaque may be relied on; @error names table and field.
 */
bool vmstate_load(const uint8_t **data, size_t *size, const VMStateDesc *desc,
                  void *opaque, GError **error);
