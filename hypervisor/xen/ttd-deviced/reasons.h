/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TTD_REASONS_H
#define TTD_REASONS_H

#include <stdint.h>

/* Why somebody wrote to a page that the hypervisor and the guest share: bits of enum ttlog_reason, from the members of
 * struct shared_info and struct vcpu_info that lie there. 0 for other areas: those have one purpose each.
 * area: enum ttlog_area. */
uint32_t ttd_reason_of_write(uint32_t area, uint64_t offset, uint32_t length);

#endif
