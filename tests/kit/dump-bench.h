/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest to be dumped, for tests: two areas of memory of which some pages hold
 * something, and two vCPUs.  What is written is read back as the formats say.  A test is
 * added with g_test_add(path, DumpBench, &options, dump_bench_set_up, fn,
 * dump_bench_tear_down), where the options are those of the memory.
 */
#pragma once

#include <elf.h>

#include "berth/dump.h"
#include "berth/loop.h"

#define PAGE 4096u
#define LOW_SIZE (4 * MIB)
#define HIGH_SIZE (2 * MIB)
#define HIGH_GPA (4 * GIB)
#define RAM_SIZE (LOW_SIZE + HIGH_SIZE)
#define CR3 0x10000u

typedef struct DumpBench {
    Loop *loop;
    RamBlock *ram;
    Region root;
    Region low;
    Region high;
    AddressSpace *as;
    char *folder;
    char *path;
    DumpJob *job;
    DumpGuest guest;
    DumpRange range;
    bool saves;                 /* dump_job_save() in place of dump_job_write() */
    bool ended;
    GError *error;              /* of the end */
} DumpBench;

extern const RamOptions dump_bench_shared;
extern const RamOptions dump_bench_private;
extern const RamOptions dump_bench_private_memfd;

void dump_bench_set_up(DumpBench *f, gconstpointer options);
void dump_bench_tear_down(DumpBench *f, gconstpointer options);

/* Starts a dump to @path, or @fd; f->ended tells of its end, f->error how it was. */
void dump_bench_begin(DumpBench *f, const DumpOptions *options, const char *path, int fd);
void dump_bench_wait(DumpBench *f);
/* Dumps to f->path and returns what is in the file. */
GBytes *dump_bench_dump(DumpBench *f, const DumpOptions *options);
const uint8_t *dump_bench_data(GBytes *bytes);

/* @bytes is lent as long as the result is used. */
typedef struct DumpElf {
    const uint8_t *bytes;
    const Elf64_Ehdr *header;
    const Elf64_Phdr *programs;
    uint32_t n_programs;
} DumpElf;

DumpElf dump_bench_read_elf(GBytes *bytes);
/* The bytes of every load are those of the guest. */
void dump_bench_assert_memory(DumpBench *f, const DumpElf *elf);

typedef struct DumpKdump {
    const uint8_t *bytes;
    uint64_t size;
    uint64_t bitmap;
    uint64_t bitmap_size;
    uint64_t descriptors;
} DumpKdump;

DumpKdump dump_bench_read_kdump(GBytes *bytes);
/* As makedumpfile -R does it. */
GBytes *dump_bench_put_together(GBytes *flat);
/* Every page of the guest is there, and no other. */
void dump_bench_assert_pages(DumpBench *f, const DumpKdump *kdump);
/* Little-endian, of @size bytes. */
uint64_t dump_bench_number(const uint8_t *bytes, uint64_t offset, unsigned size);
