/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A machine of two files, for tests: the test maps the same files and plays the hypervisor. With a third file, OUT.destroyed, the
 * guest's memory is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "failure.h"
#include "machine.h"

struct files {
    struct ttd_machine machine;
    char *out_path, *in_path, *stop_path, *destroyed_path;
    struct ttd_rings rings;
};

static struct files *files_of(struct ttd_machine *machine) {
    return (struct files *)machine;
}

static int map(const char *path, void **memory, size_t *size, ttlog_error *error) {
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return ttd_fail_errno(error, "%s: cannot open the ring", path);
    int code = fstat(fd, &status);
    *size = (size_t)status.st_size;
    *memory = code == 0 && *size > 0 ? mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (*memory != MAP_FAILED)
        return 0;
    *memory = NULL;
    return ttd_fail_errno(error, "%s: cannot map the ring", path);
}

static int start(struct ttd_machine *machine, const struct ttd_start *start, struct ttd_rings *rings,
                 ttlog_error *error) {
    struct files *files = files_of(machine);
    if (map(files->out_path, &files->rings.out, &files->rings.out_size, error) != 0 ||
        (start->is_replay && map(files->in_path, &files->rings.in, &files->rings.in_size, error) != 0))
        return -1;
    *rings = files->rings;
    return 0;
}

static void wake(struct ttd_machine *machine) {
    struct files *files = files_of(machine);
    for (int i = 0; i < 2; i++) {
        struct ttd_ring *ring = i == 0 ? files->rings.out : files->rings.in;
        if (ring != NULL)
            __atomic_store_n(&ring->waiting, 0, __ATOMIC_RELEASE);
    }
}

static void wait_ms(struct ttd_machine *machine, int milliseconds) {
    (void)machine;
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 100000L}, NULL);
}

static int is_alive(struct ttd_machine *machine) {
    return access(files_of(machine)->out_path, F_OK) == 0;
}

static int shutdown_reason(struct ttd_machine *machine) {
    (void)machine;
    return 0;
}

/* The same few pages for every guest. */
static int digest(struct ttd_machine *machine, uint64_t *gfn, struct ttd_page_digest *pages, uint32_t limit,
                  ttlog_error *error) {
    static const uint64_t present[] = {0, 1, 600};
    uint32_t count = 0;
    if (access(files_of(machine)->destroyed_path, F_OK) == 0)
        return ttd_fail(error, ESRCH, "cannot digest the memory");
    for (size_t i = 0; i < sizeof(present) / sizeof(*present) && count < limit; i++)
        if (present[i] >= *gfn)
            pages[count++] = (struct ttd_page_digest){.gfn = present[i], .hash = 0x100 + present[i]};
    *gfn = ~0ull;
    return (int)count;
}

static void stop(struct ttd_machine *machine) {
    int fd = open(files_of(machine)->stop_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0)
        close(fd);
}

static void close_files(struct ttd_machine *machine) {
    struct files *files = files_of(machine);
    if (files->rings.out != NULL)
        munmap(files->rings.out, files->rings.out_size);
    if (files->rings.in != NULL)
        munmap(files->rings.in, files->rings.in_size);
    free(files->out_path);
    free(files->in_path);
    free(files->stop_path);
    free(files->destroyed_path);
    free(files);
}

/* The ring's path with an ending. */
static char *path_with(const char *path, size_t length, const char *ending) {
    char *result = malloc(length + strlen(ending) + 1);
    if (result == NULL)
        return NULL;
    memcpy(result, path, length);
    strcpy(result + length, ending);
    return result;
}

static const struct ttd_machine_operations calls = {
    .start = start,
    .wake = wake,
    .wait = wait_ms,
    .is_alive = is_alive,
    .shutdown_reason = shutdown_reason,
    .digest = digest,
    .resume = wake,
    .stop = stop,
    .close = close_files,
};

struct ttd_machine *ttd_machine_files(const char *paths, ttlog_error *error) {
    const char *comma = strchr(paths, ',');
    struct files *files = calloc(1, sizeof(*files));
    if (files == NULL || comma == NULL) {
        ttd_fail(error, EINVAL, "--rings OUT,IN: two files");
        free(files);
        return NULL;
    }
    files->machine.calls = &calls;
    size_t length = (size_t)(comma - paths);
    files->out_path = path_with(paths, length, "");
    files->in_path = strdup(comma + 1);
    files->stop_path = path_with(paths, length, ".stop");
    files->destroyed_path = path_with(paths, length, ".destroyed");
    if (files->out_path == NULL || files->in_path == NULL || files->stop_path == NULL || files->destroyed_path == NULL) {
        ttd_fail_errno(error, "no memory for the names of the rings");
        close_files(&files->machine);
        return NULL;
    }
    return &files->machine;
}
