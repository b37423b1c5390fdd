/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both small guests need: guest.c here, and ../guest-pv/guest.c. Each has its own print(). */
#ifndef TTD_GUEST_COMMON_H
#define TTD_GUEST_COMMON_H

#include <stddef.h>
#include <stdint.h>

static void print(const char *text);

static void print_number(const char *name, uint64_t value) {
    char digits[17];
    for (int i = 15; i >= 0; i--, value >>= 4)
        digits[i] = "0123456789abcdef"[value & 15];
    digits[16] = 0;
    print(name);
    print(digits);
}

/* The number after NAME in the command line. */
static uint64_t option(const char *line, const char *name, uint64_t otherwise) {
    for (; line && *line; line++) {
        size_t i = 0;
        while (name[i] && line[i] == name[i])
            i++;
        if (name[i])
            continue;
        uint64_t value = 0;
        for (line += i; *line >= '0' && *line <= '9'; line++)
            value = value * 10 + (uint64_t)(*line - '0');
        return value;
    }
    return otherwise;
}

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    return hash ^ (hash >> 31);
}

#endif
