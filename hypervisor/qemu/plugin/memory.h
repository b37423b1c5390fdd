/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * memory.h - the records of instructions' accesses to memory: devices (MMIO) and RAM.
 *
 * What the processor reads and writes by itself is not seen: page tables, the frame of a delivery. Nor is what devices
 * write.
 */
#ifndef TTD_MEMORY_H
#define TTD_MEMORY_H

#include <stdbool.h>

#include "qemu_plugin_api.h"

struct ttd_memory_options {
    bool devices;         /* accesses to devices are recorded */
    bool ram;             /* accesses to RAM are */
    bool values;          /* with what was read and written */
    const char *ram_file; /* what API 1 does not show: the file that has the guest's RAM, by physical address; or NULL */
};

/* Sets what is recorded. Returns false if the file cannot be mapped. Call it before all others. */
bool ttd_memory_start(const struct ttd_memory_options *options);

/* Whether the values of accesses to RAM are known. */
bool ttd_memory_has_ram_values(void);

/* Whether there is anything to record. */
bool ttd_memory_wanted(void);

/* Records an instruction's accesses. */
void ttd_memory_watch(struct qemu_plugin_insn *insn, uint64_t address);

#endif
