# SPDX-License-Identifier: GPL-2.0-or-later
"""Who owns what: streams that are not read, columns that outlive them, threads. conftest compares the counts."""

import ctypes
import functools
import gc
import operator
import os
import struct
import threading

import pyarrow
import pytest

import ttlog
from ttlog import _library, _rows

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


class Counter:
    """A thread that counts whenever it may run Python."""

    def __init__(self):
        self._turns = [0]
        self._thread = threading.Thread(target=self._count)
        self._stops = False

    def _count(self):
        while not self._stops:
            self._turns[0] += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stops = True
        self._thread.join()

    def during(self, function, *arguments):
        """How often it counts during one call of a C function.

        `map` calls all three from C, where the interpreter gives its lock to no other thread: what is counted happens inside
        the call.
        """
        read = functools.partial(operator.getitem, self._turns, 0)
        call = functools.partial(function, *arguments)
        before, status, after = map(operator.methodcaller("__call__"), (read, call, read))
        assert status == 0
        return after - before


@pytest.fixture
def raw_logs(tmp_path):
    """Two files of three million branches, of which the last ones differ: opening imports them."""
    records = [struct.pack("<3Q", 16 * index, 24 * index % 65_521, 0) for index in range(1000)]
    data = b"".join(records)
    (tmp_path / "a.bts").write_bytes(data * 3000)
    (tmp_path / "b.bts").write_bytes(data * 2999 + b"".join(reversed(records)))
    return tmp_path / "a.bts", tmp_path / "b.bts"


def test_the_interpreter_runs_while_the_library_works(raw_logs, monkeypatch):
    """Another thread counts during each long call, and does not with a library that holds the interpreter's lock."""
    free = _library.library()
    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "CDLL", ctypes.PyDLL)
        held = _library.Library(free.path)
    held_next = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    def turns(counter, library, holds):
        """Turns while a file is imported, while two logs are compared, and while a stream is read."""
        handle = ctypes.c_void_p()
        opening = counter.during(library.open, os.fsencode(raw_logs[0]), ctypes.byref(handle), None)
        library.close(handle)
        first, second = map(ttlog.open, raw_logs)
        comparing = counter.during(library.diverge, first._handle, second._handle, 8, ctypes.byref(handle), None)
        library.divergence_free(handle)
        # The stream of edges reads the whole log for its first batch.
        capsule = first.edges(["count"]).__arrow_c_stream__()
        place = _rows.stream_of(capsule)
        stream, batch = _library.ArrowStream.from_address(place), _library.ArrowArray()
        read_next = ctypes.cast(stream.get_next, held_next) if holds else stream.get_next
        taken = ctypes.byref(stream) if not holds else place
        reading = counter.during(read_next, taken, ctypes.byref(batch))
        batch.release(ctypes.byref(batch))
        return {"opening": opening, "comparing": comparing, "reading": reading}

    with Counter() as counter:
        assert turns(counter, held, True) == {"opening": 0, "comparing": 0, "reading": 0}
        found = turns(counter, free, False)
    assert min(found.values()) > 1000, found
