/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a command, read as its row says, letter by letter:
 *
 *     s  a word, or a text in quotes     F, B, c, d, j, t, p  the same, of a name
 *     S  the rest of the line            O, h  the same: "key=value,...", a command
 *     i  an expression of 32 bits        l  one of 64 bits
 *     .  the same as i after a dot       b  on or off
 *     o  a size in MiB, or with a unit
 *     /  a format, "/4xw"                -x a flag
 *
 * What is read becomes a member of call->args; a format goes to the session's.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hmp-call.h"

#define COUNT_MAX 1000000u

typedef struct Spec {
    char name[32];
    char letter;                /* '-' of a flag */
    char flag;
    bool optional;
} Spec;

/* Takes one "name:letter" off *@at; false at the end. */
static bool next_spec(const char **at, Spec *spec)
{
    const char *colon = strchr(*at, ':');
    size_t size;

    if (!colon)
        return false;
    size = colon - *at;
    g_assert(size < sizeof(spec->name));
    *spec = (Spec) { .letter = colon[1] };
    memcpy(spec->name, *at, size);
    if (spec->letter == '-')
        spec->flag = colon[2];
    *at = colon + strcspn(colon, ",");
    spec->optional = (*at)[-1] == '?';
    *at += **at == ',';
    return true;
}

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

static bool read_escape(const char **at, GString *word, GError **error)
{
    static const struct {
        char name;
        char meaning;
    } escapes[] = { { 'n', '\n' }, { 'r', '\r' }, { '\\', '\\' },
                    { '\'', '\'' }, { '"', '"' } };

    for (size_t i = 0; i < G_N_ELEMENTS(escapes); i++) {
        if (**at == escapes[i].name) {
            g_string_append_c(word, escapes[i].meaning);
            (*at)++;
            return true;
        }
    }
    error_set(error, "unsupported escape code: '\\%c'", **at ? **at : ' ');
    return false;
}

static bool read_quoted(const char **at, GString *word, GError **error)
{
    while (**at != '"') {
        char c = *(*at)++;

        if (!c) {
            error_set(error, "unterminated string");
            return false;
        }
        if (c != '\\')
            g_string_append_c(word, c);
        else if (!read_escape(at, word, error))
            return false;
    }
    (*at)++;
    return true;
}

static bool read_word(HmpCall *call, const Spec *spec, const char **at, GError **error)
{
    g_autoptr(GString) word = g_string_new(NULL);
    g_autofree char *label = hmp_table_label(call->command);

    if (!**at) {
        error_set(error, "%s: %s expected", label,
                  spec->letter == 'F' ? "filename" :
                  spec->letter == 'B' ? "block device name" : "string");
        return false;
    }
    if (**at == '"') {
        (*at)++;
        if (!read_quoted(at, word, error))
            return false;
    } else {
        size_t size = strcspn(*at, " \t");

        g_string_append_len(word, *at, size);
        *at += size;
    }
    json_set(call->args, spec->name, json_new_string(word->str));
    return true;
}

static bool read_rest(HmpCall *call, const Spec *spec, const char **at, GError **error)
{
    g_autofree char *label = hmp_table_label(call->command);

    if (!**at) {
        error_set(error, "%s: string expected", label);
        return false;
    }
    json_set(call->args, spec->name, json_new_string(*at));
    *at += strlen(*at);
    return true;
}

static bool read_number(HmpCall *call, const Spec *spec, const char **at, GError **error)
{
    int64_t value;

    if (!hmp_expression_read(call, at, &value, error))
        return false;
    if (spec->letter != 'l' && (value >> 32) != 0 && (value >> 32) != -1) {
        error_set(error, "integer is for 32-bit values");
        return false;
    }
    json_set(call->args, spec->name, json_new_int(value));
    return true;
}

/* ".5" right behind the word before; nothing where there is no dot. */
static bool read_dotted(HmpCall *call, const Spec *spec, const char **at, GError **error)
{
    if (**at != '.')
        return true;
    (*at)++;
    return read_number(call, spec, at, error);
}

/* The shift of a unit; -1 of what is none. */
static int unit_shift(char unit)
{
    static const char units[] = "bkmgtpe";
    const char *at = unit ? strchr(units, g_ascii_tolower(unit)) : NULL;

    return at ? (int)(at - units) * 10 : -1;
}

static bool read_size(HmpCall *call, const Spec *spec, const char **at, GError **error)
{
    size_t n_digits = strspn(*at, "0123456789");
    size_t size = strcspn(*at, " \t");
    int shift = size == n_digits ? 20 : unit_shift((*at)[n_digits]);
    uint64_t number;

    errno = 0;
    number = strtoull(*at, NULL, 10);
    if (n_digits == 0 || size > n_digits + 1 || shift < 0 || errno ||
        number > (uint64_t)INT64_MAX >> shift) {
        error_set(error, "invalid size");
        return false;
    }
    json_set(call->args, spec->name, json_new_int((int64_t)(number << shift)));
    *at += size;
    return true;
}

static bool read_switch(HmpCall *call, const Spec *spec, const char **at, GError **error)
{
    size_t size = strcspn(*at, " \t");
    bool on = size == 2 && memcmp(*at, "on", 2) == 0;

    if (!on && (size != 3 || memcmp(*at, "off", 3) != 0)) {
        error_set(error, "Expected 'on' or 'off'");
        return false;
    }
    json_set(call->args, spec->name, json_new_bool(on));
    *at += size;
    return true;
}

static unsigned read_count(const char **at)
{
    unsigned long count;
    char *end;

    if (!isdigit((unsigned char)**at))
        return 1;
    count = strtoul(*at, &end, 10);
    *at = end;
    return (unsigned)MIN(count, COUNT_MAX);
}

static unsigned size_of_letter(char letter)
{
    switch (letter) {
    case 'b':
        return 1;
    case 'h':
        return 2;
    case 'w':
        return 4;
    case 'g':
    case 'L':
        return 8;
    default:
        return 0;
    }
}

static bool read_format(HmpCall *call, const char **at, GError **error)
{
    HmpFormat *format = &call->state->format;

    format->count = 1;
    if (**at == '/') {
        (*at)++;
        format->count = read_count(at);
        for (; **at && !strchr(" \t", **at); (*at)++) {
            unsigned size = size_of_letter(**at);

            if (size) {
                format->size = size;
            } else if (strchr("xduoci", **at)) {
                format->letter = **at;
            } else {
                error_set(error, "invalid char in format: '%c'", **at);
                return false;
            }
        }
    }
    return true;
}

static bool read_one(HmpCall *call, const Spec *spec, const char **at, GError **error)
{
    switch (spec->letter) {
    case 'S':
    case 'O':
    case 'h':
        return read_rest(call, spec, at, error);
    case 'i':
    case 'l':
        return read_number(call, spec, at, error);
    case '.':
        return read_dotted(call, spec, at, error);
    case 'o':
        return read_size(call, spec, at, error);
    case 'b':
        return read_switch(call, spec, at, error);
    case '/':
        return read_format(call, at, error);
    default:
        return read_word(call, spec, at, error);
    }
}

/* The flag @letter of the row, if it has it. */
static bool find_flag(const char *specs, char letter, Spec *ret_spec)
{
    while (next_spec(&specs, ret_spec)) {
        if (ret_spec->letter == '-' && ret_spec->flag == letter)
            return true;
    }
    return false;
}

/* Flags come in any order where the row has the first. */
static bool read_flags(HmpCall *call, const char **at, GError **error)
{
    g_autofree char *label = hmp_table_label(call->command);

    while ((*at)[0] == '-' && (*at)[1] && (!(*at)[2] || strchr(" \t", (*at)[2]))) {
        Spec spec;

        if (!find_flag(qapi_text(call->command->args), (*at)[1], &spec)) {
            error_set(error, "%s: unsupported option -%c", label, (*at)[1]);
            return false;
        }
        json_set(call->args, spec.name, json_new_bool(true));
        *at = skip_space(*at + 2);
    }
    return true;
}

bool hmp_args_read(HmpCall *call, const char *text, GError **error)
{
    const char *specs = qapi_text(call->command->args);
    Spec spec;

    while (next_spec(&specs, &spec)) {
        bool done;

        text = skip_space(text);
        if (spec.optional && !*text)
            continue;
        if (spec.letter == '-')
            done = read_flags(call, &text, error);
        else
            done = read_one(call, &spec, &text, error);
        if (!done)
            return false;
    }
    text = skip_space(text);
    if (*text) {
        g_autofree char *label = hmp_table_label(call->command);

        error_set(error, "%s: extraneous characters at the end of line", label);
        return false;
    }
    return true;
}
