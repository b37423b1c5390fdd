/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "asking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

static const char flag[] = "ttd_flag", replay_flag[] = "tt_replay_flag", state[] = "ttd_state";

enum { DOMAINS = 0x7ff0, PATH_SIZE = 64 }; /* DOMID_FIRST_RESERVED */

struct ttd_asking {
    struct xs_handle *store;
    uint8_t is_watched[DOMAINS]; /* its flags are */
};

static void node(char *path, uint32_t domain, const char *name) {
    snprintf(path, PATH_SIZE, "/local/domain/%u/%s", domain, name);
}

/* Which domains are there, but for dom0. */
struct domains {
    uint8_t is_there[DOMAINS];
};

static void find_domains(struct ttd_asking *asking, struct domains *domains) {
    unsigned count = 0;
    *domains = (struct domains){{0}};
    char **names = xs_directory(asking->store, XBT_NULL, "/local/domain", &count);
    for (unsigned i = 0; names != NULL && i < count; i++) {
        unsigned long number = strtoul(names[i], NULL, 10);
        if (number > 0 && number < DOMAINS)
            domains->is_there[number] = 1;
    }
    free(names);
}

static void watch(struct ttd_asking *asking, uint32_t domain, int on) {
    char path[PATH_SIZE];
    if (asking->is_watched[domain] == on)
        return;
    asking->is_watched[domain] = (uint8_t)on;
    for (int i = 0; i < 2; i++) {
        node(path, domain, i == 0 ? flag : replay_flag);
        (void)(on ? xs_watch(asking->store, path, flag) : xs_unwatch(asking->store, path, flag));
    }
}

static void watch_domains(struct ttd_asking *asking) {
    struct domains domains;
    find_domains(asking, &domains);
    for (uint32_t domain = 1; domain < DOMAINS; domain++)
        watch(asking, domain, domains.is_there[domain]);
}

struct ttd_asking *ttd_asking_open(void) {
    struct ttd_asking *asking = calloc(1, sizeof(*asking));
    if (asking != NULL)
        asking->store = xs_open(0);
    if (asking == NULL || asking->store == NULL || !xs_watch(asking->store, "@introduceDomain", "domains") ||
        !xs_watch(asking->store, "@releaseDomain", "domains")) {
        ttd_asking_close(asking);
        return NULL;
    }
    watch_domains(asking);
    return asking;
}

void ttd_asking_close(struct ttd_asking *asking) {
    if (asking != NULL)
        xs_close(asking->store);
    free(asking);
}

int ttd_asking_descriptor(const struct ttd_asking *asking) {
    return xs_fileno(asking->store);
}

int ttd_asking_follow(struct ttd_asking *asking) {
    int may_ask = 0, domains_changed = 0;
    char **event;
    while ((event = xs_check_watch(asking->store)) != NULL) {
        if (strcmp(event[XS_WATCH_TOKEN], flag) == 0)
            may_ask = 1;
        else
            domains_changed = 1;
        free(event);
    }
    if (domains_changed)
        watch_domains(asking);
    return may_ask;
}

/* Reads a node of a domain. Returns whether it is there, not empty, and fits. */
static int read_node(struct ttd_asking *asking, uint32_t domain, const char *name, char *text, size_t size) {
    char path[PATH_SIZE];
    unsigned length = 0;
    node(path, domain, name);
    char *value = xs_read(asking->store, XBT_NULL, path, &length);
    int is_there = value != NULL && length > 0 && length < size;
    if (is_there)
        memcpy(text, value, length + 1); /* xs_read ends it with NUL */
    free(value);
    return is_there;
}

static int read_wish(struct ttd_asking *asking, uint32_t domain, struct ttd_wish *wish) {
    char text[sizeof(wish->log)];
    *wish = (struct ttd_wish){.domain = domain};
    if (read_node(asking, domain, state, text, sizeof(text)))
        return 0;
    int records = read_node(asking, domain, flag, text, sizeof(text)) && strcmp(text, "0") != 0;
    if (records && text[0] == '/')
        memcpy(wish->log, text, sizeof(text));
    int replays = read_node(asking, domain, replay_flag, wish->from, sizeof(wish->from)) && strcmp(wish->from, "0") != 0;
    if (!replays)
        wish->from[0] = '\0';
    return records || replays;
}

int ttd_asking_next(struct ttd_asking *asking, struct ttd_wish *wish) {
    struct domains domains;
    find_domains(asking, &domains);
    for (uint32_t domain = 1; domain < DOMAINS; domain++)
        if (domains.is_there[domain] && read_wish(asking, domain, wish))
            return 1;
    return 0;
}

void ttd_asking_answer(struct ttd_asking *asking, uint32_t domain, const char *text) {
    char path[PATH_SIZE];
    node(path, domain, "");
    path[strlen(path) - 1] = '\0';
    /* A domain that is gone gets no node again. */
    char *there = xs_read(asking->store, XBT_NULL, path, &(unsigned){0});
    if (there != NULL) {
        node(path, domain, state);
        xs_write(asking->store, XBT_NULL, path, text, (unsigned)strcspn(text, "\n"));
    }
    free(there);
}
