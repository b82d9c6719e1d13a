/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Save and load by table.  One walk over the fields serves both directions, so that they
 * cannot drift.
 *
 * A table in the stream is: length of its name (1 byte), name, version (4 bytes), then
 * the fields in the table's order, big-endian and without padding.  An array behind a
 * pointer has its number of elements (4 bytes) in front; a table reached by
 * VMSTATE_KIND_VIA has one byte that says whether it is there.
 *
 * The reader trusts nothing: each take is checked against what is left, numbers of
 * elements come from the configuration and are compared only.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/vmstate.h"

typedef struct Input {
    const uint8_t *data;
    size_t size;
    const VMStateDesc *desc;    /* for messages */
    const VMStateField *field;
} Input;

static bool load_table(Input *in, const VMStateDesc *desc, void *opaque, GError **error);
static void save_table(GByteArray *out, const VMStateDesc *desc, void *opaque);

static void put_be(GByteArray *out, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < size; i++)
        bytes[i] = value >> 8 * (size - 1 - i);
    g_byte_array_append(out, bytes, size);
}

static bool take(Input *in, size_t size, const uint8_t **ret_bytes, GError **error)
{
    if (in->size < size) {
        error_set(error, "state '%s' ends in field '%s'", in->desc->name,
                  in->field ? in->field->name : "name");
        return false;
    }
    *ret_bytes = in->data;
    in->data += size;
    in->size -= size;
    return true;
}

static bool take_be(Input *in, unsigned size, uint64_t *ret_value, GError **error)
{
    const uint8_t *bytes;
    uint64_t value = 0;

    if (!take(in, size, &bytes, error))
        return false;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    *ret_value = value;
    return true;
}

static unsigned scalar_size(VMStateKind kind)
{
    switch (kind) {
    case VMSTATE_KIND_U8:
    case VMSTATE_KIND_BOOL:
        return 1;
    case VMSTATE_KIND_U16:
        return 2;
    case VMSTATE_KIND_U32:
        return 4;
    case VMSTATE_KIND_U64:
    case VMSTATE_KIND_I64:
        return 8;
    case VMSTATE_KIND_END:
    case VMSTATE_KIND_BYTES:
    case VMSTATE_KIND_STRUCT:
    case VMSTATE_KIND_VIA:
        break;
    }
    return 0;
}

static uint64_t get_scalar(const uint8_t *at, VMStateKind kind)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (scalar_size(kind)) {
    case 1:
        return *at;
    case 2:
        memcpy(&u16, at, 2);
        return u16;
    case 4:
        memcpy(&u32, at, 4);
        return u32;
    default:
        memcpy(&u64, at, 8);
        return u64;
    }
}

static void set_scalar(uint8_t *at, VMStateKind kind, uint64_t value)
{
    uint16_t u16 = value;
    uint32_t u32 = value;

    switch (scalar_size(kind)) {
    case 1:
        *at = value;
        break;
    case 2:
        memcpy(at, &u16, 2);
        break;
    case 4:
        memcpy(at, &u32, 4);
        break;
    default:
        memcpy(at, &value, 8);
    }
}

/* The first element of @field in @opaque and the number of them. */
static uint8_t *elements(const VMStateField *field, void *opaque, uint32_t *ret_count)
{
    uint8_t *at = (uint8_t *)opaque + field->offset;

    *ret_count = field->count;
    if (field->is_pointer) {
        memcpy(ret_count, (uint8_t *)opaque + field->count_offset, sizeof(*ret_count));
        memcpy(&at, at, sizeof(void *));
    }
    return at;
}

static void save_via(GByteArray *out, const VMStateField *field, void *opaque)
{
    const VMStateDesc *desc = NULL;
    void *target = field->via(opaque, &desc);

    put_be(out, target != NULL, 1);
    if (target)
        save_table(out, desc, target);
}

static void save_field(GByteArray *out, const VMStateField *field, void *opaque)
{
    uint32_t count;
    uint8_t *at = elements(field, opaque, &count);

    if (field->is_pointer)
        put_be(out, count, 4);
    if (count == 0)
        return;
    if (field->kind == VMSTATE_KIND_BYTES) {
        g_byte_array_append(out, at, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++, at += field->size) {
        if (field->kind == VMSTATE_KIND_STRUCT)
            save_table(out, field->desc, at);
        else
            put_be(out, get_scalar(at, field->kind), scalar_size(field->kind));
    }
}

static void save_table(GByteArray *out, const VMStateDesc *desc, void *opaque)
{
    size_t name_size = strlen(desc->name);

    g_assert(name_size <= UINT8_MAX);
    if (desc->pre_save)
        desc->pre_save(opaque);
    put_be(out, name_size, 1);
    g_byte_array_append(out, (const uint8_t *)desc->name, name_size);
    put_be(out, desc->version, 4);
    for (const VMStateField *f = desc->fields; f->kind != VMSTATE_KIND_END; f++) {
        if (f->kind == VMSTATE_KIND_VIA)
            save_via(out, f, opaque);
        else
            save_field(out, f, opaque);
    }
}

static bool load_via(Input *in, void *opaque, GError **error)
{
    const VMStateDesc *desc = NULL;
    void *target = in->field->via(opaque, &desc);
    uint64_t there;

    if (!take_be(in, 1, &there, error))
        return false;
    if (there != (target != NULL)) {
        error_set(error, "state '%s': field '%s' does not fit the configuration",
                  in->desc->name, in->field->name);
        return false;
    }
    return !target || load_table(in, desc, target, error);
}

static bool load_scalar(Input *in, uint8_t *at, GError **error)
{
    uint64_t value;

    if (!take_be(in, scalar_size(in->field->kind), &value, error))
        return false;
    if (in->field->kind == VMSTATE_KIND_BOOL && value > 1) {
        error_set(error, "state '%s': field '%s' is not a bool", in->desc->name,
                  in->field->name);
        return false;
    }
    set_scalar(at, in->field->kind, value);
    return true;
}

/* New bytes for a field that allocates them; not more than its table allows. */
static uint8_t *reallocate(const VMStateField *field, void *opaque, uint64_t sent)
{
    uint8_t **pointer = (uint8_t **)((uint8_t *)opaque + field->offset);

    if (sent <= field->count) {
        g_free(*pointer);
        *pointer = g_malloc0(MAX(sent, 1));
    }
    return *pointer;
}

static bool load_field(Input *in, void *opaque, GError **error)
{
    const VMStateField *field = in->field;
    uint32_t count;
    uint8_t *at = elements(field, opaque, &count);
    const uint8_t *bytes;
    uint64_t sent;

    if (field->is_pointer) {
        if (!take_be(in, 4, &sent, error))
            return false;
        if (field->is_allocated)
            at = reallocate(field, opaque, sent);
        if (field->is_variable && at && sent <= field->count) {
            count = sent;
            memcpy((uint8_t *)opaque + field->count_offset, &count, sizeof(count));
        }
        if (sent != count) {
            error_set(error, "state '%s': field '%s' has %" PRIu64 " elements, not %u",
                      in->desc->name, field->name, sent, count);
            return false;
        }
    }
    if (count == 0)
        return true;
    if (field->kind == VMSTATE_KIND_BYTES) {
        if (!take(in, count, &bytes, error))
            return false;
        memcpy(at, bytes, count);
        return true;
    }
    for (uint32_t i = 0; i < count; i++, at += field->size) {
        if (field->kind == VMSTATE_KIND_STRUCT ? !load_table(in, field->desc, at, error)
                                               : !load_scalar(in, at, error))
            return false;
    }
    return true;
}

static bool load_header(Input *in, const VMStateDesc *desc, uint32_t *ret_version,
                        GError **error)
{
    const uint8_t *name;
    uint64_t name_size;
    uint64_t version;

    if (!take_be(in, 1, &name_size, error) || !take(in, name_size, &name, error))
        return false;
    if (name_size != strlen(desc->name) || memcmp(name, desc->name, name_size) != 0) {
        g_autofree char *escaped = g_strndup((const char *)name, name_size);
        g_autofree char *shown = g_strescape(escaped, NULL);

        error_set(error, "state '%s' expected, found '%s'", desc->name, shown);
        return false;
    }
    if (!take_be(in, 4, &version, error))
        return false;
    if (version > desc->version || version < desc->min_version) {
        error_set(error, "state '%s' has version %" PRIu64 ", expected %u to %u",
                  desc->name, version, desc->min_version, desc->version);
        return false;
    }
    *ret_version = version;
    return true;
}

static bool load_table(Input *in, const VMStateDesc *desc, void *opaque, GError **error)
{
    const VMStateDesc *outer_desc = in->desc;
    const VMStateField *outer_field = in->field;
    uint32_t version;

    in->desc = desc;
    in->field = NULL;
    if (!load_header(in, desc, &version, error))
        return false;
    for (const VMStateField *f = desc->fields; f->kind != VMSTATE_KIND_END; f++) {
        if (f->min_version > version)
            continue;
        in->field = f;
        if (f->kind == VMSTATE_KIND_VIA ? !load_via(in, opaque, error)
                                        : !load_field(in, opaque, error))
            return false;
    }
    if (desc->post_load && !desc->post_load(opaque, error)) {
        g_prefix_error(error, "state '%s': ", desc->name);
        return false;
    }
    in->desc = outer_desc;
    in->field = outer_field;
    return true;
}

void vmstate_save(GByteArray *out, const VMStateDesc *desc, void *opaque)
{
    save_table(out, desc, opaque);
}

bool vmstate_load(const uint8_t **data, size_t *size, const VMStateDesc *desc,
                  void *opaque, GError **error)
{
    Input in = { .data = *data, .size = *size, .desc = desc };

    if (!load_table(&in, desc, opaque, error))
        return false;
    *data = in.data;
    *size = in.size;
    return true;
}
