/* A host for unit tests of receivers and extensions: it has listening sockets on ports that the
 * system chooses, a budget, metrics, payloads that are checked as the runtime checks them, and
 * answers offers as the test has scripted. Everything but the script may be used by any thread. */
#ifndef SLUICE_TESTS_RECEIVER_HOST_H
#define SLUICE_TESTS_RECEIVER_HOST_H
#include <pthread.h>
#include <sluice/plugin.h>

enum { HOST_SERIES_MAX = 64, HOST_SOCKETS_MAX = 4, HOST_OFFERS_MAX = 4096 };

/* What becomes of an offer. */
enum host_answer {
    HOST_TAKES,           /* hears `taken` within the offer, and `settled` after it */
    HOST_TAKES_ELSEWHERE, /* the same on another thread */
    HOST_HOLDS,           /* the test answers, by receiver_host_answer */
    HOST_REFUSES          /* the offer answers `offer_status` */
};

struct host_series {
    char name[96], value[32];
    int64_t n;
};

struct host_offer {
    const sl_hear *hear;
    uint64_t cookie;
    uint32_t items;
};

struct receiver_host {
    sl_host host; /* what the plugin is given */

    /* the script */
    enum host_answer answer;
    int32_t offer_status;
    int32_t ack;                                             /* enum sl_ack, for all signals */
    sl_result result;                                        /* `items` 0: all of them delivered */
    uint64_t budget;                                         /* bytes; 0: no limit */
    const void *(*plugin)(const char *file, const char *id); /* for sl_plugins.load; NULL: none */
    bool unhealthy;
    int64_t wall_ns, up_since_ns; /* 0: the real clock; not ready */

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    uint64_t used, used_most;
    uint32_t payloads; /* live */
    uint32_t offers;
    uint32_t items[3]; /* taken, by signal */
    uint8_t *last;     /* bytes of the latest offer */
    size_t last_n;
    struct host_offer held[HOST_OFFERS_MAX];
    uint32_t n_held;
    struct host_series series[HOST_SERIES_MAX];
    uint32_t n_series;
    int32_t sockets[HOST_SOCKETS_MAX];
    uint32_t n_sockets, sockets_done;
    int32_t status; /* the latest component status */
    char status_text[512];
    uint32_t jobs; /* running: of `blocking`, and answers elsewhere */
};

struct receiver_host *receiver_host_create(void);
/* Waits for jobs; fails the test when a payload or budget is left. */
void receiver_host_destroy(struct receiver_host *);

/* The port of the socket that was opened as number `i`. */
uint16_t receiver_host_port(struct receiver_host *, uint32_t i);
int64_t receiver_host_metric(struct receiver_host *, const char *name, const char *value);
/* Waits until so many offers are held, or fails the test after ten seconds. */
void receiver_host_wait_held(struct receiver_host *, uint32_t n);
void receiver_host_wait_jobs(struct receiver_host *);
void receiver_host_wait_status(struct receiver_host *, int32_t status);
/* Answers the oldest held offer by the script's result. */
/* What the test wrote into the struct is seen by requests that it sends from now on, and what the
 * requests wrote that it knows to be answered is seen by the test. Sockets and gRPC order both, too,
 * but not where ThreadSanitizer can see it. */
void receiver_host_meet(struct receiver_host *);
void receiver_host_answer(struct receiver_host *);

#endif
