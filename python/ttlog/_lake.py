# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog lake`: many runs as a data set of Parquet files, one folder a table and run.

    OUT/_ttlog.json                          what this folder is, and its version
    OUT/chunks/run=NAME/part-0.parquet       headers of chunks with digests
    OUT/events/run=NAME/part-0.parquet       events, with their fields in words
    OUT/edges/run=NAME/part-0.parquet        distinct branches with counts
    OUT/branches/run=NAME/part-0.parquet     only when asked for
    OUT/verdicts/run=NAME/part-0.parquet     how a replay relates to its recording
    OUT/runs/run=NAME/part-0.parquet         the run itself; written last: a run without it is not there

A table of a run is written to a hidden folder and renamed, so it appears whole. A run whose log has not changed is passed
over. NAME is the path of the run with `/` as `%2F`, which readers of Hive partitions decode.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.parse
from typing import IO, TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple, Optional

from . import _children
from ._errors import LogError, from_consumer
from ._log import Log
from ._log import open as open_log
from ._stream import Stream
from ._verdicts import Pair, verdict

if TYPE_CHECKING:
    import pyarrow

#: The version of the tables.
VERSION = 1
MARKER = "_ttlog.json"
EVENT_COLUMNS = ["brctr", "icount", "vcpu", "epoch", "kind", "ip", "info", "address", "value", "details"]
ROW_GROUP = 1 << 20

#: Clocks grow slowly: their differences are small. Addresses repeat: a dictionary and zstd find that.
DELTAS = {"brctr", "icount", "brctr_first", "brctr_last", "first_brctr", "last_brctr", "first_ordinal", "cell", "offset"}
NAMES = {"from", "to", "kind", "vcpu", "epoch", "stream", "details", "ip"}


class Task(NamedTuple):
    """A run to add."""

    name: str
    path: str
    #: The recording that it is compared with; None for a recording.
    original: Optional[str]
    out: str
    with_branches: bool
    on_damage: str


def find_runs(paths: Iterable[str]) -> Iterator[tuple[str, Optional[str]]]:
    """The logs of some runs, and of the replays of those that are run directories, each with its recording."""
    for path in paths:
        yield path, None
        if os.path.isdir(path):
            place = os.path.join(path, "replays")
            for name in sorted(os.listdir(place)) if os.path.isdir(place) else []:
                if os.path.isfile(os.path.join(place, name, "ttd.log")):
                    yield os.path.join(place, name), path


def add(task: Task) -> str:
    """Adds a run; returns `added` or `unchanged`."""
    with open_log(task.path) as log:
        if _is_present(task, log):
            return "unchanged"
        tables: dict[str, Optional[list[str]]] = {"chunks": None, "events": EVENT_COLUMNS, "edges": None}
        if task.with_branches:
            tables["branches"] = None
        for table, columns in tables.items():
            _write(task, table, Stream(log, table, columns, on_damage=task.on_damage).reader())
        if task.original is not None:
            _write_rows(task, "verdicts", [verdict(Pair(task.original, task.path))])
        # Last: a run is there when this row is.
        _write_rows(task, "runs", [_run_row(task, log)])
    return "added"


def _place(task: Task, table: str) -> str:
    return os.path.join(task.out, table, "run=" + urllib.parse.quote(task.name, safe=""))


def _is_present(task: Task, log: Log) -> bool:
    import pyarrow.parquet

    try:
        row = pyarrow.parquet.read_table(os.path.join(_place(task, "runs"), "part-0.parquet"), partitioning=None)
    except (OSError, ValueError):
        return False
    known = row.to_pylist()[0]
    return known["digest"] == _signed(log.digest) and (known["has_branches"] or not task.with_branches)


def _run_row(task: Task, log: Log) -> dict[str, Any]:
    vcpus = log.vcpus
    skipped = log.skipped
    return {
        "version": VERSION,
        "path": os.path.abspath(task.path),
        "original": task.original,
        "digest": _signed(log.digest),
        "kind": log.description["run_kind"],
        "recording": log.description["recording"],
        "completeness": log.description["completeness"],
        "bytes": int(log.description["size"]),
        "branches": sum(vcpu.branches for vcpu in vcpus),
        "events": sum(vcpu.events for vcpu in vcpus),
        "accesses": sum(vcpu.accesses for vcpu in vcpus),
        "vcpus": len(vcpus),
        "damage": int(log.description["damage_count"]),
        "skipped_records": skipped.records,
        "has_branches": task.with_branches,
    }


def _write_rows(task: Task, table: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow

    types = pyarrow.schema([(name, _type(name)) for name in rows[0]])
    data = pyarrow.Table.from_pylist(rows, schema=types)
    _write(task, table, pyarrow.RecordBatchReader.from_batches(data.schema, data.to_batches()))


def _type(name: str) -> pyarrow.DataType:
    """The type of a column of rows that Python makes: the same for all runs, also where all values are null."""
    import pyarrow

    if name == "has_branches":
        return pyarrow.bool_()
    text = {"path", "original", "replay", "kind", "recording", "completeness", "verdict", "detail", "class", "fields"}
    return pyarrow.string() if name in text | {"caveats", "reasons"} else pyarrow.int64()


def _write(task: Task, table: str, reader: pyarrow.RecordBatchReader) -> None:
    """Writes a table of a run, and puts it in its place."""
    hidden = os.path.join(task.out, f".{os.getpid()}-{table}")
    shutil.rmtree(hidden, ignore_errors=True)
    os.makedirs(hidden)
    try:
        write_parquet(reader, os.path.join(hidden, "part-0.parquet"))
        place = _place(task, table)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.isdir(place):
            old = hidden + "-old"
            os.rename(place, old)
            os.rename(hidden, place)
            shutil.rmtree(old)
        else:
            os.rename(hidden, place)
    except OSError as error:
        raise from_consumer(error) or error from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def write_parquet(reader: pyarrow.RecordBatchReader, path: str) -> None:
    """Writes a stream with the settings that docs/fleets.md measures: 0.26 bytes a branch of a Linux boot, not 9.4."""
    import pyarrow
    import pyarrow.parquet

    names = reader.schema.names
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [name for name in names if name in NAMES],
        "column_encoding": {name: "DELTA_BINARY_PACKED" for name in names if name in DELTAS},
        # pyarrow's page of 20,000 rows is too small for zstd to find what repeats.
        "data_page_size": 1 << 26,
        "max_rows_per_page": 1 << 22,
    }
    with pyarrow.parquet.ParquetWriter(path, reader.schema, **options) as writer:
        group: list[pyarrow.RecordBatch] = []
        for batch in reader:
            group.append(batch)
            if sum(map(len, group)) >= ROW_GROUP:
                writer.write_table(pyarrow.Table.from_batches(group), row_group_size=2 * ROW_GROUP)
                group = []
        if group:
            writer.write_table(pyarrow.Table.from_batches(group), row_group_size=2 * ROW_GROUP)


def run(
    out: str,
    paths: list[str],
    jobs: int,
    with_branches: bool = False,
    on_damage: str = "raise",
    timeout: Optional[float] = None,
    say: IO[str] = sys.stderr,
) -> int:
    """Adds runs to a data set. Returns the exit status: 0 all are there, 2 a run could not be added."""
    # Imported here and not used: the children are forked, and need not import it once each.
    import pyarrow.parquet  # noqa: F401

    _mark(out)
    tasks = [
        Task(os.path.normpath(path), path, original, out, with_branches, on_damage) for path, original in find_runs(paths)
    ]
    counts = {"added": 0, "unchanged": 0, "failed": 0}
    for outcome in _children.run(tasks, add, jobs, timeout):
        counts[outcome.result or "failed"] += 1
        if outcome.error is not None:
            say.write(f"{outcome.task.path}: {outcome.error}\n")
    _sweep(out)
    say.write(", ".join(f"{count} {name}" for name, count in counts.items()) + "\n")
    return 2 if counts["failed"] else 0


def _mark(out: str) -> None:
    """Makes the folder, or checks that it is one of this version."""
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, MARKER)
    if not os.path.exists(path):
        if os.listdir(out):
            raise LogError(f"{out}: not empty, and no data set of ttlog", out)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"schema": "ttlog-lake", "version": VERSION}, file)
    with open(path, encoding="utf-8") as file:
        known = json.load(file)
    if known.get("schema") != "ttlog-lake" or known.get("version") != VERSION:
        raise LogError(f"{path}: version {known.get('version')}; this program writes version {VERSION}", path)


def _sweep(out: str) -> None:
    """Removes what children that were killed have left, if their process is gone."""
    for name in os.listdir(out):
        number = name[1:].split("-")[0]
        if name.startswith(".") and number.isdigit() and not os.path.exists(f"/proc/{number}"):
            shutil.rmtree(os.path.join(out, name), ignore_errors=True)


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


