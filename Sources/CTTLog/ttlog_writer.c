/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Records to slots: creation, the lanes, events, meta records, epochs. What the guest's threads run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ttlog_internal.h"

static uint64_t *lost_counter(ttlog_writer *writer, uint8_t stream) {
    return &writer->open_header->lost[stream];
}

static void count_lost(struct ttlog_track *track, uint64_t records) {
    track->ended = 1;
    track->lost += records;
    __atomic_fetch_add(lost_counter(track->writer, track->stream), records, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------------------------------------- tracks */

struct ttlog_track *ttlog_track_of(ttlog_writer *writer, uint8_t stream, uint16_t vcpu) {
    if (stream == TTLOG_STREAM_META)
        return &writer->tracks[0];
    if (stream < TTLOG_STREAM_BRANCH || stream > TTLOG_STREAM_ACCESS || vcpu >= writer->header.vcpu_count ||
        writer->lanes == NULL)
        return NULL;
    return &writer->tracks[1 + vcpu * TTLOG_TRACKS_PER_VCPU + stream - TTLOG_STREAM_BRANCH];
}

/* Hands the open slot to the sealer. */
static void close_slot(struct ttlog_track *track, uint32_t tail_flags) {
    struct ttlog_slot *slot = &track->slot[track->current];
    track->is_open = 0;
    track->ordinal += track->records;
    slot->header->flags |= tail_flags;
    ttlog_queue_slot(track->writer, slot);
}

/* Opens the other slot for records of the cell at clock. Returns -1 when the logging has ended. */
static int open_slot(struct ttlog_track *track, uint64_t clock) {
    uint8_t next = track->current ^ 1;
    struct ttlog_slot *slot = &track->slot[next];
    if (track->ended || ttlog_wait_free(track->writer, slot) != 0)
        return -1;
    int is_meta = track->stream == TTLOG_STREAM_META;
    uint64_t cell = is_meta ? 0 : clock >> track->cell_shift;
    int first_of_epoch = !track->has_cell;
    track->part = track->has_cell && track->cell == cell ? track->part + 1 : 0;
    track->cell = cell;
    track->has_cell = 1;

    uint32_t flags = 0;
    if (!is_meta && track->epoch_clock >> track->cell_shift == cell && track->epoch_clock != cell << track->cell_shift)
        flags |= TTLOG_CHUNK_PARTIAL_HEAD;
    if (first_of_epoch && track->epoch > 0)
        flags |= TTLOG_CHUNK_GAP_BEFORE;
    struct ttlog_slot_header *header = slot->header;
    header->cell = cell;
    header->epoch = track->epoch;
    header->part = track->part;
    header->flags = flags;
    header->first_ordinal = track->ordinal;
    header->clock_first = clock;
    track->current = next;
    track->is_open = 1;
    track->records = track->units = track->payload = 0;
    return 0;
}

/* Stores how many units of the open slot count. Everything stored before is seen by whoever sees this. */
static void commit_units(struct ttlog_track *track) {
    uint64_t *commit = &track->slot[track->current].header->commit;
    uint64_t generation = *commit >> 32;
    __atomic_store_n(commit, generation << 32 | track->units, __ATOMIC_RELEASE);
}

/* Does the record still belong into the open slot's chunk? */
static int fits(const struct ttlog_track *track, const ttlog_event *event) {
    return (track->stream == TTLOG_STREAM_META || event->clock >> track->cell_shift == track->cell) &&
           track->records < track->record_max &&
           track->payload + event->payload_length <= TTLOG_EVENT_CHUNK_PAYLOAD_MAX;
}

static void store_event(struct ttlog_track *track, const ttlog_event *event, uint16_t validity, uint64_t ticket) {
    struct ttlog_raw_event *raw = (struct ttlog_raw_event *)track->slot[track->current].units + track->units;
    *raw = (struct ttlog_raw_event){
        .kind = event->kind,
        .validity = validity,
        .payload_length = event->payload_length,
        .private_length = event->private_length,
        .info = event->info,
        .clock = event->clock,
        .icount = event->icount,
        .ip = event->ip,
        .aux = event->aux,
        .ticket = ticket,
        .tsc = event->tsc,
    };
    uint8_t *payload = (uint8_t *)(raw + 1);
    if (event->payload_length > 0)
        memcpy(payload, event->payload, event->payload_length);
    if (event->private_length > 0)
        memcpy(payload + (event->payload_length + 63u) / 64 * 64, event->private_payload, event->private_length);
    track->units += (uint32_t)ttlog_event_units(event->payload_length, event->private_length);
    track->payload += event->payload_length;
    track->records++;
    track->clock = event->clock;
}

int ttlog_track_write(struct ttlog_track *track, const ttlog_event *event) {
    ttlog_writer *writer = track->writer;
    int is_meta = track->stream == TTLOG_STREAM_META;
    int falls = !is_meta && (event->clock < track->clock || event->clock < track->epoch_clock);
    if (falls || event->private_length > TTLOG_PRIVATE_MAX) {
        track->lost++;
        __atomic_fetch_add(lost_counter(writer, track->stream), 1, __ATOMIC_RELAXED);
        return -1;
    }
    if (track->is_open && !fits(track, event))
        close_slot(track, 0);
    if (!track->is_open && open_slot(track, event->clock) != 0) {
        count_lost(track, 1);
        return -1;
    }
    uint16_t validity = event->validity;
    if (!(writer->header.features & TTLOG_FEATURE_ICOUNT))
        validity &= (uint16_t)~TTLOG_VALID_ICOUNT;
    store_event(track, event, validity, __atomic_fetch_add(&writer->ticket, 1, __ATOMIC_RELAXED));
    commit_units(track);
    __atomic_fetch_add(&writer->open_header->committed_events, 1, __ATOMIC_RELAXED);
    return 0;
}

/* The track's epoch ends at end_clock (exclusive): its open slot becomes a chunk. */
void ttlog_track_finish(struct ttlog_track *track, uint64_t end_clock) {
    if (!track->is_open)
        return;
    int is_partial = track->stream != TTLOG_STREAM_META && end_clock >> track->cell_shift == track->cell;
    close_slot(track, is_partial ? TTLOG_CHUNK_PARTIAL_TAIL : 0);
}

/* ------------------------------------------------------------------------------------------------- branches */

/* The lane has no room: the next branch comes to ttlog_lane_roll. */
static void lane_without_slot(ttlog_lane *lane) {
    lane->next = lane->end = NULL;
    lane->commit = NULL;
}

/* Hands the lane's slot to the sealer, if it has one. */
static void lane_close_slot(ttlog_lane *lane, uint32_t tail_flags) {
    struct ttlog_track *track = ttlog_track_of(lane->writer, TTLOG_STREAM_BRANCH, lane->vcpu);
    if (!track->is_open)
        return;
    track->records = (uint32_t)lane->commit_value;
    __atomic_fetch_add(lane->live_branches, track->records, __ATOMIC_RELAXED);
    lane_without_slot(lane);
    close_slot(track, tail_flags);
}

int ttlog_lane_roll(ttlog_lane *lane) {
    struct ttlog_track *track = ttlog_track_of(lane->writer, TTLOG_STREAM_BRANCH, lane->vcpu);
    if (track->record_max == 0)
        return -1;
    if (lane->branches_off) {
        count_lost(track, 1);
        return -1;
    }
    lane_close_slot(lane, 0);
    if (open_slot(track, lane->clock) != 0) {
        lane->branches_off = 1;
        count_lost(track, 1);
        return -1;
    }
    struct ttlog_slot *slot = &track->slot[track->current];
    uint64_t cell_size = 1ull << track->cell_shift;
    uint64_t room = cell_size - (lane->clock & (cell_size - 1));
    if (room > track->record_max)
        room = track->record_max;
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
            lane->clock += count;
            if (track->ended)
                count_lost(track, count - 1); /* the roll has counted one */
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

/* ------------------------------------------------------------------------------------------------- the rest */

ttlog_lane *ttlog_writer_lane(ttlog_writer *writer, uint16_t vcpu) {
    return writer->lanes != NULL && vcpu < writer->header.vcpu_count ? &writer->lanes[vcpu] : NULL;
}

int ttlog_write_event(ttlog_writer *writer, uint8_t stream, uint16_t vcpu, const ttlog_event *event) {
    if (stream != TTLOG_STREAM_EVENT && stream != TTLOG_STREAM_ACCESS)
        return -1;
    struct ttlog_track *track = ttlog_track_of(writer, stream, vcpu);
    return track != NULL ? ttlog_track_write(track, event) : -1;
}

int ttlog_write_meta(ttlog_writer *writer, const ttlog_event *event) {
    pthread_mutex_lock(&writer->meta_lock);
    int result = ttlog_track_write(&writer->tracks[0], event);
    pthread_mutex_unlock(&writer->meta_lock);
    return result;
}

int ttlog_write_attribute(ttlog_writer *writer, const char *key, const char *value) {
    size_t key_size = strlen(key) + 1, value_size = strlen(value);
    if (key_size + value_size > TTLOG_PAYLOAD_MAX)
        return -1;
    char *payload = malloc(key_size + value_size);
    if (payload == NULL)
        return -1;
    memcpy(payload, key, key_size);
    memcpy(payload + key_size, value, value_size);
    const ttlog_event event = {
        .kind = TTLOG_EVENT_ATTRIBUTE,
        .payload_length = (uint16_t)(key_size + value_size),
        .payload = payload,
    };
    int result = ttlog_write_meta(writer, &event);
    free(payload);
    return result;
}

/* Where the vCPU's records end: behind its last branch, and not before its last event. */
static uint64_t end_clock(const ttlog_writer *writer, uint16_t vcpu) {
    uint64_t clock = writer->lanes[vcpu].clock;
    const struct ttlog_track *track = &writer->tracks[1 + vcpu * TTLOG_TRACKS_PER_VCPU];
    for (unsigned i = 0; i < TTLOG_TRACKS_PER_VCPU; i++)
        if (track[i].clock > clock)
            clock = track[i].clock;
    return clock;
}

void ttlog_vcpu_finish(ttlog_writer *writer, uint16_t vcpu) {
    uint64_t end = end_clock(writer, vcpu);
    struct ttlog_track *tracks = &writer->tracks[1 + vcpu * TTLOG_TRACKS_PER_VCPU];
    int is_partial = tracks[0].is_open && end >> tracks[0].cell_shift == tracks[0].cell;
    lane_close_slot(&writer->lanes[vcpu], is_partial ? TTLOG_CHUNK_PARTIAL_TAIL : 0);
    for (unsigned i = 1; i < TTLOG_TRACKS_PER_VCPU; i++)
        ttlog_track_finish(&tracks[i], end);
}

void ttlog_begin_epoch(ttlog_writer *writer, uint16_t vcpu, uint64_t clock) {
    if (ttlog_writer_lane(writer, vcpu) == NULL)
        return;
    ttlog_vcpu_finish(writer, vcpu);
    writer->lanes[vcpu].clock = clock;
    struct ttlog_track *tracks = &writer->tracks[1 + vcpu * TTLOG_TRACKS_PER_VCPU];
    for (unsigned i = 0; i < TTLOG_TRACKS_PER_VCPU; i++) {
        tracks[i].epoch++;
        tracks[i].epoch_clock = tracks[i].clock = clock;
        tracks[i].has_cell = 0;
    }
}

int ttlog_writer_error(const ttlog_writer *writer) {
    return __atomic_load_n(&writer->error, __ATOMIC_RELAXED);
}

uint64_t ttlog_writer_lost(const ttlog_writer *writer) {
    uint64_t lost = writer->lost_before;
    for (int stream = 0; stream < 8 && writer->open_header != NULL; stream++)
        lost += __atomic_load_n(&writer->open_header->lost[stream], __ATOMIC_RELAXED);
    return lost;
}

uint64_t ttlog_writer_stall_ns(ttlog_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    uint64_t stall = writer->stall_ns;
    pthread_mutex_unlock(&writer->lock);
    return stall;
}
