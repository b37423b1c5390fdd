/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

static const char help[] =
    "Usage: ttd-deviced [-f LOG] --record DOMAIN [OPTION ...]\n"
    "       ttd-deviced [-f LOG] --replay DOMAIN --recording LOG [OPTION ...]\n"
    "       ttd-deviced [-f LOG]\n"
    "       ttd-deviced --ask 'record DOMAIN [LOG] | replay DOMAIN FROM LOG | status | stop'\n"
    "\n"
    "Records a domain of Xen into a log, or replays it from one. Runs in dom0 of a patched Xen. Without --record and\n"
    "--replay it is a service: it takes requests on its socket, and records or replays the domains that ask for it in\n"
    "xenstore: /local/domain/N/ttd_flag = 1 (or the log's path), tt_replay_flag = the recording's log. It answers in\n"
    "ttd_state. One run at a time. tt-record --engine xen starts it with the right options.\n"
    "\n"
    "  -f, --log LOG         the log to write (/var/log/ttd.log)\n"
    "      --record DOMAIN   record this domain: its number or name. Create it paused (xl create -p), unpause it then\n"
    "      --replay DOMAIN   replay this domain, made and paused as the recorded one was\n"
    "      --recording LOG   the recording's log\n"
    "      --pause-at CLOCK  leave a replay paused at this exit, until SIGTERM\n"
    "      --branches FROM..TO[,LIMIT]  write every taken branch of a replay from exit FROM to exit TO, at most of LIMIT\n"
    "                        instructions, to LOG.branches\n"
    "      --branch-source step|lbr|bts|brs  where they come from: single steps (the default), or the processor's own\n"
    "                        records, which never ran so far and may have gaps\n"
    "      --digests N       digest the guest's memory by page every N exits\n"
    "      --pages N         pages of each ring, 64 or more (the hypervisor's default)\n"
    "      --defer MS        how long asynchronous work may wait for an exit (3000)\n"
    "      --console FILE    write the guest's console to this file, in a replay too\n"
    "      --count SHIFT     positions by instructions, from the TSC under QEMU's -icount shift=SHIFT\n"
    "      --count branches|instructions  from the processor's counter; never run so far\n"
    "      --hardware        do not work around QEMU's repeated injection of interrupts\n"
    "      --switches        record each change of the guest's address space, too; a replay does as its recording did\n"
    "      --verify          Xen's console names each write to the guest's memory that the recording misses; slow\n"
    "      --attribute KEY=VALUE  keep this in the log; a replay refuses a log that has another value. Repeatable\n"
    "      --force           replay a log of another guest nevertheless\n"
    "      --uuid HEX        the recording's UUID, 32 hexadecimal digits\n"
    "      --fault KIND:DETAIL:AT[:BIT]  spoil the replay on purpose, for tests (enum ttd_fault)\n"
    "      --if-killed hold|release  after SIGKILL the recorded guest waits, as soon as its ring is full (the default), or\n"
    "                        goes on unrecorded\n"
    "      --rings OUT,IN    two files in place of Xen, for tests\n"
    "      --lock FILE       one recording or replay at a time holds it (/run/ttd-deviced.lock)\n"
    "      --socket PATH     where the daemon listens (/run/ttd-deviced.socket)\n"
    "      --release DOMAIN  end what a killed daemon has begun: the guest goes on unrecorded\n"
    "      --ask REQUEST     send a request to the running daemon, print its answer\n"
    "  -h, --help            print this\n"
    "      --version         print the version of the interface with the hypervisor\n"
    "\n"
    "SIGTERM and SIGINT end a recording or a replay; the log is closed. After SIGKILL the log can be recovered.\n"
    "Exit status: 0 recorded, or replayed to the end of the recording; 1 the replay diverged; 2 trouble.\n";

enum {
    OPT_RECORD = 256, OPT_REPLAY, OPT_RECORDING, OPT_PAUSE_AT, OPT_BRANCHES, OPT_BRANCH_SOURCE, OPT_DIGESTS, OPT_PAGES,
    OPT_DEFER, OPT_CONSOLE, OPT_COUNT, OPT_HARDWARE, OPT_VERIFY, OPT_SWITCHES, OPT_ATTRIBUTE, OPT_FORCE, OPT_UUID, OPT_FAULT,
    OPT_IF_KILLED, OPT_RINGS, OPT_LOCK, OPT_SOCKET, OPT_RELEASE, OPT_ASK, OPT_VERSION,
};

static const struct option table[] = {
    {"log", required_argument, NULL, 'f'},
    {"record", required_argument, NULL, OPT_RECORD},
    {"replay", required_argument, NULL, OPT_REPLAY},
    {"recording", required_argument, NULL, OPT_RECORDING},
    {"pause-at", required_argument, NULL, OPT_PAUSE_AT},
    {"branches", required_argument, NULL, OPT_BRANCHES},
    {"branch-source", required_argument, NULL, OPT_BRANCH_SOURCE},
    {"digests", required_argument, NULL, OPT_DIGESTS},
    {"pages", required_argument, NULL, OPT_PAGES},
    {"defer", required_argument, NULL, OPT_DEFER},
    {"console", required_argument, NULL, OPT_CONSOLE},
    {"count", required_argument, NULL, OPT_COUNT},
    {"hardware", no_argument, NULL, OPT_HARDWARE},
    {"switches", no_argument, NULL, OPT_SWITCHES},
    {"verify", no_argument, NULL, OPT_VERIFY},
    {"attribute", required_argument, NULL, OPT_ATTRIBUTE},
    {"force", no_argument, NULL, OPT_FORCE},
    {"uuid", required_argument, NULL, OPT_UUID},
    {"fault", required_argument, NULL, OPT_FAULT},
    {"if-killed", required_argument, NULL, OPT_IF_KILLED},
    {"rings", required_argument, NULL, OPT_RINGS},
    {"lock", required_argument, NULL, OPT_LOCK},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"release", required_argument, NULL, OPT_RELEASE},
    {"ask", required_argument, NULL, OPT_ASK},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static int take_number(const char *name, uint64_t limit, uint64_t *value, ttlog_error *error) {
    char *end;
    errno = 0;
    *value = strtoull(optarg, &end, 0);
    if (*optarg != '\0' && *optarg != '-' && *end == '\0' && errno == 0 && *value <= limit)
        return 0;
    return ttd_fail(error, EINVAL, "%s %s: a number up to %llu", name, optarg, (unsigned long long)limit);
}

static int take_small(const char *name, uint32_t *value, uint32_t limit, ttlog_error *error) {
    uint64_t number;
    if (take_number(name, limit, &number, error) != 0)
        return -1;
    *value = (uint32_t)number;
    return 0;
}

static int take_uuid(uint8_t *uuid, ttlog_error *error) {
    int length = 0;
    for (int i = 0; i < 16; i++, optarg += length)
        if (sscanf(optarg, "%2hhx%n", &uuid[i], &length) != 1 || length != 2)
            return ttd_fail(error, EINVAL, "--uuid: 32 hexadecimal digits");
    return *optarg == '\0' ? 0 : ttd_fail(error, EINVAL, "--uuid: 32 hexadecimal digits");
}

static int take_fault(struct ttd_start *start, ttlog_error *error) {
    long long detail, at;
    int bit = 0;
    if (sscanf(optarg, "%u:%lli:%lli:%i", &start->fault, &detail, &at, &bit) < 3 || bit < 0)
        return ttd_fail(error, EINVAL, "--fault %s: KIND:DETAIL:AT[:BIT], numbers", optarg);
    start->fault_detail = (uint64_t)detail;
    start->fault_at = (uint64_t)at;
    start->fault_bit = (uint32_t)bit;
    return 0;
}

static int take_attribute(struct ttd_options *options, ttlog_error *error) {
    if (strchr(optarg, '=') == NULL || *optarg == '=')
        return ttd_fail(error, EINVAL, "--attribute %s: KEY=VALUE", optarg);
    if (options->attribute_count == TTD_ATTRIBUTE_MAX)
        return ttd_fail(error, EINVAL, "--attribute: at most %d of them", TTD_ATTRIBUTE_MAX);
    options->attributes[options->attribute_count++] = optarg;
    return 0;
}

static int take_count(struct ttd_start *start, ttlog_error *error) {
    if (strcmp(optarg, "branches") == 0 || strcmp(optarg, "instructions") == 0) {
        start->options |= *optarg == 'b' ? TTD_OPTION_COUNT_BRANCHES : TTD_OPTION_COUNT_INSTRUCTIONS;
        return 0;
    }
    start->options |= TTD_OPTION_COUNT;
    return take_small("--count", &start->tsc_shift, 10, error);
}

static int take_branches(struct ttd_start *start, ttlog_error *error) {
    char *end = optarg;
    start->branches_from = strtoull(optarg, &end, 0);
    int good = end != optarg && *optarg >= '0' && *optarg <= '9' && strncmp(end, "..", 2) == 0;
    if (good) {
        const char *to = end + 2;
        start->branches_to = strtoull(to, &end, 0);
        good = *to >= '0' && *to <= '9' && start->branches_from < start->branches_to;
    }
    if (good && *end == ',') {
        const char *limit = end + 1;
        start->branches_limit = strtoull(limit, &end, 0);
        good = *limit >= '0' && *limit <= '9';
    }
    if (good && *end == '\0')
        return 0;
    return ttd_fail(error, EINVAL, "--branches %s: FROM..TO or FROM..TO,LIMIT, numbers, FROM below TO", optarg);
}

const char *ttd_source_name(uint32_t source) {
    static const char *const names[] = {"step", "lbr", "bts", "brs"};
    return source < sizeof(names) / sizeof(names[0]) ? names[source] : "unknown";
}

static int take_branch_source(struct ttd_start *start, ttlog_error *error) {
    for (start->branch_source = TTD_SOURCE_STEP; start->branch_source <= TTD_SOURCE_BRS; start->branch_source++)
        if (strcmp(optarg, ttd_source_name(start->branch_source)) == 0)
            return 0;
    return ttd_fail(error, EINVAL, "--branch-source %s: step, lbr, bts or brs", optarg);
}

static int take_if_killed(struct ttd_options *options, ttlog_error *error) {
    options->lets_go = strcmp(optarg, "release") == 0;
    if (options->lets_go || strcmp(optarg, "hold") == 0)
        return 0;
    return ttd_fail(error, EINVAL, "--if-killed %s: hold or release", optarg);
}

static int take_option(struct ttd_options *options, int letter, ttlog_error *error) {
    struct ttd_start *start = &options->start;
    switch (letter) {
    case 'f': options->log = optarg; return 0;
    case OPT_RECORD: options->record = optarg; return 0;
    case OPT_REPLAY: options->replay = optarg; return 0;
    case OPT_RECORDING: options->from = optarg; return 0;
    case OPT_PAUSE_AT: return take_number("--pause-at", UINT64_MAX, &options->pause_at, error);
    case OPT_BRANCHES: return take_branches(start, error);
    case OPT_BRANCH_SOURCE: return take_branch_source(start, error);
    case OPT_DIGESTS: return take_number("--digests", UINT64_MAX, &start->break_every, error);
    case OPT_PAGES: return take_small("--pages", &start->pages, 1u << 16, error);
    case OPT_DEFER: return take_small("--defer", &start->defer_ms, 3600000, error);
    case OPT_CONSOLE: options->console = optarg; return 0;
    case OPT_COUNT: return take_count(start, error);
    case OPT_SWITCHES: start->options |= TTD_OPTION_SWITCHES; return 0;
    case OPT_VERIFY: start->options |= TTD_OPTION_VERIFY_LAZY; return 0;
    case OPT_HARDWARE: start->options |= TTD_OPTION_NO_SELF_IPI; return 0;
    case OPT_ATTRIBUTE: return take_attribute(options, error);
    case OPT_FORCE: options->is_forced = 1; return 0;
    case OPT_UUID: return take_uuid(options->uuid, error);
    case OPT_FAULT: return take_fault(start, error);
    case OPT_IF_KILLED: return take_if_killed(options, error);
    case OPT_RINGS: options->rings = optarg; return 0;
    case OPT_LOCK: options->lock = optarg; return 0;
    case OPT_SOCKET: options->socket = optarg; return 0;
    case OPT_RELEASE: options->release = optarg; return 0;
    case OPT_ASK: options->ask = optarg; return 0;
    case 'h': fputs(help, stdout); return 1;
    case OPT_VERSION: printf("ttd-deviced, interface version %u\n", TTD_VERSION); return 1;
    default: return ttd_fail(error, EINVAL, "ttd-deviced --help lists the options");
    }
}

/* The hypervisor's limit. */
enum { PAGES_MIN = 64 };

static int check(const struct ttd_options *options, ttlog_error *error) {
    if (options->record != NULL && options->replay != NULL)
        return ttd_fail(error, EINVAL, "--record and --replay exclude each other");
    if ((options->replay != NULL) != (options->from != NULL))
        return ttd_fail(error, EINVAL, "--replay DOMAIN needs --recording LOG, the log of the recording, and only it has one");
    if (options->start.pages != 0 && options->start.pages < PAGES_MIN)
        return ttd_fail(error, EINVAL, "--pages %u: at least %d", options->start.pages, PAGES_MIN);
    if (options->pause_at != 0 && options->replay == NULL)
        return ttd_fail(error, EINVAL, "--pause-at belongs to --replay");
    if (options->start.branches_to != 0 && options->replay == NULL)
        return ttd_fail(error, EINVAL, "--branches belongs to --replay");
    if (options->start.branch_source != TTD_SOURCE_STEP && options->start.branches_to == 0)
        return ttd_fail(error, EINVAL, "--branch-source belongs to --branches");
    if (options->start.branch_source != TTD_SOURCE_STEP && options->start.branches_limit != 0)
        return ttd_fail(error, EINVAL, "--branches FROM..TO,LIMIT counts instructions: only --branch-source step does");
    return 0;
}

int ttd_options_read(struct ttd_options *options, int count, char **arguments, ttlog_error *error) {
    *options = (struct ttd_options){
        .log = "/var/log/ttd.log",
        .lock = "/run/ttd-deviced.lock",
        .socket = "/run/ttd-deviced.socket",
    };
    int letter;
    optind = 0;
    while ((letter = getopt_long(count, arguments, "f:h", table, NULL)) != -1) {
        int result = take_option(options, letter, error);
        if (result != 0)
            return result;
    }
    if (optind < count)
        return ttd_fail(error, EINVAL, "%s: not an option; ttd-deviced --help lists them", arguments[optind]);
    options->start.is_replay = options->replay != NULL;
    options->start.break_at = options->pause_at;
    return check(options, error);
}
