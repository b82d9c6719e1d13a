/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalars from JSON and from texts of the command line.  Words of errors are those that
 * clients know from QEMU; a range is told in numbers.
 *
 * Texts: a whole number in the notations of C; a size as a decimal number with an
 * optional fraction and unit, or hexadecimal; a boolean as on, yes, true, y or off, no,
 * false, n.
 */
#include <errno.h>
#include <math.h>

#include "berth/error.h"
#include "berth/spelling.h"

#include "qapi-parse.h"

#define SIZE_EXPECTED \
    "a size: a number below 2^64 with an optional suffix B, K, M, G, T, P or E"

bool qapi_scalar_refuse_type(const QapiReader *reader, const QapiPlace *place,
                             const char *expected)
{
    g_autofree char *name = qapi_parse_place_name(reader, place, NULL);

    error_set(reader->error, "Invalid parameter type for '%.*s', expected: %s",
              QAPI_ECHO_MAX, name, expected);
    return false;
}

bool qapi_scalar_refuse(const QapiReader *reader, const QapiPlace *place,
                        const char *expected)
{
    g_autofree char *name = qapi_parse_place_name(reader, place, NULL);

    error_set(reader->error, "Parameter '%.*s' expects %s", QAPI_ECHO_MAX, name,
              expected);
    return false;
}

static bool refuse_range(const QapiReader *reader, const QapiPlace *place,
                         const QapiType *type, QapiLimit range)
{
    g_autofree char *expected = NULL;

    if (type->meta == QAPI_META_INT)
        expected = g_strdup_printf("a value from %" PRId64 " to %" PRId64, range.min,
                                   (int64_t)range.max);
    else
        expected = g_strdup_printf("a value from %" PRIu64 " to %" PRIu64,
                                   (uint64_t)range.min, range.max);
    return qapi_scalar_refuse(reader, place, expected);
}

static QapiLimit range_of(const QapiPlace *place, const QapiType *type)
{
    unsigned bits = type->size * 8u;

    if (place->member && place->member->limit)
        return qapi_limits[place->member->limit];
    if (type->meta == QAPI_META_INT)
        return (QapiLimit){ INT64_MIN >> (64 - bits),
                           (uint64_t)(INT64_MAX >> (64 - bits)) };
    return (QapiLimit){ 0, UINT64_MAX >> (64 - bits) };
}

/* Stores the low bytes of @value; both kinds of integer have the same bits. */
static void store_integer(const QapiType *type, uint64_t value, void *slot)
{
    switch (type->size) {
    case 1:
        *(uint8_t *)slot = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)slot = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)slot = (uint32_t)value;
        break;
    default:
        *(uint64_t *)slot = value;
        break;
    }
}

static bool set_signed(const QapiReader *reader, const QapiPlace *place,
                       const QapiType *type, int64_t value, void *slot)
{
    QapiLimit range = range_of(place, type);

    if (value < range.min || value > (int64_t)range.max)
        return refuse_range(reader, place, type, range);
    store_integer(type, (uint64_t)value, slot);
    return true;
}

static bool set_unsigned(const QapiReader *reader, const QapiPlace *place,
                         const QapiType *type, uint64_t value, void *slot)
{
    QapiLimit range = range_of(place, type);

    if (value < (uint64_t)range.min || value > range.max)
        return refuse_range(reader, place, type, range);
    store_integer(type, value, slot);
    return true;
}

static bool set_enum(const QapiReader *reader, const QapiPlace *place,
                     const QapiType *type, const char *text, void *slot)
{
    int value = qapi_enum_parse((QapiTypeId)(type - qapi_types), text);
    Spelling spelling = { .typed = text };
    g_autofree char *name = NULL, *hint = NULL;
    const char *reason;

    if (value >= 0) {
        memcpy(slot, &value, sizeof(value));
        return true;
    }
    name = qapi_parse_place_name(reader, place, NULL);
    reason = qapi_enum_refusal((QapiTypeId)(type - qapi_types), text);
    for (unsigned i = 0; !reason && i < type->n_members; i++)
        spelling_try(&spelling, qapi_text(qapi_type_members(type)[i].name));
    hint = spelling_hint(&spelling);
    error_set(reader->error, "Parameter '%.*s' does not accept value '%.*s'%s%s%s",
              QAPI_ECHO_MAX, name, QAPI_ECHO_MAX, text, reason ? ": " : "",
              reason ? reason : "", hint);
    return false;
}

static bool set_bool(const QapiReader *reader, const QapiPlace *place, const char *text,
                     void *slot)
{
    static const char words[][2][6] = {
        { "off", "on" }, { "no", "yes" }, { "false", "true" }, { "n", "y" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        for (int value = 0; value <= 1; value++) {
            if (strcmp(text, words[i][value]) == 0) {
                *(bool *)slot = value;
                return true;
            }
        }
    }
    return qapi_scalar_refuse(reader, place, "'on' or 'off'");
}

static bool text_is_integer_start(const char *text)
{
    return g_ascii_isdigit(text[0]) || (text[0] == '-' && g_ascii_isdigit(text[1]));
}

static bool signed_from_text(const QapiReader *reader, const QapiPlace *place,
                             const QapiType *type, const char *text, void *slot)
{
    char *end;
    int64_t value;

    errno = 0;
    value = g_ascii_strtoll(text, &end, 0);
    if (!text_is_integer_start(text) || *end)
        return qapi_scalar_refuse(reader, place, "integer");
    if (errno)
        return refuse_range(reader, place, type, range_of(place, type));
    return set_signed(reader, place, type, value, slot);
}

static bool unsigned_from_text(const QapiReader *reader, const QapiPlace *place,
                               const QapiType *type, const char *text, void *slot)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = g_ascii_strtoull(text, &end, 0);
    if (!text_is_integer_start(text) || *end)
        return qapi_scalar_refuse(reader, place, "integer");
    if (errno || text[0] == '-')
        return refuse_range(reader, place, type, range_of(place, type));
    return set_unsigned(reader, place, type, value, slot);
}

/* The factor of a unit's letter, 0 for another character. */
static uint64_t unit_factor(char unit)
{
    static const char units[] = "BKMGTPE";
    const char *found = unit ? strchr(units, g_ascii_toupper(unit)) : NULL;

    return found ? 1ull << (10 * (found - units)) : 0;
}

/*
 * @text, which ends at @ret_end, as a number times @factor; false when it is too large.
 */
static bool size_parts(const char *text, uint64_t unit, uint64_t *ret_value,
                       const char **ret_end)
{
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    char *end;
    const char *fraction_end;
    double fraction = 0;
    uint64_t whole, factor, part;

    errno = 0;
    whole = g_ascii_strtoull(text, &end, is_hex ? 16 : 10);
    fraction_end = end;
    if (*end == '.') {
        for (fraction_end = end + 1; g_ascii_isdigit(*fraction_end); fraction_end++)
            continue;
        fraction = fraction_end > end + 1 ? g_ascii_strtod(end, NULL) : 0;
    }
    factor = unit_factor(*fraction_end);
    *ret_end = fraction_end + (factor != 0);
    factor = factor ? factor : unit;
    part = fraction < 1 ? (uint64_t)(fraction * (double)factor) : 0;
    *ret_value = whole * factor + part;
    return errno == 0 && whole <= (UINT64_MAX - part) / factor;
}

static bool size_from_text(const QapiReader *reader, const QapiPlace *place,
                           const QapiType *type, const char *text, void *slot)
{
    uint64_t unit = place->member ? unit_factor(place->member->unit) : 0;
    uint64_t value;
    const char *end;

    if (!g_ascii_isdigit(text[0]) || !size_parts(text, unit ? unit : 1, &value, &end) ||
        *end)
        return qapi_scalar_refuse(reader, place, SIZE_EXPECTED);
    return set_unsigned(reader, place, type, value, slot);
}

static bool number_from_text(const QapiReader *reader, const QapiPlace *place,
                             const char *text, void *slot)
{
    char *end;
    double value = g_ascii_strtod(text, &end);

    if (!text_is_integer_start(text) || *end || !isfinite(value))
        return qapi_scalar_refuse(reader, place, "a number");
    memcpy(slot, &value, sizeof(value));
    return true;
}

bool qapi_scalar_parse_text(const QapiReader *reader, const QapiPlace *place,
                            const QapiType *type, const char *text, void *slot)
{
    switch ((QapiMeta)type->meta) {
    case QAPI_META_BOOL:
        return set_bool(reader, place, text, slot);
    case QAPI_META_INT:
        return signed_from_text(reader, place, type, text, slot);
    case QAPI_META_UINT:
        return unsigned_from_text(reader, place, type, text, slot);
    case QAPI_META_SIZE:
        return size_from_text(reader, place, type, text, slot);
    case QAPI_META_NUMBER:
        return number_from_text(reader, place, text, slot);
    case QAPI_META_STR:
        qapi_store(slot, g_strdup(text));
        return true;
    case QAPI_META_ENUM:
        return set_enum(reader, place, type, text, slot);
    case QAPI_META_NULL:
    case QAPI_META_ANY:
    case QAPI_META_STRUCT:
    case QAPI_META_ALTERNATE:
    case QAPI_META_LIST:
        break;
    }
    return qapi_scalar_refuse_type(reader, place, qapi_text(type->name));
}

static bool signed_from_json(const QapiReader *reader, const QapiPlace *place,
                             const QapiType *type, const JsonValue *json, void *slot)
{
    int64_t value;

    if (json_kind(json) != JSON_INT)
        return qapi_scalar_refuse_type(reader, place, "integer");
    if (!json_as_int(json, &value))
        return refuse_range(reader, place, type, range_of(place, type));
    return set_signed(reader, place, type, value, slot);
}

static bool unsigned_from_json(const QapiReader *reader, const QapiPlace *place,
                               const QapiType *type, const JsonValue *json, void *slot)
{
    uint64_t value;

    if (json_kind(json) != JSON_INT)
        return qapi_scalar_refuse_type(reader, place, "integer");
    if (!json_as_uint(json, &value))
        return refuse_range(reader, place, type, range_of(place, type));
    return set_unsigned(reader, place, type, value, slot);
}

static bool number_from_json(const QapiReader *reader, const QapiPlace *place,
                             const JsonValue *json, void *slot)
{
    double value = json_as_double(json);

    if (json_kind(json) != JSON_INT && json_kind(json) != JSON_DOUBLE)
        return qapi_scalar_refuse_type(reader, place, "number");
    memcpy(slot, &value, sizeof(value));
    return true;
}

static bool flag_from_json(const QapiReader *reader, const QapiPlace *place,
                           const QapiType *type, const JsonValue *json, void *slot)
{
    bool is_null = type->meta == QAPI_META_NULL;

    if (json_kind(json) != (is_null ? JSON_NULL : JSON_BOOL))
        return qapi_scalar_refuse_type(reader, place, is_null ? "null" : "boolean");
    *(bool *)slot = is_null || json_as_bool(json);
    return true;
}

static bool text_from_json(const QapiReader *reader, const QapiPlace *place,
                           const QapiType *type, const JsonValue *json, void *slot)
{
    if (json_kind(json) != JSON_STRING)
        return qapi_scalar_refuse_type(reader, place, "string");
    return qapi_scalar_parse_text(reader, place, type, json_as_string(json), slot);
}

bool qapi_scalar_parse(const QapiReader *reader, const QapiPlace *place,
                       const QapiType *type, const JsonValue *json, void *slot)
{
    switch ((QapiMeta)type->meta) {
    case QAPI_META_ANY:
        qapi_store(slot, json_ref(json));
        return true;
    case QAPI_META_STR:
    case QAPI_META_ENUM:
        return text_from_json(reader, place, type, json, slot);
    default:
        break;
    }
    if (reader->input == QAPI_INPUT_TEXT && json_kind(json) == JSON_STRING)
        return text_from_json(reader, place, type, json, slot);
    switch ((QapiMeta)type->meta) {
    case QAPI_META_NULL:
    case QAPI_META_BOOL:
        return flag_from_json(reader, place, type, json, slot);
    case QAPI_META_INT:
        return signed_from_json(reader, place, type, json, slot);
    case QAPI_META_UINT:
    case QAPI_META_SIZE:
        return unsigned_from_json(reader, place, type, json, slot);
    case QAPI_META_NUMBER:
        return number_from_json(reader, place, json, slot);
    default:
        g_assert_not_reached();
    }
}
