# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes of a tool that is tested: the tool and all that it starts have a variable of their own in their environment."""
import os
import signal
import subprocess
import sys
import time

VARIABLE = "TT_TEST_MARK"


class Failed(Exception):
    """What is not as it should be."""


def require(condition, text):
    if not condition:
        raise Failed(text)


def run_script(main, *errors):
    """Runs a script. What is not as it should be, or another of these errors, is a line, and exit status 1."""
    try:
        main()
    except (Failed, *errors) as error:
        name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)


class Marked:
    """Starts tools with a mark and a cache of their own."""

    def __init__(self, scratch):
        self.mark = os.path.join(scratch, "mark")
        self.environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(scratch, "cache"), **{VARIABLE: self.mark})

    def start(self, words, **more):
        more.setdefault("env", self.environment)
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def run(self, words, seconds=60, **more):
        """Runs a tool to its end: exit status, output, messages. Nothing that it started may be left."""
        process = self.start(words, **more)
        out, err = process.communicate(timeout=seconds)
        self.nothing_left(" ".join(words))
        return process.returncode, out, err

    def processes(self):
        """(pid, name) of the living ones. A zombie has no environment."""
        wanted = f"{VARIABLE}={self.mark}".encode()
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if wanted not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{name}/comm", encoding="utf-8") as file:
                    found.append((int(name), file.read().strip()))
            except OSError:
                pass
        return found

    def end_all(self):
        """Kills what a test that failed has left."""
        for pid, _ in self.processes():
            os.kill(pid, signal.SIGKILL)

    def runs_a_guest(self, pid):
        """The tools ask QEMU for its version and its folders first."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return b"rr=replay" in file.read()
        except OSError:
            return False

    def wait_for(self, program, seconds=30):
        """The process number of a program whose name begins so; a QEMU that replays."""
        deadline = time.time() + seconds
        while time.time() < deadline:
            for pid, name in self.processes():
                if name.startswith(program) and (program != "qemu" or self.runs_a_guest(pid)):
                    return pid
            time.sleep(0.005)
        raise Failed(f"no {program} was started: {self.processes()}")

    def nothing_left(self, what, seconds=20):
        deadline = time.time() + seconds
        while self.processes():
            require(time.time() < deadline, f"{what}: left are {self.processes()}")
            time.sleep(0.005)
