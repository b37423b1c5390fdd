/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * work.c - see work.h.
 */
#include "work.h"

#define NUMBERS 512

static int32_t numbers[NUMBERS];

uint32_t fibonacci(uint32_t n) {
    if (n < 2) {
        return n;
    }
    return fibonacci(n - 1) + fibonacci(n - 2);
}

uint32_t ackermann(uint32_t m, uint32_t n) {
    if (m == 0) {
        return n + 1;
    }
    return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static inline void swap(int32_t *a, int32_t *b) {
    int32_t kept = *a;
    *a = *b;
    *b = kept;
}

static void sort(int32_t *values, int32_t low, int32_t high) {
    if (low >= high) {
        return;
    }
    int32_t pivot = values[(low + high) / 2];
    int32_t i = low, j = high;
    while (i <= j) {
        while (values[i] < pivot) {
            i++;
        }
        while (values[j] > pivot) {
            j--;
        }
        if (i <= j) {
            swap(&values[i++], &values[j--]);
        }
    }
    sort(values, low, j);
    sort(values, i, high);
}

uint32_t sort_numbers(uint32_t seed) {
    for (uint32_t i = 0; i < NUMBERS; i++) {
        numbers[i] = (int32_t)(i * 1103515245u + 12345u + seed) >> 3 & 0xffff;
    }
    sort(numbers, 0, NUMBERS - 1);
    return (uint32_t)numbers[NUMBERS / 2];
}

static uint32_t add(uint32_t a, uint32_t b) {
    return a + b;
}

static uint32_t exclusive_or(uint32_t a, uint32_t b) {
    return a ^ b;
}

static uint32_t multiply(uint32_t a, uint32_t b) {
    return a * b;
}

static uint32_t (*const operations[])(uint32_t, uint32_t) = {add, exclusive_or, multiply};

uint32_t call_through_table(uint32_t value, uint32_t turns) {
    for (uint32_t i = 0; i < turns; i++) {
        value = operations[(i + value) % 3](value, i);
    }
    return value;
}
