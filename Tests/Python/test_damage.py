# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged, cut and hostile logs: an error with a place, or a count; no crash and no silence."""

import os
import pathlib

import duckdb
import pandas
import polars
import pyarrow
import pytest

import ttlog
from conftest import run_in_children

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
    assert log.skipped == (1, chunk["rows"])
    log.calls(on_damage="skip").to_arrow()
    log.edges(on_damage="skip").to_arrow()
    assert log.skipped == (1, chunk["rows"])
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


def test_a_cut_log_is_not_silent(recording, tmp_path):
    data = pathlib.Path(recording).read_bytes()
    whole = ttlog.open(recording).vcpus[0].branches
    for size in (len(data) // 2, len(data) - 64, 4096, 4500):
        path = tmp_path / f"{size}.log"
        path.write_bytes(data[:size])
        log = ttlog.open(path)
        assert not log.is_complete and "DAMAGED" in repr(log)
        for stream in (log.branches(["to"]), log.events(), log.chunks(), log.calls(), log.edges(), log.attributes()):
            with pytest.raises(ttlog.LogError):
                stream.to_arrow()
        assert log.damage().to_arrow().num_rows > 0
        left = log.branches(["to"], on_damage="skip").to_arrow().num_rows
        assert left == whole if size == len(data) - 64 else left < whole


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
