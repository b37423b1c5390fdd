/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event_columns.h"

#include <string.h>

int ttd_columns_open(struct ttd_columns *columns, const struct ttlog_chunk_header *header, const uint8_t *body) {
    uint32_t sizes[TTLOG_EVENT_COLUMNS];
    uint64_t total = sizeof(sizes);
    if (header->raw_size < sizeof(sizes))
        return -1;
    memcpy(sizes, body, sizeof(sizes));
    for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++) {
        if (sizes[column] > header->raw_size - total)
            return -1;
        columns->next[column] = body + total;
        total += sizes[column];
        columns->end[column] = body + total;
    }
    columns->left = header->count;
    columns->clock = header->clock_first;
    columns->icount = header->icount_first;
    columns->ip = 0;
    return total == header->raw_size ? 0 : -1;
}

/* Reads a varint in its shortest form. Returns 0 or -1. */
static int take_varint(struct ttd_columns *columns, int column, uint64_t *value) {
    const uint8_t *place = columns->next[column], *end = columns->end[column];
    *value = 0;
    for (unsigned shift = 0; place != end && shift < 64; shift += 7) {
        uint8_t byte = *place++;
        if (shift == 63 && byte > 1)
            return -1;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        columns->next[column] = place;
        return byte == 0 && shift > 0 ? -1 : 0;
    }
    return -1;
}

static int take_difference(struct ttd_columns *columns, int column, uint64_t *value) {
    uint64_t code;
    if (take_varint(columns, column, &code) != 0)
        return -1;
    *value += code >> 1 ^ -(code & 1);
    return 0;
}

static const uint8_t *take_bytes(struct ttd_columns *columns, int column, size_t size) {
    const uint8_t *place = columns->next[column];
    if (size > (size_t)(columns->end[column] - place))
        return NULL;
    columns->next[column] = place + size;
    return place;
}

static int take_position(struct ttd_columns *columns, ttlog_event *event) {
    uint64_t kind, validity;
    if (take_varint(columns, TTLOG_ECOL_KIND, &kind) != 0 || kind > UINT16_MAX ||
        take_varint(columns, TTLOG_ECOL_VALIDITY, &validity) != 0 || validity > UINT16_MAX ||
        take_difference(columns, TTLOG_ECOL_CLOCK, &columns->clock) != 0)
        return -1;
    if ((validity & TTLOG_VALID_ICOUNT) && take_difference(columns, TTLOG_ECOL_ICOUNT, &columns->icount) != 0)
        return -1;
    if ((validity & TTLOG_VALID_IP) && take_difference(columns, TTLOG_ECOL_IP, &columns->ip) != 0)
        return -1;
    *event = (ttlog_event){.kind = (uint16_t)kind, .validity = (uint16_t)validity, .clock = columns->clock};
    if (validity & TTLOG_VALID_ICOUNT)
        event->icount = columns->icount;
    if (validity & TTLOG_VALID_IP)
        event->ip = columns->ip;
    return 0;
}

static int take_payload(struct ttd_columns *columns, ttlog_event *event) {
    uint64_t info, length, private_length, skipped;
    if (take_varint(columns, TTLOG_ECOL_INFO, &info) != 0 || info > UINT32_MAX ||
        take_varint(columns, TTLOG_ECOL_PAYLOAD_LENGTH, &length) != 0 || length > TTLOG_PAYLOAD_MAX ||
        take_varint(columns, TTLOG_ECOL_TICKET, &skipped) != 0 || take_varint(columns, TTLOG_ECOL_TSC, &skipped) != 0 ||
        take_varint(columns, TTLOG_ECOL_PRIVATE_LENGTH, &private_length) != 0 || private_length > TTLOG_PRIVATE_MAX)
        return -1;
    event->info = (uint32_t)info;
    event->payload_length = (uint16_t)length;
    event->private_length = (uint16_t)private_length;
    if (event->validity & (TTLOG_VALID_RCX | TTLOG_VALID_REGISTERS)) {
        const uint8_t *aux = take_bytes(columns, TTLOG_ECOL_AUX, sizeof(event->aux));
        if (aux == NULL)
            return -1;
        memcpy(&event->aux, aux, sizeof(event->aux));
    }
    event->payload = take_bytes(columns, TTLOG_ECOL_PAYLOAD, length);
    event->private_payload = take_bytes(columns, TTLOG_ECOL_PRIVATE, private_length);
    return event->payload == NULL || event->private_payload == NULL ? -1 : 0;
}

int ttd_columns_next(struct ttd_columns *columns, ttlog_event *event) {
    if (columns->left == 0) {
        for (int column = 0; column < TTLOG_EVENT_COLUMNS; column++)
            if (columns->next[column] != columns->end[column])
                return -1;
        return 0;
    }
    columns->left--;
    return take_position(columns, event) != 0 || take_payload(columns, event) != 0 ? -1 : 1;
}
