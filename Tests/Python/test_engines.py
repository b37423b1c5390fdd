# SPDX-License-Identifier: GPL-2.0-or-later
"""DuckDB, Polars and pandas over streams and over data sets of several runs."""

import duckdb
import polars
import pyarrow
import pyarrow.compute
import pytest

import ttlog
from ttlog._dataset import Limits


@pytest.fixture
def sums(recording):
    table = ttlog.open(recording).branches(["from", "to"]).to_arrow()
    distance = pyarrow.compute.subtract(table["to"], table["from"])
    return table.num_rows, pyarrow.compute.sum(distance).as_py()


def test_duckdb(recording, sums):
    branches = ttlog.open(recording).branches()
    query = 'SELECT count(*), sum("to" - "from") FROM branches'
    assert duckdb.sql(query).fetchall()[0] == sums
    # A stream can be read again, and more than once in a query.
    assert duckdb.sql(query).fetchall()[0] == sums
    both = duckdb.sql("SELECT count(*) FROM branches a JOIN branches b USING (brctr) WHERE a.brctr < 10").fetchall()[0]
    assert both == (10,)
    kinds = duckdb.sql("SELECT kind, count(*) FROM branches GROUP BY 1 ORDER BY 2 DESC LIMIT 1").fetchall()[0]
    assert kinds[0] == "jmp!" and kinds[1] > 900_000


def test_polars_and_pandas(recording, sums):
    branches = ttlog.open(recording).branches(["from", "to", "kind"])
    frame = branches.to_polars()
    assert (frame.height, (frame["to"] - frame["from"]).sum()) == sums
    frame = branches.to_pandas()
    assert (len(frame), (frame["to"] - frame["from"]).sum()) == sums
    assert frame["kind"].value_counts().index[0] == "jmp!"


def test_kernel_addresses(written):
    branches = ttlog.open(written).branches()
    rows = duckdb.sql('SELECT hex("from"), "to" - "from" FROM branches WHERE vcpu = 0 AND brctr = 1').fetchall()
    assert rows == [("FFFFFFFF81000001", 1 - (0xFFFFFFFF81000001 - 2**64))]


class Reads(ttlog.Dataset):
    """Counts what is decoded."""

    def _batches(self, names, schema, limits):
        self.names, self.limits, self.rows = names, limits, 0
        for batch in super()._batches(names, schema, limits):
            self.rows += len(batch)
            yield batch


def test_a_data_set_reads_what_a_query_needs(run_folder):
    paths = {"orig": run_folder, "one": run_folder / "replays/1", "two": run_folder / "replays/2"}
    branches = Reads(paths)
    assert branches.schema.names[0] == "run"
    query = "SELECT run, count(*), sum(\"to\") FROM branches WHERE brctr BETWEEN 1000 AND 1999 GROUP BY run ORDER BY run"
    rows = duckdb.sql(query).fetchall()
    expected = sum(ttlog.open(run_folder).branches(["to"], start=1000, stop=2000).to_arrow()["to"].to_pylist())
    assert rows == [(name, 1000, expected) for name in ("one", "orig", "two")]
    assert branches.rows == 3000 and set(branches.names) == {"run", "to", "brctr"}
    rows = duckdb.sql("SELECT count(*) FROM branches WHERE run = 'one' AND brctr < 70000 AND kind = 'ret'").fetchall()
    assert branches.rows == 70_000 and branches.limits.run == "one"
    own = ttlog.open(paths["one"]).branches(stop=70_000)
    assert rows == duckdb.sql("SELECT count(*) FROM own WHERE kind = 'ret'").fetchall()
    # Alternatives and negations limit nothing, and are right.
    count = "SELECT count(*) FROM branches WHERE {}"
    assert duckdb.sql(count.format("brctr < 10 OR brctr = 100")).fetchall()[0] == (33,)
    assert duckdb.sql(count.format("NOT (brctr >= 10)")).fetchall()[0] == (30,)
    assert duckdb.sql(count.format("brctr IN (1, 5, 7)")).fetchall()[0] == (9,)
    assert duckdb.sql(count.format("run != 'one' AND brctr <= 4")).fetchall()[0] == (10,)
    total = sum(ttlog.open(path).vcpus[0].branches for path in paths.values())
    assert duckdb.sql("SELECT count(*) FROM branches").fetchall()[0] == (total,)


def test_polars_over_a_data_set(run_folder):
    branches = Reads([run_folder, run_folder / "replays/1"])
    frame = polars.scan_pyarrow_dataset(branches).filter(polars.col("brctr").is_between(60_000, 60_999))
    assert frame.select(polars.len(), polars.col("brctr").min()).collect().row(0) == (2000, 60_000)
    assert branches.rows == 2000


def test_other_streams_of_a_data_set(run_folder):
    paths = [run_folder, run_folder / "replays/1"]
    events, chunks = ttlog.Dataset(paths, "events"), ttlog.Dataset(paths, "chunks")
    rows = duckdb.sql("SELECT run, kind, count(*) FROM events GROUP BY ALL").fetchall()
    assert {row[0] for row in rows} == {str(path) for path in paths}
    assert duckdb.sql("SELECT sum(rows) FROM chunks WHERE stream = 'branch'").fetchall()[0][0] > 2_000_000


@pytest.mark.parametrize(
    "condition, limits",
    [
        ("((brctr >= 5) and (brctr <= 9))", (5, 10, None)),
        ("((brctr > 5) and (brctr < 9) and (kind == \"ret\"))", (6, 9, None)),
        ("(brctr == 7)", (7, 8, None)),
        ("((run == \"a b\") and (to == 7))", (0, None, "a b")),
        ("((brctr >= 5) or (run == \"a\"))", (0, None, None)),
        ("invert((brctr >= 5))", (0, None, None)),
        ("(brctr < -3)", (0, 0, None)),
        ("(icount >= 5)", (0, None, None)),
    ],
)
def test_limits(condition, limits):
    found = Limits(condition)
    assert (found.start, found.stop, found.run) == limits
