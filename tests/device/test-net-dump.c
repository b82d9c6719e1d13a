/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter-dump: what is in the file is what the guest sent and got, byte for byte; a file
 * that takes nothing, or is full, makes no frame wait; life of filters and backends.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/fdset.h"
#include "berth/log.h"
#include "berth/net-dump.h"

#include "kit-net.h"
#include "net-bench.h"

#define ALL UINT64_MAX
#define FILE_HEADER 24u
#define RECORD_HEADER 16u
#define GUARD_US (20 * G_TIME_SPAN_SECOND)

typedef struct Fixture {
    char *folder;
    char *path;
    KitNet *net;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    f->folder = g_dir_make_tmp("berth-dump-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "a", NULL);
    f->net = kit_net_new("");
    kit_net_start(f->net, ALL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    GDir *folder = g_dir_open(f->folder, 0, NULL);
    const char *name;

    kit_net_free(f->net);
    while ((name = g_dir_read_name(folder))) {
        g_autofree char *path = g_build_filename(f->folder, name, NULL);

        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_dir_close(folder);
    g_assert_cmpint(g_rmdir(f->folder), ==, 0);
    g_free(f->path);
    g_free(f->folder);
}

/* A filter @id of "wire" with file @id in the folder, and @more (", 'maxlen': 9"). */
static char *filter_json(const Fixture *f, const char *id, const char *more)
{
    return g_strdup_printf("{'qom-type': 'filter-dump', 'id': '%s', 'netdev': 'wire', "
                           "'file': '%s/%s'%s}", id, f->folder, id, more);
}

static void add_filter(Fixture *f, const char *id, const char *more)
{
    g_autofree char *json = filter_json(f, id, more);

    kit_add_object(f->net->kit, json);
}

static void remove_filter(Fixture *f, const char *id)
{
    g_autoptr(GError) error = NULL;

    object_del(f->net->kit->objects, id, &error);
    g_assert_no_error(error);
}

static const NetDumpCounters *counters(const Fixture *f, const char *id)
{
    return object_filter_dump_counted(object_find(f->net->kit->objects, id));
}

static void set_status(Fixture *f, const char *id, const char *status)
{
    g_autoptr(JsonValue) json = json_new_string(status);
    g_autoptr(GError) error = NULL;

    object_change(object_find(f->net->kit->objects, id), "status", json, &error);
    g_assert_no_error(error);
}

static void make_frame(uint8_t *frame, uint32_t size, unsigned seed)
{
    for (uint32_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(i * 11 + seed);
    frame[0] = 0x52;
}

static void guest_sends(Fixture *f, uint32_t size, unsigned seed, uint32_t part)
{
    g_autofree uint8_t *frame = g_malloc(size);
    uint8_t got[8192];
    uint32_t head, len;

    make_frame(frame, size, seed);
    kit_net_send(f->net, frame, size, part);
    g_assert_true(kit_queue_take(&f->net->tx, &head, &len));
    g_assert_cmpint(kit_net_wire_take(f->net, got, sizeof(got)), ==, (int)size);
}

static void guest_gets(Fixture *f, uint32_t size, unsigned seed)
{
    g_autofree uint8_t *frame = g_malloc(size);
    uint8_t got[8192];

    make_frame(frame, size, seed);
    kit_net_offer(f->net, 8, 1000);
    kit_net_wire_send(f->net, frame, size);
    g_assert_cmpint(kit_net_take(f->net, got, sizeof(got), NULL), ==,
                    (int)size + (int)KIT_NET_HEADER);
    kit_net_start(f->net, ALL);
}

/* A file of frames, read from its begin to its end. */
typedef struct Reader {
    char *bytes;
    gsize size;
    gsize at;
} Reader;

static uint32_t word(const Reader *r, gsize at)
{
    uint32_t value;

    g_assert_cmpuint(at + sizeof(value), <=, r->size);
    memcpy(&value, r->bytes + at, sizeof(value));
    return value;
}

static void open_reader(Reader *r, const Fixture *f, const char *name, uint32_t maxlen)
{
    g_autofree char *path = g_build_filename(f->folder, name, NULL);

    g_assert_true(g_file_get_contents(path, &r->bytes, &r->size, NULL));
    g_assert_cmphex(word(r, 0), ==, 0xa1b2c3d4);
    g_assert_cmphex(word(r, 4), ==, 0x00040002);
    g_assert_cmpuint(word(r, 8), ==, 0);
    g_assert_cmpuint(word(r, 12), ==, 0);
    g_assert_cmpuint(word(r, 16), ==, maxlen);
    g_assert_cmpuint(word(r, 20), ==, 1);
    r->at = FILE_HEADER;
}

/* The next frame is that of make_frame(), of which the first @n bytes are there. */
static void expect_frame(Reader *r, uint32_t size, unsigned seed, uint32_t n)
{
    g_autofree uint8_t *frame = g_malloc(size);
    time_t now = time(NULL);

    make_frame(frame, size, seed);
    g_assert_cmpint(word(r, r->at), >=, now - 60);
    g_assert_cmpint(word(r, r->at), <=, now);
    g_assert_cmpuint(word(r, r->at + 4), <, 1000000);
    g_assert_cmpuint(word(r, r->at + 8), ==, n);
    g_assert_cmpuint(word(r, r->at + 12), ==, size);
    r->at += RECORD_HEADER;
    g_assert_cmpuint(r->at + n, <=, r->size);
    g_assert_cmpmem(r->bytes + r->at, n, frame, n);
    r->at += n;
}

static void close_reader(Reader *r)
{
    g_assert_cmpuint(r->at, ==, r->size);
    g_free(r->bytes);
}

/* Three files of one backend: both directions, and each of them. */
static void test_frames_both_ways(Fixture *f, gconstpointer unused)
{
    static const uint32_t sizes[] = { 60, 1, 14, 1514, 4000, 999 };
    Reader all, rx, tx;

    add_filter(f, "all", "");
    add_filter(f, "rx", ", 'queue': 'rx'");
    add_filter(f, "tx", ", 'queue': 'tx'");
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        guest_sends(f, sizes[i], 2 * i, i % 2 ? 8192 : 200);
        guest_gets(f, sizes[i], 2 * i + 1);
    }
    g_assert_cmpuint(counters(f, "all")->packets, ==, 12);
    g_assert_cmpuint(counters(f, "rx")->bytes, ==, 60 + 1 + 14 + 1514 + 4000 + 999);
    g_assert_cmpuint(counters(f, "tx")->dropped, ==, 0);
    remove_filter(f, "rx");
    remove_filter(f, "all");
    remove_filter(f, "tx");

    open_reader(&all, f, "all", 65536);
    open_reader(&rx, f, "rx", 65536);
    open_reader(&tx, f, "tx", 65536);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        expect_frame(&all, sizes[i], 2 * i, sizes[i]);
        expect_frame(&all, sizes[i], 2 * i + 1, sizes[i]);
        expect_frame(&rx, sizes[i], 2 * i, sizes[i]);
        expect_frame(&tx, sizes[i], 2 * i + 1, sizes[i]);
    }
    close_reader(&all);
    close_reader(&rx);
    close_reader(&tx);
}

static void test_maxlen(Fixture *f, gconstpointer unused)
{
    Reader r;

    add_filter(f, "a", ", 'maxlen': 100");
    add_filter(f, "b", ", 'maxlen': 1");
    guest_sends(f, 1514, 1, 8192);
    guest_gets(f, 99, 2);
    guest_sends(f, 100, 3, 7);
    remove_filter(f, "a");
    remove_filter(f, "b");

    open_reader(&r, f, "a", 100);
    expect_frame(&r, 1514, 1, 100);
    expect_frame(&r, 99, 2, 99);
    expect_frame(&r, 100, 3, 100);
    close_reader(&r);
    open_reader(&r, f, "b", 1);
    expect_frame(&r, 1514, 1, 1);
    expect_frame(&r, 99, 2, 1);
    expect_frame(&r, 100, 3, 1);
    close_reader(&r);
}

static void test_status(Fixture *f, gconstpointer unused)
{
    Reader r;

    add_filter(f, "a", ", 'status': 'off'");
    guest_sends(f, 60, 1, 8192);
    set_status(f, "a", "on");
    guest_sends(f, 60, 2, 8192);
    set_status(f, "a", "off");
    guest_gets(f, 60, 3);
    set_status(f, "a", "on");
    guest_gets(f, 60, 4);
    remove_filter(f, "a");
    guest_sends(f, 60, 5, 8192);

    open_reader(&r, f, "a", 65536);
    expect_frame(&r, 60, 2, 60);
    expect_frame(&r, 60, 4, 60);
    close_reader(&r);
}

/* A frame that the network does not take now is there once, when it goes. */
static void test_frames_that_wait(Fixture *f, gconstpointer unused)
{
    uint8_t got[100];
    uint32_t head, len;
    unsigned n_used = 0, n_told;

    add_filter(f, "a", "");
    for (unsigned i = 0; i < KIT_NET_BUFFERS - 1; i++) {
        uint8_t *at = kit_net_buffer(f->net, &f->net->tx, i);

        memset(at, 0, KIT_NET_HEADER + 60);
        kit_queue_desc(&f->net->tx, i,
                       KIT_VIRTIO_DATA + (KIT_NET_BUFFERS + i) * KIT_NET_BUFFER,
                       KIT_NET_HEADER + 60, 0, 0);
        kit_queue_offer(&f->net->tx, i);
    }
    kit_queue_kick(&f->net->tx);
    while (kit_queue_take(&f->net->tx, &head, &len))
        n_used++;
    n_told = (unsigned)counters(f, "a")->packets;
    g_assert_cmpuint(n_used, <, KIT_NET_BUFFERS - 1);
    g_assert_cmpuint(n_told, ==, n_used);
    while (n_used < KIT_NET_BUFFERS - 1) {
        g_assert_cmpint(kit_net_wire_take(f->net, got, sizeof(got)), ==, 60);
        kit_run(f->net->kit);
        while (kit_queue_take(&f->net->tx, &head, &len))
            n_used++;
    }
    g_assert_cmpuint(counters(f, "a")->packets, ==, KIT_NET_BUFFERS - 1);
}

/* What the log says from now on; log_end() gives it back. */
static int log_begin(void)
{
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
    log_take_fd(fds[1]);
    return fds[0];
}

static char *log_end(int fd)
{
    char text[4096];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    log_take_fd(dup(STDERR_FILENO));
    close(fd);
    text[MAX(n, 0)] = '\0';
    return g_strdup(text);
}

/*
 * A pipe that nobody reads: frames go on at the speed of the network, what the ring has
 * no room for is counted and told once, and the filter ends all the same.
 */
static void test_file_that_takes_nothing(Fixture *f, gconstpointer unused)
{
    g_autofree char *text = NULL;
    const char *first;
    int reader, log;
    uint64_t sent;

    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    add_filter(f, "a", "");
    log = log_begin();
    for (sent = 0; counters(f, "a")->dropped < 100; sent++)
        guest_sends(f, 4000, (unsigned)sent, 8192);
    text = log_end(log);
    g_assert_cmpuint(counters(f, "a")->packets, ==, sent - 100);
    first = strstr(text, "filter-dump 'a': the file takes frames too slowly");
    g_assert_nonnull(first);
    g_assert_null(strstr(first + 1, "filter-dump"));

    log = log_begin();
    remove_filter(f, "a");
    g_free(text);
    text = log_end(log);
    g_assert_nonnull(strstr(text, "its end is missing"));
    close(reader);
}

/* A program that reads from a pipe, slower than frames come, gets them all. */
static void test_pipe(Fixture *f, gconstpointer unused)
{
    Reader r = { NULL, 0, 0 };
    GByteArray *all = g_byte_array_new();
    int64_t end = g_get_monotonic_time() + GUARD_US;
    gsize wanted = FILE_HEADER + 100 * (RECORD_HEADER + 4000);
    uint8_t part[1000];
    int reader;

    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    add_filter(f, "a", "");
    for (unsigned i = 0; i < 100; i++)
        guest_sends(f, 4000, i, 8192);
    while (all->len < wanted && g_get_monotonic_time() < end) {
        ssize_t n = read(reader, part, sizeof(part));

        if (n > 0)
            g_byte_array_append(all, part, (guint)n);
    }
    r.size = all->len;
    r.bytes = (char *)g_byte_array_free(all, FALSE);
    r.at = FILE_HEADER;
    for (unsigned i = 0; i < 100; i++)
        expect_frame(&r, 4000, i, 4000);
    close_reader(&r);
    close(reader);
}

/* A full file system: told once, no frame waits, all of them are counted. */
static void test_file_that_is_full(Fixture *f, gconstpointer unused)
{
    g_autofree char *text = NULL;
    int64_t end = g_get_monotonic_time() + GUARD_US;
    int log = log_begin();

    kit_add_object(f->net->kit, "{'qom-type': 'filter-dump', 'id': 'a', 'netdev': "
                   "'wire', 'file': '/dev/full'}");
    while (counters(f, "a")->dropped < 10 && g_get_monotonic_time() < end)
        guest_sends(f, 60, 1, 8192);
    g_assert_cmpuint(counters(f, "a")->dropped, ==, 10);
    remove_filter(f, "a");
    text = log_end(log);
    g_assert_nonnull(strstr(text, "filter-dump 'a': cannot write the file: No space"));
    g_assert_null(strstr(text, "too slowly"));
}

/* A backend takes its filters with it, with all that they have seen. */
static void test_backend_goes(Fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    Reader r;

    add_filter(f, "a", "");
    add_filter(f, "b", "");
    guest_sends(f, 1514, 1, 8192);
    g_assert_false(net_set_remove(f->net->kit->nets, "wire", NULL));
    g_assert_nonnull(counters(f, "a"));
    device_remove(f->net->dev);
    g_assert_true(net_set_remove(f->net->kit->nets, "wire", &error));
    g_assert_null(object_find(f->net->kit->objects, "a"));
    g_assert_null(object_find(f->net->kit->objects, "b"));
    open_reader(&r, f, "a", 65536);
    expect_frame(&r, 1514, 1, 1514);
    close_reader(&r);
}

static void test_order(Fixture *f, gconstpointer unused)
{
    g_autoptr(GString) text = g_string_new(NULL);

    add_filter(f, "a", "");
    add_filter(f, "b", ", 'position': 'head', 'queue': 'rx'");
    add_filter(f, "c", ", 'position': 'id=a', 'insert': 'before', 'status': 'off'");
    add_filter(f, "d", ", 'position': 'id=b'");
    add_filter(f, "e", ", 'position': 'tail', 'queue': 'tx'");
    net_set_describe(f->net->kit->nets, text);
    g_assert_nonnull(strstr(text->str,
                            "  - b: type=filter-dump,queue=rx,status=on\n"
                            "  - d: type=filter-dump,queue=all,status=on\n"
                            "  - c: type=filter-dump,queue=all,status=off\n"
                            "  - a: type=filter-dump,queue=all,status=on\n"
                            "  - e: type=filter-dump,queue=tx,status=on\n"));
}

/* Each is refused with a word about the option, and makes and changes no file. */
static void test_wrong_options(Fixture *f, gconstpointer unused)
{
    static const struct {
        const char *props;      /* %s is the folder */
        const char *words;
    } cases[] = {
        { "'netdev': 'none', 'file': '%s/new'", "'netdev': there is no network backend" },
        { "'netdev': 'wire', 'file': '%s/no/new'", "'file': cannot open" },
        { "'netdev': 'wire', 'file': '%s'", "'file': cannot open" },
        { "'netdev': 'wire', 'file': '%s/pipe'", "'file': cannot open" },
        { "'netdev': 'wire', 'file': '%s/used'", "'file': '" },
        { "'netdev': 'wire', 'file': ''", "'file': cannot open ''" },
        { "'netdev': 'wire', 'file': '/dev/fdset/7'", "'file': cannot open" },
        { "'netdev': 'wire', 'file': '%s/new', 'maxlen': 0", "maxlen" },
        { "'netdev': 'wire', 'file': '%s/new', 'maxlen': -1", "maxlen" },
        { "'netdev': 'wire', 'file': '%s/new', 'queue': 'up'", "queue" },
        { "'netdev': 'wire', 'file': '%s/new', 'status': 'may'", "status" },
        { "'netdev': 'wire', 'file': '%s/new', 'insert': 'in'", "insert" },
        { "'netdev': 'wire', 'file': '%s/new', 'position': 'top'", "'position' expects" },
        { "'netdev': 'wire', 'file': '%s/new', 'position': 'id=x'", "no filter 'x'" },
        { "'netdev': 'wire', 'file': '%s/new', 'position': 'id=r'", "no filter 'r'" },
        { "'netdev': 'other', 'file': '%s/new', 'position': 'id=used'",
          "is one of network backend 'wire'" },
        { "'netdev': 'wire'", "file" },
        { "'file': '%s/new'", "netdev" },
    };
    g_autofree char *pipe = g_build_filename(f->folder, "pipe", NULL);
    g_autofree char *new = g_build_filename(f->folder, "new", NULL);

    kit_add_netdev(f->net->kit, "{'type': 'null', 'id': 'other'}");
    kit_add_object(f->net->kit, "{'qom-type': 'rng-builtin', 'id': 'r'}");
    g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);
    add_filter(f, "used", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) props = g_string_new(cases[i].props);
        g_autofree char *json = NULL;
        g_autoptr(ObjectOptions) options = NULL;
        g_autoptr(GError) error = NULL;

        g_string_replace(props, "%s", f->folder, 0);
        json = g_strdup_printf("{'qom-type': 'filter-dump', 'id': 'x1', %s}", props->str);
        g_test_message("%s", json);
        options = qapi_parse_json(QAPI_TYPE_OBJECT_OPTIONS, json, &error);
        if (options)
            g_assert_false(object_add(f->net->kit->objects, options, &error));
        g_assert_nonnull(error);
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
        g_assert_false(g_file_test(new, G_FILE_TEST_EXISTS));
        g_assert_null(object_find(f->net->kit->objects, "x1"));
    }
}

static void test_properties_that_stay(Fixture *f, gconstpointer unused)
{
    static const char *const cases[][2] = {
        { "netdev", "x" }, { "file", "x" }, { "queue", "rx" }, { "position", "head" },
        { "insert", "before" },
    };

    add_filter(f, "a", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonValue) json = json_new_string(cases[i][1]);
        g_autoptr(GError) error = NULL;

        g_assert_false(object_change(object_find(f->net->kit->objects, "a"), cases[i][0],
                                     json, &error));
        g_assert_nonnull(strstr(error->message, "only property 'status'"));
    }
}

/* What a file held is gone; a descriptor of a set is a file as any other. */
static void test_files_that_are_there(Fixture *f, gconstpointer unused)
{
    g_autoptr(FdSets) sets = fdset_new();
    const int64_t set = 3;
    AddfdInfo *info;
    Reader r;
    int fd;

    g_assert_true(g_file_set_contents(f->path, "what was there before", -1, NULL));
    add_filter(f, "a", "");
    guest_sends(f, 60, 1, 8192);
    remove_filter(f, "a");
    open_reader(&r, f, "a", 65536);
    expect_frame(&r, 60, 1, 60);
    close_reader(&r);

    fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    info = fdset_add(sets, &set, fd, NULL, NULL);
    qapi_free_AddfdInfo(info);
    object_set_lend_fdsets(f->net->kit->objects, sets);
    kit_add_object(f->net->kit, "{'qom-type': 'filter-dump', 'id': 'a', 'netdev': "
                   "'wire', 'file': '/dev/fdset/3'}");
    guest_sends(f, 70, 2, 8192);
    remove_filter(f, "a");
    open_reader(&r, f, "a", 65536);
    expect_frame(&r, 70, 2, 70);
    close_reader(&r);
}

/* Who does not look costs nothing: no memory of a queue, before and after. */
static void test_nobody_looks(Fixture *f, gconstpointer unused)
{
    NetBackend *backend = net_set_find(f->net->kit->nets, "wire");
    const NetQueue *queue = net_backend_queue(backend, 0);

    g_assert_null(queue->watch);
    add_filter(f, "a", "");
    g_assert_nonnull(queue->watch);
    remove_filter(f, "a");
    g_assert_null(queue->watch);
    g_assert_null(queue->next_watch);
}

/* The driver asks for @n pairs; its queue is on a thread of its own. */
static void use_pairs(KitQueue *ctrl, uint8_t n)
{
    const uint8_t command[] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, n, 0,
                                0xee };
    uint8_t *memory = kit_ram(ctrl->v->pci.kit, KIT_VIRTIO_DATA, sizeof(command));
    int64_t end = g_get_monotonic_time() + GUARD_US;
    uint32_t head, len;
    bool is_done = false;

    memcpy(memory, command, sizeof(command));
    kit_queue_desc(ctrl, 0, KIT_VIRTIO_DATA, 4, VRING_DESC_F_NEXT, 1);
    kit_queue_desc(ctrl, 1, KIT_VIRTIO_DATA + 4, 1, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(ctrl, 0);
    kit_queue_kick(ctrl);
    while (!is_done && g_get_monotonic_time() < end)
        is_done = kit_queue_take(ctrl, &head, &len);
    g_assert_true(is_done);
    g_assert_cmpuint(memory[4], ==, VIRTIO_NET_OK);
}

/*
 * Filters come and go while queues on threads of their own send: a file that was there
 * from begin to end has each frame once.
 */
static void test_several_queues(Fixture *f, gconstpointer unused)
{
    enum { QUEUES = 2, ROUNDS = 30 };
    KitBoard *kit = kit_board_new_threaded();
    g_autofree char *json = filter_json(f, "a", ""), *other = filter_json(f, "b", "");
    int64_t end = g_get_monotonic_time() + GUARD_US;
    g_autofree KitVirtio *v = NULL;
    KitQueue tx[QUEUES], ctrl;
    Device *dev;
    unsigned n_used = 0;
    uint32_t head, len;
    Reader r;

    kit_add_netdev(kit, "{'type': 'null', 'id': 'wire', 'queues': 2}");
    for (unsigned i = 0; i < QUEUES; i++) {
        g_autofree char *io = g_strdup_printf("io%u", i);
        g_autofree char *thread = g_strdup_printf("{'qom-type': 'iothread', 'id': '%s'}",
                                                  io);

        kit_add_object(kit, thread);
    }
    dev = kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'nic', 'netdev': 'wire', "
                  "'mq': true, 'iothread-vq-mapping': [{'iothread': 'io0'}, "
                  "{'iothread': 'io1'}]}");
    kit_start(kit);
    v = kit_virtio_new(kit, dev);
    kit_virtio_negotiate(v, ALL);
    kit_virtio_setup_queue(v, 16);
    for (unsigned i = 0; i < QUEUES; i++)
        kit_queue_setup(&tx[i], v, 2 * i + 1, 16);
    kit_queue_setup(&ctrl, v, 2 * QUEUES, 16);
    kit_virtio_set_status(v, kit_virtio_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
    use_pairs(&ctrl, QUEUES);
    make_frame((uint8_t *)kit_ram(kit, KIT_VIRTIO_DATA + KIT_NET_HEADER, 60), 60, 7);
    kit_add_object(kit, json);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < QUEUES; i++) {
            for (unsigned n = 0; n < 16; n++) {
                kit_queue_desc(&tx[i], n, KIT_VIRTIO_DATA, KIT_NET_HEADER + 60, 0, 0);
                kit_queue_offer(&tx[i], (uint16_t)n);
            }
            kit_queue_kick(&tx[i]);
        }
        kit_add_object(kit, other);
        g_assert_true(object_del(kit->objects, "b", NULL));
        for (unsigned i = 0, n = 0; i < QUEUES; i++, n = 0) {
            while (n < 16 && g_get_monotonic_time() < end)
                n += kit_queue_take(&tx[i], &head, &len);
            n_used += n;
        }
    }
    g_assert_cmpuint(n_used, ==, ROUNDS * QUEUES * 16);
    g_assert_true(object_del(kit->objects, "a", NULL));
    open_reader(&r, f, "a", 65536);
    for (unsigned i = 0; i < ROUNDS * QUEUES * 16; i++)
        expect_frame(&r, 60, 7, 60);
    close_reader(&r);
    kit_board_free(kit);
}

static void add(const char *path, void (*fn)(Fixture *f, gconstpointer unused))
{
    g_test_add(path, Fixture, NULL, set_up, fn, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/net-dump/frames-both-ways", test_frames_both_ways);
    add("/net-dump/maxlen", test_maxlen);
    add("/net-dump/status", test_status);
    add("/net-dump/frames-that-wait", test_frames_that_wait);
    add("/net-dump/file-that-takes-nothing", test_file_that_takes_nothing);
    add("/net-dump/pipe", test_pipe);
    add("/net-dump/file-that-is-full", test_file_that_is_full);
    add("/net-dump/backend-goes", test_backend_goes);
    add("/net-dump/order", test_order);
    add("/net-dump/wrong-options", test_wrong_options);
    add("/net-dump/properties-that-stay", test_properties_that_stay);
    add("/net-dump/files-that-are-there", test_files_that_are_there);
    add("/net-dump/nobody-looks", test_nobody_looks);
    add("/net-dump/several-queues", test_several_queues);
    return g_test_run();
}
