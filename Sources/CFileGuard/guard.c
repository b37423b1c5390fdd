// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "ttfileguard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* A free slot has end 0. A slot is filled as: start, then end; the handler reads end first. */
struct slot {
    _Atomic uintptr_t start;
    _Atomic uintptr_t end;
    _Atomic int is_broken;
};

enum { SLOT_COUNT = 4096 };

static struct slot slots[SLOT_COUNT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous;
static uintptr_t page_size;
static int is_installed;

static void pass_on(int number, siginfo_t *info, void *context)
{
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else {
        /* The instruction faults again and ends the process. */
        struct sigaction fallback = {.sa_handler = SIG_DFL};
        sigaction(SIGBUS, &fallback, NULL);
    }
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    uintptr_t address = (uintptr_t)info->si_addr;
    for (int index = 0; index < SLOT_COUNT; index++) {
        uintptr_t end = atomic_load_explicit(&slots[index].end, memory_order_acquire);
        uintptr_t start = atomic_load_explicit(&slots[index].start, memory_order_relaxed);
        if (address < start || address >= end)
            continue;
        uintptr_t page = address & ~(page_size - 1);
        /* Everything after the fault is beyond the end of the file, too. */
        void *zeros = mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                           -1, 0);
        if (zeros == MAP_FAILED)
            break;
        atomic_store(&slots[index].is_broken, 1);
        return;
    }
    pass_on(number, info, context);
}

static int install(void)
{
    if (is_installed)
        return 1;
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    is_installed = sigaction(SIGBUS, &action, &previous) == 0;
    return is_installed;
}

int ttd_guard_add(const void *start, size_t size)
{
    int found = -1;
    pthread_mutex_lock(&lock);
    if (size > 0 && install()) {
        for (int index = 0; index < SLOT_COUNT && found < 0; index++) {
            if (atomic_load(&slots[index].end) == 0)
                found = index;
        }
    }
    if (found >= 0) {
        uintptr_t begin = (uintptr_t)start & ~(page_size - 1);
        uintptr_t end = ((uintptr_t)start + size + page_size - 1) & ~(page_size - 1);
        atomic_store(&slots[found].is_broken, 0);
        atomic_store_explicit(&slots[found].start, begin, memory_order_relaxed);
        atomic_store_explicit(&slots[found].end, end, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

int ttd_guard_is_broken(int guard)
{
    return guard >= 0 && guard < SLOT_COUNT && atomic_load(&slots[guard].is_broken);
}

void ttd_guard_remove(int guard)
{
    if (guard >= 0 && guard < SLOT_COUNT)
        atomic_store(&slots[guard].end, 0);
}
