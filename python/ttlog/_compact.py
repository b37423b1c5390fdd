# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog compact`: the files of a night as one file a table.

The new file is written aside, alone in a folder, and the two folders change places in one step (`renameat2`): a reader that
lists the folder sees either all small files or the one. A process that is killed before that step leaves the data set as it
was; after it, a hidden folder that the next call removes.
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
from ._storage import Storage, is_remote

if TYPE_CHECKING:
    import pyarrow

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Part(NamedTuple):
    """The files of a table in a night."""

    out: str
    table: str
    night: str


def run(out: str, jobs: int, nights: Optional[list[str]] = None, say: Optional[IO[str]] = None) -> int:
    """Compacts nights of a data set; None: all. Returns the exit status: 0 done, 2 trouble."""
    if is_remote(out):
        raise LogError(f"{out}: object storage changes no two files in one step; compact a data set before it is uploaded", out)
    storage = Storage(out)
    check_marker(storage)
    storage.sweep()
    parts = [
        Part(out, table, folder[len("night=") :])
        for table in TABLES
        for folder in storage.list(table)
        if nights is None or folder[len("night=") :] in nights
    ]
    before = after = status = 0
    with storage.locked(exclusive=True):
        for outcome in _children.run(parts, _compact, jobs):
            if outcome.error is not None:
                (say or sys.stderr).write(f"{out}/{outcome.task.table}, night {outcome.task.night}: {outcome.error}\n")
                status = 2
                continue
            before += outcome.result[0]
            after += outcome.result[1]
    (say or sys.stderr).write(f"{before} files before, {after} after\n")
    return status


def _compact(part: Part) -> tuple[int, int]:
    """Makes one file of those of a table and night. Returns the numbers of files before and after."""
    storage = Storage(part.out)
    folder = f"{part.table}/night={part.night}"
    names = storage.list(folder)
    if len(names) < 2:
        return len(names), len(names)
    _replace(storage, folder, names, None)
    return len(names), 1


def forget(out: str, night: str, run: str) -> None:
    """Removes the rows of a run from a night: its files, and what compacted files have of it. `runs` goes first."""
    storage = Storage(out)
    with storage.locked(exclusive=True):
        for table in ("runs", *TABLES):
            folder = f"{table}/night={night}"
            storage.remove(f"{folder}/{file_name(run)}")
            if WHOLE in storage.list(folder):
                _replace(storage, folder, storage.list(folder), run)


def _replace(storage: Storage, folder: str, names: list[str], without: Optional[str]) -> None:
    """Puts one file in the place of some, without the rows of a run."""
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

    schema = _wide(pyarrow.parquet.read_schema(storage.path(f"{folder}/{names[0]}")))

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for name in names:
            with pyarrow.parquet.ParquetFile(storage.path(f"{folder}/{name}")) as file:
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
