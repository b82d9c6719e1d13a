/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a guest does with flash memory: one that is a mapping of its file,
 * one whose file fails, one that is only read.  Commands, data and accesses of every
 * width in and about them, with turns of the loops between, pauses, resets, and state
 * that is saved and loaded, spoilt, too.  At the end what the guest reads is what the
 * file has, unless that failed, and what is only read has not changed.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "berth/block-drive.h"
#include "berth/error.h"
#include "berth/inject.h"
#include "berth/log.h"
#include "berth/pflash.h"
#include "berth/thread.h"

#include "fuzz.h"
#include "kit-board.h"

#define SIZE (16 * KIB)
#define FLASHES 3u
#define MAPPED 0u
#define FAULTY 1u
#define READ_ONLY 2u
#define BASE(n) (0xfff00000u + (n) * (uint32_t)SIZE)
#define ACTS_MAX 4096u

static struct {
    KitBoard *kit;
    Device *flashes[FLASHES];
    int fds[FLASHES];
    BlockNode *inject;
} subject;

static const char *const nodes[FLASHES] = {
    "{'driver': 'raw', 'node-name': 'n0', 'file': {'driver': 'file', "
    "'filename': '/proc/self/fd/%d', 'locking': 'off'}}",
    "{'driver': 'inject', 'node-name': 'n1', 'file': {'driver': 'file', "
    "'filename': '/proc/self/fd/%d', 'locking': 'off'}}",
    "{'driver': 'raw', 'node-name': 'n2', 'read-only': true, 'file': {'driver': 'file', "
    "'filename': '/proc/self/fd/%d', 'locking': 'off'}}",
};

static void add_flash(unsigned n)
{
    g_autofree char *name = g_strdup_printf("n%u", n);
    g_auto(GStrv) parts = g_strsplit(nodes[n], "%d", 2);
    const PflashConfig config = { .drive = name, .end = BASE(n) + SIZE, .max_size = MIB };
    g_autofree char *json = NULL;
    g_autoptr(GError) error = NULL;

    subject.fds[n] = memfd_create(name, MFD_CLOEXEC);
    g_assert_cmpint(subject.fds[n], >=, 0);
    g_assert_cmpint(ftruncate(subject.fds[n], SIZE), ==, 0);
    json = g_strdup_printf("%s%d%s", parts[0], subject.fds[n], parts[1]);
    kit_add_node(subject.kit, json);
    subject.flashes[n] = pflash_add(&subject.kit->tree, n, &config, &error);
    g_assert_no_error(error);
}

static void make_subject(void)
{
    thread_set_role(THREAD_MAIN);
    log_set_level(LOG_LEVEL_ERROR);
    subject.kit = kit_board_new();
    for (unsigned i = 0; i < FLASHES; i++)
        add_flash(i);
    subject.inject = block_graph_find(subject.kit->blocks, "n1");
    device_tree_reset(&subject.kit->tree);
    kit_start(subject.kit);
}

static uint8_t *array_of(unsigned n)
{
    return pflash_memory(subject.flashes[n])->host;
}

/* Until all that was written is in the files, or is held. */
static void drain(void)
{
    while (!device_tree_is_quiet(&subject.kit->tree))
        kit_run_both(subject.kit);
}

static void reset(void)
{
    device_tree_pause(&subject.kit->tree);
    device_tree_reset(&subject.kit->tree);
    device_tree_resume(&subject.kit->tree);
}

/* Each flash and its file have zeros, whatever the last input left. */
static void begin(void)
{
    static const uint8_t zeros[SIZE];

    inject_fail_nth(subject.inject, 0, 0);
    drain();
    reset();
    drain();
    for (unsigned i = 0; i < FLASHES; i++) {
        memset(array_of(i), 0, SIZE);
        g_assert_cmpint(pwrite(subject.fds[i], zeros, SIZE, 0), ==, SIZE);
    }
    subject.kit->n_io_errors = 0;
}

/* In one of them, or just beyond its ends. */
static uint64_t take_address(FuzzInput *in)
{
    unsigned n = fuzz_take(in, 1) % FLASHES;

    return BASE(n) + fuzz_take(in, 2) % (SIZE + 16) - 8;
}

static void act_of_write(FuzzInput *in, unsigned size)
{
    uint64_t gpa = take_address(in);

    kit_write(subject.kit, gpa, size, fuzz_take(in, size));
}

/* A whole sequence, so that not each has to be found. */
static void act_of_command(FuzzInput *in)
{
    static const uint8_t commands[] = { 0x10, 0x40, 0x20, 0xe8, 0x60 };
    uint64_t gpa = take_address(in);
    uint8_t what = (uint8_t)fuzz_take(in, 1);
    uint8_t command = commands[what % G_N_ELEMENTS(commands)];
    unsigned n = what / G_N_ELEMENTS(commands) % 16;

    kit_write(subject.kit, gpa, 1, command);
    if (command == 0xe8) {
        kit_write(subject.kit, gpa, 1, n);
        for (unsigned i = 0; i <= n; i++)
            kit_write(subject.kit, gpa + i, 1, fuzz_take(in, 1));
    }
    kit_write(subject.kit, gpa, 1, command < 0x60 && command != 0x20 ? what : 0xd0);
}

/* What is loaded is one of the states that commands lead to, or refused. */
static void act_of_state(FuzzInput *in)
{
    g_autoptr(GByteArray) saved = NULL;

    device_tree_pause(&subject.kit->tree);
    drain();
    saved = kit_save(subject.kit);
    for (unsigned n = fuzz_take(in, 1) % 4; n > 0; n--) {
        guint at = (guint)fuzz_take(in, 2) % saved->len;

        saved->data[at] ^= (uint8_t)fuzz_take(in, 1);
    }
    /* What was refused is not gone on from. */
    if (!device_tree_load(&subject.kit->tree, saved->data, saved->len, NULL))
        device_tree_reset(&subject.kit->tree);
    device_tree_resume(&subject.kit->tree);
}

static void act(FuzzInput *in)
{
    uint8_t what = (uint8_t)fuzz_take(in, 1);
    unsigned size = 1u << what / 64;

    switch (what % 16) {
    default:
        act_of_write(in, size);
        break;
    case 8:
    case 9:
    case 10:
        act_of_command(in);
        break;
    case 11:
        kit_read(subject.kit, take_address(in), size);
        break;
    case 12:
        kit_run_both(subject.kit);
        break;
    case 13:
        inject_fail_nth(subject.inject, fuzz_take(in, 1) % 8,
                        fuzz_take(in, 1) & 1 ? ENOSPC : EIO);
        break;
    case 14:
        reset();
        break;
    case 15:
        act_of_state(in);
    }
}

static void check(unsigned n, bool is_zero)
{
    uint8_t bytes[SIZE];

    g_assert_cmpint(pread(subject.fds[n], bytes, SIZE, 0), ==, SIZE);
    g_assert_cmpint(memcmp(bytes, array_of(n), SIZE), ==, 0);
    for (unsigned i = 0; is_zero && i < SIZE; i++)
        g_assert_cmpuint(bytes[i], ==, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { .data = data, .size = size };

    if (!subject.kit)
        make_subject();
    begin();
    for (unsigned i = 0; i < ACTS_MAX && in.size > 0; i++)
        act(&in);
    inject_fail_nth(subject.inject, 0, 0);
    drain();
    reset();
    drain();
    check(MAPPED, false);
    if (subject.kit->n_io_errors == 0)
        check(FAULTY, false);
    check(READ_ONLY, true);
    return 0;
}
