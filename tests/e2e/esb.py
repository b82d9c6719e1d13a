# SPDX-License-Identifier: Apache-2.0
"""The guest's side of watchdogs: the registers of the i6300esb (Intel 6300ESB, section
17), and the files of Linux."""

WATCHDOGS = "grep . /sys/class/watchdog/watchdog*/identity"
# Of what busybox's program `watchdog` feeds.
STARVE = "killall -STOP watchdog"


def watchdog_of(guest, identity):
    """The device file of the watchdog with this identity in a stock guest."""
    line = guest.run(f"{WATCHDOGS} | grep '{identity}'")
    return f"/dev/{line.split('/')[4]}"


class Esb:
    """The function i6300esb where the board has put it."""

    ID = 0x25ab8086
    CONFIG, LOCK, RELOAD, TIMED_OUT = 0x60, 0x68, 0xc, 0x200

    def __init__(self, driver, bdf):
        self.driver = driver
        self.bdf = bdf
        self.bar = driver.config_read(bdf, 0x10) & ~15

    @classmethod
    def find(cls, driver, buses=24):
        """As libvirt puts it: device 1 on a bus that its topology decides."""
        for bus in range(1, buses):
            bdf = bus << 8 | 1 << 3
            if driver.config_read(bdf, 0) == cls.ID:
                return cls(driver, bdf)
        raise LookupError("there is no i6300esb")

    def unlocked(self, offset, value):
        for byte in (0x80, 0x86):
            self.driver.write(self.bar + self.RELOAD, byte)
        self.driver.write(self.bar + offset, value)

    def start(self):
        """2 ms in each stage, of the fast counter."""
        self.driver.config_write(self.bdf, self.CONFIG, 0x7, 2)
        for preload in (0, 4):
            self.unlocked(preload, 2063)
        self.driver.order("l", *self.last_write())

    def last_write(self):
        """The order that enables it: of a guest that is then silent for ever."""
        return self.driver.config(self.bdf, self.LOCK), 2

    def timed_out(self):
        return self.driver.read(self.bar + self.RELOAD) == self.TIMED_OUT
