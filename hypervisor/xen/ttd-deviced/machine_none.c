/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * In place of machine_xen.c in the build for tests, which needs no Xen.
 */
#include <errno.h>

#include "failure.h"
#include "machine.h"

struct ttd_machine *ttd_machine_xen(const char *domain, ttlog_error *error) {
    ttd_fail(error, ENOSYS, "domain %s: this build of ttd-deviced has no Xen, only --rings", domain);
    return NULL;
}
