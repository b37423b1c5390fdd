# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that exits like a booting Linux: the records that a recording of it has."""

import random
import struct

from rings import ASYNC, EXIT, FOREIGN_READ, GUEST_WRITE, INTERRUPT, SHARED_WRITE, WINDOW, record

KERNEL = 0xFFFFFFFF81000000
RDTSC, CPUID, RDMSR, WRMSR, PORT_READ, PORT_WRITE, MEMORY, HYPERCALL, HALT = range(1, 10)
OTHER = 0
RAX, RCX, RDX, RBX, RIP, RFLAGS, INJECTED = 0, 1, 2, 3, 16, 17, 18


def exit_record(clock, rip, kind, info, words, numbers, value=0, code=0):
    mask = sum(1 << word for word in words)
    payload = b"".join(struct.pack("<Q", words[word]) for word in sorted(words))
    return record(
        EXIT, clock=clock, rip=rip, kind=kind, info=info, mask=mask, payload=payload, value=value,
        code=code or (0x60 + kind), hash=numbers.getrandbits(32))


def one_exit(clock, numbers, state):
    choice = numbers.random()
    place = KERNEL + numbers.randrange(40) * 0x1230
    state["tsc"] += numbers.randrange(200, 4000)
    tsc = state["tsc"]
    if choice < 0.45:
        return exit_record(clock, KERNEL + 0x42, PORT_READ, 0x42 | 1 << 16, {RAX: numbers.randrange(256), RIP: 2}, numbers)
    if choice < 0.5:
        return exit_record(clock, KERNEL + 0x43, PORT_WRITE, 0xCF8 | 4 << 16, {RIP: 1}, numbers, value=0x80000000 + clock)
    if choice < 0.8:
        return exit_record(clock, place, RDTSC, 0, {RAX: tsc & 0xFFFFFFFF, RDX: tsc >> 32, RIP: 2}, numbers)
    if choice < 0.88:
        return exit_record(clock, place, HYPERCALL, numbers.choice([17, 24, 29, 32]), {RAX: 0, RIP: 3}, numbers)
    if choice < 0.92:
        return exit_record(clock, place, CPUID, 4 | 1 << 32, {RAX: 1, RBX: 2, RCX: 3, RDX: 4, RIP: 2}, numbers)
    if choice < 0.95:
        return exit_record(clock, place, WRMSR, 0x6E0, {RIP: 2}, numbers, value=tsc)
    if choice < 0.97:
        return exit_record(clock, place, OTHER, 0, {RIP: 3, RFLAGS: 0x246, INJECTED: 0x80000306}, numbers, code=0x8D)
    if choice < 0.98:
        return exit_record(clock, place, MEMORY, 0xFEE00020, {RIP: 3}, numbers)
    return exit_record(clock, place, HALT, 0, {RIP: 1}, numbers)


def run(count, seed=1):
    """The records of a guest that makes `count` synchronous exits."""
    numbers = random.Random(seed)
    state = {"tsc": 10**9}
    for clock in range(count):
        yield one_exit(clock, numbers, state)
        after = clock + 1
        choice = numbers.random()
        if choice < 0.01:
            yield record(GUEST_WRITE, clock=after, info=0x1234000 + clock, payload=numbers.randbytes(numbers.randrange(1, 60)))
        if choice < 0.005:
            yield record(FOREIGN_READ, clock=after, info=0x5678000 + clock % 4000, mask=66, value=numbers.getrandbits(64))
        if choice < 0.02:
            yield record(
                SHARED_WRITE, clock=after, code=numbers.randrange(7), info=8 * numbers.randrange(400),
                payload=numbers.randbytes(numbers.randrange(1, 20)))
        if choice < 0.008:
            flags = numbers.choice([0, 0, ASYNC, WINDOW])
            placed = {"rip": KERNEL + 0x777, "hash": numbers.getrandbits(32)} if flags else {}
            yield record(INTERRUPT, clock=after, info=0xF3, flags=flags, **placed)


def as_fed(fields):
    """A record as a replay gets it: without what only readers of a log need."""
    fed = dict(fields)
    if fed["type"] == EXIT:
        if fed["kind"] not in (WRMSR, PORT_WRITE):
            fed["value"] = 0
        if fed["kind"] != OTHER:
            fed["code"] = 0
    return fed
