/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events, meta records and epochs.
 */
#include <stdlib.h>
#include <string.h>

#include "ttlog_internal.h"

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

void ttlog_write_lost(ttlog_writer *writer, uint8_t stream, uint16_t vcpu, uint64_t records, uint64_t clock) {
    const uint64_t words[3] = {stream, records, clock};
    const ttlog_event event = {
        .kind = TTLOG_EVENT_LOST,
        .validity = TTLOG_VALID_VALUE,
        .info = vcpu,
        .clock = clock,
        .payload_length = sizeof(words),
        .payload = words,
    };
    (void)ttlog_write_meta(writer, &event);
}

/* The clock at which the vCPU's records end: after its last branch, and not before its last event. */
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
    ttlog_lane_close_slot(&writer->lanes[vcpu], is_partial ? TTLOG_CHUNK_PARTIAL_TAIL : 0);
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
