# SPDX-License-Identifier: GPL-2.0-or-later
"""Who owns what: streams that are not read, columns that outlive them, threads. conftest compares the counts."""

import gc
import os
import threading
import time

import pyarrow

import ttlog

OPENS = int(os.environ.get("TT_OPENS", "3000"))


def test_a_capsule_that_nobody_takes(recording):
    capsule = ttlog.open(recording).branches().__arrow_c_stream__()
    del capsule


def test_a_stream_that_is_closed_early(recording):
    reader = ttlog.open(recording).branches().reader()
    reader.read_next_batch()
    reader.close()


def test_a_column_outlives_batch_stream_and_log(recording):
    log = ttlog.open(recording)
    expected = log.branches(["icount"], stop=10).to_arrow()["icount"].to_pylist()
    reader = log.branches().reader()
    column = reader.read_next_batch().column("icount")
    log.close()
    del reader, log
    gc.collect()
    # Memory that was given back by mistake would be used by these.
    for _ in range(3):
        ttlog.open(recording).branches().to_arrow()
    assert column[:10].to_pylist() == expected
    assert column.to_pylist() == sorted(column.to_pylist())


def test_a_stream_outlives_its_log(recording):
    log = ttlog.open(recording)
    count = log.vcpus[0].branches
    reader = log.branches(["to"]).reader()
    log.close()
    assert sum(len(batch) for batch in reader) == count


def test_many_opens(recording):
    """Descriptors and memory are given back."""

    def turns(count):
        for _ in range(count):
            with ttlog.open(recording) as log:
                log.branches().__arrow_c_stream__()
                for batch in log.chunks(["cell"]).reader():
                    assert len(batch) > 0

    turns(min(OPENS, 3000))
    before, descriptors = _memory(), len(os.listdir("/proc/self/fd"))
    turns(OPENS)
    assert _memory() < before * 1.1 + 4096
    assert len(os.listdir("/proc/self/fd")) == descriptors


def _memory():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4


def test_threads_read_one_log(recording):
    log = ttlog.open(recording)
    expected = log.branches(["from", "to"]).to_arrow()
    found = {}

    def read(part, start, stop):
        found[part] = log.branches(["from", "to"], start=start, stop=stop).to_arrow()

    threads = [threading.Thread(target=read, args=(part, *limits)) for part, limits in enumerate(log.partitions(8))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pyarrow.concat_tables([found[part] for part in sorted(found)]).equals(expected)


def test_the_interpreter_runs_while_the_library_works(recording):
    """A loop of Python goes on during a call: with the lock held, it would make no progress."""
    log = ttlog.open(recording)
    turns = []
    stop = threading.Event()

    def count():
        while not stop.is_set():
            turns.append(time.monotonic())
            time.sleep(0.0005)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        during = 0
        for _ in range(20):
            start = time.monotonic()
            ttlog.diverge(log, log, context=0)
            for row in log.edges(["count"]).reader():
                pass
            end = time.monotonic()
            during += sum(start < turn < end for turn in turns)
    finally:
        stop.set()
        thread.join()
    assert during > 20
