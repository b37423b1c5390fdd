/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * session.h - one recording or one replay, from its start to its end.
 */
#ifndef TTD_SESSION_H
#define TTD_SESSION_H

#include <signal.h>

#include "branch_log.h"
#include "console.h"
#include "feeder.h"
#include "machine.h"
#include "recorder.h"

struct ttd_session {
    struct ttd_machine *machine;
    struct ttd_recorder recorder;
    struct ttd_feeder *feeder; /* NULL in a recording */
    struct ttd_branch_log *branches; /* NULL without a window */
    struct ttd_console console;
    struct ttd_view out, in;
    uint64_t break_at;         /* the guest stays paused there; 0: never */
    uint64_t digest_every;     /* clocks between digests of memory, which is digested at the end too; 0: never */
    int is_pv;                 /* the guest is a PV guest */
    int is_stopping;
    int is_gone;               /* the domain died */
    int is_paused;             /* at break_at, until SIGTERM */
    void (*on_pause)(uint64_t clock);
    char text[256];            /* how it ended */
    uint32_t reason;           /* enum ttlog_run_end */
};

/* Runs a session whose machine has started and whose log is open, until its end or until *stop. The log is not closed.
 * Returns 0, or -1 with *error. */
int ttd_session_run(struct ttd_session *session, const volatile sig_atomic_t *stop, ttlog_error *error);

#endif
