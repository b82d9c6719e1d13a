/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring holds bytes of the file: whoever puts a frame there appends a whole record
 * under the lock, and the thread writes what there is without it, in as few calls as the
 * ring's end allows.  An empty ring begins anew at its first byte, so that memory is used
 * as far as the file lags behind.
 *
 * A file that is not regular (a pipe to a program that shows frames) is asked whether it
 * takes bytes, and is given no more than it takes at once, since its descriptor may be
 * somebody else's too and stays as it is.
 *
 * After an error of the file nothing more is written; frames count as dropped.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/thread.h"

#include "pcap.h"

#define RING_SIZE (4u * 1024 * 1024)
#define POLL_MS 50              /* after which a thread looks whether it is to end */
#define MAGIC 0xa1b2c3d4u
#define LINK_ETHERNET 1u

typedef struct FileHeader {
    uint32_t magic;
    uint16_t major;
    uint16_t minor;
    int32_t zone;
    uint32_t accuracy;
    uint32_t maxlen;
    uint32_t link;
} FileHeader;

typedef struct RecordHeader {
    uint32_t seconds;
    uint32_t microseconds;
    uint32_t n;                 /* bytes that follow */
    uint32_t size;              /* of the frame */
} RecordHeader;

struct PcapWriter {
    char *name;
    int fd;
    bool is_regular;
    uint32_t maxlen;
    uint8_t *ring;              /* RING_SIZE */
    pthread_t thread;

    GMutex lock;                /* leaf */
    GCond wake;                 /* there are bytes, or it is to end */
    GCond finished;
    uint32_t begin;             /* of what is in the ring */
    uint32_t used;
    bool is_waiting;            /* the thread, for bytes */
    bool is_failed;
    bool is_told;               /* that frames are left out */
    bool is_closing;
    int64_t deadline_ns;        /* while it is */
    bool has_ended;
    bool is_abandoned;          /* the thread frees it */
    NetDumpCounters counters;
};

static void pcap_free(PcapWriter *pcap)
{
    close(pcap->fd);
    g_free(pcap->ring);
    g_free(pcap->name);
    g_cond_clear(&pcap->wake);
    g_cond_clear(&pcap->finished);
    g_mutex_clear(&pcap->lock);
    g_free(pcap);
}

/* There is room. */
static void append_locked(PcapWriter *pcap, const void *bytes, uint32_t size)
{
    uint32_t end = (pcap->begin + pcap->used) % RING_SIZE;
    uint32_t first = MIN(size, RING_SIZE - end);

    memcpy(pcap->ring + end, bytes, first);
    memcpy(pcap->ring, (const uint8_t *)bytes + first, size - first);
    pcap->used += size;
}

void pcap_put(PcapWriter *pcap, const uint8_t *frame, uint32_t n, uint32_t size)
{
    bool has_room, tells = false;
    struct timespec now;
    RecordHeader header;

    clock_gettime(CLOCK_REALTIME, &now);
    header = (RecordHeader) {
        .seconds = (uint32_t)now.tv_sec,
        .microseconds = (uint32_t)(now.tv_nsec / 1000),
        .n = MIN(n, pcap->maxlen),
        .size = size,
    };
    lock_take(&pcap->lock);
    has_room = sizeof(header) + header.n <= RING_SIZE - pcap->used;
    if (has_room && !pcap->is_failed) {
        append_locked(pcap, &header, sizeof(header));
        append_locked(pcap, frame, header.n);
        counter_add(&pcap->counters.packets, 1);
        counter_add(&pcap->counters.bytes, header.n);
        if (pcap->is_waiting)
            g_cond_signal(&pcap->wake);
    } else {
        counter_add(&pcap->counters.dropped, 1);
        tells = !pcap->is_told && !pcap->is_failed;
        pcap->is_told = true;
    }
    lock_drop(&pcap->lock);
    if (tells)
        log_warn("%s: the file takes frames too slowly, some are left out (query-stats "
                 "counts them)", pcap->name);
}

const NetDumpCounters *pcap_counted(const PcapWriter *pcap)
{
    return &pcap->counters;
}

/* How many bytes the file took, 0 of one that takes none now; a negative errno. */
static ssize_t write_some(const PcapWriter *pcap, const uint8_t *bytes, size_t size)
{
    struct pollfd taking = { .fd = pcap->fd, .events = POLLOUT };
    ssize_t n;

    if (!pcap->is_regular) {
        if (poll(&taking, 1, POLL_MS) <= 0)
            return 0;
        size = MIN(size, PIPE_BUF);
    }
    n = write(pcap->fd, bytes, size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    return n < 0 ? -errno : n;
}

/* The lock is dropped meanwhile. */
static void write_locked(PcapWriter *pcap)
{
    uint32_t size = MIN(pcap->used, RING_SIZE - pcap->begin);
    ssize_t n;

    lock_drop(&pcap->lock);
    thread_confine();
    n = write_some(pcap, pcap->ring + pcap->begin, size);
    if (n < 0)
        log_warn("%s: cannot write the file: %s; nothing more is written", pcap->name,
                 error_text((int)-n));
    lock_take(&pcap->lock);
    if (n < 0) {
        pcap->is_failed = true;
        pcap->used = 0;
        return;
    }
    pcap->begin = (pcap->begin + (uint32_t)n) % RING_SIZE;
    pcap->used -= (uint32_t)n;
    if (pcap->used == 0)
        pcap->begin = 0;
}

static bool is_given_up_locked(const PcapWriter *pcap)
{
    return pcap->is_closing && loop_clock_ns() >= pcap->deadline_ns;
}

static void *run(void *opaque)
{
    PcapWriter *pcap = opaque;
    bool is_abandoned;

    /* It holds nothing that is published. */
    qsbr_offline();
    lock_take(&pcap->lock);
    while (!is_given_up_locked(pcap) && (pcap->used > 0 || !pcap->is_closing)) {
        pcap->is_waiting = pcap->used == 0;
        if (pcap->is_waiting)
            lock_wait(&pcap->wake, &pcap->lock);
        else
            write_locked(pcap);
    }
    pcap->has_ended = true;
    g_cond_signal(&pcap->finished);
    is_abandoned = pcap->is_abandoned;
    lock_drop(&pcap->lock);
    if (is_abandoned)
        pcap_free(pcap);
    qsbr_online();
    return NULL;
}

PcapWriter *pcap_new(const char *name, int fd, uint32_t maxlen, GError **error)
{
    const FileHeader header = {
        .magic = MAGIC, .major = 2, .minor = 4, .maxlen = maxlen, .link = LINK_ETHERNET,
    };
    PcapWriter *pcap = g_new0(PcapWriter, 1);
    struct stat status;

    pcap->name = g_strdup(name);
    pcap->fd = fd;
    pcap->is_regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    pcap->maxlen = maxlen;
    pcap->ring = g_malloc(RING_SIZE);
    g_mutex_init(&pcap->lock);
    g_cond_init(&pcap->wake);
    g_cond_init(&pcap->finished);
    append_locked(pcap, &header, sizeof(header));
    if (thread_start(&pcap->thread, THREAD_WORKER, "filter-dump", run, pcap, error))
        return pcap;
    pcap_free(pcap);
    return NULL;
}

void pcap_close(PcapWriter *pcap)
{
    bool has_ended;

    assert_main();
    assert_may_wait(THREAD_WORKER);
    lock_take(&pcap->lock);
    pcap->is_closing = true;
    pcap->deadline_ns = loop_clock_ns() + PCAP_GRACE_NS;
    g_cond_signal(&pcap->wake);
    /* The thread sees its deadline soon, unless the kernel has it. */
    while (!pcap->has_ended &&
           lock_wait_until(&pcap->finished, &pcap->lock,
                           pcap->deadline_ns + PCAP_GRACE_NS))
        ;
    has_ended = pcap->has_ended;
    if (!has_ended || pcap->used > 0)
        log_warn("%s: the file takes nothing, its end is missing", pcap->name);
    /* Who frees it: the thread, as soon as the lock is dropped, or this one. */
    pcap->is_abandoned = !has_ended;
    if (!has_ended)
        pthread_detach(pcap->thread);
    lock_drop(&pcap->lock);
    if (!has_ended)
        return;
    pthread_join(pcap->thread, NULL);
    pcap_free(pcap);
}
