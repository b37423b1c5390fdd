# SPDX-License-Identifier: GPL-2.0-or-later

"""Bodies of chunks: from columns to records.

Every function raises BodyError when the bytes break the format: what does not add up is damage, never a record.
"""

import struct
from itertools import accumulate
from typing import NamedTuple, Optional

from checksums import MASK64

HAS_IP, HAS_ICOUNT, HAS_RCX, HAS_REGISTER_HASH, HAS_ADDRESS, HAS_VALUES, HAS_TSC = 1, 2, 4, 8, 16, 32, 64

ICOUNT_LIMIT = 1 << 56
PAYLOAD_LIMIT = 65535
PRIVATE_LIMIT = 64

LABELS = (0x21, 0x22, 0x24, 0x06, 0x03, 0x05, 0x08, 0x0A, 0x0B, 0x09, 0x00, 0x1F, 0x01, 0x0E, 0x0F)


class BodyError(Exception):
    """A body that breaks the format."""


class Branch(NamedTuple):
    """A transition. Its clock follows from its place in the chunk."""

    source: int
    target: int
    label: int
    icount: Optional[int]


class Event(NamedTuple):
    """An event, access or meta record; a field whose validity bit is not set is None."""

    kind: int
    validity: int
    clock: int
    icount: Optional[int]
    ip: Optional[int]
    info: int
    aux: Optional[int]
    payload: bytes
    ticket: int
    tsc: Optional[int]
    private: bytes


def split_columns(body, names):
    """The columns of a body, by the table of their sizes that begins it."""
    table_size = 4 * len(names)
    if len(body) < table_size:
        raise BodyError(f"{len(body)} bytes, the table of column sizes has {table_size}")
    sizes = struct.unpack_from(f"<{len(names)}I", body)
    if table_size + sum(sizes) != len(body):
        raise BodyError(f"the column sizes add up to {table_size + sum(sizes)}, the body has {len(body)} bytes")
    columns, position = [], table_size
    for size in sizes:
        columns.append(body[position : position + size])
        position += size
    return columns


def class_bytes(stream_is_branch, body):
    """The bytes of the digest classes path, label, position and payload; None where the stream has no such class."""
    if stream_is_branch:
        columns = split_columns(body, BRANCH_COLUMNS)
        return (b"".join(columns[0:3]), b"".join(columns[3:5]), b"".join(columns[5:7]), None)
    columns = split_columns(body, EVENT_COLUMNS)
    return (None, None, b"".join(columns[0:5]), b"".join(columns[5:9]))


# Branches

BRANCH_COLUMNS = ("control", "from", "to", "label", "label escape", "icount", "icount escape")

FROM_SIZES = (1, 2, 4, 8)
TO_SIZES = (1, 2, 3, 8)


def shortest_from(value):
    """The shortest length of a from value, which is extended with zeros."""
    return next(size for size in FROM_SIZES if value >> 8 * size == 0)


def shortest_to(value):
    """The shortest length of a to value, which is sign-extended; `value` is a difference modulo 2^64."""
    signed = value - (1 << 64) if value >> 63 else value
    return next(size for size in TO_SIZES if -(1 << 8 * size - 1) <= signed < 1 << 8 * size - 1)


def _nibbles(column, count, name):
    if len(column) != (count + 1) // 2:
        raise BodyError(f"column {name} has {len(column)} bytes, {count} records need {(count + 1) // 2}")
    nibbles = []
    for byte in column:
        nibbles.append(byte & 15)
        nibbles.append(byte >> 4)
    if count % 2 and nibbles.pop() != 0:
        raise BodyError(f"the unused last nibble of column {name} is not 0")
    return nibbles


def _addresses(columns, count):
    """The from and to addresses of `count` branches."""
    controls = _nibbles(columns[0], count, "control")
    from_column, to_column = columns[1], columns[2]
    from_length = sum([FROM_SIZES[control & 3] for control in controls])
    to_length = sum([TO_SIZES[control >> 2] for control in controls])
    if from_length != len(from_column) or to_length != len(to_column):
        raise BodyError(
            f"columns from and to have {len(from_column)} and {len(to_column)} bytes,"
            f" the control column has {from_length} and {to_length}"
        )
    addresses = []
    from_position = to_position = previous = 0
    for control in controls:
        size = FROM_SIZES[control & 3]
        step = int.from_bytes(from_column[from_position : from_position + size], "little")
        from_position += size
        if size > 1 and shortest_from(step) != size:
            raise BodyError(f"from value {step:#x} is encoded in {size} bytes")
        source = previous + step & MASK64
        size = TO_SIZES[control >> 2]
        step = int.from_bytes(to_column[to_position : to_position + size], "little", signed=True) & MASK64
        to_position += size
        if size > 1 and shortest_to(step) != size:
            raise BodyError(f"to value {step:#x} is encoded in {size} bytes")
        previous = source + step & MASK64
        addresses.append((source, previous))
    return addresses


def _labels(columns, count):
    nibbles = _nibbles(columns[3], count, "label")
    escapes = columns[4]
    if nibbles.count(15) != len(escapes):
        raise BodyError(f"column label escape has {len(escapes)} bytes for {nibbles.count(15)} escapes")
    escape = iter(escapes)
    labels = [LABELS[nibble] if nibble != 15 else next(escape) for nibble in nibbles]
    for label in escapes:
        if label in LABELS:
            raise BodyError(f"label {label:#x} is escaped, though it has a nibble")
    return labels


def _branch_icounts(columns, count, chunk):
    steps, escapes = columns[5], columns[6]
    if len(steps) != count:
        raise BodyError(f"column icount has {len(steps)} bytes for {count} records")
    if len(escapes) != 8 * steps.count(255):
        raise BodyError(f"column icount escape has {len(escapes)} bytes for {steps.count(255)} escapes")
    escape_values = struct.unpack(f"<{len(escapes) // 8}Q", escapes)
    if any(value < 255 for value in escape_values):
        raise BodyError("an escaped icount step is less than 255")
    escape = iter(escape_values)
    values = (step if step != 255 else next(escape) for step in steps)
    icounts = [icount & MASK64 for icount in accumulate(values, initial=chunk.icount_first)][1:]
    if steps[0] != 0:
        raise BodyError(f"the first icount step is {steps[0]}, expected 0")
    if icounts[-1] != chunk.icount_last:
        raise BodyError(f"the last icount is {icounts[-1]}, the header has {chunk.icount_last}")
    if max(icounts) >= ICOUNT_LIMIT:
        raise BodyError(f"icount {max(icounts)} has more than 56 bits")
    return icounts


def decode_branches(body, chunk, log):
    """The branches of a chunk with the raw body `body`."""
    columns = split_columns(body, BRANCH_COLUMNS)
    count = chunk.count
    if chunk.private_size != 0:
        raise BodyError(f"private_size is {chunk.private_size}, branches have no private columns")
    if chunk.clock_last != chunk.clock_first + count - 1 & MASK64:
        raise BodyError(f"clocks {chunk.clock_first} to {chunk.clock_last} for {count} branches")
    for clock in (chunk.clock_first, chunk.clock_last):
        if clock >> log.branch_cell_shift != chunk.cell:
            raise BodyError(f"clock {clock} is not in cell {chunk.cell}")
    addresses = _addresses(columns, count)
    labels = _labels(columns, count)
    if log.has_icounts:
        icounts = _branch_icounts(columns, count, chunk)
    elif columns[5] or columns[6]:
        raise BodyError("the columns icount and icount escape are not empty, the log has no instruction counts")
    else:
        icounts = [None] * count
    return [
        Branch(source, target, label, icount)
        for (source, target), label, icount in zip(addresses, labels, icounts, strict=True)
    ]


# Events, accesses, meta records

EVENT_COLUMNS = (
    "kind",
    "validity",
    "clock",
    "icount",
    "ip",
    "info",
    "aux",
    "payload length",
    "payload",
    "ticket",
    "tsc",
    "private length",
    "private",
)
FIRST_PRIVATE_COLUMN = 9


def _varints(column, count, name, limit=MASK64):
    """The `count` varints that a column consists of."""
    values, position, size = [], 0, len(column)
    for _ in range(count):
        value = shift = 0
        while True:
            if position >= size:
                raise BodyError(f"column {name} ends within a value")
            byte = column[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift >= 70:
                raise BodyError(f"a varint in column {name} has more than 10 bytes")
        if byte == 0 and shift > 7:
            raise BodyError(f"a varint in column {name} is not in its shortest form")
        if value > limit:
            raise BodyError(f"value {value} in column {name} is above {limit}")
        values.append(value)
    if position != size:
        raise BodyError(f"column {name} has {size - position} bytes too many")
    return values


def unzigzag(value):
    """The difference modulo 2^64 that a zigzag value means."""
    return value >> 1 ^ -(value & 1) & MASK64


def _running(column, present, start, name):
    """Differences against the last record that has the field; None for the records that have it not."""
    steps = iter(_varints(column, sum(present), name))
    values, last = [], start
    for has_field in present:
        if has_field:
            last = last + unzigzag(next(steps)) & MASK64
        values.append(last if has_field else None)
    return values


def _time_stamps(column, count):
    values, last = [], 0
    for value in _varints(column, count, "tsc", limit=1 << 64):
        if value != 0:
            last = last + unzigzag(value - 1) & MASK64
        values.append(last if value != 0 else None)
    return values


def _byte_strings(lengths, column, name):
    if sum(lengths) != len(column):
        raise BodyError(f"column {name} has {len(column)} bytes, the lengths add up to {sum(lengths)}")
    strings, position = [], 0
    for length in lengths:
        strings.append(bytes(column[position : position + length]))
        position += length
    return strings


def decode_events(body, chunk):
    """The events, accesses or meta records of a chunk with the raw body `body`."""
    columns = split_columns(body, EVENT_COLUMNS)
    count = chunk.count
    private_size = sum(map(len, columns[FIRST_PRIVATE_COLUMN:]))
    if private_size != chunk.private_size:
        raise BodyError(f"the private columns have {private_size} bytes, private_size is {chunk.private_size}")

    kinds = _varints(columns[0], count, "kind", limit=0xFFFF)
    validities = _varints(columns[1], count, "validity", limit=0xFFFF)
    if any(validity & HAS_TSC for validity in validities):
        raise BodyError("validity bit 64 is set in the validity column")
    clocks = _running(columns[2], [True] * count, chunk.clock_first, "clock")
    has_icount = [bool(validity & HAS_ICOUNT) for validity in validities]
    icounts = _running(columns[3], has_icount, chunk.icount_first, "icount")
    ips = _running(columns[4], [bool(validity & HAS_IP) for validity in validities], 0, "ip")
    infos = _varints(columns[5], count, "info", limit=0xFFFFFFFF)

    has_aux = [bool(validity & (HAS_RCX | HAS_REGISTER_HASH)) for validity in validities]
    if len(columns[6]) != 8 * sum(has_aux):
        raise BodyError(f"column aux has {len(columns[6])} bytes for {sum(has_aux)} values")
    aux_values = iter(struct.unpack(f"<{sum(has_aux)}Q", columns[6]))
    auxes = [next(aux_values) if present else None for present in has_aux]

    payloads = _byte_strings(_varints(columns[7], count, "payload length", PAYLOAD_LIMIT), columns[8], "payload")
    tickets = _running(columns[9], [True] * count, chunk.ticket, "ticket")
    tscs = _time_stamps(columns[10], count)
    privates = _byte_strings(_varints(columns[11], count, "private length", PRIVATE_LIMIT), columns[12], "private")

    known_icounts = [icount for icount in icounts if icount is not None] or [0]
    of_header = (chunk.clock_first, chunk.clock_last, chunk.icount_first, chunk.icount_last, chunk.ticket)
    of_records = (clocks[0], clocks[-1], known_icounts[0], known_icounts[-1], tickets[0])
    if of_header != of_records:
        raise BodyError(f"first and last clock, icount and ticket are {of_records}, the header has {of_header}")

    validities = [v | (HAS_TSC if tsc is not None else 0) for v, tsc in zip(validities, tscs, strict=True)]
    fields = (kinds, validities, clocks, icounts, ips, infos, auxes, payloads, tickets, tscs, privates)
    return [Event._make(values) for values in zip(*fields, strict=True)]


def check_clocks(events, chunk, log):
    """Raises BodyError unless the clocks lie in the chunk's cell and do not fall."""
    last = chunk.clock_first
    for event in events:
        if event.clock < last:
            raise BodyError(f"clock falls from {last} to {event.clock}")
        if event.clock >> log.event_cell_shift != chunk.cell:
            raise BodyError(f"clock {event.clock} is not in cell {chunk.cell}")
        last = event.clock
