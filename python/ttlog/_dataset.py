# SPDX-License-Identifier: GPL-2.0-or-later
"""Many runs as one table."""

from __future__ import annotations

import os
import re
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

import pyarrow
import pyarrow.dataset

from ._library import NO_END
from ._log import Path, open
from ._stream import Stream

Runs = Union[Mapping[str, Path], Sequence[Path]]

#: Streams whose rows have a clock (`brctr`) by which chunks are chosen.
CLOCKED = ("branches", "events", "accesses")

_BOUND = re.compile(r"\((?P<column>brctr|run) (?P<operator>>=|>|<=|<|==) (?P<value>-?\d+|\"[^\"\\]*\")\)")


class Dataset(pyarrow.dataset.Dataset):  # type: ignore[misc]
    """A stream of many runs as one `pyarrow.dataset.Dataset`, with a column `run` before the others.

    DuckDB and Polars (`scan_pyarrow_dataset`) hand their columns and conditions to it. Only those columns are decoded, and of
    `brctr BETWEEN a AND b` and `run = 'name'` only those chunks and runs are read. Other conditions are applied to the
    decoded rows. A run is opened when it is read, and closed after it.

        >>> branches = ttlog.Dataset(["run", "run/replays/1"])
        >>> duckdb.sql("SELECT run, count(*) FROM branches WHERE brctr BETWEEN 1000 AND 1999 GROUP BY run")

    Args:
        runs: paths, or names and paths. The name of a path is the path itself.
        stream: `branches`, `events`, `accesses`, `chunks`, `edges`, …
        on_damage: as in `Log`.
    """

    # pyarrow's class has no constructor; this one must not call it.
    def __init__(self, runs: Runs, stream: str = "branches", on_damage: str = "raise") -> None:
        if isinstance(runs, (str, bytes, os.PathLike)):
            raise TypeError("runs is a list of paths, or a dictionary of names and paths")
        named = runs if isinstance(runs, Mapping) else {os.fspath(path): path for path in runs}
        if not named:
            raise ValueError("no runs")
        self._runs = dict(named)
        self._stream = stream
        self._on_damage = on_damage
        self._names = pyarrow.array(list(self._runs))
        with open(next(iter(self._runs.values()))) as log:
            inner = Stream(log, stream, on_damage=on_damage).reader().schema
        self._run_type = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        self._schema = pyarrow.schema([pyarrow.field("run", self._run_type), *inner])

    @property
    def schema(self) -> pyarrow.Schema:
        """The columns."""
        return self._schema

    @property
    def runs(self) -> list[str]:
        """The names of the runs."""
        return list(self._runs)

    def scanner(
        self, columns: Any = None, filter: Optional[pyarrow.dataset.Expression] = None, **options: Any
    ) -> pyarrow.dataset.Scanner:
        """A scanner of those columns and rows; engines call it. Other options of pyarrow are ignored."""
        wanted = list(columns) if columns is not None else self._schema.names
        text = "" if filter is None else str(filter)
        # The filter is applied to decoded rows, so its columns are decoded too.
        tested = [name for name in self._schema.names if name not in wanted and name in text]
        # Columns may also be expressions by name, whose own columns cannot be told.
        needed = self._schema.names if isinstance(columns, Mapping) else wanted + tested
        limits = Limits(text)
        read = needed or [self._schema.names[1]]
        schema = pyarrow.schema([self._schema.field(name) for name in read])
        reader = pyarrow.RecordBatchReader.from_batches(schema, self._batches(read, schema, limits))
        return pyarrow.dataset.Scanner.from_batches(reader, columns=columns, filter=filter)

    def _batches(self, names: list[str], schema: pyarrow.Schema, limits: Limits) -> Iterator[pyarrow.RecordBatch]:
        inner = [name for name in names if name != "run"] or [self._schema.names[1]]
        for number, (name, path) in enumerate(self._runs.items()):
            if limits.run not in (None, name):
                continue
            # A damaged run is named by the error: its text has the file.
            with open(path) as log:
                start, stop = (limits.start, limits.stop) if self._stream in CLOCKED else (0, None)
                stream = Stream(log, self._stream, inner, start=start, stop=stop, on_damage=self._on_damage)
                for batch in stream.reader():
                    yield pyarrow.RecordBatch.from_arrays(
                        [self._run(number, len(batch)) if n == "run" else batch.column(n) for n in names], schema=schema
                    )

    def _run(self, number: int, count: int) -> pyarrow.Array:
        indexes = pyarrow.repeat(pyarrow.scalar(number, pyarrow.int32()), count)
        return pyarrow.DictionaryArray.from_arrays(indexes, self._names)

    def __reduce__(self) -> tuple[type[Dataset], tuple[dict[str, Path], str, str]]:
        return Dataset, (self._runs, self._stream, self._on_damage)

    def __repr__(self) -> str:
        return f"<ttlog.Dataset {self._stream} of {len(self._runs)} runs: {', '.join(self._schema.names)}>"


class Limits:
    """The rows that a condition can hold for, as far as its text shows: a range of clocks, and one run.

    pyarrow shows a condition as text only. One with alternatives or negations limits nothing here: the rows are tested later
    in any case.
    """

    def __init__(self, condition: str) -> None:
        self.start = 0
        self.stop: Optional[int] = None
        self.run: Optional[str] = None
        if " or " in condition or "invert(" in condition or "if_else" in condition or "case_when" in condition:
            return
        for found in _BOUND.finditer(condition):
            if found["column"] == "run":
                if found["operator"] == "==" and found["value"].startswith('"'):
                    self.run = found["value"][1:-1]
            elif not found["value"].startswith('"'):
                self._limit(found["operator"], int(found["value"]))

    def _limit(self, operator: str, value: int) -> None:
        if operator in (">=", ">", "=="):
            self.start = max(self.start, value + (operator == ">"))
        if operator in ("<=", "<", "=="):
            end = min(max(value + (operator != "<"), 0), NO_END - 1)
            self.stop = end if self.stop is None else min(self.stop, end)
