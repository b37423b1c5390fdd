/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Branches to the slots of their stream: rolling from one slot to the next, and writing many branches at once.
 */
#include <string.h>

#include "ttlog_internal.h"

/* Leaves the lane without room: the next branch calls ttlog_lane_roll. */
static void lane_without_slot(ttlog_lane *lane) {
    lane->next = lane->end = NULL;
    lane->commit = NULL;
}

/* Passes the lane's slot to the sealer, if it has one. */
void ttlog_lane_close_slot(ttlog_lane *lane, uint32_t tail_flags) {
    struct ttlog_track *track = ttlog_track_of(lane->writer, TTLOG_STREAM_BRANCH, lane->vcpu);
    if (!track->is_open)
        return;
    track->records = (uint32_t)lane->commit_value;
    __atomic_fetch_add(lane->live_branches, track->records, __ATOMIC_RELAXED);
    lane_without_slot(lane);
    ttlog_track_close_slot(track, tail_flags);
}

int ttlog_lane_roll(ttlog_lane *lane) {
    struct ttlog_track *track = ttlog_track_of(lane->writer, TTLOG_STREAM_BRANCH, lane->vcpu);
    if (lane->clock == UINT64_MAX) {
        lane->clock--; /* the caller counts the branch: the clock stays where it is */
        if (track->record_max != 0)
            ttlog_track_count_lost(track, 1);
        return -1;
    }
    if (track->record_max == 0)
        return -1;
    if (lane->branches_off) {
        ttlog_track_count_lost(track, 1);
        return -1;
    }
    ttlog_lane_close_slot(lane, 0);
    if (ttlog_track_open_slot(track, lane->clock) != 0) {
        lane->branches_off = 1;
        ttlog_track_count_lost(track, 1);
        return -1;
    }
    struct ttlog_slot *slot = &track->slot[track->current];
    uint64_t cell_size = 1ull << track->cell_shift;
    uint64_t room = cell_size - (lane->clock & (cell_size - 1));
    if (room > track->record_max)
        room = track->record_max;
    if (room > UINT64_MAX - lane->clock)
        room = UINT64_MAX - lane->clock;
    lane->next = slot->units;
    lane->end = lane->next + room;
    lane->commit = &slot->header->commit;
    lane->commit_value = slot->header->commit >> 32 << 32;
    return 0;
}

void ttlog_branches(ttlog_lane *lane, const struct ttlog_raw_branch *records, size_t count) {
    while (count > 0) {
        if (lane->next == lane->end && ttlog_lane_roll(lane) != 0) {
            struct ttlog_track *track = ttlog_track_of(lane->writer, TTLOG_STREAM_BRANCH, lane->vcpu);
            uint64_t left = UINT64_MAX - lane->clock;
            lane->clock += count < left ? count : left;
            if (track->ended)
                ttlog_track_count_lost(track, count - 1); /* the roll has counted one */
            return;
        }
        size_t room = (size_t)(lane->end - lane->next);
        size_t run = count < room ? count : room;
        memcpy(lane->next, records, run * sizeof(*records));
        lane->next += run;
        lane->clock += run;
        lane->commit_value += run;
        __atomic_store_n(lane->commit, lane->commit_value, __ATOMIC_RELEASE);
        records += run;
        count -= run;
    }
}

void ttlog_lane_publish(ttlog_lane *lane, uint64_t icount) {
    if (lane->vcpu != 0)
        return;
    struct ttlog_open_header *header = lane->writer->open_header;
    __atomic_store_n(&header->clock, lane->clock, __ATOMIC_RELAXED);
    __atomic_store_n(&header->icount, icount, __ATOMIC_RELAXED);
}
