/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "guardian.h"
#include "session.h"

/* Settings of a recording that its replay must repeat are attributes of the log. */
static const char digests_key[] = "xen.digests", shift_key[] = "xen.tsc-shift",
                  counter_key[] = "xen.counter";

static const uint32_t counts = TTD_OPTION_COUNT | TTD_OPTION_COUNT_BRANCHES | TTD_OPTION_COUNT_INSTRUCTIONS;

/* What the processor's counter counts; NULL for the TSC under -icount, or without a counter. */
static const char *counter_of(const struct ttd_start *start) {
    if (start->options & TTD_OPTION_COUNT_BRANCHES)
        return "branches";
    return start->options & TTD_OPTION_COUNT_INSTRUCTIONS ? "instructions" : NULL;
}

/* Refuses a log of another guest: an attribute that the caller names has another value in the log. */
static int check_guest(const struct ttd_options *options, const struct ttd_log *log, ttlog_error *error) {
    for (size_t i = 0; i < options->attribute_count; i++) {
        const char *text = options->attributes[i], *value = strchr(text, '=') + 1;
        char key[256];
        snprintf(key, sizeof(key), "%.*s", (int)(value - 1 - text), text);
        const char *recorded = ttd_log_attribute(log, key);
        if (recorded != NULL && strcmp(recorded, value) != 0 && !options->is_forced)
            return ttd_fail(error, EINVAL, "%s: a log of another guest: its %s is %.100s, that of this domain is %.100s; "
                            "--force replays it nevertheless", options->from, key, recorded, value);
    }
    return 0;
}

static uint64_t number_attribute(const struct ttd_log *log, const char *key) {
    const char *value = ttd_log_attribute(log, key);
    return value != NULL ? strtoull(value, NULL, 10) : 0;
}

/* Takes the settings of the recording for its replay. */
static int repeat_settings(struct ttd_start *start, const struct ttd_log *log, ttlog_error *error) {
    uint64_t digests = number_attribute(log, digests_key), shift = number_attribute(log, shift_key);
    if (ttd_log_header(log)->features & TTLOG_FEATURE_CONTEXT)
        start->options |= TTD_OPTION_SWITCHES;
    if (start->break_every == 0)
        start->break_every = digests;
    if (!(ttd_log_header(log)->features & TTLOG_FEATURE_ICOUNT))
        return 0;
    const char *counter = ttd_log_attribute(log, counter_key);
    if (counter != NULL) {
        start->options |= strcmp(counter, "branches") == 0 ? TTD_OPTION_COUNT_BRANCHES : TTD_OPTION_COUNT_INSTRUCTIONS;
        return 0;
    }
    if (shift > 10)
        return ttd_fail(error, EINVAL, "the recording's %s is %" PRIu64 ", above 10", shift_key, shift);
    start->options |= TTD_OPTION_COUNT;
    start->tsc_shift = (uint32_t)shift;
    return 0;
}

/* Refuses a log of another interface with the hypervisor, whose hashes of registers differ, and one that is a recording only: a
 * PV guest that handled machine frames. */
static int check_replayable(const struct ttd_options *options, const struct ttd_log *log, ttlog_error *error) {
    unsigned generation = ttd_log_header(log)->recorder_generation;
    if (generation != TTD_VERSION && !options->is_forced)
        return ttd_fail(error, EOPNOTSUPP, "%s: recorded with interface %u of the hypervisor; this is interface %u, whose "
                        "hashes of registers are others. Replay it with the Xen that recorded it", options->from, generation,
                        TTD_VERSION);
    const char *why = ttd_log_attribute(log, TTD_RECORDING_ONLY_KEY);
    if (why == NULL || options->is_forced)
        return 0;
    return ttd_fail(error, EOPNOTSUPP, "%s: a recording only, which cannot be replayed: %.200s. Frames differ in every domain; a "
                    "PVH guest has none. --force replays as far as the runs agree", options->from, why);
}

/* A log of a PV guest needs a PV guest, and the other way round. */
static int check_kind(const struct ttd_options *options, const struct ttd_log *log, int is_pv, ttlog_error *error) {
    if ((ttd_log_attribute(log, TTD_GUEST_KEY) != NULL) == is_pv)
        return 0;
    return ttd_fail(error, EINVAL, "%s: a log of a %s guest; this domain is a %s guest", options->from,
                    is_pv ? "PVH" : "PV", is_pv ? "PV" : "PVH");
}

/* Writing a log over the recording that it is replayed from would destroy it. */
static int check_paths(const struct ttd_options *options, ttlog_error *error) {
    struct stat log, from;
    if (options->from == NULL || stat(options->log, &log) != 0 || stat(options->from, &from) != 0 ||
        log.st_dev != from.st_dev || log.st_ino != from.st_ino)
        return 0;
    return ttd_fail(error, EINVAL, "%s: the recording itself; -f names another log for the replay", options->log);
}

static void write_attributes(const struct ttd_options *options, const struct ttd_start *start, ttlog_writer *writer) {
    char text[32];
    const char *domain = start->is_replay ? options->replay : options->record;
    ttlog_write_attribute(writer, "xen.domain", domain);
    snprintf(text, sizeof(text), "%" PRIu64, start->break_every);
    if (start->break_every != 0)
        ttlog_write_attribute(writer, digests_key, text);
    snprintf(text, sizeof(text), "%u", start->tsc_shift);
    if (start->options & TTD_OPTION_COUNT)
        ttlog_write_attribute(writer, shift_key, text);
    if (counter_of(start) != NULL)
        ttlog_write_attribute(writer, counter_key, counter_of(start));
    for (size_t i = 0; i < options->attribute_count; i++) {
        const char *value = strchr(options->attributes[i], '=');
        char key[256];
        snprintf(key, sizeof(key), "%.*s", (int)(value - options->attributes[i]), options->attributes[i]);
        ttlog_write_attribute(writer, key, value + 1);
    }
}

/* The recording's UUID: a replay repeats that of its recording. */
static void choose_uuid(const struct ttd_options *options, const struct ttd_log *from, uint8_t *uuid) {
    static const uint8_t none[16];
    memcpy(uuid, from != NULL ? ttd_log_header(from)->recording_uuid : options->uuid, sizeof(none));
    if (from == NULL && memcmp(uuid, none, sizeof(none)) == 0 && getrandom(uuid, sizeof(none), 0) != sizeof(none))
        memset(uuid, 0, sizeof(none));
}

static int open_logs(const struct ttd_options *options, const struct ttd_start *start, struct ttd_session *session,
                     ttlog_error *error) {
    const struct ttd_log *from = session->feeder != NULL ? session->feeder->log : NULL;
    char name[64];
    snprintf(name, sizeof(name), "xen, ttd-deviced, interface %u", TTD_VERSION);
    struct ttd_log_settings settings = {
        .path = options->log,
        .run_kind = start->is_replay ? TTLOG_RUN_REPLAY : TTLOG_RUN_RECORDING,
        .counts_instructions = (start->options & counts) != 0,
        .has_page_digests = start->break_every != 0,
        .has_switches = (start->options & TTD_OPTION_SWITCHES) != 0,
        .is_pv = session->is_pv,
        .recorder_name = name,
    };
    choose_uuid(options, from, settings.recording_uuid);
    if (ttd_recorder_open(&session->recorder, &settings, error) != 0)
        return -1;
    struct ttd_window_settings window = {start->branches_from, start->branches_to, start->branches_limit,
                                         start->branch_source};
    if (window.to == 0)
        return 0;
    session->branches = ttd_branch_log_open(&settings, &window, error);
    return session->branches == NULL ? -1 : 0;
}

/* Starts the machine, opens the log and runs the session. */
static int run_session(const struct ttd_options *options, struct ttd_start *start, struct ttd_session *session,
                       const volatile sig_atomic_t *stop, const struct ttd_observer *observer,
                       ttlog_error *error) {
    struct ttd_rings rings = {0};
    struct ttd_machine *machine = session->machine;
    if (machine->calls->start(machine, start, &rings, error) != 0 ||
        ttd_view_open(&session->out, rings.out, rings.out_size, 0, error) != 0)
        return -1;
    if (session->feeder != NULL && (check_kind(options, session->feeder->log, rings.is_pv, error) != 0 ||
                                    ttd_view_open(&session->in, rings.in, rings.in_size, 1, error) != 0))
        return -1;
    session->is_pv = rings.is_pv;
    if (open_logs(options, start, session, error) != 0)
        return -1;
    write_attributes(options, start, session->recorder.writer);
    if (session->branches != NULL)
        write_attributes(options, start, session->branches->recorder.writer);
    if (ttd_console_open(&session->console, options->console, error) != 0)
        return -1;
    session->digest_every = start->break_every;
    session->on_pause = observer->paused;
    if (session->feeder != NULL && ttd_feeder_fill(session->feeder, &session->in, error) < 0)
        return -1;
    observer->started();
    return ttd_session_run(session, stop, error);
}

static void describe(const struct ttd_session *session, const char *log, char *text, size_t size) {
    const struct ttd_recorder *recorder = &session->recorder;
    snprintf(text, size, "%s; %" PRIu64 " exits, %" PRIu64 " interrupts, %" PRIu64 " writes, %" PRIu64
             " reads, %" PRIu64 " digests of memory, held %" PRIu64 " times, lost %" PRIu64 " records; log: %s",
             session->text, recorder->exits, recorder->interrupts, recorder->writes, recorder->reads, recorder->page_digests,
             session->out.ring != NULL ? session->out.ring->held : 0,
             session->out.ring != NULL ? session->out.ring->lost : 0, log);
    if (recorder->sees_frames) {
        size_t length = strlen(text);
        snprintf(text + length, size - length, "; a recording only: the guest handles machine frames");
    }
    if (session->branches != NULL)
        ttd_branch_log_describe(session->branches, text + strlen(text), size - strlen(text));
}

/* Whether a replay ended before its recording did, and not where it was to pause. */
static int is_cut_short(const struct ttd_session *session) {
    return session->feeder != NULL && !session->recorder.has_diverged && !session->is_paused &&
           session->recorder.end != TTD_END_COMPLETE;
}

static enum ttd_result result_of(const struct ttd_session *session) {
    if (is_cut_short(session))
        return TTD_RESULT_TROUBLE;
    switch (session->reason) {
    case TTLOG_END_DIVERGED: return TTD_RESULT_DIVERGED;
    case TTLOG_END_HOST_ERROR:
    case TTLOG_END_UNKNOWN: return TTD_RESULT_TROUBLE;
    default: return TTD_RESULT_DONE;
    }
}

/* Runs the session of a machine; the log of a failed one is closed too. */
static enum ttd_result run_machine(const struct ttd_options *options, struct ttd_session *session,
                                   const volatile sig_atomic_t *stop, const struct ttd_observer *observer,
                                   char *text, size_t size) {
    ttlog_error error = {0}, close_error = {0};
    struct ttd_start start = options->start;
    int failed = session->feeder != NULL && repeat_settings(&start, session->feeder->log, &error) != 0;
    if (!failed)
        failed = run_session(options, &start, session, stop, observer, &error) != 0;
    if (failed) {
        session->reason = TTLOG_END_HOST_ERROR;
        snprintf(session->text, sizeof(session->text), "%.250s", error.message);
        snprintf(text, size, "%s", error.message);
    } else {
        describe(session, options->log, text, size);
    }
    if (session->recorder.writer != NULL &&
        ttd_recorder_close(&session->recorder, session->reason, session->text, &close_error) != 0) {
        size_t length = strlen(text);
        snprintf(text + length, size - length, "; %s", close_error.message);
        failed = 1;
    }
    close_error = (ttlog_error){0};
    if (ttd_branch_log_close(session->branches, &close_error) != 0) {
        size_t length = strlen(text);
        snprintf(text + length, size - length, "; %s", close_error.message);
        failed = 1;
    }
    ttd_console_close(&session->console, text, size);
    return failed ? TTD_RESULT_TROUBLE : result_of(session);
}

/* The log to replay. A copy of it, if it needs one, is beside the log to write. */
static struct ttd_log *open_recording(const struct ttd_options *options, ttlog_error *error) {
    char copy[4096];
    if ((size_t)snprintf(copy, sizeof(copy), "%s.recovered", options->log) >= sizeof(copy)) {
        ttd_fail(error, ENAMETOOLONG, "%s: the path is too long", options->log);
        return NULL;
    }
    return ttd_log_open(options->from, copy, error);
}

enum ttd_result ttd_run(const struct ttd_options *options, const volatile sig_atomic_t *stop,
                        const struct ttd_observer *observer, char *text, size_t size) {
    ttlog_error error = {0};
    struct ttd_session *session = calloc(1, sizeof(*session));
    struct ttd_feeder *feeder = calloc(1, sizeof(*feeder));
    enum ttd_result result = TTD_RESULT_TROUBLE;
    struct ttd_guardian guardian = {.is_there = 0};
    const char *domain = options->replay != NULL ? options->replay : options->record;
    if (session == NULL || feeder == NULL) {
        ttd_fail(&error, ENOMEM, "no memory");
    } else if (check_paths(options, &error) == 0 && ttd_guardian_start(&guardian, options, &error) == 0) {
        if (options->from != NULL) {
            feeder->path = options->from;
            feeder->log = open_recording(options, &error);
            session->feeder = feeder;
        }
        if (options->from == NULL || (feeder->log != NULL && check_replayable(options, feeder->log, &error) == 0 &&
                                      check_guest(options, feeder->log, &error) == 0))
            session->machine = options->rings != NULL ? ttd_machine_files(options->rings, &error)
                                                      : ttd_machine_xen(domain, &error);
    }
    snprintf(text, size, "%s", error.message);
    if (session != NULL && session->machine != NULL) {
        session->break_at = options->pause_at;
        result = run_machine(options, session, stop, observer, text, size);
        session->machine->calls->close(session->machine);
    }
    ttd_guardian_dismiss(&guardian);
    if (feeder != NULL)
        ttd_log_close(feeder->log);
    free(feeder);
    free(session);
    return result;
}
