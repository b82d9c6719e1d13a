/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The language in which models are told, and its reader.
 *
 * A generation of processors is the one before and what it brought, and that is how a
 * model is written:
 *
 *     model NAME [like ROW]    version 1 of NAME; begins as ROW was, else with nothing
 *     version N [alias NAME]   the next version; begins as the one before was
 *     vendor TEXT              the rest says what differs from there
 *     cpu FAMILY MODEL STEPPING
 *     level N                  the last basic leaf
 *     xlevel HEX               the last extended leaf
 *     func7 N                  the last index of leaf 7
 *     avx10 N                  the version of AVX10
 *     topology 1f              has leaf 0x1f with one die, too
 *     caches NAME              a row of cpu-cache.c
 *     id TEXT                  the brand string
 *     + NAMES                  features that it has, too
 *     - NAMES                  features that it has not
 *
 * As text it costs no relocation, and nothing at all until a model is asked for by name.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu-models.h"

typedef struct Reader {
    const CpuFeatureIndex *names;
    GArray *rows;               /* of CpuModelRow */
} Reader;

static CpuModelRow *last_row(Reader *reader)
{
    g_assert(reader->rows->len > 0);
    return &g_array_index(reader->rows, CpuModelRow, reader->rows->len - 1);
}

static CpuModelRow *find_row(const GArray *rows, const char *name)
{
    for (unsigned i = 0; i < rows->len; i++) {
        CpuModelRow *row = &g_array_index(rows, CpuModelRow, i);

        if (!strcmp(row->name, name))
            return row;
    }
    return NULL;
}

static void read_model(Reader *reader, char *text)
{
    char *base = strstr(text, " like ");
    CpuModelRow row = { 0 };

    if (base) {
        const CpuModelRow *like = find_row(reader->rows, base + strlen(" like "));

        g_assert(like);
        *base = '\0';
        row = *like;
    }
    row.version = 1;
    row.alias[0] = '\0';
    g_snprintf(row.name, sizeof(row.name), "%s-v1", text);
    g_array_append_val(reader->rows, row);
}

static void read_version(Reader *reader, char *text)
{
    CpuModelRow row = *last_row(reader);
    g_autofree char *name = cpu_models_unversioned(&row);
    char *alias = strstr(text, " alias ");

    row.version = (unsigned)strtoul(text, NULL, 10);
    g_snprintf(row.name, sizeof(row.name), "%s-v%u", name, row.version);
    g_strlcpy(row.alias, alias ? alias + strlen(" alias ") : "", sizeof(row.alias));
    g_array_append_val(reader->rows, row);
}

static void read_vendor(Reader *reader, char *text)
{
    g_strlcpy(last_row(reader)->vendor, text, sizeof(last_row(reader)->vendor));
}

static void read_cpu(Reader *reader, char *text)
{
    CpuModelRow *row = last_row(reader);

    row->family = (unsigned)strtoul(text, &text, 10);
    row->model = (unsigned)strtoul(text, &text, 10);
    row->stepping = (unsigned)strtoul(text, &text, 10);
}

static void read_level(Reader *reader, char *text)
{
    last_row(reader)->level = (uint32_t)strtoul(text, NULL, 10);
}

static void read_xlevel(Reader *reader, char *text)
{
    last_row(reader)->xlevel = (uint32_t)strtoul(text, NULL, 16);
}

static void read_func7(Reader *reader, char *text)
{
    last_row(reader)->func7 = (unsigned)strtoul(text, NULL, 10);
}

static void read_avx10(Reader *reader, char *text)
{
    last_row(reader)->avx10 = (unsigned)strtoul(text, NULL, 10);
}

static void read_topology(Reader *reader, char *text)
{
    last_row(reader)->levels_v2 = true;
}

static void read_caches(Reader *reader, char *text)
{
    last_row(reader)->caches = cpu_cache_find(text);
    g_assert(last_row(reader)->caches);
}

static void read_id(Reader *reader, char *text)
{
    g_strlcpy(last_row(reader)->id, text, sizeof(last_row(reader)->id));
}

static void read_features(Reader *reader, char *text, bool on)
{
    CpuModelRow *row = last_row(reader);
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    for (unsigned i = 0; words[i]; i++) {
        CpuWords bits;

        if (!cpu_features_index_find(reader->names, words[i], &bits))
            g_assert_not_reached();
        for (unsigned w = 0; w < CPU_WORD__MAX; w++) {
            if (on)
                row->words.bits[w] |= bits.bits[w];
            else
                row->words.bits[w] &= ~bits.bits[w];
        }
    }
}

static void read_with(Reader *reader, char *text)
{
    read_features(reader, text, true);
}

static void read_without(Reader *reader, char *text)
{
    read_features(reader, text, false);
}

static const struct {
    char word[12];
    void (*read)(Reader *reader, char *text);
} statements[] = {
    { "+", read_with },           { "-", read_without },   { "model", read_model },
    { "version", read_version },  { "vendor", read_vendor }, { "cpu", read_cpu },
    { "level", read_level },      { "xlevel", read_xlevel }, { "func7", read_func7 },
    { "avx10", read_avx10 },      { "caches", read_caches }, { "id", read_id },
    { "topology", read_topology },
};

static void read_line(Reader *reader, char *line)
{
    char *blank = strchr(line, ' ');

    g_assert(blank);
    *blank = '\0';
    for (unsigned i = 0; i < G_N_ELEMENTS(statements); i++) {
        if (strcmp(statements[i].word, line))
            continue;
        statements[i].read(reader, blank + 1);
        return;
    }
    g_assert_not_reached();
}

static void read_text(Reader *reader, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        g_autofree char *line = g_strndup(text, length);

        read_line(reader, line);
        text += length + 1;
    }
}

CpuModels *cpu_models_new(const CpuFeatureIndex *names)
{
    CpuModels *models = g_new0(CpuModels, 1);
    Reader reader = {
        .names = names,
        .rows = g_array_sized_new(FALSE, FALSE, sizeof(CpuModelRow), 128),
    };
    gsize n;

    read_text(&reader, cpu_models_base);
    read_text(&reader, cpu_models_intel);
    read_text(&reader, cpu_models_amd);
    models->rows = (CpuModelRow *)(void *)g_array_steal(reader.rows, &n);
    models->n = (unsigned)n;
    g_array_unref(reader.rows);
    return models;
}

void cpu_models_free(CpuModels *models)
{
    if (!models)
        return;
    g_free(models->rows);
    g_free(models);
}

const CpuModelRow *cpu_models_find(const CpuModels *models, const char *name)
{
    g_autofree char *first = g_strconcat(name, "-v1", NULL);

    for (unsigned i = 0; i < models->n; i++) {
        const CpuModelRow *row = &models->rows[i];

        if (!strcmp(row->name, name) || !strcmp(row->name, first) ||
            (*row->alias && !strcmp(row->alias, name)))
            return row;
    }
    return NULL;
}

char *cpu_models_unversioned(const CpuModelRow *row)
{
    return g_strndup(row->name, (gsize)(strrchr(row->name, '-') - row->name));
}

/* Names of QEMU without a version, and why there is no such model here. */
static const struct {
    char name[12];
    char reason[40];
} refusals[] = {
    { "486", "it has no 64-bit mode" },
    { "athlon", "it has no 64-bit mode" },
    { "coreduo", "it has no 64-bit mode" },
    { "kvm32", "it has no 64-bit mode" },
    { "n270", "it has no 64-bit mode" },
    { "pentium", "it has no 64-bit mode" },
    { "pentium2", "it has no 64-bit mode" },
    { "pentium3", "it has no 64-bit mode" },
    { "qemu32", "it has no 64-bit mode" },
    { "phenom", "it is no server's processor" },
    { "KnightsMill", "it is no server's processor" },
    { "YongFeng", "Zhaoxin's processors are not known" },
};

const char *cpu_models_refusal(const char *name)
{
    const char *version = g_strrstr(name, "-v");
    size_t length = version ? (size_t)(version - name) : strlen(name);

    for (unsigned i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (strlen(refusals[i].name) == length &&
            !strncmp(refusals[i].name, name, length))
            return refusals[i].reason;
    }
    return NULL;
}
