# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog nightly`: records guests again and again, replays, compares, and keeps what parted.

    OUT/lake/                          the data set of all runs (_lake.py)
    OUT/nights/NIGHT/runs.jsonl        a row a run; it is written when the run is finished
    OUT/nights/NIGHT/references.json   the good run that agrees longest with each one that parted
    OUT/nights/NIGHT/junit.xml         the night for a CI system
    OUT/runs/NIGHT/GUEST/NUMBER        the run directories that are kept
    OUT/reports/NIGHT/*.html           reports of `tt-analyze report` about replays that parted
    OUT/index.html                     the page about all nights

A call that was interrupted is continued by the next one with the same night: finished runs have rows, and what is left of
others is removed and made again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from typing import IO, Any, Iterator, Mapping, Optional

from . import _children, _lake, _lake_runs, _nightly_ci, _nightly_keep, _nightly_page
from ._errors import LogError
from ._journal import Journal, parse
from ._lake_state import check_night
from ._nightly_config import Config, read
from ._nightly_run import LAKE, SCHEMA_VERSION, Job, agreement, make
from ._storage import Storage

KEYS = ("night", "guest", "number", "run", "status", "bytes", "replays")

Row = dict[str, Any]


def run(
    path: str,
    night: Optional[str] = None,
    junit: Optional[str] = None,
    with_annotations: bool = False,
    out: Optional[IO[str]] = None,
) -> int:
    """Makes the runs of a night that are not there yet. Returns the exit status: 0 all replays are as their recordings, 1 some
    are not, 2 trouble.

    Args:
        path: the configuration.
        night: its name; None: today's date in UTC.
        junit: also write the JUnit file here.
        with_annotations: print annotations of GitHub Actions for what parted or failed.
    """
    import pyarrow.parquet  # noqa: F401  Imported once, before the children are forked.

    config = read(path)
    night = check_night(night or _lake.today())
    for name in ("tt-record", "tt-replay", "tt-analyze"):
        config.tool(name)
    os.makedirs(config.out, exist_ok=True)
    with open(os.path.join(config.out, ".lock"), "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogError(f"{config.out}: another process is working in it", config.out) from None
        _lake_runs.prepare(os.path.join(config.out, LAKE))
        _make(config, night)
        rows = list(read_rows(config.out))
        references = _retain(config, rows)
        files = Storage(config.out)
        files.sweep()
        # Runs end in any order; reports have that of their numbers.
        mine = sorted((row for row in rows if row["night"] == night), key=lambda row: (row["guest"], row["number"]))
        report = _nightly_ci.junit(config.path, mine)
        files.write(f"nights/{night}/junit.xml", report)
        if junit is not None:
            with open(junit, "wb") as file:
                file.write(report)
        files.write(f"nights/{night}/references.json", json.dumps(_references(references, night)).encode())
        there = {row["run"] for row in rows if os.path.isdir(os.path.join(config.out, row["run"]))}
        files.write("index.html", _nightly_page.page(rows, read_references(config.out), there).encode())
    out = out or sys.stdout
    if with_annotations:
        out.write(_nightly_ci.github(config.path, mine))
    out.write(_nightly_ci.summary(mine))
    return max((int(row["status"]) for row in mine), default=2)


def _make(config: Config, night: str) -> None:
    """Makes the runs that have no row."""
    folder = os.path.join(config.out, "nights", night)
    os.makedirs(folder, exist_ok=True)
    with Journal(os.path.join(folder, "runs.jsonl"), SCHEMA_VERSION, KEYS) as journal:
        done = {(row["guest"], row["number"]) for row in journal.rows}
        jobs = [
            Job(config, guest, night, number)
            for guest in config.guests
            for number in range(1, guest.runs + 1)
            if (guest.name, number) not in done
        ]
        size = sum(int(row["bytes"]) for row in _present(config.out, read_rows(config.out)))
        for outcome in _children.run(jobs, make, config.jobs):
            row = outcome.result or _failed(outcome)
            journal.add(row)
            size += int(row["bytes"])
            if size > 2 * config.keep:
                rows = list(read_rows(config.out))
                _retain(config, rows)
                size = sum(int(row["bytes"]) for row in _present(config.out, rows))


def _failed(outcome: _children.Outcome[Job]) -> Row:
    """The row of a run whose process ended without one."""
    job = outcome.task
    return {
        "version": SCHEMA_VERSION,
        "night": job.night,
        "guest": job.guest.name,
        "number": job.number,
        "run": job.place,
        "status": 2,
        "error": outcome.error,
        "replays": [],
        "bytes": 0,
        "seconds": round(outcome.seconds, 3),
    }


def read_rows(out: str) -> Iterator[Row]:
    """The rows of all nights."""
    nights = os.path.join(out, "nights")
    for night in sorted(os.listdir(nights)) if os.path.isdir(nights) else []:
        path = os.path.join(nights, night, "runs.jsonl")
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            continue
        yield from parse(path, data[: data.rfind(b"\n") + 1], SCHEMA_VERSION, KEYS)


def _references(references: Mapping[str, tuple[str, int]], night: str) -> dict[str, tuple[str, int]]:
    return {run: known for run, known in references.items() if run.startswith(f"runs/{night}/")}


def read_references(out: str) -> dict[str, tuple[str, int]]:
    """The good run that agrees longest with each one that parted, and the branch counter of their first difference."""
    result = {}
    nights = os.path.join(out, "nights")
    for night in os.listdir(nights):
        try:
            with open(os.path.join(nights, night, "references.json"), encoding="utf-8") as file:
                known = json.load(file)
        except FileNotFoundError:
            continue
        result.update({str(run): (str(good), int(brctr)) for run, (good, brctr) in known.items()})
    return result


def _present(out: str, rows: Any) -> list[Row]:
    return [row for row in rows if os.path.isdir(os.path.join(out, row["run"]))]


def _retain(config: Config, rows: list[Row]) -> dict[str, tuple[str, int]]:
    """Removes the runs that are not kept. Returns the good run that agrees longest with each one that parted."""
    there = _present(config.out, rows)
    tasks = [(config.out, good, bad) for good, bad in _nightly_keep.pairs(there)]
    agreements: dict[tuple[str, str], Optional[int]] = {}
    for outcome in _children.run(tasks, agreement, config.jobs, timeout=600):
        _, good, bad = outcome.task
        agreements[good, bad] = outcome.result
    plan = _nightly_keep.plan(there, agreements, config.keep)
    for row in there:
        if row["run"] not in plan.keep:
            shutil.rmtree(os.path.join(config.out, row["run"]))
    if plan.over_budget:
        sys.stderr.write(f"{config.out}: `keep` has no room for {len(plan.over_budget)} runs that parted or failed\n")
    return plan.references
