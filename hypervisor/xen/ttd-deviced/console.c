/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "failure.h"

int ttd_console_open(struct ttd_console *console, const char *path, ttlog_error *error) {
    *console = (struct ttd_console){.path = path};
    if (path == NULL)
        return 0;
    console->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (console->fd < 0)
        return ttd_fail_errno(error, "%s: cannot open the file for the guest's console", path);
    console->is_open = 1;
    return 0;
}

void ttd_console_write(struct ttd_console *console, const struct ttd_record *record) {
    const uint8_t *bytes = record->payload;
    size_t left = console->is_open ? record->length : 0;
    while (left > 0 && console->code == 0) {
        ssize_t count = write(console->fd, bytes, left);
        if (count < 0 && errno != EINTR)
            console->code = errno;
        if (count > 0) {
            bytes += count;
            left -= (size_t)count;
        }
    }
    console->lost += left;
}

void ttd_console_close(struct ttd_console *console, char *text, size_t size) {
    if (!console->is_open)
        return;
    if (close(console->fd) != 0 && console->code == 0)
        console->code = errno;
    size_t length = strlen(text);
    if (console->code != 0 && length < size)
        snprintf(text + length, size - length, "; %s: lacks %" PRIu64 " bytes of the guest's console: %s", console->path,
                 console->lost, strerror(console->code));
    console->is_open = 0;
}
