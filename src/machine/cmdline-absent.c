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
    { " fda fdb sd mtdblock ", "there are no such drives" },
    { " pflash ", "the format of an image is never guessed: "
                  "-drive if=pflash,format=raw,file=..." },
    { " option-rom shim ", "an option ROM belongs to a device (romfile=)" },
    { " acpitable ", "the machine's ACPI tables are its own" },
    { " incoming loadvm only-migratable dump-vmstate ",
      "a machine's state cannot be loaded" },
    { " fsdev virtfs ", "there are no shared folders" },
    { " tpmdev ", "there is no TPM" },
    { " spice g k full-screen portrait rotate curses alt-grab ctrl-grab no-quit ",
      "there is no screen" },
    { " audio soundhw ", "there is no sound" },
    { " usbdevice ", "there is no USB" },
    { " gdb s ", "there is no server for a debugger" },
    { " icount singlestep one-insn-per-tb plugin semihosting semihosting-config seed "
      "dfilter perfmap jitdump tb-size enable-sync-profile ",
      "the guest's processors are the host's, not emulated" },
    { " xen-domid xen-attach xen-domid-restrict ", "there is no Xen" },
    { " dtb prom-env ", "the machine has no device tree" },
    { " compat ", "there are no deprecated parts of the interface" },
};

const char *cmdline_absent_reason(const char *word)
{
    g_autofree char *key = NULL;

    if (word[0] != '-')
        return "invalid option (a kernel is named by -kernel)";
    key = g_strconcat(" ", word + (word[1] == '-' ? 2 : 1), " ", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(absent); i++) {
        if (strlen(key) > 2 && strstr(absent[i].options, key))
            return absent[i].reason;
    }
    return NULL;
}
