/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of entropy: the objects rng-builtin and rng-random, and how a device reads one
 * on its loop without ever being held up.
 */
#pragma once

#include "berth/loop.h"
#include "berth/object.h"
#include "berth/timer.h"

extern const ObjectClass rng_builtin_class;
extern const ObjectClass rng_random_class;

/* One device's use of a source; embedded. */
typedef struct RngReader {
    Object *source;             /* held; NULL: the host's getrandom(2) */
    int fd;                     /* the reader's own of rng-random's file, -1 for none */
    LoopFn *ready;
    void *opaque;
    bool told_of_failure;
    LoopFd readable;
    Timer retry;
} RngReader;

/* Main only. */

/*
 * Takes the source @id of @set, or the host's when @id is NULL.  False with @error that
 * names the parameter 'rng'.
 */
bool rng_reader_init(RngReader *reader, ObjectSet *set, const char *id, GError **error);
/* The reader is stopped. */
void rng_reader_done(RngReader *reader);

/* The device's loop. */

/* From now on @ready is called when rng_reader_read(), having said 0, has more. */
void rng_reader_start(RngReader *reader, Loop *loop, LoopFn *ready, void *opaque);
void rng_reader_stop(RngReader *reader);
/* Reads up to @size bytes, at most 4 KiB; 0: none now. */
size_t rng_reader_read(RngReader *reader, void *data, size_t size);
