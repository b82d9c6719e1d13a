/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board, a client of its monitor, a file in a folder of its own, and a driver of the
 * disk "disk": what tests of block nodes have in common, as a fixture.
 */
#pragma once

#include "kit-blk.h"
#include "kit-image.h"
#include "kit-qmp.h"

#define DISK_BENCH_SIZE (1 * MIB)

typedef struct DiskBench {
    KitBoard *kit;
    KitQmp *qmp;
    KitBlk *blk;                /* NULL before disk_bench_start() */
    KitImage image;             /* its folder only */
    char *path;                 /* "file" in the folder; not there yet */
} DiskBench;

void disk_bench_init(DiskBench *f, bool is_threaded);
/* The same with the file: a hole of DISK_BENCH_SIZE. */
void disk_bench_init_with_file(DiskBench *f, bool is_threaded);
/* What is held back of its own accord goes on, and all of it ends. */
void disk_bench_done(DiskBench *f);

/* Adds the disk on @node, with more properties ", 'serial': 'S'", and starts all. */
void disk_bench_start(DiskBench *f, const char *node, const char *props);

/* For g_test_add(): the setup's data is what to say of threads, NULL for none. */
void disk_bench_set_up(DiskBench *f, const void *threaded);
void disk_bench_set_up_with_file(DiskBench *f, const void *threaded);
void disk_bench_tear_down(DiskBench *f, const void *unused);
