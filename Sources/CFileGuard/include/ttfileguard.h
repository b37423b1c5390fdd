// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef TTFILEGUARD_H
#define TTFILEGUARD_H

#include <stddef.h>

/*
 * Guards mapped files against SIGBUS: when a file becomes shorter while it is mapped, reads beyond its new end give
 * zeros instead of ending the process, and the guard remembers it.
 *
 * The first guard installs a process-wide handler for SIGBUS. A fault outside of all guarded mappings goes to the
 * handler that was there before.
 */

/* Guards the pages of a private mapping. Returns a number for the other functions; -1 if it cannot be guarded. */
int ttd_guard_add(const void *start, size_t size);

/* Whether a read beyond the end of the file has happened. */
int ttd_guard_is_broken(int guard);

/* Ends a guard; call it before the mapping ends. -1 is ignored. */
void ttd_guard_remove(int guard);

#endif
