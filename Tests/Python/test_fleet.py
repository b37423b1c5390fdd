# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog`: data sets and verdicts of many runs."""

import faulthandler
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import duckdb
import pyarrow
import pyarrow.parquet
import pytest

import planted
import ttlog
from ttlog import _children, _compact, _lake, _lake_state, _parquet, _storage, _verdicts
from ttlog.__main__ import main


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_all_children_are_waited_for(jobs):
    for count in range(4):
        outcomes = list(_children.run(range(count), lambda task: task * 2, jobs))
        assert sorted(outcome.result for outcome in outcomes) == [2 * task for task in range(count)]


def test_children_return_fail_crash_and_hang():
    def work(task):
        if task == "crash":
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGILL)
        if task == "hang":
            time.sleep(60)
        if task == "raise":
            raise ValueError("no such thing")
        if task == "leave":
            os._exit(7)
        return {"task": task, "filler": "x" * 200_000}

    tasks = ["a", "crash", "raise", "hang", "leave", "b"]
    found = {outcome.task: outcome for outcome in _children.run(tasks, work, jobs=3, timeout=1.0)}
    assert set(found) == set(tasks)
    assert found["a"].result["task"] == "a" and found["b"].error is None
    assert (found["crash"].signal, found["crash"].result) == (signal.SIGILL, None)
    assert found["raise"].error == "no such thing" and found["raise"].signal is None
    assert (found["hang"].signal, found["hang"].error) == (signal.SIGKILL, "timed out")
    assert found["leave"].error == "ended with status 7"


@pytest.fixture
def pairs(run_folder, tmp_path):
    path = tmp_path / "pairs.csv"
    lines = ["night,replay,original"]
    lines += [f"{night},{run_folder}/replays/{replay},{run_folder}" for night, replay in ((1, "1"), (2, "2"))]
    lines.append(f"3,{tmp_path}/nothing,{run_folder}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def rows(folder):
    lines = (pathlib.Path(folder) / "verdicts.jsonl").read_text().splitlines()
    return {row["replay"].rsplit("/", 1)[1]: row for row in map(json.loads, lines)}, len(lines)


def test_verdicts(pairs, tmp_path, run_folder):
    out = tmp_path / "out"
    assert main(["verdicts", pairs, "-o", str(out)]) == 2
    found, count = rows(out)
    assert count == 3
    mine = ttlog.diverge(run_folder, run_folder / "replays/1")
    assert (found["1"]["verdict"], found["1"]["original_brctr"]) == ("control-flow", mine.place.brctr)
    assert found["1"]["original_icount"] == mine.place.icount and found["1"]["original_ip"] == mine.place.ip
    assert (found["2"]["verdict"], found["2"]["status"]) == ("identical", 0)
    assert found["nothing"]["verdict"] == "failed" and "cannot be opened" in found["nothing"]["error"]
    # DuckDB reads the rows as they are.
    assert duckdb.sql(f"SELECT count(*) FROM '{out}/verdicts.jsonl' WHERE status = 1").fetchall() == [(1,)]


def test_verdicts_are_continued(pairs, tmp_path):
    out = tmp_path / "out"
    main(["verdicts", pairs, "-o", str(out)])
    path = out / "verdicts.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    # Killed while the third row was written: the row is made again, the others are kept.
    marked = lines[0].replace(b'"version": 1', b'"version": 1, "kept": true')
    path.write_bytes(marked + lines[1] + lines[2][:20])
    assert main(["verdicts", pairs, "-o", str(out)]) == 2
    again = path.read_bytes().splitlines(keepends=True)
    assert again[:2] == [marked, lines[1]] and len(again) == 3
    assert rows(out)[0].keys() == {"1", "2", "nothing"}
    path.write_bytes(b'{"version": 99, "original": "a", "replay": "b", "status": 0}\n')
    assert main(["verdicts", pairs, "-o", str(out)]) == 2
    assert path.read_bytes().count(b"\n") == 1


def test_a_pair_that_kills_its_process_is_a_row(monkeypatch, pairs, tmp_path):
    real = _verdicts.verdict

    def deadly(pair):
        if pair.replay.endswith("/1"):
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        return real(pair)

    monkeypatch.setattr(_verdicts, "verdict", deadly)
    assert _verdicts.run(_verdicts.read_pairs(pairs), str(tmp_path / "out"), 2, None) == 2
    found, _ = rows(tmp_path / "out")
    assert (found["1"]["verdict"], found["1"]["signal"]) == ("crashed", signal.SIGSEGV)
    assert found["2"]["verdict"] == "identical"


def test_wrong_lists(tmp_path):
    path = tmp_path / "pairs.csv"
    for text in ("", "onlyone\n", "original,replay\na\n"):
        path.write_text(text)
        assert main(["verdicts", str(path), "-o", str(tmp_path / "out")]) == 2


@pytest.fixture(scope="module")
def lake(tmp_path_factory, run_folder):
    out = tmp_path_factory.mktemp("lake") / "out"
    command = [sys.executable, "-m", "ttlog", "lake", str(out), str(run_folder), "--branches"]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    assert output.stderr.endswith("3 added, 0 unchanged, 0 failed\n")
    return out


def table(lake, name):
    return f"read_parquet('{lake}/{name}/*/*.parquet', hive_partitioning = true)"


def test_a_lake_holds_the_runs(lake, run_folder):
    names = [str(run_folder), f"{run_folder}/replays/1", f"{run_folder}/replays/2"]
    found = duckdb.sql(f"SELECT run, branches, original FROM {table(lake, 'runs')} ORDER BY run").fetchall()
    assert found == [
        (name, ttlog.open(name).vcpus[0].branches, None if index == 0 else names[0]) for index, name in enumerate(names)
    ]
    for name, columns in (("branches", None), ("events", _lake.EVENT_COLUMNS), ("chunks", None), ("edges", None)):
        [place] = (lake / name).glob(f"night=*/{_lake_state.file_name(names[1])}")
        stored = pyarrow.parquet.read_table(place, partitioning=None)
        assert set(stored["run"].to_pylist()) == {names[1]}
        stored = stored.drop(["run"])
        stream = ttlog.Stream(ttlog.open(names[1]), name, columns).to_arrow()
        assert stored.num_rows == stream.num_rows
        assert stored.slice(0, 500).to_pylist() == stream.slice(0, 500).to_pylist()
    verdicts = duckdb.sql(f"SELECT replay, verdict FROM {table(lake, 'verdicts')} ORDER BY replay").fetchall()
    assert verdicts == [(names[1], "control-flow"), (names[2], "identical")]


def test_branches_are_stored_small(lake, run_folder):
    """The settings matter: pyarrow's own take several times as much."""
    size = sum(path.stat().st_size for path in (lake / "branches").glob("*/*.parquet"))
    rows = duckdb.sql(f"SELECT count(*) FROM {table(lake, 'branches')}").fetchall()[0][0]
    assert size / rows < 0.3


def test_the_first_differing_chunk_is_found_in_the_lake(lake, run_folder):
    """The table of chunks brackets a divergence as diverge finds it."""
    query = f"""
        WITH c AS (SELECT * FROM {table(lake, 'chunks')} WHERE stream = 'branch')
        SELECT b.run, min(b.brctr_first) FROM c a JOIN c b USING (vcpu, epoch, cell, part)
        WHERE a.run = '{run_folder}' AND b.run <> a.run AND a.path <> b.path AND NOT b.is_partial GROUP BY ALL
    """
    found = duckdb.sql(query).fetchall()
    place = ttlog.diverge(run_folder, run_folder / "replays/1").place.brctr
    assert found == [(f"{run_folder}/replays/1", place >> 16 << 16)]


def test_a_lake_is_continued(lake, run_folder, tmp_path):
    assert main(["lake", str(lake), str(run_folder)]) == 0
    stored = {path: path.stat().st_mtime_ns for path in lake.glob("*/*/*.parquet")}
    # A run whose last table is missing is made again, in whole; the others are left alone.
    name = _lake_state.file_name(f"{run_folder}/replays/1")
    [place] = (lake / "runs").glob(f"*/{name}")
    place.unlink()
    (lake / ".999999999-edges").mkdir()
    (lake / ".999999999-chunks-night=1-x.parquet").write_text("cut off")
    assert main(["lake", str(lake), str(run_folder), "--branches"]) == 0
    changed = {path for path in lake.glob("*/*/*.parquet") if stored[path] != path.stat().st_mtime_ns}
    assert changed and {path.name for path in changed} == {name}
    assert {path.name for path in lake.iterdir()} == {".lock", "_ttlog.json", *_lake_state.TABLES}
    (tmp_path / "file").write_text("not a lake")
    assert main(["lake", str(tmp_path), str(run_folder)]) == 2
    (lake / "_ttlog.json").write_text('{"schema": "ttlog-lake", "version": 1}')
    assert main(["lake", str(lake), str(run_folder)]) == 2
    (lake / "_ttlog.json").write_text(json.dumps({"schema": "ttlog-lake", "version": _lake_state.VERSION}))


def contents(lake):
    """All rows of a data set, without the order."""
    return {
        name: sorted(duckdb.sql(f"SELECT * FROM {table(lake, name)}").fetchall(), key=repr)
        for name in _lake_state.TABLES
        if (lake / name).exists()
    }


@pytest.fixture
def nights(tmp_path, run_folder, recording):
    """A data set of two nights."""
    out = tmp_path / "nights"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/ttd.log").write_bytes(pathlib.Path(recording).read_bytes())
    assert main(["lake", str(out), str(run_folder), "--night", "2026-11-29"]) == 0
    assert main(["lake", str(out), str(run_folder), str(tmp_path / "other"), "--night", "2026-11-30"]) == 0
    return out


def test_nights_are_compacted(nights, run_folder, capsys):
    before = contents(nights)
    assert main(["compact", str(nights), "--night", "2026-11-29"]) == 0
    assert capsys.readouterr().err.endswith("17 files before, 6 after\n")
    assert contents(nights) == before
    assert main(["compact", str(nights)]) == 0
    assert contents(nights) == before
    assert [path.name for path in (nights / "edges/night=2026-11-29").iterdir()] == ["whole.parquet"]
    # Compacted runs are known; a new one is added beside the compacted file, and compacted with it.
    assert main(["lake", str(nights), str(run_folder), f"{run_folder}/replays/2/ttd.log", "--night", "2026-11-29"]) == 0
    assert capsys.readouterr().err.endswith("1 added, 3 unchanged, 0 failed\n")
    after = contents(nights)
    assert {name: len(rows) for name, rows in after.items() if name == "runs"} == {"runs": 5}
    assert main(["compact", str(nights)]) == 0
    assert contents(nights) == after


def test_a_changed_run_leaves_no_rows_of_its_former_state(nights, run_folder, tmp_path):
    main(["compact", str(nights)])
    before = contents(nights)
    log = tmp_path / "other/ttd.log"
    log.write_bytes((run_folder / "replays/1/ttd.log").read_bytes())
    assert main(["lake", str(nights), str(tmp_path / "other"), "--night", "2026-12-01"]) == 0
    rows = duckdb.sql(f"SELECT run, night::text, digest FROM {table(nights, 'runs')} ORDER BY run").fetchall()
    digest = {name: value for name, _, value in rows}
    assert len(rows) == 4 and digest[str(tmp_path / "other")] == digest[f"{run_folder}/replays/1"]
    assert (str(tmp_path / "other"), "2026-12-01") in {row[:2] for row in rows}
    chunks = duckdb.sql(f"SELECT run, count(DISTINCT night) FROM {table(nights, 'chunks')} GROUP BY 1").fetchall()
    assert [count for _, count in chunks] == [1, 1, 1, 1]
    assert len(contents(nights)["edges"]) != len(before["edges"]) or contents(nights)["edges"] != before["edges"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_compaction_can_be_killed(nights, monkeypatch, moment):
    """Before the folders change places, and after it: all rows are there, once, and the next call cleans up."""
    real = _compact._exchange
    before = contents(nights)

    def deadly(first, second):
        if moment == "after":
            real(first, second)
        if "events" in second:
            os.kill(os.getpid(), signal.SIGKILL)
        if moment == "before":
            real(first, second)

    monkeypatch.setattr(_compact, "_exchange", deadly)
    assert main(["compact", str(nights)]) == 2
    assert contents(nights) == before
    assert list(nights.glob(".[0-9]*"))
    monkeypatch.setattr(_compact, "_exchange", real)
    assert main(["compact", str(nights)]) == 0
    assert contents(nights) == before and not list(nights.glob(".[0-9]*"))
    assert main(["compact", str(nights / "nothing")]) == 2 and not (nights / "nothing").exists()
    (nights / "other").mkdir()
    assert main(["compact", str(nights / "other")]) == 2 and not list((nights / "other").iterdir())
    (nights / "other").rmdir()
    files = ttlog.lake_files(str(nights), "edges", ["2026-11-29"])
    assert files == [str(nights / "edges/night=2026-11-29/whole.parquet")]
    assert main(["lake", str(nights), "nothing", "--night", "../x"]) == 2


def test_a_data_set_is_whole_when_a_call_is_killed(tmp_path_factory):
    """SIGKILL while each table is written, and while a run takes the place of its former state."""
    folder = tmp_path_factory.mktemp("killed")
    for path, night, is_good in (("one", "2026-11-27", True), ("one/replays/1", "2026-11-27", True), ("other", "2026-11-29", False)):
        planted.write_log(folder / path, planted.rows(night, path, is_good))
    (folder / "lakes").mkdir()
    program = pathlib.Path(__file__).with_name("killed_lake.py")
    done = subprocess.run([sys.executable, program, folder / "lakes", folder / "one", folder / "other"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "whole after 14 kills\nwhole after 4 kills of replacements\n"


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """What a loss of power would show: the order of flushes and renames, and new folders."""
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append(("flush", os.readlink(f"/proc/self/fd/{file}"))), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda source, target: (steps.append(("rename", str(source), str(target))), replace(source, target)))
    place = str(tmp_path / "lake")
    storage = _storage.Storage(place)
    with storage.writing("runs/night=n/a.parquet") as hidden:
        pathlib.Path(hidden).write_bytes(b"rows")
    target = f"{place}/runs/night=n/a.parquet"
    assert steps == [
        ("flush", hidden),
        ("flush", place),
        ("flush", f"{place}/runs"),
        ("rename", hidden, target),
        ("flush", f"{place}/runs/night=n"),
    ]
    # A removal is there before what follows it.
    steps.clear()
    storage.remove("runs/night=n/a.parquet")
    assert steps == [("flush", f"{place}/runs/night=n")]
    steps.clear()
    exchange = _compact._exchange
    monkeypatch.setattr(_compact, "_exchange", lambda first, second: (steps.append(("exchange", first, second)), exchange(first, second)))
    for name in "ab":
        table = pyarrow.table({"run": [name], "brctr": [1]})
        with storage.writing(f"edges/night=n/{name}.parquet") as hidden:
            _parquet.write(pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches()), hidden)
    steps.clear()
    _compact._replace(storage, "edges/night=n", ["a.parquet", "b.parquet"])
    aside = f"{place}/.{os.getpid()}-edges-night=n"
    assert steps[:3] == [("flush", f"{aside}/whole.parquet"), ("flush", aside), ("exchange", aside, f"{place}/edges/night=n")]
    assert steps[3:] == [("flush", f"{place}/edges")]


def test_costs_outlive_branches_that_are_asked_for_later(tmp_path, run_folder, recording):
    """The costs of a nightly corpus are not those of `lake`; a data set without the table is read and continued."""
    out = str(tmp_path / "out")
    task = _lake.Task("r", recording, None, out, "n", costs={"record": _lake.Cost(3.0, 5.0)})
    assert main(["lake", out, str(run_folder / "replays/1"), "--night", "n"]) == 0
    assert _children.alone(_lake.add_or_replace, task, out) == "added"

    def costs():
        rows = duckdb.sql(f"SELECT step, seconds, cpu_seconds FROM {table(out, 'costs')} WHERE run = 'r' ORDER BY step").fetchall()
        return [step for step, *_ in rows], rows[0]

    assert costs() == (["record", "store"], ("record", 3.0, 5.0))
    for step in ("alone", "compacted"):
        if step == "compacted":
            assert main(["compact", out]) == 0
        known = {"digest": _lake._signed(ttlog.open(recording).digest), "has_branches": False, "night": "n"}
        known["file"] = _lake_state.file_name("r") if step == "alone" else "whole.parquet"
        later = _lake.Task("r", recording, None, out, "n", with_branches=True, known=known)
        assert _children.alone(_lake.add_or_replace, later, out) == "added"
        assert costs() == (["record", "store"], ("record", 3.0, 5.0))
    shutil.rmtree(tmp_path / "out/costs")
    assert main(["compact", out]) == 0
    assert main(["lake", out, str(run_folder / "replays/1"), recording]) == 0


def test_a_damaged_run_is_left_out_or_counted(recording, tmp_path):
    path = tmp_path / "cut.log"
    path.write_bytes(pathlib.Path(recording).read_bytes()[:60_000])
    out = tmp_path / "out"
    assert main(["lake", str(out), str(path), recording]) == 2
    assert duckdb.sql(f"SELECT run FROM {table(out, 'runs')}").fetchall() == [(recording,)]
    assert main(["lake", str(out), str(path), "--on-damage", "skip"]) == 0
    damage = duckdb.sql(f"SELECT damage FROM {table(out, 'runs')} WHERE run = '{path}'").fetchall()
    assert damage[0][0] > 0
