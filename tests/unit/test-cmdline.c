/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/cmdline.h"
#include "berth/error.h"
#include "berth/qapi-tables.h"

/* @text is split at blanks; no shell rules. */
static Cmdline *parse(const char *text, GError **error)
{
    g_autofree char *line = g_strconcat("berth ", text, NULL);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);

    return cmdline_parse((int)g_strv_length(argv), argv, error);
}

static void test_values_are_typed(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-m 512 -smp 2,maxcpus=4 -S -kernel vmlinuz "
              "-machine q35,usb=off -name guest=a,debug-threads=on",
              &error);

    g_assert_no_error(error);
    g_assert_cmpuint(cmdline->memory->size, ==, 512 * 1024 * 1024);
    g_assert_cmpint(cmdline->smp->cpus, ==, 2);
    g_assert_cmpint(cmdline->smp->maxcpus, ==, 4);
    g_assert_true(cmdline->paused);
    g_assert_cmpstr(cmdline->kernel, ==, "vmlinuz");
    g_assert_cmpstr(cmdline->machine->type, ==, "q35");
    g_assert_cmpstr(cmdline->name->guest, ==, "a");
    g_assert_null(cmdline->rtc);
}

static void test_machine_keys_have_dashes_or_underscores(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-machine kernel_irqchip=on,dump_guest_core=off,mem-merge=off", &error);

    g_assert_no_error(error);
    g_assert_cmpint(cmdline->machine->kernel_irqchip, ==, ON_OFF_SPLIT_ON);
    g_assert_false(cmdline->machine->dump_guest_core);
    g_assert_false(cmdline->machine->mem_merge);
}

static void test_merged_option_keeps_both_and_last_wins(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-machine q35 -machine mem-merge=off -smp 2 -smp 3", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(cmdline->machine->type, ==, "q35");
    g_assert_false(cmdline->machine->mem_merge);
    g_assert_cmpint(cmdline->smp->cpus, ==, 3);
}

static void test_other_names_of_actions_are_pairs_of_it(void)
{
    static const struct {
        const char *line;
        ActionOptions actions;
    } cases[] = {
        { "-no-reboot", { .has_reboot = true, .reboot = REBOOT_ACTION_SHUTDOWN } },
        { "-no-shutdown", { .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_PAUSE } },
        { "-watchdog-action poweroff",
          { .has_watchdog = true, .watchdog = WATCHDOG_ACTION_POWEROFF } },
        { "-no-reboot -action reboot=reset,panic=none",
          { .has_reboot = true, .reboot = REBOOT_ACTION_RESET, .has_panic = true,
            .panic = PANIC_ACTION_NONE } },
        { "-action shutdown=poweroff -no-shutdown -watchdog-action none -no-reboot",
          { .has_reboot = true, .reboot = REBOOT_ACTION_SHUTDOWN, .has_shutdown = true,
            .shutdown = SHUTDOWN_ACTION_PAUSE, .has_watchdog = true,
            .watchdog = WATCHDOG_ACTION_NONE } },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline = parse(cases[i].line, &error);
        const ActionOptions *got = cmdline->action_options, *want = &cases[i].actions;

        g_assert_no_error(error);
        g_assert_cmpint(got->has_reboot, ==, want->has_reboot);
        g_assert_cmpint(got->reboot, ==, want->reboot);
        g_assert_cmpint(got->has_shutdown, ==, want->has_shutdown);
        g_assert_cmpint(got->shutdown, ==, want->shutdown);
        g_assert_cmpint(got->has_panic, ==, want->has_panic);
        g_assert_cmpint(got->panic, ==, want->panic);
        g_assert_cmpint(got->has_watchdog, ==, want->has_watchdog);
        g_assert_cmpint(got->watchdog, ==, want->watchdog);
    }
}

static void test_repeated_options_keep_their_order(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-device virtio-rng-pci,id=a "
              "-device {\"driver\":\"pcie-root-port\",\"id\":\"b\"}",
              &error);
    const DeviceAddArgs *first, *second;

    g_assert_no_error(error);
    g_assert_cmpuint(cmdline->devices->len, ==, 2);
    first = g_ptr_array_index(cmdline->devices, 0);
    second = g_ptr_array_index(cmdline->devices, 1);
    g_assert_cmpstr(first->id, ==, "a");
    g_assert_cmpint(second->driver, ==, DEVICE_DRIVER_PCIE_ROOT_PORT);
}

/* What is said of the name that was used wins over what is said of the device's own. */
static void test_devices_have_other_names(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-global virtio-rng-pci.max-bytes=1 -global virtio-rng-pci.period=2 "
              "-global virtio-rng-pci-non-transitional.max-bytes=3 -device virtio-rng "
              "-device virtio-rng-pci-non-transitional "
              "-device virtio-rng-pci-transitional",
              &error);
    static const uint64_t max_bytes[] = { 1, 3, 1 };

    g_assert_no_error(error);
    g_assert_cmpuint(cmdline->devices->len, ==, 3);
    for (guint i = 0; i < cmdline->devices->len; i++) {
        const DeviceAddArgs *args = g_ptr_array_index(cmdline->devices, i);

        g_assert_cmpint(args->driver, ==, DEVICE_DRIVER_VIRTIO_RNG_PCI);
        g_assert_cmpuint(args->u.virtio_rng_pci.max_bytes, ==, max_bytes[i]);
        g_assert_cmpuint(args->u.virtio_rng_pci.period, ==, 2);
    }
}

/* As QEMU's own options have nodes and processors. */
static void test_lists_of_numbers_have_ranges(void)
{
    static const uint16_t wanted[] = { 0, 1, 2, 3, 7, 9, 10 };
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-object memory-backend-ram,id=m,size=1M,policy=bind,host-nodes=0-3,"
              "host-nodes=7,host-nodes=9-10", &error);
    const ObjectOptions *object;
    const Uint16List *nodes;

    g_assert_no_error(error);
    object = g_ptr_array_index(cmdline->objects, 0);
    nodes = object->u.memory_backend_ram.host_nodes;
    g_assert_cmpmem(nodes->items, nodes->n * sizeof(nodes->items[0]), wanted,
                    sizeof(wanted));
}

static const struct {
    const char *line;
    const char *needle;
} refused[] = {
    { "-object memory-backend-ram,id=m,size=1M,host-nodes=3-1", "host-nodes" },
    { "-object memory-backend-ram,id=m,size=1M,prealloc-context=c",
      "'prealloc-context' is unexpected: prealloc-threads run where the process may" },
    { "-object memory-backend-file,id=m,size=1M,mem-path=/m,prealloc-context=c",
      "is unexpected: prealloc-threads" },
    { "-object memory-backend-file,id=m,size=1M,mem-path=/m,pmem=on",
      "'pmem' is unexpected: there is no persistent memory" },
    { "-blockdev driver=file,filename=a,node-name=n,pr-manager=p",
      "'pr-manager' is unexpected: SCSI devices" },
    { "-machine q35,pcspk-audiodev=a", "is unexpected: there is no sound" },
    { "-numa hmat-lb,initiator=0", "value 'hmat-lb': memory has one kind" },
    { "-object memory-backend-ram,id=m,size=1M,host-nodes=0-4294967295", "host-nodes" },
    { "-object memory-backend-ram,id=m,size=1M,host-nodes=65530-65536", "host-nodes" },
    { "-object memory-backend-ram,id=m,size=1M,host-nodes=0-", "host-nodes" },
    { "-object memory-backend-ram,id=m,size=1M,host-nodes=1-2-3", "host-nodes" },
    { "-machine none -mem-path /tmp", "-mem-path" },
    { "-machine pc", "-machine pc: there is no such machine type" },
    { "-machine pc-q35-1.7", "'q35'" },
    { "-device virtio-vga", "there is no screen" },
    { "-global virtio-blk-pci-transitional.wheels=4", "wheels" },
    { "-S -check-args", "-check-args" },
    { "-frobnicate", "-frobnicate" },
    { "vmlinuz", "vmlinuz" },
    { "-m", "-m" },
    { "-m 1Q", "size" },
    { "-smp cpus=x", "cpus" },
    { "-smp 2,wheels=4", "wheels" },
    { "-machine graphics=on", "graphics=on" },
    { "-machine none -kernel x", "-kernel" },
    { "-machine none -m 64", "-m" },
    { "-machine none -device virtio-rng-pci", "-device" },
    { "-machine none -serial none -serial null", "-serial" },
    { "-machine kernel_irqchip=off", "irqchip" },
    { "-accel kvm,kernel-irqchip=off", "irqchip" },
    { "-machine kernel-irqchip=on -accel kvm,kernel-irqchip=split", "irqchip" },
    { "-device floppy,help", "floppy" },
    { "-object widget,help", "widget" },
    { "-chardev teapot,help", "teapot" },
    { "-chardev socket,id=c,path=x,server,nowait=off", "nowait" },
    { "-chardev spicevmc,id=c,name=vdagent", "SPICE" },
    { "-machine smm=on -global mch.extended-tseg-mbytes=2048", "extended-tseg-mbytes" },
    { "-machine smm=maybe", "smm" },
    { "-global hpet.timers=2", "timers" },
    { "-global hpet.timers=33", "timers" },
    { "-machine nvdimm=on", "nvdimm=on" },
    { "-machine hmat=on", "hmat=on" },
    { "-machine smbus=on", "smbus=on" },
    { "-machine pflash0=a -bios b", "-bios b: firmware is in flash memory" },
    { "-machine pflash1=a", "pflash0" },
    { "-machine none,pflash0=a", "-machine pflash0" },
    { "-machine pflash0=a -drive if=pflash,format=raw,file=b", "pflash0" },
    { "-drive if=pflash,format=raw,file=a,unit=2", "2 units" },
    { "-drive if=pflash,format=raw,file=a,unit=1", "pflash0" },
    { "-drive if=pflash,file=a", "'format'" },
    { "-drive if=pflash,format=raw,file=a,unit=0 "
      "-drive if=pflash,format=raw,file=b,unit=0", "drive 0 of 'pflash'" },
    { "-global driver=cfi.pflash01,property=secure,value=on", "system management mode" },
    { "-machine confidential-guest-support=a", "confidential-guest-support" },
    { "-machine initrd=a", "-initrd" },
    { "-vnc :0", "-vnc" },
    { "-net nic", "-net" },
    { "-nic vde", "-nic vde: " },
    { "-nic help", "-nic help: " },
    { "-nic user,hostfwd=tcp::1-:2,host=1,hostfwd=tcp::3-:4,nonsense=1", "nonsense" },
    { "-nic tap,model=e1000", "parameter 'model': there is no 'e1000'" },
    { "-nic tap,nonsense=1", "nonsense" },
    { "-nic null,mac=x,vectors=y", "vectors" },
    { "-audiodev {\"id\":\"a\",\"driver\":\"alsa\"}", "alsa" },
    { "-hda a -drive index=0,file=b,format=raw", "drive 0 of 'ide'" },
    { "-hdc a -cdrom b", "-cdrom: parameter 'index'" },
    { "--incoming defer", "--incoming: " },
    { "-pflash x", "-pflash: the format of an image is never guessed" },
    { "-k", "-k: there is no screen" },
    { "-boot z", "'z'" },
    { "-boot order=cc", "twice" },
    { "-boot once=abcd", "once" },
    { "-boot splash=a.bmp", "splash" },
    { "-boot reboot-timeout=-2", "reboot-timeout" },
    { "-boot splash-time=65536", "splash-time" },
    { "-boot menu=perhaps", "menu" },
    { "-", "invalid option" },
    { "-devise x", "-devise: invalid option; did you mean '-device'?" },
    { "--hlp", "--hlp: invalid option; did you mean '-help'?" },
    { "-device virtio-net-pic",
      "value 'virtio-net-pic'; did you mean 'virtio-net-pci'?" },
    { "-device virtio-rng-pci,max-byte=1", "unexpected; did you mean 'max-bytes'?" },
    { "-machine q35,kernel_irqchp=on", "unexpected; did you mean 'kernel-irqchip'?" },
    { "--", "invalid option" },
    { "-machine accel=tcg", "tcg" },
    { "-accel tcg", "tcg" },
    { "-accel kvm,dirty-ring-size=4096", "dirty-ring-size: pages that a guest writes" },
    { "-id 100", "-id: it is Proxmox VE's own" },
    { "-device pci-bridge,chassis_nr=1,io-reserve=4k", "2 MiB of memory" },
    { "-accel kvm -accel hvf", "hvf" },
    { "-device floppy", "floppy" },
    { "-device virtio-rng-pci,wheels=4", "wheels" },
    { "-device {\"driver\":3}", "driver" },
    { "-device {", "JSON" },
    { "-object widget,id=a", "widget" },
    { "-chardev socket", "id" },
    { "-display gtk", "gtk" },
    { "-vga std", "std" },
    { "-parallel pty", "parallel" },
    { "-mon chardev=a,pretty=on", "mode=control" },
    { "-mon chardev=a,mode=loud", "loud" },
    { "-overcommit mem-lock=perhaps", "mem-lock" },
    { "-initrd x", "-kernel" },
    { "-global floppy.drive=a", "floppy" },
    { "-global isa-serial.wheels=4", "wheels" },
    { "-global isa-serial.romfile=", "romfile" },
    { "-global isa-serial.id=a", "'id'" },
    { "-global pcie-root-port.driver=a", "'driver'" },
    { "-global pcie-root-port.bus=a", "'bus'" },
    { "-global pcie-root-port.slot=8192", "slot" },
    { "-global pcie-root-port.slot", "pcie-root-port" },
    { "-global pcie-root-port=1", "pcie-root-port" },
    { "-global .x=1", "''" },
    { "-global =", "=" },
    { "-global driver=pcie-root-port,property=slot", "value" },
    { "-global ICH9-LPC.disable_s3=2", "disable_s3" },
    { "-global ICH9-LPC.noreboot=perhaps", "noreboot" },
    { "-global ICH9-LPC.addr=3", "addr" },
    { "-global mch.extended-tseg-mbytes=8", "extended-tseg-mbytes" },
    { "-global mch.smbase-smram=on", "smbase-smram" },
    { "-global ICH9-LPC.x-smi-cpu-hotplug=on", "x-smi-cpu-hotplug" },
    { "-global ICH9-LPC.x-smi-cpu-hotunplug=on", "'-machine smm=on'" },
    { "-global kvm-pit.lost_tick_policy=slew", "lost_tick_policy" },
    { "-global mc146818rtc.lost_tick_policy=delay", "lost_tick_policy" },
    { "-rtc base=tomorrow", "tomorrow" },
    { "-rtc base=2026-02-30", "2026-02-30" },
    { "-rtc base=2026-11-23T08:43:55Z", "55Z" },
    { "-rtc base=2026-11-23T25:00:00", "T25" },
    { "-rtc base=", "'base'" },
    { "-rtc clock=sun", "sun" },
    { "-rtc driftfix=fast", "fast" },
    { "-device ICH9-LPC", "ICH9-LPC" },
    { "-set device.a.chassis=1", "device \"a\"" },
    { "-set device.a=1", "-set" },
    { "-set device.a.b", "-set" },
    { "-set ..=", "-set" },
    { "-device pcie-root-port,id=a -set device.a.chassis=x", "chassis" },
    { "-device pcie-root-port,id=a -set device.a.wheels=4", "wheels" },
    { "-device pcie-root-port,id=a -set device.a.x,y=4", "-set" },
    { "-append x", "-kernel" },
    { "-action panic=burn", "panic" },
    { "-watchdog-action bark", "-watchdog-action bark" },
    { "-watchdog-action reset,panic=none", "watchdog" },
    { "-watchdog-action", "-watchdog-action" },
    { "-preconfig", "-preconfig" },
    { "-daemonize -nographic", "daemonize" },
};

static void test_refusals_name_the_option(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline = parse(refused[i].line, &error);

        g_assert_null(cmdline);
        g_assert_nonnull(error);
        if (!strstr(error->message, refused[i].needle))
            g_error("'%s' is not in '%s'", refused[i].needle, error->message);
        g_assert_null(strchr(error->message, '\n'));
    }
}

static void test_nographic_brings_a_monitor(void)
{
    static const struct {
        const char *line;
        bool wanted;
    } cases[] = {
        { "-S", false },
        { "-nographic", true },
        { "-nographic -serial null", true },
        { "-nographic -serial stdio", false },
        { "-nographic -serial mon:stdio", false },
        { "-nographic -nodefaults", false },
        { "-nographic -monitor none", false },
        { "-nographic -qmp null", false },
        { "-nographic -mon chardev=a", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline = parse(cases[i].line, &error);

        g_assert_no_error(error);
        if (cmdline_wants_monitor(cmdline) != cases[i].wanted)
            g_error("'%s'", cases[i].line);
    }
}

static void test_short_forms_are_pairs_of_other_options(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-no-acpi -M q35 -no-hpet -no-fd-bootchk -enable-kvm -machine i8042=off "
              "-machine kernel=k,append=a -initrd i -overcommit mem-lock=on-fault "
              "-boot dc,menu=on -boot strict=on -vga none -vnc none -net none -nic none "
              "-accel tcg -audiodev none,id=a -nodefconfig",
              &error);

    g_assert_no_error(error);
    g_assert_cmpstr(cmdline->machine->type, ==, "q35");
    g_assert_cmpint(cmdline->machine->acpi, ==, ON_OFF_AUTO_OFF);
    g_assert_true(cmdline->machine->has_hpet && !cmdline->machine->hpet);
    g_assert_true(cmdline->machine->has_i8042 && !cmdline->machine->i8042);
    g_assert_true(cmdline->machine->has_fd_bootchk && !cmdline->machine->fd_bootchk);
    g_assert_cmpstr(cmdline_accel(cmdline)->accel, ==, "kvm");
    g_assert_cmpstr(cmdline->kernel, ==, "k");
    g_assert_cmpstr(cmdline->initrd, ==, "i");
    g_assert_cmpstr(cmdline->append, ==, "a");
    g_assert_cmpint(cmdline->overcommit->mem_lock, ==, MEM_LOCK_ON_FAULT);
    g_assert_cmpstr(cmdline->boot->order, ==, "dc");
    g_assert_true(cmdline->boot->menu && cmdline->boot->strict);
}

static void test_nic_is_a_backend_and_a_device(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-netdev null,id=nic0 -nic none -nic tap,br=b,macaddr=02:00:00:00:00:01,"
              "model=virtio,id=net0 -global virtio-net-pci.mq=on -nic type=null,queues=2",
              &error);
    const DeviceAddArgs *args;
    const Netdev *netdev;

    g_assert_no_error(error);
    g_assert_cmpuint(cmdline->netdevs->len, ==, 3);
    netdev = g_ptr_array_index(cmdline->netdevs, 1);
    g_assert_cmpstr(netdev->id, ==, "nic1");
    g_assert_cmpstr(netdev->u.tap.br, ==, "b");
    args = g_ptr_array_index(cmdline->devices, 0);
    g_assert_cmpint(args->driver, ==, DEVICE_DRIVER_VIRTIO_NET_PCI);
    g_assert_cmpstr(args->id, ==, "net0");
    g_assert_cmpstr(args->u.virtio_net_pci.netdev, ==, "nic1");
    g_assert_cmpstr(args->u.virtio_net_pci.mac, ==, "02:00:00:00:00:01");
    g_assert_true(args->u.virtio_net_pci.mq);
    netdev = g_ptr_array_index(cmdline->netdevs, 2);
    g_assert_cmpint(netdev->type, ==, NET_CLIENT_DRIVER_NULL);
    args = g_ptr_array_index(cmdline->devices, 1);
    g_assert_cmpstr(args->u.virtio_net_pci.netdev, ==, "nic2");
}

static void test_globals_fill_in_what_a_device_leaves_out(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-global pcie-root-port.chassis=3 -device pcie-root-port,id=a "
              "-device {\"driver\":\"pcie-root-port\",\"id\":\"b\",\"chassis\":9} "
              "-global driver=pcie-root-port,property=hotplug,value=off "
              "-global pcie-root-port.chassis=4 "
              "-global virtio-rng-pci.romfile= -device virtio-rng-pci",
              &error);
    const DeviceAddArgs *args;

    g_assert_no_error(error);
    args = g_ptr_array_index(cmdline->devices, 0);
    g_assert_cmpuint(args->u.pcie_root_port.chassis, ==, 4);
    g_assert_false(args->u.pcie_root_port.hotplug);
    args = g_ptr_array_index(cmdline->devices, 1);
    g_assert_cmpuint(args->u.pcie_root_port.chassis, ==, 9);
    g_assert_false(args->u.pcie_root_port.hotplug);
    args = g_ptr_array_index(cmdline->devices, 2);
    g_assert_cmpstr(args->romfile, ==, "");
    g_assert_false(args->has_acpi_index);
}

static void test_globals_of_a_board_device_are_typed(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-global ICH9-LPC.disable_s3=0x1 -global hpet.msi=on", &error);
    const Ich9LpcProps *lpc;

    g_assert_no_error(error);
    lpc = &cmdline->onboard[ONBOARD_DRIVER_ICH9_LPC]->u.ICH9_LPC;
    g_assert_cmpuint(lpc->disable_s3, ==, 1);
    g_assert_cmpuint(lpc->disable_s4, ==, 0);
    g_assert_false(lpc->noreboot);
    g_assert_true(cmdline->onboard[ONBOARD_DRIVER_HPET]->u.hpet.msi);
    g_assert_cmpuint(cmdline->onboard[ONBOARD_DRIVER_HPET]->u.hpet.timers, ==, 3);
}

static void test_set_changes_an_item_that_has_the_id(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-chardev file,id=c,path=x -device pcie-root-port,id=p,chassis=1 "
              "-set chardev.c.path=a,b=c.d -set device.p.chassis=7 "
              "-global pcie-root-port.chassis=5",
              &error);
    const ChardevOptions *chardev;
    const DeviceAddArgs *port;

    g_assert_no_error(error);
    chardev = g_ptr_array_index(cmdline->chardevs, 0);
    g_assert_cmpstr(chardev->u.file.path, ==, "a,b=c.d");
    port = g_ptr_array_index(cmdline->devices, 0);
    g_assert_cmpuint(port->u.pcie_root_port.chassis, ==, 7);
}

static void test_old_words_of_sockets(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline =
        parse("-chardev socket,id=c,path=x,server,nowait "
              "-chardev socket,id=d,host=h,port=1,noipv6,telnet", &error);
    const ChardevOptions *chardev;

    g_assert_no_error(error);
    chardev = g_ptr_array_index(cmdline->chardevs, 0);
    g_assert_true(chardev->u.socket.server);
    g_assert_true(chardev->u.socket.has_wait && !chardev->u.socket.wait);
    chardev = g_ptr_array_index(cmdline->chardevs, 1);
    g_assert_true(chardev->u.socket.has_ipv6 && !chardev->u.socket.ipv6);
    g_assert_true(chardev->u.socket.telnet);
}

static void test_probe_of_libvirt_is_accepted(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline = parse("-S -no-user-config -nodefaults -nographic "
                                       "-machine none,accel=kvm:tcg "
                                       "-qmp unix:/x/qmp.monitor,server=on,wait=off "
                                       "-pidfile /x/qmp.pid -daemonize", &error);

    g_assert_no_error(error);
    g_assert_true(cmdline->daemonize);
    g_assert_cmpuint(cmdline->qmps->len, ==, 1);
}

static void test_domain_of_libvirt_is_accepted(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline = parse(
        "-name guest=m,debug-threads=on -S "
        "-object {\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\","
        "\"file\":\"/x/master-key.aes\"} "
        "-machine pc-q35-7.2,usb=off,vmport=off,smm=off,dump-guest-core=off,"
        "mem-merge=off,memory-backend=pc.ram,graphics=off,hpet=off,acpi=on -accel kvm "
        "-cpu host,migratable=on -m size=524288k "
        "-object {\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
        "\"x-use-canonical-path-for-ramblock-id\":false,\"size\":536870912} "
        "-overcommit mem-lock=off -smp 2,sockets=2,dies=1,cores=1,threads=1 "
        "-object {\"qom-type\":\"iothread\",\"id\":\"iothread1\"} "
        "-uuid 11111111-2222-3333-4444-555555555577 -display none -no-user-config "
        "-nodefaults "
        "-chardev socket,id=charmonitor,path=/x/monitor.sock,server=on,wait=off "
        "-mon chardev=charmonitor,id=monitor,mode=control -rtc base=utc "
        "-global kvm-pit.lost_tick_policy=delay -no-hpet -no-shutdown "
        "-global ICH9-LPC.disable_s3=1 -global ICH9-LPC.disable_s4=1 "
        "-global ICH9-LPC.noreboot=off -watchdog-action reset "
        "-boot menu=on,reboot-timeout=1000,splash-time=3000,strict=on "
        "-device {\"driver\":\"pcie-root-port\",\"port\":8,\"chassis\":1,"
        "\"id\":\"pci.1\","
        "\"bus\":\"pcie.0\",\"multifunction\":true,\"addr\":\"0x1\"} "
        "-audiodev {\"id\":\"audio1\",\"driver\":\"none\"} -msg timestamp=on",
        &error);

    g_assert_no_error(error);
    g_assert_cmpuint(cmdline->objects->len, ==, 3);
    g_assert_cmpuint(cmdline->boot->splash_time, ==, 3000);
    g_assert_false(cmdline->onboard[ONBOARD_DRIVER_ICH9_LPC]->u.ICH9_LPC.noreboot);
}

static void test_every_option_of_the_schema_has_a_place(void)
{
    for (unsigned i = 0; i < cmdline_n_options; i++) {
        const CmdlineOption *option = &cmdline_options[i];
        g_autofree char *arg = g_strconcat("-", qapi_text(option->name), NULL);
        char *argv[] = { (char *)"berth", arg, (char *)"help" };
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline =
            cmdline_parse(option->arg == CMDLINE_ARG_NONE ? 2 : 3, argv, &error);

        g_assert_true(cmdline || error);
        if (cmdline && cmdline->action == CMDLINE_ACTION_PRINT)
            g_assert_cmpuint(strlen(cmdline->text), >, 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cmdline/values-are-typed", test_values_are_typed);
    g_test_add_func("/cmdline/old-words-of-sockets", test_old_words_of_sockets);
    g_test_add_func("/cmdline/machine-keys-have-dashes-or-underscores",
                    test_machine_keys_have_dashes_or_underscores);
    g_test_add_func("/cmdline/merged-option-keeps-both-and-last-wins",
                    test_merged_option_keeps_both_and_last_wins);
    g_test_add_func("/cmdline/other-names-of-actions-are-pairs-of-it",
                    test_other_names_of_actions_are_pairs_of_it);
    g_test_add_func("/cmdline/repeated-options-keep-their-order",
                    test_repeated_options_keep_their_order);
    g_test_add_func("/cmdline/other-names", test_devices_have_other_names);
    g_test_add_func("/cmdline/lists-of-numbers-have-ranges",
                    test_lists_of_numbers_have_ranges);
    g_test_add_func("/cmdline/refusals-name-the-option", test_refusals_name_the_option);
    g_test_add_func("/cmdline/nographic-brings-a-monitor",
                    test_nographic_brings_a_monitor);
    g_test_add_func("/cmdline/short-forms-are-pairs-of-other-options",
                    test_short_forms_are_pairs_of_other_options);
    g_test_add_func("/cmdline/nic-is-a-backend-and-a-device",
                    test_nic_is_a_backend_and_a_device);
    g_test_add_func("/cmdline/globals-fill-in-what-a-device-leaves-out",
                    test_globals_fill_in_what_a_device_leaves_out);
    g_test_add_func("/cmdline/globals-of-a-board-device-are-typed",
                    test_globals_of_a_board_device_are_typed);
    g_test_add_func("/cmdline/set-changes-an-item-that-has-the-id",
                    test_set_changes_an_item_that_has_the_id);
    g_test_add_func("/cmdline/probe-of-libvirt-is-accepted",
                    test_probe_of_libvirt_is_accepted);
    g_test_add_func("/cmdline/domain-of-libvirt-is-accepted",
                    test_domain_of_libvirt_is_accepted);
    g_test_add_func("/cmdline/every-option-of-the-schema-has-a-place",
                    test_every_option_of_the_schema_has_a_place);
    return g_test_run();
}
