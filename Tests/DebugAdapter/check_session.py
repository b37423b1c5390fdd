#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debugs a run of the small guest as an editor does, and compares the stops with the run's log.

    check_session.py TT-DAP BTS-DUMP RUN SOURCES [--transcript FILE] [--log FILE]

RUN is a recording of the small guest, SOURCES the directory of its sources, with build/tiny.elf. The places are those that
bts-dump prints. --transcript writes what was said (transcript.py), --log is tt-dap's. Exit status: 0 as expected, 1 not.
"""

import argparse
import base64
import csv
import os
import subprocess
import sys

from dap import Client, Failed
from transcript import rows


def entries(bts_dump, run, guest, function):
    """(brctr, icount) after each transition that leads to a function's first instruction, from the log."""
    symbols = subprocess.run(["nm", guest], check=True, capture_output=True, text=True).stdout.splitlines()
    address = next(int(line.split()[0], 16) for line in symbols if line.endswith(" " + function))
    command = [bts_dump, "--format", "csv", "--symbols", guest, "--function", function, run]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = csv.DictReader(text.splitlines())
    return [(int(row["brctr"]) + 1, int(row["icount"])) for row in rows if int(row["to"], 16) == address]


class Checks:
    def __init__(self, client):
        self.client = client
        self.count = 0

    def equal(self, found, expected, what):
        self.count += 1
        if found != expected:
            raise AssertionError("%s: %r, expected %r" % (what, found, expected))

    def that(self, condition, what):
        self.equal(bool(condition), True, what)

    def refused(self, text, command, **arguments):
        """A request that must fail with a message that contains a text."""
        try:
            self.client(command, **arguments)
        except Failed as error:
            return self.that(text in str(error), "%s: %s" % (command, error))
        raise AssertionError("%s %r is not refused" % (command, arguments))


def breakpoints_and_back(client, check, truth, source):
    """Function breakpoints, forwards and backwards, at the log's places."""
    points = client("setFunctionBreakpoints", breakpoints=[{"name": "sort_numbers"}, {"name": "no_such"}])["breakpoints"]
    check.equal([point["verified"] for point in points], [True, False], "verified")
    stop = client.begin()
    check.equal(stop["reason"], "entry", "the first stop")
    check.equal(client.position()[0], 0, "brctr at the beginning")
    for nth in (0, 1, 2):
        stop = client.move("continue")
        check.equal((stop["reason"], stop["hitBreakpointIds"]), ("breakpoint", [points[0]["id"]]), "continue")
        check.equal(client.position()[:2], truth[nth], "hit %d" % nth)
        check.equal(client.variables("Arguments")["seed"]["value"], str(nth), "seed")
    for nth in (1, 0):
        stop = client.move("reverseContinue")
        check.equal((stop["reason"], client.position()[:2]), ("breakpoint", truth[nth]), "back to hit %d" % nth)
        check.equal(client.variables("Arguments")["seed"]["value"], str(nth), "seed after going back")
    client("setFunctionBreakpoints", breakpoints=[])


def lines_forwards_and_back(client, check, source):
    """Steps over source lines, and back to the earlier line with the earlier value."""
    main = os.path.join(source, "main.c")
    lines = open(main).read().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "work_through_round(round);" in text)
    last = next(n for n, text in enumerate(lines, 1) if 'print_value("sink"' in text)
    found = client("setBreakpoints", source={"path": main}, breakpoints=[{"line": last}, {"line": 9999}])["breakpoints"]
    check.equal([(p["verified"], p.get("line")) for p in found], [(True, last), (False, 9999)], "line breakpoints")
    stop = client.move("continue")
    check.equal((stop["reason"], client.where()[1]), ("breakpoint", last), "the line's breakpoint")
    client("setBreakpoints", source={"path": main}, breakpoints=[])
    # print_value of sink, checksum, ticks: each line is one step over a call.
    before = client.position()
    check.equal((client.move("next")["reason"], client.where()[1]), ("step", last + 1), "next")
    after = client.position()
    check.that(after[1] > before[1] + 100, "next runs over the call")
    check.equal((client.move("next")["reason"], client.where()[1]), ("step", last + 2), "next again")
    check.equal((client.move("stepBack")["reason"], client.where()[1]), ("step", last + 1), "stepBack")
    check.equal(client.position(), after, "stepBack leads to the same place")
    check.equal((client.move("stepBack")["reason"], client.where()[1]), ("step", last), "stepBack again")
    check.equal(client.position(), before, "stepBack leads to the same place again")
    check.equal(client.move("stepIn")["reason"], "step", "stepIn")
    check.equal(client.where()[0], "print_value", "stepIn enters the function")
    check.equal(client.frames()[1]["name"], "kernel_main", "the caller")
    client.move("stepOut")
    check.equal(client.where()[0], "kernel_main", "stepOut")
    # By instructions.
    here = client.position()
    client.move("stepIn", granularity="instruction")
    check.equal(client.position()[1], here[1] + 1, "one instruction")
    client.move("stepBack", granularity="instruction")
    check.equal(client.position(), here, "one instruction back")
    return line


def values(client, check, source):
    """Variables, expressions, memory and code at a stop."""
    client("evaluate", expression="tt goto sort_numbers:3", context="repl")
    check.equal(client.event("stopped")["reason"], "goto", "tt goto")
    here = client.position()
    for command in ("tt back io", "tt forward 1", "tt goto sort_numbers:3"):
        client("evaluate", expression=command, context="repl")
        check.equal(client.event("stopped")["reason"], "goto", command)
        check.that((client.position()[1] < here[1]) == (command != "tt goto sort_numbers:3"), command)
    check.equal(client.position(), here, "back again")
    frames = client.frames()
    check.equal([f["name"] for f in frames[:3]], ["sort_numbers", "work_through_round [inlined]", "kernel_main"], "stack")
    paged = [client("stackTrace", threadId=1, startFrame=n, levels=1)["stackFrames"][0]["name"] for n in range(3)]
    check.equal(paged, [f["name"] for f in frames[:3]], "stack by pages")
    check.equal(frames[0]["source"]["path"], os.path.join(source, "work.c"), "source")
    registers = client.variables("Registers")
    position = client.position()
    check.equal(int(registers["rip"]["value"].split()[0], 16), position[2], "rip")
    check.equal(int(client.variables("Position")["icount"]["value"]), position[1], "icount")
    check.equal(client.value("seed + 1", context="hover"), "3", "an expression")
    check.equal(client.value("trap_counts.page_faults"), "2", "a member")
    frame = frames[0]["id"]
    numbers = client("evaluate", expression="numbers", frameId=frame)
    check.equal(numbers["indexedVariables"], 512, "elements of an array")
    page = client("variables", variablesReference=numbers["variablesReference"], start=510, count=10)["variables"]
    check.equal([row["name"] for row in page], ["[510]", "[511]"], "a page of an array")
    check.equal(page[0]["value"], client.value(page[0]["evaluateName"]), "an element")
    counts = client("evaluate", expression="trap_counts", frameId=frame)
    rows = client("variables", variablesReference=counts["variablesReference"])["variables"]
    check.equal([r["value"] for r in rows if r["name"] == "page_faults"], ["2"], "a member of a structure")
    hexadecimal = client("evaluate", expression="511", frameId=frame, format={"hex": True})
    check.equal(hexadecimal["result"], "0x1ff", "hexadecimal")
    code = client("disassemble", memoryReference=hex(position[2]), instructionOffset=-3, instructionCount=5)["instructions"]
    check.equal(len(code), 5, "instructions")
    check.equal(int(code[3]["address"], 16), position[2], "the instruction at rip")
    memory = client("readMemory", memoryReference=hex(position[2]), count=4)
    data = base64.b64decode(memory["data"])
    check.equal(data[:1].hex(), code[3]["instructionBytes"][:2], "memory")
    hole = client("readMemory", memoryReference="0xffff800000000000", count=8)
    check.equal((hole["data"], hole["unreadableBytes"]), ("", 8), "memory that is not there")
    found = client("completions", text="trap_c", column=7)["targets"]
    check.that("trap_counts" in [row["label"] for row in found], "completions")
    check.refused("No symbol", "evaluate", expression="no_such", frameId=frame)
    check.refused("", "evaluate", expression="trap_counts.page_faults = 7", frameId=frame)
    check.refused("earlier stop", "variables", variablesReference=1 << 30)
    check.equal(client.value("trap_counts.page_faults"), "2", "nothing was changed")
    watch = client("dataBreakpointInfo", name="page_faults", variablesReference=counts["variablesReference"])
    points = client("setDataBreakpoints", breakpoints=[{"dataId": watch["dataId"], "accessType": "write"}])["breakpoints"]
    check.that(points[0]["verified"], "a data breakpoint")
    check.equal(client.move("continue")["reason"], "data breakpoint", "the data breakpoint")
    check.equal(client.value("trap_counts.page_faults"), "3", "the value that was written")
    client("setDataBreakpoints", breakpoints=[])


def places(client, check, truth, source):
    """goto, conditions, log points, the ends of the run."""
    work = os.path.join(source, "work.c")
    line = next(n for n, text in enumerate(open(work), 1) if "return (uint32_t)numbers" in text)
    restart(client, check)
    targets = client("gotoTargets", source={"path": work}, line=line)["targets"]
    check.equal(len(targets), 2, "targets")
    client("goto", threadId=1, targetId=targets[0]["id"])
    check.equal((client.event("stopped")["reason"], client.where()), ("goto", ("sort_numbers", line)), "goto forwards")
    check.equal(client.value("seed"), "0", "the first time")
    # Over the call of a function that calls itself some hundred times.
    here = client.position()
    check.equal((client.move("stepBack")["reason"], client.where()), ("step", ("sort_numbers", line - 1)), "over a call")
    check.that(client.position()[0] < here[0] - 1000, "before the call")
    client.move("next")
    check.equal(client.position(), here, "over the call again")
    target = client("gotoTargets", source={"path": work}, line=1, place="sort_numbers:5")["targets"][0]
    client("goto", threadId=1, targetId=target["id"])
    client.event("stopped")
    check.equal(client.position()[:2], truth[4], "goto a place")
    targets = client("gotoTargets", source={"path": work}, line=line)["targets"]
    client("goto", threadId=1, targetId=targets[1]["id"])
    check.equal((client.event("stopped")["reason"], client.where()), ("goto", ("sort_numbers", line)), "goto backwards")
    check.equal(client.value("seed"), "3", "the last time before")
    check.refused("earlier stop", "goto", threadId=1, targetId=targets[1]["id"])
    client.output = ""
    points = [{"line": line, "logMessage": "seed is {seed}"}]
    client("setBreakpoints", source={"path": work}, breakpoints=points)
    client("setFunctionBreakpoints", breakpoints=[{"name": "sort_numbers", "condition": "seed == 6"}])
    client.move("continue")
    check.equal(client.position()[:2], truth[6], "a condition")
    check.equal(client.output.split("\n")[:2], ["seed is 4", "seed is 5"], "a log point")
    client("setBreakpoints", source={"path": work}, breakpoints=[])
    client("setFunctionBreakpoints", breakpoints=[])
    stop = client.move("continue")
    check.that("end of the run" in stop["description"], "the end")
    stop = client.move("reverseContinue")
    check.that("beginning of the run" in stop["description"], "the beginning")
    check.equal(client.position()[:2], (0, 0), "the first instruction")


def interruptions(client, check, truth, source):
    """Pause, cancel, and breakpoints that are set while the guest runs. A log point in a loop makes it run long."""
    work = os.path.join(source, "work.c")
    loop = next(n for n, text in enumerate(open(work), 1) if "numbers[i] = " in text)
    restart(client, check)
    client("setBreakpoints", source={"path": work}, breakpoints=[{"line": loop, "logMessage": "i is {i}"}])
    client.output, client.kept = "", []
    client("continue", threadId=1)
    progress = client.event("progressStart")
    check.that(progress["cancellable"] and progress["message"].startswith("instruction "), "progress")
    check.refused("is running", "evaluate", expression="1")
    check.refused("is running", "next", threadId=1)
    points = client("setFunctionBreakpoints", breakpoints=[{"name": "run_in_user_mode"}])["breakpoints"]
    check.that(points[0]["verified"], "a breakpoint while the guest runs")
    before = client.output.count("\n")
    client.event("progressUpdate")
    check.that(client.output.count("\n") > before, "the guest runs on")
    client("cancel", progressId=progress["progressId"])
    check.equal(client.event("stopped")["reason"], "pause", "cancel")
    check.equal(client.event("progressEnd")["progressId"], progress["progressId"], "the end of the progress")
    here = client.position()
    check.that(truth[0][1] < here[1] < truth[-1][1], "stopped on the way")
    client("reverseContinue", threadId=1)
    client.event("progressStart")
    client("pause", threadId=1)
    check.equal(client.event("stopped")["reason"], "pause", "pause")
    check.that(client.position()[1] < here[1], "it ran back")
    client("setBreakpoints", source={"path": work}, breakpoints=[])
    check.equal(client.move("continue")["hitBreakpointIds"], [points[0]["id"]], "the breakpoint that was set on the way")
    client("setFunctionBreakpoints", breakpoints=[])


def restart(client, check):
    client("restart")
    client.event("stopped")
    check.equal(client.position()[0], 0, "restart")


def bad_messages(client, check):
    """Messages that are no requests do no harm."""
    for body in (b"", b"{", b"[1]", b'{"type":"request"}', b"\xff\xfe", b"[" * 5000):
        client.send_bytes(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    client.send_bytes(b"Nonsense: 1\r\n\r\n")
    check.refused("no request no_such", "no_such")
    check.refused("needs the argument", "goto", threadId=1)
    check.refused("needs the argument", "evaluate", expression=7)
    check.refused("", "readMemory", memoryReference="zz", count=1)
    check.refused("attaches to nothing", "attach")
    client("threads")
    check.that(client.output.count("is skipped") >= 7, "skipped messages are reported")


def main():
    parser = argparse.ArgumentParser()
    for name in ("tool", "bts_dump", "run", "sources"):
        parser.add_argument(name)
    parser.add_argument("--transcript")
    parser.add_argument("--log")
    options = parser.parse_args()
    truth = entries(options.bts_dump, options.run, os.path.join(options.sources, "build/tiny.elf"), "sort_numbers")
    client = Client(options.tool, *(["--log", options.log] if options.log else []))
    check = Checks(client)
    source = os.path.abspath(options.sources)
    try:
        root = source[: -len("/hypervisor/guests/tiny")]
        client.launch(options.run, sourceMap={".": root})
        breakpoints_and_back(client, check, truth, source)
        lines_forwards_and_back(client, check, source)
        values(client, check, source)
        places(client, check, truth, source)
        interruptions(client, check, truth, source)
        bad_messages(client, check)
        check.equal(client.end(), 0, "the exit status")
    except (AssertionError, Failed) as error:
        for row in client.transcript[-6:]:
            print(str(row)[:1500], file=sys.stderr)
        print("check_session: %s" % error, file=sys.stderr)
        client.process.kill()
        return 1
    finally:
        if options.transcript:
            with open(options.transcript, "w") as file:
                names = [(os.path.abspath(options.run), "RUN"), (source, "SOURCES")]
                file.write("\n".join(rows(client.transcript, names)) + "\n")
    print("check_session: %d checks" % check.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
