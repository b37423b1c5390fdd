/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * recorder.c - see recorder.h.
 */
#include "recorder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api.h"

const struct ttd_block ttd_no_block = {.fall_through = UINT64_MAX, .target = UINT64_MAX};

struct ttd_recorder ttd_recorder __attribute__((aligned(64))) = {
    .previous = &ttd_no_block, .stopped = 1, .counters = &ttd_recorder.own, .promised = UINT64_MAX};

void ttd_tell(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char line[1400];
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "ttd: %s\n", line);
}

/* 16-bit code is at cs base + ip. If ip is below 64 KiB, the address in the description is used: no 32-bit or 64-bit
 * program is there. */
uint64_t ttd_recorder_true_address(const struct ttd_block *block) {
    uint64_t rip = ttd_api_read_register(TTD_REGISTER_RIP);
    return rip < 0x10000 ? block->address : rip;
}

void ttd_recorder_event(uint8_t stream, uint16_t kind, uint16_t validity, uint32_t info, uint64_t ip, uint64_t icount,
                        const uint64_t *payload, uint16_t words) {
    struct ttd_recorder *recorder = &ttd_recorder;
    if (!ttd_recorder_begin(recorder)) {
        return;
    }
    ttlog_event event = {
        .kind = kind,
        .validity = validity,
        .payload_length = (uint16_t)(words * sizeof *payload),
        .info = info,
        .clock = recorder->lane->clock,
        .icount = icount,
        .ip = ip,
        .payload = payload,
    };
    if (ttlog_write_event(recorder->writer, stream, 0, &event) == 0 && recorder->oracle) {
        recorder->oracle[1]++;
    }
    ttd_recorder_end(recorder);
}

void ttd_recorder_roll(struct ttd_recorder *recorder, uint64_t from, uint64_t to, uint64_t icount, uint8_t label) {
    ttlog_branch(recorder->lane, from, to, icount, label);
    if (recorder->oracle && recorder->lane->commit && ttlog_writer_error(recorder->writer) == 0) {
        recorder->oracle[0]++;
    }
    ttd_recorder_end(recorder);
}

/* Reports the first logging error once; the run may continue for hours. */
static void report_first_error(struct ttd_recorder *recorder) {
    static bool reported;
    int code = reported ? 0 : ttlog_writer_error(recorder->writer);
    if (code != 0) {
        reported = true;
        ttd_tell("%s: %s; the logging has ended, further records are only counted, the guest continues", recorder->path,
                 strerror(code));
    }
}

void ttd_recorder_publish(struct ttd_recorder *recorder, uint64_t icount) {
    if (icount - recorder->published_at >= 1000000 && ttd_recorder_begin(recorder)) {
        recorder->published_at = icount;
        ttlog_lane_publish(recorder->lane, icount);
        report_first_error(recorder);
        ttd_recorder_end(recorder);
    }
}

void ttd_recorder_abandon_positions(const char *why) {
    struct ttd_recorder *recorder = &ttd_recorder;
    if (__atomic_load_n(&recorder->stopped, __ATOMIC_RELAXED)) {
        return;
    }
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_TRACE_GAP, TTLOG_VALID_ICOUNT, TTLOG_GAP_UNKNOWN, 0,
                       ttd_recorder_icount(), NULL, 0);
    __atomic_store_n(&recorder->stopped, 1, __ATOMIC_SEQ_CST);
    ttd_tell("%s: %s; the logging has ended, the guest continues", recorder->path, why);
}
