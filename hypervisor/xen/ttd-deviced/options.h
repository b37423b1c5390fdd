/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * options.h - the command line.
 */
#ifndef TTD_OPTIONS_H
#define TTD_OPTIONS_H

#include <stddef.h>

#include "machine.h"

enum { TTD_ATTRIBUTE_MAX = 64 };

struct ttd_options {
    const char *log;       /* to write */
    const char *record, *replay; /* a domain, or NULL */
    const char *from;      /* the recording's log */
    const char *console;   /* receives the guest's console; NULL: nothing does */
    const char *rings;     /* two files in place of Xen */
    const char *lock;
    const char *socket;
    const char *release;   /* a domain whose daemon was killed */
    const char *ask;       /* a request for a running daemon */
    uint8_t uuid[16];
    const char *attributes[TTD_ATTRIBUTE_MAX]; /* KEY=VALUE */
    size_t attribute_count;
    int lets_go;           /* a guest whose daemon is killed goes on unrecorded */
    int is_forced;         /* a log of another guest is replayed nevertheless */
    uint64_t pause_at;       /* pause the replay at this clock; 0: never */
    struct ttd_start start;
};

/* Reads the command line. Returns 0; 1 after --help or --version; -1 with *error. */
int ttd_options_read(struct ttd_options *options, int count, char **arguments, ttlog_error *error);

#endif
