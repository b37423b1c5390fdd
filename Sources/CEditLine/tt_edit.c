/* SPDX-License-Identifier: GPL-2.0-or-later */
/* strdup, strncasecmp */
#define _POSIX_C_SOURCE 200809L

#include "tt_edit.h"

#include <editline/readline.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define HISTORY_LINES 1000

/* libedit's callbacks have no context. */
static const char *const *words;

static char *next_word(const char *text, int state) {
    static size_t place;
    if (!state) place = 0;
    size_t length = strlen(text);
    while (words && words[place]) {
        const char *word = words[place++];
        if (strncasecmp(word, text, length) == 0) return strdup(word);
    }
    return NULL;
}

static char **complete(const char *text, int start, int end) {
    (void)start;
    (void)end;
    /* File names are no part of a query. */
    rl_attempted_completion_over = 1;
    return rl_completion_matches(text, next_word);
}

void tt_edit_words(const char *const *list) {
    words = list;
    rl_readline_name = "tt-analyze";
    rl_attempted_completion_function = complete;
    using_history();
    stifle_history(HISTORY_LINES);
}

char *tt_edit_read(const char *prompt) {
    char *line = readline(prompt);
    if (line && *line) add_history(line);
    return line;
}

void tt_edit_load_history(const char *path) { read_history(path); }

void tt_edit_save_history(const char *path) {
    mode_t mask = umask(077);
    write_history(path);
    umask(mask);
}
