/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * main.c - the guest's work: ROUNDS rounds among interrupts and faults, then system calls from ring 3.
 *
 * Variants, for runs that diverge at a known place (all except PLAIN have the same code, byte by byte):
 *     EXTRA_TURN    in round EXTRA_TURN_ROUND the loop over `steps` takes one more turn
 *     DATA_CHANGE   a number on which no branch depends is different; the output shows it
 *     PLAIN         no repeated string instruction, no fault
 */
#include "console.h"
#include "cpu.h"
#include "traps.h"
#include "work.h"

#ifndef ROUNDS
#define ROUNDS 40
#endif
#ifndef EXTRA_TURN
#define EXTRA_TURN 0
#endif
#ifndef DATA_CHANGE
#define DATA_CHANGE 0
#endif

#define EXTRA_TURN_ROUND 5
#define STEPS 25

/* Read at run time, so that a variant changes only this word and no code. */
static const volatile uint32_t extra_turn = EXTRA_TURN;
static const volatile uint32_t salt = DATA_CHANGE ? 0x5a17 : 0x1234;

static volatile uint32_t sink;
static volatile uint32_t checksum; /* no branch depends on it */

/* The loop that EXTRA_TURN lengthens. */
static void step(uint32_t round) {
    uint32_t steps = STEPS;
    if (round == EXTRA_TURN_ROUND) {
        steps += extra_turn;
    }
    for (uint32_t i = 0; i < steps; i++) {
        checksum = checksum * 31 + salt;
    }
}

#ifndef PLAIN
static void copy_bytes(uint8_t *to, const uint8_t *from, uint64_t count) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

/* Faults and repeated string instructions. */
static void stumble(uint32_t round) {
    static uint8_t bytes[2048];
    if (round < DEMAND_PAGES - 8) {
        *(volatile uint32_t *)(DEMAND_FIRST + round * 3 * 4096) = round; /* a page fault */
    }
    if (round % 8 == 0) {
        __asm__ volatile("ud2");
    }
    copy_bytes(bytes + 1024, bytes, 1000);
}
#endif

static void work_through_round(uint32_t round) {
    sink += fibonacci(19 + round % 2);
    sink += ackermann(2, 9);
    sink += sort_numbers(round);
    sink += call_through_table(sink, 300);
    step(round);
#ifndef PLAIN
    stumble(round);
#endif
    if (round % 10 == 0) {
        print_value("round", round);
    }
}

/* Ring 3. */
static void user_main(void) {
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(0ul), "D"(i) : "memory");
        sink += (uint32_t)result;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "D"(i), "S"(3ul)
                         : "rcx", "r11", "rdx", "r8", "r9", "r10", "memory");
        sink += (uint32_t)result + fibonacci(8);
    }
    __asm__ volatile("int $0x80" : : "a"(1ul));
    for (;;) {
    }
}

static void print_processor(void) {
    uint32_t a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    print_value("processor", a);
}

static uint8_t clock_seconds(void) {
    port_write(0x70, 0);
    return port_read(0x71);
}

void kernel_main(void) {
    traps_start();
    print("tiny: begin\n");
    print_processor();
    uint8_t seconds = clock_seconds();
    __asm__ volatile("sti");
    uint64_t began = timestamp();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        work_through_round(round);
    }
    for (int i = 0; i < 10; i++) {
        __asm__ volatile("hlt");
    }
    run_in_user_mode(user_main);
    print_value("sink", sink);
    print_value("checksum", checksum);
    print_value("ticks", trap_counts.ticks);
    print_value("keys", trap_counts.keys);
    print_value("page-faults", trap_counts.page_faults);
    print_value("invalid-opcodes", trap_counts.invalid_opcodes);
    print_value("software-interrupts", trap_counts.software_interrupts);
    print_value("system-calls", trap_counts.system_calls);
    print_value("timestamps", timestamp() - began);
    print_value("clock-seconds", seconds);
    print("tiny: end\n");
    power_off(0);
}
