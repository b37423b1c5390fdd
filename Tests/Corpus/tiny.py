# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases with the small guests, under QEMU 7.2 (CASES) and 10.0 (CASES_10)."""

import os
import signal
import struct
import subprocess
import time

from changes import (
    added, at_end, at_entry, at_entry_clock, at_entry_moved, branch_chunks, branch_rows, branches_before, clocks, cut,
    damaged, dropped, moved, settings, truncated,
)
from runs import BIN, EXIT_DEVICE, PLUGIN, TINY, Missing, Pair, Runs, children, command, qemu, tool
from scoring import Case, Place

SEABIOS = "/usr/share/seabios"


def guest(name):
    return ["--kernel", f"{TINY}/{name}.elf", *EXIT_DEVICE]


def differs(version="7.2", *more):
    return lambda runs: runs.recording("differs-" + "-".join([version, *more]), guest("differs") + list(more), version)


def variant(name, version="7.2"):
    """The replay of `differs` runs a variant of it."""
    return settings(differs(version), "--kernel", f"{TINY}/differs-{name}.elf")


def line(text, source="tiny/differs.c"):
    return Runs.symbol_line(source, text)


def phase(run, symbol):
    """The branch that enters a function for the first time: clock and instruction count after it."""
    rows = branch_rows(run, "--symbols", f"{TINY}/differs.elf", "--from", symbol, limit=1)
    if not rows:
        raise Missing(f"{symbol} is never reached")
    return int(rows[0]["brctr"]), int(rows[0]["icount"])


def before_kernel(pair):
    """Firmware runs only before the first instruction of the kernel's begin."""
    return Place(before=phase(pair.run, "kernel_main")[1], is_branch=True)


def in_function(symbol, source=None):
    """The replay takes a branch in that function; the original leaves it."""
    return Place(symbol=symbol, source=source, side="replay", is_branch=True)


# Serial input


def echoes(version="7.2"):
    def make(runs):
        path = os.path.join(runs.folder, "serial-input")
        with open(path, "w", encoding="ascii") as file:
            file.write("abcq")
        return runs.recording(f"echoes-{version}", guest("echoes") + ["--serial", path, "--timeout", "20"], version)
    return make


def other_character(version):
    """The second character is c in place of b."""
    def make(runs):
        def change(inputs):
            for _, index in enumerate(inputs.all("async-char-read")):
                code, payload = inputs.entries[index]
                if b"b" in payload[5:]:
                    inputs.entries[index] = [code, payload[:5] + payload[5:].replace(b"b", b"c")]
                    return
            raise Missing("replay.bin has no b")
        return runs.edited(echoes(version)(runs), change)
    return make


# Logs


def faithful(recording, *more):
    return lambda runs: runs.replay(recording(runs), *more)


def cut_log(runs):
    return truncated(runs, faithful(differs())(runs))


def at_cut(pair):
    return Place(brctr=pair.notes["end"])


def damaged_log(number, pair_of):
    return lambda runs: damaged(runs, pair_of(runs), number)


def in_damage(pair):
    return Place(clocks=pair.notes["clocks"])


def damage_at_difference(pair_of):
    return lambda runs: damage_first_difference(runs, pair_of(runs))


def damage_first_difference(runs, pair):
    clock = runs.first_branch(pair)
    chunks = branch_chunks(pair.log("replay"))
    number = next(index for index, chunk in enumerate(chunks) if chunk.clock_first <= clock <= chunk.clock_last)
    return damaged(runs, pair, number)


def long_guest(runs):
    """The small guest with 25 times the work, so that there is time to kill it."""
    folder = os.path.join(runs.folder, "guest")
    make = ["make", "-s", "-C", os.path.dirname(TINY), "ROUNDS=1000", f"OUT={folder}", f"{folder}/tiny.elf"]
    command(make)
    return ["--kernel", f"{folder}/tiny.elf", *EXIT_DEVICE]


def killed_replay(runs):
    """QEMU is killed while it replays; the log has as many branches as the second reader finds."""
    run = runs.recording("long-7.2", long_guest(runs))
    out = runs.path("replay-killed")
    log = os.path.join(out, "ttd.log")
    words = [os.path.join(BIN, "tt-replay"), run, "-o", out, "--quiet", "--trust", "--plugin", PLUGIN]
    kill_at(words, log, 300_000)
    pair = Pair(run, out, run)
    pair.notes["end"] = branch_chunks(log)[-1].clock_last + 1
    return pair


def kill_at(words, log, size):
    """Kills the QEMU that a tool runs when its log has so many bytes."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if os.path.getsize(log) >= size:
                for child in children(process.pid):
                    os.kill(child, signal.SIGKILL)
                break
        except OSError:
            pass
    process.wait(timeout=60)


def killed_recording(version):
    """QEMU is killed while it records; what is recorded replays."""
    def make(runs):
        out = runs.path("run-killed")
        words = [os.path.join(BIN, "tt-record"), "--quiet", "--plugin", PLUGIN, "--qemu", qemu(version),
                 *long_guest(runs), out]
        kill_at(words, os.path.join(out, "ttd.log"), 300_000)
        return runs.replay(out)
    return make


def sliced(runs):
    """A slice of the recording, compared with the recording."""
    run = differs()(runs)
    target = runs.path("slice.log")
    tool("tt-analyze", "slice", run, target, "--range", "300000:900000")
    return Pair(target, run, run)


def skewed(pair_of):
    """Raw branch records with counters; those of the replay are 7 more from the 100,000th branch on."""
    def make(runs):
        pair = pair_of(runs)
        paths = [runs.path(f"skewed-{side}.bts") for side in ("original", "replay")]
        for side, path in zip(("original", "replay"), paths):
            tool("bts-dump", "--extract", path, "--extended", "--range", "1000000:1400000", pair.log(side))
        with open(paths[1], "r+b") as file:
            data = bytearray(file.read())
            for place in range(24 * 100_001 + 16, len(data), 24):
                struct.pack_into("<Q", data, place, struct.unpack_from("<Q", data, place)[0] + 7)
            file.seek(0)
            file.write(data)
        logs = [runs.path(f"skewed-{side}.log") for side in ("original", "replay")]
        for path, log in zip(paths, logs):
            tool("tt-analyze", "import", path, "-o", log)
        return Pair(*logs, pair.run)
    return make


tiny_turn = settings(lambda runs: runs.recording("tiny-7.2", guest("tiny")), "--kernel", f"{TINY}/tiny-extra-turn.elf")


def digest_turn(runs):
    return runs.replay(differs("7.2", "--mode", "digest")(runs), "--mode", "branches", "--kernel",
                       f"{TINY}/differs-turn.elf")


def cell_of_first_branch(pair):
    """The branch cell of the first branch that differs between two whole logs of the same runs."""
    return Place(clocks=pair.notes["cell"])


def digest_with_cell(runs):
    whole = variant("turn")(runs)
    clock = runs.first_branch(whole)
    pair = digest_turn(runs)
    pair.notes["cell"] = range(clock >> 16 << 16, (clock >> 16) + 1 << 16)
    return pair


def two_qemus(runs):
    a, b = differs("7.2")(runs), differs("10.0")(runs)
    return Pair(a, b, a)


def after_register(pair):
    """The first state digest (at the ends of branch cells) after the register has its number."""
    clock, _ = phase(pair.run, "hold_in_register")
    end = (clock >> 16) + 1 << 16
    return Place(clocks=range(end - 1, end + 1))


def seconds_read(pair):
    """The first read of the clock's seconds: register 0 of the chip at ports 0x70 and 0x71."""
    is_selected = False
    for row in Runs.events(pair.run, "--kind", "port-read", "--kind", "port-write"):
        if row["kind"] == "port-write" and row["address"] == "0x70":
            is_selected = int(row["values"], 16) & 0x7f == 0
        elif row["kind"] == "port-read" and row["address"] == "0x71" and is_selected:
            return Place(icount=row["icount"], kind="port-read")
    raise Missing("the clock is never read")


def after_last_loop(pair):
    """The first register digest in the last loop: its register holds the number of turns from its beginning."""
    clock, _ = phase(pair.run, "hold_in_register")
    end = (clock + 200_000 >> 16) + 1 << 16
    return Place(clocks=range(end - 1, end + 1), symbol="spin_of_nine")


def second_character(pair):
    """The second character is the second read of the serial line's data register after the guest is ready."""
    reads = [row for row in Runs.events(pair.run, "--kind", "port-read") if row["address"] == "0x3f8"
             and "kernel_main" in row["symbol"]]
    return Place(icount=reads[1]["icount"], kind="port-read")


def touched_page(pair):
    """The page fault is at the second touch, which in the recording begins after the handler of the first."""
    _, icount = phase(pair.run, "touch_pages")
    faults = [row for row in Runs.events(pair.run) if row["kind"] == "exception" and row["icount"] >= icount]
    return Place(source=line("touch * PAGE) = 2"), icount=second_touch(pair, faults[0]))


def second_touch(pair, fault):
    """The instruction count at the second touch: it follows the return from the first fault's handler and a load."""
    for row in branch_rows(pair.log("original"), "--range", f"{fault['brctr']}:{fault['brctr'] + 40}"):
        if row["to"] == fault["ip"]:
            # The faulting instruction begins anew; then come the instructions up to the second touch.
            return int(row["icount"]) + distance_of_touches(int(fault["ip"], 16))
    raise Missing("no return from the page fault")


def distance_of_touches(first):
    """The instructions from one touch to the other, from the disassembly."""
    text = command(["objdump", "-d", "--no-show-raw-insn", f"{TINY}/differs.elf"]).stdout
    rows = [row for row in text.split("<touch_pages>:")[1].split("\n\n")[0].splitlines() if ":\t" in row]
    addresses = [int(row.split(":")[0], 16) for row in rows]
    second = next(index for index, row in enumerate(rows) if "movl" in row and "$0x2" in row)
    return second - addresses.index(first)


def log_cases(quick):
    same = "the replay is faithful"
    return [
        Case("log cut", "differs", f"{same}; its log keeps the chunks before the cut", cut_log, "replay-ended-early", at_cut,
             quick=quick),
        Case("log damaged", "differs", f"{same}; the digests of the damaged chunk's header agree",
             damaged_log(3, faithful(differs())), "identical", quick=quick),
        Case("log damaged, and a turn more", "differs", "the damage is before the loop that takes a turn more",
             damaged_log(1, variant("turn")), "control-flow", Place(symbol="spin_of_nine", side="replay"),
             "the kernel differs"),
        Case("log damaged where it differs", "tiny", "the digests show the chunk in which the paths part",
             damage_at_difference(tiny_turn), "control-flow", in_damage, "the kernel differs"),
        Case("last chunk damaged where it differs", "differs", "the last chunk has more branches in one log than in the "
             "other, so that its digests cannot be compared; the writes to ports in it come one turn later",
             damage_at_difference(variant("turn")), "moved-event", in_damage, "the kernel differs",
             corrected="the digests of chunks of different lengths were expected to show control flow; they show nothing"),
        Case("replay killed", "differs", f"{same}, and its log ends where it was killed", killed_replay,
             "replay-ended-early", at_cut, quick=quick),
        Case("recording killed", "differs", "a recording that was killed can be replayed up to its end",
             killed_recording("7.2"), "identical", quick=quick),
        Case("slice", "differs", "both are one run", sliced, "identical", quick=quick),
        Case("counters skewed", "differs", f"{same}; only its counters are off by 7 from a branch on",
             skewed(faithful(differs())), "identical", quick=quick),
        Case("digests only, and a turn more", "differs", "the recording keeps the digests of that cell only",
             digest_with_cell, "control-flow", cell_of_first_branch, "the kernel differs"),
        Case("QEMU 7.2 and 10.0", "differs", "their logs show different things", two_qemus, "not-comparable"),
    ]


def interrupt_cases(version, quick):
    recording = differs(version)
    name = "interrupt|discontinuity"
    stops = "no interrupt is pending there, so QEMU waits for ever"
    return [
        Case("interrupt late by 1", "differs", "one INTERRUPT of replay.bin is one instruction later",
             moved(recording, "interrupt", "spin_of_three", 1), "moved-event", at_entry_moved, name),
        Case("interrupt late by 7", "differs", "the same by 7", moved(recording, "interrupt", "spin_of_three", 7, 1),
             "moved-event", at_entry_moved, name, quick=quick),
        Case("interrupt late by 5 turns", "differs", "5 turns of a loop of three instructions: it comes at the same address",
             moved(recording, "interrupt", "spin_of_three", 15, 1), "moved-event", at_entry_moved, name, quick=quick),
        Case("interrupt late by 3 turns", "differs", "3 turns of a loop of nine instructions",
             moved(recording, "interrupt", "spin_of_nine", 27), "moved-event", at_entry_moved, name),
        Case("interrupt late by 30,000", "differs", "later by a thousand turns",
             moved(recording, "interrupt", "spin_of_three", 30000, 1), "moved-event", at_entry_moved, name),
        Case("interrupt early by 7", "differs", stops, early(recording), "replay-ended-early", at_end, "input log"),
        Case("interrupt dropped", "differs", "the timer's interrupt stays pending until the next INTERRUPT",
             dropped(recording, "interrupt", "spin_of_three", 1), "missing-event", at_entry, name, quick=quick),
        Case("last interrupt dropped", "differs", "no INTERRUPT follows", dropped(recording, "interrupt", "spin_of_nine", -1),
             "missing-event", at_entry, name),
        Case("interrupt added", "differs", stops, added(recording, "spin_of_three", 1000, 1), "replay-ended-early", at_end,
             "input log"),
        Case("interrupt twice", "differs", "the second one finds none pending after the first is taken",
             added(recording, "spin_of_three", 0, 1), "replay-ended-early", at_entry_clock, "input log",
             corrected="one branch more was expected: the handler never begins, so there is no transition to it"),
        Case("page fault dropped", "differs", "QEMU waits at the fault that replay.bin does not have",
             dropped(recording, "exception", "touch_pages"), "replay-ended-early", at_entry_clock, "input log"),
        Case("page fault late by 1", "differs", "QEMU waits at the fault", moved(recording, "exception", "touch_pages", 1),
             "replay-ended-early", at_entry_clock, "input log"),
        Case("one page fault more", "differs", "two recordings; one touches a page that is not mapped; later ticks are at "
             "the same instruction counts and other addresses", two_recordings(version, "differs", "differs-touch"),
             "extra-event", touched_page, "the kernel differs", quick=quick),
        Case("one page fault more in a replay", "differs", "replay.bin has no entry for it: QEMU waits at the second touch",
             variant("touch", version), "replay-ended-early", before_touch, "the kernel differs",
             corrected="an extra event was expected, but the fault is never delivered"),
        Case("one page fault fewer, two recordings", "differs-touch", "the same pair the other way round",
             two_recordings(version, "differs-touch", "differs"), "missing-event", touched_page_of_original,
             "the kernel differs"),
        Case("one page fault fewer", "differs-touch", "the same pair the other way round", fewer_faults(version),
             "missing-event", touched_page_of_original, "the kernel differs"),
        turn_case(version, quick),
    ]


def turn_case(version, quick):
    name, change = "one turn more, late", variant("turn", version)
    if version == "7.2":
        return Case(name, "differs", "the loop's last branch is taken once more", change, "control-flow",
                    in_function("spin_of_nine"), "the kernel differs", quick=quick)
    return Case(name, "differs", "a register holds the number of turns from the loop's beginning", change, "state",
                after_last_loop, "the kernel differs",
                corrected="control flow at the loop's end was expected; the digests show the register before it")


def early(recording):
    def make(runs):
        pair = moved(recording, "interrupt", "spin_of_three", -7, 1)(runs)
        pair.notes["end"] = pair.notes["entry"].icount - 7
        return pair
    return make


def fewer_faults(version):
    def make(runs):
        run = runs.recording(f"differs-touch-{version}", guest("differs-touch"), version)
        return runs.replay(run, "--kernel", f"{TINY}/differs.elf")
    return make


def two_recordings(version, first, second):
    """Two recordings that read the same time from the clock."""
    time_of_day = ["--", "-rtc", "base=2024-05-05T10:00:00,clock=vm"]

    def make(runs):
        one, other = (runs.recording(f"{name}-{version}-rtc", guest(name) + time_of_day, version)
                      for name in (first, second))
        return Pair(one, other, one)
    return make


def before_touch(pair):
    """All branches before the second touch."""
    return Place(brctr=branches_before(pair.log("original"), touched_page(pair).icount))


def touched_page_of_original(pair):
    _, icount = phase(pair.run, "touch_pages")
    faults = [row for row in Runs.events(pair.run) if row["kind"] == "exception" and row["icount"] >= icount]
    return Place(icount=faults[1]["icount"])


def device_case(version):
    change = settings(differs(version), "--", "-device", "pci-testdev")
    if version == "7.2":
        return Case("device", "differs", "the firmware finds another device on the PCI bus", change, "control-flow",
                    before_kernel, "extra arguments")
    return Case("device", "differs", "the firmware reads the configuration of another device on the PCI bus", change,
                "payload", lambda pair: Place(before=phase(pair.run, "kernel_main")[1], kind="port-read"),
                "extra arguments", corrected="control flow was expected; the log of QEMU 10.0 shows the value before it")


def setting_cases(version, quick):
    recording = differs(version)
    firmware = "the firmware reads it before the kernel begins"
    return [
        Case("memory", "differs", firmware, settings(recording, "--memory", "96M"), "control-flow", before_kernel,
             "the memory differs", quick=quick),
        device_case(version),
    ]


CASES = [
    *interrupt_cases("7.2", True),
    *setting_cases("7.2", True),
    Case("processor", "differs", "the firmware reads cpuid", settings(differs(), "--cpu", "Nehalem"), "control-flow",
         before_kernel, "the cpu differs"),
    Case("BIOS", "differs", "the other BIOS begins elsewhere",
         settings(differs(), "--", "-bios", f"{SEABIOS}/bios.bin"), "control-flow", before_kernel, "bios|firmware|extra"),
    Case("one turn more, in one round", "tiny", "the loop of `step` in round 5",
         tiny_turn, "control-flow", in_function("step", line("i < steps;", "tiny/main.c")), "the kernel differs"),
    Case("data of tiny", "tiny", "no branch depends on it, and the log of QEMU 7.2 shows branches only",
         settings(lambda runs: runs.recording("tiny-7.2", guest("tiny")), "--kernel", f"{TINY}/tiny-data.elf"),
         "identical", quick=True),
    Case("a number in a register", "differs", "no branch depends on it", variant("register"), "identical"),
    Case("a number in memory", "differs", "no branch depends on it", variant("memory"), "identical"),
    Case("host's clock", "differs", "the loop takes as many turns as the clock has seconds", clocks(differs(), 5),
         "control-flow", in_function("spend_seconds"), "input log|port-read"),
    Case("replay.bin cut", "differs", "the replay ends where its inputs end", cut(differs(), "spin_of_three"),
         "replay-ended-early", at_entry_clock, "input log"),
    Case("replay.bin damaged", "differs", "QEMU gives up at the unknown code", cut(differs(), "spin_of_three", True),
         "replay-ended-early", at_entry_clock, "input log"),
    Case("serial input", "echoes", "the loop of `work` takes as many turns as the character's code", other_character("7.2"),
         "control-flow", in_function("work"), "input log|port-read"),
    *log_cases(True),
]

CASES_10 = [
    *interrupt_cases("10.0", False),
    *setting_cases("10.0", False),
    Case("processor", "differs", "the first cpuid whose result differs", settings(differs("10.0"), "--cpu", "Nehalem"),
         "payload", lambda pair: Place(before=phase(pair.run, "kernel_main")[1], kind="cpuid"), "cpu differs"),
    Case("a number in a register", "differs", "the first register digest after the register has it",
         variant("register", "10.0"), "state", after_register, "the kernel differs"),
    Case("a number in memory", "differs", "no register holds it at a digest", variant("memory", "10.0"), "identical"),
    Case("host's clock", "differs", "the read of the seconds", clocks(differs("10.0"), 5), "payload", seconds_read,
         "port-read", corrected="the kernel's own read was expected; the firmware reads the clock before"),
    Case("serial input", "echoes", "the read of the second character", other_character("10.0"), "payload",
         second_character, "port-read"),
    Case("recording killed", "differs", "a recording that was killed can be replayed up to its end",
         killed_recording("10.0"), "identical"),
]
