# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of streams beside those of the tools."""

import collections
import json
import struct
import subprocess

import pyarrow
import pyarrow.compute
import pyarrow.csv
import pytest

import ttlog
from conftest import FIXTURES, tool, tool_rows, unsigned

LOGS = ["recording", "extra-turn"]


def path(name):
    return str(FIXTURES / f"{name}.log")


@pytest.mark.parametrize("name", LOGS)
def test_branches_are_those_of_bts_dump(name, tmp_path):
    """Every value of every row."""
    with open(tmp_path / "rows.csv", "wb") as file:
        subprocess.run([tool("bts-dump"), path(name), "--format", "csv"], check=True, stdout=file)
    types = dict.fromkeys(("brctr", "from", "to", "icount"), pyarrow.uint64()) | {"label": pyarrow.string(), "static": pyarrow.bool_()}
    theirs = pyarrow.csv.read_csv(
        tmp_path / "rows.csv", convert_options=pyarrow.csv.ConvertOptions(column_types=types)
    )
    log = ttlog.open(path(name))
    table = log.branches().to_arrow()
    table.validate(full=True)
    assert table.num_rows == theirs.num_rows == log.vcpus[0].branches > 1_000_000
    for column in ("brctr", "icount", "from", "to", "vcpu"):
        expected = pyarrow.chunked_array([theirs[column].to_numpy().view("int64")])
        assert table[column].cast(pyarrow.int64()).equals(expected), column
    assert set(table["epoch"].to_pylist()) == {0}
    marks = pyarrow.compute.if_else(theirs["static"], "!", "")
    assert table["kind"].cast(pyarrow.string()).equals(pyarrow.compute.binary_join_element_wise(theirs["label"], marks, ""))


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("stream", ["events", "accesses", "notes"])
def test_events_are_those_of_the_tool(name, stream):
    log = ttlog.open(path(name))
    own = {"events": "event", "accesses": "access", "notes": "meta"}[stream]
    expected = tool_rows("tt-analyze", "events", path(name), "--stream", own, "--no-causes")
    table = getattr(log, stream)().to_arrow()
    table.validate(full=True)
    found = table.to_pylist()
    assert len(found) == len(expected) > 0
    for mine, theirs in zip(found, expected):
        assert mine["kind"] == theirs["kind"]
        assert mine["brctr"] == int(theirs["brctr"])
        assert mine["icount"] == (None if theirs["icount"] is None else int(theirs["icount"]))
        assert mine["info"] == theirs["info"]
        assert mine["details"] == theirs["details"]
        assert mine["payload"].hex() == theirs["payload"]
        assert mine["ordinal"] == int(theirs["ordinal"])
        for column in ("ip", "address", "rcx", "registers", "tsc"):
            value = theirs[column]
            value = None if value is None else int(value, 16) if value.startswith("0x") else int(value)
            assert unsigned(mine[column]) == value, column
        values = theirs["values"]
        assert unsigned(mine["value"]) == (int(values[0], 16) if values else None)


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("stream", ["events", "accesses", "notes"])
def test_fields_of_each_kind_are_those_of_the_tool(name, stream):
    """Every field of every record, kind by kind."""
    log = ttlog.open(path(name))
    own = {"events": "event", "accesses": "access", "notes": "meta"}[stream]
    rows = tool_rows("tt-analyze", "events", path(name), "--stream", own, "--no-causes")
    for kind in {row["kind"] for row in rows}:
        expected = [row for row in rows if row["kind"] == kind]
        found = getattr(log, stream)(kind=kind).to_arrow().to_pylist()
        assert [row["brctr"] for row in found] == [int(row["brctr"]) for row in expected]
        names = {name for row in expected for name in row["fields"]}
        assert names <= set(found[0])
        for mine, theirs in zip(found, expected):
            # A recorder without values does not know every operand.
            assert {name: mine[name] for name in names} == {name: _field(theirs["fields"].get(name), mine[name]) for name in names}


def _field(text, like):
    """The text of a field, in the type of a value."""
    if text is None or not isinstance(like, int) or isinstance(like, bool):
        return text
    number = int(str(text), 0)
    return number - 2**64 if number >= 2**63 else number


def test_fields_of_one_kind_only():
    log = ttlog.open(path("recording"))
    assert {"port", "size"} <= set(log.accesses(kind="port-write").columns)
    # Several kinds have the general columns only.
    assert "port" not in log.accesses(kind=["port-write", "port-read"]).columns


def test_every_kind_opens():
    """A stream of each kind that the columns are known for; the log need not have one."""
    log = ttlog.open(path("recording"))
    for kind in ("interrupt", "exception", "context", "state", "syscall", "hypercall", "engine-input", "kind-999"):
        table = log.events(kind=kind).to_arrow()
        table.validate(full=True)
        assert table.column_names == [column.name for column in ttlog.columns("events", kind)]


def test_edges_are_those_of_bts_dump():
    expected = {
        (int(row["from"], 16), int(row["to"], 16), row["label"] + ("!" if row["static"] else "")): int(row["count"])
        for row in tool_rows("bts-dump", "--edges", path("recording"))
    }
    rows = ttlog.open(path("recording")).edges().to_arrow().to_pylist()
    assert {(unsigned(row["from"]), unsigned(row["to"]), row["kind"]): row["count"] for row in rows} == expected
    assert all(row["first_brctr"] <= row["last_brctr"] for row in rows)


def test_calls_are_those_of_bts_dump():
    """Each call that the tool enters is a row, with the same place and depth."""
    rows = tool_rows("bts-dump", "--calls", path("recording"))
    entered = [
        (int(row["brctr"]), row["kind"], row["depth"] - 1, int(row["to"], 16)) for row in rows if row["action"] == "enter"
    ]
    calls = ttlog.open(path("recording")).calls().to_arrow().to_pylist()
    assert sorted((c["begin_brctr"], c["kind"], c["depth"], unsigned(c["target"])) for c in calls) == sorted(entered)
    # Each that the tool sees return ends there, with the code that ran last in it.
    left = [
        (int(row["brctr"]), int(row["icount"]), row["kind"], row["depth"], int(row["from"], 16), int(row["to"], 16))
        for row in rows
        if row["action"] == "leave" and row["mark"] is None
    ]
    returned = [
        (c["end_brctr"], c["end_icount"], c["kind"], c["depth"], unsigned(c["call_site"]), unsigned(c["function"]))
        for c in calls
        if c["ending"] == "returned"
    ]
    # But for those that the tool takes back when it sees the call open again.
    undone = collections.Counter(left) - collections.Counter(returned)
    assert undone.total() == sum(row["action"] == "reopen" for row in rows)
    assert not collections.Counter(returned) - collections.Counter(left) and len(left) > 20_000
    ended = [call for call in calls if call["end_brctr"] is not None]
    assert all(call["begin_brctr"] < call["end_brctr"] for call in ended)


def test_a_log_of_our_own(written):
    log = ttlog.open(written)
    assert [vcpu.branches for vcpu in log.vcpus] == [100, 100]
    rows = log.branches().to_arrow().to_pylist()
    assert [row["vcpu"] for row in rows] == [0] * 100 + [1] * 100
    assert rows[1]["from"] < 0 and unsigned(rows[1]["from"]) == 0xFFFFFFFF81000001
    assert [row["kind"] for row in rows[:4]] == ["call!", "ret", "none", "jcc!"]
    assert {row["vcpu"] for row in log.branches(vcpu=1).to_arrow().to_pylist()} == {1}
    interrupt = log.events(kind="interrupt").to_arrow().to_pylist()
    assert [(row["vector"], unsigned(row["handler"])) for row in interrupt] == [(32, 0xFFFFFFFF81000040)]
    assert log.accesses(kind="port-read").to_arrow().to_pylist()[0]["port"] == 0x3F8
    attributes = {row["key"]: row["value"] for row in log.attributes().rows()}
    assert attributes["note"] == 'a "quoted" line\nand another \u20ac'
    # Both logs of one run compare.
    assert ttlog.diverge(log, log).verdict == "identical"


def test_raw_branch_records(tmp_path):
    """A foreign format without a log: it is imported on opening."""
    records = [(0xFFFFFFFF81000000 + 16 * index, 0x1000 + 8 * index, 0) for index in range(500)]
    path = tmp_path / "raw.bts"
    path.write_bytes(b"".join(struct.pack("<3Q", *record) for record in records))
    log = ttlog.open(path)
    assert log.description["format"] == "raw-bts"
    found = log.branches(["from", "to", "icount", "kind"]).to_arrow().to_pylist()
    assert [(unsigned(row["from"]), row["to"]) for row in found] == [record[:2] for record in records]
    # No counts, and no classes.
    assert {(row["icount"], row["kind"]) for row in found} == {(None, "unknown")}


def test_rows_without_pyarrow_are_the_same(written, recording):
    for log in (ttlog.open(written), ttlog.open(recording)):
        for stream in (log.events(), log.accesses(), log.notes(), log.attributes(), log.chunks(), log.branches(stop=50)):
            assert list(stream.rows()) == stream.to_arrow().to_pylist()


def test_docstrings_name_every_column(recording):
    log = ttlog.open(recording)
    for stream in ("branches", "events", "attributes", "chunks", "damage", "calls", "edges"):
        text = getattr(log, stream).__doc__
        assert [name for name in getattr(log, stream)().columns if f"`{name}`" not in text] == []
    assert ttlog.columns("accesses") == ttlog.columns("notes") == ttlog.columns("events")


def test_the_version_is_that_of_the_tools():
    for name in ("bts-dump", "tt-analyze"):
        output = subprocess.run([tool(name), "--version"], check=True, capture_output=True, text=True)
        assert output.stdout.split()[-1] == ttlog.__version__


@pytest.mark.parametrize("name", LOGS)
def test_attributes_are_those_of_the_tool(name):
    output = subprocess.run([tool("tt-analyze"), "info", "--format", "json", path(name)], check=True, capture_output=True, text=True)
    rows = ttlog.open(path(name)).attributes().rows()
    assert {row["key"]: row["value"] for row in rows} == json.loads(output.stdout)["attributes"]


def test_columns_of_both_layouts(recording, tmp_path):
    """A chunk of the fixture is one compressed frame, one of the slice a frame for each column."""
    path = tmp_path / "slice.log"
    subprocess.run([tool("tt-analyze"), "slice", "--range", "0:300000", recording, path], check=True, capture_output=True)
    new, old = ttlog.open(path), ttlog.open(recording)
    whole = old.branches(stop=300_000).to_arrow()
    assert whole.num_rows == 300_000
    for columns in (["to"], ["from", "to"], ["icount"], ["kind"], ["brctr", "kind"], ["to", "icount"], whole.column_names):
        for log in (new, old):
            assert log.branches(columns, stop=300_000).to_arrow() == whole.select(columns)


def test_wrong_requests(recording):
    log = ttlog.open(recording)
    for wrong, words in (
        (lambda: log.branches(["form"]), "no column form"),
        (lambda: log.branches(["to", "to"]), "named twice"),
        (lambda: log.branches(vcpu=3), "no vCPU 3"),
        (lambda: log.events(kind="interupt"), "no event kind|no stream"),
        (lambda: ttlog.columns("branch"), "no stream branch"),
    ):
        with pytest.raises(ttlog.LogError, match=words):
            wrong()
    with pytest.raises(ValueError, match="on_damage"):
        log.branches(on_damage="ignore")
    with pytest.raises(ttlog.LogError, match="cannot be opened") as error:
        ttlog.open("/nonexistent/ttd.log")
    assert error.value.file == "/nonexistent/ttd.log" and error.value.offset is None
    log.close()
    log.close()
    with pytest.raises(ttlog.LogError, match="closed"):
        log.branches()


def test_repr(recording, run_folder):
    log = ttlog.open(recording)
    assert f"{log.vcpus[0].branches:,} branches" in repr(log)
    assert "brctr 5:9" in repr(log.branches(["to"], start=5, stop=9))
    assert ttlog.open(run_folder).replays == ["1", "2"]
    assert "control-flow" in repr(ttlog.diverge(run_folder, run_folder / "replays/1"))
