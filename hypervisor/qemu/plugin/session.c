/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * session.c - see session.h.
 */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "recorder.h"
#include "state.h"

static void attribute_number(const char *key, uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    ttlog_write_attribute(ttd_recorder.writer, key, text);
}

static void map_oracle(const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        ttd_tell("oracle %s: %s; continuing without it", path, strerror(errno));
    } else {
        ttd_recorder.oracle = page;
    }
    if (file >= 0) {
        close(file);
    }
}

void ttd_session_start(const struct ttd_options *options) {
    struct ttd_recorder *recorder = &ttd_recorder;
    recorder->own.instructions = options->writer.icount_base;
    recorder->entered_at = options->writer.icount_base;
    recorder->published_at = options->writer.icount_base;
    recorder->base.icount = options->writer.icount_base;
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
    recorder->nested = options->nested;
    recorder->corrects = options->correct && ttd_api_shares_blocks();
    recorder->causes = options->causes && recorder->corrects;
    ttd_state_begin(options->writer.clock_base);
    recorder->digests = options->state && ttd_api_shares_blocks();
    attribute_number("recorder.plugin-api", (uint64_t)ttd_api_generation());
    ttlog_write_attribute(recorder->writer, "recorder.access", options->access ? "on" : "off");
    ttlog_write_attribute(recorder->writer, "recorder.mmio", options->mmio ? "on" : "off");
    recorder->stopped = 0;
}

void ttd_session_start_vcpu(void) {
    struct ttd_recorder *recorder = &ttd_recorder;
    struct ttd_counters *counters = ttd_api_start_counters(&recorder->own);
    *counters = recorder->own;
    recorder->counters = counters;
    const char *missing;
    if (!ttd_api_find_registers(&missing)) {
        char why[80];
        snprintf(why, sizeof why, "this QEMU does not show register %s", missing);
        ttd_recorder_abandon_positions(why);
    }
}

/* Stops the recording and waits until the vCPU's thread has left the writer. Returns false if it does not leave. */
static bool stop_recording(struct ttd_recorder *recorder) {
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

void ttd_session_finish(void) {
    struct ttd_recorder *recorder = &ttd_recorder;
    if (!recorder->writer) {
        return;
    }
    if (!stop_recording(recorder)) {
        ttd_tell("%s: the guest is still writing to the log; it stays unclosed and can be read", recorder->path);
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

/* Loading a snapshot puts the guest back to an earlier point without notice to the plugin. QEMU's own instruction count
 * shows it, where it can be read: it is the plugin's count less the restored faults. Each restored fault was a
 * discontinuity or, rarely, a faulting indirect branch. So a count below that bound means that the guest went back. */
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
    ttd_state_begin(before[0] + 1); /* not the begin of a cell: this cell gets no digest */
    ttd_tell("%s: the guest was put back to an earlier point; a new epoch begins at branch %llu", recorder->path,
             (unsigned long long)before[0]);
}

static void look_for_rewind(struct ttd_recorder *recorder) {
    uint64_t engine_icount;
    if (!recorder->lane || recorder->nested || !ttd_api_engine_icount(&engine_icount)) {
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

void ttd_session_flush(void) {
    struct ttd_recorder *recorder = &ttd_recorder;
    look_for_rewind(recorder);
    const struct ttd_block *previous = recorder->previous;
    if (previous != &ttd_no_block && previous != (const struct ttd_block *)recorder->carried) {
        memcpy(recorder->carried, previous, sizeof *previous + previous->count * sizeof previous->sites[0]);
        recorder->previous = (const struct ttd_block *)recorder->carried;
    }
    ttd_arena_free(&recorder->blocks);
}
