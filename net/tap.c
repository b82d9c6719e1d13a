/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces of the host whose frames come by a descriptor: tap(4), macvtap.
 *
 * The kernel puts the virtio header before each frame itself (IFF_VNET_HDR), in the size
 * that the guest's device has, so frames go from the guest's buffers to the kernel and
 * back by one call, and checksums and segmentation stay with whoever can do them best.
 *
 * One descriptor is one queue.  A queue that is off is detached, and the kernel spreads
 * frames over the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/iov.h"
#include "berth/net-driver.h"

#include "tap-link.h"
#include "tap-options.h"
#include "tap-program.h"
#include "tap-vhost.h"

#define TUN_PATH "/dev/net/tun"
#define DEFAULT_BRIDGE "br0"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

typedef struct Tap {
    NetBackend backend;
    char name[IFNAMSIZ];
    bool has_header;            /* IFF_VNET_HDR */
    bool is_multi_queue;
    TapLink link;
    char *downscript;           /* to run at the end, or NULL */
} Tap;

static const struct {
    unsigned offload;           /* NetOffload */
    unsigned tun;               /* TUN_F_* */
} offload_bits[] = {
    { NET_OFFLOAD_CSUM, TUN_F_CSUM },     { NET_OFFLOAD_TSO4, TUN_F_TSO4 },
    { NET_OFFLOAD_TSO6, TUN_F_TSO6 },     { NET_OFFLOAD_ECN, TUN_F_TSO_ECN },
    { NET_OFFLOAD_UFO, TUN_F_UFO },       { NET_OFFLOAD_USO4, TUN_F_USO4 },
    { NET_OFFLOAD_USO6, TUN_F_USO6 },
};

static Tap *tap_of(NetBackend *backend)
{
    return CONTAINER_OF(backend, Tap, backend);
}

/* The kernel takes none of the others without checksums. */
static unsigned tun_offloads(unsigned offloads)
{
    unsigned bits = 0;

    if (!(offloads & NET_OFFLOAD_CSUM))
        return 0;
    for (size_t i = 0; i < G_N_ELEMENTS(offload_bits); i++) {
        if (offloads & offload_bits[i].offload)
            bits |= offload_bits[i].tun;
    }
    return bits;
}

static void tap_set_offloads(NetBackend *backend, unsigned offloads)
{
    ioctl(backend->queues[0].fd, TUNSETOFFLOAD, (unsigned long)tun_offloads(offloads));
}

/* What the kernel has: it refuses what it does not know. */
static unsigned probe_offloads(int fd)
{
    static const unsigned sets[] = {
        NET_OFFLOAD_CSUM,
        NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN,
        NET_OFFLOAD_CSUM | NET_OFFLOAD_UFO,
        NET_OFFLOAD_CSUM | NET_OFFLOAD_USO4 | NET_OFFLOAD_USO6,
    };
    unsigned offloads = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(sets); i++) {
        if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)tun_offloads(sets[i])) == 0)
            offloads |= sets[i];
    }
    ioctl(fd, TUNSETOFFLOAD, 0ul);
    return offloads;
}

static bool tap_enable_queue(NetQueue *queue, bool on)
{
    struct ifreq request = {
        .ifr_flags = (short)(on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE),
    };

    return !tap_of(queue->backend)->is_multi_queue ||
        ioctl(queue->fd, TUNSETQUEUE, &request) == 0;
}

/* Header, its size, and how much the kernel keeps of what is sent. */
static bool set_options(Tap *tap, int fd, const NetdevTapOptions *options, GError **error)
{
    int size = NET_HEADER_SIZE;
    int sndbuf = options->has_sndbuf && options->sndbuf
        ? (int)MIN(options->sndbuf, INT_MAX) : INT_MAX;

    if (tap->has_header && ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
        error_set_errno(error, errno, "cannot set the size of the header");
        return false;
    }
    if (ioctl(fd, TUNSETSNDBUF, &sndbuf) < 0 && options->has_sndbuf) {
        error_set_errno(error, errno, "parameter 'sndbuf': cannot set it");
        return false;
    }
    return true;
}

/* Of a descriptor that is open: which interface it is, and what of it. */
static bool inspect(Tap *tap, unsigned index, const char *parameter, GError **error)
{
    struct ifreq request = { 0 };
    int fd = tap->backend.queues[index].fd;
    bool has_header;

    if (ioctl(fd, TUNGETIFF, &request) < 0 || !(request.ifr_flags & IFF_TAP) ||
        !(request.ifr_flags & IFF_NO_PI)) {
        error_set(error, "parameter '%s': descriptor %u is no tap without packet "
                  "information", parameter, index);
        return false;
    }
    has_header = request.ifr_flags & IFF_VNET_HDR;
    if (index > 0 && (has_header != tap->has_header ||
                      strncmp(request.ifr_name, tap->name, IFNAMSIZ) != 0)) {
        error_set(error, "parameter '%s': the descriptors are not of one interface",
                  parameter);
        return false;
    }
    g_strlcpy(tap->name, request.ifr_name, IFNAMSIZ);
    tap->has_header = has_header;
    tap->is_multi_queue = request.ifr_flags & IFF_MULTI_QUEUE;
    return true;
}

/* Takes those that are open already. */
static bool take_fds(Tap *tap, const char *parameter, const NetdevTapOptions *options,
                     GError **error)
{
    g_auto(GStrv) names = g_strsplit(options->fd ? options->fd : options->fds,
                                     options->fd ? "\n" : ":", -1);
    unsigned n = g_strv_length(names);

    if (n == 0 || n > NET_QUEUES_MAX) {
        error_set(error, "parameter '%s' expects 1 to %u descriptors", parameter,
                  NET_QUEUES_MAX);
        return false;
    }
    net_backend_make_queues(&tap->backend, n);
    for (unsigned i = 0; i < n; i++) {
        int *fd = &tap->backend.queues[i].fd;

        *fd = net_backend_take_fd(&tap->backend, parameter, names[i], error);
        if (*fd < 0 || !inspect(tap, i, parameter, error) ||
            !set_options(tap, *fd, options, error))
            return false;
    }
    return true;
}

static bool attach(int fd, const char *name, int flags, char *ret_name)
{
    struct ifreq request = { .ifr_flags = (short)flags };

    g_strlcpy(request.ifr_name, name, IFNAMSIZ);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return false;
    memcpy(ret_name, request.ifr_name, IFNAMSIZ);
    return true;
}

static void set_attach_error(const Tap *tap, const char *name, int errnum, GError **error)
{
    if (errnum == EBUSY)
        error_set(error, "parameter 'ifname': interface '%s' is in use", name);
    else if (errnum == EPERM)
        error_set(error, "cannot make a tap interface: this needs CAP_NET_ADMIN, or fd= "
                  "of one that is open, or helper=");
    else if (errnum == EINVAL && tap->link.is_kept && tap->backend.n_queues > 1)
        error_set(error, "parameter 'queues': interface '%s' is no tap, or has one queue",
                  name);
    else
        error_set_errno(error, errnum, "parameter 'ifname': cannot make tap interface "
                        "'%s'", name);
}

/* Opens queue @index of the interface, which the first one makes. */
static bool open_queue(Tap *tap, unsigned index, const NetdevTapOptions *options,
                       GError **error)
{
    bool wants_header = !options->has_vnet_hdr || options->vnet_hdr;
    int flags = IFF_TAP | IFF_NO_PI | (wants_header ? IFF_VNET_HDR : 0);
    const char *name = tap->name[0] ? tap->name : options->ifname ? options->ifname : "";
    int *fd = &tap->backend.queues[index].fd;

    *fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", TUN_PATH);
        return false;
    }
    if (tap->backend.n_queues > 1)
        flags |= IFF_MULTI_QUEUE;
    /* One that was made for several queues must be opened so. */
    if (!attach(*fd, name, flags, tap->name) &&
        (errno != EINVAL || !attach(*fd, name, flags | IFF_MULTI_QUEUE, tap->name))) {
        set_attach_error(tap, name, errno, error);
        return false;
    }
    return inspect(tap, index, "ifname", error) && set_options(tap, *fd, options, error);
}

static bool make(Tap *tap, const NetdevTapOptions *options, GError **error)
{
    if (!tap_link_check(&tap->link, options, error))
        return false;
    net_backend_make_queues(&tap->backend, options->has_queues ? options->queues : 1);
    for (unsigned i = 0; i < tap->backend.n_queues; i++) {
        if (!open_queue(tap, i, options, error))
            return false;
    }
    return tap_link_set_up(&tap->link, options, tap->name, error);
}

/* Has a helper open it, which joins the bridge. */
static bool take_opened(Tap *tap, const NetdevTapOptions *options, GError **error)
{
    int *fd;

    net_backend_make_queues(&tap->backend, 1);
    fd = &tap->backend.queues[0].fd;
    *fd = tap_program_open(options->helper, options->br ? options->br : DEFAULT_BRIDGE,
                           error);
    if (*fd < 0) {
        g_prefix_error(error, "parameter 'helper': ");
        return false;
    }
    return net_backend_set_fd_flags("helper", *fd, error) &&
        inspect(tap, 0, "helper", error) && set_options(tap, *fd, options, error);
}

static bool check_programs(const Tap *tap, const NetdevTapOptions *options,
                           GError **error)
{
    const char *parameter = options->helper ? "helper"
        : tap_options_is_program(options->script) ? "script"
        : tap_options_is_program(options->downscript) ? "downscript" : NULL;

    if (!parameter || net_backend_may_start_programs(&tap->backend))
        return true;
    error_set(error, "parameter '%s': programs may not be started without "
              "-sandbox on,spawn=allow (or off)", parameter);
    return false;
}

/* The last thing that can fail: what the script did is for the other one to undo. */
static bool run_script(Tap *tap, const NetdevTapOptions *options, GError **error)
{
    if (tap_options_is_program(options->script) &&
        !tap_program_run(options->script, tap->name, error)) {
        g_prefix_error(error, "parameter 'script': ");
        return false;
    }
    if (tap_options_is_program(options->downscript))
        tap->downscript = g_strdup(options->downscript);
    return true;
}

static void run_downscript(Tap *tap)
{
    g_autofree char *script = g_steal_pointer(&tap->downscript);
    g_autoptr(GError) error = NULL;

    if (script && !tap_program_run(script, tap->name, &error))
        log_warn("netdev '%s': parameter 'downscript': %s", tap->backend.id,
                 error->message);
}

static bool open_queues(Tap *tap, const NetdevTapOptions *options, GError **error)
{
    if (options->fd || options->fds)
        return take_fds(tap, options->fd ? "fd" : "fds", options, error);
    return options->helper ? take_opened(tap, options, error)
                           : make(tap, options, error);
}

static bool open_with(NetBackend *backend, const NetdevTapOptions *options,
                      GError **error)
{
    Tap *tap = tap_of(backend);

    if (!tap_options_check(options, error) || !tap_vhost_check(options, error) ||
        !check_programs(tap, options, error) ||
        !open_queues(tap, options, error) ||
        !tap_vhost_open(backend, options, tap->has_header, error) ||
        !run_script(tap, options, error))
        return false;
    if (tap->has_header)
        backend->offloads = probe_offloads(backend->queues[0].fd);
    return true;
}

static bool tap_open(NetBackend *backend, const Netdev *netdev, GError **error)
{
    return open_with(backend, &netdev->u.tap, error);
}

/* A tap that joins a bridge. */
static bool bridge_open(NetBackend *backend, const Netdev *netdev, GError **error)
{
    const NetdevBridgeOptions *options = &netdev->u.bridge;
    g_autofree char *bridge = g_strdup(options->br ? options->br : DEFAULT_BRIDGE);
    const NetdevTapOptions tap = { .br = bridge, .helper = options->helper };

    return open_with(backend, &tap, error);
}

static void tap_close(NetBackend *backend)
{
    Tap *tap = tap_of(backend);

    run_downscript(tap);
    tap_link_undo(&tap->link);
}

static char *tap_describe(const NetBackend *backend)
{
    const Tap *tap = CONTAINER_OF(backend, Tap, backend);

    return g_strdup_printf("ifname=%s,queues=%u%s", tap->name, backend->n_queues,
                           net_backend_is_in_kernel(backend) ? ",vhost=on" : "");
}

static int tap_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    ssize_t sent;

    if (!tap_of(queue->backend)->has_header)
        return net_bare_send(queue, iov, n);
    /* Most frames are one piece, for which the kernel does less. */
    sent = n == 1 ? write(queue->fd, iov->iov_base, iov->iov_len)
                  : writev(queue->fd, iov, (int)n);
    return sent < 0 ? -errno : 0;
}

static ssize_t tap_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    ssize_t got;

    if (!tap_of(queue->backend)->has_header)
        return net_bare_receive(queue, iov, n);
    got = readv(queue->fd, iov, (int)n);
    return got < 0 ? -errno : got;
}

const NetDriver net_tap_driver = {
    .instance_size = sizeof(Tap),
    .open = tap_open,
    .close = tap_close,
    .describe = tap_describe,
    .set_offloads = tap_set_offloads,
    .enable_queue = tap_enable_queue,
    .send = tap_send,
    .receive = tap_receive,
};

const NetDriver net_bridge_driver = {
    .instance_size = sizeof(Tap),
    .open = bridge_open,
    .close = tap_close,
    .describe = tap_describe,
    .set_offloads = tap_set_offloads,
    .enable_queue = tap_enable_queue,
    .send = tap_send,
    .receive = tap_receive,
};
