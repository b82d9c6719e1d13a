/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "list" and "status".
 */
#include <stdio.h>

#include "berth/printable.h"

#include "ctl-sample.h"

#define ROW "%-20s %-16s %7s %5s %6s  %s\n"

static void print_row(const CtlConn *conn)
{
    g_autoptr(GError) error = NULL;
    CtlSample sample = { 0 };
    g_autofree char *vcpus = NULL;
    g_autofree char *memory = NULL;
    g_autofree char *pid = NULL;
    g_autofree char *path = NULL;

    if (!ctl_sample_read(conn, &sample, &error)) {
        g_autofree char *why = printable_text(error->message);

        printf(ROW, conn->name, "-", "-", "-", "-", why);
        return;
    }
    path = printable_text(conn->path);
    vcpus = g_strdup_printf("%" PRIu64, sample.n_vcpus);
    memory = ctl_sample_size((double)sample.memory);
    pid = sample.pid > 0 ? g_strdup_printf("%d", sample.pid) : g_strdup("-");
    printf(ROW, conn->name, sample.state, pid, vcpus, memory, path);
    ctl_sample_done(&sample);
}

int ctl_list_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(GPtrArray) conns = ctl_conn_find_all(options, error);

    if (!conns)
        return 1;
    for (guint i = 0; i < conns->len; i++)
        ctl_sample_request(g_ptr_array_index(conns, i));
    ctl_conn_exchange((CtlConn *const *)conns->pdata, conns->len,
                      ctl_conn_clock_ns() + options->timeout_ns);
    printf(ROW, "NAME", "STATE", "PID", "VCPUS", "RAM", "SOCKET");
    for (guint i = 0; i < conns->len; i++)
        print_row(g_ptr_array_index(conns, i));
    return 0;
}

static void print_size(const char *what, uint64_t bytes)
{
    g_autofree char *text = ctl_sample_size((double)bytes);

    printf("%-16s %s\n", what, text);
}

static void print_disk(const JsonValue *disk)
{
    const JsonValue *inserted = json_member(disk, "inserted");
    const char *drive = ctl_conn_text(disk, "device");
    const char *qdev = ctl_conn_text(disk, "qdev");
    const char *file = inserted ? ctl_conn_text(inserted, "file") : NULL;
    g_autofree char *name = printable_text(qdev ? qdev : drive ? drive : "");
    g_autofree char *medium = printable_text(file ? file : "no medium");

    printf("%-16s %s: %s\n", "disk", name, medium);
}

int ctl_list_status(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    CtlSample sample;
    const JsonValue *disks;

    ctl_sample_request(conn);
    ctl_conn_exchange(&conn, 1, ctl_conn_clock_ns() + options->timeout_ns);
    if (!ctl_sample_read(conn, &sample, error))
        return 1;
    printf("%-16s %s\n", "name", conn->name);
    printf("%-16s %s\n", "state", sample.state);
    printf("%-16s %d\n", "pid", sample.pid);
    printf("%-16s %" PRIu64 "\n", "vcpus", sample.n_vcpus);
    print_size("ram", sample.memory);
    print_size("balloon leaves", sample.actual);
    print_size("resident", sample.resident);
    print_size("disks read", sample.read);
    print_size("disks written", sample.written);
    print_size("net received", sample.received);
    print_size("net sent", sample.sent);
    ctl_sample_done(&sample);
    disks = ctl_conn_ask(conn, options, "query-block", NULL, error);
    for (size_t i = 0; i < ctl_conn_length(disks); i++)
        print_disk(json_at(disks, i));
    return disks ? 0 : 1;
}
