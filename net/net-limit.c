/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of network devices: leaky buckets.
 *
 * What goes is added to the levels of the buckets of its direction, which drain at their
 * rates.  A frame may go while no bucket is above its brim, which is what 20 ms drain; so
 * within any second no more than 102% and one frame goes.  (The size of a frame that is
 * received is not known before.)  Who was refused waits until a bucket is down to half of
 * that: a queue at its limit wakes a hundred times a second, not for each frame, and a
 * timer that is up to 10 ms late costs nothing.  A limit with bursts has a bucket that is
 * full after a burst of the length that was asked for, and one that holds the burst to
 * its rate.
 *
 * Those that wait stand in line, one line for each direction.  The first one has a time;
 * the others have none until they are first, when they are woken.  It goes to the end of
 * the line after what takes the limits 10 ms, and a frame at least, so that those who
 * share limits get equal parts of them.
 */
#include "berth/error.h"
#include "berth/net-limit.h"
#include "berth/thread.h"

#define SLACK 0.02              /* seconds */
#define QUANTUM 0.01            /* seconds */
#define RATE_MAX UINT64_C(1000000000000000)

typedef struct Bucket {
    NetRate limit;
    double level;               /* what went, and has not drained at the rate */
    double burst;               /* at the rate of a burst */
} Bucket;

typedef struct Lane {
    Bucket bytes;
    Bucket packets;
    bool is_limited;            /* atomic */
    ListNode line;              /* of NetLimitMember */
} Lane;

struct NetLimit {
    GMutex lock;                /* leaf, but for the mailbox of a loop */
    Lane lanes[NET_DIRECTION__MAX];
    int64_t drained_ns;
};

static double brim_of(const NetRate *limit)
{
    double size = SLACK * (double)limit->rate;

    if (limit->max > 0)
        size += (double)(limit->max - limit->rate) * (double)limit->length;
    return size;
}

/* Seconds until the bucket is so far below its brims that many frames go. */
static double time_to_room(const Bucket *bucket)
{
    const NetRate *limit = &bucket->limit;
    double rate = (double)limit->rate, max = (double)limit->max, time;

    if (limit->rate == 0)
        return 0;
    time = (bucket->level - brim_of(limit)) / rate + SLACK / 2;
    if (limit->max > 0)
        time = MAX(time, bucket->burst / max - SLACK / 2);
    return MAX(time, 0);
}

static bool is_full(const Bucket *bucket)
{
    const NetRate *limit = &bucket->limit;

    return limit->rate > 0 &&
        (bucket->level > brim_of(limit) ||
         (limit->max > 0 && bucket->burst > SLACK * (double)limit->max));
}

static void drain_bucket(Bucket *bucket, double seconds)
{
    bucket->level = MAX(bucket->level - seconds * (double)bucket->limit.rate, 0);
    bucket->burst = MAX(bucket->burst - seconds * (double)bucket->limit.max, 0);
}

static void fill_bucket(Bucket *bucket, double amount)
{
    if (bucket->limit.rate > 0)
        bucket->level += amount;
    if (bucket->limit.max > 0)
        bucket->burst += amount;
}

/* How long the bucket takes for @amount. */
static double cost_of(const Bucket *bucket, double amount)
{
    return bucket->limit.rate > 0 ? amount / (double)bucket->limit.rate : 0;
}

static void drain(NetLimit *limit, int64_t now_ns)
{
    double seconds = (double)(now_ns - limit->drained_ns) / (double)NS_PER_SEC;

    /* Threads that ask at one time may come in another order. */
    if (seconds <= 0)
        return;
    limit->drained_ns = now_ns;
    for (unsigned i = 0; i < NET_DIRECTION__MAX; i++) {
        drain_bucket(&limit->lanes[i].bytes, seconds);
        drain_bucket(&limit->lanes[i].packets, seconds);
    }
}

NetLimit *net_limit_new(int64_t now_ns)
{
    NetLimit *limit = g_new0(NetLimit, 1);

    g_mutex_init(&limit->lock);
    limit->drained_ns = now_ns;
    for (unsigned i = 0; i < NET_DIRECTION__MAX; i++)
        list_init(&limit->lanes[i].line);
    return limit;
}

void net_limit_free(NetLimit *limit)
{
    if (!limit)
        return;
    for (unsigned i = 0; i < NET_DIRECTION__MAX; i++)
        g_assert(list_is_empty(&limit->lanes[i].line));
    g_mutex_clear(&limit->lock);
    g_free(limit);
}

static bool check_rate(const NetRate *rate, const char *name, GError **error)
{
    if (rate->rate > RATE_MAX || rate->max > RATE_MAX)
        error_set(error, "parameter '%s' expects 0 to %" PRIu64, name, RATE_MAX);
    else if (rate->max > 0 && rate->rate == 0)
        error_set(error, "parameter '%s-max': a burst needs a limit", name);
    else if (rate->max > 0 && rate->max < rate->rate)
        error_set(error, "parameter '%s-max': a burst of %" PRIu64 " is below the limit "
                  "of %" PRIu64, name, rate->max, rate->rate);
    else if (rate->length < 1 || rate->length > UINT16_MAX)
        error_set(error, "parameter '%s-max-length' expects 1 to %d", name, UINT16_MAX);
    else
        return true;
    return false;
}

/* What went before counts, but makes nobody wait longer than the new limit would. */
static void set_rate(Bucket *bucket, const NetRate *rate)
{
    bucket->limit = *rate;
    bucket->level = MIN(bucket->level, brim_of(rate));
    bucket->burst = MIN(bucket->burst, SLACK * (double)rate->max);
}

bool net_limit_configure(NetLimit *limit, const NetLimitConfig *config, int64_t now_ns,
                         GError **error)
{
    if (!check_rate(&config->bytes[NET_RX], "rx-bps", error) ||
        !check_rate(&config->bytes[NET_TX], "tx-bps", error) ||
        !check_rate(&config->packets[NET_RX], "rx-pps", error) ||
        !check_rate(&config->packets[NET_TX], "tx-pps", error))
        return false;
    lock_take(&limit->lock);
    drain(limit, now_ns);
    for (unsigned i = 0; i < NET_DIRECTION__MAX; i++) {
        Lane *lane = &limit->lanes[i];

        set_rate(&lane->bytes, &config->bytes[i]);
        set_rate(&lane->packets, &config->packets[i]);
        __atomic_store_n(&lane->is_limited,
                         config->bytes[i].rate > 0 || config->packets[i].rate > 0,
                         __ATOMIC_RELAXED);
        LIST_FOREACH(node, &lane->line) {
            NetLimitMember *member = CONTAINER_OF(node, NetLimitMember, line);

            member->wake(member->opaque);
        }
    }
    lock_drop(&limit->lock);
    return true;
}

void net_limit_join(NetLimitMember *member, NetLimit *limit, NetDirection direction)
{
    member->limit = limit;
    member->direction = direction;
    list_init(&member->line);
}

static Lane *lane_of(const NetLimitMember *member)
{
    return &member->limit->lanes[member->direction];
}

static bool is_first(const Lane *lane, const NetLimitMember *member)
{
    return lane->line.next == &member->line;
}

static void wake_first(Lane *lane)
{
    NetLimitMember *first;

    if (list_is_empty(&lane->line))
        return;
    first = CONTAINER_OF(lane->line.next, NetLimitMember, line);
    first->wake(first->opaque);
}

static void stand_in_line(Lane *lane, NetLimitMember *member)
{
    member->quantum = QUANTUM;
    list_append(&lane->line, &member->line);
}

/* Of the first one, which has had its quantum. */
static void go_to_end(Lane *lane, NetLimitMember *member)
{
    list_remove(&member->line);
    wake_first(lane);
    stand_in_line(lane, member);
}

static bool admit_locked(Lane *lane, NetLimitMember *member, int64_t now_ns,
                         int64_t *ret_at_ns)
{
    bool full = is_full(&lane->bytes) || is_full(&lane->packets);
    double seconds;

    *ret_at_ns = -1;
    if (!list_is_linked(&member->line)) {
        if (list_is_empty(&lane->line) && !full)
            return true;
        stand_in_line(lane, member);
    } else if (is_first(lane, member) && member->quantum <= 0) {
        go_to_end(lane, member);
    }
    if (!is_first(lane, member))
        return false;
    if (!full)
        return true;
    seconds = MAX(time_to_room(&lane->bytes), time_to_room(&lane->packets));
    *ret_at_ns = now_ns + (int64_t)(seconds * (double)NS_PER_SEC) + 1;
    return false;
}

bool net_limit_admit(NetLimitMember *member, int64_t now_ns, int64_t *ret_at_ns)
{
    NetLimit *limit = member->limit;
    Lane *lane = lane_of(member);
    bool is_admitted;

    if (!__atomic_load_n(&lane->is_limited, __ATOMIC_RELAXED))
        return true;
    lock_take(&limit->lock);
    drain(limit, now_ns);
    is_admitted = admit_locked(lane, member, now_ns, ret_at_ns);
    lock_drop(&limit->lock);
    return is_admitted;
}

void net_limit_charge(NetLimitMember *member, uint64_t bytes)
{
    NetLimit *limit = member->limit;
    Lane *lane = lane_of(member);

    if (!__atomic_load_n(&lane->is_limited, __ATOMIC_RELAXED))
        return;
    lock_take(&limit->lock);
    fill_bucket(&lane->bytes, (double)bytes);
    fill_bucket(&lane->packets, 1);
    member->quantum -= MAX(cost_of(&lane->bytes, (double)bytes),
                           cost_of(&lane->packets, 1));
    lock_drop(&limit->lock);
}

void net_limit_leave(NetLimitMember *member)
{
    NetLimit *limit = member->limit;
    Lane *lane = lane_of(member);

    lock_take(&limit->lock);
    if (list_is_linked(&member->line)) {
        bool was_first = is_first(lane, member);

        list_remove(&member->line);
        if (was_first)
            wake_first(lane);
    }
    lock_drop(&limit->lock);
}
