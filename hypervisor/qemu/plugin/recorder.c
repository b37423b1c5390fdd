/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * recorder.c - see recorder.h.
 */
#define _GNU_SOURCE
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "causes.h"

const struct ttd_block ttd_no_block = {.fall_through = UINT64_MAX, .target = UINT64_MAX};

struct ttd_recorder ttd_recorder __attribute__((aligned(64))) = {
    .previous = &ttd_no_block, .stopped = 1, .counter = &ttd_recorder.icount, .promised = UINT64_MAX};

void ttd_tell(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char line[1400];
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "ttd: %s\n", line);
}

static void attribute_number(const char *key, uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    ttlog_write_attribute(ttd_recorder.writer, key, text);
}

static void map_oracle(const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        ttd_tell("oracle %s: %s; going on without", path, strerror(errno));
    } else {
        ttd_recorder.oracle = page;
    }
    if (file >= 0) {
        close(file);
    }
}

void ttd_recorder_start(const struct ttd_options *options) {
    struct ttd_recorder *recorder = &ttd_recorder;
    recorder->icount = options->writer.icount_base;
    recorder->entered_at = recorder->icount;
    recorder->published_at = recorder->icount;
    recorder->base.icount = recorder->icount;
    snprintf(recorder->path, sizeof recorder->path, "%s", options->log);
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);

    ttlog_error error;
    recorder->writer = ttlog_writer_create(options->log, &options->writer, &error);
    if (!recorder->writer) {
        ttd_tell("%s; the guest runs without a log", error.message);
        return;
    }
    recorder->lane = ttlog_writer_lane(recorder->writer, 0);
    if (options->oracle) {
        map_oracle(options->oracle);
    }
    recorder->corrects = options->correct && ttd_api_shares_blocks();
    recorder->causes = options->causes && recorder->corrects;
    ttd_state_begin(options->writer.clock_base);
    recorder->digests = options->state && ttd_api_shares_blocks();
    attribute_number("recorder.plugin-api", (uint64_t)ttd_api_generation());
    ttlog_write_attribute(recorder->writer, "recorder.access", options->access ? "on" : "off");
    ttlog_write_attribute(recorder->writer, "recorder.mmio", options->mmio ? "on" : "off");
    recorder->stopped = 0;
}

void ttd_recorder_start_vcpu(void) {
    struct ttd_recorder *recorder = &ttd_recorder;
    uint64_t *counter = ttd_api_start_counter(&recorder->icount);
    *counter = recorder->icount;
    recorder->counter = counter;
    const char *missing;
    if (!ttd_api_find_registers(&missing)) {
        char why[80];
        snprintf(why, sizeof why, "this QEMU does not show register %s", missing);
        ttd_recorder_abandon_positions(why);
    }
}

static void on_target(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata) {
    (void)vcpu;
    (void)address;
    (void)userdata;
    uint64_t value[2];
    ttd_api_memory_value(info, value);
    ttd_recorder.promised = value[0];
}

void ttd_recorder_watch_target(struct qemu_plugin_insn *insn) {
    qemu_plugin_register_vcpu_mem_cb(insn, on_target, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
}

/* 16-bit code stands at cs base + ip; where ip is below 64 KiB the description's address is kept (no program of 32 or
 * 64 bits is there). */
uint64_t ttd_recorder_true_address(const struct ttd_block *block) {
    uint64_t rip = ttd_api_read_register(TTD_REGISTER_RIP);
    return rip < 0x10000 ? block->address : rip;
}

/* Closes the door to the writer and waits until nobody is behind it. Returns false when somebody does not come out. */
static bool close_door(struct ttd_recorder *recorder) {
    __atomic_store_n(&recorder->stopped, 1, __ATOMIC_SEQ_CST);
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
    }
    for (int milliseconds = 0; milliseconds < 10000; milliseconds++) {
        if (!__atomic_load_n(&recorder->busy, __ATOMIC_ACQUIRE)) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

void ttd_recorder_finish(void) {
    struct ttd_recorder *recorder = &ttd_recorder;
    if (!recorder->writer) {
        return;
    }
    if (!close_door(recorder)) {
        ttd_tell("%s: the guest is still writing to it; the log stays unclosed (it can be read)", recorder->path);
        return;
    }
    attribute_number("recorder.instructions", ttd_recorder_icount());
    attribute_number("recorder.transitions", recorder->lane->clock);
    attribute_number("recorder.discontinuities", recorder->discontinuities);
    attribute_number("recorder.restarted-instructions", recorder->restarts);
    attribute_number("recorder.unknown-transitions", recorder->transitions_unknown);
    attribute_number("recorder.blocks-translated", recorder->blocks_translated);
    attribute_number("recorder.rewinds", recorder->rewinds);
    int code = ttlog_writer_error(recorder->writer);
    uint64_t lost = ttlog_writer_lost(recorder->writer);
    if (code != 0) {
        ttd_tell("%s: the logging ended early (%s): %llu records are lost; the guest was not disturbed",
                 recorder->path, strerror(code), (unsigned long long)lost);
    }
    ttlog_error error;
    if (ttlog_writer_close(recorder->writer, &error) != 0) {
        ttd_tell("%s", error.message);
    }
    recorder->writer = NULL;
}

/* Says once, when it happens, that the log has ended: a run can go on for hours after it. */
static void tell_first_error(struct ttd_recorder *recorder) {
    static bool told;
    int code = told ? 0 : ttlog_writer_error(recorder->writer);
    if (code != 0) {
        told = true;
        ttd_tell("%s: %s; nothing more is logged, records are only counted, the guest runs on", recorder->path,
                 strerror(code));
    }
}

void ttd_recorder_event(uint8_t stream, uint16_t kind, uint16_t validity, uint32_t info, uint64_t ip, uint64_t icount,
                        const uint64_t *payload, uint16_t words) {
    struct ttd_recorder *recorder = &ttd_recorder;
    if (!ttd_recorder_begin(recorder)) {
        return;
    }
    ttlog_event event = {
        .kind = kind,
        .validity = validity,
        .payload_length = (uint16_t)(words * sizeof *payload),
        .info = info,
        .clock = recorder->lane->clock,
        .icount = icount,
        .ip = ip,
        .payload = payload,
    };
    if (ttlog_write_event(recorder->writer, stream, 0, &event) == 0 && recorder->oracle) {
        recorder->oracle[1]++;
    }
    ttd_recorder_end(recorder);
}

void ttd_recorder_roll(struct ttd_recorder *recorder, uint64_t from, uint64_t to, uint64_t icount, uint8_t label) {
    ttlog_branch(recorder->lane, from, to, icount, label);
    if (recorder->oracle && recorder->lane->commit && ttlog_writer_error(recorder->writer) == 0) {
        recorder->oracle[0]++;
    }
    ttd_recorder_end(recorder);
}

/* Finds out what entering the block means. Returns whether *transition is to be written as a branch; its discontinuity
 * event, if it is one, has been written. */
static bool examine(struct ttd_recorder *recorder, const struct ttd_block *previous, uint64_t delta, uint64_t done,
                    uint64_t address, struct ttd_transition *transition) {
    if (previous == &ttd_no_block) {
        return false;
    }
    uint64_t icount = ttd_recorder_icount();
    switch (ttd_step_between(previous, delta, done, address, icount, transition)) {
    case TTD_STEP_SEQUENTIAL:
        return false;
    case TTD_STEP_RESTARTED:
        recorder->restarts++;
        --*recorder->counter;
        recorder->entered_at = icount - 1;
        return false;
    case TTD_STEP_TRANSITION:
        break;
    }
    if (!ttlog_label_is_discontinuity(transition->label)) {
        if ((transition->label & TTLOG_LABEL_CLASS_MASK) == TTLOG_BRANCH_UNKNOWN) {
            recorder->transitions_unknown++;
        }
        return true;
    }
    recorder->discontinuities++;
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_DISCONTINUITY,
                       TTLOG_VALID_IP | TTLOG_VALID_ICOUNT | TTLOG_VALID_VALUE, transition->label, transition->from,
                       transition->icount - 1, &transition->to, 1);
    if (icount - recorder->published_at >= 1000000 && ttd_recorder_begin(recorder)) {
        recorder->published_at = icount;
        ttlog_lane_publish(recorder->lane, icount);
        tell_first_error(recorder);
        ttd_recorder_end(recorder);
    }
    return true;
}

void ttd_recorder_abandon_positions(const char *why) {
    struct ttd_recorder *recorder = &ttd_recorder;
    if (__atomic_load_n(&recorder->stopped, __ATOMIC_RELAXED)) {
        return;
    }
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_TRACE_GAP, TTLOG_VALID_ICOUNT, TTLOG_GAP_UNKNOWN, 0,
                       ttd_recorder_icount(), NULL, 0);
    __atomic_store_n(&recorder->stopped, 1, __ATOMIC_SEQ_CST);
    ttd_tell("%s: %s; nothing more is logged, the guest runs on", recorder->path, why);
}

void ttd_recorder_enter_slowly(struct ttd_recorder *recorder, const struct ttd_block *previous, uint64_t done,
                               const struct ttd_block *block, enum ttd_variant variant) {
    struct ttd_transition transition;
    uint64_t delta = recorder->delta;
    uint64_t address = block->address;
    if (recorder->corrects) {
        if (done == previous->count && previous->label == TTLOG_BRANCH_REP && address == previous->last) {
            return; /* the next iteration */
        }
        address = ttd_recorder_true_address(block);
        recorder->delta = address - block->address;
        recorder->promised = UINT64_MAX;
    }
    if (examine(recorder, previous, delta, done, address, &transition)) {
        if (recorder->causes) {
            ttd_causes_look(&transition);
        }
        ttd_recorder_branch(recorder, transition.from, transition.to, transition.icount, transition.label, variant);
        ttd_recorder_state(recorder, transition.to, transition.icount);
    }
}

/* A snapshot that is loaded puts the guest back to an earlier point behind the plugin's back. QEMU's own instruction
 * count tells, where it can be read: it is the plugin's less the restored faults, and each of those was a transition
 * that no branch explains or, rarer, a faulting indirect branch. A count below that cannot come from going forward. */
static bool was_rewound(const struct ttd_recorder *recorder, uint64_t engine_icount) {
    uint64_t most_restored = 2 * (recorder->discontinuities - recorder->base.discontinuities) + 1000;
    uint64_t at_most = recorder->base.engine_icount + (ttd_recorder_icount() - recorder->base.icount);
    return at_most > most_restored && engine_icount < at_most - most_restored;
}

static void begin_rewound_epoch(struct ttd_recorder *recorder) {
    uint64_t before[2] = {recorder->lane->clock, ttd_recorder_icount()};
    recorder->rewinds++;
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_REWOUND, TTLOG_VALID_ICOUNT | TTLOG_VALID_VALUE, 0, 0,
                       before[1], before, 2);
    if (ttd_recorder_begin(recorder)) {
        ttlog_begin_epoch(recorder->writer, 0, recorder->lane->clock);
        ttd_recorder_end(recorder);
    }
    recorder->unsettled = false;
    recorder->previous = &ttd_no_block;
    recorder->entered_at = before[1];
    ttd_state_begin(before[0] + 1); /* its cell has another begin */
    ttd_tell("%s: the guest was put back to an earlier point; a new epoch begins at branch %llu", recorder->path,
             (unsigned long long)before[0]);
}

static void look_for_rewind(struct ttd_recorder *recorder) {
    uint64_t engine_icount;
    if (!recorder->lane || !ttd_api_engine_icount(&engine_icount)) {
        return;
    }
    if (recorder->previous != &ttd_no_block) {
        if (!was_rewound(recorder, engine_icount)) {
            return;
        }
        begin_rewound_epoch(recorder);
    }
    recorder->base.engine_icount = engine_icount;
    recorder->base.icount = ttd_recorder_icount();
    recorder->base.discontinuities = recorder->discontinuities;
}

void ttd_recorder_flush(void) {
    struct ttd_recorder *recorder = &ttd_recorder;
    look_for_rewind(recorder);
    const struct ttd_block *previous = recorder->previous;
    if (previous != &ttd_no_block && previous != (const struct ttd_block *)recorder->carried) {
        memcpy(recorder->carried, previous, sizeof *previous + previous->count * sizeof previous->sites[0]);
        recorder->previous = (const struct ttd_block *)recorder->carried;
    }
    ttd_arena_free(&recorder->blocks);
}
