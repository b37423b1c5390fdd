/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Decompression, of some columns or all, with a context that is used again; and the test for a writer's lock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "ttlog_reader.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

/* The opaque type is zstd's context. */
static ZSTD_DCtx *context(ttlog_decompressor *decompressor) {
    return (ZSTD_DCtx *)decompressor;
}

ttlog_decompressor *ttlog_decompressor_create(void) {
    return (ttlog_decompressor *)ZSTD_createDCtx();
}

void ttlog_decompressor_free(ttlog_decompressor *decompressor) {
    ZSTD_freeDCtx(context(decompressor));
}

int ttlog_decompressor_run(ttlog_decompressor *decompressor, void *raw, size_t raw_size, const void *stored,
                           size_t stored_size) {
    if (decompressor == NULL)
        return -1;
    size_t size = ZSTD_decompressDCtx(context(decompressor), raw, raw_size, stored, stored_size);
    return !ZSTD_isError(size) && size == raw_size ? 0 : -1;
}

/* What remains of a body, and how much of its raw form the frames before had. */
struct frames {
    const uint8_t *stored;
    size_t stored_size;
    uint8_t *raw;
    size_t raw_size;
    size_t done;
};

/* Finds the sizes of the next frame. Returns -1 where it is damaged, does not say its raw size or is longer than the
 * body. */
static int find_frame(const struct frames *frames, size_t *stored_size, size_t *raw_size) {
    *stored_size = ZSTD_findFrameCompressedSize(frames->stored, frames->stored_size);
    if (ZSTD_isError(*stored_size))
        return -1;
    /* Both errors of it are large numbers. */
    unsigned long long size = ZSTD_getFrameContentSize(frames->stored, *stored_size);
    if (size > frames->raw_size - frames->done)
        return -1;
    *raw_size = (size_t)size;
    return 0;
}

static int is_wanted(const uint8_t *table, uint32_t columns, uint32_t wanted, size_t first, size_t end) {
    size_t place = columns * sizeof(uint32_t);
    for (uint32_t column = 0; column < columns && place < end; column++) {
        uint32_t size;
        memcpy(&size, table + column * sizeof(size), sizeof(size));
        if (wanted >> column & 1 && size > 0 && place + size > first)
            return 1;
        place += size;
    }
    return 0;
}

/* Decompresses the first frame, which has to hold the table, and the frames with wanted bytes. Returns -1 where the
 * frames are not like that. */
static int run_frames(ZSTD_DCtx *zstd, struct frames *frames, uint32_t columns, uint32_t wanted) {
    while (frames->stored_size > 0) {
        size_t stored_size, raw_size;
        if (find_frame(frames, &stored_size, &raw_size) != 0)
            return -1;
        int is_first = frames->done == 0;
        if (is_first && raw_size < columns * sizeof(uint32_t))
            return -1;
        if (is_first || is_wanted(frames->raw, columns, wanted, frames->done, frames->done + raw_size)) {
            size_t size = ZSTD_decompressDCtx(zstd, frames->raw + frames->done, raw_size, frames->stored, stored_size);
            if (ZSTD_isError(size) || size != raw_size)
                return -1;
        }
        frames->stored += stored_size;
        frames->stored_size -= stored_size;
        frames->done += raw_size;
    }
    return frames->done == frames->raw_size ? 0 : -1;
}

int ttlog_decompressor_run_columns(ttlog_decompressor *decompressor, uint32_t columns, uint32_t wanted, void *raw,
                                   size_t raw_size, const void *stored, size_t stored_size) {
    if (decompressor == NULL)
        return -1;
    struct frames frames = {.stored = stored, .stored_size = stored_size, .raw = raw, .raw_size = raw_size};
    if (run_frames(context(decompressor), &frames, columns, wanted) == 0)
        return 0;
    return ttlog_decompressor_run(decompressor, raw, raw_size, stored, stored_size);
}

int ttlog_is_locked(int descriptor) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
}
