/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the text of "-cpu" to a processor's description.
 *
 * Named models show the host's vendor, as in QEMU: a guest chooses by the vendor how to
 * enter its kernel and which errata to work around, and for that the host's processor
 * counts.
 */
#include <string.h>

#include "berth/error.h"

#include "cpu-spec.h"

#define EXTENDED 0x80000000u

/* What every model has on KVM beside its own features. */
static const CpuFeature kvm_on[] = {
    { CPU_WORD_KVM_EAX, 0 },    /* kvmclock, both of its bits */
    { CPU_WORD_KVM_EAX, 3 },
    { CPU_WORD_KVM_EAX, 1 },    /* kvm-nopiodelay */
    { CPU_WORD_KVM_EAX, 4 },    /* kvm-asyncpf */
    { CPU_WORD_KVM_EAX, 5 },    /* kvm-steal-time */
    { CPU_WORD_KVM_EAX, 6 },    /* kvm-pv-eoi */
    { CPU_WORD_KVM_EAX, 24 },   /* kvmclock-stable-bit */
};

static void apply_kvm(CpuSpec *spec, const CpuHost *host)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(kvm_on); i++)
        cpu_words_set(&spec->words, kvm_on[i], true);
    cpu_words_set(&spec->words, CPU_X2APIC, true);
    if (cpu_words_has(&host->words, CPU_EXT_DEST))
        cpu_words_set(&spec->words, CPU_EXT_DEST, true);
    cpu_words_set(&spec->words, CPU_ACPI, false);
    cpu_words_set(&spec->words, CPU_MONITOR, false);
    cpu_words_set(&spec->words, CPU_SVM, false);
}

void cpu_spec_init_row(CpuSpec *spec, const CpuModelRow *row, const CpuHost *host)
{
    *spec = (CpuSpec){
        .kind = CPU_KIND_NAMED,
        .is_amd = host->is_amd,
        .migratable = true,
        .family = row->family,
        .model = row->model,
        .stepping = row->stepping,
        .level = row->level,
        .xlevel = row->xlevel,
        .func7 = row->func7,
        .avx10 = row->avx10,
        .levels_v2 = row->levels_v2,
        .caches = row->caches,
        .words = row->words,
    };
    g_strlcpy(spec->name, row->name, sizeof(spec->name));
    g_strlcpy(spec->id, row->id, sizeof(spec->id));
    g_strlcpy(spec->vendor, *host->vendor ? host->vendor : row->vendor,
              sizeof(spec->vendor));
    apply_kvm(spec, host);
}

static void learn_signature(CpuSpec *spec, const CpuHost *host)
{
    const CpuidEntry *basic = cpu_leaf_find(host->cpuid, 1, 0);
    uint32_t eax = basic ? basic->regs[CPUID_EAX] : 0;

    spec->stepping = eax & 0xf;
    spec->model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);
    spec->family = eax >> 8 & 0xf;
    if (spec->family == 0xf)
        spec->family += eax >> 20 & 0xff;
}

static void learn_id(CpuSpec *spec, const CpuHost *host)
{
    for (unsigned i = 0; i < 3; i++) {
        const CpuidEntry *entry = cpu_leaf_find(host->cpuid, EXTENDED + 2 + i, 0);

        if (entry)
            memcpy(spec->id + i * 16, entry->regs, 16);
    }
    spec->id[48] = '\0';
}

static uint32_t last_leaf(const CpuHost *host, uint32_t first)
{
    const CpuidEntry *entry = cpu_leaf_find(host->cpuid, first, 0);

    return entry ? entry->regs[CPUID_EAX] : 0;
}

/*
 * The words of "host".  With "migratable" only what another host can be asked for by
 * name, and what a guest may take along.
 */
static void learn_words(CpuSpec *spec, const CpuOptions *options, const CpuHost *host)
{
    CpuWords named;

    cpu_features_named(&named);
    for (unsigned word = 0; word < CPU_WORD__MAX; word++) {
        const CpuWordInfo *info = cpu_features_word((CpuWord)word);
        uint64_t bits = host->words.bits[word] & ~(uint64_t)info->unasked;

        if (spec->migratable)
            bits &= named.bits[word] & ~(uint64_t)info->unmigratable;
        spec->words.bits[word] = bits;
    }
    if (options->tsc_hz > 0 && cpu_words_has(&host->words, CPU_INVTSC))
        cpu_words_set(&spec->words, CPU_INVTSC, true);
}

static void init_host(CpuSpec *spec, const CpuOptions *options, const CpuHost *host)
{
    *spec = (CpuSpec){
        .kind = CPU_KIND_HOST,
        .is_amd = host->is_amd,
        .migratable = options->migratable != CPU_SWITCH_OFF,
        .pmu = true,
        .host_phys_bits = true,
        .level = last_leaf(host, 0),
        .xlevel = last_leaf(host, EXTENDED),
    };
    g_strlcpy(spec->vendor, host->vendor, sizeof(spec->vendor));
    learn_signature(spec, host);
    learn_id(spec, host);
    learn_words(spec, options, host);
}

static void init_base(CpuSpec *spec, const CpuHost *host)
{
    *spec = (CpuSpec){
        .kind = CPU_KIND_BASE,
        .is_amd = host->is_amd,
        .migratable = true,
    };
    g_strlcpy(spec->vendor, host->vendor, sizeof(spec->vendor));
}

static bool init_named(CpuSpec *spec, const CpuOptions *options, const CpuHost *host,
                       GError **error)
{
    g_autoptr(CpuFeatureIndex) names = cpu_features_index_new();
    g_autoptr(CpuModels) models = cpu_models_new(names);
    const CpuModelRow *row = cpu_models_find(models, options->model);
    const char *refusal = cpu_models_refusal(options->model);

    if (row) {
        cpu_spec_init_row(spec, row, host);
        return true;
    }
    if (refusal)
        error_set(error, "CPU model '%s' is not offered: %s", options->model, refusal);
    else
        error_set(error, "unable to find CPU model '%s' (-cpu help lists them)",
                  options->model);
    return false;
}

static void apply_wishes(CpuSpec *spec, const CpuOptions *options)
{
    for (unsigned i = 0; i < options->wishes->len; i++) {
        const CpuFeatureWish *wish = &g_array_index(options->wishes, CpuFeatureWish, i);

        for (unsigned word = 0; word < CPU_WORD__MAX; word++) {
            uint64_t bits = wish->bits.bits[word];

            spec->wished.bits[word] |= bits;
            if (wish->on)
                spec->words.bits[word] |= bits;
            else
                spec->words.bits[word] &= ~bits;
        }
    }
}

static void set_number(unsigned *number, uint64_t option)
{
    if (option != CPU_NUMBER_UNSET)
        *number = (unsigned)option;
}

/* Levels that are given are taken as they are; minima raise what the model has. */
static void apply_levels(CpuSpec *spec, const CpuOptions *options)
{
    spec->level = MAX(spec->level, (uint32_t)options->min_level);
    spec->xlevel = MAX(spec->xlevel, (uint32_t)options->min_xlevel);
    set_number(&spec->level, options->level);
    set_number(&spec->xlevel, options->xlevel);
    set_number(&spec->func7, options->level_func7);
}

static void apply_identity(CpuSpec *spec, const CpuOptions *options)
{
    set_number(&spec->family, options->family);
    set_number(&spec->model, options->number);
    set_number(&spec->stepping, options->stepping);
    if (options->id) {
        memset(spec->id, 0, sizeof(spec->id));
        g_strlcpy(spec->id, options->id, sizeof(spec->id));
    }
    if (!options->vendor)
        return;
    g_strlcpy(spec->vendor, options->vendor, sizeof(spec->vendor));
    spec->is_amd =
        !strcmp(spec->vendor, "AuthenticAMD") || !strcmp(spec->vendor, "HygonGenuine");
}

static void apply_switches(CpuSpec *spec, const CpuOptions *options)
{
    if (options->pmu != CPU_SWITCH_UNSET)
        spec->pmu = options->pmu;
    spec->hides_counters = options->pmu == CPU_SWITCH_OFF;
    if (options->host_phys_bits != CPU_SWITCH_UNSET)
        spec->host_phys_bits = options->host_phys_bits;
    if (!spec->pmu)
        cpu_words_set(&spec->words, CPU_PDCM, false);
    if (options->host_cache_info == CPU_SWITCH_ON)
        spec->caches = NULL;
    else if (!spec->caches &&
             (spec->kind != CPU_KIND_HOST || options->host_cache_info == CPU_SWITCH_OFF))
        spec->caches = cpu_cache_generic(spec->is_amd);
}

bool cpu_spec_init(CpuSpec *spec, const CpuOptions *options, const CpuHost *host,
                   GError **error)
{
    bool is_host = !strcmp(options->model, "host") || !strcmp(options->model, "max");

    if (is_host)
        init_host(spec, options, host);
    else if (!strcmp(options->model, "base"))
        init_base(spec, host);
    else if (!init_named(spec, options, host, error))
        return false;
    if (!is_host && options->migratable == CPU_SWITCH_OFF) {
        error_set(error, "'migratable=off' is for the model 'host'; '%s' is what it is "
                  "on every host", options->model);
        return false;
    }
    g_strlcpy(spec->name, options->model, sizeof(spec->name));
    apply_identity(spec, options);
    apply_wishes(spec, options);
    apply_levels(spec, options);
    apply_switches(spec, options);
    return true;
}

void cpu_spec_fill_options(const CpuSpec *spec, CpuOptions *options)
{
    options->migratable = spec->migratable;
    options->pmu = spec->pmu;
    options->host_phys_bits = spec->host_phys_bits;
    options->host_cache_info = !spec->caches;
    options->family = spec->family;
    options->number = spec->model;
    options->stepping = spec->stepping;
    options->level = spec->level;
    options->xlevel = spec->xlevel;
    options->level_func7 = spec->func7;
    if (!options->vendor)
        options->vendor = g_strdup(spec->vendor);
    if (!options->id)
        options->id = g_strdup(spec->id);
    if (!options->hyperv.vendor)
        options->hyperv.vendor = g_strdup("");
}

uint32_t cpu_spec_signature(const CpuSpec *spec)
{
    uint32_t family = MIN(spec->family, 0xfu);

    return (spec->family - family) << 20 | (spec->model >> 4) << 16 | family << 8 |
           (spec->model & 0xf) << 4 | spec->stepping;
}
