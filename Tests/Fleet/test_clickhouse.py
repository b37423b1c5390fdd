# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries of docs/fleets.md in ClickHouse (chdb), over files and over object storage."""

import re

import chdb
import pytest

from conftest import FIXTURES, ttlog

PAGE = FIXTURES.parents[1] / "docs/fleets.md"


def examples():
    """The queries of the page's section about ClickHouse, with the answers that it shows."""
    text = PAGE.read_text().split("## ClickHouse\n")[1].split("\n## ")[0]
    blocks = re.findall(r"((?:    .*\n|\n)+)", text)
    found = []
    for block in blocks:
        lines = [line[4:] for line in block.strip("\n").splitlines()]
        if lines and lines[0].startswith(("SELECT", "WITH")):
            end = next(index for index, line in enumerate(lines) if line.endswith(";"))
            found.append(("\n".join(lines[: end + 1]).rstrip(";"), lines[end + 1 :]))
    return found


@pytest.mark.parametrize("number", range(len(examples())))
def test_queries_of_the_page(number, lake):
    query, answer = examples()[number]
    text = str(chdb.query(query.replace("'lake/", f"'{lake}/"), "TabSeparated"))
    assert text.splitlines() == ["\t".join(re.split(r"  +", line)) for line in answer]


def test_a_query_over_object_storage(bucket, run_folder):
    place = "s3://bucket/clickhouse"
    ttlog("lake", place, "run", "--night", "2026-11-30", folder=run_folder)
    query = f"SELECT run, verdict FROM s3('{bucket}/bucket/clickhouse/verdicts/*/*.parquet', 'test', 'test', 'Parquet') ORDER BY run"
    assert str(chdb.query(query, "TabSeparated")) == "run/replays/1\tcontrol-flow\nrun/replays/2\tidentical\n"
