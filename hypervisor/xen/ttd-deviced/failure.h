/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * failure.h - errors: a code of errno, and a sentence.
 */
#ifndef TTD_FAILURE_H
#define TTD_FAILURE_H

#include "ttlog_writer.h"

/* Fills *error and returns -1. */
int ttd_fail(ttlog_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with errno's text after the sentence. */
int ttd_fail_errno(ttlog_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
