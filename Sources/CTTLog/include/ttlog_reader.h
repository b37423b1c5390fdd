/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ttlog_reader.h - what readers need from C libraries and the kernel, beyond the functions in ttlog_writer.h.
 */
#ifndef TTLOG_READER_H
#define TTLOG_READER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A zstd context to use for many bodies. Each thread needs its own. */
typedef struct ttlog_decompressor ttlog_decompressor;

/* Returns NULL without memory. */
ttlog_decompressor *ttlog_decompressor_create(void);
void ttlog_decompressor_free(ttlog_decompressor *decompressor);

/* Decompresses the zstd frames of a body. Returns 0 only if they yield exactly raw_size bytes. */
int ttlog_decompressor_run(ttlog_decompressor *decompressor, void *raw, size_t raw_size, const void *stored,
                           size_t stored_size);

/* The same, but of a body with `columns` columns (at most 32) only those with a bit in `wanted`, and the table of sizes
 * before them. The other bytes of raw have any content: frames without a wanted byte are skipped, and only their headers
 * are checked. Where frames do not lie on columns, or do not say how long they are, more is decompressed. */
int ttlog_decompressor_run_columns(ttlog_decompressor *decompressor, uint32_t columns, uint32_t wanted, void *raw,
                                   size_t raw_size, const void *stored, size_t stored_size);

/* Decodes the path columns of branch bodies with vector instructions. May be used by many threads. */
typedef struct ttlog_path_decoder ttlog_path_decoder;

/* Returns NULL where the processor does not have the instructions (AVX2), and without memory. It lives as long as the process. */
ttlog_path_decoder *ttlog_path_decoder_create(void);

/* The bytes that the from and to columns of `count` records have, by the (count + 1) / 2 bytes of the control column. */
void ttlog_path_sizes(const ttlog_path_decoder *decoder, const uint8_t *control, size_t count, size_t *from_size,
                      size_t *to_size);

/* Decodes the path of `count` records. The columns have the sizes above, and 16 readable bytes follow each; `from_out` and
 * `to_out` have room for one record more. NULL for `from_out`: only the to addresses are wanted, which takes less time. */
void ttlog_path_decode(const ttlog_path_decoder *decoder, const uint8_t *control, const uint8_t *from_column,
                       const uint8_t *to_column, size_t count, uint64_t *from_out, uint64_t *to_out);

/* Writes first, first + 1, ...: the clocks of branches, which a log does not store. */
void ttlog_write_clocks(uint64_t *clocks, uint64_t first, size_t count);

/* Whether another open file description holds a write lock on this file: a log's writer does. Takes no lock itself. */
int ttlog_is_locked(int descriptor);

#ifdef __cplusplus
}
#endif
#endif
