/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * window.c - a plugin that logs every instruction and memory access of a short window of a run, and nothing before it.
 *
 *     -plugin libttd-window.so,window=FILE[,ram=FILE]
 *
 * FILE has the layout of window_log.h. While the plugin sleeps, translated blocks get no callbacks, so the guest runs at
 * full speed. A tool opens the window while the guest is paused, and makes QEMU translate anew (`log nochain` in its
 * monitor).
 *
 * QEMU 7.2 (plugin API 1) does not give the values of accesses. The plugin reads them from `ram`, the file that QEMU has
 * for the guest's memory, at the physical address. Since QEMU 10 (API 4) the interface gives them.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../plugin/api.h"
#include "window_log.h"

static struct {
    struct ttd_window_header *header;
    struct ttd_window_site *sites;
    uint64_t *stream;
    const uint8_t *ram; /* NULL: the interface gives values, or nothing does */
    uint64_t ram_size;
    uint64_t shift; /* the last one logged */
} window;

static bool fail(const char *what, const char *why) {
    fprintf(stderr, "ttd-window: %s: %s\n", what, why);
    return false;
}

/* Room for a record, or NULL. */
static uint64_t *reserve(uint64_t words) {
    struct ttd_window_header *header = window.header;
    if (header->stream_words - header->words < words) {
        header->lost++;
        return NULL;
    }
    uint64_t *record = window.stream + header->words;
    header->words += words;
    return record;
}

static void on_instruction(unsigned vcpu, void *userdata) {
    (void)vcpu;
    if (window.header->mode != TTD_WINDOW_LOGS) {
        return;
    }
    uint64_t *record = reserve(1);
    if (record) {
        record[0] = (uint64_t)TTD_WINDOW_INSTRUCTION << 62 | (uint32_t)(uintptr_t)userdata;
        window.header->instructions++;
    }
}

/* QEMU 10 shares blocks between virtual addresses. 16-bit code is at cs base + ip; no other code is below 64 KiB. */
static void on_shared_block(unsigned vcpu, void *userdata) {
    (void)vcpu;
    if (window.header->mode != TTD_WINDOW_LOGS) {
        return;
    }
    uint64_t rip = ttd_api_read_register(TTD_REGISTER_RIP);
    uint64_t shift = rip < 0x10000 ? 0 : rip - window.sites[(uintptr_t)userdata].address;
    if (shift == window.shift) {
        return;
    }
    uint64_t *record = reserve(2);
    if (record) {
        record[0] = (uint64_t)TTD_WINDOW_SHIFT << 62;
        record[1] = shift;
        window.shift = shift;
    }
}

static void put_access(uint64_t first, uint64_t physical, uint64_t virtual, uint64_t value) {
    uint64_t *record = reserve(3);
    if (record) {
        record[0] = first | (physical & 0xffffffffffffffull);
        record[1] = virtual;
        record[2] = value;
    }
}

/* The bytes at a physical address, as many as are in its page. */
static uint64_t read_ram(uint64_t physical, unsigned size) {
    uint64_t value = 0;
    uint64_t in_page = 0x1000 - (physical & 0xfff);
    if (window.ram && physical < window.ram_size && window.ram_size - physical >= size) {
        memcpy(&value, window.ram + physical, size < in_page ? size : in_page);
    }
    return value;
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata) {
    (void)vcpu;
    (void)userdata;
    if (window.header->mode != TTD_WINDOW_LOGS) {
        return;
    }
    const struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, address);
    bool device = where && qemu_plugin_hwaddr_is_io(where);
    uint64_t physical = where ? qemu_plugin_hwaddr_phys_addr(where) : 0;
    unsigned shift = qemu_plugin_mem_size_shift(info);
    unsigned size = shift < 3 ? 1u << shift : 8;
    uint64_t value[2] = {0, 0};
    if (ttd_api_generation() >= 4) {
        ttd_api_memory_value(info, value);
    } else if (!device) {
        value[0] = read_ram(physical, size);
        value[1] = shift > 3 ? read_ram(physical + 8, 8) : 0;
    }
    uint64_t first = (uint64_t)TTD_WINDOW_MEMORY << 62 | (qemu_plugin_mem_is_store(info) ? TTD_WINDOW_STORE : 0) |
                     (device ? TTD_WINDOW_DEVICE : 0) | (uint64_t)(shift < 3 ? shift : 3) << 56;
    put_access(first, physical, address, value[0]);
    if (shift > 3) {
        put_access(first, physical + 8, address + 8, value[1]);
    }
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    struct ttd_window_header *header = window.header;
    if (header->mode == TTD_WINDOW_SLEEPS) {
        return;
    }
    size_t count = qemu_plugin_tb_n_insns(tb);
    if (header->site_capacity - header->sites < count) {
        header->lost += count;
        return;
    }
    uint64_t begin = header->sites;
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t number = header->sites++;
        struct ttd_window_site *site = &window.sites[number];
        site->address = qemu_plugin_insn_vaddr(insn);
        site->size = (uint8_t)ttd_api_instruction_bytes(insn, site->bytes, sizeof site->bytes);
        void *userdata = (void *)(uintptr_t)number;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_NO_REGS, userdata);
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, userdata);
    }
    if (ttd_api_shares_blocks() && count > 0) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_shared_block, QEMU_PLUGIN_CB_R_REGS, (void *)(uintptr_t)begin);
    }
}

static void on_vcpu_start(qemu_plugin_id_t id, unsigned vcpu) {
    (void)id;
    const char *missing;
    if (vcpu == 0 && !ttd_api_find_registers(&missing)) {
        fail("register not found", missing);
    }
}

/* Maps a whole file; NULL if that fails. */
static void *map(const char *path, int protection, uint64_t *size) {
    int file = open(path, (protection & PROT_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    struct stat status;
    void *memory = MAP_FAILED;
    if (file >= 0 && fstat(file, &status) == 0 && status.st_size > 0) {
        *size = (uint64_t)status.st_size;
        memory = mmap(NULL, *size, protection, MAP_SHARED, file, 0);
    }
    if (file >= 0) {
        close(file);
    }
    return memory == MAP_FAILED ? NULL : memory;
}

static bool open_window(const char *path) {
    uint64_t size = 0;
    struct ttd_window_header *header = map(path, PROT_READ | PROT_WRITE, &size);
    if (!header) {
        return fail(path, "cannot be mapped");
    }
    uint64_t room = size >= TTD_WINDOW_SITES_AT ? (size - TTD_WINDOW_SITES_AT) / 8 : 0;
    if (room == 0 || header->magic != TTD_WINDOW_MAGIC || header->site_capacity > room / 3 ||
        header->stream_words > room - 3 * header->site_capacity) {
        return fail(path, "not a window file of this plugin's version");
    }
    window.header = header;
    window.sites = (void *)((uint8_t *)header + TTD_WINDOW_SITES_AT);
    window.stream = (uint64_t *)(window.sites + header->site_capacity);
    return true;
}

static bool parse(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "window=", 7) == 0) {
            if (!open_window(argv[i] + 7)) {
                return false;
            }
        } else if (strncmp(argv[i], "ram=", 4) == 0) {
            window.ram = map(argv[i] + 4, PROT_READ, &window.ram_size);
            if (!window.ram) {
                return fail(argv[i] + 4, "cannot be mapped");
            }
        } else {
            return fail(argv[i], "expected window=FILE or ram=FILE");
        }
    }
    return window.header || fail("no window given", "add window=FILE");
}

QEMU_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    char message[512];
    if (!ttd_api_accepts(info, message, sizeof message)) {
        fail("not loaded", message);
        return -1;
    }
    if (!parse(argc, argv)) {
        return -1;
    }
    if (ttd_api_shares_blocks()) {
        qemu_plugin_register_vcpu_init_cb(id, on_vcpu_start);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    window.header->is_loaded = 1;
    return 0;
}
