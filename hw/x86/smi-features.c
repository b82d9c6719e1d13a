/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Negotiation of features of SMIs (fw_cfg's folder etc/smi, of QEMU).  Firmware writes
 * what it wants and selects "features-ok": all of it, if there is all of it, or nothing.
 * What is agreed cannot be changed before a reset, so nothing that runs later can take it
 * back.
 *
 * Who is to hear of processors that come has to interrupt all, and who is to hear of
 * those that go has to hear of those that come.
 */
#include "berth/error.h"
#include "berth/smi-features.h"
#include "berth/trace.h"

/* Whether they can be agreed on. */
static bool go_together(const SmiFeatures *features, uint64_t wanted)
{
    bool plug = wanted & SMI_CPU_HOTPLUG;
    bool unplug = wanted & SMI_CPU_HOT_UNPLUG;

    return !(wanted & ~features->offered) && (!plug || wanted & SMI_BROADCAST) &&
           (!unplug || plug);
}

void smi_features_confirm(void *opaque)
{
    SmiFeatures *features = opaque;
    uint64_t wanted = GUINT64_FROM_LE(features->requested);

    if (features->ok || !go_together(features, wanted))
        return;
    TRACE(smi_features, "0x%" PRIx64, wanted);
    features->ok = 1;
    __atomic_store_n(&features->agreed, wanted, __ATOMIC_RELAXED);
}

void smi_features_reset(SmiFeatures *features)
{
    features->requested = 0;
    features->ok = 0;
    __atomic_store_n(&features->agreed, 0, __ATOMIC_RELAXED);
}

uint64_t smi_features_agreed(const SmiFeatures *features)
{
    return __atomic_load_n(&features->agreed, __ATOMIC_RELAXED);
}

static bool smi_features_post_load(void *opaque, GError **error)
{
    SmiFeatures *features = opaque;

    if (features->ok <= 1 && go_together(features, features->agreed) &&
        (features->ok || !features->agreed))
        return true;
    error_set(error, "field 'smi': features are agreed on that there are not");
    return false;
}

static const VMStateField smi_features_fields[] = {
    VMSTATE_U64(SmiFeatures, requested),
    VMSTATE_U8(SmiFeatures, ok),
    VMSTATE_U64(SmiFeatures, agreed),
    VMSTATE_END
};

const VMStateDesc smi_features_vmstate = {
    .name = "smi-features",
    .version = 1,
    .min_version = 1,
    .fields = smi_features_fields,
    .post_load = smi_features_post_load,
};
