/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls which threads may make when the machine runs: const data, read by
 * the maker of the filters, by the test that compares docs/threat-model.md with it, and
 * by whoever adds a row: docs/sandbox.md has how.
 *
 * A thread inherits the filter of the one that starts it, so main may make every call of
 * the table, and an iothread those of the workers.
 */
#pragma once

#include "berth/base.h"

typedef enum SandboxRoles {
    SANDBOX_MAIN = 1 << 0,
    SANDBOX_VCPU = 1 << 1,
    SANDBOX_IOTHREAD = 1 << 2,
    SANDBOX_WORKER = 1 << 3,
} SandboxRoles;

/* Why a call is there. */
typedef enum SandboxGroup {
    SANDBOX_GROUP_LIBRARY,
    SANDBOX_GROUP_OUTPUT,
    SANDBOX_GROUP_DEVICES,
    SANDBOX_GROUP_LOOP,
    SANDBOX_GROUP_FILE_IO,
    SANDBOX_GROUP_FILES,
    SANDBOX_GROUP_THREADS,
    SANDBOX_GROUP_SOCKETS,
    SANDBOX_GROUP_NETWORK,
    SANDBOX_GROUP_HOST,
    /* Only when -sandbox allows them. */
    SANDBOX_GROUP_OBSOLETE,
    SANDBOX_GROUP_PRIVILEGES,
    SANDBOX_GROUP_RESOURCES,
    SANDBOX_GROUP__MAX,
} SandboxGroup;

#define SANDBOX_GROUP__OPTIONAL SANDBOX_GROUP_OBSOLETE

/* What of its arguments is looked at. */
typedef enum SandboxCheckId {
    SANDBOX_ANY,
    SANDBOX_NO_EXEC,            /* memory: not executable */
    SANDBOX_REQUEST,            /* ioctl */
    SANDBOX_COMMAND,            /* fcntl */
    SANDBOX_OWN,                /* a signal to this process */
    SANDBOX_NAMES,              /* prctl: names of threads */
    SANDBOX_GUEST_STATE,        /* arch_prctl: registers that guests may have */
    SANDBOX_READ_LIMITS,        /* prlimit64: reading them */
    SANDBOX_THREAD,             /* clone: a thread of this process */
    SANDBOX_FILTER,             /* seccomp: a further filter */
    SANDBOX_FAMILY,             /* socket */
    SANDBOX_STAT,               /* newfstatat */
    SANDBOX_NO_ADDRESS,         /* sendto: only main may give one */
    SANDBOX_ABSENT,             /* fails with ENOSYS, and the C library takes another */
    SANDBOX_CHECK__MAX,
} SandboxCheckId;

typedef struct SandboxCall {
    uint16_t number;            /* of asm/unistd.h */
    uint8_t roles;
    uint8_t group;
    uint8_t check;
} SandboxCall;

/* A value that the low 32 bits of an argument may have, after the mask. */
typedef struct SandboxValue {
    uint32_t value;
    uint8_t roles;
    char name[35];
} SandboxValue;

typedef struct SandboxCheck {
    uint8_t argument;           /* 0 to 5 */
    bool is_wide;               /* a pointer, which must be NULL: both halves are 0 */
    bool is_own;                /* the value is the process's id */
    uint8_t free_roles;         /* for whom it is not looked at */
    uint32_t mask;
    const SandboxValue *values;
    unsigned n_values;
} SandboxCheck;

extern const SandboxCall sandbox_table_calls[];
extern const unsigned sandbox_table_n_calls;

/* What main, and programs that it starts, may not do with -sandbox spawn=allow either. */
extern const uint16_t sandbox_table_never[];
extern const unsigned sandbox_table_n_never;

const SandboxCheck *sandbox_table_check(SandboxCheckId id);
/* NULL where no argument of the call matters, or the call is in no row. */
const SandboxCheck *sandbox_table_check_of(unsigned number);
const char *sandbox_table_why(SandboxGroup group);
/* In words, as "not executable"; "" for SANDBOX_ANY. */
const char *sandbox_table_check_words(SandboxCheckId id);
/* "openat"; NULL for a number that has no name. */
const char *sandbox_table_name(unsigned number);

/* The bits of the roles whose calls one of @role may make; see above. */
unsigned sandbox_table_effective(SandboxRoles role);
