/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of the monitor for people on a machine of the fake hypervisor: what each says,
 * and that wrong words say what is wrong.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/error.h"
#include "berth/qapi-tables.h"
#include "berth/thread.h"
#include "berth/trace.h"
#include "berth/vm-fake.h"
#include "qmp-commands.h"

#include "hmp-bench.h"

static const char *const words[] = {
    "-nodefaults", "-S", "-kernel", "tests/fuzz/seeds/kernel/elf64", "-m", "64",
    "-smp", "2", "-name", "vm one", "-uuid", "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e",
    "-serial", "null",
    "-object", "iothread,id=io0", "-chardev", "ringbuf,id=rb", "-chardev", "null,id=gone",
    "-device", "pcie-root-port,id=rp0,chassis=1",
    "-device", "virtio-rng-pci,bus=rp0,id=rng0", "-device", "isa-debug-exit",
    "-blockdev", "null-co,node-name=zero,size=1048576,read-zeroes=on",
    "-device", "virtio-blk-pci,id=disk,drive=zero",
    "-device", "vmgenid,guid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90e", NULL,
};

/* A line, and what it says: a pattern, in which "*" stands for anything. */
typedef struct Case {
    const char *line;
    const char *said;
} Case;

static const Case cases[] = {
    { "", "" },
    { "   ", "" },
    { "help", "announce_self *\nballoon target -- *\nblock_resize device size -- *\n"
      "chardev-add kind,id=id[,key=value...] -- *\n*xp /fmt addr -- *\n" },
    { "?", "announce_self *\nballoon *\nblock_resize *" },
    { "help stop", "stop|s  -- *\n" },
    { "help s", "stop|s  -- *\n" },
    { "help info status ", "info status  -- *\n" },
    { "help info status x",
      "unknown command: 'info status x'; did you mean 'info status'?\n" },
    { "help info", "info autoballoon *\ninfo block *\n*info vm-generation-id  -- *\n" },
    { "help log", "log item*\nLog items (comma separated):\n*" },
    { "help savevm", "savevm -- not supported: *\n" },
    { "help none", "unknown command: 'none'\n" },
    { "info", "info autoballoon *" },
    { "info commands", "announce_self *\nballoon *" },
    { "info status", "VM status: paused (prelaunch)\n" },
    { "info version", "10.0.0 (berth-*)\n" },
    { "info name", "vm one\n" },
    { "info uuid", "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e\n" },
    { "info vm-generation-id", "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e\n" },
    { "info kvm", "kvm support: *\n" },
    { "info cpus", "* CPU #0: thread_id=*\n  CPU #1: thread_id=*\n" },
    { "cpu 2", "invalid CPU index\n" },
    { "cpu -1", "invalid CPU index\n" },
    { "cpu 1", "" },
    { "info cpus", "  CPU #0: thread_id=*\n* CPU #1: thread_id=*\n" },
    { "print $rax", "0x1111\n" },
    { "cpu 0", "" },
    { "info hotpluggable-cpus", "Hotpluggable CPUs:\n  type: \"*\n  vcpus_count: \"1\"\n"
      "  qom_path: \"/machine/unattached/device[1]\"\n  CPUInstance Properties:\n"
      "    socket-id: \"*" },
    { "info iothreads", "io0:\n  thread_id=*\n  poll-max-ns=*\n  poll-grow=*\n"
      "  poll-shrink=*\n  aio-max-batch=*\n" },
    { "info memory_size_summary", "base memory: 67108864\nplugged memory: 0\n" },
    { "info memory-devices", "" },
    { "info memory-ledger", "KiB  *mapped *resident *\nguest-ram  *  65536  *\nheap  *"
      "\nof the heap *allocated *\ndevice  *  /machine/*\nresident: * KiB\n"
      "private: * KiB\npage tables: * KiB\n" },
    { "info memdev", "memory backend: *\n  size:  67108864\n  merge: true\n  dump: true\n"
      "  prealloc: false\n  share: *\n  policy: default\n  host nodes:\n\n" },
    { "info numa", "0 nodes\n" },
    { "info network", "There are no network devices\n" },
    { "info usernet", "" },
    { "hostfwd_add tcp::1-:2", "Error: *user network*\n" },
    { "hostfwd_remove none tcp::1", "Error: *user network*\n" },
    { "set_link none off", "Error: Device 'none' not found\n" },
    { "netdev_add none-such,id=n", "Error: *'none-such'*\n" },
    { "netdev_del none", "Error: network backend 'none' not found\n" },
    { "info block", "zero: null-co:// (null-co)\n"
      "    Attached to:      /machine/peripheral/disk/virtio-backend\n"
      "    Cache mode:       writeback\n" },
    { "info block -n", "zero: null-co:// (null-co)\n    Cache mode:       writeback\n" },
    { "info block zero -v", "block: extraneous *" },
    { "info block -v zero", "zero: *\nImages:\nimage: null-co://\nfile format: null-co\n"
      "virtual size: 1048576 bytes\n*" },
    { "info block -n none", "Error: there is no disk and no block node 'none'\n" },
    { "info block none", "Error: there is no disk and no block node 'none'\n" },
    { "info blockstats", "*/disk/virtio-backend: rd_bytes=0 wr_bytes=0 *\n" },
    { "block_resize disk 2M", "Error: *\n" },
    { "block_resize none 2", "Error: *'none'*\n" },
    { "block_resize disk 1.5M", "invalid size\n*" },
    { "block_resize disk 2Q", "invalid size\n*" },
    { "block_resize disk -1", "invalid size\n*" },
    { "block_resize disk 9E", "invalid size\n*" },
    { "block_resize disk 99999999999999999999B", "invalid size\n*" },
    { "block_resize disk", "invalid size\n*" },
    { "info block-jobs", "No active jobs\n" },
    { "info migrate", "There is no migration\n" },
    { "info migrate_capabilities", "*events: off\n*" },
    { "migrate_set_capability events on", "" },
    { "info migrate_capabilities", "*events: on\n*" },
    { "migrate_set_capability none on", "Error: *'none'\n" },
    { "migrate_set_capability events 1", "Expected 'on' or 'off'\n*" },
    { "info dump", "Status: none\n" },
    { "info chardev", "rb: filename=ringbuf\ngone: filename=null\n"
      "serial0: filename=null\n" },
    { "info pci", "  Bus  0, device   0, function 0:\n"
      "    Host bridge: PCI device 8086:29c0\n      PCI subsystem 1af4:1100\n"
      "      id \"\"\n*    PCI bridge: PCI device 1b36:000c\n*      BUS 0.\n"
      "      secondary bus *.\n      subordinate bus *.\n"
      "      IO range [0x*, 0x*]\n      memory range [0x*, 0x*]\n"
      "      prefetchable memory range [0x*, 0x*]\n*      id \"rp0\"\n"
      "  Bus  *, device   0, function 0:\n    Class 0255: PCI device 1af4:1044\n*"
      "      BAR4: 64 bit prefetchable memory at 0x* [0x*].\n      id \"rng0\"\n*" },
    { "info qtree", "bus: main-system-bus\n  type System\n"
      "*  dev: q35-pcihost, id \"\"\n    bus: pcie.0\n      type PCIE\n"
      "*      dev: pcie-root-port, id \"rp0\"\n"
      "*        chassis = 1 (0x1)\n*        class PCI bridge, addr 00:*, "
      "pci id 1b36:000c (sub 0000:0000)\n        bar 0: mem at 0x* [0x*]\n"
      "        bus: rp0\n          type PCIE\n"
      "          dev: virtio-rng-pci, id \"rng0\"\n*"
      "ioeventfd = true\n*            addr = 00.0\n            acpi-index = 0 (0x0)\n"
      "            class Class 00ff, addr *:00.0, *  bus: isa.0\n    type ISA\n*" },
    { "info qom-tree", "/machine (pc-q35-*-machine)\n*  /peripheral (container)\n"
      "    /disk (virtio-blk-pci)\n"
      "    /rng0 (virtio-rng-pci)\n    /rp0 (pcie-root-port)\n*" },
    { "info qom-tree /objects", "/objects (container)\n  /io0 (iothread)\n*" },
    { "info qom-tree /nope", "Path '/nope' could not be resolved.\n" },
    { "info mtree", "address-space: memory\n  0000000000000000-ffffffffffffffff (prio 0, "
      "i/o): memory\n    0000000000000000-0000000003ffffff (prio 0, ram): *\n"
      "address-space: I/O\n  0000000000000000-000000000000ffff (prio 0, i/o): io\n*" },
    { "info mtree -f", "FlatView #0\n AS \"memory\", root: memory\n Root memory region: "
      "memory\n  0000000000000000-0000000003ffffff (prio 0, ram): *\n*FlatView #1\n*" },
    { "info mtree -D", "address-space: memory\n*" },
    { "info virtio", "/machine/peripheral/rng0/virtio-backend [virtio-rng]\n"
      "/machine/peripheral/disk/virtio-backend [virtio-blk]\n" },
    { "info virtio-status /machine/peripheral/disk/virtio-backend",
      "/machine/peripheral/disk/virtio-backend:\n  device_name:             virtio-blk\n"
      "  device_id:               2\n*  broken:                  false\n*"
      "  num_vqs:                 2\n*  status:\n  Guest features:\n  Host features:\n"
      "\tVIRTIO_RING_F_INDIRECT_DESC,\n*\tVIRTIO_F_VERSION_1\n*\tVIRTIO_BLK_F_FLUSH,\n*"
      "  Backend features:\n" },
    { "info virtio-status rp0", "Error: Path rp0 is not a virtio device\n" },
    { "info virtio-queue-status rng0 0", "rng0:\n  device_name:          virtio-rng\n"
      "  queue_index:          0\n  inuse:                0\n*"
      "  signalled_used_valid: false\n*    num:          *" },
    { "info virtio-queue-status rng0 1", "Error: Invalid virtqueue number 1\n" },
    { "info virtio-queue-status rng0 -1", "Error: *'queue'*\n" },
    { "info ramblock", "              Block Name    PSize              Offset *\n"
      "                  pc.ram    4 KiB  0x0000000000000000 0x0000000004000000 "
      "0x0000000004000000 0x*  rw\n*" },
    { "info qdm", "*name \"virtio-blk-pci\", bus PCI, alias \"virtio-blk\"*\n*" },
    { "info mem", "PG disabled\n" },
    { "info tlb", "PG disabled\n" },
    { "cpu 1", "" },
    { "info mem", "ffff800000000000-ffff800000002000 0000000000002000 ur-\n"
      "ffff800000002000-ffff800000003000 0000000000001000 -r-\n"
      "ffff800000200000-ffff800000400000 0000000000200000 -rw\n" },
    { "info tlb", "ffff800000000000: 0000000000007000 ----A--U-\n"
      "ffff800000001000: 0000000000006000 X------U-\n"
      "ffff800000002000: 0000000000005000 ---D-----\n"
      "ffff800000200000: 0000000000800000 -GPDA---W\n" },
    { "cpu 0", "" },
    { "info mtree -x", "mtree: unsupported option -x\n"
      "Try \"help info mtree\" for more information\n" },
    { "info pic", "Error: the interrupt controllers cannot be read: *\n" },
    { "info irq", "IRQ statistics are not available\n" },
    { "info lapic", "Error: vCPU 0: the local APIC cannot be read: *\n" },
    { "info lapic 1", "Error: vCPU 1: the local APIC cannot be read: *\n" },
    { "info lapic 77", "Error: No CPU available with the APIC id 77\n" },
    { "info snapshots", "no block device can store vmstate for snapshot\n" },
    { "info rocker x", "Error: there are no switches of rocker; *\n" },
    { "announce_self", "" },
    { "info registers", "\nCPU#0\nEAX=00000000 *\n"
      "EIP=0000fff0 EFL=00000002 [-------] "
      "CPL=0 II=0 A20=1 SMM=0 HLT=0\nES =*\nFCW=*\nXMM06=*" },
    { "info registers 1", "\nCPU#1\nRAX=0000000000001111 RBX=0000000000002222 *\n"
      "R8 =0000000000000000 *\nRIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=3 "
      "II=0 A20=1 SMM=0 HLT=1\n*CS =0033 0000000000000000 ffffffff 00a0fb00 DPL=3 CS64 "
      "[-RA]\n*TR =0040 0000000000005000 00000067 00008b00 DPL=0 TSS64-busy\n"
      "GDT=     0000000000006000 0000007f\n*CR0=80050033 CR2=0000000000000000 "
      "CR3=0000000001000000 CR4=00000020\n*EFER=0000000000000d01\n*XMM15=*" },
    { "info registers -a", "\nCPU#0\n*\nCPU#1\n*" },
    { "info registers 5", "CPU#5 not available\n" },
    { "info registers x", "invalid char 'x' in expression\n*" },
    { "info stats vm", "" },
    { "info stats vcpu * berth", "provider: berth\n    *exits* (cumulative): 0\n*" },
    { "info stats monitor", "" },
    { "info stats vm * none", "invalid stats provider none\n" },
    { "info stats none", "invalid stats target none\n" },
    { "info stats", "stats: string expected\n*" },
    { "info trace-events hmp_*", "hmp_command : state 0\n" },
    { "info trace-events none", "Error: unknown event \"none\"\n" },
    { "trace-event none on", "Error: unknown event \"none\"\n" },
    { "trace-event monitor_* on", "" },
    { "info trace-events monitor_*",
      "monitor_close : state 1\nmonitor_open : state 1\n" },
    { "trace-event monitor_* off", "" },
    { "log help", "Log items *" },
    { "log nothing", "Error: there is no log item 'nothing' *\nLog items *" },
    { "log none", "" },
    { "logfile", "logfile: filename expected\nTry \"help logfile\" *" },
    { "logfile /no/such/folder/file", "Error: *\n" },
    { "info history", "0: *" },
    { "info none", "unknown command: 'info none'; did you mean 'info name'?\n" },
    { "sotp", "unknown command: 'sotp'; did you mean 'stop'?\n" },
    { "help sytem_reset",
      "unknown command: 'sytem_reset'; did you mean 'system_reset'?\n" },
    { "none", "unknown command: 'none'\n" },
    { "stop;cont", "unknown command: 'stop;cont'\n" },
    { "stop now", "stop|s: extraneous characters at the end of line\n"
      "Try \"help stop\" for more information\n" },
    { "mouse_move 3 -4 1", "Error: the machine does not run\n" },
    { "cont", "" },
    { "mouse_move 3 -4 1", "" },
    { "mouse_button 7", "" },
    { "mouse_button left", "*" },
    { "stop", "" },
    { "system_reset", "" },
    { "system_powerdown", "" },
    { "system_wakeup", "Error: *\n" },
    { "nmi", "*" },
    { "info mice", "* Mouse #2: PS/2 Mouse\n" },
    { "sendkey ctrl-alt-delete", "" },
    { "sendkey 0x1e-< 1", "" },
    { "sendkey a-", "invalid parameter: \n" },
    { "sendkey 30", "invalid parameter: 30\n" },
    { "sendkey 0x1eg", "invalid parameter: 0x1eg\n" },
    { "sendkey 0x100", "Error: *256*\n" },
    { "sendkey help", "Error: *'help'\n" },
    { "sendkey", "sendkey: string expected\n*" },
    { "mouse_set 2", "" },
    { "mouse_set 7", "Mouse at index '7' not found\n" },
    { "exit_preconfig", "Error: *\n" },
    { "chardev-add null,id=new,logfile=/no/such/x", "Error: *\n" },
    { "chardev-add null,id=new", "" },
    { "chardev-add null,id=new", "Error: *'new'*\n" },
    { "chardev-add null", "Error: chardev: no id specified\n" },
    { "chardev-add none,id=x", "Error: *'none'\n" },
    { "chardev-add null,id=x,mux=on", "Error: parameter 'mux': *\n" },
    { "chardev-add", "chardev-add: string expected\n*" },
    { "chardev-change new ringbuf,size=64", "" },
    { "chardev-change none null", "Error: *'none'*\n" },
    { "chardev-change new none", "Error: *'none'*\n" },
    { "chardev-send-break new", "" },
    { "chardev-remove new", "" },
    { "chardev-remove new", "Error: *'new' not found\n" },
    { "chardev-remove \"ne\\\"w\"", "Error: *'ne\"w' not found\n" },
    { "ringbuf_write rb \"a\\\\b\\nc\\rd\"", "" },
    { "ringbuf_read rb 100", "a\\\\b\nc\\u000Dd\n" },
    { "ringbuf_read rb 100", "\n" },
    { "ringbuf_read rb 0x100000000", "integer is for 32-bit values\n*" },
    { "ringbuf_read rb", "unexpected end of expression\n*" },
    { "ringbuf_write rb \"a", "unterminated string\n*" },
    { "ringbuf_write rb \"a\\", "unsupported escape code: '\\ '\n*" },
    { "object_add iothread,id=io1", "" },
    { "object_add {\"qom-type\": \"iothread\", \"id\": \"io2\"}", "" },
    { "object_add iothread,id=io1", "Error: *'io1'*\n" },
    { "object_add iothread,id=io3,none=1", "Error: *'none'*\n" },
    { "object_add none", "Error: *'none'\n" },
    { "object_add {\"qom-type\"", "Error: JSON parse error*\n" },
    { "object_add help", "*iothread\n*" },
    { "object_del io1", "" },
    { "object_del io2", "" },
    { "object_del io1", "Error: *'io1' not found\n" },
    { "qom-list", "*machine (child<pc-q35-*-machine>)\n*" },
    { "qom-list /nope", "Error: Device '/nope' not found\n" },
    { "qom-get /machine type", "\"pc-q35-*-machine\"\n" },
    { "qom-get /machine/rtc date", "{\n    \"tm_sec\": *\n}\n" },
    { "qom-get rng0 addr", "0\n" },
    { "qom-get disk acpi-index", "0\n" },
    { "qom-get /machine none", "Error: Property '*.none' not found\n" },
    { "qom-set /objects/io0 poll-max-ns x", "Error: Parameter 'poll-max-ns' expects a "
      "number\n" },
    { "qom-set /machine/peripheral/rp0 hotplug perhaps", "Error: Parameter 'hotplug' "
      "expects on or off\n" },
    { "qom-set /machine/peripheral/rp0 hotplug on", "" },
    { "qom-set /machine/peripheral/rng0 bus rp0", "" },
    { "qom-set -j /machine/peripheral/rp0 hotplug true", "" },
    { "qom-set -j /machine/peripheral/rp0 hotplug {", "Error: JSON parse error*\n" },
    { "qom-set /machine none 1", "Error: *none*\n" },
    { "watchdog_action pause", "" },
    { "watchdog_action none", "" },
    { "watchdog_action jump", "Error: *'jump'\n" },
    { "getfd x", "Error: No file descriptor supplied via SCM_RIGHTS\n" },
    { "closefd x", "Error: File descriptor named 'x' not found\n" },
    { "print 1 + 2 * 3", "0x7\n" },
    { "p/d (1 + 2) * 3", "9\n" },
    { "p -1", "-1\n" },
    { "p/u -1", "18446744073709551615\n" },
    { "p/o 8", "010\n" },
    { "p/c 65", "'A'\n" },
    { "p/c 10", "'\\n'\n" },
    { "p/c 39", "'\\''\n" },
    { "p/c 200", "'\\xc8'\n" },
    { "p/x 'a'", "0x61\n" },
    { "p 7 & 5 + 1", "0x6\n" },
    { "p 7 ^ 5 | 8", "0xa\n" },
    { "p ~0", "0xffffffffffffffff\n" },
    { "p 7 % 4", "0x3\n" },
    { "p/d 0x8000000000000000 / -1", "-9223372036854775808\n" },
    { "p 0x8000000000000000 % -1", "0\n" },
    { "p/x $cs.base + $pc", "0x1fffefff0\n" },
    { "p 1/0", "division by zero\nTry \"help p\" for more information\n" },
    { "p 1%0", "division by zero\n*" },
    { "p $none", "unknown register\n*" },
    { "p $cs.none", "unknown register\n*" },
    { "p $", "unknown register\n*" },
    { "p 99999999999999999999", "number too large\n*" },
    { "p (1", "')' expected\n*" },
    { "p 'a", "missing terminating ' character\n*" },
    { "p 1x", "print|p: extraneous characters at the end of line\n*" },
    { "p/q 1", "invalid char in format: 'q'\n*" },
    { "xp/4bx 0x2000000", "0000000002000000: 0x01 0x02 0x83 0x84\n" },
    { "xp/2hx 0x2000000", "0000000002000000: 0x0201 0x8483\n" },
    { "xp/1wx 0x2000000", "0000000002000000: 0x84830201\n" },
    { "xp/1gx 0x2000000", "0000000002000000: 0x0000004184830201\n" },
    { "xp/3bd 0x2000001", "0000000002000001:   2 -125 -124\n" },
    { "xp/3bu 0x2000001", "0000000002000001:   2 131 132\n" },
    { "xp/2bo 0x2000001", "0000000002000001:  02 0203\n" },
    { "xp/2c 0x2000003", "0000000002000003: '\\x84' 'A'\n" },
    { "xp/9xb 0x2000000", "0000000002000000: 0x01 0x02 0x83 0x84 0x41 0x00 0x00 0x00\n"
      "0000000002000008: 0x00\n" },
    { "xp/5xw 0", "0000000000000000: * * * *\n0000000000000010: *\n" },
    { "xp/2xb 0x3ffffff", "0000000003ffffff: Cannot access memory\n" },
    { "xp/xw 0xfffffffffffffffc", "fffffffffffffffc: Cannot access memory\n" },
    { "xp/0x 0", "" },
    { "xp/300000xb 0", "Error: at most 262144 bytes are shown at a time*\n" },
    { "xp/99999999999999999999xg 0", "Error: at most *\n" },
    { "xp/4i 0", "Error: instructions are not disassembled*\n" },
    { "xp/x", "unexpected end of expression\nTry \"help xp\" for more information\n" },
    { "x/2xb 0x2000000", "0000000002000000: 0x01 0x02\n" },
    { "x/4 0x2000000", "0000000002000000: 0x01 0x02 0x83 0x84\n" },
    { "gva2gpa 0x1234", "gpa: 0x1234\n" },
    { "gpa2hva 0x2000000", "Host virtual address for 0x2000000 (*) is 0x*\n" },
    { "gpa2hva 0x10000000000", "No memory is mapped at address 0x10000000000\n" },
    { "gpa2hpa 0x10000000000", "No memory is mapped at address 0x10000000000\n" },
    { "gpa2hpa 0x2000000", "*\n" },
    { "sum 0x2000000 5", "*\n" },
    { "sum 0x3fffff0 0x20", "Error: not all from * is memory\n" },
    { "sum 0 0x10000000", "Error: a size from 0 to *\n" },
    { "sum 0 (-1)", "Error: a size from 0 to *\n" },
    { "o /b 0x70 0x0f", "" },
    { "o /b 0x71 0x5a", "" },
    { "i /b 0x71", "portb[0x0071] = 0x5a\n" },
    { "i /b 0x70.0x0f", "portb[0x0071] = 0x5a\n" },
    { "i /h 0x4000", "portw[0x4000] = 0xffff\n" },
    { "i /w 0x4000", "portl[0x4000] = 0xffffffff\n" },
    { "i /g 0xffff", "portl[0xffff] = 0xff*\n" },
    { "i", "unexpected end of expression\n*" },
    { "i /z 0", "invalid char in format: 'z'\n*" },
    { "o /b 0x70", "unexpected end of expression\n*" },
    { "memsave 0 16", "memsave: filename expected\n*" },
    { "memsave 0 16 /no/such/folder/x", "Error: *\n" },
    { "pmemsave 0 16 /no/such/folder/x", "Error: *\n" },
    { "pmemsave 0 (-16) /dev/null", "Error: *'size'*\n" },
    { "dump-guest-memory -z -l /dev/null",
      "Error: only one of '-z|-l|-s|-w' can be set\n" },
    { "dump-guest-memory -l /dev/null", "Error: *\n" },
    { "dump-guest-memory -w /dev/null", "Error: *\n" },
    { "dump-guest-memory -q /dev/null", "dump-guest-memory: unsupported option -q\n*" },
    { "dump-guest-memory -p -z /dev/null", "Error: kdump-compressed format doesn't *\n" },
    { "dump-guest-memory /dev/null 0", "Error: *'length'*\n" },
    { "dump-guest-memory /no/such/folder/x", "Error: *\n" },
    { "savevm a", "Error: the state of a machine is not kept in images; *\n" },
    { "balloon 100", "Error: No balloon device has been activated\n" },
    { "info balloon", "Error: No balloon device has been activated\n" },
    { "info autoballoon", "" },
    { "object_add berth-autoballoon,id=a,device=none", "Error: *'device': there is *" },
    { "device_add virtio-balloon-pci,bus=rp0,id=balloon", "Error: *" },
    { "device_add none", "Error: *\n" },
    { "screendump /tmp/x", "Error: There is no console to take a screendump from\n" },
    { "info roms", "*fw=etc/vmgenid_guid size=0x001000 name=\"etc/vmgenid_guid\"\n*" },
    { "info tpm", "Error: there is no TPM\n" },
};

/* So that vCPU 1 is in 64-bit code of a user. */
static void set_registers(HmpBench *bench)
{
    VcpuRegisters real = {
        .rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010,
        .segments[VCPU_CS] = { 0xf000, 0xffff, 0xffff0000, 0x9b00 },
    };
    VcpuRegisters user = {
        .general[VCPU_RAX] = 0x1111, .general[VCPU_RBX] = 0x2222,
        .rip = 0xffffffff81000000, .rflags = 0x246, .cr0 = 0x80050033, .cr3 = 0x1000000,
        .cr4 = 0x20, .efer = 0xd01, .halted = true,
        .segments[VCPU_CS] = { 0x33, 0xffffffff, 0, 0xa0fb00 },
        .segments[VCPU_SS] = { 0x2b, 0xffffffff, 0, 0xc0f300 },
        .segments[VCPU_TR] = { 0x40, 0x67, 0x5000, 0x8b00 },
        .segments[VCPU_GDT] = { 0, 0x7f, 0x6000, 0 },
    };

    vm_fake_vcpu_set_registers(bench->machine->vcpus[0], &real);
    vm_fake_vcpu_set_registers(bench->machine->vcpus[1], &user);
}

static void write_memory(HmpBench *bench)
{
    static const uint8_t bytes[] = { 1, 2, 0x83, 0x84, 'A', 0 };

    address_space_write(bench->machine->memory, 0x2000000, bytes, sizeof(bytes));
}

/* Of vCPU 1, in the middle of its addresses. */
static void write_page_tables(HmpBench *bench)
{
    static const struct {
        uint64_t gpa;
        uint64_t entry;
    } entries[] = {
        { 0x1000000 + 256 * 8, 0x1001007 }, { 0x1001000, 0x1002007 },
        { 0x1002000, 0x1003005 }, { 0x1002008, 0x8001e3 },
        { 0x1003000, 0x7025 }, { 0x1003008, 0x8000000000006005 }, { 0x1003010, 0x5041 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++)
        address_space_write(bench->machine->memory, entries[i].gpa, &entries[i].entry, 8);
}

static bool check(HmpBench *bench, const Case *c)
{
    g_autofree char *said = hmp_bench_ask(bench, c->line);

    if (g_pattern_match_simple(c->said, said))
        return true;
    g_printerr("'%s' said:\n%s\nexpected:\n%s\n", c->line, said, c->said);
    return false;
}

static void set_up(HmpBench *bench)
{
    hmp_bench_init(bench, words);
    set_registers(bench);
    write_memory(bench);
    write_page_tables(bench);
}

static void test_commands(void)
{
    unsigned n_wrong = 0;
    HmpBench bench;

    set_up(&bench);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        n_wrong += !check(&bench, &cases[i]);
    g_assert_cmpuint(n_wrong, ==, 0);
    hmp_bench_done(&bench);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/hmp/commands", test_commands);
    return g_test_run();
}
