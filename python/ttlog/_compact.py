# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog compact`: the files of a night as one file a table.

On this machine the new file is written aside, alone in a folder, and the two folders change places in one step
(`renameat2`): a reader that lists the folder sees either all small files or the one. A process that is killed before that
step leaves the data set as it was; after it, a hidden folder that the next call removes. `_objects.py` says how it is done
in object storage.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from typing import IO, TYPE_CHECKING, Iterator, NamedTuple, Optional

from . import _children, _parquet
from ._errors import LogError
from ._lake_state import TABLES, WHOLE, check_marker, file_name
from ._objects import aside, settle, switch
from ._storage import Storage, is_remote, load, locked

if TYPE_CHECKING:
    import pyarrow

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Part(NamedTuple):
    """The files of a table in a night."""

    out: str
    table: str
    night: str

    @property
    def folder(self) -> str:
        """The folder of the files."""
        return f"{self.table}/night={self.night}"


def run(out: str, jobs: int, nights: Optional[list[str]] = None, say: Optional[IO[str]] = None) -> int:
    """Compacts nights of a data set; None: all. Returns the exit status: 0 done, 2 trouble."""
    # Imported here and not used: the children are forked, and need not import it once each.
    import pyarrow.parquet  # noqa: F401

    load(out)
    parts = [Part(out, *row) for row in _children.alone(_plan, (out, nights), out)]
    before = after = status = 0
    done = {}
    with locked(out, exclusive=True):
        for outcome in _children.run(parts, _compact, jobs):
            if outcome.error is not None:
                (say or sys.stderr).write(f"{out}/{outcome.task.table}, night {outcome.task.night}: {outcome.error}\n")
                status = 2
                continue
            before += len(outcome.result)
            after += min(len(outcome.result), 1)
            if len(outcome.result) > 1:
                done[outcome.task.folder] = outcome.result
        if is_remote(out):
            _children.alone(_switch, (out, done), out)
    (say or sys.stderr).write(f"{before} files before, {after} after\n")
    return status


def _plan(task: tuple[str, Optional[list[str]]]) -> list[tuple[str, str]]:
    """The tables and nights of a data set, which is tidied first."""
    out, nights = task
    if not is_remote(out) and not os.path.isdir(out):
        raise LogError(f"{out}: no data set of ttlog", out)
    storage = Storage(out)
    check_marker(storage)
    storage.sweep()
    settle(storage)
    found = [(table, folder[len("night=") :]) for table in TABLES for folder in storage.list(table)]
    return [(table, night) for table, night in found if nights is None or night in nights]


def _compact(part: Part) -> list[str]:
    """Makes one file of those of a table and night. Returns the files before. In object storage `_switch` has the last word."""
    storage = Storage(part.out)
    names = storage.list(part.folder)
    if len(names) > 1:
        if storage.is_remote:
            _write(storage, part.folder, names, None, aside(part.folder))
        else:
            _replace(storage, part.folder, names, None)
    return names


def _switch(task: tuple[str, dict[str, list[str]]]) -> None:
    switch(Storage(task[0]), task[1])


def forget(out: str, night: str, run: str) -> None:
    """Removes the rows of a run from a night: its files, and what compacted files have of it. `runs` goes first."""
    storage = Storage(out)
    with locked(out, exclusive=True):
        for table in ("runs", *TABLES):
            folder = f"{table}/night={night}"
            storage.remove(f"{folder}/{file_name(run)}")
            names = storage.list(folder)
            if WHOLE in names:
                if storage.is_remote:
                    # One object in place of itself: that is one step.
                    _write(storage, folder, [WHOLE], run, f"{folder}/{WHOLE}")
                else:
                    _replace(storage, folder, names, run)


def _write(storage: Storage, folder: str, names: list[str], without: Optional[str], target: str) -> None:
    """Writes the rows of some files of a folder into another, without those of a run."""
    with storage.writing(target) as path:
        _parquet.write(_rows(storage, folder, names, without), path, of_many_files=True)


def _replace(storage: Storage, folder: str, names: list[str], without: Optional[str]) -> None:
    """Puts one file in the place of all files of a folder, without the rows of a run."""
    hidden = storage.path(f".{os.getpid()}-{folder.replace('/', '-')}")
    os.makedirs(hidden)
    try:
        _parquet.write(_rows(storage, folder, names, without), os.path.join(hidden, WHOLE), of_many_files=True)
        _exchange(hidden, storage.path(folder))
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _rows(storage: Storage, folder: str, names: list[str], without: Optional[str]) -> pyarrow.RecordBatchReader:
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
