/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message-signalled interrupts as eventfds.  Descriptor and GSI are reserved at init,
 * so that running out of them is an error at realize; the kernel learns of both with
 * the first message, since most vectors of most devices never get one.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "berth/error.h"
#include "berth/irq.h"
#include "berth/trace.h"

#include "irq-route.h"
#include "vm-ops.h"

bool msi_route_init(MsiRoute *route, Vm *vm, GError **error)
{
    g_autofd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int gsi;

    *route = (MsiRoute){ .vm = vm, .gsi = -1, .fd = -1 };
    if (fd < 0) {
        error_set_errno(error, errno, "cannot make an eventfd for an interrupt");
        return false;
    }
    gsi = irq_route_alloc(vm);
    if (gsi < 0) {
        error_set(error, "no interrupt route left of %u", vm->routes.n_gsis);
        return false;
    }
    route->gsi = gsi;
    route->fd = autofd_steal(&fd);
    return true;
}

void msi_route_done(MsiRoute *route)
{
    if (!route->vm || route->gsi < 0)
        return;
    if (route->attached && !route->vm->ended)
        route->vm->ops->irqfd(route->vm, route->fd, (unsigned)route->gsi, false);
    irq_route_release(route->vm, (unsigned)route->gsi);
    close(route->fd);
    *route = (MsiRoute){ .gsi = -1, .fd = -1 };
}

static bool same_message(const MsiRoute *route, const MsiMessage *message)
{
    return route->attached && route->addr == message->addr &&
           route->data == message->data;
}

static int attach(MsiRoute *route, const MsiMessage *message)
{
    if (!route->attached) {
        int err = route->vm->ops->irqfd(route->vm, route->fd, (unsigned)route->gsi, true);

        if (err)
            return err;
    }
    route->attached = true;
    route->addr = message->addr;
    route->data = message->data;
    return 0;
}

int msi_route_set_many(MsiRoute *const *routes, const MsiMessage *messages, unsigned n)
{
    unsigned n_same = 0;
    int err;

    while (n_same < n && same_message(routes[n_same], &messages[n_same]))
        n_same++;
    if (n_same == n)
        return 0;
    for (unsigned i = 0; i < n; i++)
        TRACE(irq_msi_route, "gsi %d address 0x%" PRIx64 " data 0x%x", routes[i]->gsi,
              messages[i].addr, messages[i].data);
    err = irq_route_set_msi(routes[0]->vm, routes, messages, n);
    for (unsigned i = 0; !err && i < n; i++)
        err = attach(routes[i], &messages[i]);
    return err;
}

int msi_route_set(MsiRoute *route, uint64_t addr, uint32_t data)
{
    MsiMessage message = { addr, data };

    return msi_route_set_many(&route, &message, 1);
}

void msi_route_fire(const MsiRoute *route)
{
    uint64_t one = 1;
    ssize_t written;

    TRACE(irq_msi, "gsi %d", route->gsi);
    written = write(route->fd, &one, sizeof(one));
    /* EAGAIN: the counter is full, so the interrupt is pending as it should be. */
    (void)written;
}
