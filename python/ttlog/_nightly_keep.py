# SPDX-License-Identifier: GPL-2.0-or-later
"""Which runs of a nightly corpus are kept: those that parted, and beside each the good run that agrees with it for longest."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional

Row = dict[str, Any]


class Plan(NamedTuple):
    """What is kept and why."""

    #: The runs to keep.
    keep: set[str]
    #: Of runs that parted: the good run that agrees for longest, and the branch counter of their first difference.
    references: dict[str, tuple[str, int]]
    #: Runs that would be kept, but the budget does not allow it.
    over_budget: list[str]


def is_good(row: Row) -> bool:
    """Whether all replays of the run are as the recording."""
    return bool(row["status"] == 0)


def bad_log(row: Row) -> Optional[str]:
    """The log of a run that parted: that of the first replay that is compared and differs."""
    for replay in row["replays"]:
        if replay["status"] == 1:
            return f"{row['run']}/replays/{replay['name']}"
    return None


def pairs(rows: list[Row]) -> list[tuple[str, str]]:
    """The good runs and the logs that parted whose agreement `plan` needs: those of one night and guest."""
    return [
        (good["run"], log)
        for bad in rows
        for log in [bad_log(bad)]
        if log is not None
        for good in rows
        if is_good(good) and _corpus(good) == _corpus(bad)
    ]


def plan(rows: list[Row], agreements: Mapping[tuple[str, str], Optional[int]], budget: int) -> Plan:
    """Decides which of the runs whose files are there stay.

    First come the newest runs of each place at which runs part, then the others that parted, then those that failed. Where
    nothing parted in the newest night of a guest, its last good run stays.

    Args:
        rows: the rows of the runs that are there.
        agreements: how far the pairs of `pairs` agree.
        budget: bytes.
    """
    references: dict[str, tuple[str, int]] = {}
    sizes = {row["run"]: int(row["bytes"]) for row in rows}
    for bad in rows:
        log = bad_log(bad)
        known = [
            (-brctr, good["run"])
            for good in rows
            if log is not None and is_good(good)
            for brctr in [agreements.get((good["run"], log))]
            if brctr is not None
        ]
        if known:
            best = min(known)
            references[bad["run"]] = (best[1], -best[0])

    keep: set[str] = set()
    over: list[str] = []
    left = budget
    for row in _by_value(rows):
        alone = {row["run"]}
        both = alone | {references[row["run"]][0]} if row["run"] in references else alone
        for group in (both, alone):
            cost = sum(sizes[run] for run in group - keep)
            if cost <= left:
                keep |= group
                left -= cost
                break
        else:
            over.append(row["run"])
    return Plan(keep, references, [run for run in over if run not in keep])


def place(replay: Row) -> tuple[Any, ...]:
    """What replays that part in the same way have in common."""
    return replay.get("verdict"), replay.get("class"), replay.get("original_ip")


def _corpus(row: Row) -> tuple[str, str]:
    return row["night"], row["guest"]


def _by_value(rows: list[Row]) -> list[Row]:
    """The runs that are worth keeping, the most valuable first."""
    newest_first = sorted(rows, key=lambda row: (row["night"], -row["number"]), reverse=True)
    first: list[Row] = []
    others: list[Row] = []
    failed: list[Row] = []
    seen: set[tuple[Any, ...]] = set()
    for row in newest_first:
        if row["status"] == 0:
            continue
        if bad_log(row) is None:
            failed.append(row)
            continue
        places = {(row["guest"], place(replay)) for replay in row["replays"] if replay["status"] == 1}
        (others if places <= seen else first).append(row)
        seen |= places
    spare = []
    for guest in sorted({row["guest"] for row in rows}):
        mine = [row for row in rows if row["guest"] == guest]
        night = max(row["night"] for row in mine)
        tonight = [row for row in mine if row["night"] == night]
        if all(bad_log(row) is None for row in tonight):
            spare += sorted((row for row in tonight if is_good(row)), key=lambda row: -row["number"])[:1]
    return first + spare + others + failed
