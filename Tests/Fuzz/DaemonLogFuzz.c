/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A libFuzzer harness for ttd-deviced's log reader: opens the input as a recording, reads all of it, and makes the records
 * of a replay from it. daemonlog.sh builds it with the sources of ttd-deviced and CTTLog.
 *
 * An input is, as that of LogReaderFuzz.swift: 4 bytes with the length of the log (little-endian), the log, an open file. If
 * the top bit of the length is set, checksums are left as they are; otherwise they are corrected.
 *
 * On no input may the reader crash, hang, use memory out of proportion, write to the log, or leave a copy of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feeder.h"
#include "ttlog_reader.h"

static char log_path[64], open_path[72], copy_path[72];

static void put(const char *path, const uint8_t *bytes, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    close(fd);
}

static void check_untouched(const char *path, const uint8_t *bytes, size_t size) {
    static uint8_t found[1 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, found, sizeof(found)) != (ssize_t)size || memcmp(found, bytes, size) != 0)
        abort();
    close(fd);
}

static void repair_file_header(uint8_t *bytes) {
    struct ttlog_file_header header;
    memcpy(&header, bytes, sizeof(header));
    header.magic = TTLOG_FILE_MAGIC;
    header.version = TTLOG_VERSION;
    header.header_size = TTLOG_FILE_HEADER_SIZE;
    header.recorder = TTLOG_RECORDER_XEN;
    header.clock = TTLOG_CLOCK_SYNCHRONOUS_ENTRIES;
    header.vcpu_count = 1;
    header.header_crc = 0;
    header.header_crc = ttlog_crc32c(0, &header, sizeof(header));
    memcpy(bytes, &header, sizeof(header));
}

static void repair_chunk(uint8_t *bytes, size_t size, size_t place, uint64_t nonce) {
    struct ttlog_chunk_header chunk;
    if (size - place < sizeof(chunk))
        return;
    memcpy(&chunk, bytes + place, sizeof(chunk));
    chunk.nonce = nonce;
    chunk.offset = place;
    if (chunk.stored_size <= size - place - sizeof(chunk))
        chunk.body_hash = ttlog_hash(bytes + place + sizeof(chunk), chunk.stored_size, 0);
    chunk.header_crc = 0;
    chunk.header_crc = ttlog_crc32c(0, &chunk, sizeof(chunk));
    memcpy(bytes + place, &chunk, sizeof(chunk));
}

static void repair_trailer(uint8_t *bytes, size_t place, uint64_t nonce) {
    struct ttlog_trailer trailer;
    memcpy(&trailer, bytes + place, sizeof(trailer));
    trailer.nonce = nonce;
    trailer.offset = place;
    trailer.trailer_crc = 0;
    trailer.trailer_crc = ttlog_crc32c(0, &trailer, sizeof(trailer));
    memcpy(bytes + place, &trailer, sizeof(trailer));
}

/* Corrects what else would hide the rest from the fuzzer. Returns the log's nonce. */
static uint64_t repair_log(uint8_t *bytes, size_t size) {
    struct ttlog_file_header header;
    if (size < sizeof(header))
        return 0;
    repair_file_header(bytes);
    memcpy(&header, bytes, sizeof(header));
    for (size_t place = sizeof(header); size - place >= TTLOG_CHUNK_ALIGNMENT; place += TTLOG_CHUNK_ALIGNMENT) {
        uint64_t magic;
        memcpy(&magic, bytes + place, sizeof(magic));
        if ((uint32_t)magic == TTLOG_CHUNK_MAGIC)
            repair_chunk(bytes, size, place, header.nonce);
        else if (magic == TTLOG_TRAILER_MAGIC)
            repair_trailer(bytes, place, header.nonce);
    }
    return header.nonce;
}

static void repair_open_file(uint8_t *bytes, size_t size, uint64_t nonce) {
    struct ttlog_open_header header;
    if (size < sizeof(header))
        return;
    memcpy(&header, bytes, sizeof(header));
    header.magic = TTLOG_OPEN_MAGIC;
    header.version = TTLOG_VERSION;
    header.nonce = nonce;
    header.header_crc = 0;
    header.header_crc = ttlog_crc32c(0, &header, 64);
    memcpy(bytes, &header, sizeof(header));
    struct ttlog_slot_descriptor slot;
    for (size_t i = 0; i < header.slot_count && size - sizeof(header) >= (i + 1) * sizeof(slot); i++) {
        uint8_t *place = bytes + sizeof(header) + i * sizeof(slot);
        memcpy(&slot, place, sizeof(slot));
        slot.crc = 0;
        slot.crc = ttlog_crc32c(0, &slot, sizeof(slot));
        memcpy(place, &slot, sizeof(slot));
    }
}

/* Feeds a ring that the hypervisor empties at once. */
static void feed(struct ttd_log *log) {
    static _Alignas(4096) uint8_t memory[4096 * 9];
    struct ttd_ring *ring = (struct ttd_ring *)memory;
    struct ttd_feeder feeder = {.log = log, .path = log_path};
    struct ttd_view view;
    ttlog_error error = {0};
    *ring = (struct ttd_ring){.size = sizeof(memory) - TTD_RING_PAGE, .version = TTD_VERSION};
    if (ttd_view_open(&view, memory, sizeof(memory), 1, &error) != 0)
        abort();
    while (ttd_feeder_fill(&feeder, &view, &error) > 0)
        ring->consumed = ring->produced;
}

static void read_log(void) {
    ttlog_error error = {0};
    uint32_t reason;
    uint64_t clock;
    struct ttd_log *log = ttd_log_open(log_path, copy_path, &error);
    if (log == NULL) {
        if (error.code == 0 || (error.code != ENOMEM && strstr(error.message, log_path) == NULL))
            abort(); /* an error names the file */
        return;
    }
    (void)ttd_log_attribute(log, "xen.digests");
    (void)ttd_log_end(log, &reason, &clock);
    feed(log);
    ttd_log_close(log);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    const char *directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)count;
    (void)arguments;
    snprintf(log_path, sizeof(log_path), "%s/ttd-fuzz-%d", directory, getpid());
    snprintf(open_path, sizeof(open_path), "%s.open", log_path);
    snprintf(copy_path, sizeof(copy_path), "%s.copy", log_path);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    uint32_t word;
    if (size < sizeof(word) || size > 1 << 20)
        return 0;
    memcpy(&word, input, sizeof(word));
    size -= sizeof(word);
    size_t length = (word & 0x7fffffff) < size ? word & 0x7fffffff : size;
    uint8_t *bytes = malloc(size + 1);
    memcpy(bytes, input + sizeof(word), size);
    if (word >> 31 == 0)
        repair_open_file(bytes + length, size - length, repair_log(bytes, length));
    put(log_path, bytes, length);
    if (size > length)
        put(open_path, bytes + length, size - length);
    read_log();
    check_untouched(log_path, bytes, length);
    if (size > length)
        check_untouched(open_path, bytes + length, size - length);
    if (access(copy_path, F_OK) == 0)
        abort();
    unlink(log_path);
    unlink(open_path);
    free(bytes);
    return 0;
}
