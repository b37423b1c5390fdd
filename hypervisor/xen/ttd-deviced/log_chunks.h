/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * log_chunks.h - the chunks of a log in file order, each checked before it is used.
 */
#ifndef TTD_LOG_CHUNKS_H
#define TTD_LOG_CHUNKS_H

#include <stddef.h>

#include "event_columns.h"

struct ttd_chunks {
    int fd;
    char *path;
    uint64_t size, offset; /* of the file; of the next element */
    struct ttlog_file_header header;
    struct ttlog_chunk_header chunk; /* the last one that was stepped to */
    struct ttd_columns columns;      /* of its body, once that was read */
    int is_trailed;                  /* the last element was the trailer of a closed log */
    uint8_t *stored, *raw;
    size_t stored_size, raw_size;
};

/* Opens a file and checks its header. `chunks` is zero but for `path`, which it keeps: errors name it. Returns 0, or -1 with
 * *error. */
int ttd_chunks_open(struct ttd_chunks *chunks, const char *file, ttlog_error *error);
void ttd_chunks_close(struct ttd_chunks *chunks);

/* Begins again at the first chunk. */
void ttd_chunks_rewind(struct ttd_chunks *chunks);

/* Steps to the next chunk and reads its header. Returns 1, 0 at the end of the file, -1 with *error. */
int ttd_chunks_next(struct ttd_chunks *chunks, ttlog_error *error);

/* Reads and checks the body of the chunk, and opens its columns. Returns 0, or -1 with *error. */
int ttd_chunks_read(struct ttd_chunks *chunks, ttlog_error *error);

/* Fills *error with damage at an offset. Returns -1. */
int ttd_chunks_damage(const struct ttd_chunks *chunks, uint64_t offset, const char *what, ttlog_error *error);

#endif
