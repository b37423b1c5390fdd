/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * recover.h - a log whose writer was killed is read from a closed copy: a log that is only read is never written to.
 */
#ifndef TTD_RECOVER_H
#define TTD_RECOVER_H

#include "ttlog_writer.h"

/* Whether a log has its open file, so that its writer lives or was killed. */
int ttd_is_unclosed(const char *path);

/* Copies a log and its open file to `copy` and closes the copy. What is there already is replaced. Refuses a log that is
 * being written. Returns 0, or -1 with *error; then there is no copy. */
int ttd_recover(const char *path, const char *copy, ttlog_error *error);

/* Removes a copy. A descriptor of it stays valid. */
void ttd_remove_copy(const char *copy);

#endif
