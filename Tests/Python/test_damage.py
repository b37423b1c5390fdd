# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged, cut and hostile logs: an error with a place, or a count; no crash and no silence."""

import json
import os
import pathlib
import struct
import subprocess
import sys

import duckdb
import pandas
import polars
import pyarrow
import pytest

import ttlog
from conftest import ROOT, run_in_children, tool

sys.path.insert(0, str(ROOT / "Tests" / "SecondReader"))
from checksums import crc32c_of_structure  # noqa: E402

MUTATIONS = int(os.environ.get("TT_HOSTILE_INPUTS", "300"))


@pytest.fixture
def damaged(recording, tmp_path):
    """A log with a wrong byte in the body of a branch chunk, and that chunk."""
    log = ttlog.open(recording)
    branches = [row for row in log.chunks().rows() if row["stream"] == "branch"]
    chunk = next(row for row in branches[3:] if row["stored_bytes"] > 200)
    data = bytearray(pathlib.Path(recording).read_bytes())
    data[chunk["offset"] + 192 + chunk["stored_bytes"] // 2] ^= 0xFF
    path = tmp_path / "damaged.log"
    path.write_bytes(data)
    return str(path), chunk


def test_a_stream_ends_with_the_place(damaged):
    path, chunk = damaged
    log = ttlog.open(path)
    with pytest.raises(ttlog.LogError, match="hash") as error:
        log.branches().to_arrow()
    assert (error.value.file, error.value.offset) == (path, chunk["offset"])
    # The rows before the damage come first.
    reader, rows = log.branches(["brctr"]).reader(), 0
    with pytest.raises(OSError, match="offset"):
        for batch in reader:
            rows += len(batch)
    assert rows == chunk["brctr_first"]
    # Other chunks, and other streams, are not affected.
    assert log.branches(start=0, stop=100).to_arrow().num_rows == 100
    assert log.events().to_arrow().num_rows > 0
    for stream in (log.edges(), log.calls()):
        with pytest.raises(ttlog.LogError, match="hash"):
            stream.to_arrow()
    with pytest.raises(ttlog.LogError, match="hash"):
        list(log.branches(["to"]).rows())


def test_skipping_counts(damaged):
    path, chunk = damaged
    log = ttlog.open(path)
    assert log.damage().to_arrow().num_rows == 0
    table = log.branches(["to"], on_damage="skip").to_arrow()
    assert table.num_rows == log.vcpus[0].branches - chunk["rows"]
    counted = ttlog.Skipped(chunks=1, records=chunk["rows"], parts=0, bytes=0, unwritten=0, truncated_at=None)
    assert log.skipped == counted
    log.calls(on_damage="skip").to_arrow()
    log.edges(on_damage="skip").to_arrow()
    assert log.skipped == counted
    rows = list(log.damage().rows())
    assert [(row["offset"], row["lost_records"], row["source"]) for row in rows] == [(chunk["offset"], chunk["rows"], "body")]


def test_engines_report_the_error(damaged):
    path, _ = damaged
    branches = ttlog.open(path).branches()
    with pytest.raises(duckdb.Error, match="offset"):
        duckdb.sql('SELECT sum("to") FROM branches').fetchall()
    with pytest.raises(ttlog.LogError, match="offset"):
        branches.to_polars()
    with pytest.raises(polars.exceptions.ComputeError, match="offset"):
        polars.DataFrame(branches)
    with pytest.raises(ttlog.LogError, match="offset"):
        branches.to_pandas()
    with pytest.raises(Exception, match="offset"):
        pandas.DataFrame.from_arrow(branches)


STREAMS = ("branches", "events", "accesses", "notes", "chunks", "calls", "edges", "attributes")


def test_a_cut_log_is_not_silent(recording, tmp_path):
    data = pathlib.Path(recording).read_bytes()
    whole = ttlog.open(recording).vcpus[0].branches
    for size in (len(data) // 2, len(data) - 64, 4096, 4500):
        path = tmp_path / f"{size}.log"
        path.write_bytes(data[:size])
        log = ttlog.open(path)
        assert not log.is_complete and "DAMAGED" in repr(log)
        for stream in STREAMS:
            with pytest.raises(ttlog.LogError):
                getattr(log, stream)().to_arrow()
        assert not log.skipped
        assert log.damage().to_arrow().num_rows > 0
        left = log.branches(["to"], on_damage="skip").to_arrow().num_rows
        assert left == whole if size == len(data) - 64 else left < whole


@pytest.mark.parametrize("stream", STREAMS)
def test_passing_over_the_end_of_a_cut_log_is_counted(stream, recording, tmp_path):
    """Whichever stream passes over it, and wherever the cut is: in a chunk, between two, in the directory."""
    data = pathlib.Path(recording).read_bytes()
    ends = sorted(row["offset"] + 192 + row["stored_bytes"] + 63 & ~63 for row in ttlog.open(recording).chunks().rows())
    for size in (len(data) // 2, ends[len(ends) // 2], ends[-1] + 100):
        path = tmp_path / "ttd.log"
        path.write_bytes(data[:size])
        log = ttlog.open(path)
        assert not log.skipped and log.skipped.truncated_at is None
        getattr(log, stream)(on_damage="skip").to_arrow()
        skipped = log.skipped
        assert skipped and skipped.parts > 0
        # All that can be read is before.
        readable = [end for end in ends if end <= size]
        assert skipped.truncated_at == readable[-1]
        assert skipped.bytes == size - skipped.truncated_at
        structure = [row for row in log.damage().rows() if row["source"] == "structure"]
        assert (len(structure), sum(row["length"] or 0 for row in structure)) == (skipped.parts, skipped.bytes)


def test_damage_is_that_of_verify(recording, damaged, tmp_path):
    """The tool reads every body; the stream knows those that another stream has passed over."""
    cut = tmp_path / "cut.log"
    cut.write_bytes(pathlib.Path(recording).read_bytes()[:47392])
    for path in (cut, damaged[0]):
        output = subprocess.run([tool("tt-analyze"), "verify", "--format", "json", path], capture_output=True, text=True)
        log = ttlog.open(path)
        for stream in ("branches", "events", "accesses", "notes"):
            getattr(log, stream)(on_damage="skip").to_arrow()
        found = [(row["file"], row["offset"], row["length"] or 0, row["what"]) for row in log.damage().rows()]
        expected = [(row["file"], int(row["offset"]), int(row["length"]), row["what"]) for row in json.loads(output.stdout)["damage"]]
        assert found == expected


def test_a_whole_log_lacks_nothing(recording):
    log = ttlog.open(recording)
    for stream in STREAMS:
        getattr(log, stream)(on_damage="skip").to_arrow()
    assert not log.skipped and log.skipped == (0, 0, 0, 0, 0, None)


def test_what_the_recorder_could_not_write_is_counted(recording, tmp_path):
    """The trailer has the number; the directory and all chunks are whole."""
    data = bytearray(pathlib.Path(recording).read_bytes())
    trailer = memoryview(data)[-64:]
    struct.pack_into("<Q", trailer, 48, 7)
    struct.pack_into("<I", trailer, 8, crc32c_of_structure(bytes(trailer), 8))
    path = tmp_path / "ttd.log"
    path.write_bytes(data)
    log = ttlog.open(path)
    with pytest.raises(ttlog.LogError, match="could not write 7 records"):
        log.events().to_arrow()
    log.events(on_damage="skip").to_arrow()
    assert log.skipped == (0, 0, 0, 0, 7, None)


def test_damaged_notes_are_counted(recording, tmp_path):
    """Attributes come from bodies, too."""
    chunk = next(row for row in ttlog.open(recording).chunks().rows() if row["stream"] == "meta" and row["stored_bytes"] > 20)
    data = bytearray(pathlib.Path(recording).read_bytes())
    data[chunk["offset"] + 192 + 10] ^= 0xFF
    path = tmp_path / "ttd.log"
    path.write_bytes(data)
    log = ttlog.open(path)
    log.attributes(on_damage="skip").to_arrow()
    assert log.skipped == (1, chunk["rows"], 0, 0, 0, None)


HOSTILE = """
import random, sys, ttlog, pyarrow
seed, source, count, folder = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
data = open(source, "rb").read()
other = ttlog.open(source)
path = folder + "/%d.log" % seed
errors = 0
for number in range(count):
    rnd = random.Random(seed * 100_000 + number)
    copy = bytearray(data)
    for _ in range(rnd.choice((1, 2, 8, 64))):
        low, high = rnd.choice(((0, 4096), (len(copy) - 12_000, len(copy)), (4096, len(copy))))
        copy[rnd.randrange(low, high)] = rnd.choice((0, 1, 127, 128, 255, rnd.randrange(256)))
    if rnd.random() < 0.2:
        del copy[rnd.randrange(len(copy)) :]
    with open(path, "wb") as file:
        file.write(copy)
    try:
        log = ttlog.open(path)
        repr(log)
        for on_damage in ("raise", "skip"):
            for name in ("branches", "events", "accesses", "notes", "chunks", "attributes") + (("edges", "calls") if number % 16 == 0 else ()):
                try:
                    getattr(log, name)(on_damage=on_damage, stop=200_000 if name == "branches" else None).to_arrow().validate(full=True)
                except ttlog.LogError:
                    errors += 1
        log.damage().to_arrow()
        ttlog.diverge(other, log, context=0)
    except ttlog.LogError:
        errors += 1
exported, released = ttlog.struct_counts()
assert exported == released, (exported, released)
assert errors > 0
print("whole", count)
"""


def test_mutated_logs(recording, tmp_path):
    """Random bytes in logs."""
    run_in_children(HOSTILE, recording, max(1, MUTATIONS // 2), tmp_path)
