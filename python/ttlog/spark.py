# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs, verdicts and edges in Spark 4. Needs pyspark, pandas and pyarrow, for edges also DuckDB; docs/fleets.md says how the package reaches the executors.

    >>> import ttlog.spark
    >>> spark.sparkContext.addPyFile("ttlog.zip")
    >>> ttlog.spark.register(spark)
    >>> branches = spark.read.format("ttlog").option("runs", "run,run/replays/1").load()
    >>> branches.where("brctr < 1000").groupBy("run", "kind").count().show()
    >>> ttlog.spark.verdicts(spark.createDataFrame(pairs, "original string, replay string"), "verdicts")
    >>> ttlog.spark.edges(spark.createDataFrame([("run",), ("run/replays/1",)], "run string"))
"""

from __future__ import annotations

import json
from typing import Any, Iterator, Optional

import pyarrow
from pyspark.sql import DataFrame, SparkSession, functions
from pyspark.sql.datasource import DataSource, DataSourceReader, Filter, InputPartition
from pyspark.sql.types import StructType

from . import _children
from ._library import library
from ._log import open as open_log
from ._stream import Stream, columns
from ._verdicts import Pair, outcome_row, verdict

#: The types of the columns of streams in Spark. Dictionaries and unsigned numbers have none: streams give text and signed ones.
TYPES = {"int64": "bigint", "int32": "int", "bool": "boolean", "text": "string", "dictionary": "string", "binary": "binary"}
CLOCKED = ("branches", "events", "accesses")

VERDICT_SCHEMA = (
    "version bigint, original string, replay string, status bigint, verdict string, detail string, class string, vcpu bigint, "
    "original_brctr bigint, original_icount bigint, original_ip bigint, replay_brctr bigint, replay_icount bigint, "
    "replay_ip bigint, fields string, caveats string, reasons string, branches_compared bigint, bytes_read bigint, "
    "error string, signal bigint, seconds double"
)

EDGE_SCHEMA = "run string, vcpu int, `from` bigint, `to` bigint, kind string, count bigint, first_brctr bigint, last_brctr bigint"
FLEET_EDGE_SCHEMA = "`from` bigint, `to` bigint, kind string, count bigint, names array<string>"


class Part(InputPartition):
    """A range of clocks of one vCPU of one run."""

    def __init__(self, run: str, vcpu: Optional[int], start: int, stop: Optional[int]) -> None:
        super().__init__(0)
        self.run, self.vcpu, self.start, self.stop = run, vcpu, start, stop


class Reader(DataSourceReader):
    """Reads the parts of some runs; conditions on `brctr` and `run` choose what is decoded."""

    def __init__(self, schema: StructType, options: dict[str, str]) -> None:
        self._columns = [field.name for field in schema.fields]
        self._stream = options.get("stream", "branches")
        self._on_damage = options.get("on_damage", "raise")
        self._parts = int(options.get("parts", "4"))
        self._runs = _runs(options)
        self._start = 0
        self._stop: Optional[int] = None

    def pushFilters(self, filters: list[Filter]) -> Iterator[Filter]:
        """Takes the conditions that choose clocks and runs; Spark tests the others. (`spark.sql.python.filterPushdown.enabled`)"""
        for condition in filters:
            if not self._take(type(condition).__name__, getattr(condition, "attribute", ()), getattr(condition, "value", None)):
                yield condition

    def _take(self, name: str, attribute: tuple[str, ...], value: Any) -> bool:
        if attribute == ("run",) and name == "EqualTo":
            self._runs = [run for run in self._runs if run == value]
            return True
        if attribute != ("brctr",) or self._stream not in CLOCKED or not isinstance(value, int):
            return False
        if name in ("GreaterThan", "GreaterThanOrEqual", "EqualTo"):
            self._start = max(self._start, value + (name == "GreaterThan"))
        if name in ("LessThan", "LessThanOrEqual", "EqualTo"):
            stop = max(0, value + (name != "LessThan"))
            self._stop = stop if self._stop is None else min(self._stop, stop)
        return name in ("GreaterThan", "GreaterThanOrEqual", "EqualTo", "LessThan", "LessThanOrEqual")

    def partitions(self) -> list[InputPartition]:
        """Parts of about equally many records each."""
        parts: list[InputPartition] = []
        for run in self._runs:
            if self._stream not in CLOCKED:
                parts.append(Part(run, None, 0, None))
                continue
            with open_log(run) as log:
                for vcpu in log.vcpus:
                    for start, stop in log.partitions(self._parts, self._stream, vcpu.number):
                        start, stop = max(start, self._start), min(stop, stop if self._stop is None else self._stop)
                        if start < stop:
                            parts.append(Part(run, vcpu.number, start, stop))
        return parts

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        """The rows of a part, as batches."""
        assert isinstance(partition, Part)
        inner = [name for name in self._columns if name != "run"]
        with open_log(partition.run) as log:
            stream = Stream(
                log, self._stream, inner or None, partition.vcpu, partition.start, partition.stop, (), self._on_damage, "plain"
            )
            for batch in stream.reader():
                run = pyarrow.repeat(pyarrow.scalar(partition.run), len(batch))
                arrays = [run if name == "run" else batch.column(name) for name in self._columns]
                yield pyarrow.RecordBatch.from_arrays(arrays, names=self._columns)


class Source(DataSource):
    """The data source `ttlog`. Options: `runs` (paths, separated by commas, or a JSON list), `stream`, `parts` (for each vCPU),
    `on_damage`."""

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "ttlog"

    def schema(self) -> str:
        """The columns of the stream, after `run`."""
        named = [f"`{column.name}` {TYPES[column.type]}" for column in columns(self.options.get("stream", "branches"))]
        return ", ".join(["`run` string", *named])

    def reader(self, schema: StructType) -> DataSourceReader:
        """A reader of these options."""
        return Reader(schema, dict(self.options))


def _runs(options: dict[str, str]) -> list[str]:
    text = options["runs"]
    return list(json.loads(text)) if text.startswith("[") else text.split(",")


def register(spark: SparkSession) -> None:
    """Makes `spark.read.format("ttlog")` known, with conditions handed to it."""
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    spark.dataSource.register(Source)


def _arrow_schema(schema: str) -> pyarrow.Schema:
    """The same columns for pyarrow."""
    types = {"int": pyarrow.int32(), "bigint": pyarrow.int64(), "string": pyarrow.string(), "double": pyarrow.float64()}
    types["array<string>"] = pyarrow.list_(pyarrow.string())
    fields = (field.split() for field in schema.split(", "))
    return pyarrow.schema([(name.strip("`"), types[kind]) for name, kind in fields])


def verdict_rows(batches: Iterator[pyarrow.RecordBatch], timeout: Optional[float] = None) -> Iterator[pyarrow.RecordBatch]:
    """For `mapInArrow`: rows with `original` and `replay` to rows of `VERDICT_SCHEMA`. Each pair in a child process."""
    schema = _arrow_schema(VERDICT_SCHEMA)
    # Loaded before the children are forked: out of a zip file, it is unpacked once and not for each pair.
    library()
    for batch in batches:
        pairs = [Pair(row["original"], row["replay"]) for row in batch.to_pylist()]
        rows = [outcome_row(outcome) for outcome in _children.run(pairs, verdict, 1, timeout)]
        yield pyarrow.RecordBatch.from_pylist(rows, schema=schema)


def verdicts(pairs: DataFrame, out: str, per_round: int = 10_000, per_task: int = 16, timeout: Optional[float] = None) -> DataFrame:
    """Compares the pairs that `out` has no row of yet, round by round, and returns all rows.

    A round is written whole: what a job that fails has lost is at most one round, and a second call makes the rest.

    Args:
        pairs: rows with the columns `original` and `replay`: paths that executors can read.
        out: a folder of Parquet files, of any file system of Spark.
        per_round: pairs whose rows are written at once.
        per_task: pairs that one task compares.
        timeout: seconds after which a pair is given up.
    """
    spark = pairs.sparkSession
    wanted = pairs.select("original", "replay").distinct()

    def known() -> DataFrame:
        return spark.read.schema(VERDICT_SCHEMA).parquet(out)

    while True:
        left = wanted
        if _exists(spark, out):
            done = known()
            # Null-safe: a row without a path fails once and is known then.
            is_done = wanted.original.eqNullSafe(done.original) & wanted.replay.eqNullSafe(done.replay)
            left = wanted.join(done, is_done, "left_anti")
        some = left.orderBy("original", "replay").limit(per_round)
        count = some.count()
        if count == 0:
            return known()
        tasks = some.repartition(max(1, -(-count // per_task)))
        rows = tasks.mapInArrow(lambda batches: verdict_rows(batches, timeout), VERDICT_SCHEMA)
        rows.write.mode("append").parquet(out)


def edge_rows(
    batches: Iterator[pyarrow.RecordBatch],
    where: Optional[str] = None,
    start: int = 0,
    stop: Optional[int] = None,
    on_damage: str = "raise",
    is_merged: bool = False,
) -> Iterator[pyarrow.RecordBatch]:
    """For `mapInArrow`: rows with `run` to rows of `EDGE_SCHEMA`, or with `is_merged` to rows of `FLEET_EDGE_SCHEMA` over all runs of
    the task.

    DuckDB is inside: it tests the condition on branches as they are decoded and counts them, and it adds up the runs of a task.
    What Spark moves is edges, never branches.
    """
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:  # An executor has as many tasks as cores.
        runs = (run for batch in batches for run in batch.column("run").to_pylist())
        if not is_merged:
            schema = _arrow_schema(EDGE_SCHEMA)
            for run in runs:
                yield from pyarrow.table(_run_edges(connection, run, where, start, stop, on_damage)).cast(schema).to_batches()
            return
        connection.execute("CREATE TABLE fleet (run VARCHAR, vcpu INT, \"from\" BIGINT, \"to\" BIGINT, kind VARCHAR, count BIGINT)")
        for run in runs:
            _run_edges(connection, run, where, start, stop, on_damage).project('run, vcpu, "from", "to", kind, count').insert_into("fleet")
        merged = connection.sql(
            'SELECT "from", "to", kind, sum(count)::BIGINT AS count, list(DISTINCT run) AS names FROM fleet GROUP BY ALL'
        )
        yield from pyarrow.table(merged).cast(_arrow_schema(FLEET_EDGE_SCHEMA)).to_batches()


def _run_edges(connection: Any, run: str, where: Optional[str], start: int, stop: Optional[int], on_damage: str) -> Any:
    """The edges of a run, as a relation of DuckDB that is read once."""
    # Readers go on when their log is closed.
    with open_log(run) as log:
        if where is None:
            # The decoder counts ten times as fast as DuckDB.
            connection.register("edges", Stream(log, "edges", None, None, start, stop, (), on_damage).reader())
        else:
            names = ["brctr", "icount", "vcpu", "epoch", "from", "to", "kind"]
            connection.register("branches", Stream(log, "branches", names, None, start, stop, (), on_damage).reader())
    if where is None:
        return connection.sql("SELECT ? AS run, * FROM edges", params=[run])
    return connection.sql(
        f"""SELECT ? AS run, vcpu, "from", "to", kind, count(*) AS count, min(brctr) AS first_brctr, max(brctr) AS last_brctr
            FROM branches WHERE {where} GROUP BY ALL""",
        params=[run],
    )


def edges(
    runs: DataFrame,
    where: Optional[str] = None,
    start: int = 0,
    stop: Optional[int] = None,
    per_task: int = 1,
    on_damage: str = "raise",
) -> DataFrame:
    """The distinct branches of runs with their counts: a row for each run, vCPU, `from`, `to` and `kind`.

    Columns: `run` (its path), `vcpu`, `from`, `to` (signed addresses), `kind`, `count` (branches), `first_brctr` and `last_brctr`
    (the clock of the first and of the last one, in transitions of the vCPU). A run that cannot be read fails the job: the error
    has its path.

    Args:
        runs: rows with the column `run`: paths that executors can read.
        where: SQL of DuckDB on the columns of `branches`: only branches for which it is true are counted. It is part of a
            query: use your own text only.
        start: the first branch counter.
        stop: the branch counter after the last; None: to the end. Only these chunks are decoded.
        per_task: runs that one task reads, one after the other.
        on_damage: as in `Log`.
    """
    tasks = _tasks(runs, per_task)
    return tasks.mapInArrow(lambda batches: edge_rows(batches, where, start, stop, on_damage), EDGE_SCHEMA)


def fleet_edges(
    runs: DataFrame,
    where: Optional[str] = None,
    start: int = 0,
    stop: Optional[int] = None,
    per_task: int = 16,
    on_damage: str = "raise",
) -> DataFrame:
    """Which runs ran which branches: a row for each `from`, `to` and `kind` over all runs and vCPUs.

    Columns: `from`, `to` (signed addresses), `kind`, `count` (branches in all runs), `runs` (how many ran it) and `names` (their
    paths, sorted). DuckDB adds up the runs of a task, and Spark the tasks.

    Args: as of `edges`; `per_task` runs are read before anything is moved.
    """
    tasks = _tasks(runs, per_task)
    parts = tasks.mapInArrow(lambda batches: edge_rows(batches, where, start, stop, on_damage, True), FLEET_EDGE_SCHEMA)
    names = functions.array_sort(functions.array_distinct(functions.flatten(functions.collect_list("names"))))
    sums = parts.groupBy("from", "to", "kind").agg(functions.sum("count").alias("count"), names.alias("names"))
    return sums.select("from", "to", "kind", "count", functions.size("names").alias("runs"), "names")


def _tasks(runs: DataFrame, per_task: int) -> DataFrame:
    """Each run once, some to a task."""
    wanted = runs.select("run").distinct()
    return wanted.repartition(max(1, -(-wanted.count() // per_task)))


def _exists(spark: SparkSession, path: str) -> bool:
    """Whether a folder has been written in whole."""
    virtual = spark.sparkContext._jvm  # type: ignore[attr-defined, unused-ignore]
    assert virtual is not None
    place = virtual.org.apache.hadoop.fs.Path(path)
    files = place.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # type: ignore[attr-defined, unused-ignore]
    return bool(files.exists(place))
