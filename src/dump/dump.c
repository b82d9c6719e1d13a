/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dump as a job of a worker: first the file is opened, then, when the guest stands
 * still, it is written.
 *
 * While the worker has a job, the job's fields under "worker" are its own; main reads
 * `completed` and sets `cancelled` besides.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "berth/dump.h"
#include "berth/error.h"
#include "berth/worker.h"

#include "dump-private.h"

typedef bool DumpWriteFn(const DumpSource *source, DumpSink *sink, GError **error);

struct DumpJob {
    const DumpJobOps *ops;
    void *opaque;
    DumpOptions options;
    DumpRange range;
    DumpWriteFn *write_format;
    char *path;                 /* NULL: @fd was given */
    WorkerPool pool;
    WorkerJob open;
    WorkerJob write;
    uint64_t total;
    bool cancelled;             /* atomic */
    int cancel_fd;
    uint64_t completed;         /* atomic */

    /* worker */
    int fd;
    DumpGuest guest;
    GArray *areas;              /* of DumpArea */
    GError *error;
};

typedef struct FormatRow {
    DumpWriteFn *write;
    const char *reason;         /* why not, when there is no function */
} FormatRow;

#define NOT_BUILT "this build compresses with zlib only"

static const FormatRow formats[DUMP_GUEST_MEMORY_FORMAT__MAX] = {
    [DUMP_GUEST_MEMORY_FORMAT_ELF] = { dump_elf_write, NULL },
    [DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB] = { dump_kdump_write, NULL },
    [DUMP_GUEST_MEMORY_FORMAT_KDUMP_LZO] = { NULL, NOT_BUILT },
    [DUMP_GUEST_MEMORY_FORMAT_KDUMP_SNAPPY] = { NULL, NOT_BUILT },
    [DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_ZLIB] = { dump_kdump_write, NULL },
    [DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_LZO] = { NULL, NOT_BUILT },
    [DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_SNAPPY] = { NULL, NOT_BUILT },
    [DUMP_GUEST_MEMORY_FORMAT_WIN_DMP] = {
        NULL, "it needs what only a Windows guest's vmcoreinfo driver tells, "
        "which is not read" },
};

bool dump_format_check(DumpGuestMemoryFormat format, GError **error)
{
    if (formats[format].write)
        return true;
    error_set(error, "the dump format '%s' is not available: %s",
              DumpGuestMemoryFormat_str(format), formats[format].reason);
    return false;
}

/*
 * Not waiting: a FIFO that nobody reads is an error, as a reader that comes later would
 * have nothing to tell it apart from one that hangs.
 */
static void open_file(void *opaque)
{
    DumpJob *job = opaque;

    if (!job->path)
        return;
    job->fd = open(job->path,
                   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                   0600);
    if (job->fd < 0)
        error_set_errno(&job->error, errno, "cannot open '%s'", job->path);
}

static void on_opened(void *opaque)
{
    DumpJob *job = opaque;

    job->ops->opened(job->opaque, job->error);
}

/* A file on a network may tell at its end that there was no room. */
static void close_file(DumpJob *job)
{
    if (close(job->fd) < 0 && !job->error && errno != EINTR)
        error_set_errno(&job->error, errno, "cannot write the dump");
    job->fd = -1;
}

static void write_file(void *opaque)
{
    DumpJob *job = opaque;
    const DumpSource source = {
        .options = &job->options,
        .guest = job->guest,
        .areas = job->areas,
        .range = job->range,
        .cancelled = &job->cancelled,
        .completed = &job->completed,
    };
    DumpSink sink;

    if (dump_sink_init(&sink, job->fd, job->cancel_fd, &job->error)) {
        job->write_format(&source, &sink, &job->error);
        dump_sink_done(&sink);
    }
    close_file(job);
}

static void on_written(void *opaque)
{
    DumpJob *job = opaque;

    if (!job->error)
        job->completed = job->total;
    job->ops->finished(job->opaque, job->error);
}

DumpJob *dump_job_new(Loop *loop, const DumpOptions *options, const DumpTarget *target,
                      const DumpJobOps *ops, void *opaque, GError **error)
{
    const WorkerConfig config = { .name = "dump", .max_threads = 1, .max_jobs = 1 };
    g_autoptr(DumpJob) job = g_new0(DumpJob, 1);

    job->ops = ops;
    job->opaque = opaque;
    if (options)
        job->options = *options;
    job->path = g_strdup(target->path);
    job->fd = target->path ? -1 : target->fd;
    job->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    worker_pool_init(&job->pool, loop, &config);
    worker_job_init(&job->open, open_file, on_opened, job);
    worker_job_init(&job->write, write_file, on_written, job);
    if (job->cancel_fd < 0) {
        error_set_errno(error, errno, "cannot make an eventfd");
        return NULL;
    }
    if (!worker_submit(&job->pool, &job->open, error))
        return NULL;
    return g_steal_pointer(&job);
}

static void guest_done(DumpGuest *guest)
{
    g_clear_pointer(&guest->ram, ram_map_free);
    g_clear_pointer(&guest->vcpus, g_free);
    g_clear_pointer(&guest->note, g_bytes_unref);
}

void dump_job_free(DumpJob *job)
{
    uint64_t one = 1;

    if (!job)
        return;
    __atomic_store_n(&job->cancelled, true, __ATOMIC_RELAXED);
    if (job->cancel_fd >= 0 && write(job->cancel_fd, &one, sizeof(one)) < 0)
        g_assert(errno == EAGAIN);
    worker_take_back(&job->open);
    worker_take_back(&job->write);
    worker_pool_done(&job->pool);
    base_close_fd(&job->fd);
    base_close_fd(&job->cancel_fd);
    guest_done(&job->guest);
    if (job->areas)
        g_array_unref(job->areas);
    g_clear_error(&job->error);
    g_free(job->path);
    g_free(job);
}

/* The part of @range that is to be dumped; false when there is none. */
static bool clip(const DumpOptions *options, const RamMapRange *range, DumpArea *ret_area)
{
    uint64_t begin = range->gpa;
    uint64_t last = range->gpa + (range->size - 1);

    if (options->filtered) {
        uint64_t filter_last = options->length - 1 > UINT64_MAX - options->begin
            ? UINT64_MAX : options->begin + (options->length - 1);

        begin = MAX(begin, options->begin);
        last = MIN(last, filter_last);
    }
    if (begin > last)
        return false;
    *ret_area = (DumpArea) {
        .gpa = begin,
        .size = last - begin + 1,
        .host = range->host + (begin - range->gpa),
        .block = range->block,
        .offset = range->offset + (begin - range->gpa),
    };
    return true;
}

static void find_areas(DumpJob *job)
{
    job->areas = g_array_new(false, false, sizeof(DumpArea));
    for (size_t i = 0; i < job->guest.ram->n; i++) {
        DumpArea area;

        if (!clip(&job->options, &job->guest.ram->ranges[i], &area))
            continue;
        g_array_append_val(job->areas, area);
        job->total += area.size;
    }
}

bool dump_job_write(DumpJob *job, DumpGuest *guest, GError **error)
{
    job->guest = *guest;
    job->write_format = formats[job->options.format].write;
    find_areas(job);
    if (job->areas->len == 0) {
        error_set(error, "%s", job->options.filtered
                  ? "there is no memory between 'begin' and 'begin' + 'length'"
                  : "the guest has no memory");
        return false;
    }
    return worker_submit(&job->pool, &job->write, error);
}

bool dump_job_save(DumpJob *job, DumpGuest *guest, const DumpRange *range,
                   GError **error)
{
    job->guest = *guest;
    job->range = *range;
    job->write_format = dump_raw_write;
    return worker_submit(&job->pool, &job->write, error);
}

void dump_job_progress(const DumpJob *job, int64_t *ret_completed, int64_t *ret_total)
{
    *ret_completed = (int64_t)__atomic_load_n(&job->completed, __ATOMIC_RELAXED);
    *ret_total = (int64_t)job->total;
}
