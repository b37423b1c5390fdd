/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * feeder.h - the events of a recording's log become records of a replay's in ring.
 */
#ifndef TTD_FEEDER_H
#define TTD_FEEDER_H

#include "log_reader.h"
#include "ring.h"

struct ttd_feeder {
    struct ttd_log *log;
    const char *path;
    struct ttd_record record; /* the next one, without room so far */
    uint8_t payload[TTD_PAYLOAD_MAX];
    int has_record;
    int has_ended;            /* END is in the ring */
    uint64_t icount;          /* at the last exit */
    uint64_t next_clock;      /* after the last exit */
    uint64_t records;
};

/* Puts as many records into the ring as there is room for; after the last one END, and the ring is closed.
 * Returns the number of records put, or -1 with *error. */
int ttd_feeder_fill(struct ttd_feeder *feeder, struct ttd_view *view, ttlog_error *error);

#endif
