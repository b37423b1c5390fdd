#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends sessions of tt-dap in all ways, and looks for processes that are left.

    check_ends.py TT-DAP RUN [ROUNDS]

ROUNDS times tt-dap is killed by SIGKILL at a random moment of a session. Exit status: 0 as expected, 1 not.
"""

import os
import random
import signal
import sys
import tempfile
import time

from dap import Client, Failed, move_about


def processes_of(run):
    """QEMU on this run, and gdb with a script of tt-dap."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            words = open("/proc/%s/cmdline" % name, "rb").read().split(b"\0")
        except OSError:
            continue
        text = b" ".join(words)
        is_qemu = b"rr=replay" in text and os.path.join(run, "replay.bin").encode() in text
        is_gdb = any(word.endswith(b"/ttdap.py") for word in words) and int(name) in children
        if is_qemu or is_gdb:
            found.append((int(name), words[0]))
    return found


children = set()  # the process numbers of gdb that were seen below tt-dap


def remember_children(pid):
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            children.update(int(n) for n in open("/proc/%d/task/%s/children" % (pid, task)).read().split())
        except OSError:
            pass


def nothing_left(run, what):
    deadline = time.time() + 20
    while processes_of(run):
        if time.time() > deadline:
            raise AssertionError("%s: left are %r" % (what, processes_of(run)))
        time.sleep(0.02)


def session(tool, run):
    client = Client(tool)
    client.launch(run, place="sort_numbers:3")
    client.begin()
    remember_children(client.process.pid)
    if not processes_of(run):
        raise AssertionError("no process is seen: this test looks for the wrong ones")
    return client


def killed(tool, run, moment):
    """SIGKILL while it starts, stops, or moves back and forth."""
    client = Client(tool)
    try:
        move_about(client, run, time.time() + moment, lambda: remember_children(client.process.pid))
    finally:
        client.process.send_signal(signal.SIGKILL)
        client.process.wait()
    nothing_left(run, "killed after %.2f s" % moment)


def refused(tool, text, **arguments):
    """A launch that fails with a message."""
    client = Client(tool)
    try:
        client.launch(**arguments)
    except Failed as error:
        if text not in str(error):
            raise AssertionError("%r: %s" % (arguments, error))
    else:
        raise AssertionError("%r is not refused" % arguments)
    if client.end() != 0:
        raise AssertionError("the exit status after a launch that fails")


def main():
    tool, run = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    refused(tool, "no_such_run", run=run + "/no_such_run")
    refused(tool, "is no place", run=run, place="@x")
    refused(tool, "no function no_such", run=run, place="no_such")
    refused(tool, "no program", run=run, gdb="/no/such/gdb")
    refused(tool, "no Python", run=run, gdb=gdb_without_python())
    refused(tool, "run directory", run="")
    nothing_left(run, "after launches that fail")
    client = session(tool, run)
    client.end()
    nothing_left(run, "after disconnect")
    client = session(tool, run)
    client("terminate")
    client.event("terminated")
    nothing_left(run, "after terminate")
    client.end()
    # The client is gone.
    client = session(tool, run)
    client.send("reverseContinue", threadId=1)
    client.process.stdin.close()
    client.process.wait(timeout=20)
    nothing_left(run, "after the client's end")
    client = session(tool, run)
    client.process.send_signal(signal.SIGTERM)
    client.process.wait(timeout=20)
    nothing_left(run, "after SIGTERM")
    client = session(tool, run)
    gdb = [pid for pid, name in processes_of(run) if b"gdb" in name]
    os.kill(gdb[0], signal.SIGKILL)
    client.event("terminated")
    nothing_left(run, "after gdb's death")
    client.end()
    seed = int(time.time())
    random.seed(seed)
    for number in range(rounds):
        killed(tool, run, random.uniform(0, 2.5))
    print("check_ends: nothing is left; %d times SIGKILL, seed %d" % (rounds, seed))


def gdb_without_python():
    """A program that answers as a gdb without Python does."""
    file = tempfile.NamedTemporaryFile("w", delete=False, suffix="-gdb")
    file.write(
        "#!/bin/sh\necho '(gdb)'\nwhile read line; do\n"
        "    echo \"${line%%-*}^error,msg=\\\"Undefined MI command: tt-dap\\\"\"\ndone\n"
    )
    file.close()
    os.chmod(file.name, 0o700)
    return file.name


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, Failed) as error:
        print("check_ends: %s" % error, file=sys.stderr)
        sys.exit(1)
