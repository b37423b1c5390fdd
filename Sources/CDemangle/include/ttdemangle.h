// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef TTDEMANGLE_H
#define TTDEMANGLE_H

#include <stddef.h>

/*
 * Demangles a C++ (Itanium ABI), Rust (legacy and v0) or D name by libiberty, with parameters.
 *
 * Writes at most `capacity` bytes to `output`, without a NUL. Returns their number; 0 if the name is not mangled, is
 * damaged, or means more than `capacity` bytes: a short name can mean terabytes.
 */
size_t ttd_demangle(const char *name, char *output, size_t capacity);

#endif
