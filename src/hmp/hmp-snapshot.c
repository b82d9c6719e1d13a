/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots within images.  A machine's state is in none that berth takes; images that
 * QEMU wrote may have some.
 */
#include <string.h>

#include "berth/error.h"

#include "qmp-commands.h"

#include "hmp-call.h"

#define ROW "%-9s %-16s %8s%20s%13s%11s\n"

static const SnapshotInfoList *snapshots_of(const BlockInfo *disk)
{
    return disk->inserted ? disk->inserted->image->snapshots : NULL;
}

/* Whether its image could have any. */
static bool can_have(const BlockInfo *disk)
{
    return disk->inserted && strcmp(disk->inserted->image->format, "qcow2") == 0;
}

static bool has_name(const SnapshotInfoList *list, const char *name)
{
    for (size_t i = 0; list && i < list->n; i++) {
        if (strcmp(list->items[i]->name, name) == 0)
            return true;
    }
    return false;
}

static bool is_on_all(const BlockInfoList *disks, const char *name)
{
    for (size_t i = 0; i < disks->n; i++) {
        if (can_have(disks->items[i]) &&
            !has_name(snapshots_of(disks->items[i]), name))
            return false;
    }
    return true;
}

/* Of what is on all disks the numbers may differ, so none is shown. */
static void show_snapshot(HmpCall *call, const SnapshotInfo *snapshot, const char *id)
{
    g_autoptr(GDateTime) taken = g_date_time_new_from_unix_local(snapshot->date_sec);
    g_autofree char *date = taken ? g_date_time_format(taken, "%Y-%m-%d %H:%M:%S")
                                  : g_strdup("-");
    g_autofree char *size = hmp_size_text(snapshot->vm_state_size);
    int64_t seconds = snapshot->vm_clock_sec;
    g_autofree char *clock = g_strdup_printf(
        "%02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%03" PRId64, seconds / 3600,
        seconds / 60 % 60, seconds % 60, snapshot->vm_clock_nsec / 1000000);
    g_autofree char *icount = snapshot->has_icount
                                  ? g_strdup_printf("%" PRId64, snapshot->icount)
                                  : g_strdup("");

    hmp_printf(call, ROW, id, snapshot->name, size, date, clock, icount);
}

/* Those of @disk that are on all of @disks, or not; returns whether there is one. */
static bool show_list(HmpCall *call, const BlockInfoList *disks, const BlockInfo *disk,
                      bool on_all)
{
    const SnapshotInfoList *list = snapshots_of(disk);
    bool any = false;

    for (size_t i = 0; list && i < list->n; i++) {
        const SnapshotInfo *snapshot = list->items[i];

        if (is_on_all(disks, snapshot->name) != on_all)
            continue;
        if (!any && !on_all)
            hmp_printf(call, "\nList of partial (non-loadable) snapshots on '%s':\n",
                       *disk->device ? disk->device : disk->inserted->node_name);
        if (!any)
            hmp_printf(call, ROW, "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
        show_snapshot(call, snapshot, on_all ? "--" : snapshot->id);
        any = true;
    }
    return any;
}

static void show_disks(HmpCall *call, const BlockInfoList *disks)
{
    const BlockInfo *first = NULL;
    bool any = false;

    for (size_t i = 0; i < disks->n; i++) {
        const SnapshotInfoList *list = snapshots_of(disks->items[i]);

        if (!first && can_have(disks->items[i]))
            first = disks->items[i];
        any = any || (list && list->n > 0);
    }
    if (!first || !any) {
        hmp_printf(call, first ? "There is no snapshot available.\n"
                               : "no block device can store vmstate for snapshot\n");
        return;
    }
    hmp_printf(call, "List of snapshots present on all disks:\n");
    if (!show_list(call, disks, first, true))
        hmp_printf(call, "None\n");
    for (size_t i = 0; i < disks->n; i++)
        show_list(call, disks, disks->items[i], false);
}

void hmp_info_snapshots(HmpCall *call)
{
    GError *error = NULL;
    g_autoptr(BlockInfoList) disks = qmp_query_block(call->ctx, &error);

    if (!disks)
        hmp_fail(call, error);
    else
        show_disks(call, disks);
}

/* What was deleted is told by QMP alone. */
void hmp_snapshot_delete_blkdev_internal(HmpCall *call, const SnapshotInfo *value)
{
}
