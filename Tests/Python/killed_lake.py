# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of `python -m ttlog lake` that are killed while each table is written, and what a reader finds then.

Usage: killed_lake.py FOLDER RUN OTHER
  FOLDER   where data sets are made
  RUN      a run directory with a recording and a replay
  OTHER    a run with other branches and events
The process group of a call ends by SIGKILL while the second run is added: when half of a table's file is written, or when the file
has just taken its name. Prints a line that begins with `whole` when readers saw each run whole or not at all, and the next call did
the rest.
"""

import os
import pathlib
import signal
import sys

import pyarrow.parquet

from ttlog import _children, _lake, _parquet, _storage
from ttlog._lake_state import TABLES, file_name
from ttlog.__main__ import main


def call(words, patch=lambda: None):
    """Calls the command in a process group of its own; returns the signal that ended it, or its negative exit status."""
    process = os.fork()
    if process == 0:
        os.setsid()
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
        patch()
        os._exit(main(words))
    _, status = os.waitpid(process, 0)
    return -os.waitstatus_to_exitcode(status)


def deadly(table, moment, name):
    """Makes the call end when it writes a file of that name in a table."""
    write, replace = _parquet.write, os.replace

    def half(reader, path, **options):
        write(reader, path, **options)
        if f"-{table}-night=" in path and path.endswith(name):
            os.truncate(path, os.path.getsize(path) // 2)
            os.killpg(0, signal.SIGKILL)

    def renamed(source, target):
        replace(source, target)
        if f"/{table}/" in target and target.endswith(name):
            os.killpg(0, signal.SIGKILL)

    def patch():
        if moment == "half":
            _parquet.write = half
        else:
            os.replace = renamed

    return patch


def rows_of(lake):
    """All rows of each table by run, as readers find the files; a file that is not whole is an error."""
    found = {}
    for table in TABLES:
        by_run = found[table] = {}
        for path in sorted(pathlib.Path(lake, table).glob("*/*.parquet")):
            for row in pyarrow.parquet.ParquetFile(path).read().to_pylist():
                run = row.pop("run")
                if table == "costs":
                    # Times differ from call to call.
                    row = row["step"]
                by_run.setdefault(run, []).append(repr(row))
    return found


def is_there(found):
    """The same of runs that are in `runs`: what docs/fleets.md asks for."""
    return {table: {run: rows for run, rows in by_run.items() if run in found["runs"]} for table, by_run in found.items()}


def part_of(expected, runs):
    """What a data set of some of the runs holds."""
    return {table: {run: rows for run, rows in by_run.items() if run in runs} for table, by_run in expected.items()}


def read(lake):
    return _children.alone(rows_of, lake, lake)


def check(folder, run):
    runs = [run, f"{run}/replays/1"]
    words = [run, "--branches", "--jobs", "1", "--night", "n"]
    expected_lake = os.path.join(folder, "expected")
    assert call(["lake", expected_lake, *words]) == 0
    expected = read(expected_lake)
    assert all(set(expected[table]) == set(runs) - ({run} if table == "verdicts" else set()) for table in TABLES)
    kills = 0
    for table in TABLES:
        for moment in ("half", "renamed"):
            lake = os.path.join(folder, f"{table}-{moment}")
            assert call(["lake", lake, *words], deadly(table, moment, file_name(runs[1]))) == signal.SIGKILL, lake
            kills += 1
            there = runs if (table, moment) == ("runs", "renamed") else runs[:1]
            assert is_there(read(lake)) == part_of(expected, there), lake
            if moment == "renamed":
                # A compaction leaves nothing of what was not finished, not even beside the rows.
                assert call(["compact", lake]) == 0
                assert read(lake) == part_of(expected, there), lake
            assert call(["lake", lake, *words]) == 0
            assert read(lake) == expected, lake
            left = {name for name in os.listdir(lake) if name not in (*TABLES, "_ttlog.json", ".lock")}
            assert not left, (lake, left)
    print(f"whole after {kills} kills")


def check_replaced(folder, run, other):
    """A log that has changed: its former rows go before the new ones come, also from compacted files, and after a kill."""
    log = pathlib.Path(folder, "changing")
    log.mkdir()
    words = ["--jobs", "1", "--night", "n"]
    stays = f"{run}/replays/1"
    logs = [pathlib.Path(place, "ttd.log").read_bytes() for place in (run, other)]
    states = []
    for number, data in enumerate(logs):
        (log / "ttd.log").write_bytes(data)
        lake = os.path.join(folder, f"state{number}")
        assert call(["lake", lake, str(log), stays, *words]) == 0
        states.append(read(lake))
    assert states[0]["edges"] != states[1]["edges"] and states[0]["events"] != states[1]["events"]
    kills = 0
    for table in ("runs", "edges"):
        for is_compacted in (False, True):
            lake = os.path.join(folder, f"changed-{table}-{is_compacted}")
            (log / "ttd.log").write_bytes(logs[0])
            assert call(["lake", lake, str(log), stays, *words]) == 0
            if is_compacted:
                assert call(["compact", lake]) == 0
            (log / "ttd.log").write_bytes(logs[1])
            # The former rows are removed from each compacted file, and the new file takes the place of the old one.
            name = "whole.parquet" if is_compacted else file_name(str(log))
            assert call(["lake", lake, str(log), *words], deadly(table, "renamed", name)) == signal.SIGKILL
            kills += 1
            is_done = not is_compacted and table == "runs"
            assert is_there(read(lake)) == (states[1] if is_done else part_of(states[1], [stays])), lake
            assert call(["lake", lake, str(log), *words]) == 0
            assert read(lake) == states[1], lake
            assert not [name for name in os.listdir(lake) if name.startswith("_forget")]
    print(f"whole after {kills} kills of replacements")


if __name__ == "__main__":
    check(*sys.argv[1:3])
    check_replaced(*sys.argv[1:])
