# SPDX-License-Identifier: GPL-2.0-or-later
"""Compaction of data sets in object storage."""

import os
import pathlib
import subprocess
import sys

import duckdb
import fsspec
import pytest

import ttlog as package
from conftest import ttlog

KILLED = pathlib.Path(__file__).with_name("killed.py")


def rows(place):
    """All rows of a data set, as `lake_files` names them."""
    connection = duckdb.connect()
    if "://" in place:
        connection.register_filesystem(fsspec.filesystem("s3"))
    found = {}
    for table in ("chunks", "costs", "edges", "events", "runs", "verdicts"):
        files = package.lake_files(place, table)
        # Times differ between two data sets.
        columns = "* EXCLUDE (seconds, cpu_seconds)" if table == "costs" else "*"
        found[table] = sorted(connection.sql(f"SELECT {columns} FROM read_parquet({files}, hive_partitioning = true)").fetchall(), key=repr)
    return found


def killed(lake, place, *steps):
    """What Tests/Fleet/killed.py prints."""
    environment = {**os.environ, "FSSPEC_FILE_AUTO_MKDIR": "true"}
    done = subprocess.run([sys.executable, KILLED, lake, place, *steps], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_compaction_that_is_killed_at_any_step(lake, tmp_path):
    """On a storage of fsspec that is this machine's disk. The steps are 6 uploads, the decision, 6 tables with a copy and the
    removal of 2 or 3 files each, the end of the decision, and 6 removals. Of the many removals some are enough (`killed.py LAKE
    PLACE all` takes all)."""
    steps = [0, 2, 5, 6, 7, 8, 9, 11, 12, 19, 27, 28, 29, 30, 31, 34, 36]
    assert killed(lake, f"file://{tmp_path}", *map(str, steps)) == "whole after 17 kills\n"
    assert killed(lake, f"file://{tmp_path}", "37") == "whole after 0 kills\n"


def test_a_reader_sees_the_old_files_or_the_new(lake, tmp_path):
    assert killed(lake, f"file://{tmp_path}/lake", "watched").startswith("whole")


def test_a_compaction_in_s3_that_is_killed(bucket, lake):
    """Before the decision, and while old files are removed."""
    assert killed(lake, "s3://bucket/killed", "6", "24") == "whole after 2 kills\n"


def test_a_compacted_lake_in_s3_grows(bucket, lake, run_folder, tmp_path):
    place = "s3://bucket/compacted"
    ttlog("lake", place, "run", "--night", "2026-11-30", folder=run_folder)
    assert ttlog("compact", place).endswith("17 files before, 6 after\n")
    assert rows(place) == rows(str(lake))
    assert ttlog("lake", place, "run", folder=run_folder).endswith("0 added, 3 unchanged, 0 failed\n")
    # A run whose log has changed: its former rows go from the compacted file.
    log = tmp_path / "ttd.log"
    log.write_bytes((run_folder / "run/replays/2/ttd.log").read_bytes())
    assert ttlog("lake", place, tmp_path, "--night", "2026-11-30").endswith("1 added, 0 unchanged, 0 failed\n")
    assert ttlog("compact", place).endswith("11 files before, 6 after\n")
    log.write_bytes((run_folder / "run/replays/1/ttd.log").read_bytes())
    assert ttlog("lake", place, tmp_path, "--night", "2026-11-30").endswith("1 added, 0 unchanged, 0 failed\n")
    found = {row[0]: row for row in duckdb_runs(place)}
    assert len(found) == 4 and found[str(tmp_path)][1] == found["run/replays/1"][1]
    with pytest.raises(package.LogError, match="no table"):
        package.lake_files(place, "no-such-table")


def duckdb_runs(place):
    connection = duckdb.connect()
    connection.register_filesystem(fsspec.filesystem("s3"))
    return connection.sql(f"SELECT run, digest FROM read_parquet('{place}/runs/*/*.parquet', hive_partitioning = true)").fetchall()
