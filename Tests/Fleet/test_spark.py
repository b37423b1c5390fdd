# SPDX-License-Identifier: GPL-2.0-or-later
"""ttlog.spark on a cluster of two executors, each a process of its own. Usage: pytest, with the wheel in TTLOG_WHEEL."""

import os
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


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    # A file named .whl is shipped to executors and not put on their path; the same file named .zip is.
    package = tmp_path_factory.mktemp("package") / "ttlog.zip"
    shutil.copy(os.environ["TTLOG_WHEEL"], package)
    builder = SparkSession.builder.master("local-cluster[2,1,2048]")
    for name, value in (
        ("spark.executor.memory", "1g"),
        ("spark.ui.enabled", "false"),
        # A table of a hundred rows needs no 200 parts.
        ("spark.sql.shuffle.partitions", "4"),
        ("spark.driver.host", "127.0.0.1"),
        ("spark.driver.bindAddress", "127.0.0.1"),
    ):
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
