/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * differs.c - another guest: two loops of known length among timer interrupts, a page fault, the real-time clock, and
 * data that no branch depends on. Its variants have the same code, byte by byte, and differ in one word each:
 *     TURNS      the second loop takes so many turns more
 *     TOUCH      one page more is touched: one page fault more
 *     REGISTER   a register holds another number for a while
 *     MEMORY     a word of memory holds another number
 */
#include "console.h"
#include "cpu.h"
#include "traps.h"

#ifndef TURNS
#define TURNS 0
#endif
#ifndef TOUCH
#define TOUCH 0
#endif
#ifndef REGISTER
#define REGISTER 0
#endif
#ifndef MEMORY
#define MEMORY 0
#endif

#define PAGE 4096

/* Read at run time, so that a variant changes only this word and no code. */
static const volatile uint64_t turns = TURNS;
static const volatile uint64_t touch = TOUCH;
static const volatile uint64_t in_register = REGISTER;
static const volatile uint64_t in_memory = MEMORY;

static volatile uint64_t kept;

/* A loop of three instructions. */
__attribute__((noinline)) static void spin_of_three(uint64_t count) {
    __asm__ volatile("1: nop\n"
                     "decq %0\n"
                     "jnz 1b"
                     : "+r"(count)
                     :
                     : "cc");
}

/* A loop of nine instructions. */
__attribute__((noinline)) static void spin_of_nine(uint64_t count) {
    __asm__ volatile("1: nop; nop; nop; nop; nop; nop; nop\n"
                     "decq %0\n"
                     "jnz 1b"
                     : "+r"(count)
                     :
                     : "cc");
}

/* Touches two pages, or one page twice. */
__attribute__((noinline)) static void touch_pages(void) {
    *(volatile uint32_t *)DEMAND_FIRST = 1;
    *(volatile uint32_t *)(DEMAND_FIRST + touch * PAGE) = 2;
}

/* A register holds a number during many branches, then none does. */
__attribute__((noinline)) static void hold_in_register(void) {
    uint64_t count = 200000, number = in_register;
    __asm__ volatile("1: decq %0\n"
                     "jnz 1b"
                     : "+r"(count), "+r"(number)
                     :
                     : "cc");
    __asm__ volatile("xorq %0, %0" : "+r"(number) : : "cc");
}

/* No register holds the number afterwards. */
__attribute__((noinline)) static void keep_in_memory(void) {
    __asm__ volatile("movq %1, %%rax\n"
                     "movq %%rax, %0\n"
                     "xorl %%eax, %%eax"
                     : "=m"(kept)
                     : "m"(in_memory)
                     : "rax", "cc");
}

/* As many turns as the clock has seconds. */
__attribute__((noinline)) static void spend_seconds(void) {
    port_write(0x70, 0);
    uint64_t seconds = port_read(0x71);
    for (uint64_t second = 0; second < seconds; second++) {
        __asm__ volatile("nop");
    }
}

void kernel_main(void) {
    traps_start();
    print("differs: begin\n");
    __asm__ volatile("sti");
    spin_of_three(900000);
    spin_of_nine(300000);
    touch_pages();
    spin_of_three(900000);
    keep_in_memory();
    hold_in_register();
    spin_of_nine(300000 + turns);
    __asm__ volatile("cli");
    spend_seconds();
    print_value("ticks", trap_counts.ticks);
    print_value("page-faults", trap_counts.page_faults);
    print("differs: end\n");
    power_off(0);
}
