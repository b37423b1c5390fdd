// SPDX-License-Identifier: GPL-2.0-or-later

// Swift has no word for this.

/// Asks the processor for a line of memory that will be read soon; any address will do.
static inline void prefetch(const void *address) { __builtin_prefetch(address); }
