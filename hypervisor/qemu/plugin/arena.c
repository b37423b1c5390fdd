/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * arena.c - see arena.h.
 */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64u
#define PIECE (1u << 20)

struct ttd_arena_piece {
    struct ttd_arena_piece *next;
    unsigned char padding[LINE - sizeof(void *)];
    unsigned char bytes[PIECE - LINE];
};

void *ttd_arena_allocate(struct ttd_arena *arena, size_t size) {
    size = (size + LINE - 1) & ~(size_t)(LINE - 1);
    if (size > sizeof arena->pieces->bytes) {
        return NULL;
    }
    if (!arena->pieces || arena->used + size > sizeof arena->pieces->bytes) {
        struct ttd_arena_piece *piece = aligned_alloc(LINE, sizeof *piece);
        if (!piece) {
            return NULL;
        }
        piece->next = arena->pieces;
        arena->pieces = piece;
        arena->used = 0;
    }
    void *memory = arena->pieces->bytes + arena->used;
    arena->used += size;
    memset(memory, 0, size);
    return memory;
}

void ttd_arena_free(struct ttd_arena *arena) {
    while (arena->pieces) {
        struct ttd_arena_piece *next = arena->pieces->next;
        free(arena->pieces);
        arena->pieces = next;
    }
    arena->used = 0;
}
