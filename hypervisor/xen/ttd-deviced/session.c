/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loop: take records to the log, give their memory back once the log has them, feed a replay, wait.
 */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"

enum {
    BATCH = 1024,             /* records until the ring's memory is given back */
    WAIT_MS = 50,
    STOP_WAITS = 100,         /* waits for END after a stop */
    DIGESTS_PER_CALL = 4096,
};

/* Writes digests of all pages of the guest, which is paused at a break. A guest that was destroyed there has no more: the ring
 * or its end says so. */
static int digest_memory(struct ttd_session *session, uint64_t clock, ttlog_error *error) {
    static struct ttd_page_digest pages[DIGESTS_PER_CALL];
    struct ttd_machine *machine = session->machine;
    for (uint64_t gfn = 0; gfn != ~0ull;) {
        int count = machine->calls->digest(machine, &gfn, pages, DIGESTS_PER_CALL, error);
        if (count < 0 && error->code == ESRCH) {
            *error = (ttlog_error){0};
            return 0;
        }
        if (count < 0 ||
            ttd_recorder_write_pages(&session->recorder, clock, pages, (size_t)count, error) != 0)
            return -1;
    }
    session->recorder.page_digests++;
    return 0;
}

static int take_break(struct ttd_session *session, uint64_t clock, ttlog_error *error) {
    if (session->digest_every != 0 && clock % session->digest_every == 0 && digest_memory(session, clock, error) != 0)
        return -1;
    session->is_paused = session->break_at != 0 && clock >= session->break_at;
    if (session->is_paused)
        session->on_pause(clock);
    else
        session->machine->calls->resume(session->machine);
    return 0;
}

static void give_back(struct ttd_session *session) {
    ttd_view_release(&session->out);
    if (ttd_view_is_waited_for(&session->out))
        session->machine->calls->wake(session->machine);
}

static int write_record(struct ttd_session *session, const struct ttd_record *record, ttlog_error *error) {
    if (record->type == TTD_EXIT && session->branches == NULL)
        return ttd_recorder_write(&session->recorder, record, error);
    if (record->type == TTD_CONSOLE) {
        ttd_console_write(&session->console, record);
        return 0;
    }
    if (session->branches != NULL && ttd_branch_log_write(session->branches, record, error) != 0)
        return -1;
    return record->type == TTD_BRANCHES ? 0 : ttd_recorder_write(&session->recorder, record, error);
}

/* Takes what the out ring holds. Returns the number of records, or -1 with *error. */
static int drain(struct ttd_session *session, ttlog_error *error) {
    int count = 0;
    const struct ttd_record *record = NULL;
    while (!session->recorder.has_ended) {
        int more = ttd_view_next(&session->out, &record, error);
        if (more < 0 || (more > 0 && write_record(session, record, error) != 0))
            return -1;
        if (more > 0 && record->type == TTD_BREAK && take_break(session, record->clock, error) != 0)
            return -1;
        if (more == 0)
            break;
        if (++count % BATCH == 0)
            give_back(session);
    }
    give_back(session);
    return count;
}

static int feed(struct ttd_session *session, ttlog_error *error) {
    if (session->feeder == NULL)
        return 0;
    int count = ttd_feeder_fill(session->feeder, &session->in, error);
    if (count != 0 && ttd_view_is_waited_for(&session->in))
        session->machine->calls->wake(session->machine);
    return count;
}

static void end_with(struct ttd_session *session, uint32_t reason, const char *text) {
    session->reason = reason;
    snprintf(session->text, sizeof(session->text), "%s", text);
}

static void end_shutdown(struct ttd_session *session) {
    switch (session->machine->calls->shutdown_reason(session->machine)) {
    case 1: end_with(session, TTLOG_END_GUEST_RESET, "the guest asked for a reset"); break;
    case 3: end_with(session, TTLOG_END_GUEST_PANIC, "the guest crashed"); break;
    default: end_with(session, TTLOG_END_GUEST_SHUTDOWN, "the guest shut down"); break;
    }
}

/* A replay that reached its recording's end ended as the recording did. */
static void end_complete(struct ttd_session *session) {
    uint32_t reason = TTLOG_END_INPUT_EXHAUSTED;
    uint64_t clock;
    if (session->feeder == NULL || !ttd_log_end(session->feeder->log, &reason, &clock))
        reason = TTLOG_END_INPUT_EXHAUSTED;
    end_with(session, reason, "the replay reached its recording's end");
}

/* Notes how the session ended, from its END record. */
static void note_end(struct ttd_session *session) {
    if (session->recorder.has_diverged) {
        end_with(session, TTLOG_END_DIVERGED, session->recorder.divergence);
        return;
    }
    switch (session->recorder.end) {
    case TTD_END_SHUTDOWN: end_shutdown(session); break;
    case TTD_END_COMPLETE: end_complete(session); break;
    case TTD_END_STOPPED: end_with(session, TTLOG_END_HOST_QUIT, "the operator ended it"); break;
    case TTD_END_DESTROYED: end_with(session, TTLOG_END_HOST_QUIT, "the domain was destroyed"); break;
    case TTD_END_NO_ROOM:
        end_with(session, TTLOG_END_HOST_ERROR, "the ring was full where the guest could not wait: use more --pages");
        break;
    case TTD_END_UNSUPPORTED:
        end_with(session, TTLOG_END_HOST_ERROR,
                 "the guest did something that cannot be recorded; `xl dmesg` shows what it was");
        break;
    default: end_with(session, TTLOG_END_UNKNOWN, "the hypervisor ended it for an unknown reason"); break;
    }
}

/* The guest's memory at the end, if memory is digested at all. */
static int digest_end(struct ttd_session *session, ttlog_error *error) {
    const struct ttd_recorder *recorder = &session->recorder;
    int is_whole = !recorder->has_diverged && (recorder->end == TTD_END_SHUTDOWN || recorder->end == TTD_END_COMPLETE);
    return session->digest_every != 0 && is_whole ? digest_memory(session, recorder->end_clock, error) : 0;
}

/* Whether the loop goes on after it found nothing to do. */
static int should_wait(struct ttd_session *session, const volatile sig_atomic_t *stop, int *waits_left) {
    struct ttd_machine *machine = session->machine;
    if (*stop && !session->is_stopping) {
        session->is_stopping = 1;
        machine->calls->stop(machine);
        return 1;
    }
    if (session->is_stopping && --*waits_left == 0) {
        end_with(session, TTLOG_END_HOST_QUIT, "the operator ended it; the hypervisor did not confirm the end");
        return 0;
    }
    if (session->is_gone) {
        /* A ring that was closed without an END had no room for it. */
        session->recorder.end = TTD_END_NO_ROOM;
        if (ttd_view_is_closed(&session->out))
            note_end(session);
        else
            end_with(session, TTLOG_END_HOST_QUIT, "the domain is gone");
        return 0;
    }
    /* Its last records may have come since the ring was read: look once more. */
    session->is_gone = ttd_view_is_closed(&session->out) || !machine->calls->is_alive(machine);
    if (!session->is_gone)
        machine->calls->wait(machine, WAIT_MS);
    return 1;
}

int ttd_session_run(struct ttd_session *session, const volatile sig_atomic_t *stop, ttlog_error *error) {
    int waits_left = STOP_WAITS;
    for (;;) {
        int fed = feed(session, error);
        int taken = fed < 0 ? -1 : drain(session, error);
        if (taken < 0) {
            session->machine->calls->stop(session->machine);
            return -1;
        }
        if (session->recorder.has_ended) {
            note_end(session);
            return digest_end(session, error);
        }
        if (fed == 0 && taken == 0 && !should_wait(session, stop, &waits_left))
            return 0;
    }
}
