/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ttd-deviced - records and replays domains of Xen.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lock.h"
#include "run.h"
#include "service.h"

static volatile sig_atomic_t stop;

static void request_stop(int signal_number) {
    (void)signal_number;
    stop = 1;
}

static void say_started(void) {
    puts("started");
    fflush(stdout);
}

static void say_paused(uint64_t clock) {
    printf("paused at clock %llu\n", (unsigned long long)clock);
    fflush(stdout);
}

static int fail(const ttlog_error *error) {
    fprintf(stderr, "ttd-deviced: error: %s\n", error->message);
    return TTD_RESULT_TROUBLE;
}

static int run(const struct ttd_options *options) {
    static const struct ttd_observer observer = {say_started, say_paused};
    char text[1024];
    enum ttd_result result = ttd_run(options, &stop, &observer, text, sizeof(text));
    if (result == TTD_RESULT_TROUBLE)
        fprintf(stderr, "ttd-deviced: error: %s\n", text);
    else
        puts(text);
    return (int)result;
}

int main(int count, char **arguments) {
    struct ttd_options options;
    ttlog_error error = {0};
    int read = ttd_options_read(&options, count, arguments, &error);
    if (read != 0)
        return read > 0 ? 0 : fail(&error);
    if (options.ask != NULL)
        return ttd_service_ask(options.socket, options.ask, &error) == 0 ? 0 : fail(&error);
    struct sigaction action = {.sa_handler = request_stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    int is_service = options.release == NULL && options.record == NULL && options.replay == NULL;
    if (is_service)
        return ttd_service_run(&options, &stop, &error) == 0 ? 0 : fail(&error);
    if (ttd_lock(options.lock, &error) != 0)
        return fail(&error);
    if (options.release != NULL)
        return ttd_machine_release(options.release, &error) == 0 ? 0 : fail(&error);
    return run(&options);
}
