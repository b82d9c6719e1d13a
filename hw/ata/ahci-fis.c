/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device sends (Serial ATA 3.x, 10.5): frames, which the port writes to where the
 * guest receives them (AHCI 4.2.1) and takes into its registers.
 *
 *     00h  DMA setup           40h  device to host register
 *     20h  PIO setup           58h  set device bits
 */
#include <string.h>

#include "ahci.h"

#define FIS_REGISTERS 0x34
#define FIS_PIO_SETUP 0x5f
#define FIS_SET_BITS 0xa1

#define AT_PIO_SETUP 0x20u
#define AT_REGISTERS 0x40u
#define AT_SET_BITS 0x58u

#define FIS_SIZE 20u
#define SET_BITS_SIZE 8u
#define INTERRUPTS 0x40                 /* of byte 1 */
#define TO_GUEST 0x20                   /* of a PIO setup FIS */
#define SET_BITS_MASK 0x77              /* BSY and DRQ are not in the status there */

void ahci_fis_raise(AhciPort *port, uint32_t bits)
{
    port->is |= bits;
    ahci_update_irq(port->ahci, true);
}

static void receive(AhciPort *port, unsigned at, const uint8_t *fis, unsigned size)
{
    Device *dev = &port->ahci->pci.dev;
    uint8_t *to;

    if (!(port->cmd & AHCI_CMD_FRE))
        return;
    to = address_space_map(dev->board->memory, port->fb + at, size, true);
    if (to)
        memcpy(to, fis, size);
    else
        device_guest_error(dev, "port %u: frames to 0x%" PRIx64 ", which is not RAM",
                           port->number, port->fb);
}

static void put_registers(uint8_t *fis, uint8_t type, const AtaResult *result)
{
    fis[0] = type;
    fis[2] = result->status;
    fis[3] = result->error;
    fis[4] = (uint8_t)result->lba;
    fis[5] = (uint8_t)(result->lba >> 8);
    fis[6] = (uint8_t)(result->lba >> 16);
    fis[7] = result->device;
    fis[8] = (uint8_t)(result->lba >> 24);
    fis[9] = (uint8_t)(result->lba >> 32);
    fis[10] = (uint8_t)(result->lba >> 40);
    fis[12] = (uint8_t)result->count;
    fis[13] = (uint8_t)(result->count >> 8);
}

static uint32_t error_bits(uint8_t status)
{
    return status & ATA_STATUS_ERR ? AHCI_IS_TFES : 0;
}

void ahci_fis_registers(AhciPort *port, const AtaResult *result, bool interrupts)
{
    uint8_t fis[FIS_SIZE] = { 0 };

    put_registers(fis, FIS_REGISTERS, result);
    fis[1] = interrupts ? INTERRUPTS : 0;
    receive(port, AT_REGISTERS, fis, sizeof(fis));
    port->tfd = (uint32_t)result->error << 8 | result->status;
    ahci_fis_raise(port, (interrupts ? AHCI_IS_DHRS : 0) | error_bits(result->status));
}

void ahci_fis_pio_setup(AhciPort *port, const AtaResult *result, uint32_t n_bytes)
{
    uint8_t fis[FIS_SIZE] = { 0 };

    put_registers(fis, FIS_PIO_SETUP, result);
    fis[1] = INTERRUPTS | TO_GUEST;
    fis[2] = result->status | ATA_STATUS_DRQ;
    fis[15] = result->status;           /* after the data */
    fis[16] = (uint8_t)n_bytes;
    fis[17] = (uint8_t)(n_bytes >> 8);
    receive(port, AT_PIO_SETUP, fis, sizeof(fis));
    port->tfd = (uint32_t)result->error << 8 | result->status;
    ahci_fis_raise(port, AHCI_IS_PSS);
}

void ahci_fis_set_bits(AhciPort *port, uint32_t tags, uint8_t status, uint8_t error)
{
    uint32_t little = GUINT32_TO_LE(tags);
    uint8_t fis[SET_BITS_SIZE] = {
        FIS_SET_BITS, INTERRUPTS, status & SET_BITS_MASK, error,
    };

    memcpy(fis + 4, &little, sizeof(little));
    receive(port, AT_SET_BITS, fis, sizeof(fis));
    port->sact &= ~tags;
    port->tfd = (port->tfd & ~(0xff00u | SET_BITS_MASK)) | (uint32_t)error << 8 |
                (status & SET_BITS_MASK);
    ahci_fis_raise(port, AHCI_IS_SDBS | error_bits(status));
}
