#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo of a server that boots by itself: firmware, its own boot loader, its own
kernel, its root on the disk; a reboot goes the same way.  Exit codes are those of
story.py."""

import re
import sys

from story import Guest, Story, main
from guest import shown

FIRMWARE = r"SeaBIOS \(version ([^)]*)\)"
LOADER = shown("GRUB")


class DiskStory(Story):
    def make_guest(self, options, folder, root, append):
        return Guest(
            options.vmm, folder, "-name", "demo", "-device", "virtio-rng-pci", *root,
            "-device", "virtio-blk-pci,drive=root,bootindex=1", *self.network.args,
            "-boot", "strict=on", cpus=2, memory=512)

    def follow_boot(self):
        """Tells of each part as it speaks."""
        console = self.guest.console
        found = console.wait(FIRMWARE, self.guest.mark)
        self.say(f"firmware: SeaBIOS {found[1]}")
        found = console.wait(LOADER, found.end())
        self.say("its boot loader, from the first sectors of the disk: GRUB")
        self.guest.wait_up()
        self.say("its kernel is up, with a shell on its serial console")

    def talk(self):
        guest = self.guest
        self.follow_boot()
        for command in ("uname -sr", "nproc", "cat /sys/class/dmi/id/bios_vendor",
                        "cat /proc/cmdline", "grep -w / /proc/mounts",
                        "echo kept over the reboot > /note; sync"):
            self.show(command, "guest# ")
            self.show(guest.run(command))
        if not re.search("^/dev/vda1 / ext4", guest.run("cat /proc/mounts"), re.M):
            raise RuntimeError("the root is not on the disk")
        self.write()
        self.show("reboot", "guest# ")
        guest.type("reboot\n")
        self.follow_boot()
        self.show("cat /note", "guest# ")
        note = guest.run("cat /note")
        self.show(note)
        if note != "kept over the reboot":
            raise RuntimeError("the disk has lost what was written")


if __name__ == "__main__":
    sys.exit(main(DiskStory))
