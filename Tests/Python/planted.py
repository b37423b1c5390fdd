# SPDX-License-Identifier: GPL-2.0-or-later
"""A small fleet of which all answers are known: a made-up guest that is recorded and replayed in four nights.

The guest calls a function again and again, 100 branches in all. What differs between the runs:

- An interrupt with vector 32 comes after 10 branches in every run; one with vector 33 after 40, in good runs only. A bad replay misses
  it, has an exception with vector 14 after 44, and takes the branch 1000 -> 3000 once, which no good run takes.
- An interrupt with vector 48 comes after 20 branches in the first night, and after 25 in the third, in good and bad runs.
- `guest/4` takes the branch 1000 -> 5000, and no other run does. From the third night on all runs take the branch 1000 -> 4000.

| night | runs |
| --- | --- |
| 2026-11-27 | guest/1, with two replays |
| 2026-11-28 | guest/2, with two replays of which the second is bad; guest/4 |
| 2026-11-29 | guest/3, with two replays of which the second is bad |
| 2026-11-30 | guest/5, with one replay |
"""

import json
import pathlib
import subprocess
import sys

from conftest import tool

#: Night, recording, whether its replays are good.
FLEET = (
    ("2026-11-27", "guest/1", (True, True)),
    ("2026-11-28", "guest/2", (True, False)),
    ("2026-11-28", "guest/4", ()),
    ("2026-11-29", "guest/3", (True, False)),
    ("2026-11-30", "guest/5", (True,)),
)

#: Seconds that the table of costs is given; all processors take 1.5 times as much. Recording takes a second more each night.
COSTS = {"record": 2.0, "replay": 4.0, "compare": 0.25, "store": 0.5}


def interrupt(brctr, vector, kind="interrupt"):
    return {"kind": kind, "brctr": str(brctr), "icount": str(10 * brctr + 5), "ip": "0x1000", "vector": vector, "handler": "0x8000"}


def rows(night, run, is_good):
    """The records of a run."""
    events = [interrupt(10, 32), interrupt(40, 33) if is_good else interrupt(44, 14, "exception")]
    if night == "2026-11-27":
        events.append(interrupt(20, 48))
    if night == "2026-11-29":
        events.append(interrupt(25, 48))
    branches = []
    for number in range(100):
        row = {"from": "0x1000", "to": "0x2000", "class": "call!"} if number % 2 == 0 else {"from": "0x2010", "to": "0x1000", "class": "ret"}
        if number == 46 and not is_good:
            row["to"] = "0x3000"
        if number == 60 and run == "guest/4":
            row["to"] = "0x5000"
        if number == 70 and night >= "2026-11-29":
            row["to"] = "0x4000"
        branches.append({**row, "icount": str(10 * number + 10)})
    return sorted(events, key=lambda row: int(row["brctr"])) + branches


def write_log(folder, records):
    """Makes a run directory of records."""
    folder.mkdir(parents=True)
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in records))
    subprocess.run([tool("tt-analyze"), "import", source, "-o", folder / "ttd.log"], check=True, capture_output=True)
    source.unlink()


def make_fleet(folder):
    """Makes the runs, and their data set `nights`, in a folder. Its costs are those of `COSTS`, and a branch has 10 bytes."""
    folder = pathlib.Path(folder)
    for night, run, replays in FLEET:
        write_log(folder / run, rows(night, run, True))
        for name, is_good in enumerate(replays, 1):
            write_log(folder / run / f"replays/{name}", rows(night, run, is_good))
    lake = "import sys, ttlog._lake as l; sys.exit(max(l.run('nights', [run], 2, night=night) for night, run in map(str.split, sys.argv[1:])))"
    nights = [f"{night} {run}" for night, run, _ in FLEET]
    subprocess.run([sys.executable, "-c", lake, *nights], cwd=folder, check=True, capture_output=True)
    for path in folder.glob("nights/costs/*/*.parquet"):
        _rewrite(path, lambda rows, late: [_cost(rows[0], step, late) for step in _steps(rows)])
    for path in folder.glob("nights/runs/*/*.parquet"):
        _rewrite(path, lambda rows, _: [{**row, "bytes": 10 * row["branches"]} for row in rows])
    return folder / "nights"


def _steps(rows):
    made_by = "replay" if "/replays/" in rows[0]["run"] else "record"
    return sorted([made_by, *(row["step"] for row in rows)])


def _cost(row, step, late):
    seconds = COSTS[step] + (late if step == "record" else 0)
    return {**row, "step": step, "seconds": seconds, "cpu_seconds": 1.5 * seconds}


def _rewrite(path, change):
    """Changes the rows of a file; `change` gets them and the number of nights before theirs."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, partitioning=None)
    rows = change(table.to_pylist(), int(path.parent.name[-2:]) - 27)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=table.schema), path)
