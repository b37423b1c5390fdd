#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures `tt-analyze diverge --pairs` on many pairs of runs.

usage: Benchmarks/compare-pairs.py TT_ANALYZE DIRECTORY [LOOP]      (DIRECTORY: made by make-pairs)

Compares a tenth of the pairs and all of them, with the time and the largest resident size of each; LOOP of them (300) by
single `diverge`s, in a loop of the shell and by xargs, in the same run; and all of them with interruptions (SIGINT, SIGTERM
and SIGKILL in turns), whose output must be the same bytes. Each answer is compared with what was planted.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time


def measured(command):
    """Seconds, the largest resident size in MB, and the exit status."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    return time.monotonic() - began, usage.ru_maxrss / 1000, os.waitstatus_to_exitcode(status)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def check(path, expected):
    """The number of lines whose verdict and place are the planted ones."""
    right = 0
    for text, (name, verdict, clock) in zip(read(path).decode().splitlines(), expected):
        line = json.loads(text)
        # A position of the original; an event that moved is where the earlier of both runs has it.
        place = line.get("brctr", "")
        is_right = line.get("verdict") == verdict and (place == clock or verdict == "moved-event")
        right += is_right
        if not is_right:
            print(f"pair {name}: planted {verdict} at {clock}, found {line.get('verdict')} at {place}", file=sys.stderr)
    return right


def interrupted(command, total):
    """Runs the command until it ends by itself; returns how often it was interrupted."""
    signals, count = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], 0
    numbers = random.Random(13)
    while True:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(timeout=0.1 + numbers.random() * total / 10)
            return count
        except subprocess.TimeoutExpired:
            child.send_signal(signals[count % 3])
            child.wait()
            count += 1


def main():
    tool, directory = sys.argv[1:3]
    loop = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    with open(f"{directory}/expected.tsv", encoding="ascii") as file:
        expected = [line.rstrip("\n").split("\t") for line in file]
    pairs = [(f"{directory}/{name}", f"{directory}/{name}/replays/1") for name, _, _ in expected]
    rows, outputs = [], []
    for count in (len(pairs) // 10, len(pairs)):
        listed, output = f"{directory}/list-{count}", f"{directory}/out-{count}.jsonl"
        with open(listed, "w", encoding="ascii") as file:
            file.writelines(f"{original}\t{replay}\n" for original, replay in pairs[:count])
        if os.path.exists(output):
            os.unlink(output)
        seconds, size, status = measured([tool, "diverge", "--pairs", listed, "-o", output])
        if status not in (0, 1):
            sys.exit(f"compare-pairs: exit status {status}")
        rows.append((f"`diverge --pairs`, {count} pairs", seconds, count / seconds, size))
        outputs.append((listed, output, seconds))
    # The output is complete: this only reads it.
    seconds, size, _ = measured([tool, "diverge", "--pairs", outputs[1][0], "-o", outputs[1][1]])
    rows.append(("the same again: all lines are there", seconds, len(pairs) / seconds, size))
    some = f"{directory}/list-{loop}-for-the-shell"
    with open(some, "w", encoding="ascii") as file:
        file.writelines(f"{original} {replay}\n" for original, replay in pairs[:loop])
    one_by_one = f'while read -r a b; do "$0" diverge "$a" "$b"; [ $? -le 1 ] || exit 2; done <{some}; exit 0'
    processors = os.cpu_count()
    for what, command in (
            ("a loop of the shell", ["sh", "-c", one_by_one, tool]),
            (f"`xargs -P {processors}`", ["xargs", "-a", some, "-P", str(processors), "-L", "1", tool, "diverge"])):
        seconds, size, status = measured(command)
        if status not in (0, 123):  # xargs: some command's status was not 0
            sys.exit(f"compare-pairs: {what}: exit status {status}")
        rows.append((f"{what}: {loop} single `diverge`s", seconds, loop / seconds, size))

    listed, whole, seconds = outputs[1]
    output = f"{directory}/resumed.jsonl"
    if os.path.exists(output):
        os.unlink(output)
    times = interrupted([tool, "diverge", "--pairs", listed, "-o", output], seconds)
    print("| what | s | pairs/s | largest resident size, MB |\n| --- | ---: | ---: | ---: |")
    for what, seconds, rate, size in rows:
        print(f"| {what} | {seconds:.2f} | {rate:.0f} | {size:.1f} |")
    right = check(whole, expected)
    is_same = read(whole) == read(output) and read(outputs[0][1]) == b"".join(
        read(whole).splitlines(keepends=True)[:len(pairs) // 10])
    print(f"\n{right} of {len(pairs)} answers are the planted ones; interrupted {times} times: "
          f"{'the same bytes' if is_same else 'OTHER BYTES'}")
    sys.exit(0 if right == len(pairs) and is_same else 1)


if __name__ == "__main__":
    main()
