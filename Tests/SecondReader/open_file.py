# SPDX-License-Identifier: GPL-2.0-or-later

"""The open file beside a log that was not closed: records that no chunk holds yet."""

import fcntl
import os
import struct
from dataclasses import dataclass

from columns import HAS_IP, HAS_ICOUNT, HAS_RCX, HAS_REGISTER_HASH, HAS_TSC, PRIVATE_LIMIT, Branch, Event
from elements import Damage
from structures import (
    BRANCH,
    META,
    SLOT_HEADER_SIZE,
    read_open_header,
    read_slot_descriptor,
    read_slot_header,
)

_F_OFD_GETLK = 36
_FLOCK = struct.Struct("<hh4xqqi4x")
_EVENT_UNIT = struct.Struct("<HHHHI4xQQQQQQ")
_BRANCH_UNIT = struct.Struct("<QQQ")
DESCRIPTORS_OFFSET = 4096


@dataclass
class Slot:
    """The records of one chunk that was not written yet."""

    vcpu: int
    stream: int
    epoch: int
    cell: int
    part: int
    first_ordinal: int
    clock_first: int
    records: list

    @property
    def key(self):
        return (self.vcpu, self.stream, self.epoch, self.cell, self.part)


def is_being_written(path):
    """Whether a writer holds its lock on the log at `path`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        question = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        answer = _FLOCK.unpack(fcntl.fcntl(descriptor, _F_OFD_GETLK, question))
        return answer[0] != fcntl.F_UNLCK
    finally:
        os.close(descriptor)


def read_open_file(data, log):
    """The slots in use and the damage of an open file. Raises LogError where its header is wrong.

    Read the open file before the log: a chunk that leaves its slot in between is then found in the log.
    """
    header = read_open_header(data, log)
    slots, damage = [], []
    for index in range(header.slot_count):
        position = DESCRIPTORS_OFFSET + 64 * index
        descriptor = read_slot_descriptor(data, position)
        if descriptor is None:
            damage.append(Damage(position, 64, "open file: the slot descriptor is damaged"))
        elif descriptor.offset + SLOT_HEADER_SIZE > len(data):
            damage.append(Damage(position, 64, "open file: the slot lies beyond the end of the file"))
        else:
            slot = _read_slot(data, descriptor, log, damage)
            if slot is not None:
                slots.append(slot)
    return slots, damage


def _read_slot(data, descriptor, log, damage):
    slot = read_slot_header(data, descriptor.offset)
    units = slot.commit & 0xFFFFFFFF
    if units == 0:
        return None
    if units > descriptor.capacity:
        damage.append(Damage(descriptor.offset, 8, f"open file: {units} units, capacity {descriptor.capacity}"))
        return None
    start = descriptor.offset + SLOT_HEADER_SIZE
    block = data[start : start + units * descriptor.unit_size]
    if read_slot_header(data, descriptor.offset).commit >> 32 != slot.commit >> 32:
        return None
    if len(block) != units * descriptor.unit_size:
        damage.append(Damage(start, len(block), "open file: the slot's units reach beyond the end of the file"))
        return None
    if descriptor.stream == BRANCH:
        records, problem = _read_branches(block, slot, log)
    else:
        records, problem = _read_events(block, slot, descriptor.stream, log)
    if problem:
        damage.append(Damage(start, len(block), f"open file: {problem}"))
    return Slot(
        descriptor.vcpu,
        descriptor.stream,
        slot.epoch,
        slot.cell,
        slot.part,
        slot.first_ordinal,
        slot.clock_first,
        records,
    )


def _read_branches(block, slot, log):
    records = []
    for source, target, word in _BRANCH_UNIT.iter_unpack(block):
        if slot.clock_first + len(records) >> log.branch_cell_shift != slot.cell:
            return records, f"branch {len(records)} of the slot is not in cell {slot.cell}"
        records.append(Branch(source, target, word & 255, word >> 8 if log.has_icounts else None))
    return records, None


def _read_events(block, slot, stream, log):
    records, position = [], 0
    while position < len(block):
        unit = _EVENT_UNIT.unpack_from(block, position)
        kind, validity, payload_length, private_length, info, clock, icount, ip, aux, ticket, tsc = unit
        payload_start = position + 64
        private_start = payload_start + (payload_length + 63) // 64 * 64
        end = private_start + (64 if private_length else 0)
        if end > len(block) or private_length > PRIVATE_LIMIT:
            return records, f"record {len(records)} of the slot has lengths {payload_length} and {private_length}"
        if stream != META:
            if clock >> log.event_cell_shift != slot.cell:
                return records, f"clock {clock} of record {len(records)} is not in cell {slot.cell}"
            if records and clock < records[-1].clock:
                return records, f"the clock falls to {clock} in record {len(records)}"
        records.append(
            Event(
                kind,
                validity,
                clock,
                icount if validity & HAS_ICOUNT else None,
                ip if validity & HAS_IP else None,
                info,
                aux if validity & (HAS_RCX | HAS_REGISTER_HASH) else None,
                block[payload_start : payload_start + payload_length],
                ticket,
                tsc if validity & HAS_TSC else None,
                block[private_start : private_start + private_length],
            )
        )
        position = end
    return records, None
