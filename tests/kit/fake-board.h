/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board on the fake hypervisor, for tests of devices: 2 MiB of RAM at 0, ports,
 * interrupt lines that end at the fake's pins, and counts of what devices asked the
 * machine for.
 */
#pragma once

#include "berth/char-set.h"
#include "berth/device.h"
#include "berth/loop.h"
#include "berth/ram.h"
#include "berth/region.h"
#include "berth/vm-fake.h"

#define FAKE_BOARD_RAM (2 * MIB)

typedef struct FakeBoard {
    Vm *vm;
    Loop *loop;
    RamBlock *ram;
    Region memory_root;
    Region io_root;
    Region ram_region;
    Board board;
    DeviceTree tree;
    unsigned n_resets;
    unsigned n_shutdowns;
    unsigned n_exits;
    int exit_status;
    unsigned n_clock_sets;
    int64_t clock_ahead;        /* as told the last time */
    unsigned n_suspends;
    unsigned n_disk_suspends;
    unsigned n_wakeups;
    BoardWakeReason wake_reason;            /* of the last */
    unsigned n_panics;
    unsigned n_crashloads;
    unsigned n_pvshutdowns;
    unsigned n_watchdogs;
    unsigned n_nmis;
} FakeBoard;

FakeBoard *fake_board_new(void);
/* The same on @vm (taken): the fake with chips in user space, which the test adds. */
FakeBoard *fake_board_new_on(Vm *vm);
/* Removes the devices, too. */
void fake_board_free(FakeBoard *fake);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeBoard, fake_board_free)

/* Adds a device by its text of the command line: "isa-serial,index=1". */
Device *fake_board_add(FakeBoard *fake, const char *text, GError **error);
/* Adds chardev @id; returns the socket at its far end, non-blocking, the caller's. */
int fake_board_add_chardev(FakeBoard *fake, const char *id);

/* A guest's IN and OUT of 1, 2 or 4 bytes. */
uint32_t fake_board_in(FakeBoard *fake, uint16_t port, unsigned size);
void fake_board_out(FakeBoard *fake, uint16_t port, unsigned size, uint32_t value);

/* A guest's access to memory. */
uint64_t fake_board_read(FakeBoard *fake, uint64_t gpa, unsigned size);
void fake_board_write(FakeBoard *fake, uint64_t gpa, unsigned size, uint64_t value);

/* Runs main's loop until nothing is ready. */
void fake_board_turn(FakeBoard *fake);
/* Runs main's loop until *@flag is not 0; fails after @ms milliseconds. */
void fake_board_wait(FakeBoard *fake, const unsigned *flag, unsigned ms);

/*
 * Pauses @from, loads its state into @to, which has the same devices, and fails unless
 * both then save the same bytes.
 */
void fake_board_check_copy(FakeBoard *from, FakeBoard *to);

/*
 * Random accesses of every width that begin in [@first, @first + @n) or up to 3 ports
 * before it, with turns of the loop between them.
 */
void fake_board_poke_ports(FakeBoard *fake, uint16_t first, unsigned n, unsigned rounds);
