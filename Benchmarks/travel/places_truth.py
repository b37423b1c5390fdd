# SPDX-License-Identifier: GPL-2.0-or-later
"""Random places of a run with the state of the processor at each, from one replay in single instructions (truth.c)."""
import dataclasses
import os
import re
import subprocess
import sys
import tempfile

import qemu_replay

HERE = os.path.dirname(os.path.abspath(__file__))
# The processor sets it in the flags that a fault pushes; QEMU 10 in those of an interrupt, too.
RESUME_FLAG = 0x10000


@dataclasses.dataclass
class Place:
    """A place, and what QEMU's `info registers` must show there."""
    kind: str
    icount: int
    brctr: int
    frame: list
    text: str

    @property
    def name(self):
        """The place as `tt goto` takes it: transitions lead to the places of some classes, and not to those of others."""
        by_count = self.kind in ("sequence", "repeat") or self.kind.startswith("before-")
        return f"@{self.icount}" if by_count else str(self.brctr)

    def differences(self, found):
        """The registers that differ from a text of `info registers`."""
        if not self.frame:
            here, there = lines(found), lines(self.text)
            return [f"{b} is not {a}" for a, b in zip(there, here) if a != b] + ["other lines"] * (len(here) != len(there))
        here, there = registers(found), registers(self.text)
        ip, selector, flags, sp, stack = self.frame
        there.update(RIP=f"{ip:016x}", RSP=f"{sp:016x}", RFL=f"{flags:08x}", CPL=str(selector & 3))
        for values, code, data in (here, None, None), (there, selector, stack):
            # The pushed selectors are known, and not the rest of the descriptors.
            for name, number in ("CS", code), ("SS", data):
                values[name] = f"{number:04x}" if number is not None else values[name].split()[0]
            del values["II"]
            values["RFL"] = int(values["RFL"], 16) & ~RESUME_FLAG
            if self.kind == "before-fault":
                del values["CR2"]
        return [f"{name}={here.get(name)} is not {value}" for name, value in there.items() if here.get(name) != value]


def lines(text):
    """The lines of QEMU's text; its monitor begins with the processor's number."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("CPU#")]


def registers(text):
    """Names and values of QEMU's text."""
    return {name: value.strip() for name, value in re.findall(r"(\w+) *=\s*([0-9a-f]+(?: [0-9a-f]{4,}){0,3})", text)}


def build(directory):
    """Builds the plugin; returns its path."""
    path = os.path.join(directory, "truth.so")
    subprocess.run(
        ["gcc", "-O2", "-fPIC", "-shared", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-o", path,
         os.path.join(HERE, "truth.c")], check=True)
    return path


def command_line(run, plugin, directory, qemu=None):
    """The command line that replays a recording in single instructions."""
    is_old = int(qemu_replay.engine(run)["version"].split(".")[0]) < 8
    program, *words = qemu_replay.command_line(run, directory, qemu)
    return [program, *(["-singlestep"] if is_old else ["-accel", "tcg,one-insn-per-tb=on"]), *words, "-plugin", plugin]


def draw(run, each, last, seed, qemu=None, keep=None, log=sys.stderr):
    """Draws `each` places of each class up to instruction `last`, or takes those that the file `keep` has from an earlier
    draw. Returns the places, ascending, and how many instructions of each class the run has."""
    with tempfile.TemporaryDirectory(prefix="tt-truth-") as directory:
        out = os.path.abspath(keep or os.path.join(directory, "out"))
        plugin = f"{build(directory)},out={out},seed={seed},last={last},each={each}"
        if not os.path.exists(out):
            words = command_line(run, plugin, directory, qemu)
            subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, check=False)
        if not os.path.exists(out):
            sys.exit("the replay in single instructions failed")
        with open(out, encoding="utf-8") as file:
            places, seen, restarts = parse(file)
    if restarts:
        print(f"{restarts} instructions began twice", file=log)
    return sorted(places, key=lambda place: (place.icount, place.brctr)), seen


def parse(file):
    """Reads the plugin's file."""
    places, seen, restarts = [], {}, 0
    for line in file:
        words = line.split()
        if line.startswith("place "):
            places.append(Place(words[1], int(words[2]), int(words[3]), [int(word, 16) for word in words[4:]], ""))
        elif line.startswith("class "):
            seen[words[1]] = int(words[2])
        elif line.startswith("end "):
            restarts = int(words[4])
        else:
            places[-1].text += line
    return places, seen, restarts
