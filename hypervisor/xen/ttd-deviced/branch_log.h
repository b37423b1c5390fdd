/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * branch_log.h - the branch window of a replay, as a log of its own: LOG.branches.
 *
 * The clock of a log of Xen counts synchronous exits, the clock of branches counts transitions, and a log has one clock.
 * So the window's log has the clock of a log of QEMU. It has the branches, and the exits, interrupts and writes of the
 * window as events at their place between the branches.
 */
#ifndef TTD_BRANCH_LOG_H
#define TTD_BRANCH_LOG_H

#include "recorder.h"

struct ttd_window_settings {
    uint64_t from, to; /* clocks of the replay: from the entry with clock `from` to the exit that makes it `to` */
    uint64_t limit;    /* instructions; 0: none */
    uint32_t source;   /* enum ttd_source. All but steps: instructions are not known, and gaps are possible */
};

struct ttd_branch_log {
    struct ttd_recorder recorder; /* of the events */
    ttlog_lane *lane;
    struct ttd_window_settings window;
    char path[4096];
    uint64_t branches, instructions, gaps;
    uint32_t end;      /* enum ttd_window, once the window is over */
    uint64_t end_clock; /* of the replay */
};

/* Creates the log beside the replay's, which *settings are for. Returns NULL with *error if it cannot be created. */
struct ttd_branch_log *ttd_branch_log_open(const struct ttd_log_settings *settings,
                                           const struct ttd_window_settings *window, ttlog_error *error);

/* Writes a record of the out ring, if it is in the window. Returns 0, or -1 with *error. */
int ttd_branch_log_write(struct ttd_branch_log *log, const struct ttd_record *record, ttlog_error *error);

/* What was written, for people. */
void ttd_branch_log_describe(const struct ttd_branch_log *log, char *text, size_t size);

/* Writes why the window ended, closes the log and frees it. `log` may be NULL. Returns 0, or -1 with *error. */
int ttd_branch_log_close(struct ttd_branch_log *log, ttlog_error *error);

#endif
