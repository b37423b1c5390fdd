// SPDX-License-Identifier: GPL-2.0-or-later
#include "ttdemangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *bytes;
    size_t count;
    size_t capacity;
    jmp_buf full;
};

/* libiberty cannot be told to stop. Its C++ and Rust printers keep their state on the stack, so that a jump is safe. */
static void append(const char *bytes, size_t count, void *opaque)
{
    struct text *text = opaque;
    if (count > text->capacity - text->count)
        longjmp(text->full, 1);
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
}

typedef int demangler(const char *, int, demangle_callbackref, void *);

static size_t run(demangler *demangle, const char *name, char *output, size_t capacity)
{
    struct text text = {.bytes = output, .count = 0, .capacity = capacity};
    if (setjmp(text.full))
        return 0;
    return demangle(name, DMGL_PARAMS | DMGL_ANSI, append, &text) ? text.count : 0;
}

/*
 * A back reference (Q) repeats what it refers to, which may hold others: each can double the text. libiberty's D
 * demangler has no limit, so names with many of them are left as they are.
 */
static size_t run_d(const char *name, char *output, size_t capacity)
{
    size_t references = 0;
    for (const char *at = name; *at; at++)
        references += *at == 'Q';
    if (references > 12)
        return 0;
    char *found = dlang_demangle(name, DMGL_PARAMS | DMGL_ANSI);
    size_t count = found ? strlen(found) : 0;
    if (count > capacity)
        count = 0;
    if (found)
        memcpy(output, found, count);
    free(found);
    return count;
}

size_t ttd_demangle(const char *name, char *output, size_t capacity)
{
    size_t count = 0;
    if (name[0] == '_' && (name[1] == 'R' || (name[1] == 'Z' && name[2] == 'N')))
        count = run(rust_demangle_callback, name, output, capacity);
    if (count == 0 && name[0] == '_' && name[1] == 'Z')
        count = run(cplus_demangle_v3_callback, name, output, capacity);
    if (count == 0 && name[0] == '_' && name[1] == 'D')
        count = run_d(name, output, capacity);
    return count;
}
