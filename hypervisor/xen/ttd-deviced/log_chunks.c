/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "log_chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "ttlog_reader.h"

int ttd_chunks_damage(const struct ttd_chunks *chunks, uint64_t offset, const char *what, ttlog_error *error) {
    return ttd_fail(error, EBADMSG, "%s: damaged log: %s at offset %llu", chunks->path, what, (unsigned long long)offset);
}

static int read_at(const struct ttd_chunks *chunks, void *bytes, size_t size, uint64_t offset, ttlog_error *error) {
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(chunks->fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ttd_fail_errno(error, "%s: cannot read at offset %llu", chunks->path, (unsigned long long)(offset + done));
        if (count == 0)
            return ttd_chunks_damage(chunks, offset + done, "the file ends early", error);
        done += (size_t)count;
    }
    return 0;
}

static int read_header(struct ttd_chunks *chunks, ttlog_error *error) {
    struct ttlog_file_header *header = &chunks->header;
    if (chunks->size < sizeof(*header) || read_at(chunks, header, sizeof(*header), 0, error) != 0 ||
        header->magic != TTLOG_FILE_MAGIC)
        return ttd_fail(error, EBADMSG, "%s: not a trace log", chunks->path);
    uint32_t crc = header->header_crc;
    header->header_crc = 0;
    if (ttlog_crc32c(0, header, sizeof(*header)) != crc)
        return ttd_chunks_damage(chunks, 0, "wrong checksum of the file header", error);
    header->header_crc = crc;
    if (header->version != TTLOG_VERSION || header->header_size != TTLOG_FILE_HEADER_SIZE)
        return ttd_fail(error, EBADMSG, "%s: format version %u; this program reads version %u", chunks->path,
                        header->version, TTLOG_VERSION);
    if (header->recorder != TTLOG_RECORDER_XEN || header->clock != TTLOG_CLOCK_SYNCHRONOUS_ENTRIES ||
        header->vcpu_count != 1)
        return ttd_fail(error, EINVAL, "%s: not a log of a guest of Xen with one vCPU (recorder %u, clock %u, %u vCPUs)",
                        chunks->path, header->recorder, header->clock, header->vcpu_count);
    return 0;
}

static int grow(uint8_t **buffer, size_t *size, size_t needed, ttlog_error *error) {
    if (needed <= *size)
        return 0;
    void *larger = realloc(*buffer, needed);
    if (larger == NULL)
        return ttd_fail_errno(error, "no memory for a chunk of %zu bytes", needed);
    *buffer = larger;
    *size = needed;
    return 0;
}

int ttd_chunks_read(struct ttd_chunks *chunks, ttlog_error *error) {
    const struct ttlog_chunk_header *chunk = &chunks->chunk;
    if (grow(&chunks->stored, &chunks->stored_size, chunk->stored_size, error) != 0 ||
        grow(&chunks->raw, &chunks->raw_size, chunk->raw_size, error) != 0 ||
        read_at(chunks, chunks->stored, chunk->stored_size, chunk->offset + TTLOG_CHUNK_HEADER_SIZE, error) != 0)
        return -1;
    if (ttlog_hash(chunks->stored, chunk->stored_size, 0) != chunk->body_hash)
        return ttd_chunks_damage(chunks, chunk->offset, "wrong hash of a chunk's body", error);
    const uint8_t *body = chunks->raw;
    if (chunk->codec == TTLOG_CODEC_RAW && chunk->raw_size == chunk->stored_size)
        body = chunks->stored;
    else if (chunk->codec != TTLOG_CODEC_ZSTD ||
             ttlog_decompress(chunks->raw, chunk->raw_size, chunks->stored, chunk->stored_size) != 0)
        return ttd_chunks_damage(chunks, chunk->offset, "a chunk that cannot be decompressed", error);
    if (ttd_columns_open(&chunks->columns, chunk, body) != 0)
        return ttd_chunks_damage(chunks, chunk->offset, "a chunk whose columns do not fit", error);
    return 0;
}

static int check_trailer(struct ttd_chunks *chunks, ttlog_error *error) {
    struct ttlog_trailer trailer;
    if (read_at(chunks, &trailer, sizeof(trailer), chunks->offset, error) != 0)
        return -1;
    uint32_t crc = trailer.trailer_crc;
    trailer.trailer_crc = 0;
    if (ttlog_crc32c(0, &trailer, sizeof(trailer)) != crc || trailer.nonce != chunks->header.nonce ||
        trailer.offset != chunks->offset)
        return ttd_chunks_damage(chunks, chunks->offset, "a wrong trailer", error);
    if (trailer.lost_records > 0)
        return ttd_fail(error, EINVAL, "%s: the log lacks %llu records: it cannot be replayed", chunks->path,
                        (unsigned long long)trailer.lost_records);
    chunks->is_trailed = !(trailer.flags & TTLOG_TRAILER_CONTINUES);
    chunks->offset += sizeof(trailer);
    return 0;
}

int ttd_chunks_next(struct ttd_chunks *chunks, ttlog_error *error) {
    struct ttlog_chunk_header *chunk = &chunks->chunk;
    while (chunks->offset < chunks->size) {
        if (chunks->size - chunks->offset < sizeof(struct ttlog_trailer) ||
            read_at(chunks, &chunk->magic, sizeof(chunk->magic), chunks->offset, error) != 0)
            return ttd_chunks_damage(chunks, chunks->offset, "an incomplete chunk", error);
        if (chunk->magic == (uint32_t)TTLOG_TRAILER_MAGIC) {
            if (check_trailer(chunks, error) != 0)
                return -1;
            continue;
        }
        if (chunks->size - chunks->offset < sizeof(*chunk) || read_at(chunks, chunk, sizeof(*chunk), chunks->offset, error) != 0)
            return ttd_chunks_damage(chunks, chunks->offset, "an incomplete chunk", error);
        uint32_t crc = chunk->header_crc;
        chunk->header_crc = 0;
        if (chunk->magic != TTLOG_CHUNK_MAGIC || ttlog_crc32c(0, chunk, sizeof(*chunk)) != crc ||
            chunk->nonce != chunks->header.nonce || chunk->offset != chunks->offset)
            return ttd_chunks_damage(chunks, chunks->offset, "no chunk", error);
        if (chunk->raw_size > TTLOG_BODY_MAX || chunk->stored_size > TTLOG_BODY_MAX ||
            chunk->stored_size > chunks->size - chunks->offset - sizeof(*chunk))
            return ttd_chunks_damage(chunks, chunks->offset, "a chunk of impossible size", error);
        uint64_t end = chunks->offset + sizeof(*chunk) + chunk->stored_size;
        chunks->offset = (end + TTLOG_CHUNK_ALIGNMENT - 1) / TTLOG_CHUNK_ALIGNMENT * TTLOG_CHUNK_ALIGNMENT;
        chunks->is_trailed = 0;
        return 1;
    }
    return 0;
}

int ttd_chunks_open(struct ttd_chunks *chunks, const char *file, ttlog_error *error) {
    struct stat status;
    chunks->fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (chunks->fd < 0 || fstat(chunks->fd, &status) != 0)
        return ttd_fail_errno(error, "%s: cannot open the log", chunks->path);
    if (!S_ISREG(status.st_mode))
        return ttd_fail(error, EINVAL, "%s: not a trace log: not a regular file", chunks->path);
    if (ttlog_is_locked(chunks->fd))
        return ttd_fail(error, EBUSY, "%s: another process is writing this log", chunks->path);
    chunks->size = (uint64_t)status.st_size;
    return read_header(chunks, error);
}

void ttd_chunks_close(struct ttd_chunks *chunks) {
    if (chunks->fd >= 0)
        close(chunks->fd);
    free(chunks->stored);
    free(chunks->raw);
}

void ttd_chunks_rewind(struct ttd_chunks *chunks) {
    chunks->offset = TTLOG_FILE_HEADER_SIZE;
    chunks->chunk.count = 0;
    chunks->columns = (struct ttd_columns){.left = 0};
}
