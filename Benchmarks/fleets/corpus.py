# SPDX-License-Identifier: GPL-2.0-or-later
"""Records runs with known differences into a data set, checks the verdicts, and times the questions of docs/fleets.md.

Usage: corpus.py OUT [--runs N] [--synthetic N] [--bin FOLDER] [--jobs N]      (PYTHONPATH: python; TTLOG_LIBRARY: the library)
  OUT           the runs and the data set; an interrupted call is continued
  --runs        recordings, each with one replay (default: 200)
  --synthetic   runs that are made of rows only: the chunks, events, edges and verdicts of recorded ones, whose digests differ
                from a cell on (default: 1000)
  --bin         the folder of tt-record and tt-replay (default: .build/release)

Of ten recordings six are replayed as they are, one with another kernel whose loop takes one more turn, one with other memory, one
was recorded on another date, and one is of a guest of which another register is replayed. Exit status 1: a verdict is not as
planted.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import duckdb

import ttlog
from ttlog import _children, _compact, _lake, _parquet, _verdicts

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUESTS = ROOT / "hypervisor/guests/tiny/build"
EXIT = ["--memory", "64", "--device", "isa-debug-exit,iobase=0xf4,iosize=4"]
DATES = ("2026-01-01", "2026-07-01")
TABLES = ("chunks", "costs", "events", "edges", "verdicts", "runs")


def kind(number):
    """Name, kernel, options of the replay, date, and the verdict that is planted."""
    return {
        6: ("extra-turn", "tiny", ["--kernel", f"{GUESTS}/tiny-extra-turn.elf", "--force"], 0, "control-flow"),
        7: ("more-memory", "tiny", ["--memory", "96", "--force"], 0, None),
        8: ("other-date", "tiny", [], 1, "identical"),
        9: ("register", "differs", ["--kernel", f"{GUESTS}/differs-register.elf", "--force"], 0, None),
    }.get(number % 10, ("faithful", "tiny", [], 0, "identical"))


def place(number):
    return f"runs/{number:04d}-{kind(number)[0]}"


def record(task):
    """Records and replays a run, unless it is there."""
    options, number = task
    name, kernel, replay, date, _ = kind(number)
    run = os.path.join(options.out, place(number))
    if os.path.exists(f"{run}/replays/1/manifest.json"):
        return
    shutil.rmtree(run, ignore_errors=True)
    words = [f"{options.bin}/tt-record", "--quiet", "--kernel", f"{GUESTS}/{kernel}.elf", *EXIT, run, "--", "-rtc", f"base={DATES[date]},clock=vm"]
    subprocess.run(words, check=True, timeout=120, capture_output=True)
    done = subprocess.run([f"{options.bin}/tt-replay", "--quiet", run, *replay], timeout=120, capture_output=True, text=True)
    if not os.path.exists(f"{run}/replays/1/ttd.log"):
        raise RuntimeError(done.stderr)


def source(table):
    return f"read_parquet('lake/{table}/*/*.parquet', hive_partitioning = true, union_by_name = true)"


def synthesize(count, connection):
    """Nights of 500 runs each, from the rows of recorded ones. Three of ten differ from a cell on."""
    base = [row[0] for row in connection.sql(f"SELECT run FROM {source('runs')} WHERE run LIKE '%/replays/1' ORDER BY run").fetchall()]
    for night in range(-(-count // 500)):
        name = f"synthetic-{night:03d}"
        if os.path.exists(f"lake/runs/night={name}"):
            continue
        rows = [(f"synthetic/{k:06d}", base[k * 7 % len(base)], k, k * 5 % 28 if k % 10 < 3 else 1 << 30) for k in range(night * 500, min(count, night * 500 + 500))]
        connection.execute("CREATE OR REPLACE TABLE made (name VARCHAR, base VARCHAR, k BIGINT, cut BIGINT)")
        connection.executemany("INSERT INTO made VALUES (?, ?, ?, ?)", rows)
        change = "CASE WHEN cell >= cut THEN xor({0}, k * 2654435761 + 1) ELSE {0} END AS {0}"
        digests = ", ".join(change.format(digest) for digest in ("path", "position", "chain"))
        for table in TABLES:
            replace = {"chunks": f", {digests}", "verdicts": ", name AS replay"}.get(table, "")
            order = {"chunks": '"offset"', "events": "brctr", "edges": "first_brctr"}.get(table, "name")
            query = f"""SELECT t.* EXCLUDE night REPLACE (name AS run{replace})
                        FROM {source(table)} t JOIN made ON t.run = base WHERE t.night = 'recorded' ORDER BY name, {order}"""
            os.makedirs(f"lake/{table}/night={name}")
            _parquet.write(connection.sql(query).to_arrow_reader(1 << 20), f"lake/{table}/night={name}/whole.parquet")


def questions(bad):
    chunks = f"(SELECT * FROM {source('chunks')} WHERE stream = 'branch')"
    return {
        "which runs agree with a bad one for longest": f"""
            SELECT c.run, min(c.brctr_first) FILTER (c.path <> bad.path OR c.position <> bad.position) AS cell FROM {chunks} c
            JOIN (FROM {chunks} WHERE run = '{bad}') bad USING (vcpu, epoch, cell, part) WHERE c.run <> bad.run
            GROUP BY 1 ORDER BY 2 DESC NULLS FIRST, 1 LIMIT 10""",
        "which runs are the same": f"""
            SELECT chain, count(*) FROM (SELECT run, arg_max(chain, brctr_last) AS chain FROM {chunks} GROUP BY run) GROUP BY 1 ORDER BY 2 DESC""",
        "where the replays part": f"""
            SELECT verdict, class, original_ip, count(*), min(replay) FROM {source('verdicts')} WHERE status <> 0 GROUP BY ALL""",
        "which recordings replay only sometimes": f"""
            SELECT original, count(*) AS n, count(*) FILTER (status = 0) AS good FROM {source('verdicts')} GROUP BY 1 HAVING good BETWEEN 1 AND n - 1""",
        "in which night an edge ran first": f"""
            SELECT "from", "to", min(night) FROM {source('edges')} WHERE "from" = {0x201048} GROUP BY 1, 2""",
        "coverage of each run": f"""SELECT run, count(DISTINCT "to") FROM {source('edges')} GROUP BY 1""",
        "edges that only one run has": f"""
            SELECT "from", "to", min(run) FROM {source('edges')} GROUP BY 1, 2 HAVING min(run) = max(run)""",
        "first event that a bad run has and its recording has not": f"""
            WITH e AS (SELECT run, brctr, kind, details FROM {source('events')})
            SELECT * EXCLUDE run FROM e WHERE run = '{bad}' EXCEPT SELECT * EXCLUDE run FROM e WHERE run = '{bad[: bad.index('/replays')]}'
            ORDER BY brctr LIMIT 1""",
        "size and cost by night": f"""
            SELECT night, runs, branches, bytes, cpu FROM
                (SELECT night, count(*) AS runs, sum(branches) AS branches, sum(bytes) AS bytes FROM {source('runs')} GROUP BY 1)
            JOIN (SELECT night, sum(cpu_seconds) AS cpu FROM {source('costs')} GROUP BY 1) USING (night)""",
    }


def timed(work, turns=3):
    """The shortest of some wall times in seconds."""
    times = []
    for _ in range(turns):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def sizes():
    return {table: (sum(path.stat().st_size for path in pathlib.Path("lake", table).glob("*/*")), len(list(pathlib.Path("lake", table).glob("*/*")))) for table in TABLES}


def report(title, bad, connection):
    """The times of all questions, and the bytes of the tables."""
    branches, runs = connection.sql(f"SELECT sum(branches), count(*) FROM {source('runs')}").fetchall()[0]
    print(f"\n{title}: {runs} runs, {branches:,} branches\n\n| table | bytes | files | bytes a branch |\n| --- | --- | --- | --- |")
    for table, (size, files) in sizes().items():
        print(f"| {table} | {size:,} | {files} | {size / branches:.5f} |")
    print("\n| question | seconds |\n| --- | --- |")
    for name, query in questions(bad).items():
        print(f"| {name} | {timed(lambda: connection.sql(query).fetchall()):.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--synthetic", type=int, default=1000)
    parser.add_argument("--bin", default=str(ROOT / ".build/release"))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.out, options.bin = os.path.abspath(options.out), os.path.abspath(options.bin)
    os.makedirs(options.out, exist_ok=True)
    os.chdir(options.out)

    numbers = list(range(options.runs))
    began = time.monotonic()
    for outcome in _children.run([(options, number) for number in numbers], record, options.jobs, timeout=300):
        if outcome.error:
            sys.exit(f"corpus: run {outcome.task[1]}: {outcome.error}")
    print(f"{options.runs} recordings and replays: {time.monotonic() - began:.0f} s")

    began = time.monotonic()
    before = os.times()
    if _lake.run("lake", [place(number) for number in numbers], options.jobs, night="recorded") != 0:
        return 2
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"into the data set: {time.monotonic() - began:.0f} s, {used / options.runs / 2:.3f} s of CPU a run")

    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    found = dict(connection.sql(f"SELECT replay, verdict FROM {source('verdicts')} WHERE night = 'recorded'").fetchall())
    wrong = []
    for number in numbers:
        expected, verdict = kind(number)[4], found[f"{place(number)}/replays/1"]
        if verdict != expected and (expected or verdict == "identical"):
            wrong.append(f"{place(number)}: {verdict}, planted {expected or 'a difference'}")
    print(f"verdicts as planted: {options.runs - len(wrong)} of {options.runs}")
    for line in wrong:
        print(line)
    bad = f"{place(6)}/replays/1"

    report("recorded, a file a run", bad, connection)
    # The same by diverge over the logs.
    pairs = [_verdicts.Pair(place(number), f"{place(number)}/replays/1") for number in numbers]
    shutil.rmtree("verdicts", ignore_errors=True)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        cost = timed(lambda: _verdicts.run(pairs, "verdicts", options.jobs, None, nowhere), 1)
        print(f"\nby diverge over the logs: where the replays part: {cost:.2f} s ({cost / options.runs * 1e3:.1f} ms a pair, a process each)")
    bad_log = ttlog.open(bad)
    cost = timed(lambda: [ttlog.diverge(ttlog.open(place(number)), bad_log, context=0).place for number in numbers], 1)
    print(f"by diverge over the logs: which recordings agree with a bad one for longest: {cost:.2f} s ({cost / options.runs * 1e3:.1f} ms a pair)")

    _compact.run("lake", options.jobs, ["recorded"])
    report("recorded, compacted", bad, connection)
    if options.synthetic:
        began = time.monotonic()
        synthesize(options.synthetic, connection)
        print(f"\n{options.synthetic} synthetic runs: {time.monotonic() - began:.0f} s")
        report("recorded and synthetic", bad, connection)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
