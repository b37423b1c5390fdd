# SPDX-License-Identifier: GPL-2.0-or-later
"""Chunk headers as rows."""

import json
import pathlib
import subprocess
import sys

import ttlog
from conftest import ROOT, unsigned


def second_reader(*arguments):
    """The lines that the reader which was written from docs/log-format.md prints: the header's, the chunks', the summary's, the rest."""
    command = [sys.executable, ROOT / "Tests/SecondReader/ttlog_reader.py", *arguments]
    lines = [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()]
    return lines[0], [line for line in lines if line["type"] == "chunk"], lines[-1], len(lines)


def test_chunks_are_those_of_the_second_reader(recording):
    """The reader finds the same headers with bodies and without."""
    header, chunks, summary, count = second_reader("--headers", recording)
    assert count == len(chunks) + 2 and summary["chunks"] == len(chunks) and summary["damage"] == []
    assert (header, chunks) == second_reader("--chunks", recording)[:2]
    rows = {str(row["offset"]): row for row in ttlog.open(recording).chunks().rows()}
    assert len(rows) > 20 and rows.keys() <= {chunk["offset"] for chunk in chunks}
    for chunk in chunks:
        row = rows.get(chunk["offset"])
        if row is None:
            continue
        vcpu = None if chunk["vcpu"] == 0xFFFF else chunk["vcpu"]  # the stream of notes belongs to none
        assert (row["vcpu"], row["rows"], row["stored_bytes"]) == (vcpu, chunk["count"], chunk["stored_size"])
        for name, value in (("path", chunk["path_digest"]), ("position", chunk["position_digest"]), ("chain", chunk["chain"])):
            assert row[name] is None or unsigned(row[name]) == int(value, 16)
        assert chunk["stream"] != 1 or None not in (row["path"], row["position"], row["chain"])


def test_chunks_read_no_body(recording, tmp_path):
    """With other bytes in every body, the rows are the same; a stream that passes over the damage adds it to them."""
    log = ttlog.open(recording)
    expected = log.chunks().to_arrow()
    data = bytearray(pathlib.Path(recording).read_bytes())
    for row in expected.to_pylist():
        place = slice(row["offset"] + 192, row["offset"] + 192 + row["stored_bytes"])
        data[place] = bytes(byte ^ 0x55 for byte in data[place])
    path = tmp_path / "ttd.log"
    path.write_bytes(data)
    spoilt = ttlog.open(path)
    assert spoilt.chunks().to_arrow().equals(expected)
    assert set(expected["damage"].to_pylist()) == {None}
    assert spoilt.branches(on_damage="skip").to_arrow().num_rows == 0
    for row in spoilt.chunks().to_arrow().to_pylist():
        assert (row["damage"] is not None) == (row["stream"] == "branch")
        assert row["damage"] is None or "hash" in row["damage"]


def test_chunks_with_a_damaged_header(recording, tmp_path):
    """The directory has the header's fields; the column says that they come from there."""
    chunk = [row for row in ttlog.open(recording).chunks().rows() if row["stream"] == "branch"][2]
    data = bytearray(pathlib.Path(recording).read_bytes())
    data[chunk["offset"] + 100] ^= 1
    # Without its trailer, the reader looks for every header.
    path = tmp_path / "ttd.log"
    path.write_bytes(data[:-64] + bytes(64))
    rows = ttlog.open(path).chunks(on_damage="skip").to_arrow().to_pylist()
    damaged = [row for row in rows if row["damage"] is not None]
    assert [row["offset"] for row in damaged] == [chunk["offset"]]
    assert "CRC32C" in damaged[0]["damage"] and damaged[0]["path"] == chunk["path"]


def test_chunks_tell_runs_apart(run_folder):
    run = ttlog.open(run_folder)
    same, other = run.replay("2"), run.replay("1")

    def key(row):
        return tuple(row[name] for name in ("stream", "vcpu", "epoch", "cell", "part"))

    def digests(log):
        rows = log.chunks().to_arrow().to_pylist()
        assert sum(row["rows"] for row in rows if row["stream"] == "branch") == log.vcpus[0].branches
        return {key(row): (row["path"], row["position"]) for row in rows if row["stream"] == "branch" and not row["is_partial"]}

    assert digests(run) == digests(same)
    mine, theirs = digests(run), digests(other)
    first = min(place for place in mine if mine[place] != theirs.get(place))
    assert first[3] == ttlog.diverge(run, other).place.brctr >> 16
