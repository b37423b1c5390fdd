/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "failure.h"

/* The first line of the lock's file: the number of the process that holds it. */
static void read_holder(int fd, char *text, size_t size) {
    ssize_t count = pread(fd, text, size - 1, 0);
    text[count > 0 ? count : 0] = '\0';
    text[strspn(text, "0123456789")] = '\0';
}

int ttd_lock(const char *path, ttlog_error *error) {
    char text[32];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return ttd_fail_errno(error, "%s: cannot open the lock", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = errno;
        read_holder(fd, text, sizeof(text));
        close(fd);
        if (code != EWOULDBLOCK)
            return ttd_fail(error, code, "%s: cannot take the lock: %s", path, strerror(code));
        return ttd_fail(error, EBUSY, "another ttd-deviced is running (process %s, which holds %s): one at a time",
                        *text != '\0' ? text : "unknown", path);
    }
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) != length)
        return ttd_fail_errno(error, "%s: cannot write the lock", path);
    return 0; /* the descriptor stays open */
}
