/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP command of the real-time clock.
 */
#include "berth/qmp.h"
#include "berth/rtc.h"
#include "qmp-commands.h"

bool qmp_rtc_reset_reinjection(QmpContext *ctx, GError **error)
{
    Device *rtc = rtc_find(ctx->tree);

    if (rtc)
        rtc_reset_reinjection(rtc);
    return true;
}
