/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "ttlog_reader.h"

enum { PATH_SIZE = 4096, BUFFER = 1 << 16 };

static const char suffix[] = ".open";

/* PATH.open. Returns 0, or -1 if it is too long. */
static int open_path(const char *path, char *text) {
    return (size_t)snprintf(text, PATH_SIZE, "%s%s", path, suffix) < PATH_SIZE ? 0 : -1;
}

int ttd_is_unclosed(const char *path) {
    char text[PATH_SIZE];
    return open_path(path, text) == 0 && access(text, F_OK) == 0;
}

void ttd_remove_copy(const char *copy) {
    char text[PATH_SIZE];
    unlink(copy);
    if (open_path(copy, text) == 0)
        unlink(text);
}

static int write_all(int fd, const uint8_t *bytes, size_t left) {
    while (left > 0) {
        ssize_t count = write(fd, bytes, left);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        bytes += count;
        left -= (size_t)count;
    }
    return 0;
}

static int copy_bytes(int from, int to) {
    uint8_t buffer[BUFFER];
    for (;;) {
        ssize_t count = read(from, buffer, sizeof(buffer));
        if (count == 0)
            return 0;
        if ((count < 0 && errno != EINTR) || (count > 0 && write_all(to, buffer, (size_t)count) != 0))
            return -1;
    }
}

/* Opens a file that somebody else has made: for reading, without waiting. */
static int open_source(const char *path, ttlog_error *error) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        ttd_fail_errno(error, "%s: cannot open the log", path);
    } else if (!S_ISREG(status.st_mode)) {
        ttd_fail(error, EINVAL, "%s: not a trace log: not a regular file", path);
    } else if (ttlog_is_locked(fd)) {
        ttd_fail(error, EBUSY, "%s: another process is writing this log", path);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static int copy_file(const char *path, const char *copy, ttlog_error *error) {
    int from = open_source(path, error);
    if (from < 0)
        return -1;
    int to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failed = to < 0 || copy_bytes(from, to) != 0;
    if (failed)
        ttd_fail_errno(error, "%s: cannot be copied to %s, which a log of a killed recorder needs", path, copy);
    if (to >= 0 && close(to) != 0 && !failed)
        failed = ttd_fail_errno(error, "%s: cannot be written", copy);
    close(from);
    return failed ? -1 : 0;
}

int ttd_recover(const char *path, const char *copy, ttlog_error *error) {
    char from[PATH_SIZE], to[PATH_SIZE];
    if (open_path(path, from) != 0 || open_path(copy, to) != 0)
        return ttd_fail(error, ENAMETOOLONG, "%s: the path is too long", path);
    ttd_remove_copy(copy);
    if (copy_file(path, copy, error) == 0 && copy_file(from, to, error) == 0) {
        ttlog_error damage = {0};
        ttlog_writer *writer = ttlog_writer_append(copy, &damage);
        if (writer != NULL && ttlog_writer_close(writer, &damage) == 0)
            return 0;
        ttd_fail(error, EBADMSG, "%s: the log of a killed recorder cannot be recovered: %s", path, damage.message);
    }
    ttd_remove_copy(copy);
    return -1;
}
