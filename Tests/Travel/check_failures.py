#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Failures other than signals to the tool: status 2, a message, and no process is left.

    check_failures.py BIN RUN

Exit status: 0 as expected, 1 not.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

from left import Marked, require, run_script


class Failures:
    def __init__(self, binaries, run, scratch):
        self.replay = [os.path.join(binaries, "tt-replay"), run]
        self.gdb = [os.path.join(binaries, "tt-gdb"), run]
        self.scratch = scratch
        self.marked = Marked(scratch)
        self.count = 0

    def expect(self, status, err, text, what):
        self.count += 1
        require(status == 2, f"{what}: status {status}, not 2: {err}")
        require(text in err, f"{what}: the message has no {text!r}: {err}")
        require("error:" in err, f"{what}: no error: {err}")
        self.marked.nothing_left(what)

    def fails(self, words, text, **more):
        status, _, err = self.marked.run(words, **more)
        self.expect(status, err, text, " ".join(words))

    def program(self, name, text):
        """A program in a directory of its own; returns the directory."""
        directory = tempfile.mkdtemp(dir=self.scratch)
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o700)
        return directory

    def places(self):
        for place, text in (
            ("no_such_function", "no function no_such_function"), ("99999999999", "after the end of the log"),
            ("event:99999", "has no event 99999"), ("console:9999", "has no line 9999"), ("sort_numbers:9999", "more than"),
            ("divergence", "to differ from"),
        ):
            self.fails(self.replay + ["--at", place, "--print", "1", "--checkpoint-space", "0"], text)
        self.fails(self.replay + ["--until", "no_such_function"], "no function no_such_function")
        self.fails(self.gdb + ["99999999999", "--", "-nx", "-batch"], "after the end of the log")
        self.fails(self.replay + ["--trace", "5", "no_such_function", "-o", os.path.join(self.scratch, "log")], "no function")
        self.fails(self.replay + ["--trace", "900000", "5", "-o", os.path.join(self.scratch, "log")], "is not after")

    def debuggers(self):
        """No gdb, and gdb that ends at once."""
        # All programs of PATH but gdb.
        empty = tempfile.mkdtemp(dir=self.scratch)
        for directory in os.environ["PATH"].split(":"):
            for name in os.listdir(directory) if os.path.isdir(directory) else []:
                if name != "gdb" and not os.path.lexists(os.path.join(empty, name)):
                    os.symlink(os.path.join(directory, name), os.path.join(empty, name))
        at = self.replay + ["--at", "sort_numbers", "--print", "seed"]
        without = dict(self.marked.environment, PATH=empty)
        self.fails(at, "gdb", env=without)
        self.fails(self.gdb + ["--", "-batch"], "gdb", env=without)
        self.fails(self.gdb + ["--gdb", "/no/such/gdb"], "/no/such/gdb")
        for text, what in ("exit 3", "status 3"), ("kill -9 $$", "signal 9"):
            directory = self.program("gdb", f"#!/bin/sh\n{text}\n")
            path = dict(self.marked.environment, PATH=f"{directory}:{os.environ['PATH']}")
            self.fails(at, "gdb printed no values", env=path)
            self.fails(self.gdb + ["--gdb", os.path.join(directory, "gdb")], what)
        # gdb is killed while it waits for the next command.
        script = os.path.join(self.scratch, "wait.gdb")
        with open(script, "w", encoding="utf-8") as file:
            file.write("tt where\nshell sleep 60\n")
        process = self.marked.start(self.gdb + ["--", "-nx", "-batch", "-x", script])
        shell = self.marked.wait_for("sleep")
        os.kill(self.marked.wait_for("gdb"), signal.SIGKILL)
        os.kill(shell, signal.SIGKILL)
        _, err = process.communicate(timeout=30)
        self.expect(process.returncode, err, "signal 9", "gdb is killed")

    def qemu(self):
        """QEMU is killed in the middle of each."""
        forever = self.program("x.gdb", "while 1\ntt goto end-1000\ntt goto 5\nend\n") + "/x.gdb"
        idle = self.program("y.gdb", "shell sleep 60\n") + "/y.gdb"
        for words, line in (
            (self.replay + ["--until", "sort_numbers"], "Ctrl-C"),
            (self.gdb + ["--serve"], "target extended-remote"),
            (self.gdb + ["--", "-nx", "-batch", "-x", forever], "brctr"),
            (self.gdb + ["--", "-nx", "-batch", "-x", idle], None),
        ):
            words = words + ["--checkpoint-space", "0"] if "--" not in words else words[:2] + ["--checkpoint-space", "0"] + words[2:]
            process = self.marked.start(words)
            pids = []
            if line is None:
                pids.append(self.marked.wait_for("sleep"))
            else:
                for text in process.stdout:
                    if line in text:
                        break
            os.kill(self.marked.wait_for("qemu"), signal.SIGKILL)
            # A command of gdb's that runs in a shell is not the tool's; it ends by itself.
            for pid in pids:
                time.sleep(0.5)
                os.kill(pid, signal.SIGKILL)
            _, err = process.communicate(timeout=30)
            self.expect(process.returncode, err, "QEMU was ended by signal 9", " ".join(words))
        # On the way to a place, and in a whole replay.
        for words in (self.replay + ["--at", "end-1000", "--checkpoint-space", "0"], self.replay + ["--name", "killed"]):
            process = self.marked.start(words)
            os.kill(self.marked.wait_for("qemu"), signal.SIGKILL)
            _, err = process.communicate(timeout=30)
            self.count += 1
            require(process.returncode == 2 and "QEMU" in err, f"{words}: status {process.returncode}: {err}")
            self.marked.nothing_left(" ".join(words))


def main():
    with tempfile.TemporaryDirectory() as scratch:
        failures = Failures(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), scratch)
        try:
            failures.places()
            failures.debuggers()
            failures.qemu()
        finally:
            failures.marked.end_all()
        print(f"check_failures: {failures.count} checks")


if __name__ == "__main__":
    run_script(main, subprocess.TimeoutExpired)
