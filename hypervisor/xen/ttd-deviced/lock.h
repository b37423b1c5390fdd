/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lock.h - one daemon at a time for a purpose.
 */
#ifndef TTD_LOCK_H
#define TTD_LOCK_H

#include "ttlog_writer.h"

/* Takes the lock for the life of the process and writes its number into the file. Returns 0, or -1 with *error that
 * names the process that holds it. */
int ttd_lock(const char *path, ttlog_error *error);

#endif
