/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recorder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"
#include "reasons.h"

/* Kept out of the way of exits: nearly all records are exits. */
#define RARE __attribute__((noinline))

_Static_assert((int)TTD_RIP == 16 && (int)TTD_RFLAGS == 17 && (int)TTD_INJECTED == 18 && (int)TTD_WORDS == 19,
               "the log has the ring's words");
_Static_assert((int)TTD_KIND_RDTSC == TTLOG_EXIT_RDTSC && (int)TTD_KIND_WRMSR == TTLOG_EXIT_WRMSR &&
                   (int)TTD_KIND_HYPERCALL == TTLOG_EXIT_HYPERCALL && (int)TTD_KIND_SHUTDOWN == TTLOG_EXIT_SHUTDOWN,
               "the log has the ring's kinds of exits");
_Static_assert((int)TTD_AREA_SHARED_INFO + 1 == TTLOG_AREA_SHARED_INFO && (int)TTD_AREA_PAGES + 1 == TTLOG_AREA_PAGES,
               "the log has the ring's areas, after guest memory");

/* A cell has 8,192 exits. One chunk holds them, and what lies between them. The space of the open file follows from CHUNK_MAX;
 * it is reserved at the start, page by page. There are no accesses. The level takes four fifths of level 3's instructions, for
 * 15 to 20 % more bytes. */
enum { CELL_SHIFT = 13, CHUNK_MAX = 10240, ACCESS_CHUNK_MAX = 1, COMPRESSION_LEVEL = -1, PAGES_PER_EVENT = 512 };

int ttd_recorder_open(struct ttd_recorder *recorder, const struct ttd_log_settings *settings, ttlog_error *error) {
    *recorder = (struct ttd_recorder){
        .counts_instructions = settings->counts_instructions,
        .is_pv = settings->is_pv,
    };
    ttlog_options options = {
        .run_kind = settings->run_kind,
        .clock = TTLOG_CLOCK_SYNCHRONOUS_ENTRIES,
        .mode = TTLOG_MODE_EVENTS,
        .event_cell_shift = CELL_SHIFT,
        .event_chunk_max = CHUNK_MAX,
        .access_chunk_max = ACCESS_CHUNK_MAX,
        .features = TTLOG_FEATURE_CAUSES | TTLOG_FEATURE_ACCESS_VALUES |
                    (settings->counts_instructions ? TTLOG_FEATURE_ICOUNT : 0) |
                    (settings->has_switches ? TTLOG_FEATURE_CONTEXT : 0) |
                    (settings->has_page_digests ? TTLOG_FEATURE_STATE_MEMORY : 0),
        .recorder = TTLOG_RECORDER_XEN,
        .recorder_generation = TTD_VERSION,
        .recorder_name = settings->recorder_name,
        .codec = TTLOG_CODEC_ZSTD,
        .compression_level = COMPRESSION_LEVEL,
    };
    memcpy(options.recording_uuid, settings->recording_uuid, sizeof(options.recording_uuid));
    recorder->writer = ttlog_writer_create(settings->path, &options, error);
    if (recorder->writer != NULL)
        recorder->track = ttlog_track_of(recorder->writer, TTLOG_STREAM_EVENT, 0);
    if (recorder->writer != NULL && settings->is_pv)
        ttlog_write_attribute(recorder->writer, TTD_GUEST_KEY, "pv");
    return recorder->writer == NULL ? -1 : 0;
}

static RARE int fail_write(const struct ttd_recorder *recorder, ttlog_error *error) {
    int code = ttlog_writer_error(recorder->writer);
    return ttd_fail(error, code, "the log takes no more records: %s", code != 0 ? strerror(code) : "they are out of order");
}

static inline int write_event(struct ttd_recorder *recorder, const ttlog_event *event, ttlog_error *error) {
    return ttlog_write_event(recorder->writer, TTLOG_STREAM_EVENT, 0, event) == 0 ? 0 : fail_write(recorder, error);
}

static void set_icount(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_event *event) {
    if (!recorder->counts_instructions)
        return;
    event->validity |= TTLOG_VALID_ICOUNT;
    event->icount = recorder->icount + record->instructions;
}

/* Copies the words of an exit. Returns their bytes, or -1 if it has another number of words than its mask says. */
static inline int take_words(const struct ttd_record *record, uint64_t *words) {
    uint32_t missing = record->mask, length = record->length, taken = 0;
    if ((missing & ~TTLOG_EXIT_CHANGES) != 0)
        return -1;
    for (; missing != 0 && taken < length; missing &= missing - 1) {
        memcpy((uint8_t *)words + taken, record->payload + taken, sizeof(*words));
        taken += sizeof(*words);
    }
    return missing == 0 && taken == length ? (int)taken : -1;
}

/* A hypercall. A PV guest that makes page tables handles machine frames, which another domain does not have. */
static RARE void note_frames(struct ttd_recorder *recorder, const struct ttd_record *record) {
    enum { MMU_UPDATE = 1, MULTICALL = 13, MMUEXT_OP = 26 };
    char text[128];
    if (!recorder->is_pv || recorder->sees_frames ||
        (record->info != MMU_UPDATE && record->info != MULTICALL && record->info != MMUEXT_OP))
        return;
    recorder->sees_frames = 1;
    snprintf(text, sizeof(text), "the guest handles machine frames, first in hypercall %llu at exit %llu",
             (unsigned long long)record->info, (unsigned long long)record->clock);
    ttlog_write_attribute(recorder->writer, TTD_RECORDING_ONLY_KEY, text);
}

/* A write of a control register. After one of cr3 the guest runs in another address space; the same value only flushes the TLB. */
static RARE int write_context(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_error *error) {
    enum { CR3 = 3 };
    if (record->info != CR3 || record->value == 0 || record->value == recorder->cr3)
        return 0;
    recorder->cr3 = record->value;
    ttlog_event event = {
        .kind = TTLOG_EVENT_CONTEXT,
        .validity = TTLOG_VALID_IP | TTLOG_VALID_VALUE,
        .clock = record->clock + 1,
        .ip = record->rip,
        .payload_length = sizeof(recorder->cr3),
        .payload = &recorder->cr3,
    };
    if (recorder->counts_instructions) {
        event.validity |= TTLOG_VALID_ICOUNT;
        event.icount = recorder->icount;
    }
    return write_event(recorder, &event, error);
}

static RARE int fail_words(const struct ttd_record *record, ttlog_error *error) {
    return ttd_fail(error, EBADMSG, "damaged ring: an exit with words 0x%x has %u bytes of them, at clock %llu",
                    record->mask, record->length, (unsigned long long)record->clock);
}

/* Most records are exits: they are made in the open file. */
static inline int write_exit(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_error *error) {
    struct ttlog_raw_event *event =
        ttlog_event_begin(recorder->track, record->clock, (TTD_WORDS + 3) * sizeof(uint64_t));
    if (event == NULL)
        return fail_write(recorder, error);
    uint64_t *words = (uint64_t *)(event + 1);
    int length = take_words(record, words);
    if (length < 0)
        return fail_words(record, error);
    uint64_t *next = words + (unsigned)length / sizeof(*words);
    uint32_t kind = record->kind, info = kind << TTLOG_EXIT_REASON_SHIFT | record->mask;
    uint32_t validity = TTLOG_VALID_IP | TTLOG_VALID_REGISTERS;
    if (record->info != 0) {
        *next++ = record->info;
        info |= TTLOG_EXIT_OPERAND;
    }
    if (record->value != 0 && (kind == TTD_KIND_WRMSR || kind == TTD_KIND_PORT_WRITE)) {
        *next++ = record->value;
        info |= TTLOG_EXIT_VALUE;
    }
    if (kind == TTD_KIND_OTHER && record->code != 0) {
        *next++ = record->code;
        info |= TTLOG_EXIT_CODE;
    }
    if (next != words)
        validity |= TTLOG_VALID_VALUE;
    uint64_t icount = 0;
    if (recorder->counts_instructions) {
        validity |= TTLOG_VALID_ICOUNT;
        icount = recorder->icount + record->instructions;
    }
    recorder->icount = icount;
    *event = (struct ttlog_raw_event){
        .kind = TTLOG_EVENT_EXIT,
        .validity = (uint16_t)validity,
        .payload_length = (uint16_t)((uintptr_t)next - (uintptr_t)words),
        .info = info,
        .clock = record->clock,
        .icount = icount,
        .ip = record->rip,
        .aux = record->hash,
    };
    if (kind == TTD_KIND_HYPERCALL)
        note_frames(recorder, record);
    recorder->exits++;
    ttlog_event_commit(recorder->track, event);
    return 0;
}

/* Where a record is that is no exit. Returns the private payload's length. */
static uint16_t place_event(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_event *event,
                            uint8_t *placed) {
    event->clock = record->clock;
    if ((record->flags & (TTD_AT_ASYNC | TTD_AT_WINDOW)) == 0)
        return 0;
    event->validity |= TTLOG_VALID_IP | TTLOG_VALID_REGISTERS;
    event->ip = record->rip;
    event->aux = record->hash;
    set_icount(recorder, record, event);
    *placed = record->flags & TTD_AT_WINDOW ? TTLOG_PLACED_WINDOW : TTLOG_PLACED_ANYWHERE;
    return 1;
}

static RARE int write_interrupt(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_error *error) {
    uint8_t placed;
    ttlog_event event = {.kind = TTLOG_EVENT_INTERRUPT, .info = (uint32_t)record->info, .private_payload = &placed};
    event.private_length = place_event(recorder, record, &event, &placed);
    recorder->interrupts++;
    return write_event(recorder, &event, error);
}

static RARE int write_memory(struct ttd_recorder *recorder, const struct ttd_record *record, uint32_t area,
                        ttlog_error *error) {
    uint64_t payload[1 + TTD_PAYLOAD_MAX / sizeof(uint64_t)];
    uint8_t placed;
    if (record->length == 0 || record->length > TTD_PAYLOAD_MAX)
        return ttd_fail(error, EBADMSG, "damaged ring: a write of %u bytes at clock %llu", record->length,
                        (unsigned long long)record->clock);
    uint32_t words = (record->length + 7) / 8;
    payload[0] = record->info;
    payload[words] = 0;
    memcpy(payload + 1, record->payload, record->length);
    ttlog_event event = {
        .kind = TTLOG_EVENT_FOREIGN_WRITE,
        .validity = TTLOG_VALID_ADDRESS | TTLOG_VALID_VALUE,
        .info = area | record->length << TTLOG_WRITE_LENGTH_SHIFT |
                ttd_reason_of_write(area, record->info, record->length) << TTLOG_WRITE_REASON_SHIFT,
        .payload_length = (uint16_t)(sizeof(uint64_t) * (1 + words)),
        .payload = payload,
        .private_payload = &placed,
    };
    event.private_length = place_event(recorder, record, &event, &placed);
    recorder->writes++;
    return write_event(recorder, &event, error);
}

static RARE int write_read(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_error *error) {
    uint64_t payload[] = {record->info, record->value};
    uint8_t placed;
    ttlog_event event = {
        .kind = TTLOG_EVENT_FOREIGN_READ,
        .validity = TTLOG_VALID_ADDRESS | TTLOG_VALID_VALUE,
        .info = record->mask,
        .payload_length = sizeof(payload),
        .payload = payload,
        .private_payload = &placed,
    };
    event.private_length = place_event(recorder, record, &event, &placed);
    recorder->reads++;
    return write_event(recorder, &event, error);
}

static const char *mismatch_text(uint32_t mismatch) {
    switch (mismatch) {
    case TTD_MISMATCH_EXIT: return "another exit or another state at it";
    case TTD_MISMATCH_MISSED: return "the guest is past the position of an event";
    case TTD_MISMATCH_HOT: return "the position of an event was not found";
    case TTD_MISMATCH_INPUT: return "a record of the recording does not fit here";
    case TTD_MISMATCH_SENT: return "what the guest sends";
    case TTD_MISMATCH_ENDED: return "the recording ended before the replay";
    default: return "unknown difference";
    }
}

/* The exit that the replay made in place of the recording's; it was not completed. */
static RARE int write_divergence(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_error *error) {
    struct ttd_divergence due;
    memset(&due, 0, sizeof(due));
    memcpy(&due, record->payload, record->length < sizeof(due) ? record->length : sizeof(due));
    snprintf(recorder->divergence, sizeof(recorder->divergence),
             "replay diverged: %s: now (clock:%llu, ip:0x%llx, hash:0x%08x), event (clock:%llu, ip:0x%llx, hash:0x%08x)",
             mismatch_text(record->mask), (unsigned long long)record->clock, (unsigned long long)record->rip,
             record->hash, (unsigned long long)due.clock, (unsigned long long)due.rip, due.hash);
    recorder->has_ended = recorder->has_diverged = 1;
    recorder->end_clock = record->clock;
    if (record->mask != TTD_MISMATCH_EXIT)
        return 0;
    struct ttd_record exit = *record;
    exit.mask = exit.length = exit.flags = 0;
    return write_exit(recorder, &exit, error);
}

int ttd_recorder_write(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_error *error) {
    if (record->type == TTD_EXIT && record->kind != TTD_KIND_CONTROL_WRITE)
        return write_exit(recorder, record, error);
    switch (record->type) {
    case TTD_EXIT:
        return write_exit(recorder, record, error) != 0 ? -1 : write_context(recorder, record, error);
    case TTD_INTERRUPT: return write_interrupt(recorder, record, error);
    case TTD_GUEST_WRITE: return write_memory(recorder, record, TTLOG_AREA_MEMORY, error);
    case TTD_SHARED_WRITE:
        if (record->code >= TTD_AREAS)
            return ttd_fail(error, EBADMSG, "damaged ring: a write to area %u at clock %llu", record->code,
                            (unsigned long long)record->clock);
        return write_memory(recorder, record, record->code + 1, error);
    case TTD_FOREIGN_READ: return write_read(recorder, record, error);
    case TTD_BREAK: return 0;
    case TTD_DIVERGED: return write_divergence(recorder, record, error);
    case TTD_END:
        recorder->has_ended = 1;
        recorder->end = (uint32_t)record->info;
        recorder->end_clock = record->clock;
        return 0;
    default:
        return ttd_fail(error, EBADMSG, "the ring has a record of unknown type %u at clock %llu", record->type,
                        (unsigned long long)record->clock);
    }
}

int ttd_recorder_write_pages(struct ttd_recorder *recorder, uint64_t clock, const struct ttd_page_digest *pages,
                             size_t count, ttlog_error *error) {
    uint64_t payload[1 + PAGES_PER_EVENT];
    for (size_t next = 0; next < count;) {
        uint64_t first = pages[next].gfn - pages[next].gfn % PAGES_PER_EVENT, words = 0;
        memset(payload, 0, sizeof(payload));
        payload[0] = first;
        for (; next < count && pages[next].gfn - first < PAGES_PER_EVENT; next++) {
            words = pages[next].gfn - first + 1;
            payload[words] = pages[next].hash;
        }
        ttlog_event event = {
            .kind = TTLOG_EVENT_PAGE_DIGESTS,
            .validity = TTLOG_VALID_ADDRESS | TTLOG_VALID_VALUE,
            .clock = clock,
            .payload_length = (uint16_t)(sizeof(uint64_t) * (1 + words)),
            .payload = payload,
        };
        if (write_event(recorder, &event, error) != 0)
            return -1;
    }
    return 0;
}

int ttd_recorder_close(struct ttd_recorder *recorder, uint32_t reason, const char *text, ttlog_error *error) {
    size_t length = strlen(text);
    ttlog_event event = {
        .kind = TTLOG_EVENT_RUN_END,
        .info = reason,
        .clock = recorder->end_clock,
        .icount = recorder->icount,
        .validity = recorder->counts_instructions ? TTLOG_VALID_ICOUNT : 0,
        .payload_length = (uint16_t)(length < TTLOG_PAYLOAD_MAX ? length : TTLOG_PAYLOAD_MAX),
        .payload = text,
    };
    ttlog_write_meta(recorder->writer, &event);
    int result = ttlog_writer_close(recorder->writer, error);
    recorder->writer = NULL;
    return result != 0 || error->code != 0 ? -1 : 0;
}
