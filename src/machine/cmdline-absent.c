/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What QEMU understands and berth has nothing for: who moves from one to the other is
 * told more than that the option is unknown.
 */
#include <string.h>

#include "berth/base.h"

#include "cmdline-absent.h"

typedef struct Absent {
    const char *options;        /* with a blank before and behind each */
    const char *reason;
} Absent;

static const Absent absent[] = {
    { " iscsi ", "there is no iSCSI: a client of it (iscsiadm) makes a block device" },
    { " watchdog ", "the watchdog is -device i6300esb, or the iTCO of every machine" },
    { " balloon ", "the balloon is -device virtio-balloon-pci" },
    { " tftp bootp redir smb ", "these are pairs of -nic user or -netdev user" },
    { " localtime startdate rtc-td-hack ", "clocks are set by -rtc" },
    { " realtime ", "memory is locked by -overcommit mem-lock=on" },
    { " virtioconsole ", "consoles are -device virtconsole" },
    { " writeconfig enable-fips ", "QEMU has it no more" },
    { " async-teardown ", "the memory is the process's, and goes with it" },
    { " no-kvm ", "there is KVM only: leave it out" },
    { " fda fdb sd mtdblock ",
      "there are no such drives: disks are -drive or -blockdev" },
    { " pflash ", "the format of an image is never guessed: "
                  "-drive if=pflash,format=raw,file=..." },
    { " id ", "it is Proxmox VE's own, for its tools: leave it out, and say -name" },
    { " option-rom shim ", "an option ROM belongs to a device (romfile=)" },
    { " acpitable ",
      "the machine's ACPI tables are its own; other things for a guest are -fw_cfg" },
    { " incoming loadvm only-migratable dump-vmstate ",
      "a machine's state cannot be loaded: it starts from its disks" },
    { " fsdev virtfs ",
      "there are no shared folders; a guest mounts one over the network" },
    { " tpmdev ", "there is no TPM: leave it out" },
    { " spice g k full-screen portrait rotate curses alt-grab ctrl-grab no-quit "
      "sdl no-frame show-cursor ", "there is no screen: leave it out" },
    { " audio soundhw ", "there is no sound: leave it out" },
    { " usbdevice ", "there are no USB devices: leave it out" },
    { " gdb s ", "there is no server for a debugger; dump-guest-memory "
                "makes a file for one" },
    { " icount singlestep one-insn-per-tb plugin semihosting semihosting-config seed "
      "dfilter perfmap jitdump tb-size enable-sync-profile ",
      "the guest's processors are the host's, not emulated: leave it out" },
    { " xen-domid xen-attach xen-domid-restrict ", "there is no Xen: leave it out" },
    { " dtb prom-env ", "the machine has no device tree: leave it out" },
    { " compat ", "there are no deprecated parts of the interface: leave it out" },
};

/* Properties of machines that need a device or a way to run guests that is not there. */
static const Absent absent_of_machines[] = {
    { " confidential-guest-support memory-encryption ",
      "guests are not encrypted: leave it out" },
    { " igd-passthru gfx_passthru ",
      "devices of the host are not passed through: leave it out" },
    { " dtb dumpdtb ", "the machine has no device tree: leave it out" },
    { " cxl sgx-epc ", "memory is what the guest finds at start, pc-dimm and "
                       "virtio-mem-pci" },
    { " firmware ", "firmware is named by -bios" },
};

static const char *find(const Absent *rows, size_t n, const char *name)
{
    g_autofree char *key = g_strconcat(" ", name, " ", NULL);

    for (size_t i = 0; i < n && *name; i++) {
        if (strstr(rows[i].options, key))
            return rows[i].reason;
    }
    return NULL;
}

const char *cmdline_absent_of_machine(const char *property)
{
    return find(absent_of_machines, G_N_ELEMENTS(absent_of_machines), property);
}

const char *cmdline_absent_reason(const char *word)
{
    if (word[0] != '-')
        return "invalid option (a kernel is named by -kernel)";
    return find(absent, G_N_ELEMENTS(absent), word + (word[1] == '-' ? 2 : 1));
}
