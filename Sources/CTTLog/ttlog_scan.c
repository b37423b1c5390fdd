/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The chunks of an existing log, in file order, with or without other bytes between them.
 * Nothing in the file is trusted: a header counts when its magic, checksum, nonce and offset agree.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ttlog_internal.h"

enum { WINDOW_SIZE = 1 << 20 };

static uint64_t chunk_end(const struct ttlog_chunk_header *header) {
    uint64_t end = header->offset + TTLOG_CHUNK_HEADER_SIZE + header->stored_size;
    return (end + TTLOG_CHUNK_ALIGNMENT - 1) / TTLOG_CHUNK_ALIGNMENT * TTLOG_CHUNK_ALIGNMENT;
}

static int is_chunk(const struct ttlog_scan *scan, const uint8_t *bytes, uint64_t offset,
                    struct ttlog_chunk_header *header) {
    memcpy(header, bytes, sizeof(*header));
    if (header->magic != TTLOG_CHUNK_MAGIC || header->nonce != scan->nonce || header->offset != offset ||
        header->raw_size > TTLOG_BODY_MAX || header->stored_size > TTLOG_BODY_MAX)
        return 0;
    uint32_t crc = header->header_crc;
    header->header_crc = 0;
    int intact = ttlog_crc32c(0, header, sizeof(*header)) == crc;
    header->header_crc = crc;
    return intact;
}

static int is_trailer(const struct ttlog_scan *scan, const uint8_t *bytes, uint64_t offset,
                      struct ttlog_trailer *trailer) {
    memcpy(trailer, bytes, sizeof(*trailer));
    if (trailer->magic != TTLOG_TRAILER_MAGIC || trailer->nonce != scan->nonce || trailer->offset != offset ||
        trailer->directory_offset >= offset || trailer->previous_trailer >= offset)
        return 0;
    uint32_t crc = trailer->trailer_crc;
    trailer->trailer_crc = 0;
    int intact = ttlog_crc32c(0, trailer, sizeof(*trailer)) == crc;
    trailer->trailer_crc = crc;
    return intact;
}

static int add_entry(struct ttlog_scan *scan, const struct ttlog_chunk_header *header) {
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity != 0 ? 2 * scan->capacity : 1024;
        void *entries = realloc(scan->entries, capacity * sizeof(*scan->entries));
        if (entries == NULL)
            return ENOMEM;
        scan->entries = entries;
        scan->capacity = capacity;
    }
    scan->entries[scan->count++] = (struct ttlog_scan_entry){
        .offset = header->offset,
        .cell = header->cell,
        .epoch = header->epoch,
        .part = header->part,
        .flags = header->flags,
        .vcpu = header->vcpu,
        .stream = header->stream,
    };
    return 0;
}

static int take_chunk(struct ttlog_scan *scan, const struct ttlog_chunk_header *header) {
    scan->end = chunk_end(header);
    scan->uses_zstd |= header->codec == TTLOG_CODEC_ZSTD;
    if (header->stream == TTLOG_STREAM_DIRECTORY) {
        scan->directories++;
        return 0;
    }
    if (header->stream != TTLOG_STREAM_BRANCH)
        scan->records += header->count;
    uint64_t ticket_end = header->ticket + (header->stream != TTLOG_STREAM_BRANCH);
    if (ticket_end > scan->ticket_end)
        scan->ticket_end = ticket_end;
    return add_entry(scan, header);
}

/* Takes the chunk or trailer at offset, if it is complete. Returns -1 when there is none, else errno. */
static int take_element(struct ttlog_scan *scan, const uint8_t *bytes, size_t available, uint64_t offset) {
    struct ttlog_chunk_header header;
    struct ttlog_trailer trailer;
    if (available >= sizeof(header) && is_chunk(scan, bytes, offset, &header) && chunk_end(&header) <= scan->size)
        return take_chunk(scan, &header);
    if (available >= sizeof(trailer) && is_trailer(scan, bytes, offset, &trailer)) {
        scan->end = offset + sizeof(trailer);
        scan->last_trailer = offset;
        scan->trailer_flags = trailer.flags;
        scan->lost = trailer.lost_records;
        return 0;
    }
    return -1;
}

/* Finds the next chunk or trailer at or after offset, in steps of the alignment. Skips a hole at once. */
static int resynchronise(struct ttlog_scan *scan, uint8_t *window, uint64_t offset) {
    while (offset < scan->size) {
        off_t data = lseek(scan->fd, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return -1;
        if (data > (off_t)offset)
            offset = (uint64_t)data / TTLOG_CHUNK_ALIGNMENT * TTLOG_CHUNK_ALIGNMENT;
        uint64_t left = scan->size - offset;
        size_t size = left < WINDOW_SIZE ? (size_t)left : WINDOW_SIZE;
        int code = ttlog_read_all(scan->fd, window, size, offset);
        if (code != 0)
            return code;
        size_t place = 0;
        for (; place < size; place += TTLOG_CHUNK_ALIGNMENT) {
            size_t available = size - place;
            if (available < TTLOG_CHUNK_HEADER_SIZE && size == WINDOW_SIZE)
                break; /* the next window begins here */
            code = take_element(scan, window + place, available, offset + place);
            if (code != -1)
                return code;
        }
        offset += place;
    }
    return -1;
}

/* Fills the scan; fd, nonce and size are given. Returns errno. */
int ttlog_scan_log(struct ttlog_scan *scan) {
    uint8_t *window = malloc(WINDOW_SIZE);
    if (window == NULL)
        return ENOMEM;
    scan->end = TTLOG_FILE_HEADER_SIZE;
    int code = 0;
    while (code == 0 && scan->end < scan->size) {
        uint64_t left = scan->size - scan->end;
        size_t size = left < TTLOG_CHUNK_HEADER_SIZE ? (size_t)left : TTLOG_CHUNK_HEADER_SIZE;
        code = ttlog_read_all(scan->fd, window, size, scan->end);
        if (code != 0)
            break;
        code = take_element(scan, window, size, scan->end);
        if (code == -1)
            code = resynchronise(scan, window, scan->end + TTLOG_CHUNK_ALIGNMENT);
    }
    free(window);
    return code == -1 ? 0 : code;
}

/* Reads the header of an entry again. Returns errno. */
int ttlog_scan_header(const struct ttlog_scan *scan, size_t index, struct ttlog_chunk_header *header) {
    uint8_t bytes[TTLOG_CHUNK_HEADER_SIZE];
    uint64_t offset = scan->entries[index].offset;
    int code = ttlog_read_all(scan->fd, bytes, sizeof(bytes), offset);
    if (code != 0)
        return code;
    return is_chunk(scan, bytes, offset, header) ? 0 : EBADMSG;
}
