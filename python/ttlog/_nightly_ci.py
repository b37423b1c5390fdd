# SPDX-License-Identifier: GPL-2.0-or-later
"""A night of a corpus for CI systems: JUnit XML, annotations of GitHub Actions, and lines for people."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any, Iterable, Iterator

from ._nightly_keep import place

Row = dict[str, Any]

#: What XML 1.0 cannot hold.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def cases(rows: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """Each replay with its run; a run that failed before a replay, with a replay in its place."""
    for row in rows:
        yield from ((row, replay) for replay in row["replays"])
        if row["error"] is not None:
            yield row, {"name": "", "status": 2, "error": row["error"], "verdict": "failed"}


def sentence(replay: Row) -> str:
    """What happened to a replay, in a line."""
    if replay.get("error"):
        return str(replay["error"])
    if replay["status"] == 0:
        return "identical"
    words = [str(replay.get("title") or replay.get("verdict"))]
    brctr = replay.get("original_brctr")
    if brctr is not None:
        words.append(f"at brctr {brctr}")
    text = " ".join(words)
    more = replay.get("summary") or replay.get("reasons") or replay.get("fields")
    return f"{text}: {more}" if more else text


def junit(name: str, rows: list[Row]) -> bytes:
    """A JUnit file: a suite a guest, a test case a replay. A replay that parted is a failure, trouble an error."""
    suites = ElementTree.Element("testsuites", name=_text(name))
    for guest in sorted({row["guest"] for row in rows}):
        found = list(cases(row for row in rows if row["guest"] == guest))
        counts = {status: sum(replay["status"] == status for _, replay in found) for status in (1, 2)}
        suite = ElementTree.SubElement(
            suites, "testsuite", name=guest, tests=str(len(found)), failures=str(counts[1]), errors=str(counts[2])
        )
        for row, replay in found:
            title = f"run {row['number']}" + (f", replay {replay['name']}" if replay["name"] else "")
            seconds = replay.get("seconds") or row.get("seconds", 0)
            case = ElementTree.SubElement(suite, "testcase", classname=f"{row['night']}.{guest}", name=title, time=str(seconds))
            if replay["status"]:
                kind = "failure" if replay["status"] == 1 else "error"
                text = _text(sentence(replay))
                result = ElementTree.SubElement(case, kind, type=_text(str(replay.get("verdict"))), message=text)
                result.text = text + (f"\n{replay['report']}" if replay.get("report") else "")
    ElementTree.indent(suites)
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def github(path: str, rows: list[Row]) -> str:
    """`::error …` of GitHub Actions: one for each place at which replays of a guest parted, one for each kind of trouble."""
    groups: dict[tuple[Any, ...], list[tuple[Row, Row]]] = {}
    for row, replay in cases(rows):
        if replay["status"]:
            what = replay["error"] if replay.get("error") else place(replay)
            groups.setdefault((row["guest"], what), []).append((row, replay))
    lines = []
    for (guest, _), found in groups.items():
        row, replay = found[0]
        first = f"run {row['number']}" + (f", replay {replay['name']}" if replay["name"] else "")
        times = f" ({len(found)} times; first in {first})" if len(found) > 1 else f" ({first})"
        lines.append(f"::error file={_property(path)},title={_property(guest)}::{_message(sentence(replay) + times)}\n")
    return "".join(lines)


def summary(rows: list[Row]) -> str:
    """A line a guest."""
    lines = []
    for guest in sorted({row["guest"] for row in rows}):
        found = list(cases(row for row in rows if row["guest"] == guest))
        good, parted, failed = (sum(replay["status"] == status for _, replay in found) for status in (0, 1, 2))
        runs = len({row["number"] for row, _ in found})
        lines.append(f"{guest}: {runs} runs, {len(found)} replays: {good} identical, {parted} parted, {failed} in trouble\n")
    return "".join(lines)


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
