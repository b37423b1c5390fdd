// SPDX-License-Identifier: GPL-2.0-or-later
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A file in memory, without a name; -1 and errno. Swift's Glibc has no memfd_create. */
static inline int ttd_memory_file(void) {
    const unsigned close_on_exec = 1;
    return (int)syscall(SYS_memfd_create, "tt-analyze", close_on_exec);
}
