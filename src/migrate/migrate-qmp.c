/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients ask of migration before there is one.  They switch "events" on at every
 * start and end with an error when they cannot.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

bool qmp_migrate_set_capabilities(QmpContext *ctx, const MigrateSetCapabilitiesArgs *args,
                                  GError **error)
{
    for (size_t i = 0; i < args->capabilities->n; i++) {
        const MigrationCapabilityStatus *status = args->capabilities->items[i];

        switch (status->capability) {
        case MIGRATION_CAPABILITY_EVENTS:
            ctx->machine->migration_events = status->state;
            break;
        }
    }
    return true;
}

MigrationCapabilityStatusList *qmp_query_migrate_capabilities(QmpContext *ctx,
                                                              GError **error)
{
    MigrationCapabilityStatusList *list = MigrationCapabilityStatusList_new();
    MigrationCapabilityStatus *status = g_new0(MigrationCapabilityStatus, 1);

    status->capability = MIGRATION_CAPABILITY_EVENTS;
    status->state = ctx->machine->migration_events;
    MigrationCapabilityStatusList_append(list, status);
    return list;
}

MigrationInfo *qmp_query_migrate(QmpContext *ctx, GError **error)
{
    return g_new0(MigrationInfo, 1);
}
