/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values to JSON.
 */
#include "qapi-walk.h"

/* The integer in @slot, sign-extended when the type is signed. */
static int64_t load_integer(const QapiType *type, const void *slot)
{
    bool is_signed = type->meta == QAPI_META_INT;

    switch (type->size) {
    case 1:
        return is_signed ? *(const int8_t *)slot : *(const uint8_t *)slot;
    case 2:
        return is_signed ? *(const int16_t *)slot : *(const uint16_t *)slot;
    case 4:
        return is_signed ? *(const int32_t *)slot : (int64_t)*(const uint32_t *)slot;
    default:
        return *(const int64_t *)slot;
    }
}

static void write_slot(QapiTypeId type, const void *slot, JsonWriter *writer)
{
    const QapiType *t = &qapi_types[type];
    double number;

    switch ((QapiMeta)t->meta) {
    case QAPI_META_NULL:
        json_writer_null(writer);
        break;
    case QAPI_META_BOOL:
        json_writer_bool(writer, *(const bool *)slot);
        break;
    case QAPI_META_INT:
        json_writer_int(writer, load_integer(t, slot));
        break;
    case QAPI_META_UINT:
    case QAPI_META_SIZE:
        json_writer_uint(writer, (uint64_t)load_integer(t, slot));
        break;
    case QAPI_META_NUMBER:
        memcpy(&number, slot, sizeof(number));
        json_writer_double(writer, number);
        break;
    case QAPI_META_STR:
        json_writer_string(writer, qapi_load(slot) ? qapi_load(slot) : "");
        break;
    case QAPI_META_ENUM:
        json_writer_string(writer, qapi_enum_str(type, qapi_load_enum(slot)));
        break;
    case QAPI_META_ANY:
    case QAPI_META_STRUCT:
    case QAPI_META_ALTERNATE:
    case QAPI_META_LIST:
        qapi_write(type, qapi_load(slot), writer);
        break;
    }
}

static void write_members(const QapiType *type, const char *object, JsonWriter *writer)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];

        if (qapi_member_is_present(member, object)) {
            json_writer_key(writer, qapi_text(member->name));
            write_slot(member->type, object + member->offset, writer);
        }
    }
    if (type->n_branches)
        write_members(qapi_value_branch(type, object), object + type->branch_offset,
                      writer);
}

static void write_list(const QapiType *type, const QapiList *list, JsonWriter *writer)
{
    size_t size = qapi_slot_size(&qapi_types[type->element]);
    const char *items = qapi_load(&list->items);

    json_writer_begin_array(writer);
    for (size_t i = 0; i < list->n; i++)
        write_slot(type->element, items + i * size, writer);
    json_writer_end_array(writer);
}

void qapi_write(QapiTypeId type, const void *value, JsonWriter *writer)
{
    const QapiType *t = &qapi_types[type];

    switch ((QapiMeta)t->meta) {
    case QAPI_META_STRUCT:
        json_writer_begin_object(writer);
        write_members(t, value, writer);
        json_writer_end_object(writer);
        break;
    case QAPI_META_LIST:
        write_list(t, value, writer);
        break;
    case QAPI_META_ALTERNATE: {
        const QapiAlternate *alternate = value;

        write_slot(qapi_alternate_branch(t, alternate->kind)->type, &alternate->slot,
                   writer);
        break;
    }
    case QAPI_META_ANY:
        json_writer_value(writer, value);
        break;
    default:
        write_slot(type, value, writer);
        break;
    }
}
