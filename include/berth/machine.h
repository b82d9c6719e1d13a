/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of one virtual machine: memory, vCPUs, devices, run control.  Made and freed,
 * never global; a test makes two.
 *
 * machine_new() makes the parts that others name (character devices, objects, memory,
 * board); machine_start() ends the making and lets the vCPUs run.  Everything here: main
 * only.
 */
#pragma once

#include "berth/boot.h"
#include "berth/cmdline.h"
#include "berth/device.h"
#include "berth/fdset.h"
#include "berth/region.h"
#include "berth/runstate.h"
#include "berth/smbios.h"
#include "berth/vcpu.h"
#include "berth/vm.h"

typedef enum MachineKind {
    MACHINE_KIND_NONE, /* for clients that probe: no memory, no vCPUs, no devices */
    MACHINE_KIND_Q35,
} MachineKind;

/* What distinguishes the kinds; the list is in machine-types.c. */
typedef struct MachineType {
    char name[20];              /* "pc-q35-berth-1.0" */
    char alias[4];              /* "q35", or empty */
    uint8_t kind;               /* MachineKind */
    bool is_default;
    bool is_of_qemu;            /* a version of QEMU's board: another name of berth's */
} MachineType;

/* The most vCPUs of a q35; a host may allow fewer. */
#define MACHINE_MAX_VCPUS 4096

typedef struct MachineDump MachineDump;
typedef struct Q35Board Q35Board;

struct Machine {
    const MachineType *type;
    const Cmdline *cmdline;     /* lent */
    Loop *loop;                 /* lent */
    char *name;                 /* "-name guest=", or NULL */
    Uuid uuid;                  /* zeros when none was given */
    SmbiosOptions *smbios_options;
    SmbiosTables *smbios;       /* of a machine with vCPUs */

    RunControl run;
    QmpEvents *events;          /* lent */

    CharSet *chars;             /* lent */
    FdSets *fdsets;             /* lent */
    BlockGraph *blocks;
    NetSet *nets;
    struct DiskErrors *disk_errors;     /* disk-errors.c */
    ObjectSet *objects;
    Vm *vm;                     /* NULL for MACHINE_KIND_NONE */
    bool kvm;                   /* vm is KVM */

    Region memory_root;
    Region io_root;
    AddressSpace *memory;
    AddressSpace *io;
    AddressSpace *smm;          /* memory in system management mode; NULL: none */
    Region smm_root;            /* of it, with a window into memory_root */
    Region smm_window;
    Region outside_root;        /* the root of memory, above memory_root, with SMM */
    uint64_t ram_size;
    struct MachineRam *ram_parts;       /* machine-memory.c */
    unsigned n_ram_parts;
    Object *ram_object;         /* the one that is all memory; NULL where nodes have it */
    MemoryWindow *memory_window;        /* NULL: all memory is there from the start */
    uint64_t come_base;         /* its addresses */
    uint64_t come_size;
    uint64_t high_end;          /* of all memory, when all has come */
    struct MemoryFailure *memory_failure;       /* memory-failure.c */

    CpuTopology topology;
    struct Numa *numa;          /* numa.c; NULL: the guest has no nodes */
    CpuModel *cpu_model;
    /*
     * topology.max_cpus, NULL where there is none now.  Main changes them under the lock,
     * and reads them without.
     */
    Vcpu **vcpus;
    GMutex vcpus_lock;
    bool vcpus_run;             /* not paused */
    VcpuBoot boot;              /* as they were reset last */
    bool tables_stale;          /* what the guest is told of has changed */
    BootImage *boot_image;      /* NULL without -kernel */
    RamBlock *rom;              /* firmware; NULL: there is none */
    Region rom_region;

    bool migration_events;      /* a client wants to be told of each step */

    Board board;
    DeviceTree tree;
    Q35Board *q35;              /* machine-q35.c */
    MachineDump *dump;          /* machine-dump.c; NULL before the first dump */
    ListNode memory_queries;    /* memory-ledger.c; zeros before the first */
};

/* What a machine is made for; all lent, and outlives it. */
typedef struct MachineHost {
    Loop *loop;
    CharSet *chars;
    FdSets *fdsets;             /* NULL: files named "/dev/fdset/N" cannot be opened */
    QmpEvents *events;          /* NULL: nobody is told */
    const QmpContext *context;  /* of its clients; NULL: there are none */
} MachineHost;

/*
 * Makes the machine that @cmdline (lent, and outlives it) describes, stopped.  @vm
 * (taken, also on failure) replaces the hypervisor, for tests.
 */
Machine *machine_new(const Cmdline *cmdline, const MachineHost *host, Vm *vm,
                     GError **error);
/* Stops the vCPUs and frees everything.  Accepts NULL. */
void machine_free(Machine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Machine, machine_free)

/* Loads the kernel, resets every part to power-on, and runs unless "-S" was given. */
bool machine_start(Machine *machine, GError **error);
/* Lets the vCPUs run; an error when there is nothing that they could run. */
bool machine_cont(Machine *machine, GError **error);

/* Whether the guest is offered to suspend to RAM, and can be woken. */
bool machine_can_suspend(const Machine *machine);

/* The kinds of machine, ended by one without a name. */
const MachineType *machine_types(void);
/* By name or alias; NULL when there is none. */
const MachineType *machine_types_find(const char *name);
const char *machine_types_description(const MachineType *type);
/* The id of the object that is its memory; NULL when it has none. */
const char *machine_types_ram_id(const MachineType *type);
/* Whether it is the board of a release of QEMU that was before @major.@minor. */
bool machine_types_is_before(const MachineType *type, unsigned major, unsigned minor);
/* What there is instead of @name, which is no kind of machine. */
const char *machine_types_absent(const char *name);

/* Whether the guest finds ACPI tables ("-machine acpi="). */
bool machine_has_acpi(const Machine *machine);
/* Whether its processors have system management mode. */
bool machine_has_smm(const Machine *machine);

/* vCPU @index, NULL when there is none now. */
Vcpu *machine_vcpu(const Machine *machine, int64_t index);
/*
 * The first at or after *@index, which becomes its number; NULL when there is none:
 *
 *     for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++)
 */
Vcpu *machine_next_vcpu(const Machine *machine, unsigned *index);
unsigned machine_n_vcpus(const Machine *machine);
/* The path of vCPU @index, as clients know it; the caller frees. */
char *machine_vcpu_path(const Machine *machine, unsigned index);
/* The vCPU that has @path; false when none has. */
bool machine_find_vcpu(const Machine *machine, const char *path, unsigned *ret_index);
