/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small PVH guest whose result depends on the exact instruction at which each timer upcall comes. It computes for long
 * without an exit, so it needs positions between exits. Command line: ticks=N period=NANOSECONDS exits=N.
 * Prints to port 0xe9, which Xen shows on its own console.
 */
#include "common.h"

enum { MEMORY_OP = 12, VCPU_OP = 24, SCHED_OP = 29, EVENT_CHANNEL_OP = 32, HVM_OP = 34 };
enum { SELF = 0x7ff0, VECTOR = 0xf3, LINES = 4096 };

/* The head of struct hvm_start_info. */
struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line;
};

struct gate {
    uint16_t low, selector;
    uint8_t stack, type;
    uint16_t middle;
    uint32_t high, reserved;
};

extern volatile uint8_t shared_info[4096];
void upcall(void);
void on_upcall(uint64_t rip);
void guest_main(const struct start_info *start);

static struct gate gates[256] __attribute__((aligned(16)));

/* Data that changes on pages of their own: under TCG, a write next to code costs a translation. */
static volatile uint64_t ticks __attribute__((aligned(4096)));
static volatile uint64_t state = 0x243f6a8885a308d3, seen = 1;
static uint8_t lines[2][LINES] __attribute__((aligned(4096)));

static int64_t hypercall(uint64_t number, uint64_t first, const void *second, uint64_t third) {
    int64_t result = (int64_t)number;
    asm volatile("vmmcall" : "+a"(result), "+D"(first), "+S"(second), "+d"(third) : : "memory");
    return result;
}

static void print(const char *text) {
    for (; *text; text++)
        asm volatile("outb %0, %1" : : "a"(*text), "d"((uint16_t)0xe9));
}

/* Takes the position into the state that the computation uses. */
void on_upcall(uint64_t rip) {
    seen = mix(seen, rip);
    state ^= mix(seen, state);
    ticks++;
    shared_info[0] = 0;                                    /* evtchn_upcall_pending */
    *(volatile uint64_t *)(shared_info + 8) = 0;           /* evtchn_pending_sel */
    for (int i = 0; i < 64; i++)
        ((volatile uint64_t *)(shared_info + 2048))[i] = 0; /* evtchn_pending */
}

static void take_upcalls(void) {
    uint64_t address = (uint64_t)(uintptr_t)upcall;
    gates[VECTOR] = (struct gate){.low = (uint16_t)address, .selector = 8, .type = 0x8e,
                                  .middle = (uint16_t)(address >> 16)};
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) table = {sizeof(gates) - 1, (uintptr_t)gates};
    asm volatile("lidt %0" : : "m"(table));

    struct {
        uint16_t domain, size;
        uint32_t space;
        uint64_t index, frame;
    } place = {SELF, 0, 0, 0, (uintptr_t)shared_info >> 12}; /* XENMAPSPACE_shared_info */
    int64_t failed = hypercall(MEMORY_OP, 7, &place, 0);     /* XENMEM_add_to_physmap */
    struct {
        uint16_t domain, pad;
        uint32_t index;
        uint64_t value;
    } callback = {SELF, 0, 0, 2ull << 56 | VECTOR}; /* HVM_PARAM_CALLBACK_IRQ, by vector */
    failed |= hypercall(HVM_OP, 0, &callback, 0);
    struct {
        uint32_t virq, vcpu, port;
    } timer = {0, 0, 0}; /* VIRQ_TIMER */
    failed |= hypercall(EVENT_CHANNEL_OP, 1, &timer, 0);
    if (failed)
        print("guest: a hypercall failed\n");
}

static void shut_down(void) {
    uint32_t reason = 0; /* SHUTDOWN_poweroff */
    hypercall(SCHED_OP, 2, &reason, 0);
}

/* One step: instructions on which an interrupt's position is hard to find again. */
static uint64_t step(uint64_t hash) {
    uint64_t count = (hash >> 8) & 63;
    void *to = lines[1], *from = lines[0];
    switch (hash & 7) {
    case 0: /* an interrupt can come between two repetitions */
        asm volatile("rep stosb" : "+D"(from), "+c"(count) : "a"(hash) : "memory");
        break;
    case 1:
        asm volatile("rep movsb" : "+D"(to), "+c"(count), "+S"(from) : : "memory");
        break;
    case 2: /* none between sti and the next instruction */
        asm volatile("cli; nop; sti; nop" : : : "memory");
        break;
    case 3: { /* none after a load of ss */
        uint64_t selector;
        asm volatile("mov %%ss, %0; mov %0, %%ss; nop" : "=r"(selector));
        break;
    }
    case 4:
        asm volatile("pushfq; popfq" : : : "memory", "cc");
        break;
    case 5: /* the same instruction many times */
        for (uint64_t i = 0; i < count * 4; i++)
            state = state * 6364136223846793005u + lines[0][i];
        break;
    default:
        state ^= state << 13;
        state ^= state >> 7;
    }
    return mix(hash, state);
}

static uint64_t time_stamp(void) {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* What exits cost, in units of the time-stamp counter: of an instruction that Xen answers quickly. */
static void measure_exits(uint64_t count) {
    uint64_t begin = time_stamp();
    for (uint64_t i = 0; i < count; i++) {
        uint32_t leaf = 0x40000000, sub = 0;
        asm volatile("cpuid" : "+a"(leaf), "+c"(sub) : : "rbx", "rdx");
    }
    print_number("guest: exits=", count);
    print_number(" units=", time_stamp() - begin);
    print("\n");
}

void guest_main(const struct start_info *start) {
    const char *line = (const char *)(uintptr_t)start->command_line;
    uint64_t wanted = option(line, "ticks=", 20), period = option(line, "period=", 20000000);
    uint64_t hash = 1, steps = 0, exits = option(line, "exits=", 0);

    if (exits)
        measure_exits(exits);
    take_upcalls();
    hypercall(VCPU_OP, 6, 0, (uintptr_t)&period); /* VCPUOP_set_periodic_timer */
    print_number("guest: begin ticks=", wanted);
    print_number(" period=", period);
    print("\n");
    asm volatile("sti");
    for (; ticks < wanted; steps++)
        hash = step(hash);
    asm volatile("cli");
    asm volatile("nopl 0x2d647474(%rax)"); /* a recorder outside watches to here, see start.S */
    print_number("guest: end ticks=", ticks);
    print_number(" steps=", steps);
    print_number(" hash=", hash);
    print_number(" seen=", seen);
    print("\n");
    shut_down();
}
