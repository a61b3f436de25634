/* The load sender's gRPC transport: unary calls on gRPC's C core with one completion queue, polled
 * by the thread that called send_run. Every slot carries one call at a time, in one batch of
 * operations, so that a call costs one event. */
#include "commands/generate/send_core.h"
#include "commands/generate/send_grpc_api.h"

#include <ctype.h>
#include <dlfcn.h>
#include <grpc/byte_buffer_reader.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIGNALS = 4, CONNECTIONS_MAX = 10000, SLOTS_MAX = 100000 };

static const char *const methods[SIGNALS] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
};

struct connection {
    grpc_channel *channel;
    void *calls[SIGNALS]; /* registered with the channel, which owns them */
};

enum slot_state { SLOT_IDLE, SLOT_CALLING, SLOT_WAITING };

struct slot {
    enum slot_state state;
    bool has_task;     /* of SLOT_WAITING: the task is to be tried again; else it only rests */
    uint64_t until_ns; /* of SLOT_WAITING */
    struct slot *next_idle;
    struct connection *connection;
    struct send_task task;
    grpc_call *call;
    grpc_byte_buffer *message, *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code code;
    grpc_slice text;
    const char *detail; /* the core's own account of a failure */
};

struct sender {
    struct send_grpc_api api;
    struct send_core *core;
    grpc_completion_queue *queue;
    struct connection *connections;
    size_t connection_count;
    struct slot *slots, *idle;
    size_t slot_count, waiting;
    grpc_slice *bodies;         /* one for each request, over the caller's bytes */
    _Atomic size_t bodies_held; /* by gRPC or by us; no byte may be freed before it is 0 */
    grpc_metadata *metadata;
    size_t metadata_count;
};

static bool api_open(struct send_grpc_api *api, sl_error *error)
{
    void *library = dlopen(SLUICE_GRPC_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        send_fail(error, SL_ERR_UNSUPPORTED, "gRPC is not installed: %s", dlerror());
        return false;
    }
    /* dlsym gives an object pointer; POSIX says that it may be used as a function's */
#define SEND_GRPC_OPEN(name)                                                                       \
    *(void **)&api->name = dlsym(library, #name);                                                  \
    if (!api->name) {                                                                              \
        send_fail(error, SL_ERR_UNSUPPORTED, "%s lacks %s", SLUICE_GRPC_SONAME, #name);            \
        return false;                                                                              \
    }
    SEND_GRPC_FUNCTIONS(SEND_GRPC_OPEN)
#undef SEND_GRPC_OPEN
    return true; /* never closed: gRPC's threads may still run its code */
}

static gpr_timespec at(uint64_t ns)
{
    gpr_timespec t = {.tv_sec = (int64_t)(ns / SEND_NS_PER_S),
                      .tv_nsec = (int32_t)(ns % SEND_NS_PER_S),
                      .clock_type = GPR_CLOCK_MONOTONIC};
    return t;
}

static void body_released(void *counter)
{
    atomic_fetch_sub((_Atomic size_t *)counter, 1);
}

static bool sender_add_metadata(struct sender *s, const char *name, const char *value)
{
    char lower[128];
    size_t n = strlen(name);
    if (n >= sizeof lower)
        return false;
    for (size_t i = 0; i <= n; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    grpc_metadata *m = &s->metadata[s->metadata_count++];
    m->key = s->api.grpc_slice_from_copied_string(lower);
    m->value = s->api.grpc_slice_from_copied_string(value);
    return true;
}

static enum sl_status sender_init(struct sender *s, struct send_core *core, sl_error *error)
{
    const struct send_options *o = core->options;
    size_t per_connection = o->in_flight ? o->in_flight : 1;
    s->core = core;
    s->connection_count = o->connections ? o->connections : 1;
    if (s->connection_count > CONNECTIONS_MAX || per_connection > SLOTS_MAX / s->connection_count)
        return send_fail(error, SL_ERR_INVALID, "%zu connections with %zu requests each: too many",
                         s->connection_count, per_connection);
    s->slot_count = s->connection_count * per_connection;
    s->connections = (struct connection *)calloc(s->connection_count, sizeof *s->connections);
    s->slots = (struct slot *)calloc(s->slot_count, sizeof *s->slots);
    s->bodies = (grpc_slice *)calloc(core->count, sizeof *s->bodies);
    s->metadata = (grpc_metadata *)calloc(o->header_count + 1, sizeof *s->metadata);
    if (!s->connections || !s->slots || !s->bodies || !s->metadata)
        return send_fail(error, SL_ERR_NOMEM, "no memory for %zu slots", s->slot_count);
    /* from the last to the first, so that the idle list starts with one slot of each connection */
    for (size_t i = s->slot_count; i-- > 0;) {
        struct slot *slot = &s->slots[i];
        slot->connection = &s->connections[i % s->connection_count];
        slot->next_idle = s->idle;
        s->idle = slot;
    }
    for (size_t i = 0; i < core->count; i++) {
        void *bytes = (void *)(uintptr_t)core->bodies[i].p; /* gRPC only reads it */
        atomic_fetch_add(&s->bodies_held, 1);
        s->bodies[i] = s->api.grpc_slice_new_with_user_data(bytes, core->bodies[i].n, body_released,
                                                            (void *)&s->bodies_held);
    }
    for (size_t i = 0; i < o->header_count; i++) {
        if (!sender_add_metadata(s, o->headers[i].name, o->headers[i].value))
            return send_fail(error, SL_ERR_INVALID, "header name \"%.60s...\" is too long",
                             o->headers[i].name);
    }
    if (o->gzip) /* the bytes are compressed already; this has the core say so */
        sender_add_metadata(s, GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY, "gzip");
    return SL_OK;
}

static grpc_arg integer_arg(const char *key, int value)
{
    grpc_arg a = {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
    return a;
}

static void sender_open_channels(struct sender *s, const char *target)
{
    grpc_arg list[] = {
        /* channels with equal arguments would share one connection */
        integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        /* tries are counted here, so the core may not add any */
        integer_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100),
        integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100),
        integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000),
    };
    grpc_channel_args args = {.num_args = sizeof list / sizeof *list, .args = list};
    grpc_channel_credentials *plain = s->api.grpc_insecure_credentials_create();
    for (size_t i = 0; i < s->connection_count; i++) {
        struct connection *c = &s->connections[i];
        c->channel = s->api.grpc_channel_create(target, plain, &args);
        for (size_t k = 0; k < SIGNALS; k++)
            c->calls[k] = s->api.grpc_channel_register_call(c->channel, methods[k], NULL, NULL);
    }
    s->api.grpc_channel_credentials_release(plain);
}

/* Waits until every connection stands, so that the run measures requests only. */
static enum sl_status sender_connect(struct sender *s, const char *target, sl_error *error)
{
    uint64_t deadline = send_now() + s->core->timeout_ns;
    for (size_t i = 0; i < s->connection_count; i++)
        s->api.grpc_channel_check_connectivity_state(s->connections[i].channel, 1);
    for (size_t i = 0; i < s->connection_count; i++) {
        grpc_channel *channel = s->connections[i].channel;
        grpc_connectivity_state state;
        while ((state = s->api.grpc_channel_check_connectivity_state(channel, 1)) !=
               GRPC_CHANNEL_READY) {
            if (send_now() >= deadline || send_core_stopping(s->core))
                return send_fail(error, SL_ERR_UNAVAILABLE, "cannot connect to %s (gRPC)", target);
            uint64_t soon = send_now() + SEND_TICK_NS;
            s->api.grpc_channel_watch_connectivity_state(
                channel, state, at(soon < deadline ? soon : deadline), s->queue, NULL);
            s->api.grpc_completion_queue_next(s->queue, at(deadline + SEND_NS_PER_S), NULL);
        }
    }
    return SL_OK;
}

static void slot_call(struct sender *s, struct slot *slot, uint64_t now_ns)
{
    const struct send_core *core = s->core;
    const struct send_request *r = &core->requests[slot->task.request];
    void *method = slot->connection->calls[__builtin_ctz((unsigned)r->signal)];
    slot->state = SLOT_CALLING;
    slot->task.try_ns = now_ns;
    grpc_slice *body = &s->bodies[slot->task.request];
    slot->message = core->options->gzip
                        ? s->api.grpc_raw_compressed_byte_buffer_create(body, 1, GRPC_COMPRESS_GZIP)
                        : s->api.grpc_raw_byte_buffer_create(body, 1);
    slot->call = s->api.grpc_channel_create_registered_call(
        slot->connection->channel, NULL, 0, s->queue, method, at(now_ns + core->timeout_ns), NULL);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = s->metadata_count, .metadata = s->metadata}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = slot->message},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &slot->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &slot->reply},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &slot->trailing,
                                        .status = &slot->code,
                                        .status_details = &slot->text,
                                        .error_string = &slot->detail}},
    };
    if (s->api.grpc_call_start_batch(slot->call, ops, sizeof ops / sizeof *ops, slot, NULL) !=
        GRPC_CALL_OK)
        abort(); /* only for operations that contradict each other */
}

static sl_bytes bytes_of(const grpc_slice *slice)
{
    return sl_slice(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

static void read_trailing(const struct slot *slot, struct send_answer *answer)
{
    for (size_t i = 0; i < slot->trailing.count; i++) {
        const grpc_metadata *m = &slot->trailing.metadata[i];
        if (sl_eq(bytes_of(&m->key), sl_str("grpc-status-details-bin")))
            send_read_retry_info(bytes_of(&m->value), answer);
    }
}

static void read_reply(struct sender *s, struct slot *slot, struct send_answer *answer)
{
    if (!slot->reply || s->api.grpc_byte_buffer_length(slot->reply) == 0)
        return;
    grpc_byte_buffer_reader reader;
    if (!s->api.grpc_byte_buffer_reader_init(&reader, slot->reply))
        return;
    grpc_slice all = s->api.grpc_byte_buffer_reader_readall(&reader);
    send_read_partial(bytes_of(&all), answer);
    s->api.grpc_slice_unref(all);
    s->api.grpc_byte_buffer_reader_destroy(&reader);
}

/* What the core itself reports when there was no answer: its texts, as a status of its own making
 * cannot be told from a server's by anything else. */
static bool came_from_transport(const struct slot *slot, sl_bytes text)
{
    static const char *const texts[] = {"Socket closed", "Connection reset by peer", "Broken pipe",
                                        "keepalive watchdog timeout", "GOAWAY received"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (text.n > 0 && memmem(text.p, text.n, texts[i], strlen(texts[i])))
            return true;
    }
    return slot->detail && !strstr(slot->detail, "from peer");
}

static enum send_outcome judge(const struct sender *s, const struct slot *slot, uint64_t now_ns,
                               const struct send_answer *answer)
{
    switch (slot->code) {
    case GRPC_STATUS_OK:
        return SEND_ACKNOWLEDGED;
    case GRPC_STATUS_DEADLINE_EXCEEDED:
        return now_ns - slot->task.try_ns >= s->core->timeout_ns ? SEND_FAILED
                                                                 : SEND_REFUSED_RETRYABLE;
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_CANCELLED:
        return !answer->delayed && came_from_transport(slot, bytes_of(&slot->text))
                   ? SEND_FAILED
                   : SEND_REFUSED_RETRYABLE;
    case GRPC_STATUS_ABORTED:
    case GRPC_STATUS_OUT_OF_RANGE:
    case GRPC_STATUS_DATA_LOSS:
        return SEND_REFUSED_RETRYABLE;
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        return answer->delayed ? SEND_REFUSED_RETRYABLE : SEND_REFUSED_PERMANENT;
    default:
        return SEND_REFUSED_PERMANENT;
    }
}

static void slot_release_call(struct sender *s, struct slot *slot)
{
    s->api.grpc_call_unref(slot->call);
    s->api.grpc_byte_buffer_destroy(slot->message);
    if (slot->reply)
        s->api.grpc_byte_buffer_destroy(slot->reply);
    s->api.grpc_slice_unref(slot->text);
    if (slot->detail)
        s->api.gpr_free((void *)(uintptr_t)slot->detail);
    slot->reply = NULL;
    slot->detail = NULL;
    slot->initial.count = slot->trailing.count = 0;
}

static void slot_idle(struct sender *s, struct slot *slot)
{
    slot->state = SLOT_IDLE;
    slot->next_idle = s->idle;
    s->idle = slot;
}

static void slot_answered(struct sender *s, struct slot *slot)
{
    struct send_answer answer = {.outcome = SEND_ACKNOWLEDGED};
    uint64_t now_ns = send_now(), again_ns;
    if (slot->code == GRPC_STATUS_OK) {
        read_reply(s, slot, &answer);
    } else {
        sl_bytes text = bytes_of(&slot->text);
        read_trailing(slot, &answer);
        snprintf(answer.text, sizeof answer.text, "gRPC status %d: %.*s", (int)slot->code,
                 (int)(text.n < 120 ? text.n : 120), (const char *)text.p);
        answer.outcome = judge(s, slot, now_ns, &answer);
    }
    slot_release_call(s, slot);
    slot->has_task = send_core_end(s->core, now_ns, &slot->task, &answer, &again_ns);
    if (again_ns == 0) {
        slot_idle(s, slot);
        return;
    }
    slot->state = SLOT_WAITING;
    slot->until_ns = again_ns;
    s->waiting++;
}

/* Ends the waits that are over; returns when the next one is. */
static uint64_t sender_wake_slots(struct sender *s, uint64_t now_ns)
{
    uint64_t next = SEND_NEVER;
    for (size_t i = 0; i < s->slot_count && s->waiting > 0; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_WAITING)
            continue;
        if (slot->until_ns > now_ns && !send_core_stopping(s->core)) {
            next = slot->until_ns < next ? slot->until_ns : next;
            continue;
        }
        s->waiting--;
        if (slot->has_task)
            slot_call(s, slot, now_ns);
        else
            slot_idle(s, slot);
    }
    return next;
}

static void sender_loop(struct sender *s)
{
    struct send_core *core = s->core;
    for (;;) {
        uint64_t now_ns = send_now(), wake_ns = SEND_NEVER, due_ns = SEND_NEVER;
        if (s->waiting > 0)
            wake_ns = sender_wake_slots(s, now_ns);
        while (s->idle) {
            struct slot *slot = s->idle;
            if (!send_core_begin(core, now_ns, &slot->task, &due_ns))
                break;
            s->idle = slot->next_idle;
            slot_call(s, slot, now_ns);
        }
        if (core->active == 0 && s->idle && due_ns == SEND_NEVER)
            return;
        send_core_tick(core, now_ns);
        uint64_t tick_ns = now_ns + SEND_TICK_NS;
        wake_ns = due_ns < wake_ns ? due_ns : wake_ns;
        grpc_event e = s->api.grpc_completion_queue_next(
            s->queue, at(wake_ns < tick_ns ? wake_ns : tick_ns), NULL);
        if (e.type == GRPC_OP_COMPLETE && e.tag)
            slot_answered(s, (struct slot *)e.tag);
    }
}

static void sender_deinit(struct sender *s)
{
    for (size_t i = 0; s->connections && i < s->connection_count; i++) {
        if (s->connections[i].channel)
            s->api.grpc_channel_destroy(s->connections[i].channel);
    }
    s->api.grpc_completion_queue_shutdown(s->queue);
    while (s->api.grpc_completion_queue_next(s->queue, at(send_now() + SEND_NS_PER_S), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        continue;
    s->api.grpc_completion_queue_destroy(s->queue);
    for (size_t i = 0; s->slots && i < s->slot_count; i++) {
        s->api.grpc_metadata_array_destroy(&s->slots[i].initial);
        s->api.grpc_metadata_array_destroy(&s->slots[i].trailing);
    }
    for (size_t i = 0; i < s->metadata_count; i++) {
        s->api.grpc_slice_unref(s->metadata[i].key);
        s->api.grpc_slice_unref(s->metadata[i].value);
    }
    for (size_t i = 0; s->bodies && i < s->core->count; i++)
        s->api.grpc_slice_unref(s->bodies[i]);
    s->api.grpc_shutdown_blocking();
    free(s->connections);
    free(s->slots);
    free(s->bodies);
    free(s->metadata);
}

enum sl_status send_grpc(struct send_core *core, const char *target, sl_error *error)
{
    struct sender *s = (struct sender *)calloc(1, sizeof *s);
    if (!s)
        return send_fail(error, SL_ERR_NOMEM, "no memory for the sender");
    if (!api_open(&s->api, error)) {
        free(s);
        return SL_ERR_UNSUPPORTED;
    }
    s->api.grpc_init();
    s->queue = s->api.grpc_completion_queue_create_for_next(NULL);
    enum sl_status status = sender_init(s, core, error);
    if (status == SL_OK) {
        sender_open_channels(s, target);
        status = sender_connect(s, target, error);
    }
    if (status == SL_OK) {
        send_core_start(core);
        sender_loop(s);
    }
    sender_deinit(s);
    size_t held = atomic_load(&s->bodies_held);
    if (held > 0) /* s is left, as its counter is written when gRPC lets go of them */
        return send_fail(error, SL_ERR_STATE, "gRPC still holds %zu request bodies", held);
    free(s);
    return status;
}
