/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * log_reader.h - reads the events of vCPU 0 of a closed log, one after the other, with one chunk in memory.
 *
 * The log may come from anybody: each size, checksum and value is checked before it is used. Errors name the file and
 * the offset.
 */
#ifndef TTD_LOG_READER_H
#define TTD_LOG_READER_H

#include "ttlog_writer.h"

struct ttd_log;

/* Opens a log, and reads its attributes and its end. A log that was not closed because its writer died is copied to `copy`
 * and read there; the copy is removed at once. The log itself is never written to. Returns NULL with *error for a file that
 * is no whole log. */
struct ttd_log *ttd_log_open(const char *path, const char *copy, ttlog_error *error);
void ttd_log_close(struct ttd_log *log);

const struct ttlog_file_header *ttd_log_header(const struct ttd_log *log);

/* The value of an attribute, or NULL. */
const char *ttd_log_attribute(const struct ttd_log *log, const char *key);

/* The first run-end record: the recorder's own. Returns 0 if there is none. */
int ttd_log_end(const struct ttd_log *log, uint32_t *reason, uint64_t *clock);

/* Reads the next event. Payloads stay valid until the next call. Returns 1, 0 at the end, -1 with *error. */
int ttd_log_next(struct ttd_log *log, ttlog_event *event, ttlog_error *error);

#endif
