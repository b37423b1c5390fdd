/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts the branches of a log, and those to kernel addresses, through the C interface of libttlogarrow.so.
 *
 *     scripts/build-arrow-library
 *     cc -I Sources/CArrow/include Examples/arrow/count.c -L .build-arrow/release -lttlogarrow -o count
 *     LD_LIBRARY_PATH=.build-arrow/release ./count run/
 */
#include <inttypes.h>
#include <stdio.h>

#include "ttlogarrow.h"

int main(int count, char **arguments) {
    struct ttla_error error = {0};
    ttla_log *log = NULL;
    if (count != 2) {
        fprintf(stderr, "usage: count LOG\n");
        return 2;
    }
    if (ttla_open(arguments[1], &log, &error) != 0) {
        fprintf(stderr, "count: %s\n", error.message);
        ttla_error_clear(&error);
        return 2;
    }
    /* One column, decoded alone. */
    struct ttla_request request = {.size = sizeof request, .vcpu = -1, .to = UINT64_MAX, .columns = "to"};
    struct ArrowArrayStream branches;
    if (ttla_stream(log, "branches", &request, &branches, &error) != 0) {
        fprintf(stderr, "count: %s\n", error.message);
        ttla_error_clear(&error);
        ttla_close(log);
        return 2;
    }
    ttla_close(log); /* the stream keeps it open */
    int64_t all = 0, kernel = 0;
    int status;
    struct ArrowArray batch;
    while ((status = branches.get_next(&branches, &batch)) == 0 && batch.release) {
        /* Buffer 0 is the validity bitmap; `to` has none, because no value is null. */
        const int64_t *to = (const int64_t *)batch.children[0]->buffers[1] + batch.children[0]->offset;
        for (int64_t index = 0; index < batch.length; index++)
            kernel += to[index] < 0;
        all += batch.length;
        batch.release(&batch);
    }
    if (status != 0) {
        fprintf(stderr, "count: %s\n", branches.get_last_error(&branches));
        branches.release(&branches);
        return 2;
    }
    branches.release(&branches);
    printf("%" PRId64 " branches, %" PRId64 " to kernel addresses\n", all, kernel);
    return 0;
}
