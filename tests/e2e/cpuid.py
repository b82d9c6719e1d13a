# SPDX-License-Identifier: Apache-2.0
"""What the tiny guest "cpuid" writes, read."""

HYPERV = ("hv-relaxed,hv-vapic,hv-spinlocks=0x1fff,hv-vpindex,hv-runtime,hv-time,"
          "hv-synic,hv-stimer,hv-frequencies,hv-reset,hv-tlbflush,hv-ipi,hv-crash")


class Cpu:
    """The leaves and MSRs that the guest 'cpuid' wrote."""

    def __init__(self, text):
        self.leaves = {}
        self.msrs = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) == 6:
                numbers = [int(word, 16) for word in words]
                self.leaves[numbers[0], numbers[1]] = numbers[2:]
            elif words[:1] == ["msr"] and words[2] != "refused":
                self.msrs[int(words[1], 16)] = int(words[2] + words[3], 16)

    def leaf(self, function, index=0):
        return self.leaves.get((function, index), [0, 0, 0, 0])

    def text(self, function, registers):
        values = self.leaf(function)
        data = b"".join(values[i].to_bytes(4, "little") for i in registers)
        return data.rstrip(b"\0").decode("latin-1")

    def brand(self):
        leaves = (0x80000002, 0x80000003, 0x80000004)
        data = b"".join(value.to_bytes(4, "little")
                        for leaf in leaves for value in self.leaf(leaf))
        return data.split(b"\0")[0].decode("latin-1")
