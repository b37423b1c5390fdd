# SPDX-License-Identifier: GPL-2.0-or-later
"""Compactions in object storage that are killed at each of their steps, or watched by a reader.

Usage: killed.py LAKE PLACE all|watched|STEP…
  LAKE    a data set in a directory, not compacted
  PLACE   an address of fsspec, where copies of it are made
  STEP    the number of a write, copy or removal before which the process is killed, from 0; `all`: each
Prints a line that begins with `whole` when nothing was ever missing or there twice.
"""

import itertools
import os
import pathlib
import signal
import sys
import tempfile
import time

import ttlog
from ttlog import _children, _storage
from ttlog.__main__ import main

TABLES = ("chunks", "costs", "edges", "events", "runs", "verdicts")


def with_steps(limit, counter, seconds=0.0):
    """Calls of storages count in a file: from `limit` on they kill their process."""
    real = _storage.Storage.__init__
    depth = 0

    def init(self, place):
        real(self, place)
        for name in ("put_file", "cp_file", "rm_file"):
            setattr(self._remote, name, stepping(getattr(self._remote, name)))
        self._remote.rm = lambda paths: [self._remote.rm_file(path) for path in paths]

    def stepping(function):
        def step(*words):
            nonlocal depth
            if depth == 0:
                with open(counter, "ab") as file:
                    if file.tell() >= limit:
                        os.kill(os.getpid(), signal.SIGKILL)
                    file.write(b".")
                time.sleep(seconds)
            # What a step calls is part of it.
            depth += 1
            try:
                return function(*words)
            finally:
                depth -= 1

        return step

    _storage.Storage.__init__ = init
    return real


def compact(place, limit, seconds=0.0):
    """Compacts; returns the exit status and the number of steps."""
    with tempfile.NamedTemporaryFile() as counter:
        real = with_steps(limit, counter.name, seconds)
        try:
            status = main(["compact", place, "--jobs", "1"])
        finally:
            _storage.Storage.__init__ = real
        return status, os.path.getsize(counter.name)


def upload(task):
    """Makes a new copy of a directory."""
    lake, place = task
    storage = _storage.Storage(place)
    for path in sorted(pathlib.Path(lake).rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            storage.write(str(path.relative_to(lake)), path.read_bytes())


def rows(place):
    """All rows, as readers find them."""
    import fsspec
    import pyarrow.parquet

    found = {}
    for table in TABLES:
        lines = []
        for address in ttlog.lake_files(place, table):
            with fsspec.open(address) as file:
                lines += [repr(row) for row in pyarrow.parquet.ParquetFile(file).read().to_pylist()]
        found[table] = sorted(lines)
    return found


def names(place):
    """The objects of a data set that are no folder's only file."""
    storage = _storage.Storage(place)
    storage.list()
    everything = [path[len(storage.path("")) :] for path in storage._remote.find(storage.path(""))]
    return sorted(name for name in everything if not name.endswith("/whole.parquet") or name.startswith("_"))


def killed(lake, place, steps):
    expected = _children.alone(rows, lake, lake)
    count = 0
    for step in steps:
        copy = f"{place}/{step}"
        _children.alone(upload, (lake, copy), copy)
        status, done = compact(copy, step)
        found = _children.alone(rows, copy, copy)
        assert found == expected, (step, {table: (len(found[table]), len(expected[table])) for table in TABLES})
        if status == 0:
            assert done == step, (done, step)
            break
        # Killed: the next call does what is left.
        count += 1
        assert compact(copy, 1 << 30)[0] == 0
        assert _children.alone(rows, copy, copy) == expected, step
        assert _children.alone(names, copy, copy) in (["_compaction.json", "_ttlog.json"], ["_ttlog.json"]), step
    print(f"whole after {count} kills")


def watch(task):
    """Reads again and again until the file `task[1]` is there. Returns what was seen: how often, and how often a file was gone."""
    place, end, expected = task
    times = {"aside": 0, "in place": 0, "gone": 0}
    while not os.path.exists(end):
        try:
            is_aside = any("/_compaction/" in address for address in ttlog.lake_files(place, "chunks"))
            assert rows(place) == expected
            times["aside" if is_aside else "in place"] += 1
        except FileNotFoundError:
            times["gone"] += 1
    return times


def watched(lake, place):
    expected = _children.alone(rows, lake, lake)
    _children.alone(upload, (lake, place), place)
    with tempfile.TemporaryDirectory() as folder:
        end = os.path.join(folder, "end")

        def work(task):
            if task == "reader":
                return watch((place, end, expected))
            status = compact(place, 1 << 30, 0.1)[0]
            pathlib.Path(end).touch()
            return status

        found = {outcome.task: (outcome.result, outcome.error) for outcome in _children.run(["reader", "writer"], work, 2)}
    assert found["writer"] == (0, None), found
    assert found["reader"][1] is None and found["reader"][0]["aside"] and found["reader"][0]["in place"], found
    print(f"whole for a reader: {found['reader'][0]}")


if __name__ == "__main__":
    # Children need not import it once each.
    import pyarrow.parquet  # noqa: F401

    _storage.load(sys.argv[2])
    if sys.argv[3] == "watched":
        watched(*sys.argv[1:3])
    else:
        killed(*sys.argv[1:3], itertools.count() if sys.argv[3] == "all" else map(int, sys.argv[3:]))
