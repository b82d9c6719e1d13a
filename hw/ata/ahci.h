/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AHCI controller (Serial ATA AHCI 1.3.1), as the files of this folder share it.
 *
 * Threads.  Registers are accessed by vCPUs under dev->lock, which guards all of a port
 * but what is said to be the loop's.  Commands are fetched, run and ended on the loop of
 * the devices' queues; a bit in `active` is a command that the loop works on, and while
 * there are such the device behind the port (AtaDevice) is the loop's, too.
 */
#pragma once

#include "berth/pci.h"
#include "berth/region.h"

#include "ata.h"

#define AHCI_PORTS ATA_PORTS
#define AHCI_SLOTS 32u
#define AHCI_SEGMENTS 264u              /* buffers of a command without more memory */

/* PxIS, PxIE (3.3.5). */
enum {
    AHCI_IS_DHRS = 1 << 0,      /* a device to host register FIS came */
    AHCI_IS_PSS = 1 << 1,       /* a PIO setup FIS */
    AHCI_IS_SDBS = 1 << 3,      /* a set device bits FIS */
    AHCI_IS_OFS = 1 << 24,      /* more data than the buffers hold */
    AHCI_IS_IFS = 1 << 27,      /* an interface error */
    AHCI_IS_HBDS = 1 << 28,     /* a bad address of data */
    AHCI_IS_HBFS = 1 << 29,     /* a bad address in the command list */
    AHCI_IS_TFES = 1 << 30,     /* the device reported an error */
};

#define AHCI_IS_BITS 0xfd8000afu        /* those that there are */
#define AHCI_IE_BITS 0xfdc000ffu

/* PxCMD (3.3.7). */
enum {
    AHCI_CMD_ST = 1 << 0,
    AHCI_CMD_SUD = 1 << 1,
    AHCI_CMD_POD = 1 << 2,
    AHCI_CMD_CLO = 1 << 3,
    AHCI_CMD_FRE = 1 << 4,
    AHCI_CMD_FR = 1 << 14,
    AHCI_CMD_CR = 1 << 15,
    AHCI_CMD_ATAPI = 1 << 24,
    AHCI_CMD_DLAE = 1 << 25,
};

typedef struct Ahci Ahci;
typedef struct AhciPort AhciPort;

/* A command slot: what is under way in it.  The loop's. */
typedef struct AhciSlot {
    AtaReq ata;
    AhciPort *port;
    uint8_t number;
    bool is_long;               /* has the port's long list of buffers */
    AtaProtocol protocol;
    uint64_t header_gpa;
} AhciSlot;

struct AhciPort {
    Ahci *ahci;
    unsigned number;
    ScsiBus bus;
    AtaDevice ata;
    Loop *loop;                 /* NULL: there never was a device */

    /* Registers; of clb and fb both halves. */
    uint64_t clb;
    uint64_t fb;
    uint32_t is;
    uint32_t ie;
    uint32_t cmd;               /* without FR, CR, CCS */
    uint32_t tfd;
    uint32_t sig;
    uint32_t ssts;
    uint32_t sctl;
    uint32_t serr;
    uint32_t sact;
    uint32_t ci;
    uint8_t current;            /* CCS */

    uint32_t queued;            /* slots whose queued command was taken, not told */
    uint32_t active;            /* slots that the loop works on */
    uint32_t held;              /* slots that are to wait until the machine goes on */
    bool halted;                /* by an error, until ST is cleared */
    bool aborting;              /* what is active is to end, and nobody to be told */
    bool link_due;              /* then the link comes up again */
    bool cancelling;            /* the loop does, and was not told of its end */
    bool in_reset;              /* the device's control register asks for it */
    bool signature_due;         /* the device's first FIS was not received */
    LoopMessage kick;           /* to the loop: look at the registers */

    /* The loop's. */
    AhciSlot *slots;
    struct iovec *iovs;         /* AHCI_SEGMENTS of each slot */
    struct iovec *long_iovs;    /* of the one command with more; NULL: none is there */
    AddressHint hint;
    LoopHook hook;              /* tells of queued commands that ended in a turn */
    uint32_t active_queued;     /* of active: those that are queued commands */
    uint32_t finished;          /* of active_queued: those to be told of */
    bool running;               /* ahci_command_run() is under way */
};

struct Ahci {
    PciDevice pci;
    Region abar;
    Region index_pair;

    /* dev->lock. */
    uint32_t ghc;
    uint32_t is;
    uint32_t index;             /* of the index/data pair */
    bool runs;                  /* between resume and pause */
    bool restarting;            /* stops, and goes on when it has */

    LoopMessage drained;        /* to main: a port has come to rest */
    AhciPort ports[AHCI_PORTS];
};

static inline Ahci *ahci_of(Device *dev)
{
    return CONTAINER_OF(pci_device(dev), Ahci, pci);
}

/* ahci.c; dev->lock is held: the interrupt is as the registers say; @event happened. */
void ahci_update_irq(Ahci *ahci, bool event);
/* The same: a port has come to rest, which ends a reset of the controller. */
void ahci_note_stopped(Ahci *ahci);

/* ahci-port.c; dev->lock is held. */

uint32_t ahci_port_read(const AhciPort *port, unsigned offset);
void ahci_port_write(AhciPort *port, unsigned offset, uint32_t value);
/* Of the controller; with @power_on, all that it has not from outside. */
void ahci_port_reset(AhciPort *port, bool power_on);
/* The device's first FIS, if it is due and can be received. */
void ahci_port_tell_signature(AhciPort *port);
/* What the port was waiting for has come, since nothing is active. */
void ahci_port_settle(AhciPort *port);
void ahci_port_kick(AhciPort *port);
/* The loop, without the lock: LoopFn of a port. */
void ahci_port_on_kick(void *port);
void ahci_port_stop(void *port);

static inline bool ahci_port_is_busy(const AhciPort *port)
{
    return port->active | port->held || port->cancelling;
}

/* ahci-fis.c; dev->lock is held. */

/* Each writes what a FIS says to where they are received, and to the registers. */
void ahci_fis_registers(AhciPort *port, const AtaResult *result, bool interrupts);
void ahci_fis_pio_setup(AhciPort *port, const AtaResult *result, uint32_t n_bytes);
void ahci_fis_set_bits(AhciPort *port, uint32_t tags, uint8_t status, uint8_t error);
/* PxIS, and what follows from it. */
void ahci_fis_raise(AhciPort *port, uint32_t bits);

/* ahci-command.c: the loop, without the lock */

/* Starts what the guest has issued. */
void ahci_command_run(AhciPort *port);
/* One has ended, is to be started anew, or is to end after all. */
void ahci_command_done(AtaReq *req);
void ahci_command_hold(AtaReq *req);
void ahci_command_unhold(AtaReq *req);

/* ahci-prdt.c: the loop */

/* What stands in a command header (4.2.2). */
typedef struct AhciHeader {
    uint32_t flags;
    uint32_t n_prds;
    uint64_t table_gpa;
} AhciHeader;

typedef enum AhciBuffers {
    AHCI_BUFFERS_GOOD,
    AHCI_BUFFERS_BAD,           /* an address is not in RAM */
    AHCI_BUFFERS_BUSY,          /* another command has the memory: later */
} AhciBuffers;

/* The buffers of the command, up to @size bytes, as slot->ata.iov. */
AhciBuffers ahci_prdt_read(AhciSlot *slot, const AhciHeader *header, uint32_t size,
                           bool for_write);
void ahci_prdt_done(AhciSlot *slot);
