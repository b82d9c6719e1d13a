/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is to user networks beside their frames.  Main only.
 */
#pragma once

#include "berth/net-set.h"

/*
 * Loads what user networks need: afterwards they can be made in the sandbox, too.  False
 * with @error when it is not installed, or berth was built without it.
 */
bool net_user_load(GError **error);

/* The connections and forwards of each user network, for people. */
void net_user_describe(const NetSet *set, GString *out);
/*
 * Of network @id, NULL: the first: adds "tcp:127.0.0.1:2222-:22", or removes
 * "tcp:127.0.0.1:2222".  *@ret_found is whether there was one.  False with @error.
 */
bool net_user_add_forward(const NetSet *set, const char *id, const char *rule,
                          GError **error);
bool net_user_remove_forward(const NetSet *set, const char *id, const char *rule,
                             bool *ret_found, GError **error);
