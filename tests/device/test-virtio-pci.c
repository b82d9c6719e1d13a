/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI transport: registers, status, interrupts, the window in configuration space. */
#include <linux/virtio_pci.h>
#include <string.h>

#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/thread.h"
#include "berth/virtio.h"
#include "berth/vm-fake.h"

#include "kit-virtio.h"

#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define COMMAND_TOGGLES 3000
#define N_TOGGLERS 3
#define POKES 20000
#define RNG "{'driver': 'virtio-rng-pci', 'id': 'rng'}"

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    unsigned port_devfn;
    uint64_t msix;              /* gpa of the table */
} Fixture;

static void fixture_init(Fixture *f, const char *json)
{
    f->kit = kit_board_new();
    f->dev = kit_add(f->kit, json);
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, f->dev);
}

static void fixture_done(Fixture *f)
{
    kit_board_free(f->kit);
    g_free(f->v);
}

static void add_status(Fixture *f, uint8_t bits)
{
    kit_virtio_set_status(f->v, kit_virtio_status(f->v) | bits);
}

/* Offers a buffer to fill; returns whether it came back filled. */
static bool fetch_entropy(Fixture *f)
{
    uint32_t head, len;

    kit_virtio_desc(f->v, 0, KIT_VIRTIO_DATA, 32, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f->v, 0);
    kit_virtio_kick(f->v);
    return kit_virtio_take(f->v, &head, &len) && len == 32;
}

static void test_layout_is_what_tools_know(void)
{
    Fixture f;

    fixture_init(&f, RNG);

    g_assert_cmphex(kit_pci_read(&f.v->pci, PCI_VENDOR_ID, 4), ==, 0x10441af4);
    g_assert_cmphex(kit_pci_read(&f.v->pci, PCI_SUBSYSTEM_VENDOR_ID, 4), ==, 0x11001af4);
    g_assert_cmphex(kit_pci_read(&f.v->pci, PCI_CLASS_REVISION, 4), ==, 0x00ff0001);
    g_assert_cmphex(f.v->registers, ==, kit_pci_bar(&f.v->pci, 4));
    g_assert_cmphex(f.v->isr, ==, f.v->registers + 0x1000);
    g_assert_cmphex(f.v->config, ==, f.v->registers + 0x2000);
    g_assert_cmphex(f.v->notify, ==, f.v->registers + 0x3000);
    g_assert_cmpuint(f.v->notify_multiplier, ==, 4);
    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_NUMQ, 2), ==, 1);
    g_assert_cmpuint(kit_pci_find_cap(&f.v->pci, PCI_CAP_ID_EXP, 0), ==, 0);
    fixture_done(&f);
}

static void test_request_is_served(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_start(f.v, UINT64_MAX, 8);

    g_assert_true(fetch_entropy(&f));

    g_assert_cmpuint(kit_msix_count(f.kit, KIT_VIRTIO_VECTOR_DATA), ==, 1);
    g_assert_cmpuint(vm_fake_doorbell_count(f.kit->vm), ==, 1);
    fixture_done(&f);
}

static void test_request_before_driver_ok_is_served_after(void)
{
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_negotiate(f.v, UINT64_MAX);
    kit_virtio_setup_queue(f.v, 8);
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA, 8, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);
    g_assert_false(kit_virtio_take(f.v, &head, &len));

    add_status(&f, VIRTIO_CONFIG_S_DRIVER_OK);
    kit_run(f.kit);

    g_assert_true(kit_virtio_take(f.v, &head, &len));
    fixture_done(&f);
}

static void test_without_ioeventfd_and_vectors(void)
{
    Fixture f;

    fixture_init(&f, "{'driver': 'virtio-rng-pci', 'vectors': 0, 'ioeventfd': false}");
    kit_virtio_start(f.v, UINT64_MAX, 8);

    g_assert_true(fetch_entropy(&f));

    g_assert_cmpuint(vm_fake_doorbell_count(f.kit->vm), ==, 0);
    g_assert_true(f.kit->irq_levels[1]);
    g_assert_cmpuint(kit_read(f.kit, f.v->isr, 1), ==, 1);
    g_assert_false(f.kit->irq_levels[1]);
    g_assert_cmpuint(kit_read(f.kit, f.v->isr, 1), ==, 0);
    fixture_done(&f);
}

/* A driver that uses vectors does not read the ISR, and other devices share the line. */
static void test_pin_is_silent_while_vectors_are_on(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    kit_msix_enable(&f.v->pci, false);
    g_assert_true(fetch_entropy(&f));
    g_assert_true(f.kit->irq_levels[1]);

    kit_msix_enable(&f.v->pci, true);

    g_assert_false(f.kit->irq_levels[1]);
    kit_pci_set_command(&f.v->pci, PCI_COMMAND_MEMORY);
    g_assert_false(f.kit->irq_levels[1]);
    kit_msix_enable(&f.v->pci, false);
    g_assert_true(f.kit->irq_levels[1]);
    g_assert_cmpuint(kit_read(f.kit, f.v->isr, 1), ==, 1);
    g_assert_false(f.kit->irq_levels[1]);
    fixture_done(&f);
}

static void test_features_are_fixed_by_features_ok(void)
{
    Fixture f;

    fixture_init(&f, "{'driver': 'virtio-rng-pci', 'event_idx': false}");
    kit_virtio_negotiate(f.v, UINT64_MAX);
    g_assert_cmphex(f.v->features, ==, VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);

    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_GF, 4, 0);

    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_GF, 4), ==,
                    1u << VIRTIO_RING_F_INDIRECT_DESC);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_DF, 4), ==, 0);
    fixture_done(&f);
}

static void test_features_that_are_refused(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_negotiate(f.v, ~VERSION_1);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER);
    kit_virtio_set_status(f.v, 0);
    kit_virtio_set_status(f.v, DRIVER);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_GF, 4, 3);
    add_status(&f, VIRTIO_CONFIG_S_FEATURES_OK);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER);
    fixture_done(&f);
}

/* A9 of the hostile inputs. */
static void test_status_cannot_skip_or_go_back(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_set_status(f.v, DRIVER | VIRTIO_CONFIG_S_DRIVER_OK);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER);
    kit_virtio_set_status(f.v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER);
    kit_virtio_set_status(f.v, DRIVER | VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER);
    add_status(&f, VIRTIO_CONFIG_S_FAILED);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER | VIRTIO_CONFIG_S_FAILED);
    kit_virtio_set_status(f.v, 0);
    g_assert_cmphex(kit_virtio_status(f.v), ==, 0);
    fixture_done(&f);
}

static void test_enabled_queue_is_fixed(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), ==, 0);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), ==, 1);

    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x1234560);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);

    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_SIZE, 2), ==, 8);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_DESCLO, 4), ==,
                    KIT_VIRTIO_RING);
    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), ==, 1);
    g_assert_true(fetch_entropy(&f));
    fixture_done(&f);
}

/* A7 of the hostile inputs. */
static void test_faulty_queue_sizes_are_ignored(void)
{
    static const uint16_t sizes[] = { 0, 3, 7, 16, 1024, 32768, 65535 };
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_negotiate(f.v, UINT64_MAX);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_SIZE, 2, sizes[i]);
        g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_SIZE, 2), ==, 8);
    }
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_SIZE, 2), ==, 4);
    fixture_done(&f);
}

static void test_queue_that_is_not_there(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_negotiate(f.v, UINT64_MAX);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_SIZE, 2), ==, 0);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0xffff);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 1);
    kit_write(f.kit, f.v->notify + 4, 2, 1);
    kit_write(f.kit, f.v->notify + 0xffc, 4, 0xffffffff);
    g_assert_cmpuint(kit_read(f.kit, f.v->notify, 4), ==, 0);
    fixture_done(&f);
}

static void test_vectors_out_of_range_are_none(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_MSIX, 2, 2);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_MSIX, 2), ==, 0xffff);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_MSIX, 2), ==, 1);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0x1234);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_MSIX, 2), ==, 0xffff);
    fixture_done(&f);
}

static void test_reads_of_several_registers_and_parts(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_negotiate(f.v, UINT64_MAX);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x44332210);
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0x88776655);

    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_DESCLO, 8), ==, 0x44332210);
    g_assert_cmphex(kit_read(f.kit, f.v->registers + VIRTIO_PCI_COMMON_Q_DESCLO, 8), ==,
                    0x8877665544332210);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_DESCLO + 1, 1), ==, 0x22);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_STATUS, 4), ==,
                    kit_virtio_status(f.v));
    kit_virtio_set(f.v, VIRTIO_PCI_COMMON_Q_DESCLO, 2, 0xffff);
    g_assert_cmphex(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_DESCLO, 4), ==, 0x44332210);
    g_assert_cmphex(kit_read(f.kit, f.v->config, 4), ==, 0xffffffff);
    fixture_done(&f);
}

static void test_bus_mastering_gates_the_queues(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_pci_set_command(&f.v->pci, PCI_COMMAND_MEMORY);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_false(fetch_entropy(&f));

    kit_pci_set_command(&f.v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_run(f.kit);
    g_assert_cmpuint(f.v->queue.used[1], ==, 1);
    kit_pci_set_command(&f.v->pci, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vm_fake_doorbell_count(f.kit->vm), ==, 0);
    g_assert_false(virtio_pci_device(f.dev)->started);
    fixture_done(&f);
}

static void test_pause_and_resume_keep_the_queue(void)
{
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_true(fetch_entropy(&f));
    device_tree_pause(&f.kit->tree);
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA, 32, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_run(f.kit);
    g_assert_false(kit_virtio_take(f.v, &head, &len));

    device_tree_resume(&f.kit->tree);
    kit_run(f.kit);

    g_assert_true(kit_virtio_take(f.v, &head, &len));
    g_assert_true(fetch_entropy(&f));
    fixture_done(&f);
}

static void test_state_moves_to_another_machine(void)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GError) error = NULL;
    Fixture from, to;

    fixture_init(&from, RNG);
    fixture_init(&to, RNG);
    kit_virtio_start(from.v, UINT64_MAX, 8);
    g_assert_true(fetch_entropy(&from));
    device_tree_pause(&from.kit->tree);
    device_tree_pause(&to.kit->tree);
    saved = kit_save(from.kit);
    memcpy(to.kit->ram->host, from.kit->ram->host, KIT_RAM_SIZE);

    g_assert_true(device_tree_load(&to.kit->tree, saved->data, saved->len, &error));

    g_assert_no_error(error);
    again = kit_save(to.kit);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    device_tree_resume(&to.kit->tree);
    from.v->pci.kit = to.kit;
    from.v->queue.desc = kit_ram(to.kit, KIT_VIRTIO_RING, 0x1000);
    from.v->queue.avail = kit_ram(to.kit, KIT_VIRTIO_RING + 0x10000, 0x1000);
    from.v->queue.used = kit_ram(to.kit, KIT_VIRTIO_RING + 0x20000, 0x1000);
    g_assert_true(fetch_entropy(&from));
    g_assert_cmpuint(kit_msix_count(to.kit, KIT_VIRTIO_VECTOR_DATA), ==, 1);
    fixture_done(&from);
    fixture_done(&to);
}

static void test_impossible_states_are_refused(void)
{
    static const struct {
        uint8_t status;
        uint16_t last_avail;
        uint16_t size;
        const char *words;
    } states[] = {
        { VIRTIO_CONFIG_S_DRIVER_OK, 0, 8, "'status'" },
        { 0x20, 0, 8, "'status'" },
        { DRIVER | VIRTIO_CONFIG_S_FEATURES_OK, 0, 8, "'features'" },
        { DRIVER, 1, 8, "'last_avail'" },
        { DRIVER, 0, 0, "'size'" },
        { DRIVER, 0, 6, "'size'" },
        { DRIVER, 0, 16, "'size'" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
        g_autoptr(GByteArray) saved = NULL;
        g_autoptr(GError) error = NULL;
        VirtioDevice *vdev;
        Fixture f;

        fixture_init(&f, RNG);
        device_tree_pause(&f.kit->tree);
        vdev = virtio_pci_device(f.dev);
        vdev->status = states[i].status;
        vdev->queues[0].last_avail = states[i].last_avail;
        vdev->queues[0].size = states[i].size;
        saved = kit_save(f.kit);

        g_assert_false(device_tree_load(&f.kit->tree, saved->data, saved->len, &error));

        if (!strstr(error->message, states[i].words))
            g_error("'%s' is not in: %s", states[i].words, error->message);
        device_tree_reset(&f.kit->tree);
        fixture_done(&f);
    }
}

static void test_reset_while_running_frees_everything(void)
{
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    kit_virtio_set_status(f.v, 0);

    g_assert_cmpuint(kit_virtio_status(f.v), ==, 0);
    g_assert_cmpuint(vm_fake_doorbell_count(f.kit->vm), ==, 0);
    g_assert_cmpuint(kit_virtio_get(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), ==, 0);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_true(fetch_entropy(&f));
    fixture_done(&f);
}

static void test_removal_while_running(void)
{
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci pci = { kit, 0, PCI_DEVFN(3, 0) };
    Fixture f = { .kit = kit };

    device_tree_resume(&kit->tree);
    before = kit_dump(kit);
    f.dev = kit_add(kit, "{'driver': 'virtio-rng-pci', 'id': 'rng', 'addr': '3'}");
    kit_pci_write(&pci, PCI_BASE_ADDRESS_1, 4, 0xc0000000);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_4, 4, 0xc0010000);
    f.v = kit_virtio_new(kit, f.dev);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_true(fetch_entropy(&f));

    device_remove(f.dev);

    after = kit_dump(kit);
    g_assert_cmpstr(before, ==, after);
    g_free(f.v);
}

static unsigned window_cap(Fixture *f)
{
    for (unsigned nth = 0;; nth++) {
        unsigned cap = kit_pci_find_cap(&f->v->pci, PCI_CAP_ID_VNDR, nth);

        g_assert_cmpuint(cap, !=, 0);
        if (kit_pci_read(&f->v->pci, cap + 3, 1) == VIRTIO_PCI_CAP_PCI_CFG)
            return cap;
    }
}

static void aim_window(Fixture *f, uint8_t bar, uint32_t offset, uint32_t size)
{
    unsigned cap = window_cap(f);

    kit_pci_write(&f->v->pci, cap + 4, 1, bar);
    kit_pci_write(&f->v->pci, cap + 8, 4, offset);
    kit_pci_write(&f->v->pci, cap + 12, 4, size);
}

static void test_window_in_configuration_space(void)
{
    unsigned cap;
    Fixture f;

    fixture_init(&f, RNG);
    kit_pci_set_command(&f.v->pci, 0);
    cap = window_cap(&f);
    aim_window(&f, 4, VIRTIO_PCI_COMMON_NUMQ, 2);
    g_assert_cmpuint(kit_pci_read(&f.v->pci, cap + 16, 4), ==, 1);
    aim_window(&f, 4, VIRTIO_PCI_COMMON_STATUS, 1);
    kit_pci_write(&f.v->pci, cap + 16, 1, DRIVER);
    g_assert_cmphex(kit_pci_read(&f.v->pci, cap + 16, 1), ==, DRIVER);
    kit_pci_set_command(&f.v->pci, PCI_COMMAND_MEMORY);
    g_assert_cmphex(kit_virtio_status(f.v), ==, DRIVER);
    fixture_done(&f);
}

/* E4 of the hostile inputs. */
static void test_window_that_shows_nothing(void)
{
    static const struct { uint8_t bar; uint32_t offset; uint32_t size; } windows[] = {
        { 0, 0, 4 }, { 1, 0, 4 }, { 5, 0, 4 }, { 255, 0, 4 },
        { 4, 0, 0 }, { 4, 0, 3 }, { 4, 0, 8 }, { 4, 0, 0xffffffff },
        { 4, 1, 2 }, { 4, 2, 4 }, { 4, 0x4000, 1 }, { 4, 0xfffffffc, 4 },
    };
    Fixture f;

    fixture_init(&f, RNG);
    for (size_t i = 0; i < G_N_ELEMENTS(windows); i++) {
        unsigned cap = window_cap(&f);

        aim_window(&f, windows[i].bar, windows[i].offset, windows[i].size);
        kit_pci_write(&f.v->pci, cap + 16, 4, 0x5a5a5a5a);
        g_assert_cmphex(kit_pci_read(&f.v->pci, cap + 16, 4), ==, 0x5a5a5a5a);
    }
    g_assert_cmphex(kit_virtio_status(f.v), ==, 0);
    fixture_done(&f);
}

static void test_what_berth_has_not_is_refused(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'disable-legacy': 'off'}",
                       "'disable-legacy'");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'disable-modern': true}",
                       "'disable-modern'");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'iommu_platform': true}",
                       "'iommu_platform'");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'packed': true}", "'packed'");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'vectors': 2049}", "vectors");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'rng': 'absent'}", "'rng'");
}

static void test_start_without_descriptors(void)
{
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    Fixture f;

    fixture_init(&f, RNG);
    kit_virtio_negotiate(f.v, UINT64_MAX);
    kit_virtio_setup_queue(f.v, 8);
    before = kit_dump(f.kit);
    kit_limit_fds(0);
    add_status(&f, VIRTIO_CONFIG_S_DRIVER_OK);
    kit_limit_fds(-1);

    g_assert_cmphex(kit_virtio_status(f.v) & VIRTIO_CONFIG_S_NEEDS_RESET, !=, 0);
    after = kit_dump(f.kit);
    g_assert_cmpstr(before, ==, after);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_true(fetch_entropy(&f));
    fixture_done(&f);
}

static void test_starts_that_fail_fill_no_log(void)
{
    g_autofd int reader = -1;
    g_autofd int writer = -1;
    char text[65536];
    unsigned n_lines = 0;
    int fds[2];
    Fixture f;

    g_assert_cmpint(pipe(fds), ==, 0);
    reader = fds[0];
    writer = fds[1];
    log_set_fd(writer);
    fixture_init(&f, RNG);
    kit_limit_fds(0);
    for (int i = 0; i < 100; i++)
        kit_virtio_start(f.v, UINT64_MAX, 8);
    kit_limit_fds(-1);
    log_set_fd(STDERR_FILENO);
    fixture_done(&f);

    base_close_fd(&writer);
    for (ssize_t i = read(reader, text, sizeof(text)); i > 0; i--)
        n_lines += text[i - 1] == '\n';
    g_assert_cmpuint(n_lines, >, 0);
    g_assert_cmpuint(n_lines, <=, 20);
}

/* Any register, any width, with the queue running between. */
static void test_random_register_accesses(void)
{
    uint32_t seed = g_test_rand_int();
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    Fixture f;

    g_test_message("seed %u", seed);
    fixture_init(&f, RNG);
    for (int i = 0; i < 60000; i++) {
        unsigned size = 1u << g_rand_int_range(rand, 0, 4);
        uint64_t base = g_rand_boolean(rand) ? f.v->registers : kit_pci_bar(&f.v->pci, 1);
        uint64_t page = (uint64_t)g_rand_int_range(rand, 0, 4) << 12;
        uint64_t at = base + page + g_rand_int_range(rand, 0, 0x48);

        if (i % 1000 == 0)
            kit_virtio_start(f.v, UINT64_MAX, 8);
        if (g_rand_boolean(rand))
            kit_write(f.kit, at, size, g_rand_int(rand) >> g_rand_int_range(rand, 0, 32));
        else
            kit_read(f.kit, at, size);
        if (i % 16 == 0)
            kit_run(f.kit);
    }
    kit_virtio_start(f.v, UINT64_MAX, 8);
    g_assert_true(fetch_entropy(&f));
    fixture_done(&f);
}

/* Decoding and bus mastering on and off at random: BARs and doorbells come and go. */
static void *toggle_command(void *opaque)
{
    Fixture *f = opaque;
    g_autoptr(GRand) rand = g_rand_new();

    for (int i = 0; i < COMMAND_TOGGLES; i++) {
        uint16_t command = g_rand_int_range(rand, 0, 4) << 1;

        kit_pci_write(&f->v->pci, PCI_COMMAND, 2, command);
        qsbr_quiescent();
    }
    return NULL;
}

static void test_doorbells_outlive_vcpus_that_toggle_the_command(void)
{
    Fixture f = { .kit = kit_board_new_threaded() };
    pthread_t vcpus[N_TOGGLERS];

    f.dev = kit_add(f.kit, RNG);
    kit_start(f.kit);
    f.v = kit_virtio_new(f.kit, f.dev);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    for (int i = 0; i < N_TOGGLERS; i++)
        g_assert_true(thread_start(&vcpus[i], THREAD_VCPU, "vCPU", toggle_command, &f,
                                   NULL));
    qsbr_offline();
    for (int i = 0; i < N_TOGGLERS; i++)
        pthread_join(vcpus[i], NULL);
    qsbr_online();

    kit_pci_write(&f.v->pci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_assert_cmpint(vm_fake_doorbell_fd(f.kit->vm, false, f.v->notify, 2, 0), >=, 0);
    g_assert_cmpuint(vm_fake_doorbell_count(f.kit->vm), ==, 1);
    g_assert_true(address_space_check(f.kit->memory, NULL));
    kit_virtio_set_status(f.v, 0);
    g_assert_cmpuint(vm_fake_doorbell_count(f.kit->vm), ==, 0);
    fixture_done(&f);
}

static void place_again(Fixture *f, KitPci *port)
{
    kit_pci_write(port, PCI_BRIDGE_CONTROL, 2, 0);
    kit_pci_set_command(port, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_pci_write(&f->v->pci, PCI_BASE_ADDRESS_1, 4, f->msix);
    kit_pci_write(&f->v->pci, PCI_BASE_ADDRESS_4, 4, f->v->registers);
    kit_pci_write(&f->v->pci, PCI_BASE_ADDRESS_5, 4, f->v->registers >> 32);
    kit_pci_set_command(&f->v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* As kit_virtio_start(), of which nothing needs to succeed. */
static void drive_blindly(Fixture *f)
{
    const uint8_t features_ok = DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;

    kit_virtio_set_status(f->v, 0);
    kit_virtio_set_status(f->v, DRIVER);
    kit_virtio_set(f->v, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    kit_virtio_set(f->v, VIRTIO_PCI_COMMON_GF, 4, VERSION_1 >> 32);
    kit_virtio_set_status(f->v, features_ok);
    kit_virtio_set_rings(f->v, KIT_VIRTIO_RING, KIT_VIRTIO_RING + 0x1000,
                         KIT_VIRTIO_RING + 0x2000);
    kit_virtio_set_status(f->v, features_ok | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* The port above the function, the function's configuration, registers, vectors. */
static void *poke(void *opaque)
{
    Fixture *f = opaque;
    g_autoptr(GRand) rand = g_rand_new();
    KitPci port = { .kit = f->kit, .bus = 0, .devfn = f->port_devfn };

    for (int i = 0; i < POKES; i++) {
        unsigned size = 1u << g_rand_int_range(rand, 0, 3);
        unsigned offset = g_rand_int_range(rand, 0, 0x100 / size) * size;
        uint32_t value = g_rand_int(rand) >> g_rand_int_range(rand, 0, 32);

        switch (g_rand_int_range(rand, 0, 7)) {
        case 0:
            kit_pci_write(&f->v->pci, offset, size, value);
            break;
        case 1:
            kit_pci_write(&f->v->pci, PCI_COMMAND, 2, value & 6);
            break;
        case 2:
            kit_pci_write(&port, value & 64 ? PCI_COMMAND : PCI_BRIDGE_CONTROL, 2, value);
            break;
        case 3:
            kit_write(f->kit, f->v->registers + offset % 0x40, size, value);
            break;
        case 4:
            kit_write(f->kit, f->msix + offset % 0x20, 4, value);
            break;
        case 5:
            kit_virtio_set_status(f->v, g_rand_int_range(rand, 0, 16));
            break;
        default:
            kit_virtio_set(f->v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
        }
        if (i % 8 == 0) {
            place_again(f, &port);
            drive_blindly(f);
        }
        qsbr_quiescent();
    }
    return NULL;
}

static void test_several_vcpus_at_random(void)
{
    Fixture f = { .kit = kit_board_new_threaded() };
    pthread_t vcpus[N_TOGGLERS];

    f.port_devfn = pci_device(kit_add(f.kit, "{'driver': 'pcie-root-port', 'id': 'p'}"))
        ->devfn;
    f.dev = kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'bus': 'p'}");
    kit_start(f.kit);
    f.v = kit_virtio_new(f.kit, f.dev);
    f.msix = kit_pci_bar(&f.v->pci, 1);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    for (int i = 0; i < N_TOGGLERS; i++)
        g_assert_true(thread_start(&vcpus[i], THREAD_VCPU, "vCPU", poke, &f, NULL));
    qsbr_offline();
    for (int i = 0; i < N_TOGGLERS; i++)
        pthread_join(vcpus[i], NULL);
    qsbr_online();
    g_assert_cmpuint(vm_fake_calls(f.kit->vm).doorbell_add, >, 100);

    device_tree_pause(&f.kit->tree);
    g_assert_cmpuint(vm_fake_doorbell_count(f.kit->vm), ==, 0);
    kit_start(f.kit);
    g_assert_cmphex(kit_virtio_status(f.v), ==, 0);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    g_test_add_func("/virtio-pci/layout", test_layout_is_what_tools_know);
    g_test_add_func("/virtio-pci/request", test_request_is_served);
    g_test_add_func("/virtio-pci/early", test_request_before_driver_ok_is_served_after);
    g_test_add_func("/virtio-pci/pin", test_without_ioeventfd_and_vectors);
    g_test_add_func("/virtio-pci/pin-silent", test_pin_is_silent_while_vectors_are_on);
    g_test_add_func("/virtio-pci/features", test_features_are_fixed_by_features_ok);
    g_test_add_func("/virtio-pci/features-refused", test_features_that_are_refused);
    g_test_add_func("/virtio-pci/status", test_status_cannot_skip_or_go_back);
    g_test_add_func("/virtio-pci/queue-fixed", test_enabled_queue_is_fixed);
    g_test_add_func("/virtio-pci/queue-size", test_faulty_queue_sizes_are_ignored);
    g_test_add_func("/virtio-pci/no-queue", test_queue_that_is_not_there);
    g_test_add_func("/virtio-pci/vectors", test_vectors_out_of_range_are_none);
    g_test_add_func("/virtio-pci/parts", test_reads_of_several_registers_and_parts);
    g_test_add_func("/virtio-pci/bus-master", test_bus_mastering_gates_the_queues);
    g_test_add_func("/virtio-pci/pause", test_pause_and_resume_keep_the_queue);
    g_test_add_func("/virtio-pci/state", test_state_moves_to_another_machine);
    g_test_add_func("/virtio-pci/state-refused", test_impossible_states_are_refused);
    g_test_add_func("/virtio-pci/reset", test_reset_while_running_frees_everything);
    g_test_add_func("/virtio-pci/removal", test_removal_while_running);
    g_test_add_func("/virtio-pci/window", test_window_in_configuration_space);
    g_test_add_func("/virtio-pci/window-faulty", test_window_that_shows_nothing);
    g_test_add_func("/virtio-pci/refused", test_what_berth_has_not_is_refused);
    g_test_add_func("/virtio-pci/no-fds", test_start_without_descriptors);
    g_test_add_func("/virtio-pci/no-fds-log", test_starts_that_fail_fill_no_log);
    g_test_add_func("/virtio-pci/toggles",
                    test_doorbells_outlive_vcpus_that_toggle_the_command);
    g_test_add_func("/virtio-pci/several", test_several_vcpus_at_random);
    g_test_add_func("/virtio-pci/random", test_random_register_accesses);
    return g_test_run();
}
