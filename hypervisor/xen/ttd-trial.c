/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session's rings to and from a file, for trials of the hypervisor until ttd-deviced is there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define __XEN_TOOLS__ 1
#include <xen/xen.h>
#include <xen/sysctl.h>
#include <xencall.h>
#include <xenforeignmemory.h>
#include "include/ttd_xen.h"

static xencall_handle *calls;
static xenforeignmemory_handle *memory;
static struct xen_sysctl *sysctl;
static uint32_t domain;

static int call(uint32_t operation, struct ttd_op *op)
{
    op->operation = operation;
    op->version = TTD_VERSION;
    op->domain = domain;
    memset(sysctl, 0, sizeof(*sysctl));
    sysctl->cmd = TTD_SYSCTL;
    sysctl->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    memcpy(&sysctl->u, op, sizeof(*op));
    int rc = xencall1(calls, __HYPERVISOR_sysctl, (unsigned long)sysctl);
    memcpy(op, &sysctl->u, sizeof(*op));
    return rc;
}

static struct ttd_ring *map(uint64_t mfn, uint32_t pages)
{
    xen_pfn_t *frames = calloc(pages, sizeof(*frames));
    int *errors = calloc(pages, sizeof(*errors));
    for (uint32_t i = 0; i < pages; i++)
        frames[i] = mfn + i;
    struct ttd_ring *ring = xenforeignmemory_map(memory, DOMID_XEN, PROT_READ | PROT_WRITE, pages, frames, errors);
    if (!ring || errors[0]) {
        perror("map");
        exit(2);
    }
    return ring;
}

/* Drains the out ring into a file; returns bytes. */
static uint64_t drain(struct ttd_ring *ring, int file, unsigned *digests)
{
    uint64_t produced = __atomic_load_n(&ring->produced, __ATOMIC_ACQUIRE), at = ring->consumed, start = at;
    while (at < produced) {
        struct ttd_record *record = (void *)((char *)ring + 4096 + at % ring->size);
        if (record->type != TTD_PAD && write(file, record, record->size) != (ssize_t)record->size) {
            perror("write");
            exit(2);
        }
        if (record->type == TTD_BREAK)
            ++*digests;
        at += record->size;
    }
    __atomic_store_n(&ring->consumed, at, __ATOMIC_RELEASE);
    return at - start;
}

static char *input;
static size_t input_size, input_at;

/* Fills the in ring from the recording. */
static uint64_t fill(struct ttd_ring *ring)
{
    uint64_t at = ring->produced, start = at;
    while (input_at < input_size) {
        struct ttd_record *record = (void *)(input + input_at);
        if (record->type == TTD_BREAK) {
            input_at += record->size;
            continue;
        }
        uint32_t place = at % ring->size, pad = place + record->size > ring->size ? ring->size - place : 0;
        if (at + pad + record->size - __atomic_load_n(&ring->consumed, __ATOMIC_ACQUIRE) > ring->size)
            break;
        if (pad) {
            struct ttd_record *filler = (void *)((char *)ring + 4096 + place);
            filler->size = pad;
            filler->type = TTD_PAD;
            at += pad;
            place = 0;
        }
        memcpy((char *)ring + 4096 + place, record, record->size);
        at += record->size;
        input_at += record->size;
    }
    __atomic_store_n(&ring->produced, at, __ATOMIC_RELEASE);
    if (input_at == input_size)
        ring->closed = 1;
    return at - start;
}

static void digest(FILE *out, uint64_t clock)
{
    static struct ttd_page_digest *pages;
    if (!pages)
        pages = xencall_alloc_buffer(calls, 4096 * sizeof(*pages));
    struct ttd_op op = {.digest = {.gfn = 0}};
    uint64_t all = 0, n = 0;
    while (op.digest.gfn != ~0ull) {
        op.digest.buffer = (uintptr_t)pages;
        op.digest.limit = 4096;
        if (call(TTD_OP_DIGEST, &op)) {
            perror("digest");
            exit(2);
        }
        for (uint32_t i = 0; i < op.digest.count; i++, n++) {
            all = (all ^ pages[i].hash) * 0x9e3779b97f4a7c15u + pages[i].gfn;
            fprintf(out, "%" PRIu64 " %" PRIx64 " %016" PRIx64 "\n", clock, pages[i].gfn, pages[i].hash);
        }
    }
    printf("digest at %" PRIu64 ": %" PRIu64 " pages %016" PRIx64 "\n", clock, n, all);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "ttd-trial record|replay DOMID OUT [IN|-] [key=value ...]\n");
        return 2;
    }
    int replay = !strcmp(argv[1], "replay");
    domain = atoi(argv[2]);
    calls = xencall_open(NULL, 0);
    memory = xenforeignmemory_open(NULL, 0);
    sysctl = xencall_alloc_buffer(calls, sizeof(*sysctl));
    int file = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    char name[256];
    snprintf(name, sizeof(name), "%s.digests", argv[3]);
    FILE *digests = fopen(name, "w");
    if (replay) {
        int in = open(argv[4], O_RDONLY);
        input_size = lseek(in, 0, SEEK_END);
        input = mmap(NULL, input_size, PROT_READ, MAP_PRIVATE, in, 0);
    }
    struct ttd_op op = {0};
    unsigned seconds = 120;
    for (int i = 5; i < argc; i++) {
        char *value = strchr(argv[i], '=') + 1;
        uint64_t n = strtoull(value, NULL, 0);
#define KEY(key) !strncmp(argv[i], key "=", strlen(key "="))
        if (KEY("options")) op.start.options = n;
        else if (KEY("pages")) op.start.out_pages = op.start.in_pages = n;
        else if (KEY("defer")) op.start.defer_ms = n;
        else if (KEY("at")) op.start.break_at = n;
        else if (KEY("every")) op.start.break_every = n;
        else if (KEY("fault")) op.start.fault = n;
        else if (KEY("detail")) op.start.fault_detail = n;
        else if (KEY("fat")) op.start.fault_at = n;
        else if (KEY("shift")) op.start.tsc_shift = n;
        else if (KEY("overhead")) op.start.tsc_overhead = n;
        else if (KEY("seconds")) seconds = n;
    }
    if (call(replay ? TTD_OP_REPLAY : TTD_OP_RECORD, &op)) {
        perror("start");
        return 2;
    }
    struct ttd_ring *out = map(op.start.out_mfn, op.start.out_pages), *in = NULL;
    uint32_t out_pages = op.start.out_pages, in_pages = op.start.in_pages;
    if (replay) {
        in = map(op.start.in_mfn, op.start.in_pages);
        fill(in);
    }
    printf("started\n");
    fflush(stdout);
    unsigned breaks = 0;
    for (unsigned i = 0; i < seconds * 200; i++) {
        int closed = __atomic_load_n(&out->closed, __ATOMIC_ACQUIRE);
        uint64_t moved = drain(out, file, &breaks);
        if (in)
            moved += fill(in);
        if (out->waiting || (in && in->waiting))
            call(TTD_OP_WAKE, &op);
        if (breaks) {
            call(TTD_OP_STATUS, &op);
            digest(digests, op.status.clock);
            breaks = 0;
            call(TTD_OP_CONTINUE, &op);
        }
        call(TTD_OP_STATUS, &op);
        if (closed || op.status.state == TTD_STATE_DIVERGED)
            break;
        if (!moved)
            usleep(5000);
    }
    call(TTD_OP_STATUS, &op);
    printf("state %u end %u clock %" PRIu64 " exits %" PRIu64 " interrupts %" PRIu64 " async %" PRIu64 " guest writes %" PRIu64
           " shared %" PRIu64 " deferred %" PRIu64 " expired %" PRIu64 " db %" PRIu64 " copies %" PRIu64 " bytes %" PRIu64
           " records %" PRIu64 " held %" PRIu64 "+%" PRIu64 " lost %" PRIu64 "\n",
           op.status.state, op.status.end, op.status.clock, op.status.exits, op.status.interrupts, op.status.asynchronous,
           op.status.guest_writes, op.status.shared_writes, op.status.deferrals, op.status.expired, op.status.debug_exceptions,
           op.status.copies, op.status.out_bytes, op.status.records, out->held, in ? in->held : 0, out->lost);
    uint32_t state = op.status.state;
    if (state != TTD_STATE_NONE)
        digest(digests, op.status.clock);
    call(TTD_OP_STOP, &op);
    drain(out, file, &breaks);
    xenforeignmemory_unmap(memory, out, out_pages);
    if (in)
        xenforeignmemory_unmap(memory, in, in_pages);
    call(TTD_OP_RELEASE, &op);
    fclose(digests);
    return state == TTD_STATE_DIVERGED;
}
