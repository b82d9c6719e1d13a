# SPDX-License-Identifier: Apache-2.0
"""The command lines of tests/data/recorded-argv.txt."""

import dataclasses
import pathlib

PATH = pathlib.Path(__file__).resolve().parent.parent / "data" / "recorded-argv.txt"
FOLDER = "/vm"      # where their files are


@dataclasses.dataclass
class Recorded:
    name: str
    options: list       # (option, argument or None)
    fds: dict           # number -> kind

    def argv(self, folder=FOLDER):
        """The words, with the files in @folder."""
        words = []
        for option, value in self.options:
            words.append(option)
            if value is not None:
                words.append(moved(value, folder))
        return words


def moved(text, folder):
    for behind in ("/", '"', ","):
        text = text.replace(FOLDER + behind, f"{folder}{behind}")
    return f"{text.removesuffix(FOLDER)}{folder}" if text.endswith(FOLDER) else text


def split(line):
    option, _, value = line.partition(" ")
    return option, value or None


def from_bare(lines, line):
    """The lines of "bare" that "... A ... B" stands for."""
    first, last = line.removeprefix("... ").split(" ... ")
    return lines[lines.index(first):lines.index(last) + 1]


def read():
    found = []
    bare = []
    for line in PATH.read_text().splitlines():
        if line.startswith("== "):
            found.append(Recorded(line.removeprefix("== "), [], {}))
        elif line.startswith("fd "):
            _, number, kind = line.split()
            found[-1].fds[int(number)] = kind
        elif line.startswith("... "):
            found[-1].options += map(split, from_bare(bare, line))
        elif line and not line.startswith("#"):
            found[-1].options.append(split(line))
            if len(found) == 1:
                bare.append(line)
    return found
