# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's replay.bin (REPLAY_VERSION 0xe0200c: QEMU 7.2 to 10.x) as a list of entries that a case changes.

The layout is that of QEMU's replay/replay-internal.h: a header of 12 bytes, then entries of a code and a payload, all
big-endian. An `instruction` entry advances the instruction count; each other entry happens at the count before it.
"""

import struct

CODES = {
    "instruction": 0, "interrupt": 1, "exception": 2, "async-bh": 3, "async-bh-oneshot": 4, "async-char-read": 7,
    "async-block": 8, "char-write": 22, "random": 27, "clock-host": 28, "clock-virtual-rt": 29, "end": 39,
}
SHUTDOWN_GUEST = 16


class ReplayBin:
    """Entries are lists [code, payload]."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            data = file.read()
        self.header, self.entries = data[:12], []
        place = 12
        while place < len(data):
            code = data[place]
            size = payload_size(code, data, place + 1)
            if place + 1 + size > len(data):
                break
            self.entries.append([code, data[place + 1:place + 1 + size]])
            place += 1 + size
            if code == CODES["end"]:
                break

    def write(self, path=None):
        with open(path or self.path, "wb") as file:
            file.write(self.header + b"".join(bytes([code]) + payload for code, payload in self.entries))

    def all(self, name):
        """The indexes of the entries of a kind."""
        return [index for index, (code, _) in enumerate(self.entries) if code == CODES[name]]

    def count_before(self, index):
        """QEMU's instruction count at an entry."""
        return sum(struct.unpack(">I", payload)[0] for code, payload in self.entries[:index] if code == 0)

    def distances(self, index):
        """The instructions between an entry and its neighbours that are no `instruction` entries: before, after."""
        found = []
        for step in -1, 1:
            total, place = 0, index + step
            while 0 <= place < len(self.entries) and self.entries[place][0] == 0:
                total += struct.unpack(">I", self.entries[place][1])[0]
                place += step
            found.append(total)
        return tuple(found)

    def move(self, index, by):
        """Moves an entry by a number of instructions, over other entries if need be; the others stay."""
        code, payload = self.entries[index]
        target = self.count_before(index) + by
        del self.entries[index]
        self.insert(target, code, payload)

    def insert(self, count, code, payload=b""):
        """Adds an entry at an instruction count, before the entries that are there already."""
        total = 0
        for place, (other, content) in enumerate(self.entries):
            if total == count:
                self.entries.insert(place, [code, payload])
                return
            if other != 0:
                continue
            length = struct.unpack(">I", content)[0]
            if total + length > count:
                first = count - total
                self.entries[place:place + 1] = [run(first), [code, payload], run(length - first)]
                return
            total += length
        raise ValueError(f"{self.path}: no instruction {count}")

    def shift_clocks(self, nanoseconds, name="clock-host", where=lambda number: True):
        """Adds to the values of clock entries; returns how many."""
        changed = 0
        for number, index in enumerate(self.all(name)):
            if where(number):
                value = struct.unpack(">q", self.entries[index][1])[0] + nanoseconds
                self.entries[index][1] = struct.pack(">q", value)
                changed += 1
        return changed


def run(instructions):
    return [0, struct.pack(">I", instructions)]


def payload_size(code, data, place):
    """The size of the payload at `place`."""
    if code == 0:
        return 4
    if code in (3, 4, 8, 25, 28, 29):
        return 8
    if code == 5:
        (kind,) = struct.unpack_from(">I", data, place)
        if kind == 0:
            (key,) = struct.unpack_from(">I", data, place + 4)
            return 8 + (8 if key == 0 else 4) + 1
        return 4 + (5 if kind == 1 else 12)
    if code == 7:
        return 5 + struct.unpack_from(">I", data, place + 1)[0]
    if code == 9:
        return 9 + struct.unpack_from(">I", data, place + 5)[0]
    if code == 22:
        return 8
    if code == 23:
        return 4 + struct.unpack_from(">I", data, place)[0]
    if code == 24:
        return 4
    if code == 26:
        return 16 + 16 * struct.unpack_from(">Q", data, place)[0]
    if code == 27:
        return 8 + struct.unpack_from(">I", data, place + 4)[0]
    return 0
