# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog lake`: many runs as a data set of Parquet files, a file a table and run, in folders of nights.

    OUT/_ttlog.json                     what this folder is, and its version
    OUT/chunks/night=NIGHT/*.parquet    headers of chunks with digests
    OUT/events/night=NIGHT/*.parquet    events, with their fields in words
    OUT/edges/night=NIGHT/*.parquet     distinct branches with counts
    OUT/branches/night=NIGHT/*.parquet  only when asked for
    OUT/verdicts/night=NIGHT/*.parquet  how a replay relates to its recording
    OUT/costs/night=NIGHT/*.parquet     the time of each step that made the run and its rows
    OUT/runs/night=NIGHT/*.parquet      the run itself; written last: a run without it is not there

Every table has the column `run`. A file appears whole. A run whose log has not changed is passed over. The files of a night
can be compacted (`_compact.py`). OUT may be an address that fsspec opens.

The row in `runs` is what commits a run: it is written when all other tables have the run's rows, and it is removed before any
of them is replaced. Readers take the rows of runs that are in `runs`, in the same night.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple, Optional

from . import _children, _parquet
from ._compact import forget
from ._errors import LogError, from_consumer
from ._lake_runs import prepare
from ._lake_state import VERSION, WHOLE, check_night, file_name
from ._log import Log
from ._log import open as open_log
from ._storage import Storage, locked
from ._stream import Stream
from ._verdicts import Pair, verdict

if TYPE_CHECKING:
    import pyarrow

#: The version of the rows of `costs`.
COSTS_VERSION = 1
EVENT_COLUMNS = ["brctr", "icount", "vcpu", "epoch", "kind", "ip", "info", "address", "value", "details"]


class Cost(NamedTuple):
    """What a step took."""

    #: Seconds of time.
    seconds: float
    #: Seconds of all processors together.
    cpu_seconds: float


class Task(NamedTuple):
    """A run to add."""

    name: str
    path: str
    #: The recording that it is compared with; None for a recording.
    original: Optional[str]
    out: str
    night: str
    with_branches: bool = False
    on_damage: str = "raise"
    #: The row of `runs` that the data set has of it, with its night.
    known: Optional[dict[str, Any]] = None
    #: What was spent on the run before: by step, such as `record`, seconds of time and of all processors.
    costs: dict[str, Cost] = {}


def today() -> str:
    """The night of runs that are added without one: the date, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")


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
        known = task.known
        is_same = bool(known and known["digest"] == _signed(log.digest))
        if known and is_same and (known["has_branches"] or not task.with_branches):
            return "unchanged"
        storage = Storage(task.out)
        costs = dict(task.costs)
        with locked(task.out, exclusive=False):
            if not is_same:
                # What is there of the run, in this night, is of another log.
                storage.remove(f"runs/night={task.night}/{file_name(task.name)}")
            began = _now()
            tables: dict[str, Optional[list[str]]] = {"events": EVENT_COLUMNS, "edges": None}
            if task.with_branches:
                tables["branches"] = None
            else:
                storage.remove(f"branches/night={task.night}/{file_name(task.name)}")
            # Last: its column `damage` has what the other streams have passed over.
            tables["chunks"] = None
            for table, columns in tables.items():
                _write(storage, task, table, Stream(log, table, columns, on_damage=task.on_damage).reader())
            costs["store"] = _since(began)
            if task.original is not None:
                began = _now()
                row = verdict(Pair(task.original, task.path))
                costs["compare"] = _since(began)
                _write_rows(storage, task, "verdicts", [row])
            rows = [{"version": COSTS_VERSION, "step": step, **cost._asdict()} for step, cost in sorted(costs.items())]
            _write_rows(storage, task, "costs", rows)
            # Last: a run is there when this row is.
            _write_rows(storage, task, "runs", [_run_row(task, log)])
    return "added"


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _since(began: tuple[float, float]) -> Cost:
    seconds, cpu_seconds = _now()
    return Cost(round(seconds - began[0], 6), round(cpu_seconds - began[1], 6))


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
        "truncated_at": skipped.truncated_at,
        "has_branches": task.with_branches,
    }


def _write_rows(storage: Storage, task: Task, table: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow

    types = pyarrow.schema([(name, _type(name)) for name in rows[0]])
    data = pyarrow.Table.from_pylist(rows, schema=types)
    _write(storage, task, table, pyarrow.RecordBatchReader.from_batches(data.schema, data.to_batches()))


def _type(name: str) -> pyarrow.DataType:
    """The type of a column of rows that Python makes: the same for all runs, also where all values are null."""
    import pyarrow

    if name == "has_branches":
        return pyarrow.bool_()
    if name.endswith("seconds"):
        return pyarrow.float64()
    text = {"path", "original", "replay", "kind", "recording", "completeness", "verdict", "detail", "class", "fields"}
    return pyarrow.string() if name in text | {"caveats", "reasons", "step"} else pyarrow.int64()


def _write(storage: Storage, task: Task, table: str, reader: pyarrow.RecordBatchReader) -> None:
    try:
        with storage.writing(f"{table}/night={task.night}/{file_name(task.name)}") as path:
            _parquet.write(_parquet.with_run(reader, task.name), path)
    except OSError as error:
        raise from_consumer(error) or error from None


def run(
    out: str,
    paths: list[str],
    jobs: int,
    with_branches: bool = False,
    on_damage: str = "raise",
    timeout: Optional[float] = None,
    say: Optional[IO[str]] = None,
    night: Optional[str] = None,
) -> int:
    """Adds runs to a data set. Returns the exit status: 0 all are there, 2 a run could not be added.

    Args:
        night: where new runs go; None: `today()`. A run that is there stays in its night, unless its log has changed.
    """
    # Imported here and not used: the children are forked, and need not import it once each.
    import pyarrow.parquet  # noqa: F401

    night = check_night(night or today())
    known = prepare(out)
    found = [(os.path.normpath(path), path, original) for path, original in find_runs(paths)]
    tasks = [
        Task(name, path, original, out, night, with_branches, on_damage, known.get(name)) for name, path, original in found
    ]
    counts = {"added": 0, "unchanged": 0, "failed": 0}
    for outcome in _children.run(tasks, add_or_replace, jobs, timeout):
        counts[outcome.result or "failed"] += 1
        if outcome.error is not None:
            (say or sys.stderr).write(f"{outcome.task.path}: {outcome.error}\n")
    (say or sys.stderr).write(", ".join(f"{count} {name}" for name, count in counts.items()) + "\n")
    return 2 if counts["failed"] else 0


def add_or_replace(task: Task) -> str:
    """Adds a run. The rows that an earlier state of it has in another night, or in a compacted file, are removed first."""
    if task.known is not None:
        with open_log(task.path) as log:
            is_changed = task.known["digest"] != _signed(log.digest)
        is_alone = task.known["file"] == file_name(task.name)
        if is_changed and (task.known["night"] != task.night or not is_alone):
            forget(task.out, task.known["night"], task.name)
        elif not is_changed:
            # Branches that are asked for later: the run stays where it is.
            night = task.known["night"]
            if task.with_branches and not task.known["has_branches"]:
                task = task._replace(costs={**_stored_costs(task, night), **task.costs})
                if not is_alone:
                    forget(task.out, night, task.name)
            task = task._replace(night=night)
    return add(task)


def _stored_costs(task: Task, night: str) -> dict[str, Cost]:
    """The costs that the data set has of a run."""
    import pyarrow.parquet

    storage = Storage(task.out)
    for name in (file_name(task.name), WHOLE):
        with contextlib.suppress(FileNotFoundError), storage.open(f"costs/night={night}/{name}") as file:
            rows = pyarrow.parquet.read_table(file, filters=[("run", "=", task.name)]).to_pylist()
            if rows:
                return {row["step"]: Cost(row["seconds"], row["cpu_seconds"]) for row in rows}
    return {}


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word
