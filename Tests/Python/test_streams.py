# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of streams beside those of the tools."""

import struct
import subprocess

import pyarrow
import pyarrow.compute
import pytest

import ttlog
from conftest import FIXTURES, tool, tool_rows, unsigned

LOGS = ["recording", "extra-turn"]


def path(name):
    return str(FIXTURES / f"{name}.log")


@pytest.mark.parametrize("name", LOGS)
def test_branches_are_those_of_bts_dump(name):
    """All of a stretch, and sums over the whole log."""
    log = ttlog.open(path(name))
    expected = tool_rows("bts-dump", path(name), "--range", "100000:120000")
    found = log.branches(start=100_000, stop=120_000).to_arrow().to_pylist()
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected):
        assert mine["brctr"] == int(theirs["brctr"])
        assert mine["icount"] == int(theirs["icount"])
        assert unsigned(mine["from"]) == int(theirs["from"], 16)
        assert unsigned(mine["to"]) == int(theirs["to"], 16)
        assert mine["kind"] == theirs["label"] + ("!" if theirs["static"] else "")
        assert mine["vcpu"] == theirs["vcpu"]
    table = log.branches().to_arrow()
    table.validate(full=True)
    assert table.num_rows == log.vcpus[0].branches
    assert pyarrow.compute.equal(table["brctr"], pyarrow.array(range(table.num_rows))).to_pylist().count(True) == table.num_rows


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


def test_fields_of_a_kind():
    log = ttlog.open(path("recording"))
    expected = tool_rows("tt-analyze", "events", path("recording"), "--kind", "port-write", "--no-causes")
    found = log.accesses(kind="port-write").to_arrow().to_pylist()
    assert len(found) == len(expected) > 0
    for mine, theirs in zip(found, expected):
        # A recorder without values does not know every operand.
        port, size = theirs["fields"].get("port"), theirs["fields"].get("size")
        assert mine["port"] == (None if port is None else int(port, 16))
        assert mine["size"] == (None if size is None else int(size))
        assert mine["string"] == theirs["fields"]["string"]
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
    ended = [call for call in calls if call["end_brctr"] is not None]
    assert all(call["begin_brctr"] < call["end_brctr"] for call in ended)
    assert {call["ending"] for call in ended} >= {"returned"}


def test_chunks_read_no_body_and_tell_runs_apart(run_folder):
    run = ttlog.open(run_folder)
    same, other = run.replay("2"), run.replay("1")

    def key(row):
        return tuple(row[name] for name in ("stream", "vcpu", "epoch", "cell", "part"))

    def digests(log):
        rows = log.chunks().to_arrow().to_pylist()
        assert sum(row["rows"] for row in rows if row["stream"] == "branch") == log.vcpus[0].branches
        return {key(row): (row["path"], row["position"]) for row in rows if row["stream"] == "branch" and not row["is_partial"]}

    assert digests(run) == digests(same)
    mine, theirs = digests(run), digests(other)
    first = min(place for place in mine if mine[place] != theirs.get(place))
    assert first[3] == ttlog.diverge(run, other).place.brctr >> 16


def test_diverge_is_the_tools_answer(run_folder):
    import json
    import subprocess

    from conftest import tool

    pair = [str(run_folder), str(run_folder / "replays/1")]
    output = subprocess.run([tool("tt-analyze"), "diverge", "--format", "json", *pair], capture_output=True, text=True)
    assert output.returncode == 1
    document = json.loads(output.stdout)
    place = document["vcpus"][0]["divergence"]["original"]
    mine = ttlog.diverge(*pair)
    assert mine.verdict == document["verdict"]
    assert mine.place.brctr == int(place["brctr"])
    assert mine.place.icount == int(place["icount"])
    assert mine.place.ip == int(place["ip"], 16)
    # Without context the place is the same.
    assert ttlog.diverge(*pair, context=0).place == mine.place
    rows = mine.to_arrow().to_pylist()
    assert rows[0]["is_first"] and rows[0]["original_brctr"] == mine.place.brctr and rows[0]["class"] == mine.differs
    assert ttlog.diverge(run_folder, run_folder / "replays/2").is_identical


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


def test_ranges_columns_and_partitions(recording):
    log = ttlog.open(recording)
    whole = log.branches().to_arrow()
    for start, stop in ((0, 1), (65_535, 65_537), (1_000_000, 1_000_005), (5, 5), (10, 3)):
        part = log.branches(start=start, stop=stop).to_arrow()
        assert part.to_pylist() == whole.slice(start, max(stop - start, 0)).to_pylist()
    for columns in (["to"], ["brctr"], ["kind", "from"], ["epoch", "vcpu"]):
        table = log.branches(columns).to_arrow()
        assert table.column_names == columns
        for start in range(0, whole.num_rows, 100_003):
            assert table.slice(start, 3).to_pylist() == whole.select(columns).slice(start, 3).to_pylist()
    for parts in (1, 2, 7, 1000):
        ranges = log.partitions(parts)
        assert 1 <= len(ranges) <= parts
        assert [stop for _, stop in ranges[:-1]] == [start for start, _ in ranges[1:]]
        counts = [log.branches(["vcpu"], start=start, stop=stop).to_arrow().num_rows for start, stop in ranges]
        assert sum(counts) == whole.num_rows
    assert max(counts) <= 65_536
    assert log.partitions(3, vcpu=9) == []
    plain = log.branches(["kind"], strings="plain", stop=1000).to_arrow()
    assert plain.schema.field("kind").type == pyarrow.string()
    assert plain["kind"].to_pylist() == whole.slice(0, 1000)["kind"].to_pylist()


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
