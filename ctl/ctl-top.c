/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "top": rates between two samples of each machine.  A machine that does not answer has a
 * row that says so, is asked again in the next round, and keeps no other waiting for
 * longer than the time-out.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl-sample.h"

#define HEAD "%-18s %-10s %5s %6s %6s %6s %6s %6s %7s %7s %7s %7s\n"
#define CLEAR "\033[H\033[2J"
/* The least that a machine has for an answer, however short the interval is. */
#define ANSWER_NS NS_PER_SEC

typedef struct TopRow {
    CtlConn *conn;
    bool has_before;
    CtlSample before;
} TopRow;

static void row_free(gpointer opaque)
{
    TopRow *row = opaque;

    ctl_sample_done(&row->before);
    ctl_conn_free(row->conn);
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

static void print_rate(const TopRow *row, uint64_t now, uint64_t before, double seconds)
{
    g_autofree char *text = NULL;

    if (row->has_before && seconds > 0 && now >= before)
        text = ctl_sample_size((double)(now - before) / seconds);
    printf(" %7s", text ? text : "-");
}

/* Of one processor. */
static void print_percent(const TopRow *row, uint64_t now_ns, uint64_t before_ns,
                          double seconds)
{
    if (row->has_before && seconds > 0 && now_ns >= before_ns)
        printf(" %6.1f", (double)(now_ns - before_ns) / NS_PER_SEC / seconds * 100);
    else
        printf(" %6s", "-");
}

static void print_size(uint64_t bytes)
{
    g_autofree char *text = ctl_sample_size((double)bytes);

    printf(" %6s", text);
}

static void print_row(TopRow *row)
{
    const CtlSample *before = &row->before;
    g_autoptr(GError) error = NULL;
    CtlSample now = { 0 };
    double seconds;

    printf("%-18.18s", row->conn->name);
    if (!ctl_sample_read(row->conn, &now, &error)) {
        printf(" %s\n", error->message);
        return;
    }
    seconds = (double)(now.when_ns - before->when_ns) / NS_PER_SEC;
    printf(" %-10.10s %5u", now.state, now.n_vcpus);
    print_percent(row, now.vcpu_ns, before->vcpu_ns, seconds);
    print_percent(row, now.cpu_ns, before->cpu_ns, seconds);
    print_size(now.resident);
    print_size(now.memory);
    print_size(now.actual);
    print_rate(row, now.read, before->read, seconds);
    print_rate(row, now.written, before->written, seconds);
    print_rate(row, now.received, before->received, seconds);
    print_rate(row, now.sent, before->sent, seconds);
    printf("\n");
    ctl_sample_done(&row->before);
    row->before = now;
    row->has_before = true;
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

static void print_all(const GPtrArray *rows, bool clears)
{
    printf("%s" HEAD, clears ? CLEAR : "", "NAME", "STATE", "VCPUS", "VCPU%", "CPU%",
           "RSS", "RAM", "LEFT", "READ/s", "WRITE/s", "RX/s", "TX/s");
    for (guint i = 0; i < rows->len; i++)
        print_row(g_ptr_array_index(rows, i));
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
    bool clears = isatty(STDOUT_FILENO);

    for (unsigned i = 0; options->n_rounds == 0 || i < options->n_rounds; i++) {
        if (i > 0)
            sleep_for(options->interval);
        if (!look_around(rows, options, argc, argv, error))
            return 1;
        ask_all(rows, i > 0 ? answer_ns : options->timeout_ns);
        print_all(rows, clears);
    }
    return 0;
}
