# SPDX-License-Identifier: Apache-2.0
"""The serial console both ways: what is typed is echoed, and arrives whole."""

import hashlib

LINE = "".join(chr(33 + i % 94) for i in range(600)).replace("'", "-")


def scenario(lab):
    guest = lab.guest().boot()
    guest.type(f"read -r x; echo \"<$x>\" | md5sum; echo wh''ole\n{LINE}\n")
    guest.console.wait("whole\r?\n", guest.mark)
    text = guest.console.text[guest.mark:]
    lab.check("a typed line is echoed", LINE in text, text)
    lab.match("it arrives whole", text, hashlib.md5(f"<{LINE}>\n".encode()).hexdigest())
    guest.mark = len(guest.console.text)
    wanted = "".join(f"{i}\n" for i in range(1000, 2500))
    lab.check("long output arrives whole", guest.run("seq 1000 2499") + "\n" == wanted)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
