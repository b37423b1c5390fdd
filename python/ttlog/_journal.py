# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that a long call writes one by one, so that an interrupted call can be continued: JSON, an object a line."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from typing import IO, Any, Iterable, Sequence

from . import _children
from ._errors import LogError
from ._storage import Storage, is_remote, load


class Journal:
    """The rows of a file. A row that was cut off by a crash is removed when the journal is opened.

    Args:
        version: the value of `version` that each row must have.
        keys: what each row must have besides.
    """

    def __init__(self, path: str, version: int, keys: Sequence[str]) -> None:
        self.path = path
        self._file: IO[bytes] = open(path, "ab+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise LogError(f"{path}: another process is writing to it", path) from None
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        self.rows = parse(path, whole, version, keys)

    def add(self, row: dict[str, Any]) -> None:
        """Writes a row. It is in the file when this returns."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()
        self.rows.append(row)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RemoteJournal(Journal):
    """The rows of the objects `NAME-*.jsonl` of a folder of fsspec. Objects cannot grow: each holds `per_object` rows or the
    last ones of a call. A call that is killed loses the rows that were not uploaded.

    Two calls at once compare the same pairs twice, and `rows` has them twice.
    """

    def __init__(self, folder: str, name: str, version: int, keys: Sequence[str], per_object: int = 100) -> None:
        self._folder, self._name, self._per_object = folder, name, per_object
        load(folder)
        self.rows = []
        for path, text in _children.alone(_read, (folder, name), folder):
            self.rows += parse(path, text.encode(), version, keys)
        self._new: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Writes a row. It is in the storage when this object is full, or the journal closed."""
        self.rows.append(row)
        self._new.append(row)
        if len(self._new) >= self._per_object:
            self.close()

    def close(self) -> None:
        """Uploads the rows that are left."""
        if self._new:
            text = "".join(json.dumps(row) + "\n" for row in self._new)
            name = f"{self._name}-{uuid.uuid4().hex}.jsonl"
            _children.alone(_upload, (self._folder, name, text), self._folder)
            self._new = []


def open_journal(folder: str, name: str, version: int, keys: Sequence[str]) -> Journal:
    """The journal of a folder: `NAME.jsonl` in one of this machine, objects in one of fsspec."""
    if is_remote(folder):
        return RemoteJournal(folder, name, version, keys)
    os.makedirs(folder, exist_ok=True)
    return Journal(os.path.join(folder, f"{name}.jsonl"), version, keys)


def parse(path: str, data: bytes, version: int, keys: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a file."""
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = json.loads(line)
            for key in keys:
                row[key]
        except (ValueError, KeyError, TypeError):
            raise LogError(f"{path}: line {number} is no row of this kind; remove the file", path) from None
        if row.get("version") != version:
            raise LogError(f"{path}: line {number} has version {row.get('version')}; remove the file", path)
        rows.append(row)
    return rows


def _read(task: tuple[str, str]) -> list[tuple[str, str]]:
    folder, name = task
    storage = Storage(folder)
    found = []
    for path in storage.list():
        if path.startswith(f"{name}-") and path.endswith(".jsonl"):
            with storage.open(path) as file:
                found.append((f"{folder}/{path}", file.read().decode(errors="replace")))
    return found


def _upload(task: tuple[str, str, str]) -> None:
    folder, name, text = task
    Storage(folder).write(name, text.encode())
