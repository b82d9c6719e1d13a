/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine is doing at one moment, as it and the host's /proc tell.
 */
#pragma once

#include "ctl-conn.h"

typedef struct CtlSample {
    int64_t when_ns;
    char *state;                /* of query-status */
    int pid;                    /* 0: unknown, as all of the host's numbers then are */
    uint64_t n_vcpus;
    uint64_t memory;            /* bytes: the guest's, what was plugged among it */
    uint64_t actual;            /* what the balloon leaves; all of it without one */
    uint64_t resident;          /* of the process */
    uint64_t vcpu_ns;           /* that vCPUs have run */
    uint64_t cpu_ns;            /* that all threads have run */
    uint64_t read;              /* bytes, of all disks */
    uint64_t written;
    uint64_t received;          /* of all network devices */
    uint64_t sent;
} CtlSample;

void ctl_sample_done(CtlSample *sample);

/* Requests what a sample is made from; an exchange follows. */
void ctl_sample_request(CtlConn *conn);
/* Makes it from the replies; false with @error. */
bool ctl_sample_read(const CtlConn *conn, CtlSample *ret_sample, GError **error);

/* Appends "1.5G" and the like: three digits at least, five characters at most. */
char *ctl_sample_size(double bytes);
