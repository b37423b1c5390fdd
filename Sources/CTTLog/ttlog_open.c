/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The open file: preallocated, mapped shared, two slots for each track.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ttlog_internal.h"

enum { PAGE = 4096, OPEN_CHECKED_BYTES = 64 };

static size_t round_to_page(size_t size) {
    return (size + PAGE - 1) / PAGE * PAGE;
}

static size_t unit_size(const struct ttlog_track *track) {
    return track->stream == TTLOG_STREAM_BRANCH ? sizeof(struct ttlog_raw_branch) : sizeof(struct ttlog_raw_event);
}

/* Units that one slot must hold, so that only the grid or a fixed maximum ends a chunk. */
static uint32_t slot_capacity(const struct ttlog_track *track) {
    if (track->stream == TTLOG_STREAM_BRANCH)
        return track->record_max;
    /* For each record: its unit, a unit that its payload fills in part, a unit of private payload. */
    return 3 * track->record_max + TTLOG_EVENT_CHUNK_PAYLOAD_MAX / 64;
}

static size_t slot_size(const struct ttlog_track *track) {
    return round_to_page(sizeof(struct ttlog_slot_header) + slot_capacity(track) * unit_size(track));
}

/* A track that takes no records (no branch stream) has no slots. */
static int has_slots(const struct ttlog_track *track) {
    return track->record_max > 0;
}

static void write_descriptors(ttlog_writer *writer, uint32_t slot_count) {
    struct ttlog_slot_descriptor *descriptor =
        (struct ttlog_slot_descriptor *)(writer->open_map + sizeof(struct ttlog_open_header));
    size_t place = round_to_page(sizeof(struct ttlog_open_header) + slot_count * sizeof(*descriptor));
    for (uint32_t i = 0; i < writer->track_count; i++) {
        struct ttlog_track *track = &writer->tracks[i];
        for (int half = 0; half < 2 && has_slots(track); half++) {
            descriptor->offset = place;
            descriptor->capacity = slot_capacity(track);
            descriptor->unit_size = (uint32_t)unit_size(track);
            descriptor->stream = track->stream;
            descriptor->vcpu = track->vcpu;
            descriptor->crc = ttlog_crc32c(0, descriptor, sizeof(*descriptor));
            track->slot[half] = (struct ttlog_slot){
                .header = (struct ttlog_slot_header *)(writer->open_map + place),
                .units = writer->open_map + place + sizeof(struct ttlog_slot_header),
                .capacity = descriptor->capacity,
                .track = track,
            };
            place += slot_size(track);
            descriptor++;
        }
    }
}

static void write_open_header(ttlog_writer *writer, uint32_t slot_count) {
    struct ttlog_open_header *header = (struct ttlog_open_header *)writer->open_map;
    header->magic = TTLOG_OPEN_MAGIC;
    header->version = TTLOG_VERSION;
    header->nonce = writer->header.nonce;
    header->slot_count = slot_count;
    header->file_size = writer->open_size;
    header->header_crc = ttlog_crc32c(0, header, OPEN_CHECKED_BYTES);
    header->clock = writer->header.clock_base;
    header->icount = writer->header.icount_base;
    writer->open_header = header;
}

/* Makes the branch slots' pages present, so that the first pass over them does not fault. Needs Linux 5.14. */
static void populate(ttlog_writer *writer) {
#ifdef MADV_POPULATE_WRITE
    for (uint32_t i = 0; i < writer->track_count; i++) {
        struct ttlog_track *track = &writer->tracks[i];
        for (int half = 0; half < 2 && track->stream == TTLOG_STREAM_BRANCH && has_slots(track); half++)
            (void)madvise(track->slot[half].header, slot_size(track), MADV_POPULATE_WRITE);
    }
#else
    (void)writer;
#endif
}

/* Returns the number of slots; sets the size of the open file. */
static uint32_t lay_out(ttlog_writer *writer) {
    uint32_t slot_count = 0;
    size_t slots_size = 0;
    for (uint32_t i = 0; i < writer->track_count; i++) {
        if (has_slots(&writer->tracks[i])) {
            slot_count += 2;
            slots_size += 2 * slot_size(&writer->tracks[i]);
        }
    }
    writer->open_size =
        round_to_page(sizeof(struct ttlog_open_header) + slot_count * sizeof(struct ttlog_slot_descriptor)) + slots_size;
    return slot_count;
}

int ttlog_open_anonymous(ttlog_writer *writer) {
    uint32_t slot_count = lay_out(writer);
    void *map = mmap(NULL, writer->open_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return errno;
    writer->open_map = map;
    write_descriptors(writer, slot_count);
    write_open_header(writer, slot_count);
    return 0;
}

int ttlog_open_create(ttlog_writer *writer, ttlog_error *error) {
    uint32_t slot_count = lay_out(writer);
    /* A stale open file belongs to another log. A new file replaces it, so that a process that maps it is safe. */
    if (unlink(writer->open_path) != 0 && errno != ENOENT)
        return ttlog_fail(error, errno, "%s: cannot remove the old open file", writer->open_path);
    writer->open_fd = open(writer->open_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer->open_fd < 0)
        return ttlog_fail(error, errno, "%s: cannot create", writer->open_path);
    uint64_t size = writer->open_size + round_to_page(writer->open_size / TTLOG_OPEN_RESERVE_PART);
    int code = ttlog_preallocate(writer->open_fd, size);
    if (code != 0)
        return ttlog_fail(error, code, "%s: cannot reserve %llu bytes for records not yet in the log", writer->open_path,
                          (unsigned long long)size);
    void *map = mmap(NULL, writer->open_size, PROT_READ | PROT_WRITE, MAP_SHARED, writer->open_fd, 0);
    if (map == MAP_FAILED)
        return ttlog_fail(error, errno, "%s: cannot map %zu bytes", writer->open_path, writer->open_size);
    writer->open_map = map;
    write_descriptors(writer, slot_count);
    write_open_header(writer, slot_count);
    populate(writer);
    return 0;
}

void ttlog_open_unmap(ttlog_writer *writer) {
    if (writer->open_map != NULL)
        munmap(writer->open_map, writer->open_size);
    writer->open_map = NULL;
    if (writer->open_fd >= 0)
        close(writer->open_fd);
    writer->open_fd = -1;
}
