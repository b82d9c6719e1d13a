# SPDX-License-Identifier: Apache-2.0
"""What scenarios and the demo change in the network of the host that they run in."""

import stock


def ip(*words):
    stock.output_of("ip", *words)


def check_back(lab, guest, what, host):
    """The guest reaches the host again.  A kernel whose cable has just come drops what it
    is given to send for a moment."""
    tries = f"for i in $(seq 60); do ping -c 1 -W 2 {host} && break; sleep 0.1; done"
    lab.match(what, guest.run(tries), "1 packets received|1 received")
