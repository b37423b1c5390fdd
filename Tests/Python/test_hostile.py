# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs whose checksums are right and whose contents are not: what random bytes do not reach."""

import os
import subprocess

import pytest

import ttlog
from conftest import ROOT, run_in_children, tool

COUNT = int(os.environ.get("TT_HOSTILE_INPUTS", "600"))

CHILD = '''
import gc, random, struct, sys

sys.path.insert(0, sys.argv[5])
from bodies import _run_zstd
from checksums import crc32c_of_structure, xxh3_64

import ttlog

seed, source, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
path = f"{sys.argv[4]}/{seed}.log"
data = open(source, "rb").read()
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1)
# Fields of a chunk header that a reader computes with: offset and size (ttlog.h).
FIELDS = ((24, 4), (32, 1), (34, 2), (36, 4), (40, 4), (44, 4), (48, 8), (56, 4), (60, 4), (64, 8), (72, 8), (80, 8), (88, 8),
          (96, 8), (104, 8), (120, 8), (136, 8), (152, 8))

chunks = []
for row in ttlog.open(source).chunks().rows():
    header = bytearray(data[row["offset"] : row["offset"] + 192])
    stored = data[row["offset"] + 192 : row["offset"] + 192 + row["stored_bytes"]]
    chunks.append((header, _run_zstd(stored, 1 << 22) if header[33] else stored))


def spoil(rnd, header, body):
    header, body = bytearray(header), bytearray(body)
    if rnd.random() < 0.6:
        for _ in range(rnd.choice((1, 1, 2, 5))):
            place, size = rnd.choice(FIELDS)
            value = rnd.choice(EXTREMES) if rnd.random() < 0.7 else rnd.randrange(2**64)
            header[place : place + size] = (value & (2 ** (8 * size) - 1)).to_bytes(size, "little")
    if body and rnd.random() < 0.6:
        for _ in range(rnd.choice((1, 2, 8))):
            body[rnd.randrange(len(body))] = rnd.choice((0, 1, 0x7F, 0x80, 0xFF, rnd.randrange(256)))
    if body and rnd.random() < 0.1:
        del body[rnd.randrange(len(body)) :]
    return header, body


def build(rnd):
    result = bytearray(data[:4096])
    if rnd.random() < 0.2:
        place = rnd.choice((48, 56, 59, 60, 64, 68, 72))
        result[place] = rnd.randrange(256)
        struct.pack_into("<I", result, 12, crc32c_of_structure(bytes(result), 12))
    for header, body in chunks:
        if rnd.random() < 0.5:
            header, body = spoil(rnd, header, body)
        else:
            header, body = bytearray(header), bytearray(body)
        if rnd.random() < 0.05:
            continue
        header[33] = 0
        struct.pack_into("<Q", header, 16, len(result))
        struct.pack_into("<I", header, 28, len(body))
        if struct.unpack_from("<I", header, 24)[0] < 2**20 and rnd.random() < 0.9:
            struct.pack_into("<I", header, 24, len(body))
        struct.pack_into("<Q", header, 112, xxh3_64(bytes(body)))
        struct.pack_into("<I", header, 4, crc32c_of_structure(bytes(header), 4))
        result += header + body
        result += bytes(-len(result) % 64)
    return result


rows = errors = 0
good = ttlog.open(source)
for number in range(count):
    rnd = random.Random(seed * 1_000_000 + number)
    with open(path, "wb") as file:
        file.write(build(rnd))
    try:
        log = ttlog.open(path)
        repr(log)
        log.partitions(7), log.partitions(3, "events", 1)
        for name in ("branches", "events", "accesses", "notes", "chunks", "attributes", "calls", "edges", "damage"):
            for on_damage in ("raise", "skip"):
                limits = {"start": rnd.choice(EXTREMES), "stop": rnd.choice(EXTREMES)} if rnd.random() < 0.2 else {}
                stream = ttlog.Stream(log, name, on_damage=on_damage, strings=rnd.choice(("plain", "dictionary")), **limits)
                try:
                    table = stream.to_arrow()
                    table.validate(full=True)
                    rows += table.num_rows
                except ttlog.LogError:
                    errors += 1
        for kind in ("interrupt", "port-read", "attribute", "state", "kind-77"):
            for name in ("events", "accesses", "notes"):
                ttlog.Stream(log, name, kinds=[kind], on_damage="skip").to_arrow().validate(full=True)
        ttlog.diverge(good, log, context=4)
        ttlog.diverge(log, good, context=0)
    except ttlog.LogError:
        errors += 1
table = None
gc.collect()
exported, released = ttlog.struct_counts()
assert exported == released, (exported, released)
assert rows > 0 and errors > 0
print("whole", count, rows, errors)
'''


@pytest.fixture(scope="module")
def small(written, tmp_path_factory):
    """A log of two hundred branches and a few events."""
    path = tmp_path_factory.mktemp("small") / "small.log"
    subprocess.run([tool("tt-analyze"), "import", written, "-o", path], check=True, capture_output=True)
    assert [vcpu.branches for vcpu in ttlog.open(path).vcpus] == [100, 100]
    return str(path)


def test_right_checksums_and_wrong_contents(small, tmp_path):
    run_in_children(CHILD, small, COUNT // 2, tmp_path, ROOT / "Tests/SecondReader")
