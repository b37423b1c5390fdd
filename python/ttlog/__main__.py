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
        description="Many runs at once: a data set of Parquet files, and verdicts.",
        epilog="Exit status: 0 same or done, 1 different, 2 trouble.",
    )
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(dest="command", required=True)

    lake = commands.add_parser(
        "lake",
        help="add runs to a data set of Parquet files",
        description="Adds runs, and the replays in run directories, to a Hive-partitioned data set: the tables runs, "
        "chunks, events, edges and verdicts. A run whose log has not changed is passed over. Needs pyarrow.",
    )
    lake.add_argument("out", metavar="OUT", help="the folder of the data set: a directory, or an address such as s3://bucket/lake (fsspec)")
    lake.add_argument("runs", metavar="RUN", nargs="+", help="run directories or logs")
    lake.add_argument("--night", metavar="NAME", help="where new runs go (default: the date, in UTC)")
    lake.add_argument("--branches", action="store_true", help="also the branches, which the logs hold in less space")
    lake.add_argument(
        "--on-damage", choices=("raise", "skip"), default="raise", help="leave a damaged log out, or take what can be read"
    )

    compact = commands.add_parser(
        "compact",
        help="make one file a table of the files of a night",
        description="Makes one file of the many of each table and night of a data set. Readers see all files or the one.",
    )
    compact.add_argument("out", metavar="OUT", help="the folder of the data set")
    compact.add_argument("--night", metavar="NAME", action="append", help="only this night; may be repeated")

    verdicts = commands.add_parser(
        "verdicts",
        help="compare pairs of runs",
        description="Compares pairs of runs, each in a process of its own, and writes a row for each to "
        "OUT/verdicts.jsonl. A folder with the rows of an interrupted call is continued.",
    )
    verdicts.add_argument("pairs", metavar="PAIRS.csv", help="CSV with the columns original and replay")
    verdicts.add_argument("-o", "--out", required=True, metavar="OUT", help="the folder of the rows")

    nightly = commands.add_parser(
        "nightly",
        help="record guests again and again, replay, compare, and keep what parted",
        description="Makes the runs of a night that CONFIG describes (docs/fleets.md), adds them to a data set, and writes a "
        "page about all nights. A night that was interrupted is continued. CONFIG says what is executed: use your own. "
        "Exit status: 0 all replays are identical, 1 some parted, 2 trouble.",
    )
    nightly.add_argument("config", metavar="CONFIG", help="an INI file")
    nightly.add_argument("--night", metavar="NAME", help="the name of the night (default: the date, in UTC)")
    nightly.add_argument("--junit", metavar="FILE", help="also write the night as JUnit XML to this file")
    nightly.add_argument(
        "--annotations",
        action="store_true",
        default=os.environ.get("GITHUB_ACTIONS") == "true",
        help="print annotations of GitHub Actions (default: in a job of GitHub Actions)",
    )

    for command in (lake, compact, verdicts):
        command.add_argument(
            "--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes at once (default: all cores)"
        )
    for command in (lake, verdicts):
        command.add_argument("--timeout", type=float, metavar="SECONDS", help="end a process after so long")
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
