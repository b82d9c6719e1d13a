/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading "-cpu MODEL,+feature,-feature,property=value".
 *
 * As in QEMU "feature=on|off" is done first, in order, then all "+feature", then all
 * "-feature".
 */
#include <string.h>

#include "berth/error.h"

#include "cpu-features.h"
#include "cpu-options.h"

#define PHYS_BITS_MIN 32
#define PHYS_BITS_MAX 52

static const char *const models[] = { "host", "max" };

typedef struct BoolProperty {
    const char *name;
    size_t offset;
} BoolProperty;

static const BoolProperty bool_properties[] = {
    { "migratable", offsetof(CpuOptions, migratable) },
    { "kvm", offsetof(CpuOptions, kvm) },
    { "check", offsetof(CpuOptions, check) },
    { "enforce", offsetof(CpuOptions, enforce) },
    { "pmu", offsetof(CpuOptions, pmu) },
    { "host-phys-bits", offsetof(CpuOptions, host_phys_bits) },
};

typedef struct NumberProperty {
    const char *name;
    size_t offset;
} NumberProperty;

static const NumberProperty number_properties[] = {
    { "host-phys-bits-limit", offsetof(CpuOptions, host_phys_bits_limit) },
    { "phys-bits", offsetof(CpuOptions, phys_bits) },
};

static bool check_model(const char *name, GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (!strcmp(models[i], name))
            return true;
    }
    error_set(error, "CPU model '%s' is not known; there are 'host' and 'max'", name);
    return false;
}

static bool parse_bool(const char *name, const char *value, bool *ret_value,
                       GError **error)
{
    if (!strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true"))
        *ret_value = true;
    else if (!strcmp(value, "off") || !strcmp(value, "no") || !strcmp(value, "false"))
        *ret_value = false;
    else {
        error_set(error, "parameter '%s' expects 'on' or 'off', not '%s'", name, value);
        return false;
    }
    return true;
}

static bool parse_bits(const char *name, const char *value, unsigned *ret_bits,
                       GError **error)
{
    guint64 bits;

    if (!g_ascii_string_to_unsigned(value, 10, PHYS_BITS_MIN, PHYS_BITS_MAX, &bits,
                                    NULL)) {
        error_set(error, "parameter '%s' expects a number from %d to %d, not '%s'", name,
                  PHYS_BITS_MIN, PHYS_BITS_MAX, value);
        return false;
    }
    *ret_bits = (unsigned)bits;
    return true;
}

static bool add_wish(GArray *wishes, const char *name, bool on, GError **error)
{
    CpuFeatureWish wish = { cpu_features_canonical(name), on };

    if (!wish.name) {
        error_set(error, "CPU feature or property '%s' is not known", name);
        return false;
    }
    g_array_append_val(wishes, wish);
    return true;
}

static bool parse_property(CpuOptions *options, const char *name, const char *value,
                           GError **error)
{
    char *base = (char *)options;
    bool on;

    for (unsigned i = 0; i < G_N_ELEMENTS(bool_properties); i++) {
        const BoolProperty *property = &bool_properties[i];

        if (!strcmp(property->name, name))
            return parse_bool(name, value, (bool *)(base + property->offset), error);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(number_properties); i++) {
        const NumberProperty *property = &number_properties[i];

        if (!strcmp(property->name, name))
            return parse_bits(name, value, (unsigned *)(base + property->offset), error);
    }
    if (!cpu_features_canonical(name))
        return add_wish(options->wishes, name, true, error);
    return parse_bool(name, value, &on, error) &&
           add_wish(options->wishes, name, on, error);
}

static bool parse_word(CpuOptions *options, const char *word, GArray *plus, GArray *minus,
                       GError **error)
{
    g_auto(GStrv) pair = NULL;

    if (word[0] == '+')
        return add_wish(plus, word + 1, true, error);
    if (word[0] == '-')
        return add_wish(minus, word + 1, false, error);
    pair = g_strsplit(word, "=", 2);
    if (!pair[0] || !*pair[0]) {
        error_set(error, "there is an empty word in the CPU's properties");
        return false;
    }
    return parse_property(options, pair[0], pair[1] ? pair[1] : "on", error);
}

bool cpu_options_parse(CpuOptions *options, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    g_autoptr(GArray) plus = g_array_new(FALSE, FALSE, sizeof(CpuFeatureWish));
    g_autoptr(GArray) minus = g_array_new(FALSE, FALSE, sizeof(CpuFeatureWish));

    *options = (CpuOptions){
        .migratable = true,
        .kvm = true,
        .check = true,
        .pmu = true,
        .host_phys_bits = true,
        .wishes = g_array_new(FALSE, FALSE, sizeof(CpuFeatureWish)),
    };
    if (!check_model(words[0] ? words[0] : "", error))
        return false;
    for (unsigned i = 1; words[i]; i++) {
        if (!parse_word(options, words[i], plus, minus, error))
            return false;
    }
    if (plus->len > 0)
        g_array_append_vals(options->wishes, plus->data, plus->len);
    if (minus->len > 0)
        g_array_append_vals(options->wishes, minus->data, minus->len);
    return true;
}

void cpu_options_done(CpuOptions *options)
{
    g_clear_pointer(&options->wishes, g_array_unref);
}
