/* SPDX-License-Identifier: Apache-2.0 */
/* Saved state with faults in it: refused, or a state that the machine can go on from. */
#include <string.h>

#include "berth/fw-cfg.h"
#include "berth/i8042.h"
#include "berth/log.h"
#include "berth/lpc.h"
#include "berth/object.h"
#include "berth/pc-ports.h"
#include "berth/pci.h"
#include "berth/qsbr.h"
#include "berth/rtc.h"
#include "berth/vm-fake.h"

#include "fake-board.h"

#define ROUNDS 2000
#define MAX_FAULTS 4
#define N_ACCESSES 200

static void add_all(FakeBoard *fake)
{
    static const char *const devices[] = {
        "isa-serial,chardev=chr", "pcie-root-port,id=port", "virtio-rng-pci",
        "virtio-rng-pci,bus=port,max-bytes=100,period=1000",
    };
    const LpcConfig lpc_config = { .preset = true, .s3 = true, .s4 = true };
    const RtcConfig rtc = { .low_ram = FAKE_BOARD_RAM };
    DeviceTree *tree = &fake->tree;
    g_autoptr(GError) error = NULL;

    close(fake_board_add_chardev(fake, "chr"));
    fake->board.objects = object_set_new();
    g_assert_nonnull(device_add_onboard(tree, &pci_host_class, "host", NULL, &error));
    g_assert_nonnull(device_add_onboard(tree, &mch_class, "mch", NULL, &error));
    g_assert_nonnull(lpc_add(tree, &lpc_config, &error));
    g_assert_nonnull(rtc_add(tree, &rtc, &error));
    g_assert_nonnull(i8042_add(tree, &error));
    g_assert_nonnull(pc_ports_add(tree, &error));
    g_assert_nonnull(fw_cfg_add(tree, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(devices); i++) {
        fake_board_add(fake, devices[i], &error);
        g_assert_no_error(error);
    }
}

static void access_at_random(FakeBoard *fake, GRand *rand)
{
    static const struct { uint32_t base, size; } places[] = {
        { 0xb0000000, 0x200000 }, { 0xc0000000, 0x10000 }, { 0xfed1c000, 0x4000 },
    };

    for (int i = 0; i < N_ACCESSES; i++) {
        unsigned which = g_rand_int_range(rand, 0, G_N_ELEMENTS(places));
        uint64_t gpa = places[which].base + g_rand_int(rand) % places[which].size;

        if (g_rand_boolean(rand))
            vm_fake_write(fake->vm, fake->board.memory, gpa, 4, g_rand_int(rand));
        else
            vm_fake_read(fake->vm, fake->board.memory, gpa, 4);
        qsbr_quiescent();
    }
    fake_board_poke_ports(fake, 0, 0x1000, N_ACCESSES);
}

static void test_faulty_state_is_refused_or_harmless(void)
{
    FakeBoard *fake = fake_board_new();
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());
    unsigned n_refused = 0;

    add_all(fake);
    device_tree_reset(&fake->tree);
    device_tree_save(&fake->tree, saved);
    for (int i = 0; i < ROUNDS; i++) {
        g_autofree uint8_t *bytes = g_memdup2(saved->data, saved->len);
        g_autoptr(GError) error = NULL;

        for (int n = g_rand_int_range(rand, 1, MAX_FAULTS + 1); n > 0; n--)
            bytes[g_rand_int(rand) % saved->len] = g_rand_int(rand);
        if (!device_tree_load(&fake->tree, bytes, saved->len, &error)) {
            n_refused++;
        } else {
            device_tree_resume(&fake->tree);
            access_at_random(fake, rand);
            device_tree_pause(&fake->tree);
        }
        device_tree_reset(&fake->tree);
    }

    g_assert_cmpuint(n_refused, >, 0);
    g_assert_cmpuint(n_refused, <, ROUNDS);
    g_assert_true(device_tree_load(&fake->tree, saved->data, saved->len, NULL));
    device_tree_done(&fake->tree);
    object_set_free(fake->board.objects);
    fake_board_free(fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    g_test_add_func("/device-state/faulty", test_faulty_state_is_refused_or_harmless);
    return g_test_run();
}
