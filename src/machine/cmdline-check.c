/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals.  QEMU's spellings that mean "do without it" are accepted where berth does
 * without; those that ask for it are errors that name the option.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/machine.h"
#include "berth/rtc.h"

#include "cmdline-check.h"
#include "firmware-flash.h"
#include "rtc-options.h"

#define NO_DIRTY_RING                                                                    \
    "pages that a guest writes are not followed, since a machine does not move while "   \
    "it runs: leave it out"
#define NO_OTHER_ACCEL "only 'kvm' is there: guests run on the host's processors"

static bool refuse(GError **error, const char *option, const char *value,
                   const char *reason)
{
    error_set(error, "-%s %s: %s", option, value, reason);
    return false;
}

static bool check_none(const char *option, const char *value, const char *reason,
                       GError **error)
{
    if (!value || strcmp(value, "none") == 0)
        return true;
    return refuse(error, option, value, reason);
}

/* "kvm:tcg" means the first that there is. */
static bool check_accel_list(const char *text, GError **error)
{
    g_auto(GStrv) names = g_strsplit(text, ":", -1);

    if (g_strv_contains((const char *const *)names, "kvm"))
        return true;
    return refuse(error, "machine accel", text, NO_OTHER_ACCEL);
}

static bool check_irqchip(const char *option, OnOffSplit irqchip, GError **error)
{
    if (irqchip != ON_OFF_SPLIT_OFF)
        return true;
    return refuse(error, option, "kernel-irqchip=off",
                  "the local APICs are KVM's; only 'on' and 'split' are accepted");
}

/* Switches of "-machine" that can only be off. */
static bool check_machine(const MachineOptions *machine, GError **error)
{
    const MachineOptions nothing = { 0 };
    const MachineOptions *m = machine ? machine : &nothing;
    const struct {
        bool asked;
        const char *value;
        const char *reason;
    } refused[] = {
        { m->vmport == ON_OFF_AUTO_ON, "vmport=on", "there is no VMware port" },
        { m->graphics, "graphics=on", "there is no screen" },
        { m->smbus, "smbus=on", "there is no SMBus controller" },
        { m->nvdimm, "nvdimm=on",
          "there are no NVDIMMs; memory that comes later is pc-dimm or virtio-mem-pci" },
        { m->hmat, "hmat=on", "memory has one kind of latency and bandwidth" },
    };

    if (m->type && !machine_types_find(m->type)) {
        error_set(error, "-machine %s: there is no such machine type: %s", m->type,
                  machine_types_absent(m->type));
        return false;
    }
    if (m->accel && !check_accel_list(m->accel, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (refused[i].asked)
            return refuse(error, "machine", refused[i].value, refused[i].reason);
    }
    if (m->has_kernel_irqchip)
        return check_irqchip("machine", m->kernel_irqchip, error);
    return true;
}

/*
 * Properties of the board's devices that berth has in one way, or two, only.
 */
static const struct {
    OnboardDriver driver;
    const char *property;
    const char *possible[2];    /* as JSON */
    const char *reason;
} fixed_properties[] = {
    { ONBOARD_DRIVER_KVM_PIT, "lost_tick_policy", { "\"delay\"", "\"discard\"" },
      "its ticks keep their rate, or are dropped" },
    { ONBOARD_DRIVER_MC146818RTC, "lost_tick_policy", { "\"slew\"", "\"discard\"" },
      "its ticks come at a higher rate, or are dropped" },
    { ONBOARD_DRIVER_FW_CFG_IO, "dma_enabled", { "true" }, "DMA is always there" },
};

/* What says how a machine with system management mode is, without one. */
static bool check_smm(const Cmdline *cmdline, GError **error)
{
    const MachineOptions *machine = cmdline->machine;
    const Ich9LpcProps *lpc = &cmdline->onboard[ONBOARD_DRIVER_ICH9_LPC]->u.ICH9_LPC;
    const char *wrong = NULL;

    if (machine && machine->smm == ON_OFF_AUTO_ON)
        return true;
    if (cmdline->onboard[ONBOARD_DRIVER_CFI_PFLASH01]->u.cfi_pflash01.secure)
        wrong = "cfi.pflash01.secure";
    else if (device_globals_find(cmdline->globals, "mch", "extended-tseg-mbytes"))
        wrong = "mch.extended-tseg-mbytes";
    else if (cmdline->onboard[ONBOARD_DRIVER_MCH]->u.mch.smbase_smram)
        wrong = "mch.smbase-smram";
    else if (lpc->x_smi_cpu_hotplug)
        wrong = "ICH9-LPC.x-smi-cpu-hotplug";
    else if (lpc->x_smi_cpu_hotunplug)
        wrong = "ICH9-LPC.x-smi-cpu-hotunplug";
    if (wrong)
        error_set(error, "-global %s: there is no system management mode, which "
                  "'-machine smm=on' asks for", wrong);
    return !wrong;
}

static bool check_onboard(const Cmdline *cmdline, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(fixed_properties); i++) {
        const char *driver = OnboardDriver_str(fixed_properties[i].driver);
        const char *property = fixed_properties[i].property;
        const JsonValue *value =
            device_globals_find(cmdline->globals, driver, property);
        g_autofree char *text = value ? json_to_text(value) : NULL;

        if (text && g_strcmp0(text, fixed_properties[i].possible[0]) != 0 &&
            g_strcmp0(text, fixed_properties[i].possible[1]) != 0) {
            error_set(error, "-global %s.%s: %s is not possible: %s", driver, property,
                      text, fixed_properties[i].reason);
            return false;
        }
    }
    return true;
}

static bool check_accels(const Cmdline *cmdline, GError **error)
{
    const MachineOptions *machine = cmdline->machine;
    bool has_kvm = cmdline_accel(cmdline) != NULL;

    for (guint i = 0; i < cmdline->accels->len; i++) {
        const AccelOptions *accel = g_ptr_array_index(cmdline->accels, i);

        /* The first that there is counts: "tcg" beside "kvm" is for other hosts. */
        if (strcmp(accel->accel, "tcg") == 0 && has_kvm)
            continue;
        if (strcmp(accel->accel, "kvm") != 0)
            return refuse(error, "accel", accel->accel, NO_OTHER_ACCEL);
        if (accel->dirty_ring_size > 0)
            return refuse(error, "accel", "dirty-ring-size", NO_DIRTY_RING);
        if (!accel->has_kernel_irqchip)
            continue;
        if (!check_irqchip("accel", accel->kernel_irqchip, error))
            return false;
        if (machine && machine->has_kernel_irqchip &&
            machine->kernel_irqchip != accel->kernel_irqchip)
            return refuse(error, "accel", "kernel-irqchip",
                          "option '-machine' says something else");
    }
    return true;
}

static bool check_monitors(const Cmdline *cmdline, GError **error)
{
    for (guint i = 0; i < cmdline->monitors->len; i++) {
        const MonitorOptions *monitor = g_ptr_array_index(cmdline->monitors, i);

        if (monitor->pretty && monitor->mode == MONITOR_MODE_READLINE)
            return refuse(error, "mon", monitor->chardev,
                          "'pretty' is for QMP only (mode=control)");
        if (monitor->readonly && monitor->mode == MONITOR_MODE_READLINE)
            return refuse(error, "mon", monitor->chardev,
                          "'readonly' is for QMP only (mode=control)");
    }
    return true;
}

static bool check_boot_order(const char *key, const char *order, GError **error)
{
    for (size_t i = 0; order && order[i]; i++) {
        if (!rtc_is_boot_device(order[i])) {
            error_set(error, "-boot %s: '%c' is no kind of device that a PC boots from",
                      key, g_ascii_isprint(order[i]) ? order[i] : '?');
            return false;
        }
        if (strchr(order, order[i]) != order + i) {
            error_set(error, "-boot %s: '%c' is there twice", key, order[i]);
            return false;
        }
        if (i == RTC_BOOT_KINDS) {
            error_set(error, "-boot %s: a PC has up to %d kinds of device", key,
                      RTC_BOOT_KINDS);
            return false;
        }
    }
    return true;
}

static bool check_boot(const BootOptions *boot, GError **error)
{
    if (!boot)
        return true;
    if (boot->splash)
        return refuse(error, "boot splash", boot->splash,
                      "there is no screen: leave it out");
    return check_boot_order("order", boot->order, error) &&
           check_boot_order("once", boot->once, error);
}

static bool check_kernel(const Cmdline *cmdline, GError **error)
{
    const char *option = cmdline->initrd ? "initrd" : "append";

    if (cmdline->kernel || (!cmdline->initrd && !cmdline->append))
        return true;
    return refuse(error, option, cmdline->initrd ? cmdline->initrd : cmdline->append,
                  "only allowed with -kernel");
}

static bool check_daemon(const Cmdline *cmdline, GError **error)
{
    if (cmdline->daemonize && cmdline->run_with && cmdline->run_with->exit_with_parent)
        return refuse(error, "daemonize", "",
                      "has no parent that -run-with exit-with-parent=on could mean");
    if (cmdline->daemonize && cmdline->nographic && !cmdline->nodefaults &&
        cmdline->serials->len == 0)
        return refuse(error, "daemonize", "",
                      "cannot be used with -nographic, whose serial "
                      "port is the terminal; give -serial or -nodefaults");
    return true;
}

/* Options that are there for those who say that they want none. */
static bool check_nones(const Cmdline *cmdline, GError **error)
{
    const struct {
        const char *option;
        const char *value;
        const char *reason;
    } options[] = {
        { "display", cmdline->display, "there is no display, consoles are -serial" },
        { "vga", cmdline->vga, "there is no screen, consoles are -serial" },
        { "vnc", cmdline->vnc, "there is no screen, consoles are -serial" },
        { "net", cmdline->net, "-nic makes a device with its backend" },
        { "parallel", cmdline->parallel,
          "there is no parallel port, consoles are -serial" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autofree char *reason =
            g_strconcat(options[i].reason, "; only 'none' is accepted", NULL);

        if (!check_none(options[i].option, options[i].value, reason, error))
            return false;
    }
    return true;
}

static bool names_a_serial(const Cmdline *cmdline)
{
    for (guint i = 0; i < cmdline->serials->len; i++) {
        if (strcmp(g_ptr_array_index(cmdline->serials, i), "none") != 0)
            return true;
    }
    return false;
}

/* What only a machine with vCPUs, memory and buses can honour. */
static bool check_machine_none(const Cmdline *cmdline, GError **error)
{
    const MachineOptions *machine = cmdline->machine;
    const struct {
        const char *option;
        bool given;
    } options[] = {
        { "-bios", cmdline->bios != NULL },
        { "-kernel", cmdline->kernel != NULL },
        { "-m", cmdline->memory != NULL },
        { "-numa", cmdline->numas->len > 0 },
        { "-mem-path", cmdline->mem_path != NULL },
        { "-mem-prealloc", cmdline->mem_prealloc },
        { "-smp", cmdline->smp != NULL },
        { "-cpu", cmdline->cpu != NULL },
        { "-rtc", cmdline->rtc != NULL },
        { "-device", cmdline->devices->len > 0 },
        { "-debugcon", cmdline->debugcon != NULL },
        { "-smbios", cmdline->smbios->len > 0 },
        { "-fw_cfg", cmdline->fw_cfgs->len > 0 },
        { "-serial", names_a_serial(cmdline) },
        { "-machine memory-backend", machine && machine->memory_backend },
        { "-machine pflash0", machine && machine->pflash0 },
        { "-machine pflash1", machine && machine->pflash1 },
    };

    if (!machine || g_strcmp0(machine->type, "none") != 0)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        if (options[i].given) {
            error_set(error, "%s: machine 'none' has nothing that it could apply to",
                      options[i].option);
            return false;
        }
    }
    return true;
}

static bool check_preconfig(const Cmdline *cmdline, GError **error)
{
    if (cmdline->preconfig)
        error_set(error, "-preconfig: the machine is made from the command line alone");
    return !cmdline->preconfig;
}

bool cmdline_check(const Cmdline *cmdline, GError **error)
{
    RtcConfig rtc;

    return check_preconfig(cmdline, error) && check_machine(cmdline->machine, error) &&
           check_machine_none(cmdline, error) && check_accels(cmdline, error) &&
           check_smm(cmdline, error) && check_onboard(cmdline, error) &&
           rtc_options_apply(cmdline, &rtc, error) &&
           check_monitors(cmdline, error) && check_boot(cmdline->boot, error) &&
           check_kernel(cmdline, error) && firmware_flash_check(cmdline, error) &&
           check_daemon(cmdline, error) &&
           check_nones(cmdline, error);
}
