/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encodes event, access and meta records into the columns of an event body (enum ttlog_event_column).
 */
#include <stddef.h>
#include <string.h>

#include "ttlog_internal.h"

/* The most bytes that one unit can add to each column. A record takes at least one unit; a payload unit holds 64 bytes. The info
 * takes 5, and is written as a word. */
static const uint8_t bytes_per_unit[TTLOG_EVENT_COLUMNS] = {3, 3, 10, 10, 10, 8, 8, 3, 64, 10, 10, 3, 64};

size_t ttlog_event_body_bound(size_t units) {
    size_t bound = TTLOG_EVENT_COLUMNS * sizeof(uint32_t);
    for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++)
        bound += bytes_per_unit[column] * units;
    return bound;
}

size_t ttlog_event_units(size_t payload_length, size_t private_length) {
    return 1 + (payload_length + 63) / 64 + (private_length > 0);
}

static inline uint8_t *put_varint(uint8_t *place, uint64_t value) {
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

/* Where the columns grow, and the values from which the next record's differences are taken. */
struct event_encoder {
    uint8_t *cursor[TTLOG_EVENT_COLUMNS];
    uint64_t clock, icount, ip, ticket, tsc;
    struct event_shape {
        uint64_t kinds; /* see kinds_of */
        uint64_t clock_step, ticket_step;
    } last; /* of the last record, which has one byte in each repeated column; else its kinds are NO_KINDS */
    size_t repeats; /* records of the same shape after it, which these columns lack so far */
    uint32_t info, info_size; /* of the last record; the bytes of its varint */
    uint64_t info_bytes;
};

/* Records in a row often differ in few columns. The others, when they have one byte a record, are filled at once. */
static const uint8_t repeated_columns[] = {TTLOG_ECOL_KIND,   TTLOG_ECOL_VALIDITY, TTLOG_ECOL_CLOCK,
                                           TTLOG_ECOL_TICKET, TTLOG_ECOL_TSC,      TTLOG_ECOL_PRIVATE_LENGTH};

#define NO_KINDS UINT64_MAX

/* The record's first fields but for the payload's length. */
static uint64_t kinds_of(const struct ttlog_raw_event *event) {
    uint64_t fields;
    memcpy(&fields, event, sizeof(fields));
    return fields & ~((uint64_t)UINT16_MAX << 32);
}
_Static_assert(offsetof(struct ttlog_raw_event, payload_length) == 4 && offsetof(struct ttlog_raw_event, info) == 8,
               "kinds_of leaves out the payload's length");

#define PUT(column, value) encoder->cursor[column] = put_varint(encoder->cursor[column], value)

/* Gives the repeated columns what they lack: their last byte again and again. */
static void put_repeats(struct event_encoder *encoder) {
    if (encoder->repeats == 0)
        return;
    for (size_t i = 0; i < sizeof(repeated_columns); i++) {
        uint8_t *place = encoder->cursor[repeated_columns[i]];
        memset(place, place[-1], encoder->repeats);
        encoder->cursor[repeated_columns[i]] = place + encoder->repeats;
    }
    encoder->repeats = 0;
}

/* Puts a record's shape: the repeated columns. */
static void put_shape(struct event_encoder *encoder, const struct ttlog_raw_event *event, struct event_shape shape) {
    put_repeats(encoder);
    uint64_t clock = zigzag(shape.clock_step), ticket = zigzag(shape.ticket_step);
    PUT(TTLOG_ECOL_KIND, event->kind);
    PUT(TTLOG_ECOL_VALIDITY, event->validity & ~(unsigned)TTLOG_VALID_TSC);
    PUT(TTLOG_ECOL_CLOCK, clock);
    PUT(TTLOG_ECOL_TICKET, ticket);
    /* A step of exactly 2^63 cannot be encoded (1 + zigzag would be 2^64), so it is written as unknown. */
    uint64_t step = zigzag(event->tsc - encoder->tsc);
    int known = (event->validity & TTLOG_VALID_TSC) && step != UINT64_MAX;
    PUT(TTLOG_ECOL_TSC, known ? step + 1 : 0);
    if (known)
        encoder->tsc = event->tsc;
    PUT(TTLOG_ECOL_PRIVATE_LENGTH, event->private_length);

    int can_repeat = (event->kind | event->validity | clock | ticket) < 0x80 && event->private_length == 0 &&
                     !(event->validity & TTLOG_VALID_TSC);
    encoder->last = shape;
    if (!can_repeat)
        encoder->last.kinds = NO_KINDS;
}

/* Appends a payload to its column. Its source ends at the end of a unit, its region has room for one unit more. */
static void put_payload(struct event_encoder *encoder, const uint8_t *payload, size_t length) {
    uint8_t *place = encoder->cursor[TTLOG_ECOL_PAYLOAD];
    encoder->cursor[TTLOG_ECOL_PAYLOAD] = place + length;
    if (length > 64) {
        memcpy(place, payload, length);
        return;
    }
    if (length == 0)
        return;
    /* What is copied beyond the length, the next payload replaces. */
    memcpy(place, payload, 32);
    if (length > 32)
        memcpy(place + 32, payload + 32, 32);
}

/* Records in a row often have the same information. */
static void put_info(struct event_encoder *encoder, uint32_t info) {
    uint8_t *place = encoder->cursor[TTLOG_ECOL_INFO];
    if (encoder->info_size == 0 || info != encoder->info) {
        uint8_t bytes[sizeof(encoder->info_bytes)] = {0};
        encoder->info = info;
        encoder->info_size = (uint32_t)(put_varint(bytes, info) - bytes);
        memcpy(&encoder->info_bytes, bytes, sizeof(bytes));
    }
    memcpy(place, &encoder->info_bytes, sizeof(encoder->info_bytes));
    encoder->cursor[TTLOG_ECOL_INFO] = place + encoder->info_size;
}

static void put_event(struct event_encoder *encoder, const struct ttlog_raw_event *event) {
    struct event_shape shape = {kinds_of(event), event->clock - encoder->clock, event->ticket - encoder->ticket};
    if (shape.kinds == encoder->last.kinds && shape.clock_step == encoder->last.clock_step &&
        shape.ticket_step == encoder->last.ticket_step)
        encoder->repeats++;
    else
        put_shape(encoder, event, shape);
    encoder->clock = event->clock;
    encoder->ticket = event->ticket;
    if (event->validity & TTLOG_VALID_ICOUNT) {
        PUT(TTLOG_ECOL_ICOUNT, zigzag(event->icount - encoder->icount));
        encoder->icount = event->icount;
    }
    if (event->validity & TTLOG_VALID_IP) {
        PUT(TTLOG_ECOL_IP, zigzag(event->ip - encoder->ip));
        encoder->ip = event->ip;
    }
    put_info(encoder, event->info);
    if (event->validity & (TTLOG_VALID_RCX | TTLOG_VALID_REGISTERS)) {
        memcpy(encoder->cursor[TTLOG_ECOL_AUX], &event->aux, sizeof(event->aux));
        encoder->cursor[TTLOG_ECOL_AUX] += sizeof(event->aux);
    }
    PUT(TTLOG_ECOL_PAYLOAD_LENGTH, event->payload_length);
    const uint8_t *payload = (const uint8_t *)(event + 1);
    put_payload(encoder, payload, event->payload_length);
    if (event->private_length > 0) {
        memcpy(encoder->cursor[TTLOG_ECOL_PRIVATE], payload + (event->payload_length + 63u) / 64 * 64,
               event->private_length);
        encoder->cursor[TTLOG_ECOL_PRIVATE] += event->private_length;
    }
}
#undef PUT

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
    uint8_t *region[TTLOG_EVENT_COLUMNS];
    struct event_encoder encoder = {.last.kinds = NO_KINDS};
    uint8_t *place = body + TTLOG_EVENT_COLUMNS * sizeof(uint32_t);
    for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++) {
        region[column] = encoder.cursor[column] = place;
        place += bytes_per_unit[column] * units;
    }

    const struct ttlog_raw_event *event = records;
    const struct ttlog_raw_event *end = event + units;
    uint32_t count = 0;
    header->icount_first = header->icount_last = 0;
    int have_icount = 0;
    while (event != end) {
        size_t size = ttlog_event_units(event->payload_length, event->private_length);
        if (size > (size_t)(end - event) || event->private_length > TTLOG_PRIVATE_MAX)
            return 0;
        if (count == 0) {
            encoder.clock = header->clock_first = event->clock;
            encoder.ticket = header->ticket = event->ticket;
        }
        if (event->validity & TTLOG_VALID_ICOUNT) {
            if (!have_icount)
                encoder.icount = header->icount_first = event->icount;
            have_icount = 1;
        }
        put_event(&encoder, event);
        count++;
        event += size;
    }
    header->count = count;
    if (count == 0)
        return 0;
    put_repeats(&encoder);
    header->clock_last = encoder.clock;
    header->icount_last = encoder.icount;

    size_t sizes[TTLOG_EVENT_COLUMNS];
    for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++)
        sizes[column] = (size_t)(encoder.cursor[column] - region[column]);
    size_t size = ttlog_gather_columns(body, region, sizes, TTLOG_EVENT_COLUMNS);
    header->raw_size = (uint32_t)size;
    finish_header(header, body, sizes);
    return size;
}
