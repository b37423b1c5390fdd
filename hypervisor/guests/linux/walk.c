/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * walk.c - a program that init runs once, for debuggers: recursion, a loop, system calls, and a second process. It is linked at
 * a fixed address, and it forks: two processes run the same code at the same addresses, in turns. It needs no C library, and it
 * is not optimised: each of its lines is one stretch of instructions.
 */
#include <stdint.h>

/* Numbers of Linux's system calls on x86-64. */
enum { READ = 0, WRITE = 1, PIPE = 22, FORK = 57, EXIT = 60, WAIT4 = 61 };

static volatile uint32_t total;

__attribute__((noinline)) static long request(long number, long a, const volatile void *b, long c) {
    long result;
    register long options __asm__("r10") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(options)
                     : "rcx", "r11", "memory");
    return result;
}

__attribute__((noinline)) static uint32_t climb(uint32_t height) {
    if (height == 0) {
        return 1;
    }
    uint32_t below = climb(height - 1);
    return below * 3 + height % 5;
}

/* Waits for the other process after each turn. */
__attribute__((noinline)) static uint32_t walk(uint32_t turns, int mine, int others) {
    uint32_t sum = 0;
    for (uint32_t turn = 0; turn < turns; turn++) {
        sum += climb(turn % 6);
        total = sum;
        char byte = 0;
        request(WRITE, others, &byte, 1);
        request(READ, mine, &byte, 1);
    }
    return sum;
}

__attribute__((noreturn, used)) static void begin(void) {
    int first[2], second[2];
    request(PIPE, (long)first, 0, 0);
    request(PIPE, (long)second, 0, 0);
    long child = request(FORK, 0, 0, 0);
    uint32_t sum = child > 0 ? walk(12, first[0], second[1]) : walk(12, second[0], first[1]);
    if (child > 0) {
        request(WAIT4, child, 0, 0);
    }
    request(EXIT, sum == 0, 0, 0);
    __builtin_unreachable();
}

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    and $-16, %rsp\n"
        "    call begin\n");
