/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads the open file that a dead writer left: which slots hold complete records. It is read with pread, because a
 * mapping could end during the read, and no content of it is trusted.
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

/* The most units that a slot of this stream can have. */
static uint32_t largest_capacity(uint8_t stream) {
    return stream == TTLOG_STREAM_BRANCH ? TTLOG_BRANCH_CHUNK_LIMIT
                                         : 3 * TTLOG_EVENT_CHUNK_LIMIT + TTLOG_EVENT_CHUNK_PAYLOAD_MAX / 64;
}

static int is_open_header(const struct ttlog_left_open *left_open) {
    struct ttlog_open_header header = left_open->header;
    uint32_t crc = header.header_crc;
    header.header_crc = 0;
    return header.magic == TTLOG_OPEN_MAGIC && header.version == TTLOG_VERSION && header.nonce == left_open->log->nonce &&
           header.slot_count <= 2 * (1 + TTLOG_TRACKS_PER_VCPU * TTLOG_VCPU_MAX) &&
           ttlog_crc32c(0, &header, OPEN_CHECKED_BYTES) == crc;
}

static int is_descriptor(const struct ttlog_left_open *left_open, struct ttlog_slot_descriptor descriptor) {
    uint32_t crc = descriptor.crc;
    descriptor.crc = 0;
    if (ttlog_crc32c(0, &descriptor, sizeof(descriptor)) != crc || descriptor.stream < TTLOG_STREAM_BRANCH ||
        descriptor.stream > TTLOG_STREAM_META || descriptor.capacity > largest_capacity(descriptor.stream))
        return 0;
    size_t unit_size =
        descriptor.stream == TTLOG_STREAM_BRANCH ? sizeof(struct ttlog_raw_branch) : sizeof(struct ttlog_raw_event);
    int vcpu_fits = descriptor.stream == TTLOG_STREAM_META ? descriptor.vcpu == TTLOG_VCPU_NONE
                                                           : descriptor.vcpu < left_open->log->vcpu_count;
    return descriptor.unit_size == unit_size && vcpu_fits;
}

unsigned ttlog_cell_shift(const struct ttlog_file_header *log, uint8_t stream) {
    return stream == TTLOG_STREAM_BRANCH ? log->branch_cell_shift : log->event_cell_shift;
}

/* Returns how many units hold complete records of the slot's cell, with clocks that do not fall. Sets the end clock. */
static uint32_t whole_units(const struct ttlog_left_open *left_open, struct ttlog_found_slot *slot) {
    uint8_t stream = slot->descriptor.stream;
    unsigned shift = ttlog_cell_shift(left_open->log, stream);
    if (stream == TTLOG_STREAM_BRANCH) {
        uint64_t room = ((slot->header.cell + 1) << shift) - slot->header.clock_first;
        if (slot->header.clock_first >> shift != slot->header.cell)
            return 0;
        uint32_t units = slot->units <= room ? slot->units : (uint32_t)room;
        slot->end_clock = slot->header.clock_first + units;
        return units;
    }
    const struct ttlog_raw_event *events = left_open->units;
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

int ttlog_left_read_units(struct ttlog_left_open *left_open, const struct ttlog_found_slot *slot) {
    return ttlog_read_all(left_open->fd, left_open->units, (size_t)slot->units * slot->descriptor.unit_size,
                          slot->descriptor.offset + sizeof(slot->header));
}

/* Collects the slots in use. Skips a slot that cannot be read or is malformed. */
static int find_slots(struct ttlog_left_open *left_open) {
    uint32_t count = left_open->header.slot_count;
    left_open->slots = calloc(count + 1, sizeof(*left_open->slots));
    left_open->units = malloc(largest_capacity(TTLOG_STREAM_EVENT) * sizeof(struct ttlog_raw_event));
    if (left_open->slots == NULL || left_open->units == NULL)
        return ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct ttlog_found_slot slot = {0};
        uint64_t place = sizeof(struct ttlog_open_header) + i * sizeof(slot.descriptor);
        if (ttlog_read_all(left_open->fd, &slot.descriptor, sizeof(slot.descriptor), place) != 0 ||
            !is_descriptor(left_open, slot.descriptor) || slot.descriptor.offset > INT64_MAX / 2 ||
            ttlog_read_all(left_open->fd, &slot.header, sizeof(slot.header), slot.descriptor.offset) != 0)
            continue;
        slot.units = (uint32_t)slot.header.commit;
        if (slot.units == 0 || slot.units > slot.descriptor.capacity || ttlog_left_read_units(left_open, &slot) != 0)
            continue;
        slot.units = whole_units(left_open, &slot);
        if (slot.units > 0)
            left_open->slots[left_open->slot_count++] = slot;
    }
    return 0;
}

/* Orders slots by vCPU, stream and position of their records; meta last. */
static int compare_slots(const void *left, const void *right) {
    const struct ttlog_found_slot *a = left, *b = right;
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

/* Opens the open file, if it exists and belongs to this log, and collects its slots. Returns errno. */
int ttlog_left_open_read(struct ttlog_left_open *left_open, const char *path) {
    struct stat status;
    left_open->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (left_open->fd < 0)
        return errno == ENOENT ? 0 : errno;
    if (fstat(left_open->fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        ttlog_read_all(left_open->fd, &left_open->header, sizeof(left_open->header), 0) != 0 ||
        !is_open_header(left_open)) {
        close(left_open->fd);
        left_open->fd = -1;
        left_open->header = (struct ttlog_open_header){0};
        return 0;
    }
    int code = find_slots(left_open);
    if (left_open->slot_count > 1)
        qsort(left_open->slots, left_open->slot_count, sizeof(*left_open->slots), compare_slots);
    return code;
}

void ttlog_left_open_free(struct ttlog_left_open *left_open) {
    free(left_open->slots);
    free(left_open->units);
    if (left_open->fd >= 0)
        close(left_open->fd);
    left_open->fd = -1;
}

/* Whether the open file exists and belongs to this log. */
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
