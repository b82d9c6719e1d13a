# SPDX-License-Identifier: Apache-2.0
"""The driver's side of a virtio device of a guest that runs poke.S: features, queues that
are used one request after the other, and configuration (Virtual I/O Device 1.2, sections
2.7 and 4.1.4), all through the window in configuration space, wherever BARs are."""

import struct

VENDOR, MODERN = 0x1af4, 0x1040
VENDOR_CAP, MSI_OFF = 9, 1 << 10
COMMON, NOTIFY, DEVICE, WINDOW = 1, 2, 4, 5
FEATURE_SELECT, FEATURES, STATUS = 8, 12, 20
QUEUE_SELECT, QUEUE_SIZE, QUEUE_ENABLE, QUEUE_NOTIFY_OFF, QUEUE_DESC = 22, 24, 28, 30, 32
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
VERSION_1 = 32
NEXT, WRITE = 1, 2              # flags of a descriptor
SIZE = 4
PAGE, PART = 4096, 256
RINGS, RINGS_OF_ONE, RINGS_OF_QUEUE = 2 << 20, 1 << 18, 4 * PAGE


class PokeVirtio:
    """The first device of this type; @number makes its place in memory its own."""

    def __init__(self, driver, kind, number=0, features=(), buses=24):
        self.driver = driver
        self.memory = RINGS + number * RINGS_OF_ONE
        self.bdf = self.find(kind, buses)
        driver.config_write(self.bdf, 4, 6 | MSI_OFF, 2)
        self.caps = dict(self.capabilities())
        self.notify_factor = driver.config_read(self.bdf, self.caps[NOTIFY][0] + 16)
        self.notify_offset = {}
        self.count = {}
        self.start(set(features) | {VERSION_1})

    def find(self, kind, buses):
        for bdf in (bus << 8 | function for bus in range(buses) for function in (0, 8)):
            if self.driver.config_read(bdf, 0) == VENDOR | (MODERN + kind) << 16:
                return bdf
        raise LookupError(f"there is no virtio device of type {kind}")

    def capabilities(self):
        """By kind: where the capability is, the BAR, the offset in that."""
        at = self.driver.config_read(self.bdf, 0x34, 1)
        while at:
            head = self.driver.config_read(self.bdf, at)
            if head & 0xff == VENDOR_CAP:
                yield head >> 24, (at, self.driver.config_read(self.bdf, at + 4, 1),
                                   self.driver.config_read(self.bdf, at + 8))
            at = head >> 8 & 0xff

    def window(self, kind, offset, width):
        at = self.caps[WINDOW][0]
        _, bar, start = self.caps[kind]
        self.driver.config_write(self.bdf, at + 4, bar, 1)
        self.driver.config_write(self.bdf, at + 8, start + offset)
        self.driver.config_write(self.bdf, at + 12, width)
        return self.bdf, at + 16

    def read(self, kind, offset, width):
        return self.driver.config_read(*self.window(kind, offset, width), width)

    def write(self, kind, offset, value, width):
        self.driver.config_write(*self.window(kind, offset, width), value, width)

    def start(self, features):
        self.write(COMMON, STATUS, 0, 1)
        self.write(COMMON, STATUS, ACKNOWLEDGE | DRIVER, 1)
        for select in (0, 1):
            word = sum(1 << bit % 32 for bit in features if bit // 32 == select)
            self.write(COMMON, FEATURE_SELECT, select, 4)
            self.write(COMMON, FEATURES, word, 4)
        self.write(COMMON, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK, 1)

    def ring(self, queue):
        """Descriptors; then, each 4 KiB further, available, used, and what they lead
        to."""
        return self.memory + queue * RINGS_OF_QUEUE

    def enable(self, *queues):
        """Queues, and the device."""
        for queue in queues:
            self.write(COMMON, QUEUE_SELECT, queue, 2)
            self.write(COMMON, QUEUE_SIZE, SIZE, 2)
            for part in range(3):
                place = self.ring(queue) + PAGE * part
                self.write(COMMON, QUEUE_DESC + 8 * part, place, 4)
                self.write(COMMON, QUEUE_DESC + 8 * part + 4, 0, 4)
                for at in range(0, 48, 4):
                    self.driver.write(place + at, 0)
            self.notify_offset[queue] = self.read(COMMON, QUEUE_NOTIFY_OFF, 2)
            self.count[queue] = 0
            self.write(COMMON, QUEUE_ENABLE, 1, 2)
        self.write(COMMON, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK, 1)

    def put(self, queue, *parts):
        """A request of what the device reads (bytes) or writes (a length)."""
        at = self.ring(queue) + 3 * PAGE
        for number, part in enumerate(parts):
            length, flags = (part, WRITE) if isinstance(part, int) else (len(part), 0)
            if not flags:
                self.store(at, part)
            more = NEXT if number + 1 < len(parts) else 0
            self.store(self.ring(queue) + 16 * number,
                       struct.pack("<QIHH", at, length, flags | more, number + 1))
            at += PART
        self.count[queue] += 1
        self.driver.write(self.ring(queue) + PAGE, self.count[queue] << 16)
        self.write(NOTIFY, self.notify_offset[queue] * self.notify_factor, queue, 2)

    def store(self, at, data):
        for offset in range(0, len(data), 4):
            word = data[offset:offset + 4].ljust(4, b"\0")
            self.driver.write(at + offset, int.from_bytes(word, "little"))

    def is_used(self, queue):
        """Whether the device has done all requests."""
        return self.driver.read(self.ring(queue) + 2 * PAGE) >> 16 == self.count[queue]
