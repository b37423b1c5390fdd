/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "feeder.h"

#include <errno.h>
#include <string.h>

#include "failure.h"

static int misfit(const struct ttd_feeder *feeder, const ttlog_event *event, ttlog_error *error) {
    return ttd_fail(error, EBADMSG, "%s: not a log that Xen can replay: an event of kind %u (info 0x%x, %u bytes) at clock %llu",
                    feeder->path, event->kind, event->info, event->payload_length, (unsigned long long)event->clock);
}

static uint64_t word(const ttlog_event *event, uint32_t index) {
    uint64_t value;
    memcpy(&value, (const uint8_t *)event->payload + index * sizeof(value), sizeof(value));
    return value;
}

static uint64_t instructions(const struct ttd_feeder *feeder, const ttlog_event *event) {
    return event->validity & TTLOG_VALID_ICOUNT ? event->icount - feeder->icount : 0;
}

static int take_exit(struct ttd_feeder *feeder, const ttlog_event *event, ttlog_error *error) {
    struct ttd_record *record = &feeder->record;
    uint32_t bits = event->info & ((1u << TTLOG_EXIT_REASON_SHIFT) - 1);
    uint32_t known = TTLOG_EXIT_CHANGES | TTLOG_EXIT_OPERAND | TTLOG_EXIT_VALUE | TTLOG_EXIT_CODE;
    uint32_t count = (uint32_t)__builtin_popcount(bits & known), next = 0;
    if ((bits & ~known) != 0 || event->payload_length != count * sizeof(uint64_t) ||
        !(event->validity & TTLOG_VALID_IP) || !(event->validity & TTLOG_VALID_REGISTERS))
        return misfit(feeder, event, error);
    record->type = TTD_EXIT;
    record->kind = (uint8_t)(event->info >> TTLOG_EXIT_REASON_SHIFT);
    record->rip = event->ip;
    record->hash = (uint32_t)event->aux;
    record->instructions = instructions(feeder, event);
    record->mask = bits & TTLOG_EXIT_CHANGES;
    next = (uint32_t)__builtin_popcount(record->mask);
    record->length = next * (uint32_t)sizeof(uint64_t);
    memcpy(feeder->payload, event->payload, record->length);
    if (bits & TTLOG_EXIT_OPERAND)
        record->info = word(event, next++);
    if (bits & TTLOG_EXIT_VALUE)
        record->value = word(event, next++);
    if (bits & TTLOG_EXIT_CODE)
        record->code = (uint32_t)word(event, next);
    feeder->icount = event->icount;
    feeder->next_clock = event->clock + 1;
    return 1;
}

/* The position of an event that is no exit. */
static int take_place(struct ttd_feeder *feeder, const ttlog_event *event, ttlog_error *error) {
    struct ttd_record *record = &feeder->record;
    uint8_t placed = event->private_length > 0 ? *(const uint8_t *)event->private_payload : 0;
    int has_place = (event->validity & TTLOG_VALID_IP) && (event->validity & TTLOG_VALID_REGISTERS);
    if (placed > TTLOG_PLACED_WINDOW || (placed != 0) != has_place)
        return misfit(feeder, event, error);
    if (!has_place)
        return 1;
    record->flags = placed == TTLOG_PLACED_WINDOW ? TTD_AT_WINDOW : TTD_AT_ASYNC;
    record->rip = event->ip;
    record->hash = (uint32_t)event->aux;
    record->instructions = instructions(feeder, event);
    return 1;
}

static int take_interrupt(struct ttd_feeder *feeder, const ttlog_event *event, ttlog_error *error) {
    feeder->record.type = TTD_INTERRUPT;
    feeder->record.info = event->info;
    return event->info > UINT8_MAX ? misfit(feeder, event, error) : take_place(feeder, event, error);
}

static int take_write(struct ttd_feeder *feeder, const ttlog_event *event, ttlog_error *error) {
    struct ttd_record *record = &feeder->record;
    uint32_t area = event->info & 0xff, length = event->info >> TTLOG_WRITE_LENGTH_SHIFT & 0xffff;
    if (length == 0 || length > TTD_PAYLOAD_MAX || event->payload_length != sizeof(uint64_t) * (1 + (length + 7) / 8) ||
        area > TTD_AREAS || !(event->validity & TTLOG_VALID_ADDRESS))
        return misfit(feeder, event, error);
    record->type = area == TTLOG_AREA_MEMORY ? TTD_GUEST_WRITE : TTD_SHARED_WRITE;
    record->code = area == TTLOG_AREA_MEMORY ? 0 : area - 1;
    record->info = word(event, 0);
    record->length = length;
    memcpy(feeder->payload, (const uint8_t *)event->payload + sizeof(uint64_t), length);
    return take_place(feeder, event, error);
}

static int take_read(struct ttd_feeder *feeder, const ttlog_event *event, ttlog_error *error) {
    if (event->payload_length != 2 * sizeof(uint64_t) || !(event->validity & TTLOG_VALID_ADDRESS) ||
        !(event->validity & TTLOG_VALID_VALUE))
        return misfit(feeder, event, error);
    feeder->record.type = TTD_FOREIGN_READ;
    feeder->record.info = word(event, 0);
    feeder->record.value = word(event, 1);
    feeder->record.mask = event->info;
    return take_place(feeder, event, error);
}

/* Takes an event as the next record. Returns 1, 0 for an event that is no input, -1. */
static int take(struct ttd_feeder *feeder, const ttlog_event *event, ttlog_error *error) {
    feeder->record = (struct ttd_record){.clock = event->clock};
    switch (event->kind) {
    case TTLOG_EVENT_EXIT: return take_exit(feeder, event, error);
    case TTLOG_EVENT_INTERRUPT: return take_interrupt(feeder, event, error);
    case TTLOG_EVENT_FOREIGN_WRITE: return take_write(feeder, event, error);
    case TTLOG_EVENT_FOREIGN_READ: return take_read(feeder, event, error);
    case TTLOG_EVENT_PAGE_DIGESTS:
    case TTLOG_EVENT_CONTEXT: return 0;
    default: return misfit(feeder, event, error);
    }
}

static void take_end(struct ttd_feeder *feeder) {
    uint32_t reason;
    uint64_t clock;
    int is_known = ttd_log_end(feeder->log, &reason, &clock);
    feeder->record = (struct ttd_record){
        .type = TTD_END,
        .clock = is_known && clock >= feeder->next_clock ? clock : feeder->next_clock,
        .info = is_known && reason == TTLOG_END_GUEST_SHUTDOWN ? TTD_END_SHUTDOWN : TTD_END_STOPPED,
    };
}

/* Makes feeder->record the next record of the log. */
static int prepare(struct ttd_feeder *feeder, ttlog_error *error) {
    while (!feeder->has_record) {
        ttlog_event event;
        int more = ttd_log_next(feeder->log, &event, error);
        int taken = 1;
        if (more > 0)
            taken = take(feeder, &event, error);
        else if (more == 0)
            take_end(feeder);
        if (more < 0 || taken < 0)
            return -1;
        feeder->has_record = taken;
    }
    return 0;
}

int ttd_feeder_fill(struct ttd_feeder *feeder, struct ttd_view *view, ttlog_error *error) {
    int count = 0;
    while (!feeder->has_ended) {
        if (prepare(feeder, error) != 0)
            return -1;
        if (!ttd_view_put(view, &feeder->record, feeder->payload))
            break;
        feeder->has_record = 0;
        feeder->records++;
        count++;
        if (feeder->record.type == TTD_END) {
            feeder->has_ended = 1;
            __atomic_store_n(&view->ring->closed, 1, __ATOMIC_RELEASE);
        }
    }
    return count;
}
