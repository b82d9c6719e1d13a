/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in the guest physical memory, the ports and the interrupts of the q35
 * machine.  Constants only: the board, the loaders of kernels and the ACPI tables share
 * them.
 *
 *     0               RAM (640 KiB; its last KiB is the extended BIOS data area)
 *     0xa0000         hole of the VGA
 *     0xc0000         RAM, reserved in e820; a page for vmgenid at 0xdf000, RSDP and ACPI
 *                     tables from 0xe0000, SMBIOS at the end; or firmware
 *     0x100000        RAM, up to 2 GiB
 *     0xb0000000      ECAM of buses 0 to 255
 *     0xc0000000      32-bit PCI window
 *     0xfec00000      IOAPIC, HPET, RCBA, local APICs, pages of KVM, firmware at the end
 *     0x100000000     RAM above 4 GiB, then (each aligned to 1 GiB) addresses for memory
 *                     that comes later, the 64-bit PCI window
 */
#pragma once

/* Guest physical memory, bytes. */

#define X86_EBDA_BASE 0x9fc00u          /* end of usable base memory */
#define X86_BASE_RAM_END 0xa0000u
#define X86_SHADOW_BASE 0xc0000u        /* RAM that is reserved in e820, to 1 MiB */
#define X86_VMGENID_PAGE 0xdf000u       /* of a machine without firmware */
#define X86_BIOS_AREA_BASE 0xe0000u     /* where operating systems look for the RSDP */
#define X86_BIOS_AREA_SIZE 0x20000u
#define X86_EXT_RAM_BASE 0x100000u
/* A multiple of 1 GiB, so that RAM above 4 GiB starts at one in its file too. */
#define X86_LOW_RAM_MAX 0x80000000ull
#define X86_ECAM_BASE 0xb0000000ull
#define X86_ECAM_SIZE 0x10000000ull
#define X86_PCI32_BASE 0xc0000000ull
#define X86_PCI32_END 0xfec00000ull
#define X86_IOAPIC_BASE 0xfec00000u
#define X86_IOAPIC_SIZE 0x1000u
#define X86_HPET_BASE 0xfed00000u
#define X86_HPET_SIZE 0x400u
#define X86_RCBA_BASE 0xfed1c000u
#define X86_RCBA_SIZE 0x4000u
#define X86_LAPIC_BASE 0xfee00000u
#define X86_LAPIC_SIZE 0x100000u
#define X86_KVM_IDENTITY_MAP 0xfeffc000u /* one page, then three of the TSS */
#define X86_KVM_TSS 0xfeffd000u
#define X86_ROM_MAX 0x1000000u          /* firmware's, to the end of 4 GiB */
#define X86_HIGH_RAM_BASE 0x100000000ull
#define X86_PCI64_ALIGN 0x40000000ull
#define X86_PCI64_SIZE 0x800000000ull   /* as far as the CPU's physical addresses reach */

/* Ports. */

#define X86_PORT_PIC_MASTER 0x20u
#define X86_PORT_PIT 0x40u               /* three counters, control */
#define X86_PORT_KBC_DATA 0x60u
#define X86_PORT_B 0x61u                /* NMI status, speaker gate */
#define X86_PORT_KBC_STATUS 0x64u
#define X86_PORT_RTC 0x70u              /* index, data, extended index, extended data */
#define X86_PORT_POST 0x80u             /* delay port */
#define X86_PORT_A 0x92u                /* A20 gate and fast reset */
#define X86_PORT_PIC_SLAVE 0xa0u
#define X86_PORT_SMI_CMD 0xb2u
#define X86_PORT_DEBUGCON 0xe9u
#define X86_PORT_COM4 0x2e8u
#define X86_PORT_COM2 0x2f8u
#define X86_PORT_COM3 0x3e8u
#define X86_PORT_COM1 0x3f8u
#define X86_PORT_ELCR 0x4d0u
#define X86_PORT_DEBUG_EXIT 0x501u
#define X86_PORT_FW_CFG 0x510u
#define X86_PORT_FW_CFG_SIZE 12u
#define X86_PM_BASE 0x600u              /* as the board sets the LPC bridge's PMBASE */
#define X86_PM_SIZE 0x80u
#define X86_PORT_PCI_ADDRESS 0xcf8u
#define X86_PORT_RESET 0xcf9u
#define X86_PORT_PCI_DATA 0xcfcu
#define X86_PCI_IO_BASE 0x1000u         /* from here ports are given to PCI BARs */
#define X86_PCI_IO_END 0x10000u

/* Values of the ACPI fixed hardware. */

#define X86_ACPI_ENABLE 0x02u           /* written to X86_PORT_SMI_CMD */
#define X86_ACPI_DISABLE 0x03u
#define X86_RESET_VALUE 0x0eu           /* written to X86_PORT_RESET: full reset */
#define X86_SLP_TYP_S5 0u
#define X86_SLP_TYP_S3 1u
#define X86_SLP_TYP_S4 2u
#define X86_CMOS_CENTURY 0x32u

/* Registers of PCI hot-plug by ACPI. */

#define X86_PORT_PCIHP 0xae00u
#define X86_PORT_PCIHP_SIZE 0x18u

/* The same of vCPUs. */

#define X86_PORT_CPUHP 0x0cd8u
#define X86_PORT_CPUHP_SIZE 0x0cu

/* And of memory. */

#define X86_PORT_MEMHP 0x0a00u
#define X86_PORT_MEMHP_SIZE 0x18u

/* Offsets from the PM base. */

#define X86_PM1_EVT 0x00u
#define X86_PM1_EVT_SIZE 4u
#define X86_PM1_CNT 0x04u
#define X86_PM1_CNT_SIZE 2u
#define X86_PM_TMR 0x08u
#define X86_PM_TMR_SIZE 4u
#define X86_PM_GPE0 0x20u
#define X86_PM_GPE0_SIZE 16u            /* 64 status bits, 64 enable bits */
#define X86_PM_SMI 0x30u                /* SMI_EN, SMI_STS */
#define X86_PM_TCO 0x60u                /* the TCO watchdog, 32 bytes */

/* Bits of GPE0, the numbers of \_GPE._Exx. */

#define X86_GPE_PCI_HOTPLUG 1u
#define X86_GPE_CPU_HOTPLUG 2u
#define X86_GPE_MEMORY_HOTPLUG 3u
#define X86_GPE_VMGENID 5u

/* Global system interrupts, the IOAPIC's pins. */

#define X86_GSI_KEYBOARD 1u
#define X86_GSI_PIT 2u
#define X86_GSI_COM2 3u
#define X86_GSI_COM1 4u
#define X86_GSI_RTC 8u
#define X86_GSI_SCI 9u
#define X86_GSI_MOUSE 12u
#define X86_GSI_PCI_BASE 16u            /* PIRQ A to H */
#define X86_GSI_HPET_BASE 20u           /* to 23, shared with PCI */
#define X86_GSI_COUNT 24u
/* Where pin @pin (0: INTA) of a slot of bus 0 ends (board.h). */
#define X86_PCI_GSI(slot, pin) (X86_GSI_PCI_BASE + BOARD_PCI_IRQ(slot, pin))
