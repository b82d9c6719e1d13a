/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info virtio and its kin, in the lines that QEMU's monitor has.
 */
#include "qmp-commands.h"

#include "hmp-call.h"

static const char *true_false(bool value)
{
    return value ? "true" : "false";
}

void hmp_info_virtio(HmpCall *call, const VirtioInfoList *value)
{
    if (value->n == 0)
        hmp_printf(call, "No VirtIO devices\n");
    for (size_t i = 0; i < value->n; i++)
        hmp_printf(call, "%s [%s]\n", value->items[i]->path, value->items[i]->name);
}

static void show_names(HmpCall *call, const StrList *names)
{
    for (size_t i = 0; names && i < names->n; i++)
        hmp_printf(call, "\t%s%s\n", names->items[i], i + 1 < names->n ? "," : "");
}

static void show_features(HmpCall *call, const char *whose,
                          const VirtioDeviceFeatures *features)
{
    hmp_printf(call, "  %s features:\n", whose);
    show_names(call, features->transports);
    show_names(call, features->dev_features);
    if (features->has_unknown_dev_features)
        hmp_printf(call, "  unknown-features(0x%016" PRIx64 ")\n",
                   features->unknown_dev_features);
}

static void show_status(HmpCall *call, const VirtioDeviceStatus *status)
{
    hmp_printf(call, "  status:\n");
    show_names(call, status->statuses);
    if (status->has_unknown_statuses)
        hmp_printf(call, "  unknown-statuses(0x%02x)\n", status->unknown_statuses);
}

void hmp_info_virtio_status(HmpCall *call, const VirtioStatus *value)
{
    hmp_printf(call, "%s:\n  device_name:             %s\n"
               "  device_id:               %d\n", hmp_text(call, "path"), value->name,
               value->device_id);
    hmp_printf(call, "  vhost_started:           %s\n  bus_name:                %s\n"
               "  broken:                  %s\n  disabled:                %s\n",
               true_false(value->vhost_started), value->bus_name,
               true_false(value->broken), true_false(value->disabled));
    hmp_printf(call, "  disable_legacy_check:    %s\n  started:                 %s\n"
               "  use_started:             %s\n  start_on_kick:           %s\n",
               true_false(value->disable_legacy_check), true_false(value->started),
               true_false(value->use_started), true_false(value->start_on_kick));
    hmp_printf(call, "  use_guest_notifier_mask: %s\n  vm_running:              %s\n"
               "  num_vqs:                 %" PRId64 "\n"
               "  queue_sel:               %d\n  isr:                     %d\n"
               "  endianness:              %s\n",
               true_false(value->use_guest_notifier_mask), true_false(value->vm_running),
               value->num_vqs, value->queue_sel, value->isr, value->device_endian);
    show_status(call, value->status);
    show_features(call, "Guest", value->guest_features);
    show_features(call, "Host", value->host_features);
    show_features(call, "Backend", value->backend_features);
}

void hmp_info_virtio_queue_status(HmpCall *call, const VirtQueueStatus *value)
{
    hmp_printf(call, "%s:\n  device_name:          %s\n  queue_index:          %d\n"
               "  inuse:                %" PRIu32 "\n  used_idx:             %d\n"
               "  signalled_used:       %d\n  signalled_used_valid: %s\n",
               hmp_text(call, "path"), value->name, value->queue_index, value->inuse,
               value->used_idx, value->signalled_used,
               true_false(value->signalled_used_valid));
    if (value->has_last_avail_idx)
        hmp_printf(call, "  last_avail_idx:       %d\n", value->last_avail_idx);
    if (value->has_shadow_avail_idx)
        hmp_printf(call, "  shadow_avail_idx:     %d\n", value->shadow_avail_idx);
    hmp_printf(call, "  VRing:\n    num:          %" PRIu32 "\n    num_default:  %" PRIu32
               "\n    align:        %" PRIu32 "\n    desc:         0x%016" PRIx64
               "\n    avail:        0x%016" PRIx64 "\n    used:         0x%016" PRIx64
               "\n", value->vring_num, value->vring_num_default, value->vring_align,
               value->vring_desc, value->vring_avail, value->vring_used);
}
