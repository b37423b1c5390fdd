# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of a nightly corpus: recorded, replayed, compared and put into the data set. Works in a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any, Iterator, NamedTuple, Optional

from . import _lake, _lake_runs
from ._divergence import diverge
from ._errors import LogError
from ._nightly_config import Config, Guest
from ._verdicts import Pair, verdict

#: The version of the rows.
SCHEMA_VERSION = 1
LAKE = "lake"

#: What runs have cost: by path, then by step.
Costs = dict[str, dict[str, _lake.Cost]]

_PR_SET_PDEATHSIG = 1


class Job(NamedTuple):
    """A run to make."""

    config: Config
    guest: Guest
    night: str
    number: int

    @property
    def place(self) -> str:
        """The run directory, from the folder `out` of the configuration; the name of the run in the data set."""
        return f"runs/{self.night}/{self.guest.name}/{self.number:04d}"


def make(job: Job) -> dict[str, Any]:
    """Makes the run, and returns its row. What an interrupted call has left of it is removed."""
    began = time.monotonic()
    _end_with_parent()
    os.chdir(job.config.out)
    shutil.rmtree(job.place, ignore_errors=True)
    os.makedirs(os.path.dirname(job.place), exist_ok=True)
    row: dict[str, Any] = {
        "version": SCHEMA_VERSION,
        "night": job.night,
        "guest": job.guest.name,
        "number": job.number,
        "run": job.place,
        "status": 0,
        "error": None,
        "replays": [],
    }
    try:
        costs: Costs = {}
        with _measured(costs, job.place, "record"):
            _record(job)
        row["replays"] = [_replay(job, str(number), costs) for number in range(1, job.guest.replays + 1)]
        _store(job, costs)
    except (LogError, OSError) as error:
        row["error"] = str(error)
        row["status"] = 2
    row["status"] = max([row["status"], *(replay["status"] for replay in row["replays"])])
    row["bytes"] = size(job.place)
    row["seconds"] = round(time.monotonic() - began, 3)
    return row


def _record(job: Job) -> None:
    options = [*job.guest.record, "--quiet", os.path.abspath(job.place)]
    after = ["--", *job.guest.qemu] if job.guest.qemu else []
    status, text = call(job, "tt-record", [*options, *after])
    if status != 0 or not os.path.isfile(f"{job.place}/ttd.log"):
        raise LogError(f"tt-record: status {status}: {text}", job.place)


def _replay(job: Job, name: str, costs: Costs) -> dict[str, Any]:
    """Replays a recording and compares; the row of the replay."""
    began = time.monotonic()
    path = f"{job.place}/replays/{name}"
    row: dict[str, Any] = {"name": name, "status": 2, "error": None, "report": None}
    with _measured(costs, path, "replay"):
        status, text = call(job, "tt-replay", [os.path.abspath(job.place), "--name", name, "--quiet", *job.guest.replay])
    if not os.path.isfile(f"{path}/ttd.log"):
        row["error"] = f"tt-replay: status {status}: {text}"
        row["verdict"] = "failed"
        return row
    try:
        known = verdict(Pair(job.place, path))
    except LogError as error:
        row["error"] = str(error)
        row["verdict"] = "failed"
        return row
    for key in ("status", "verdict", "detail", "class", "original_brctr", "original_icount", "original_ip", "fields", "reasons"):
        row[key] = known[key]
    if row["status"] != 0:
        with _measured(costs, path, "report"):
            row.update(_report(job, path, name))
    row["seconds"] = round(time.monotonic() - began, 3)
    return row


def _report(job: Job, path: str, name: str) -> dict[str, Any]:
    """Writes the page about a replay that parted. Returns its name, and the sentence that sums it up."""
    page = f"reports/{job.night}/{job.guest.name}-{job.number:04d}-{name}.html"
    os.makedirs(os.path.dirname(page), exist_ok=True)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ttlog-") as folder:
        for out in (os.path.abspath(page), os.path.join(folder, "report.json")):
            words = ["report", *job.guest.report, os.path.abspath(job.place), os.path.abspath(path), "-o", out]
            status, text = call(job, "tt-analyze", words)
            if not os.path.isfile(out):
                return {**result, "report_error": f"tt-analyze report: status {status}: {text}"}
            if out.endswith(".html"):
                result["report"] = page
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
            document = json.load(file)
    result["title"], result["summary"] = str(document.get("title", "")), str(document.get("summary", ""))
    return result


def _store(job: Job, costs: Costs) -> None:
    """Puts the run and its replays into the data set, with what they have cost."""
    known = _lake_runs.known_runs_of(LAKE, job.night, [name for name, _ in _lake.find_runs([job.place])])
    for path, original in _lake.find_runs([job.place]):
        task = _lake.Task(path, path, original, LAKE, job.night, on_damage="skip", known=known.get(path), costs=costs.get(path, {}))
        _lake.add_or_replace(task)


@contextlib.contextmanager
def _measured(costs: Costs, path: str, step: str) -> Iterator[None]:
    """Notes what the block and the tools that it calls take, for the run of that path."""
    began, before = time.monotonic(), _cpu_seconds()
    yield
    costs.setdefault(path, {})[step] = _lake.Cost(round(time.monotonic() - began, 6), round(_cpu_seconds() - before, 6))


def _cpu_seconds() -> float:
    """What this process and the children that it has waited for have used."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def call(job: Job, name: str, words: list[str]) -> tuple[int, str]:
    """Calls a tool in the folder of the configuration. Returns its status and the end of its messages.

    A tool that takes too long is asked to end, so that it ends QEMU; the same happens when this process dies.
    """
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [job.config.tool(name), *words],
            cwd=job.config.folder,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            preexec_fn=_end_with_parent,
        )
        late = False
        try:
            process.wait(job.guest.timeout)
        except subprocess.TimeoutExpired:
            late = True
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        messages.seek(max(0, messages.seek(0, os.SEEK_END) - 2000))
        lines = messages.read().decode(errors="replace").strip().splitlines()
    text = " ".join(lines[-2:]) or "no message"
    return process.returncode, f"ended after {job.guest.timeout:g} s; {text}" if late else text


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def size(place: str) -> int:
    """The bytes of the files of a folder."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(place) for name in names
    )


def agreement(pair: tuple[str, str, str]) -> Optional[int]:
    """How far a good run agrees with one that parted: the branch counter of their first difference; None if they cannot be
    compared. The task is the folder `out`, the good run and the other."""
    os.chdir(pair[0])
    found = diverge(pair[1], pair[2], context=0)
    if found.exit_status == 2:
        return None
    return found.place.brctr if found.place else found.branches_compared
