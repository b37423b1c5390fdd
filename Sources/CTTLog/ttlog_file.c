/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the writer needs from the operating system: locks, complete reads and writes, preallocation, time, random numbers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "ttlog_internal.h"

int ttlog_fail(ttlog_error *error, int code, const char *format, ...) {
    if (error != NULL) {
        error->code = code;
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf(error->message, sizeof(error->message), format, arguments);
        va_end(arguments);
        if (length >= 0 && (size_t)length < sizeof(error->message) && code != 0) {
            char text[128];
            snprintf(error->message + length, sizeof(error->message) - (size_t)length, ": %s",
                     strerror_r(code, text, sizeof(text)));
        }
    }
    return -1;
}

/* Takes the writer's lock. The open file description holds it, so it ends with the process. Returns errno. */
int ttlog_lock_file(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

/* Releases the lock at once, even if a child between fork and exec still has the descriptor. */
void ttlog_unlock_file(int fd) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

/* A write beyond RLIMIT_FSIZE raises SIGXFSZ, which would end the process. So the signal is blocked, and consumed if the
 * write raised it. */
struct held_signal {
    sigset_t previous;
    int was_pending;
};

static void hold_signal(struct held_signal *held) {
    sigset_t set;
    sigpending(&set);
    held->was_pending = sigismember(&set, SIGXFSZ);
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set, &held->previous);
}

static void release_signal(const struct held_signal *held) {
    int code = errno;
    if (!held->was_pending) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGXFSZ);
        const struct timespec now = {0, 0};
        while (sigtimedwait(&set, NULL, &now) == -1 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &held->previous, NULL);
    errno = code;
}

/* Writes all bytes at offset. Returns errno. */
int ttlog_write_all(int fd, const void *bytes, size_t size, uint64_t offset) {
    const uint8_t *place = bytes;
    struct held_signal held;
    hold_signal(&held);
    int code = 0;
    while (size > 0) {
        ssize_t written = pwrite(fd, place, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            code = written < 0 ? errno : ENOSPC;
            break;
        }
        place += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    release_signal(&held);
    return code;
}

/* Reads exactly size bytes. Returns errno; ENODATA if the file is shorter. */
int ttlog_read_all(int fd, void *bytes, size_t size, uint64_t offset) {
    uint8_t *place = bytes;
    while (size > 0) {
        ssize_t got = pread(fd, place, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : ENODATA;
        place += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

/* Sets the file's size and reserves its space on the disk. Returns errno. */
int ttlog_preallocate(int fd, uint64_t size) {
    struct held_signal held;
    hold_signal(&held);
    int code;
    do
        code = posix_fallocate(fd, 0, (off_t)size);
    while (code == EINTR);
    release_signal(&held);
    return code;
}

uint64_t ttlog_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A random number, never 0. */
uint64_t ttlog_random(void) {
    uint64_t value = 0;
    if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != (ssize_t)sizeof(value)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        const uint64_t seed[3] = {(uint64_t)now.tv_sec, (uint64_t)now.tv_nsec, (uint64_t)getpid()};
        value = ttlog_hash(seed, sizeof(seed), 0);
    }
    return value != 0 ? value : 1;
}
