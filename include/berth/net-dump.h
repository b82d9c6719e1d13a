/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of a network backend, copied to a file (pcap), in any number of files.  Main
 * only.
 *
 * A backend that nobody looks at has no memory for this, and its frames pay for one
 * branch.
 */
#pragma once

#include "berth/counters.h"
#include "berth/net-set.h"

typedef struct NetDump NetDump;

struct NetDumpCounters {
    uint64_t packets;           /* that are in the file, or on the way there */
    uint64_t bytes;             /* of them, in the file */
    uint64_t dropped;           /* that the file was too slow for, or failed */
};

extern const CounterDesc net_dump_counters[];

typedef struct NetDumpConfig {
    const char *id;             /* for people; copied */
    const char *netdev;
    bool to_netdev;             /* frames that the guest sends */
    bool from_netdev;           /* those that it is sent */
    bool is_on;
    uint32_t maxlen;            /* bytes of a frame in the file, not 0 */
    /* Among those of the backend: at the place of this one, NULL: first or last. */
    const NetDump *neighbour;
    bool before;
    /* The backend goes: called once, and the dump is freed in there. */
    void (*gone)(void *opaque);
    void *opaque;
} NetDumpConfig;

/* Whether backend @id is there, and its frames can be seen; @error names 'netdev'. */
bool net_dump_check(const NetSet *set, const char *id, GError **error);
/* From now on, with a backend that was checked; @fd is taken also on failure. */
NetDump *net_dump_new(const NetSet *set, const NetDumpConfig *config, int fd,
                      GError **error);
/* Returns when all is in the file, or it has been waited for long enough. */
void net_dump_free(NetDump *dump);

/* Whether frames go to the file. */
void net_dump_set_on(NetDump *dump, bool on);
/* The id of its backend. */
const char *net_dump_netdev(const NetDump *dump);
const NetDumpCounters *net_dump_counted(const NetDump *dump);
