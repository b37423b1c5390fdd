/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event_columns.h"
#include "failure.h"
#include "ttlog_reader.h"

enum { ATTRIBUTE_MAX = 1024 }; /* attributes of a log, at most */

struct ttd_log {
    int fd;
    char *path;
    uint64_t size, offset; /* of the file; of the next element */
    struct ttlog_file_header header;
    struct ttlog_chunk_header chunk; /* whose records are read */
    struct ttd_columns columns;
    uint64_t events;    /* of all event chunks so far */
    uint64_t last_clock;
    uint8_t *stored, *raw;
    size_t stored_size, raw_size;
    int is_trailed;     /* the last element was a trailer of the end */
    char **attributes;  /* "KEY\0VALUE" */
    size_t attribute_count;
    int has_end;
    uint32_t end_reason;
    uint64_t end_clock;
};

static int damage(const struct ttd_log *log, uint64_t offset, const char *what, ttlog_error *error) {
    return ttd_fail(error, EBADMSG, "%s: damaged log: %s at offset %llu", log->path, what, (unsigned long long)offset);
}

static int read_at(const struct ttd_log *log, void *bytes, size_t size, uint64_t offset, ttlog_error *error) {
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(log->fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ttd_fail_errno(error, "%s: cannot read at offset %llu", log->path, (unsigned long long)(offset + done));
        if (count == 0)
            return damage(log, offset + done, "the file ends early", error);
        done += (size_t)count;
    }
    return 0;
}

static int read_header(struct ttd_log *log, ttlog_error *error) {
    struct ttlog_file_header *header = &log->header;
    if (log->size < sizeof(*header) || read_at(log, header, sizeof(*header), 0, error) != 0 ||
        header->magic != TTLOG_FILE_MAGIC)
        return ttd_fail(error, EBADMSG, "%s: not a trace log", log->path);
    uint32_t crc = header->header_crc;
    header->header_crc = 0;
    if (ttlog_crc32c(0, header, sizeof(*header)) != crc)
        return damage(log, 0, "wrong checksum of the file header", error);
    header->header_crc = crc;
    if (header->version != TTLOG_VERSION || header->header_size != TTLOG_FILE_HEADER_SIZE)
        return ttd_fail(error, EBADMSG, "%s: format version %u; this program reads version %u", log->path,
                        header->version, TTLOG_VERSION);
    if (header->recorder != TTLOG_RECORDER_XEN || header->clock != TTLOG_CLOCK_SYNCHRONOUS_ENTRIES ||
        header->vcpu_count != 1)
        return ttd_fail(error, EINVAL, "%s: not a log of a guest of Xen with one vCPU (recorder %u, clock %u, %u vCPUs)",
                        log->path, header->recorder, header->clock, header->vcpu_count);
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

/* Reads and checks the body of log->chunk, and opens its columns. */
static int read_body(struct ttd_log *log, ttlog_error *error) {
    const struct ttlog_chunk_header *chunk = &log->chunk;
    if (grow(&log->stored, &log->stored_size, chunk->stored_size, error) != 0 ||
        grow(&log->raw, &log->raw_size, chunk->raw_size, error) != 0 ||
        read_at(log, log->stored, chunk->stored_size, chunk->offset + TTLOG_CHUNK_HEADER_SIZE, error) != 0)
        return -1;
    if (ttlog_hash(log->stored, chunk->stored_size, 0) != chunk->body_hash)
        return damage(log, chunk->offset, "wrong hash of a chunk's body", error);
    const uint8_t *body = log->raw;
    if (chunk->codec == TTLOG_CODEC_RAW && chunk->raw_size == chunk->stored_size)
        body = log->stored;
    else if (chunk->codec != TTLOG_CODEC_ZSTD ||
             ttlog_decompress(log->raw, chunk->raw_size, log->stored, chunk->stored_size) != 0)
        return damage(log, chunk->offset, "a chunk that cannot be decompressed", error);
    if (ttd_columns_open(&log->columns, chunk, body) != 0)
        return damage(log, chunk->offset, "a chunk whose columns do not fit", error);
    return 0;
}

static int check_trailer(struct ttd_log *log, ttlog_error *error) {
    struct ttlog_trailer trailer;
    if (read_at(log, &trailer, sizeof(trailer), log->offset, error) != 0)
        return -1;
    uint32_t crc = trailer.trailer_crc;
    trailer.trailer_crc = 0;
    if (ttlog_crc32c(0, &trailer, sizeof(trailer)) != crc || trailer.nonce != log->header.nonce ||
        trailer.offset != log->offset)
        return damage(log, log->offset, "a wrong trailer", error);
    if (trailer.lost_records > 0)
        return ttd_fail(error, EINVAL, "%s: the log lacks %llu records: it cannot be replayed", log->path,
                        (unsigned long long)trailer.lost_records);
    log->is_trailed = !(trailer.flags & TTLOG_TRAILER_CONTINUES);
    log->offset += sizeof(trailer);
    return 0;
}

/* Steps to the next chunk and reads its header. Returns 1, 0 at the end of the log, -1. */
static int next_chunk(struct ttd_log *log, ttlog_error *error) {
    struct ttlog_chunk_header *chunk = &log->chunk;
    while (log->offset < log->size) {
        if (log->size - log->offset < sizeof(struct ttlog_trailer) ||
            read_at(log, &chunk->magic, sizeof(chunk->magic), log->offset, error) != 0)
            return damage(log, log->offset, "an incomplete chunk", error);
        if (chunk->magic == (uint32_t)TTLOG_TRAILER_MAGIC) {
            if (check_trailer(log, error) != 0)
                return -1;
            continue;
        }
        if (log->size - log->offset < sizeof(*chunk) || read_at(log, chunk, sizeof(*chunk), log->offset, error) != 0)
            return damage(log, log->offset, "an incomplete chunk", error);
        uint32_t crc = chunk->header_crc;
        chunk->header_crc = 0;
        if (chunk->magic != TTLOG_CHUNK_MAGIC || ttlog_crc32c(0, chunk, sizeof(*chunk)) != crc ||
            chunk->nonce != log->header.nonce || chunk->offset != log->offset)
            return damage(log, log->offset, "no chunk", error);
        if (chunk->raw_size > TTLOG_BODY_MAX || chunk->stored_size > TTLOG_BODY_MAX ||
            chunk->stored_size > log->size - log->offset - sizeof(*chunk))
            return damage(log, log->offset, "a chunk of impossible size", error);
        uint64_t end = log->offset + sizeof(*chunk) + chunk->stored_size;
        log->offset = (end + TTLOG_CHUNK_ALIGNMENT - 1) / TTLOG_CHUNK_ALIGNMENT * TTLOG_CHUNK_ALIGNMENT;
        log->is_trailed = 0;
        return 1;
    }
    return 0;
}

static int keep_attribute(struct ttd_log *log, const ttlog_event *event, ttlog_error *error) {
    if (log->attribute_count == ATTRIBUTE_MAX)
        return ttd_fail(error, EINVAL, "%s: more than %d attributes", log->path, ATTRIBUTE_MAX);
    char **list = realloc(log->attributes, (log->attribute_count + 1) * sizeof(*list));
    if (list == NULL)
        return ttd_fail_errno(error, "no memory for an attribute");
    log->attributes = list;
    char *text = malloc(event->payload_length + 2u);
    if (text == NULL)
        return ttd_fail_errno(error, "no memory for an attribute");
    memcpy(text, event->payload, event->payload_length);
    text[event->payload_length] = text[event->payload_length + 1u] = '\0';
    list[log->attribute_count++] = text;
    return 0;
}

/* Reads the attributes and the end from a meta chunk. */
static int read_meta(struct ttd_log *log, ttlog_error *error) {
    ttlog_event event;
    int more;
    if (read_body(log, error) != 0)
        return -1;
    while ((more = ttd_columns_next(&log->columns, &event)) > 0) {
        if (event.kind == TTLOG_EVENT_ATTRIBUTE && keep_attribute(log, &event, error) != 0)
            return -1;
        if (event.kind == TTLOG_EVENT_RUN_END && !log->has_end) {
            log->has_end = 1;
            log->end_reason = event.info;
            log->end_clock = event.clock;
        }
    }
    return more == 0 ? 0 : damage(log, log->chunk.offset, "a chunk that cannot be decoded", error);
}

/* Walks all chunks once: the log is whole, its attributes are known. */
static int survey(struct ttd_log *log, ttlog_error *error) {
    int more;
    log->offset = TTLOG_FILE_HEADER_SIZE;
    while ((more = next_chunk(log, error)) > 0)
        if (log->chunk.stream == TTLOG_STREAM_META && read_meta(log, error) != 0)
            return -1;
    if (more < 0)
        return -1;
    if (!log->is_trailed)
        return ttd_fail(error, EBADMSG, "%s: the log is not closed, or its end is missing", log->path);
    log->offset = TTLOG_FILE_HEADER_SIZE;
    log->chunk.count = 0;
    log->columns = (struct ttd_columns){.left = 0};
    return 0;
}

/* Closes a log whose writer was killed. A log that cannot be written to stays as it is. */
static void close_abandoned(const char *path) {
    char open_path[4096];
    ttlog_error ignored = {0};
    size_t length = strlen(path);
    if (length + sizeof(".open") > sizeof(open_path))
        return;
    memcpy(open_path, path, length);
    memcpy(open_path + length, ".open", sizeof(".open"));
    if (access(open_path, F_OK) != 0)
        return;
    ttlog_writer *writer = ttlog_writer_append(path, &ignored);
    if (writer != NULL)
        ttlog_writer_close(writer, &ignored);
}

static int open_file(struct ttd_log *log, ttlog_error *error) {
    struct stat status;
    log->fd = open(log->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (log->fd < 0 || fstat(log->fd, &status) != 0)
        return ttd_fail_errno(error, "%s: cannot open the log", log->path);
    if (!S_ISREG(status.st_mode))
        return ttd_fail(error, EINVAL, "%s: not a trace log: not a regular file", log->path);
    if (ttlog_is_locked(log->fd))
        return ttd_fail(error, EBUSY, "%s: another process is writing this log", log->path);
    log->size = (uint64_t)status.st_size;
    return read_header(log, error);
}

struct ttd_log *ttd_log_open(const char *path, ttlog_error *error) {
    struct ttd_log *log = calloc(1, sizeof(*log));
    if (log == NULL || (log->path = strdup(path)) == NULL) {
        ttd_fail_errno(error, "%s: cannot open the log", path);
        free(log);
        return NULL;
    }
    log->fd = -1;
    close_abandoned(path);
    if (open_file(log, error) == 0 && survey(log, error) == 0)
        return log;
    ttd_log_close(log);
    return NULL;
}

void ttd_log_close(struct ttd_log *log) {
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->attribute_count; i++)
        free(log->attributes[i]);
    if (log->fd >= 0)
        close(log->fd);
    free(log->attributes);
    free(log->stored);
    free(log->raw);
    free(log->path);
    free(log);
}

const struct ttlog_file_header *ttd_log_header(const struct ttd_log *log) {
    return &log->header;
}

const char *ttd_log_attribute(const struct ttd_log *log, const char *key) {
    for (size_t i = log->attribute_count; i > 0; i--)
        if (strcmp(log->attributes[i - 1], key) == 0)
            return log->attributes[i - 1] + strlen(key) + 1;
    return NULL;
}

int ttd_log_end(const struct ttd_log *log, uint32_t *reason, uint64_t *clock) {
    *reason = log->end_reason;
    *clock = log->end_clock;
    return log->has_end;
}

/* Opens the next chunk of events of vCPU 0. Returns 1, 0 at the end, -1. */
static int next_events(struct ttd_log *log, ttlog_error *error) {
    int more;
    while ((more = next_chunk(log, error)) > 0) {
        const struct ttlog_chunk_header *chunk = &log->chunk;
        if (chunk->stream != TTLOG_STREAM_EVENT)
            continue;
        if (chunk->vcpu != 0 || chunk->count == 0 || chunk->count > TTLOG_EVENT_CHUNK_LIMIT ||
            chunk->first_ordinal != log->events)
            return damage(log, chunk->offset, "events are missing", error);
        log->events += chunk->count;
        return read_body(log, error) == 0 ? 1 : -1;
    }
    return more;
}

int ttd_log_next(struct ttd_log *log, ttlog_event *event, ttlog_error *error) {
    for (;;) {
        int more = log->chunk.count > 0 ? ttd_columns_next(&log->columns, event) : 0;
        if (more < 0)
            return damage(log, log->chunk.offset, "a chunk that cannot be decoded", error);
        if (more > 0) {
            if (event->clock < log->last_clock)
                return damage(log, log->chunk.offset, "events out of order", error);
            log->last_clock = event->clock;
            return 1;
        }
        more = next_events(log, error);
        if (more <= 0) {
            log->chunk.count = 0;
            return more;
        }
    }
}
