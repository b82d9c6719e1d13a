/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-boot" in the places where PC firmware reads it: the order of kinds of device in the
 * CMOS, the menu and the waits in fw_cfg (names and formats are those that SeaBIOS and
 * OVMF know).
 */
#include <string.h>

#include "berth/error.h"
#include "berth/rtc.h"

#include "boot-order.h"

#define DEFAULT_ORDER "cad"
#define FAIL_WAIT_FOR_EVER UINT32_MAX

static bool add_number_file(FwCfg *fw_cfg, const char *name, uint64_t value, size_t size,
                            GError **error)
{
    uint64_t little = GUINT64_TO_LE(value);

    return fw_cfg_add_file(fw_cfg, name, g_bytes_new(&little, size), error);
}

bool boot_order_add_items(const BootOptions *boot, FwCfg *fw_cfg, GError **error)
{
    const BootOptions nothing = { 0 };
    const BootOptions *b = boot ? boot : &nothing;

    fw_cfg_add_number(fw_cfg, FW_CFG_BOOT_MENU, b->menu, 2);
    if (b->has_splash_time &&
        !add_number_file(fw_cfg, "etc/boot-menu-wait", b->splash_time, 2, error))
        return false;
    return add_number_file(fw_cfg, "etc/boot-fail-wait",
                           b->has_reboot_timeout ? (uint32_t)b->reboot_timeout
                                                 : FAIL_WAIT_FOR_EVER, 4, error);
}

void boot_order_write(const Cmdline *cmdline, Device *rtc, bool first)
{
    const BootOptions *boot = cmdline->boot;
    const MachineOptions *machine = cmdline->machine;
    const char *order = boot && boot->order ? boot->order : DEFAULT_ORDER;
    bool check_floppy = !machine || !machine->has_fd_bootchk || machine->fd_bootchk;

    if (first && boot && boot->once)
        order = boot->once;
    rtc_set_boot_order(rtc, order, check_floppy);
}
