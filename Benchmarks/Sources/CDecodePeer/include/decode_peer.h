/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The yardstick of decode-bench: a plain C loop over the path columns of an uncompressed branch body. */
#ifndef DECODE_PEER_H
#define DECODE_PEER_H

#include <stddef.h>
#include <stdint.h>

/* Decodes from and to of `count` branches into the two arrays. The columns are trusted (the benchmark has checked
 * them), and eight bytes after each may be read. */
void decode_peer(const uint8_t *control, const uint8_t *from_column, const uint8_t *to_column, size_t count,
                 uint64_t *from, uint64_t *to);

#endif
