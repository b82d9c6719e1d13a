/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's vhost devices (linux/vhost.h): memory table, rings and their eventfds.
 *
 * The kernel's worker belongs to the process that called VHOST_SET_OWNER and works on
 * that process's addresses, so the rings are given as host addresses, and the memory
 * table translates what stands in the descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/vhost.h"

struct Vhost {
    int fd;
    uint64_t features;
    uint64_t always;            /* set whatever the driver accepted */
};

static bool call(const Vhost *vhost, unsigned long request, const void *arg,
                 const char *what, GError **error)
{
    if (ioctl(vhost->fd, request, arg) == 0)
        return true;
    error_set_errno(error, errno, "vhost: cannot %s", what);
    return false;
}

static int open_device(const char *path, const char *module, GError **error)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
        error_set(error, "there is no '%s': the host's kernel module %s is not loaded",
                  path, module);
    else if (fd < 0)
        error_set_errno(error, errno, "cannot open '%s'", path);
    return fd;
}

Vhost *vhost_new(const char *path, const char *module, int fd, GError **error)
{
    g_autoptr(Vhost) vhost = g_new0(Vhost, 1);

    vhost->fd = fd >= 0 ? fd : open_device(path, module, error);
    if (vhost->fd < 0)
        return NULL;
    if (!call(vhost, VHOST_SET_OWNER, NULL, "become the owner of the device", error) ||
        !call(vhost, VHOST_GET_FEATURES, &vhost->features, "get its features", error))
        return NULL;
    return g_steal_pointer(&vhost);
}

void vhost_free(Vhost *vhost)
{
    if (!vhost)
        return;
    base_close_fd(&vhost->fd);
    g_free(vhost);
}

uint64_t vhost_features(const Vhost *vhost)
{
    return vhost->features;
}

bool vhost_set_features(Vhost *vhost, uint64_t features, GError **error)
{
    features = (features | vhost->always) & vhost->features;
    return call(vhost, VHOST_SET_FEATURES, &features, "set features", error);
}

bool vhost_set_memory(Vhost *vhost, const RamRange *ranges, size_t n, GError **error)
{
    size_t size = sizeof(struct vhost_memory) + n * sizeof(struct vhost_memory_region);
    g_autofree struct vhost_memory *memory = g_malloc0(size);

    memory->nregions = n;
    for (size_t i = 0; i < n; i++) {
        memory->regions[i] = (struct vhost_memory_region) {
            .guest_phys_addr = ranges[i].gpa,
            .memory_size = ranges[i].size,
            .userspace_addr = (uintptr_t)ranges[i].host,
        };
    }
    if (ioctl(vhost->fd, VHOST_SET_MEM_TABLE, memory) == 0)
        return true;
    if (errno == E2BIG)
        error_set(error, "vhost: the host's kernel takes fewer than %zu ranges of memory "
                  "(parameter max_mem_regions of its module vhost)", n);
    else
        error_set_errno(error, errno, "vhost: cannot set the memory table");
    return false;
}

static bool set_fd(Vhost *vhost, unsigned index, unsigned long request, int fd,
                   const char *what, GError **error)
{
    struct vhost_vring_file file = { .index = index, .fd = fd };

    return call(vhost, request, &file, what, error);
}

bool vhost_start_ring(Vhost *vhost, unsigned index, const VhostRing *ring, GError **error)
{
    struct vhost_vring_state size = { .index = index, .num = ring->size };
    struct vhost_vring_state base = { .index = index, .num = ring->base };
    struct vhost_vring_addr addr = {
        .index = index,
        .desc_user_addr = (uintptr_t)ring->desc,
        .avail_user_addr = (uintptr_t)ring->avail,
        .used_user_addr = (uintptr_t)ring->used,
    };

    /* The doorbell last: with it the kernel may begin. */
    return call(vhost, VHOST_SET_VRING_NUM, &size, "set the size of a ring", error) &&
        call(vhost, VHOST_SET_VRING_BASE, &base, "set the index of a ring", error) &&
        call(vhost, VHOST_SET_VRING_ADDR, &addr, "set the place of a ring", error) &&
        set_fd(vhost, index, VHOST_SET_VRING_ERR, ring->error_fd, "set an eventfd",
               error) &&
        set_fd(vhost, index, VHOST_SET_VRING_CALL, ring->call_fd, "set an eventfd",
               error) &&
        set_fd(vhost, index, VHOST_SET_VRING_KICK, ring->kick_fd, "set an eventfd",
               error);
}

bool vhost_stop_ring(Vhost *vhost, unsigned index, uint16_t *ret_base)
{
    static const unsigned long requests[] = {
        VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
    };
    struct vhost_vring_state base = { .index = index };
    bool good = ioctl(vhost->fd, VHOST_GET_VRING_BASE, &base) == 0;

    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++)
        set_fd(vhost, index, requests[i], VHOST_FILE_UNBIND, "drop an eventfd", NULL);
    if (good)
        *ret_base = base.num;
    return good;
}

bool vhost_set_call_fd(Vhost *vhost, unsigned index, int fd, GError **error)
{
    return set_fd(vhost, index, VHOST_SET_VRING_CALL, fd, "change an eventfd", error);
}

void vhost_net_have_header(Vhost *vhost)
{
    vhost->always |= 1ull << VHOST_NET_F_VIRTIO_NET_HDR;
}

bool vhost_net_set_poll(Vhost *vhost, unsigned index, uint32_t us, GError **error)
{
    struct vhost_vring_state state = { .index = index, .num = us };

    return call(vhost, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &state, "set the time to poll",
                error);
}

bool vhost_net_set_backend(Vhost *vhost, unsigned index, int fd, GError **error)
{
    struct vhost_vring_file file = { .index = index, .fd = fd };

    return call(vhost, VHOST_NET_SET_BACKEND, &file, "set the tap of a ring", error);
}

bool vhost_vsock_set_cid(Vhost *vhost, uint64_t cid, GError **error)
{
    if (ioctl(vhost->fd, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0)
        return true;
    if (errno == EADDRINUSE)
        error_set(error, "CID %" PRIu64 " is in use by another guest of this host", cid);
    else
        error_set_errno(error, errno, "vhost: cannot set CID %" PRIu64, cid);
    return false;
}

bool vhost_vsock_run(Vhost *vhost, bool on, GError **error)
{
    int value = on;

    return call(vhost, VHOST_VSOCK_SET_RUNNING, &value, on ? "start" : "stop", error);
}
