/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Decompression with a context that is used again, and the test for a writer's lock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "ttlog_reader.h"

#include <fcntl.h>
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

int ttlog_is_locked(int descriptor) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
}
