/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/iov.h"
#include "berth/thread.h"

#include "write-log.h"

#define SECTOR 512u

/* Something that changes the image, or a flush. */
typedef struct Entry {
    unsigned file;
    BlockOp op;
    bool is_resize;             /* to offset */
    bool is_durable_at_end;
    bool has_failed;
    uint64_t offset;
    uint64_t bytes;
    uint8_t *data;              /* of a write */
    size_t begin;               /* moments */
    size_t end;                 /* SIZE_MAX: it has not */
} Entry;

typedef struct File {
    WriteLog *log;
    unsigned index;
    BlockNode *inject;
    InjectWatch watch;
} File;

struct WriteLog {
    File files[WRITE_LOG_FILES];
    unsigned n_files;
    GMutex lock;
    GPtrArray *entries;         /* of Entry, by begin */
    size_t now;
};

static void free_entry(gpointer opaque)
{
    Entry *entry = opaque;

    g_free(entry->data);
    g_free(entry);
}

static void add(const File *file, Entry *entry)
{
    WriteLog *log = file->log;

    entry->file = file->index;
    lock_take(&log->lock);
    entry->begin = log->now++;
    entry->end = SIZE_MAX;
    g_ptr_array_add(log->entries, entry);
    lock_drop(&log->lock);
}

static void end(WriteLog *log, Entry *entry, bool has_failed)
{
    lock_take(&log->lock);
    entry->has_failed = has_failed;
    entry->end = log->now++;
    lock_drop(&log->lock);
}

static void *on_begin(void *opaque, const BlockIo *io)
{
    Entry *entry;

    if (io->op == BLOCK_OP_READ)
        return NULL;
    entry = g_new0(Entry, 1);
    entry->op = io->op;
    entry->is_durable_at_end = io->flags & BLOCK_FUA;
    if (io->op != BLOCK_OP_FLUSH) {
        entry->offset = io->offset;
        entry->bytes = io->bytes;
    }
    if (io->op == BLOCK_OP_WRITE) {
        entry->data = g_malloc(io->bytes);
        iov_read(io->iov, io->n_iov, 0, entry->data, io->bytes);
    }
    add(opaque, entry);
    return entry;
}

static void on_end(void *opaque, void *begun, int ret)
{
    const File *file = opaque;

    if (begun)
        end(file->log, begun, ret < 0);
}

static void on_resized(void *opaque, uint64_t size)
{
    const File *file = opaque;
    Entry *entry = g_new0(Entry, 1);

    entry->is_resize = true;
    entry->offset = size;
    add(file, entry);
    end(file->log, entry, false);
}

void write_log_add(WriteLog *log, BlockNode *inject)
{
    File *file = &log->files[log->n_files];

    g_assert_cmpuint(log->n_files, <, WRITE_LOG_FILES);
    *file = (File) { .log = log, .index = log->n_files++, .inject = inject };
    file->watch = (InjectWatch) {
        .begin = on_begin, .end = on_end, .resized = on_resized, .opaque = file,
    };
    inject_set_watch(inject, &file->watch);
}

WriteLog *write_log_new(BlockNode *inject)
{
    WriteLog *log = g_new0(WriteLog, 1);

    g_mutex_init(&log->lock);
    log->entries = g_ptr_array_new_with_free_func(free_entry);
    write_log_add(log, inject);
    return log;
}

void write_log_free(WriteLog *log)
{
    for (unsigned i = 0; i < log->n_files; i++)
        inject_set_watch(log->files[i].inject, NULL);
    g_ptr_array_unref(log->entries);
    g_mutex_clear(&log->lock);
    g_free(log);
}

size_t write_log_length(WriteLog *log)
{
    size_t length;

    lock_take(&log->lock);
    length = log->now;
    lock_drop(&log->lock);
    return length;
}

/* What had ended before this moment is on stable storage at @moment, of one file. */
static size_t flushed_at(const WriteLog *log, unsigned file, size_t moment)
{
    size_t flushed = 0;

    for (guint i = 0; i < log->entries->len; i++) {
        const Entry *entry = g_ptr_array_index(log->entries, i);

        if (entry->file == file && !entry->is_resize && entry->op == BLOCK_OP_FLUSH &&
            entry->end < moment && !entry->has_failed)
            flushed = MAX(flushed, entry->begin);
    }
    return flushed;
}

static bool is_durable(const Entry *entry, size_t flushed, size_t moment)
{
    if (entry->has_failed)
        return false;
    return entry->end < flushed || (entry->is_durable_at_end && entry->end < moment);
}

static void put(int fd, uint64_t offset, const uint8_t *data, uint64_t bytes)
{
    static const uint8_t zeroes[SECTOR];

    for (uint64_t done = 0, n; done < bytes; done += n) {
        n = MIN(bytes - done, SECTOR);
        g_assert_cmpint(pwrite(fd, data ? data + done : zeroes, n,
                               (off_t)(offset + done)), ==, n);
    }
}

/* Each sector by itself. */
static void put_some(int fd, const Entry *entry, GRand *rand)
{
    uint64_t n;

    for (uint64_t done = 0; done < entry->bytes; done += n) {
        n = MIN(entry->bytes - done, SECTOR - (entry->offset + done) % SECTOR);
        if (g_rand_boolean(rand))
            put(fd, entry->offset + done, entry->data ? entry->data + done : NULL, n);
    }
}

typedef enum Part {
    PART_NONE,
    PART_SOME,
    PART_ALL,
} Part;

static Part choose(const Entry *entry, bool durable, PowerCut cut, GRand *rand)
{
    /* What was there before a discard may be there afterwards, flushed or not. */
    bool is_discard = !entry->is_resize && entry->op == BLOCK_OP_DISCARD;

    if (cut == POWER_CUT_KEEP || (durable && !is_discard))
        return PART_ALL;
    if (cut == POWER_CUT_DROP)
        return durable ? PART_ALL : PART_NONE;
    return (Part)g_rand_int_range(rand, PART_NONE, PART_ALL + 1);
}

static void apply(const Entry *entry, Part part, GRand *rand, int fd)
{
    if (part == PART_NONE || (entry->op == BLOCK_OP_FLUSH && !entry->is_resize))
        return;
    if (entry->is_resize)
        g_assert_cmpint(ftruncate(fd, (off_t)entry->offset), ==, 0);
    else if (part == PART_ALL)
        put(fd, entry->offset, entry->data, entry->bytes);
    else
        put_some(fd, entry, rand);
}

void write_log_cut(WriteLog *log, size_t moment, PowerCut cut, GRand *rand,
                   const int *fds)
{
    size_t flushed[WRITE_LOG_FILES];

    lock_take(&log->lock);
    for (unsigned i = 0; i < log->n_files; i++)
        flushed[i] = flushed_at(log, i, moment);
    for (guint i = 0; i < log->entries->len; i++) {
        const Entry *entry = g_ptr_array_index(log->entries, i);
        bool durable = is_durable(entry, flushed[entry->file], moment);

        if (entry->begin < moment)
            apply(entry, choose(entry, durable, cut, rand), rand, fds[entry->file]);
    }
    lock_drop(&log->lock);
}
