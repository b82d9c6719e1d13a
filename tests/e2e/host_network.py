# SPDX-License-Identifier: Apache-2.0
"""What scenarios and the demo change in the network of the host that they run in."""

import stock


def ip(*words):
    stock.output_of("ip", *words)
