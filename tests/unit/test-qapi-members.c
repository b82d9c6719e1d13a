/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every struct and union of the schema, without naming any: a sample is made from the
 * tables, then one member after the other is made wrong.
 */
#include <string.h>

#include "berth/qapi-tables.h"

#define DEPTH_MAX 4

static JsonValue *sample_of(QapiTypeId type, const QapiMember *member, unsigned depth);

static void add_samples(JsonValue *object, const QapiType *type, unsigned depth)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];

        if (depth < DEPTH_MAX || !(member->flags & QAPI_MEMBER_OPTIONAL))
            json_set(object, qapi_text(member->name),
                     sample_of(member->type, member, depth + 1));
    }
}

/* A value of a struct, of a union with @tag as its discriminator. */
static JsonValue *sample_object(const QapiType *type, unsigned tag, unsigned depth)
{
    JsonValue *object = json_new_object();
    const QapiMember *discriminator = &qapi_type_members(type)[type->tag];

    add_samples(object, type, depth);
    if (type->n_branches) {
        json_set(object, qapi_text(discriminator->name),
                 json_new_string(qapi_enum_str(discriminator->type, (int)tag)));
        add_samples(object, qapi_type_branch(type, tag), depth);
    }
    return object;
}

static JsonValue *sample_list(const QapiType *type, unsigned depth)
{
    JsonValue *list = json_new_array();

    if (depth < DEPTH_MAX)
        json_append(list, sample_of(type->element, NULL, depth + 1));
    return list;
}

static JsonValue *sample_of(QapiTypeId type, const QapiMember *member, unsigned depth)
{
    const QapiType *t = &qapi_types[type];

    switch ((QapiMeta)t->meta) {
    case QAPI_META_NULL:
        return json_new_null();
    case QAPI_META_BOOL:
        return json_new_bool(true);
    case QAPI_META_INT:
    case QAPI_META_UINT:
    case QAPI_META_SIZE:
        return json_new_int(member && member->limit ? qapi_limits[member->limit].min : 1);
    case QAPI_META_NUMBER:
        return json_new_double(0.5);
    case QAPI_META_STR:
        return json_new_string("text");
    case QAPI_META_ANY:
        return json_new_int(1);
    case QAPI_META_ENUM:
        return json_new_string(qapi_enum_str(type, 0));
    case QAPI_META_STRUCT:
        return sample_object(t, 0, depth);
    case QAPI_META_ALTERNATE:
        return sample_of(qapi_type_members(t)[0].type, NULL, depth);
    case QAPI_META_LIST:
        return sample_list(t, depth);
    }
    g_assert_not_reached();
}

/* A value that @type does not take, NULL when it takes every value. */
static JsonValue *wrong_value(const QapiType *type)
{
    switch ((QapiMeta)type->meta) {
    case QAPI_META_ANY:
        return NULL;
    case QAPI_META_ENUM:
        return json_new_string("no such value");
    case QAPI_META_BOOL:
    case QAPI_META_STR:
        return json_new_int(1);
    case QAPI_META_ALTERNATE:
        return json_new_double(0.5);
    default:
        return json_new_bool(true);
    }
}

static bool is_accepted(QapiTypeId type, const JsonValue *json, const char *name)
{
    g_autoptr(GError) error = NULL;
    void *value = qapi_parse(type, json, QAPI_INPUT_JSON, &error);

    if (!value) {
        g_autofree char *quoted = g_strdup_printf("'%s", name);

        g_assert_nonnull(strstr(error->message, quoted));
    }
    qapi_free(type, value);
    return value != NULL;
}

/* Whether the sample with member @name made @value (taken) is accepted. */
static bool takes(QapiTypeId type, const JsonValue *sample, const char *name,
                  JsonValue *value)
{
    g_autofree char *text = json_to_text(sample);
    g_autoptr(JsonValue) json = json_parse_text(text, strlen(text), NULL);

    if (value)
        json_set(json, name, value);
    else
        json_remove(json, name);
    return is_accepted(type, json, name);
}

static void check_range(QapiTypeId type, const JsonValue *sample,
                        const QapiMember *member)
{
    const char *name = qapi_text(member->name);
    const QapiLimit *limit = &qapi_limits[member->limit];

    if (!member->limit)
        return;
    g_assert_true(takes(type, sample, name, json_new_int(limit->min)));
    g_assert_true(takes(type, sample, name, json_new_uint(limit->max)));
    if (limit->min > INT64_MIN)
        g_assert_false(takes(type, sample, name, json_new_int(limit->min - 1)));
    if (limit->max < UINT64_MAX)
        g_assert_false(takes(type, sample, name, json_new_uint(limit->max + 1)));
}

static void check_members(QapiTypeId type, const JsonValue *sample, const QapiType *owner)
{
    for (unsigned i = 0; i < owner->n_members; i++) {
        const QapiMember *member = &qapi_type_members(owner)[i];
        const char *name = qapi_text(member->name);
        JsonValue *wrong = wrong_value(&qapi_types[member->type]);

        if (wrong)
            g_assert_false(takes(type, sample, name, wrong));
        /* Without its discriminator a union is that of another branch. */
        if (owner->n_branches && i == owner->tag && member->deflt)
            continue;
        g_assert_cmpint(takes(type, sample, name, NULL), ==,
                        (member->flags & QAPI_MEMBER_OPTIONAL) != 0);
        check_range(type, sample, member);
    }
    g_assert_false(takes(type, sample, "no-such-member", json_new_null()));
}

/* The sample comes back from its value, and a clone of the value is equal to it. */
static void check_round_trip(QapiTypeId type, const JsonValue *sample)
{
    void *value = qapi_parse(type, sample, QAPI_INPUT_JSON, NULL);
    void *clone = qapi_clone(type, value);
    g_autoptr(JsonValue) json = NULL;

    g_assert_nonnull(value);
    g_assert_true(qapi_equal(type, value, clone));
    qapi_free(type, value);
    json = qapi_emit(type, clone);
    value = qapi_parse(type, json, QAPI_INPUT_JSON, NULL);
    g_assert_true(qapi_equal(type, value, clone));
    qapi_free(type, value);
    qapi_free(type, clone);
}

static void check_sample(QapiTypeId type, unsigned tag)
{
    const QapiType *t = &qapi_types[type];
    g_autoptr(JsonValue) sample = sample_object(t, tag, 0);

    g_assert_true(is_accepted(type, sample, ""));
    check_round_trip(type, sample);
    check_members(type, sample, t);
    if (t->n_branches)
        check_members(type, sample, qapi_type_branch(t, tag));
}

static void test_members_of_every_type_are_checked(void)
{
    unsigned n_checked = 0;

    for (unsigned type = 1; type < qapi_n_types; type++) {
        const QapiType *t = &qapi_types[type];

        if (t->meta != QAPI_META_STRUCT)
            continue;
        for (unsigned tag = 0; tag < MAX(1, t->n_branches); tag++)
            check_sample((QapiTypeId)type, tag);
        n_checked++;
    }
    g_assert_cmpuint(n_checked, >, 50);
}

static void test_defaults_are_values_of_their_type(void)
{
    for (unsigned type = 1; type < qapi_n_types; type++) {
        const QapiType *t = &qapi_types[type];
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonValue) least = NULL;
        void *value;

        if (t->meta != QAPI_META_STRUCT)
            continue;
        least = sample_object(t, 0, DEPTH_MAX);
        value = qapi_parse((QapiTypeId)type, least, QAPI_INPUT_JSON, &error);
        g_assert_no_error(error);
        qapi_free((QapiTypeId)type, value);
    }
}

static void test_commands_are_in_order_of_their_names(void)
{
    for (unsigned i = 1; i < qmp_n_commands; i++)
        g_assert_cmpstr(qapi_text(qmp_commands[i - 1].name), <,
                        qapi_text(qmp_commands[i].name));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi-members/checked", test_members_of_every_type_are_checked);
    g_test_add_func("/qapi-members/defaults", test_defaults_are_values_of_their_type);
    g_test_add_func("/qapi-members/commands", test_commands_are_in_order_of_their_names);
    return g_test_run();
}
