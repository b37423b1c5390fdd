/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * traps.c - see traps.h.
 */
#include "traps.h"

#include "console.h"
#include "cpu.h"

enum {
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_TIMER = 32,
    VECTOR_SERIAL = 36,
    VECTOR_SYSTEM = 0x80,
};

#define KERNEL_CODE 0x08ull
#define SYSRET_BASE 0x18ull
#define TSS_SELECTOR 0x30
#ifndef TICKS
#define TICKS 1000 /* a second */
#endif
#define PAGE_USER_WRITE_PRESENT 7

/* The frame that entry.S pushes; the processor pushes the last five. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
} __attribute__((packed));

struct task_state {
    uint32_t reserved0;
    uint64_t stack_of_ring0;
    uint64_t unused[11];
    uint16_t reserved1, io_map;
} __attribute__((packed));

extern uint64_t tss_descriptor[2], demand_page_table[512];
extern uint8_t trap_stack_top[];
extern void vector_6(void), vector_13(void), vector_14(void), vector_32(void), vector_36(void), vector_128(void);
extern void syscall_entry(void);
extern void enter_user(void (*entry)(void), void *stack_top);
extern void leave_user(void) __attribute__((noreturn));

volatile struct trap_counts trap_counts;

static struct gate gates[256];
static struct task_state task_state;
static uint8_t demand_pages[DEMAND_PAGES][4096] __attribute__((aligned(4096)));
static uint32_t demand_pages_used;
static uint8_t user_stack[8192] __attribute__((aligned(16)));

static void fatal(const char *what, const struct trap_frame *frame) {
    print(what);
    print_value(" at rip", frame->rip);
    power_off(frame->vector == VECTOR_PAGE_FAULT ? 7 : 9);
}

/* Maps the page of `address`. */
static int map_on_demand(uint64_t address) {
    if (address < DEMAND_FIRST || address >= DEMAND_END || demand_pages_used == DEMAND_PAGES) {
        return 0;
    }
    uint64_t page = (uint64_t)demand_pages[demand_pages_used++];
    demand_page_table[address >> 12 & 511] = page | PAGE_USER_WRITE_PRESENT;
    return 1;
}

static void end_of_interrupt(void) {
    port_write(0x20, 0x20);
}

void handle_trap(struct trap_frame *frame) {
    switch (frame->vector) {
    case VECTOR_TIMER:
        trap_counts.ticks++;
        end_of_interrupt();
        break;
    case VECTOR_SERIAL:
        trap_counts.keys++;
        (void)port_read(SERIAL_DATA);
        end_of_interrupt();
        break;
    case VECTOR_PAGE_FAULT:
        if (!map_on_demand(faulting_address())) {
            fatal("page fault", frame);
        }
        trap_counts.page_faults++;
        break;
    case VECTOR_INVALID_OPCODE:
        trap_counts.invalid_opcodes++;
        frame->rip += 2; /* over the ud2 */
        break;
    case VECTOR_SYSTEM:
        trap_counts.software_interrupts++;
        if (frame->rax == 1) {
            leave_user();
        }
        frame->rax = frame->rdi * 2;
        break;
    default:
        fatal("unexpected exception", frame);
    }
}

uint64_t handle_syscall(uint64_t first, uint64_t second) {
    trap_counts.system_calls++;
    return first + second;
}

static void set_gate(int vector, void (*handler)(void), int privilege) {
    uint64_t address = (uint64_t)handler;
    gates[vector] = (struct gate){
        .offset_low = (uint16_t)address,
        .selector = KERNEL_CODE,
        .type = (uint8_t)(0x8e | privilege << 5), /* present, interrupt gate */
        .offset_middle = (uint16_t)(address >> 16),
        .offset_high = (uint32_t)(address >> 32),
    };
}

static void load_task_state(void) {
    task_state.stack_of_ring0 = (uint64_t)trap_stack_top;
    task_state.io_map = sizeof task_state;
    uint64_t base = (uint64_t)&task_state;
    tss_descriptor[0] = (sizeof task_state - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    tss_descriptor[1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

/* Both interrupt controllers: vectors from 32 and 40 on; only the timer (line 0) and COM1 (line 4) are enabled. */
static void program_interrupt_controllers(void) {
    static const uint8_t first[] = {0x11, 32, 4, 1}, second[] = {0x11, 40, 2, 1};
    for (unsigned i = 0; i < sizeof first; i++) {
        port_write(i == 0 ? 0x20 : 0x21, first[i]);
        port_write(i == 0 ? 0xa0 : 0xa1, second[i]);
    }
    port_write(0x21, 0xee);
    port_write(0xa1, 0xff);
}

static void program_timer(void) {
    const uint32_t divisor = 1193182 / TICKS; /* the PIT's clock, in Hz */
    port_write(0x43, 0x34);
    port_write(0x40, divisor & 0xff);
    port_write(0x40, divisor >> 8);
}

void traps_start(void) {
    load_task_state();
    set_gate(VECTOR_INVALID_OPCODE, vector_6, 0);
    set_gate(VECTOR_PROTECTION, vector_13, 0);
    set_gate(VECTOR_PAGE_FAULT, vector_14, 0);
    set_gate(VECTOR_TIMER, vector_32, 0);
    set_gate(VECTOR_SERIAL, vector_36, 0);
    set_gate(VECTOR_SYSTEM, vector_128, 3);
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof gates - 1, (uint64_t)gates};
    __asm__ volatile("lidt %0" : : "m"(pointer));

    msr_write(0xc0000081, (SYSRET_BASE | 3) << 48 | KERNEL_CODE << 32); /* STAR */
    msr_write(0xc0000082, (uint64_t)syscall_entry);                     /* LSTAR */
    msr_write(0xc0000084, 0x200);                                       /* SFMASK: interrupts off */

    program_interrupt_controllers();
    program_timer();
    port_write(SERIAL_INTERRUPT_ENABLE, 1);
}

void run_in_user_mode(void (*entry)(void)) {
    enter_user(entry, user_stack + sizeof user_stack - 8);
}
