/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * truth.c - the variant tiny-truth records its own calls, interrupts and system calls (with the compiler's entry and exit
 * hooks, and in entry.S) and sends them over the serial line after its last text, as words of 32 bits:
 *
 *     bits 0-20    address - 0x200000: of the function that is entered or returns, or the interrupted ip
 *     bits 21-28   the vector of an interrupt or fault
 *     bits 29-31   what happened: TRUTH_ENTER ...
 *
 * Tests/EndToEnd compares them with the call tree from a log of branches.
 */
#include "console.h"
#include "cpu.h"
#include "truth.h"

#define RECORDS (1u << 18)
#define UNSEEN __attribute__((no_instrument_function))

struct truth_record truth_records[RECORDS];
uint64_t truth_count;

void __cyg_profile_func_enter(void *function, void *call_site) UNSEEN;
void __cyg_profile_func_exit(void *function, void *call_site) UNSEEN;
void __real_power_off(uint8_t status);
void __wrap_power_off(uint8_t status) UNSEEN;

/* One instruction reserves the place: an interrupt after it writes after it. */
UNSEEN __attribute__((always_inline)) static inline void note(uint64_t kind, const void *address) {
    uint64_t place = 1;
    __asm__ volatile("xaddq %0, %1" : "+r"(place), "+m"(truth_count));
    if (place < RECORDS) {
        truth_records[place] = (struct truth_record){kind, (uint64_t)address};
    }
}

void __cyg_profile_func_enter(void *function, void *call_site) {
    (void)call_site;
    note(TRUTH_ENTER, function);
}

void __cyg_profile_func_exit(void *function, void *call_site) {
    (void)call_site;
    note(TRUTH_EXIT, function);
}

UNSEEN static void put(char character) {
    uint8_t status;
    do {
        __asm__ volatile("inb %1, %0" : "=a"(status) : "Nd"((uint16_t)SERIAL_LINE_STATUS));
    } while ((status & 0x20) == 0);
    __asm__ volatile("outb %0, %1" : : "a"(character), "Nd"((uint16_t)SERIAL_DATA));
}

/* Replaces power_off (the linker's --wrap). */
void __wrap_power_off(uint8_t status) {
    __asm__ volatile("cli");
    for (uint64_t i = 0; i < truth_count && i < RECORDS; i++) {
        struct truth_record *record = &truth_records[i];
        uint32_t word = (uint32_t)(record->kind & 7) << 29 | (uint32_t)(record->kind >> 8 & 255) << 21 |
                        (uint32_t)(record->address - 0x200000);
        for (unsigned byte = 0; byte < 4; byte++) {
            put((char)(word >> 8 * byte));
        }
    }
    __real_power_off(truth_count > RECORDS ? 99 : status);
}
