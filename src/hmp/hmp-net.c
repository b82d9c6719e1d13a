/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User networks.
 */
#include "berth/net-user.h"

#include "hmp-call.h"

/* The network may be left out: then the first word is the rule. */
static const char *rule_of(HmpCall *call, const char **ret_id)
{
    const char *second = hmp_text(call, "arg2");

    *ret_id = second ? hmp_text(call, "arg1") : NULL;
    return second ? second : hmp_text(call, "arg1");
}

void hmp_hostfwd_add(HmpCall *call)
{
    const char *id;
    const char *rule = rule_of(call, &id);
    GError *error = NULL;

    if (!net_user_add_forward(call->ctx->nets, id, rule, &error))
        hmp_fail(call, error);
}

void hmp_hostfwd_remove(HmpCall *call)
{
    const char *id;
    const char *rule = rule_of(call, &id);
    GError *error = NULL;
    bool found;

    if (!net_user_remove_forward(call->ctx->nets, id, rule, &found, &error))
        hmp_fail(call, error);
    else
        hmp_printf(call, "host forwarding rule for %s %s\n", rule,
                   found ? "removed" : "not found");
}

void hmp_info_usernet(HmpCall *call)
{
    g_autoptr(GString) text = g_string_new(NULL);

    net_user_describe(call->ctx->nets, text);
    hmp_printf(call, "%s", text->str);
}
