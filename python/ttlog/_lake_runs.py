# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs that a data set has."""

from __future__ import annotations

import json
from typing import Any, Iterable

from . import _children
from ._compact import finish_forgetting, is_forgetting
from ._errors import LogError
from ._lake_state import MARKER, VERSION, WHOLE, check_marker, file_name
from ._objects import settle
from ._storage import Storage, load, locked


def prepare(out: str) -> dict[str, dict[str, Any]]:
    """Makes the folder, or checks that it is one of this version. Returns the rows of `runs` by run, with night and file."""
    load(out)
    return dict(_children.alone(_prepare, out, out))


def _prepare(out: str) -> dict[str, dict[str, Any]]:
    storage = Storage(out)
    storage.sweep()
    if not storage.has(MARKER):
        if [name for name in storage.list() if not name.startswith(".")]:
            raise LogError(f"{out}: not empty, and no data set of ttlog", out)
        storage.write(MARKER, json.dumps({"schema": "ttlog-lake", "version": VERSION}).encode())
    check_marker(storage)
    settle(storage)
    if is_forgetting(storage):
        with locked(out, exclusive=True):
            finish_forgetting(storage)
    return known_runs(storage)


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
