/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as numbers in a table, and as the members of JSON objects: an interface of the
 * monitor spells them in one of three ways.
 */
#pragma once

#include "berth/json.h"

typedef enum ThrottleKind {
    THROTTLE_BPS_TOTAL,
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_IOPS_TOTAL,
    THROTTLE_IOPS_READ,
    THROTTLE_IOPS_WRITE,
    THROTTLE_KIND__MAX,
} ThrottleKind;

typedef struct ThrottleLimit {
    int64_t rate;               /* a second; 0: no limit */
    int64_t max;                /* the rate of a burst; 0: no bursts */
    int64_t length;             /* of a burst, in seconds */
} ThrottleLimit;

typedef struct ThrottleConfig {
    ThrottleLimit limits[THROTTLE_KIND__MAX];
    int64_t iops_size;          /* bytes that count as one request; 0: any number */
} ThrottleConfig;

typedef enum ThrottleSpelling {
    THROTTLE_SPELLING_LIMITS,   /* "bps-total-max": ThrottleLimits */
    THROTTLE_SPELLING_X,        /* "x-bps-total-max": ThrottleGroupProperties */
    THROTTLE_SPELLING_IOTUNE,   /* "bps_max": block_set_io_throttle */
} ThrottleSpelling;

/* No limits. */
void throttle_config_init(ThrottleConfig *config);
bool throttle_config_has_limits(const ThrottleConfig *config);
/* Takes over those members of @json that are there. */
void throttle_config_read(ThrottleConfig *config, const JsonValue *json,
                          ThrottleSpelling spelling);
/* Sets all members of @json. */
void throttle_config_write(const ThrottleConfig *config, JsonValue *json,
                           ThrottleSpelling spelling);
/* False with @error when they make no sense. */
bool throttle_config_check(const ThrottleConfig *config, GError **error);
