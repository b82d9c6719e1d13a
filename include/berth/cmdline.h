/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line, parsed and typed.  What QEMU understands and berth cannot honour is
 * refused with an error that names it; nothing is ignored in silence.  Main only.
 */
#pragma once

#include "berth/device-globals.h"

#include "qapi-types.h"

/* What berth is asked to do in place of running a machine. */
typedef enum CmdlineAction {
    CMDLINE_ACTION_RUN,
    CMDLINE_ACTION_PRINT, /* help or version: write @text to stdout, end with success */
    CMDLINE_ACTION_CHECK_HOST,
    CMDLINE_ACTION_CHECK_ARGS, /* judge the words from @rest on */
    CMDLINE_ACTION_CHECK_DOMAIN, /* judge what libvirt makes of the file @domain */
} CmdlineAction;

typedef struct Cmdline {
    CmdlineAction action;
    char *text;                 /* CMDLINE_ACTION_PRINT */
    int rest;                   /* CMDLINE_ACTION_CHECK_ARGS */
    char *domain;               /* CMDLINE_ACTION_CHECK_DOMAIN */

    /* Options that are given once or merged; NULL when not given. */
    MachineOptions *machine;
    SmpOptions *smp;
    MemoryOptions *memory;
    NameOptions *name;
    MsgOptions *msg;
    BootOptions *boot;
    RtcOptions *rtc;
    OvercommitOptions *overcommit;
    RunWithOptions *run_with;
    SandboxOptions *sandbox;
    ActionOptions *action_options;
    char *cpu;
    char *mem_path;
    char *uuid;
    char *bios;
    char *kernel;
    char *initrd;
    char *append;
    char *pidfile;
    char *log_file;
    char *display;
    char *vga;
    char *vnc;
    char *net;
    char *parallel;
    char *debugcon;
    char *echr;

    /* Options that may be repeated, in order. */
    GPtrArray *accels;          /* of AccelOptions */
    GPtrArray *blockdevs;       /* of BlockdevOptions */
    GPtrArray *drives;          /* of DriveOptions */
    GPtrArray *devices;         /* of DeviceAddArgs */
    GPtrArray *numas;           /* of NumaOptions */
    GPtrArray *objects;         /* of ObjectOptions */
    GPtrArray *chardevs;        /* of ChardevOptions */
    GPtrArray *netdevs;         /* of Netdev */
    GPtrArray *monitors;        /* of MonitorOptions */
    GPtrArray *audiodevs;       /* of AudiodevOptions */
    GPtrArray *add_fds;         /* of AddFdOptions */
    GPtrArray *smbios;          /* of SmbiosOption */
    GPtrArray *fw_cfgs;         /* of FwCfgOption */
    GPtrArray *traces;          /* of TraceOptions */
    GPtrArray *serials;         /* of text, as are the rest */
    GPtrArray *nics;
    GPtrArray *firmware_folders;
    GPtrArray *qmps;
    GPtrArray *pretty_qmps;
    GPtrArray *human_monitors;
    GPtrArray *log_items;

    DeviceGlobals *globals;     /* for devices that are added later, too */
    OnboardDevice *onboard[ONBOARD_DRIVER__MAX]; /* properties of the board's devices */

    bool mem_prealloc;
    bool nographic;
    bool nodefaults;
    bool no_user_config;
    bool paused;                /* -S */
    bool snapshot;
    bool preconfig;
    bool daemonize;
} Cmdline;

/*
 * Parses @argv, of which the first is the program.  NULL with @error that names the
 * option.
 */
Cmdline *cmdline_parse(int argc, char **argv, GError **error);
/* The last "-accel kvm", lent; NULL when there is none. */
const AccelOptions *cmdline_accel(const Cmdline *cmdline);
/*
 * Whether there is a monitor for people on standard input and output though none was
 * asked for: -nographic, with nothing else that says where monitors are.
 */
bool cmdline_wants_monitor(const Cmdline *cmdline);
void cmdline_free(Cmdline *cmdline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cmdline, cmdline_free)
