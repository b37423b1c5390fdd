# SPDX-License-Identifier: GPL-2.0-or-later
"""What a data set says about itself: its version and its tables. `_lake.py` describes the folder."""

from __future__ import annotations

import hashlib
import json
import re

from ._errors import LogError
from ._storage import Storage

#: The version of the tables.
VERSION = 3
MARKER = "_ttlog.json"
TABLES = ("branches", "chunks", "costs", "edges", "events", "runs", "verdicts")
#: The name of a compacted file. Those of single runs are hashes.
WHOLE = "whole.parquet"


def file_name(run: str) -> str:
    """The name of the file of a run: a hash, since names of runs are paths of any length."""
    return hashlib.sha256(run.encode(errors="surrogateescape")).hexdigest()[:16] + ".parquet"


def check_night(night: str) -> str:
    """Returns the name of a night if it can be the name of a folder, and the same in the addresses of all storages."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", night):
        raise LogError(f"{night!r} names no night: letters, digits, '.', '_' and '-' do, at most 64")
    return night


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
            f"{storage.place}/{MARKER}: version {version}; this program writes version {VERSION}: make a new data set of the logs",
            storage.place,
        )
