/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line of input from a terminal, edited by libedit, with a history and the completion of words. */
#pragma once

/* Sets the words that TAB completes; a NULL-terminated list that stays valid. */
void tt_edit_words(const char *const *words);

/* Reads a line; the caller frees it. NULL at the end of input. A line that is not empty goes to the history. */
char *tt_edit_read(const char *prompt);

/* Reads the history from a file, and writes its last lines to it. A file that cannot be used is ignored. */
void tt_edit_load_history(const char *path);
void tt_edit_save_history(const char *path);
