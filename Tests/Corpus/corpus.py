#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes pairs of runs that differ in a known way, compares them with `tt-analyze diverge`, and scores the answers.

    corpus.py [--quick] [--group tiny|tiny10|linux|debian]... [--only NAME]... [--work DIRECTORY] [--keep] [--json FILE] [--list]

A case (tiny.py, linux.py, debian.py) holds the way in which its two runs are made and, from that alone, the class, the
place and the cause that the tool must report. The place is computed from the recording and from the change, before the
tool runs. The place of a branch that differs is checked a second time: `cmp` compares the branches of both logs.

Needs the tools (TT_BIN, default .build/release), the plugin and the guests. Exit status: 0 all answers are right, 1 some
answer is not, 2 trouble.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time

import debian
import linux
import tiny
from runs import Missing, Runs
from scoring import Answer, score

GROUPS = {"tiny": tiny.CASES, "tiny10": tiny.CASES_10, "linux": linux.CASES, "debian": debian.CASES}
HEADER = "| case | guest | expected | place expected | answer | class | place | cause | by |"


def selected(options):
    for group, cases in GROUPS.items():
        if options.group and group not in options.group:
            continue
        for case in cases:
            if options.quick and not case.quick or options.only and case.name not in options.only:
                continue
            yield group, case


def run_case(case, runs):
    """The case's class and place, the tool's answer and the score. Recordings are shared by the cases of a guest."""
    made = case.make(runs)
    expected = case.verdict(made, runs) if callable(case.verdict) else case.verdict
    place = case.place(made) if callable(case.place) else case.place
    answer = Answer(runs.diverge(made, case.options))
    return expected, place, answer, score(case, expected, place, answer, made, runs)


def row(case, verdict, place, answer, points):
    def cell(value):
        return {True: "yes", False: "**no**", None: "–"}[value]

    expected = verdict + (" \\*" if case.corrected else "")
    return "| " + " | ".join([
        case.name, case.guest, expected, str(place), answer.text.replace("|", "\\|"), cell(points["class"]),
        cell(points["place"]), cell(points["cause"]), points["by"]]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the cases that take no more than a second or two")
    parser.add_argument("--group", action="append", choices=list(GROUPS), help="these guests; may be repeated")
    parser.add_argument("--only", action="append", metavar="NAME", help="this case; may be repeated")
    parser.add_argument("--work", metavar="DIRECTORY", help="where the runs go (default: a temporary directory)")
    parser.add_argument("--keep", action="store_true", help="keep the runs")
    parser.add_argument("--json", metavar="FILE", help="write the results, one object a line")
    parser.add_argument("--list", action="store_true", help="list the cases with the reason for each expectation")
    options = parser.parse_args()
    cases = list(selected(options))
    if options.list:
        for group, case in cases:
            verdict = case.verdict.__doc__ if callable(case.verdict) else case.verdict
            print(f"{group}: {case.name} ({case.guest}): {verdict}\n    {case.why}")
            if case.corrected:
                print(f"    corrected: {case.corrected}")
        return 0
    if not cases:
        parser.error("no such case; --list lists them")
    work = options.work or tempfile.mkdtemp(prefix="tt-divergences-")
    results = open(options.json, "a", encoding="utf-8") if options.json else None
    totals = {"class": [], "place": [], "cause": []}
    print(HEADER + "\n" + "|".join(["", *[" --- "] * 9, ""]), flush=True)
    try:
        for group, case in cases:
            runs = Runs(os.path.join(work, group))
            began = time.monotonic()
            try:
                expected, place, answer, points = run_case(case, runs)
            except Missing as reason:
                print(f"| {case.name} | {case.guest} | not run: {reason} |" + " |" * 6, flush=True)
                totals["class"].append(False)
                continue
            finally:
                runs.finish(options.keep)
            print(row(case, expected, place, answer, points), flush=True)
            for name, values in totals.items():
                if points[name] is not None:
                    values.append(points[name])
            if results:
                record = {"case": case.name, "group": group, "expected": expected, "place": str(place),
                          "answer": answer.text, "points": points, "seconds": round(time.monotonic() - began, 1)}
                results.write(json.dumps(record) + "\n")
                results.flush()
    finally:
        if not options.keep and not options.work:
            shutil.rmtree(work, ignore_errors=True)
    line = ", ".join(f"{name} right in {sum(values)} of {len(values)}" for name, values in totals.items())
    print(f"\n{len(cases)} cases: {line}")
    return 0 if all(all(values) for name, values in totals.items() if name != "cause") else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Missing as error:
        print(f"corpus: {error}", file=sys.stderr)
        sys.exit(2)
