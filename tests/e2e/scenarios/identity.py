# SPDX-License-Identifier: Apache-2.0
"""Who the guest is told it is: SMBIOS by dmidecode, fw_cfg's files, the generation ID."""

import pathlib
import struct

UUID = "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e"
GUID = "12345678-9abc-def0-1122-334455667788"
GUID_BYTES = "78563412bc9af0de1122334455667788"
FILES = "/sys/firmware/qemu_fw_cfg/by_name"


def scenario(lab):
    folder = pathlib.Path(lab.folder)
    content = bytes(range(256)) * 5
    (folder / "content").write_bytes(content)
    slot = folder / "slot.bin"
    slot.write_bytes(struct.pack("<BBH", 221, 4, 0x1234) + b"of a file\0\0")
    guest = lab.guest(
        "-uuid", UUID, "-device", "pcie-root-port,id=port0,chassis=1,addr=4",
        "-smbios", "type=0,vendor=Acme,release=3.4",
        "-smbios", "type=1,product=Server,serial=1,,2,family=F",
        "-smbios", "type=2,product=Board", "-smbios", "type=3,asset=x",
        "-smbios", "type=8,internal_reference=J1,port_type=16",
        "-smbios", "type=9,slot_designation=S1,slot_type=0xA5,pci_device=port0",
        "-smbios", "type=11,value=hello,value=world",
        "-smbios", "type=17,bank=B,speed=3200",
        "-smbios", "type=41,designation=LAN,kind=ethernet,pcidev=port0",
        "-smbios", f"file={slot}",
        "-fw_cfg", "name=opt/org.example/text,string=value",
        "-fw_cfg", f"name=opt/org.example/file,file={folder / 'content'}",
        "-device", f"vmgenid,guid={GUID},id=vmgenid0",
        tools=True, cpus="4,sockets=2,cores=2").boot()
    check_smbios(lab, guest)
    check_fw_cfg(lab, guest, content)
    check_generation(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_smbios(lab, guest):
    text = guest.run("dmidecode")
    for wanted in ("SMBIOS 2.8 present", "Vendor: Acme", "BIOS Revision: 3.4",
                   "Manufacturer: berth", "Product Name: Server", "Serial Number: 1,2",
                   f"UUID: {UUID}", "Product Name: Board", "Asset Tag: x",
                   "Internal Reference Designator: J1", "Designation: S1",
                   "Bus Address: 0000:00:04.0", "String 1: hello", "String 2: world",
                   "Bank Locator: B", "Speed: 3200 MT/s", "Maximum Capacity: 256 MB",
                   "Range Size: 256 MB", "Reference Designation: LAN",
                   "Status: No errors detected", "OEM-specific Type", "of a file"):
        lab.check(f"dmidecode: {wanted}", wanted in text, text)
    lab.equal("a processor for each socket", text.count("Socket Designation"), 2)
    lab.equal("with its cores", text.count("Core Count: 2"), 2)
    for wrong in ("OUT OF SPEC", "BAD INDEX", "rong", "TRUNCATED"):
        lab.check(f"dmidecode does not say '{wrong}'", wrong not in text, text)
    dmi = "/sys/class/dmi/id"
    lab.equal("the kernel knows the UUID", guest.run(f"cat {dmi}/product_uuid"), UUID)
    lab.equal("the product", guest.run(f"cat {dmi}/product_name"), "Server")
    lab.equal("query-uuid", guest.qmp.command("query-uuid")["UUID"], UUID)


def check_fw_cfg(lab, guest, content):
    guest.run("insmod /lib/qemu_fw_cfg.ko")
    lab.equal("fw_cfg text", guest.run(f"cat {FILES}/opt/org.example/text/raw; echo"),
              "value")
    got = guest.run(f"xxd -p {FILES}/opt/org.example/file/raw | tr -d '\\n'; echo")
    lab.equal("fw_cfg file", got, content.hex())
    lab.match("firmware's files are there", guest.run(f"ls {FILES}/etc/smbios"),
              "smbios-anchor")


def check_generation(lab, guest):
    device = "/sys/bus/acpi/devices/BRTH0001:00"
    lab.equal("the generation ID has a device", guest.run(f"cat {device}/path"),
              "\\_SB_.VGEN")
    lab.match("that drivers find by its kind", guest.run(f"cat {device}/modalias"),
              "VM_GEN_COUNTER")
    event = guest.run("cat /sys/firmware/acpi/interrupts/gpe05")
    lab.match("its event is enabled", event, r"^\s*0\s.*\benabled\b")
    lab.equal("the GUID is in memory",
              guest.run("dd if=/dev/mem bs=8 skip=$((0xdf028 / 8)) count=2 2>/dev/null"
                        " | xxd -p"), GUID_BYTES)
    lab.equal("query-vm-generation-id",
              guest.qmp.command("query-vm-generation-id")["guid"], GUID)

