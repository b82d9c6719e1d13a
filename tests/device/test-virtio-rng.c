/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device: sources, quota, and its queue on a thread of its own. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/iothread.h"
#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/virtio.h"

#include "kit-virtio.h"

#define RNG "{'driver': 'virtio-rng-pci', 'id': 'rng'}"
#define RNG_OF_SOURCE "{'driver': 'virtio-rng-pci', 'id': 'rng', 'rng': 'source'}"

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    char *folder;
    char *path;                 /* of rng-random's file */
    int writer;                 /* of the FIFO */
} Fixture;

static void fixture_start(Fixture *f, const char *json)
{
    f->dev = kit_add(f->kit, json);
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, f->dev);
    kit_virtio_start(f->v, UINT64_MAX, 8);
}

static void fixture_init(Fixture *f, const char *json)
{
    *f = (Fixture) { .kit = kit_board_new(), .writer = -1 };
    fixture_start(f, json);
}

/* With a source that is a file: a FIFO when @text is NULL, else a plain one of @text. */
static void fixture_init_file(Fixture *f, const char *text)
{
    g_autofree char *json = NULL;

    *f = (Fixture) { .kit = kit_board_new(), .writer = -1 };
    f->folder = g_dir_make_tmp("berth-rng-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "source", NULL);
    if (text)
        g_assert_true(g_file_set_contents(f->path, text, -1, NULL));
    else
        g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    json = g_strdup_printf("{'qom-type': 'rng-random', 'id': 'source', 'filename': '%s'}",
                           f->path);
    kit_add_object(f->kit, json);
    if (!text)
        f->writer = open(f->path, O_WRONLY | O_NONBLOCK);
    fixture_start(f, RNG_OF_SOURCE);
}

static void fixture_done(Fixture *f)
{
    kit_board_free(f->kit);
    g_free(f->v);
    base_close_fd(&f->writer);
    if (f->path) {
        g_unlink(f->path);
        g_rmdir(f->folder);
    }
    g_free(f->path);
    g_free(f->folder);
}

/* Makes chain @head of one buffer of @len available, and rings. */
static void ask(Fixture *f, uint16_t head, uint32_t len)
{
    kit_virtio_desc(f->v, head, KIT_VIRTIO_DATA + 0x10000 * head, len, VRING_DESC_F_WRITE,
                    0);
    kit_virtio_offer(f->v, head);
    kit_virtio_kick(f->v);
}

/* How many bytes the next used buffer got, -1 when there is none. */
static int taken(Fixture *f)
{
    uint32_t head, len;

    return kit_virtio_take(f->v, &head, &len) ? (int)len : -1;
}

/* The same, waiting for the device's timers or its thread. */
static int taken_in_time(Fixture *f)
{
    int64_t end = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
    int n = -1;

    while (n < 0 && g_get_monotonic_time() < end) {
        n = taken(f);
        if (f->kit->queue_loop)
            kit_run(f->kit);
        g_usleep(1000);
    }
    return n;
}

static void test_buffers_are_filled(void)
{
    static const uint8_t zeros[256];
    Fixture f;

    fixture_init(&f, RNG);
    ask(&f, 0, 256);

    g_assert_cmpint(taken(&f), ==, 256);
    g_assert_cmpint(memcmp(kit_ram(f.kit, KIT_VIRTIO_DATA, 256), zeros, 256), !=, 0);
    fixture_done(&f);
}

static void test_chain_of_buffers(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA, 4, VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, KIT_VIRTIO_DATA, 3, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
                    2);
    kit_virtio_desc(f.v, 2, KIT_VIRTIO_DATA + 9, 5, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);

    g_assert_cmpint(taken(&f), ==, 8);
    fixture_done(&f);
}

static void test_buffer_that_cannot_be_filled(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA, 4, 0, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);

    g_assert_cmpint(taken(&f), ==, 0);
    fixture_done(&f);
}

/* D6 of the hostile inputs: one request never costs more than a page. */
static void test_huge_buffer_gets_a_part(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_desc(f.v, 0, 0, KIT_RAM_SIZE, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);

    g_assert_cmpint(taken(&f), ==, 4096);
    fixture_done(&f);
}

static void test_source_that_blocks_does_not_hold_the_loop(void)
{
    Fixture f;

    fixture_init_file(&f, NULL);
    ask(&f, 0, 64);
    g_assert_cmpint(taken(&f), ==, -1);

    g_assert_cmpint(write(f.writer, "0123456789", 10), ==, 10);
    kit_run(f.kit);

    g_assert_cmpint(taken(&f), ==, 10);
    g_assert_cmpmem(kit_ram(f.kit, KIT_VIRTIO_DATA, 10), 10, "0123456789", 10);
    ask(&f, 1, 64);
    g_assert_cmpint(taken(&f), ==, -1);
    fixture_done(&f);
}

static void test_reset_and_pause_while_a_request_waits(void)
{
    Fixture f;

    fixture_init_file(&f, NULL);
    ask(&f, 0, 8);
    device_tree_pause(&f.kit->tree);
    device_tree_resume(&f.kit->tree);
    kit_run(f.kit);
    g_assert_cmpint(taken(&f), ==, -1);
    g_assert_cmpint(write(f.writer, "abcd", 4), ==, 4);
    kit_run(f.kit);
    g_assert_cmpint(taken(&f), ==, 4);
    ask(&f, 0, 8);

    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_cmpint(write(f.writer, "efgh", 4), ==, 4);
    kit_run(f.kit);

    g_assert_cmpint(taken(&f), ==, -1);
    ask(&f, 0, 8);
    g_assert_cmpint(taken(&f), ==, 4);
    fixture_done(&f);
}

static void test_end_of_the_file_is_waited_out(void)
{
    Fixture f;
    FILE *file;

    fixture_init_file(&f, "abc");
    ask(&f, 0, 8);
    g_assert_cmpint(taken(&f), ==, 3);
    ask(&f, 1, 8);
    g_assert_cmpint(taken(&f), ==, -1);

    file = fopen(f.path, "a");
    fputs("de", file);
    fclose(file);

    g_assert_cmpint(taken_in_time(&f), ==, 2);
    fixture_done(&f);
}

static void test_two_devices_share_a_source(void)
{
    KitVirtio *second;
    Device *dev;
    Fixture f;

    fixture_init_file(&f, NULL);
    device_tree_pause(&f.kit->tree);
    dev = kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'rng': 'source'}");
    kit_start(f.kit);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    kit_pci_set_command(&f.v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    second = kit_virtio_new(f.kit, dev);
    ask(&f, 0, 4);
    g_assert_cmpint(taken(&f), ==, -1);

    g_assert_cmpint(write(f.writer, "wxyz", 4), ==, 4);
    kit_run(f.kit);

    g_assert_cmpint(taken(&f), ==, 4);
    g_assert_cmpuint(object_find(f.kit->objects, "source")->n_users, ==, 2);
    g_free(second);
    fixture_done(&f);
}

static void test_quota_is_kept(void)
{
    int64_t begin = g_get_monotonic_time();
    Fixture f;

    fixture_init(&f, "{'driver': 'virtio-rng-pci', 'max-bytes': 40, 'period': 60}");
    ask(&f, 0, 32);
    ask(&f, 1, 32);
    ask(&f, 2, 32);

    g_assert_cmpint(taken(&f), ==, 32);
    g_assert_cmpint(taken(&f), ==, 8);
    g_assert_cmpint(taken(&f), ==, -1);
    g_assert_cmpint(taken_in_time(&f), ==, 32);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 60 * 1000);
    fixture_done(&f);
}

static void test_reset_gives_no_new_quota(void)
{
    Fixture f;

    fixture_init(&f, "{'driver': 'virtio-rng-pci', 'max-bytes': 40}");
    ask(&f, 0, 32);
    g_assert_cmpint(taken(&f), ==, 32);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    ask(&f, 0, 32);
    g_assert_cmpint(taken(&f), ==, 8);
    fixture_done(&f);
}

static void test_quota_moves_and_is_checked(void)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;
    Fixture from, to;

    fixture_init(&from, "{'driver': 'virtio-rng-pci', 'max-bytes': 40}");
    fixture_init(&to, "{'driver': 'virtio-rng-pci', 'max-bytes': 30}");
    device_tree_pause(&from.kit->tree);
    device_tree_pause(&to.kit->tree);
    saved = kit_save(from.kit);

    g_assert_false(device_tree_load(&to.kit->tree, saved->data, saved->len, &error));

    g_assert_nonnull(strstr(error->message, "field 'quota' is 40"));
    fixture_done(&from);
    fixture_done(&to);
}

/* How often a thread of this process gave up its CPU by itself. */
static uint64_t count_sleeps(int thread_id)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/status", thread_id);
    g_autofree char *text = NULL;
    const char *key = "\nvoluntary_ctxt_switches:";

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return g_ascii_strtoull(strstr(text, key) + strlen(key), NULL, 10);
}

static void test_idle_device_wakes_nobody(void)
{
    Fixture f = { .kit = kit_board_new_threaded(), .writer = -1 };
    uint64_t before, after;
    unsigned n_tries = 0;
    int thread_id;

    fixture_start(&f, "{'driver': 'virtio-rng-pci', 'max-bytes': 40, 'period': 1}");
    thread_id = iothread_thread_id(f.kit->tree.queue_thread);
    ask(&f, 0, 8);
    g_assert_cmpint(taken_in_time(&f), ==, 8);
    /* The thread may still be on its way to its sleep. */
    do {
        g_usleep(50 * 1000);
        before = count_sleeps(thread_id);
        g_usleep(150 * 1000);
        after = count_sleeps(thread_id);
    } while (after != before && ++n_tries < 20);

    g_assert_cmpuint(after, ==, before);
    fixture_done(&f);
}

/* Everything on the tree's own thread, the test's thread as a vCPU and as main. */
static void test_queue_on_its_thread(void)
{
    Fixture f = { .kit = kit_board_new_threaded(), .writer = -1 };

    g_assert_null(f.kit->tree.queue_thread);
    fixture_start(&f, RNG);
    g_assert_nonnull(f.kit->tree.queue_thread);
    for (int i = 0; i < 200; i++) {
        ask(&f, i % 8, 16);
        g_assert_cmpint(taken_in_time(&f), ==, 16);
        if (i % 10 == 3) {
            device_tree_pause(&f.kit->tree);
            device_tree_resume(&f.kit->tree);
        }
        if (i % 10 == 7)
            kit_virtio_start(f.v, UINT64_MAX, 8);
    }
    fixture_done(&f);
}

typedef struct VcpuThread {
    Fixture *fixture;
    int status;                 /* atomic: tells it to end */
} VcpuThread;

static void *restart_for_ever(void *opaque)
{
    VcpuThread *vcpu = opaque;
    Fixture *f = vcpu->fixture;

    thread_set_role(THREAD_VCPU);
    while (!__atomic_load_n(&vcpu->status, __ATOMIC_RELAXED)) {
        kit_write(f->kit, f->v->registers + 0x14, 1, 0);
        kit_write(f->kit, f->v->registers + 0x14, 1, 3);
        kit_write(f->kit, f->v->registers + 0x0c, 4, 0);
        kit_write(f->kit, f->v->registers + 0x08, 4, 1);
        kit_write(f->kit, f->v->registers + 0x0c, 4, 1);
        kit_write(f->kit, f->v->registers + 0x14, 1, 11);
        kit_write(f->kit, f->v->registers + 0x20, 4, KIT_VIRTIO_RING);
        kit_write(f->kit, f->v->registers + 0x28, 4, KIT_VIRTIO_RING + 0x10000);
        kit_write(f->kit, f->v->registers + 0x30, 4, KIT_VIRTIO_RING + 0x20000);
        kit_write(f->kit, f->v->registers + 0x1c, 2, 1);
        kit_write(f->kit, f->v->registers + 0x14, 1, 15);
        kit_write(f->kit, f->v->notify, 2, 0);
        kit_read(f->kit, f->v->registers + 0x14, 1);
        qsbr_quiescent();
    }
    qsbr_unregister();
    return NULL;
}

/* Three vCPUs write status, features and doorbell against each other. */
static void test_vcpus_race_for_the_status(void)
{
    Fixture f = { .kit = kit_board_new_threaded(), .writer = -1 };
    VcpuThread vcpus = { .fixture = &f };
    GThread *threads[3];

    fixture_start(&f, RNG);
    for (int i = 0; i < 3; i++)
        threads[i] = g_thread_new("vcpu", restart_for_ever, &vcpus);
    qsbr_offline();
    g_usleep(200 * 1000);
    __atomic_store_n(&vcpus.status, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++)
        g_thread_join(threads[i]);
    qsbr_online();

    kit_virtio_start(f.v, UINT64_MAX, 8);
    ask(&f, 0, 16);
    g_assert_cmpint(taken_in_time(&f), ==, 16);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    g_test_add_func("/virtio-rng/filled", test_buffers_are_filled);
    g_test_add_func("/virtio-rng/chain", test_chain_of_buffers);
    g_test_add_func("/virtio-rng/not-fillable", test_buffer_that_cannot_be_filled);
    g_test_add_func("/virtio-rng/huge", test_huge_buffer_gets_a_part);
    g_test_add_func("/virtio-rng/blocks", test_source_that_blocks_does_not_hold_the_loop);
    g_test_add_func("/virtio-rng/waiting", test_reset_and_pause_while_a_request_waits);
    g_test_add_func("/virtio-rng/end-of-file", test_end_of_the_file_is_waited_out);
    g_test_add_func("/virtio-rng/shared", test_two_devices_share_a_source);
    g_test_add_func("/virtio-rng/quota", test_quota_is_kept);
    g_test_add_func("/virtio-rng/quota-reset", test_reset_gives_no_new_quota);
    g_test_add_func("/virtio-rng/quota-state", test_quota_moves_and_is_checked);
    g_test_add_func("/virtio-rng/idle", test_idle_device_wakes_nobody);
    g_test_add_func("/virtio-rng/thread", test_queue_on_its_thread);
    g_test_add_func("/virtio-rng/race", test_vcpus_race_for_the_status);
    return g_test_run();
}
