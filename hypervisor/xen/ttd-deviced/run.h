/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * run.h - one recording or replay as the options ask for it: log, checks, session, end.
 */
#ifndef TTD_RUN_H
#define TTD_RUN_H

#include <signal.h>

#include "options.h"

/* How a run ended. The numbers are exit statuses. */
enum ttd_result { TTD_RESULT_DONE = 0, TTD_RESULT_DIVERGED = 1, TTD_RESULT_TROUBLE = 2 };

/* What a run tells its caller while it lasts. */
struct ttd_observer {
    void (*started)(void);          /* the hypervisor records or replays: the domain may be unpaused */
    void (*paused)(uint64_t clock); /* a replay has reached options->pause_at and waits there for *stop */
};

/* Runs until the end or until *stop. `text` receives one line for people. */
enum ttd_result ttd_run(const struct ttd_options *options, const volatile sig_atomic_t *stop,
                        const struct ttd_observer *observer, char *text, size_t text_size);

#endif
