# SPDX-License-Identifier: GPL-2.0-or-later
"""What a data set says about itself: its version, its tables, and the runs that it has. `_lake.py` describes the folder."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Iterable

from . import _children
from ._errors import LogError
from ._storage import Storage

#: The version of the tables.
VERSION = 2
MARKER = "_ttlog.json"
TABLES = ("branches", "chunks", "edges", "events", "runs", "verdicts")
#: The name of a compacted file. Those of single runs are hashes.
WHOLE = "whole.parquet"


def file_name(run: str) -> str:
    """The name of the file of a run: a hash, since names of runs are paths of any length."""
    return hashlib.sha256(run.encode(errors="surrogateescape")).hexdigest()[:16] + ".parquet"


def prepare(out: str) -> dict[str, dict[str, Any]]:
    """Makes the folder, or checks that it is one of this version. Returns the rows of `runs` by run, with night and file.

    It is done in a child: reading starts threads, and this process forks later.
    """
    outcome = next(_children.run([out], _prepare, 1))
    if outcome.error is not None:
        raise LogError(outcome.error, out)
    return dict(outcome.result)


def _prepare(out: str) -> dict[str, dict[str, Any]]:
    storage = Storage(out)
    storage.sweep()
    if not storage.has(MARKER):
        if [name for name in storage.list() if not name.startswith(".")]:
            raise LogError(f"{out}: not empty, and no data set of ttlog", out)
        storage.write(MARKER, json.dumps({"schema": "ttlog-lake", "version": VERSION}).encode())
    check_marker(storage)
    return known_runs(storage)


def check_marker(storage: Storage) -> None:
    """Raises LogError if the folder is no data set of this version."""
    try:
        with storage.open(MARKER) as file:
            known = json.load(file)
    except FileNotFoundError:
        raise LogError(f"{storage.place}: no data set of ttlog", storage.place) from None
    if not isinstance(known, dict) or known.get("schema") != "ttlog-lake" or known.get("version") != VERSION:
        version = known.get("version") if isinstance(known, dict) else None
        raise LogError(
            f"{storage.place}/{MARKER}: version {version}; this program writes version {VERSION}: make a new data set",
            storage.place,
        )


def known_runs(storage: Storage) -> dict[str, dict[str, Any]]:
    """The rows of `runs` that say which logs are there, by run, with night and file."""
    return _rows_of(storage, [(folder, name) for folder in storage.list("runs") for name in storage.list(f"runs/{folder}")])


def known_runs_of(out: str, night: str, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The same for some runs of one night; files that cannot have them are not read."""
    folder = f"night={night}"
    return _rows_of(Storage(out), [(folder, name) for name in (WHOLE, *map(file_name, runs))])


def _rows_of(storage: Storage, files: list[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """A file that cannot be read is passed over: its runs are added again."""
    import pyarrow
    import pyarrow.parquet

    result = {}
    for folder, name in files:
        try:
            with storage.open(f"runs/{folder}/{name}") as file:
                table = pyarrow.parquet.ParquetFile(file).read(["run", "digest", "has_branches"])
        except (OSError, pyarrow.ArrowInvalid):
            continue
        for row in table.to_pylist():
            result[row["run"]] = {**row, "night": folder[len("night=") :], "file": name}
    return result
