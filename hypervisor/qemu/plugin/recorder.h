/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * recorder.h - the state of the one recording in this process, and how records leave it. The functions that run at
 * every block stand here, inline; the rest in recorder.c.
 *
 * Threads: everything but ttd_recorder_finish is called by the vCPU's thread (or while it is stopped). Finish comes
 * from whichever thread ends the process, possibly while the guest still runs: it first makes sure that the vCPU's
 * thread is outside of the writer and stays outside.
 */
#ifndef TTD_RECORDER_H
#define TTD_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "ttlog_writer.h"
#include "accesses.h"
#include "arena.h"
#include "options.h"
#include "qemu_plugin_api.h"
#include "state.h"
#include "transitions.h"

#define TTD_BLOCK_INSTRUCTIONS_MAX 512 /* QEMU's TCG_MAX_INSNS */

struct ttd_recorder {
    /* What every block touches. */
    uint64_t icount; /* instructions begun, where QEMU's generated code adds to it (API 1); see ttd_recorder_icount */
    const struct ttd_block *previous;
    uint64_t entered_at; /* icount when `previous` was entered */
    ttlog_lane *lane;
    uint8_t busy;    /* the vCPU's thread is inside the writer */
    uint8_t stopped; /* nothing more is written */
    bool corrects; /* shared blocks: rip is asked where the addresses in a block's description are in doubt */
    bool digests; /* state digests are wanted */
    bool causes;  /* interrupts and exceptions as events are wanted */
    bool unsettled; /* an access has begun, and its record waits for what comes of it (accesses.h) */
    uint8_t reserved[2];
    /* Where blocks are shared between virtual addresses. */
    uint64_t *counter; /* instructions begun */
    uint64_t delta;    /* from the address in the description of `previous` to where it really stood, modulo 2^64 */
    uint64_t promised; /* where the last branch that reads its target from memory goes */

    /* The rest. */
    ttlog_writer *writer;
    volatile uint64_t *oracle; /* {branches, events}, or NULL */
    struct ttd_arena blocks;
    uint64_t published_at; /* icount */
    uint64_t transitions_unknown;
    uint64_t restarts;
    uint64_t discontinuities;
    uint64_t blocks_translated;
    uint64_t blocks_unseen; /* translated without a description: out of memory */
    uint64_t rewinds;
    /* Where QEMU's own count stood when ours was `base.icount`; for noticing that the guest was put back. */
    struct {
        uint64_t engine_icount;
        uint64_t icount;
        uint64_t discontinuities;
    } base;
    /* `previous`, when its memory is freed. */
    _Alignas(64) uint8_t
        carried[sizeof(struct ttd_block) + TTD_BLOCK_INSTRUCTIONS_MAX * sizeof(struct ttd_site)];
    char path[1024];
};

extern struct ttd_recorder ttd_recorder;

/* The block before the first: nothing leads from it. */
extern const struct ttd_block ttd_no_block;

/* Instructions begun so far. */
static inline uint64_t ttd_recorder_icount(void) {
    return *ttd_recorder.counter;
}

/* The vCPU starts: from here on counters and registers are there. Called where blocks are shared. */
void ttd_recorder_start_vcpu(void);

/* Watches a near branch that reads its target from memory: see `promised`. */
void ttd_recorder_watch_target(struct qemu_plugin_insn *insn);

/* Where a shared block really stands; called at its start. */
uint64_t ttd_recorder_true_address(const struct ttd_block *block);

/* Creates the log. A failure is told on stderr and leaves a recorder that only counts. */
void ttd_recorder_start(const struct ttd_options *options);
void ttd_recorder_finish(void);

/* Forgets all blocks: QEMU has dropped its translations. */
void ttd_recorder_flush(void);

/* Ends the logging because of something that makes positions unsure; the guest runs on. */
void ttd_recorder_abandon_positions(const char *why);

/* Writes an access or event record at the current clock. `payload`: the address word, if `validity` has one, then the
 * value words. */
void ttd_recorder_event(uint8_t stream, uint16_t kind, uint16_t validity, uint32_t info, uint64_t ip, uint64_t icount,
                        const uint64_t *payload, uint16_t words);

/* Tells people something, on stderr. */
void ttd_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Which work a block's callback has: constant in each of its variants. */
enum ttd_variant {
    TTD_VARIANT_BRANCHES,
    TTD_VARIANT_CLOCK,  /* mode events: the clock runs, nothing is stored */
    TTD_VARIANT_ORACLE, /* branches, counted in the oracle */
};

/* The door to the writer. Returns false when it is closed. Only the vCPU's thread comes through; plain stores do, since
 * the thread that closes the door issues a barrier on behalf of this one (membarrier(2)). */
static inline bool ttd_recorder_begin(struct ttd_recorder *recorder) {
    __atomic_store_n(&recorder->busy, 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(__atomic_load_n(&recorder->stopped, __ATOMIC_RELAXED), 0)) {
        __atomic_store_n(&recorder->busy, 0, __ATOMIC_RELEASE);
        return false;
    }
    return true;
}

static inline void ttd_recorder_end(struct ttd_recorder *recorder) {
    __atomic_store_n(&recorder->busy, 0, __ATOMIC_RELEASE);
}

/* What runs at every block is inlined into each variant of the callback, and whatever needs a call stands apart, so that
 * the usual case saves no registers. */
#define TTD_INLINE static inline __attribute__((always_inline))

/* Writes a branch that needs a new slot first. The door is open and stays so. */
void ttd_recorder_roll(struct ttd_recorder *recorder, uint64_t from, uint64_t to, uint64_t icount, uint8_t label);

/* Enters a block whose address neither fall-through nor branch explains at once. */
void ttd_recorder_enter_slowly(struct ttd_recorder *recorder, const struct ttd_block *previous, uint64_t done,
                               const struct ttd_block *block, enum ttd_variant variant);

TTD_INLINE void ttd_recorder_branch(struct ttd_recorder *recorder, uint64_t from, uint64_t to, uint64_t icount,
                                    uint8_t label, enum ttd_variant variant) {
    if (!ttd_recorder_begin(recorder)) {
        return;
    }
    ttlog_lane *lane = recorder->lane;
    if (variant == TTD_VARIANT_CLOCK) {
        lane->clock++;
    } else if (__builtin_expect(lane->next == lane->end, 0)) {
        ttd_recorder_roll(recorder, from, to, icount, label);
        return;
    } else {
        ttlog_branch(lane, from, to, icount, label);
        if (variant == TTD_VARIANT_ORACLE) {
            recorder->oracle[0]++;
        }
    }
    ttd_recorder_end(recorder);
}

/* A block is entered. */
TTD_INLINE void ttd_recorder_enter(struct ttd_recorder *recorder, const struct ttd_block *block,
                                   enum ttd_variant variant) {
    const struct ttd_block *previous = recorder->previous;
    uint64_t icount = recorder->icount;
    uint64_t done = icount - recorder->entered_at;
    recorder->previous = block;
    recorder->entered_at = icount;
    if (__builtin_expect(done == previous->count, 1)) {
        if (block->address == previous->fall_through) {
            return;
        }
        if (__builtin_expect(block->address == previous->target || previous->is_indirect, 1)) {
            ttd_recorder_branch(recorder, previous->last, block->address, icount, previous->label, variant);
            return;
        }
    }
    ttd_recorder_enter_slowly(recorder, previous, done, block, variant);
}

/* Behind a branch: looks at the registers when that is due. */
TTD_INLINE void ttd_recorder_state(struct ttd_recorder *recorder, uint64_t ip, uint64_t icount) {
    if (__builtin_expect(recorder->lane->clock % TTD_STATE_SAMPLE == 0, 0) && recorder->digests) {
        ttd_state_look(ip, icount);
    }
}

/* A block is entered that QEMU may share between virtual addresses: its description holds the addresses of its first
 * execution. Fall-through and static targets are relative to the block, so they hold wherever it stands. A branch that
 * has read its target from memory was seen to do so: where the description has the same address, the block stands
 * there. Else rip tells, which takes much longer. */
TTD_INLINE void ttd_recorder_enter_shared(struct ttd_recorder *recorder, const struct ttd_block *block,
                                          enum ttd_variant variant) {
    if (__builtin_expect(recorder->unsettled, 0)) {
        ttd_accesses_settle_behind(block);
    }
    const struct ttd_block *previous = recorder->previous;
    uint64_t icount = *recorder->counter;
    uint64_t done = icount - recorder->entered_at;
    recorder->previous = block;
    recorder->entered_at = icount;
    if (__builtin_expect(done == previous->count, 1)) {
        if (block->address == previous->fall_through) {
            return;
        }
        if (__builtin_expect(block->address == previous->target, 1)) {
            uint64_t delta = recorder->delta;
            ttd_recorder_branch(recorder, previous->last + delta, block->address + delta, icount, previous->label,
                                variant);
            ttd_recorder_state(recorder, block->address + delta, icount);
            return;
        }
        if (previous->reads_target && block->address == recorder->promised) {
            uint64_t from = previous->last + recorder->delta;
            recorder->delta = 0;
            recorder->promised = UINT64_MAX;
            ttd_recorder_branch(recorder, from, block->address, icount, previous->label, variant);
            ttd_recorder_state(recorder, block->address, icount);
            return;
        }
    }
    ttd_recorder_enter_slowly(recorder, previous, done, block, variant);
}

#endif
