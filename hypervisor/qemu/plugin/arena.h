/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * arena.h - memory for the descriptions of translation blocks. QEMU reports the end of all blocks at once (a flush of its
 * code cache), so the descriptions are allocated side by side and freed together.
 */
#ifndef TTD_ARENA_H
#define TTD_ARENA_H

#include <stddef.h>

struct ttd_arena_piece;

struct ttd_arena {
    struct ttd_arena_piece *pieces; /* newest first */
    size_t used;                    /* bytes of the newest */
};

/* `size` bytes, zeroed, aligned to a cache line, or NULL. */
void *ttd_arena_allocate(struct ttd_arena *arena, size_t size);

void ttd_arena_free(struct ttd_arena *arena);

#endif
