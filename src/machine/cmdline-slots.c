/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of slots, and what is done to every one.
 */
#include <string.h>

#include "berth/char-set.h"

#include "cmdline-slots.h"

#define SLOT(name_, kind_, field_) \
    { .name = name_, .kind = kind_, .offset = offsetof(Cmdline, field_) }
#define MEANS(name_, option_, key_, value_) \
    { .name = name_, .kind = SLOT_MEANS, .option = option_, .key = key_, .value = value_ }
/* Its argument is the file of a drive, of which @more says the rest. */
#define DRIVE(name_, more_)                                                              \
    { .name = name_, .kind = SLOT_MEANS, .option = "drive", .key = "file", .more = more_ }

/* "_" in a key is "-". */
static JsonValue *with_dashes(const JsonValue *pairs)
{
    JsonValue *renamed = json_new_object();
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(pairs, &iter, &key, &value)) {
        g_autofree char *name = g_strdelimit(g_strdup(key), "_", '-');

        json_set(renamed, name, json_ref(value));
    }
    return renamed;
}

static const Slot slots[] = {
    { .name = "help", .kind = SLOT_HELP },
    { .name = "version", .kind = SLOT_VERSION },
    { .name = "check-host", .kind = SLOT_CHECK_HOST },
    { .name = "check-args", .kind = SLOT_CHECK_ARGS },
    SLOT("check-libvirt-xml", SLOT_CHECK_DOMAIN, domain),
    { .name = "machine",
      .kind = SLOT_MERGED,
      .offset = offsetof(Cmdline, machine),
      .rename = with_dashes },
    SLOT("accel", SLOT_LIST, accels),
    MEANS("enable-kvm", "accel", "accel", "kvm"),
    MEANS("no-acpi", "machine", "acpi", "off"),
    MEANS("no-hpet", "machine", "hpet", "off"),
    MEANS("no-fd-bootchk", "machine", "fd-bootchk", "off"),
    MEANS("usb", "machine", "usb", "on"),
    SLOT("cpu", SLOT_TEXT, cpu),
    SLOT("smp", SLOT_MERGED, smp),
    SLOT("m", SLOT_MERGED, memory),
    SLOT("numa", SLOT_LIST, numas),
    SLOT("mem-path", SLOT_TEXT, mem_path),
    SLOT("mem-prealloc", SLOT_FLAG, mem_prealloc),
    SLOT("name", SLOT_MERGED, name),
    SLOT("uuid", SLOT_TEXT, uuid),
    SLOT("smbios", SLOT_LIST, smbios),
    SLOT("fw_cfg", SLOT_LIST, fw_cfgs),
    SLOT("bios", SLOT_TEXT, bios),
    SLOT("L", SLOT_TEXTS, firmware_folders),
    SLOT("kernel", SLOT_TEXT, kernel),
    SLOT("initrd", SLOT_TEXT, initrd),
    SLOT("append", SLOT_TEXT, append),
    SLOT("blockdev", SLOT_LIST, blockdevs),
    SLOT("drive", SLOT_LIST, drives),
    DRIVE("hda", "index=0,format=raw"),
    DRIVE("hdb", "index=1,format=raw"),
    DRIVE("hdc", "index=2,format=raw"),
    DRIVE("hdd", "index=3,format=raw"),
    DRIVE("cdrom", "index=2,format=raw,media=cdrom"),
    SLOT("snapshot", SLOT_FLAG, snapshot),
    SLOT("device", SLOT_LIST, devices),
    { .name = "global", .kind = SLOT_GLOBAL },
    { .name = "set", .kind = SLOT_SET },
    { .name = "readconfig", .kind = SLOT_READCONFIG },
    SLOT("object", SLOT_LIST, objects),
    { .name = "chardev",
      .kind = SLOT_LIST,
      .offset = offsetof(Cmdline, chardevs),
      .rename = char_options_modernise },
    SLOT("netdev", SLOT_LIST, netdevs),
    SLOT("echr", SLOT_TEXT, echr),
    SLOT("mon", SLOT_LIST, monitors),
    SLOT("qmp", SLOT_TEXTS, qmps),
    SLOT("qmp-pretty", SLOT_TEXTS, pretty_qmps),
    SLOT("monitor", SLOT_TEXTS, human_monitors),
    SLOT("serial", SLOT_TEXTS, serials),
    SLOT("parallel", SLOT_TEXT, parallel),
    SLOT("debugcon", SLOT_TEXT, debugcon),
    SLOT("display", SLOT_TEXT, display),
    SLOT("vga", SLOT_TEXT, vga),
    SLOT("vnc", SLOT_TEXT, vnc),
    SLOT("net", SLOT_TEXT, net),
    SLOT("nic", SLOT_TEXTS, nics),
    SLOT("audiodev", SLOT_LIST, audiodevs),
    SLOT("nographic", SLOT_FLAG, nographic),
    SLOT("nodefaults", SLOT_FLAG, nodefaults),
    SLOT("no-user-config", SLOT_FLAG, no_user_config),
    SLOT("nodefconfig", SLOT_FLAG, no_user_config),
    SLOT("boot", SLOT_MERGED, boot),
    SLOT("rtc", SLOT_MERGED, rtc),
    SLOT("overcommit", SLOT_MERGED, overcommit),
    SLOT("add-fd", SLOT_LIST, add_fds),
    SLOT("action", SLOT_MERGED, action_options),
    SLOT("S", SLOT_FLAG, paused),
    MEANS("no-reboot", "action", "reboot", "shutdown"),
    MEANS("no-shutdown", "action", "shutdown", "pause"),
    MEANS("watchdog-action", "action", "watchdog", NULL),
    SLOT("preconfig", SLOT_FLAG, preconfig),
    SLOT("sandbox", SLOT_MERGED, sandbox),
    SLOT("run-with", SLOT_MERGED, run_with),
    MEANS("runas", "run-with", "user", NULL),
    MEANS("chroot", "run-with", "chroot", NULL),
    SLOT("pidfile", SLOT_TEXT, pidfile),
    SLOT("daemonize", SLOT_FLAG, daemonize),
    SLOT("msg", SLOT_MERGED, msg),
    SLOT("d", SLOT_TEXTS, log_items),
    SLOT("D", SLOT_TEXT, log_file),
    SLOT("trace", SLOT_LIST, traces),
};

G_STATIC_ASSERT(G_N_ELEMENTS(slots) <= CMDLINE_SLOTS_MAX);

const Slot *cmdline_slots_at(unsigned index)
{
    return index < G_N_ELEMENTS(slots) ? &slots[index] : NULL;
}

const Slot *cmdline_slots_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        if (strcmp(slots[i].name, name) == 0)
            return &slots[i];
    }
    return NULL;
}

unsigned cmdline_slots_index(const Slot *slot)
{
    return (unsigned)(slot - slots);
}

const CmdlineOption *cmdline_slots_option(const Slot *slot)
{
    g_autofree char *word = g_strconcat("-", slot->name, NULL);

    return qapi_option_find(word);
}

void cmdline_slots_init(Cmdline *cmdline)
{
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        GPtrArray **list = cmdline_slots_field(cmdline, &slots[i]);

        if (slots[i].kind == SLOT_LIST)
            *list = g_ptr_array_new();
        else if (slots[i].kind == SLOT_TEXTS)
            *list = g_ptr_array_new_with_free_func(g_free);
    }
}

static void free_list(const Slot *slot, GPtrArray *list)
{
    QapiTypeId type = cmdline_slots_option(slot)->type;

    for (guint i = 0; i < list->len; i++)
        qapi_free(type, g_ptr_array_index(list, i));
    g_ptr_array_unref(list);
}

void cmdline_slots_done(Cmdline *cmdline)
{
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        void *field = cmdline_slots_field(cmdline, &slots[i]);

        switch (slots[i].kind) {
        case SLOT_TEXT:
        case SLOT_CHECK_DOMAIN:
            g_free(*(char **)field);
            break;
        case SLOT_MERGED:
            qapi_free(cmdline_slots_option(&slots[i])->type, *(void **)field);
            break;
        case SLOT_LIST:
            free_list(&slots[i], *(GPtrArray **)field);
            break;
        case SLOT_TEXTS:
            g_ptr_array_unref(*(GPtrArray **)field);
            break;
        case SLOT_FLAG:
        case SLOT_MEANS:
        case SLOT_GLOBAL:
        case SLOT_SET:
        case SLOT_READCONFIG:
        case SLOT_HELP:
        case SLOT_VERSION:
        case SLOT_CHECK_HOST:
        case SLOT_CHECK_ARGS:
            break;
        }
    }
}
