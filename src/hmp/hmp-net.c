/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User networks, and announcements.
 */
#include "berth/net-user.h"

#include "qmp-commands.h"

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

/* In the times that QEMU has for it where nobody says others. */
void hmp_announce_self(HmpCall *call)
{
    const char *interfaces = hmp_text(call, "interfaces");
    g_auto(GStrv) names = interfaces ? g_strsplit(interfaces, ",", -1) : NULL;
    g_autoptr(AnnounceParameters) times = g_new0(AnnounceParameters, 1);

    times->initial = 50;
    times->max = 550;
    times->rounds = 5;
    times->step = 100;
    times->id = g_strdup(hmp_text(call, "id"));
    if (names)
        times->interfaces = StrList_new();
    for (char **name = names; name && *name; name++)
        StrList_append(times->interfaces, g_strdup(*name));
    hmp_call_qmp(call, QMP_COMMAND_ANNOUNCE_SELF, times);
}
