/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * causes.c - see causes.h. Gates and frames: Intel SDM volume 3, chapter 6 (64-bit mode).
 */
#include "causes.h"

#include <stdbool.h>
#include <string.h>

#include "api.h"
#include "recorder.h"

#define VECTORS 256
#define FILTER_BITS 4096u
#define REREAD_AFTER 1000 /* instructions: limits how often discontinuities to other addresses read the table again */

enum { VECTOR_NMI = 2, VECTOR_PAGE_FAULT = 14, VECTOR_FIRST_INTERRUPT = 32 };

static struct {
    uint64_t base; /* 0: unknown */
    uint32_t limit;
    bool stale; /* the table must be read */
    uint64_t read_at; /* icount */
    unsigned count;
    uint64_t handlers[VECTORS];
    uint64_t filter[FILTER_BITS / 64]; /* a bit for each handler's address, to reject most branches quickly */
} table;

static unsigned filter_bit(uint64_t address) {
    return (unsigned)((address * 0x9e3779b97f4a7c15ull) >> 52);
}

static bool may_be_handler(uint64_t address) {
    unsigned bit = filter_bit(address);
    return table.filter[bit / 64] >> (bit % 64) & 1;
}

static void read_table(void) {
    static uint8_t gates[VECTORS * 16];
    unsigned count = (table.limit + 1) / 16;
    table.stale = false;
    table.read_at = ttd_recorder_icount();
    table.count = count < VECTORS ? count : VECTORS;
    memset(table.filter, 0, sizeof table.filter);
    if (!ttd_api_read_memory(table.base, gates, (size_t)table.count * 16)) {
        table.count = 0;
    }
    for (unsigned vector = 0; vector < table.count; vector++) {
        const uint8_t *gate = gates + (size_t)vector * 16;
        uint16_t low, middle;
        uint32_t high;
        memcpy(&low, gate, sizeof low);
        memcpy(&middle, gate + 6, sizeof middle);
        memcpy(&high, gate + 8, sizeof high);
        bool present = gate[5] & 0x80;
        uint64_t handler = present ? (uint64_t)high << 32 | (uint64_t)middle << 16 | low : 0;
        table.handlers[vector] = handler;
        if (present) {
            table.filter[filter_bit(handler) / 64] |= 1ull << (filter_bit(handler) % 64);
        }
    }
}

/* The vector whose gate leads to an address, or -1. */
static int vector_of(uint64_t address) {
    if (may_be_handler(address)) {
        for (unsigned vector = 0; vector < table.count; vector++) {
            if (table.handlers[vector] == address) {
                return (int)vector;
            }
        }
    }
    return -1;
}

static void on_table_loaded(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata) {
    (void)vcpu;
    (void)address;
    (void)userdata;
    uint64_t value[2];
    switch (ttd_api_memory_value(info, value)) {
    case 2:
        table.limit = (uint32_t)value[0];
        break;
    case 8:
        table.base = value[0];
        table.stale = true;
        break;
    default:
        table.base = 0; /* 16- or 32-bit code */
        break;
    }
}

void ttd_causes_watch_table(struct qemu_plugin_insn *lidt) {
    qemu_plugin_register_vcpu_mem_cb(lidt, on_table_loaded, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, NULL);
}

void ttd_causes_know_table(uint64_t base, uint32_t limit) {
    table.base = base;
    table.limit = limit;
    table.stale = true;
}

void ttd_causes_forget_table(void) {
    table.base = 0;
}

static bool has_error_code(int vector) {
    switch (vector) {
    case 8:
    case 10 ... 14:
    case 17:
    case 21:
    case 29:
    case 30:
        return true;
    default:
        return false;
    }
}

static void write_exception(int vector, uint64_t ip, uint64_t icount, const uint64_t *error_code) {
    uint16_t validity = TTLOG_VALID_IP | TTLOG_VALID_ICOUNT;
    uint64_t payload[2];
    uint16_t words = 0;
    if (vector == VECTOR_PAGE_FAULT) {
        validity |= TTLOG_VALID_ADDRESS;
        payload[words++] = ttd_api_read_register(TTD_REGISTER_CR2);
    }
    if (error_code) {
        validity |= TTLOG_VALID_VALUE;
        payload[words++] = *error_code;
    }
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_EXCEPTION, validity, (uint32_t)vector, ip, icount, payload,
                       words);
}

void ttd_causes_look(const struct ttd_transition *transition) {
    if (table.base == 0) {
        return;
    }
    bool discontinuous = ttlog_label_is_discontinuity(transition->label);
    if (table.stale) {
        read_table();
    }
    int vector = vector_of(transition->to);
    if (vector < 0 && discontinuous && ttd_recorder_icount() - table.read_at >= REREAD_AFTER) {
        read_table();
        vector = vector_of(transition->to);
    }
    uint64_t frame[2]; /* error code, ip; or ip, cs */
    if (vector < 0 || !ttd_api_read_stack(frame, 2)) {
        return;
    }
    if ((transition->label & TTLOG_LABEL_CLASS_MASK) == TTLOG_BRANCH_INT) {
        ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_SOFTWARE_INTERRUPT, TTLOG_VALID_IP | TTLOG_VALID_ICOUNT,
                           (uint32_t)vector, transition->from, transition->icount - 1, NULL, 0);
        return;
    }
    bool with_code = has_error_code(vector);
    uint64_t ip = frame[with_code ? 1 : 0];
    uint64_t icount = transition->icount - (ip == transition->from ? 1 : 0);
    if (vector < VECTOR_FIRST_INTERRUPT && vector != VECTOR_NMI) {
        write_exception(vector, ip, icount, with_code ? &frame[0] : NULL);
    } else {
        ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_INTERRUPT,
                           TTLOG_VALID_IP | TTLOG_VALID_ICOUNT | TTLOG_VALID_VALUE, (uint32_t)vector, ip, icount,
                           &transition->to, 1);
    }
}
