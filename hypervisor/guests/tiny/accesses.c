/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * accesses.c - another guest: reads of ports, clocks and devices that a page fault disturbs, or an interrupt or fault
 * immediately after them, or a restart. For each it prints the address of the instruction, the address of the next one,
 * and the value that it read:
 *
 *     ins-fault=ADDRESS
 *     next=ADDRESS
 *     value=NUMBER          one or more
 */
#include "console.h"
#include "cpu.h"
#include "traps.h"

#define PAGE_PRESENT 3
#define PAGE_DEVICE 0x13
#define LOCAL_APIC 0xfee00000ull
#define APIC_VERSION 0x30
#define APIC_COMMAND_HIGH 0x310 /* 32 bits that keep what is written */

/* The instruction under test, between the labels NAME and NAME_next. */
#define UNDER_TEST(name, instruction) \
    ".globl " #name ", " #name "_next\n" #name ": " instruction "\n" #name "_next:\n"

#define FUNCTION(name) ".globl run_" #name "\n.type run_" #name ", @function\nrun_" #name ":\n"

/* An interrupt is pending: it comes after the instruction that follows sti. The result is edx:eax or eax. */
#define WITH_INTERRUPT_AFTER(name, instruction) FUNCTION(name) "sti\n" UNDER_TEST(name, instruction) "cli\n"

/* Port 0x40 is the timer's counter: its value changes all the time. */
__asm__(".text\n"
        /* void (void *to, uint64_t count), or from */
        FUNCTION(ins_fault) "movw $0x40, %dx\n" UNDER_TEST(ins_fault, "insb") "ret\n"
        FUNCTION(rep_ins_fault) "movq %rsi, %rcx\nmovw $0x40, %dx\n" UNDER_TEST(rep_ins_fault, "rep insb") "ret\n"
        FUNCTION(outs_fault) "movq %rdi, %rsi\nmovw $0x80, %dx\n" UNDER_TEST(outs_fault, "outsb") "ret\n"
        FUNCTION(rep_outs_fault) "movq %rsi, %rcx\nmovq %rdi, %rsi\nmovw $0x80, %dx\n"
        UNDER_TEST(rep_outs_fault, "rep outsb") "ret\n"
        FUNCTION(ins_device) "movw $0x40, %dx\n" UNDER_TEST(ins_device, "insl") "ret\n"
        FUNCTION(outs_device) "movq %rdi, %rsi\nmovw $0x80, %dx\n" UNDER_TEST(outs_device, "outsl") "ret\n"
        /* void (void *to, const void *from) */
        FUNCTION(movs_device) UNDER_TEST(movs_device, "movsl") "ret\n"
        /* uint32_t (void): the byte that is read becomes part of an instruction of the same block. */
        FUNCTION(ins_own_block) "movw $0x40, %dx\nleaq 1f + 1(%rip), %rdi\n1: movb $0x5a, %cl\n"
        UNDER_TEST(ins_own_block, "insb") "movzbl 1b + 1(%rip), %eax\nret\n"
        /* uint32_t (void) */
        WITH_INTERRUPT_AFTER(in_interrupt, "inb $0x40, %al") "movzbl %al, %eax\nret\n"
        WITH_INTERRUPT_AFTER(rdtsc_interrupt, "rdtsc") "shlq $32, %rdx\norq %rdx, %rax\nret\n"
        /* uint64_t (uint32_t number) */
        WITH_INTERRUPT_AFTER(rdmsr_interrupt, "rdmsr") "shlq $32, %rdx\norq %rdx, %rax\nret\n"
        FUNCTION(rdrand32) UNDER_TEST(rdrand32, "rdrand %eax") "ret\n"
        FUNCTION(rdrand16) "xorl %eax, %eax\n" UNDER_TEST(rdrand16, "rdrand %ax") "ret\n"
        FUNCTION(rdrand64) UNDER_TEST(rdrand64, "rdrand %r9") "movq %r9, %rax\nret\n"
        FUNCTION(rdseed64) UNDER_TEST(rdseed64, "rdseed %rdx") "movq %rdx, %rax\nret\n"
        FUNCTION(rdrand_interrupt) "sti\n" UNDER_TEST(rdrand_interrupt, "rdrand %rax") "cli\nret\n"
        /* Copied to the end of a page; the next page is not mapped yet. */
        ".globl read_at_end_of_page\nread_at_end_of_page: inb $0x40, %al\n"
        /* The handler of that fault maps the page. */
        ".globl fetch_fault\n"
        "fetch_fault: pushq %rax\nmovq fetch_page, %rax\nmovq %rax, demand_page_table + 8 * 301\npopq %rax\n"
        "addq $8, %rsp\niretq\n");

#define DECLARE(name, result, arguments) extern const uint8_t name[], name##_next[]; result run_##name arguments

DECLARE(ins_fault, void, (void *to));
DECLARE(rep_ins_fault, void, (void *to, uint64_t count));
DECLARE(outs_fault, void, (const void *from));
DECLARE(rep_outs_fault, void, (const void *from, uint64_t count));
DECLARE(ins_device, void, (volatile uint32_t *to));
DECLARE(outs_device, void, (const volatile uint32_t *from));
DECLARE(movs_device, void, (void *to, const volatile uint32_t *from));
DECLARE(ins_own_block, uint32_t, (void));
DECLARE(in_interrupt, uint32_t, (void));
DECLARE(rdtsc_interrupt, uint64_t, (void));
DECLARE(rdmsr_interrupt, uint64_t, (uint64_t, uint64_t, uint64_t, uint32_t number)); /* rcx */
DECLARE(rdrand32, uint32_t, (void));
DECLARE(rdrand16, uint32_t, (void));
DECLARE(rdrand64, uint64_t, (void));
DECLARE(rdseed64, uint64_t, (void));
DECLARE(rdrand_interrupt, uint64_t, (void));
extern const uint8_t read_at_end_of_page[2], fetch_fault[];

extern uint64_t demand_page_table[512];
uint64_t fetch_page;

static uint8_t code[2][4096] __attribute__((aligned(4096)));

static uint8_t *demand_page(unsigned number) {
    return (uint8_t *)(DEMAND_FIRST + number * 4096ull);
}

static void note_place(const char *name, const uint8_t *place, const uint8_t *next) {
    print_value(name, (uint64_t)place);
    print_value("next", (uint64_t)next);
}

static void note(const char *name, const uint8_t *place, const uint8_t *next, uint64_t value) {
    note_place(name, place, next);
    print_value("value", value);
}

static void note_bytes(const char *name, const uint8_t *place, const uint8_t *next, const uint8_t *bytes,
                       uint64_t count) {
    note_place(name, place, next);
    for (uint64_t i = 0; i < count; i++) {
        print_value("value", bytes[i]);
    }
}

#define NOTE(name, value) note(#name, name, name##_next, value)
#define NOTE_BYTES(name, bytes, count) note_bytes(#name, name, name##_next, bytes, count)

static void copy(volatile uint8_t *to, const uint8_t *from, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        to[i] = from[i];
    }
}

static void fault_at_operands(void) {
    run_ins_fault(demand_page(0));
    NOTE_BYTES(ins_fault, demand_page(0), 1);

    uint8_t *across = demand_page(2) - 8;
    *(volatile uint8_t *)across = 0; /* this page is mapped, the next is not */
    run_rep_ins_fault(across, 16);
    NOTE_BYTES(rep_ins_fault, across, 16);

    run_outs_fault(demand_page(10));
    NOTE_BYTES(outs_fault, demand_page(10), 1);

    across = demand_page(12) - 3;
    copy(across, (const uint8_t *)"abc", 3);
    run_rep_outs_fault(across, 6);
    NOTE_BYTES(rep_outs_fault, across, 6);
}

static void go_to_devices(void) {
    demand_page_table[200] = LOCAL_APIC | PAGE_DEVICE;
    volatile uint32_t *apic = (volatile uint32_t *)demand_page(200);
    run_ins_device(apic + APIC_COMMAND_HIGH / 4);
    NOTE(ins_device, apic[APIC_COMMAND_HIGH / 4]);
    run_outs_device(apic + APIC_VERSION / 4);
    NOTE(outs_device, apic[APIC_VERSION / 4]);
    volatile uint32_t *page = (volatile uint32_t *)demand_page(20);
    run_movs_device((void *)page, apic + APIC_VERSION / 4);
    NOTE(movs_device, *page);
}

/* Waits until a timer interrupt is pending. Interrupts are off. */
static void await_interrupt(void) {
    port_write(0x20, 0x0a); /* reads of this port now return the pending interrupts */
    while ((port_read(0x20) & 1) == 0) {
        for (volatile int i = 0; i < 500; i++) {
        }
    }
}

static void interrupt_after(void) {
    await_interrupt();
    NOTE(in_interrupt, run_in_interrupt());
    await_interrupt();
    NOTE(rdtsc_interrupt, run_rdtsc_interrupt());
    await_interrupt();
    NOTE(rdmsr_interrupt, run_rdmsr_interrupt(0, 0, 0, 0xc0000082)); /* LSTAR */
}

/* The instruction after a read cannot be fetched. */
static void fault_after(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) table;
    __asm__ volatile("sidt %0" : "=m"(table));
    uint16_t *gate = (uint16_t *)(table.base + 16 * 14);
    uint16_t before[4] = {gate[0], gate[1], gate[2], gate[3]};
    gate[0] = (uint16_t)(uint64_t)fetch_fault;
    gate[3] = (uint16_t)((uint64_t)fetch_fault >> 16);

    copy(&code[0][4094], read_at_end_of_page, 2);
    code[1][0] = 0xc3; /* ret */
    demand_page_table[300] = (uint64_t)code[0] | PAGE_PRESENT;
    fetch_page = (uint64_t)code[1] | PAGE_PRESENT;
    const uint8_t *place = demand_page(301) - 2;
    uint32_t value;
    __asm__ volatile("call *%1" : "=a"(value) : "r"(place) : "memory");
    gate[0] = before[0];
    gate[3] = before[3];
    note("fetch_fault", place, place + 2, value & 0xff);
}

static void cpuid(uint32_t leaf, uint32_t *b, uint32_t *c) {
    uint32_t a = leaf, d;
    *c = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(*b), "+c"(*c), "=d"(d));
}

static void random_numbers(void) {
    uint32_t b, c;
    cpuid(1, &b, &c);
    if (c >> 30 & 1) {
        NOTE(rdrand32, run_rdrand32());
        NOTE(rdrand16, run_rdrand16());
        NOTE(rdrand64, run_rdrand64());
        await_interrupt();
        NOTE(rdrand_interrupt, run_rdrand_interrupt());
    }
    cpuid(7, &b, &c);
    if (b >> 18 & 1) {
        NOTE(rdseed64, run_rdseed64());
    }
}

void kernel_main(void) {
    traps_start();
    print("accesses: begin\n");
    fault_at_operands();
    go_to_devices();
    for (int i = 0; i < 3; i++) {
        NOTE(ins_own_block, run_ins_own_block());
    }
    interrupt_after();
    fault_after();
    random_numbers();
    print("accesses: end\n");
    power_off(0);
}
