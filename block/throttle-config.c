/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"

#include "berth/throttle-config.h"

#define RATE_MAX INT64_C(1000000000000000)

static const struct {
    const char *names[THROTTLE_KIND__MAX];
    const char *max;
    const char *length;
    const char *size;
} spellings[] = {
    [THROTTLE_SPELLING_LIMITS] = {
        { "bps-total", "bps-read", "bps-write", "iops-total", "iops-read", "iops-write" },
        "-max", "-max-length", "iops-size",
    },
    [THROTTLE_SPELLING_X] = {
        { "x-bps-total", "x-bps-read", "x-bps-write", "x-iops-total", "x-iops-read",
          "x-iops-write" },
        "-max", "-max-length", "x-iops-size",
    },
    [THROTTLE_SPELLING_IOTUNE] = {
        { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr" },
        "_max", "_max_length", "iops_size",
    },
};

void throttle_config_init(ThrottleConfig *config)
{
    *config = (ThrottleConfig) { 0 };
    for (unsigned i = 0; i < THROTTLE_KIND__MAX; i++)
        config->limits[i].length = 1;
}

bool throttle_config_has_limits(const ThrottleConfig *config)
{
    for (unsigned i = 0; i < THROTTLE_KIND__MAX; i++) {
        if (config->limits[i].rate > 0)
            return true;
    }
    return false;
}

/* The member's name is @name and @suffix. */
typedef void MemberFn(void *json, const char *name, int64_t *value);

static void read_member(void *json, const char *name, int64_t *value)
{
    const JsonValue *member = json_member(json, name);

    if (member)
        json_as_int(member, value);
}

static void write_member(void *json, const char *name, int64_t *value)
{
    json_set(json, name, json_new_int(*value));
}

static void visit(ThrottleConfig *config, void *json, ThrottleSpelling spelling,
                  MemberFn *fn)
{
    for (unsigned i = 0; i < THROTTLE_KIND__MAX; i++) {
        const char *name = spellings[spelling].names[i];
        g_autofree char *max = g_strconcat(name, spellings[spelling].max, NULL);
        g_autofree char *length = g_strconcat(name, spellings[spelling].length, NULL);

        fn(json, name, &config->limits[i].rate);
        fn(json, max, &config->limits[i].max);
        fn(json, length, &config->limits[i].length);
    }
    fn(json, spellings[spelling].size, &config->iops_size);
}

void throttle_config_read(ThrottleConfig *config, const JsonValue *json,
                          ThrottleSpelling spelling)
{
    visit(config, (JsonValue *)json, spelling, read_member);
}

void throttle_config_write(const ThrottleConfig *config, JsonValue *json,
                           ThrottleSpelling spelling)
{
    ThrottleConfig copy = *config;

    visit(&copy, json, spelling, write_member);
}

static bool check_limit(const ThrottleLimit *limit, const char *name, GError **error)
{
    if (limit->rate < 0 || limit->rate > RATE_MAX || limit->max < 0 ||
        limit->max > RATE_MAX)
        error_set(error, "limit '%s' expects 0 to %" PRId64, name, RATE_MAX);
    else if (limit->max > 0 && limit->rate == 0)
        error_set(error, "limit '%s': a burst needs a limit", name);
    else if (limit->max > 0 && limit->max < limit->rate)
        error_set(error, "limit '%s': a burst of %" PRId64 " is below the limit of %"
                  PRId64, name, limit->max, limit->rate);
    else if (limit->length < 1)
        error_set(error, "limit '%s': a burst lasts a second at least", name);
    else if (limit->length > 1 && limit->max == 0)
        error_set(error, "limit '%s': the length of a burst needs its rate", name);
    else if (limit->max > 0 && limit->length > RATE_MAX / limit->max)
        error_set(error, "limit '%s': a burst of %" PRId64 " for %" PRId64 " s is too "
                  "long", name, limit->max, limit->length);
    else
        return true;
    return false;
}

static bool check_exclusion(const ThrottleConfig *config, ThrottleKind total,
                            GError **error)
{
    const ThrottleLimit *limits = &config->limits[total];

    if (limits[0].rate == 0 || (limits[1].rate == 0 && limits[2].rate == 0))
        return true;
    error_set(error, "limits of '%s' exclude those of '%s' and '%s'",
              spellings[THROTTLE_SPELLING_LIMITS].names[total],
              spellings[THROTTLE_SPELLING_LIMITS].names[total + 1],
              spellings[THROTTLE_SPELLING_LIMITS].names[total + 2]);
    return false;
}

bool throttle_config_check(const ThrottleConfig *config, GError **error)
{
    bool has_iops = false;

    for (unsigned i = 0; i < THROTTLE_KIND__MAX; i++) {
        if (!check_limit(&config->limits[i], spellings[THROTTLE_SPELLING_LIMITS].names[i],
                         error))
            return false;
        has_iops |= i >= THROTTLE_IOPS_TOTAL && config->limits[i].rate > 0;
    }
    if (config->iops_size < 0 || config->iops_size > RATE_MAX) {
        error_set(error, "limit 'iops-size' expects 0 to %" PRId64, RATE_MAX);
        return false;
    }
    if (config->iops_size > 0 && !has_iops) {
        error_set(error, "limit 'iops-size' needs a limit of requests");
        return false;
    }
    return check_exclusion(config, THROTTLE_BPS_TOTAL, error) &&
        check_exclusion(config, THROTTLE_IOPS_TOTAL, error);
}
