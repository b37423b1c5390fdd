#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A short session of tt-dap on the small guest, and the page that shows all of its messages (docs/dap-session.md).

    short_session.py TT-DAP RUN SOURCES PAGE [--record]

RUN is a recording of the small guest, SOURCES the directory of its sources. The page is compared with what tt-dap says now;
counts and addresses may differ, since another compiler or QEMU moves them. With --record the page is written.
Exit status: 0 as on the page, 1 not, or written.
"""

import argparse
import difflib
import os
import sys

from dap import Client
from transcript import rows, steady

HEAD = """# A session of tt-dap, message by message

What an editor sends (`->`) and what tt-dap answers (`<-`) in a session on the small guest of `make demo`. All messages of the
session are here, in their order. Left out are the numbers of the messages and their `type`. `RUN` is the run's directory,
`SOURCES` is `hypervisor/guests/tiny`. `Tests/DebugAdapter/short_session.py` is the client and wrote this page. A test compares
tt-dap's messages with it, but for counts and addresses, which another compiler or QEMU moves; with `TT_RECORD_SNAPSHOTS=1` it
writes the page.
"""


def line_of(source, text):
    """The number of the line that contains a text."""
    with open(source, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


class Page:
    """The page, as it grows: a heading, and the messages since the one before."""

    def __init__(self, client, replacements):
        self.client, self.replacements, self.done, self.parts = client, replacements, 0, [HEAD]

    def part(self, title):
        """Ends a part of the session: its messages come after this title."""
        messages = self.client.transcript[self.done:]
        self.done = len(self.client.transcript)
        text = "\n".join(rows(messages, self.replacements))
        self.parts.append("\n## %s\n\n%s\n" % (title, "\n".join("    " + line for line in text.split("\n"))))

    def text(self):
        return "".join(self.parts)


def session(tool, run, sources):
    """The page of a session."""
    work = os.path.join(sources, "work.c")
    root = sources[: -len("/hypervisor/guests/tiny")]
    sort = line_of(work, "    sort(numbers")
    client = Client(tool)
    page = Page(client, [(run, "RUN"), (sources, "SOURCES"), (root, "SOURCES/../../..")])
    try:
        client.capabilities = client("initialize", adapterID="tt", clientName="short_session.py")
        client.launch_number = client.send("launch", run=run, place="kernel_main", sourceMap={".": root})
        client.event("initialized")
        client("setBreakpoints", source={"path": work}, breakpoints=[{"line": sort + 1}])
        client.begin()
        page.part("The run is launched, with a breakpoint on a source line")
        client.move("continue")
        frames = client.frames()
        scopes = client("scopes", frameId=frames[0]["id"])["scopes"]
        for name in ("Arguments", "Position"):
            client("variables", variablesReference=next(s["variablesReference"] for s in scopes if s["name"] == name))
        page.part("Forwards to the breakpoint: stack, scopes, variables")
        client("evaluate", expression="numbers[0] + seed", frameId=frames[0]["id"], context="watch")
        client("evaluate", expression="-exec print numbers[0]@6", context="repl")
        client("evaluate", expression="tt where", context="repl")
        page.part("An expression, a command of gdb, and a command of the replay")
        client.move("stepBack")
        client.frames(startFrame=0, levels=1)
        client("evaluate", expression="-exec print numbers[0]@6", context="repl")
        page.part("One source line back, over the call of `sort`: the numbers are not sorted yet")
        for command in ("next", "next", "continue"):
            client.move(command)
            frames = client.frames(startFrame=0, levels=1)
        client("evaluate", expression="seed", frameId=frames[0]["id"], context="hover")
        page.part("Two lines forwards, and to the second hit of the breakpoint")
        client.move("reverseContinue")
        frames = client.frames(startFrame=0, levels=1)
        client("evaluate", expression="seed", frameId=frames[0]["id"], context="hover")
        page.part("Back to the first hit")
        targets = client("gotoTargets", source={"path": work}, line=sort, place="sort_numbers:5")["targets"]
        client("goto", threadId=1, targetId=targets[0]["id"])
        client.event("stopped")
        client("evaluate", expression="tt where", context="repl")
        page.part("To a place of the log: the fifth call of `sort_numbers`")
        address = client.frames(startFrame=0, levels=1)[0]["instructionPointerReference"]
        client("disassemble", memoryReference=address, instructionOffset=0, instructionCount=3)
        page.part("Instructions")
        client.send("setVariable", variablesReference=1, name="seed", value="7")
        client.receive()
        page.part("What would change the run is refused")
        client("disconnect")
        client.process.stdin.close()
        client.process.wait(timeout=20)
        page.part("The end")
    finally:
        client.process.kill()
    return page.text()


def main():
    parser = argparse.ArgumentParser()
    for name in ("tool", "run", "sources", "page"):
        parser.add_argument(name)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    text = session(options.tool, os.path.abspath(options.run), os.path.abspath(options.sources))
    if options.record:
        with open(options.page, "w", encoding="utf-8") as file:
            file.write(text)
        print("short_session: %s is written" % options.page)
        return 1
    with open(options.page, encoding="utf-8") as file:
        expected = file.read()
    if steady(text) != steady(expected):
        sys.stdout.writelines(difflib.unified_diff(
            expected.splitlines(True), text.splitlines(True), options.page, "tt-dap's messages", n=1))
        print("short_session: the page differs; TT_RECORD_SNAPSHOTS=1 writes it anew")
        return 1
    print("short_session: %d messages as on %s" % (text.count("\n    -> ") + text.count("\n    <- "), options.page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
