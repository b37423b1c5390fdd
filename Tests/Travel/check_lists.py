#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Places and lists of commands, compared with the run's log as tt-analyze and bts-dump print it.

    check_lists.py BIN RUN DIFFERENT

DIFFERENT is a replay of RUN that differs from it. Both are runs of the small guest. Exit status: 0 all equal, 1 not.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from left import Failed, Marked, require, run_script

POSITION = re.compile(r"brctr (\d+), icount (\d+), rip 0x([0-9a-f]+)")
FUNCTION = "sort_numbers"


def rows(words):
    """The documents of a tool's lines, one after the other, without the first one, which names the schema."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            next(process.stdout)
            for line in process.stdout:
                yield json.loads(line)
        finally:
            process.kill()


class Log:
    """What the log shows."""

    def __init__(self, binaries, run):
        self.events, self.writes = (
            list(rows([f"{binaries}/tt-analyze", "events", "--no-causes", *which, "--format", "jsonl", run]))
            for which in (["--stream", "event"], ["--kind", "port-write"]))
        self.dump = [f"{binaries}/bts-dump", "--format", "jsonl", run]

    @staticmethod
    def row(binaries, run, brctr):
        """The transition with a number."""
        return next(rows([f"{binaries}/bts-dump", "--format", "jsonl", run, "--range", f"{brctr}:{int(brctr) + 1}"]))

    def entry(self, function, nth=1):
        """The transition that enters a function for the NTH time."""
        for row in rows(self.dump + ["--from", function]):
            place = row["toPlace"] or {}
            nth -= (place.get("symbol"), place.get("offset")) == (function, "0")
            if nth == 0:
                return row
        raise Failed(f"the log has no such entry of {function}")

    def branches(self, start, end):
        return list(rows(self.dump + ["--range", f"{start}:{end}"]))

    def after(self, row):
        """The position after a transition."""
        return int(row["brctr"]) + 1, int(row["icount"]), int(row["to"], 16)

    def at(self, brctr):
        return self.after(self.branches(brctr - 1, brctr)[0])


class Check:
    def __init__(self, binaries, run, other, scratch):
        self.binaries, self.run, self.other = binaries, run, other
        self.marked = Marked(scratch)
        self.log = Log(binaries, run)
        self.count = 0

    def equal(self, found, wanted, what):
        self.count += 1
        require(found == wanted, f"{what}: {found}, not {wanted}")

    def gdb(self, run, place, commands, options=()):
        """The answers to commands at a place, one text each."""
        words = [f"{self.binaries}/tt-gdb", run, place, "--quiet", "--checkpoint-space", "0", *options, "--", "-nx", "-batch"]
        for command in commands:
            words += ["-ex", "echo @@@\\n", "-ex", command]
        status, out, err = self.marked.run(words)
        require(status == 0, f"{words}: status {status}: {err}")
        answers = out.split("@@@\n")[1:]
        require(len(answers) == len(commands), f"{words}: {out}{err}")
        return answers

    def position(self, text):
        found = POSITION.search(text)
        require(found, f"no position: {text}")
        return int(found.group(1)), int(found.group(2)), int(found.group(3), 16)

    def lists(self):
        """Events, branches and open calls before a place."""
        entry = self.log.entry(FUNCTION, 3)
        brctr, icount, _ = self.log.after(entry)
        events, branches, calls, frames, none = self.gdb(
            self.run, f"{FUNCTION}:3", ["tt events 5", "tt branches 4", "tt calls", "backtrace", "tt events x"])
        # The row that leads here has this count, too.
        wanted = [event for event in self.log.events if int(event["icount"]) < icount][-5:]
        found = re.findall(r"^event:(\d+)  (\d+): icount (\d+)  (\S+)  0x([0-9a-f]+)", events, re.M)
        self.equal(
            found, [(e["ordinal"], e["brctr"], e["icount"], e["kind"], e["ip"][2:]) for e in wanted], "tt events 5")
        wanted = self.log.branches(brctr - 4, brctr)
        found = re.findall(r"^(\d+): 0x([0-9a-f]+)(?: <\S+>)? -> 0x([0-9a-f]+)(?: <(\S+)>)?  (\w+)", branches, re.M)
        self.equal(
            [row[:3] + row[4:] for row in found],
            [(row["brctr"], row["from"][2:], row["to"][2:], row["label"]) for row in wanted], "tt branches 4")
        self.equal(found[-1][3], FUNCTION, "the name in tt branches")
        # gdb unwinds the stack; the log has the calls. Inlined functions are no calls.
        calls = re.findall(r"^#\d+  (\w+)  call at (\w+)\+0x[0-9a-f]+, brctr (\d+)", calls, re.M)
        self.equal(calls[0], (FUNCTION, "kernel_main", str(brctr)), "the innermost call")
        main = self.log.after(self.log.entry("kernel_main"))
        self.equal(calls[1][0::2], ("kernel_main", str(main[0])), "the call outside of it")
        stack = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\w+) ", frames, re.M)
        self.equal([name for name in stack if name in ("kernel_main", FUNCTION)], [c[0] for c in calls[:2]], "gdb's stack")
        self.equal("error: x is no number" in none, True, "tt events x")

    def events(self):
        """event:N, by tt goto and by --at."""
        chosen = [event for event in self.log.events if "icount" in event and int(event["icount"]) > 1_000_000]
        chosen = chosen[:: max(1, len(chosen) // 6)]
        answers = self.gdb(self.run, "0", [f"tt goto event:{event['ordinal']}" for event in chosen])
        for event, answer in zip(chosen, answers):
            self.equal(self.position(answer)[1], int(event["icount"]), f"event:{event['ordinal']}")
        last = chosen[-1]
        status, out, _ = self.marked.run(
            [f"{self.binaries}/tt-replay", self.run, "--at", f"event:{last['ordinal']}", "--print", "1+1"])
        self.equal((status, self.position(out)[1]), (0, int(last["icount"])), "--at event:N")

    def ends(self):
        """end-K, and a place after which QEMU ends: an error, and gdb goes on."""
        _, out, _ = self.marked.run([f"{self.binaries}/tt-analyze", "info", "--format", "json", self.run])
        last = int(re.search(r'"comparableEnd"[^}]*?"(?:brctr|clock)" : "(\d+)"', out, re.S).group(1))
        for distance, answer in zip((1000, 1, 77), self.gdb(self.run, "0", [f"tt goto end-{k}" for k in (1000, 1, 77)])):
            self.equal(self.position(answer), self.log.at(last - distance), f"end-{distance}")
        count = re.search(r'"comparableEnd"[^}]*?"icount" : "(\d+)"', out, re.S).group(1)
        error, where = self.gdb(self.run, "1000", [f"tt goto @{count}", "tt goto end-77"])
        self.equal("error: the run ends before" in error, True, f"tt goto @{count}: {error}")
        self.equal(self.position(where), self.log.at(last - 77), "a place after that")

    def console(self):
        """console:LINE: exactly this line was written, and no byte more. QEMU 7.2's log has no writes to ports."""
        with open(f"{self.run}/serial.log", "rb") as file:
            text = file.read()
        lines = text.splitlines(keepends=True)
        written = [(int(w["icount"]), int(w["values"][0], 16)) for w in self.log.writes
                   if w["kind"] == "port-write" and w["address"] == "0x3f8"]
        chosen = (1, 2, 5, len(lines) - 1)
        for line, answer in zip(chosen, self.gdb(self.run, "0", [f"tt goto console:{line}" for line in chosen])):
            icount = self.position(answer)[1]
            wanted = b"".join(lines[:line])
            if written:
                self.equal(bytes(byte for at, byte in written if at < icount), wanted, f"the console at console:{line}")
        refusals = [(len(lines) + 1, f"it has {len(lines)}")]
        if written:
            refusals.append((len(lines), "the run ends with line"))
        for line, message in refusals:
            status, _, err = self.marked.run([f"{self.binaries}/tt-replay", self.run, "--at", f"console:{line}"])
            self.equal((status, message in err), (2, True), f"console:{line}: {err}")
        return bool(written)

    def divergence(self):
        """The last instruction that both runs have in common, from both sides."""
        answer = subprocess.run(
            [f"{self.binaries}/tt-analyze", "diverge", "--format", "json", self.run, self.other], stdout=subprocess.PIPE, text=True)
        self.equal(answer.returncode, 1, "the runs differ")
        at = json.loads(answer.stdout)["vcpus"][0]["divergence"]
        # The branch that one run takes: its instruction is the last one in common.
        decides = int(at["decided_by"]["instruction"]["address"], 16)
        both = [Log.row(self.binaries, run, at[side]["brctr"]) for run, side in ((self.run, "original"), (self.other, "replay"))]
        wanted = min(int(row["icount"]) for row in both) - 1
        self.equal(decides in [int(row["from"], 16) for row in both], True, "the branch")
        for run, side, options in (
            (self.other, "replay", ()), (self.run, "original", ("--other", self.other)), (self.other, "replay", ("--other", self.run)),
        ):
            here, goto, there = self.gdb(run, "divergence", ["tt where", "tt goto 5", "tt divergence"], options)
            self.equal(self.position(here)[1:], (wanted, decides), f"the place divergence of {side}")
            self.equal(self.position(goto)[0], 5, "tt goto 5")
            self.equal(self.position(there), self.position(here), f"tt divergence of {side}")
        # What both have in common up to there, and not further.
        first = self.gdb(self.run, "divergence", ["tt where"], ("--other", self.other))[0]
        second = self.gdb(self.other, "divergence", ["tt where"])[0]
        self.equal(self.position(first), self.position(second), "both sides")
        _, _, err = self.marked.run([f"{self.binaries}/tt-replay", self.run, "--at", "divergence", "--other", self.run])
        self.equal("the logs show no difference" in err, True, f"--other with the run itself: {err}")

    def until(self):
        """--until prints the position, and a line that attaches gdb."""
        process = self.marked.start([f"{self.binaries}/tt-replay", self.run, "--until", f"{FUNCTION}:3"])
        lines = [process.stdout.readline() for _ in range(2)]
        self.equal(self.position(lines[0]), self.log.after(self.log.entry(FUNCTION, 3)), "--until")
        require(lines[1].startswith("attach: gdb "), lines[1])
        pasted = lines[1].partition(": ")[2].strip()
        gdb = subprocess.run(
            ["sh", "-c", pasted + " -nx -batch -ex 'print seed' -ex 'print/x $pc' -ex reverse-stepi -ex 'monitor tt where'"
             " -ex 'print $rax = 1'"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.equal("$1 = 2\n" in gdb.stdout, True, f"the argument in gdb: {gdb.stdout}")
        entry = self.log.entry(FUNCTION, 3)
        self.equal(f"$2 = {entry['to']}\n" in gdb.stdout, True, f"the address in gdb: {gdb.stdout}")
        self.equal(self.position(gdb.stdout)[2], int(entry["from"], 16), "a step back in gdb")
        self.equal("Writing to registers is not allowed" in gdb.stdout, True, gdb.stdout)
        out, err = process.communicate(timeout=30)
        self.equal(process.returncode, 0, f"the end of tt-replay: {out}{err}")
        self.marked.nothing_left("--until")


def main():
    with tempfile.TemporaryDirectory() as scratch:
        check = Check(*(os.path.abspath(path) for path in sys.argv[1:4]), scratch)
        check.lists()
        check.events()
        check.ends()
        seen = check.console()
        check.divergence()
        check.until()
        print(f"check_lists: {check.count} checks" + ("" if seen else ", without the console's bytes"))


if __name__ == "__main__":
    run_script(main)
