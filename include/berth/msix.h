/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X of a PCI function (PCI Local Bus 3.0, section 6.8.2).
 *
 * The table and the pending bits lie in a BAR of their own.  A vector's route to the
 * hypervisor is made when the guest first unmasks it, and kept until the function is
 * gone.  State and reset go with the PciDevice.
 */
#pragma once

#include "berth/pci.h"

#define MSIX_MAX_VECTORS 2048u
#define MSIX_NO_VECTOR 0xffffu

/* Main, in realize. */

/* Adds the capability with @n_vectors (1 to 2048) and the table as 32-bit BAR @bar. */
void msix_add(PciDevice *pci, unsigned n_vectors, unsigned bar);

/* Any thread. */

/* The number of vectors, 0 without MSI-X. */
unsigned msix_vector_count(const PciDevice *pci);

/* Whether the guest has switched MSI-X on: then interrupts are vectors, not the pin. */
bool msix_is_enabled(const PciDevice *pci);

/*
 * The eventfd whose signal is @vector's message, -1 while the vector is masked, off or
 * not there; dev->lock is held.  When it changes, PciClass.vectors_changed() is called.
 */
int msix_vector_fd(const PciDevice *pci, unsigned vector);

/*
 * Interrupts by @vector: at once, or when it is unmasked.  A vector that is out of range
 * interrupts nobody.  The message may overtake a write that masks the vector at the same
 * time, as one on its way over a bus may.
 */
void msix_notify(PciDevice *pci, unsigned vector);
