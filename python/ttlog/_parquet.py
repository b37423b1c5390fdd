# SPDX-License-Identifier: GPL-2.0-or-later
"""Parquet files with the settings that docs/fleets.md measures: 0.26 bytes a branch of a Linux boot, not 9.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

if TYPE_CHECKING:
    import pyarrow

ROW_GROUP = 1 << 20

#: Clocks grow slowly: their differences are small. Addresses repeat: a dictionary and zstd find that.
DELTAS = {"brctr", "icount", "brctr_first", "brctr_last", "first_brctr", "last_brctr", "first_ordinal", "cell", "offset"}
NAMES = {"run", "from", "to", "kind", "vcpu", "epoch", "stream", "details", "ip"}


def write(reader: pyarrow.RecordBatchReader, path: str, of_many_files: bool = False) -> None:
    """Writes a stream into a file. Batches are collected into row groups: each batch alone would be one.

    Args:
        of_many_files: the batches have different dictionaries.
    """
    import pyarrow
    import pyarrow.parquet

    names = reader.schema.names
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [name for name in names if name in NAMES],
        "column_encoding": {name: "DELTA_BINARY_PACKED" for name in names if name in DELTAS},
        # pyarrow's page of 20,000 rows is too small for zstd to find what repeats.
        "data_page_size": 1 << 26,
        "max_rows_per_page": 1 << 22,
    }
    with pyarrow.parquet.ParquetWriter(path, reader.schema, **options) as writer:

        def flush(group: list[pyarrow.RecordBatch]) -> None:
            table = pyarrow.Table.from_batches(group)
            # With more than one dictionary in a row group the writer would store plain text.
            writer.write_table(table.unify_dictionaries() if of_many_files else table, row_group_size=2 * ROW_GROUP)

        group: list[pyarrow.RecordBatch] = []
        rows = 0
        for batch in reader:
            group.append(batch)
            rows += len(batch)
            if rows >= ROW_GROUP:
                flush(group)
                group, rows = [], 0
        if group:
            flush(group)


def with_run(reader: pyarrow.RecordBatchReader, name: str) -> pyarrow.RecordBatchReader:
    """The stream with a column `run` before the others, which has one value."""
    import pyarrow

    kind = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    schema = pyarrow.schema([pyarrow.field("run", kind), *reader.schema])
    names = pyarrow.array([name])

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for batch in reader:
            indexes = pyarrow.repeat(pyarrow.scalar(0, pyarrow.int32()), len(batch))
            run = pyarrow.DictionaryArray.from_arrays(indexes, names)
            yield pyarrow.RecordBatch.from_arrays([run, *batch.columns], schema=schema)

    return pyarrow.RecordBatchReader.from_batches(schema, batches())
