#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what Benchmarks/xen/run measured, as a table.

usage: table.py OURS [STOCK...]      directories of boots: the patched hypervisor's, and Debian's

Seconds are dom0's, from the creation of a guest to its end: the median, the least and the most of all rounds.
"""
import re
import statistics
import sys

# Kind, title, and the kind that its time is compared with.
ROWS = [
    ("unrecorded", "this Xen, unrecorded", "unrecorded"),
    ("recording", "recording", "unrecorded"),
    ("recording-small", "recording, ring of 256 KiB", "unrecorded"),
    ("replaying", "replaying", "unrecorded"),
    ("replaying-small", "replaying, rings of 256 KiB", "unrecorded"),
    ("disk-mapped-unrecorded", "pages mapped for each request: unrecorded", "disk-mapped-unrecorded"),
    ("disk-mapped-recording", "recording", "disk-mapped-unrecorded"),
    ("disk-mapped-replaying", "replaying", "disk-mapped-unrecorded"),
    ("disk-kept-unrecorded", "pages kept mapped: unrecorded", "disk-kept-unrecorded"),
    ("disk-kept-recording", "recording", "disk-kept-unrecorded"),
    ("disk-kept-replaying", "replaying", "disk-kept-unrecorded"),
]


def results(directories):
    """{kind: {key: [value, ...]}} of all rounds; `time` is a duration in seconds."""
    found = {}
    for directory in directories:
        with open(f"{directory}/out/results", encoding="utf-8") as lines:
            for line in lines:
                name, key, *values = line.split()
                if "." not in name or not values:
                    continue
                value = float(values[1]) - float(values[0]) if key == "time" else float(values[0])
                found.setdefault(name.rsplit(".", 1)[0], {}).setdefault(key, []).append(value)
    return found


def exit_costs(directories):
    """Units of the time-stamp counter an exit, for each small guest in the order of its run."""
    costs = []
    for directory in directories:
        with open(f"{directory}/serial.log", encoding="utf-8", errors="replace") as lines:
            for count, units in re.findall(r"guest: exits=([0-9a-f]+) units=([0-9a-f]+)", lines.read()):
                costs.append(int(units, 16) / int(count, 16))
    return costs


def spread(values, form):
    """The median, and the range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def row(title, run, reference):
    """One row of the table; `reference` is the median of the unrecorded runs."""
    cells = [title, spread(run["time"], ".2f"), f"{statistics.median(run['time']) / reference:.2f}", "", "", "", "", ""]
    if "exits" in run:
        size, exits = statistics.median(run["bytes"]), statistics.median(run["exits"])
        cells[3:] = [
            f"{exits:,.0f}", f"{size:,.0f}", f"{size / exits:.1f}",
            f"{statistics.median(run['held']):.0f}; {sum(run['lost']):.0f}",
            f"{statistics.median(run['daemon']):.2f}" if "daemon" in run else "",
        ]
    print("| " + " | ".join(cells) + " |")


def main():
    ours, *stock = sys.argv[1:]
    runs, plain = results([ours]), results(stock)
    print("\n| | seconds | beside unrecorded | exits | bytes of log | an exit | waits; lost | of it the daemon |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    if stock:
        row("stock Xen, unrecorded", plain["unrecorded"], statistics.median(runs["unrecorded"]["time"]))
    for kind, title, reference in ROWS:
        if kind in runs:
            row(title, runs[kind], statistics.median(runs[reference]["time"]))
    print(f"\nrounds: {max(len(run['time']) for run in runs.values())}")
    failed = [f"{kind} {value:.0f}" for kind, run in runs.items() for value in run.get("status", []) if value]
    print(f"runs that did not end as they should: {', '.join(failed) or 'none'}")

    stock_cost, costs = exit_costs(stock), exit_costs([ours])
    if stock_cost and len(costs) == 2 * len(runs["exits-unrecorded"]["time"]):
        print("A CPUID exit, in instructions under -icount, else in nanoseconds:")
        print(f"stock Xen {spread(stock_cost, '.1f')}, this Xen unrecorded {spread(costs[0::2], '.1f')}, "
              f"recording {spread(costs[1::2], '.1f')}")


main()
