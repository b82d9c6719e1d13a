/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of network backend that berth offers.  Nothing registers itself.
 */
#include "berth/net-driver.h"

const NetDriver *const net_drivers[] = {
    [NET_CLIENT_DRIVER_NULL] = &net_null_driver,
    [NET_CLIENT_DRIVER_USER] = &net_user_driver,
    [NET_CLIENT_DRIVER_TAP] = &net_tap_driver,
    [NET_CLIENT_DRIVER_BRIDGE] = &net_bridge_driver,
    [NET_CLIENT_DRIVER_DGRAM] = &net_dgram_driver,
    [NET_CLIENT_DRIVER_STREAM] = &net_stream_driver,
    [NET_CLIENT_DRIVER_SOCKET] = &net_socket_driver,
};

G_STATIC_ASSERT(G_N_ELEMENTS(net_drivers) == NET_CLIENT_DRIVER__MAX);
