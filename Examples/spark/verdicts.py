# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares pairs of runs on a cluster: `python -m ttlog verdicts`, over as many machines as Spark has.

Usage: spark-submit --py-files ttlog.zip verdicts.py PAIRS.csv OUT [--per-round N] [--per-task N] [--timeout SECONDS]
  PAIRS.csv     CSV with the columns original and replay: paths that executors can read
  OUT           the folder of the rows, Parquet; the rows of an interrupted call are kept, and the call is continued

PAIRS.csv and OUT are on any file system of Spark. Prints how many pairs have which verdict. Exit status: 0 all pairs are identical,
1 some differ, 2 trouble: also one pair that could not be compared.
"""

import argparse
import sys

from pyspark.sql import SparkSession, functions

import ttlog.spark


def arguments():
    parser = argparse.ArgumentParser(description="Compares pairs of runs on a cluster.")
    parser.add_argument("pairs", metavar="PAIRS.csv", help="CSV with the columns original and replay")
    parser.add_argument("out", metavar="OUT", help="the folder of the rows")
    parser.add_argument("--per-round", type=int, default=10_000, metavar="N", help="pairs whose rows are written at once")
    parser.add_argument("--per-task", type=int, default=16, metavar="N", help="pairs that one task compares")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give a pair up after so long")
    return parser.parse_args()


def main():
    options = arguments()
    spark = SparkSession.builder.appName("ttlog verdicts").getOrCreate()
    pairs = spark.read.csv(options.pairs, header=True).select("original", "replay")
    rows = ttlog.spark.verdicts(pairs, options.out, options.per_round, options.per_task, options.timeout)
    # The folder may have the rows of other lists, too.
    rows = rows.join(pairs.distinct(), ["original", "replay"], "left_semi")
    counts = rows.groupBy("verdict").agg(functions.count("*").alias("n"), functions.max("status").alias("status")).collect()
    for row in sorted(counts, key=lambda row: (-row["n"], row["verdict"])):
        print(f"{row['n']:8d}  {row['verdict']}")
    spark.stop()
    return max((row["status"] for row in counts), default=0)


if __name__ == "__main__":
    sys.exit(main())
