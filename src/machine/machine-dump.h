/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dumps of a machine's memory, and what saves parts of it: the machine's side.  Main
 * only.
 */
#pragma once

#include "berth/dump.h"
#include "berth/machine.h"
#include "berth/qmp.h"

/* False with @error while a dump is under way. */
bool machine_dump_check(const Machine *machine, GError **error);

/* Starts a dump, which is to be checked before; @reply is ended then or with the dump. */
void machine_dump_start(Machine *machine, const DumpOptions *options,
                        const DumpTarget *target, bool detach, QmpReply *reply);

void machine_dump_query(const Machine *machine, DumpQueryResult *ret_result);

/* Saves @range; @vcpu is the index of the one whose page tables a virtual one uses. */
void machine_dump_save(Machine *machine, const DumpRange *range, unsigned vcpu,
                       const DumpTarget *target, QmpReply *reply);

/* Ends everything, with errors to those who wait; before the machine's parts are gone. */
void machine_dump_done(Machine *machine);
