#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a trace log and prints it as JSON lines: the header, every record, a summary.

    ttlog_reader.py [--check] [--chunks | --headers] LOG...

Written from docs/log-format.md alone, so that the document is known to be complete; it shares no line with the writer or
the Swift reader and is compared with both in the tests. It reads closed logs, logs that were killed (with LOG.open beside
them) and logs that are still being written, and passes over damage. --check verifies all body hashes, digests and chains;
--chunks prints a line for each chunk too. --headers prints the header and a line for each chunk, reads no body and checks
no chain: a log of 100 million records takes a second, with its records more than ten minutes. Numbers of 64 bits are
strings: decimal, or hexadecimal for addresses.

Exit status: 0 all was read, 1 there is damage, 2 one is no log.
"""

import argparse
import json
import mmap
import os
import sys

from bodies import read_bodies
from checksums import xxh3_64
from columns import BodyError, check_clocks, class_bytes, decode_branches, decode_events
from elements import Damage, read_elements
from open_file import is_being_written, read_open_file
from kinds import KINDS
from structures import (
    ACCESS,
    BRANCH,
    CODEC_RAW,
    CODEC_ZSTD,
    ELIDED,
    EVENT,
    META,
    STREAM_NAMES,
    LogError,
    read_file_header,
)



class Log:
    """A log as far as it can be read without decoding its records."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise LogError("the file is empty")
            open_data, problem = self._open_file_bytes()
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.header = read_file_header(self.data)
        self.elements = read_elements(self.data, self.header)
        self.slots, open_damage = [], []
        has_open_file = False
        if open_data is not None:
            try:
                self.slots, open_damage = read_open_file(open_data, self.header)
                has_open_file = True
            except LogError as error:
                problem = str(error)
        if problem is not None:
            open_damage.append(Damage(0, 0, problem))
        self.damage = self.elements.damage + open_damage
        if is_being_written(path):
            self.state = "being written"
        elif self.elements.is_finished and not has_open_file:
            self.state = "closed"
        else:
            self.state = "killed"

    def _open_file_bytes(self):
        """The open file, mapped before the log is: what leaves a slot meanwhile is in the log."""
        try:
            with open(self.path + ".open", "rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), None
        except FileNotFoundError:
            return None, None
        except (OSError, ValueError) as error:
            return None, f"the open file cannot be read: {error}"


def choose_chunks(chunks, damage):
    """The chunks by key: all copies of each, those with a body first."""
    copies = {}
    for chunk in chunks:
        if chunk.stream not in (BRANCH, EVENT, ACCESS, META):
            damage.append(Damage(chunk.offset, 0, f"stream {chunk.stream} is not known"))
        elif chunk.codec not in (CODEC_RAW, CODEC_ZSTD):
            damage.append(Damage(chunk.offset, 0, f"codec {chunk.codec} is not known"))
        copies.setdefault(chunk.key, []).append(chunk)
    for same in copies.values():
        same.sort(key=lambda chunk: chunk.flags & ELIDED)
    return {key: same for key, same in copies.items() if key[1] in (BRANCH, EVENT, ACCESS, META)}


class Reader:
    """Decodes the records of a log and counts what cannot be had."""

    def __init__(self, log, check):
        self.log = log
        self.check = check
        self.damage = log.damage
        self.copies = choose_chunks(log.elements.chunks, self.damage)
        self.slots = {slot.key: slot for slot in log.slots}
        self.records = dict.fromkeys(STREAM_NAMES.values(), 0)
        self.recovered = 0
        self.elided = 0
        self.unreadable = 0
        self.unknown_kinds = 0

    def pieces(self):
        """Yields (key, first ordinal, first clock, records) of all chunks and slots, in the order of their keys."""
        readable = self._bodies()
        for key in sorted(self.copies.keys() | self.slots.keys()):
            records = None
            if key in self.copies:
                chunk = self.copies[key][0]
                records = self._decode_any(next(readable), key)
                first_ordinal, clock_first = chunk.first_ordinal, chunk.clock_first
            if records is None and key in self.slots:
                slot = self.slots[key]
                first_ordinal, clock_first, records = slot.first_ordinal, slot.clock_first, slot.records
                self.recovered += len(records)
            if records is None:
                if all(chunk.flags & ELIDED for chunk in self.copies[key]):
                    self.elided += chunk.count
                else:
                    self.unreadable += chunk.count
                continue
            self.records[STREAM_NAMES[key[1]]] += len(records)
            yield key, first_ordinal, clock_first, records

    def _bodies(self):
        """Yields, for each key, its copies with their bodies."""
        keys = sorted(self.copies)
        bodies = read_bodies(self.log.data, (chunk for key in keys for chunk in self.copies[key]), self.check)
        for key in keys:
            yield [next(bodies) for _ in self.copies[key]]

    def _decode_any(self, copies, key):
        """The records of the first copy of a chunk that is whole, None where there is none."""
        for chunk, body in copies:
            if chunk.flags & ELIDED and not (chunk.stored_size or chunk.codec or chunk.body_hash):
                continue
            try:
                if isinstance(body, BodyError):
                    raise body
                if self.check:
                    check_digests(chunk, body)
                if chunk.stream == BRANCH:
                    return decode_branches(body, chunk, self.log.header)
                records = decode_events(body, chunk)
                if chunk.stream != META:
                    check_clocks(records, chunk, self.log.header)
                return records
            except BodyError as error:
                self.damage.append(Damage(chunk.offset, chunk.body_end - chunk.offset, str(error)))
        return None

    def check_chains(self):
        """Verifies the chains, elided chunks included. A chunk after a missing one cannot be checked."""
        previous = None
        for key in sorted(self.copies):
            chunk = self.copies[key][0]
            same_epoch = previous is not None and previous.key[:3] == key[:3]
            if same_epoch and previous.first_ordinal + previous.count == chunk.first_ordinal:
                before = previous.chain
            elif same_epoch or self.damage:
                before = None
            else:
                before = 0
            if before is not None:
                values = (before, chunk.cell, chunk.part << 32 | chunk.count, chunk.path_digest, chunk.position_digest)
                expected = xxh3_64(b"".join(value.to_bytes(8, "little") for value in values))
                if expected != chunk.chain:
                    self.damage.append(
                        Damage(chunk.offset, 0, f"chain is {chunk.chain:#018x}, expected {expected:#018x}")
                    )
            previous = chunk

    def missing(self):
        """Records between chunks that are in none, by the ordinals on both sides."""
        count, expected = 0, {}
        for key in sorted(self.copies.keys() | self.slots.keys()):
            if key in self.copies:
                first, size = self.copies[key][0].first_ordinal, self.copies[key][0].count
            else:
                first, size = self.slots[key].first_ordinal, len(self.slots[key].records)
            count += max(0, first - expected.get(key[:2], 0))
            expected[key[:2]] = first + size
        return count


def check_digests(chunk, body):
    """Raises BodyError unless the digests in the header are those of the body."""
    for name, found, content in zip(
        ("path", "label", "position", "payload"), chunk.digests, class_bytes(chunk.stream == BRANCH, body), strict=True
    ):
        expected = 0 if content is None else xxh3_64(content, chunk.count)
        if found != expected:
            raise BodyError(f"the {name} digest is {found:#018x}, expected {expected:#018x}")


# Output


def number(value):
    return "null" if value is None else f'"{value}"'


def address(value):
    return "null" if value is None else f'"{value:#x}"'


def branch_lines(key, first_ordinal, clock_first, records):
    vcpu, _, epoch, cell, part = key
    head = f'{{"type":"branch","vcpu":{vcpu},"epoch":{epoch},"cell":"{cell}","part":{part},"ordinal":"'
    for index, branch in enumerate(records):
        yield (
            f'{head}{first_ordinal + index}","clock":"{clock_first + index}","icount":{number(branch.icount)},'
            f'"from":"{branch.source:#x}","to":"{branch.target:#x}","label":{branch.label}}}\n'
        )


def event_lines(key, first_ordinal, records):
    vcpu, stream, epoch, cell, part = key
    head = f'{{"type":"{STREAM_NAMES[stream]}","vcpu":{vcpu},"epoch":{epoch},"cell":"{cell}","part":{part},"ordinal":"'
    for index, event in enumerate(records):
        yield (
            f'{head}{first_ordinal + index}","clock":"{event.clock}","icount":{number(event.icount)},'
            f'"kind":{event.kind},"validity":{event.validity},"ip":{address(event.ip)},"info":{event.info},'
            f'"aux":{address(event.aux)},"payload":"{event.payload.hex()}","ticket":"{event.ticket}",'
            f'"tsc":{number(event.tsc)},"private":"{event.private.hex()}"}}\n'
        )


def line(kind, fields):
    return json.dumps({"type": kind, **fields}, separators=(",", ":"), ensure_ascii=False) + "\n"


def header_line(header):
    fields = header._asdict()
    for name in ("magic", "header_crc", "header_size"):
        del fields[name]
    for name in ("nonce", "features"):
        fields[name] = f"{fields[name]:#x}"
    for name in ("clock_base", "icount_base", "created_unix_ns"):
        fields[name] = str(fields[name])
    fields["recording_uuid"] = header.recording_uuid.hex()
    fields["recorder_name"] = header.recorder_name.rstrip(b"\0").decode("utf-8", "replace")
    return line("header", fields)


def chunk_line(chunk):
    fields = chunk._asdict()
    for name in ("magic", "header_crc", "nonce"):
        del fields[name]
    for name in ("body_hash", "path_digest", "label_digest", "position_digest", "payload_digest", "chain"):
        fields[name] = f"{fields[name]:#018x}"
    for name in ("offset", "cell", "first_ordinal", "ticket"):
        fields[name] = str(fields[name])
    for name in ("clock_first", "clock_last", "icount_first", "icount_last"):
        fields[name] = str(fields[name])
    return line("chunk", fields)


def print_headers(path, output):
    """Prints the header of the log at `path` and its chunks' headers. Returns whether these are whole."""
    log = Log(path)
    output.write(header_line(log.header))
    output.writelines(map(chunk_line, log.elements.chunks))
    summary = {
        "state": log.state,
        "size": len(log.data),
        "chunks": len(log.elements.chunks),
        "lost": log.elements.lost_records,
        "half_written": log.elements.half_written,
        "damage": [damage._asdict() for damage in log.damage],
    }
    output.write(line("summary", summary))
    return not log.damage


def print_log(path, output, check=False, chunks=False):
    """Prints the log at `path`. Returns whether it is whole. Raises LogError where it is no log."""
    log = Log(path)
    output.write(header_line(log.header))
    if chunks:
        output.writelines(map(chunk_line, log.elements.chunks))
    reader = Reader(log, check)
    for key, first_ordinal, clock_first, records in reader.pieces():
        if key[1] == BRANCH:
            output.writelines(branch_lines(key, first_ordinal, clock_first, records))
        else:
            output.writelines(event_lines(key, first_ordinal, records))
            reader.unknown_kinds += sum(event.kind not in KINDS for event in records)
    if check:
        reader.check_chains()
    summary = {
        "state": log.state,
        "size": len(log.data),
        "chunks": len(log.elements.chunks),
        "records": reader.records,
        "recovered": reader.recovered,
        "elided": reader.elided,
        "unreadable": reader.unreadable,
        "missing": reader.missing(),
        "lost": log.elements.lost_records,
        "half_written": log.elements.half_written,
        "unknown_kinds": reader.unknown_kinds,
        "damage": [damage._asdict() for damage in reader.damage],
    }
    output.write(line("summary", summary))
    return not reader.damage


def main():
    parser = argparse.ArgumentParser(description="Prints a trace log as JSON lines.")
    parser.add_argument("logs", metavar="LOG", nargs="+")
    parser.add_argument("--check", action="store_true", help="verify body hashes, digests and chains")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--chunks", action="store_true", help="print the chunk headers too")
    extent.add_argument("--headers", action="store_true", help="print the headers of log and chunks only, and read no body")
    arguments = parser.parse_args()
    if arguments.headers and arguments.check:
        parser.error("--check reads bodies, --headers reads none")
    status = 0
    for path in arguments.logs:
        try:
            if arguments.headers:
                whole = print_headers(path, sys.stdout)
            else:
                whole = print_log(path, sys.stdout, arguments.check, arguments.chunks)
            status = max(status, 0 if whole else 1)
        except (LogError, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            sys.stdout.write(line("refused", {"reason": str(error)}))
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
