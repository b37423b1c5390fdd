# SPDX-License-Identifier: GPL-2.0-or-later

"""The fixed structures of a log and of its open file: what their bytes mean and when they are valid."""

import struct
from typing import NamedTuple

from checksums import crc32c_of_structure

BRANCH, EVENT, ACCESS, META, DIRECTORY = 1, 2, 3, 4, 5
STREAM_NAMES = {BRANCH: "branch", EVENT: "event", ACCESS: "access", META: "meta", DIRECTORY: "directory"}

ELIDED, PARTIAL_HEAD, PARTIAL_TAIL, RECOVERED, GAP_BEFORE, WINDOW = 1, 2, 4, 8, 16, 32
NO_VCPU = 0xFFFF
CODEC_RAW, CODEC_ZSTD = 0, 1

FILE_HEADER_SIZE = 4096
CHUNK_HEADER_SIZE = 192
TRAILER_SIZE = 64
TRAILER_CONTINUES = 1
ALIGNMENT = 64
MAXIMUM_BODY_SIZE = 64 << 20

FILE_MAGIC = bytes.fromhex("895454440d0a1a0a")
CHUNK_MAGIC = b"TTCK"
TRAILER_MAGIC = b"TTEND\0\0\1"
OPEN_MAGIC = bytes.fromhex("8954544f0d0a1a0a")

FEATURE_ICOUNT = 2


class LogError(Exception):
    """A file that cannot be read as a log at all."""


def aligned(offset):
    """`offset` rounded up to the next possible place of an element."""
    return (offset + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


class FileHeader(NamedTuple):
    magic: bytes
    version: int
    header_crc: int
    header_size: int
    machine: int
    run_kind: int
    clock: int
    nonce: int
    recording_uuid: bytes
    features: int
    vcpu_count: int
    mode: int
    branch_cell_shift: int
    event_cell_shift: int
    branch_chunk_max: int
    event_chunk_max: int
    access_chunk_max: int
    recorder: int
    recorder_generation: int
    clock_base: int
    icount_base: int
    created_unix_ns: int
    recorder_name: bytes

    @property
    def has_icounts(self):
        return bool(self.features & FEATURE_ICOUNT)

    def cell_shift(self, stream):
        return self.branch_cell_shift if stream == BRANCH else self.event_cell_shift

    def count_limit(self, stream):
        return {BRANCH: self.branch_chunk_max, ACCESS: self.access_chunk_max}.get(stream, self.event_chunk_max)


_FILE_HEADER = struct.Struct("<8sIIIHBBQ16sQHBBB3xIIIHHQQQ64s")


def read_file_header(data):
    """The file header at the start of `data`. Raises LogError with what is wrong."""
    if len(data) < FILE_HEADER_SIZE:
        raise LogError(f"offset 0: {len(data)} bytes, a file header has {FILE_HEADER_SIZE}")
    block = data[:FILE_HEADER_SIZE]
    header = FileHeader._make(_FILE_HEADER.unpack_from(block))
    if header.magic != FILE_MAGIC:
        raise LogError(f"offset 0: magic is {header.magic.hex()}, expected {FILE_MAGIC.hex()}")
    if header.version != 1:
        raise LogError(f"offset 8: version {header.version}, this reader knows 1")
    crc = crc32c_of_structure(block, 12)
    if header.header_crc != crc:
        raise LogError(f"offset 12: header CRC is {header.header_crc:#x}, expected {crc:#x}")
    ranges = (
        ("header_size", header.header_size, FILE_HEADER_SIZE, FILE_HEADER_SIZE),
        ("vcpu_count", header.vcpu_count, 1, 256),
        ("mode", header.mode, 0, 2),
        ("branch_cell_shift", header.branch_cell_shift, 0, 32),
        ("event_cell_shift", header.event_cell_shift, 0, 40),
        ("branch_chunk_max", header.branch_chunk_max, 1, 65536),
        ("event_chunk_max", header.event_chunk_max, 1, 16384),
        ("access_chunk_max", header.access_chunk_max, 1, 16384),
    )
    for name, value, least, most in ranges:
        if not least <= value <= most:
            raise LogError(f"file header: {name} is {value}, expected {least} to {most}")
    return header


class ChunkHeader(NamedTuple):
    magic: bytes
    header_crc: int
    nonce: int
    offset: int
    raw_size: int
    stored_size: int
    stream: int
    codec: int
    vcpu: int
    flags: int
    epoch: int
    part: int
    cell: int
    count: int
    private_size: int
    first_ordinal: int
    clock_first: int
    clock_last: int
    icount_first: int
    icount_last: int
    ticket: int
    body_hash: int
    path_digest: int
    label_digest: int
    position_digest: int
    payload_digest: int
    chain: int

    @property
    def body_offset(self):
        return self.offset + CHUNK_HEADER_SIZE

    @property
    def body_end(self):
        return self.body_offset + self.stored_size

    @property
    def key(self):
        """What names a chunk in a log. An elided chunk and its body at the end of the log share it."""
        return (self.vcpu, self.stream, self.epoch, self.cell, self.part)

    @property
    def digests(self):
        return (self.path_digest, self.label_digest, self.position_digest, self.payload_digest)


_CHUNK_HEADER = struct.Struct("<4sIQQIIBBHIIIQIIQQQQQQQ4QQ32x")


def read_chunk_header(data, position, offset, log):
    """The chunk header at `position` in `data` that names `offset` as its place, or None where none is valid.

    Whether the body ends within the file is left to the caller: a half-written chunk has a valid header too.
    """
    block = data[position : position + CHUNK_HEADER_SIZE]
    if len(block) < CHUNK_HEADER_SIZE or block[:4] != CHUNK_MAGIC:
        return None
    chunk = ChunkHeader._make(_CHUNK_HEADER.unpack(block))
    if chunk.header_crc != crc32c_of_structure(block, 4) or chunk.nonce != log.nonce or chunk.offset != offset:
        return None
    if chunk.raw_size > MAXIMUM_BODY_SIZE or chunk.stored_size > MAXIMUM_BODY_SIZE:
        return None
    if chunk.stream in (BRANCH, EVENT, ACCESS, META) and not 1 <= chunk.count <= log.count_limit(chunk.stream):
        return None
    if chunk.stream in (BRANCH, EVENT, ACCESS) and chunk.vcpu >= log.vcpu_count:
        return None
    if chunk.stream in (META, DIRECTORY) and chunk.vcpu != NO_VCPU:
        return None
    if chunk.stream == DIRECTORY and (chunk.raw_size != chunk.count * CHUNK_HEADER_SIZE or chunk.codec != CODEC_RAW):
        return None
    return chunk


class Trailer(NamedTuple):
    magic: bytes
    trailer_crc: int
    chunk_count: int
    nonce: int
    offset: int
    directory_offset: int
    previous_trailer: int
    lost_records: int
    flags: int


_TRAILER = struct.Struct("<8sIIQQQQQI4x")


def read_trailer(data, offset, log):
    """The trailer at `offset`, or None where none is valid."""
    block = data[offset : offset + TRAILER_SIZE]
    if len(block) < TRAILER_SIZE or block[:8] != TRAILER_MAGIC:
        return None
    trailer = Trailer._make(_TRAILER.unpack(block))
    if trailer.trailer_crc != crc32c_of_structure(block, 8) or trailer.nonce != log.nonce or trailer.offset != offset:
        return None
    if trailer.directory_offset >= offset or trailer.previous_trailer >= offset:
        return None
    return trailer


class OpenHeader(NamedTuple):
    magic: bytes
    version: int
    header_crc: int
    nonce: int
    slot_count: int
    file_size: int


_OPEN_HEADER = struct.Struct("<8sIIQI4xQ")


def read_open_header(data, log):
    """The open file's header. Raises LogError with what is wrong."""
    block = data[:64]
    if len(block) < 64:
        raise LogError("the open file is shorter than its header")
    header = OpenHeader._make(_OPEN_HEADER.unpack_from(block))
    if header.magic != OPEN_MAGIC or header.version != 1:
        raise LogError(f"the open file begins with {block[:12].hex()}, expected {OPEN_MAGIC.hex()} and version 1")
    crc = crc32c_of_structure(block, 12)
    if header.header_crc != crc:
        raise LogError(f"the open file's header CRC is {header.header_crc:#x}, expected {crc:#x}")
    if header.nonce != log.nonce:
        raise LogError(f"the open file belongs to the log with nonce {header.nonce:#x}, not {log.nonce:#x}")
    if header.slot_count > 1538:
        raise LogError(f"the open file has {header.slot_count} slots, at most 1538 are possible")
    return header


class SlotDescriptor(NamedTuple):
    offset: int
    capacity: int
    unit_size: int
    stream: int
    vcpu: int
    crc: int


_DESCRIPTOR = struct.Struct("<QIIBxHI")


def read_slot_descriptor(data, position):
    """The slot descriptor at `position`, or None where its CRC or its unit size is wrong."""
    block = data[position : position + 64]
    if len(block) < 64:
        return None
    descriptor = SlotDescriptor._make(_DESCRIPTOR.unpack_from(block))
    if descriptor.crc != crc32c_of_structure(block, 20):
        return None
    if descriptor.unit_size != (24 if descriptor.stream == BRANCH else 64):
        return None
    return descriptor


class SlotHeader(NamedTuple):
    commit: int
    cell: int
    epoch: int
    part: int
    flags: int
    first_ordinal: int
    clock_first: int
    chain: int


SLOT_HEADER_SIZE = 128
_SLOT_HEADER = struct.Struct("<QQIII4xQQQ")


def read_slot_header(data, offset):
    """The slot header at `offset`, which lies within `data`."""
    return SlotHeader._make(_SLOT_HEADER.unpack_from(data, offset))
