/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hypervisor of this host can give a guest's processor.
 */
#pragma once

#include "cpu-features.h"

struct CpuHost {
    char vendor[13];
    bool is_amd;                /* or Hygon's, which follow AMD's book */
    GArray *cpuid;              /* of CpuidEntry */
    GArray *hyperv;             /* of CpuidEntry: leaves of Hyper-V, if there are */
    GArray *msrs;               /* of CpuMsr: those that tell of features */
    CpuWords words;             /* the features in them */
    uint32_t tsc_khz;           /* 0: not known */
    bool scales_tsc;            /* a guest's TSC may have another frequency */
    bool enforces_hyperv;       /* KVM can hide from a guest what Hyper-V's leaves do */
    bool enforces_kvm;          /* the same for KVM's leaves */
};

/* Takes the arrays and learns the rest from them, but for the clock's. */
CpuHost *cpu_host_new(GArray *cpuid, GArray *hyperv, GArray *msrs);

/* The MSR's value; false when the host has none. */
bool cpu_host_msr(const CpuHost *host, uint32_t index, uint64_t *ret_value);

/* A register of Hyper-V's leaf @function, 0 when there is none. */
uint32_t cpu_host_hyperv(const CpuHost *host, uint32_t function, CpuidReg reg);
