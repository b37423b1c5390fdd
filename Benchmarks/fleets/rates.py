# SPDX-License-Identifier: GPL-2.0-or-later
"""Rates of streams beside the library's own decode of the same columns, and of engines beside Parquet and SQLite.

Usage: rates.py RUN [--parquet FILE] [--sql TT-ANALYZE] [--symbols FILE --dump BTS-DUMP]   (PYTHONPATH: python; TTLOG_LIBRARY: the library)
  RUN         a log with branches
  --parquet   where its branches are written as Parquet (default: a temporary file)
  --sql       tt-analyze, for the virtual table of SQLite, which makes an index beside the log; its answers are compared with DuckDB's
  --symbols   the run's kernel; names of the stream are measured beside those of --dump (bts-dump), on 4 million branches
Each figure is the best of three (of seven, for columns) in CPU seconds: millions of branches a second. The machine may be busy.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

# NumPy's threads spin for a while after the import, and would count.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import duckdb

import ttlog
from ttlog import _parquet
from ttlog._library import library

PATH = ["from", "to"]
ALL = ["brctr", "icount", "vcpu", "from", "to", "kind"]


def best(work, turns=3):
    """CPU seconds of the quickest turn."""
    times = []
    for _ in range(turns):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def in_turns(first, second, turns=7):
    """CPU seconds of the quickest turns of two works, and the median of first / second by turn: a machine whose memory others use
    is not the same from one minute to the next."""
    pairs = [(best(first, 1), best(second, 1)) for _ in range(turns)]
    return min(a for a, _ in pairs), min(b for _, b in pairs), statistics.median(a / b for a, b in pairs)


def drain(stream):
    for _ in stream.reader():
        pass


# What DuckDB over the stream, DuckDB over Parquet and SQLite's virtual table are asked: the query, and whether SQLite is asked about
# all branches. Grouping 100 million rows takes it many minutes.
QUESTIONS = {
    'count(*), sum("to" - "from")': ('SELECT count(*), sum("to" - "from") FROM {}{}', True),
    "the ten most frequent to": ('SELECT "to", count(*) FROM {}{} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10', False),
    "the ten most frequent edges": ('SELECT "from", "to", count(*) FROM {}{} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 10', False),
}
# The branches that all three are asked about.
SAMPLE = 4_000_000


def sql_answer(options, query):
    """CPU seconds of a query with `tt-analyze sql`, its start included, and the rows."""
    command = [options.sql, "sql", "--format", "csv", options.run, query]
    seconds = child(command)
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return seconds, [tuple(map(signed, line.split(","))) for line in lines[1:]]


def signed(text):
    """A number as DuckDB has it. Addresses, which tt-analyze prints in hexadecimal, are signed there."""
    number = int(text, 0)
    return number - 2**64 if number >= 2**63 else number


def engines(log, options, path, count, report):
    """DuckDB over streams, DuckDB over Parquet and the virtual table of SQLite: the same questions to the same log, one thread."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("stream", log.branches(ALL))
    connection.register("path", log.branches(PATH))
    # The middle: not the code that fills memory before the guest starts its kernel.
    first = max(0, count // 2 - SAMPLE // 2)
    stop = first + min(SAMPLE, count)
    connection.register("sample", log.branches(PATH, start=first, stop=stop))
    inside = f" WHERE brctr >= {first} AND brctr < {stop}"

    def ask(query):
        return connection.sql(query).fetchall()

    for name, (query, is_fast) in QUESTIONS.items():
        for about, rows, stream, condition in (("all", count, "path", ""), ("the middle", stop - first, "sample", inside)):
            title = f"{name}, {about} ({rows / 1e6:.0f} M)"
            parquet = report(f"DuckDB over Parquet: {title}", best(lambda: ask(query.format(f"'{path}'", condition))), rows)
            report(f"DuckDB over the stream: {title}", best(lambda: ask(query.format(stream, ""))), rows, peer=parquet)
            answer = ask(query.format(stream, ""))
            assert answer == ask(query.format(f"'{path}'", condition)), f"{title}: the stream and Parquet differ"
            if options.sql and (is_fast or condition):
                seconds, found = sql_answer(options, query.format("branch", condition))
                report(f"SQLite virtual table: {title}", seconds, rows, peer=parquet)
                assert found == answer, f"{title}: SQLite and DuckDB differ"

    connection.register("data", ttlog.Dataset({"run": options.run}))
    middle = count // 2
    narrow = f" WHERE brctr BETWEEN {middle} AND {middle + 999}"
    query = QUESTIONS['count(*), sum("to" - "from")'][0]
    for name, source in (("Parquet", f"'{path}'"), ("the stream", "stream"), ("the data set", "data")):
        print(f"1,000 branches of the middle, DuckDB over {name}: {best(lambda: ask(query.format(source, narrow))):.4f} s")
    if options.sql:
        seconds, found = sql_answer(options, query.format("branch", narrow))
        assert found == ask(query.format("data", narrow))
        print(f"1,000 branches of the middle, SQLite virtual table: {seconds:.4f} s, the program's start included")


def child(command):
    """CPU seconds of a program that is run once before."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def names(log, options, report):
    """Names of a stream beside those of bts-dump, and of arrays."""
    symbols = log.symbols(options.symbols)
    log.branches(["to_name"], symbols=symbols).reader()
    start, stop = 16_000_000, 20_000_000
    if options.dump:
        command = [options.dump, "--range", f"{start}:{stop}", "--symbols", options.symbols, "--format", "csv", options.run]
        peer = report("bts-dump --symbols --format csv", child(command), stop - start)
    columns = ["brctr", "from", "to", "kind", "from_name", "to_name"]
    work = lambda: drain(log.branches(columns, symbols=symbols, start=start, stop=stop))
    report(f"stream of the same rows: {','.join(columns)}", best(work), stop - start, peer=peer if options.dump else None)
    report("whole stream: from_name,to_name", best(lambda: drain(log.branches(["from_name", "to_name"], symbols=symbols))))
    edges = log.edges(["from", "to"]).to_arrow()
    addresses = edges["to"].combine_chunks()
    report(f"name() of {len(addresses):,} addresses (edges)", best(lambda: symbols.name(addresses)), len(addresses))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--parquet")
    parser.add_argument("--sql")
    parser.add_argument("--symbols")
    parser.add_argument("--dump")
    options = parser.parse_args()
    log = ttlog.open(options.run)
    count = sum(vcpu.branches for vcpu in log.vcpus)
    events = sum(vcpu.events + vcpu.accesses for vcpu in log.vcpus)

    def report(name, seconds, rows=count, peer=None):
        ratio = f"   {peer / seconds:5.2f} of it" if peer else ""
        print(f"{name:76} {rows / seconds / 1e6:8.1f} M/s{ratio}", flush=True)
        return seconds

    print(f"{log!r}")
    whole = None
    for wanted in (ALL, PATH, ["from"], ["to"], ["icount"], ["kind"], ["brctr"]):
        text = ",".join(wanted)
        own, drained, ratio = in_turns(lambda: library().scan(log._handle, text.encode()), lambda: drain(log.branches(wanted)))
        report(f"decode alone: {text}", own)
        report(f"stream, drained: {text}", drained)
        whole = whole or drained
        print(f"{'':76} {ratio:8.2f} of the decode's rate, {drained / whole:.2f} of the time of all columns")
    if options.symbols:
        names(log, options, report)
    report("edges", best(lambda: drain(log.edges()), 1))
    report("calls", best(lambda: drain(log.calls(["vcpu", "depth", "target", "begin_brctr", "end_brctr"])), 1))
    if events:
        columns = ["brctr", "icount", "kind", "ip", "info", "address", "value"]
        report("events and accesses, without details", best(lambda: (drain(log.events(columns)), drain(log.accesses(columns)))), events)
        report("events and accesses, all columns", best(lambda: (drain(log.events()), drain(log.accesses())), 1), events)

    with tempfile.TemporaryDirectory() as folder:
        path = options.parquet or os.path.join(folder, "branches.parquet")
        if not os.path.exists(path):
            report("Parquet: written", best(lambda: _parquet.write(log.branches(ALL).reader(), path), 1))
        print(f"Parquet: {os.path.getsize(path) / count:.3f} bytes a branch; the log {pathlib.Path(log.path).stat().st_size / count:.3f}")
        engines(log, options, path, count, report)


if __name__ == "__main__":
    main()
