/* SPDX-License-Identifier: Apache-2.0 */
/* What a host says of its memory: files of many kinds, and none. */
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>

#include "berth/host-memory.h"

#define NONE HOST_MEMORY_UNKNOWN
#define STALLS "some avg10=12.34 avg60=5.00 avg300=1.00 total=123\n" \
               "full avg10=0.05 avg60=0.00 avg300=0.00 total=12\n"
#define MEMINFO "MemTotal:       16314148 kB\nMemFree:          100 kB\n" \
                "MemAvailable:    8000000 kB\nBuffers: 1 kB\n"
#define GROUP "/sys/fs/cgroup/machine.slice/vm.scope"

static char *root;

static void put(const char *path, const char *text)
{
    g_autofree char *name = g_strconcat(root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(name);
    FILE *file;

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    /* In their place, as the kernel's files change. */
    file = fopen(name, "w");
    g_assert_nonnull(file);
    fputs(text, file);
    g_assert_cmpint(fclose(file), ==, 0);
}

static void remove_all(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        if (g_file_test(path, G_FILE_TEST_IS_DIR))
            remove_all(path);
        else
            g_unlink(path);
    }
    g_rmdir(folder);
}

static void begin(void)
{
    root = g_strdup("/tmp/berth-host-memory-XXXXXX");
    g_assert_nonnull(mkdtemp(root));
}

static void end(void)
{
    remove_all(root);
    g_clear_pointer(&root, g_free);
}

static HostMemorySample sample(void)
{
    g_autoptr(HostMemory) memory = host_memory_new(root);
    HostMemorySample sample;

    host_memory_read(memory, &sample);
    return sample;
}

static void test_a_host_that_has_all(void)
{
    g_autoptr(HostMemory) memory = NULL;
    HostMemorySample now;

    begin();
    put("/proc/pressure/memory", STALLS);
    put("/proc/meminfo", MEMINFO);
    put("/proc/self/cgroup", "1:name=systemd:/x\n0::/machine.slice/vm.scope\n");
    put(GROUP "/memory.current", "1048576\n");
    put(GROUP "/memory.max", "max\n");
    put(GROUP "/memory.high", "2097152\n");
    put(GROUP "/memory.pressure",
        "some avg10=100.00 avg60=0.00\nfull avg10=99.99 avg60=0\n");
    memory = host_memory_new(root);
    host_memory_read(memory, &now);

    g_assert_cmpuint(now.host.some, ==, 1234);
    g_assert_cmpuint(now.host.full, ==, 5);
    g_assert_cmpuint(now.cgroup.some, ==, 10000);
    g_assert_cmpuint(now.cgroup.full, ==, 9999);
    g_assert_cmpuint(now.total, ==, 16314148ull * KIB);
    g_assert_cmpuint(now.available, ==, 8000000ull * KIB);
    g_assert_cmpuint(now.cgroup_current, ==, MIB);
    g_assert_cmpuint(now.cgroup_limit, ==, 2 * MIB);
    g_assert_cmpstr(host_memory_cgroup(memory), ==, "/machine.slice/vm.scope");

    put("/proc/pressure/memory", "some avg10=1.00\n");
    host_memory_read(memory, &now);
    g_assert_cmpuint(now.host.some, ==, 100);
    g_assert_cmpuint(now.host.full, ==, NONE);
    end();
}

static void test_a_host_that_has_nothing(void)
{
    g_autoptr(HostMemory) memory = NULL;
    HostMemorySample now;

    begin();
    memory = host_memory_new(root);
    host_memory_read(memory, &now);

    g_assert_cmpuint(now.host.some, ==, NONE);
    g_assert_cmpuint(now.cgroup.full, ==, NONE);
    g_assert_cmpuint(now.available, ==, NONE);
    g_assert_cmpuint(now.cgroup_current, ==, NONE);
    g_assert_cmpuint(now.cgroup_limit, ==, NONE);
    g_assert_null(host_memory_cgroup(memory));
    end();
}

/* A threaded group has no memory of its own; its parent has. */
static void test_the_group_above(void)
{
    g_autoptr(HostMemory) memory = NULL;

    begin();
    put("/proc/self/cgroup", "0::/machine.slice/vm.scope/libvirt/emulator\n");
    put(GROUP "/libvirt/emulator/cgroup.threads", "");
    put(GROUP "/memory.current", "7\n");
    memory = host_memory_new(root);
    g_assert_cmpstr(host_memory_cgroup(memory), ==, "/machine.slice/vm.scope");
    g_assert_cmpuint(sample().cgroup_current, ==, 7);
    g_assert_cmpuint(sample().cgroup_limit, ==, NONE);
    end();
}

static const char *const faulty_groups[] = {
    "", "\n", "0::/", "0::/\n", "0::", "4:memory:/x\n", "0::/gone (deleted)\n",
    "0::x/y\n", "\n\n0::/absent\n",
};

static void test_groups_that_are_none(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(faulty_groups); i++) {
        begin();
        put("/proc/self/cgroup", faulty_groups[i]);
        put("/sys/fs/cgroup/memory.current", "7\n");
        g_assert_cmpuint(sample().cgroup_current, ==, NONE);
        end();
    }
}

static const struct {
    const char *text;
    uint64_t some;
    uint64_t full;
} stalls[] = {
    { "", NONE, NONE },
    { "some avg10=", NONE, NONE },
    { "some avg10=1", NONE, NONE },
    { "some avg10=1.", NONE, NONE },
    { "some avg10=1.2", NONE, NONE },
    { "some avg10=1.23", 123, NONE },
    { "some avg10=-1.23 ", NONE, NONE },
    { "some avg10=x\nfull avg10=0.01\n", NONE, 1 },
    { "some avg10=99999999999999999999999.99\n", 10099, NONE },
    { "full avg10=2.00", NONE, 200 },
    { "awesome avg10=2.00", NONE, NONE },
};

static void test_pressure_in_other_words(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(stalls); i++) {
        begin();
        put("/proc/pressure/memory", stalls[i].text);
        g_assert_cmpuint(sample().host.some, ==, stalls[i].some);
        g_assert_cmpuint(sample().host.full, ==, stalls[i].full);
        end();
    }
}

static const struct {
    const char *text;
    uint64_t total;
} totals[] = {
    { "MemTotal: 4 kB\n", 4096 },
    { "MemTotal:4 kB\n", 4096 },
    { "MemTotal:\n", NONE },
    { "MemTotal: -4 kB\n", NONE },
    { "MemTotal: 18446744073709551615 kB\n", NONE },
    { "NoMemTotal: 4 kB\n", NONE },
};

static void test_memory_in_other_words(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(totals); i++) {
        begin();
        put("/proc/meminfo", totals[i].text);
        g_assert_cmpuint(sample().total, ==, totals[i].total);
        g_assert_cmpuint(sample().available, ==, NONE);
        end();
    }
}

static void test_this_host(void)
{
    g_autoptr(HostMemory) memory = host_memory_new("");
    HostMemorySample now;

    host_memory_read(memory, &now);
    g_assert_cmpuint(now.total, !=, NONE);
    g_assert_cmpuint(now.available, <=, now.total);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host-memory/a-host-that-has-all", test_a_host_that_has_all);
    g_test_add_func("/host-memory/a-host-that-has-nothing", test_a_host_that_has_nothing);
    g_test_add_func("/host-memory/the-group-above", test_the_group_above);
    g_test_add_func("/host-memory/groups-that-are-none", test_groups_that_are_none);
    g_test_add_func("/host-memory/pressure-in-other-words", test_pressure_in_other_words);
    g_test_add_func("/host-memory/memory-in-other-words", test_memory_in_other_words);
    g_test_add_func("/host-memory/this-host", test_this_host);
    return g_test_run();
}
