# SPDX-License-Identifier: GPL-2.0-or-later
"""Ranges of clocks, vCPUs, columns, and parts of about equal work."""

import collections

import pyarrow
import pytest

import ttlog


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
        # About equal: a part is cut between chunks, so it is off by less than one on each side.
        assert all(abs(count - whole.num_rows / len(ranges)) <= 65_536 for count in counts), counts
        assert len(ranges) == min(parts, -(-whole.num_rows // 65_536))
    assert log.partitions(3, vcpu=9) == []
    plain = log.branches(["kind"], strings="plain", stop=1000).to_arrow()
    assert plain.schema.field("kind").type == pyarrow.string()
    assert plain["kind"].to_pylist() == whole.slice(0, 1000)["kind"].to_pylist()


@pytest.mark.parametrize("stream", ["events", "accesses", "branches"])
def test_parts_of_about_equal_work(two_vcpus, stream):
    """A part is cut between chunks, so it is off by less than one on each side."""
    log = ttlog.open(two_vcpus)
    own = {"events": "event", "accesses": "access", "branches": "branch"}[stream]
    for vcpu in (0, 40):
        sizes = [row["rows"] for row in log.chunks(vcpu=vcpu).rows() if row["stream"] == own]
        assert len(sizes) >= 5
        whole = getattr(log, stream)(vcpu=vcpu).to_arrow().num_rows
        for parts in (2, 3, 4):
            ranges = log.partitions(parts, stream, vcpu)
            counts = [getattr(log, stream)(vcpu=vcpu, start=start, stop=stop).to_arrow().num_rows for start, stop in ranges]
            assert sum(counts) == whole and len(counts) == parts
            assert all(abs(count - whole / parts) <= max(sizes) for count in counts), counts


@pytest.mark.parametrize("stream", ["events", "accesses", "branches", "chunks"])
def test_ranges_and_vcpus_are_what_filtering_gives(two_vcpus, stream):
    log = ttlog.open(two_vcpus)
    whole = getattr(log, stream)().to_arrow().to_pylist()
    assert {row["vcpu"] for row in whole} >= {0, 40}
    first, last = ("brctr_first", "brctr_last") if stream == "chunks" else ("brctr", "brctr")
    for vcpu in (None, 0, 40):
        for start, stop in ((0, None), (0, 1), (17, 21), (8190, 8195), (399, 30_000), (32_768, None), (50, 50)):
            expected = [
                row
                for row in whole
                if (vcpu is None or row["vcpu"] in (vcpu, None)) and row[last] >= start and (stop is None or row[first] < stop)
            ]
            if stream == "chunks" and vcpu is not None:
                expected = [row for row in expected if row["stream"] != "meta"]
            assert getattr(log, stream)(vcpu=vcpu, start=start, stop=stop).to_arrow().to_pylist() == expected


def test_edges_of_a_range_are_those_of_its_branches(two_vcpus):
    log = ttlog.open(two_vcpus)
    for vcpu in (None, 0, 40):
        for start, stop in ((0, None), (17, 18), (8190, 8195), (399, 30_000), (32_768, None), (50, 50)):
            clocks = collections.defaultdict(list)
            for row in log.branches(vcpu=vcpu, start=start, stop=stop).rows():
                clocks[tuple(row[name] for name in ("vcpu", "from", "to", "kind"))].append(row["brctr"])
            found = {
                tuple(row[name] for name in ("vcpu", "from", "to", "kind")): (row["count"], row["first_brctr"], row["last_brctr"])
                for row in log.edges(vcpu=vcpu, start=start, stop=stop).rows()
            }
            assert found == {edge: (len(all), all[0], all[-1]) for edge, all in clocks.items()}


def test_calls_of_a_range_are_those_that_begin_in_it(two_vcpus):
    """A call that goes on after the range is open; how deep it is, is known for what the range shows."""
    log = ttlog.open(two_vcpus)
    whole = log.calls().to_arrow().to_pylist()
    assert {row["vcpu"] for row in whole} == {0, 40}
    names = ("vcpu", "kind", "call_site", "target", "begin_brctr", "begin_icount", "end_brctr", "end_icount")
    for vcpu in (None, 0, 40):
        for start, stop in ((0, None), (17, 40), (8190, 8195), (399, 30_000), (32_768, None), (50, 50)):
            expected = []
            for row in whole:
                if row["begin_brctr"] < start or (stop is not None and row["begin_brctr"] >= stop) or vcpu not in (None, row["vcpu"]):
                    continue
                is_open = row["end_brctr"] is None or (stop is not None and row["end_brctr"] >= stop)
                end = {"end_brctr": None, "end_icount": None} if is_open else {}
                expected.append(tuple({**row, **end}[name] for name in names))
            found = log.calls(vcpu=vcpu, start=start, stop=stop).to_arrow().to_pylist()
            order = lambda values: [-1 if value is None else value for value in values if not isinstance(value, str)]
            assert sorted((tuple(row[name] for name in names) for row in found), key=order) == sorted(expected, key=order)
