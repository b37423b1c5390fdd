/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A log whose writer died: the records in its open slots become chunks, and the log gets its directory and trailer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ttlog_internal.h"

struct recovery {
    ttlog_writer *writer;
    struct ttlog_scan *scan;
    struct ttlog_left_open open;
    struct ttlog_chunk_header last; /* of the chunk recovered last; count 0: there is none */
};

static int is_same_track(const struct ttlog_found_slot *slot, const struct ttlog_scan_entry *entry) {
    return entry->stream == slot->descriptor.stream && entry->vcpu == slot->descriptor.vcpu &&
           entry->epoch == slot->header.epoch;
}

static int has_intact_body(const struct recovery *recovery, const struct ttlog_chunk_header *header) {
    if (header->stored_size == 0)
        return 1;
    void *body = malloc(header->stored_size);
    int intact = body != NULL &&
                 ttlog_read_all(recovery->scan->fd, body, header->stored_size, header->offset + sizeof(*header)) == 0 &&
                 ttlog_hash(body, header->stored_size, 0) == header->body_hash;
    free(body);
    return intact;
}

/* The parts of a slot's chunk that the log already has. */
struct known_chunk {
    int is_whole;  /* the log has the body */
    int is_elided; /* the log has only the header: `elided` */
    struct ttlog_chunk_header elided;
    uint64_t previous_chain;
};

static int look_up(const struct recovery *recovery, const struct ttlog_found_slot *slot, struct known_chunk *known) {
    *known = (struct known_chunk){0};
    for (size_t i = recovery->scan->count; i-- > 0;) {
        const struct ttlog_scan_entry *entry = &recovery->scan->entries[i];
        struct ttlog_chunk_header header;
        if (!is_same_track(slot, entry))
            continue;
        int code = ttlog_scan_header(recovery->scan, i, &header);
        if (code != 0)
            return code;
        if (entry->cell != slot->header.cell || entry->part != slot->header.part) {
            known->previous_chain = header.chain;
            return 0;
        }
        if (header.flags & TTLOG_CHUNK_ELIDED) {
            known->is_elided = 1;
            known->elided = header;
        } else if (has_intact_body(recovery, &header)) {
            known->is_whole = 1;
            return 0;
        }
    }
    return 0;
}

/* Whether the recorder died inside the slot's cell: no later chunk of the same epoch and no later epoch exists. */
static int is_open_ended(const struct recovery *recovery, size_t index) {
    const struct ttlog_found_slot *slot = &recovery->open.slots[index];
    unsigned shift = ttlog_cell_shift(&recovery->writer->header, slot->descriptor.stream);
    for (size_t i = 0; i < recovery->open.slot_count; i++) {
        const struct ttlog_found_slot *other = &recovery->open.slots[i];
        if (other->descriptor.vcpu != slot->descriptor.vcpu)
            continue;
        if (other->header.epoch > slot->header.epoch)
            return 0; /* the flag was set when the epoch ended */
        if (other->header.epoch == slot->header.epoch && other->end_clock >> shift > slot->header.cell)
            return 0;
        if (i > index && other->descriptor.stream == slot->descriptor.stream)
            return 0; /* a later part of the cell */
    }
    unsigned branch_shift = recovery->writer->header.branch_cell_shift;
    for (size_t i = 0; i < recovery->scan->count; i++) {
        const struct ttlog_scan_entry *entry = &recovery->scan->entries[i];
        if (entry->vcpu == slot->descriptor.vcpu && entry->epoch == slot->header.epoch &&
            entry->stream == TTLOG_STREAM_BRANCH && !(entry->flags & TTLOG_CHUNK_PARTIAL_TAIL) &&
            (entry->cell + 1) << branch_shift >> shift > slot->header.cell)
            return 0;
    }
    return 1;
}

/* The chain of the previous chunk, which was just recovered or is in the log. */
static uint64_t chain_before(const struct recovery *recovery, const struct ttlog_chunk_header *header,
                             const struct known_chunk *known) {
    const struct ttlog_chunk_header *last = &recovery->last;
    int follows = last->count > 0 && last->stream == header->stream && last->vcpu == header->vcpu &&
                  last->epoch == header->epoch;
    return follows ? last->chain : known->previous_chain;
}

static void encode(const struct recovery *recovery, const struct ttlog_found_slot *slot, struct ttlog_chunk_header *header) {
    uint8_t *body = recovery->writer->sink.image + TTLOG_CHUNK_HEADER_SIZE;
    if (header->stream == TTLOG_STREAM_BRANCH) {
        header->ticket = recovery->scan->records;
        ttlog_encode_branches(recovery->open.units, slot->units, slot->header.clock_first,
                              (recovery->writer->header.features & TTLOG_FEATURE_ICOUNT) != 0, body, header);
    } else {
        ttlog_encode_events(recovery->open.units, slot->units, body, header);
    }
}

/* Makes a chunk of a slot unless the log has it. Returns errno. */
static int recover_slot(struct recovery *recovery, size_t index) {
    struct ttlog_found_slot *slot = &recovery->open.slots[index];
    struct known_chunk known;
    int code = look_up(recovery, slot, &known);
    if (code != 0 || known.is_whole)
        return code;
    code = ttlog_left_read_units(&recovery->open, slot);
    if (code != 0)
        return code;
    const uint32_t kept_flags = TTLOG_CHUNK_PARTIAL_HEAD | TTLOG_CHUNK_PARTIAL_TAIL | TTLOG_CHUNK_GAP_BEFORE;
    struct ttlog_chunk_header header = {
        .stream = slot->descriptor.stream,
        .vcpu = slot->descriptor.vcpu,
        .flags = (slot->header.flags & kept_flags) | TTLOG_CHUNK_RECOVERED,
        .epoch = slot->header.epoch,
        .part = slot->header.part,
        .cell = slot->header.cell,
        .first_ordinal = slot->header.first_ordinal,
    };
    if (header.stream != TTLOG_STREAM_META && is_open_ended(recovery, index))
        header.flags |= TTLOG_CHUNK_PARTIAL_TAIL;
    encode(recovery, slot, &header);
    if (header.count == 0)
        return 0; /* the file has changed since it was examined */
    header.chain = ttlog_chain(chain_before(recovery, &header, &known), &header);
    if (known.is_elided) {
        header.flags |= TTLOG_CHUNK_WINDOW;
        header.chain = known.elided.chain;
    }
    recovery->last = header;
    return ttlog_sink_chunk(&recovery->writer->sink, &header, recovery->writer->sink.image, recovery->scan->lost);
}

/* Sets the offset of new chunks. A chunk that the killed writer wrote in part is cut off, because its slot has
 * the records. Other bytes that are no chunk stay: they may still be useful. Returns errno. */
static int cut_tail(struct recovery *recovery) {
    const struct ttlog_scan *scan = recovery->scan;
    struct ttlog_sink *sink = &recovery->writer->sink;
    uint8_t head[TTLOG_FILE_HEADER_SIZE] = {0};
    uint64_t left = scan->size - scan->end;
    sink->offset = scan->end;
    if (left == 0)
        return 0;
    int code = ttlog_read_all(scan->fd, head, left < sizeof(head) ? (size_t)left : sizeof(head), scan->end);
    if (code != 0)
        return code;
    struct ttlog_chunk_header header;
    memcpy(&header, head, sizeof(header));
    int is_begun_chunk = header.magic == TTLOG_CHUNK_MAGIC && header.nonce == scan->nonce && header.offset == scan->end;
    static const uint8_t zeros[TTLOG_FILE_HEADER_SIZE];
    if (left >= sizeof(header) && !is_begun_chunk && memcmp(head, zeros, sizeof(head)) != 0) {
        sink->offset = (scan->size + TTLOG_CHUNK_ALIGNMENT - 1) / TTLOG_CHUNK_ALIGNMENT * TTLOG_CHUNK_ALIGNMENT;
        return 0;
    }
    return ftruncate(scan->fd, (off_t)scan->end) == 0 ? 0 : errno;
}

/* Writes new chunks, and a directory of all chunks, old and new. Returns errno. */
static int write_recovered(struct recovery *recovery) {
    struct ttlog_sink *sink = &recovery->writer->sink;
    sink->directory_count = 0;
    sink->directory_part = recovery->scan->directories;
    sink->previous_trailer = 0;
    recovery->last.count = 0;
    int code = 0;
    for (size_t i = 0; code == 0 && i < recovery->scan->count; i++) {
        struct ttlog_chunk_header header;
        code = ttlog_scan_header(recovery->scan, i, &header);
        if (code == 0)
            code = ttlog_sink_list(sink, &header, recovery->scan->lost);
    }
    for (size_t i = 0; code == 0 && i < recovery->open.slot_count; i++)
        code = recover_slot(recovery, i);
    return code == 0 ? ttlog_sink_directory(sink, recovery->scan->lost, 0) : code;
}

static size_t largest_body(const struct recovery *recovery) {
    size_t bound = ttlog_largest_body(recovery->writer);
    for (size_t i = 0; i < recovery->open.slot_count; i++) {
        const struct ttlog_found_slot *slot = &recovery->open.slots[i];
        size_t size = slot->descriptor.stream == TTLOG_STREAM_BRANCH ? ttlog_branch_body_bound(slot->units)
                                                                     : ttlog_event_body_bound(slot->units);
        if (size > bound)
            bound = size;
    }
    return bound;
}

static int recover_files(struct recovery *recovery) {
    struct ttlog_sink *sink = &recovery->writer->sink;
    int code = ttlog_left_open_read(&recovery->open, recovery->writer->open_path);
    uint64_t lost = 0;
    for (int stream = 0; stream < 8; stream++)
        lost += recovery->open.header.lost[stream];
    if (lost > recovery->scan->lost)
        recovery->scan->lost = lost;
    if (code == 0)
        code = ttlog_sink_prepare(sink, largest_body(recovery), 1);
    if (code == 0)
        code = cut_tail(recovery);
    if (code != 0)
        return code;
    uint64_t begin = sink->offset;
    code = write_recovered(recovery);
    uint64_t size = recovery->open.header.file_size;
    if (code == ENOSPC && recovery->open.fd >= 0 && size > sizeof(struct ttlog_open_header) && size < INT64_MAX &&
        ftruncate(recovery->open.fd, (off_t)size) == 0) {
        sink->offset = begin; /* tries again with the open file's reserve */
        code = ftruncate(sink->fd, (off_t)begin) == 0 ? write_recovered(recovery) : errno;
    }
    if (code != 0)
        (void)!ftruncate(sink->fd, (off_t)begin);
    return code;
}

/* Seals an unclosed log whose lock the writer holds. */
int ttlog_recover(ttlog_writer *writer, struct ttlog_scan *scan, ttlog_error *error) {
    struct recovery recovery = {.writer = writer, .scan = scan, .open = {.log = &writer->header, .fd = -1}};
    int code = recover_files(&recovery);
    if (code == 0 && recovery.open.fd >= 0)
        unlink(writer->open_path);
    if (code == 0)
        memcpy(writer->recovered_lost, recovery.open.header.lost, sizeof(writer->recovered_lost));
    ttlog_left_open_free(&recovery.open);
    return code == 0 ? 0 : ttlog_fail(error, code, "%s: cannot recover the unclosed log", writer->path);
}
