/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Xen: a session through the sysctl of the patched hypervisor, its rings mapped from DOMID_XEN, its VIRQ as the doorbell.
 */
#define _GNU_SOURCE
#define __XEN_TOOLS__ 1
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/xen.h>
#include <xen/sysctl.h>
#include <xencall.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xenstore.h>

#include "failure.h"
#include "machine.h"

enum { RING_PAGE = 4096 };

struct xen {
    struct ttd_machine machine;
    uint32_t domain;
    int is_started;
    xencall_handle *calls;
    xenevtchn_handle *channels;
    xenforeignmemory_handle *memory;
    int doorbell; /* port, or -1 */
    struct xen_sysctl *request; /* memory for hypercalls */
    struct ttd_page_digest *digests;
    uint32_t digest_limit;
    struct ttd_rings rings;
};

_Static_assert(sizeof(struct ttd_op) <= sizeof(((struct xen_sysctl *)0)->u), "an operation fits a sysctl");

static struct xen *xen_of(struct ttd_machine *machine) {
    return (struct xen *)machine;
}

/* Performs an operation. Returns 0, or -1 with errno. */
static int perform(struct xen *xen, uint32_t operation, struct ttd_op *op) {
    op->operation = operation;
    op->version = TTD_VERSION;
    op->domain = xen->domain;
    memset(xen->request, 0, sizeof(*xen->request));
    xen->request->cmd = TTD_SYSCTL;
    xen->request->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    memcpy(&xen->request->u, op, sizeof(*op));
    int result = xencall1(xen->calls, __HYPERVISOR_sysctl, (uint64_t)(uintptr_t)xen->request);
    memcpy(op, &xen->request->u, sizeof(*op));
    return result < 0 ? -1 : 0;
}

static void perform_plain(struct ttd_machine *machine, uint32_t operation) {
    struct ttd_op op = {0};
    perform(xen_of(machine), operation, &op);
}

static void *map(struct xen *xen, uint64_t mfn, uint32_t pages, size_t *size, ttlog_error *error) {
    xen_pfn_t *frames = calloc(pages, sizeof(*frames));
    int *codes = calloc(pages, sizeof(*codes));
    void *memory = NULL;
    if (frames != NULL && codes != NULL) {
        for (uint32_t i = 0; i < pages; i++)
            frames[i] = mfn + i;
        memory = xenforeignmemory_map(xen->memory, DOMID_XEN, PROT_READ | PROT_WRITE, pages, frames, codes);
    }
    if (memory == NULL)
        ttd_fail_errno(error, "cannot map the %u pages of a ring", pages);
    free(frames);
    free(codes);
    *size = (size_t)pages * RING_PAGE;
    return memory;
}

static int start_error(struct xen *xen, ttlog_error *error) {
    switch (errno) {
    case ENOSYS:
        return ttd_fail(error, errno, "this Xen cannot record: it is not the patched one (docs/recording.md)");
    case EOPNOTSUPP:
        return ttd_fail(error, errno, "domain %u cannot be recorded or replayed: `xl dmesg` shows what it lacks; a guest needs "
                        "one vCPU and tsc_mode=\"always_emulate\" (docs/recording.md)", xen->domain);
    case EINVAL:
        return ttd_fail(error, errno, "domain %u cannot be recorded: Xen has another version of the interface, or the "
                        "domain is dying", xen->domain);
    case ENODEV: return ttd_fail(error, errno, "this processor has no counter that --count names");
    case ESRCH: return ttd_fail(error, errno, "there is no domain %u", xen->domain);
    case EBUSY: return ttd_fail(error, errno, "another domain is being recorded or replayed, or this one already is");
    case EPERM: return ttd_fail(error, errno, "not permitted: only root in dom0 can record a domain");
    default: return ttd_fail_errno(error, "cannot record domain %u", xen->domain);
    }
}

static int want_branches(struct xen *xen, const struct ttd_start *start, ttlog_error *error) {
    struct ttd_op op = {.branches = {start->branches_from, start->branches_to, start->branches_limit, start->branch_source}};
    if (perform(xen, TTD_OP_BRANCHES, &op) == 0)
        return 0;
    if (errno != ENODEV)
        return ttd_fail_errno(error, "this Xen has no branch windows for this guest");
    if (start->branch_source == TTD_SOURCE_BTS)
        return ttd_fail(error, ENODEV, "--branch-source bts: the processor would write through the guest's page tables, "
                        "where Xen has no page that the guest does not see");
    return ttd_fail(error, ENODEV, "--branch-source %s: this processor has no such records of branches",
                    ttd_source_name(start->branch_source));
}

static int start(struct ttd_machine *machine, const struct ttd_start *start, struct ttd_rings *rings,
                 ttlog_error *error) {
    struct xen *xen = xen_of(machine);
    struct ttd_op op = {.start = {
        .options = start->options,
        .out_pages = start->pages,
        .in_pages = start->pages,
        .defer_ms = start->defer_ms,
        .break_at = start->break_at,
        .break_every = start->break_every,
        .fault = start->fault,
        .fault_bit = start->fault_bit,
        .fault_detail = start->fault_detail,
        .fault_at = start->fault_at,
        .tsc_shift = start->tsc_shift,
    }};
    if (perform(xen, start->is_replay ? TTD_OP_REPLAY : TTD_OP_RECORD, &op) != 0)
        return start_error(xen, error);
    xen->is_started = 1;
    xen->rings.is_pv = op.start.is_pv != 0;
    if (start->branches_to != 0 && want_branches(xen, start, error) != 0)
        return -1;
    xen->rings.out = map(xen, op.start.out_mfn, op.start.out_pages, &xen->rings.out_size, error);
    if (xen->rings.out == NULL)
        return -1;
    if (start->is_replay) {
        xen->rings.in = map(xen, op.start.in_mfn, op.start.in_pages, &xen->rings.in_size, error);
        if (xen->rings.in == NULL)
            return -1;
    }
    /* Without the doorbell the loop looks every few milliseconds. */
    xen->doorbell = xenevtchn_bind_virq(xen->channels, TTD_VIRQ);
    *rings = xen->rings;
    return 0;
}

static void wake(struct ttd_machine *machine) {
    perform_plain(machine, TTD_OP_WAKE);
}

static void wait_ms(struct ttd_machine *machine, int milliseconds) {
    struct xen *xen = xen_of(machine);
    struct pollfd descriptor = {.fd = xenevtchn_fd(xen->channels), .events = POLLIN};
    if (poll(&descriptor, 1, milliseconds) <= 0)
        return;
    int port = xenevtchn_pending(xen->channels);
    if (port >= 0)
        xenevtchn_unmask(xen->channels, (evtchn_port_t)port);
}

static int status(struct xen *xen, struct ttd_op *op) {
    *op = (struct ttd_op){0};
    return perform(xen, TTD_OP_STATUS, op);
}

static int is_alive(struct ttd_machine *machine) {
    struct ttd_op op;
    return status(xen_of(machine), &op) == 0 && op.status.state != TTD_STATE_NONE;
}

static int shutdown_reason(struct ttd_machine *machine) {
    struct ttd_op op;
    if (status(xen_of(machine), &op) != 0 || !(op.status.shutdown & 1))
        return -1;
    return (int)(op.status.shutdown >> 8);
}

static int digest(struct ttd_machine *machine, uint64_t *gfn, struct ttd_page_digest *pages, uint32_t limit,
                  ttlog_error *error) {
    struct xen *xen = xen_of(machine);
    if (xen->digest_limit < limit) {
        xencall_free_buffer(xen->calls, xen->digests);
        xen->digests = xencall_alloc_buffer(xen->calls, limit * sizeof(*pages));
        xen->digest_limit = xen->digests == NULL ? 0 : limit;
    }
    if (xen->digests == NULL)
        return ttd_fail(error, ENOMEM, "no memory for digests of pages");
    struct ttd_op op = {.digest = {.gfn = *gfn, .buffer = (uint64_t)(uintptr_t)xen->digests, .limit = limit}};
    if (perform(xen, TTD_OP_DIGEST, &op) != 0)
        return ttd_fail_errno(error, "cannot digest the memory of domain %u", xen->domain);
    if (op.digest.count > limit)
        return ttd_fail(error, EPROTO, "Xen gave more digests of pages than asked for");
    memcpy(pages, xen->digests, op.digest.count * sizeof(*pages));
    *gfn = op.digest.gfn;
    return (int)op.digest.count;
}

static void resume(struct ttd_machine *machine) {
    perform_plain(machine, TTD_OP_CONTINUE);
}

static void stop(struct ttd_machine *machine) {
    perform_plain(machine, TTD_OP_STOP);
}

static void close_xen(struct ttd_machine *machine) {
    struct xen *xen = xen_of(machine);
    if (xen->is_started)
        perform_plain(machine, TTD_OP_STOP);
    if (xen->rings.out != NULL)
        xenforeignmemory_unmap(xen->memory, xen->rings.out, xen->rings.out_size / RING_PAGE);
    if (xen->rings.in != NULL)
        xenforeignmemory_unmap(xen->memory, xen->rings.in, xen->rings.in_size / RING_PAGE);
    if (xen->is_started)
        perform_plain(machine, TTD_OP_RELEASE);
    if (xen->calls != NULL) {
        xencall_free_buffer(xen->calls, xen->request);
        xencall_free_buffer(xen->calls, xen->digests);
        xencall_close(xen->calls);
    }
    xenevtchn_close(xen->channels);
    xenforeignmemory_close(xen->memory);
    free(xen);
}

static const struct ttd_machine_operations calls = {
    .start = start,
    .wake = wake,
    .wait = wait_ms,
    .is_alive = is_alive,
    .shutdown_reason = shutdown_reason,
    .digest = digest,
    .resume = resume,
    .stop = stop,
    .close = close_xen,
};

/* The number of the domain with this name in xenstore, or -1. */
static int64_t find_name(struct xs_handle *store, const char *name) {
    unsigned count = 0, length;
    int64_t found = -1;
    char **list = xs_directory(store, XBT_NULL, "/local/domain", &count);
    for (unsigned i = 0; list != NULL && i < count && found < 0; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/local/domain/%.20s/name", list[i]);
        char *value = xs_read(store, XBT_NULL, path, &length);
        if (value != NULL && strcmp(value, name) == 0)
            found = strtol(list[i], NULL, 10);
        free(value);
    }
    free(list);
    return found;
}

static int find_domain(const char *domain, uint32_t *number, ttlog_error *error) {
    char *end;
    long value = strtol(domain, &end, 10);
    struct xs_handle *store = xs_open(0);
    if (store == NULL)
        return ttd_fail_errno(error, "cannot reach xenstore: is this dom0 of a running Xen?");
    int64_t found = -1;
    if (*domain != '\0' && *end == '\0' && value >= 0 && value < DOMID_FIRST_RESERVED)
        found = xs_is_domain_introduced(store, (unsigned)value) ? value : -1;
    if (found < 0)
        found = find_name(store, domain);
    xs_close(store);
    if (found < 0)
        return ttd_fail(error, ESRCH, "there is no domain %s (`xl list` shows those that are there)", domain);
    if (found == 0)
        return ttd_fail(error, EINVAL, "domain 0 cannot be recorded: the daemon runs in it");
    *number = (uint32_t)found;
    return 0;
}

static int open_xen(struct xen *xen, const char *domain, ttlog_error *error) {
    if (find_domain(domain, &xen->domain, error) != 0)
        return -1;
    xen->calls = xencall_open(NULL, 0);
    xen->channels = xenevtchn_open(NULL, 0);
    xen->memory = xenforeignmemory_open(NULL, 0);
    if (xen->calls == NULL || xen->channels == NULL || xen->memory == NULL)
        return ttd_fail_errno(error, "cannot open the interfaces of Xen (/dev/xen/privcmd, /dev/xen/evtchn)");
    xen->request = xencall_alloc_buffer(xen->calls, sizeof(*xen->request));
    return xen->request != NULL ? 0 : ttd_fail(error, ENOMEM, "no memory for hypercalls");
}

struct ttd_machine *ttd_machine_xen(const char *domain, ttlog_error *error) {
    struct xen *xen = calloc(1, sizeof(*xen));
    if (xen == NULL) {
        ttd_fail(error, ENOMEM, "no memory");
        return NULL;
    }
    xen->machine.calls = &calls;
    xen->doorbell = -1;
    if (open_xen(xen, domain, error) == 0)
        return &xen->machine;
    close_xen(&xen->machine);
    return NULL;
}

int ttd_machine_release(const char *domain, ttlog_error *error) {
    struct ttd_machine *machine = ttd_machine_xen(domain, error);
    if (machine == NULL)
        return -1;
    struct ttd_op op = {0};
    int result = perform(xen_of(machine), TTD_OP_STOP, &op);
    if (result == 0)
        result = perform(xen_of(machine), TTD_OP_RELEASE, &op);
    if (result != 0)
        ttd_fail_errno(error, "domain %s: no recording or replay can be ended", domain);
    machine->calls->close(machine);
    return result;
}
