# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog verdicts`: the verdicts of many pairs of runs."""

from __future__ import annotations

import csv
import json
import sys
from typing import IO, Any, NamedTuple, Optional

from . import _children
from ._divergence import Divergence, diverge
from ._errors import LogError
from ._journal import open_journal
from ._library import library

#: The version of the rows.
SCHEMA_VERSION = 1


class Pair(NamedTuple):
    """An original and a replay, as the list names them."""

    original: str
    replay: str


def read_pairs(path: str) -> list[Pair]:
    """Reads a list of pairs: CSV with the columns `original` and `replay`, or without a header the first two columns."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")]
    places = (0, 1)
    if rows and "original" in rows[0] and "replay" in rows[0]:
        places = (rows[0].index("original"), rows[0].index("replay"))
        rows = rows[1:]
    pairs = []
    for number, row in enumerate(rows, 1):
        if len(row) <= max(places):
            raise LogError(f"{path}: row {number} names no two runs", path)
        pairs.append(Pair(row[places[0]], row[places[1]]))
    if not pairs:
        raise LogError(f"{path}: no pairs", path)
    return pairs


def verdict(pair: Pair) -> dict[str, Any]:
    """The row of one pair. Numbers are as in the stream `divergence`: addresses are signed."""
    return _row(pair, diverge(pair.original, pair.replay, context=0))


def _row(pair: Pair, divergence: Divergence) -> dict[str, Any]:
    document = divergence.document
    moved = document.get("moved")
    row: dict[str, Any] = {
        "version": SCHEMA_VERSION,
        "original": pair.original,
        "replay": pair.replay,
        "status": divergence.exit_status,
        "verdict": divergence.verdict,
        "detail": document.get("detail", None if moved is None else json.dumps(moved)),
        "class": divergence.differs,
        "vcpu": divergence.vcpu,
    }
    for side, place in (("original", divergence.place), ("replay", divergence.replay_place)):
        row[f"{side}_brctr"] = place.brctr if place else None
        row[f"{side}_icount"] = place.icount if place else None
        row[f"{side}_ip"] = _signed(place.ip) if place else None
    row["fields"] = ", ".join(f"{f.name} {f.original} != {f.replay}" for f in divergence.fields)
    row["caveats"] = ",".join(sorted({caveat["kind"] for caveat in document["caveats"]}))
    row["reasons"] = "; ".join(divergence.reasons)
    row["branches_compared"] = divergence.branches_compared
    row["bytes_read"] = int(document["statistics"]["bytesRead"])
    return row


def _signed(address: Optional[int]) -> Optional[int]:
    if address is None:
        return None
    return address - 2**64 if address >= 2**63 else address


def outcome_row(outcome: _children.Outcome[Pair]) -> dict[str, Any]:
    """The row of a pair, also of one that has no verdict: `failed` (an error), `crashed` (a signal), `timed-out`."""
    row: dict[str, Any] = outcome.result if outcome.result is not None else _failure(outcome)
    row["error"] = outcome.error
    row["signal"] = outcome.signal
    row["seconds"] = round(outcome.seconds, 4)
    return row


def _failure(outcome: _children.Outcome[Pair]) -> dict[str, Any]:
    name = "failed" if outcome.signal is None else "timed-out" if outcome.error == "timed out" else "crashed"
    return {
        "version": SCHEMA_VERSION,
        "original": outcome.task.original,
        "replay": outcome.task.replay,
        "status": 2,
        "verdict": name,
    }


def run(pairs: list[Pair], folder: str, jobs: int, timeout: Optional[float], say: Optional[IO[str]] = None) -> int:
    """Compares the pairs that the folder has no row of yet. Returns the exit status: 0 identical, 1 different, 2 trouble."""
    with open_journal(folder, "verdicts", SCHEMA_VERSION, ("original", "replay", "status")) as journal:
        known = {(row["original"], row["replay"]) for row in journal.rows}
        left = [pair for pair in dict.fromkeys(pairs) if pair not in known]
        library()  # Loaded once, before the children are forked.
        for outcome in _children.run(left, verdict, jobs, timeout):
            journal.add(outcome_row(outcome))
        wanted = {tuple(pair) for pair in pairs}
        rows = [row for row in journal.rows if (row["original"], row["replay"]) in wanted]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    for name, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        (say or sys.stderr).write(f"{count:8d}  {name}\n")
    return max((int(row["status"]) for row in rows), default=0)
