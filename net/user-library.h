/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp, which is loaded when a machine has a user network: one without is started
 * without it.
 */
#pragma once

#include "berth/base.h"

#include <slirp/libslirp.h>

typedef struct UserLibrary {
    Slirp *(*new)(const SlirpConfig *config, const SlirpCb *callbacks, void *opaque);
    void (*cleanup)(Slirp *slirp);
    void (*input)(Slirp *slirp, const uint8_t *frame, int size);
    void (*pollfds_fill)(Slirp *slirp, uint32_t *timeout_ms, SlirpAddPollCb add,
                         void *opaque);
    void (*pollfds_poll)(Slirp *slirp, int select_error, SlirpGetREventsCb get,
                         void *opaque);
    void (*handle_timer)(Slirp *slirp, SlirpTimerId id, void *opaque);
    int (*add_hostfwd)(Slirp *slirp, int is_udp, struct in_addr host, int host_port,
                       struct in_addr guest, int guest_port);
    int (*remove_hostfwd)(Slirp *slirp, int is_udp, struct in_addr host, int host_port);
    char *(*connection_info)(Slirp *slirp);
} UserLibrary;

/*
 * Main.  Loads it, for good, unless it is there already; with @may_load false, it has to
 * be.  False with @error.
 */
bool user_library_load(bool may_load, UserLibrary *ret_library, GError **error);
