# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog compact`: the files of a night as one file a table.

On this machine the new file is written aside, alone in a folder, and the two folders change places in one step
(`renameat2`): a reader that lists the folder sees either all small files or the one. A process that is killed before that
step leaves the data set as it was; after it, a hidden folder that the next call removes. `_objects.py` says how it is done
in object storage.

Files of a run that is not in `runs` are of a call that was killed: they are removed, and their rows are in no compacted file.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from typing import IO, TYPE_CHECKING, Iterator, NamedTuple, Optional, Sequence

from . import _children, _parquet
from ._errors import LogError
from ._lake_state import TABLES, WHOLE, check_marker, check_night, file_name
from ._objects import aside, settle, switch
from ._storage import Storage, flush, is_remote, load, locked

if TYPE_CHECKING:
    import pyarrow

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
#: The rows of a run that are being removed: `_forget-HASH.json`.
_NOTE = "_forget-"


class Part(NamedTuple):
    """The files of a table in a night."""

    out: str
    table: str
    night: str
    #: The files in it of runs that are there.
    names: tuple[str, ...]
    #: Those of others.
    left_over: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The folder of the files."""
        return f"{self.table}/night={self.night}"


def run(out: str, jobs: int, nights: Optional[list[str]] = None, say: Optional[IO[str]] = None) -> int:
    """Compacts nights of a data set; None: all. Returns the exit status: 0 done, 2 trouble."""
    # Imported here and not used: the children are forked, and need not import it once each.
    import pyarrow.parquet  # noqa: F401

    load(out)
    if not is_remote(out) and not os.path.isdir(out):
        raise LogError(f"{out}: no data set of ttlog", out)
    # Before anything is written into the folder, also a lock.
    _children.alone(_check, out, out)
    before = after = status = 0
    done = {}
    with locked(out, exclusive=True):
        rows = _children.alone(_plan, (out, nights), out)
        parts = [Part(out, table, night, tuple(names), tuple(left_over)) for table, night, names, left_over in rows]
        for outcome in _children.run(parts, _compact, jobs):
            if outcome.error is not None:
                (say or sys.stderr).write(f"{out}/{outcome.task.table}, night {outcome.task.night}: {outcome.error}\n")
                status = 2
                continue
            names = [*outcome.task.names, *outcome.task.left_over]
            before += len(names)
            after += min(len(outcome.task.names), 1)
            if outcome.result:
                done[outcome.task.folder] = names
        if is_remote(out):
            _children.alone(_switch, (out, done), out)
    (say or sys.stderr).write(f"{before} files before, {after} after\n")
    return status


def _check(out: str) -> None:
    check_marker(Storage(out))


def _plan(task: tuple[str, Optional[list[str]]]) -> list[tuple[str, str, list[str], list[str]]]:
    """The tables and nights of a data set, which is tidied first, with the files of runs that are there, and others."""
    out, nights = task
    storage = Storage(out)
    check_marker(storage)
    storage.sweep()
    settle(storage)
    finish_forgetting(storage)
    found = []
    for table in TABLES:
        for folder in storage.list(table):
            night = folder[len("night=") :]
            if nights is None or night in nights:
                names = storage.list(f"{table}/{folder}")
                known = {WHOLE, *map(file_name, _runs(storage, folder))}
                there = [name for name in names if name in known]
                found.append((table, night, there, [name for name in names if name not in known]))
    return found


def _runs(storage: Storage, folder: str) -> set[str]:
    """The runs of a night that are there. Raises an error if one of the files cannot be read."""
    import pyarrow.parquet

    found: set[str] = set()
    for name in storage.list(f"runs/{folder}"):
        with storage.open(f"runs/{folder}/{name}") as file:
            try:
                found.update(pyarrow.parquet.ParquetFile(file).read(["run"]).column("run").to_pylist())
            except pyarrow.ArrowInvalid as error:
                raise LogError(f"{storage.path('runs')}/{folder}/{name}: {error}; remove it, and add its run again", storage.place) from None
    return found


def _compact(part: Part) -> bool:
    """Makes one file of those of a table and night. Returns whether it did. In object storage `_switch` has the last word."""
    storage = Storage(part.out)
    if not part.names:
        storage.remove_all(part.folder, part.left_over)
    if not part.names or len(part.names) + len(part.left_over) < 2:
        return False
    if storage.is_remote:
        _write(storage, part.folder, part.names, None, aside(part.folder))
    else:
        _replace(storage, part.folder, part.names)
    return True


def _switch(task: tuple[str, dict[str, list[str]]]) -> None:
    switch(Storage(task[0]), task[1])


def forget(out: str, night: str, run: str) -> None:
    """Removes the rows of a run from a night: its files, and what compacted files have of it. `runs` goes first.

    A note says what is being removed: when this process is killed, `finish_forgetting` removes the rest.
    """
    storage = Storage(out)
    with locked(out, exclusive=True):
        note = f"{_NOTE}{file_name(run)[: -len('.parquet')]}.json"
        storage.write(note, json.dumps({"night": night, "run": run}).encode())
        _forget(storage, night, run)
        storage.remove(note)


def is_forgetting(storage: Storage) -> bool:
    """Whether a process removes rows, or was killed while it did."""
    return any(name.startswith(_NOTE) for name in storage.list())


def finish_forgetting(storage: Storage) -> None:
    """Removes the rows that a killed process began to remove. Nothing else changes the data set meanwhile."""
    for name in storage.list():
        if name.startswith(_NOTE):
            try:
                known = json.loads(storage.read(name) or b"")
                night, run = check_night(known["night"]), str(known["run"])
            except (ValueError, KeyError, TypeError):
                raise LogError(f"{storage.place}/{name}: no note of rows to remove", storage.place) from None
            _forget(storage, night, run)
            storage.remove(name)


def _forget(storage: Storage, night: str, run: str) -> None:
    for table in ("runs", *TABLES):
        folder = f"{table}/night={night}"
        storage.remove(f"{folder}/{file_name(run)}")
        if WHOLE in storage.list(folder):
            # One file in place of itself: that is one step.
            _write(storage, folder, [WHOLE], run, f"{folder}/{WHOLE}")


def _write(storage: Storage, folder: str, names: Sequence[str], without: Optional[str], target: str) -> None:
    """Writes the rows of some files of a folder into another, without those of a run."""
    with storage.writing(target) as path:
        _parquet.write(_rows(storage, folder, names, without), path, of_many_files=True)


def _replace(storage: Storage, folder: str, names: Sequence[str]) -> None:
    """Puts one file, which has the rows of some, in the place of all files of a folder."""
    hidden = storage.path(f".{os.getpid()}-{folder.replace('/', '-')}")
    os.makedirs(hidden)
    try:
        path = os.path.join(hidden, WHOLE)
        _parquet.write(_rows(storage, folder, names, None), path, of_many_files=True)
        flush(path)
        flush(hidden)
        _exchange(hidden, storage.path(folder))
        flush(os.path.dirname(storage.path(folder)))
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _rows(storage: Storage, folder: str, names: Sequence[str], without: Optional[str]) -> pyarrow.RecordBatchReader:
    """The rows of some files, those of one run after the other. Only one file is open at a time."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    with storage.open(f"{folder}/{names[0]}") as first:
        schema = _wide(pyarrow.parquet.read_schema(first))

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for name in names:
            with storage.open(f"{folder}/{name}") as opened, pyarrow.parquet.ParquetFile(opened) as file:
                if _wide(file.schema_arrow) != schema:
                    raise LogError(f"{storage.path(folder)}/{name}: other columns than {names[0]}", storage.path(folder))
                for batch in file.iter_batches(_parquet.ROW_GROUP):
                    if without is not None:
                        batch = batch.filter(pyarrow.compute.not_equal(batch.column("run"), without))
                    yield batch.cast(schema)

    return pyarrow.RecordBatchReader.from_batches(schema, batches())


def _wide(schema: pyarrow.Schema) -> pyarrow.Schema:
    """The schema with dictionaries that have room for the names of many files."""
    import pyarrow

    wide = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    return pyarrow.schema(
        [field.with_type(wide) if pyarrow.types.is_dictionary(field.type) else field for field in schema]
    )


def _exchange(first: str, second: str) -> None:
    """Two folders change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"the file system cannot exchange two folders ({os.strerror(code)})", second)
