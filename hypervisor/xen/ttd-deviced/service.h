/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * service.h - a daemon that waits for requests on a socket and in xenstore (asking.h), and the client that sends one.
 *
 * A request is one line: "record DOMAIN [LOG]", "replay DOMAIN FROM LOG", "status", "stop". The answer is one line that
 * begins with "ok" or "error". One recording or replay runs at a time; it runs in a child process.
 */
#ifndef TTD_SERVICE_H
#define TTD_SERVICE_H

#include <signal.h>

#include "options.h"

/* Serves requests until *stop. Returns 0, or -1 with *error. */
int ttd_service_run(const struct ttd_options *options, const volatile sig_atomic_t *stop, ttlog_error *error);

/* Sends a request and prints the answer. Returns 0 for "ok", -1 with *error otherwise. */
int ttd_service_ask(const char *socket_path, const char *request, ttlog_error *error);

#endif
