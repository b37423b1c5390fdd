# SPDX-License-Identifier: GPL-2.0-or-later
"""Which runs of a fleet ran which branches, and how often: the distinct branches of all runs, counted on a cluster.

Usage: spark-submit --py-files ttlog.zip edges.py RUNS OUT [--where CONDITION]
  RUNS          a file with the path of a run in each line; executors can read them
  OUT           the folder of the rows, Parquet; it is replaced
  --where       SQL on the columns of `branches`, such as 'kind = ''call'''

RUNS and OUT are on any file system of Spark. A row of OUT is a branch: `from`, `to`, `kind`, its `count` in all runs, how many
`runs` ran it, and their `names`. Prints how many branches all runs ran, how many some, and how many one
alone, which it names.
"""

import argparse
import sys

from pyspark.sql import SparkSession, functions

import ttlog.spark


def arguments():
    parser = argparse.ArgumentParser(description="Counts the distinct branches of many runs on a cluster.")
    parser.add_argument("runs", metavar="RUNS", help="a file with the path of a run in each line")
    parser.add_argument("out", metavar="OUT", help="the folder of the rows")
    parser.add_argument("--where", metavar="CONDITION", help="only branches for which this SQL is true")
    return parser.parse_args()


def main():
    options = arguments()
    spark = SparkSession.builder.appName("ttlog edges").getOrCreate()
    runs = spark.read.text(options.runs).withColumnRenamed("value", "run").where("run <> ''").distinct()
    total = runs.count()
    ttlog.spark.fleet_edges(runs, options.where).write.mode("overwrite").parquet(options.out)
    rows = spark.read.parquet(options.out)
    for row in rows.groupBy("runs").count().orderBy("runs").collect():
        print(f"{row['count']:8d}  branches in {row['runs']} of {total} runs")
    alone = rows.where("runs = 1").groupBy(functions.col("names")[0].alias("run")).count()
    for row in alone.orderBy("run").collect():
        print(f"{row['count']:8d}  only in {row['run']}")
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
