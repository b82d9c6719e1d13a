/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI 6.3, 6.3.5: the codes of _OST. */
#include <string.h>

#include "berth/hotplug.h"
#include "berth/thread.h"

#include "ost-log.h"

#define OST_EJECT_REQUEST 0x003u
#define OST_OSPM_EJECT 0x103u
#define OST_SUCCESS 0x00u
#define OST_EJECT_IN_PROGRESS 0x84u

void ost_log_add(OstLog *log, const OstTold *told)
{
    if (log->n == OST_LOG_MAX) {
        log->n--;
        memmove(log->told, log->told + 1, log->n * sizeof(log->told[0]));
    }
    log->told[log->n++] = *told;
}

/* An ejection that was asked for and does not come. */
static bool is_refusal(const OstTold *told)
{
    return (told->event == OST_EJECT_REQUEST || told->event == OST_OSPM_EJECT) &&
           told->status != OST_SUCCESS && told->status != OST_EJECT_IN_PROGRESS;
}

static const char *refusal_str(uint32_t status)
{
    static const struct {
        uint32_t status;
        const char *text;
    } texts[] = {
        { 0x01, "it failed" },
        { 0x02, "it does not know the request" },
        { 0x80, "it does not let such devices go" },
        { 0x81, "a program uses the device" },
        { 0x82, "the device is busy" },
        { 0x83, "something that depends on the device is busy" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].status == status)
            return texts[i].text;
    }
    return "for a reason of its own";
}

static void deliver(Device *hp, const OstTold *told, ACPISlotType type, Device *dev)
{
    const Board *board = hp->board;
    const BoardOst ost = {
        .id = dev ? dev->id : NULL, .type = type, .slot = told->index,
        .event = told->event, .status = told->status,
    };
    g_autofree char *reason = NULL;

    if (board->ops && board->ops->device_ost)
        board->ops->device_ost(board->opaque, &ost);
    if (!dev || !is_refusal(told))
        return;
    reason = g_strdup_printf("the guest says by _OST: %s (status 0x%x)",
                             refusal_str(told->status), told->status);
    hotplug_kept(dev, reason);
}

void ost_log_deliver(OstLog *log, Device *hp, ACPISlotType type, OstLogFind *find)
{
    OstTold told[OST_LOG_MAX];
    unsigned n;

    lock_take(&hp->lock);
    n = log->n;
    memcpy(told, log->told, n * sizeof(told[0]));
    log->n = 0;
    lock_drop(&hp->lock);
    for (unsigned i = 0; i < n; i++)
        deliver(hp, &told[i], type, find(hp, told[i].index));
}
