/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * state.c - see state.h. Register names are QEMU's (gdb-xml/i386-64bit.xml). eflags is left out, because QEMU computes
 * its arithmetic flags lazily and does not show them.
 */
#include "state.h"

#include <stdbool.h>
#include <string.h>

#include "api.h"
#include "recorder.h"

#define WORDS 4
#define GENERAL 0
#define REGISTERS_PER_WORD 48
#define REGISTER_BYTES_MAX 16

/* What each word of a digest covers, by the bits of TTLOG_STATE_*. */
static const char *const names[WORDS][REGISTERS_PER_WORD] = {
    {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
     "rip"},
    {"cs", "ss", "ds", "es", "fs", "gs", "fs_base", "gs_base", "k_gs_base", "cr0", "cr4", "cr8", "efer"},
    {"st0",   "st1",   "st2",   "st3",   "st4",   "st5",   "st6",   "st7",   "fctrl", "fstat", "ftag",
     "fiseg", "fioff", "foseg", "fooff", "fop",   "xmm0",  "xmm1",  "xmm2",  "xmm3",  "xmm4",  "xmm5",
     "xmm6",  "xmm7",  "xmm8",  "xmm9",  "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "mxcsr"},
    {"cr2", "cr3"},
};

static struct {
    bool found;
    struct qemu_plugin_register *handles[WORDS][REGISTERS_PER_WORD]; /* in the order of the names; missing ones are left out */
    unsigned counts[WORDS];
    uint64_t samples; /* chained hash of the general registers in this cell */
    bool whole;       /* the cell's begin was recorded */
} state;

static void find(void) {
    for (unsigned word = 0; word < WORDS; word++) {
        for (unsigned i = 0; i < REGISTERS_PER_WORD && names[word][i]; i++) {
            struct qemu_plugin_register *handle = ttd_api_find_register(names[word][i]);
            if (handle) {
                state.handles[word][state.counts[word]++] = handle;
            }
        }
    }
    state.found = true;
}

/* A hash of the registers of one word. */
static uint64_t hash(unsigned word, uint64_t seed) {
    uint8_t bytes[REGISTERS_PER_WORD * REGISTER_BYTES_MAX] = {0};
    for (unsigned i = 0; i < state.counts[word]; i++) {
        ttd_api_read(state.handles[word][i], bytes + (size_t)i * REGISTER_BYTES_MAX, REGISTER_BYTES_MAX);
    }
    return ttlog_hash(bytes, (size_t)state.counts[word] * REGISTER_BYTES_MAX, seed);
}

void ttd_state_begin(uint64_t clock) {
    state.samples = 0;
    state.whole = clock % TTD_STATE_CELL == 0;
}

void ttd_state_look(uint64_t ip, uint64_t icount) {
    if (!state.found) {
        find();
    }
    state.samples = hash(GENERAL, state.samples);
    uint64_t clock = ttd_recorder.lane->clock;
    if (clock % TTD_STATE_CELL != 0) {
        return;
    }
    bool whole = state.whole;
    uint64_t payload[WORDS] = {state.samples};
    ttd_state_begin(clock);
    if (!whole) {
        return;
    }
    uint32_t words = 1u << GENERAL;
    uint16_t count = 1;
    for (unsigned word = GENERAL + 1; word < WORDS; word++) {
        if (state.counts[word] > 0) {
            words |= 1u << word;
            payload[count++] = hash(word, 0);
        }
    }
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_STATE, TTLOG_VALID_IP | TTLOG_VALID_ICOUNT | TTLOG_VALID_VALUE,
                       words, ip, icount, payload, count);
}
