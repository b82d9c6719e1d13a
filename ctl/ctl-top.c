/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "top": rates between two samples of each machine.  A machine that does not answer has a
 * line that says so, is asked again in the next round, and keeps no other waiting for
 * longer than the time-out.
 *
 * On a terminal a picture has the width and the height that the terminal has at that
 * moment; elsewhere it has all columns and all machines.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "berth/printable.h"

#include "ctl-columns.h"

#define CLEAR "\033[H\033[2J"
/* The least that a machine has for an answer, however short the interval is. */
#define ANSWER_NS NS_PER_SEC

typedef struct TopRow {
    CtlConn *conn;
    bool has_before;            /* an answer of an earlier round */
    CtlSample last;             /* the newest answer */
    char *failure;              /* of this round; NULL: it answered */
    CtlValues values;
} TopRow;

static void row_free(gpointer opaque)
{
    TopRow *row = opaque;

    ctl_sample_done(&row->last);
    ctl_conn_free(row->conn);
    g_free(row->failure);
    g_free(row);
}

static TopRow *find_row(const GPtrArray *rows, const char *path)
{
    for (guint i = 0; i < rows->len; i++) {
        TopRow *row = g_ptr_array_index(rows, i);

        if (strcmp(row->conn->path, path) == 0)
            return row;
    }
    return NULL;
}

/* Takes @conn. */
static void add_row(GPtrArray *rows, CtlConn *conn)
{
    TopRow *row = g_new0(TopRow, 1);

    row->conn = conn;
    g_ptr_array_add(rows, row);
}

/* Those that came; those that failed begin anew. */
static bool look_around(GPtrArray *rows, const CtlOptions *options, int argc, char **argv,
                        GError **error)
{
    g_autoptr(GPtrArray) found = NULL;

    for (guint i = rows->len; i > 0; i--) {
        const TopRow *row = g_ptr_array_index(rows, i - 1);

        if (row->conn->error)
            g_ptr_array_remove_index(rows, i - 1);
    }
    if (argc > 0) {
        for (int i = 0; i < argc; i++) {
            CtlConn *conn = ctl_conn_find(options, argv[i]);

            if (find_row(rows, conn->path))
                ctl_conn_free(conn);
            else
                add_row(rows, conn);
        }
        return true;
    }
    found = ctl_conn_find_all(options, error);
    if (!found)
        return false;
    for (guint i = 0; i < found->len; i++) {
        const CtlConn *conn = g_ptr_array_index(found, i);

        if (!find_row(rows, conn->path))
            add_row(rows, ctl_conn_new(conn->path));
    }
    return true;
}

static void ask_all(const GPtrArray *rows, int64_t timeout_ns)
{
    g_autofree CtlConn **conns = g_new(CtlConn *, rows->len);

    for (guint i = 0; i < rows->len; i++) {
        conns[i] = ((TopRow *)g_ptr_array_index(rows, i))->conn;
        g_ptr_array_set_size(conns[i]->events, 0);
        ctl_sample_request(conns[i]);
    }
    ctl_conn_exchange(conns, rows->len, ctl_conn_clock_ns() + timeout_ns);
}

static void read_row(TopRow *row)
{
    g_autoptr(GError) error = NULL;
    CtlSample now = { 0 };

    g_clear_pointer(&row->failure, g_free);
    if (!ctl_sample_read(row->conn, &now, &error)) {
        row->failure = printable_text(error->message);
        return;
    }
    ctl_columns_values(&now, row->has_before ? &row->last : NULL, &row->values);
    ctl_sample_done(&row->last);
    row->last = now;
    row->has_before = true;
}

/* The most first, those without an answer last; by their names what is equal. */
static int compare_rows(const void *left, const void *right, void *opaque)
{
    const TopRow *a = *(TopRow *const *)left, *b = *(TopRow *const *)right;
    unsigned sorted = ((const CtlOptions *)opaque)->sorted;
    int order = 0;

    if (!a->failure != !b->failure)
        return a->failure ? 1 : -1;
    if (a->failure || sorted == CTL_COLUMN_NAME)
        return strcmp(a->conn->name, b->conn->name);
    if (sorted == CTL_COLUMN_STATE)
        order = strcmp(a->last.state, b->last.state);
    else if (a->values.of[sorted] != b->values.of[sorted])
        order = a->values.of[sorted] > b->values.of[sorted] ? -1 : 1;
    return order != 0 ? order : strcmp(a->conn->name, b->conn->name);
}

static int longest_name(const GPtrArray *rows)
{
    size_t longest = 0;

    for (guint i = 0; i < rows->len; i++) {
        const TopRow *row = g_ptr_array_index(rows, i);

        longest = MAX(longest, strlen(row->conn->name));
    }
    return (int)MIN(longest, 255);
}

static void print_row(const CtlLayout *layout, const TopRow *row)
{
    if (row->failure)
        ctl_columns_print_text(layout, row->conn->name, row->failure);
    else
        ctl_columns_print(layout, row->conn->name, row->last.state, &row->values);
}

static void print_all(GPtrArray *rows, const CtlOptions *options)
{
    struct winsize size = { 0 };
    CtlLayout layout;
    guint n_fit = rows->len;

    for (guint i = 0; i < rows->len; i++)
        read_row(g_ptr_array_index(rows, i));
    g_ptr_array_sort_with_data(rows, compare_rows, (void *)options);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        printf(CLEAR);
    /* A line for the head, one for those that are left out, one for the cursor. */
    if (size.ws_row > 3 && rows->len > (guint)size.ws_row - 2)
        n_fit = (guint)size.ws_row - 3;
    ctl_columns_fit(size.ws_col, longest_name(rows), options->sorted, &layout);
    ctl_columns_print_head(&layout);
    for (guint i = 0; i < n_fit; i++)
        print_row(&layout, g_ptr_array_index(rows, i));
    if (n_fit < rows->len)
        printf("and %u more\n", rows->len - n_fit);
    fflush(stdout);
}

static void sleep_for(double seconds)
{
    struct timespec left = {
        .tv_sec = (time_t)seconds,
        .tv_nsec = (long)((seconds - (double)(time_t)seconds) * (double)NS_PER_SEC),
    };

    nanosleep(&left, NULL);
}

int ctl_top_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(row_free);
    int64_t half_ns = (int64_t)(options->interval * (double)NS_PER_SEC) / 2;
    int64_t answer_ns = MIN(options->timeout_ns, MAX(half_ns, ANSWER_NS));

    for (unsigned i = 0; options->n_rounds == 0 || i < options->n_rounds; i++) {
        if (i > 0)
            sleep_for(options->interval);
        if (!look_around(rows, options, argc, argv, error))
            return 1;
        ask_all(rows, i > 0 ? answer_ns : options->timeout_ns);
        print_all(rows, options);
    }
    return 0;
}
