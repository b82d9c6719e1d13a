/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i6300esb: the watchdog of Intel's 6300ESB I/O controller hub, a PCI function of its own
 * (data sheet 300641, chapter 16).
 *
 *     BAR 0   00  preload 1       08  general interrupt status
 *             04  preload 2       0c  reload: 8 reload, 9 timed out
 *     config  60  configuration: 5 no output, 2 fast, 1:0 kind of the interrupt
 *             68  lock: 2 free-running, 1 enabled, 0 locked
 *
 *     off --enable--> stage 1 --expires--> stage 2 --expires--> timed out
 *                        ^                    |                     |
 *                        +------- reload -----+---------------------+
 *
 * The counter has 35 bits at the 33 MHz of PCI; a preload value is its bits 34 to 15, or
 * 24 to 5 when it is fast.  At the end of stage 1 the interrupt status is set; the wire
 * goes to an interrupt controller which this machine has not.  At the end of stage 2, if
 * the output is on, the board hears of it.  A free-running timer has stage 2 alone, again
 * and again, and changes its output each time.
 *
 * Each write of a preload value or of the reload register has to be unlocked by writes of
 * 0x80 and 0x86 to the latter.  That it timed out is kept over resets, for the guest to
 * see after the one that it brought about.
 */
#include "berth/device-timer.h"
#include "berth/error.h"
#include "berth/pci.h"
#include "berth/thread.h"

#include "berth/i6300esb.h"

#define REG_CONFIG 0x60u
#define REG_LOCK 0x68u

#define CONFIG_NO_OUTPUT (1u << 5)
#define CONFIG_FAST (1u << 2)
#define CONFIG_INTERRUPT 3u
#define CONFIG_INTERRUPT_OFF 3u
#define CONFIG_BITS (CONFIG_NO_OUTPUT | CONFIG_FAST | CONFIG_INTERRUPT)
#define LOCK_FREE_RUNNING (1u << 2)
#define LOCK_ENABLE (1u << 1)
#define LOCK_LOCKED (1u << 0)
#define LOCK_BITS 7u

#define BAR_SIZE 16u
#define MMIO_PRELOAD_1 0x0u
#define MMIO_PRELOAD_2 0x4u
#define MMIO_INTERRUPT 0x8u
#define MMIO_RELOAD 0xcu
#define RELOAD_RELOAD (1u << 8)
#define RELOAD_TIMEOUT (1u << 9)
#define UNLOCK_1 0x80u
#define UNLOCK_2 0x86u
#define PRELOAD_BITS 0xfffffu

/* A cycle of 33 MHz is 1000/33 ns. */
#define SLOW_SHIFT 15
#define FAST_SHIFT 5
/* A free-running timer may keep main no busier. */
#define STAGE_MIN_NS NS_PER_MS
#define STAGE_MAX_NS (((int64_t)PRELOAD_BITS << SLOW_SHIFT) * 1000 / 33)

typedef struct I6300esb {
    PciDevice pci;
    Region region;
    DeviceClock clock;
    DeviceTimer timer;

    /* Under dev.lock. */
    uint32_t preload[2];
    uint8_t lock;               /* the register as it counts; config[] follows it */
    uint8_t stage;              /* 1 or 2 */
    uint8_t unlocking;          /* writes of the sequence that have come */
    bool interrupt;
    bool timed_out;
    bool output;                /* asserted, by a free-running timer */
} I6300esb;

static I6300esb *to_esb(Device *dev)
{
    return CONTAINER_OF(dev, I6300esb, pci.dev);
}

static uint32_t config(const I6300esb *esb)
{
    return pci_config_get(&esb->pci, REG_CONFIG, 2);
}

static void enter_stage(I6300esb *esb, uint8_t stage)
{
    unsigned shift = config(esb) & CONFIG_FAST ? FAST_SHIFT : SLOW_SHIFT;
    int64_t ns = ((int64_t)esb->preload[stage - 1] << shift) * 1000 / 33;

    esb->stage = stage;
    device_timer_set(&esb->timer,
                     device_clock_ns(&esb->clock) + MAX(ns, STAGE_MIN_NS));
}

static void restart(I6300esb *esb)
{
    if (esb->lock & LOCK_ENABLE)
        enter_stage(esb, esb->lock & LOCK_FREE_RUNNING ? 2 : 1);
}

static void expire(I6300esb *esb)
{
    Board *board = esb->pci.dev.board;

    if (!(config(esb) & CONFIG_NO_OUTPUT))
        board->ops->watchdog_expired(board->opaque);
}

/* On main, under the lock. */
static void on_timer(void *opaque)
{
    I6300esb *esb = opaque;

    if (esb->stage == 1) {
        if ((config(esb) & CONFIG_INTERRUPT) != CONFIG_INTERRUPT_OFF)
            esb->interrupt = true;
        enter_stage(esb, 2);
        return;
    }
    esb->timed_out = true;
    if (!(esb->lock & LOCK_FREE_RUNNING)) {
        expire(esb);
        return;
    }
    esb->output = !esb->output;
    if (esb->output)
        expire(esb);
    enter_stage(esb, 2);
}

static uint64_t esb_read(void *opaque, uint64_t offset, unsigned size)
{
    I6300esb *esb = opaque;
    uint32_t value = 0;

    switch (offset & ~3u) {
    case MMIO_PRELOAD_1:
    case MMIO_PRELOAD_2:
        value = esb->preload[offset / 4];
        break;
    case MMIO_INTERRUPT:
        value = esb->interrupt;
        break;
    case MMIO_RELOAD:
        value = esb->timed_out ? RELOAD_TIMEOUT : 0;
        break;
    }
    return value >> 8 * (offset & 3);
}

static void write_unlocked(I6300esb *esb, uint64_t offset, uint32_t value, uint32_t mask)
{
    switch (offset & ~3u) {
    case MMIO_PRELOAD_1:
    case MMIO_PRELOAD_2:
        esb->preload[offset / 4] =
            ((esb->preload[offset / 4] & ~mask) | value) & PRELOAD_BITS;
        break;
    case MMIO_RELOAD:
        if (value & RELOAD_TIMEOUT)
            esb->timed_out = false;
        if (value & RELOAD_RELOAD)
            restart(esb);
        break;
    }
}

static void esb_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I6300esb *esb = opaque;
    unsigned shift = 8 * (offset & 3);
    uint32_t mask = (uint32_t)(((1ull << 8 * size) - 1) << shift);

    value &= UINT32_MAX >> (32 - 8 * size);
    if (offset == MMIO_RELOAD && value == UNLOCK_1) {
        esb->unlocking = 1;
    } else if (offset == MMIO_RELOAD && value == UNLOCK_2 && esb->unlocking == 1) {
        esb->unlocking = 2;
    } else if ((offset & ~3u) == MMIO_INTERRUPT) {
        if (value << shift & 1)
            esb->interrupt = false;
    } else {
        if (esb->unlocking == 2)
            write_unlocked(esb, offset, (uint32_t)(value << shift), mask);
        esb->unlocking = 0;
    }
}

static const RegionOps esb_ops = { .read = esb_read, .write = esb_write, .max_size = 4 };

/* The lock register has been written: takes what is new, or puts back what was. */
static void esb_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    I6300esb *esb = to_esb(&pci->dev);
    uint8_t old, now;

    if (offset > REG_LOCK || offset + size <= REG_LOCK)
        return;
    lock_take(&pci->dev.lock);
    old = esb->lock;
    now = (uint8_t)pci_config_get(pci, REG_LOCK, 1) & LOCK_BITS;
    if (old & LOCK_LOCKED) {
        pci_config_set(pci, REG_LOCK, 1, old);
    } else {
        esb->lock = now;
        if (!(now & LOCK_ENABLE))
            device_timer_cancel(&esb->timer);
        else if (!(old & LOCK_ENABLE))
            restart(esb);
    }
    lock_drop(&pci->dev.lock);
}

static const PciClass esb_pci_class = {
    .vendor_id = 0x8086,
    .device_id = 0x25ab,
    .subsystem_vendor_id = 0x1af4,
    .subsystem_id = 0x1100,
    .class_code = 0x088000,
    .after_write = esb_after_write,
};

static bool esb_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    I6300esb *esb = to_esb(dev);

    if (!pci_device_init(&esb->pci, &esb_pci_class, error))
        return false;
    pci_config_allow(&esb->pci, REG_CONFIG, 2, CONFIG_BITS);
    pci_config_allow(&esb->pci, REG_LOCK, 1, LOCK_BITS);
    region_init_io(&esb->region, "i6300esb", BAR_SIZE, &esb_ops, esb, &dev->lock);
    pci_bar_add(&esb->pci, 0, &esb->region, 0);
    device_timer_init(&esb->timer, dev, &esb->clock, on_timer, esb);
    return true;
}

static void esb_unrealize(Device *dev)
{
    I6300esb *esb = to_esb(dev);

    device_timer_done(&esb->timer);
    pci_device_done(&esb->pci);
    region_done(&esb->region);
}

static void esb_reset(Device *dev)
{
    I6300esb *esb = to_esb(dev);

    pci_device_reset(&esb->pci);
    lock_take(&dev->lock);
    esb->preload[0] = PRELOAD_BITS;
    esb->preload[1] = PRELOAD_BITS;
    esb->lock = 0;
    esb->stage = 1;
    esb->unlocking = 0;
    esb->interrupt = false;
    esb->output = false;
    device_timer_cancel(&esb->timer);
    lock_drop(&dev->lock);
}

static void esb_pause(Device *dev)
{
    I6300esb *esb = to_esb(dev);

    lock_take(&dev->lock);
    device_clock_stop(&esb->clock);
    device_timer_rearm(&esb->timer);
    lock_drop(&dev->lock);
}

static void esb_resume(Device *dev)
{
    I6300esb *esb = to_esb(dev);

    lock_take(&dev->lock);
    device_clock_start(&esb->clock);
    device_timer_rearm(&esb->timer);
    lock_drop(&dev->lock);
}

static bool esb_post_load(void *opaque, GError **error)
{
    I6300esb *esb = opaque;

    if (!device_clock_is_sane(&esb->clock) ||
        !device_timer_is_sane(&esb->timer, STAGE_MAX_NS)) {
        error_set(error, "field 'clock' or 'timer' is no time of the counter");
        return false;
    }
    if (esb->stage < 1 || esb->stage > 2 || esb->unlocking > 2) {
        error_set(error, "field 'stage' or 'unlocking' is no state of the watchdog");
        return false;
    }
    esb->lock &= LOCK_BITS;
    pci_config_set(&esb->pci, REG_LOCK, 1, esb->lock);
    esb->preload[0] &= PRELOAD_BITS;
    esb->preload[1] &= PRELOAD_BITS;
    return true;
}

static const VMStateField esb_fields[] = {
    VMSTATE_PCI(I6300esb, pci),
    VMSTATE_I64(I6300esb, clock.elapsed_ns),
    VMSTATE_I64(I6300esb, timer.deadline_ns),
    VMSTATE_U32_ARRAY(I6300esb, preload, 2),
    VMSTATE_U8(I6300esb, lock),
    VMSTATE_U8(I6300esb, stage),
    VMSTATE_U8(I6300esb, unlocking),
    VMSTATE_BOOL(I6300esb, interrupt),
    VMSTATE_BOOL(I6300esb, timed_out),
    VMSTATE_BOOL(I6300esb, output),
    VMSTATE_END
};

static const VMStateDesc esb_vmstate = {
    .name = "i6300esb",
    .version = 1,
    .min_version = 1,
    .fields = esb_fields,
    .post_load = esb_post_load,
};

const DeviceClass i6300esb_class = {
    .name = "i6300esb",
    .description = "watchdog of the Intel 6300ESB",
    .bus = BUS_PCI,
    .instance_size = sizeof(I6300esb),
    .vmstate = &esb_vmstate,
    .realize = esb_realize,
    .unrealize = esb_unrealize,
    .reset = esb_reset,
    .pause = esb_pause,
    .resume = esb_resume,
};
