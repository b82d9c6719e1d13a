/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI of a PCI function: one message, with an address of 64 bits (PCI Local Bus 3.0,
 * section 6.8.1).
 *
 * The route to the hypervisor is made when the guest first switches it on, and kept until
 * the function is gone.  State and reset go with the PciDevice.
 */
#pragma once

#include "berth/pci.h"

/* Main, in realize: adds the capability. */
void msi_add(PciDevice *pci);

/* Any thread. */

/* Whether the guest has switched MSI on: then the message interrupts, not the pin. */
bool msi_is_enabled(const PciDevice *pci);

/* Sends the message; no effect while MSI is off. */
void msi_notify(PciDevice *pci);
