# SPDX-License-Identifier: Apache-2.0
"""What a guest does of its own accord that a client of its VMM is told of: the side of
its drivers, by the guest poke.S."""

import struct

from esb import Esb
from libvirt_rig import (BUSES, GOES, MEMORY_BITS, MEMORY_SELECT, PCI_EJECT, PCI_SELECT,
                         PCI_UP, PM_CONTROL, PM_SLEEP)
from poke import WAKING
from poke_virtio import DEVICE, PokeVirtio
from rig import wait_until

NET, CONSOLE, BALLOON = 1, 3, 5
# Virtio 1.2, 5.1.6.5 (receive filter), 5.3.6 (multiport), 5.5.4 (balloon).
CONTROL_QUEUE, CONTROL_VQ, CONTROL_RX, RX_PROMISC = 2, 17, 18, b"\0\0"
CONTROL_IN, CONTROL_OUT, MULTIPORT = 2, 3, 1
DEVICE_READY, PORT_READY, PORT_OPEN = 0, 3, 6
ACTUAL = 4
RTC, RTC_YEAR = 0x70, 9
OST_EVENT, OST_STATUS = 0xa04, 0xa08
EJECTION, FAILED = 3, 1
PVPANIC, PANICKED = 0x505, 1
RESET_CONTROL, HARD_RESET = 0xcf9, 6
S3, FACS_VECTOR = 1 << 10, 12


class Causes:
    def __init__(self, driver):
        self.driver = driver
        self.console = None

    def channel_opens(self):
        self.console = PokeVirtio(self.driver, CONSOLE, 0, [MULTIPORT])
        self.console.enable(CONTROL_IN, CONTROL_OUT)
        self.tell(0, DEVICE_READY, 1)
        self.tell(1, PORT_READY, 1)
        self.tell(1, PORT_OPEN, 1)

    def channel_closes(self):
        self.tell(1, PORT_OPEN, 0)

    def tell(self, port, event, value):
        self.console.put(CONTROL_OUT, struct.pack("<IHH", port, event, value))
        wait_until(lambda: self.console.is_used(CONTROL_OUT))

    def balloon_grows(self):
        """To 4 MiB."""
        balloon = PokeVirtio(self.driver, BALLOON, 1)
        balloon.enable()
        balloon.write(DEVICE, ACTUAL, 1024, 4)

    def filter_changes(self):
        net = PokeVirtio(self.driver, NET, 2, [CONTROL_VQ, CONTROL_RX])
        net.enable(CONTROL_QUEUE)
        net.put(CONTROL_QUEUE, RX_PROMISC + b"\0", 1)

    def clock_is_set(self):
        """A year on."""
        self.driver.out(RTC, RTC_YEAR)
        year = self.driver.inp(RTC + 1)
        self.driver.out(RTC + 1, year + 1)

    def lets_go(self):
        """Of what has come last, without being asked."""
        for bus in range(BUSES):
            self.driver.out(PCI_SELECT, bus, 4)
            slots = self.driver.inp(PCI_UP, 4)
            if slots:
                self.driver.out(PCI_EJECT, slots, 4)

    def keeps_module(self):
        """Says by _OST that it does, when it is asked."""
        def asked():
            self.driver.out(MEMORY_SELECT, 0, 4)
            return self.driver.inp(MEMORY_BITS) & GOES

        wait_until(asked)
        self.driver.out(MEMORY_BITS, GOES)
        self.driver.out(OST_EVENT, EJECTION, 4)
        self.driver.out(OST_STATUS, FAILED, 4)

    def starts_watchdog(self):
        self.begun()
        Esb.find(self.driver).start()

    def resets(self):
        self.begun()
        self.driver.order("b", RESET_CONTROL, HARD_RESET)

    def begun(self):
        """After a reset that came before."""
        self.driver.heard("!")

    def falls_asleep(self):
        self.driver.write(self.driver.table("FACS") + FACS_VECTOR, WAKING)
        self.driver.order("w", PM_CONTROL, S3 | PM_SLEEP)

    def panics(self):
        self.driver.order("b", PVPANIC, PANICKED)
