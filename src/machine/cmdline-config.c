/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files, read line by line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "berth/error.h"

#include "cmdline-config.h"

/* With the end of the line. */
#define LINE_MAX_BYTES 65536
#define LINES_MAX 65536

#define KEY_CHARS G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_."

typedef struct Section {
    char *group;                /* NULL before the first */
    char *where;
    GString *pairs;
} Section;

static void section_done(Section *section)
{
    g_clear_pointer(&section->group, g_free);
    g_clear_pointer(&section->where, g_free);
    if (section->pairs)
        g_string_free(section->pairs, TRUE);
    section->pairs = NULL;
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Section, section_done)

static void append_pair(Section *section, const char *key, const char *value)
{
    GString *pairs = section->pairs;

    g_string_append_printf(pairs, "%s%s=", pairs->len ? "," : "", key);
    for (const char *p = value; *p; p++) {
        if (*p == ',')
            g_string_append_c(pairs, ',');
        g_string_append_c(pairs, *p);
    }
}

/* The text between quotes at *@at, which moves behind it; NULL when there is none. */
static char *take_quoted(char **at)
{
    char *start = *at + 1;
    char *end = **at == '"' ? strchr(start, '"') : NULL;

    if (!end)
        return NULL;
    *at = end + 1;
    return g_strndup(start, (gsize)(end - start));
}

/* [group] or [group "id"]. */
static bool begin_section(Section *section, char *line, const char *place, GError **error)
{
    size_t length = strcspn(line + 1, " \t\"]");
    char *at = line + 1 + length;
    g_autofree char *group = g_strndup(line + 1, length);
    g_autofree char *id = NULL;

    at += strspn(at, " \t");
    if (*at == '"')
        id = take_quoted(&at);
    if (!length || strcmp(at, "]") != 0) {
        error_set(error, "%s: expected [GROUP] or [GROUP \"ID\"]", place);
        return false;
    }
    section_done(section);
    section->group = g_steal_pointer(&group);
    section->where = g_strdup_printf("%s: [%s]", place, section->group);
    section->pairs = g_string_new(NULL);
    if (id)
        append_pair(section, "id", id);
    return true;
}

/* key = "value". */
static bool add_pair(Section *section, char *line, const char *place, GError **error)
{
    size_t length = strspn(line, KEY_CHARS);
    char *at = line + length;
    g_autofree char *key = g_strndup(line, length);
    g_autofree char *value = NULL;

    at += strspn(at, " \t");
    if (*at == '=') {
        at++;
        at += strspn(at, " \t");
        value = take_quoted(&at);
    }
    if (!length || !value || *at) {
        error_set(error, "%s: expected KEY = \"VALUE\"", place);
        return false;
    }
    if (!section->group) {
        error_set(error, "%s: there is no [GROUP] before '%s'", place, key);
        return false;
    }
    append_pair(section, key, value);
    return true;
}

static bool end_section(Section *section, CmdlineConfigFn *fn, void *opaque,
                        GError **error)
{
    if (!section->group ||
        fn(opaque, section->group, section->pairs->str, section->where, error))
        return true;
    g_prefix_error(error, "%s: ", section->where);
    return false;
}

static bool take_line(Section *section, char *line, const char *place,
                      CmdlineConfigFn *fn, void *opaque, GError **error)
{
    if (!*line || *line == '#')
        return true;
    if (*line != '[')
        return add_pair(section, line, place, error);
    return end_section(section, fn, opaque, error) &&
           begin_section(section, line, place, error);
}

static bool read_lines(FILE *file, const char *path, CmdlineConfigFn *fn, void *opaque,
                       GError **error)
{
    g_autofree char *line = g_malloc(LINE_MAX_BYTES);
    g_auto(Section) section = { 0 };
    unsigned number = 0;

    while (fgets(line, LINE_MAX_BYTES, file)) {
        g_autofree char *place = g_strdup_printf("%s:%u", path, ++number);

        if (!strchr(line, '\n') && !feof(file)) {
            error_set(error, "%s: the line is too long, or has a NUL", place);
            return false;
        }
        if (number > LINES_MAX) {
            error_set(error, "%s: there are more than %u lines", place, LINES_MAX);
            return false;
        }
        if (!take_line(&section, g_strstrip(line), place, fn, opaque, error))
            return false;
    }
    if (ferror(file)) {
        error_set_errno(error, errno, "cannot read '%s'", path);
        return false;
    }
    return end_section(&section, fn, opaque, error);
}

bool cmdline_config_read(const char *path, CmdlineConfigFn *fn, void *opaque,
                         GError **error)
{
    FILE *file = fopen(path, "re");
    bool good;

    if (!file) {
        error_set_errno(error, errno, "cannot open '%s'", path);
        return false;
    }
    good = read_lines(file, path, fn, opaque, error);
    fclose(file);
    return good;
}
