# SPDX-License-Identifier: GPL-2.0-or-later

"""Finds the chunks of a log: through the chain of trailers, or element by element, skipping damage.

A directory that the walk meets gives back the chunks whose own headers are damaged.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from checksums import xxh3_64
from structures import (
    ALIGNMENT,
    CHUNK_HEADER_SIZE,
    CHUNK_MAGIC,
    DIRECTORY,
    FILE_HEADER_SIZE,
    TRAILER_CONTINUES,
    TRAILER_MAGIC,
    TRAILER_SIZE,
    aligned,
    read_chunk_header,
    read_trailer,
)


class Damage(NamedTuple):
    """Bytes of the log that could not be used."""

    offset: int
    length: int
    what: str


@dataclass
class Elements:
    """The elements of a log after its file header."""

    is_finished: bool = False
    lost_records: int = 0
    half_written: int = 0
    chunks: list = field(default_factory=list)
    damage: list = field(default_factory=list)


class _BrokenChain(Exception):
    pass


def read_elements(data, log):
    """All chunks of the log with the bytes `data` and the file header `log`, directories excepted."""
    elements = Elements()
    last = read_trailer(data, len(data) - TRAILER_SIZE, log)
    if last is not None:
        elements.lost_records = last.lost_records
    if last is not None and not last.flags & TRAILER_CONTINUES:
        elements.is_finished = True
        try:
            elements.chunks = _follow_chain(data, log, last)
            _compare_with_directory(data, elements)
            return elements
        except _BrokenChain as reason:
            elements.damage.append(Damage(last.offset, TRAILER_SIZE, str(reason)))
    _walk(data, log, elements)
    return elements


def _follow_chain(data, log, trailer):
    listed = []
    while True:
        directory = read_chunk_header(data, trailer.directory_offset, trailer.directory_offset, log)
        if directory is None or directory.stream != DIRECTORY:
            raise _BrokenChain(f"the trailer names {trailer.directory_offset}, where there is no directory")
        if aligned(directory.body_end) != trailer.offset or directory.count != trailer.chunk_count:
            raise _BrokenChain(f"the directory at {directory.offset} does not fit its trailer")
        body = data[directory.body_offset : directory.body_end]
        if len(body) != directory.count * CHUNK_HEADER_SIZE or xxh3_64(body) != directory.body_hash:
            raise _BrokenChain(f"the body of the directory at {directory.offset} is damaged")
        listed.append(_listed_chunks(data, log, body, directory.offset))
        if trailer.previous_trailer == 0:
            return [chunk for chunks in reversed(listed) for chunk in chunks]
        previous = read_trailer(data, trailer.previous_trailer, log)
        if previous is None:
            raise _BrokenChain(f"the trailer names {trailer.previous_trailer}, where there is no trailer")
        trailer = previous


def _listed_chunks(data, log, body, directory_offset):
    chunks = []
    for position in range(0, len(body), CHUNK_HEADER_SIZE):
        offset = int.from_bytes(body[position + 16 : position + 24], "little")
        chunk = read_chunk_header(body, position, offset, log)
        if chunk is None or chunk.body_end > len(data) or offset % ALIGNMENT or offset < FILE_HEADER_SIZE:
            raise _BrokenChain(f"the directory at {directory_offset} lists an invalid chunk")
        chunks.append(chunk)
    return chunks


def _compare_with_directory(data, elements):
    """The directory keeps a chunk readable whose own header was damaged, but damage it is."""
    for chunk in elements.chunks:
        if data[chunk.offset : chunk.offset + 8] != CHUNK_MAGIC + chunk.header_crc.to_bytes(4, "little"):
            elements.damage.append(
                Damage(chunk.offset, CHUNK_HEADER_SIZE, "the chunk's header is not the one that the directory lists")
            )


def _walk(data, log, elements):
    directories, trailers = [], []
    _walk_elements(data, log, elements, directories, trailers)
    if not elements.damage:
        return
    known = {chunk.offset for chunk in elements.chunks}
    for directory in directories:
        body = data[directory.body_offset : directory.body_end]
        if xxh3_64(body) != directory.body_hash:
            continue
        try:
            listed = _listed_chunks(data, log, body, directory.offset)
        except _BrokenChain:
            continue
        elements.chunks += [chunk for chunk in listed if chunk.offset not in known]
        known.update(chunk.offset for chunk in listed)
    met = {directory.offset for directory in directories}
    for trailer in trailers:
        if trailer.directory_offset not in met:
            listed = _entries_before(data, log, trailer)
            elements.chunks += [chunk for chunk in listed if chunk.offset not in known]
            known.update(chunk.offset for chunk in listed)


def _entries_before(data, log, trailer):
    """The intact entries of a directory whose own header is damaged: its trailer gives its place and its count."""
    size = trailer.chunk_count * CHUNK_HEADER_SIZE
    if size == 0 or trailer.offset - trailer.directory_offset != size + CHUNK_HEADER_SIZE:
        return []
    chunks = []
    end = FILE_HEADER_SIZE
    for position in range(trailer.directory_offset + CHUNK_HEADER_SIZE, trailer.offset, CHUNK_HEADER_SIZE):
        offset = int.from_bytes(data[position + 16 : position + 24], "little")
        chunk = read_chunk_header(data, position, offset, log)
        if chunk is None or chunk.stream == DIRECTORY or offset % ALIGNMENT or offset < end:
            continue
        if aligned(chunk.body_end) > trailer.directory_offset:
            continue
        chunks.append(chunk)
        end = aligned(chunk.body_end)
    return chunks


def _walk_elements(data, log, elements, directories, trailers):
    position = aligned(FILE_HEADER_SIZE)
    damaged_from = half_written = None
    while position < len(data):
        end = None
        chunk = read_chunk_header(data, position, position, log)
        is_cut = position + CHUNK_HEADER_SIZE > len(data) and data[position : position + 4] == CHUNK_MAGIC
        if is_cut or chunk is not None and chunk.body_end > len(data):
            half_written = position
        elif chunk is not None:
            end = aligned(chunk.body_end)
            (directories if chunk.stream == DIRECTORY else elements.chunks).append(chunk)
        elif (trailer := read_trailer(data, position, log)) is not None:
            trailers.append(trailer)
            end = position + TRAILER_SIZE
        if end is None:
            damaged_from = position if damaged_from is None else damaged_from
            position = _next_candidate(data, position + ALIGNMENT)
            continue
        if damaged_from is not None:
            elements.damage.append(Damage(damaged_from, position - damaged_from, "no chunk and no trailer here"))
            damaged_from = None
        position = end
    if damaged_from is None:
        return
    if damaged_from == half_written:
        elements.half_written = len(data) - damaged_from
    else:
        elements.damage.append(Damage(damaged_from, len(data) - damaged_from, "no chunk and no trailer here"))


def _next_candidate(data, position):
    """The next multiple of 64 from `position` on with the magic of a chunk or trailer, or the end of the file."""
    found = len(data)
    for magic in (CHUNK_MAGIC, TRAILER_MAGIC):
        place = data.find(magic, position, found)
        while place >= 0 and place % ALIGNMENT:
            place = data.find(magic, place + 1, found)
        if place >= 0:
            found = place
    return found
