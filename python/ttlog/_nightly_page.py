# SPDX-License-Identifier: GPL-2.0-or-later
"""The page about a nightly corpus: one HTML file that needs no other file and no network. Without scripts it lacks the filters."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from typing import Any, Iterable, Mapping, Optional

from ._nightly_ci import cases, sentence
from ._nightly_keep import place
from ._nightly_style import SCRIPT, STYLE

Row = dict[str, Any]

#: More rows make the page slow. Those that are left out are counted.
MOST_ROWS = 5000
MOST_NIGHTS = 60
STATES = ("identical", "parted", "trouble")


def page(rows: list[Row], references: Mapping[str, tuple[str, int]], there: set[str]) -> str:
    """The page.

    Args:
        rows: the rows of all nights.
        references: the good run that agrees longest with a run that parted, and the clock of their first difference.
        there: the runs whose files are kept.
    """
    found = list(cases(rows))
    nights = sorted({row["night"] for row in rows})
    policy = f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; base-uri 'none'; form-action 'none'"
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>Nightly corpus</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
            _header(found, nights),
            "<main>\n",
            _trend(found, nights),
            _places(found),
            _table(found, references, there),
            f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _state(replay: Row) -> str:
    return STATES[min(max(int(replay["status"]), 0), 2)]


def _count(found: Iterable[tuple[Row, Row]]) -> dict[str, int]:
    counts = dict.fromkeys(STATES, 0)
    for _, replay in found:
        counts[_state(replay)] += 1
    return counts


def _header(found: list[tuple[Row, Row]], nights: list[str]) -> str:
    if not nights:
        return "<header><h1>Nightly corpus</h1><p>No runs.</p></header>\n"
    counts = _count(pair for pair in found if pair[0]["night"] == nights[-1])
    state = "trouble" if counts["trouble"] else "parted" if counts["parted"] else "identical"
    words = {
        "identical": f"all {counts['identical']} replays are as their recordings",
        "parted": f"{counts['parted']} of {sum(counts.values())} replays parted",
        "trouble": f"{counts['trouble']} of {sum(counts.values())} replays in trouble, {counts['parted']} parted",
    }
    return (
        f'<header><p class="tool">ttlog nightly</p><h1>{html.escape(nights[-1])}: <span class="{state}">{words[state]}</span></h1>'
        f"</header>\n"
    )


def _trend(found: list[tuple[Row, Row]], nights: list[str]) -> str:
    """Bars of the nights, and the same as a table."""
    shown = nights[-MOST_NIGHTS:]
    counts = {night: _count(pair for pair in found if pair[0]["night"] == night) for night in shown}
    most = max([sum(count.values()) for count in counts.values()], default=1) or 1
    bars, lines = [], []
    for index, night in enumerate(shown):
        top = 100.0
        for state in STATES:
            height = 96.0 * counts[night][state] / most
            if height:
                # What is rare must be seen: no bar is lower than a line.
                height = max(height, 1.5)
                top -= height
                bars.append(f'<rect class="{state}" x="{index * 12 + 1}" y="{top:.1f}" width="10" height="{height:.1f}"/>')
        cells = "".join(f"<td>{counts[night][state]}</td>" for state in STATES)
        made = {id(row): row for row, _ in found if row["night"] == night}.values()
        cells += f"<td>{sum(row['bytes'] for row in made) / 1e6:.1f} MB</td><td>{sum(row.get('seconds', 0) for row in made):.0f} s</td>"
        lines.append(f'<tr><th scope="row">{html.escape(night)}</th>{cells}</tr>')
    names = "".join(f'<li><span class="key {state}"></span>{state}</li>' for state in STATES)
    return (
        f'<section aria-labelledby="trend"><h2 id="trend">Nights</h2><ul class="legend">{names}</ul>'
        f'<div class="chart"><svg role="img" aria-label="Replays of each night, by outcome; the table below has the numbers" '
        f'viewBox="0 0 {max(len(shown), 20) * 12} 100" preserveAspectRatio="xMinYMax meet">{"".join(bars)}</svg>'
        f'<p><span>{html.escape(shown[0] if shown else "")} to {html.escape(shown[-1] if shown else "")}</span>'
        f'<span>at most {most} replays a night</span></p></div>'
        f'<details><summary>Numbers</summary><div class="wide" tabindex="0" role="region" aria-label="Table of nights">'
        f'<table><thead><tr><th scope="col">night</th>'
        f'{"".join(f"""<th scope="col">{name}</th>""" for name in (*STATES, "logs made", "time"))}</tr></thead>'
        f'<tbody>{"".join(reversed(lines))}</tbody></table></div></details></section>\n'
    )


def _places(found: list[tuple[Row, Row]]) -> str:
    """Where replays part, the most frequent place first."""
    groups: dict[tuple[Any, ...], list[tuple[Row, Row]]] = {}
    for row, replay in found:
        if replay["status"] == 1:
            groups.setdefault((row["guest"], *place(replay)), []).append((row, replay))
    lines = []
    for (guest, *_), some in sorted(groups.items(), key=lambda entry: (-len(entry[1]), str(entry[0]))):
        row, replay = some[-1]
        nights = sorted({row["night"] for row, _ in some})
        cells = [
            html.escape(guest),
            f'<span class="num">{len(some)}</span>',
            html.escape(sentence(replay)),
            html.escape(nights[0]),
            html.escape(nights[-1]),
            _link(replay.get("report"), f"report of {guest} {row['night']} run {row['number']}"),
        ]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    if not lines:
        return '<section aria-labelledby="places"><h2 id="places">Where replays part</h2><p>Nowhere.</p></section>\n'
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("guest", "times", "what", "first night", "last night", "last one"))
    return (
        f'<section aria-labelledby="places"><h2 id="places">Where replays part</h2><div class="wide" tabindex="0" role="region" '
        f'aria-label="Table of places"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div></section>\n'
    )


def _table(found: list[tuple[Row, Row]], references: Mapping[str, tuple[str, int]], there: set[str]) -> str:
    newest = sorted(found, key=lambda pair: (pair[0]["night"], pair[1]["status"], -pair[0]["number"]), reverse=True)
    shown = newest[:MOST_ROWS]
    lines = []
    for row, replay in shown:
        run = str(row["run"])
        good = references.get(run) if replay["status"] == 1 else None
        cells = [
            html.escape(str(row["night"])),
            html.escape(str(row["guest"])),
            f'<span class="num">{row["number"]}</span>',
            html.escape(str(replay["name"])),
            f'<span class="{_state(replay)}">{html.escape(str(replay.get("verdict")))}</span>',
            html.escape(sentence(replay)) if replay["status"] else "",
            _link(replay.get("report"), f"report of {row['guest']} {row['night']} run {row['number']} replay {replay['name']}"),
            f"<code>{html.escape(run)}</code>" if run in there else "removed",
            f"<code>{html.escape(good[0])}</code>, up to brctr {good[1]}" if good else "",
        ]
        data = {"night": row["night"], "guest": row["guest"], "state": _state(replay)}
        attributes = "".join(f' data-{name}="{html.escape(str(value))}"' for name, value in data.items())
        lines.append(f"<tr{attributes}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    filters = "".join(
        f'<label>{name}<select data-key="{name}"><option value="">all</option>'
        + "".join(f"<option>{html.escape(value)}</option>" for value in values)
        + "</select></label>"
        for name, values in (
            ("night", sorted({str(row["night"]) for row, _ in shown}, reverse=True)),
            ("guest", sorted({str(row["guest"]) for row, _ in shown})),
            ("state", STATES),
        )
    )
    names = ("night", "guest", "run", "replay", "verdict", "what", "report", "files", "good run that agrees longest")
    omitted = len(newest) - len(shown)
    note = f'<p class="note">The oldest {omitted} replays are left out; the data set has them.</p>' if omitted else ""
    return (
        f'<section aria-labelledby="replays"><h2 id="replays">Replays</h2><form class="filters" hidden>{filters}'
        f'<label>text<input type="search" data-key="text" autocomplete="off"></label>'
        f'<output aria-live="polite"></output></form>{note}<div class="wide" tabindex="0" role="region" aria-label="Table of replays">'
        f'<table id="rows"><thead><tr>{"".join(f"""<th scope="col">{name}</th>""" for name in names)}</tr></thead>'
        f'<tbody>{"".join(lines)}</tbody></table></div></section>\n'
    )


def _link(report: Optional[str], name: str) -> str:
    """A link to a report, if it lies where reports lie."""
    if not report or not re.fullmatch(r"reports/[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*\.html", report):
        return ""
    return f'<a href="{html.escape(report)}" aria-label="{html.escape(name)}">report</a>'
