/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth-autoballoon: samples the host and the guest each interval, and sets the target of
 * the balloon as the rules say (balloon-auto.h).
 *
 * The balloon is looked for by its name each time: it may be unplugged, and come again.
 * The target is left as it is when the object goes or is switched off: who takes over
 * decides, and a host that is short is not asked for all at once.
 *
 * What an operator says with the command "balloon" is the most that the guest may have;
 * the object goes on below that.  The command is of all memory; the object's numbers are
 * of what there was from the start, and memory that came is the guest's besides.
 */
#include <string.h>

#include "berth/balloon-auto.h"
#include "berth/balloon.h"
#include "berth/error.h"
#include "berth/timer.h"
#include "berth/trace.h"

#define PAGE 4096u
#define MIN_HEADROOM (32 * MIB)
#define NO_LIMIT UINT64_MAX

typedef struct Autoballoon {
    Object object;
    HostMemory *host;
    Timer timer;
    bool enabled;
    BalloonAutoConfig config;   /* as the properties say */
    uint64_t limit;             /* by the command balloon */
    BalloonAutoState state;
    BalloonAutoSample sample;   /* of the last decision */
    AutoballoonReason reason;
    AutoballoonStep last_step;  /* seconds_ago is not set */
    int64_t last_step_ns;       /* 0: there was none */
    uint64_t n_down;
    uint64_t n_up;
} Autoballoon;

static Autoballoon *to_auto(const Object *object)
{
    return CONTAINER_OF((Object *)(uintptr_t)object, Autoballoon, object);
}

static const BerthAutoballoonProperties *props_of(const Autoballoon *autoballoon)
{
    return &autoballoon->object.options->u.berth_autoballoon;
}

static bool is_autoballoon(const Object *object)
{
    return object->class == &balloon_auto_object_class;
}

static Autoballoon *find(const ObjectSet *set)
{
    LIST_FOREACH(node, object_set_list(set)) {
        const Object *object = CONTAINER_OF(node, Object, node);

        if (is_autoballoon(object))
            return to_auto(object);
    }
    return NULL;
}

/* The balloon @name, or NULL. */
static Device *find_balloon(const ObjectSet *set, const char *name)
{
    DeviceTree *tree = object_set_tree(set);
    Device *dev = tree ? balloon_find(tree, NULL) : NULL;

    if (!dev || (g_strcmp0(dev->id, name) != 0 && strcmp(dev->path, name) != 0))
        return NULL;
    return dev;
}

static Device *own_balloon(const Autoballoon *autoballoon)
{
    return find_balloon(autoballoon->object.set, props_of(autoballoon)->device);
}

/* The bounds, of which an operator's limit is one. */
static BalloonAutoConfig bounds(const Autoballoon *autoballoon)
{
    BalloonAutoConfig config = autoballoon->config;

    config.max = MAX(config.min, MIN(config.max, autoballoon->limit));
    return config;
}

/* Memory that came. */
static uint64_t plugged(const Device *dev)
{
    return board_ram(dev->board) - dev->board->ram_size;
}

static void set_target(Autoballoon *autoballoon, Device *dev, uint64_t before,
                       uint64_t target)
{
    const Board *board = dev->board;
    const XAutoballoonDecisionEvent event = {
        .id = autoballoon->object.id,
        .device = props_of(autoballoon)->device,
        .previous = before,
        .target = target,
        .reason = autoballoon->reason,
    };

    if (target == before)
        return;
    TRACE(balloon_auto_step, "%s: %" PRIu64 " to %" PRIu64 " KiB, %s",
          autoballoon->object.id, before / (uint64_t)KIB, target / (uint64_t)KIB,
          AutoballoonReason_str(autoballoon->reason));
    balloon_set_target(dev, target + plugged(dev));
    autoballoon->last_step = (AutoballoonStep) {
        .previous = before, .target = target, .reason = autoballoon->reason,
    };
    autoballoon->last_step_ns = loop_clock_ns();
    if (target < before)
        autoballoon->n_down++;
    else
        autoballoon->n_up++;
    if (board->ops->balloon_moved)
        board->ops->balloon_moved(board->opaque, &event);
}

static void take_sample(Autoballoon *autoballoon, Device *dev)
{
    BalloonAutoSample *sample = &autoballoon->sample;
    BalloonSample said;

    *sample = (BalloonAutoSample) { .has_device = dev != NULL };
    host_memory_read(autoballoon->host, &sample->host);
    if (!dev)
        return;
    balloon_sample(dev, &said);
    sample->has_driver = said.has_driver;
    sample->runs = dev->tree->running;
    sample->ram = dev->board->ram_size;
    sample->target = said.target;
    sample->actual = said.actual;
    sample->guest = (BalloonAutoGuest) {
        .n_answers = said.n_answers,
        .actual = said.told_actual,
        .available = said.available,
        .free = said.free,
        .swap_in = said.swap_in,
        .major_faults = said.major_faults,
        .oom_kills = said.oom_kills,
    };
}

static void set_timer(Autoballoon *autoballoon, uint32_t seconds)
{
    timer_set(&autoballoon->timer, loop_clock_ns() + (int64_t)seconds * NS_PER_SEC);
}

static void on_interval(void *opaque)
{
    Autoballoon *autoballoon = opaque;
    const BalloonAutoConfig config = bounds(autoballoon);
    Device *dev = own_balloon(autoballoon);
    BalloonAutoDecision decision;

    /* One that was plugged since does not know yet. */
    if (dev)
        balloon_want_stats(dev, config.interval);
    take_sample(autoballoon, dev);
    decision = balloon_auto_decide(&config, &autoballoon->sample, &autoballoon->state);
    autoballoon->state = decision.state;
    autoballoon->reason = decision.reason;
    if (dev)
        set_target(autoballoon, dev, autoballoon->sample.target, decision.target);
    set_timer(autoballoon, config.interval);
}

/*
 * The target is within its bounds at once.  The next decision is not made before the
 * guest has told something new.
 */
static void begin(Autoballoon *autoballoon, Device *dev)
{
    const BalloonAutoConfig config = bounds(autoballoon);
    BalloonSample said;
    uint64_t target;

    autoballoon->reason = AUTOBALLOON_REASON_WAITING;
    set_timer(autoballoon, config.interval);
    if (!dev)
        return;
    balloon_want_stats(dev, config.interval);
    balloon_sample(dev, &said);
    if (said.n_answers != autoballoon->state.n_answers)
        set_timer(autoballoon, 0);
    target = CLAMP(said.target, config.min, config.max);
    if (target != said.target)
        autoballoon->reason = AUTOBALLOON_REASON_LIMITS;
    set_target(autoballoon, dev, said.target, target);
}

/* Does, or does not any more, what the properties say. */
static void restart(Autoballoon *autoballoon)
{
    Device *dev = own_balloon(autoballoon);

    if (autoballoon->enabled) {
        begin(autoballoon, dev);
        return;
    }
    timer_cancel(&autoballoon->timer);
    autoballoon->state = (BalloonAutoState) { 0 };
    autoballoon->reason = AUTOBALLOON_REASON_DISABLED;
    if (dev)
        balloon_want_stats(dev, 0);
}

static bool check_size(const char *name, uint64_t value, uint64_t max, GError **error)
{
    if (value <= max)
        return true;
    error_set(error, "parameter '%s' expects a size up to %" PRIu64
              ", the guest's memory, not %" PRIu64, name, max, value);
    return false;
}

/* Fills in what @props leave open; bounds are whole pages. */
static bool resolve(BerthAutoballoonProperties *props, uint64_t ram, GError **error)
{
    if (!check_size("min", props->min, ram, error) ||
        !check_size("max", props->max, ram, error) ||
        !check_size("headroom", props->headroom, ram, error))
        return false;
    if (props->max == 0)
        props->max = ram;
    if (props->min == 0)
        props->min = MIN(ram / 4, props->max);
    if (props->headroom == 0)
        props->headroom = MIN(MAX(ram / 16, MIN_HEADROOM), props->max / 4);
    props->max = props->max / PAGE * PAGE;
    props->min = (props->min + PAGE - 1) / PAGE * PAGE;
    if (props->min > props->max) {
        error_set(error, "parameter 'min': %" PRIu64 " is more than 'max', %" PRIu64,
                  props->min, props->max);
        return false;
    }
    if (props->headroom >= props->max) {
        error_set(error, "parameter 'headroom': %" PRIu64 " is not less than 'max', %"
                  PRIu64, props->headroom, props->max);
        return false;
    }
    return true;
}

static void configure(Autoballoon *autoballoon, const BerthAutoballoonProperties *props)
{
    autoballoon->enabled = props->enabled;
    autoballoon->config = (BalloonAutoConfig) {
        .min = props->min,
        .max = props->max,
        .headroom = props->headroom,
        .aggressiveness = props->aggressiveness,
        .interval = props->interval,
    };
}

static bool auto_complete(Object *object, const ObjectOptions *options, GError **error)
{
    BerthAutoballoonProperties *props = &object->options->u.berth_autoballoon;
    Autoballoon *autoballoon = to_auto(object);
    const Autoballoon *other = find(object->set);
    Device *dev = find_balloon(object->set, props->device);

    if (other) {
        error_set(error, "there is a berth-autoballoon already, '%s'", other->object.id);
        return false;
    }
    if (!dev) {
        error_set(error, "parameter 'device': there is no balloon '%s'", props->device);
        return false;
    }
    if (!resolve(props, dev->board->ram_size, error))
        return false;
    autoballoon->host = host_memory_new("");
    autoballoon->limit = NO_LIMIT;
    timer_init(&autoballoon->timer, dev->board->loop, on_interval, autoballoon);
    configure(autoballoon, props);
    take_sample(autoballoon, dev);
    restart(autoballoon);
    return true;
}

static bool auto_change(Object *object, ObjectOptions *options, GError **error)
{
    Autoballoon *autoballoon = to_auto(object);
    const BerthAutoballoonProperties *old = props_of(autoballoon);
    BerthAutoballoonProperties *new = &options->u.berth_autoballoon;
    const DeviceTree *tree = object_set_tree(object->set);

    if (strcmp(new->device, old->device) != 0) {
        error_set(error, "property 'device' of object '%s' cannot be changed",
                  object->id);
        return false;
    }
    if (!resolve(new, tree->board->ram_size, error))
        return false;
    if (new->max != old->max || !new->enabled)
        autoballoon->limit = NO_LIMIT;
    configure(autoballoon, new);
    restart(autoballoon);
    return true;
}

static void auto_done(Object *object)
{
    Autoballoon *autoballoon = to_auto(object);
    Device *dev = own_balloon(autoballoon);

    timer_cancel(&autoballoon->timer);
    if (dev)
        balloon_want_stats(dev, 0);
    host_memory_free(autoballoon->host);
}

bool balloon_auto_object_limit(ObjectSet *set, Device *dev, uint64_t bytes,
                               GError **error)
{
    Autoballoon *autoballoon = find(set);
    uint64_t limit = bytes - MIN(bytes, plugged(dev));
    BalloonSample said;

    if (!autoballoon || !autoballoon->enabled || own_balloon(autoballoon) != dev) {
        balloon_set_target(dev, bytes);
        return true;
    }
    if (limit < autoballoon->config.min) {
        error_set(error, "parameter 'value': %" PRIu64 " is less than 'min' of object "
                  "'%s', %" PRIu64, bytes, autoballoon->object.id,
                  autoballoon->config.min + plugged(dev));
        return false;
    }
    autoballoon->limit = limit / PAGE * PAGE;
    autoballoon->reason = AUTOBALLOON_REASON_LIMITS;
    balloon_sample(dev, &said);
    set_target(autoballoon, dev, said.target, bounds(autoballoon).max);
    return true;
}

/* @ret_has and *@ret_value of a number that may be unknown. */
static void tell(uint64_t value, bool *ret_has, uint64_t *ret_value)
{
    *ret_has = value != BALLOON_AUTO_UNKNOWN;
    *ret_value = *ret_has ? value : 0;
}

static void tell_percent(uint64_t hundredths, bool *ret_has, double *ret_percent)
{
    *ret_has = hundredths != HOST_MEMORY_UNKNOWN;
    *ret_percent = *ret_has ? (double)hundredths / 100 : 0;
}

static AutoballoonHost *host_info(const Autoballoon *autoballoon)
{
    const HostMemorySample *sample = &autoballoon->sample.host;
    AutoballoonHost *host = g_new0(AutoballoonHost, 1);

    host->pressure = autoballoon->state.pressure;
    tell_percent(sample->host.some, &host->has_some, &host->some);
    tell_percent(sample->host.full, &host->has_full, &host->full);
    tell(sample->available, &host->has_available, &host->available);
    tell(sample->total, &host->has_total, &host->total);
    host->cgroup = g_strdup(host_memory_cgroup(autoballoon->host));
    tell_percent(sample->cgroup.some, &host->has_cgroup_some, &host->cgroup_some);
    tell_percent(sample->cgroup.full, &host->has_cgroup_full, &host->cgroup_full);
    tell(sample->cgroup_current, &host->has_cgroup_current, &host->cgroup_current);
    tell(sample->cgroup_limit, &host->has_cgroup_limit, &host->cgroup_limit);
    return host;
}

static AutoballoonGuest *guest_info(const Autoballoon *autoballoon)
{
    const BalloonAutoGuest *sample = &autoballoon->sample.guest;
    AutoballoonGuest *guest = g_new0(AutoballoonGuest, 1);

    guest->answers = sample->n_answers;
    tell(sample->available, &guest->has_available, &guest->available);
    tell(sample->free, &guest->has_free, &guest->free);
    tell(sample->swap_in, &guest->has_swap_in, &guest->swap_in);
    tell(sample->major_faults, &guest->has_major_faults, &guest->major_faults);
    tell(sample->oom_kills, &guest->has_oom_kills, &guest->oom_kills);
    return guest;
}

static AutoballoonState *state_info(const Autoballoon *autoballoon)
{
    AutoballoonState *state = g_new0(AutoballoonState, 1);
    Device *dev = own_balloon(autoballoon);
    BalloonSample said = { 0 };

    if (dev)
        balloon_sample(dev, &said);
    state->target = said.target;
    state->actual = said.actual;
    tell(autoballoon->limit, &state->has_limit, &state->limit);
    state->reason = autoballoon->reason;
    if (autoballoon->last_step_ns) {
        state->last_step = g_new(AutoballoonStep, 1);
        *state->last_step = autoballoon->last_step;
        state->last_step->seconds_ago =
            (uint64_t)((loop_clock_ns() - autoballoon->last_step_ns) / NS_PER_SEC);
    }
    state->steps_down = autoballoon->n_down;
    state->steps_up = autoballoon->n_up;
    state->host = host_info(autoballoon);
    state->guest = guest_info(autoballoon);
    return state;
}

AutoballoonInfo *balloon_auto_object_info(const Object *object)
{
    const BerthAutoballoonProperties *props = &object->options->u.berth_autoballoon;
    AutoballoonInfo *info;

    if (!is_autoballoon(object))
        return NULL;
    info = g_new0(AutoballoonInfo, 1);
    info->id = g_strdup(object->id);
    info->device = g_strdup(props->device);
    info->enabled = props->enabled;
    info->min = props->min;
    info->max = props->max;
    info->headroom = props->headroom;
    info->state = state_info(to_auto(object));
    return info;
}

const ObjectClass balloon_auto_object_class = {
    .name = "berth-autoballoon",
    .family = OBJECT_FAMILY_SETTINGS,
    .instance_size = sizeof(Autoballoon),
    .stage = OBJECT_STAGE_DEVICES,
    .complete = auto_complete,
    .change = auto_change,
    .done = auto_done,
};
