/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What class codes mean (PCI Code and ID Assignment Specification), for those who list
 * functions.
 */
#include "berth/pci.h"

static const struct {
    uint16_t class;
    char text[30];
} texts[] = {
    { 0x0100, "SCSI controller" },
    { 0x0106, "SATA controller" },
    { 0x0200, "Ethernet controller" },
    { 0x0600, "Host bridge" },
    { 0x0601, "ISA bridge" },
    { 0x0604, "PCI bridge" },
    { 0x0780, "Communication controller" },
    { 0x0c05, "SMBus" },
};

const char *pci_class_text(uint16_t class)
{
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].class == class)
            return texts[i].text;
    }
    return NULL;
}
