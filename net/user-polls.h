/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of a user network on main's loop.  libslirp asks anew what to wait for each
 * time that something has happened; here it becomes what has changed since.
 */
#pragma once

#include "berth/loop.h"

typedef struct UserPolls {
    Loop *loop;
    GHashTable *sockets;        /* by descriptor */
    unsigned n_forwards;
    unsigned max;
    LoopFn *on_ready;           /* something has happened to a socket */
    void *opaque;
} UserPolls;

void user_polls_init(UserPolls *polls, Loop *loop, LoopFn *on_ready, void *opaque);
/* From now on nothing is polled; the descriptors are their owner's. */
void user_polls_done(UserPolls *polls);

/* Its owner has opened @fd, or is about to close it; -1: neither. */
void user_polls_open(UserPolls *polls, int fd);
void user_polls_close(UserPolls *polls, int fd);
/*
 * Whether there are as many as there may be: half of the descriptors that the process may
 * have are left to the rest of the machine.
 */
bool user_polls_is_full(const UserPolls *polls);

/* Whether there is a socket that is not there for forwards alone. */
bool user_polls_has_connections(const UserPolls *polls);

/*
 * Between the two, what is waited for from now on (EPOLLIN and so on).  What has happened
 * until then is forgotten.
 */
void user_polls_begin(UserPolls *polls);
void user_polls_want(UserPolls *polls, int fd, uint32_t events);
/* @held: for nothing, until there is a round without. */
void user_polls_end(UserPolls *polls, bool held);

/* What has happened to @fd; it is forgotten. */
uint32_t user_polls_take(UserPolls *polls, int fd);
