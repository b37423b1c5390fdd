/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * memory.c - see memory.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "recorder.h"

#define PAGE 0x1000u

static struct ttd_memory_options wanted;
static const uint8_t *ram; /* NULL: not mapped */
static uint64_t ram_size;

/* Maps the file for the whole run. */
static bool map_ram(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *memory = MAP_FAILED;
    if (file >= 0 && fstat(file, &status) == 0 && status.st_size > 0) {
        ram_size = (uint64_t)status.st_size;
        memory = mmap(NULL, ram_size, PROT_READ, MAP_SHARED, file, 0);
    }
    if (file >= 0) {
        close(file);
    }
    ram = memory == MAP_FAILED ? NULL : memory;
    return ram != NULL;
}

bool ttd_memory_start(const struct ttd_memory_options *options) {
    wanted = *options;
    bool shown = ttd_api_generation() >= 4;
    return !wanted.ram || shown || !wanted.ram_file || map_ram(wanted.ram_file);
}

bool ttd_memory_has_ram_values(void) {
    return wanted.ram && wanted.values && (ttd_api_generation() >= 4 || ram != NULL);
}

bool ttd_memory_wanted(void) {
    return wanted.devices || wanted.ram;
}

/* Where the instruction of the access is. It may be in a block that QEMU made for it alone, after it had begun in another
 * one: that block has no callback, and the instruction is not counted again. So its position, and its address where blocks
 * are shared, come from the counter and not from the block. */
struct position {
    uint64_t ip;
    uint64_t icount;
};

static struct position position(uint64_t translated) {
    const struct ttd_block *block = ttd_recorder.previous;
    struct position here = {.ip = translated, .icount = ttd_recorder_icount() - 1};
    uint64_t index = here.icount - ttd_recorder.entered_at;
    if (ttd_api_shares_blocks() && index < block->count) {
        here.ip = block->address + block->sites[index].offset + ttd_recorder.delta;
    }
    return here;
}

static void write_record(uint16_t kind, struct position at, unsigned size, const uint64_t *payload, uint16_t words) {
    uint16_t validity = TTLOG_VALID_IP | TTLOG_VALID_ICOUNT | TTLOG_VALID_ADDRESS;
    ttd_recorder_event(TTLOG_STREAM_ACCESS, kind, validity | (words > 1 ? TTLOG_VALID_VALUE : 0), size, at.ip, at.icount,
                       payload, words);
}

static void on_device(qemu_plugin_meminfo_t info, uint64_t physical, struct position at) {
    uint64_t payload[3] = {physical};
    uint16_t words = 1;
    if (wanted.values && ttd_api_generation() >= 4) {
        words += ttd_api_memory_value(info, payload + 1) > 8 ? 2 : 1;
    }
    write_record(qemu_plugin_mem_is_store(info) ? TTLOG_EVENT_MMIO_WRITE : TTLOG_EVENT_MMIO_READ, at,
                 1u << qemu_plugin_mem_size_shift(info), payload, words);
}

/* A part of an access that is in one page. `bytes`: its value, or NULL where only the file shows it. */
static void on_ram(uint16_t kind, struct position at, uint64_t physical, uint64_t virtual, const uint8_t *bytes,
                   unsigned size) {
    if (ram && (physical >= ram_size || ram_size - physical < size)) {
        return; /* firmware: API 1 shows no physical address of it */
    }
    uint64_t payload[4] = {physical, virtual};
    uint16_t words = 2;
    if (ttd_memory_has_ram_values() && size <= 2 * sizeof *payload) {
        memcpy(payload + 2, bytes ? bytes : ram + physical, size);
        words += size > 8 ? 2 : 1;
    }
    write_record(kind, at, size, payload, words);
}

/* Called after the access. */
static void on_memory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata) {
    (void)vcpu;
    const struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, address);
    if (!where || !(qemu_plugin_hwaddr_is_io(where) ? wanted.devices : wanted.ram)) {
        return;
    }
    struct position at = position((uint64_t)(uintptr_t)userdata);
    uint64_t physical = qemu_plugin_hwaddr_phys_addr(where);
    if (qemu_plugin_hwaddr_is_io(where)) {
        on_device(info, physical, at);
        return;
    }
    uint16_t kind = qemu_plugin_mem_is_store(info) ? TTLOG_EVENT_RAM_WRITE : TTLOG_EVENT_RAM_READ;
    unsigned size = 1u << qemu_plugin_mem_size_shift(info);
    uint64_t value[2] = {0};
    const uint8_t *bytes = NULL;
    if (wanted.values && ttd_api_generation() >= 4) {
        ttd_api_memory_value(info, value);
        bytes = (const uint8_t *)value;
    }
    unsigned in_page = PAGE - (unsigned)(address % PAGE);
    unsigned first = size < in_page ? size : in_page;
    on_ram(kind, at, physical, address, bytes, first);
    if (first == size) {
        return;
    }
    where = qemu_plugin_get_hwaddr(info, address + first);
    if (where && !qemu_plugin_hwaddr_is_io(where)) {
        on_ram(kind, at, qemu_plugin_hwaddr_phys_addr(where), address + first, bytes ? bytes + first : NULL, size - first);
    }
}

void ttd_memory_watch(struct qemu_plugin_insn *insn, uint64_t address) {
    qemu_plugin_register_vcpu_mem_cb(insn, on_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                     (void *)(uintptr_t)address);
}
