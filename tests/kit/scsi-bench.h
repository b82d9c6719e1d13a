/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SCSI controller "hba" and a disk "hd" on it, for tests of what becomes of requests
 * whose disk fails, or does not answer.
 */
#pragma once

#include "kit-scsi.h"

typedef struct ScsiBench {
    KitBoard *kit;
    KitScsi *scsi;
    BlockNode *inject;          /* "n", of driver inject: what the disk is on */
} ScsiBench;

/* @hba and @disk are more properties: ", 'lun': 7". */
void scsi_bench_init(ScsiBench *f, const char *hba, const char *disk);
/* The same on @kit, taken. */
void scsi_bench_init_on(ScsiBench *f, KitBoard *kit, const char *hba, const char *disk);
void scsi_bench_done(ScsiBench *f);
/* Another disk, which is empty and never fails. */
void scsi_bench_add_disk(KitBoard *kit, const char *id, const char *props);

/* Rules of the driver inject, as JSON. */
void scsi_bench_set_rules(ScsiBench *f, const char *json);
/* Requests for data do not end until rules are set again. */
void scsi_bench_hang(ScsiBench *f);

/* A READ in @slot, on each queue in turn. */
void scsi_bench_submit_read(ScsiBench *f, unsigned slot, uint64_t tag);
/* The next @n requests end with @response. */
void scsi_bench_expect(ScsiBench *f, unsigned n, uint8_t response);
/* WRITEs in slots 0 to 3, with these numbers as tags, wait for the machine to go on. */
void scsi_bench_make_held(ScsiBench *f);
/* The machine stops and goes on; the state is saved and loaded between when @loads. */
void scsi_bench_stop_and_go_on(ScsiBench *f, bool loads);
