/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Records to the slots of one stream. The guest's threads run this code.
 */
#include <string.h>

#include "ttlog_internal.h"

static uint64_t *lost_counter(ttlog_writer *writer, uint8_t stream) {
    return &writer->open_header->lost[stream];
}

void ttlog_track_count_lost(struct ttlog_track *track, uint64_t records) {
    track->ended = 1;
    track->lost += records;
    __atomic_fetch_add(lost_counter(track->writer, track->stream), records, __ATOMIC_RELAXED);
}

struct ttlog_track *ttlog_track_of(ttlog_writer *writer, uint8_t stream, uint16_t vcpu) {
    if (stream == TTLOG_STREAM_META)
        return &writer->tracks[0];
    if (stream < TTLOG_STREAM_BRANCH || stream > TTLOG_STREAM_ACCESS || vcpu >= writer->header.vcpu_count ||
        writer->lanes == NULL)
        return NULL;
    return &writer->tracks[1 + vcpu * TTLOG_TRACKS_PER_VCPU + stream - TTLOG_STREAM_BRANCH];
}

/* Passes the open slot to the sealer. */
void ttlog_track_close_slot(struct ttlog_track *track, uint32_t tail_flags) {
    struct ttlog_slot *slot = &track->slot[track->current];
    track->is_open = 0;
    track->room = 0;
    track->ordinal += track->records;
    slot->header->flags |= tail_flags;
    ttlog_queue_slot(track->writer, slot);
}

/* Opens the other slot for records of the cell at clock. Returns -1 when the logging has ended. */
int ttlog_track_open_slot(struct ttlog_track *track, uint64_t clock) {
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
    track->room = track->record_max;
    track->clock_end = is_meta ? UINT64_MAX : clock | ((1ull << track->cell_shift) - 1);
    track->next = slot->units;
    track->commit = &header->commit;
    track->records = track->payload = 0;
    return 0;
}

/* Passes a full slot to the sealer and opens the other one. Returns NULL after an error. */
static __attribute__((noinline)) struct ttlog_raw_event *change_slot(struct ttlog_track *track, uint64_t clock) {
    if (track->is_open)
        ttlog_track_close_slot(track, 0);
    if (ttlog_track_open_slot(track, clock) == 0)
        return track->next;
    ttlog_track_count_lost(track, 1);
    return NULL;
}

static __attribute__((noinline)) struct ttlog_raw_event *refuse(struct ttlog_track *track) {
    track->lost++;
    __atomic_fetch_add(lost_counter(track->writer, track->stream), 1, __ATOMIC_RELAXED);
    return NULL;
}

/* The track's clock is never before the epoch's; the clocks of meta records may go back. */
struct ttlog_raw_event *ttlog_event_begin(struct ttlog_track *track, uint64_t clock, uint32_t payload_length) {
    if (clock < track->clock && track->stream != TTLOG_STREAM_META)
        return refuse(track);
    if (clock <= track->clock_end && track->records < track->room &&
        track->payload + payload_length <= TTLOG_EVENT_CHUNK_PAYLOAD_MAX)
        return track->next;
    return change_slot(track, clock);
}

/* A reader that sees the slot's new count of units sees their contents too. */
void ttlog_event_commit(struct ttlog_track *track, struct ttlog_raw_event *raw) {
    ttlog_writer *writer = track->writer;
    uint32_t length = raw->payload_length;
    uint32_t units = (uint32_t)ttlog_event_units(length, raw->private_length);
    raw->ticket = __atomic_fetch_add(&writer->ticket, 1, __ATOMIC_RELAXED);
    track->next = raw + units;
    track->clock = raw->clock;
    track->payload += length;
    track->records++;
    __atomic_store_n(track->commit, *track->commit + units, __ATOMIC_RELEASE);
    __atomic_fetch_add(&writer->open_header->committed_events, 1, __ATOMIC_RELAXED);
}

/* Mostly a few words: no call for them. */
static void copy_payload(uint8_t *to, const uint8_t *from, size_t length) {
    if (length > 64) {
        memcpy(to, from, length);
        return;
    }
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= length; at += sizeof(uint64_t))
        memcpy(to + at, from + at, sizeof(uint64_t));
    for (; at < length; at++)
        to[at] = from[at];
}

int ttlog_track_write(struct ttlog_track *track, const ttlog_event *event) {
    if (event->private_length > TTLOG_PRIVATE_MAX) {
        (void)refuse(track);
        return -1;
    }
    struct ttlog_raw_event *raw = ttlog_event_begin(track, event->clock, event->payload_length);
    if (raw == NULL)
        return -1;
    uint16_t unknown = track->writer->header.features & TTLOG_FEATURE_ICOUNT ? 0 : TTLOG_VALID_ICOUNT;
    *raw = (struct ttlog_raw_event){
        .kind = event->kind,
        .validity = event->validity & (uint16_t)~unknown,
        .payload_length = event->payload_length,
        .private_length = event->private_length,
        .info = event->info,
        .clock = event->clock,
        .icount = event->icount,
        .ip = event->ip,
        .aux = event->aux,
        .tsc = event->tsc,
    };
    uint8_t *payload = (uint8_t *)(raw + 1);
    copy_payload(payload, event->payload, event->payload_length);
    if (event->private_length > 0)
        memcpy(payload + (event->payload_length + 63u) / 64 * 64, event->private_payload, event->private_length);
    ttlog_event_commit(track, raw);
    return 0;
}

/* Ends the track's epoch at end_clock (exclusive): its open slot becomes a chunk. */
void ttlog_track_finish(struct ttlog_track *track, uint64_t end_clock) {
    if (!track->is_open)
        return;
    int is_partial = track->stream != TTLOG_STREAM_META && end_clock >> track->cell_shift == track->cell;
    ttlog_track_close_slot(track, is_partial ? TTLOG_CHUNK_PARTIAL_TAIL : 0);
}
