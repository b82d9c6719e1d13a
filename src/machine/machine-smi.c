/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each feature has come with a release of QEMU, and firmware on a board of before that
 * does not find it there.
 *
 * Firmware that finds memory at the default SMBASE looks for the registers of vCPUs'
 * hot-plug next, and goes no further without them (OVMF's CpuHotplugSmm).  So there is
 * the one where there is the other.
 */
#include "berth/lpc.h"

#include "machine-smi.h"

typedef struct Since {
    unsigned major;
    unsigned minor;
} Since;

static const Since smram_at_smbase = { 5, 0 };
static const Since cpu_hotplug = { 5, 2 };
static const Since cpu_hot_unplug = { 6, 0 };

static bool has(const Machine *machine, bool is_given, bool value, const Since *since)
{
    return is_given ? value
                    : !machine_types_is_before(machine->type, since->major, since->minor);
}

uint64_t machine_smi_offered(const Machine *machine)
{
    const Ich9LpcProps *lpc =
        &machine->cmdline->onboard[ONBOARD_DRIVER_ICH9_LPC]->u.ICH9_LPC;
    uint64_t offered = SMI_BROADCAST;

    if (has(machine, lpc->has_x_smi_cpu_hotplug, lpc->x_smi_cpu_hotplug, &cpu_hotplug))
        offered |= SMI_CPU_HOTPLUG;
    if (has(machine, lpc->has_x_smi_cpu_hotunplug, lpc->x_smi_cpu_hotunplug,
            &cpu_hot_unplug))
        offered |= SMI_CPU_HOT_UNPLUG;
    return offered;
}

bool machine_smi_has_smram_at_smbase(const Machine *machine)
{
    const MchProps *mch = &machine->cmdline->onboard[ONBOARD_DRIVER_MCH]->u.mch;

    return machine->topology.max_cpus > machine->topology.cpus &&
           machine_has_acpi(machine) &&
           has(machine, mch->has_smbase_smram, mch->smbase_smram, &smram_at_smbase);
}

bool machine_smi_add_files(FwCfg *fw_cfg, Device *lpc, GError **error)
{
    const LpcSmiFiles files = lpc_smi_files(lpc);
    const FwCfgWritable requested = {
        .name = "etc/smi/requested-features",
        .data = files.requested,
        .size = sizeof(*files.requested),
    };
    const FwCfgLive ok = {
        .name = "etc/smi/features-ok",
        .data = files.ok,
        .size = sizeof(*files.ok),
        .selected = files.on_ok_selected,
        .opaque = files.opaque,
    };

    return fw_cfg_add_file(fw_cfg, "etc/smi/supported-features",
                           g_bytes_new(&files.supported, sizeof(files.supported)),
                           error) &&
           fw_cfg_add_writable_file(fw_cfg, &requested, error) &&
           fw_cfg_add_live_file(fw_cfg, &ok, error);
}
