/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-throttle-group: limits of the network devices that name it.
 */
#include "berth/net-limit.h"
#include "berth/object.h"
#include "berth/loop.h"

typedef struct NetThrottleObject {
    Object object;
    NetLimit *limit;
} NetThrottleObject;

static NetThrottleObject *to_throttle(const Object *object)
{
    return CONTAINER_OF((Object *)(uintptr_t)object, NetThrottleObject, object);
}

static bool configure(NetLimit *limit, const ObjectOptions *options, GError **error)
{
    const NetThrottleGroupProperties *props = &options->u.net_throttle_group;
    const NetLimitConfig config = {
        .bytes = {
            [NET_RX] = { props->rx_bps, props->rx_bps_max, props->rx_bps_max_length },
            [NET_TX] = { props->tx_bps, props->tx_bps_max, props->tx_bps_max_length },
        },
        .packets = {
            [NET_RX] = { props->rx_pps, props->rx_pps_max, props->rx_pps_max_length },
            [NET_TX] = { props->tx_pps, props->tx_pps_max, props->tx_pps_max_length },
        },
    };

    return net_limit_configure(limit, &config, loop_clock_ns(), error);
}

static bool net_throttle_complete(Object *object, const ObjectOptions *options,
                                  GError **error)
{
    NetLimit *limit = net_limit_new(loop_clock_ns());

    if (!configure(limit, options, error)) {
        net_limit_free(limit);
        return false;
    }
    to_throttle(object)->limit = limit;
    return true;
}

static bool net_throttle_change(Object *object, ObjectOptions *options, GError **error)
{
    return configure(to_throttle(object)->limit, options, error);
}

static void net_throttle_done(Object *object)
{
    net_limit_free(to_throttle(object)->limit);
}

NetLimit *object_net_throttle_limit(const Object *object)
{
    return to_throttle(object)->limit;
}

const ObjectClass object_net_throttle_class = {
    .name = "net-throttle-group",
    .family = OBJECT_FAMILY_NET_LIMIT,
    .instance_size = sizeof(NetThrottleObject),
    .complete = net_throttle_complete,
    .change = net_throttle_change,
    .done = net_throttle_done,
};
