# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams of a log."""

from __future__ import annotations

import ctypes
import json
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Optional, Sequence

from . import _rows
from ._errors import LogError, from_consumer
from ._library import NO_END, PLAIN_STRINGS, SKIP_DAMAGE, Error, Request, library

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from ._log import Log
    from ._symbols import Symbols

ON_DAMAGE = ("raise", "skip")
STRINGS = ("dictionary", "plain")


class Column(NamedTuple):
    """A column of a stream."""

    name: str
    #: `int64`, `int32`, `bool`, `text`, `binary`, or `dictionary` (text, dictionary-encoded; `dictionary32` if the list is long).
    type: str
    #: What a number counts; None for a number without a unit, such as an address.
    unit: Optional[str]
    #: The meaning, in a phrase.
    summary: str
    #: Whether it has addresses of code: with symbols there are `X_name`, `X_function` and `X_line` beside a column `X`.
    is_code: bool = False


def columns(stream: str, kind: Optional[str] = None) -> list[Column]:
    """The columns of a stream: `branches`, `events`, `accesses`, `notes`, `attributes`, `chunks`, `damage`, `calls`, `edges`.

    Args:
        kind: for streams of events: with the columns of the fields of this kind.
    """
    text = library().text(library().columns(stream.encode(), kind.encode() if kind else None))
    if text is None:
        raise LogError(f"no stream {stream}" + (f" of kind {kind}" if kind else ""))
    return [Column(**column) for column in json.loads(text)]


class ArrowSource:
    """Something with rows that Arrow consumers take: pyarrow, DuckDB, Polars, pandas, …

    It may be read any number of times. Each reading starts anew and decodes again; nothing is decoded before.
    """

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A PyCapsule with an Arrow C stream. `requested_schema` is ignored, as the interface allows."""
        raise NotImplementedError

    def reader(self) -> pyarrow.RecordBatchReader:
        """The rows as a `pyarrow.RecordBatchReader`, batch by batch. Needs pyarrow."""
        import pyarrow

        return pyarrow.RecordBatchReader.from_stream(self)

    def to_arrow(self) -> pyarrow.Table:
        """All rows in memory, as a `pyarrow.Table`. Needs pyarrow. Raises LogError where the log is damaged."""
        try:
            return self.reader().read_all()
        except OSError as error:
            raise from_consumer(error) or error from None

    def to_pandas(self, **options: Any) -> pandas.DataFrame:
        """All rows as a `pandas.DataFrame`. Needs pyarrow and pandas. Takes the options of `pyarrow.Table.to_pandas`."""
        return self.to_arrow().to_pandas(**options)

    def to_polars(self) -> polars.DataFrame:
        """All rows as a `polars.DataFrame`. Needs Polars. Raises LogError where the log is damaged."""
        import polars

        try:
            return polars.DataFrame(self)
        except polars.exceptions.ComputeError as error:
            raise from_consumer(error) or error from None

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as dictionaries by column. Needs no other package, and is slow: for thousands of rows."""
        return _rows.rows(self.__arrow_c_stream__())


class Stream(ArrowSource):
    """A stream of one log.

    Attributes:
        log: the log that it reads.
        name: `branches`, `events`, …
        columns: the names of its columns, in order.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        columns: Optional[Sequence[str]] = None,
        vcpu: Optional[int] = None,
        start: int = 0,
        stop: Optional[int] = None,
        kinds: Sequence[str] = (),
        on_damage: str = "raise",
        strings: str = "dictionary",
        symbols: Optional[Symbols] = None,
    ) -> None:
        if on_damage not in ON_DAMAGE:
            raise ValueError(f"on_damage is {on_damage!r}; it can be {' or '.join(map(repr, ON_DAMAGE))}")
        if strings not in STRINGS:
            raise ValueError(f"strings is {strings!r}; it can be {' or '.join(map(repr, STRINGS))}")
        self.log = log
        self.name = name
        if columns is None:
            known = _columns(name, kinds[0] if len(kinds) == 1 else None)
            columns = [column.name for column in known]
            if symbols is not None:
                columns += [f"{column.name}_name" for column in known if column.is_code]
        if not columns:
            raise ValueError("no columns")
        self.columns = list(columns)
        self._kinds = list(kinds)
        self._range = (max(start, 0), NO_END if stop is None else min(max(stop, 0), NO_END))
        self._request = Request(
            size=ctypes.sizeof(Request),
            flags=(SKIP_DAMAGE if on_damage == "skip" else 0) | (PLAIN_STRINGS if strings == "plain" else 0),
            vcpu=-1 if vcpu is None else vcpu,
            start=min(self._range[0], NO_END),
            stop=self._range[1],
            columns=",".join(self.columns).encode(),
            kinds=",".join(kinds).encode() if kinds else None,
            symbols=None if symbols is None else symbols._handle,
        )
        # The request has the address of the symbols.
        self._symbols = symbols
        # A wrong request fails here and not at the first reading, which may be in another program's thread.
        self.__arrow_c_stream__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        def fill(place: int) -> None:
            error = Error()
            status = library().stream(
                self.log._handle_or_raise(), self.name.encode(), ctypes.byref(self._request), place, ctypes.byref(error)
            )
            library().check(status, error)

        return library().capsule(fill)

    def __repr__(self) -> str:
        start, stop = self._range
        limits = "" if (start, stop) == (0, NO_END) else f", brctr {start}:{'' if stop == NO_END else stop}"
        kinds = f", {' and '.join(self._kinds)}" if self._kinds else ""
        return f"<ttlog.Stream {self.name} of {self.log.path}{kinds}{limits}: {', '.join(self.columns)}>"


_columns = columns
