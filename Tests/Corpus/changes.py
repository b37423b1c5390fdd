# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to make the second run of a pair: changes of replay.bin, of settings, and of logs."""

import csv
import itertools
import os
import shutil
import subprocess
import sys

from replaybin import CODES
from runs import BIN, ROOT, Missing, Pair
from scoring import Place

sys.path.insert(0, os.path.join(ROOT, "Tests/SecondReader"))
from structures import BRANCH  # noqa: E402
from ttlog_reader import Log  # noqa: E402


class Entry:
    """The entry of replay.bin that belongs to an event of the recording: the `number`th one in a function."""

    def __init__(self, run, runs, kind, symbol, number=0):
        rows = runs.entries(run, kind)
        found = [index for index, row in enumerate(rows) if symbol in row["symbol"]]
        if not found:
            raise Missing(f"no {kind} in {symbol}")
        self.row = rows[found[number]]
        self.icount, self.brctr, self.kind = self.row["icount"], self.row["brctr"], kind

    def place(self, inputs):
        # The log counts instructions from 0, and those of restored faults twice; the guests have less than 16 faults.
        before = [index for index in inputs.all(self.kind) if -1 <= self.icount - inputs.count_before(index) < 16]
        if not before:
            raise Missing(f"the {self.kind} at {self.icount} has no entry in replay.bin")
        return before[-1]


def moved(recording, kind, symbol, by, number=0):
    """The entry happens `by` instructions later or earlier."""
    def make(runs):
        run = recording(runs)
        entry = Entry(run, runs, kind, symbol, number)

        def change(inputs):
            index = entry.place(inputs)
            before, after = inputs.distances(index)
            inputs.move(index, by)
            return {"entry": entry, "before": before, "after": after}
        pair = runs.edited(run, change)
        pair.notes["by"] = by
        return pair
    return make


def dropped(recording, kind, symbol, number=0):
    def make(runs):
        run = recording(runs)
        entry = Entry(run, runs, kind, symbol, number)

        def change(inputs):
            del inputs.entries[entry.place(inputs)]
            return {"entry": entry}
        return runs.edited(run, change)
    return make


def added(recording, symbol, after, number=0):
    """A further interrupt `after` instructions after one that the recording has."""
    def make(runs):
        run = recording(runs)
        entry = Entry(run, runs, "interrupt", symbol, number)

        def change(inputs):
            index = entry.place(inputs)
            count = inputs.count_before(index) + after
            if after:
                inputs.insert(count, CODES["interrupt"])
            else:
                inputs.entries.insert(index, [CODES["interrupt"], b""])
            return {"entry": entry, "end": entry.icount + after}
        return runs.edited(run, change)
    return make


def cut(recording, symbol, damage=False):
    """replay.bin ends, or has an unknown code, at an interrupt."""
    def make(runs):
        run = recording(runs)
        entry = Entry(run, runs, "interrupt", symbol)

        def change(inputs):
            index = entry.place(inputs)
            if damage:
                inputs.entries[index:index + 1] = [[200, b""]]
            else:
                del inputs.entries[index:]
            return {"entry": entry}
        return runs.edited(run, change)
    return make


def clocks(recording, seconds):
    """The host's clock shows another time, from the first value on."""
    def make(runs):
        def change(inputs):
            if not inputs.shift_clocks(seconds * 1_000_000_000):
                raise Missing("replay.bin has no value of the host's clock")
        return runs.edited(recording(runs), change)
    return make


def settings(recording, *arguments, **options):
    """The replay has other settings."""
    return lambda runs: runs.replay(recording(runs), *arguments, **options)


# Places


def at_entry(pair):
    """Where the recording has the event."""
    return Place(icount=pair.notes["entry"].icount)


def at_entry_moved(pair):
    by = pair.notes["by"]
    return Place(icount=pair.notes["entry"].icount, moved=by)


def at_entry_clock(pair):
    """The branches before the event are in the log of a replay that stops there."""
    return Place(brctr=pair.notes["entry"].brctr)


def at_end(pair):
    """Where the replay stops: before the instruction at which replay.bin ends or waits for ever."""
    return Place(brctr=branches_before(pair.log("original"), pair.notes["end"]))


def branches_before(path, icount):
    """The number of branches of a log before an instruction count."""
    low, high = 0, max(chunk.clock_last for chunk in branch_chunks(path)) + 1
    while low < high:
        middle = (low + high) // 2
        (row,) = branch_rows(path, "--range", f"{middle}:{middle + 1}")
        count = int(row["icount"])
        if count < icount:
            low = middle + 1
        else:
            high = middle
    return low


def branch_rows(path, *options, limit=None):
    """Branches of a log as rows of `bts-dump`."""
    words = [os.path.join(BIN, "bts-dump"), "--format", "csv", *options, path]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        rows = list(itertools.islice(csv.DictReader(process.stdout), limit))
        process.stdout.close()
    return rows


def branch_chunks(path):
    return sorted((chunk for chunk in Log(path).elements.chunks if chunk.stream == BRANCH),
                  key=lambda chunk: chunk.clock_first)


# Logs


def with_own_log(runs, pair, side):
    """The pair with a copy of the run directory of one side, and the path of the log in it."""
    target = runs.path(f"copy-{side}")
    os.mkdir(target)
    shutil.copy(os.path.join(getattr(pair, side), "manifest.json"), target)
    shutil.copy(pair.log(side), os.path.join(target, "ttd.log"))
    result = Pair(pair.original, pair.replay, pair.run)
    setattr(result, side, target)
    return result, os.path.join(target, "ttd.log")


def truncated(runs, pair):
    """The replay's log is cut in the middle of a chunk; it keeps the chunks before."""
    result, target = with_own_log(runs, pair, "replay")
    chunks = branch_chunks(target)
    middle = chunks[len(chunks) // 2]
    os.truncate(target, (middle.body_offset + middle.body_end) // 2)
    result.notes["end"] = middle.clock_first
    return result


def damaged(runs, pair, number, side="replay"):
    """A byte of the body of the `number`th branch chunk of a log is changed."""
    result, target = with_own_log(runs, pair, side)
    chunk = branch_chunks(target)[number]
    with open(target, "r+b") as file:
        place = (chunk.body_offset + chunk.body_end) // 2
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0xff]))
    result.notes["clocks"] = range(chunk.clock_first, chunk.clock_last + 1)
    return result
