/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * event_columns.h - the columns of one event body, decoded record by record (docs/log-format.md).
 */
#ifndef TTD_EVENT_COLUMNS_H
#define TTD_EVENT_COLUMNS_H

#include "ttlog_writer.h"

struct ttd_columns {
    const uint8_t *next[TTLOG_EVENT_COLUMNS], *end[TTLOG_EVENT_COLUMNS];
    uint32_t left; /* records */
    uint64_t clock, icount, ip;
};

/* Takes a raw body and its chunk's header. Returns 0, or -1 if the sizes of the columns do not fit the body. */
int ttd_columns_open(struct ttd_columns *columns, const struct ttlog_chunk_header *header, const uint8_t *body);

/* Decodes the next record; its payloads are in the body. Tickets and time stamps are skipped.
 * Returns 1, 0 after the last record, -1 if the body is damaged. */
int ttd_columns_next(struct ttd_columns *columns, ttlog_event *event);

#endif
