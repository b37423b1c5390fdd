#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks a zoom with gdb: a debugger that knows nothing of the zoom's windows sees the same instruction and values.

    tt-analyze diverge RUN RUN/replays/NAME --zoom --format json > zoom.json
    check_zoom.py zoom.json [--link N] [--kernel VMLINUX]

Both sides run again under QEMU without any plugin. Each stops shortly before the link of the chain (the first one if N is
not given). From there on gdb stops at each execution of the link's instruction, up to the link's place. The check passes
if the first execution whose memory or result differs between the sides has the values of the link, and if the general
registers are equal before it. With the symbols of a Linux kernel that was not moved (nokaslr), gdb also reads the running
task there, which must have the name and number of the zoom's. Exit status: 0 confirmed, 1 not confirmed, 2 trouble.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

REGISTERS = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"] + [f"r{n}" for n in range(8, 16)]
# QEMU's count lacks the restored faults of the window before an instruction.
MOST_FAULTS = 4096


class Monitor:
    """QEMU's monitor."""

    def __init__(self, path):
        for _ in range(200):
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    def icount(self):
        return self("query-replay")["icount"]

    def run_to(self, place):
        self("replay-break", icount=place)
        self("cont")
        while self("query-status")["running"] or self.icount() < place:
            time.sleep(0.002)


def watch(gdb):
    """What gdb sees: one line of JSON for each execution of the instruction."""
    work = json.loads(os.environ["CHECK_ZOOM"])
    monitor = Monitor(work["monitor"])
    monitor.run_to(work["from"])
    if work["kernel"]:
        gdb.execute(f"file {work['kernel']}", to_string=True)
    for line in ["set pagination off", "set confirm off", "set architecture i386:x86-64",
                 f"target remote {work['debugger']}", f"hbreak *{work['ip']}"]:
        gdb.execute(line, to_string=True)

    def registers():
        frame = gdb.selected_frame()
        return {name: int(frame.read_register(name)) & (1 << 64) - 1 for name in REGISTERS}

    def task():
        pointer = gdb.parse_and_eval("*(struct task_struct **) ((char *) &current_task + __per_cpu_offset[0])")
        return {"name": pointer["comm"].string("utf-8", "replace"), "pid": int(pointer["pid"])}

    def memory():
        if work["address"] is None:
            return None
        try:
            data = gdb.selected_inferior().read_memory(work["address"], work["size"])
        except gdb.MemoryError:
            return None
        return int.from_bytes(bytes(data), "little")

    while monitor.icount() <= work["to"]:
        if int(gdb.parse_and_eval("(unsigned long)$pc")) == work["ip"]:
            hit = {"icount": monitor.icount(), "before": registers(), "memory": memory(),
                   "text": gdb.execute("x/i $pc", to_string=True).split(":", 1)[-1].strip()}
            if work["kernel"]:
                hit["task"] = task()
            gdb.execute("stepi", to_string=True)
            hit |= {"after": registers(), "memoryAfter": memory()}
            print("HIT " + json.dumps(hit), flush=True)
            continue
        gdb.execute("continue", to_string=True)
    monitor("quit")


def command_line(directory, work):
    """QEMU's arguments for a run, without what records."""
    with open(f"{directory}/manifest.json", encoding="utf-8") as file:
        arguments = json.load(file)["engine"]["details"]["arguments"]
    result, skip = [], False
    for option, value in zip(arguments, arguments[1:] + [""]):
        if skip:
            skip = False
        elif option in ("-plugin", "-mon") or (option == "-chardev" and "ttmonitor" in value):
            skip = True
        elif option == "-serial":
            result += ["-serial", "null" if value != "stdio" else "stdio"]
            skip = True
        elif option != "-S":
            result.append(option.replace("rr=record", "rr=replay"))
    return result + ["-S", "-gdb", f"unix:{work['debugger']},server=on,wait=off",
                     "-qmp", f"unix:{work['monitor']},server=on,wait=off"]


def executions(directory, link, scratch, name, kernel):
    """Starts QEMU and gdb for a side; returns both processes."""
    place = int(link["place"])
    work = {
        "monitor": f"{scratch}/{name}.qmp", "debugger": f"{scratch}/{name}.gdb", "ip": int(link["ip"], 0),
        "from": max(1, place - MOST_FAULTS), "to": place, "size": link.get("size"),
        "address": int(link["address"], 0) if "address" in link else None, "kernel": kernel,
    }
    qemu = subprocess.Popen(command_line(directory, work), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    gdb = subprocess.Popen(
        ["gdb", "-batch", "-nx", "-ex", f"source {os.path.abspath(__file__)}"], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"CHECK_ZOOM": json.dumps(work)})
    return qemu, gdb


def difference(pair):
    """The values that differ in an execution: of memory, or of the registers after it."""
    first, second = pair
    if first["memory"] != second["memory"]:
        return first["memory"], second["memory"]
    if first["memoryAfter"] != second["memoryAfter"]:
        return first["memoryAfter"], second["memoryAfter"]
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("document")
    parser.add_argument("--link", type=int, default=0)
    parser.add_argument("--kernel")
    options = parser.parse_args()
    with open(options.document, encoding="utf-8") as file:
        document = json.load(file)
    link = document["zoom"]["chain"][options.link]
    directories = [document[side]["directory"] for side in ("original", "replay")]
    with tempfile.TemporaryDirectory() as scratch:
        started = [executions(path, link, scratch, f"side{n}", options.kernel) for n, path in enumerate(directories)]
        try:
            outputs = [gdb.communicate(timeout=300)[0] for _, gdb in started]
        finally:
            for processes in started:
                for process in processes:
                    if process.poll() is None:
                        process.kill()
    sides = [[json.loads(line[4:]) for line in text.splitlines() if line.startswith("HIT ")] for text in outputs]
    if not all(sides):
        print("gdb did not see the instruction", file=sys.stderr)
        return 2
    named = tuple(int(link[side], 0) for side in ("original", "replay"))
    for pair in zip(*sides):
        first, second = pair
        found = difference(pair)
        register = link.get("register")
        if found is None and register in REGISTERS and first["after"][register] != second["after"][register]:
            found = first["after"][register], second["after"][register]
        if found is None:
            continue
        same = first["before"] == second["before"] and first["icount"] == second["icount"]
        print(f"{first['text']}  at QEMU's instruction {first['icount']}: {found[0]:#x} != {found[1]:#x}, "
              f"registers before are {'equal' if same else 'not equal'}; {len(sides[0])} executions seen")
        if options.kernel:
            tasks = [hit["task"] for hit in pair]
            running = document["zoom"]["running"]
            named_tasks = [{key: running[side][key] for key in ("name", "pid")} for side in ("original", "replay")]
            print(f"running: {tasks[0]} and {tasks[1]}")
            same = same and tasks == named_tasks
        return 0 if same and found == named else 1
    print(f"{len(sides[0])} executions, none of which differs")
    return 1


try:
    import gdb as debugger
except ImportError:
    sys.exit(main())
watch(debugger)
