/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLite, and what of it Swift cannot import: variadic functions, and the macro SQLITE_TRANSIENT, which is a cast. */
#pragma once
#include <sqlite3.h>

/* Declares that a virtual table has no side effects: views may use it although the schema is not trusted. */
static inline int tt_vtab_innocuous(sqlite3 *db) {
    return sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
}

/* Switches an option of sqlite3_db_config that takes a flag. */
static inline int tt_db_config(sqlite3 *db, int option, int value) {
    return sqlite3_db_config(db, option, value, (int *)0);
}

/* Binds a copy of a text. */
static inline int tt_bind_text(sqlite3_stmt *statement, int index, const char *text, int size) {
    return sqlite3_bind_text(statement, index, text, size, SQLITE_TRANSIENT);
}

/* Binds a copy of bytes; no bytes are an empty blob, not NULL. */
static inline int tt_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, int size) {
    return size == 0 ? sqlite3_bind_zeroblob(statement, index, 0)
                     : sqlite3_bind_blob(statement, index, bytes, size, SQLITE_TRANSIENT);
}

/* Answers with a copy of a text. */
static inline void tt_result_text(sqlite3_context *context, const char *text, int size) {
    sqlite3_result_text(context, text, size, SQLITE_TRANSIENT);
}

/* Sets a result text that lives as long as the process. */
static inline void tt_result_static_text(sqlite3_context *context, const char *text, int size) {
    sqlite3_result_text(context, text, size, SQLITE_STATIC);
}

/* Answers with a copy of bytes. */
static inline void tt_result_blob(sqlite3_context *context, const void *bytes, int size) {
    sqlite3_result_blob(context, bytes, size, SQLITE_TRANSIENT);
}

/* A copy of a text in SQLite's memory, for the error message of a virtual table. */
static inline char *tt_message(const char *text) {
    return sqlite3_mprintf("%s", text);
}

/* SQLITE_CORE keeps sqlite3ext.h from defining macros over the functions. */
#define SQLITE_CORE 1
#include <sqlite3ext.h>

/* Whether the program that loads an extension uses the SQLite that the extension is linked with. The connections of a
 * program with a SQLite of its own must not be passed to another one. */
static inline int tt_is_same_sqlite(const void *routines) {
    const sqlite3_api_routines *api = (const sqlite3_api_routines *)routines;
    return api && api->libversion_number == sqlite3_libversion_number;
}
