# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog nightly`, with scripts in place of the tools that copy recorded logs; and what it decides and writes."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import duckdb
import pytest

from conftest import FIXTURES
from ttlog import _nightly, _nightly_ci, _nightly_config, _nightly_keep, _nightly_page
from ttlog._errors import LogError
from ttlog.__main__ import main

# The last argument of tt-record before `--` is the run directory; the name of the guest says what its replay does.
RECORD = """#!/bin/sh
[ "$1" != --fails ] || { echo "no such kernel" >&2; exit 2; }
[ "$1" != --hangs ] || exec sleep 60
run=$3
mkdir -p "$run"
echo "$$" >>"$TT_CALLS"
cp "$TT_FIXTURES/recording.log" "$run/ttd.log"
"""
REPLAY = """#!/bin/sh
out=$1/replays/$3
mkdir -p "$out"
[ "$5" != --slow ] || sleep 0.3
[ "$5" != --crashes ] || exit 2
name=faithful
case $5-$1-$3 in --always-*|--sometimes-*/*[02468]-2) name=extra-turn ;; esac
cp "$TT_FIXTURES/$name.log" "$out/ttd.log"
[ $name = faithful ]
"""
REPORT = """#!/bin/sh
for out; do :; done
case $out in
*.json) printf '{"title": "control flow differs", "summary": "at <step> the replay branches"}' >"$out" ;;
*) echo '<!DOCTYPE html>' >"$out" ;;
esac
exit 1
"""


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A folder with tools; the function that it returns writes a configuration there."""
    (tmp_path / "tools").mkdir()
    for name, text in (("tt-record", RECORD), ("tt-replay", REPLAY), ("tt-analyze", REPORT)):
        path = tmp_path / "tools" / name
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("TT_FIXTURES", str(FIXTURES))
    monkeypatch.setenv("TT_CALLS", str(tmp_path / "calls"))

    def write(guests, keep="1G"):
        path = tmp_path / "nightly.ini"
        path.write_text(f"[nightly]\ntools = tools\nout = out\nkeep = {keep}\njobs = 2\n\n{guests}")
        return str(path)

    write.folder = tmp_path
    return write


def run_directories(corpus):
    return sorted(str(path.relative_to(corpus.folder / "out")) for path in (corpus.folder / "out/runs").glob("*/*/*"))


def calls(corpus):
    return len((corpus.folder / "calls").read_text().splitlines())


SOMETIMES = "[guest boot]\nrecord = --plain\nreplay = --sometimes\nruns = 3\nreplays = 2\n"


def test_a_night(corpus, capsys):
    config = corpus(SOMETIMES)
    junit = corpus.folder / "all.xml"
    assert main(["nightly", config, "--night", "n1", "--annotations", "--junit", str(junit)]) == 1
    output = capsys.readouterr().out.splitlines()
    assert output == [
        f"::error file={config},title=boot::control flow differs at brctr 1179549: at <step> the replay branches (run 2, replay 2)",
        "boot: 3 runs, 6 replays: 5 identical, 1 parted, 0 in trouble",
    ]
    # The run that parted stays, and a good run beside it; both are in the data set with the others.
    assert run_directories(corpus) == ["runs/n1/boot/0001", "runs/n1/boot/0002"]
    out = corpus.folder / "out"
    assert json.loads((out / "nights/n1/references.json").read_text()) == {"runs/n1/boot/0002": ["runs/n1/boot/0001", 1179549]}
    rows = duckdb.sql(f"SELECT run, verdict FROM read_parquet('{out}/lake/verdicts/*/*.parquet', hive_partitioning = true)")
    found = dict(rows.fetchall())
    assert len(found) == 6 and [run for run, verdict in found.items() if verdict != "identical"] == ["runs/n1/boot/0002/replays/2"]
    # What each step has cost: recording, replaying, and the report about what parted.
    costs = duckdb.sql(f"SELECT run, step FROM read_parquet('{out}/lake/costs/*/*.parquet') WHERE seconds > 0 AND cpu_seconds > 0").fetchall()
    made = {(run, "record" if "/replays/" not in run else "replay") for run, _ in costs}
    assert len(made) == 9 and made | {("runs/n1/boot/0002/replays/2", "report")} == {(run, step) for run, step in costs if step not in ("store", "compare")}
    [suite] = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "0")
    [failure] = suite.iter("failure")
    assert "<step>" in failure.get("message") and "reports/n1/boot-0002-2.html" in failure.text
    assert (out / "reports/n1/boot-0002-2.html").exists()
    page = (out / "index.html").read_text()
    assert "at &lt;step&gt; the replay branches" in page and 'href="reports/n1/boot-0002-2.html"' in page


def test_a_night_is_continued_and_the_next_one_added(corpus):
    config = corpus(SOMETIMES)
    assert main(["nightly", config, "--night", "n1"]) == 1
    assert main(["nightly", config, "--night", "n1"]) == 1
    assert calls(corpus) == 3
    # The last row is cut off: that run is made again, with what its data set has replaced.
    journal = corpus.folder / "out/nights/n1/runs.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])
    assert main(["nightly", config, "--night", "n1"]) == 1
    assert calls(corpus) == 4 and len(journal.read_text().splitlines()) == 3
    assert main(["nightly", corpus(SOMETIMES.replace("--sometimes", "--plain")), "--night", "n2"]) == 0
    # Nothing parted: the last good run of the night is there for the next one.
    assert run_directories(corpus) == ["runs/n1/boot/0001", "runs/n1/boot/0002", "runs/n2/boot/0003"]
    assert main(["nightly", corpus(SOMETIMES.replace("--sometimes", "--plain")), "--night", "n3"]) == 0
    assert run_directories(corpus) == ["runs/n1/boot/0001", "runs/n1/boot/0002", "runs/n3/boot/0003"]


def test_the_budget_holds_also_within_a_night(corpus, monkeypatch, capsys):
    """Each run has three logs of 95 KB. The folder never holds many more than the budget allows."""
    most = []
    real = _nightly._retain
    monkeypatch.setattr(_nightly, "_retain", lambda config, rows: (most.append(len(run_directories(corpus))), real(config, rows))[1])
    config = corpus(SOMETIMES.replace("runs = 3", "runs = 8"), keep="300K")
    assert main(["nightly", config, "--night", "n1"]) == 1
    assert len(most) > 1 and max(most) <= 5
    [left] = run_directories(corpus)
    assert "`keep` has no room for" in capsys.readouterr().err
    assert left in ("runs/n1/boot/0002", "runs/n1/boot/0004", "runs/n1/boot/0006", "runs/n1/boot/0008")


def test_trouble_is_reported(corpus, capsys):
    guests = (
        "[guest a]\nrecord = --fails\nruns = 1\n[guest b]\nrecord = --plain\nreplay = --crashes\nruns = 1\n"
        "[guest c]\nrecord = --hangs\nruns = 1\ntimeout = 1\n"
    )
    began = time.monotonic()
    assert main(["nightly", corpus(guests), "--night", "n1", "--annotations"]) == 2
    assert time.monotonic() - began < 30
    output = capsys.readouterr().out
    assert "title=a::tt-record: status 2: no such kernel (run 1)" in output
    assert "title=b::tt-replay: status 2: no message (run 1, replay 1)" in output
    assert "title=c::tt-record: status -15: ended after 1 s; no message (run 1)" in output
    assert "b: 1 runs, 1 replays: 0 identical, 0 parted, 1 in trouble" in output


def test_a_killed_call_leaves_no_process_and_is_continued(corpus):
    config = corpus("[guest boot]\nrecord = --plain\nreplay = --slow\nruns = 6\n")
    command = [sys.executable, "-m", "ttlog", "nightly", config, "--night", "n1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    journal = corpus.folder / "out/nights/n1/runs.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = journal.read_bytes().count(b"\n")
    # Its children end with it; they hold the lock of the folder until then.
    deadline = time.monotonic() + 20
    while (status := main(["nightly", config, "--night", "n1"])) == 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 0
    assert len(journal.read_text().splitlines()) == 6 and 6 <= calls(corpus) <= 6 + 2 and done < 6
    lake = corpus.folder / "out/lake"
    count = duckdb.sql(f"SELECT count(*), count(DISTINCT run) FROM read_parquet('{lake}/runs/*/*.parquet', hive_partitioning = true)")
    assert count.fetchall() == [(12, 12)]
    # A replay waits for 0.3 s, which is time and takes no processor.
    costs = duckdb.sql(f"SELECT seconds, cpu_seconds FROM read_parquet('{lake}/costs/*/*.parquet') WHERE step = 'replay'").fetchall()
    assert len(costs) == 6 and all(seconds >= 0.3 > cpu_seconds for seconds, cpu_seconds in costs)


def row(night, number, status, size=10, ip=7, guest="g"):
    replays = [{"name": "1", "status": status, "verdict": "control-flow" if status else "identical", "class": "path", "original_ip": ip}]
    run = f"runs/{night}/{guest}/{number}"
    return {"night": night, "guest": guest, "number": number, "run": run, "status": status, "bytes": size, "replays": replays, "error": None}


def test_what_is_kept():
    rows = [row("n1", 1, 0), row("n1", 2, 0), row("n1", 3, 1), row("n1", 4, 1), row("n1", 5, 1, ip=8)]
    pairs = _nightly_keep.pairs(rows)
    assert len(pairs) == 6 and ("runs/n1/g/1", "runs/n1/g/3/replays/1") in pairs
    agreements = {pair: 100 if pair[0].endswith("1") else 200 for pair in pairs}
    plan = _nightly_keep.plan(rows, agreements, 1000)
    assert plan.keep == {f"runs/n1/g/{number}" for number in (2, 3, 4, 5)}
    assert plan.references["runs/n1/g/3"] == ("runs/n1/g/2", 200) and plan.over_budget == []
    # With less room, one run of each place stays, with the good one.
    plan = _nightly_keep.plan(rows, agreements, 30)
    assert plan.keep == {f"runs/n1/g/{number}" for number in (2, 3, 5)} and plan.over_budget == ["runs/n1/g/4"]
    # Without room for the good one, the one that parted stays alone.
    assert _nightly_keep.plan(rows, agreements, 10).keep == {"runs/n1/g/3"}
    # A newer run of the same place is worth more than the older one.
    plan = _nightly_keep.plan([*rows, row("n2", 1, 1)], agreements, 10)
    assert plan.keep == {"runs/n2/g/1"}
    # Logs that cannot be compared are no references.
    assert _nightly_keep.plan(rows, dict.fromkeys(pairs), 1000).references == {}


def test_what_a_configuration_may_not_say(tmp_path):
    path = tmp_path / "c.ini"
    for text, expected in (
        ("", "no section"),
        ("[guest a]\n", "`record` is missing"),
        ("[guest ../a]\nrecord = x\n", "a guest's name"),
        ("[guest a]\nrecord = x\nrans = 3\n", "rans is no key"),
        ("[guest a]\nrecord = 'x\n", "record: No closing quotation"),
        ("[guest a]\nrecord = x\nruns = 0\n", "runs: a number from 1"),
        ("[nightly]\nkeep = much\n[guest a]\nrecord = x\n", "keep: a size"),
        ("[other]\n[guest a]\nrecord = x\n", "[other]: is no section"),
        ("record = x\n", "no section headers"),
    ):
        path.write_text(text)
        with pytest.raises(LogError, match="(?s).*") as caught:
            _nightly_config.read(str(path))
        assert expected in str(caught.value) and "c.ini" in str(caught.value)
    path.write_text("[DEFAULT]\nrecord = --kernel 'a b'\n[nightly]\nkeep = 3K\n[guest a]\nruns = 3 ; three\n")
    config = _nightly_config.read(str(path))
    assert config.guests[0].record == ["--kernel", "a b"] and (config.keep, config.guests[0].runs) == (3072, 3)
    assert main(["nightly", str(tmp_path / "nothing.ini")]) == 2


def test_hostile_text_stays_text():
    bad = row("n1", 1, 1, guest="g<b>")
    bad["replays"][0].update(title="</script><script>alert(1)</script>\x1b[31m\x00\n::error::x", report="javascript:alert(1)")
    other = row("n1", 2, 1, ip=9)
    other["replays"][0]["report"] = "reports/../../etc/passwd.html"
    page = _nightly_page.page([bad, other], {bad["run"]: ("<i>", 3)}, {bad["run"]})
    assert "<script>alert" not in page and "javascript:" not in page and "passwd" not in page and "<i>" not in page and "<b>" not in page
    assert ElementTree.fromstring(_nightly_ci.junit("a\x00b", [bad]))[0].get("failures") == "1"
    lines = _nightly_ci.github("a,b:c\nd", [bad]).splitlines()
    assert len(lines) == 1 and lines[0].startswith("::error file=a%2Cb%3Ac%0Ad,title=g<b>::") and "%0A::error" in lines[0]


def test_the_page_is_bounded(monkeypatch):
    monkeypatch.setattr(_nightly_page, "MOST_ROWS", 5)
    rows = [row(f"n{number:03d}", number, number % 3) for number in range(100)]
    page = _nightly_page.page(rows, {}, set())
    assert page.count("<tr data-") == 5 and "The oldest 95 replays are left out" in page
    assert "Nowhere" in _nightly_page.page([row("n1", 1, 0)], {}, set())
    assert "No runs" in _nightly_page.page([], {}, set())


def test_one_process_at_a_time(corpus):
    config = corpus(SOMETIMES)
    (corpus.folder / "out").mkdir()
    import fcntl

    with open(corpus.folder / "out/.lock", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert main(["nightly", config]) == 2
