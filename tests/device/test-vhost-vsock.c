/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-vsock on a stub of the kernel's side: this program's ioctl() plays it for one
 * descriptor.  What the driver transmits comes back on the receive queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_mem.h>
#include <linux/virtio_vsock.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/log.h"
#include "berth/memory-device.h"
#include "berth/virtio.h"
#include "berth/vm-fake.h"

#include "kit-virtio.h"
#include "vhost-stub.h"

#define SIZE 16
#define TRANSMIT_DATA (KIT_VIRTIO_DATA + 0x10000)

static VhostStub stub;

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (fd == stub.fd && stub.fd > 0)
        return vhost_stub_ioctl(&stub, request, arg);
    return syscall(SYS_ioctl, fd, request, arg);
}

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    KitQueue transmit;
    KitQueue event;
} Fixture;

static void make_stub(void)
{
    vhost_stub_make(&stub, 1ull << VIRTIO_F_VERSION_1 |
                    1ull << VIRTIO_RING_F_INDIRECT_DESC |
                    1ull << VIRTIO_VSOCK_F_SEQPACKET | 1ull << 26);
}

static char *json(const char *more)
{
    return g_strdup_printf("{'driver': 'vhost-vsock-pci', 'id': 'vsock', 'guest-cid': 7, "
                           "'vhostfd': '%d'%s}", stub.fd, more);
}

static void start_driver(Fixture *f)
{
    kit_virtio_negotiate(f->v, UINT64_MAX);
    kit_virtio_setup_queue(f->v, SIZE);
    kit_queue_setup(&f->transmit, f->v, 1, SIZE);
    kit_queue_setup(&f->event, f->v, 2, SIZE);
    kit_virtio_set_status(f->v, kit_virtio_status(f->v) | VIRTIO_CONFIG_S_DRIVER_OK);
    kit_run(f->kit);
}

static void set_up(Fixture *f, gconstpointer unused)
{
    g_autofree char *text = NULL;

    make_stub();
    text = json("");
    f->kit = kit_board_new();
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    f->dev = kit_add(f->kit, text);
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, f->dev);
    start_driver(f);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    g_free(f->v);
    kit_board_free(f->kit);
    vhost_stub_assert_stopped(&stub);
    g_assert_cmpint(fcntl(stub.fd, F_GETFD), ==, -1);
    stub.fd = 0;
}

/* Transmits; the text comes back into a buffer of the receive queue. */
static void transmit(Fixture *f, const char *text)
{
    unsigned n = f->transmit.next_avail % SIZE;

    kit_virtio_desc(f->v, n, KIT_VIRTIO_DATA + 64 * n, 64, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f->v, n);
    memcpy(kit_ram(f->kit, TRANSMIT_DATA + 64 * n, 64), text, strlen(text));
    kit_queue_desc(&f->transmit, n, TRANSMIT_DATA + 64 * n, strlen(text), 0, 0);
    kit_queue_offer(&f->transmit, n);
    kit_queue_kick(&f->transmit);
}

static void assert_echo(Fixture *f, const char *text)
{
    uint32_t head, len;

    g_assert_true(kit_virtio_take(f->v, &head, &len));
    g_assert_cmpmem(kit_ram(f->kit, KIT_VIRTIO_DATA + 64 * head, 64), len, text,
                    strlen(text));
    g_assert_true(kit_queue_take(&f->transmit, &head, &len));
}

static void test_kernel_gets_what_it_needs(Fixture *f, gconstpointer unused)
{
    g_assert_cmphex(kit_pci_read(&f->v->pci, PCI_DEVICE_ID, 2), ==, 0x1053);
    g_assert_cmpuint(kit_read(f->kit, f->v->config, 8), ==, 7);
    g_assert_cmpuint(stub.cid, ==, 7);
    g_assert_true(stub.running);
    /* Bits that the stub does not know are neither offered nor told. */
    g_assert_false(f->v->features >> VIRTIO_RING_F_EVENT_IDX & 1);
    g_assert_true(f->v->features >> VIRTIO_VSOCK_F_SEQPACKET & 1);
    g_assert_cmphex(stub.driver_features, ==, f->v->features & stub.features);
    g_assert_cmpuint(stub.n_regions, ==, 2);
    g_assert_cmphex(stub.regions[1].guest_phys_addr, ==, KIT_HIGH_RAM_BASE);

    transmit(f, "hello");
    vhost_stub_echo(&stub);

    assert_echo(f, "hello");
    g_assert_cmpuint(kit_msix_count(f->kit, KIT_VIRTIO_VECTOR_DATA), ==, 2);
}

static void test_interrupt_waits_while_the_vector_is_masked(Fixture *f,
                                                           gconstpointer unused)
{
    int direct = stub.rings[0].call;

    kit_msix_mask(&f->v->pci, 0, true);
    g_assert_cmpint(stub.rings[0].call, !=, direct);
    transmit(f, "masked");
    vhost_stub_echo(&stub);
    kit_run(f->kit);

    g_assert_cmpuint(kit_msix_count(f->kit, KIT_VIRTIO_VECTOR_DATA), ==, 0);
    g_assert_true(kit_msix_is_pending(&f->v->pci, 0));
    kit_msix_mask(&f->v->pci, 0, false);
    g_assert_cmpint(stub.rings[0].call, ==, direct);
    g_assert_cmpuint(kit_msix_count(f->kit, KIT_VIRTIO_VECTOR_DATA), ==, 1);
    assert_echo(f, "masked");
}

/* The signal is in the old eventfd when the vector is unmasked. */
static void test_unmasked_before_the_loop_saw_it(Fixture *f, gconstpointer unused)
{
    kit_msix_mask(&f->v->pci, 0, true);
    transmit(f, "late");
    vhost_stub_echo(&stub);
    kit_msix_mask(&f->v->pci, 0, false);

    kit_run(f->kit);

    g_assert_cmpuint(kit_msix_count(f->kit, KIT_VIRTIO_VECTOR_DATA), >=, 1);
}

static void test_queue_takes_another_vector(Fixture *f, gconstpointer unused)
{
    kit_msix_program(&f->v->pci, 3, 0x77);
    kit_virtio_set(f->v, 0x16, 2, 0);           /* queue_select, queue_msix_vector */
    kit_virtio_set(f->v, 0x1a, 2, 3);
    transmit(f, "x");
    vhost_stub_echo(&stub);
    kit_run(f->kit);
    g_assert_cmpuint(kit_msix_count(f->kit, 0x77), ==, 1);
    g_assert_cmpuint(kit_msix_count(f->kit, KIT_VIRTIO_VECTOR_DATA), ==, 1);

    kit_virtio_set(f->v, 0x1a, 2, 0xffff);
    transmit(f, "y");
    vhost_stub_echo(&stub);
    kit_run(f->kit);
    g_assert_cmpuint(kit_msix_count(f->kit, 0x77), ==, 1);
}

static void test_pin_without_msix(Fixture *f, gconstpointer unused)
{
    kit_msix_enable(&f->v->pci, false);
    transmit(f, "pin");
    vhost_stub_echo(&stub);
    kit_run(f->kit);

    g_assert_cmpuint(kit_read(f->kit, f->v->isr, 1), ==, 1);
    assert_echo(f, "pin");
}

static void test_pause_keeps_the_place(Fixture *f, gconstpointer unused)
{
    for (int i = 0; i < 3; i++) {
        transmit(f, "before");
        vhost_stub_echo(&stub);
        assert_echo(f, "before");
    }
    device_tree_pause(&f->kit->tree);
    g_assert_false(stub.running);
    g_assert_cmpint(stub.rings[1].kick, ==, -1);
    transmit(f, "while paused");
    vhost_stub_echo(&stub);

    device_tree_resume(&f->kit->tree);
    g_assert_true(stub.running);
    g_assert_cmpuint(stub.rings[1].base, ==, 3);
    vhost_stub_echo(&stub);

    assert_echo(f, "while paused");
}

static void test_reset_and_start_again(Fixture *f, gconstpointer unused)
{
    unsigned cap = kit_pci_find_cap(&f->v->pci, PCI_CAP_ID_EXP, 0);

    transmit(f, "a");
    vhost_stub_echo(&stub);
    kit_virtio_set_status(f->v, 0);
    g_assert_false(stub.running);
    start_driver(f);
    g_assert_true(stub.running);
    g_assert_cmpuint(stub.rings[0].base, ==, 0);
    transmit(f, "b");
    vhost_stub_echo(&stub);
    assert_echo(f, "b");
    if (cap)
        kit_pci_write(&f->v->pci, cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
    device_remove(f->dev);
    g_assert_false(stub.running);
}

/* A device that is no more than memory; the kernel learns of it while it serves. */
static void test_memory_comes_and_goes(Fixture *f, gconstpointer unused)
{
    const MemoryWindowOptions options = {
        .root = &f->kit->memory_root, .memory = f->kit->memory, .gpa = 8 * GIB,
        .size = GIB, .limit = GIB, .n_nodes = 1,
    };
    const MemoryRequest request = { .memdev = "ram" };
    const MemoryDeviceOps ops = { .query = NULL };
    Device dev = { .tree = &f->kit->tree, .board = &f->kit->board };
    MemoryDevice memory = { .ops = &ops, .dev = &dev };
    g_autoptr(GError) error = NULL;

    f->kit->board.memory_window = memory_device_window_new(&options);
    kit_add_object(f->kit, "{'qom-type': 'memory-backend-ram', 'id': 'ram',"
                   " 'size': 2097152}");
    stub.fail_after = 0;
    g_assert_false(memory_device_plug(&memory, &request, &error));
    g_assert_nonnull(strstr(error->message, "device 'vsock': vhost: cannot set"));
    g_clear_error(&error);
    stub.fail_after = -1;
    kit_run_both(f->kit);
    g_assert_cmpuint(stub.n_regions, ==, 2);
    g_assert_true(stub.running);

    g_assert_true(memory_device_plug(&memory, &request, &error));
    g_assert_cmpuint(stub.n_regions, ==, 3);
    g_assert_cmphex(stub.regions[2].guest_phys_addr, ==, 8 * GIB);
    g_assert_cmphex(stub.regions[2].userspace_addr, ==, (uintptr_t)memory.ram->host);
    g_assert_true(stub.running);

    memory_device_hide(&memory);
    kit_run_both(f->kit);
    g_assert_cmpuint(stub.n_regions, ==, 2);
    g_assert_true(stub.running);
    memory_device_done(&memory);
}

#define MEM_REQUEST 0x600000u   /* gpa */

/* A virtio-mem's driver plugs or unplugs the first block; the response. */
static uint16_t ask_mem(KitVirtio *mem, uint16_t type)
{
    struct virtio_mem_req *req = kit_ram(mem->pci.kit, MEM_REQUEST, sizeof(*req));
    struct virtio_mem_resp *resp = kit_ram(mem->pci.kit, MEM_REQUEST + 64, sizeof(*resp));
    uint32_t head, len;

    *req = (struct virtio_mem_req) { .type = type };
    req->u.plug.addr = 8 * GIB;
    req->u.plug.nb_blocks = 1;
    kit_virtio_desc(mem, 0, MEM_REQUEST, sizeof(*req), VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(mem, 1, MEM_REQUEST + 64, sizeof(*resp), VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(mem, 0);
    kit_virtio_kick(mem);
    kit_run_both(mem->pci.kit);
    g_assert_true(kit_virtio_take(mem, &head, &len));
    return resp->type;
}

/* The same in blocks, of which the kernel has the sections that are shown. */
static void test_blocks_of_memory_come_and_go(void)
{
    Fixture f = { .kit = kit_board_new() };
    g_autofree KitVirtio *mem = NULL;
    g_autofree char *text = NULL;
    Device *dev;

    make_stub();
    text = json("");
    kit_add_memory_window(f.kit, 8 * GIB, GIB, GIB);
    kit_add_object(f.kit, "{'qom-type': 'memory-backend-ram', 'id': 'ram',"
                   " 'size': 67108864}");
    f.dev = kit_add(f.kit, text);
    dev = kit_add(f.kit, "{'driver': 'virtio-mem-pci', 'memdev': 'ram',"
                  " 'requested-size': 4194304}");
    kit_start(f.kit);
    f.v = kit_virtio_new(f.kit, f.dev);
    start_driver(&f);
    mem = kit_virtio_new(f.kit, dev);
    mem->ring = KIT_VIRTIO_RING + KIT_VIRTIO_RING_SPACE;
    kit_virtio_start(mem, UINT64_MAX, 16);
    g_assert_cmpuint(stub.n_regions, ==, 2);

    g_assert_cmpuint(ask_mem(mem, VIRTIO_MEM_REQ_PLUG), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(stub.n_regions, ==, 3);
    g_assert_cmphex(stub.regions[2].guest_phys_addr, ==, 8 * GIB);
    g_assert_cmpuint(ask_mem(mem, VIRTIO_MEM_REQ_UNPLUG), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(stub.n_regions, ==, 2);
    g_assert_true(stub.running);
    /* The kernel has no room for more: the guest may try again. */
    stub.fail_after = 0;
    g_assert_cmpuint(ask_mem(mem, VIRTIO_MEM_REQ_PLUG), ==, VIRTIO_MEM_RESP_BUSY);
    stub.fail_after = -1;
    g_assert_null(address_space_map(f.kit->memory, 8 * GIB, 1, true));
    g_assert_cmpuint(ask_mem(mem, VIRTIO_MEM_REQ_PLUG), ==, VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(stub.n_regions, ==, 3);
    tear_down(&f, NULL);
}

static void test_fault_in_a_ring_breaks_the_device(Fixture *f, gconstpointer unused)
{
    uint64_t one = 1;

    g_assert_cmpint(write(stub.rings[1].error, &one, sizeof(one)), ==, sizeof(one));
    kit_run(f->kit);

    g_assert_true(kit_virtio_status(f->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
    start_driver(f);
    g_assert_false(kit_virtio_status(f->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_half_a_driver_is_not_served(Fixture *f, gconstpointer unused)
{
    kit_virtio_negotiate(f->v, UINT64_MAX);
    kit_virtio_setup_queue(f->v, SIZE);
    kit_virtio_set_status(f->v, kit_virtio_status(f->v) | VIRTIO_CONFIG_S_DRIVER_OK);
    g_assert_false(stub.running);
    g_assert_false(kit_virtio_status(f->v) & VIRTIO_CONFIG_S_NEEDS_RESET);

    kit_msix_mask(&f->v->pci, 0, true);
    device_tree_pause(&f->kit->tree);
    device_tree_resume(&f->kit->tree);

    start_driver(f);
    g_assert_true(stub.running);
}

static void test_rings_outside_memory_never_reach_the_kernel(Fixture *f,
                                                            gconstpointer unused)
{
    unsigned n_calls;

    kit_virtio_negotiate(f->v, UINT64_MAX);
    n_calls = stub.n_calls;
    kit_virtio_setup_queue(f->v, SIZE);
    kit_virtio_set(f->v, 0x16, 2, 1);
    kit_virtio_set(f->v, 0x20, 4, 0xf0000000u);
    kit_virtio_set(f->v, 0x1c, 2, 1);
    kit_virtio_set_status(f->v, kit_virtio_status(f->v) | VIRTIO_CONFIG_S_DRIVER_OK);

    g_assert_true(kit_virtio_status(f->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmpuint(stub.n_calls, ==, n_calls);
}

/* The n-th call fails, for n = 0 until none does; a change of eventfds may. */
static void test_start_fails_at_each_step(Fixture *f, gconstpointer unused)
{
    int n = 0;

    do {
        kit_virtio_set_status(f->v, 0);
        stub.fail_after = n++;
        start_driver(f);
        if (stub.fail_after < 0)
            g_assert_true(kit_virtio_status(f->v) & VIRTIO_CONFIG_S_NEEDS_RESET ||
                          stub.running);
        g_assert_cmpint(n, <, 100);
    } while (stub.fail_after < 0);

    stub.fail_after = -1;
    g_assert_cmpint(n, >, 10);
    g_assert_true(stub.running);
    transmit(f, "works");
    vhost_stub_echo(&stub);
    assert_echo(f, "works");
}

static void test_stop_fails_at_each_step(Fixture *f, gconstpointer unused)
{
    for (int n = 0; n < 12; n++) {
        transmit(f, "before");
        vhost_stub_echo(&stub);
        assert_echo(f, "before");
        stub.fail_after = n;
        device_tree_pause(&f->kit->tree);
        stub.fail_after = -1;
        stub.running = false;
        device_tree_resume(&f->kit->tree);
    }
    transmit(f, "after");
    vhost_stub_echo(&stub);
    assert_echo(f, "after");
}

static void test_driver_learns_that_connections_are_gone(Fixture *f,
                                                         gconstpointer unused)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;
    const struct virtio_vsock_event *event;
    uint32_t head, len;

    kit_queue_desc(&f->event, 0, KIT_VIRTIO_DATA, 8, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(&f->event, 0);
    kit_queue_kick(&f->event);
    transmit(f, "x");
    vhost_stub_echo(&stub);
    assert_echo(f, "x");
    g_assert_false(kit_queue_take(&f->event, &head, &len));
    device_tree_pause(&f->kit->tree);
    saved = kit_save(f->kit);

    device_tree_load(&f->kit->tree, saved->data, saved->len, &error);
    g_assert_no_error(error);
    device_tree_resume(&f->kit->tree);
    kit_run(f->kit);

    g_assert_true(kit_queue_take(&f->event, &head, &len));
    g_assert_cmpuint(len, ==, sizeof(*event));
    event = kit_ram(f->kit, KIT_VIRTIO_DATA, sizeof(*event));
    g_assert_cmpuint(event->id, ==, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
    /* Once; without a buffer it waits for one. */
    kit_queue_offer(&f->event, 0);
    kit_queue_kick(&f->event);
    g_assert_false(kit_queue_take(&f->event, &head, &len));
    transmit(f, "after");
    vhost_stub_echo(&stub);
    assert_echo(f, "after");
}

static void test_event_waits_for_a_buffer_that_fits(Fixture *f, gconstpointer unused)
{
    g_autoptr(GByteArray) saved = NULL;
    uint32_t head, len;

    device_tree_pause(&f->kit->tree);
    saved = kit_save(f->kit);
    g_assert_true(device_tree_load(&f->kit->tree, saved->data, saved->len, NULL));
    device_tree_resume(&f->kit->tree);
    for (unsigned i = 0; i < 3; i++) {
        kit_queue_desc(&f->event, i, KIT_VIRTIO_DATA, i == 0 ? 2 : 4,
                       VRING_DESC_F_WRITE, 0);
        kit_queue_offer(&f->event, i);
    }
    kit_queue_kick(&f->event);

    g_assert_true(kit_queue_take(&f->event, &head, &len) && len == 2);
    g_assert_true(kit_queue_take(&f->event, &head, &len) && len == 4);
    g_assert_false(kit_queue_take(&f->event, &head, &len));
}

static void test_wrong_properties_are_refused(void)
{
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        { "{'driver': 'vhost-vsock-pci'}", "'guest-cid'" },
        { "{'driver': 'vhost-vsock-pci', 'guest-cid': 2}", "'guest-cid'" },
        { "{'driver': 'vhost-vsock-pci', 'guest-cid': 4294967295}", "'guest-cid'" },
        { "{'driver': 'vhost-vsock-pci', 'guest-cid': 3, 'vhostfd': '-1'}", "'vhostfd'" },
        { "{'driver': 'vhost-vsock-pci', 'guest-cid': 3, 'vhostfd': 'x'}", "'vhostfd'" },
        { "{'driver': 'vhost-vsock-pci', 'guest-cid': 3, 'vhostfd': '9999'}",
          "'vhostfd' expects the number of an open descriptor" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree char *no_vhost = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_assert_refused(kit, cases[i].json, cases[i].words);
    no_vhost = g_strdup_printf("{'driver': 'vhost-vsock-pci', 'guest-cid': 3, "
                               "'vhostfd': '%d'}", eventfd(0, 0));
    g_assert_null(kit_try_add(kit, no_vhost, NULL));
}

static void test_absent_module_is_named(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    if (access("/dev/vhost-vsock", F_OK) == 0) {
        g_test_skip("this host has the module");
        return;
    }
    kit_assert_refused(kit, "{'driver': 'vhost-vsock-pci', 'guest-cid': 3}",
                       "there is no '/dev/vhost-vsock': the host's kernel module "
                       "vhost_vsock is not loaded");
}

static void assert_add_fails(KitBoard *kit, const char *more, const char *words)
{
    g_autofree char *text = json(more);
    g_autofree char *before = NULL, *after = NULL;
    g_autoptr(GError) error = NULL;

    before = kit_dump(kit);
    stub.fd = fcntl(stub.fd, F_DUPFD, 0);       /* which the device takes */
    g_free(text);
    text = json(more);
    g_assert_null(kit_try_add(kit, text, &error));
    g_assert_nonnull(strstr(error->message, words));
    after = kit_dump(kit);
    g_assert_cmpstr(before, ==, after);
}

static void test_host_that_refuses(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    int kept;

    make_stub();
    kept = stub.fd;
    for (int n = 0; n < 3; n++) {
        stub.fail_after = n;
        assert_add_fails(kit, "", "vhost: cannot");
        stub.fd = kept;
    }
    stub.fail_after = 2;
    stub.errno_of_failure = EADDRINUSE;
    assert_add_fails(kit, "", "parameter 'guest-cid': CID 7 is in use by another guest");
    stub.fd = kept;
    stub.features = 1ull << VIRTIO_F_VERSION_1;
    assert_add_fails(kit, ", 'seqpacket': 'on'", "parameter 'seqpacket'");
    stub.fd = kept;
    stub.features = 0;
    assert_add_fails(kit, "", "no VIRTIO_F_VERSION_1");
    close(kept);
    stub.fd = 0;
}

static void add(const char *path, void (*fn)(Fixture *f, gconstpointer unused))
{
    g_test_add(path, Fixture, NULL, set_up, fn, tear_down);
}

/* The n-th descriptor, call of the hypervisor or call of vhost is refused. */
static Device *add_with_fault(KitBoard *kit, unsigned kind, unsigned n)
{
    g_autoptr(DeviceAddArgs) args = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    Device *dev;

    make_stub();
    text = json("");
    args = qapi_parse_json(QAPI_TYPE_DEVICE_ADD_ARGS, text, NULL);
    if (kind == 0)
        kit_limit_fds((int)n - 1);
    else if (kind == 1)
        vm_fake_fail_nth(kit->vm, n, -ENOSPC);
    else
        stub.fail_after = (int)n - 1;
    dev = hotplug_add(&kit->tree, args, &error);
    kit_limit_fds(-1);
    vm_fake_fail_nth(kit->vm, 0, 0);
    stub.fail_after = -1;
    g_assert_true(!dev == !!error);
    if (!dev && fcntl(stub.fd, F_GETFD) >= 0)
        close(stub.fd);
    return dev;
}

static void test_an_add_that_fails_leaves_nothing(void)
{
    /* The hypervisor is called when the driver asks for interrupts. */
    static const unsigned least[] = { 3, 1, 3 };

    for (unsigned kind = 0; kind < G_N_ELEMENTS(least); kind++) {
        g_autoptr(KitBoard) kit = kit_board_new();
        g_autofree char *before = NULL;
        Device *dev = NULL;
        unsigned n = 0;

        kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
        kit_start(kit);
        before = kit_dump(kit);
        while (!(dev = add_with_fault(kit, kind, ++n))) {
            g_autofree char *after = kit_dump(kit);

            g_assert_cmpuint(n, <, 100);
            g_assert_cmpstr(before, ==, after);
        }
        g_test_message("added at the %u-th", n);
        g_assert_cmpuint(n, >=, least[kind]);
        g_assert_true(hotplug_force(dev, NULL));
        g_assert_cmpint(fcntl(stub.fd, F_GETFD), ==, -1);
        stub.fd = 0;
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add("/vhost-vsock/start", test_kernel_gets_what_it_needs);
    add("/vhost-vsock/masked", test_interrupt_waits_while_the_vector_is_masked);
    add("/vhost-vsock/unmasked", test_unmasked_before_the_loop_saw_it);
    add("/vhost-vsock/vector", test_queue_takes_another_vector);
    add("/vhost-vsock/pin", test_pin_without_msix);
    add("/vhost-vsock/pause", test_pause_keeps_the_place);
    add("/vhost-vsock/reset", test_reset_and_start_again);
    add("/vhost-vsock/memory", test_memory_comes_and_goes);
    g_test_add_func("/vhost-vsock/blocks-of-memory", test_blocks_of_memory_come_and_go);
    add("/vhost-vsock/fault", test_fault_in_a_ring_breaks_the_device);
    add("/vhost-vsock/half", test_half_a_driver_is_not_served);
    add("/vhost-vsock/no-memory", test_rings_outside_memory_never_reach_the_kernel);
    add("/vhost-vsock/start-fails", test_start_fails_at_each_step);
    add("/vhost-vsock/stop-fails", test_stop_fails_at_each_step);
    add("/vhost-vsock/transport-reset", test_driver_learns_that_connections_are_gone);
    add("/vhost-vsock/transport-reset-waits", test_event_waits_for_a_buffer_that_fits);
    g_test_add_func("/vhost-vsock/refused", test_wrong_properties_are_refused);
    g_test_add_func("/vhost-vsock/module", test_absent_module_is_named);
    g_test_add_func("/vhost-vsock/host-refuses", test_host_that_refuses);
    g_test_add_func("/vhost-vsock/an-add-that-fails-leaves-nothing",
                    test_an_add_that_fails_leaves_nothing);
    return g_test_run();
}
