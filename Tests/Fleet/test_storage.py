# SPDX-License-Identifier: GPL-2.0-or-later
"""Data sets and verdicts in object storage: moto's S3, by fsspec."""

import json

import duckdb
import fsspec
import pytest

from conftest import ttlog


def rows(table, place):
    """All rows of a table of a data set."""
    connection = duckdb.connect()
    connection.register_filesystem(fsspec.filesystem("s3"))
    source = f"read_parquet('{place}/{table}/*/*.parquet', hive_partitioning = true)"
    return sorted(connection.sql(f"SELECT * FROM {source}").fetchall(), key=repr)


def test_a_lake_in_object_storage_has_the_same_rows(bucket, lake, run_folder):
    place = "s3://bucket/lake"
    assert ttlog("lake", place, "run", "--night", "2026-11-30", folder=run_folder).endswith("3 added, 0 unchanged, 0 failed\n")
    for table in ("runs", "chunks", "events", "edges", "verdicts"):
        assert rows(table, place) == rows(table, lake)
    # Known runs are passed over; a run whose last object is missing is made again.
    assert ttlog("lake", place, "run", folder=run_folder).endswith("0 added, 3 unchanged, 0 failed\n")
    files = fsspec.filesystem("s3")
    [first, *_] = files.ls("bucket/lake/runs/night=2026-11-30")
    files.rm_file(first)
    assert ttlog("lake", place, "run", "--night", "2026-11-30", folder=run_folder).endswith("1 added, 2 unchanged, 0 failed\n")
    assert rows("edges", place) == rows("edges", lake)
    # A folder of something else is left alone.
    files.pipe("bucket/other/file", b"not a data set")
    assert "no data set of ttlog" in ttlog("lake", "s3://bucket/other", "run", folder=run_folder, statuses=(2,))


def test_verdicts_in_object_storage_are_continued(bucket, run_folder):
    pairs = run_folder / "pairs.csv"
    pairs.write_text("original,replay\nrun,run/replays/1\n")
    place = "s3://bucket/verdicts"
    ttlog("verdicts", pairs, "-o", place, folder=run_folder, statuses=(1,))
    pairs.write_text("original,replay\nrun,run/replays/1\nrun,run/replays/2\nrun,run/replays/9\n")
    ttlog("verdicts", pairs, "-o", place, folder=run_folder, statuses=(2,))
    files = fsspec.filesystem("s3")
    files.invalidate_cache()
    objects = files.glob("bucket/verdicts/verdicts-*.jsonl")
    found = [json.loads(line) for name in objects for line in files.cat(name).splitlines()]
    assert len(objects) == 2
    assert {row["replay"]: row["verdict"] for row in found} == {
        "run/replays/1": "control-flow",
        "run/replays/2": "identical",
        "run/replays/9": "failed",
    }
    assert len(found) == 3


def test_rows_of_verdicts_are_uploaded_in_between(bucket):
    from ttlog._journal import RemoteJournal

    place = "memory-is-not-shared"
    with RemoteJournal(f"s3://bucket/{place}", "verdicts", 1, ("original",), per_object=2) as journal:
        for number in range(3):
            journal.add({"version": 1, "original": str(number)})
        # The third row is not there yet: a call that is killed here loses it.
        again = RemoteJournal(f"s3://bucket/{place}", "verdicts", 1, ("original",))
        assert sorted(row["original"] for row in again.rows) == ["0", "1"]
    assert len(RemoteJournal(f"s3://bucket/{place}", "verdicts", 1, ("original",)).rows) == 3
    with pytest.raises(Exception, match="has version 1"):
        RemoteJournal(f"s3://bucket/{place}", "verdicts", 2, ("original",))
