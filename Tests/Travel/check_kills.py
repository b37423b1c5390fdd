#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills the tools that replay by SIGKILL at random moments, and looks for what is left.

    check_kills.py BIN RUN [ROUNDS [SEED]]

Each tool and mode is run to its end once, and then killed ROUNDS times (50) at a moment between its start and then. After each, no
process may be left, and nobody may hold the run; after each mode, the run is replayed whole, and a place in it is gone to with the
checkpoints that the killed tools left and without: both must agree. Exit status: 0 as expected, 1 not.
"""
import atexit
import fcntl
import os
import random
import shutil
import signal
import sys
import tempfile
import time

from left import Failed, Marked, require, run_script

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "DebugAdapter"))
import dap

GDB = ["break sort_numbers", "continue", "continue", "reverse-stepi", "reverse-continue", "tt back 3", "tt goto end-9", "tt where"]


class Kills:
    def __init__(self, binaries, run, scratch):
        self.binaries, self.run, self.scratch = binaries, run, scratch
        self.marked = Marked(scratch)
        self.number = 0

    def tool(self, name):
        return os.path.join(self.binaries, name)

    def new_file(self):
        self.number += 1
        return os.path.join(self.scratch, f"file{self.number}")

    def modes(self):
        replay = [self.tool("tt-replay"), self.run]
        return {
            "tt-replay": lambda: replay + ["--name", f"kill{time.time_ns()}"],
            "tt-replay --until": lambda: replay + ["--until", "end-1000"],
            "tt-replay --at --core --print": lambda: replay + ["--at", "end-1000", "--core", self.new_file(), "--print", "$rip"],
            "tt-replay --trace": lambda: replay + ["--trace", "1200000", "1400000", "-o", self.new_file()],
            "tt-replay --checkpoints": lambda: replay + ["--checkpoints", "0.02"],
            "tt-gdb": lambda: [self.tool("tt-gdb"), self.run, "--", "-nx", "-batch"] + [w for c in GDB for w in ("-ex", c)],
        }

    def length(self, name, words):
        """Seconds of a whole run. `--until` waits at its place: half a second more."""
        begin = time.time()
        process = self.marked.start(words)
        # What is looked for afterwards is seen now.
        self.marked.wait_for("qemu")
        if name.endswith("--until"):
            for line in process.stdout:
                if line.startswith("attach:"):
                    break
            seconds = time.time() - begin + 0.5
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        else:
            _, err = process.communicate(timeout=120)
            seconds = time.time() - begin
            require(process.returncode == 0, f"{words}: status {process.returncode}: {err}")
        self.marked.nothing_left(name)
        return seconds

    def kill(self, name, moment, words):
        process = self.marked.start(words)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        was_killed = process.wait() == -signal.SIGKILL
        self.nothing_held(f"{name}, killed after {moment:.3f} s")
        process.communicate()
        return was_killed

    def kill_adapter(self, moment):
        """An editor's session that goes forwards and back."""
        client = dap.Client(self.tool("tt-dap"), environment=self.marked.environment)
        dap.move_about(client, self.run, time.time() + moment)
        client.process.send_signal(signal.SIGKILL)
        client.process.wait()
        self.nothing_held(f"tt-dap, killed after {moment:.3f} s")
        return True

    def nothing_held(self, what):
        self.marked.nothing_left(what)
        # A process that ends loses its environment, by which it is found, before its locks.
        deadline = time.time() + 5
        with open(os.path.join(self.run, ".lock"), "r+b") as lock:
            while True:
                try:
                    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    if time.time() > deadline:
                        raise Failed(f"{what}: the run is locked") from error
                time.sleep(0.01)

    def usable(self, after):
        """A whole replay, and a place, with the checkpoints that are there and without."""
        replay = [self.tool("tt-replay"), self.run]
        name = f"check{time.time_ns()}"
        status, out, err = self.marked.run(replay + ["--name", name, "--quiet"])
        require(status == 0, f"after {after}: a replay ends with status {status}: {out}{err}")
        shutil.rmtree(os.path.join(self.run, "replays", name))
        words = replay + ["--at", "sort_numbers:3", "--print", "$rsp", "--print", "trap_counts"]
        answers = [self.marked.run(words + more) for more in ([], ["--checkpoint-space", "0"])]
        require(answers[0][0] == 0 and answers[0][:2] == answers[1][:2], f"after {after}: {answers}")


def main():
    binaries, run = (os.path.abspath(path) for path in sys.argv[1:3])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else int(time.time())
    random.seed(seed)
    with tempfile.TemporaryDirectory() as scratch:
        kills = Kills(binaries, run, scratch)
        atexit.register(kills.marked.end_all)  # after a failure
        kills.usable("nothing")
        for name, words in kills.modes().items():
            longest = kills.length(name, words())
            ended = sum(not kills.kill(name, random.uniform(0, longest), words()) for _ in range(rounds))
            kills.usable(name)
            print(f"{name}: {rounds} times within {longest:.2f} s, {ended} had ended before", flush=True)
            for file in os.listdir(scratch):
                if file.startswith("file"):
                    os.unlink(os.path.join(scratch, file))
        for _ in range(rounds):
            kills.kill_adapter(random.uniform(0, 2.5))
        kills.usable("tt-dap")
        print(f"tt-dap: {rounds} times within 2.50 s", flush=True)
        left = [name for name in os.listdir(os.path.join(run, "replays")) if name.startswith("kill")]
        for name in left:
            shutil.rmtree(os.path.join(run, "replays", name))
    print(f"check_kills: nothing is left; {7 * rounds} times SIGKILL, seed {seed}")


if __name__ == "__main__":
    run_script(main, dap.Failed)
