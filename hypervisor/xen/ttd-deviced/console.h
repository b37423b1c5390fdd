/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * console.h - the guest's console in a file, from CONSOLE records. It is for people: a run does not fail with it.
 */
#ifndef TTD_CONSOLE_FILE_H
#define TTD_CONSOLE_FILE_H

#include <stddef.h>

#include "ttd_xen.h"
#include "ttlog_writer.h"

struct ttd_console {
    int is_open, fd;
    int code;        /* errno of the write that failed first, or 0 */
    uint64_t lost;   /* bytes that are not in the file */
    const char *path;
};

/* Creates the file, or empties it; follows no link. A path of NULL opens nothing. Returns 0, or -1 with *error. */
int ttd_console_open(struct ttd_console *console, const char *path, ttlog_error *error);

/* Adds the record's bytes. */
void ttd_console_write(struct ttd_console *console, const struct ttd_record *record);

/* Closes the file; adds to `text`, a line for people, what was lost. */
void ttd_console_close(struct ttd_console *console, char *text, size_t size);

#endif
