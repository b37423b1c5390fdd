# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m ttlog`: data sets and verdicts of many runs."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Optional, Sequence

from . import __version__, _compact, _lake, _nightly, _verdicts
from ._errors import LogError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m ttlog",
        description="Many runs of a virtual machine at once: a data set of Parquet files, and verdicts on pairs of runs.",
        epilog="Exit status: 0 same or done, 1 different, 2 trouble. docs/fleets.md of the project has queries on the data set.",
    )
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(dest="command", metavar="COMMAND", required=True)

    lake = commands.add_parser(
        "lake",
        help="add runs to a data set of Parquet files",
        description="Adds runs, and the replays in run directories, to a Hive-partitioned data set: the tables runs, "
        "chunks, events, edges, verdicts and costs. A run whose log has not changed is passed over. Needs pyarrow.",
        epilog="Example: python -m ttlog lake lake runs/*. Exit status: 0 all runs are in the data set, 2 one could not be added.",
    )
    lake.add_argument("out", metavar="OUT", help="the folder of the data set: a directory, or an address such as s3://bucket/lake (fsspec)")
    lake.add_argument("runs", metavar="RUN", nargs="+", help="a run directory of tt-record, or a log")
    lake.add_argument("--night", metavar="NAME", help="the partition that new runs go to (default: the date, in UTC)")
    lake.add_argument("--branches", action="store_true", help="add the table branches, too; the logs hold them in less space")
    lake.add_argument(
        "--on-damage",
        choices=("raise", "skip"),
        default="raise",
        help="raise: report a damaged log and leave it out (default); skip: add the rows that can be read",
    )

    compact = commands.add_parser(
        "compact",
        help="merge the files of a data set: one for each table and night",
        description="Merges the files of a data set that `lake` made: afterwards each table has one file a night. A query that "
        "runs meanwhile sees all rows once. Needs pyarrow.",
        epilog="Example: python -m ttlog compact lake. Exit status: 0 done, 2 trouble.",
    )
    compact.add_argument("out", metavar="OUT", help="the folder of the data set, as for lake")
    compact.add_argument("--night", metavar="NAME", action="append", help="only this night; may be repeated (default: all)")

    verdicts = commands.add_parser(
        "verdicts",
        help="compare pairs of runs",
        description="Compares pairs of runs, each in a process of its own, and adds a row for each to OUT/verdicts.jsonl. "
        "A pair that cannot be compared is a row, too. Call it again to continue an interrupted call: pairs that have a row are "
        "not compared again.",
        epilog="Example: python -m ttlog verdicts pairs.csv -o verdicts. Exit status: 0 all pairs are identical, 1 one differs, "
        "2 one could not be compared.",
    )
    verdicts.add_argument(
        "pairs", metavar="PAIRS.csv", help="CSV with the columns original and replay: paths of logs or run directories"
    )
    verdicts.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="the folder of the rows: a directory, or an address such as s3://bucket/verdicts"
    )

    nightly = commands.add_parser(
        "nightly",
        help="record guests again and again, replay, compare, and keep what parted",
        description="Makes the runs of a night that CONFIG describes (docs/fleets.md), adds them to a data set, and writes a "
        "page about all nights. Call it again to continue a night that was interrupted. CONFIG names programs and options "
        "that are executed: use no file of somebody else.",
        epilog="Exit status: 0 all replays are identical, 1 some parted, 2 trouble.",
    )
    nightly.add_argument("config", metavar="CONFIG", help="an INI file")
    nightly.add_argument("--night", metavar="NAME", help="the name of the night (default: the date, in UTC)")
    nightly.add_argument("--junit", metavar="FILE", help="also write the night as JUnit XML to this file")
    nightly.add_argument(
        "--annotations",
        action="store_true",
        default=os.environ.get("GITHUB_ACTIONS") == "true",
        help="print annotations of GitHub Actions (default: only in a job of GitHub Actions)",
    )

    for command in (lake, compact, verdicts):
        command.add_argument(
            "--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes at once (default: all cores)"
        )
    for command, end in ((lake, "report it as not added"), (verdicts, "its verdict is timed-out")):
        command.add_argument(
            "--timeout", type=float, metavar="SECONDS", help=f"end the process of a run or pair after so long; {end} (default: no limit)"
        )
    return result


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "nightly":
            return _nightly.run(options.config, options.night, options.junit, options.annotations)
        jobs = max(options.jobs, 1)
        if options.command == "lake":
            return _lake.run(
                options.out, options.runs, jobs, options.branches, options.on_damage, options.timeout, night=options.night
            )
        if options.command == "compact":
            return _compact.run(options.out, jobs, options.night)
        return _verdicts.run(_verdicts.read_pairs(options.pairs), options.out, jobs, options.timeout)
    except ImportError as error:
        print(f"ttlog: {error}; pip install 'ttlog[arrow]'", file=sys.stderr)
    except (LogError, OSError, UnicodeDecodeError) as error:
        print(f"ttlog: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
