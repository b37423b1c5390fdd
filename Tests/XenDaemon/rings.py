# SPDX-License-Identifier: GPL-2.0-or-later
"""The hypervisor's side of the rings that hypervisor/xen/include/ttd_xen.h describes, in files."""

import ctypes
import mmap
import os
import struct
import time

PAGE = 4096
VERSION = 5
# produced, consumed, held, lost, size, version, waiting, closed
PRODUCED, CONSUMED, HELD, LOST, SIZE, RING_VERSION, WAITING, CLOSED = 0, 8, 16, 24, 32, 36, 40, 44
# size, type, flags, kind, reserved, clock, rip, instructions, info, value, hash, code, mask, length
RECORD = struct.Struct("<IBBBBQQQQQIIII")

PAD, EXIT, INTERRUPT, GUEST_WRITE, SHARED_WRITE, BREAK, BRANCHES, END, DIVERGED, CONSOLE, FOREIGN_READ = range(11)
ASYNC, WINDOW = 1, 2
FIELDS = ["type", "flags", "kind", "clock", "rip", "instructions", "info", "value", "hash", "code", "mask", "payload"]


def record(type, **values):
    """A record: a dictionary of its fields."""
    return {**dict.fromkeys(FIELDS, 0), "payload": b"", **values, "type": type}


class Ring:
    """One ring in a file. The methods produce or consume as the hypervisor does."""

    def __init__(self, path, pages):
        self.path = path
        with open(path, "wb") as file:
            file.truncate((1 + pages) * PAGE)
        descriptor = os.open(path, os.O_RDWR)
        self.map = mmap.mmap(descriptor, (1 + pages) * PAGE)
        os.close(descriptor)
        self.size = pages * PAGE
        self.word(SIZE, ctypes.c_uint32).value = self.size
        self.word(RING_VERSION, ctypes.c_uint32).value = VERSION
        self.position = 0

    def word(self, offset, type=ctypes.c_uint64):
        """A shared word; ctypes stores it in one piece."""
        return type.from_buffer(self.map, offset)

    def put(self, fields, deadline=20):
        """Produces a record; waits for room."""
        payload = fields["payload"]
        size = (RECORD.size + len(payload) + 7) // 8 * 8
        place = self.position % self.size
        pad = self.size - place if self.size - place < size else 0
        end = time.monotonic() + deadline
        while self.size - (self.position - self.word(CONSUMED).value) < size + pad:
            self.word(WAITING, ctypes.c_uint32).value = 1
            if time.monotonic() > end:
                raise TimeoutError("the daemon does not drain the ring")
            time.sleep(0.0005)
        if pad:
            struct.pack_into("<IBBBB", self.map, PAGE + place, pad, PAD, 0, 0, 0)
            place = 0
        packed = RECORD.pack(
            size, fields["type"], fields["flags"], fields["kind"], 0, fields["clock"], fields["rip"],
            fields["instructions"], fields["info"], fields["value"], fields["hash"], fields["code"], fields["mask"],
            len(payload))
        self.map[PAGE + place : PAGE + place + len(packed) + len(payload)] = packed + payload
        self.position += pad + size
        self.word(PRODUCED).value = self.position

    def raw(self, data):
        """Produces bytes that need not be a record."""
        place = self.position % self.size
        self.map[PAGE + place : PAGE + place + len(data)] = data
        self.position += len(data)
        self.word(PRODUCED).value = self.position

    def take(self, deadline=20):
        """Consumes the next record; None when the ring is closed and empty."""
        end = time.monotonic() + deadline
        while True:
            is_closed = self.word(CLOSED, ctypes.c_uint32).value
            if self.position == self.word(PRODUCED).value:
                if is_closed:
                    return None
                self.word(WAITING, ctypes.c_uint32).value = 1
                if time.monotonic() > end:
                    raise TimeoutError("the daemon does not feed the ring")
                time.sleep(0.0005)
                continue
            place = PAGE + self.position % self.size
            size, type = struct.unpack_from("<IB", self.map, place)
            if type != PAD:
                break
            self.position += size
        values = RECORD.unpack_from(self.map, place)
        size, type, flags, kind, _, clock, rip, instructions, info, value, digest, code, mask, length = values
        payload = bytes(self.map[place + RECORD.size : place + RECORD.size + length])
        self.position += size
        self.word(CONSUMED).value = self.position
        return dict(zip(FIELDS, (type, flags, kind, clock, rip, instructions, info, value, digest, code, mask, payload)))
