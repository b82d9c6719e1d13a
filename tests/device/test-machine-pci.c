/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine does with the PCI devices of its command line, and for those to come. */
#include <string.h>

#include "berth/hotplug.h"
#include "berth/pci.h"
#include "berth/qmp.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#include "machine-bench.h"

static void make(MachineBench *bench, char *const *words, size_t n, GError **error)
{
    g_assert_true(machine_bench_init(bench, words, n, NULL));
    machine_bench_make(bench, vm_fake_new(), error);
}

static void test_indices_that_nobody_would_be_told_of(void)
{
    static const struct {
        const char *words[6];
        const char *error;
    } cases[] = {
        { { "-machine", "acpi=off", "-device", "virtio-net-pci,netdev=n,acpi-index=1" },
          "tells the guest nothing" },
        { { "-device", "pcie-root-port,id=p,hotplug=off", "-device",
            "virtio-net-pci,netdev=n,bus=p,acpi-index=1" }, "on bus 'p'" },
        { { "-device", "pcie-pci-bridge,id=p", "-device",
            "virtio-net-pci,netdev=n,bus=p,addr=1.1,acpi-index=1" }, "on bus 'p'" },
        { { "-device", "pcie-pci-bridge,id=p", "-device",
            "virtio-net-pci,netdev=n,bus=p,addr=1.0,acpi-index=1" }, NULL },
        { { "-device", "virtio-net-pci,netdev=n,acpi-index=1", "-device",
            "virtio-net-pci,netdev=m,acpi-index=1" }, "1 already" },
        { { "-device", "pcie-root-port,id=p", "-device",
            "virtio-net-pci,netdev=n,bus=p,acpi-index=1", "-device",
            "virtio-net-pci,netdev=m,acpi-index=2" }, NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *words[16] = { "berth", "-nodefaults", "-netdev", "null,id=n", "-netdev",
                            "null,id=m" };
        g_autoptr(GError) error = NULL;
        int n = 6;
        MachineBench bench;

        for (size_t j = 0; j < G_N_ELEMENTS(cases[i].words) && cases[i].words[j]; j++)
            words[n++] = (char *)cases[i].words[j];
        make(&bench, words, (size_t)n, &error);
        g_assert_true(!bench.machine == !!cases[i].error);
        if (error && !strstr(error->message, cases[i].error))
            g_error("'%s' is not in '%s'", cases[i].error, error->message);
        machine_bench_done(&bench);
    }
}

static unsigned n_root_ports(const MachineBench *bench)
{
    unsigned n = 0;

    LIST_FOREACH(node, &bench->machine->tree.devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);

        n += dev->class == &pcie_root_port_class;
    }
    return n;
}

static void test_root_ports_that_nobody_asked_for(void)
{
    static const struct {
        const char *words[4];
        unsigned n;
    } cases[] = {
        { { NULL }, 4 },
        { { "-nodefaults" }, 0 },
        { { "-device", "pcie-root-port,id=p" }, 1 },
        { { "-device", "virtio-rng-pci,addr=1e" }, 4 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *words[8] = { "berth", "-display", "none" };
        g_autoptr(GError) error = NULL;
        int n = 3;
        MachineBench bench;

        for (size_t j = 0; j < G_N_ELEMENTS(cases[i].words) && cases[i].words[j]; j++)
            words[n++] = (char *)cases[i].words[j];
        make(&bench, words, (size_t)n, &error);
        g_assert_no_error(error);
        bench.machine->tree.started = true;
        g_assert_cmpuint(n_root_ports(&bench), ==, cases[i].n);
        for (unsigned j = 0; j < cases[i].n; j++) {
            g_autoptr(DeviceAddArgs) args = qapi_parse_keyval(
                QAPI_TYPE_DEVICE_ADD_ARGS, "virtio-rng-pci", "driver", NULL);
            Device *dev = hotplug_add(&bench.machine->tree, args, &error);

            g_assert_no_error(error);
            g_assert_true(pci_bus_is_below_port(pci_bus(dev->bus)));
        }
        machine_bench_done(&bench);
    }
}

/* The board's own, at 1f.2, is there unless it is not wanted. */
static void test_ata_controller(void)
{
    static const struct {
        const char *machine;
        bool is_there;
    } cases[] = { { "q35", true }, { "q35,sata=on", true }, { "q35,sata=off", false } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *words[] = { "berth", "-nodefaults", "-machine", (char *)cases[i].machine };
        g_autoptr(GError) error = NULL;
        MachineBench bench;

        make(&bench, words, G_N_ELEMENTS(words), &error);
        g_assert_no_error(error);
        g_assert_cmpint(device_find(&bench.machine->tree, "/machine/ahci") != NULL, ==,
                        cases[i].is_there);
        g_assert_cmpint(device_tree_find_bus(&bench.machine->tree, "ide.0") != NULL, ==,
                        cases[i].is_there);
        machine_bench_done(&bench);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/machine-pci/indices-that-nobody-would-be-told-of",
                    test_indices_that_nobody_would_be_told_of);
    g_test_add_func("/machine-pci/root-ports-that-nobody-asked-for",
                    test_root_ports_that_nobody_asked_for);
    g_test_add_func("/machine-pci/ata-controller", test_ata_controller);
    return g_test_run();
}
