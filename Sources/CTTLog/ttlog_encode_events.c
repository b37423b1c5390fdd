/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encodes event, access and meta records into the columns of an event body (enum ttlog_event_column).
 */
#include <string.h>

#include "ttlog_internal.h"

/* The most bytes that one unit can add to each column. A record takes at least one unit; a payload unit holds 64 bytes. */
static const uint8_t bytes_per_unit[TTLOG_EVENT_COLUMNS] = {3, 3, 10, 10, 10, 5, 8, 3, 64, 10, 10, 3, 64};

size_t ttlog_event_body_bound(size_t units) {
    size_t bound = TTLOG_EVENT_COLUMNS * sizeof(uint32_t);
    for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++)
        bound += bytes_per_unit[column] * units;
    return bound;
}

size_t ttlog_event_units(size_t payload_length, size_t private_length) {
    return 1 + (payload_length + 63) / 64 + (private_length > 0);
}

static uint8_t *put_varint(uint8_t *place, uint64_t value) {
    while (value >= 0x80) {
        *place++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *place++ = (uint8_t)value;
    return place;
}

static uint64_t zigzag(uint64_t difference) {
    return difference << 1 ^ (uint64_t)((int64_t)difference >> 63);
}

/* The values from which the next record's differences are taken. */
struct event_previous {
    uint64_t clock, icount, ip, ticket, tsc;
};

static void put_event(uint8_t *cursor[TTLOG_EVENT_COLUMNS], struct event_previous *previous,
                      const struct ttlog_raw_event *event) {
#define PUT(column, value) cursor[column] = put_varint(cursor[column], value)
    PUT(TTLOG_ECOL_KIND, event->kind);
    PUT(TTLOG_ECOL_VALIDITY, event->validity & ~(unsigned)TTLOG_VALID_TSC);
    PUT(TTLOG_ECOL_CLOCK, zigzag(event->clock - previous->clock));
    previous->clock = event->clock;
    if (event->validity & TTLOG_VALID_ICOUNT) {
        PUT(TTLOG_ECOL_ICOUNT, zigzag(event->icount - previous->icount));
        previous->icount = event->icount;
    }
    if (event->validity & TTLOG_VALID_IP) {
        PUT(TTLOG_ECOL_IP, zigzag(event->ip - previous->ip));
        previous->ip = event->ip;
    }
    PUT(TTLOG_ECOL_INFO, event->info);
    if (event->validity & (TTLOG_VALID_RCX | TTLOG_VALID_REGISTERS)) {
        memcpy(cursor[TTLOG_ECOL_AUX], &event->aux, sizeof(event->aux));
        cursor[TTLOG_ECOL_AUX] += sizeof(event->aux);
    }
    PUT(TTLOG_ECOL_PAYLOAD_LENGTH, event->payload_length);
    PUT(TTLOG_ECOL_TICKET, zigzag(event->ticket - previous->ticket));
    previous->ticket = event->ticket;
    /* A step of exactly 2^63 cannot be encoded (1 + zigzag would be 2^64), so it is written as unknown. */
    uint64_t step = zigzag(event->tsc - previous->tsc);
    int known = (event->validity & TTLOG_VALID_TSC) && step != UINT64_MAX;
    PUT(TTLOG_ECOL_TSC, known ? step + 1 : 0);
    if (known)
        previous->tsc = event->tsc;
    PUT(TTLOG_ECOL_PRIVATE_LENGTH, event->private_length);
#undef PUT
    const uint8_t *payload = (const uint8_t *)(event + 1);
    if (event->payload_length > 0) {
        memcpy(cursor[TTLOG_ECOL_PAYLOAD], payload, event->payload_length);
        cursor[TTLOG_ECOL_PAYLOAD] += event->payload_length;
    }
    if (event->private_length > 0) {
        memcpy(cursor[TTLOG_ECOL_PRIVATE], payload + (event->payload_length + 63u) / 64 * 64, event->private_length);
        cursor[TTLOG_ECOL_PRIVATE] += event->private_length;
    }
}

/* Sets sizes and digests from the gathered columns. */
static void finish_header(struct ttlog_chunk_header *header, const uint8_t *body, const size_t *sizes) {
    size_t position_size = 0, payload_size = 0, private_size = 0;
    for (int column = TTLOG_ECOL_KIND; column <= TTLOG_ECOL_IP; column++)
        position_size += sizes[column];
    for (int column = TTLOG_ECOL_INFO; column <= TTLOG_ECOL_PAYLOAD; column++)
        payload_size += sizes[column];
    for (int column = TTLOG_ECOL_TICKET; column <= TTLOG_ECOL_PRIVATE; column++)
        private_size += sizes[column];
    const uint8_t *position = body + TTLOG_EVENT_COLUMNS * sizeof(uint32_t);
    header->private_size = (uint32_t)private_size;
    header->digest[TTLOG_CLASS_PATH] = 0;
    header->digest[TTLOG_CLASS_LABEL] = 0;
    header->digest[TTLOG_CLASS_POSITION] = ttlog_hash(position, position_size, header->count);
    header->digest[TTLOG_CLASS_PAYLOAD] = ttlog_hash(position + position_size, payload_size, header->count);
}

size_t ttlog_encode_events(const void *records, size_t units, uint8_t *body, struct ttlog_chunk_header *header) {
    uint8_t *region[TTLOG_EVENT_COLUMNS], *cursor[TTLOG_EVENT_COLUMNS];
    uint8_t *place = body + TTLOG_EVENT_COLUMNS * sizeof(uint32_t);
    for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++) {
        region[column] = cursor[column] = place;
        place += bytes_per_unit[column] * units;
    }

    const struct ttlog_raw_event *event = records;
    const struct ttlog_raw_event *end = event + units;
    struct event_previous previous = {0};
    header->count = 0;
    header->icount_first = header->icount_last = 0;
    int have_icount = 0;
    while (event != end) {
        size_t size = ttlog_event_units(event->payload_length, event->private_length);
        if (size > (size_t)(end - event) || event->private_length > TTLOG_PRIVATE_MAX)
            return 0;
        if (header->count == 0) {
            previous.clock = header->clock_first = event->clock;
            previous.ticket = header->ticket = event->ticket;
        }
        if (event->validity & TTLOG_VALID_ICOUNT) {
            if (!have_icount)
                previous.icount = header->icount_first = event->icount;
            have_icount = 1;
            header->icount_last = event->icount;
        }
        put_event(cursor, &previous, event);
        header->clock_last = event->clock;
        header->count++;
        event += size;
    }
    if (header->count == 0)
        return 0;

    size_t sizes[TTLOG_EVENT_COLUMNS];
    for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++)
        sizes[column] = (size_t)(cursor[column] - region[column]);
    size_t size = ttlog_gather_columns(body, region, sizes, TTLOG_EVENT_COLUMNS);
    header->raw_size = (uint32_t)size;
    finish_header(header, body, sizes);
    return size;
}
