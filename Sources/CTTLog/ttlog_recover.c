/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A log whose writer died: what its open slots hold becomes chunks, and the log gets its directory and trailer.
 * Both files are read with pread (a mapping could end under us) and nothing in them is trusted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ttlog_internal.h"

enum { OPEN_CHECKED_BYTES = 64 };

/* Units that a slot of this stream can have at most. */
static uint32_t largest_capacity(uint8_t stream) {
    return stream == TTLOG_STREAM_BRANCH ? TTLOG_BRANCH_CHUNK_LIMIT
                                         : 3 * TTLOG_EVENT_CHUNK_LIMIT + TTLOG_EVENT_CHUNK_PAYLOAD_MAX / 64;
}

/* A slot that was in use. */
struct found_slot {
    struct ttlog_slot_descriptor descriptor;
    struct ttlog_slot_header header;
    uint32_t units;
    uint64_t end_clock; /* one past the last record's clock; filled when the records have been read */
};

struct recovery {
    ttlog_writer *writer;
    struct ttlog_scan *scan;
    int fd; /* of the open file */
    struct ttlog_open_header open_header;
    struct found_slot *slots;
    size_t slot_count;
    void *units; /* the records of one slot */
    struct ttlog_chunk_header last; /* of the chunk recovered last; count 0: there is none */
};

static int is_open_header(const struct recovery *recovery) {
    struct ttlog_open_header header = recovery->open_header;
    uint32_t crc = header.header_crc;
    header.header_crc = 0;
    return header.magic == TTLOG_OPEN_MAGIC && header.version == TTLOG_VERSION && header.nonce == recovery->scan->nonce &&
           header.slot_count <= 2 * (1 + TTLOG_TRACKS_PER_VCPU * TTLOG_VCPU_MAX) &&
           ttlog_crc32c(0, &header, OPEN_CHECKED_BYTES) == crc;
}

static int is_descriptor(const struct recovery *recovery, struct ttlog_slot_descriptor descriptor) {
    uint32_t crc = descriptor.crc;
    descriptor.crc = 0;
    if (ttlog_crc32c(0, &descriptor, sizeof(descriptor)) != crc || descriptor.stream < TTLOG_STREAM_BRANCH ||
        descriptor.stream > TTLOG_STREAM_META || descriptor.capacity > largest_capacity(descriptor.stream))
        return 0;
    size_t unit_size =
        descriptor.stream == TTLOG_STREAM_BRANCH ? sizeof(struct ttlog_raw_branch) : sizeof(struct ttlog_raw_event);
    int vcpu_fits = descriptor.stream == TTLOG_STREAM_META ? descriptor.vcpu == TTLOG_VCPU_NONE
                                                           : descriptor.vcpu < recovery->writer->header.vcpu_count;
    return descriptor.unit_size == unit_size && vcpu_fits;
}

static unsigned cell_shift(const struct recovery *recovery, uint8_t stream) {
    return stream == TTLOG_STREAM_BRANCH ? recovery->writer->header.branch_cell_shift
                                         : recovery->writer->header.event_cell_shift;
}

/* How many units hold whole records of the slot's cell, with clocks that do not fall. Fills the end clock. */
static uint32_t whole_units(const struct recovery *recovery, struct found_slot *slot) {
    uint8_t stream = slot->descriptor.stream;
    unsigned shift = cell_shift(recovery, stream);
    if (stream == TTLOG_STREAM_BRANCH) {
        uint64_t room = ((slot->header.cell + 1) << shift) - slot->header.clock_first;
        if (slot->header.clock_first >> shift != slot->header.cell)
            return 0;
        uint32_t units = slot->units <= room ? slot->units : (uint32_t)room;
        slot->end_clock = slot->header.clock_first + units;
        return units;
    }
    const struct ttlog_raw_event *events = recovery->units;
    uint64_t clock = 0;
    uint32_t place = 0;
    while (place < slot->units) {
        const struct ttlog_raw_event *event = &events[place];
        size_t size = ttlog_event_units(event->payload_length, event->private_length);
        if (size > slot->units - place || event->private_length > TTLOG_PRIVATE_MAX)
            break;
        if (stream != TTLOG_STREAM_META && (event->clock < clock || event->clock >> shift != slot->header.cell))
            break;
        clock = event->clock;
        place += (uint32_t)size;
    }
    slot->end_clock = clock;
    return place;
}

static int read_units(struct recovery *recovery, const struct found_slot *slot) {
    return ttlog_read_all(recovery->fd, recovery->units, (size_t)slot->units * slot->descriptor.unit_size,
                          slot->descriptor.offset + sizeof(slot->header));
}

/* Collects the slots in use. A slot that cannot be read, or makes no sense, is passed over. */
static int find_slots(struct recovery *recovery) {
    uint32_t count = recovery->open_header.slot_count;
    recovery->slots = calloc(count + 1, sizeof(*recovery->slots));
    recovery->units = malloc(largest_capacity(TTLOG_STREAM_EVENT) * sizeof(struct ttlog_raw_event));
    if (recovery->slots == NULL || recovery->units == NULL)
        return ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct found_slot slot = {0};
        uint64_t place = sizeof(struct ttlog_open_header) + i * sizeof(slot.descriptor);
        if (ttlog_read_all(recovery->fd, &slot.descriptor, sizeof(slot.descriptor), place) != 0 ||
            !is_descriptor(recovery, slot.descriptor) || slot.descriptor.offset > INT64_MAX / 2 ||
            ttlog_read_all(recovery->fd, &slot.header, sizeof(slot.header), slot.descriptor.offset) != 0)
            continue;
        slot.units = (uint32_t)slot.header.commit;
        if (slot.units == 0 || slot.units > slot.descriptor.capacity || read_units(recovery, &slot) != 0)
            continue;
        slot.units = whole_units(recovery, &slot);
        if (slot.units > 0)
            recovery->slots[recovery->slot_count++] = slot;
    }
    return 0;
}

/* Slots of one stream and vCPU in the order of their records; meta last. */
static int compare_slots(const void *left, const void *right) {
    const struct found_slot *a = left, *b = right;
    if (a->descriptor.vcpu != b->descriptor.vcpu)
        return a->descriptor.vcpu < b->descriptor.vcpu ? -1 : 1;
    if (a->descriptor.stream != b->descriptor.stream)
        return a->descriptor.stream < b->descriptor.stream ? -1 : 1;
    if (a->header.epoch != b->header.epoch)
        return a->header.epoch < b->header.epoch ? -1 : 1;
    if (a->header.cell != b->header.cell)
        return a->header.cell < b->header.cell ? -1 : 1;
    return (a->header.part > b->header.part) - (a->header.part < b->header.part);
}

static int is_same_track(const struct found_slot *slot, const struct ttlog_scan_entry *entry) {
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

/* What the log has of a slot's chunk already. */
struct known_chunk {
    int is_whole;  /* the body is in the log */
    int is_elided; /* only the header is; elided is it */
    struct ttlog_chunk_header elided;
    uint64_t previous_chain;
};

static int look_up(const struct recovery *recovery, const struct found_slot *slot, struct known_chunk *known) {
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

/* Did the recorder die inside the slot's cell? Chunks behind it in the same epoch, or the epoch after, say no. */
static int is_open_ended(const struct recovery *recovery, size_t index) {
    const struct found_slot *slot = &recovery->slots[index];
    unsigned shift = cell_shift(recovery, slot->descriptor.stream);
    for (size_t i = 0; i < recovery->slot_count; i++) {
        const struct found_slot *other = &recovery->slots[i];
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

/* The chain of the chunk before: recovered just now, or in the log. */
static uint64_t chain_before(const struct recovery *recovery, const struct ttlog_chunk_header *header,
                             const struct known_chunk *known) {
    const struct ttlog_chunk_header *last = &recovery->last;
    int follows = last->count > 0 && last->stream == header->stream && last->vcpu == header->vcpu &&
                  last->epoch == header->epoch;
    return follows ? last->chain : known->previous_chain;
}

static void encode(const struct recovery *recovery, const struct found_slot *slot, struct ttlog_chunk_header *header) {
    uint8_t *body = recovery->writer->sink.image + TTLOG_CHUNK_HEADER_SIZE;
    if (header->stream == TTLOG_STREAM_BRANCH) {
        header->ticket = recovery->scan->records;
        ttlog_encode_branches(recovery->units, slot->units, slot->header.clock_first,
                              (recovery->writer->header.features & TTLOG_FEATURE_ICOUNT) != 0, body, header);
    } else {
        ttlog_encode_events(recovery->units, slot->units, body, header);
    }
}

/* Makes a chunk of a slot, unless the log has it. Returns errno. */
static int recover_slot(struct recovery *recovery, size_t index) {
    struct found_slot *slot = &recovery->slots[index];
    struct known_chunk known;
    int code = look_up(recovery, slot, &known);
    if (code != 0 || known.is_whole)
        return code;
    code = read_units(recovery, slot);
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
        return 0; /* it changed under us */
    header.chain = ttlog_chain(chain_before(recovery, &header, &known), &header);
    if (known.is_elided) {
        header.flags |= TTLOG_CHUNK_WINDOW;
        header.chain = known.elided.chain;
    }
    recovery->last = header;
    return ttlog_sink_chunk(&recovery->writer->sink, &header, recovery->writer->sink.image, recovery->scan->lost);
}

/* Where the log goes on. What a killed writer had begun to write is cut off: its slot has it. Other bytes that are no
 * chunk stay where they are, for whoever can make something of them. Returns errno. */
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

/* New chunks, and a directory of all chunks, old and new. Returns errno. */
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
    for (size_t i = 0; code == 0 && i < recovery->slot_count; i++)
        code = recover_slot(recovery, i);
    return code == 0 ? ttlog_sink_directory(sink, recovery->scan->lost, 0) : code;
}

/* Opens the open file, if it is there and this log's, and collects its slots. Returns errno. */
static int read_open_file(struct recovery *recovery) {
    struct stat status;
    recovery->fd = open(recovery->writer->open_path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (recovery->fd < 0)
        return errno == ENOENT ? 0 : errno;
    if (fstat(recovery->fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        ttlog_read_all(recovery->fd, &recovery->open_header, sizeof(recovery->open_header), 0) != 0 ||
        !is_open_header(recovery)) {
        close(recovery->fd);
        recovery->fd = -1;
        return 0;
    }
    uint64_t lost = 0;
    for (int stream = 0; stream < 8; stream++)
        lost += recovery->open_header.lost[stream];
    if (lost > recovery->scan->lost)
        recovery->scan->lost = lost;
    int code = find_slots(recovery);
    if (recovery->slot_count > 1)
        qsort(recovery->slots, recovery->slot_count, sizeof(*recovery->slots), compare_slots);
    return code;
}

static size_t largest_body(const struct recovery *recovery) {
    size_t bound = ttlog_largest_body(recovery->writer);
    for (size_t i = 0; i < recovery->slot_count; i++) {
        const struct found_slot *slot = &recovery->slots[i];
        size_t size = slot->descriptor.stream == TTLOG_STREAM_BRANCH ? ttlog_branch_body_bound(slot->units)
                                                                     : ttlog_event_body_bound(slot->units);
        if (size > bound)
            bound = size;
    }
    return bound;
}

static int recover_files(struct recovery *recovery) {
    struct ttlog_sink *sink = &recovery->writer->sink;
    int code = read_open_file(recovery);
    if (code == 0)
        code = ttlog_sink_prepare(sink, largest_body(recovery), 1);
    if (code == 0)
        code = cut_tail(recovery);
    if (code != 0)
        return code;
    uint64_t begin = sink->offset;
    code = write_recovered(recovery);
    uint64_t size = recovery->open_header.file_size;
    if (code == ENOSPC && recovery->fd >= 0 && size > sizeof(struct ttlog_open_header) && size < INT64_MAX &&
        ftruncate(recovery->fd, (off_t)size) == 0) {
        sink->offset = begin; /* once more, with the open file's reserve */
        code = ftruncate(sink->fd, (off_t)begin) == 0 ? write_recovered(recovery) : errno;
    }
    if (code != 0)
        (void)!ftruncate(sink->fd, (off_t)begin);
    return code;
}

/* Is the open file there, and this log's? */
int ttlog_has_open_file(const ttlog_writer *writer) {
    struct ttlog_open_header header;
    int fd = open(writer->open_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return 0;
    int is_ours = ttlog_read_all(fd, &header, sizeof(header), 0) == 0 && header.magic == TTLOG_OPEN_MAGIC &&
                  header.nonce == writer->header.nonce;
    close(fd);
    return is_ours;
}

/* Seals an unclosed log whose lock the writer holds. */
int ttlog_recover(ttlog_writer *writer, struct ttlog_scan *scan, ttlog_error *error) {
    struct recovery recovery = {.writer = writer, .scan = scan, .fd = -1};
    int code = recover_files(&recovery);
    free(recovery.slots);
    free(recovery.units);
    if (recovery.fd >= 0) {
        if (code == 0)
            unlink(writer->open_path);
        close(recovery.fd);
    }
    if (code == 0)
        memcpy(writer->recovered_lost, recovery.open_header.lost, sizeof(writer->recovered_lost));
    return code == 0 ? 0 : ttlog_fail(error, code, "%s: cannot recover the unclosed log", writer->path);
}
