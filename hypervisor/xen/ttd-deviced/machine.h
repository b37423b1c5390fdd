/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * machine.h - the hypervisor as a session sees it: Xen (machine_xen.c), or two files that a test fills (machine_files.c).
 */
#ifndef TTD_MACHINE_H
#define TTD_MACHINE_H

#include <stddef.h>

#include "ttd_xen.h"
#include "ttlog_writer.h"

struct ttd_machine;

/* How a session begins. */
/* The name of a source of branches, as --branch-source has it. */
const char *ttd_source_name(uint32_t source);

struct ttd_start {
    int is_replay;
    uint32_t options;      /* TTD_OPTION_* */
    uint32_t pages;        /* of each ring; 0: the hypervisor's default */
    uint32_t defer_ms;     /* 0: the hypervisor's default */
    uint64_t break_every;  /* clocks between digests of memory; 0: none */
    uint64_t break_at;     /* pause here for good; 0: never */
    uint32_t tsc_shift;
    uint32_t fault, fault_bit; /* enum ttd_fault, for tests */
    uint64_t fault_detail, fault_at;
    uint64_t branches_from, branches_to; /* clocks of a replay's branch window; both 0: none */
    uint64_t branches_limit;             /* instructions in it; 0: no limit */
    uint32_t branch_source;              /* enum ttd_source */
};

/* The rings, once a session has begun. */
struct ttd_rings {
    void *out, *in; /* in: NULL in a recording */
    size_t out_size, in_size;
    int is_pv; /* the domain is a PV guest */
};

struct ttd_machine_operations {
    /* Begins a session and maps its rings. Returns 0, or -1 with *error. */
    int (*start)(struct ttd_machine *machine, const struct ttd_start *start, struct ttd_rings *rings, ttlog_error *error);
    /* Tells the hypervisor that a ring it waits for has changed. */
    void (*wake)(struct ttd_machine *machine);
    /* Waits for a change of the rings, a signal, or the time. */
    void (*wait)(struct ttd_machine *machine, int milliseconds);
    /* Whether the session is still there; a domain that died without a record of it has none. */
    int (*is_alive)(struct ttd_machine *machine);
    /* The guest's shutdown reason, or -1. */
    int (*shutdown_reason)(struct ttd_machine *machine);
    /* Digests of the paused guest's pages from *gfn on. Sets *gfn to the next page, ~0 after the last one. Returns the
     * number of digests, or -1 with *error. */
    int (*digest)(struct ttd_machine *machine, uint64_t *gfn, struct ttd_page_digest *pages, uint32_t limit,
                  ttlog_error *error);
    /* Lets a guest go on that is paused at a break. */
    void (*resume)(struct ttd_machine *machine);
    /* Ends the session; its END is in the ring afterwards. */
    void (*stop)(struct ttd_machine *machine);
    /* Unmaps the rings, forgets the session, frees the machine. */
    void (*close)(struct ttd_machine *machine);
};

struct ttd_machine {
    const struct ttd_machine_operations *calls;
};

/* The domain of that number or name. Returns NULL with *error if there is none, or no Xen. */
struct ttd_machine *ttd_machine_xen(const char *domain, ttlog_error *error);

/* Ends the session of a domain whose daemon was killed; the guest goes on unrecorded. Returns 0, or -1 with *error. */
int ttd_machine_release(const char *domain, ttlog_error *error);

/* The rings in two files of equal layout: "OUT,IN". Removing OUT is the domain's death; OUT.stop is made by stop. */
struct ttd_machine *ttd_machine_files(const char *paths, ttlog_error *error);

#endif
