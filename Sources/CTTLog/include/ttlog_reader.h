/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ttlog_reader.h - what readers need from C libraries and the kernel, beyond the functions in ttlog_writer.h.
 */
#ifndef TTLOG_READER_H
#define TTLOG_READER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A zstd context to use for many bodies. Each thread needs its own. */
typedef struct ttlog_decompressor ttlog_decompressor;

/* Returns NULL without memory. */
ttlog_decompressor *ttlog_decompressor_create(void);
void ttlog_decompressor_free(ttlog_decompressor *decompressor);

/* Decompresses one zstd frame. Returns 0 only if it yields exactly raw_size bytes. */
int ttlog_decompressor_run(ttlog_decompressor *decompressor, void *raw, size_t raw_size, const void *stored,
                           size_t stored_size);

/* Whether another open file description holds a write lock on this file: a log's writer does. Takes no lock itself. */
int ttlog_is_locked(int descriptor);

#ifdef __cplusplus
}
#endif
#endif
