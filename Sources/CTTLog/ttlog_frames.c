/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compresses a body as zstd frames that lie on columns, so that a reader can decompress some columns alone.
 *
 * Long columns compressed apart take less space than together, for each has statistics of its own. Each frame has a
 * header and tables, so that short columns share a frame.
 */
#include <errno.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_c_literalCompressionMode */
#include <zstd.h>

#include "ttlog_internal.h"

/* A column of more bytes has a frame of its own. A full chunk of accesses has columns of as many bytes; most of them
 * repeat one byte, and would take more space apart. */
#define SHORT_COLUMN_MAX 16384u
/* Below this level zstd looks for short matches in small inputs and misses long ones. */
#define LEVEL_WITH_LONG_MATCHES 3

/* How zstd looks for matches; 0: as its level says. */
struct search {
    int strategy, match_min, hash_log;
    int step;     /* ZSTD_fast: the bytes between two looks, at first */
    int literals; /* ZSTD_ps_enable: what has no match is Huffman-coded also where the level leaves it as it is */
};

/* The columns of branches repeat in long pieces. */
static const struct search branch_search = {.match_min = 7};
/* The aux column of Xen's exits has hashes of 32 bits: half of it is zeros, the rest repeats little. A match for each four
 * zeros takes more time than all other columns together. Nearly without matches, Huffman codes shorten the zeros, in a
 * fraction of that time, for less than a byte more an exit. A libzstd that refuses the setting stores the column as it is. */
static const struct search aux_search = {
    .strategy = ZSTD_fast, .match_min = 4, .hash_log = 10, .step = 100, .literals = ZSTD_ps_enable};
static const struct search level_search = {0};

int ttlog_frames_prepare(struct ttlog_frames *frames, int level) {
    frames->level = level;
    frames->zstd = ZSTD_createCCtx();
    if (frames->zstd == NULL)
        return ENOMEM;
    return ZSTD_isError(ZSTD_CCtx_setParameter(frames->zstd, ZSTD_c_compressionLevel, level)) ? EINVAL : 0;
}

void ttlog_frames_free(struct ttlog_frames *frames) {
    ZSTD_freeCCtx(frames->zstd);
}

size_t ttlog_frames_bound(size_t body_size) {
    size_t frames_max = 1 + TTLOG_EVENT_COLUMNS;
    return ZSTD_compressBound(body_size) + frames_max * ZSTD_compressBound(0);
}

static const struct search *search_of(const struct ttlog_frames *frames, uint8_t stream, uint32_t column) {
    if (stream == TTLOG_STREAM_BRANCH)
        return frames->level < LEVEL_WITH_LONG_MATCHES ? &branch_search : &level_search;
    return column == TTLOG_ECOL_AUX ? &aux_search : &level_search;
}

/* Returns the stored size, or an error of zstd. */
static size_t compress_frame(ZSTD_CCtx *zstd, const struct search *search, const uint8_t *raw, size_t raw_size,
                             uint8_t *stored, size_t capacity) {
    (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_strategy, search->strategy);
    (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_minMatch, search->match_min);
    (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, search->hash_log);
    (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_targetLength, search->step);
    (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_literalCompressionMode, search->literals);
    return ZSTD_compress2(zstd, stored, capacity, raw, raw_size);
}

/* A frame holds one long column or the short columns between two long ones; the first frame begins with the table. */
size_t ttlog_frames_compress(const struct ttlog_frames *frames, uint8_t stream, const uint8_t *raw, size_t raw_size,
                             uint8_t *stored, size_t capacity) {
    uint32_t columns = stream == TTLOG_STREAM_BRANCH ? TTLOG_BRANCH_COLUMNS : TTLOG_EVENT_COLUMNS;
    size_t place = 0, stored_size = 0, frame_size = columns * sizeof(uint32_t);
    const struct search *search = &level_search;
    int is_long = 0;
    for (uint32_t column = 0; column <= columns; column++) {
        uint32_t size = 0;
        if (column < columns)
            memcpy(&size, raw + column * sizeof(size), sizeof(size));
        int begins_frame = column == columns || is_long || size > SHORT_COLUMN_MAX;
        if (begins_frame && frame_size > 0) {
            size_t result = compress_frame(frames->zstd, search, raw + place, frame_size, stored + stored_size,
                                           capacity - stored_size);
            if (ZSTD_isError(result))
                return 0;
            stored_size += result;
            place += frame_size;
            frame_size = 0;
        }
        is_long = size > SHORT_COLUMN_MAX;
        if (begins_frame)
            search = is_long ? search_of(frames, stream, column) : &level_search;
        frame_size += size;
    }
    return place == raw_size ? stored_size : 0;
}
