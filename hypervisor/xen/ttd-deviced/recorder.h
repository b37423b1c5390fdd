/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * recorder.h - records of an out ring become events of a log (docs/log-format.md, "Logs of Xen").
 */
#ifndef TTD_RECORDER_H
#define TTD_RECORDER_H

#include "ttd_xen.h"
#include "ttlog_writer.h"

struct ttd_recorder {
    ttlog_writer *writer;
    int counts_instructions; /* positions have instruction counts */
    int is_pv;
    struct ttlog_track *track; /* the writer's, for events */
    int sees_frames;         /* a PV guest made a hypercall with machine frames in memory */
    uint64_t cr3;            /* after the last write of it that was an exit */
    uint64_t icount;         /* at the last exit */
    uint64_t exits, interrupts, writes, reads, page_digests;
    int has_ended;           /* END or DIVERGED was seen */
    uint32_t end;            /* enum ttd_end */
    int has_diverged;
    uint64_t end_clock;
    char divergence[256];    /* the line for people */
};

/* Attributes of the log of a PV guest: "pv", and why it cannot be replayed. */
#define TTD_GUEST_KEY "xen.guest"
#define TTD_RECORDING_ONLY_KEY "xen.recording-only"

struct ttd_log_settings {
    const char *path;
    uint8_t run_kind; /* enum ttlog_run_kind */
    uint8_t recording_uuid[16];
    int counts_instructions;
    int has_page_digests;
    int has_switches; /* writes of cr3 are exits: the log has context events */
    int is_pv;
    const char *recorder_name;
};

/* Creates the log. Returns 0, or -1 with *error. */
int ttd_recorder_open(struct ttd_recorder *recorder, const struct ttd_log_settings *settings, ttlog_error *error);

/* Writes one record to the log, or notes the end. Returns 0, or -1 with *error if the log took no more. */
int ttd_recorder_write(struct ttd_recorder *recorder, const struct ttd_record *record, ttlog_error *error);

/* Writes digests of pages at a clock, in ascending order of pages. */
int ttd_recorder_write_pages(struct ttd_recorder *recorder, uint64_t clock, const struct ttd_page_digest *pages,
                             size_t count, ttlog_error *error);

/* Writes how the run ended, and closes the log. */
int ttd_recorder_close(struct ttd_recorder *recorder, uint32_t reason, const char *text, ttlog_error *error);

#endif
