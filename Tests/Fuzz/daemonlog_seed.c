/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Makes a seed of DaemonLogFuzz.c: a small log as ttd-deviced writes it, closed, or as it is when its writer is killed.
 * Usage: daemonlog-seed LOG raw|zstd closed|killed
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ttlog_writer.h"

static void write_events(ttlog_writer *writer) {
    uint64_t words[] = {0x12345678, 2, 0x10};
    uint8_t placed = TTLOG_PLACED_ANYWHERE;
    for (uint64_t clock = 0; clock < 120; clock++) {
        ttlog_event event = {
            .kind = TTLOG_EVENT_EXIT,
            .validity = TTLOG_VALID_IP | TTLOG_VALID_REGISTERS | TTLOG_VALID_VALUE,
            .info = (uint32_t)(clock % 14) << TTLOG_EXIT_REASON_SHIFT | 1 | 1u << 16 | TTLOG_EXIT_OPERAND,
            .clock = clock, .ip = 0xffffffff81000000 + 64 * clock, .aux = 7 * clock,
            .payload_length = sizeof(words), .payload = words,
        };
        ttlog_write_event(writer, TTLOG_STREAM_EVENT, 0, &event);
        if (clock % 10 == 3)
            ttlog_write_event(writer, TTLOG_STREAM_EVENT, 0, &(ttlog_event){
                .kind = TTLOG_EVENT_INTERRUPT, .validity = TTLOG_VALID_IP | TTLOG_VALID_REGISTERS, .info = 0xf3,
                .clock = clock + 1, .ip = 0xffffffff81000100, .aux = 9, .private_payload = &placed, .private_length = 1});
        if (clock % 10 == 5)
            ttlog_write_event(writer, TTLOG_STREAM_EVENT, 0, &(ttlog_event){
                .kind = TTLOG_EVENT_FOREIGN_WRITE, .validity = TTLOG_VALID_ADDRESS | TTLOG_VALID_VALUE,
                .info = (uint32_t)(clock / 10 % 5) | 13 << 8, .clock = clock + 1, .payload_length = sizeof(words),
                .payload = words});
    }
}

int main(int count, char **arguments) {
    ttlog_error error = {0};
    if (count != 4)
        return 2;
    ttlog_options options = {
        .run_kind = TTLOG_RUN_RECORDING, .clock = TTLOG_CLOCK_SYNCHRONOUS_ENTRIES, .mode = TTLOG_MODE_EVENTS,
        .event_cell_shift = 5, .event_chunk_max = 16, .features = TTLOG_FEATURE_CAUSES | TTLOG_FEATURE_ACCESS_VALUES,
        .recorder = TTLOG_RECORDER_XEN, .recorder_name = "seed",
        .codec = strcmp(arguments[2], "raw") == 0 ? TTLOG_CODEC_RAW : TTLOG_CODEC_ZSTD, .compression_level = 3,
    };
    ttlog_writer *writer = ttlog_writer_create(arguments[1], &options, &error);
    if (writer == NULL) {
        fprintf(stderr, "daemonlog-seed: %s\n", error.message);
        return 2;
    }
    ttlog_write_attribute(writer, "xen.digests", "20000");
    write_events(writer);
    if (strcmp(arguments[3], "killed") == 0)
        _exit(0);
    ttlog_write_meta(writer, &(ttlog_event){.kind = TTLOG_EVENT_RUN_END, .info = TTLOG_END_GUEST_SHUTDOWN, .clock = 120,
                                            .payload = "end", .payload_length = 3});
    return ttlog_writer_close(writer, &error) == 0 ? 0 : 2;
}
