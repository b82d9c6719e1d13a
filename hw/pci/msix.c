/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X: a table of messages that the guest writes, one bit of "pending" a vector.
 *
 * Table and control word are written by vCPUs under dev->lock; notify comes from any
 * thread and takes no lock.  The two meet at `live` and the pending bit:
 *
 *     notify                              unmask
 *     live? fire, done                    live = true
 *     set pending                         take pending? fire
 *     live and take pending? fire
 *
 * All of it is sequentially consistent, so an interrupt that comes while the vector is
 * unmasked is fired by exactly one side.
 */
#include "berth/error.h"
#include "berth/irq.h"
#include "berth/log.h"
#include "berth/msix.h"
#include "berth/thread.h"

#include "pci-private.h"

#define CAP_SIZE 12u
#define BAR_SIZE_MIN 4096u
/* Of the upper half of a message's address: KVM has bits 8 to 31 of an APIC id above. */
#define RESERVED_UPPER 0xffu
#define TABLE_SPACE_MIN 2048u   /* the pending bits begin after it */

typedef struct MsixVector {
    uint32_t entry[4];          /* address, its upper half, data, control; dev->lock */
    MsiRoute route;
    bool has_route;
    bool wanted;                /* live, if the host takes the message; dev->lock */
    bool live;                  /* atomic: unmasked, and the route has the message */
} MsixVector;

struct Msix {
    PciDevice *pci;
    uint8_t cap;
    uint32_t n_vectors;
    MsixVector *vectors;
    MsiRoute **routes;          /* what update_vectors() gives to the host; dev->lock */
    MsiMessage *messages;
    uint32_t n_words;
    uint64_t *pending;          /* atomic */
    bool enabled;               /* atomic */
    bool told_of_failure;
    Region bar;
    Region table;
    Region pba;
};

static bool take_pending(Msix *msix, unsigned vector)
{
    uint64_t bit = 1ull << (vector % 64);

    return __atomic_fetch_and(&msix->pending[vector / 64], ~bit, __ATOMIC_SEQ_CST) & bit;
}

static void tell_of_failure(Msix *msix, const char *reason)
{
    if (!msix->told_of_failure)
        log_error("device '%s': an interrupt vector stays silent: %s",
                  device_name(&msix->pci->dev), reason);
    msix->told_of_failure = true;
}

static uint16_t control(const Msix *msix)
{
    return pci_config_get(msix->pci, msix->cap + PCI_MSIX_FLAGS, 2);
}

static bool is_unmasked(const Msix *msix, const MsixVector *v)
{
    uint16_t flags = control(msix) & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);

    return flags == PCI_MSIX_FLAGS_ENABLE && !(v->entry[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/*
 * Whether the vector has a route, made here when it is the first time, and a message that
 * the host takes: it would refuse all that come with a wrong one.
 */
static bool is_routable(Msix *msix, MsixVector *v)
{
    g_autoptr(GError) error = NULL;

    if (v->entry[1] & RESERVED_UPPER) {
        device_guest_error(&msix->pci->dev, "message for 0x%08x%08x", v->entry[1],
                           v->entry[0]);
        return false;
    }
    if (!v->has_route)
        v->has_route = msi_route_init(&v->route, msix->pci->dev.board->vm, &error);
    if (!v->has_route)
        tell_of_failure(msix, error->message);
    return v->has_route;
}

/*
 * Brings @n vectors in step with their entries; the routes of all in one change, since a
 * change costs the host milliseconds, and dev->lock is held.
 */
static void update_vectors(Msix *msix, unsigned first, unsigned n)
{
    unsigned n_routes = 0;
    int ret = 0;

    for (unsigned i = first; i < first + n; i++) {
        MsixVector *v = &msix->vectors[i];

        v->wanted = is_unmasked(msix, v) && is_routable(msix, v);
        if (!v->wanted)
            continue;
        msix->routes[n_routes] = &v->route;
        msix->messages[n_routes++] = (MsiMessage) {
            (uint64_t)v->entry[1] << 32 | v->entry[0], v->entry[2],
        };
    }
    if (n_routes > 0)
        ret = msi_route_set_many(msix->routes, msix->messages, n_routes);
    if (ret < 0)
        tell_of_failure(msix, error_text(-ret));
    for (unsigned i = first; i < first + n; i++) {
        MsixVector *v = &msix->vectors[i];
        bool live = v->wanted && ret == 0;

        __atomic_store_n(&v->live, live, __ATOMIC_SEQ_CST);
        if (live && take_pending(msix, i))
            msi_route_fire(&v->route);
    }
    if (msix->pci->class->vectors_changed)
        msix->pci->class->vectors_changed(msix->pci);
}

static uint64_t table_read(void *opaque, uint64_t offset, unsigned size)
{
    Msix *msix = opaque;

    return msix->vectors[offset / 16].entry[offset / 4 % 4];
}

static void table_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    static const uint32_t writable[4] = { ~3u, ~0u, ~0u, PCI_MSIX_ENTRY_CTRL_MASKBIT };
    Msix *msix = opaque;

    msix->vectors[offset / 16].entry[offset / 4 % 4] = value & writable[offset / 4 % 4];
    update_vectors(msix, offset / 16, 1);
}

static uint64_t pba_read(void *opaque, uint64_t offset, unsigned size)
{
    Msix *msix = opaque;
    uint64_t word = __atomic_load_n(&msix->pending[offset / 8], __ATOMIC_RELAXED);

    return size == 8 ? word : (uint32_t)(word >> 8 * (offset % 8));
}

static const RegionOps table_ops = {
    .read = table_read,
    .write = table_write,
    .min_size = 4,
    .max_size = 4,
};

static const RegionOps pba_ops = {
    .read = pba_read,
    .min_size = 4,
    .max_size = 8,
};

bool msix_control_touched(const PciDevice *pci, unsigned offset, unsigned size)
{
    return pci->msix &&
        pci_config_touches(offset, size, pci->msix->cap + PCI_MSIX_FLAGS, 2);
}

void msix_update(PciDevice *pci)
{
    Msix *msix = pci->msix;
    bool enabled = control(msix) & PCI_MSIX_FLAGS_ENABLE;

    __atomic_store_n(&msix->enabled, enabled, __ATOMIC_SEQ_CST);
    update_vectors(msix, 0, msix->n_vectors);
    for (unsigned i = 0; !enabled && i < msix->n_vectors; i++)
        take_pending(msix, i);
}

static void mask_all(Msix *msix)
{
    for (unsigned i = 0; i < msix->n_vectors; i++) {
        msix->vectors[i].entry[0] = 0;
        msix->vectors[i].entry[1] = 0;
        msix->vectors[i].entry[2] = 0;
        msix->vectors[i].entry[3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    }
}

void msix_reset(PciDevice *pci)
{
    if (!pci->msix)
        return;
    mask_all(pci->msix);
    msix_update(pci);
}

static void add_cap(Msix *msix, unsigned bar, uint32_t pba_offset)
{
    PciDevice *pci = msix->pci;
    uint8_t cap = pci_add_cap(pci, PCI_CAP_ID_MSIX, CAP_SIZE);

    msix->cap = cap;
    pci_config_set(pci, cap + PCI_MSIX_FLAGS, 2, msix->n_vectors - 1);
    pci_config_set(pci, cap + PCI_MSIX_TABLE, 4, bar);
    pci_config_set(pci, cap + PCI_MSIX_PBA, 4, pba_offset | bar);
    pci_config_allow(pci, cap + PCI_MSIX_FLAGS, 2,
                     PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

void msix_add(PciDevice *pci, unsigned n_vectors, unsigned bar)
{
    Msix *msix = g_new0(Msix, 1);
    uint32_t table_size = n_vectors * PCI_MSIX_ENTRY_SIZE;
    uint32_t pba_offset = MAX(table_size, TABLE_SPACE_MIN);
    uint32_t bar_size = BAR_SIZE_MIN;

    g_assert(n_vectors >= 1 && n_vectors <= MSIX_MAX_VECTORS && !pci->msix);
    msix->pci = pci;
    msix->n_vectors = n_vectors;
    msix->vectors = g_new0(MsixVector, n_vectors);
    msix->routes = g_new(MsiRoute *, n_vectors);
    msix->messages = g_new(MsiMessage, n_vectors);
    msix->n_words = (n_vectors + 63) / 64;
    msix->pending = g_new0(uint64_t, msix->n_words);
    while (bar_size < pba_offset + 8 * msix->n_words)
        bar_size *= 2;
    mask_all(msix);
    region_init_container(&msix->bar, "msix", bar_size);
    region_init_io(&msix->table, "msix-table", table_size, &table_ops, msix,
                   &pci->dev.lock);
    region_init_io(&msix->pba, "msix-pba", 8 * msix->n_words, &pba_ops, msix, NULL);
    region_add(&msix->bar, 0, &msix->table, 0);
    region_add(&msix->bar, pba_offset, &msix->pba, 0);
    pci->msix = msix;
    add_cap(msix, bar, pba_offset);
    pci_bar_add(pci, bar, &msix->bar, PCI_BASE_ADDRESS_SPACE_MEMORY);
}

void msix_free(PciDevice *pci)
{
    Msix *msix = g_steal_pointer(&pci->msix);

    if (!msix)
        return;
    for (unsigned i = 0; i < msix->n_vectors; i++) {
        if (msix->vectors[i].has_route)
            msi_route_done(&msix->vectors[i].route);
    }
    region_done(&msix->pba);
    region_done(&msix->table);
    region_done(&msix->bar);
    g_free(msix->pending);
    g_free(msix->messages);
    g_free(msix->routes);
    g_free(msix->vectors);
    g_free(msix);
}

unsigned msix_vector_count(const PciDevice *pci)
{
    return pci->msix ? pci->msix->n_vectors : 0;
}

bool msix_is_enabled(const PciDevice *pci)
{
    return pci->msix && __atomic_load_n(&pci->msix->enabled, __ATOMIC_RELAXED);
}

int msix_vector_fd(const PciDevice *pci, unsigned vector)
{
    const Msix *msix = pci->msix;

    if (!msix || vector >= msix->n_vectors || !msix->vectors[vector].live)
        return -1;
    return msix->vectors[vector].route.fd;
}

void msix_notify(PciDevice *pci, unsigned vector)
{
    Msix *msix = pci->msix;
    MsixVector *v;

    if (!msix || vector >= msix->n_vectors)
        return;
    v = &msix->vectors[vector];
    if (!__atomic_load_n(&v->live, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_or(&msix->pending[vector / 64], 1ull << (vector % 64),
                          __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&v->live, __ATOMIC_SEQ_CST) || !take_pending(msix, vector))
            return;
    }
    msi_route_fire(&v->route);
}

static bool msix_post_load(void *opaque, GError **error)
{
    Msix *msix = opaque;
    unsigned used = msix->n_vectors % 64;

    if (used && msix->pending[msix->n_words - 1] >> used) {
        error_set(error, "field 'pending' has bits of vectors that are not there");
        return false;
    }
    for (unsigned i = 0; i < msix->n_vectors; i++)
        msix->vectors[i].entry[3] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
    return true;
}

static const VMStateField vector_fields[] = {
    VMSTATE_U32_ARRAY(MsixVector, entry, 4),
    VMSTATE_END
};

static const VMStateDesc vector_vmstate = {
    .name = "vector", .version = 1, .min_version = 1, .fields = vector_fields,
};

static const VMStateField msix_fields[] = {
    VMSTATE_STRUCT_POINTER(Msix, vectors, n_vectors, vector_vmstate),
    VMSTATE_U64_POINTER(Msix, pending, n_words),
    VMSTATE_END
};

static const VMStateDesc msix_vmstate = {
    .name = "msix", .version = 1, .min_version = 1, .fields = msix_fields,
    .post_load = msix_post_load,
};

void *msix_vmstate_via(void *opaque, const VMStateDesc **ret_desc)
{
    *ret_desc = &msix_vmstate;
    return ((PciDevice *)opaque)->msix;
}
