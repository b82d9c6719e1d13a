/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of berthctl share.
 *
 * berthctl is a client of QMP and no part of the VMM: of berth it has the JSON code and
 * the tables of the schema.  It asks several machines at once and waits for each up to a
 * deadline, so one that hangs costs the others nothing.
 *
 * Functions that fail set an error, whose text says what to do; main writes it.
 */
#pragma once

#include "berth/error.h"
#include "berth/json.h"

/* What the command line says before the command. */
typedef struct CtlOptions {
    char *folder;               /* where sockets are */
    int64_t timeout_ns;         /* for an answer */
    int64_t wait_ns;            /* for what the guest has to do */
    bool force;
    bool help;                  /* is all that is wanted */
    double interval;            /* seconds between two pictures of "top" */
    unsigned n_rounds;          /* pictures; 0: until it is ended */
    unsigned sorted;            /* the CtlColumn by which its lines are in order */
} CtlOptions;

/* A command: its arguments behind its name; returns the exit status. */
typedef int CtlCommandFn(const CtlOptions *options, int argc, char **argv,
                         GError **error);

typedef struct CtlCommand {
    const char *name;
    const char *args;           /* as the help shows them */
    const char *help;
    int min_args;
    int max_args;               /* -1: any number */
    CtlCommandFn *run;
} CtlCommand;

CtlCommandFn ctl_list_run, ctl_list_status;
CtlCommandFn ctl_top_run;
CtlCommandFn ctl_qmp_run, ctl_qmp_events;
CtlCommandFn ctl_balloon_run;
CtlCommandFn ctl_device_plug, ctl_device_unplug;
CtlCommandFn ctl_shutdown_run;
CtlCommandFn ctl_console_run;
