/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"

/* The daemon is dead: ends what it has begun. */
static int let_go(const struct ttd_options *options, ttlog_error *error) {
    if (options->rings == NULL)
        return ttd_machine_release(options->record, error);
    struct ttd_machine *machine = ttd_machine_files(options->rings, error);
    if (machine == NULL)
        return -1;
    machine->calls->stop(machine);
    machine->calls->close(machine);
    return 0;
}

static void guard(const struct ttd_options *options, int fd) {
    ttlog_error error = {0};
    char byte;
    ssize_t count;
    setsid();
    while ((count = read(fd, &byte, 1)) < 0 && errno == EINTR)
        ;
    if (count == 0 && let_go(options, &error) != 0)
        fprintf(stderr, "ttd-deviced: error: the daemon was killed, and its guest is still held: %s\n", error.message);
    _exit(0);
}

int ttd_guardian_start(struct ttd_guardian *guardian, const struct ttd_options *options, ttlog_error *error) {
    int pair[2];
    *guardian = (struct ttd_guardian){.is_there = 0};
    if (!options->lets_go || options->record == NULL)
        return 0;
    if (pipe2(pair, O_CLOEXEC) != 0)
        return ttd_fail_errno(error, "no pipe");
    pid_t process = fork();
    if (process == 0) {
        close(pair[1]);
        guard(options, pair[0]);
    }
    close(pair[0]);
    if (process < 0) {
        close(pair[1]);
        return ttd_fail_errno(error, "no process for --if-killed release");
    }
    *guardian = (struct ttd_guardian){.is_there = 1, .fd = pair[1], .process = process};
    return 0;
}

void ttd_guardian_dismiss(struct ttd_guardian *guardian) {
    if (!guardian->is_there)
        return;
    char byte = 1;
    while (write(guardian->fd, &byte, 1) < 0 && errno == EINTR)
        ;
    close(guardian->fd);
    while (waitpid((pid_t)guardian->process, NULL, 0) < 0 && errno == EINTR)
        ;
    guardian->is_there = 0;
}
