# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs of recorded and replayed virtual machines as Arrow streams.

    >>> import ttlog, duckdb
    >>> run = ttlog.open("run/")
    >>> branches = run.branches()
    >>> duckdb.sql('SELECT hex("to"), count(*) FROM branches GROUP BY 1 ORDER BY 2 DESC LIMIT 10')
    >>> run.events().to_pandas()
    >>> run.calls(symbols="vmlinux").to_pandas()
    >>> ttlog.diverge("run/", "run/replays/1").place

The package needs the standard library only. pyarrow, DuckDB, Polars and pandas take its streams; `Dataset` and
`python -m ttlog lake` need pyarrow. docs/fleets.md is the guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._bundle import Bundle
from ._divergence import Difference, Divergence, Position, diverge
from ._errors import LogError
from ._log import VCPU, Log, Run, Skipped, open
from ._rows import struct_counts
from ._stream import ArrowSource, Column, Stream, columns
from ._symbols import SymbolFile, Symbols, SymbolWarning

if TYPE_CHECKING:
    from ._dataset import Dataset
    from ._objects import lake_files

# scripts/build-wheel puts the version of the tools here.
__version__ = "0+source"

__all__ = [
    "ArrowSource",
    "Bundle",
    "Column",
    "Dataset",
    "Difference",
    "Divergence",
    "Log",
    "LogError",
    "Position",
    "Run",
    "Skipped",
    "Stream",
    "SymbolFile",
    "SymbolWarning",
    "Symbols",
    "VCPU",
    "columns",
    "diverge",
    "lake_files",
    "open",
    "struct_counts",
]


def __getattr__(name: str) -> Any:
    # Dataset derives from a class of pyarrow, and data sets are stored: the rest of the package needs neither.
    if name == "Dataset":
        from ._dataset import Dataset

        return Dataset
    if name == "lake_files":
        from ._objects import lake_files

        return lake_files
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
