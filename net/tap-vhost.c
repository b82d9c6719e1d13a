/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-net: each queue of a tap has a /dev/vhost-net of its own, which is a thread of
 * the kernel that moves frames between tap and rings.
 *
 * A host that has none does not keep a VM from running: frames go through the process
 * then, and a line in the log says so, unless vhostforce= is there.
 */
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/vhost.h"

#include "tap-vhost.h"

#define PATH "/dev/vhost-net"
#define MODULE "vhost_net"
#define RINGS 2u

static bool is_forced(const NetdevTapOptions *options)
{
    return options->has_vhostforce && options->vhostforce;
}

static bool is_passed(const NetdevTapOptions *options)
{
    return options->vhostfd || options->vhostfds;
}

static bool is_wanted(const NetdevTapOptions *options)
{
    return options->has_vhost ? options->vhost : is_passed(options) || is_forced(options);
}

static bool refuse(GError **error, const char *parameter, const char *why)
{
    error_set(error, "parameter '%s': %s", parameter, why);
    return false;
}

bool tap_vhost_check(const NetdevTapOptions *options, GError **error)
{
    if (options->vhostfd && options->vhostfds)
        return refuse(error, "vhostfds", "excludes 'vhostfd'");
    if (is_forced(options) && !is_wanted(options))
        return refuse(error, "vhostforce", "excludes vhost=off");
    if (options->poll_us && !is_wanted(options))
        return refuse(error, "poll-us", "needs vhost=on");
    return true;
}

/* One for each queue, or none.  All are taken from whoever gave them. */
static bool take_fds(NetBackend *backend, const NetdevTapOptions *options, int *ret_fds,
                     GError **error)
{
    const char *parameter = options->vhostfd ? "vhostfd" : "vhostfds";
    const char *text = options->vhostfd ? options->vhostfd : options->vhostfds;
    g_auto(GStrv) names = g_strsplit(text, options->vhostfd ? "\n" : ":", -1);

    if (g_strv_length(names) != backend->n_queues) {
        error_set(error, "parameter '%s' expects as many descriptors as there are "
                  "queues, %u", parameter, backend->n_queues);
        return false;
    }
    for (unsigned i = 0; i < backend->n_queues; i++) {
        ret_fds[i] = net_backend_take_fd(backend, parameter, names[i], error);
        if (ret_fds[i] < 0)
            return false;
    }
    return true;
}

/* Takes @fd. */
static bool open_queue(NetQueue *queue, int fd, const NetdevTapOptions *options,
                       bool has_header, GError **error)
{
    queue->vhost = vhost_new(PATH, MODULE, fd, error);
    if (!queue->vhost)
        return false;
    if (!(vhost_features(queue->vhost) >> VIRTIO_F_VERSION_1 & 1)) {
        error_set(error, "vhost: the host's kernel has no VIRTIO_F_VERSION_1");
        return false;
    }
    if (!has_header)
        vhost_net_have_header(queue->vhost);
    for (unsigned i = 0; i < RINGS && options->poll_us; i++) {
        if (!vhost_net_set_poll(queue->vhost, i, options->poll_us, error)) {
            g_prefix_error(error, "parameter 'poll-us': ");
            return false;
        }
    }
    return true;
}

static bool open_queues(NetBackend *backend, const int *fds,
                        const NetdevTapOptions *options, bool has_header, GError **error)
{
    for (unsigned i = 0; i < backend->n_queues; i++) {
        if (!open_queue(&backend->queues[i], fds[i], options, has_header, error))
            return false;
    }
    return true;
}

static void close_fds(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static void close_queues(NetBackend *backend)
{
    for (unsigned i = 0; i < backend->n_queues; i++)
        g_clear_pointer(&backend->queues[i].vhost, vhost_free);
}

/* Without descriptors that were passed the host may have what it has. */
static bool go_without(NetBackend *backend, const NetdevTapOptions *options,
                       GError *found, GError **error)
{
    close_queues(backend);
    if (is_forced(options) || is_passed(options)) {
        g_propagate_prefixed_error(error, found, "parameter '%s': ",
                                   is_forced(options) ? "vhostforce"
                                   : options->vhostfd ? "vhostfd" : "vhostfds");
        return false;
    }
    log_warn("netdev '%s': vhost=on: %s; frames go through the process", backend->id,
             found->message);
    g_error_free(found);
    return true;
}

bool tap_vhost_open(NetBackend *backend, const NetdevTapOptions *options, bool has_header,
                    GError **error)
{
    g_autofree int *fds = g_new(int, backend->n_queues);
    GError *found = NULL;

    memset(fds, -1, sizeof(fds[0]) * backend->n_queues);
    if (is_passed(options) && !take_fds(backend, options, fds, error)) {
        close_fds(fds, backend->n_queues);
        return false;
    }
    if (!is_wanted(options)) {
        close_fds(fds, backend->n_queues);
        return true;
    }
    return open_queues(backend, fds, options, has_header, &found) ||
        go_without(backend, options, found, error);
}
