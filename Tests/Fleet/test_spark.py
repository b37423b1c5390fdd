# SPDX-License-Identifier: GPL-2.0-or-later
"""ttlog.spark on a cluster of two executors, each a process of its own, and the programs of Examples/spark by spark-submit.

Usage: pytest, with the wheel in TTLOG_WHEEL.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import pyspark
import pytest

os.environ.setdefault("SPARK_HOME", os.path.dirname(pyspark.__file__))
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ["PYSPARK_PYTHON"] = sys.executable
# Java's processes live for a minute here: the optimising compiler would take most of that time.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

from pyspark.sql import SparkSession, functions  # noqa: E402

import ttlog  # noqa: E402
from conftest import FIXTURES, ttlog as ttlog_command  # noqa: E402
import ttlog.spark  # noqa: E402

PAIRS = int(os.environ.get("TT_SPARK_PAIRS", "120"))
EXAMPLES = FIXTURES.parents[1] / "Examples/spark"
MASTER = "local-cluster[2,1,2048]"
OPTIONS = {
    "spark.executor.memory": "1g",
    "spark.ui.enabled": "false",
    # A table of a hundred rows needs no 200 parts.
    "spark.sql.shuffle.partitions": "4",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The wheel as executors take it: a file named .whl is shipped to them and not put on their path; one named .zip is."""
    path = tmp_path_factory.mktemp("package") / "ttlog.zip"
    shutil.copy(os.environ["TTLOG_WHEEL"], path)
    return path


@pytest.fixture(scope="module")
def spark(package):
    builder = SparkSession.builder.master(MASTER)
    for name, value in OPTIONS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    session.sparkContext.addPyFile(str(package))
    ttlog.spark.register(session)
    yield session
    session.stop()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for source in ("recording", "extra-turn", "faithful"):
        (folder / source).mkdir()
        shutil.copy(FIXTURES / f"{source}.log", folder / source / "ttd.log")
    return folder


def submit(package, program, *words, folder):
    """Calls a program of Examples/spark as docs/fleets.md says. Returns its exit status and what it prints.

    Neither the driver nor the executors find the package anywhere but in the zip file.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [os.path.join(os.environ["SPARK_HOME"], "bin/spark-submit"), "--master", MASTER]
    for name, value in OPTIONS.items():
        command += ["--conf", f"{name}={value}"]
    command += ["--py-files", package, EXAMPLES / program, *words]
    done = subprocess.run(list(map(str, command)), env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.returncode, done.stdout


def parquet_rows(folder):
    """The rows of a folder of Spark."""
    import pyarrow.parquet

    return [row for path in pathlib.Path(folder).glob("part-*.parquet") for row in pyarrow.parquet.read_table(path).to_pylist()]


def test_the_example_of_verdicts_is_submitted(package, runs, tmp_path):
    """Into a folder that has a row of an earlier call, which is kept, and one of another list, which is not counted."""
    import pyarrow.parquet

    recording, nothing = str(runs / "recording"), str(tmp_path / "nothing")
    pairs = tmp_path / "pairs.csv"
    replays = [str(runs / "extra-turn"), str(runs / "faithful"), nothing]
    pairs.write_text("original,replay\n" + "".join(f"{recording},{replay}\n" for replay in replays))
    known = {"version": 1, "original": recording, "replay": replays[1], "status": 0, "verdict": "identical", "seconds": 99.0}
    other = {**known, "replay": "other", "status": 2, "verdict": "crashed"}
    (tmp_path / "out").mkdir()
    table = pyarrow.Table.from_pylist([known, other], schema=ttlog.spark._arrow_schema(ttlog.spark.VERDICT_SCHEMA))
    pyarrow.parquet.write_table(table, tmp_path / "out/part-0.parquet")
    status, output = submit(package, "verdicts.py", pairs, tmp_path / "out", "--timeout", "60", folder=tmp_path)
    assert (status, output) == (2, "       1  control-flow\n       1  failed\n       1  identical\n")
    found = {row["replay"]: row for row in parquet_rows(tmp_path / "out")}
    assert len(parquet_rows(tmp_path / "out")) == 4 and found[replays[1]]["seconds"] == 99.0
    place = ttlog.diverge(recording, replays[0]).place
    assert (found[replays[0]]["original_brctr"], found[replays[0]]["original_ip"]) == (place.brctr, place.ip)
    assert "cannot be opened" in found[nothing]["error"]


def short_log(folder):
    """A log of three branches, of which no other run has the last one."""
    rows = [("0x1000", "0x2000", "call"), ("0x2008", "0x1005", "ret"), ("0x1010", "0x7777", "jmp!")]
    text = "".join(json.dumps({"from": origin, "to": to, "class": kind}) + "\n" for origin, to, kind in rows)
    path = folder / "short.jsonl"
    path.write_text(text)
    return path


def test_the_example_of_edges_is_submitted(package, runs, tmp_path):
    """Which runs ran an edge, and how often."""
    paths = [runs / "recording", runs / "extra-turn", runs / "faithful", short_log(tmp_path)]
    listed = tmp_path / "runs.txt"
    listed.write_text("".join(f"{path}\n" for path in paths))
    expected = {}
    for path in map(str, paths):
        for row in ttlog.open(path).edges(strings="plain").to_arrow().to_pylist():
            count, names = expected.get((row["from"], row["to"], row["kind"]), (0, []))
            expected[row["from"], row["to"], row["kind"]] = count + row["count"], sorted([*names, path])
    status, output = submit(package, "edges.py", listed, tmp_path / "out", folder=tmp_path)
    found = {(row["from"], row["to"], row["kind"]): (row["count"], row["runs"], row["names"]) for row in parquet_rows(tmp_path / "out")}
    assert (status, found) == (0, {edge: (count, len(names), names) for edge, (count, names) in expected.items()})
    # The branch that the extra turn takes once more.
    assert found[0x201040, 0x201020, "jcc!"] == (192 + 193 + 192, 3, sorted(map(str, paths[:3])))
    shared = len(expected) - 3
    assert output == f"       3  branches in 1 of 4 runs\n{shared:8d}  branches in 3 of 4 runs\n       3  only in {paths[3]}\n"


def read(spark, runs, **options):
    reader = spark.read.format("ttlog").option("runs", ",".join(map(str, runs)))
    for name, value in options.items():
        reader = reader.option(name, value)
    return reader.load()


def test_branches(spark, runs):
    paths = [runs / "recording", runs / "extra-turn"]
    branches = read(spark, paths, parts=3)
    to, origin = functions.col("to"), functions.col("from")
    rows = branches.groupBy("run").agg(functions.count("*").alias("n"), functions.sum(to - origin).alias("sum")).collect()
    for row in rows:
        table = ttlog.open(row["run"]).branches(["from", "to"]).to_pandas()
        assert (row["n"], row["sum"]) == (len(table), (table["to"] - table["from"]).sum())
    assert {row["run"] for row in rows} == {str(path) for path in paths}
    narrow = branches.where("brctr >= 1000 AND brctr < 1010 AND run = '{}'".format(paths[0])).orderBy("brctr").collect()
    expected = ttlog.open(paths[0]).branches(start=1000, stop=1010, strings="plain").to_arrow().to_pylist()
    assert [{key: value for key, value in row.asDict().items() if key != "run"} for row in narrow] == expected


def test_conditions_choose_what_is_read(runs):
    """Without Spark: the parts that a reader makes after it got conditions."""
    from pyspark.sql.datasource import EqualTo, GreaterThanOrEqual, LessThan
    from pyspark.sql.types import StructType

    reader = ttlog.spark.Reader(StructType(), {"runs": f"{runs}/recording,{runs}/faithful", "parts": "4"})
    left = list(
        reader.pushFilters(
            [GreaterThanOrEqual(("brctr",), 500_000), LessThan(("brctr",), 500_010), EqualTo(("run",), f"{runs}/faithful"), EqualTo(("kind",), "ret")]
        )
    )
    assert [condition.attribute for condition in left] == [("kind",)]
    assert [(part.run, part.start, part.stop) for part in reader.partitions()] == [(f"{runs}/faithful", 500_000, 500_010)]


def test_other_streams(spark, runs):
    events = read(spark, [runs / "recording"], stream="events")
    expected = ttlog.open(runs / "recording").events().to_arrow()
    assert events.count() == expected.num_rows
    assert {row["kind"] for row in events.select("kind").distinct().collect()} == set(expected["kind"].to_pylist())
    chunks = read(spark, [runs / "recording"], stream="chunks")
    assert chunks.where("stream = 'branch'").agg(functions.sum("rows")).collect()[0][0] == ttlog.open(runs / "recording").vcpus[0].branches


def test_edges(spark, runs, tmp_path):
    """What DuckDB counts in the executors is what the library counts."""
    paths = [str(runs / name) for name in ("recording", "extra-turn")]
    frame = spark.createDataFrame([(path,) for path in paths], "run string")

    def by_branch(rows):
        return {(row["run"], row["vcpu"], row["from"], row["to"], row["kind"]): row for row in rows}

    expected = by_branch({"run": path, **row} for path in paths for row in ttlog.open(path).edges(strings="plain").to_arrow().to_pylist())
    found = by_branch(row.asDict() for row in ttlog.spark.edges(frame).collect())
    assert found == expected
    # All branches have a clock: with this condition DuckDB counts them.
    assert by_branch(row.asDict() for row in ttlog.spark.edges(frame, "brctr >= 0").collect()) == expected
    merged = {(row["from"], row["to"], row["kind"]): row for row in ttlog.spark.fleet_edges(frame, "kind = 'ret'", per_task=1).collect()}
    for edge, row in merged.items():
        rows = [other for key, other in expected.items() if key[2:] == edge]
        assert (row["count"], row["names"]) == (sum(other["count"] for other in rows), sorted(other["run"] for other in rows))
    assert {edge for edge in merged} == {key[2:] for key in expected if key[4] == "ret"}
    # A condition, and a range of clocks: of the branches that are in it.
    rows = ttlog.open(paths[0]).branches(["from", "to"], start=900_000, stop=1_200_000).to_pandas()
    most = rows[rows["from"] < 0x201042].groupby(["from", "to"]).size()
    some = ttlog.spark.edges(frame.where(functions.col("run") == paths[0]), '"from" < 2101314', 900_000, 1_200_000).collect()
    assert len(some) == len(most) > 10
    assert {(row["from"], row["to"]): row["count"] for row in some} == most.to_dict()
    # A run that cannot be read is an error with its path, never a run without edges.
    with pytest.raises(Exception, match=f"{tmp_path}/nothing"):
        ttlog.spark.edges(spark.createDataFrame([(f"{tmp_path}/nothing",)], "run string")).collect()


def kill_reader(path, seconds=60):
    """Ends the process that reads a named pipe, by the signal of a wrong access to memory. Returns whether there was one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for entry in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(entry) == str(path) and int(entry.parts[2]) != os.getpid():
                    os.kill(int(entry.parts[2]), signal.SIGSEGV)
                    return True
            except OSError:
                pass
        time.sleep(0.05)
    return False


def rounds(out):
    """How many jobs have written into a folder: the names of the files of one have a number in common."""
    return len({path.name.split("-", 2)[2].split("-c0")[0] for path in out.glob("part-*.parquet")})


def test_rounds(spark, runs, tmp_path):
    """A job that fails in a round keeps the rounds before; a pair that kills its process, or takes too long, is a row."""
    pairs = []
    for number in range(12):
        (tmp_path / f"replay{number:02d}").symlink_to(runs / ("extra-turn" if number % 2 else "faithful"))
        pairs.append((str(runs / "recording"), str(tmp_path / f"replay{number:02d}")))
    out = tmp_path / "out"
    ended = threading.Event()

    def cancel():
        while not ended.wait(0.05):
            if (out / "_SUCCESS").exists():
                spark.sparkContext.cancelAllJobs()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        with pytest.raises(Exception, match="(?i)cancel"):
            ttlog.spark.verdicts(spark.createDataFrame(pairs, "original string, replay string"), str(out), per_round=4, per_task=1)
    finally:
        ended.set()
        thread.join()
    kept = parquet_rows(out)
    assert len(kept) in (4, 8) and rounds(out) == len(kept) // 4
    assert [row["replay"] for row in sorted(kept, key=lambda row: row["replay"])] == [replay for _, replay in pairs[: len(kept)]]

    # Reading a pipe into which nobody writes takes forever: one process that does so is killed, the other one is late.
    pipes = [tmp_path / "x-crash", tmp_path / "y-late"]
    for pipe in pipes:
        os.mkfifo(pipe)
        pairs.append((str(runs / "recording"), str(pipe)))
    pairs.append((str(runs / "recording"), None))
    ends = [os.open(pipe, os.O_RDWR) for pipe in pipes]
    killed = []
    killer = threading.Thread(target=lambda: killed.append(kill_reader(pipes[0])))
    killer.start()
    try:
        frame = spark.createDataFrame(pairs, "original string, replay string")
        rows = ttlog.spark.verdicts(frame, str(out), per_round=4, per_task=1, timeout=8).collect()
    finally:
        killer.join()
        for end in ends:
            os.close(end)
    found = {row["replay"]: row.asDict() for row in rows}
    assert killed == [True] and len(rows) == len(found) == 15
    assert rounds(out) == 4
    # What the failed job had written was not made again: also the times are the same.
    assert all(found[row["replay"]] == row for row in kept)
    for number in range(12):
        assert found[pairs[number][1]]["verdict"] == ("control-flow" if number % 2 else "identical")
    crashed, late, nameless = found[str(pipes[0])], found[str(pipes[1])], found[None]
    assert (crashed["verdict"], crashed["status"], crashed["signal"]) == ("crashed", 2, signal.SIGSEGV)
    assert "SIGSEGV" in crashed["error"]
    assert (late["verdict"], late["status"], late["error"]) == ("timed-out", 2, "timed out") and late["seconds"] >= 8
    assert nameless["verdict"] == "failed"
    # Nothing is left, also of the pair without a name.
    assert ttlog.spark.verdicts(frame, str(out), per_round=4).count() == 15 and rounds(out) == 4


def executors(spark):
    """The executors of this cluster: the processes that were given its driver's port."""
    port = spark.sparkContext.getConf().get("spark.driver.port")
    lines = subprocess.run(["ps", "-eww", "-o", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split(None, 1) for line in lines[1:]]
    return [
        int(pid)
        for pid, arguments in rows
        if "CoarseGrainedExecutorBackend" in arguments and f":{port} " in arguments and "java" in arguments.split()[0]
    ]


def test_verdicts_with_an_executor_killed(spark, runs, tmp_path):
    """Half of the pairs differ. One of two executors dies in the middle; each pair has its row, once."""
    for number in range(PAIRS):
        (tmp_path / f"replay{number}").symlink_to(runs / ("extra-turn" if number % 2 else "faithful"))
    pairs = [(str(runs / "recording"), str(tmp_path / f"replay{number}")) for number in range(PAIRS)]
    pairs.append((str(runs / "recording"), str(tmp_path / "nothing")))
    frame = spark.createDataFrame(pairs, "original string, replay string")
    killed = []
    done = threading.Event()

    def kill():
        tracker = spark.sparkContext.statusTracker()
        while not done.is_set():
            for stage in tracker.getActiveStageIds():
                known = tracker.getStageInfo(stage)
                if known is not None and known.numTasks > 50 and known.numCompletedTasks >= 3:
                    found = executors(spark)
                    if len(found) == 2:
                        os.kill(found[0], signal.SIGKILL)
                        killed.append(found[0])
                        return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    out = str(tmp_path / "out")
    began = time.monotonic()
    try:
        rows = ttlog.spark.verdicts(frame, out, per_task=-(-PAIRS // 60)).collect()
    finally:
        done.set()
        thread.join()
    seconds = time.monotonic() - began
    assert len(killed) == 1
    assert len(rows) == PAIRS + 1 and len({row["replay"] for row in rows}) == PAIRS + 1
    for row in rows:
        name = row["replay"].rsplit("/", 1)[1]
        if name == "nothing":
            assert row["verdict"] == "failed" and "cannot be opened" in row["error"]
        else:
            assert row["verdict"] == ("control-flow" if int(name[6:]) % 2 else "identical")
    # The cost beside the tool for one machine, on the same pairs.
    listed = tmp_path / "pairs.csv"
    listed.write_text("original,replay\n" + "".join(f"{original},{replay}\n" for original, replay in pairs))
    began = time.monotonic()
    ttlog_command("verdicts", listed, "-o", tmp_path / "one-machine", statuses=(2,))
    alone = time.monotonic() - began
    print(f"\n{PAIRS} pairs, one executor killed: {seconds:.1f} s ({seconds / PAIRS * 1e3:.0f} ms a pair); "
          f"python -m ttlog verdicts: {alone:.1f} s ({alone / PAIRS * 1e3:.0f} ms a pair)")
    # A second call compares only what is new.
    more = spark.createDataFrame(pairs + [(pairs[0][1], pairs[0][0])], "original string, replay string")
    again = ttlog.spark.verdicts(more, out)
    assert again.count() == PAIRS + 2
