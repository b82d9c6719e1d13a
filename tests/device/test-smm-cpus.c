/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs that come and go in a machine whose firmware is in system management mode: what
 * it agrees on, what it and the operating system find in the registers, and who is told
 * that it does not take part.  The test is the client, the firmware and the guest.
 */
#include <string.h>

#include "berth/smi-features.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "kit-cpu-slots.h"
#include "kit-smi.h"

#define TO_FIRMWARE 0x10u

#define SMI_EN (X86_PM_BASE + X86_PM_SMI)
#define GBL_AND_APMC 0x21u
#define LOOK 4u                         /* written to APM_CNT */

#define ALL (SMI_BROADCAST | SMI_CPU_HOTPLUG | SMI_CPU_HOT_UNPLUG)

/* Firmware has agreed on @features. */
static void fixture_init(KitSlots *s, uint64_t features)
{
    static const char *const words[] = { MACHINE, "-machine", "smm=on", NULL };

    kit_slots_init(s, &kit_cpu_slots, words);
    kit_slots_out(s, SMI_EN, 4, GBL_AND_APMC);
    g_assert_true(kit_smi_negotiate(s->bench.machine, features));
}

static void test_what_there_is(void)
{
    static const struct {
        const char *words[5];
        uint64_t supported;
    } rows[] = {
        { { "-machine", "smm=on" }, ALL },
        { { "-machine", "pc-q35-11.1,smm=on" }, ALL },
        { { "-machine", "pc-q35-6.0,smm=on" }, ALL },
        { { "-machine", "pc-q35-5.2,smm=on" }, SMI_BROADCAST | SMI_CPU_HOTPLUG },
        { { "-machine", "pc-q35-5.1,smm=on" }, SMI_BROADCAST },
        { { "-machine", "pc-q35-4.0.1,smm=on" }, SMI_BROADCAST },
        { { "-machine", "smm=on", "-global", "ICH9-LPC.x-smi-cpu-hotunplug=off" },
          SMI_BROADCAST | SMI_CPU_HOTPLUG },
        { { "-machine", "pc-q35-5.1,smm=on", "-global", "ICH9-LPC.x-smi-cpu-hotplug=on" },
          SMI_BROADCAST | SMI_CPU_HOTPLUG },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *words[12] = { MACHINE };
        KitSlots s;

        memcpy(words + 7, rows[i].words, 4 * sizeof(words[0]));
        kit_slots_init(&s, &kit_cpu_slots, words);
        g_assert_cmphex(kit_smi_supported(s.bench.machine), ==, rows[i].supported);
        g_assert_cmpint(kit_smi_negotiate(s.bench.machine, ALL), ==,
                        rows[i].supported == ALL);
        g_assert_true(kit_smi_negotiate(s.bench.machine, rows[i].supported));
        kit_slots_done(&s);
    }
}

static void test_what_goes_together(void)
{
    static const struct {
        uint64_t features;
        bool agreed;
        uint8_t smi;
    } rows[] = {
        { 0, true, 0 },
        { SMI_BROADCAST, true, 0 },
        { SMI_CPU_HOTPLUG, false, 0 },
        { SMI_CPU_HOT_UNPLUG, false, 0 },
        { SMI_CPU_HOTPLUG | SMI_CPU_HOT_UNPLUG, false, 0 },
        { SMI_BROADCAST | SMI_CPU_HOTPLUG, true, 1 },
        { SMI_BROADCAST | SMI_CPU_HOT_UNPLUG, false, 0 },
        { ALL, true, 3 },
        { ALL | 8, false, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        static const char *const words[] = { MACHINE, "-machine", "smm=on", NULL };
        KitSlots s;

        kit_slots_init(&s, &kit_cpu_slots, words);
        g_assert_cmphex(kit_slots_in(&s, SMI, 1), ==, 0);
        g_assert_cmpint(kit_smi_negotiate(s.bench.machine, rows[i].features), ==,
                        rows[i].agreed);
        g_assert_cmphex(kit_slots_in(&s, SMI, 1), ==, rows[i].smi);
        kit_slots_out(&s, SMI, 1, 0xff);
        g_assert_cmphex(kit_slots_in(&s, SMI, 1), ==, rows[i].smi);
        kit_slots_out(&s, SELECT, 4, 4);
        g_assert_cmphex(kit_slots_in(&s, SMI, 1), ==, 0);
        kit_qmp_do(s.qmp, "system_reset", NULL);
        json_unref(kit_qmp_wait_event(s.qmp, "RESET"));
        g_assert_cmphex(kit_slots_in(&s, SMI, 1), ==, 0);
        kit_slots_done(&s);
    }
}

static void test_firmware_that_does_not_take_part(void)
{
    KitSlots s;

    fixture_init(&s, SMI_BROADCAST);
    kit_qmp_assert_fails(s.qmp, "cpu hotplug with SMI wasn't enabled by firmware: it "
                         "takes firmware that supports CPU hotplug with SMM",
                         "device_add", ADD_CPU2);
    kit_cpu_slots.assert_gone(&s);
    g_assert_false(kit_slots_take_gpe(&s));

    /* Until it has agreed on anything the next firmware is asked nothing. */
    kit_qmp_do(s.qmp, "system_reset", NULL);
    json_unref(kit_qmp_wait_event(s.qmp, "RESET"));
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    g_assert_true(kit_smi_negotiate(s.bench.machine,
                                    SMI_BROADCAST | SMI_CPU_HOTPLUG));
    kit_qmp_assert_fails(s.qmp, "cpu hot-unplug with SMI wasn't enabled by firmware",
                         "device_del", DEL_CPU2);
    g_assert_nonnull(machine_vcpu(s.bench.machine, 2));
    kit_qmp_do(s.qmp, "x-device-del-force", DEL_CPU2);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

/* Firmware that agrees on nothing is as one that there is not. */
static void test_firmware_without_smis(void)
{
    KitSlots s;

    fixture_init(&s, 0);
    kit_slots_come_and_let_go(&s);
    kit_slots_done(&s);
}

/* SMIs that came to a vCPU so far, when those on their way have come. */
static unsigned n_smis(KitSlots *s, unsigned index)
{
    Vcpu *vcpu = machine_vcpu(s->bench.machine, index);

    vcpu_request_pause(vcpu);
    vcpu_wait_paused(vcpu);
    vcpu_resume(vcpu);
    return vm_fake_vcpu_smis(vcpu);
}

/* As \_SB.CPUS.CSCN and OVMF do. */
static void test_one_comes(void)
{
    KitSlots s;

    fixture_init(&s, ALL);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    g_assert_true(kit_slots_take_gpe(&s));
    g_assert_cmphex(kit_slots_in(&s, SMI, 1), ==, 3);
    kit_slots_out(&s, COMMAND, 1, 0);
    g_assert_cmpuint(kit_slots_in(&s, DATA, 4), ==, 2);
    g_assert_cmpuint(n_smis(&s, 2), ==, 0);
    kit_slots_out(&s, X86_PORT_SMI_CMD, 1, LOOK);
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpuint(n_smis(&s, i), ==, 1);

    /* Firmware finds what made the interrupt, who came, and looks at all others. */
    g_assert_cmpuint(kit_slots_in(&s, X86_PORT_SMI_CMD, 1), ==, LOOK);
    kit_slots_out(&s, SELECT, 4, 0);
    kit_slots_out(&s, COMMAND, 1, 0);
    g_assert_cmphex(kit_slots_in(&s, STATUS, 1), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);
    kit_slots_out(&s, COMMAND, 1, 3);
    g_assert_cmpuint(kit_slots_in(&s, DATA, 4), ==, 2);
    kit_slots_out(&s, SELECT, 4, 3);
    kit_slots_out(&s, COMMAND, 1, 0);
    g_assert_cmpuint(kit_slots_in(&s, DATA, 4), ==, 2);

    kit_slots_control(&s, 2, KIT_SLOT_CAME);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE);
    kit_slots_done(&s);
}

/* As CEJE and OVMF do. */
static void test_firmware_ejects(void)
{
    KitSlots s;

    fixture_init(&s, ALL);
    for (unsigned i = 0; i < 2; i++) {
        kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
        kit_slots_control(&s, 2, KIT_SLOT_CAME);
        kit_qmp_do(s.qmp, "device_del", DEL_CPU2);
        kit_slots_control(&s, 2, KIT_SLOT_GOES);

        kit_slots_control(&s, 2, TO_FIRMWARE);
        kit_slots_turn(&s);
        g_assert_nonnull(machine_vcpu(s.bench.machine, 2));
        kit_slots_out(&s, SELECT, 4, 0);
        kit_slots_out(&s, COMMAND, 1, 0);
        g_assert_cmpuint(kit_slots_in(&s, DATA, 4), ==, 2);
        g_assert_cmphex(kit_slots_in(&s, STATUS, 1), ==, KIT_SLOT_THERE | TO_FIRMWARE);
        kit_slots_out(&s, STATUS, 1, KIT_SLOT_EJECT);
        g_assert_cmphex(kit_slots_in(&s, STATUS, 1) & TO_FIRMWARE, ==, 0);
        kit_slots_turn(&s);
        kit_slots_assert_deleted(&s);
        g_assert_cmphex(kit_slots_flags(&s, 2), ==, 0);
    }
    kit_slots_done(&s);
}

static void test_what_is_not_firmwares_to_eject(void)
{
    KitSlots s;

    fixture_init(&s, ALL);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    /* One that stays, one that there is not, and with bits that come first. */
    for (unsigned i = 0; i < 5; i++) {
        kit_slots_control(&s, i == 2 ? 3 : i, TO_FIRMWARE);
        g_assert_cmphex(kit_slots_flags(&s, i) & TO_FIRMWARE, ==, 0);
    }
    kit_slots_control(&s, 2, TO_FIRMWARE | KIT_SLOT_CAME);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE);
    /* A reset forgets it, and the vCPU is there. */
    kit_slots_control(&s, 2, TO_FIRMWARE);
    kit_qmp_do(s.qmp, "system_reset", NULL);
    json_unref(kit_qmp_wait_event(s.qmp, "RESET"));
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE);
    kit_slots_done(&s);
}

static void test_its_state_is_saved(void)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    DeviceTree *tree;
    KitSlots s;

    fixture_init(&s, ALL);
    tree = &s.bench.machine->tree;
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_slots_control(&s, 2, KIT_SLOT_CAME);
    kit_slots_control(&s, 2, TO_FIRMWARE);
    kit_qmp_do(s.qmp, "stop", NULL);
    saved = kit_slots_save(&s);
    device_tree_reset(tree);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE);
    g_assert_true(device_tree_load(tree, saved->data, saved->len, &error));
    again = kit_slots_save(&s);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE | TO_FIRMWARE);
    g_assert_cmphex(kit_slots_in(&s, SMI, 1), ==, 3);

    kit_qmp_do(s.qmp, "x-device-del-force", DEL_CPU2);
    g_assert_false(device_tree_load(tree, saved->data, saved->len, &error));
    g_assert_nonnull(strstr(error->message, "'events' of vCPU 2 is 0x10"));
    kit_slots_done(&s);
}

static void test_any_state(void)
{
    KitSlots s;

    fixture_init(&s, ALL);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_slots_load_any_state(&s);
    kit_slots_eject(&s, 2);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

/* Interrupts of all meet one that comes, one that goes, and pauses. */
static void test_interrupts_while_one_comes_and_goes(void)
{
    KitSlots s;

    fixture_init(&s, ALL);
    for (unsigned i = 0; i < 50; i++) {
        kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
        for (unsigned j = 0; j < 4; j++)
            kit_slots_out(&s, X86_PORT_SMI_CMD, 1, LOOK);
        g_assert_cmpuint(n_smis(&s, 2), >, 0);
        kit_slots_out(&s, X86_PORT_SMI_CMD, 1, LOOK);
        kit_slots_control(&s, 2, TO_FIRMWARE);
        kit_slots_out(&s, STATUS, 1, KIT_SLOT_EJECT);
        kit_slots_out(&s, X86_PORT_SMI_CMD, 1, LOOK);
        kit_slots_turn(&s);
        kit_slots_assert_deleted(&s);
    }
    kit_slots_done(&s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/smm-cpus/what-there-is", test_what_there_is);
    g_test_add_func("/smm-cpus/what-goes-together", test_what_goes_together);
    g_test_add_func("/smm-cpus/firmware-that-does-not-take-part",
                    test_firmware_that_does_not_take_part);
    g_test_add_func("/smm-cpus/firmware-without-smis", test_firmware_without_smis);
    g_test_add_func("/smm-cpus/one-comes", test_one_comes);
    g_test_add_func("/smm-cpus/firmware-ejects", test_firmware_ejects);
    g_test_add_func("/smm-cpus/what-is-not-firmwares-to-eject",
                    test_what_is_not_firmwares_to_eject);
    g_test_add_func("/smm-cpus/its-state-is-saved", test_its_state_is_saved);
    g_test_add_func("/smm-cpus/any-state", test_any_state);
    g_test_add_func("/smm-cpus/interrupts-while-one-comes-and-goes",
                    test_interrupts_while_one_comes_and_goes);
    return g_test_run();
}
