/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware and the guest read by fw_cfg, for info roms.
 */
#include "berth/fw-cfg.h"

#include "hmp-call.h"

static void show_file(void *opaque, const char *name, size_t size)
{
    hmp_printf(opaque, "fw=%s size=0x%06zx name=\"%s\"\n", name, size, name);
}

void fw_cfg_hmp_show(HmpCall *call)
{
    if (call->ctx->tree)
        fw_cfg_visit_files(call->ctx->tree, show_file, call);
}
