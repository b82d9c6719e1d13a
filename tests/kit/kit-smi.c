/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "kit-smi.h"

#define KEY_DIRECTORY 0x19u
#define DMA_WRITE 0x18u                 /* with a selection */
#define DESCRIPTOR 0x1000u              /* in guest memory */
#define DATA 0x2000u

static void out(Machine *machine, uint16_t port, unsigned size, uint32_t value)
{
    vm_fake_write(machine->vm, machine->io, port, size, value);
}

static uint8_t read_byte(Machine *machine)
{
    return (uint8_t)vm_fake_read(machine->vm, machine->io, X86_PORT_FW_CFG + 1, 1);
}

uint32_t kit_smi_read(Machine *machine, unsigned size)
{
    uint32_t value = 0;

    while (size-- > 0)
        value = value << 8 | read_byte(machine);
    return value;
}

uint16_t kit_smi_select(Machine *machine, const char *name)
{
    unsigned n;

    out(machine, X86_PORT_FW_CFG, 2, KEY_DIRECTORY);
    n = kit_smi_read(machine, 4);
    for (unsigned i = 0; i < n; i++) {
        char file[56];
        uint16_t key;

        kit_smi_read(machine, 4);
        key = kit_smi_read(machine, 4) >> 16;
        for (size_t at = 0; at < sizeof(file); at++)
            file[at] = (char)read_byte(machine);
        if (strcmp(file, name) == 0) {
            out(machine, X86_PORT_FW_CFG, 2, key);
            return key;
        }
    }
    return 0;
}

uint64_t kit_smi_supported(Machine *machine)
{
    uint64_t features = 0;

    g_assert_cmpuint(kit_smi_select(machine, "etc/smi/supported-features"), !=, 0);
    for (unsigned i = 0; i < 8; i++)
        features |= (uint64_t)read_byte(machine) << (8 * i);
    return features;
}

bool kit_smi_negotiate(Machine *machine, uint64_t features)
{
    uint16_t key = kit_smi_select(machine, "etc/smi/requested-features");
    const uint32_t dma[4] = {
        GUINT32_TO_BE((uint32_t)key << 16 | DMA_WRITE), GUINT32_TO_BE(8), 0,
        GUINT32_TO_BE(DATA),
    };
    uint64_t little = GUINT64_TO_LE(features);

    g_assert_cmpuint(key, !=, 0);
    address_space_write(machine->memory, DESCRIPTOR, dma, sizeof(dma));
    address_space_write(machine->memory, DATA, &little, sizeof(little));
    out(machine, X86_PORT_FW_CFG + 8, 4, GUINT32_SWAP_LE_BE(DESCRIPTOR));
    g_assert_cmpuint(vm_fake_read(machine->vm, machine->memory, DESCRIPTOR, 4), ==, 0);
    g_assert_cmpuint(kit_smi_select(machine, "etc/smi/features-ok"), !=, 0);
    return read_byte(machine);
}
