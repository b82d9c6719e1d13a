/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon, and what the guest says of itself by it.
 */
#include "berth/balloon.h"

#include "metrics-private.h"

static void add_gauge(MetricsText *text, const char *name, const char *help,
                      uint64_t value)
{
    /* What a guest has not told is all ones. */
    if (value != UINT64_MAX)
        metrics_text_gauge(text, name, help, "", value);
}

static void add_counter(MetricsText *text, const char *name, const char *help,
                        uint64_t value)
{
    if (value != UINT64_MAX)
        metrics_text_count(text, name, help, "", value);
}

/* What the guest said of itself last. */
static void add_guest(MetricsText *text, const BalloonSample *sample)
{
    add_gauge(text, "berth_guest_available_memory_bytes",
              "What the guest says that it could use without swapping",
              sample->available);
    add_gauge(text, "berth_guest_free_memory_bytes",
              "What the guest says that it has free", sample->free);
    add_counter(text, "berth_guest_swap_in_bytes",
                "What the guest says that it read from swap space", sample->swap_in);
    add_counter(text, "berth_guest_major_faults",
                "Page faults of the guest that had to wait", sample->major_faults);
    add_counter(text, "berth_guest_oom_kills",
                "Processes that the guest ended for want of memory", sample->oom_kills);
}

void balloon_metrics_add(MetricsText *text, QmpContext *ctx)
{
    Device *dev = ctx->tree ? balloon_find(ctx->tree, NULL) : NULL;
    BalloonCounts counts;
    BalloonSample sample;

    if (!dev)
        return;
    balloon_counts(dev, &counts);
    balloon_sample(dev, &sample);
    add_gauge(text, "berth_balloon_actual_bytes", "Memory that the guest has left",
              balloon_actual(dev));
    add_gauge(text, "berth_balloon_target_bytes",
              "Memory of the start that the guest is asked to have left", sample.target);
    add_counter(text, "berth_balloon_discarded_bytes",
                "Memory that the host got back by the balloon", counts.discarded);
    add_counter(text, "berth_balloon_failed_bytes",
                "Memory of the balloon that the host did not take", counts.failed);
    add_gauge(text, "berth_balloon_partial_bytes",
              "Memory in the balloon of large pages that are not whole", counts.partial);
    if (sample.n_answers > 0)
        add_guest(text, &sample);
}
