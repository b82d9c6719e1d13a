#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""AppArmor's parser takes the lines that docs/libvirt.md gives; no kernel is asked."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "kit"))
sys.dont_write_bytecode = True

from tap import Checks, run_tests                               # noqa: E402

# As root has it in its PATH, and others do not.
PARSER = shutil.which("apparmor_parser") or shutil.which("apparmor_parser", path="/sbin")
PROFILES = pathlib.Path("/etc/apparmor.d")
LIBVIRTD = "usr.sbin.libvirtd"
DOMAIN = "libvirt/TEMPLATE.qemu"


class Folder(Checks):
    def __init__(self, name):
        super().__init__(name)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-apparmor-"))

    def close(self):
        shutil.rmtree(self.folder)


def lines_of_page():
    """The file of each line, below /etc/apparmor.d, and the line."""
    text = (ROOT / "docs" / "libvirt.md").read_text()
    return [(path, line) for line, path in
            re.findall(r"(?m)^    # echo '(.*)' >> /etc/apparmor\.d/(\S+)$", text)]


def parse(path, *options):
    return subprocess.run([PARSER, "-Q", "-K", *options, str(path)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)


def test_lines(t):
    lines = lines_of_page()
    t.equal("the page's lines", [path for path, _ in lines],
            ["local/abstractions/libvirt-qemu", f"local/{LIBVIRTD}"])
    if not PARSER:
        t.skip("the parser takes them", "no apparmor_parser")
        return
    profile = t.folder / "profile"
    for _, line in [*lines, (None, "/usr/local/bin/berth no,")]:
        profile.write_text(f"profile berth-test {{\n  {line}\n}}\n")
        done = parse(profile)
        t.check(line, (done.returncode == 0) == (" no," not in line), done.stdout)


def test_profiles_with_them(t):
    """The profiles that Debian's libvirt brings have them where they say."""
    if not PARSER or not (PROFILES / LIBVIRTD).exists():
        t.skip("the profiles with them", "no profiles of libvirt here")
        return
    base = t.folder / "apparmor.d"
    shutil.copytree(PROFILES, base)
    for path, line in lines_of_page():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        with open(base / path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    for name in (LIBVIRTD, DOMAIN):
        done = parse(base / name, "-b", str(base), "-p")
        t.check(f"{name} has them", "/usr/local/bin/berth" in done.stdout, done.stdout)
        done = parse(base / name, "-b", str(base))
        t.equal(f"{name} is one with them", done.returncode, 0)


if __name__ == "__main__":
    sys.exit(run_tests([test_lines, test_profiles_with_them], Folder))
