/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * recorder.h - the state of the one recording in this process, and how records leave it. The functions that run at
 * every block are inline here; the others are in recorder.c.
 *
 * Threads: the vCPU's thread calls everything here (another thread does so only while the vCPU is stopped). The thread
 * that ends the process closes the log (session.h), possibly while the guest still runs: it first makes sure that the
 * vCPU's thread is outside of the writer and stays outside.
 */
#ifndef TTD_RECORDER_H
#define TTD_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "ttlog_writer.h"
#include "api.h"
#include "arena.h"
#include "transitions.h"

#define TTD_BLOCK_INSTRUCTIONS_MAX 512 /* QEMU's TCG_MAX_INSNS */

struct ttd_recorder {
    /* Fields that every block touches. */
    struct ttd_counters own; /* where QEMU's generated code adds to it (API 1); see `counters` */
    const struct ttd_block *previous;
    uint64_t entered_at; /* icount when `previous` was entered */
    ttlog_lane *lane;
    uint8_t busy;    /* the vCPU's thread is inside the writer */
    uint8_t stopped; /* nothing more is written */
    bool corrects; /* shared blocks: rip is read where the addresses in a block's description are uncertain */
    bool digests; /* state digests are recorded */
    bool causes;  /* interrupts and exceptions are recorded as events */
    bool nested; /* only what runs inside VMRUN is recorded */
    bool unsettled; /* an access has begun, and its record waits for the access's end (accesses.h) */
    uint8_t reserved[1];
    /* Used if blocks are shared between virtual addresses. */
    struct ttd_counters *counters; /* `own`, or QEMU's memory */
    uint64_t delta;    /* from the address in the description of `previous` to its real address, modulo 2^64 */
    uint64_t promised; /* the target that the last branch through memory has read */

    /* The rest. */
    ttlog_writer *writer;
    volatile uint64_t *oracle; /* {branches, events}, or NULL */
    struct ttd_arena blocks;
    uint64_t published_at; /* icount */
    uint64_t transitions_unknown;
    uint64_t restarts;
    uint64_t discontinuities;
    uint64_t blocks_translated;
    uint64_t rewinds;
    /* QEMU's own count when the plugin's was `base.icount`. It shows whether the guest was put back. */
    struct {
        uint64_t engine_icount;
        uint64_t icount;
        uint64_t discontinuities;
    } base;
    /* A copy of `previous` if its memory is freed. */
    _Alignas(64) uint8_t
        carried[sizeof(struct ttd_block) + TTD_BLOCK_INSTRUCTIONS_MAX * sizeof(struct ttd_site)];
    char path[1024];
};

extern struct ttd_recorder ttd_recorder;

/* The block before the first one. Nothing leads from it. */
extern const struct ttd_block ttd_no_block;

/* Instructions begun so far. */
static inline uint64_t ttd_recorder_icount(void) {
    return ttd_recorder.counters->instructions;
}

/* The address at which a shared block is executed. Call it at the block's start. */
uint64_t ttd_recorder_true_address(const struct ttd_block *block);

/* Ends the logging because positions are no longer certain. The guest runs on. */
void ttd_recorder_abandon_positions(const char *why);

/* Writes an access or event record at the current clock. `payload`: the address word, if `validity` has one, then the
 * value words. */
void ttd_recorder_event(uint8_t stream, uint16_t kind, uint16_t validity, uint32_t info, uint64_t ip, uint64_t icount,
                        const uint64_t *payload, uint16_t words);

/* Updates the live counters of the open file now and then, and reports the first error of the writer. */
void ttd_recorder_publish(struct ttd_recorder *recorder, uint64_t icount);

/* Prints a message for people on stderr. */
void ttd_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The work of a block's callback; constant in each of its variants. */
enum ttd_variant {
    TTD_VARIANT_BRANCHES,
    TTD_VARIANT_CLOCK,  /* mode events: the clock runs, nothing is stored */
    TTD_VARIANT_ORACLE, /* branches, counted in the oracle */
};

/* Enters the writer; returns false if the recording has stopped. Only the vCPU's thread calls it. Plain stores are
 * enough, because the thread that stops the recording issues a barrier on behalf of this one (membarrier(2)). */
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

/* Code that runs at every block is inlined into each variant of the callback. Code that needs a call is in a function of
 * its own, so that the usual case saves no registers. */
#define TTD_INLINE static inline __attribute__((always_inline))

/* Writes a branch that first needs a new slot, and leaves the writer. Call it between begin and end. */
void ttd_recorder_roll(struct ttd_recorder *recorder, uint64_t from, uint64_t to, uint64_t icount, uint8_t label);

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

#endif
