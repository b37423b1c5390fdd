/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * guardian.h - a process that lets the guest go on unrecorded if the daemon is killed. Without it such a guest is held as
 * soon as its ring is full.
 */
#ifndef TTD_GUARDIAN_H
#define TTD_GUARDIAN_H

#include "options.h"

struct ttd_guardian {
    int is_there, fd;
    long process;
};

/* Starts the guardian of a recording, if the options ask for it. Call it while the process has one thread. Returns 0, or -1
 * with *error. */
int ttd_guardian_start(struct ttd_guardian *guardian, const struct ttd_options *options, ttlog_error *error);

/* The run ends without the guardian. */
void ttd_guardian_dismiss(struct ttd_guardian *guardian);

#endif
