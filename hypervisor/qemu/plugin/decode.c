/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * decode.c - see decode.h. Opcodes: Intel SDM volume 2, appendix A.
 *
 * The caller gives the exact length. It replaces the mode of the code segment: 0x40-0x4f followed by more bytes is a
 * REX prefix (alone it is inc or dec of 16- and 32-bit code), and the 2 or 4 bytes after the opcode of a near call or
 * jump are the displacement.
 */
#include "decode.h"

#include <string.h>

#include "ttlog.h"

/* The parts of an instruction: prefixes, then the opcode and the rest. */
struct parts {
    const uint8_t *bytes;
    unsigned size;
    unsigned opcode; /* index of the first opcode byte */
    int repeat;      /* 0xf2 or 0xf3 seen, else 0 */
    int operand16;   /* 0x66 seen */
    int lock;
};

static uint8_t byte_at(const struct parts *parts, unsigned index) {
    return index < parts->size ? parts->bytes[index] : 0;
}

/* Returns 0 if there are only prefixes. */
static int split(const uint8_t *bytes, unsigned size, struct parts *parts) {
    *parts = (struct parts){.bytes = bytes, .size = size};
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        switch (byte) {
        case 0xf2:
        case 0xf3:
            parts->repeat = byte;
            continue;
        case 0x66:
            parts->operand16 = 1;
            continue;
        case 0xf0:
            parts->lock = 1;
            continue;
        case 0x67: /* address size, segments */
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
            continue;
        default:
            break;
        }
        if ((byte & 0xf0) == 0x40 && i + 1 < size) {
            continue; /* REX */
        }
        parts->opcode = i;
        return 1;
    }
    return 0;
}

static void set_static_target(struct ttd_instruction *out, const struct parts *parts, unsigned width,
                              uint64_t address) {
    if (parts->size < width) {
        return;
    }
    const uint8_t *at = parts->bytes + parts->size - width;
    int64_t displacement;
    if (width == 1) {
        displacement = (int8_t)at[0];
    } else if (width == 2) {
        int16_t value;
        memcpy(&value, at, sizeof value);
        displacement = value;
    } else {
        int32_t value;
        memcpy(&value, at, sizeof value);
        displacement = value;
    }
    out->target = address + parts->size + (uint64_t)displacement;
    out->has_static_target = 1;
}

static unsigned displacement_width(unsigned bytes_left) {
    return bytes_left >= 4 ? 4 : 2;
}

static void set_port_access(struct ttd_instruction *out, const struct parts *parts, uint16_t kind, int is_string) {
    uint8_t opcode = parts->bytes[parts->opcode];
    out->access_kind = kind;
    out->access_flags = is_string ? TTLOG_ACCESS_STRING : 0;
    if ((opcode & 1) == 0) {
        out->access_bytes = 1;
    }
    if (!is_string && (opcode & 0x08) == 0) { /* 0xe4-0xe7: the port is in the instruction */
        out->has_port = 1;
        out->port = byte_at(parts, parts->opcode + 1);
    }
}

static int is_string_opcode(uint8_t opcode) {
    return (opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf) ||
           (opcode >= 0x6c && opcode <= 0x6f);
}

/* The memory accesses in an iteration of a string instruction that stores; 0 for others. QEMU's ins stores twice: it
 * first probes the page. */
static uint8_t accesses_of_store(uint8_t opcode) {
    switch (opcode | 1) {
    case 0x6d: /* ins */
    case 0xa5: /* movs */
        return 2;
    case 0xab: /* stos */
        return 1;
    default:
        return 0;
    }
}

/* The REX prefix, 0 without one. */
static uint8_t rex_of(const struct parts *parts) {
    uint8_t before = parts->opcode > 0 ? parts->bytes[parts->opcode - 1] : 0;
    return (before & 0xf0) == 0x40 ? before : 0;
}

enum { REX_B = 1, REX_R = 4, REX_W = 8, STACK_POINTER = 4, FRAME_POINTER = 5 };

/* Whether rsp gets a value that does not depend on the previous one: not by push, leave or addition. */
static int switches_stack(const struct parts *parts) {
    uint8_t opcode = parts->bytes[parts->opcode];
    uint8_t modrm = byte_at(parts, parts->opcode + 1);
    uint8_t rex = rex_of(parts);
    unsigned reg = (modrm >> 3 & 7) | (rex & REX_R ? 8 : 0);
    unsigned rm = (modrm & 7) | (rex & REX_B ? 8 : 0);
    int is_register = modrm >= 0xc0;
    switch (opcode) {
    case 0x5c: /* pop rsp; xchg rax, rsp; mov rsp, constant */
    case 0x94:
    case 0xbc:
        return !(rex & REX_B);
    case 0x87: /* xchg */
        return (reg == STACK_POINTER) != (is_register && rm == STACK_POINTER);
    case 0x89: /* mov to register or memory */
        return is_register && rm == STACK_POINTER && reg != STACK_POINTER && reg != FRAME_POINTER;
    case 0x8b: /* mov to register */
        return reg == STACK_POINTER && !(is_register && (rm == STACK_POINTER || rm == FRAME_POINTER));
    case 0xc7: /* mov of a constant */
        return is_register && rm == STACK_POINTER;
    case 0x8d: { /* lea */
        int has_sib = (modrm & 7) == 4;
        unsigned base = (has_sib ? byte_at(parts, parts->opcode + 2) & 7u : modrm & 7u) | (rex & REX_B ? 8 : 0);
        int without_base = (modrm & 0xc0) == 0 && (base & 7) == FRAME_POINTER;
        return reg == STACK_POINTER && !is_register &&
               (without_base || (base != STACK_POINTER && base != FRAME_POINTER));
    }
    default:
        return 0;
    }
}

static void decode_one_byte(const struct parts *parts, uint64_t address, struct ttd_instruction *out) {
    uint8_t opcode = parts->bytes[parts->opcode];
    unsigned left = parts->size - parts->opcode - 1;
    if (parts->repeat && is_string_opcode(opcode)) {
        out->branch_class = TTLOG_BRANCH_REP;
        out->repeats_store = accesses_of_store(opcode);
    }
    switch (opcode) {
    case 0x6c: /* ins */
    case 0x6d:
        set_port_access(out, parts, TTLOG_EVENT_PORT_READ, 1);
        return;
    case 0x6e: /* outs */
    case 0x6f:
        set_port_access(out, parts, TTLOG_EVENT_PORT_WRITE, 1);
        return;
    case 0xe4: /* in */
    case 0xe5:
    case 0xec:
    case 0xed:
        set_port_access(out, parts, TTLOG_EVENT_PORT_READ, 0);
        return;
    case 0xe6: /* out */
    case 0xe7:
    case 0xee:
    case 0xef:
        set_port_access(out, parts, TTLOG_EVENT_PORT_WRITE, 0);
        return;
    case 0x70 ... 0x7f: /* jcc rel8 */
    case 0xe0:          /* loopne, loope, loop, jrcxz */
    case 0xe1:
    case 0xe2:
    case 0xe3:
        out->branch_class = TTLOG_BRANCH_JCC;
        set_static_target(out, parts, 1, address);
        return;
    case 0xeb:
        out->branch_class = TTLOG_BRANCH_JMP;
        set_static_target(out, parts, 1, address);
        return;
    case 0xe9:
        out->branch_class = TTLOG_BRANCH_JMP;
        set_static_target(out, parts, displacement_width(left), address);
        return;
    case 0xe8:
        out->branch_class = TTLOG_BRANCH_CALL;
        set_static_target(out, parts, displacement_width(left), address);
        return;
    case 0xc2:
    case 0xc3:
        out->branch_class = TTLOG_BRANCH_RET;
        out->reads_target = 1;
        return;
    case 0x9a: /* call far, jmp far, ret far */
    case 0xea:
    case 0xca:
    case 0xcb:
        out->branch_class = TTLOG_BRANCH_FAR;
        return;
    case 0xcf:
        out->branch_class = TTLOG_BRANCH_IRET;
        return;
    case 0xcc: /* int3, int n, into, int1 */
    case 0xcd:
    case 0xce:
    case 0xf1:
        out->branch_class = TTLOG_BRANCH_INT;
        return;
    case 0xf4:
        out->branch_class = TTLOG_BRANCH_HLT;
        return;
    case 0xff:
        switch (byte_at(parts, parts->opcode + 1) >> 3 & 7) {
        case 2:
            out->branch_class = TTLOG_BRANCH_CALL_INDIRECT;
            out->reads_target = byte_at(parts, parts->opcode + 1) < 0xc0;
            return;
        case 4:
            out->branch_class = TTLOG_BRANCH_JMP_INDIRECT;
            out->reads_target = byte_at(parts, parts->opcode + 1) < 0xc0;
            return;
        case 3:
        case 5:
            out->branch_class = TTLOG_BRANCH_FAR;
            return;
        default:
            return;
        }
    default:
        return;
    }
}

static void decode_two_byte(const struct parts *parts, uint64_t address, struct ttd_instruction *out) {
    uint8_t opcode = byte_at(parts, parts->opcode + 1);
    uint8_t modrm = byte_at(parts, parts->opcode + 2);
    switch (opcode) {
    case 0x80 ... 0x8f:
        out->branch_class = TTLOG_BRANCH_JCC;
        set_static_target(out, parts, displacement_width(parts->size - parts->opcode - 2), address);
        return;
    case 0x05:
        out->branch_class = TTLOG_BRANCH_SYSCALL;
        return;
    case 0x07:
        out->branch_class = TTLOG_BRANCH_SYSRET;
        return;
    case 0x34:
        out->branch_class = TTLOG_BRANCH_SYSENTER;
        return;
    case 0x35:
        out->branch_class = TTLOG_BRANCH_SYSEXIT;
        return;
    case 0xaa:
        out->branch_class = TTLOG_BRANCH_RSM;
        return;
    case 0x22: /* mov to a control register */
        out->loads_address_space = (modrm >> 3 & 7) == 3 && !(rex_of(parts) & REX_R);
        return;
    case 0x31:
        out->access_kind = TTLOG_EVENT_RDTSC;
        return;
    case 0x01:
        if (modrm == 0xf9) {
            out->access_kind = TTLOG_EVENT_RDTSC;
            out->access_flags = 1;
        }
        out->loads_table = modrm < 0xc0 && (modrm >> 3 & 7) == 3;
        return;
    case 0xa2:
        out->access_kind = TTLOG_EVENT_CPUID;
        return;
    case 0x32:
        out->access_kind = TTLOG_EVENT_RDMSR;
        return;
    case 0x30:
        out->access_kind = TTLOG_EVENT_WRMSR;
        return;
    case 0xc7: /* rdrand /6, rdseed /7 with a register operand; with 0xf3 they are other instructions */
        if (modrm >= 0xf0 && parts->repeat != 0xf3) {
            uint8_t rex = rex_of(parts);
            out->access_kind = TTLOG_EVENT_RDRAND;
            out->access_register = (uint8_t)((modrm & 7) | (rex & REX_B ? 8 : 0));
            out->register_bytes = rex & REX_W ? 8 : parts->operand16 ? 2 : 4;
        }
        return;
    default:
        return;
    }
}

/* Instructions between registers that fault with no operand. An instruction that is not in this list may fault. */
static int works_on_registers_only(const struct parts *parts) {
    if (parts->lock) {
        return 0; /* #UD */
    }
    uint8_t opcode = parts->bytes[parts->opcode];
    uint8_t modrm = byte_at(parts, parts->opcode + 1);
    if (opcode == 0x0f) {
        uint8_t second = modrm;
        int registers = byte_at(parts, parts->opcode + 2) >= 0xc0;
        switch (second) {
        case 0x1f:          /* nop with an operand that is never touched */
            return 1;
        case 0x40 ... 0x4f: /* cmovcc */
        case 0x90 ... 0x9f: /* setcc */
        case 0xaf:          /* imul */
        case 0xb6:          /* movzx, movsx */
        case 0xb7:
        case 0xbe:
        case 0xbf:
            return registers;
        default:
            return 0;
        }
    }
    switch (opcode) {
    case 0x00 ... 0x3f: /* add, or, adc, sbb, and, sub, xor, cmp; 6 and 7 are segment and prefix opcodes */
        switch (opcode & 7) {
        case 0 ... 3:
            return modrm >= 0xc0;
        case 4:
        case 5:
            return 1;
        default:
            return 0;
        }
    case 0x63: /* movsxd (arpl in 32-bit code: registers too, but not in real mode) */
        return modrm >= 0xc0 && parts->opcode > 0 && (parts->bytes[parts->opcode - 1] & 0xf8) == 0x48;
    case 0x80: /* the same with an immediate */
    case 0x81:
    case 0x83:
    case 0x84: /* test */
    case 0x85:
    case 0x88: /* mov */
    case 0x89:
    case 0x8a:
    case 0x8b:
    case 0xc0: /* shifts */
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return modrm >= 0xc0;
    case 0x8d: /* lea (with a register operand: #UD) */
        return modrm < 0xc0;
    case 0x90: /* nop, pause */
        return parts->repeat == 0;
    case 0x98: /* cwde, cdqe, cdq, cqo */
    case 0x99:
    case 0xa8: /* test with an immediate */
    case 0xa9:
    case 0xb0 ... 0xbf: /* mov with an immediate */
        return 1;
    case 0xf6: /* test, not, neg; mul and div apart: div faults */
    case 0xf7:
        return modrm >= 0xc0 && (modrm >> 3 & 7) < 4;
    case 0xfe:
    case 0xff: /* inc, dec */
        return modrm >= 0xc0 && (modrm >> 3 & 7) < 2;
    default:
        return 0;
    }
}

void ttd_decode(const uint8_t *bytes, unsigned size, uint64_t address, struct ttd_instruction *out) {
    struct parts parts;
    *out = (struct ttd_instruction){.branch_class = TTLOG_BRANCH_NONE};
    if (!split(bytes, size, &parts)) {
        return;
    }
    if (bytes[parts.opcode] == 0x0f) {
        decode_two_byte(&parts, address, out);
    } else {
        decode_one_byte(&parts, address, out);
        out->switches_stack = (uint8_t)switches_stack(&parts);
    }
    if (out->branch_class == TTLOG_BRANCH_NONE && out->access_kind == 0) {
        out->cannot_fault = (uint8_t)works_on_registers_only(&parts);
    }
    /* API 1 does not show the mode. Code above the real-mode address space is 32- or 64-bit code, where 0x66 selects 16
     * bits. */
    if ((out->access_kind == TTLOG_EVENT_PORT_READ || out->access_kind == TTLOG_EVENT_PORT_WRITE) &&
        out->access_bytes == 0 && address >= 0x110000) {
        out->access_bytes = parts.operand16 ? 2 : 4;
    }
}
