/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ttlog-torture: writes a known sequence of records as fast as it can. Tests kill it or run it out of disk space.
 *
 *     ttlog-torture LOG ORACLE [mode=N] [codec=N] [branches=N] [limit=BYTES] [random=1]
 *
 * ORACLE is a file of one page that the test owns: u64 branches committed, u64 events committed, updated after each
 * commit. Without branches=N it writes until it is killed. limit sets RLIMIT_FSIZE and keeps SIGXFSZ fatal.
 * At the end it prints "RESULT ERRNO": the result of ttlog_writer_close, and the error that ended the logging.
 *
 * Branch i: mix = splitmix64(i); from = 0xffffffff81000000 + (mix & 0xffff);
 * to = 0xffffffff81000000 + (mix >> 16 & 0xfffff); label = mix >> 60; icount = 3 i + (mix >> 40 & 1).
 * With random=1: from = mix, to = splitmix64(~i).
 * Event k is at clock 61 k, after branch 61 k - 1: kind 1, ip = clock, icount = 3 clock, info = k, payload:
 * splitmix64(k) % 200 bytes, byte j = k + j.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "ttlog_writer.h"

enum { EVENT_INTERVAL = 61, PAYLOAD_LIMIT = 200, ORACLE_SIZE = 4096 };

struct settings {
    const char *log, *oracle;
    uint64_t mode, codec, branches, limit, random;
};

static uint64_t splitmix64(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static int parse(struct settings *settings, int count, char **arguments) {
    if (count < 3)
        return -1;
    settings->log = arguments[1];
    settings->oracle = arguments[2];
    for (int i = 3; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        if (value == NULL)
            return -1;
        *value++ = '\0';
        uint64_t number = strtoull(value, NULL, 0);
        if (strcmp(arguments[i], "mode") == 0)
            settings->mode = number;
        else if (strcmp(arguments[i], "codec") == 0)
            settings->codec = number;
        else if (strcmp(arguments[i], "branches") == 0)
            settings->branches = number;
        else if (strcmp(arguments[i], "limit") == 0)
            settings->limit = number;
        else if (strcmp(arguments[i], "random") == 0)
            settings->random = number;
        else
            return -1;
    }
    return 0;
}

static volatile uint64_t *map_oracle(const char *path) {
    int fd = open(path, O_RDWR);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, ORACLE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

static void write_branch(ttlog_lane *lane, uint64_t index, int random) {
    const uint64_t base = 0xffffffff81000000u;
    uint64_t mix = splitmix64(index);
    uint64_t from = random ? mix : base + (mix & 0xffff);
    uint64_t to = random ? splitmix64(~index) : base + (mix >> 16 & 0xfffff);
    ttlog_branch(lane, from, to, 3 * index + (mix >> 40 & 1), (uint8_t)(mix >> 60));
}

static int write_event(ttlog_writer *writer, uint64_t index) {
    uint8_t payload[PAYLOAD_LIMIT];
    uint64_t clock = index * EVENT_INTERVAL;
    ttlog_event event = {
        .kind = TTLOG_EVENT_INTERRUPT,
        .validity = TTLOG_VALID_IP | TTLOG_VALID_ICOUNT,
        .payload_length = (uint16_t)(splitmix64(index) % PAYLOAD_LIMIT),
        .info = (uint32_t)index,
        .clock = clock,
        .icount = 3 * clock,
        .ip = clock,
        .payload = payload,
    };
    for (unsigned i = 0; i < event.payload_length; i++)
        payload[i] = (uint8_t)(index + i);
    return ttlog_write_event(writer, TTLOG_STREAM_EVENT, 0, &event);
}

int main(int count, char **arguments) {
    struct settings settings = {.branches = UINT64_MAX};
    if (parse(&settings, count, arguments) != 0) {
        fputs("usage: ttlog-torture LOG ORACLE [mode=N] [codec=N] [branches=N] [limit=BYTES] [random=1]\n", stderr);
        return 2;
    }
    volatile uint64_t *oracle = map_oracle(settings.oracle);
    if (oracle == NULL) {
        perror(settings.oracle);
        return 2;
    }
    const ttlog_options options = {
        .mode = (uint8_t)settings.mode,
        .codec = (uint8_t)settings.codec,
        .recorder = TTLOG_RECORDER_SYNTHETIC,
        .features = TTLOG_FEATURE_BRANCHES | TTLOG_FEATURE_ICOUNT | TTLOG_FEATURE_LABELS,
    };
    ttlog_error error;
    ttlog_writer *writer = ttlog_writer_create(settings.log, &options, &error);
    if (writer == NULL) {
        fprintf(stderr, "%s\n", error.message);
        return 2;
    }
    if (settings.limit > 0) {
        const struct rlimit limit = {settings.limit, settings.limit};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ttlog_lane *lane = ttlog_writer_lane(writer, 0);
    uint64_t events = 0;
    for (uint64_t i = 0; i < settings.branches; i++) {
        if (i % EVENT_INTERVAL == 0 && write_event(writer, i / EVENT_INTERVAL) == 0)
            oracle[1] = ++events;
        write_branch(lane, i, settings.random != 0);
        if (!lane->branches_off)
            oracle[0] = i + 1;
    }
    int result = ttlog_writer_close(writer, &error);
    printf("%d %d\n", result, error.code);
    return 0;
}
