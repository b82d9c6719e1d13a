/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading "-cpu MODEL,+feature,-feature,property=value".
 *
 * As in QEMU "feature=on|off" is done first, in order, then all "+feature", then all
 * "-feature"; '_' is '-' in every name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"

#include "cpu-options.h"

#define PHYS_BITS_MIN 32
#define PHYS_BITS_MAX 52

typedef enum PropertyKind {
    PROPERTY_SWITCH,
    PROPERTY_AUTO,              /* on, off or auto */
    PROPERTY_NUMBER,
    PROPERTY_TEXT,
} PropertyKind;

struct CpuProperty {
    char name[28];
    uint8_t kind;
    uint16_t offset;
    uint64_t min, max;          /* of a number, or of a text's length */
};

#define SWITCH(_name, _field) \
    { _name, PROPERTY_SWITCH, offsetof(CpuOptions, _field), 0, 0 }
#define NUMBER(_name, _field, _min, _max) \
    { _name, PROPERTY_NUMBER, offsetof(CpuOptions, _field), _min, _max }
#define TEXT(_name, _field, _min, _max) \
    { _name, PROPERTY_TEXT, offsetof(CpuOptions, _field), _min, _max }

static const CpuProperty properties[] = {
    SWITCH("migratable", migratable),
    SWITCH("kvm", kvm),
    SWITCH("check", check),
    SWITCH("enforce", enforce),
    SWITCH("pmu", pmu),
    SWITCH("host-phys-bits", host_phys_bits),
    SWITCH("host-cache-info", host_cache_info),
    SWITCH("l3-cache", l3_cache),
    SWITCH("cpuid-0xb", cpuid_0xb),
    SWITCH("vmware-cpuid-freq", vmware_cpuid_freq),
    SWITCH("kvm-pv-enforce-cpuid", kvm_pv_enforce_cpuid),
    SWITCH("hv-passthrough", hyperv.passthrough),
    SWITCH("hv-enforce-cpuid", hyperv.enforce_cpuid),
    { "hv-no-nonarch-coresharing", PROPERTY_AUTO,
      offsetof(CpuOptions, hyperv.no_nonarch_coresharing), 0, 0 },
    NUMBER("host-phys-bits-limit", host_phys_bits_limit, 0, PHYS_BITS_MAX),
    NUMBER("phys-bits", phys_bits, 0, PHYS_BITS_MAX),
    NUMBER("guest-phys-bits", guest_phys_bits, 0, PHYS_BITS_MAX),
    NUMBER("level", level, 0, UINT32_MAX),
    NUMBER("min-level", min_level, 0, UINT32_MAX),
    NUMBER("xlevel", xlevel, 0, UINT32_MAX),
    NUMBER("min-xlevel", min_xlevel, 0, UINT32_MAX),
    NUMBER("level-func7", level_func7, 0, UINT32_MAX),
    NUMBER("family", family, 0, 0xff + 0xf),
    NUMBER("model", number, 0, 0xff),
    NUMBER("stepping", stepping, 0, 0xf),
    NUMBER("tsc-frequency", tsc_hz, 0, INT64_MAX),
    NUMBER("ucode-rev", ucode_rev, 0, UINT64_MAX - 1),
    NUMBER("hv-spinlocks", hyperv.spinlocks, 0, UINT32_MAX),
    NUMBER("hv-version-id-build", hyperv.version_build, 0, UINT32_MAX),
    NUMBER("hv-version-id-major", hyperv.version_major, 0, UINT16_MAX),
    NUMBER("hv-version-id-minor", hyperv.version_minor, 0, UINT16_MAX),
    NUMBER("hv-version-id-spack", hyperv.version_spack, 0, UINT32_MAX),
    NUMBER("hv-version-id-sbranch", hyperv.version_sbranch, 0, UINT8_MAX),
    NUMBER("hv-version-id-snumber", hyperv.version_snumber, 0, 0xffffff),
    TEXT("vendor", vendor, 12, 12),
    TEXT("model-id", id, 0, 48),
    TEXT("hv-vendor-id", hyperv.vendor, 0, 12),
};

/* What QEMU has and berth has not, by the beginning of the name. */
static const struct {
    char name[16];
    char reason[64];
} refusals[] = {
    { "hv-syndbg", "there is no debugger of Hyper-V's kind" },
    { "x-", "it is for tests of QEMU's own" },
    { "tcg-cpuid", "there is no TCG" },
    { "xen-vapic", "there is no Xen interface" },
    { "lbr-fmt", "branch records come with 'host' only, as the host's KVM has them" },
    { "legacy-cache", "caches follow from the model's version" },
};

void cpu_options_init(CpuOptions *options)
{
    *options = (CpuOptions){
        .migratable = CPU_SWITCH_UNSET,
        .kvm = CPU_SWITCH_ON,
        .check = CPU_SWITCH_ON,
        .enforce = CPU_SWITCH_OFF,
        .pmu = CPU_SWITCH_UNSET,
        .host_phys_bits = CPU_SWITCH_UNSET,
        .host_cache_info = CPU_SWITCH_UNSET,
        .l3_cache = CPU_SWITCH_ON,
        .cpuid_0xb = CPU_SWITCH_ON,
        .vmware_cpuid_freq = CPU_SWITCH_ON,
        .guest_phys_bits = CPU_NUMBER_UNSET,
        .level = CPU_NUMBER_UNSET,
        .xlevel = CPU_NUMBER_UNSET,
        .level_func7 = CPU_NUMBER_UNSET,
        .family = CPU_NUMBER_UNSET,
        .number = CPU_NUMBER_UNSET,
        .stepping = CPU_NUMBER_UNSET,
        .ucode_rev = CPU_NUMBER_UNSET,
        .wishes = g_array_new(FALSE, FALSE, sizeof(CpuFeatureWish)),
    };
    cpu_hyperv_init(&options->hyperv);
}

void cpu_options_done(CpuOptions *options)
{
    g_clear_pointer(&options->model, g_free);
    g_clear_pointer(&options->vendor, g_free);
    g_clear_pointer(&options->id, g_free);
    g_clear_pointer(&options->wishes, g_array_unref);
    cpu_hyperv_done(&options->hyperv);
}

const CpuProperty *cpu_options_property(unsigned index)
{
    return index < G_N_ELEMENTS(properties) ? &properties[index] : NULL;
}

const char *cpu_options_name(const CpuProperty *property)
{
    return property->name;
}

const char *cpu_options_type(const CpuProperty *property)
{
    switch ((PropertyKind)property->kind) {
    case PROPERTY_SWITCH:
        return "bool";
    case PROPERTY_AUTO:
        return "OnOffAuto";
    case PROPERTY_NUMBER:
        return property->max > UINT32_MAX ? "uint64" : "uint32";
    case PROPERTY_TEXT:
        return "string";
    }
    g_assert_not_reached();
}

JsonValue *cpu_options_get(const CpuProperty *property, const CpuOptions *options)
{
    static const char *const autos[] = { "off", "on", "auto" };
    const void *field = (const char *)options + property->offset;
    uint64_t number;

    switch ((PropertyKind)property->kind) {
    case PROPERTY_SWITCH:
        return json_new_bool(*(const int8_t *)field > 0);
    case PROPERTY_AUTO:
        return json_new_string(autos[*(const int8_t *)field]);
    case PROPERTY_NUMBER:
        number = *(const uint64_t *)field;
        return json_new_uint(number == CPU_NUMBER_UNSET ? 0 : number);
    case PROPERTY_TEXT:
        return json_new_string(*(char *const *)field ? *(char *const *)field : "");
    }
    g_assert_not_reached();
}

static bool parse_switch(const char *name, const char *value, bool *ret_on,
                         GError **error)
{
    if (!strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true") ||
        !strcmp(value, "y")) {
        *ret_on = true;
        return true;
    }
    if (!strcmp(value, "off") || !strcmp(value, "no") || !strcmp(value, "false") ||
        !strcmp(value, "n")) {
        *ret_on = false;
        return true;
    }
    error_set(error, "parameter '%s' expects 'on' or 'off', not '%s'", name, value);
    return false;
}

static bool parse_number(const char *name, const char *value, uint64_t min, uint64_t max,
                         uint64_t *ret_number)
{
    bool is_hex = !g_ascii_strncasecmp(value, "0x", 2);
    guint64 number;

    if (!g_ascii_string_to_unsigned(is_hex ? value + 2 : value, is_hex ? 16 : 10, min,
                                    max, &number, NULL))
        return false;
    *ret_number = number;
    return true;
}

static bool set_number(const CpuProperty *property, const char *name, const char *value,
                       uint64_t *ret_number, GError **error)
{
    if (parse_number(name, value, property->min, property->max, ret_number))
        return true;
    error_set(error,
              "parameter '%s' expects a number from %" G_GUINT64_FORMAT
              " to %" G_GUINT64_FORMAT ", not '%s'",
              name, property->min, property->max, value);
    return false;
}

static bool set_text(const CpuProperty *property, const char *name, const char *value,
                     char **text, GError **error)
{
    size_t length = strlen(value);

    if (length < property->min || length > property->max) {
        error_set(error, "parameter '%s' expects %s%u characters, not '%s'", name,
                  property->min == property->max ? "" : "at most ",
                  (unsigned)property->max, value);
        return false;
    }
    g_free(*text);
    *text = g_strdup(value);
    return true;
}

static bool set_auto(const char *name, const char *value, int8_t *ret_value,
                     GError **error)
{
    bool on;

    if (!strcmp(value, "auto")) {
        *ret_value = 2;
        return true;
    }
    if (!parse_switch(name, value, &on, error))
        return false;
    *ret_value = on;
    return true;
}

static bool set_property(CpuOptions *options, const CpuProperty *property,
                         const char *value, GError **error)
{
    void *field = (char *)options + property->offset;
    bool on = false;

    switch ((PropertyKind)property->kind) {
    case PROPERTY_SWITCH:
        if (!parse_switch(property->name, value, &on, error))
            return false;
        *(int8_t *)field = on;
        return true;
    case PROPERTY_AUTO:
        return set_auto(property->name, value, field, error);
    case PROPERTY_NUMBER:
        return set_number(property, property->name, value, field, error);
    case PROPERTY_TEXT:
        return set_text(property, property->name, value, field, error);
    }
    g_assert_not_reached();
}

static bool set_unknown(const char *name, GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (!g_str_has_prefix(name, refusals[i].name))
            continue;
        error_set(error, "CPU property '%s' is not offered: %s", name,
                  refusals[i].reason);
        return false;
    }
    error_set(error, "CPU feature or property '%s' is not known", name);
    return false;
}

static bool add_wish(GArray *wishes, const char *name, bool on, GError **error)
{
    CpuFeatureWish wish = { .on = on };

    if (!cpu_features_find(name, &wish.bits))
        return set_unknown(name, error);
    g_strlcpy(wish.name, name, sizeof(wish.name));
    g_array_append_val(wishes, wish);
    return true;
}

/* "tsc-freq=2.4G": a number of Hz with a unit. */
static bool set_frequency(CpuOptions *options, const char *value, GError **error)
{
    static const char units[] = "kMGT";
    char *end;
    double hz = g_ascii_strtod(value, &end);
    const char *unit = *end ? strchr(units, *end == 'K' ? 'k' : *end) : NULL;

    for (int i = 0; unit && i <= unit - units; i++)
        hz *= 1000;
    if (end == value || (*end && (!unit || end[1])) || !(hz >= 0 && hz < 1e15)) {
        error_set(error, "parameter 'tsc-freq' expects a frequency such as 2.4G, not "
                  "'%s'", value);
        return false;
    }
    options->tsc_hz = (uint64_t)hz;
    return true;
}

static bool set_hyperv(CpuOptions *options, CpuHypervFeature feature, const char *name,
                       const char *value, GError **error)
{
    bool on;

    if (!parse_switch(name, value, &on, error))
        return false;
    if (on)
        options->hyperv.features |= 1u << feature;
    else
        options->hyperv.features &= ~(1u << feature);
    return true;
}

bool cpu_options_set(CpuOptions *options, const char *name, const char *value,
                     GError **error)
{
    g_autofree char *dashed = g_strdelimit(g_strdup(name), "_", '-');
    CpuHypervFeature feature;
    CpuWords bits;
    bool on;

    for (unsigned i = 0; i < G_N_ELEMENTS(properties); i++) {
        if (!strcmp(properties[i].name, dashed))
            return set_property(options, &properties[i], value, error);
    }
    if (!strcmp(dashed, "tsc-freq"))
        return set_frequency(options, value, error);
    if (cpu_hyperv_find(dashed, &feature))
        return set_hyperv(options, feature, dashed, value, error);
    if (!cpu_features_find(dashed, &bits))
        return set_unknown(name, error);
    return parse_switch(name, value, &on, error) &&
           add_wish(options->wishes, dashed, on, error);
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
    return cpu_options_set(options, pair[0], pair[1] ? pair[1] : "on", error);
}

/* Numbers that have a hole in their range. */
static bool check_numbers(const CpuOptions *options, GError **error)
{
    const struct {
        const char *name;
        uint64_t bits;
    } sizes[] = {
        { "phys-bits", options->phys_bits },
        { "host-phys-bits-limit", options->host_phys_bits_limit },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (sizes[i].bits == 0 || sizes[i].bits >= PHYS_BITS_MIN)
            continue;
        error_set(error, "parameter '%s' expects a number from %d to %d, or 0 for the "
                  "default", sizes[i].name, PHYS_BITS_MIN, PHYS_BITS_MAX);
        return false;
    }
    return true;
}

bool cpu_options_parse(CpuOptions *options, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    g_autoptr(GArray) plus = g_array_new(FALSE, FALSE, sizeof(CpuFeatureWish));
    g_autoptr(GArray) minus = g_array_new(FALSE, FALSE, sizeof(CpuFeatureWish));

    options->model = g_strdup(words[0] ? words[0] : "");
    for (unsigned i = 1; words[0] && words[i]; i++) {
        if (!parse_word(options, words[i], plus, minus, error))
            return false;
    }
    if (plus->len > 0)
        g_array_append_vals(options->wishes, plus->data, plus->len);
    if (minus->len > 0)
        g_array_append_vals(options->wishes, minus->data, minus->len);
    return check_numbers(options, error);
}
