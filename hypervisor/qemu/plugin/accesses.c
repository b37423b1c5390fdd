/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * accesses.c - see accesses.h. Operands: Intel SDM volume 2.
 */
#include "accesses.h"

#include <string.h>

#include "api.h"
#include "recorder.h"

/* An instruction that makes an access. */
struct site {
    uint64_t address;
    uint64_t port; /* the address word, if the port is in the instruction */
    uint32_t info;
    uint16_t kind;
    uint16_t index; /* in its block */
    uint8_t size;   /* bytes of the instruction */
    uint8_t bytes;  /* of the access, 0 unknown */
    uint8_t has_port;
    uint8_t reg; /* target of rdrand */
    uint8_t loads_address_space; /* context: it loads cr3; 0: it loads rsp */
};

static bool values;

/* The access that has begun and is not settled. A copy, because its block's memory may be freed meanwhile. */
static struct {
    struct site site;
    uint64_t ip;
    uint64_t icount;
    uint64_t address_word;
    bool has_address;
    unsigned touched;     /* memory accesses of ins and outs */
    uint64_t touched_value[2]; /* the last one's */
} begun;

static uint64_t known_cr3;
static bool cr3_is_known;

static uint64_t low_bytes(uint64_t value, unsigned bytes) {
    return bytes == 0 || bytes >= 8 ? value : value & ((1ull << (8 * bytes)) - 1);
}

/* edx:eax, or any two. */
static uint64_t pair(enum ttd_register high, enum ttd_register low) {
    return ttd_api_read_register(high) << 32 | (uint32_t)ttd_api_read_register(low);
}

static bool is_string(const struct site *site) {
    return site->info & TTLOG_ACCESS_STRING;
}

static void write_access(const struct site *site, uint64_t ip, uint64_t icount, const uint64_t *address,
                         const uint64_t *read, uint16_t count) {
    uint64_t payload[3];
    uint16_t words = 0;
    uint16_t validity = TTLOG_VALID_IP | TTLOG_VALID_ICOUNT;
    if (address) {
        validity |= TTLOG_VALID_ADDRESS;
        payload[words++] = *address;
    }
    if (count > 0) {
        validity |= TTLOG_VALID_VALUE;
        memcpy(payload + words, read, count * sizeof *read);
        words += count;
    }
    ttd_recorder_event(TTLOG_STREAM_ACCESS, site->kind, validity, site->info, ip, icount, payload, words);
}

static void write_context(uint64_t sp) {
    uint64_t payload[2] = {ttd_api_read_register(TTD_REGISTER_CR3), sp};
    if (begun.site.loads_address_space && cr3_is_known && payload[0] == known_cr3) {
        return; /* the same value: this only flushes the TLB */
    }
    cr3_is_known = true;
    known_cr3 = payload[0];
    ttd_recorder_event(TTLOG_STREAM_EVENT, TTLOG_EVENT_CONTEXT,
                       TTLOG_VALID_IP | TTLOG_VALID_ICOUNT | TTLOG_VALID_VALUE, 0, begun.ip, begun.icount, payload, 2);
}

void ttd_accesses_know_context(uint64_t cr3) {
    cr3_is_known = true;
    known_cr3 = cr3;
}

void ttd_accesses_forget_context(void) {
    cr3_is_known = false;
}

/* How the instruction ended. */
struct end {
    bool completed;
    bool knows_sp; /* `sp` is rsp after it */
    uint64_t sp;
};

/* Writes the record of the access. The vCPU is at the begin of an instruction. */
static void settle(struct end end) {
    ttd_recorder.unsettled = false;
    const struct site *site = &begun.site;
    uint64_t read[2];
    uint16_t count = 0;
    switch (site->kind) {
    case TTLOG_EVENT_CONTEXT:
        if (end.completed && end.knows_sp) {
            write_context(end.sp);
        }
        return;
    case TTLOG_EVENT_PORT_READ:
    case TTLOG_EVENT_PORT_WRITE:
        if (is_string(site)) {
            /* ins stores twice: first to probe the page, then the value. */
            if (begun.touched >= (site->kind == TTLOG_EVENT_PORT_READ ? 2u : 1u)) {
                read[count++] = begun.touched_value[0];
            }
        } else if (end.completed) {
            read[count++] = low_bytes(ttd_api_read_register(TTD_REGISTER_RAX), site->bytes ? site->bytes : 4);
        }
        break;
    case TTLOG_EVENT_RDTSC:
    case TTLOG_EVENT_RDMSR:
        if (end.completed) {
            read[count++] = pair(TTD_REGISTER_RDX, TTD_REGISTER_RAX);
        }
        break;
    case TTLOG_EVENT_CPUID:
        if (end.completed) {
            read[count++] = pair(TTD_REGISTER_RBX, TTD_REGISTER_RAX);
            read[count++] = pair(TTD_REGISTER_RDX, TTD_REGISTER_RCX);
        }
        break;
    case TTLOG_EVENT_RDRAND:
        if (end.completed) {
            read[count++] = low_bytes(ttd_api_read_register((enum ttd_register)site->reg), site->bytes);
        }
        break;
    default:
        break;
    }
    write_access(site, begun.ip, begun.icount, begun.has_address ? &begun.address_word : NULL, read, count);
}

static void settle_within(void) {
    settle((struct end){.completed = true, .knows_sp = true, .sp = ttd_api_read_register(TTD_REGISTER_RSP)});
}

static void begin(const struct site *site, const uint64_t *address) {
    begun.site = *site;
    begun.ip = site->address + ttd_recorder.delta;
    begun.icount = ttd_recorder.entered_at + site->index;
    begun.has_address = address != NULL;
    begun.address_word = address ? *address : 0;
    begun.touched = 0;
    ttd_recorder.unsettled = true;
}

/* The block that is entered does not follow the instruction: the instruction faulted, or an interrupt was delivered after
 * it. The pushed frame shows which: in 64-bit code {ip, cs, flags, sp}, with or without an error code before it; in
 * 32-bit code {ip, cs, flags} of half that size. Without such a frame the instruction counts as not completed. */
static struct end end_by_frame(uint64_t next) {
    uint64_t frame[5];
    uint32_t half[2];
    if (ttd_api_read_stack(frame, 5)) {
        for (unsigned first = 0; first < 2; first++) {
            if (frame[first] == next) {
                return (struct end){.completed = true, .knows_sp = true, .sp = frame[first + 3]};
            }
        }
        memcpy(half, frame, sizeof half);
        if (next <= UINT32_MAX && (half[0] == next || half[1] == next)) {
            return (struct end){.completed = true};
        }
    }
    return (struct end){.completed = false};
}

void ttd_accesses_settle_at_block(const struct ttd_block *block) {
    const struct ttd_block *previous = ttd_recorder.previous;
    uint64_t next = begun.ip + begun.site.size;
    bool at_end = next == previous->fall_through + ttd_recorder.delta;
    if (is_string(&begun.site) && begun.site.kind != TTLOG_EVENT_CONTEXT) {
        bool incomplete = begun.site.kind == TTLOG_EVENT_PORT_READ && begun.touched < 2;
        if (incomplete && ttd_recorder_true_address(block) == begun.ip) {
            ttd_recorder.unsettled = false; /* it stores into its own block, so it begins again (TTD_STEP_RESTARTED) */
            return;
        }
        settle((struct end){.completed = true}); /* its memory accesses show whether it completed */
    } else if ((at_end && block->address == previous->fall_through) || ttd_recorder_true_address(block) == next) {
        settle_within();
    } else {
        settle(end_by_frame(next));
    }
}

static void on_next(unsigned vcpu, void *userdata) {
    (void)vcpu;
    (void)userdata;
    if (ttd_recorder.unsettled) {
        settle_within();
    }
}

/* Without values. */
static void on_access(unsigned vcpu, void *userdata) {
    (void)vcpu;
    const struct site *site = userdata;
    write_access(site, site->address + ttd_recorder.delta, ttd_recorder.entered_at + site->index,
                 site->has_port ? &site->port : NULL, NULL, 0);
}

static uint64_t port_of(const struct site *site) {
    return site->has_port ? site->port : ttd_api_read_register(TTD_REGISTER_RDX) & 0xffff;
}

/* A write: its operands are known when it begins. */
static void on_write(unsigned vcpu, void *userdata) {
    (void)vcpu;
    const struct site *site = userdata;
    uint64_t address, value;
    if (site->kind == TTLOG_EVENT_WRMSR) {
        address = (uint32_t)ttd_api_read_register(TTD_REGISTER_RCX);
        value = pair(TTD_REGISTER_RDX, TTD_REGISTER_RAX);
    } else {
        address = port_of(site);
        value = low_bytes(ttd_api_read_register(TTD_REGISTER_RAX), site->bytes ? site->bytes : 4);
    }
    write_access(site, site->address + ttd_recorder.delta, ttd_recorder.entered_at + site->index, &address, &value, 1);
}

/* A read; or an outs, whose value comes from memory. */
static void on_read(unsigned vcpu, void *userdata) {
    (void)vcpu;
    const struct site *site = userdata;
    uint64_t address;
    switch (site->kind) {
    case TTLOG_EVENT_PORT_READ:
    case TTLOG_EVENT_PORT_WRITE:
        address = port_of(site);
        break;
    case TTLOG_EVENT_CPUID:
        address = pair(TTD_REGISTER_RCX, TTD_REGISTER_RAX);
        break;
    case TTLOG_EVENT_RDMSR:
        address = (uint32_t)ttd_api_read_register(TTD_REGISTER_RCX);
        break;
    default:
        begin(site, NULL);
        return;
    }
    begin(site, &address);
}

/* A context: the registers are read at the next instruction. */
static void on_switch(unsigned vcpu, void *userdata) {
    (void)vcpu;
    begin(userdata, NULL);
}

static void on_string_memory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *userdata) {
    (void)vcpu;
    (void)address;
    (void)userdata;
    begun.touched++;
    ttd_api_memory_value(info, begun.touched_value);
}

static struct site *new_site(uint64_t address, uint8_t size, uint16_t index) {
    struct site *site = ttd_arena_allocate(&ttd_recorder.blocks, sizeof *site);
    if (site) {
        *site = (struct site){.address = address, .index = index, .size = size};
    }
    return site;
}

static void settle_at(struct qemu_plugin_insn *next) {
    if (next) {
        qemu_plugin_register_vcpu_insn_exec_cb(next, on_next, QEMU_PLUGIN_CB_R_REGS, NULL);
    }
}

void ttd_accesses_start(bool wanted) {
    values = wanted;
}

bool ttd_accesses_watch(struct qemu_plugin_insn *insn, struct qemu_plugin_insn *next, uint64_t address, uint8_t size,
                        uint16_t index, const struct ttd_instruction *decoded) {
    struct site *site = new_site(address, size, index);
    if (!site) {
        return false;
    }
    bool string = decoded->access_flags & TTLOG_ACCESS_STRING;
    site->port = decoded->port;
    site->has_port = decoded->has_port;
    site->kind = decoded->access_kind;
    site->bytes = site->kind == TTLOG_EVENT_RDRAND ? decoded->register_bytes : decoded->access_bytes;
    site->reg = decoded->access_register;
    site->info = (uint32_t)decoded->access_bytes | decoded->access_flags;
    if (!values) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, site);
        return true;
    }
    if (site->kind == TTLOG_EVENT_WRMSR || (site->kind == TTLOG_EVENT_PORT_WRITE && !string)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_write, QEMU_PLUGIN_CB_R_REGS, site);
        return true;
    }
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_read, QEMU_PLUGIN_CB_R_REGS, site);
    if (string) {
        qemu_plugin_register_vcpu_mem_cb(insn, on_string_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
    settle_at(next);
    return true;
}

bool ttd_accesses_watch_context(struct qemu_plugin_insn *insn, struct qemu_plugin_insn *next, uint64_t address,
                                uint8_t size, uint16_t index, const struct ttd_instruction *decoded) {
    struct site *site = new_site(address, size, index);
    if (!site) {
        return false;
    }
    site->kind = TTLOG_EVENT_CONTEXT;
    site->loads_address_space = decoded->loads_address_space;
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_switch, QEMU_PLUGIN_CB_NO_REGS, site);
    settle_at(next);
    return true;
}
