/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What QMP does not tell, times and resident memory, the host's /proc does: berthctl sees
 * of it what its user may.
 */
#include <stdio.h>
#include <string.h>

#include "berth/printable.h"

#include "ctl-sample.h"

/* The requests, in this order. */
typedef enum SampleReply {
    SAMPLE_STATUS,
    SAMPLE_CPUS,
    SAMPLE_MEMORY,
    SAMPLE_BALLOON,
    SAMPLE_DISKS,
    SAMPLE_NICS,
} SampleReply;

void ctl_sample_done(CtlSample *sample)
{
    g_clear_pointer(&sample->state, g_free);
}

void ctl_sample_request(CtlConn *conn)
{
    JsonValue *nics = json_new_object();

    json_set(nics, "target", json_new_string("nic"));
    ctl_conn_request(conn, "query-status", NULL);
    ctl_conn_request(conn, "query-cpus-fast", NULL);
    ctl_conn_request(conn, "query-memory-size-summary", NULL);
    ctl_conn_request(conn, "query-balloon", NULL);
    ctl_conn_request(conn, "query-blockstats", NULL);
    ctl_conn_request(conn, "query-stats", nics);
}

/* The two first numbers of a file of /proc, of which there are so many, or 0. */
static uint64_t read_number(const char *path, unsigned field)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    words = g_strsplit(g_strstrip(text), " ", -1);
    return field < g_strv_length(words) ? g_ascii_strtoull(words[field], NULL, 10) : 0;
}

/* The process that thread @tid is of; 0: it is not there, or not for us to see. */
static int process_of(uint64_t tid)
{
    g_autofree char *path = g_strdup_printf("/proc/%" PRIu64 "/status", tid);
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    line = strstr(text, "\nTgid:");
    return line ? (int)g_ascii_strtoll(line + strlen("\nTgid:"), NULL, 10) : 0;
}

static void read_vcpus(const JsonValue *cpus, CtlSample *sample)
{
    sample->n_vcpus = ctl_conn_length(cpus);
    for (size_t i = 0; i < ctl_conn_length(cpus); i++) {
        uint64_t tid = ctl_conn_number(json_at(cpus, i), "thread-id");
        g_autofree char *path = NULL;

        if (i == 0 && process_of(tid) > 0)
            sample->pid = process_of(tid);
        path = g_strdup_printf("/proc/%d/task/%" PRIu64 "/schedstat", sample->pid, tid);
        sample->vcpu_ns += read_number(path, 0);
    }
}

/* utime and stime of the process, which come behind its name in brackets. */
static uint64_t process_ns(int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    g_autofree char *text = NULL;
    unsigned long long user, system;
    const char *end;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    end = strrchr(text, ')');
    if (!end || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                       &user, &system) != 2)
        return 0;
    return (user + system) * (uint64_t)(NS_PER_SEC / sysconf(_SC_CLK_TCK));
}

static void read_process(CtlSample *sample)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/statm", sample->pid);

    sample->resident = read_number(path, 1) * (uint64_t)sysconf(_SC_PAGESIZE);
    sample->cpu_ns = process_ns(sample->pid);
}

static void read_disks(const JsonValue *disks, CtlSample *sample)
{
    for (size_t i = 0; i < ctl_conn_length(disks); i++) {
        const JsonValue *stats = json_member(json_at(disks, i), "stats");

        sample->read += ctl_conn_number(stats, "rd_bytes");
        sample->written += ctl_conn_number(stats, "wr_bytes");
    }
}

static void add_counter(const JsonValue *stat, CtlSample *sample)
{
    const char *name = ctl_conn_text(stat, "name");

    if (g_strcmp0(name, "rx_bytes") == 0)
        sample->received += ctl_conn_number(stat, "value");
    else if (g_strcmp0(name, "tx_bytes") == 0)
        sample->sent += ctl_conn_number(stat, "value");
}

static void read_nics(const JsonValue *results, CtlSample *sample)
{
    for (size_t i = 0; i < ctl_conn_length(results); i++) {
        const JsonValue *stats = json_member(json_at(results, i), "stats");

        for (size_t j = 0; j < ctl_conn_length(stats); j++)
            add_counter(json_at(stats, j), sample);
    }
}

bool ctl_sample_read(const CtlConn *conn, CtlSample *ret_sample, GError **error)
{
    const JsonValue *status = ctl_conn_return(conn, SAMPLE_STATUS, error);
    const JsonValue *cpus = ctl_conn_return(conn, SAMPLE_CPUS, NULL);
    const JsonValue *memory = ctl_conn_return(conn, SAMPLE_MEMORY, NULL);
    const JsonValue *balloon = ctl_conn_return(conn, SAMPLE_BALLOON, NULL);
    const JsonValue *disks = ctl_conn_return(conn, SAMPLE_DISKS, NULL);
    const JsonValue *nics = ctl_conn_return(conn, SAMPLE_NICS, NULL);
    const char *state = status ? ctl_conn_text(status, "status") : NULL;
    CtlSample sample = { .when_ns = ctl_conn_clock_ns(), .pid = ctl_conn_pid(conn) };

    if (!status)
        return false;
    if (!state) {
        error_set(error, "machine '%s': its answer is none", conn->name);
        return false;
    }
    sample.state = printable_text(state);
    read_vcpus(cpus, &sample);
    if (sample.pid > 0)
        read_process(&sample);
    sample.memory = ctl_conn_number(memory, "base-memory") +
                    ctl_conn_number(memory, "plugged-memory");
    sample.actual = balloon ? ctl_conn_number(balloon, "actual") : sample.memory;
    read_disks(disks, &sample);
    read_nics(nics, &sample);
    *ret_sample = sample;
    return true;
}

char *ctl_sample_size(double bytes)
{
    static const char units[] = "BKMGTPE";
    size_t unit = 0;

    while (bytes >= 999.5 && unit + 2 < sizeof(units)) {
        bytes /= KIB;
        unit++;
    }
    return g_strdup_printf(unit > 0 && bytes < 9.95 ? "%.1f%c" : "%.0f%c", bytes,
                           units[unit]);
}
