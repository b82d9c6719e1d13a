/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line editing.  After each key the terminal is brought from what it shows to what it
 * is to show: if the text has changed, back to its beginning and all of it once more;
 * then the cursor moves.
 */
#include <string.h>

#include "hmp-line.h"

#define CURSOR_LEFT "\033[D"
#define CURSOR_RIGHT "\033[C"
#define ERASE_TO_END "\033[K"
#define CLEAR_SCREEN "\033[2J\033[1;1H"
#define PARAMETER_MAX 1000

enum {
    KEY_CTRL_A = 1,
    KEY_CTRL_D = 4,
    KEY_CTRL_E = 5,
    KEY_CTRL_L = 12,
    KEY_CTRL_W = 23,
    KEY_ESC = 27,
    KEY_DELETE = 127,
    KEY_CSI = 155,              /* ESC [ in one byte */
};

void hmp_line_done(HmpLine *line)
{
    if (line->text)
        g_string_free(line->text, true);
    if (line->shown)
        g_string_free(line->shown, true);
    g_clear_pointer(&line->history, g_ptr_array_unref);
    *line = (HmpLine) { 0 };
}

static size_t size_of(const HmpLine *line)
{
    return line->text ? line->text->len : 0;
}

static void need_text(HmpLine *line)
{
    if (line->text)
        return;
    line->text = g_string_new(NULL);
    line->shown = g_string_new(NULL);
}

static void move(GString *out, const char *step, size_t n)
{
    for (; n > 0; n--)
        g_string_append(out, step);
}

void hmp_line_update(HmpLine *line, GString *out)
{
    if (!line->text)
        return;
    if (!g_string_equal(line->text, line->shown)) {
        move(out, CURSOR_LEFT, line->shown_cursor);
        g_string_append_len(out, line->text->str, line->text->len);
        g_string_append(out, ERASE_TO_END);
        g_string_truncate(line->shown, 0);
        g_string_append_len(line->shown, line->text->str, line->text->len);
        line->shown_cursor = line->text->len;
    }
    if (line->cursor > line->shown_cursor)
        move(out, CURSOR_RIGHT, line->cursor - line->shown_cursor);
    else
        move(out, CURSOR_LEFT, line->shown_cursor - line->cursor);
    line->shown_cursor = line->cursor;
}

static void show_prompt(HmpLine *line, GString *out)
{
    g_string_append(out, "(qemu) ");
    line->shown_cursor = 0;
    if (line->shown)
        g_string_truncate(line->shown, 0);
}

static void empty(HmpLine *line)
{
    if (line->text)
        g_string_truncate(line->text, 0);
    if (line->shown)
        g_string_truncate(line->shown, 0);
    line->cursor = 0;
    line->shown_cursor = 0;
    line->key = HMP_KEY_PLAIN;
    line->browsed = 0;
}

void hmp_line_prompt(HmpLine *line, GString *out)
{
    empty(line);
    show_prompt(line, out);
}

void hmp_line_show_again(HmpLine *line, GString *out)
{
    show_prompt(line, out);
    hmp_line_update(line, out);
}

char *hmp_line_before_cursor(const HmpLine *line)
{
    return g_strndup(line->text ? line->text->str : "", line->cursor);
}

void hmp_line_insert(HmpLine *line, const char *text)
{
    size_t size = MIN(strlen(text), HMP_LINE_MAX - size_of(line));

    need_text(line);
    g_string_insert_len(line->text, line->cursor, text, size);
    line->cursor += size;
}

static void erase(HmpLine *line, size_t from, size_t to)
{
    if (from == to)
        return;
    g_string_erase(line->text, from, to - from);
    line->cursor = from;
}

/* The word before the cursor, and the space behind it. */
static void erase_word(HmpLine *line)
{
    size_t from = line->cursor;

    while (from > 0 && line->text->str[from - 1] == ' ')
        from--;
    while (from > 0 && line->text->str[from - 1] != ' ')
        from--;
    erase(line, from, line->cursor);
}

static void drop_line(HmpLine *line, guint index)
{
    line->history_size -= strlen(g_ptr_array_index(line->history, index));
    g_ptr_array_remove_index(line->history, index);
}

/* A line that is there already becomes the newest. */
static void remember(HmpLine *line, const char *text)
{
    if (!*text)
        return;
    if (!line->history)
        line->history = g_ptr_array_new_with_free_func(g_free);
    for (guint i = line->history->len; i-- > 0;) {
        if (strcmp(g_ptr_array_index(line->history, i), text) == 0)
            drop_line(line, i);
    }
    g_ptr_array_add(line->history, g_strdup(text));
    line->history_size += strlen(text);
    while (line->history->len > HMP_HISTORY_LINES ||
           line->history_size > HMP_HISTORY_SIZE)
        drop_line(line, 0);
}

/* The line @back lines before this one in place of it; 0 is a new one. */
static void browse(HmpLine *line, unsigned back)
{
    const char *text = "";

    if (!line->history || back > line->history->len)
        return;
    if (back > 0)
        text = g_ptr_array_index(line->history, line->history->len - back);
    need_text(line);
    g_string_assign(line->text, text);
    line->cursor = line->text->len;
    line->browsed = back;
}

static void key_after_csi(HmpLine *line, uint8_t key)
{
    if (g_ascii_isdigit(key)) {
        line->parameter = MIN(line->parameter * 10 + (key - '0'), PARAMETER_MAX);
        return;
    }
    line->key = HMP_KEY_PLAIN;
    if (key == 'A')
        browse(line, line->browsed + 1);
    else if (key == 'B' && line->browsed > 0)
        browse(line, line->browsed - 1);
    else if (key == 'C')
        line->cursor = MIN(line->cursor + 1, size_of(line));
    else if (key == 'D')
        line->cursor -= line->cursor > 0;
    else if (key == 'H' || (key == '~' && line->parameter == 1))
        line->cursor = 0;
    else if (key == 'F' || (key == '~' && line->parameter == 4))
        line->cursor = size_of(line);
    else if (key == '~' && line->parameter == 3)
        erase(line, line->cursor, MIN(line->cursor + 1, size_of(line)));
}

/* True when @key belongs to one of several bytes. */
static bool take_key_of_several(HmpLine *line, uint8_t key)
{
    switch (line->key) {
    case HMP_KEY_PLAIN:
        if (key != KEY_ESC && key != KEY_CSI)
            return false;
        line->key = key == KEY_ESC ? HMP_KEY_ESC : HMP_KEY_CSI;
        line->parameter = 0;
        break;
    case HMP_KEY_ESC:
        line->key = key == '[' ? HMP_KEY_CSI : key == 'O' ? HMP_KEY_SS3 : HMP_KEY_PLAIN;
        break;
    case HMP_KEY_CSI:
    case HMP_KEY_SS3:
        key_after_csi(line, key);
        break;
    }
    return true;
}

static void edit(HmpLine *line, uint8_t key)
{
    char text[] = { (char)key, '\0' };

    switch (key) {
    case KEY_CTRL_A:
        line->cursor = 0;
        break;
    case KEY_CTRL_D:
        erase(line, line->cursor, MIN(line->cursor + 1, size_of(line)));
        break;
    case KEY_CTRL_E:
        line->cursor = size_of(line);
        break;
    case KEY_CTRL_W:
        erase_word(line);
        break;
    case '\b':
    case KEY_DELETE:
        erase(line, line->cursor - (line->cursor > 0), line->cursor);
        break;
    default:
        if (key >= ' ')
            hmp_line_insert(line, text);
    }
}

HmpLineResult hmp_line_key(HmpLine *line, uint8_t key, GString *out)
{
    HmpLineResult result = HMP_LINE_EDITED;

    if (!take_key_of_several(line, key)) {
        if (key == '\r' || key == '\n') {
            g_string_append(out, "\r\n");
            return HMP_LINE_ENTERED;
        }
        if (key == KEY_CTRL_L) {
            g_string_append(out, CLEAR_SCREEN);
            show_prompt(line, out);
        } else if (key == '\t') {
            result = HMP_LINE_COMPLETE;
        } else {
            edit(line, key);
        }
    }
    hmp_line_update(line, out);
    return result;
}

char *hmp_line_take(HmpLine *line)
{
    char *text = g_strdup(line->text ? line->text->str : "");

    empty(line);
    remember(line, text);
    return text;
}
