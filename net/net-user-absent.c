/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User networks in a build without libslirp: there are none.
 */
#include "berth/error.h"
#include "berth/net-driver.h"
#include "berth/net-user.h"

static bool refuse(GError **error)
{
    error_set(error, "user networks need libslirp, which this program was built without");
    return false;
}

static bool open_user(NetBackend *backend, const Netdev *netdev, GError **error)
{
    return refuse(error);
}

const NetDriver net_user_driver = {
    .instance_size = sizeof(NetBackend),
    .open = open_user,
};

bool net_user_load(GError **error)
{
    return refuse(error);
}

void net_user_describe(const NetSet *set, GString *out)
{
}

bool net_user_add_forward(const NetSet *set, const char *id, const char *rule,
                          GError **error)
{
    return refuse(error);
}

bool net_user_remove_forward(const NetSet *set, const char *id, const char *rule,
                             bool *ret_found, GError **error)
{
    return refuse(error);
}
