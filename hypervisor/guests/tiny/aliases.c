/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * aliases.c - another guest: one page of code, called at three virtual addresses in turn, among timer interrupts. QEMU
 * 10 translates it once and gives plugins the addresses of the first call for all of them.
 */
#include "console.h"
#include "cpu.h"
#include "traps.h"

#define TURNS 200
#define PAGE_PRESENT 3

/* Counts, with a loop, a call, a conditional jump and returns; position-independent. A page of its own. */
__asm__(".text\n"
        ".balign 4096\n"
        ".globl movable_count, movable_step\n"
        ".type movable_count, @function\n"
        "movable_count:\n"
        "    xorl %eax, %eax\n"
        "1:  call movable_step\n"
        "    decl %edi\n"
        "    jnz 1b\n"
        "    ret\n"
        ".type movable_step, @function\n"
        "movable_step:\n"
        "    addl %edi, %eax\n"
        "    testl $1, %edi\n"
        "    jz 2f\n"
        "    incl %eax\n"
        "2:  ret\n"
        ".balign 4096\n");

uint32_t movable_count(uint32_t turns);
extern uint64_t demand_page_table[512];

void kernel_main(void) {
    traps_start();
    print("aliases: begin\n");
    uint64_t page = (uint64_t)movable_count;
    uint64_t places[3] = {page, DEMAND_FIRST + 5 * 4096, DEMAND_FIRST + 100 * 4096};
    demand_page_table[5] = page | PAGE_PRESENT;
    demand_page_table[100] = page | PAGE_PRESENT;
    __asm__ volatile("sti");
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 3 * TURNS; i++) {
        uint32_t (*count)(uint32_t);
        count = (uint32_t(*)(uint32_t))places[i % 3];
        sum += count(1000 + i);
    }
    print_value("sum", sum);
    print_value("ticks", trap_counts.ticks);
    print("aliases: end\n");
    power_off(0);
}
