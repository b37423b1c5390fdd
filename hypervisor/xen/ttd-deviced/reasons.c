/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reasons.h"

#include <stddef.h>
#include <xen/xen.h>

#include "ttlog.h"

struct member {
    uint32_t reason;
    size_t begin, end;
};

/* Until a guest has moved it, its struct vcpu_info is the first member of struct shared_info. */
static const struct member members_of_vcpu[] = {
    {TTLOG_REASON_EVENT_CHANNEL, offsetof(struct vcpu_info, evtchn_upcall_pending), offsetof(struct vcpu_info, arch)},
    {TTLOG_REASON_TIME, offsetof(struct vcpu_info, time), sizeof(struct vcpu_info)},
};
static const struct member members_of_domain[] = {
    {TTLOG_REASON_EVENT_CHANNEL, offsetof(struct shared_info, evtchn_pending), offsetof(struct shared_info, wc_version)},
    {TTLOG_REASON_TIME, offsetof(struct shared_info, wc_version), offsetof(struct shared_info, arch)},
};

static uint32_t reasons_among(const struct member members[2], uint64_t offset, uint32_t length) {
    uint32_t reasons = 0;
    for (int i = 0; i < 2; i++)
        if (offset < members[i].end && offset + length > members[i].begin)
            reasons |= members[i].reason;
    return reasons;
}

uint32_t ttd_reason_of_write(uint32_t area, uint64_t offset, uint32_t length) {
    if (offset > sizeof(struct shared_info))
        return 0;
    switch (area) {
    case TTLOG_AREA_VCPU_INFO: return reasons_among(members_of_vcpu, offset, length);
    case TTLOG_AREA_SHARED_INFO:
        return reasons_among(members_of_vcpu, offset, length) | reasons_among(members_of_domain, offset, length);
    default: return 0;
    }
}
