/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device_add that fails at any step leaves the machine equal to before, and so does a
 * device that came and went: each driver that there is, on a whole machine, with the n-th
 * descriptor, call of the hypervisor, thread or call of the kernel's vhost refused, for n
 * = 1 until it is added.  The machine is what its clients can ask for.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/hotplug.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#include "hmp-bench.h"
#include "kit-board.h"
#include "kit-process.h"
#include "kit-qmp.h"
#include "sanitized.h"
#include "vhost-stub.h"

#define MOST_STEPS 100u
#define DEPTH 8

typedef enum Fault {
    FAULT_DESCRIPTORS,
    FAULT_HYPERVISOR,
    FAULT_THREADS,
    FAULT_VHOST,
    FAULT__MAX
} Fault;

static const char *const fault_names[] = {
    [FAULT_DESCRIPTORS] = "descriptor", [FAULT_HYPERVISOR] = "call of the hypervisor",
    [FAULT_THREADS] = "thread", [FAULT_VHOST] = "call of vhost",
};

static unsigned n_failed[FAULT__MAX];
static VhostStub stub;
static unsigned threads_left = UINT_MAX;

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (fd == stub.fd && stub.fd > 0)
        return vhost_stub_ioctl(&stub, request, arg);
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

#if !SANITIZED
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                   void *arg)
{
    typedef int Create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    Create *create = (Create *)dlsym(RTLD_NEXT, "pthread_create");

    if (threads_left == 0)
        return EAGAIN;
    threads_left -= threads_left != UINT_MAX;
    return create(thread, attr, fn, arg);
}
#endif

/* What a driver needs beside its name and an id; of those without a row it is nothing. */
static const char *const needs[DEVICE_DRIVER__MAX] = {
    [DEVICE_DRIVER_PCIE_ROOT_PORT] = ", 'chassis': 9",
    [DEVICE_DRIVER_PCI_BRIDGE] = ", 'chassis_nr': 9",
    [DEVICE_DRIVER_VIRTIO_BLK_PCI] = ", 'drive': 'n', 'num-queues': 3",
    [DEVICE_DRIVER_VIRTIO_NET_PCI] = ", 'netdev': 'nn', 'acpi-index': 5",
    [DEVICE_DRIVER_VIRTIO_RNG_PCI] = ", 'rng': 'source'",
    [DEVICE_DRIVER_VIRTIO_SCSI_PCI] = ", 'num_queues': 2, 'iothread': 'io'",
    [DEVICE_DRIVER_VIRTIO_MEM_PCI] = ", 'memdev': 'mem', 'requested-size': 4194304",
    [DEVICE_DRIVER_SCSI_HD] = ", 'drive': 'n'",
    [DEVICE_DRIVER_SCSI_CD] = ", 'drive': 'n'",
    [DEVICE_DRIVER_VIRTSERIALPORT] = ", 'chardev': 'c'",
    [DEVICE_DRIVER_VIRTCONSOLE] = ", 'chardev': 'c'",
    [DEVICE_DRIVER_ISA_SERIAL] = ", 'chardev': 'c'",
    [DEVICE_DRIVER_ISA_DEBUGCON] = ", 'chardev': 'c'",
    [DEVICE_DRIVER_PC_DIMM] = ", 'memdev': 'mem'",
    [DEVICE_DRIVER_VCPU] = ", 'socket-id': 0, 'core-id': 1, 'thread-id': 0",
};

/* Words of why it never comes to a machine that runs, though its bus takes devices. */
static const char *refusal_of(DeviceDriver driver)
{
    return driver == DEVICE_DRIVER_PCIE_ROOT_PORT ? "root bus" : NULL;
}

#define MACHINE                                                                          \
    "-nodefaults", "-m", "64,slots=2,maxmem=1G", "-smp", "1,maxcpus=3,cores=3",          \
    "-kernel", "tests/fuzz/seeds/kernel/elf64",                                          \
    "-object", "memory-backend-ram,id=mem,size=64M", "-object", "iothread,id=io",        \
    "-object", "rng-random,id=source", "-netdev", "null,id=nn",                          \
    "-blockdev", "null-co,node-name=n,size=65536", "-chardev", "null,id=c",              \
    "-device", "pcie-root-port,id=port,chassis=1"

typedef struct Fixture {
    HmpBench bench;
    KitQmp *qmp;
} Fixture;

/* The machine that has a place for what is on @bus. */
static void set_up(Fixture *f, BusKind bus)
{
    const char *words[] = { MACHINE, NULL, NULL, NULL };
    size_t n = G_N_ELEMENTS(words) - 3;

    if (bus == BUS_SCSI || bus == BUS_VIRTIO_SERIAL) {
        words[n++] = "-device";
        words[n++] = bus == BUS_SCSI ? "virtio-scsi-pci" : "virtio-serial-pci";
    }
    hmp_bench_init(&f->bench, words);
    f->qmp = kit_qmp_new_on(&f->bench.ctx, f->bench.loop);
}

static void tear_down(Fixture *f)
{
    kit_qmp_free(f->qmp);
    hmp_bench_done(&f->bench);
}

static void add_answer(Fixture *f, GString *text, const char *command)
{
    g_autoptr(JsonValue) value = kit_qmp_ask(f->qmp, command, NULL);
    g_autofree char *answer = json_to_text(value);

    g_string_append_printf(text, "%s: %s\n", command, answer);
}

/* The object tree from @path down; "info qtree" has the values. */
static void add_objects(Fixture *f, GString *text, const char *path, int depth)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(f->qmp, "qom-list", "{'path': '%s'}", path);
    g_autofree char *answer = json_to_text(list);

    g_assert_cmpint(depth, >, 0);
    g_string_append_printf(text, "%s: %s\n", path, answer);
    for (size_t i = 0; i < json_length(list); i++) {
        const char *name = json_as_string(json_member(json_at(list, i), "name"));
        const char *type = json_as_string(json_member(json_at(list, i), "type"));
        g_autofree char *below = g_strdup_printf("%s/%s", path[1] ? path : "", name);

        if (g_str_has_prefix(type, "child<"))
            add_objects(f, text, below, depth - 1);
    }
}

/* Who has memory; how much of it is resident now is the kernel's affair. */
static void add_ledger(Fixture *f, GString *text)
{
    g_autoptr(JsonValue) ledger = kit_qmp_ask(f->qmp, "x-query-memory-ledger", NULL);
    const JsonValue *lists[] = { json_member(ledger, "entries"),
                                 json_member(ledger, "heap") };

    for (size_t n = 0; n < G_N_ELEMENTS(lists); n++) {
        for (size_t i = 0; i < json_length(lists[n]); i++) {
            g_autofree char *owner = kit_qmp_at(json_at(lists[n], i), "owner");
            g_autofree char *id = kit_qmp_at(json_at(lists[n], i), "id");

            g_string_append_printf(text, "memory of %s %s\n", owner, id);
        }
    }
}

static char *dump(Fixture *f)
{
    static const char *const commands[] = {
        "query-pci", "query-cpus-fast", "query-hotpluggable-cpus", "query-memory-devices",
        "query-memory-size-summary", "query-memdev", "query-block",
        "query-named-block-nodes", "query-chardev", "query-rx-filter", "query-iothreads",
        "query-acpi-ospm-status", "x-query-unplug",
    };
    static const char *const lines[] = {
        "info qtree", "info mtree", "info mtree -f", "info network", "info block",
    };
    GString *text = g_string_new(NULL);
    Vm *vm = f->bench.machine->vm;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        add_answer(f, text, commands[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *said = hmp_bench_ask(&f->bench, lines[i]);

        g_string_append(text, said);
    }
    add_objects(f, text, "/", DEPTH);
    if (!SANITIZED)
        add_ledger(f, text);
    g_string_append_printf(text, "%u slots, %u doorbells, %u descriptors, %u threads\n",
                           vm_fake_slot_count(vm), vm_fake_doorbell_count(vm),
                           kit_count_fds(), kit_count_tasks());
    return g_string_free(text, FALSE);
}

/* What a save would have of the devices; of a machine that runs nothing: time goes by. */
static GByteArray *save(Fixture *f)
{
    GByteArray *bytes = g_byte_array_new();

    if (!f->bench.machine->tree.running)
        device_tree_save(&f->bench.machine->tree, bytes);
    return bytes;
}

static void set_fault(Fixture *f, Fault fault, unsigned n)
{
    if (fault == FAULT_DESCRIPTORS)
        kit_limit_fds(n ? (int)n - 1 : -1);
    else if (fault == FAULT_HYPERVISOR)
        vm_fake_fail_nth(f->bench.machine->vm, n, -ENOSPC);
    else if (fault == FAULT_THREADS)
        threads_left = n - 1;
    else
        stub.fail_after = (int)n - 1;
}

/* Adds "d"; whether it was added. */
static bool add_with_fault(Fixture *f, DeviceDriver driver, Fault fault, unsigned n)
{
    bool is_vsock = driver == DEVICE_DRIVER_VHOST_VSOCK_PCI;
    g_autoptr(JsonValue) reply = NULL;
    g_autofree char *json = NULL;
    g_autofree char *fd = NULL;
    bool added;

    if (is_vsock) {
        vhost_stub_make(&stub, 1ull << VIRTIO_F_VERSION_1);
        fd = g_strdup_printf(", 'guest-cid': 7, 'vhostfd': '%d'", stub.fd);
    }
    json = g_strdup_printf("{'driver': '%s', 'id': 'd'%s%s}", DeviceDriver_str(driver),
                           needs[driver] ? needs[driver] : "", fd ? fd : "");
    set_fault(f, fault, n);
    kit_qmp_send(f->qmp, "device_add", json);
    set_fault(f, fault, 0);
    reply = kit_qmp_receive(f->qmp);
    added = json_member(reply, "return") != NULL;
    if (is_vsock && !added && fcntl(stub.fd, F_GETFD) >= 0)
        close(stub.fd);
    if (!added) {
        g_autofree char *words = kit_qmp_at(reply, "error.desc");

        g_test_message("%s: %u: %s", DeviceDriver_str(driver), n, words);
        if (refusal_of(driver))
            g_assert_nonnull(strstr(words, refusal_of(driver)));
    }
    return added;
}

static bool is_clock(const char *line)
{
    return strstr(line, "tm_sec") != NULL;
}

/* @saved is NULL after what the guest has seen. */
static void assert_same(Fixture *f, const char *before, const GByteArray *saved)
{
    g_autofree char *after = dump(f);
    g_autoptr(GByteArray) again = save(f);

    if (strcmp(before, after) != 0) {
        g_auto(GStrv) old = g_strsplit(before, "\n", -1);
        g_auto(GStrv) new = g_strsplit(after, "\n", -1);
        unsigned i = 0;

        while (old[i] && new[i] && (strcmp(old[i], new[i]) == 0 || is_clock(old[i])))
            i++;
        if (old[i] || new[i])
            g_error("'%s' was '%s'", new[i], old[i]);
    }
    if (saved)
        g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
}

static void take_out(Fixture *f)
{
    g_autoptr(JsonValue) gone = NULL;

    kit_qmp_do(f->qmp, "x-device-del-force", "{'id': 'd'}");
    gone = kit_qmp_wait_event(f->qmp, "DEVICE_DELETED");
    kit_qmp_assert_at(gone, "device", "d");
}

/* Comes and goes; the first virtio device makes the thread for queues, which stays. */
static void come_and_go(Fixture *f, DeviceDriver driver)
{
    g_autofree char *before = dump(f);

    g_assert_true(add_with_fault(f, driver, FAULT_HYPERVISOR, 0));
    take_out(f);
    assert_same(f, before, NULL);
}

/* The number of steps that @driver's add took. */
static unsigned fail_each_step(Fixture *f, DeviceDriver driver, Fault fault)
{
    g_autofree char *before = dump(f);
    g_autoptr(GByteArray) saved = save(f);
    unsigned n = 1;

    while (!add_with_fault(f, driver, fault, n)) {
        assert_same(f, before, saved);
        if (refusal_of(driver))
            return 0;
        g_assert_cmpuint(++n, <, MOST_STEPS);
    }
    take_out(f);
    come_and_go(f, driver);
    return n - 1;
}

/* Whether it can come to a machine that runs, by the bus that it has. */
static bool is_pluggable(DeviceDriver driver)
{
    BusKind bus = device_kinds[driver].class->bus;

    return bus != BUS_NONE && bus != BUS_ISA && bus != BUS_IDE;
}

/* The machine stands, since time would change what it saves; then it runs. */
static void test_driver(gconstpointer opaque)
{
    DeviceDriver driver = GPOINTER_TO_UINT(opaque);
    Fixture f;

    for (Fault fault = 0; fault < FAULT__MAX; fault++) {
        unsigned n;

        if (fault == FAULT_VHOST && driver != DEVICE_DRIVER_VHOST_VSOCK_PCI)
            continue;
        set_up(&f, device_kinds[driver].class->bus);
        kit_qmp_do(f.qmp, "stop", NULL);
        n = fail_each_step(&f, driver, fault);
        n_failed[fault] += n;
        kit_qmp_do(f.qmp, "cont", NULL);
        if (n > 0 || fault == FAULT_HYPERVISOR)
            g_assert_cmpuint(fail_each_step(&f, driver, fault), <=, n);
        tear_down(&f);
    }
}

static void test_each_fault_happened(void)
{
    for (Fault fault = 0; fault < FAULT__MAX; fault++) {
        g_test_message("%u times a %s", n_failed[fault], fault_names[fault]);
        if (fault != FAULT_THREADS || !SANITIZED)
            g_assert_cmpuint(n_failed[fault], >, 1);
    }
}

/* What has no bus for it is refused, and nothing else happens. */
static void test_others(void)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autofree char *before = NULL;
    Fixture f;

    set_up(&f, BUS_NONE);
    before = dump(&f);
    saved = save(&f);
    for (DeviceDriver driver = 0; driver < DEVICE_DRIVER__MAX; driver++) {
        if (is_pluggable(driver))
            continue;
        g_assert_false(add_with_fault(&f, driver, FAULT_HYPERVISOR, 0));
        assert_same(&f, before, saved);
    }
    tear_down(&f);
}

/* What counts at the start counts later, too: firmware has one first device. */
static void test_bootindex_is_taken(void)
{
    static const char blk[] = "{'driver': 'virtio-blk-pci', 'id': 'd', 'drive': 'm',"
                              " 'bootindex': %u}";
    g_autofree char *before = NULL;
    Fixture f;

    set_up(&f, BUS_SCSI);
    kit_qmp_do(f.qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'm'}");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n',"
               " 'bootindex': 1}");
    before = dump(&f);
    kit_qmp_assert_fails(f.qmp, "'bootindex': device 'hd' has 1 already", "device_add",
                         blk, 1u);
    assert_same(&f, before, NULL);
    kit_qmp_do(f.qmp, "device_add", blk, 2u);
    kit_qmp_do(f.qmp, "x-device-del-force", "{'id': 'd'}");
    kit_qmp_do(f.qmp, "device_del", "{'id': 'hd'}");
    kit_qmp_do(f.qmp, "device_add", blk, 1u);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    for (DeviceDriver driver = 0; driver < DEVICE_DRIVER__MAX; driver++) {
        g_autofree char *path = g_strconcat("/hotplug-faults/", DeviceDriver_str(driver),
                                            NULL);

        if (is_pluggable(driver))
            g_test_add_data_func(path, GUINT_TO_POINTER(driver), test_driver);
    }
    g_test_add_func("/hotplug-faults/each-fault-happened", test_each_fault_happened);
    g_test_add_func("/hotplug-faults/others", test_others);
    g_test_add_func("/hotplug-faults/bootindex-that-is-taken", test_bootindex_is_taken);
    return g_test_run();
}
