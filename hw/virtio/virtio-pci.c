/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI transport of virtio devices, without the legacy interface (virtio 1.3, section
 * 4.1).
 *
 * One function with two BARs: 1 is MSI-X, 4 has the four structures, a page each, where
 * other monitors have them too:
 *
 *     0x0000  common configuration    registers, under dev->lock
 *     0x1000  ISR status              read clears, lowers the pin
 *     0x2000  device configuration
 *     0x3000  notification            4 bytes a queue: an ioeventfd while the queue runs
 *
 * The states of the device are drawn in virtio.c.  What may lead from one to another
 * here: the status register, PCI_COMMAND_MASTER, function level and bus reset, pause and
 * resume; each ends in virtio_settle(), which is called without the lock.  For the same
 * reason the regions have no lock of their own: their functions take dev->lock for as
 * long as they touch registers.
 *
 * Interrupts go to a vector while MSI-X is on, else to the pin through the ISR status.
 */
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "berth/error.h"
#include "berth/msix.h"
#include "berth/pci.h"
#include "berth/thread.h"
#include "berth/virtio-transport.h"

#define MSIX_BAR 1
#define STRUCTURES_BAR 4
#define STRUCTURE_SIZE 0x1000u
#define N_STRUCTURES 4u
#define NOTIFY_MULTIPLIER 4u
#define FIRST_DEVICE_ID 0x1040
#define ISR_QUEUE 1u
#define ISR_CONFIG 2u

typedef struct VirtioPci {
    PciDevice pci;
    VirtioDevice *vdev;
    Region bar;
    Region structures[N_STRUCTURES];
    uint8_t access_cap;         /* offset of the window in configuration space */
    bool ioeventfd;

    /* Under dev->lock. */
    uint32_t offered_select;
    uint32_t features_select;
    uint16_t queue_select;
    uint16_t config_vector;
    uint8_t isr;
} VirtioPci;

/* A register of the common configuration; the 64-bit ones are two of them. */
typedef struct CfgRegister {
    uint8_t offset;
    uint8_t size;
} CfgRegister;

static const CfgRegister cfg_registers[] = {
    { VIRTIO_PCI_COMMON_DFSELECT, 4 },
    { VIRTIO_PCI_COMMON_DF, 4 },
    { VIRTIO_PCI_COMMON_GFSELECT, 4 },
    { VIRTIO_PCI_COMMON_GF, 4 },
    { VIRTIO_PCI_COMMON_MSIX, 2 },
    { VIRTIO_PCI_COMMON_NUMQ, 2 },
    { VIRTIO_PCI_COMMON_STATUS, 1 },
    { VIRTIO_PCI_COMMON_CFGGENERATION, 1 },
    { VIRTIO_PCI_COMMON_Q_SELECT, 2 },
    { VIRTIO_PCI_COMMON_Q_SIZE, 2 },
    { VIRTIO_PCI_COMMON_Q_MSIX, 2 },
    { VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
    { VIRTIO_PCI_COMMON_Q_NOFF, 2 },
    { VIRTIO_PCI_COMMON_Q_DESCLO, 4 },
    { VIRTIO_PCI_COMMON_Q_DESCHI, 4 },
    { VIRTIO_PCI_COMMON_Q_AVAILLO, 4 },
    { VIRTIO_PCI_COMMON_Q_AVAILHI, 4 },
    { VIRTIO_PCI_COMMON_Q_USEDLO, 4 },
    { VIRTIO_PCI_COMMON_Q_USEDHI, 4 },
};

static VirtioPci *to_virtio_pci(PciDevice *pci)
{
    return CONTAINER_OF(pci, VirtioPci, pci);
}

VirtioDevice *virtio_pci_device(Device *dev)
{
    return to_virtio_pci(pci_device(dev))->vdev;
}

static VirtioPci *of_vdev(const VirtioDevice *vdev)
{
    return to_virtio_pci(pci_device(vdev->dev));
}

void virtio_pci_registers_locked(const VirtioDevice *vdev, uint8_t *ret_isr,
                                 uint16_t *ret_queue_select)
{
    const VirtioPci *vp = of_vdev(vdev);

    *ret_isr = vp->isr;
    *ret_queue_select = vp->queue_select;
}

/* The queue that the driver selected, NULL when there is none. */
static Virtqueue *selected_queue(VirtioPci *vp)
{
    return vp->queue_select < vp->vdev->n_queues ? &vp->vdev->queues[vp->queue_select]
                                                 : NULL;
}

static uint32_t half(uint64_t value, bool high)
{
    return value >> (high ? 32 : 0);
}

static uint32_t read_queue_register(VirtioPci *vp, unsigned offset)
{
    const Virtqueue *vq = selected_queue(vp);

    if (!vq)
        return 0;
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return vq->size;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return __atomic_load_n(&vq->vector, __ATOMIC_RELAXED);
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return vq->enabled;
    case VIRTIO_PCI_COMMON_Q_NOFF:
        return vq->index;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        return half(vq->desc_gpa, offset == VIRTIO_PCI_COMMON_Q_DESCHI);
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        return half(vq->avail_gpa, offset == VIRTIO_PCI_COMMON_Q_AVAILHI);
    default:
        return half(vq->used_gpa, offset == VIRTIO_PCI_COMMON_Q_USEDHI);
    }
}

static uint32_t read_register(VirtioPci *vp, unsigned offset)
{
    VirtioDevice *vdev = vp->vdev;

    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return vp->offered_select;
    case VIRTIO_PCI_COMMON_DF:
        return virtio_get_offered(vdev, vp->offered_select);
    case VIRTIO_PCI_COMMON_GFSELECT:
        return vp->features_select;
    case VIRTIO_PCI_COMMON_GF:
        return virtio_get_features(vdev, vp->features_select);
    case VIRTIO_PCI_COMMON_MSIX:
        return vp->config_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
        return vdev->n_queues;
    case VIRTIO_PCI_COMMON_STATUS:
        return vdev->status;
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return vdev->generation;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return vp->queue_select;
    default:
        return read_queue_register(vp, offset);
    }
}

static uint16_t valid_vector(const VirtioPci *vp, uint32_t vector)
{
    return vector < msix_vector_count(&vp->pci) ? vector : MSIX_NO_VECTOR;
}

static void set_half(uint64_t *gpa, bool high, uint32_t value)
{
    unsigned shift = high ? 32 : 0;

    *gpa = (*gpa & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

static void write_queue_register(VirtioPci *vp, unsigned offset, uint32_t value)
{
    Virtqueue *vq = selected_queue(vp);

    if (vq && offset == VIRTIO_PCI_COMMON_Q_MSIX) {
        __atomic_store_n(&vq->vector, valid_vector(vp, value), __ATOMIC_RELAXED);
        if (vp->vdev->class->irqfd_changed)
            vp->vdev->class->irqfd_changed(vp->vdev);
        return;
    }
    if (!vq || !virtio_queue_is_open(vq)) {
        device_guest_error(&vp->pci.dev, "queue %u: register 0x%x cannot be written now",
                           vp->queue_select, offset);
        return;
    }
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        virtio_queue_set_size(vq, value);
        break;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        if (value == 1)
            virtio_queue_enable(vq);
        break;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        set_half(&vq->desc_gpa, offset == VIRTIO_PCI_COMMON_Q_DESCHI, value);
        break;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        set_half(&vq->avail_gpa, offset == VIRTIO_PCI_COMMON_Q_AVAILHI, value);
        break;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        set_half(&vq->used_gpa, offset == VIRTIO_PCI_COMMON_Q_USEDHI, value);
        break;
    }
}

static void write_register(VirtioPci *vp, unsigned offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        vp->offered_select = value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        vp->features_select = value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        virtio_set_features(vp->vdev, vp->features_select, value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        vp->config_vector = valid_vector(vp, value);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        virtio_set_status(vp->vdev, value);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        vp->queue_select = value;
        break;
    case VIRTIO_PCI_COMMON_DF:
    case VIRTIO_PCI_COMMON_NUMQ:
    case VIRTIO_PCI_COMMON_CFGGENERATION:
    case VIRTIO_PCI_COMMON_Q_NOFF:
        break;
    default:
        write_queue_register(vp, offset, value);
    }
}

/* Any bytes; they may belong to several registers. */
static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *vp = opaque;
    uint64_t value = 0;

    lock_take(&vp->pci.dev.lock);
    for (size_t i = 0; i < G_N_ELEMENTS(cfg_registers); i++) {
        const CfgRegister *field = &cfg_registers[i];
        uint64_t bytes;

        if (field->offset >= offset + size || offset >= field->offset + field->size)
            continue;
        bytes = read_register(vp, field->offset);
        value |= field->offset >= offset ? bytes << 8 * (field->offset - offset)
                                         : bytes >> 8 * (offset - field->offset);
    }
    lock_drop(&vp->pci.dev.lock);
    return size == 8 ? value : value & ((1ull << 8 * size) - 1);
}

static bool is_register(uint64_t offset, unsigned size)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cfg_registers); i++) {
        if (cfg_registers[i].offset == offset && cfg_registers[i].size == size)
            return true;
    }
    return false;
}

static void registers_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *vp = opaque;

    if (!is_register(offset, size)) {
        device_guest_error(&vp->pci.dev, "%u bytes written at common register 0x%x", size,
                           (unsigned)offset);
        return;
    }
    lock_take(&vp->pci.dev.lock);
    write_register(vp, offset, value);
    lock_drop(&vp->pci.dev.lock);
    if (offset == VIRTIO_PCI_COMMON_STATUS)
        virtio_settle(vp->vdev);
}

static const RegionOps registers_ops = {
    .read = registers_read,
    .write = registers_write,
    .min_size = 1,
    .max_size = 4,
};

static uint64_t isr_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *vp = opaque;
    uint8_t isr = 0;

    if (offset == 0) {
        lock_take(&vp->pci.dev.lock);
        isr = vp->isr;
        vp->isr = 0;
        pci_intx_set(&vp->pci, false);
        lock_drop(&vp->pci.dev.lock);
    }
    return isr;
}

static const RegionOps isr_ops = {
    .read = isr_read,
    .min_size = 1,
    .max_size = 1,
};

static uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *vp = opaque;
    uint64_t value = 0;

    lock_take(&vp->pci.dev.lock);
    virtio_read_config(vp->vdev, offset, &value, size);
    lock_drop(&vp->pci.dev.lock);
    return GUINT64_FROM_LE(value);
}

static void device_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *vp = opaque;
    uint64_t bytes = GUINT64_TO_LE(value);

    lock_take(&vp->pci.dev.lock);
    virtio_write_config(vp->vdev, offset, &bytes, size);
    lock_drop(&vp->pci.dev.lock);
}

static const RegionOps device_ops = {
    .read = device_read,
    .write = device_write,
    .min_size = 1,
    .max_size = 8,
};

static uint64_t notify_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void notify_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *vp = opaque;
    uint64_t index = offset / NOTIFY_MULTIPLIER;

    if (offset % NOTIFY_MULTIPLIER || index >= vp->vdev->n_queues)
        return;
    lock_take(&vp->pci.dev.lock);
    virtio_queue_kick(&vp->vdev->queues[index]);
    lock_drop(&vp->pci.dev.lock);
}

static const RegionOps notify_ops = {
    .read = notify_read,
    .write = notify_write,
    .min_size = 1,
    .max_size = 4,
};

typedef struct Structure {
    const char *name;
    uint8_t type;               /* VIRTIO_PCI_CAP_* */
    const RegionOps *ops;
} Structure;

/* In the order of their pages. */
static const Structure structures[N_STRUCTURES] = {
    { "virtio-common", VIRTIO_PCI_CAP_COMMON_CFG, &registers_ops },
    { "virtio-isr", VIRTIO_PCI_CAP_ISR_CFG, &isr_ops },
    { "virtio-device", VIRTIO_PCI_CAP_DEVICE_CFG, &device_ops },
    { "virtio-notify", VIRTIO_PCI_CAP_NOTIFY_CFG, &notify_ops },
};

/*
 * The window in configuration space (section 4.1.4.9): what it shows, when it is valid.
 */
static bool window_target(VirtioPci *vp, uint32_t *ret_offset, uint32_t *ret_size)
{
    const PciDevice *pci = &vp->pci;
    unsigned cap = vp->access_cap;
    uint32_t bar, offset, size;

    lock_take(&vp->pci.dev.lock);
    bar = pci_config_get(pci, cap + offsetof(struct virtio_pci_cap, bar), 1);
    offset = pci_config_get(pci, cap + offsetof(struct virtio_pci_cap, offset), 4);
    size = pci_config_get(pci, cap + offsetof(struct virtio_pci_cap, length), 4);
    lock_drop(&vp->pci.dev.lock);
    *ret_offset = offset;
    *ret_size = size;
    return bar == STRUCTURES_BAR && (size == 1 || size == 2 || size == 4) &&
        offset % size == 0 && offset < N_STRUCTURES * STRUCTURE_SIZE;
}

static bool touches_window(const VirtioPci *vp, unsigned offset, unsigned size)
{
    unsigned data = vp->access_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);

    return offset < data + 4 && data < offset + size;
}

static void virtio_pci_before_read(PciDevice *pci, unsigned offset, unsigned size)
{
    VirtioPci *vp = to_virtio_pci(pci);
    unsigned data = vp->access_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
    uint32_t at, width;
    uint64_t value;

    if (!touches_window(vp, offset, size) || !window_target(vp, &at, &width))
        return;
    value = structures[at / STRUCTURE_SIZE].ops->read(vp, at % STRUCTURE_SIZE, width);
    lock_take(&pci->dev.lock);
    pci_config_set(pci, data, 4, value);
    lock_drop(&pci->dev.lock);
}

static void virtio_pci_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    VirtioPci *vp = to_virtio_pci(pci);
    unsigned data = vp->access_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
    uint32_t at, width, value;
    const RegionOps *ops;

    if (touches_window(vp, offset, size) && window_target(vp, &at, &width)) {
        lock_take(&pci->dev.lock);
        value = pci_config_get(pci, data, width);
        lock_drop(&pci->dev.lock);
        ops = structures[at / STRUCTURE_SIZE].ops;
        if (ops->write)
            ops->write(vp, at % STRUCTURE_SIZE, value, width);
    }
    if (offset < PCI_COMMAND + 2 && PCI_COMMAND < offset + size)
        virtio_settle(vp->vdev);
}

static void raise_isr(VirtioPci *vp, uint8_t bit)
{
    lock_take(&vp->pci.dev.lock);
    vp->isr |= bit;
    pci_intx_set(&vp->pci, true);
    lock_drop(&vp->pci.dev.lock);
}

static void virtio_pci_notify_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioPci *vp = of_vdev(vdev);

    if (msix_is_enabled(&vp->pci))
        msix_notify(&vp->pci, __atomic_load_n(&vq->vector, __ATOMIC_RELAXED));
    else
        raise_isr(vp, ISR_QUEUE);
}

static void virtio_pci_notify_config(VirtioDevice *vdev)
{
    VirtioPci *vp = of_vdev(vdev);
    uint16_t vector;

    if (!msix_is_enabled(&vp->pci)) {
        raise_isr(vp, ISR_CONFIG);
        return;
    }
    lock_take(&vp->pci.dev.lock);
    vector = vp->config_vector;
    lock_drop(&vp->pci.dev.lock);
    msix_notify(&vp->pci, vector);
}

static int virtio_pci_queue_irqfd(const VirtioDevice *vdev, const Virtqueue *vq)
{
    return msix_vector_fd(&of_vdev(vdev)->pci,
                          __atomic_load_n(&vq->vector, __ATOMIC_RELAXED));
}

/* Called with dev->lock held. */
static void virtio_pci_vectors_changed(PciDevice *pci)
{
    VirtioDevice *vdev = to_virtio_pci(pci)->vdev;

    if (vdev && vdev->class->irqfd_changed)
        vdev->class->irqfd_changed(vdev);
}

static bool virtio_pci_may_run(const VirtioDevice *vdev)
{
    return pci_config_is_bus_master(&of_vdev(vdev)->pci);
}

typedef void DoorbellFn(Region *region, const RegionDoorbell *doorbell);

/* In a batch, since another vCPU may map or unmap the BAR meanwhile. */
static void change_doorbell(VirtioDevice *vdev, const Virtqueue *vq, DoorbellFn *change)
{
    VirtioPci *vp = of_vdev(vdev);
    AddressSpace *memory = vdev->dev->board->memory;
    RegionDoorbell doorbell = {
        .offset = NOTIFY_MULTIPLIER * vq->index,
        .fd = vq->kick_fd,
    };

    if (!vp->ioeventfd)
        return;
    region_batch_begin(memory);
    change(&vp->structures[N_STRUCTURES - 1], &doorbell);
    region_batch_end(memory);
}

static void virtio_pci_add_doorbell(VirtioDevice *vdev, Virtqueue *vq)
{
    change_doorbell(vdev, vq, region_add_doorbell);
}

static void virtio_pci_remove_doorbell(VirtioDevice *vdev, Virtqueue *vq)
{
    change_doorbell(vdev, vq, region_remove_doorbell);
}

static const VirtioTransport virtio_pci_transport = {
    .notify_queue = virtio_pci_notify_queue,
    .notify_config = virtio_pci_notify_config,
    .queue_irqfd = virtio_pci_queue_irqfd,
    .may_run = virtio_pci_may_run,
    .add_doorbell = virtio_pci_add_doorbell,
    .remove_doorbell = virtio_pci_remove_doorbell,
};

static const PciClass virtio_pci_function = {
    .vendor_id = 0x1af4,
    .device_id = FIRST_DEVICE_ID,
    .subsystem_vendor_id = 0x1af4,
    .subsystem_id = 0x1100,
    .revision = 1,
    .interrupt_pin = 1,
    .before_read = virtio_pci_before_read,
    .after_write = virtio_pci_after_write,
    .vectors_changed = virtio_pci_vectors_changed,
};

/*
 * What every virtio driver takes.  The branches of the schema have these members first,
 * in this order (each device's file asserts it).
 */
static VirtioPciProps transport_props(const DeviceAddArgs *args)
{
    VirtioPciProps props;

    memcpy(&props, &args->u, sizeof(props));
    return props;
}

static bool virtio_pci_check(const DeviceAddArgs *args, GError **error)
{
    VirtioPciProps all = transport_props(args);
    const VirtioPciProps *props = &all;
    const struct {
        bool is_asked_for;
        const char *name;
        const char *reason;
    } absent[] = {
        { props->has_disable_legacy && props->disable_legacy == ON_OFF_AUTO_OFF,
          "disable-legacy", "there is no legacy interface: leave it out" },
        { props->disable_modern, "disable-modern",
          "there is no interface but that of virtio 1: leave it out" },
        { props->iommu_platform, "iommu_platform", "there is no IOMMU: leave it out" },
        { props->packed, "packed", "rings are split ones: leave it out" },
        { props->ats, "ats", "there is no IOMMU: leave it out" },
        { props->aer, "aer", "devices report no errors of the bus: leave it out" },
        { props->page_per_vq, "page-per-vq",
          "doorbells lie beside each other: leave it out" },
        { props->queue_reset, "queue_reset",
          "queues are reset with their device: leave it out" },
        { !props->any_layout, "any_layout", "virtio 1 always has it: leave it out" },
        { props->notify_on_empty, "notify_on_empty",
          "there is no legacy interface: leave it out" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(absent); i++) {
        if (!absent[i].is_asked_for)
            continue;
        error_set(error, "parameter '%s': %s", absent[i].name, absent[i].reason);
        return false;
    }
    return true;
}

static uint8_t add_virtio_cap(PciDevice *pci, uint8_t type, unsigned size)
{
    uint8_t cap = pci_add_cap(pci, PCI_CAP_ID_VNDR, size);

    pci_config_set(pci, cap + offsetof(struct virtio_pci_cap, cap_len), 1, size);
    pci_config_set(pci, cap + offsetof(struct virtio_pci_cap, cfg_type), 1, type);
    return cap;
}

static void add_structure(VirtioPci *vp, unsigned page)
{
    const Structure *structure = &structures[page];
    Region *region = &vp->structures[page];
    PciDevice *pci = &vp->pci;
    bool is_notify = structure->type == VIRTIO_PCI_CAP_NOTIFY_CFG;
    uint8_t cap = add_virtio_cap(pci, structure->type,
                                 is_notify ? sizeof(struct virtio_pci_notify_cap)
                                           : sizeof(struct virtio_pci_cap));

    pci_config_set(pci, cap + offsetof(struct virtio_pci_cap, bar), 1, STRUCTURES_BAR);
    pci_config_set(pci, cap + offsetof(struct virtio_pci_cap, offset), 4,
                   page * STRUCTURE_SIZE);
    pci_config_set(pci, cap + offsetof(struct virtio_pci_cap, length), 4, STRUCTURE_SIZE);
    if (is_notify)
        pci_config_set(pci, cap + sizeof(struct virtio_pci_cap), 4, NOTIFY_MULTIPLIER);
    region_init_io(region, structure->name, STRUCTURE_SIZE, structure->ops, vp, NULL);
    region_add(&vp->bar, page * STRUCTURE_SIZE, region, 0);
}

static void add_access_cap(VirtioPci *vp)
{
    PciDevice *pci = &vp->pci;
    uint8_t cap = add_virtio_cap(pci, VIRTIO_PCI_CAP_PCI_CFG,
                                 sizeof(struct virtio_pci_cfg_cap));

    vp->access_cap = cap;
    pci_config_allow(pci, cap + offsetof(struct virtio_pci_cap, bar), 1, 0xff);
    pci_config_allow(pci, cap + offsetof(struct virtio_pci_cap, offset), 4, UINT32_MAX);
    pci_config_allow(pci, cap + offsetof(struct virtio_pci_cap, length), 4, UINT32_MAX);
    pci_config_allow(pci, cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), 4,
                     UINT32_MAX);
}

static void init_function(VirtioPci *vp, const VirtioClass *class, unsigned n_vectors)
{
    PciDevice *pci = &vp->pci;

    pci_config_set(pci, PCI_DEVICE_ID, 2, FIRST_DEVICE_ID + class->id);
    pci_config_set(pci, PCI_CLASS_REVISION, 4,
                   class->pci_class << 8 | virtio_pci_function.revision);
    if (pci_bus_is_below_port(pci->bus)) {
        pci_add_endpoint_cap(pci);
        pci_add_pm_cap(pci);
    }
    region_init_container(&vp->bar, "virtio", N_STRUCTURES * STRUCTURE_SIZE);
    for (unsigned page = 0; page < N_STRUCTURES; page++)
        add_structure(vp, page);
    add_access_cap(vp);
    pci_bar_add(pci, STRUCTURES_BAR, &vp->bar,
                PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
    if (n_vectors)
        msix_add(pci, n_vectors, MSIX_BAR);
    vp->config_vector = MSIX_NO_VECTOR;
}

static bool virtio_pci_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    const VirtioClass *class = device_kinds[args->driver].virtio;
    VirtioPci *vp = to_virtio_pci(pci_device(dev));
    VirtioPciProps props = transport_props(args);
    unsigned n_vectors = class->n_vectors;
    uint64_t features = 0;

    if (!pci_device_init(&vp->pci, &virtio_pci_function, error))
        return false;
    if (props.event_idx)
        features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
    if (props.indirect_desc)
        features |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
    vp->ioeventfd = props.ioeventfd;
    vp->vdev = virtio_device_new(class, &virtio_pci_transport, dev, features, error);
    if (!vp->vdev) {
        pci_device_done(&vp->pci);
        return false;
    }
    if (props.has_vectors)
        n_vectors = props.vectors;
    else if (n_vectors == 0)
        n_vectors = vp->vdev->n_queues + 1;
    init_function(vp, class, n_vectors);
    return true;
}

static void virtio_pci_unrealize(Device *dev)
{
    VirtioPci *vp = to_virtio_pci(pci_device(dev));

    virtio_device_free(vp->vdev);
    for (unsigned page = 0; page < N_STRUCTURES; page++)
        region_done(&vp->structures[page]);
    pci_device_done(&vp->pci);
    region_done(&vp->bar);
}

static void virtio_pci_reset(Device *dev)
{
    VirtioPci *vp = to_virtio_pci(pci_device(dev));

    virtio_reset(vp->vdev);
    lock_take(&dev->lock);
    vp->offered_select = 0;
    vp->features_select = 0;
    vp->queue_select = 0;
    vp->config_vector = MSIX_NO_VECTOR;
    vp->isr = 0;
    lock_drop(&dev->lock);
    pci_device_reset(&vp->pci);
}

static void virtio_pci_machine_reset(Device *dev)
{
    VirtioDevice *vdev = virtio_pci_device(dev);

    if (vdev->class->machine_reset)
        vdev->class->machine_reset(vdev);
}

static bool virtio_pci_check_removal(Device *dev, GError **error)
{
    VirtioDevice *vdev = virtio_pci_device(dev);

    return !vdev->class->check_removal || vdev->class->check_removal(vdev, error);
}

static void virtio_pci_withdraw(Device *dev)
{
    VirtioDevice *vdev = virtio_pci_device(dev);

    if (vdev->class->withdraw)
        vdev->class->withdraw(vdev);
}

static bool virtio_pci_is_draining(Device *dev)
{
    VirtioDevice *vdev = virtio_pci_device(dev);

    return virtio_is_draining(vdev) ||
           (vdev->class->is_draining && vdev->class->is_draining(vdev));
}

static void virtio_pci_settle(Device *dev)
{
    virtio_settle(virtio_pci_device(dev));
}

static bool virtio_pci_memory_added(Device *dev, GError **error)
{
    return virtio_memory_added(virtio_pci_device(dev), error);
}

static void virtio_pci_memory_removed(Device *dev)
{
    virtio_restart(virtio_pci_device(dev));
}

static bool virtio_pci_uses_removed(Device *dev)
{
    return virtio_is_restarting(virtio_pci_device(dev));
}

static void *vdev_via(void *opaque, const VMStateDesc **ret_desc)
{
    *ret_desc = &virtio_vmstate;
    return ((VirtioPci *)opaque)->vdev;
}

static bool virtio_pci_post_load(void *opaque, GError **error)
{
    VirtioPci *vp = opaque;

    vp->config_vector = valid_vector(vp, vp->config_vector);
    for (uint32_t i = 0; i < vp->vdev->n_queues; i++) {
        Virtqueue *vq = &vp->vdev->queues[i];

        vq->vector = valid_vector(vp, vq->vector);
    }
    return true;
}

static const VMStateField virtio_pci_fields[] = {
    VMSTATE_PCI(VirtioPci, pci),
    VMSTATE_VIA("vdev", vdev_via),
    VMSTATE_U32(VirtioPci, offered_select),
    VMSTATE_U32(VirtioPci, features_select),
    VMSTATE_U16(VirtioPci, queue_select),
    VMSTATE_U16(VirtioPci, config_vector),
    VMSTATE_U8(VirtioPci, isr),
    VMSTATE_END
};

static const VMStateDesc virtio_pci_vmstate = {
    .name = "virtio-pci", .version = 1, .min_version = 1, .fields = virtio_pci_fields,
    .post_load = virtio_pci_post_load,
};

const DeviceClass virtio_pci_class = {
    .name = "virtio-pci",
    .description = "virtio device",
    .bus = BUS_PCI,
    .instance_size = sizeof(VirtioPci),
    .vmstate = &virtio_pci_vmstate,
    .check = virtio_pci_check,
    .realize = virtio_pci_realize,
    .unrealize = virtio_pci_unrealize,
    .reset = virtio_pci_reset,
    .machine_reset = virtio_pci_machine_reset,
    .check_removal = virtio_pci_check_removal,
    .withdraw = virtio_pci_withdraw,
    .pause = virtio_pci_settle,
    .resume = virtio_pci_settle,
    .is_draining = virtio_pci_is_draining,
    .memory_added = virtio_pci_memory_added,
    .memory_removed = virtio_pci_memory_removed,
    .uses_removed = virtio_pci_uses_removed,
};
