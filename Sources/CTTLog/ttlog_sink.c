/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes chunks, directories and trailers to the log file. Each buffer is allocated once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ttlog_internal.h"

static size_t align_chunk(size_t size) {
    return (size + TTLOG_CHUNK_ALIGNMENT - 1) / TTLOG_CHUNK_ALIGNMENT * TTLOG_CHUNK_ALIGNMENT;
}

/* Returns errno. */
int ttlog_sink_prepare(struct ttlog_sink *sink, size_t body_bound, int level) {
    sink->image_size = align_chunk(TTLOG_CHUNK_HEADER_SIZE + body_bound);
    sink->image = calloc(1, sink->image_size);
    sink->directory = calloc(1, TTLOG_CHUNK_HEADER_SIZE * (1 + (size_t)TTLOG_DIRECTORY_CHUNKS) +
                                    sizeof(struct ttlog_trailer));
    if (sink->image == NULL || sink->directory == NULL)
        return ENOMEM;
    if (sink->codec != TTLOG_CODEC_ZSTD)
        return 0;
    sink->packed_size = align_chunk(TTLOG_CHUNK_HEADER_SIZE + ttlog_frames_bound(body_bound));
    sink->packed = malloc(sink->packed_size);
    return sink->packed == NULL ? ENOMEM : ttlog_frames_prepare(&sink->frames, level);
}

void ttlog_sink_free(struct ttlog_sink *sink) {
    free(sink->image);
    free(sink->packed);
    free(sink->directory);
    ttlog_frames_free(&sink->frames);
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = -1;
}

uint64_t ttlog_chain(uint64_t previous, const struct ttlog_chunk_header *header) {
    const uint64_t words[5] = {
        previous,
        header->cell,
        (uint64_t)header->part << 32 | header->count,
        header->digest[TTLOG_CLASS_PATH],
        header->digest[TTLOG_CLASS_POSITION],
    };
    return ttlog_hash(words, sizeof(words), 0);
}

/* Appends all bytes to the log. After an error it cuts off the part that was written. Returns errno. */
static int append_bytes(struct ttlog_sink *sink, const uint8_t *bytes, size_t size) {
    int code = ttlog_write_all(sink->fd, bytes, size, sink->offset);
    if (code != 0) {
        while (ftruncate(sink->fd, (off_t)sink->offset) != 0 && errno == EINTR)
            ;
        return code;
    }
    sink->offset += size;
    return 0;
}

static void finish_header(struct ttlog_sink *sink, struct ttlog_chunk_header *header) {
    header->magic = TTLOG_CHUNK_MAGIC;
    header->nonce = sink->nonce;
    header->offset = sink->offset;
    header->header_crc = 0;
    header->header_crc = ttlog_crc32c(0, header, sizeof(*header));
}

/* Writes a directory and its trailer in one call. Returns errno. */
int ttlog_sink_directory(struct ttlog_sink *sink, uint64_t lost, uint32_t flags) {
    size_t body_size = (size_t)TTLOG_CHUNK_HEADER_SIZE * sink->directory_count;
    struct ttlog_chunk_header header = {
        .raw_size = (uint32_t)body_size,
        .stored_size = (uint32_t)body_size,
        .stream = TTLOG_STREAM_DIRECTORY,
        .codec = TTLOG_CODEC_RAW,
        .vcpu = TTLOG_VCPU_NONE,
        .part = sink->directory_part,
        .count = sink->directory_count,
        .body_hash = ttlog_hash(sink->directory + TTLOG_CHUNK_HEADER_SIZE, body_size, 0),
    };
    finish_header(sink, &header);
    memcpy(sink->directory, &header, sizeof(header));
    struct ttlog_trailer trailer = {
        .magic = TTLOG_TRAILER_MAGIC,
        .chunk_count = sink->directory_count,
        .nonce = sink->nonce,
        .offset = sink->offset + TTLOG_CHUNK_HEADER_SIZE + body_size,
        .directory_offset = sink->offset,
        .previous_trailer = sink->previous_trailer,
        .lost_records = lost,
        .flags = flags,
    };
    trailer.trailer_crc = ttlog_crc32c(0, &trailer, sizeof(trailer));
    memcpy(sink->directory + TTLOG_CHUNK_HEADER_SIZE + body_size, &trailer, sizeof(trailer));
    int code = append_bytes(sink, sink->directory, TTLOG_CHUNK_HEADER_SIZE + body_size + sizeof(trailer));
    if (code == 0) {
        sink->previous_trailer = trailer.offset;
        sink->directory_part++;
        sink->directory_count = 0;
    }
    return code;
}

/* Makes room for one more header in the directory: writes a full directory first. Returns errno. */
static int make_room(struct ttlog_sink *sink, uint64_t lost) {
    int is_full = sink->directory_count == TTLOG_DIRECTORY_CHUNKS;
    return is_full ? ttlog_sink_directory(sink, lost, TTLOG_TRAILER_CONTINUES) : 0;
}

static void add_to_directory(struct ttlog_sink *sink, const struct ttlog_chunk_header *header) {
    sink->directory_count++;
    memcpy(sink->directory + (size_t)TTLOG_CHUNK_HEADER_SIZE * sink->directory_count, header, sizeof(*header));
}

/* Lists an existing chunk of the log in the next directory. Returns errno. */
int ttlog_sink_list(struct ttlog_sink *sink, const struct ttlog_chunk_header *header, uint64_t lost) {
    int code = make_room(sink, lost);
    if (code == 0)
        add_to_directory(sink, header);
    return code;
}

/* Writes one chunk. image has room for the header, then the raw body, which stays unchanged. An elided chunk is written
 * without its body. Returns errno. */
int ttlog_sink_chunk(struct ttlog_sink *sink, struct ttlog_chunk_header *header, uint8_t *image, uint64_t lost) {
    int code = make_room(sink, lost);
    if (code != 0)
        return code;
    const uint8_t *raw = image + TTLOG_CHUNK_HEADER_SIZE;
    uint8_t *stored = image;
    header->codec = TTLOG_CODEC_RAW;
    header->stored_size = header->flags & TTLOG_CHUNK_ELIDED ? 0 : header->raw_size;
    if (sink->codec == TTLOG_CODEC_ZSTD && header->stored_size > 0) {
        size_t size = ttlog_frames_compress(&sink->frames, header->stream, raw, header->raw_size,
                                            sink->packed + TTLOG_CHUNK_HEADER_SIZE,
                                            sink->packed_size - TTLOG_CHUNK_HEADER_SIZE);
        if (size > 0 && size < header->raw_size) {
            header->codec = TTLOG_CODEC_ZSTD;
            header->stored_size = (uint32_t)size;
            stored = sink->packed;
        }
    }
    header->body_hash =
        header->flags & TTLOG_CHUNK_ELIDED ? 0 : ttlog_hash(stored + TTLOG_CHUNK_HEADER_SIZE, header->stored_size, 0);
    finish_header(sink, header);
    memcpy(stored, header, sizeof(*header));
    size_t size = TTLOG_CHUNK_HEADER_SIZE + header->stored_size;
    size_t padded = align_chunk(size);
    memset(stored + size, 0, padded - size);
    code = append_bytes(sink, stored, padded);
    if (code == 0)
        add_to_directory(sink, header);
    return code;
}
