/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * roam.c - a program that init runs ten times. It is a static PIE: each run is at other addresses, while the pages of
 * its code stay the same, and QEMU 10 translates them once for all runs. It prints its address.
 */
#include <stdint.h>
#include <stdio.h>

#define TURNS 100000

#ifndef CONSTANT
#define CONSTANT 0x9e3779b1u
#endif

/* The initial value of the work. No branch and no address depends on it, and nothing prints it. */
static const volatile uint32_t constant = CONSTANT;
static volatile uint32_t result;

static uint32_t add(uint32_t a, uint32_t b) {
    return a + b;
}

static uint32_t exclusive_or(uint32_t a, uint32_t b) {
    return a ^ b;
}

static uint32_t multiply(uint32_t a, uint32_t b) {
    return a * (2 * b + 1);
}

static uint32_t (*const volatile operations[])(uint32_t, uint32_t) = {add, exclusive_or, multiply};

__attribute__((noinline)) static void work(void) {
    uint32_t value = constant;
    for (uint32_t i = 0; i < TURNS; i++) {
        value = operations[i % 3](value, i);
    }
    result = value;
}

int main(void) {
    printf("guest: roam: work at %p\n", (void *)work);
    fflush(stdout);
    work();
    return 0;
}
