/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first program of a Linux guest, for branch windows: in turns all ways between user mode and the kernel, while a timer
 * interrupts. Each turn ends with an exit, so a window can begin anywhere. Another program is started only once, early: it
 * takes more instructions than a window has. Then it powers the guest off.
 * From begin_mark() to end_mark() a recorder outside watches (nested=marked of QEMU's plugin).
 */
#include <stddef.h>
#include <stdint.h>

enum {
    READ = 0, WRITE = 1, OPEN = 2, CLOSE = 3, MMAP = 9, MPROTECT = 10, MUNMAP = 11, SIGACTION = 13, SIGRETURN = 15,
    PIPE = 22, NANOSLEEP = 35, SETITIMER = 38, GETPID = 39, FORK = 57, EXECVE = 59, EXIT = 60, WAIT4 = 61, KILL = 62,
    REBOOT = 169,
};
enum { SIGTRAP = 5, SIGFPE = 8, SIGUSR1 = 10, SIGSEGV = 11, SIGALRM = 14 };
enum { PAGE = 4096, TURNS = 192, PERIOD = 1000 /* µs of the timer */ };

struct action {
    void (*handler)(int, void *, void *);
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* struct ucontext: the interrupted registers from word 5 on; rip is number 16 of them. */
enum { CONTEXT_RIP = 5 + 16 };

static uint8_t *edge; /* two pages; an instruction crosses into the second one */
static volatile uint64_t sum;
static volatile double root = 2;

static int64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    register uint64_t fourth asm("r10") = d, fifth asm("r8") = UINT64_MAX, sixth asm("r9") = 0;
    int64_t result = (int64_t)number;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                 : "rcx", "r11", "memory");
    return result;
}

/* No operations with a constant that names them. */
static void begin_mark(void) {
    asm volatile("nopl 0x2b647474(%rax)");
}

static void end_mark(void) {
    asm volatile("nopl 0x2d647474(%rax)");
}

static void *map(uint64_t size, uint64_t protection) {
    enum { PRIVATE_ANONYMOUS = 0x22 };
    return (void *)call(MMAP, 0, size, protection, PRIVATE_ANONYMOUS);
}

void restore(void);
asm("restore: mov $15, %eax; syscall");

/* Leaves an instruction that cannot be executed, or makes it possible. */
static void on_signal(int signal, void *information, void *context) {
    uint64_t *rip = (uint64_t *)context + CONTEXT_RIP;
    (void)information;
    sum += (uint64_t)signal;
    if (signal == SIGFPE)
        *rip += 3; /* div %rcx */
    if (signal == SIGSEGV && (uint8_t *)*rip == edge + PAGE - 2)
        call(MPROTECT, (uint64_t)edge, 2 * PAGE, 7, 0);
    else if (signal == SIGSEGV)
        *rip += 2; /* mov (%rax), %eax; int $0x80 */
}

static void catch(int signal) {
    enum { INFORMATION = 4, RESTORER = 0x04000000, RESTART = 0x10000000 };
    struct action action = {.handler = on_signal, .flags = INFORMATION | RESTORER | RESTART, .restorer = restore};
    call(SIGACTION, (uint64_t)signal, (uint64_t)&action, 0, 8);
}

/* Runs a program, or some code that writes pages which it shares with this one, in a process of its own. */
static void in_process(const char *program) {
    int64_t process = call(FORK, 0, 0, 0, 0);
    if (process == 0) {
        const char *arguments[] = {"md5sum", "/init", NULL};
        if (program)
            call(EXECVE, (uint64_t)program, (uint64_t)arguments, 0, 0);
        sum += 1;
        call(EXIT, 0, 0, 0, 0);
    }
    call(WAIT4, (uint64_t)process, 0, 0, 0);
}

static void use_pages(void) {
    uint8_t *pages = map(4 * PAGE, 3), *to = pages + PAGE - 24, *from = pages + 2 * PAGE + 8;
    uint64_t count = 64;
    pages[0] = 1;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); /* faults at the source, and midway */
    to = pages + 3 * PAGE - 16;
    count = 5;
    asm volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(7ull) : "memory");
    sum += pages[PAGE];
    call(MUNMAP, (uint64_t)pages, 4 * PAGE, 0, 0);
}

/* An instruction whose second half cannot be fetched at first. */
static void cross_pages(void) {
    static const uint8_t code[] = {0xb8, 1, 2, 3, 4, 0xc3}; /* mov $0x04030201, %eax; ret */
    for (size_t i = 0; i < sizeof(code); i++)
        edge[PAGE - 2 + i] = code[i];
    call(MPROTECT, (uint64_t)edge + PAGE, PAGE, 0, 0);
    uint64_t result;
    asm volatile("call *%1" : "=a"(result) : "r"(edge + PAGE - 2) : "memory");
    sum += result;
}

static void divide(void) {
    uint64_t low = 1, high = 0;
    asm volatile("div %2" : "+a"(low), "+d"(high) : "c"(0ull));
    sum += low;
}

static void trap(void) {
    asm volatile("int3");
    uint64_t number = 20; /* getpid of 32-bit programs */
    asm volatile("int $0x80" : "+a"(number) : : "r8", "r9", "r10", "r11", "memory");
    asm volatile("mov (%%rax), %%eax" : "+a"(number) : : "memory"); /* no page is there */
    sum += number;
}

static void compute(void) {
    for (int i = 0; i < 300; i++) {
        root = root * 0.5 + 1 / root;
        sum += sum >> 3 ^ (uint64_t)i;
    }
    asm volatile("pushfq; popfq" : : : "memory", "cc");
}

static void use_pipe(void) {
    int32_t ends[2];
    uint64_t word = 1;
    call(PIPE, (uint64_t)ends, 0, 0, 0);
    call(WRITE, (uint64_t)ends[1], (uint64_t)&word, sizeof(word), 0);
    call(READ, (uint64_t)ends[0], (uint64_t)&word, sizeof(word), 0);
    call(CLOSE, (uint64_t)ends[0], 0, 0, 0);
    call(CLOSE, (uint64_t)ends[1], 0, 0, 0);
}

static void sleep(void) {
    uint64_t time[2] = {0, 50000};
    call(NANOSLEEP, (uint64_t)time, 0, 0, 0);
}

static void turn(int number) {
    switch (number % 12) {
    case 0: call(GETPID, 0, 0, 0, 0); break;
    case 1: use_pages(); break;
    case 2: number % 24 == 2 ? in_process(NULL) : compute(); break;
    case 3: call(KILL, (uint64_t)call(GETPID, 0, 0, 0, 0), SIGUSR1, 0, 0); break;
    case 4: divide(); break;
    case 5: trap(); break;
    case 6: cross_pages(); break;
    case 7: use_pipe(); break;
    case 8: sleep(); break;
    case 9: asm volatile("rdtsc" : : : "rax", "rdx"); break;
    case 10: number == 10 ? in_process("/bin/busybox") : compute(); break;
    default: compute();
    }
    uint32_t leaf = 0, sub = 0;
    asm volatile("cpuid" : "+a"(leaf), "+c"(sub) : : "ebx", "edx");
}

void start(void);
asm(".globl _start; _start: and $-16, %rsp; call start");

void start(void) {
    static const int signals[] = {SIGTRAP, SIGFPE, SIGUSR1, SIGSEGV, SIGALRM};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        catch(signals[i]);
    edge = map(2 * PAGE, 7);
    static const uint64_t often[4] = {0, PERIOD, 0, PERIOD};
    call(SETITIMER, 0, (uint64_t)often, 0, 0);

    begin_mark();
    for (int number = 0; number < TURNS; number++)
        turn(number);
    end_mark();

    call(REBOOT, 0xfee1dead, 672274793, 0x4321fedc, 0); /* power off */
}
