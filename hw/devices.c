/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of device that berth offers: what each driver of the schema is made of.
 * Nothing registers itself.  A virtio driver is the PCI transport with the device it
 * carries.
 */
#include "berth/ata-unit.h"
#include "berth/cpuhp.h"
#include "berth/debug-exit.h"
#include "berth/debugcon.h"
#include "berth/device.h"
#include "berth/i6300esb.h"
#include "berth/memhp.h"
#include "berth/pci.h"
#include "berth/pvpanic.h"
#include "berth/scsi.h"
#include "berth/serial.h"
#include "berth/virtio.h"
#include "berth/vmcoreinfo.h"
#include "berth/vmgenid.h"
#include "berth/xhci.h"

const DeviceKind device_kinds[] = {
    [DEVICE_DRIVER_ISA_SERIAL] = { &serial_class, NULL },
    [DEVICE_DRIVER_ISA_DEBUGCON] = { &debugcon_class, NULL },
    [DEVICE_DRIVER_ISA_DEBUG_EXIT] = { &debug_exit_class, NULL },
    [DEVICE_DRIVER_I6300ESB] = { &i6300esb_class, NULL },
    [DEVICE_DRIVER_QEMU_XHCI] = { &xhci_class, NULL },
    [DEVICE_DRIVER_PVPANIC] = { &pvpanic_class, NULL },
    [DEVICE_DRIVER_PVPANIC_PCI] = { &pvpanic_pci_class, NULL },
    [DEVICE_DRIVER_PCIE_ROOT_PORT] = { &pcie_root_port_class, NULL },
    [DEVICE_DRIVER_PCIE_PCI_BRIDGE] = { &pcie_pci_bridge_class, NULL },
    [DEVICE_DRIVER_PCI_BRIDGE] = { &pci_bridge_class, NULL },
    [DEVICE_DRIVER_VIRTIO_BLK_PCI] = { &virtio_pci_class, &virtio_blk_class },
    [DEVICE_DRIVER_VIRTIO_NET_PCI] = { &virtio_pci_class, &virtio_net_class },
    [DEVICE_DRIVER_VIRTIO_RNG_PCI] = { &virtio_pci_class, &virtio_rng_class },
    [DEVICE_DRIVER_VIRTIO_BALLOON_PCI] = { &virtio_pci_class, &virtio_balloon_class },
    [DEVICE_DRIVER_VIRTIO_MEM_PCI] = { &virtio_pci_class, &virtio_mem_class },
    [DEVICE_DRIVER_VHOST_VSOCK_PCI] = { &virtio_pci_class, &vhost_vsock_class },
    [DEVICE_DRIVER_VIRTIO_SCSI_PCI] = { &virtio_pci_class, &virtio_scsi_class },
    [DEVICE_DRIVER_SCSI_HD] = { &scsi_hd_class, NULL },
    [DEVICE_DRIVER_SCSI_CD] = { &scsi_cd_class, NULL },
    [DEVICE_DRIVER_ICH9_AHCI] = { &ahci_class, NULL },
    [DEVICE_DRIVER_IDE_HD] = { &ide_hd_class, NULL },
    [DEVICE_DRIVER_IDE_CD] = { &ide_cd_class, NULL },
    [DEVICE_DRIVER_VMCOREINFO] = { &vmcoreinfo_class, NULL },
    [DEVICE_DRIVER_VMGENID] = { &vmgenid_class, NULL },
    [DEVICE_DRIVER_VIRTIO_SERIAL_PCI] = { &virtio_pci_class, &virtio_serial_class },
    [DEVICE_DRIVER_VIRTSERIALPORT] = { &virtserialport_class, NULL },
    [DEVICE_DRIVER_VIRTCONSOLE] = { &virtconsole_class, NULL },
    [DEVICE_DRIVER_PC_DIMM] = { &memhp_dimm_class, NULL },
    [DEVICE_DRIVER_VCPU] = { &cpuhp_cpu_class, NULL },
};

G_STATIC_ASSERT(G_N_ELEMENTS(device_kinds) == DEVICE_DRIVER__MAX);
