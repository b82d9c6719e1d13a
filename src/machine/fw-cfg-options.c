/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that the operator gives to the guest.  Names outside "opt/" are firmware's, and
 * one that is taken is refused; the others come with a warning, as an operator may know
 * what he does.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/file-read.h"

#include "berth/fw-cfg-options.h"

/* What one file may hold of the host's memory. */
#define CONTENT_MAX (64 * MIB)

/* The content, or NULL with @error. */
static GBytes *read_content(const FwCfgOption *option, GError **error)
{
    uint8_t *data;
    size_t size;

    if (option->gen_id) {
        error_set(error, "parameter 'gen_id': object '%s' makes no content for fw_cfg",
                  option->gen_id);
        return NULL;
    }
    if (!option->file == !option->string) {
        error_set(error, "expected one of the parameters 'file' and 'string'");
        return NULL;
    }
    if (option->string)
        return g_bytes_new(option->string, strlen(option->string));
    data = file_read(option->file, CONTENT_MAX, &size, error);
    return data ? g_bytes_new_take(data, size) : NULL;
}

static bool add_one(FwCfg *fw_cfg, const FwCfgOption *option, GError **error)
{
    GBytes *bytes;

    if (!*option->name || strlen(option->name) > FW_CFG_NAME_MAX) {
        error_set(error, "parameter 'name' expects 1 to %u bytes", FW_CFG_NAME_MAX);
        return false;
    }
    bytes = read_content(option, error);
    if (!bytes || !fw_cfg_add_file(fw_cfg, option->name, bytes, error))
        return false;
    if (!g_str_has_prefix(option->name, "opt/"))
        log_warn("-fw_cfg: '%s' does not begin with 'opt/': firmware may know the name",
                 option->name);
    return true;
}

bool fw_cfg_options_add(FwCfg *fw_cfg, const GPtrArray *options, GError **error)
{
    for (guint i = 0; i < options->len; i++) {
        const FwCfgOption *option = g_ptr_array_index(options, i);

        if (!add_one(fw_cfg, option, error)) {
            g_prefix_error(error, "-fw_cfg %s: ", option->name);
            return false;
        }
    }
    return true;
}
