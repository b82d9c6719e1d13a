/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump-guest-memory: flags to formats.
 */
#include "berth/error.h"

#include "qmp-commands.h"

#include "hmp-call.h"

static const struct {
    const char *flag;
    DumpGuestMemoryFormat plain;
    DumpGuestMemoryFormat raw;
} formats[] = {
    { "zlib", DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB,
      DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_ZLIB },
    { "lzo", DUMP_GUEST_MEMORY_FORMAT_KDUMP_LZO, DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_LZO },
    { "snappy", DUMP_GUEST_MEMORY_FORMAT_KDUMP_SNAPPY,
      DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_SNAPPY },
    { "windows", DUMP_GUEST_MEMORY_FORMAT_WIN_DMP, DUMP_GUEST_MEMORY_FORMAT_WIN_DMP },
};

static bool find_format(const HmpCall *call, DumpGuestMemoryFormat *ret_format,
                        GError **error)
{
    unsigned n = 0;

    *ret_format = DUMP_GUEST_MEMORY_FORMAT_ELF;
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (!hmp_flag(call, formats[i].flag))
            continue;
        *ret_format = hmp_flag(call, "raw") ? formats[i].raw : formats[i].plain;
        n++;
    }
    if (n > 1)
        error_set(error, "only one of '-z|-l|-s|-w' can be set");
    return n <= 1;
}

void hmp_dump_guest_memory(HmpCall *call)
{
    g_autofree char *protocol = g_strconcat("file:", hmp_text(call, "file"), NULL);
    GError *error = NULL;
    DumpGuestMemoryArgs args = {
        .paging = hmp_flag(call, "paging"),
        .protocol = protocol,
        .has_detach = true,
        .detach = hmp_flag(call, "detach"),
        .has_begin = hmp_has(call, "begin"),
        .begin = hmp_int(call, "begin"),
        .has_length = hmp_has(call, "length"),
        .length = hmp_int(call, "length"),
        .has_format = true,
    };

    if (find_format(call, &args.format, &error))
        hmp_call_qmp(call, QMP_COMMAND_DUMP_GUEST_MEMORY, &args);
    else
        hmp_fail(call, error);
}
