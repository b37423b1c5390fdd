/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small PV guest whose result depends on the exact instruction at which each timer upcall comes, and on the time stamp
 * counter, which it reads every few thousand steps. Command line: ticks=N period=NANOSECONDS steps=N (between two readings).
 * Prints to its console.
 *
 * No register holds a machine frame when the guest exits, but for the one that a hypercall needs: frames differ between two
 * domains, and a replay compares registers.
 */
#include "../guest/common.h"

enum {
    SET_TRAP_TABLE = 0, SET_CALLBACKS = 4, UPDATE_VA_MAPPING = 14, XEN_VERSION = 17, VCPU_OP = 24, SCHED_OP = 29,
    EVENT_CHANNEL_OP = 32,
};

/* Heads of structures of Xen's public headers. */
struct start_info {
    char magic[32];
    uint64_t pages;
    uint64_t shared_info; /* machine address */
    uint32_t flags;
    uint64_t store_frame;
    uint32_t store_port;
    uint64_t console_frame;
    uint32_t console_port;
    uint64_t page_tables, page_table_frames, frame_list, modules, modules_size;
    char command_line[1024];
};

struct console {
    char in[1024], out[2048];
    uint32_t in_consumed, in_produced, out_consumed, out_produced;
};

struct trap {
    uint8_t vector, flags;
    uint16_t cs;
    uint64_t address;
};

extern volatile uint8_t shared_info[4096];
void upcall(void);
void failsafe(void);
void invalid_opcode(void);
void page_fault(void);
void on_upcall(const uint64_t *rip);
void on_exception(uint64_t *rip);
void guest_main(const struct start_info *start);

static volatile struct console *console;
static uint32_t console_port, timer_port;
static volatile uint64_t ticks, exceptions, state = 0x243f6a8885a308d3, seen = 1;

static int64_t hypercall(uint64_t number, uint64_t first, const void *second, uint64_t third) {
    int64_t result = (int64_t)number;
    asm volatile("syscall" : "+a"(result), "+D"(first), "+S"(second), "+d"(third) : : "rcx", "r11", "memory");
    return result;
}

static void notify(uint32_t port) {
    hypercall(EVENT_CHANNEL_OP, 4, &port, 0); /* EVTCHNOP_send */
}

static void print(const char *text) {
    for (; *text; text++) {
        while (console->out_produced - console->out_consumed == sizeof(console->out)) {
            notify(console_port);
            hypercall(SCHED_OP, 0, NULL, 0); /* SCHEDOP_yield */
        }
        console->out[console->out_produced % sizeof(console->out)] = *text;
        console->out_produced++;
    }
}

static void end_line(void) {
    print("\n");
    notify(console_port);
}

static uint64_t time_stamp(void) {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (uint64_t)high << 32;
}

static volatile uint64_t *word_of_shared_info(size_t offset) {
    return (volatile uint64_t *)(shared_info + offset);
}

/* Takes the position and the time into the state that the computation uses. */
void on_upcall(const uint64_t *rip) {
    shared_info[0] = 0;                                                            /* evtchn_upcall_pending */
    __atomic_exchange_n(word_of_shared_info(8), 0, __ATOMIC_SEQ_CST);              /* evtchn_pending_sel */
    uint64_t pending = __atomic_exchange_n(word_of_shared_info(2048), 0, __ATOMIC_SEQ_CST); /* evtchn_pending */
    if (!(pending >> timer_port & 1))
        return;
    ticks++;
    seen = mix(seen, *rip);
    state ^= mix(seen, time_stamp());
    print_number("guest: tick ", ticks);
    print_number(" at ", *rip);
    print_number(" state ", state);
    end_line();
}

/* Goes on after the instruction, which has two bytes. */
void on_exception(uint64_t *rip) {
    exceptions++;
    *rip += 2;
}

/* Finds the console's page, which start_info names by its frame. */
static __attribute__((noinline)) uint64_t find_console(const struct start_info *start) {
    const uint64_t *frames = (const uint64_t *)start->frame_list;
    uint64_t page = 0;
    while (page < start->pages && frames[page] != start->console_frame)
        page++;
    return page;
}

/* Leaves no machine frame in a register. */
static void forget_frames(void) {
    asm volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%esi, %%esi; xor %%edi, %%edi;"
                 "xor %%r8d, %%r8d; xor %%r9d, %%r9d; xor %%r10d, %%r10d; xor %%r11d, %%r11d"
                 : : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
}

static void map_pages(const struct start_info *start) {
    int64_t result = UPDATE_VA_MAPPING;
    asm volatile("mov %2, %%rsi; or $7, %%rsi; syscall; xor %%esi, %%esi" /* present, writable, user */
                 : "+a"(result)
                 : "D"(shared_info), "m"(start->shared_info), "d"(2ul) /* UVMF_INVLPG */
                 : "rsi", "rcx", "r11", "memory");
    uint64_t page = find_console(start);
    forget_frames();
    console = (volatile struct console *)(0xffffffff80000000 + page * 4096);
    console_port = start->console_port;
    if (result)
        print("guest: shared_info cannot be mapped\n");
}

static void take_events(uint64_t period) {
    static const struct trap traps[] = {
        {6, 0, 0xe033, (uint64_t)(uintptr_t)invalid_opcode},
        {14, 0, 0xe033, (uint64_t)(uintptr_t)page_fault},
        {0, 0, 0, 0},
    };
    int64_t failed = hypercall(SET_TRAP_TABLE, (uintptr_t)traps, NULL, 0);
    failed |= hypercall(SET_CALLBACKS, (uintptr_t)upcall, (const void *)(uintptr_t)failsafe, 0);
    struct {
        uint32_t virq, vcpu, port;
    } timer = {0, 0, 0}; /* VIRQ_TIMER */
    failed |= hypercall(EVENT_CHANNEL_OP, 1, &timer, 0); /* EVTCHNOP_bind_virq */
    timer_port = timer.port;
    *word_of_shared_info(2560) &= ~(1ul << timer_port); /* evtchn_mask */
    failed |= hypercall(VCPU_OP, 6, 0, (uintptr_t)&period); /* VCPUOP_set_periodic_timer */
    if (failed)
        print("guest: a hypercall failed\n");
}

/* What Xen handles for a PV guest: an emulated instruction, exceptions, a hypercall that writes memory. */
static void exercise(void) {
    uint32_t a = 1, b, c = 0, d;
    asm volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)); /* XEN_CPUID */
    state = mix(state, a);
    asm volatile("ud2");
    asm volatile("mov %%eax, (%%rdi)" : : "D"(8ul) : "memory"); /* two bytes; nothing is mapped there */
    char version[16] = "";
    hypercall(XEN_VERSION, 1, version, 0); /* XENVER_extraversion */
    print("guest: begin, Xen 4.17");
    print(version);
    end_line();
}

static void shut_down(void) {
    uint32_t reason = 0; /* SHUTDOWN_poweroff */
    hypercall(SCHED_OP, 2, &reason, 0);
}

static inline uint64_t mix_four(uint64_t hash, uint64_t word) {
    return mix(mix(mix(mix(hash, word), word + 1), word + 2), word + 3);
}

/* One step. It is long, and without loops: a replay stops at a position's address each time that the guest passes it. */
static uint64_t step(uint64_t hash) {
    if ((hash & 7) == 5)
        state = state * 6364136223846793005u + hash;
    state ^= state << 13;
    state ^= state >> 7;
    hash = mix_four(mix_four(hash, state), state >> 1);
    return mix_four(mix_four(hash, state >> 2), state >> 3);
}

void guest_main(const struct start_info *start) {
    uint64_t wanted = option(start->command_line, "ticks=", 8), period = option(start->command_line, "period=", 5000000);
    uint64_t steps = option(start->command_line, "steps=", 4096), hash = 1, count = 0;

    map_pages(start);
    take_events(period);
    exercise();
    shared_info[1] = 0; /* evtchn_upcall_mask */
    for (; ticks < wanted; count++) {
        hash = step(hash);
        if (count % steps == 0)
            hash = mix(hash, time_stamp());
    }
    shared_info[1] = 1;
    print_number("guest: end ticks ", ticks);
    print_number(" exceptions ", exceptions);
    print_number(" steps ", count);
    print_number(" hash ", hash);
    end_line();
    shut_down();
}
