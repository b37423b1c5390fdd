# SPDX-License-Identifier: GPL-2.0-or-later
"""The queries about data sets in docs/fleets.md, on runs of which the right answer is known: planted.py, and `run` of conftest.

test_docs.py compares what the page shows; this file says what is right.
"""

import re
import subprocess
import sys

import duckdb
import pytest

import ttlog
from conftest import ROOT

SECTIONS = dict(
    (part.split("\n", 1)[0], part)
    for part in re.split(r"^### ", (ROOT / "docs/fleets.md").read_text().split("## A data set for hundreds of runs\n")[1], flags=re.MULTILINE)
)


def examples(heading):
    """The Python examples of a section."""
    blocks = re.findall(r"^    >>> .*\n(?:    \.\.\. ?.*\n)*", SECTIONS[heading], flags=re.MULTILINE)
    return ["\n".join(line[8:] for line in block.splitlines()) for block in blocks]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_folder, nights):
    """A folder in which the queries run: `lake` and `nights`."""
    place = tmp_path_factory.mktemp("cookbook")
    command = [sys.executable, "-m", "ttlog", "lake", place / "lake", "run"]
    subprocess.run(command, cwd=run_folder.parent, check=True, capture_output=True)
    (place / "nights").symlink_to(nights)
    return place


@pytest.fixture
def answers(folder, monkeypatch):
    """Runs the queries of a section; returns the rows of each."""
    monkeypatch.chdir(folder)
    names = {"duckdb": duckdb}
    exec(examples("What a reader sees")[0], names)
    return lambda heading: [eval(query, names).fetchall() for query in examples(heading)]


def test_every_query_is_tested():
    asked = {heading for heading in SECTIONS if any("table(" in example for example in examples(heading))}
    source = open(__file__, encoding="utf-8").read()
    assert len(asked) > 9 and [heading for heading in asked if f'"{heading}"' not in source] == []


def test_which_runs_agree_for_longest(answers, run_folder):
    [rows] = answers("Which runs agree with this one for longest?")
    cells = {}
    for name in ("run", "run/replays/2"):
        place = ttlog.diverge(run_folder.parent / name, run_folder / "replays/1").place
        cells[name] = place.brctr >> 16 << 16
    assert dict(rows) == cells and min(cells.values()) > 0


def test_which_runs_are_the_same(answers):
    assert answers("Which runs are the same?") == [[(2, ["run", "run/replays/2"]), (1, ["run/replays/1"])]]


def test_where_the_replays_part(answers, run_folder):
    place = ttlog.diverge(run_folder, run_folder / "replays/1").place
    expected = [("control-flow", "path", f"{place.ip:X}", 1, "run/replays/1")]
    assert answers("Where do the replays part, and how often?") == [expected]


def test_which_recordings_replay_only_sometimes(answers):
    assert answers("Which recordings replay well only sometimes?") == [[("run", 2, 1)]]


def test_branches_that_ran_more_often(answers):
    """The extra turn of the loop, and nothing else."""
    [rows] = answers("Which branches ran more often in one run than in another?")
    assert [row[:5] for row in rows] == [("201040", "201020", "jcc!", 192, 193)]


def test_four_nights(answers):
    expected = [("2026-11-27", "guest/1", 2, 0), ("2026-11-28", "guest/2", 2, 1), ("2026-11-29", "guest/3", 2, 1), ("2026-11-30", "guest/5", 1, 0)]
    assert answers("Four nights") == [expected]


def test_the_first_night_of_an_edge(answers):
    assert answers("In which night did an edge run for the first time?") == [
        [
            ("1000", "3000", "2026-11-28", "guest/2/replays/2", 2, 2),
            ("1000", "5000", "2026-11-28", "guest/4", 1, 1),
            ("1000", "4000", "2026-11-29", "guest/3", 5, 5),
        ]
    ]


def test_coverage_of_the_fleet(answers):
    by_night, by_run = answers("What does the fleet cover?")
    assert by_night == [("2026-11-27", 2, 2), ("2026-11-28", 2, 4), ("2026-11-29", 1, 5), ("2026-11-30", 0, 5)]
    assert by_run == [("guest/4", 3, 60, 1), ("guest/3/replays/2", 4, 80, 0), ("guest/2/replays/2", 3, 60, 0), ("guest/3", 3, 60, 0)]


def test_the_critical_event(answers):
    """The interrupt that bad runs miss, then the exception that they have; an event that both have is further down."""
    [rows] = answers("Which event is critical: what do bad runs have that good ones have not, or the reverse?")
    assert rows[:2] == [
        (0, 40, "interrupt", "vector 33 -> 0x8000", 10, 10, 0, 2),
        (0, 44, "exception", "vector 14", 0, 10, 2, 2),
    ]
    # By chance in one of two bad runs, and in 2 and 3 of ten good ones.
    assert [(row[1], row[4], row[6]) for row in rows[2:]] == [(20, 3, 0), (25, 2, 1)]


def test_cost_and_size_by_night(answers):
    [rows] = answers("What does the fleet cost, night after night?")
    recordings, replays = (1, 2, 1, 1), (2, 2, 2, 1)
    before = None
    for night, row in enumerate(rows):
        runs = recordings[night] + replays[night]
        record, replay, compare, store = (2 + night) * recordings[night], 4 * replays[night], 0.25 * replays[night], 0.5 * runs
        cpu = 1.5 * (record + replay + compare + store)
        percent = None if before is None else round(100 * (cpu / runs / before - 1))
        assert row == (f"2026-11-{27 + night}", runs, 100 * runs, 1000 * runs, record, replay, compare, store, cpu, percent)
        before = cpu / runs
    assert len(rows) == 4


def test_after_compaction(answers, folder):
    """All the same from compacted files."""
    headings = [heading for heading in SECTIONS if any("table(" in example and "duckdb" in example for example in examples(heading))]
    headings = [heading for heading in headings if heading not in ("What a reader sees", "Compaction")]
    before = {heading: answers(heading) for heading in headings}
    for lake in ("lake", "nights"):
        command = [sys.executable, "-m", "ttlog", "compact", lake]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    assert {heading: answers(heading) for heading in headings} == before
    assert [rows for [rows] in [answers("Compaction")]] == [[("run", 1217874), ("run/replays/1", 1217875), ("run/replays/2", 1217874)]]
