/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file of berth may assume: GLib's basic types, the names of the core types,
 * and the few macros that have no better home.  Rank 0: includes nothing of berth.
 */
#pragma once

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#define KIB (1024ull)
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)

#define NS_PER_SEC 1000000000ll
#define NS_PER_MS 1000000ll

/* The object of @type whose member @member is at @ptr. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Rounding to a power of two. */
#define ALIGN_DOWN(value, align) ((value) & ~((__typeof__(value))(align) - 1))
#define ALIGN_UP(value, align) ALIGN_DOWN((value) + (__typeof__(value))(align) - 1, align)

static inline void base_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A descriptor closed at the end of its scope; hand it over with autofd_steal(). */
#define g_autofd __attribute__((cleanup(base_close_fd)))

static inline int autofd_steal(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* The core types; each is described in the header named beside it. */
typedef struct AddressSpace AddressSpace;       /* region.h */
typedef struct BlockGraph BlockGraph;           /* block.h */
typedef struct Board Board;                     /* device.h */
typedef struct Bus Bus;                         /* bus.h */
typedef struct Chardev Chardev;                 /* char.h */
typedef struct CharSet CharSet;                 /* char.h */
typedef struct Device Device;                   /* device.h */
typedef struct DeviceUnplug DeviceUnplug;       /* hotplug.c */
typedef struct DeviceClass DeviceClass;         /* device.h */
typedef struct DeviceTree DeviceTree;           /* device.h */
typedef struct FdSets FdSets;                   /* fdset.h */
typedef struct Iothread Iothread;               /* iothread.h */
typedef struct IrqLine IrqLine;                 /* irq.h */
typedef struct Loop Loop;                       /* loop.h */
typedef struct Machine Machine;                 /* machine.h */
typedef struct MemoryWindow MemoryWindow;       /* memory-device.h */
typedef struct Monitor Monitor;                 /* monitor.h */
typedef struct NetSet NetSet;                   /* net-set.h */
typedef struct NetDumpCounters NetDumpCounters; /* net-dump.h */
typedef struct Object Object;                   /* object.h */
typedef struct ObjectSet ObjectSet;             /* object.h */
typedef struct PciBus PciBus;                   /* pci.h */
typedef struct PciDevice PciDevice;             /* pci.h */
typedef struct QmpContext QmpContext;           /* qmp.h */
typedef struct QmpEvents QmpEvents;             /* qmp.h */
typedef struct QmpReply QmpReply;               /* qmp.h */
typedef struct RamBlock RamBlock;               /* ram.h */
typedef struct Region Region;                   /* region.h */
typedef struct Timer Timer;                     /* timer.h */
typedef struct Vcpu Vcpu;                       /* vcpu.h */
typedef struct VirtioClass VirtioClass;         /* virtio.h */
typedef struct VirtioDevice VirtioDevice;       /* virtio.h */
typedef struct Virtqueue Virtqueue;             /* virtqueue.h */
typedef struct Vm Vm;                           /* vm.h */
typedef struct VMStateDesc VMStateDesc;         /* vmstate.h */
