# SPDX-License-Identifier: GPL-2.0-or-later
"""Compaction in object storage, which cannot exchange two folders: one object decides which files are the rows.

    OUT/_compaction.json                           the decision
    OUT/_compaction/TABLE/night=NIGHT/whole.parquet  new files, before they take their places

`_compaction.json` is `{"schema": "ttlog-compaction", "version": 1, "number": N, "folders": {"TABLE/night=NIGHT": ["….parquet", …]}}`.
The rows of a folder that it names are in the new file and in those files of the folder that its list does not have. The rows of
all other folders are in their files. A compaction has these steps:

1. The new files are uploaded. Nobody reads them.
2. `_compaction.json` is written with the folders. An object appears whole: readers of `lake_files` change over, for all tables.
3. Each new file is copied to its folder; the files in the list are removed.
4. `_compaction.json` is written without folders, and the new files are removed where they were uploaded.

A call that is killed before step 2 has changed nothing. After it, the next call repeats step 3, which can be done again, and step 4.
`number` grows with each writing, so that a reader sees that it has listed files of two states.
"""

from __future__ import annotations

import json
import os
from typing import Iterable, NamedTuple, Optional

from ._errors import LogError
from ._lake_state import TABLES, WHOLE, check_marker
from ._storage import Storage, is_remote

DECISION = "_compaction.json"
ASIDE = "_compaction"
VERSION = 1
#: How often a reader lists the files again because a compaction has changed them meanwhile.
TRIES = 20


class Decision(NamedTuple):
    """What `_compaction.json` says."""

    number: int
    #: The folders whose rows are in a new file, each with the files that are not rows any more.
    folders: dict[str, list[str]]


def read_decision(storage: Storage) -> Decision:
    """The decision of a data set; number 0 if it never had one."""
    data = storage.read(DECISION)
    if data is None:
        return Decision(0, {})
    try:
        known = json.loads(data)
        if (known["schema"], known["version"]) == ("ttlog-compaction", VERSION):
            folders = {str(folder): [str(name) for name in names] for folder, names in known["folders"].items()}
            if all(_is_folder(folder) for folder in folders) and all("/" not in name for names in folders.values() for name in names):
                return Decision(int(known["number"]), folders)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise LogError(f"{storage.place}/{DECISION}: no decision of version {VERSION}; see docs/fleets.md", storage.place)


def _is_folder(name: str) -> bool:
    table, _, night = name.partition("/")
    return table in TABLES and night.startswith("night=") and "/" not in night and "*" not in night


def _decide(storage: Storage, decision: Decision) -> None:
    text = json.dumps({"schema": "ttlog-compaction", "version": VERSION, "number": decision.number, "folders": decision.folders})
    storage.write(DECISION, text.encode())


def aside(folder: str) -> str:
    """The name of the new file of a folder, before it takes its place."""
    return f"{ASIDE}/{folder}/{WHOLE}"


def settle(storage: Storage) -> None:
    """Does the rest of a compaction that was decided, and removes what one left that was not."""
    if not storage.is_remote:
        return
    decision = read_decision(storage)
    for folder, names in decision.folders.items():
        # In this order: a query by pattern may find rows twice meanwhile, but misses none.
        storage.copy(aside(folder), f"{folder}/{WHOLE}")
        storage.remove_all(folder, [name for name in names if name != WHOLE])
    if decision.folders:
        _decide(storage, Decision(decision.number + 1, {}))
    for table in storage.list(ASIDE):
        for folder in storage.list(f"{ASIDE}/{table}"):
            storage.remove(aside(f"{table}/{folder}"))


def switch(storage: Storage, folders: dict[str, list[str]]) -> None:
    """Makes the uploaded files of some folders their rows. `folders` has the files whose rows they have."""
    if folders:
        _decide(storage, Decision(read_decision(storage).number + 1, folders))
    settle(storage)


def lake_files(place: str, table: str, nights: Optional[Iterable[str]] = None) -> list[str]:
    """The files that have the rows of a table of a data set, at one moment, also while it is being compacted.

    A file that a compaction removes before it is opened is an error of the reader, never a wrong answer: ask again. Files of
    runs that are being added are among them: a run is there when it is in `runs`.

    Args:
        place: a directory, or an address of fsspec.
        table: such as `chunks`.
        nights: only these; None: all.

    Raises:
        LogError: no data set of this version is there, or no such table.
    """
    if not is_remote(place) and not os.path.isdir(place):
        raise LogError(f"{place}: no data set of ttlog", place)
    storage = Storage(place)
    check_marker(storage)
    if table not in TABLES:
        raise LogError(f"{table!r} is no table of a data set; those are {', '.join(TABLES)}", place)
    wanted = None if nights is None else {f"night={night}" for night in nights}
    for _ in range(TRIES):
        decision = read_decision(storage)
        found = []
        for night in storage.list(table):
            if wanted is not None and night not in wanted:
                continue
            folder = f"{table}/{night}"
            gone = decision.folders.get(folder)
            if gone is not None:
                found.append(aside(folder))
            left = [name for name in storage.list(folder) if name.endswith(".parquet")]
            found += [f"{folder}/{name}" for name in left if gone is None or name != WHOLE and name not in gone]
        if read_decision(storage).number == decision.number:
            return [storage.address(name) for name in found]
    raise LogError(f"{place}: compacted {TRIES} times while its files were listed", place)
