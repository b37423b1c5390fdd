/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "log_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "log_chunks.h"
#include "recover.h"

enum { ATTRIBUTE_MAX = 1024 }; /* attributes of a log, at most */

struct ttd_log {
    struct ttd_chunks chunks;
    uint64_t events;     /* of all event chunks so far */
    uint64_t last_clock;
    char **attributes;   /* "KEY\0VALUE" */
    size_t attribute_count;
    int has_end;
    uint32_t end_reason;
    uint64_t end_clock;
};

static int keep_attribute(struct ttd_log *log, const ttlog_event *event, ttlog_error *error) {
    if (log->attribute_count == ATTRIBUTE_MAX)
        return ttd_fail(error, EINVAL, "%s: more than %d attributes", log->chunks.path, ATTRIBUTE_MAX);
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
    if (ttd_chunks_read(&log->chunks, error) != 0)
        return -1;
    while ((more = ttd_columns_next(&log->chunks.columns, &event)) > 0) {
        if (event.kind == TTLOG_EVENT_ATTRIBUTE && keep_attribute(log, &event, error) != 0)
            return -1;
        if (event.kind == TTLOG_EVENT_RUN_END && !log->has_end) {
            log->has_end = 1;
            log->end_reason = event.info;
            log->end_clock = event.clock;
        }
    }
    return more == 0 ? 0 : ttd_chunks_damage(&log->chunks, log->chunks.chunk.offset, "a chunk that cannot be decoded", error);
}

/* Walks all chunks once: the log is whole, its attributes are known. */
static int survey(struct ttd_log *log, ttlog_error *error) {
    int more;
    ttd_chunks_rewind(&log->chunks);
    while ((more = ttd_chunks_next(&log->chunks, error)) > 0)
        if (log->chunks.chunk.stream == TTLOG_STREAM_META && read_meta(log, error) != 0)
            return -1;
    if (more < 0)
        return -1;
    if (!log->chunks.is_trailed)
        return ttd_fail(error, EBADMSG, "%s: the log is not closed, or its end is missing", log->chunks.path);
    ttd_chunks_rewind(&log->chunks);
    return 0;
}

/* Opens the log, or the copy that is read in its place. Errors name the log. */
static int open_chunks(struct ttd_log *log, const char *copy, ttlog_error *error) {
    const char *path = log->chunks.path;
    if (!ttd_is_unclosed(path))
        return ttd_chunks_open(&log->chunks, path, error);
    if (ttd_recover(path, copy, error) != 0)
        return -1;
    int result = ttd_chunks_open(&log->chunks, copy, error);
    ttd_remove_copy(copy);
    return result;
}

struct ttd_log *ttd_log_open(const char *path, const char *copy, ttlog_error *error) {
    struct ttd_log *log = calloc(1, sizeof(*log));
    if (log == NULL || (log->chunks.path = strdup(path)) == NULL) {
        ttd_fail_errno(error, "%s: cannot open the log", path);
        free(log);
        return NULL;
    }
    log->chunks.fd = -1;
    if (open_chunks(log, copy, error) == 0 && survey(log, error) == 0)
        return log;
    ttd_log_close(log);
    return NULL;
}

void ttd_log_close(struct ttd_log *log) {
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->attribute_count; i++)
        free(log->attributes[i]);
    ttd_chunks_close(&log->chunks);
    free(log->attributes);
    free(log->chunks.path);
    free(log);
}

const struct ttlog_file_header *ttd_log_header(const struct ttd_log *log) {
    return &log->chunks.header;
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
    while ((more = ttd_chunks_next(&log->chunks, error)) > 0) {
        const struct ttlog_chunk_header *chunk = &log->chunks.chunk;
        if (chunk->stream != TTLOG_STREAM_EVENT)
            continue;
        if (chunk->vcpu != 0 || chunk->count == 0 || chunk->count > TTLOG_EVENT_CHUNK_LIMIT ||
            chunk->first_ordinal != log->events)
            return ttd_chunks_damage(&log->chunks, chunk->offset, "events are missing", error);
        log->events += chunk->count;
        return ttd_chunks_read(&log->chunks, error) == 0 ? 1 : -1;
    }
    return more;
}

int ttd_log_next(struct ttd_log *log, ttlog_event *event, ttlog_error *error) {
    for (;;) {
        int more = log->chunks.chunk.count > 0 ? ttd_columns_next(&log->chunks.columns, event) : 0;
        if (more < 0)
            return ttd_chunks_damage(&log->chunks, log->chunks.chunk.offset, "a chunk that cannot be decoded", error);
        if (more > 0) {
            if (event->clock < log->last_clock)
                return ttd_chunks_damage(&log->chunks, log->chunks.chunk.offset, "events out of order", error);
            log->last_clock = event->clock;
            return 1;
        }
        more = next_events(log, error);
        if (more <= 0) {
            log->chunks.chunk.count = 0;
            return more;
        }
    }
}
