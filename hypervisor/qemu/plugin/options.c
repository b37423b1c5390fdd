/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * options.c - see options.h.
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *text, uint64_t *number) {
    if (*text < '0' || *text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 0);
    return errno == 0 && *end == 0;
}

static bool parse_limited(const char *text, uint64_t limit, uint64_t *number) {
    return parse_number(text, number) && *number <= limit;
}

static bool parse_switch(const char *text, bool *on) {
    if (strcmp(text, "on") == 0 || strcmp(text, "1") == 0) {
        *on = true;
        return true;
    }
    if (strcmp(text, "off") == 0 || strcmp(text, "0") == 0) {
        *on = false;
        return true;
    }
    return false;
}

/* A word out of a list that ends with NULL; `value` becomes its index. */
static bool parse_word(const char *text, const char *const *words, uint8_t *value) {
    for (uint8_t i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i;
            return true;
        }
    }
    return false;
}

static int hex_digit(char character) {
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return character - 'A' + 10;
    }
    return -1;
}

static bool parse_uuid(const char *text, uint8_t uuid[16]) {
    if (strlen(text) != 32) {
        return false;
    }
    for (int i = 0; i < 16; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool parse_window(char *text, uint64_t *from, uint64_t *to) {
    char *colon = strchr(text, ':');
    if (!colon) {
        return false;
    }
    *colon = 0;
    bool good = parse_number(text, from) && parse_number(colon + 1, to) && *from < *to;
    *colon = ':';
    return good;
}

/* Sets one option. Returns NULL, or what was expected if the value is wrong. */
static const char *set(struct ttd_options *options, const char *key, char *value) {
    static const char *const modes[] = {"branches", "digest", "events", NULL}; /* enum ttlog_mode */
    static const char *const codecs[] = {"raw", "zstd", NULL};                 /* enum ttlog_codec */
    static const char *const runs[] = {"unknown", "recording", "replay", "plain", NULL}; /* enum ttlog_run_kind */
    ttlog_options *writer = &options->writer;
    uint64_t number = 0;

    if (strcmp(key, "log") == 0) {
        options->log = value;
        return *value ? NULL : "a path";
    }
    if (strcmp(key, "oracle") == 0) {
        options->oracle = value;
        return *value ? NULL : "a path";
    }
    if (strcmp(key, "await") == 0) {
        options->await = value;
        return *value ? NULL : "a path";
    }
    if (strcmp(key, "ramfile") == 0) {
        options->ramfile = value;
        return *value ? NULL : "a path";
    }
    if (strcmp(key, "name") == 0) {
        writer->recorder_name = value;
        return NULL;
    }
    if (strcmp(key, "mode") == 0) {
        return parse_word(value, modes, &writer->mode) ? NULL : "branches, digest or events";
    }
    if (strcmp(key, "codec") == 0) {
        return parse_word(value, codecs, &writer->codec) ? NULL : "zstd or raw";
    }
    if (strcmp(key, "run") == 0) {
        return parse_word(value, runs, &writer->run_kind) ? NULL : "recording, replay or plain";
    }
    if (strcmp(key, "level") == 0) {
        bool good = parse_limited(value, 19, &number) && number > 0;
        writer->compression_level = (int8_t)number;
        return good ? NULL : "a level from 1 to 19";
    }
    if (strcmp(key, "uuid") == 0) {
        return parse_uuid(value, writer->recording_uuid) ? NULL : "32 hexadecimal digits";
    }
    if (strcmp(key, "clock_base") == 0) {
        return parse_number(value, &writer->clock_base) ? NULL : "a number";
    }
    if (strcmp(key, "icount_base") == 0) {
        return parse_number(value, &writer->icount_base) ? NULL : "a number";
    }
    if (strcmp(key, "kept") == 0) {
        bool good = parse_limited(value, UINT32_MAX, &number) && number > 0;
        writer->kept_cells = (uint32_t)number;
        return good ? NULL : "a number of cells above 0";
    }
    if (strcmp(key, "sync") == 0) {
        bool good = parse_limited(value, UINT32_MAX, &number);
        writer->sync_seconds = (uint32_t)number;
        return good ? NULL : "a number of seconds";
    }
    if (strcmp(key, "window") == 0) {
        return parse_window(value, &writer->window_from, &writer->window_to) ? NULL : "FROM:TO, FROM below TO";
    }
    if (strcmp(key, "access") == 0) {
        return parse_switch(value, &options->access) ? NULL : "on or off";
    }
    if (strcmp(key, "mmio") == 0) {
        return parse_switch(value, &options->mmio) ? NULL : "on or off";
    }
    if (strcmp(key, "ram") == 0) {
        return parse_switch(value, &options->ram) ? NULL : "on or off";
    }
    if (strcmp(key, "values") == 0) {
        return parse_switch(value, &options->values) ? NULL : "on or off";
    }
    if (strcmp(key, "context") == 0) {
        return parse_switch(value, &options->context) ? NULL : "on or off";
    }
    if (strcmp(key, "causes") == 0) {
        return parse_switch(value, &options->causes) ? NULL : "on or off";
    }
    if (strcmp(key, "state") == 0) {
        return parse_switch(value, &options->state) ? NULL : "on or off";
    }
    if (strcmp(key, "check") == 0) {
        return parse_switch(value, &options->check) ? NULL : "on or off";
    }
    if (strcmp(key, "correct") == 0) {
        return parse_switch(value, &options->correct) ? NULL : "on or off";
    }
    if (strcmp(key, "nested") == 0) {
        options->marked = strcmp(value, "marked") == 0;
        options->nested = options->marked;
        return options->marked || parse_switch(value, &options->nested) ? NULL : "on, marked or off";
    }
    return "a key out of log, mode, codec, level, run, uuid, name, clock_base, icount_base, access, mmio, ram, ramfile, values, "
           "context, causes, state, kept, window, sync, await, oracle, check, correct, nested";
}

bool ttd_options_parse(int argc, char **argv, struct ttd_options *options, char *message, size_t size) {
    *options = (struct ttd_options){.access = true,
                                    .values = true,
                                    .context = true,
                                    .causes = true,
                                    .state = true,
                                    .correct = true,
                                    .writer.codec = TTLOG_CODEC_ZSTD};
    for (int i = 0; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals) {
            snprintf(message, size, "argument '%s': expected KEY=VALUE", argv[i]);
            return false;
        }
        *equals = 0;
        const char *expected = set(options, argv[i], equals + 1);
        *equals = '=';
        if (expected) {
            snprintf(message, size, "argument '%s': expected %s", argv[i], expected);
            return false;
        }
    }
    if (!options->log) {
        snprintf(message, size, "no log given: add log=PATH");
        return false;
    }
    return true;
}
