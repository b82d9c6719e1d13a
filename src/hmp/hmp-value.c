/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values: expressions, I/O ports, sizes.
 */
#include "berth/error.h"
#include "berth/machine.h"

#include "hmp-call.h"

#define PORT_MASK 0xffffu

char *hmp_size_text(int64_t bytes)
{
    static const char units[][4] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double size = (double)bytes;
    size_t unit = 0;

    while (size >= 1000 && unit + 1 < G_N_ELEMENTS(units)) {
        size /= 1024;
        unit++;
    }
    return g_strdup_printf("%.3g %s", size, units[unit]);
}

void hmp_show_character(HmpCall *call, uint8_t c)
{
    switch (c) {
    case '\'':
    case '\\':
        hmp_printf(call, "'\\%c'", c);
        break;
    case '\n':
        hmp_printf(call, "'\\n'");
        break;
    case '\r':
        hmp_printf(call, "'\\r'");
        break;
    default:
        if (c >= 32 && c <= 126)
            hmp_printf(call, "'%c'", c);
        else
            hmp_printf(call, "'\\x%02x'", c);
    }
}

void hmp_print(HmpCall *call)
{
    int64_t value = hmp_int(call, "value");

    switch (call->state->format.letter) {
    case 'o':
        hmp_printf(call, "%#" PRIo64, (uint64_t)value);
        break;
    case 'x':
        hmp_printf(call, "%#" PRIx64, (uint64_t)value);
        break;
    case 'u':
        hmp_printf(call, "%" PRIu64, (uint64_t)value);
        break;
    case 'c':
        hmp_show_character(call, (uint8_t)value);
        break;
    default:
        hmp_printf(call, "%" PRId64, value);
        break;
    }
    hmp_printf(call, "\n");
}

/* NULL when the machine has no ports. */
static AddressSpace *find_ports(HmpCall *call)
{
    AddressSpace *io = call->ctx->machine ? call->ctx->machine->io : NULL;
    GError *error = NULL;

    if (!io) {
        error_set(&error, "the machine has no I/O ports");
        hmp_fail(call, error);
    }
    return io;
}

/* A port has 1, 2 or 4 bytes. */
static unsigned port_size(const HmpCall *call)
{
    return MIN(call->state->format.size, 4);
}

void hmp_i(HmpCall *call)
{
    uint32_t port = (uint32_t)hmp_int(call, "port");
    uint8_t index = (uint8_t)hmp_int(call, "index");
    AddressSpace *io = find_ports(call);
    unsigned size = port_size(call);
    uint32_t value = 0;

    if (!io)
        return;
    if (hmp_has(call, "index")) {
        address_space_write(io, port & PORT_MASK, &index, sizeof(index));
        port++;
    }
    port &= PORT_MASK;
    address_space_read(io, port, &value, size);
    hmp_printf(call, "port%c[0x%04x] = 0x%0*x\n", "bbwll"[size], port, (int)size * 2,
               value);
}

void hmp_o(HmpCall *call)
{
    uint32_t value = (uint32_t)hmp_int(call, "value");
    AddressSpace *io = find_ports(call);

    if (io)
        address_space_write(io, (uint64_t)hmp_int(call, "port") & PORT_MASK, &value,
                            port_size(call));
}
