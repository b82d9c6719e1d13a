/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers about processor models.
 *
 * A static answer is "base", which has nothing, with every feature said: it means the
 * same for every version of berth, on every host.  A full answer names the model and says
 * all that can be said of it.  Neither looks at what the host lacks: that is told by the
 * list of definitions.
 */
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/error.h"

#include "cpu-filter.h"
#include "cpu-model.h"

/* Those that are no row of the table. */
static const char *const unnamed[] = { "base", "host", "max", NULL };

static void free_definition(gpointer data)
{
    CpuDefinition *definition = data;

    g_ptr_array_unref(definition->unavailable);
    g_free(definition);
}

/* Without a hypervisor: no leaf, no feature. */
static CpuHost *empty_host(void)
{
    return cpu_host_new(g_array_new(FALSE, FALSE, sizeof(CpuidEntry)),
                        g_array_new(FALSE, FALSE, sizeof(CpuidEntry)),
                        g_array_new(FALSE, FALSE, sizeof(CpuMsr)));
}

/* For who goes through them again and again: of CpuFeatureIter, each at a name. */
static GArray *all_features(void)
{
    GArray *features = g_array_new(FALSE, FALSE, sizeof(CpuFeatureIter));
    CpuFeatureIter iter;

    cpu_features_begin(&iter);
    while (cpu_features_next(&iter)) {
        if (!iter.again)
            g_array_append_val(features, iter);
    }
    return features;
}

static GPtrArray *names_among(const GArray *features, const CpuWords *words)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < features->len; i++) {
        const CpuFeatureIter *at = &g_array_index(features, CpuFeatureIter, i);

        if (words->bits[at->word] >> at->bit & 1)
            g_ptr_array_add(names, g_strdup(at->name));
    }
    return names;
}

static GPtrArray *names_of(const CpuWords *words)
{
    g_autoptr(GArray) features = all_features();

    return names_among(features, words);
}

static CpuDefinition *add_definition(GPtrArray *list, const char *name, const char *text)
{
    CpuDefinition *definition = g_new0(CpuDefinition, 1);

    g_strlcpy(definition->name, name, sizeof(definition->name));
    g_snprintf(definition->type, sizeof(definition->type), "%s" CPU_QUERY_TYPE_SUFFIX,
               name);
    g_strlcpy(definition->text, text, sizeof(definition->text));
    g_ptr_array_add(list, definition);
    return definition;
}

/* A version's brand string, and what it has more (+) or less (-) than the one before. */
static void describe(CpuDefinition *definition, const GArray *features,
                     const CpuModelRow *row, const CpuModelRow *before)
{
    g_autoptr(GString) text = g_string_new(row->id);

    for (guint i = 0; before && i < features->len; i++) {
        const CpuFeatureIter *at = &g_array_index(features, CpuFeatureIter, i);
        bool has = row->words.bits[at->word] >> at->bit & 1;

        if (has != (before->words.bits[at->word] >> at->bit & 1))
            g_string_append_printf(text, " %c%s", has ? '+' : '-', at->name);
    }
    if (text->len >= sizeof(definition->text))
        g_string_overwrite(text, sizeof(definition->text) - 4, "...");
    g_strlcpy(definition->text, text->str, sizeof(definition->text));
}

typedef struct Definitions {
    GPtrArray *list;
    const CpuHost *host;
    const GArray *features;
} Definitions;

static void add_row(Definitions *all, const char *name, const CpuModelRow *row,
                    const CpuWords *missing)
{
    CpuDefinition *definition = add_definition(all->list, name, "");

    definition->is_migration_safe = true;
    definition->unavailable = names_among(all->features, missing);
    if (strcmp(name, row->name) != 0) {
        g_strlcpy(definition->alias_of, row->name, sizeof(definition->alias_of));
        g_snprintf(definition->text, sizeof(definition->text), "(alias of %s)",
                   row->name);
    } else {
        describe(definition, all->features, row, row->version > 1 ? row - 1 : NULL);
    }
}

static void add_versions(Definitions *all, const CpuModelRow *row)
{
    CpuFilter quiet = { 0 };
    CpuWords missing = { { 0 } };
    CpuSpec spec;

    cpu_spec_init_row(&spec, row, all->host);
    cpu_filter_depend(&spec, false);
    cpu_filter_apply(&spec, all->host, &quiet, &missing, NULL);
    if (row->version == 1) {
        g_autofree char *name = cpu_models_unversioned(row);

        add_row(all, name, row, &missing);
    }
    if (*row->alias)
        add_row(all, row->alias, row, &missing);
    add_row(all, row->name, row, &missing);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    const CpuDefinition *const *left = a;
    const CpuDefinition *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

GPtrArray *cpu_query_definitions(const CpuHost *host)
{
    static const CpuWords none;
    g_autoptr(CpuHost) nothing = host ? NULL : empty_host();
    g_autoptr(CpuFeatureIndex) names = cpu_features_index_new();
    g_autoptr(CpuModels) models = cpu_models_new(names);
    g_autoptr(GArray) features = all_features();
    GPtrArray *list = g_ptr_array_new_with_free_func(free_definition);
    Definitions all = { list, host ? host : nothing, features };
    CpuDefinition *base;

    for (unsigned i = 0; i < models->n; i++)
        add_versions(&all, &models->rows[i]);
    g_ptr_array_sort(list, compare_names);
    base = add_definition(list, "base", "no feature at all, to begin with");
    base->is_static = true;
    base->is_migration_safe = true;
    base->unavailable = names_of(&none);
    add_definition(list, "host", "all that KVM offers of this host's processor")
        ->unavailable = names_of(&none);
    add_definition(list, "max", "the same as host")->unavailable = names_of(&none);
    return list;
}

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

GPtrArray *cpu_query_names(void)
{
    g_autoptr(CpuFeatureIndex) index = cpu_features_index_new();
    g_autoptr(CpuModels) models = cpu_models_new(index);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (unsigned i = 0; i < models->n; i++) {
        const CpuModelRow *row = &models->rows[i];

        if (row->version == 1)
            g_ptr_array_add(names, cpu_models_unversioned(row));
        if (*row->alias)
            g_ptr_array_add(names, g_strdup(row->alias));
        g_ptr_array_add(names, g_strdup(row->name));
    }
    g_ptr_array_sort(names, compare_texts);
    for (size_t i = 0; unnamed[i]; i++)
        g_ptr_array_add(names, g_strdup(unnamed[i]));
    return names;
}

char *cpu_query_model_of(const char *type)
{
    return g_str_has_suffix(type, CPU_QUERY_TYPE_SUFFIX)
        ? g_strndup(type, strlen(type) - strlen(CPU_QUERY_TYPE_SUFFIX)) : NULL;
}

bool cpu_query_exists(const char *name)
{
    g_autoptr(CpuFeatureIndex) index = NULL;
    g_autoptr(CpuModels) models = NULL;

    if (g_strv_contains(unnamed, name))
        return true;
    index = cpu_features_index_new();
    models = cpu_models_new(index);
    return cpu_models_find(models, name) != NULL;
}

bool cpu_query_check(const char *text, GError **error)
{
    g_auto(CpuOptions) options = { 0 };
    g_autoptr(CpuHost) host = empty_host();
    CpuSpec spec;

    cpu_options_init(&options);
    return cpu_options_parse(&options, text, error) &&
           cpu_spec_init(&spec, &options, host, error);
}

void cpu_query_clear(CpuAnswer *answer)
{
    g_clear_pointer(&answer->model, g_free);
    g_clear_pointer(&answer->props, json_unref);
}

/* A value of QMP in the form of the command line; the caller frees.  NULL for others. */
static char *text_of(const JsonValue *value)
{
    switch (json_kind(value)) {
    case JSON_BOOL:
        return g_strdup(json_as_bool(value) ? "on" : "off");
    case JSON_STRING:
        return g_strdup(json_as_string(value));
    case JSON_INT:
        return json_to_text(value);
    default:
        return NULL;
    }
}

static bool set_props(CpuOptions *options, const JsonValue *props, GError **error)
{
    JsonIter iter = { 0 };
    JsonValue *value;
    const char *name;

    while (props && json_next(props, &iter, &name, &value)) {
        g_autofree char *text = text_of(value);

        if (!text) {
            error_set(error, "Parameter 'props.%s' expects a bool, a number or a text",
                      name);
            return false;
        }
        if (!cpu_options_set(options, name, text, error))
            return false;
    }
    return true;
}

/* The model with its properties, as it would be on a host that has everything. */
static bool resolve(const CpuHost *host, const CpuQuery *query, CpuOptions *options,
                    CpuSpec *ret_spec, GError **error)
{
    cpu_options_init(options);
    options->model = g_strdup(query->model);
    if (!set_props(options, query->props, error) ||
        !cpu_spec_init(ret_spec, options, host, error))
        return false;
    cpu_filter_depend(ret_spec, false);
    return true;
}

static void put_features(JsonValue *props, const CpuWords *words)
{
    CpuFeatureIter iter;

    cpu_features_begin(&iter);
    while (cpu_features_next(&iter)) {
        if (!iter.again)
            json_set(props, iter.name,
                     json_new_bool(words->bits[iter.word] >> iter.bit & 1));
    }
}

static JsonValue *static_props(const CpuSpec *spec)
{
    JsonValue *props = json_new_object();

    put_features(props, &spec->words);
    json_set(props, "vendor", json_new_string(spec->vendor));
    json_set(props, "family", json_new_uint(spec->family));
    json_set(props, "model", json_new_uint(spec->model));
    json_set(props, "stepping", json_new_uint(spec->stepping));
    json_set(props, "model-id", json_new_string(spec->id));
    json_set(props, "min-level", json_new_uint(spec->level));
    json_set(props, "min-xlevel", json_new_uint(spec->xlevel));
    return props;
}

static JsonValue *full_props(const CpuSpec *spec, const CpuOptions *options)
{
    JsonValue *props = json_new_object();
    const CpuProperty *property;
    const char *name;

    put_features(props, &spec->words);
    for (unsigned i = 0; (property = cpu_options_property(i)); i++)
        json_set(props, cpu_options_name(property), cpu_options_get(property, options));
    for (unsigned i = 0; (name = cpu_hyperv_name(i)); i++)
        json_set(props, name,
                 json_new_bool(cpu_hyperv_has(&options->hyperv, (CpuHypervFeature)i)));
    return props;
}

bool cpu_query_expand(const CpuHost *host, const CpuQuery *query, bool is_static,
                      CpuAnswer *ret_answer, GError **error)
{
    g_autoptr(CpuHost) nothing = host ? NULL : empty_host();
    g_auto(CpuOptions) options = { 0 };
    CpuSpec spec;

    host = host ? host : nothing;
    if (!resolve(host, query, &options, &spec, error))
        return false;
    /* Passed through is what there is: that KVM has none of it is no error. */
    if (!cpu_hyperv_resolve(&options.hyperv, host, error))
        return false;
    cpu_spec_fill_options(&spec, &options);
    ret_answer->model = g_strdup(is_static ? "base" : query->model);
    ret_answer->props = is_static ? static_props(&spec) : full_props(&spec, &options);
    return true;
}

static void subtract(CpuWords *words, const CpuWords *other)
{
    for (unsigned word = 0; word < CPU_WORD__MAX; word++)
        words->bits[word] &= ~other->bits[word];
}

static bool is_empty(const CpuWords *words)
{
    uint64_t any = 0;

    for (unsigned word = 0; word < CPU_WORD__MAX; word++)
        any |= words->bits[word];
    return any == 0;
}

bool cpu_query_compare(const CpuHost *host, const CpuQuery *a, const CpuQuery *b,
                       CpuComparison *ret_result, GPtrArray **ret_names, GError **error)
{
    g_autoptr(CpuHost) nothing = host ? NULL : empty_host();
    g_auto(CpuOptions) a_options = { 0 };
    g_auto(CpuOptions) b_options = { 0 };
    CpuSpec a_spec, b_spec;
    CpuWords only_a, only_b, both;

    host = host ? host : nothing;
    if (!resolve(host, a, &a_options, &a_spec, error) ||
        !resolve(host, b, &b_options, &b_spec, error))
        return false;
    only_a = a_spec.words;
    only_b = b_spec.words;
    subtract(&only_a, &b_spec.words);
    subtract(&only_b, &a_spec.words);
    if (is_empty(&only_a))
        *ret_result =
            is_empty(&only_b) ? CPU_COMPARISON_IDENTICAL : CPU_COMPARISON_SUBSET;
    else
        *ret_result =
            is_empty(&only_b) ? CPU_COMPARISON_SUPERSET : CPU_COMPARISON_INCOMPATIBLE;
    for (unsigned word = 0; word < CPU_WORD__MAX; word++)
        both.bits[word] = only_a.bits[word] | only_b.bits[word];
    *ret_names = names_of(&both);
    return true;
}

bool cpu_query_baseline(const CpuHost *host, const CpuQuery *a, const CpuQuery *b,
                        CpuAnswer *ret_answer, GError **error)
{
    g_autoptr(CpuHost) nothing = host ? NULL : empty_host();
    g_auto(CpuOptions) a_options = { 0 };
    g_auto(CpuOptions) b_options = { 0 };
    CpuSpec a_spec, b_spec;

    host = host ? host : nothing;
    if (!resolve(host, a, &a_options, &a_spec, error) ||
        !resolve(host, b, &b_options, &b_spec, error))
        return false;
    for (unsigned word = 0; word < CPU_WORD__MAX; word++)
        a_spec.words.bits[word] &= b_spec.words.bits[word];
    a_spec.level = MIN(a_spec.level, b_spec.level);
    a_spec.xlevel = MIN(a_spec.xlevel, b_spec.xlevel);
    ret_answer->model = g_strdup("base");
    ret_answer->props = static_props(&a_spec);
    return true;
}

void cpu_query_properties(CpuPropertyFn *fn, void *opaque)
{
    const CpuProperty *property;
    CpuFeatureIter iter;
    const char *name;

    cpu_features_begin(&iter);
    while (cpu_features_next(&iter)) {
        if (!iter.again)
            fn(opaque, iter.name, "bool");
    }
    for (unsigned i = 0; (property = cpu_options_property(i)); i++)
        fn(opaque, cpu_options_name(property), cpu_options_type(property));
    for (unsigned i = 0; (name = cpu_hyperv_name(i)); i++)
        fn(opaque, name, "bool");
    fn(opaque, "unavailable-features", "strList");
}

static JsonValue *missing_names(const CpuModel *model)
{
    g_autoptr(GPtrArray) names = names_of(&model->missing);
    JsonValue *list = json_new_array();

    for (unsigned i = 0; i < names->len; i++)
        json_append(list, json_new_string(g_ptr_array_index(names, i)));
    return list;
}

JsonValue *cpu_query_property(CpuModel *model, const char *name)
{
    const CpuProperty *property;
    CpuHypervFeature feature;
    CpuWords bits;

    if (!model->names)
        model->names = cpu_features_index_new();
    if (cpu_features_index_find(model->names, name, &bits)) {
        subtract(&bits, &model->words);
        return json_new_bool(is_empty(&bits));
    }
    if (strcmp(name, "unavailable-features") == 0)
        return missing_names(model);
    for (unsigned i = 0; (property = cpu_options_property(i)); i++) {
        if (strcmp(cpu_options_name(property), name) == 0)
            return cpu_options_get(property, &model->options);
    }
    return cpu_hyperv_find(name, &feature)
        ? json_new_bool(cpu_hyperv_has(&model->options.hyperv, feature)) : NULL;
}
