/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth-metrics: a listening socket whose monitor speaks HTTP.  So it has the bounds of
 * every monitor, and memory for clients only while there are some.
 */
#include "berth/char-set.h"
#include "berth/error.h"
#include "berth/machine.h"

#include "metrics-private.h"

static Metrics *to_metrics(const Object *object)
{
    return CONTAINER_OF((Object *)(uintptr_t)object, Metrics, object);
}

QmpContext *metrics_object_context(Metrics *metrics)
{
    metrics->context = *object_set_context(metrics->object.set);
    return metrics->context.ready ? &metrics->context : NULL;
}

static Chardev *open_socket(const Object *object, CharSet *chars, GError **error)
{
    const BerthMetricsProperties *props = &object->options->u.berth_metrics;
    g_autofree char *id = g_strconcat("metrics-", object->id, NULL);
    UnixSocketAddress address = { .path = props->path };
    SocketAddressLegacy addr = {
        .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.data = &address,
    };
    ChardevSocket socket = {
        .addr = &addr, .has_server = true, .server = true, .has_wait = true,
    };
    const ChardevBackend backend = {
        .type = CHARDEV_BACKEND_KIND_SOCKET, .u.socket.data = &socket,
    };
    Chardev *chr = char_add(chars, id, &backend, error);

    if (!chr)
        g_prefix_error(error, "parameter 'path': ");
    return chr;
}

static bool metrics_complete(Object *object, const ObjectOptions *options, GError **error)
{
    Metrics *metrics = to_metrics(object);
    const QmpContext *context = object_set_context(object->set);

    if (!context) {
        error_set(error, "there is nothing to be measured");
        return false;
    }
    metrics_object_context(metrics);
    list_init(&metrics->sessions);
    metrics->chr = open_socket(object, context->chars, error);
    if (!metrics->chr)
        return false;
    timer_init(&metrics->timer, char_loop(metrics->chr), metrics_http_on_turn, metrics);
    metrics->monitor = monitor_new(metrics->chr, &metrics_http_language,
                                   &metrics->context, error);
    if (!metrics->monitor)
        char_remove(context->chars, char_id(metrics->chr), NULL);
    return metrics->monitor != NULL;
}

static void metrics_done(Object *object)
{
    Metrics *metrics = to_metrics(object);

    timer_cancel(&metrics->timer);
    monitor_free(metrics->monitor);
    char_remove(metrics->context.chars, char_id(metrics->chr), NULL);
}

const ObjectClass metrics_object_class = {
    .name = "berth-metrics",
    .family = OBJECT_FAMILY_SETTINGS,
    .instance_size = sizeof(Metrics),
    .stage = OBJECT_STAGE_DEVICES,
    .complete = metrics_complete,
    .done = metrics_done,
};
