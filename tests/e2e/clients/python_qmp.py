#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of QMP by qemu.qmp: it connects to the socket of its argument, asks, lets the
machine run and waits for the event, and writes a line for each."""

import asyncio
import sys

from qemu.qmp import ExecuteError, QMPClient


async def main(path):
    client = QMPClient("test")
    await client.connect(path)
    status = await client.execute("query-status")
    print(f"status: {status['status']}")
    try:
        await client.execute("no-such-command")
    except ExecuteError as error:
        print(f"error: {error}")
    with client.listener("RESUME") as listener:
        await client.execute("cont")
        event = await asyncio.wait_for(listener.get(), 20)
        print(f"event: {event['event']}")
    await client.disconnect()
    print("done")


asyncio.run(main(sys.argv[1]))
