#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Times `tt-analyze diverge` on two logs, beside `cmp` on the same branches as raw 24-byte records.

usage: Benchmarks/compare-logs.py TT_ANALYZE DIRECTORY [MILLIONS]      (DIRECTORY: made by make-pair, of so many branches)

Without raw records (a pair of 10^9 branches), cmp compares the original with a copy of itself.

The files are in the page cache, the programs take turns, and the best of three runs counts. "read" is how much of the two
logs diverge read beyond their chunk headers.
"""
import json
import os
import subprocess
import sys
import time

ROUNDS = 3
CASES = [
    ("identical", "identical.log", []),
    ("identical, no footer", "unclosed.log", []),
    ("benign difference in every event cell", "benign.log", []),
    ("difference in the last record", "last.log", []),
    ("identical, --no-digests", "identical.log", ["--no-digests"]),
]


def timed(command):
    start = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True)
    return time.monotonic() - start, result


def main():
    tool, directory = sys.argv[1:3]
    path = lambda name: os.path.join(directory, name)
    cases = [case for case in CASES if os.path.exists(path(case[1]))]
    raw = [path("original.raw"), path("last.raw")]
    compared = raw if os.path.exists(raw[0]) else [path("original.log"), path("copy.log")]
    best = {}
    answers = {}
    for _ in range(ROUNDS):
        for name, replay, options in cases:
            command = [tool, "diverge", path("original.log"), path(replay), "--format", "json", *options]
            seconds, result = timed(command)
            if result.returncode not in (0, 1):
                sys.exit(f"compare-logs: {' '.join(command)}: exit status {result.returncode}\n{result.stderr}")
            best[name] = min(best.get(name, seconds), seconds)
            answers[name] = json.loads(result.stdout)
        seconds, result = timed(["cmp", *compared])
        if result.returncode != (1 if compared is raw else 0):
            sys.exit(f"compare-logs: cmp: {result.stderr}")
        best["cmp"] = min(best.get("cmp", seconds), seconds)

    stored = os.path.getsize(path("original.log")) * 2
    branches = sys.argv[3] if len(sys.argv) > 3 else 100
    print(f"| comparison of two logs of {branches} M branches | verdict | s | read, kB | of the stored | cmp takes |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, _, _ in cases:
        read = int(answers[name]["statistics"]["bytesRead"])
        print(
            f"| {name} | {answers[name]['verdict']} | {best[name]:.3f} | {read / 1000:.0f} "
            f"| {100 * read / stored:.2f} % | {best['cmp'] / best[name]:.1f}x as long |"
        )
    size = sum(map(os.path.getsize, compared))
    what = "the raw 24-byte records | differ" if compared is raw else "the original and its copy | same"
    print(f"| `cmp` on {what} | {best['cmp']:.3f} | {size / 1000:.0f} | | 1x |")


if __name__ == "__main__":
    main()
