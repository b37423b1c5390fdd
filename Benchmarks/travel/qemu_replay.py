# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own replay of a recording, without the tools of this project."""
import json
import os
import re
import socket
import subprocess
import sys
import time


def engine(run):
    """What the manifest says of the recording's QEMU."""
    with open(os.path.join(run, "manifest.json"), encoding="utf-8") as file:
        return json.load(file)["engine"]


def command_line(run, directory, qemu=None):
    """The command line that replays a recording without its plugin and its monitor, with another program of QEMU if one is named.
    The guest's console goes to a file in `directory`."""
    words = list(engine(run)["details"]["arguments"])
    result = [qemu or words[0]]
    words.pop(0)
    while words:
        option = words.pop(0)
        if option == "-S":
            continue
        value = words.pop(0) if words and (not words[0].startswith("-") or option == "-append") else None
        if option in ("-mon", "-plugin") or (option == "-chardev" and "ttmonitor" in value):
            continue
        if option == "-icount":
            value = re.sub(r"rr=record,rrfile=.*", f"rr=replay,rrfile={os.path.abspath(run)}/replay.bin", value)
        elif option == "-serial" and value.startswith("file:"):
            value = f"file:{directory}/serial.log"
        result += [option] + ([value] if value is not None else [])
    return result


class Replay:
    """QEMU paused in a replay, with its gdbstub at the socket `stub` and a disk for snapshots.
    `with Replay("run", "/tmp/directory") as replay: replay.go(1000000)`"""

    def __init__(self, run, directory, qemu=None):
        self.stub = f"{directory}/stub"
        monitor, image = f"{directory}/monitor", f"{directory}/snapshots.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
        self.process = subprocess.Popen(
            [*command_line(run, directory, qemu), "-S", "-gdb", f"unix:{self.stub},server=on,wait=off",
             "-qmp", f"unix:{monitor},server=on,wait=off", "-drive", f"file={image},format=qcow2,if=none,id=snapshots"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.connection = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.connection.connect(monitor)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("QEMU did not start")
                time.sleep(0.05)
        self.lines = self.connection.makefile("r", encoding="utf-8")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Ends QEMU."""
        self.process.kill()
        self.process.wait()
        self.connection.close()

    def ask(self, command, **arguments):
        """The answer of QEMU's monitor."""
        self.connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self.lines:
            answer = json.loads(line)
            if "error" in answer:
                sys.exit(f"QEMU: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        sys.exit("QEMU ended")

    def monitor(self, line):
        """The answer to a command of the monitor for people."""
        return self.ask("human-monitor-command", **{"command-line": line})

    def count(self):
        """The instructions so far, as QEMU counts them."""
        return self.ask("query-replay")["icount"]

    def go(self, icount):
        """Runs to a count: on from here, or from a snapshot before it."""
        if self.count() > icount:
            self.ask("replay-seek", icount=icount)
        elif self.count() < icount:
            self.ask("replay-break", icount=icount)
            self.ask("cont")
        while self.count() != icount or self.ask("query-status")["running"]:
            time.sleep(0.01)

    def seek(self, icount, limit):
        """Goes to a count by QEMU's own choice of the snapshot; whether it was there within so many seconds."""
        end = time.monotonic() + limit
        self.ask("replay-seek", icount=icount)
        while self.count() != icount or self.ask("query-status")["running"]:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def keep(self, icount):
        """Takes a snapshot at a count."""
        self.go(icount)
        answer = self.monitor(f"savevm own{icount}")
        if answer:
            sys.exit(f"QEMU: {answer.strip()}")
