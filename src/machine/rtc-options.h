/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-rtc" and "-global mc146818rtc.lost_tick_policy": main only.
 */
#pragma once

#include "berth/cmdline.h"
#include "berth/rtc.h"

/* Fills in what of @ret_config the options decide; false with @error for a wrong one. */
bool rtc_options_apply(const Cmdline *cmdline, RtcConfig *ret_config, GError **error);
