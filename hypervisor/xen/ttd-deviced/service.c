/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "service.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asking.h"
#include "failure.h"
#include "lock.h"
#include "run.h"

enum { LINE_SIZE = 4096, TICK_MS = 500, ANSWER_SECONDS = 10, STOP_TURNS = 600, STOP_TURN_US = 100000 };

struct service {
    const struct ttd_options *options;
    pid_t child;       /* 0: nothing runs */
    int progress;      /* reads the child's lines, or -1 */
    char last[LINE_SIZE]; /* what the last run said */
    struct ttd_asking *asking; /* NULL: no xenstore */
    uint32_t asked;    /* the domain that asked for the child; 0: somebody at the socket */
};

static volatile sig_atomic_t child_stop;
static int child_output = -1;

static void stop_child(int signal_number) {
    (void)signal_number;
    child_stop = 1;
}

static void say_started(void) {
    static const char line[] = "ok started\n";
    if (write(child_output, line, sizeof(line) - 1) < 0)
        child_stop = 1;
}

static void ignore_pause(uint64_t clock) {
    (void)clock;
}

/* The child: one run, its end as a line. */
static void run_child(const struct ttd_options *options, int output) {
    static const struct ttd_observer observer = {say_started, ignore_pause};
    char text[1024], line[1100];
    struct sigaction action = {.sa_handler = stop_child};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    child_output = output;
    ttlog_error error = {0};
    enum ttd_result result = TTD_RESULT_TROUBLE;
    if (ttd_lock(options->lock, &error) == 0)
        result = ttd_run(options, &child_stop, &observer, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "%s", error.message);
    int length = snprintf(line, sizeof(line), "%s %s\n", result == TTD_RESULT_TROUBLE ? "error" : "ok", text);
    if (write(output, line, (size_t)length) < 0)
        _exit(TTD_RESULT_TROUBLE);
    _exit((int)result);
}

/* Reads one line of the child, for at most `seconds`. */
static void read_progress(struct service *service, int seconds) {
    struct pollfd descriptor = {.fd = service->progress, .events = POLLIN};
    char line[LINE_SIZE];
    if (service->progress < 0 || poll(&descriptor, 1, seconds * 1000) <= 0)
        return;
    ssize_t count = read(service->progress, line, sizeof(line) - 1);
    if (count > 0) {
        line[count] = '\0';
        snprintf(service->last, sizeof(service->last), "%s", line);
    }
}

static void reap(struct service *service) {
    int status;
    if (service->child == 0 || waitpid(service->child, &status, WNOHANG) != service->child)
        return;
    read_progress(service, 0);
    if (WIFSIGNALED(status))
        snprintf(service->last, sizeof(service->last), "error the run was killed by signal %d\n", WTERMSIG(status));
    fprintf(stderr, "ttd-deviced: %s", service->last);
    close(service->progress);
    service->progress = -1;
    service->child = 0;
    if (service->asked != 0)
        ttd_asking_answer(service->asking, service->asked, service->last);
    service->asked = 0;
}

static void answer(char *text, const char *line) {
    snprintf(text, LINE_SIZE, "%s", line);
}

static void begin(struct service *service, struct ttd_options *options, char *text) {
    int pair[2];
    if (service->child != 0)
        return answer(text, "error another domain is being recorded or replayed: stop it first\n");
    if (pipe(pair) != 0)
        return answer(text, "error no pipe\n");
    options->start.is_replay = options->replay != NULL;
    service->child = fork();
    if (service->child == 0) {
        close(pair[0]);
        run_child(options, pair[1]);
    }
    close(pair[1]);
    service->progress = pair[0];
    answer(service->last, "error the run did not start in time\n");
    if (service->child < 0) {
        service->child = 0;
        return answer(text, "error no process\n");
    }
    read_progress(service, ANSWER_SECONDS);
    answer(text, service->last);
}

static void stop(struct service *service, char *text) {
    if (service->child == 0)
        return answer(text, "error nothing is being recorded or replayed\n");
    kill(service->child, SIGTERM);
    for (int i = 0; i < STOP_TURNS && service->child != 0; i++) {
        usleep(STOP_TURN_US);
        reap(service);
    }
    answer(text, service->child == 0 ? service->last : "error the run has not ended yet\n");
}

static void serve_line(struct service *service, char *line, char *text) {
    char *words[5] = {0}, *rest = line;
    size_t count = 0;
    for (char *word; count < 5 && (word = strtok_r(rest, " \t\r\n", &rest)) != NULL;)
        words[count++] = word;
    struct ttd_options options = *service->options;
    reap(service);
    if (count >= 2 && count <= 3 && strcmp(words[0], "record") == 0) {
        options.record = words[1];
        options.log = count == 3 ? words[2] : options.log;
        begin(service, &options, text);
    } else if (count == 4 && strcmp(words[0], "replay") == 0) {
        options.replay = words[1];
        options.from = words[2];
        options.log = words[3];
        begin(service, &options, text);
    } else if (count == 1 && strcmp(words[0], "stop") == 0) {
        stop(service, text);
    } else if (count == 1 && strcmp(words[0], "status") == 0) {
        answer(text, service->child != 0 ? "ok a domain is being recorded or replayed\n" : "ok idle\n");
    } else {
        answer(text, "error no such request: record DOMAIN [LOG] | replay DOMAIN FROM LOG | status | stop\n");
    }
}

/* Begins what a domain asks for in xenstore. One whose run cannot begin gets the reason, and the next one its turn. */
static void serve_wishes(struct service *service) {
    struct ttd_wish wish;
    char domain[16], log[sizeof(wish.from) + 8], text[LINE_SIZE];
    while (service->child == 0 && ttd_asking_next(service->asking, &wish)) {
        struct ttd_options options = *service->options;
        int replays = wish.from[0] != '\0';
        snprintf(domain, sizeof(domain), "%u", wish.domain);
        snprintf(log, sizeof(log), "%s.replay", wish.from);
        *(replays ? &options.replay : &options.record) = domain;
        options.from = replays ? wish.from : NULL;
        if (wish.log[0] != '\0')
            options.log = wish.log;
        else if (replays)
            options.log = log;
        begin(service, &options, text);
        int has_begun = strncmp(text, "ok", 2) == 0;
        service->asked = has_begun ? wish.domain : 0;
        ttd_asking_answer(service->asking, wish.domain, !has_begun ? text : replays ? "replaying" : "recording");
        reap(service);
    }
}

/* Serves one connection; a client that does not send its line is dropped. */
static void serve(struct service *service, int listener) {
    char line[LINE_SIZE], text[LINE_SIZE];
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ssize_t count = recv(client, line, sizeof(line) - 1, 0);
    if (count > 0) {
        line[count] = '\0';
        serve_line(service, line, text);
        send(client, text, strlen(text), MSG_NOSIGNAL);
    }
    close(client);
}

static int fill_address(struct sockaddr_un *address, const char *path, ttlog_error *error) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return ttd_fail(error, ENAMETOOLONG, "%s: the socket's path is too long", path);
    strcpy(address->sun_path, path);
    return 0;
}

static int listen_at(const char *path, ttlog_error *error) {
    struct sockaddr_un address;
    if (fill_address(&address, path, error) != 0)
        return -1;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path); /* the lock is held: nobody listens there */
    mode_t mask = umask(0177);
    int failed = listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
                 listen(listener, 8) != 0;
    umask(mask);
    if (!failed)
        return listener;
    ttd_fail_errno(error, "%s: cannot listen", path);
    if (listener >= 0)
        close(listener);
    return -1;
}

/* One service at a socket. The other lock is the run's: tt-record can have it while nothing runs here. */
static int lock_service(const char *socket_path, ttlog_error *error) {
    char path[LINE_SIZE];
    snprintf(path, sizeof(path), "%s.lock", socket_path);
    return ttd_lock(path, error);
}

int ttd_service_run(const struct ttd_options *options, const volatile sig_atomic_t *stop_request, ttlog_error *error) {
    struct service service = {.options = options, .progress = -1};
    char text[LINE_SIZE];
    if (lock_service(options->socket, error) != 0)
        return -1;
    int listener = listen_at(options->socket, error);
    if (listener < 0)
        return -1;
    service.asking = options->rings == NULL ? ttd_asking_open() : NULL;
    if (service.asking == NULL)
        fprintf(stderr, "ttd-deviced: no xenstore: requests at %s only\n", options->socket);
    while (!*stop_request) {
        struct pollfd descriptors[] = {
            {.fd = listener, .events = POLLIN},
            {.fd = service.asking != NULL ? ttd_asking_descriptor(service.asking) : -1, .events = POLLIN},
        };
        poll(descriptors, 2, TICK_MS);
        if (descriptors[0].revents != 0)
            serve(&service, listener);
        int was_busy = service.child != 0;
        reap(&service);
        int may_ask = service.asking != NULL && ttd_asking_follow(service.asking);
        if (may_ask || (service.asking != NULL && was_busy && service.child == 0))
            serve_wishes(&service);
    }
    stop(&service, text);
    ttd_asking_close(service.asking);
    close(listener);
    unlink(options->socket);
    return 0;
}

int ttd_service_ask(const char *socket_path, const char *request, ttlog_error *error) {
    struct sockaddr_un address;
    char text[LINE_SIZE];
    if (fill_address(&address, socket_path, error) != 0)
        return -1;
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t count = -1;
    if (client >= 0 && connect(client, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(client, request, strlen(request), MSG_NOSIGNAL) >= 0)
        count = recv(client, text, sizeof(text) - 1, 0);
    if (count < 0)
        ttd_fail_errno(error, "%s: no ttd-deviced answers", socket_path);
    if (client >= 0)
        close(client);
    if (count < 0)
        return -1;
    text[count] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "ok", 2) != 0)
        return ttd_fail(error, EPROTO, "%s", strncmp(text, "error ", 6) == 0 ? text + 6 : text);
    puts(text);
    return 0;
}
