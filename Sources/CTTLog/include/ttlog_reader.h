/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ttlog_reader.h - what readers need of C libraries and of the kernel, beside the pieces in ttlog_writer.h.
 */
#ifndef TTLOG_READER_H
#define TTLOG_READER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A zstd context that is used again for every body; one a thread. */
typedef struct ttlog_decompressor ttlog_decompressor;

/* NULL when there is no memory. */
ttlog_decompressor *ttlog_decompressor_create(void);
void ttlog_decompressor_free(ttlog_decompressor *decompressor);

/* Decompresses one zstd frame of known size. Returns 0 only when exactly raw_size bytes came out. */
int ttlog_decompressor_run(ttlog_decompressor *decompressor, void *raw, size_t raw_size, const void *stored,
                           size_t stored_size);

/* Whether another open file description holds a write lock on this file, as the writer of a log does. Takes no lock. */
int ttlog_is_locked(int descriptor);

#ifdef __cplusplus
}
#endif
#endif
