/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "branch_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The recorder of QEMU knows what an instruction is; the hypervisor gives its bytes. */
#include "../../qemu/plugin/decode.h"
#include "failure.h"
#include "machine.h"

struct ttd_branch_log *ttd_branch_log_open(const struct ttd_log_settings *settings,
                                           const struct ttd_window_settings *window, ttlog_error *error) {
    struct ttd_branch_log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        ttd_fail(error, ENOMEM, "no memory");
        return NULL;
    }
    log->window = *window;
    bool counts = window->source == TTD_SOURCE_STEP;
    size_t length = (size_t)snprintf(log->path, sizeof(log->path), "%s.branches", settings->path);
    ttlog_options options = {
        .run_kind = settings->run_kind,
        .clock = TTLOG_CLOCK_TRANSITIONS,
        .mode = TTLOG_MODE_BRANCHES,
        .features = TTLOG_FEATURE_BRANCHES | (counts ? TTLOG_FEATURE_ICOUNT | TTLOG_FEATURE_LABELS : 0),
        .recorder = TTLOG_RECORDER_XEN,
        .recorder_generation = TTD_VERSION,
        .recorder_name = settings->recorder_name,
        .codec = TTLOG_CODEC_ZSTD,
    };
    memcpy(options.recording_uuid, settings->recording_uuid, sizeof(options.recording_uuid));
    if (length >= sizeof(log->path))
        ttd_fail(error, ENAMETOOLONG, "%s: the path is too long", settings->path);
    else
        log->recorder.writer = ttlog_writer_create(log->path, &options, error);
    if (log->recorder.writer == NULL) {
        free(log);
        return NULL;
    }
    log->recorder.track = ttlog_track_of(log->recorder.writer, TTLOG_STREAM_EVENT, 0);
    log->lane = ttlog_writer_lane(log->recorder.writer, 0);
    char text[96];
    snprintf(text, sizeof(text), "%" PRIu64 "..%" PRIu64, window->from, window->to);
    ttlog_write_attribute(log->recorder.writer, "xen.window", text);
    ttlog_write_attribute(log->recorder.writer, "xen.branch-source", ttd_source_name(window->source));
    return log;
}

static uint8_t label_of(const struct ttd_branch *branch) {
    struct ttd_instruction decoded;
    if (branch->size == 0 || branch->size > sizeof(branch->bytes))
        return TTLOG_BRANCH_UNKNOWN;
    ttd_decode(branch->bytes, branch->size, branch->from, &decoded);
    if (decoded.has_static_target && ttd_target_explains(decoded.target, branch->to))
        return decoded.branch_class | TTLOG_LABEL_STATIC;
    return decoded.branch_class;
}

/* As the recorder of QEMU does: a transition that no branch explains is an event too. */
static int write_discontinuity(struct ttd_branch_log *log, const struct ttd_branch *branch, uint8_t label) {
    ttlog_event event = {
        .kind = TTLOG_EVENT_DISCONTINUITY,
        .validity = TTLOG_VALID_IP | TTLOG_VALID_ICOUNT | TTLOG_VALID_VALUE,
        .info = label,
        .clock = log->lane->clock,
        .icount = branch->instructions - 1,
        .ip = branch->from,
        .payload_length = sizeof(branch->to),
        .payload = &branch->to,
    };
    return ttlog_write_event(log->recorder.writer, TTLOG_STREAM_EVENT, 0, &event);
}

/* Branches may be missing here. Between two of them there need be no branch. */
static void write_gap(struct ttd_branch_log *log) {
    ttlog_event event = {.kind = TTLOG_EVENT_TRACE_GAP, .info = TTLOG_GAP_UNKNOWN, .clock = log->lane->clock};
    if (ttlog_write_event(log->recorder.writer, TTLOG_STREAM_EVENT, 0, &event) == 0)
        ttlog_begin_epoch(log->recorder.writer, 0, log->lane->clock);
    log->gaps++;
}

static int write_branches(struct ttd_branch_log *log, const struct ttd_record *record, ttlog_error *error) {
    struct ttd_branch branch;
    if (record->length % sizeof(branch) != 0)
        return ttd_fail(error, EBADMSG, "damaged ring: %u bytes of branches at clock %" PRIu64, record->length,
                        record->clock);
    for (uint32_t at = 0; at < record->length; at += sizeof(branch)) {
        memcpy(&branch, record->payload + at, sizeof(branch));
        bool counted = log->window.source != TTD_SOURCE_STEP || branch.instructions != 0;
        if (!counted || branch.instructions < log->instructions || branch.instructions >> 56 != 0)
            return ttd_fail(error, EBADMSG, "damaged ring: a branch after %" PRIu64 " instructions at clock %" PRIu64,
                            branch.instructions, record->clock);
        log->instructions = branch.instructions;
        uint8_t label = label_of(&branch);
        if (ttlog_label_is_discontinuity(label) && write_discontinuity(log, &branch, label) != 0)
            break;
        ttlog_branch(log->lane, branch.from, branch.to, branch.instructions, label);
        log->branches++;
    }
    if (record->kind == TTD_WINDOW_GAP) {
        write_gap(log);
    } else if (record->kind != TTD_WINDOW_GOES_ON) {
        log->end = record->kind;
        log->end_clock = record->clock;
        log->instructions = record->info;
    }
    int code = ttlog_writer_error(log->recorder.writer);
    return code == 0 ? 0 : ttd_fail(error, code, "%s: the log takes no more branches: %s", log->path, strerror(code));
}

int ttd_branch_log_write(struct ttd_branch_log *log, const struct ttd_record *record, ttlog_error *error) {
    _Alignas(struct ttd_record) uint8_t copy[sizeof(*record) + TTD_PAYLOAD_MAX];
    if (log->end != TTD_WINDOW_GOES_ON)
        return 0;
    if (record->type == TTD_BRANCHES)
        return write_branches(log, record, error);
    if (record->clock < log->window.from || record->clock >= log->window.to || record->length > TTD_PAYLOAD_MAX)
        return 0;
    switch (record->type) {
    case TTD_EXIT:
    case TTD_INTERRUPT:
    case TTD_GUEST_WRITE:
    case TTD_SHARED_WRITE: break;
    default: return 0;
    }
    memcpy(copy, record, sizeof(*record) + record->length);
    ((struct ttd_record *)copy)->clock = log->lane->clock;
    return ttd_recorder_write(&log->recorder, (struct ttd_record *)copy, error);
}

static const char *end_text(uint32_t end) {
    switch (end) {
    case TTD_WINDOW_GOES_ON: return "the window did not begin or did not end";
    case TTD_WINDOW_REACHED: return "the window's end";
    case TTD_WINDOW_LIMIT: return "the limit of instructions";
    case TTD_WINDOW_ENDED: return "the replay's end";
    case TTD_WINDOW_STEPS: return "the guest set the trap flag";
    case TTD_WINDOW_SEGMENT: return "code with a segment base, or 16-bit code";
    case TTD_WINDOW_LOST: return "a step that did not stop: the last branches are missing";
    default: return "an unknown reason";
    }
}

void ttd_branch_log_describe(const struct ttd_branch_log *log, char *text, size_t size) {
    char what[96];
    if (log->window.source == TTD_SOURCE_STEP)
        snprintf(what, sizeof(what), "of %" PRIu64 " instructions", log->instructions);
    else
        snprintf(what, sizeof(what), "with %" PRIu64 " gaps", log->gaps);
    snprintf(text, size, "; %" PRIu64 " branches %s, to %s: %s", log->branches, what, end_text(log->end), log->path);
}

int ttd_branch_log_close(struct ttd_branch_log *log, ttlog_error *error) {
    if (log == NULL)
        return 0;
    ttlog_event event = {
        .kind = TTLOG_EVENT_RUN_END,
        .info = TTLOG_END_HOST_QUIT,
        .clock = log->lane->clock,
        .icount = log->instructions,
        .validity = TTLOG_VALID_ICOUNT,
        .payload = end_text(log->end),
        .payload_length = (uint16_t)strlen(end_text(log->end)),
    };
    ttlog_write_meta(log->recorder.writer, &event);
    int result = ttlog_writer_close(log->recorder.writer, error);
    free(log);
    return result != 0 || error->code != 0 ? -1 : 0;
}
