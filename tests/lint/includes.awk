# SPDX-License-Identifier: Apache-2.0
#
# Who may include whom.  The tables are the rule; docs/architecture.md draws the same as a
# picture.  Includes go down in rank, never up, and never sideways in rank 2:
#
#   rank 6   src/main.c  src/machine           puts the parts together
#   rank 5   *-qmp.c  src/hmp  src/metrics     handlers: beside their subjects; for people
#   rank 4   hw/*/<device>.c  src/migrate  src/dump
#   rank 3   hw/core  hw/pci  hw/virtio
#   rank 2   src/vm | block | net | src/char | qmp
#   rank 1   src/loop
#   rank 0   src/base, generated types
#   beside   ctl                               a client: rank 0 and the schema's tables
#
# Run with every C file of the tree as an argument, from the top of the tree.

BEGIN {
    # The contracts in include/berth (and what the generator writes), by subject.
    group("base", "base cipher counters decimal error fdset file-find file-read " \
          "host-memory id iov json keyval list log printable qapi qsbr spelling thread " \
          "trace uuid vmstate")
    group("types", "qapi-types")
    group("loop", "aio iothread loop poller timer worker")
    group("vm", "address-space-cut cpu-query cpuid irq irqchip ram region vcpu vm " \
          "vm-fake vm-stats")
    group("device", "board bus device device-clock device-qmp device-timer " \
          "memory-backend msi msix memory-device hotplug object pci pci-assign " \
          "pci-slots rng secret smi-features virtio virtio-transport virtqueue")
    group("vm", "page-walk ram-map vcpu-apic vcpu-registers")
    group("block", "block block-drive block-quiesce inject throttle")
    group("block-driver", "block-driver block-node throttle-config throttle-state")
    group("net", "net net-dump net-limit net-set net-user netlink " \
          "user-forward user-frame user-options vhost")
    group("vm", "ram-extent ram-fault")
    group("dump", "dump")
    group("net-driver", "net-driver")
    group("char", "char char-set")
    group("qmp", "monitor qapi-events qapi-option qapi-tables qmp qmp-commands " \
          "qmp-introspect")
    group("migrate", "migrate")
    group("hmp", "hmp hmp-commands")
    group("metrics", "metrics")
    group("machine", "acpi aml boot cmdline device-globals drive-options " \
          "fw-cfg-options log-options machine mp-table numa pidfile process runstate " \
          "session signal-watch smbios smp")
    group("machine", "async-teardown cmdline-report memory-ledger nic-options " \
          "privileges smaps")
    group("machine", "sandbox sandbox-filter sandbox-table syscall-names")
    group("board", "x86-layout")
    # Contracts of single devices, for the board and for the device itself.
    group("part", "balloon balloon-auto")
    group("part", "cpuhp debug-exit debugcon fw-cfg hpet i6300esb i8042 i8254 i8259 " \
          "ioapic lpc memhp pc-ports pcihp pflash pvpanic rtc serial vmgenid " \
          "xhci")

    group("part", "virtio-mem vmcoreinfo")
    group("scsi", "ata-unit scsi")

    # What a folder or file may include: groups and single headers.  The first row that
    # matches counts.  "/" ends a folder.
    low = "base types loop"
    hw = low " vm device board"
    may("^src/hmp/", hw " block net char qmp machine part hmp")
    may("^ctl/", "base types qapi-tables.h")
    may("^src/metrics/", hw " block net char qmp machine part metrics")
    may("-qmp\\.c$", hw " block net char qmp machine migrate part")
    may("^src/main\\.c$", "*")
    may("^src/machine/", "*")
    may("^src/base/", "base types")
    may("^src/loop/", "base types loop")
    may("^src/vm/", low " vm board")
    may("^src/char/", low " char")
    may("^src/dump/", low " vm dump")
    may("^src/migrate/", low " vm.h region.h ram.h device.h migrate")
    may("^block/", low " block block-driver")
    may("^net/", low " net net-driver ram.h")
    may("^qmp/monitor", low " qmp char")
    may("^qmp/", low " qmp")
    may("^hw/[^/]*\\.c$", "*")
    may("^hw/(core|pci)/|^hw/virtio/(virtio|virtio-pci|virtqueue)\\.[ch]$", hw)
    may("^hw/(ata/|scsi/|virtio/virtio-scsi)", hw " block scsi")
    may("^hw/", hw " block net char part")
    may("^tests/", "*")

    # A contract may include what those below it in rank may.
    header("base", "base types")
    header("types", "base")
    header("loop", "base types loop")
    header("vm", low " vm")
    header("device", hw)
    header("block", low " block")
    header("block-driver", low " block block-driver")
    header("net", low " net ram.h")
    header("net-driver", low " net net-driver ram.h")
    header("char", low " char")
    header("qmp", low " qmp char")
    header("metrics", hw)
    header("hmp", low " qmp char hmp")
    header("dump", low " vm dump")
    header("migrate", low " migrate")
    header("machine", hw " machine block char qmp fw-cfg.h")
    header("board", "base")
    header("part", hw " char part")
    header("scsi", hw " block scsi")

    # Headers of the system and of libraries that only some files may see.
    only("linux/kvm\\.h", "^src/vm/(vm-kvm[a-z-]*|vcpu[a-z-]*|irq-route|cpuid)\\.[ch]$|" \
         "^src/machine/sandbox-table\\.c$")
    only("libaio\\.h", "^src/loop/aio\\.c$|^block/file\\.c$")
    only("netlink/.*", "^net/")
    only("slirp/.*|dlfcn\\.h", "^net/user-library\\.[ch]$")
    only("linux/(vhost|if_tun)\\.h", "^net/|^src/machine/sandbox-table\\.c$")
    only("json-c/.*|json\\.h", "^src/base/json[a-z-]*\\.[ch]$")
    only("nettle/.*", "^src/base/cipher\\.c$")
    only("seccomp\\.h", "^tests/unit/test-sandbox-table\\.c$")
    only("zlib\\.h", "^block/|^src/dump/dump-kdump\\.c$")
    only("zstd\\.h", "^block/")
    only("gio/.*|glib-object\\.h|gmodule\\.h", "^$")

    for (i = 1; i < ARGC; i++)
        exists[ARGV[i]] = 1
}

function group(name, headers,    list, n, i)
{
    n = split(headers, list, " ")
    for (i = 1; i <= n; i++)
        group_of[list[i] ".h"] = name
}

function may(pattern, what)
{
    folders[++n_folders] = pattern
    allowed[n_folders] = " " what " "
}

function header(name, what)
{
    header_allowed[name] = " " what " "
}

function only(pattern, where)
{
    restricted[++n_restricted] = "^(" pattern ")$"
    restricted_to[n_restricted] = where
}

function complain(text)
{
    printf "%s:%d: %s\n", FILENAME, FNR, text
    failed = 1
}

function trim(text)
{
    gsub(/^ +| +$/, "", text)
    return text
}

function folder(path)
{
    sub("[^/]*$", "", path)
    return path
}

# "hw/x86/fw-cfg-dma.c" -> "fw-cfg-dma"
function stem(path)
{
    sub(".*/", "", path)
    sub("\\.[ch]$", "", path)
    return path
}

function what_is_allowed(path,    i, name)
{
    name = stem(path) ".h"
    if (path ~ "^include/berth/")
        return name in group_of ? header_allowed[group_of[name]] : ""
    for (i = 1; i <= n_folders; i++)
        if (path ~ folders[i])
            return allowed[i]
    return ""
}

function check_contract(name,    g)
{
    if (!(name in group_of)) {
        complain("\"berth/" name "\" has no group: add it to a group of " \
                 "tests/lint/includes.awk, which decides who may include it")
        return
    }
    if (can == " * ")
        return
    g = group_of[name]
    if (index(can, " " g " ") == 0 && index(can, " " name " ") == 0)
        complain("may not include \"" name "\" (group " g "): pass plain data from the " \
                 "caller above, or use a contract of: " trim(can))
    else if (g == "part" && FILENAME !~ "^include/" &&
             index(stem(FILENAME), stem(name)) != 1)
        complain("may not include \"" name "\": it is another device's; let the board " \
                 "(src/machine) connect the two")
}

function check_private(name)
{
    if (name in group_of) {
        check_contract(name)
        return
    }
    if (!((folder(FILENAME) name) in exists) && !(("tests/kit/" name) in exists))
        complain("\"" name "\" is not in this folder: a private header stays beside " \
                 "its .c; what others need goes to include/berth")
    else if (FILENAME ~ "^include/")
        complain("a contract may not include the private header \"" name "\"")
}

function check_system(name,    i)
{
    for (i = 1; i <= n_restricted; i++)
        if (name ~ restricted[i] && FILENAME !~ restricted_to[i] && FILENAME !~ "^tests/")
            complain("<" name "> is only for " (restricted_to[i] == "^$" ? "nobody" : \
                     restricted_to[i]) ": use berth's contract for it")
}

FNR == 1 {
    seen_own = 0
    can = what_is_allowed(FILENAME)
    if (can == "")
        complain("no folder or group of tests/lint/includes.awk has this file: " \
                 "add a row there")
}

/^[ \t]*#[ \t]*include/ && can != "" {
    name = $0
    if (match(name, /<[^>]*>/)) {
        if (seen_own && FILENAME ~ "\\.c$")
            complain("a header of the system after berth's: the system's stand first")
        check_system(substr(name, RSTART + 1, RLENGTH - 2))
    } else if (match(name, /"[^"]*"/)) {
        name = substr(name, RSTART + 1, RLENGTH - 2)
        seen_own = 1
        if (sub("^berth/", "", name))
            check_contract(name)
        else if (name ~ "/")
            complain("\"" name "\" names another folder: include \"berth/...\" or a " \
                     "header beside this file")
        else
            check_private(name)
    }
}

END { exit failed }
