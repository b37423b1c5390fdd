/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * wake.c - see wake.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "wake.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accesses.h"
#include "causes.h"

/* NULL: the recorder is awake. */
static volatile struct ttd_wake_page *page;

bool ttd_wake_open(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    void *memory = lseek(file, 0, SEEK_END) >= (off_t)sizeof *page
                       ? mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, file, 0)
                       : MAP_FAILED;
    close(file);
    if (memory == MAP_FAILED) {
        return false;
    }
    page = memory;
    return page->magic == TTD_WAKE_MAGIC;
}

bool ttd_wake_sleeps(void) {
    if (!page) {
        return false;
    }
    if (!page->awake) {
        return true;
    }
    if (page->table_base != 0) {
        ttd_causes_know_table(page->table_base, (uint32_t)page->table_limit);
    }
    ttd_accesses_know_context(page->address_space);
    page = NULL;
    return false;
}
