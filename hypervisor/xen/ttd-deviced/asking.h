/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * asking.h - domains that ask in xenstore to be recorded or replayed.
 *
 * Nodes of /local/domain/N, which only dom0 writes:
 *   ttd_flag        "1", or the absolute path of the log to write: record this domain
 *   tt_replay_flag  the absolute path of a recording's log: replay this domain from it
 *   ttd_state       the daemon's answer: "recording", "replaying", then how it ended. A domain that has it asks no more
 */
#ifndef TTD_ASKING_H
#define TTD_ASKING_H

#include <stdint.h>

struct ttd_asking;

struct ttd_wish {
    uint32_t domain;
    char log[4096];  /* empty: the daemon's own */
    char from[4096]; /* the recording to replay; empty: record */
};

/* Watches all domains, those that come later too. NULL: no xenstore. */
struct ttd_asking *ttd_asking_open(void);
void ttd_asking_close(struct ttd_asking *asking);

/* A descriptor that can be read when something changed. */
int ttd_asking_descriptor(const struct ttd_asking *asking);

/* Takes note of what changed. Returns whether a domain may have begun to ask. */
int ttd_asking_follow(struct ttd_asking *asking);

/* The first domain that asks. Returns 1, or 0: none does. */
int ttd_asking_next(struct ttd_asking *asking, struct ttd_wish *wish);

/* Writes ttd_state. */
void ttd_asking_answer(struct ttd_asking *asking, uint32_t domain, const char *text);

#endif
