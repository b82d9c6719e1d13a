/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop, a set of character devices and a user that keeps what it gets, for tests.  A
 * test is added with g_test_add(path, CharBench, NULL, char_bench_set_up, fn,
 * char_bench_tear_down).
 */
#pragma once

#include "berth/char-set.h"
#include "berth/timer.h"

/* A user of a chardev. */
typedef struct CharReader {
    Chardev *chr;               /* detached at the end; NULL: none */
    GString *input;
    GString *events;            /* 'o'pened, 'c'losed, 'b'reak, focus 'i'n, o'u't */
    size_t room;                /* what can_read() says */
    int n_writable;
} CharReader;

typedef struct CharBench {
    Loop *loop;
    CharSet *set;
    char *folder;
    char *path;                 /* for a unix socket in the folder */
    Timer tick;
    CharReader reader;
} CharBench;

extern const CharUser char_bench_user;
/* The same, which reads to the end. */
extern const CharUser char_bench_patient_user;

void char_bench_set_up(CharBench *bench, const void *unused);
void char_bench_tear_down(CharBench *bench, const void *unused);

/* Adds a chardev from "KIND,key=value"; only the last may not fail. */
Chardev *char_bench_add_to(CharSet *set, const char *id, const char *options,
                           GError **error);
Chardev *char_bench_try_add(CharBench *bench, const char *id, const char *options,
                            GError **error);
Chardev *char_bench_add(CharBench *bench, const char *id, const char *options);
void char_bench_attach(CharBench *bench, Chardev *chr, const CharUser *user);
/* The chardev "c" that serves bench->path, attached to. */
Chardev *char_bench_add_server(CharBench *bench, const CharUser *user);

/* What query-chardev says of the only chardev. */
void char_bench_assert_filename(CharBench *bench, const char *expected);

/* How many turns the loop makes in @ms milliseconds. */
int char_bench_count_turns(CharBench *bench, int ms);

/* Unix sockets of the far end. */
int char_bench_connect(const char *path);
int char_bench_listen(const char *path);
void char_bench_send(int fd, const char *text);
/* Turns the loop and reads until @size bytes or the end; the caller frees. */
char *char_bench_receive(CharBench *bench, int fd, size_t size);
/* Sends the byte " " with descriptors. */
void char_bench_send_fds(int socket, const int *fds, int n_fds);
int char_bench_count_fds(void);

/* Turns the loop until @condition; looks every 2 ms for what happens outside of it. */
#define CHAR_BENCH_RUN_UNTIL(bench, condition)                                        \
    do {                                                                              \
        int64_t end_ns = loop_clock_ns() + 20 * NS_PER_SEC;                           \
        while (!(condition)) {                                                        \
            g_assert_cmpint(loop_clock_ns(), <, end_ns);                              \
            timer_set(&(bench)->tick, loop_clock_ns() + 2 * NS_PER_MS);               \
            loop_turn((bench)->loop, true);                                           \
        }                                                                             \
    } while (0)
