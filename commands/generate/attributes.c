/* Names, attributes, events and status of spans, by the current semantic conventions of HTTP, RPC,
 * databases and messaging (some services still send RPC's former names, as most SDKs do). Runs on
 * the thread that generates. */
#include "commands/generate/walk.h"

#define HTTP_PORT 8080
#define RPC_PORT 9090
#define KAFKA_PORT 9092

const struct service *span_service(const struct traces *t, const struct span *s)
{
    return &topology_services[t->options.topology->owners[s->resource]];
}

sl_bytes code_name(enum code code)
{
    switch (code) {
    case CODE_OK:
        return LIT("OK");
    case CODE_CANCELLED:
        return LIT("CANCELLED");
    case CODE_INVALID:
        return LIT("INVALID_ARGUMENT");
    case CODE_DEADLINE:
        return LIT("DEADLINE_EXCEEDED");
    case CODE_NOT_FOUND:
        return LIT("NOT_FOUND");
    case CODE_EXHAUSTED:
        return LIT("RESOURCE_EXHAUSTED");
    case CODE_PRECONDITION:
        return LIT("FAILED_PRECONDITION");
    case CODE_UNAVAILABLE:
        return LIT("UNAVAILABLE");
    case CODE_UNAUTHENTICATED:
        return LIT("UNAUTHENTICATED");
    default:
        return LIT("INTERNAL");
    }
}

static void text(struct traces *t, sl_bytes key, sl_bytes value)
{
    attrs_text(&t->attrs, key, value);
}

static void integer(struct traces *t, sl_bytes key, int64_t value)
{
    attrs_int(&t->attrs, key, value);
}

static sl_bytes fill(struct traces *t, sl_bytes template)
{
    return template_fill(&t->text, template, &t->shopper, &t->rng);
}

static sl_bytes join3(struct traces *t, sl_bytes a, sl_bytes b, sl_bytes c)
{
    text_begin(&t->text);
    text_add(&t->text, a);
    text_add(&t->text, b);
    text_add(&t->text, c);
    return text_end(&t->text);
}

static sl_bytes number_text(struct traces *t, uint64_t n)
{
    text_begin(&t->text);
    text_uint(&t->text, n);
    return text_end(&t->text);
}

static void peer(struct traces *t, uint32_t host)
{
    text_begin(&t->text);
    text_add(&t->text, LIT("10.42."));
    text_uint(&t->text, 1 + host % 7);
    text_char(&t->text, '.');
    text_uint(&t->text, 4 + host * 37 % 250);
    text(t, LIT("network.peer.address"), text_end(&t->text));
}

static void threads(struct traces *t, const struct span *s)
{
    if (span_service(t, s)->language == LANG_JAVA) {
        uint32_t thread = rng_below(&t->rng, 48);
        integer(t, LIT("thread.id"), 41 + thread);
        text(t, LIT("thread.name"),
             join3(t, LIT("http-nio-8080-exec-"), number_text(t, thread + 1), LIT("")));
    }
}

static void finish(struct traces *t, struct span *s, bool error, sl_bytes message)
{
    uint32_t n = t->attrs.used - t->attrs.start;
    for (uint32_t extra = 0; n + extra < t->options.attributes; extra++) {
        shopper_extra(&t->text, &t->attrs, &t->shopper, &t->extras, extra);
    }
    s->attrs = attrs_end(&t->attrs);
    if (error) {
        s->status = STATUS_ERROR;
        s->message = message;
    }
}

static void rpc_attributes(struct traces *t, const struct span *s, const struct operation *op,
                           const struct result *r)
{
    const struct service *target = &topology_services[op->service];
    sl_bytes service = join3(t, target->package, LIT("."), op->method);
    if (span_service(t, s)->rpc_names_current) {
        text(t, LIT("rpc.system.name"), LIT("grpc"));
        text(t, LIT("rpc.method"), join3(t, service, LIT("/"), op->route));
        text(t, LIT("rpc.status_code"), code_name(r->code));
    } else {
        text(t, LIT("rpc.system"), LIT("grpc"));
        text(t, LIT("rpc.service"), service);
        text(t, LIT("rpc.method"), op->route);
        integer(t, LIT("rpc.grpc.status_code"), r->code);
    }
    text(t, LIT("server.address"), target->name);
    integer(t, LIT("server.port"), RPC_PORT);
}

static sl_bytes rpc_name(struct traces *t, const struct operation *op)
{
    sl_bytes service = join3(t, topology_services[op->service].package, LIT("."), op->method);
    return join3(t, service, LIT("/"), op->route);
}

/* The Java agent records each message of a call. */
static void rpc_events(struct traces *t, struct span *s)
{
    if (span_service(t, s)->language != LANG_JAVA) {
        return;
    }
    bool client = s->kind == KIND_CLIENT;
    for (int i = 0; i < 2; i++) {
        attrs_begin(&t->attrs);
        text(t, LIT("rpc.message.type"), (i == 0) == client ? LIT("SENT") : LIT("RECEIVED"));
        integer(t, LIT("rpc.message.id"), 1);
        uint64_t near = 1 + rng_below(&t->rng, (uint32_t)((s->end - s->start) / 16 & 0xffff) + 1);
        span_event_add(t, s, LIT("rpc.message"), i == 0 ? s->start + near : s->end - near,
                       attrs_end(&t->attrs));
    }
}

static void server_http(struct traces *t, struct span *s, const struct operation *op,
                        const struct result *r, bool root)
{
    s->name = op->route.n ? join3(t, op->method, LIT(" "), op->route) : op->method;
    text(t, LIT("http.request.method"), op->method);
    text(t, LIT("url.scheme"), root ? LIT("https") : LIT("http"));
    text(t, LIT("url.path"), fill(t, op->path));
    if (op->query.n) {
        text(t, LIT("url.query"), fill(t, op->query));
    }
    if (op->route.n) {
        text(t, LIT("http.route"), op->route);
    }
    integer(t, LIT("http.response.status_code"), r->http);
    text(t, LIT("server.address"),
         root ? LIT("shop.example") : topology_services[op->service].name);
    integer(t, LIT("server.port"), root ? 443 : HTTP_PORT);
    text(t, LIT("network.protocol.version"), root ? LIT("2") : LIT("1.1"));
    peer(t, rng_below(&t->rng, 40));
    integer(t, LIT("network.peer.port"), rng_between(&t->rng, 32768, 60999));
    if (root) {
        text(t, LIT("client.address"), shopper_address(&t->text, &t->shopper));
        text(t, LIT("user_agent.original"), shopper_agent(&t->shopper));
        text(t, LIT("enduser.id"), number_text(t, t->shopper.user));
        text(t, LIT("app.request.id"), fill(t, LIT("%r")));
    }
    if (op->method.n == 4) { /* POST */
        integer(t, LIT("http.request.body.size"), rng_between(&t->rng, 60, 1800));
    }
    if (r->http >= 500) {
        text(t, LIT("error.type"), number_text(t, r->http));
    }
}

void span_server(struct traces *t, struct span *s, const struct operation *op,
                 const struct result *r, bool root)
{
    bool error;
    attrs_begin(&t->attrs);
    if (op->kind == OP_RPC) {
        s->name = rpc_name(t, op);
        rpc_attributes(t, s, op, r);
        peer(t, rng_below(&t->rng, 40));
        integer(t, LIT("network.peer.port"), rng_between(&t->rng, 32768, 60999));
        error = r->code == CODE_DEADLINE || r->code == CODE_INTERNAL || r->code == CODE_UNAVAILABLE;
        if (error) {
            text(t, LIT("error.type"), code_name(r->code));
        }
    } else {
        server_http(t, s, op, r, root);
        error = r->http >= 500;
    }
    threads(t, s);
    finish(t, s, error, r->message);
    if (op->kind == OP_RPC) {
        rpc_events(t, s);
    }
}

static void client_http(struct traces *t, struct span *s, const struct call *call)
{
    const struct result *r = &call->result;
    sl_bytes method = call->outsider ? call->outsider->method : call->operation->method;
    sl_bytes host =
        call->outsider ? call->outsider->host : topology_services[call->operation->service].name;
    sl_bytes path = fill(t, call->outsider ? call->outsider->path : call->operation->path);
    sl_bytes query =
        call->operation && call->operation->query.n ? fill(t, call->operation->query) : LIT("");
    s->name = method;
    text_begin(&t->text);
    text_add(&t->text, call->outsider ? LIT("https://") : LIT("http://"));
    text_add(&t->text, host);
    if (!call->outsider) {
        text_add(&t->text, LIT(":8080"));
    }
    text_add(&t->text, path);
    if (query.n) {
        text_char(&t->text, '?');
        text_add(&t->text, query);
    }
    sl_bytes url = text_end(&t->text);
    text(t, LIT("http.request.method"), method);
    text(t, LIT("url.full"), url);
    text(t, LIT("server.address"), host);
    integer(t, LIT("server.port"), call->outsider ? 443 : HTTP_PORT);
    if (r->http) {
        integer(t, LIT("http.response.status_code"), r->http);
        text(t, LIT("network.protocol.version"), LIT("1.1"));
        peer(t, rng_below(&t->rng, 40));
        integer(t, LIT("network.peer.port"), call->outsider ? 443 : HTTP_PORT);
    }
    if (call->attempt) {
        integer(t, LIT("http.request.resend_count"), call->attempt);
    }
    if (r->code != CODE_OK) {
        text(t, LIT("error.type"),
             r->http                    ? number_text(t, r->http)
             : r->code == CODE_DEADLINE ? LIT("timeout")
                                        : LIT("connection_refused"));
    }
}

void span_client(struct traces *t, struct span *s, const struct call *call)
{
    const struct result *r = &call->result;
    bool rpc = call->operation && call->operation->kind == OP_RPC;
    attrs_begin(&t->attrs);
    if (rpc) {
        s->name = rpc_name(t, call->operation);
        rpc_attributes(t, s, call->operation, r);
        if (r->code != CODE_OK) {
            text(t, LIT("error.type"), code_name(r->code));
        }
    } else {
        client_http(t, s, call);
    }
    threads(t, s);
    finish(t, s, r->code != CODE_OK, r->message);
    if (rpc) {
        rpc_events(t, s);
    } else if (r->code != CODE_OK && !r->http) {
        span_exception(t, s, LIT(""), r->message, s->end);
    }
}

void span_local(struct traces *t, struct span *s, const struct operation *op,
                const struct result *r)
{
    s->name = op->route;
    attrs_begin(&t->attrs);
    text(t, LIT("code.function.name"),
         join3(t, topology_services[op->service].package, LIT("."), op->route));
    integer(t, LIT("code.line.number"), 20 + (int64_t)(op->work_us % 311));
    text(t, LIT("app.order.id"), fill(t, LIT("%o")));
    integer(t, LIT("app.items"), rng_between(&t->rng, 1, 12));
    threads(t, s);
    finish(t, s, r->code != CODE_OK && !r->refused, r->message);
}

void span_query(struct traces *t, struct span *s, const struct query *q, const struct result *r)
{
    const struct store *store = &topology_stores[q->store];
    s->name = q->summary;
    attrs_begin(&t->attrs);
    text(t, LIT("db.system.name"), store->system);
    text(t, LIT("db.namespace"), store->name);
    if (q->collection.n) {
        text(t, LIT("db.collection.name"), q->collection);
    }
    text(t, LIT("db.operation.name"), q->operation);
    text(t, LIT("db.query.text"), fill(t, q->text));
    if (q->collection.n) {
        text(t, LIT("db.query.summary"), q->summary);
    }
    text(t, LIT("server.address"), store->host);
    integer(t, LIT("server.port"), store->port);
    peer(t, 50 + (uint32_t)q->store);
    integer(t, LIT("network.peer.port"), store->port);
    if (q->rows && r->code == CODE_OK) {
        integer(t, LIT("db.response.returned_rows"),
                rng_between(&t->rng, q->rows == 1 ? 1 : 0, q->rows));
    }
    if (r->code != CODE_OK) {
        bool cancelled = r->code == CODE_DEADLINE;
        text(t, LIT("error.type"), cancelled ? LIT("timeout") : LIT("connection_reset"));
        if (store->role == ROLE_POSTGRES) {
            text(t, LIT("db.response.status_code"), cancelled ? LIT("57014") : LIT("08006"));
        }
    }
    threads(t, s);
    finish(t, s, r->code != CODE_OK, r->message);
    if (r->code != CODE_OK) {
        span_exception(t, s, LIT(""), r->message, s->end);
    }
}

static void messaging(struct traces *t, const struct topic *topic, sl_bytes type)
{
    text(t, LIT("messaging.system"), LIT("kafka"));
    text(t, LIT("messaging.destination.name"), topic->name);
    text(t, LIT("messaging.operation.type"), type);
    text(t, LIT("messaging.operation.name"), type);
}

void span_publish(struct traces *t, struct span *s, const struct topic *topic,
                  const struct result *r)
{
    sl_bytes service = span_service(t, s)->name;
    s->name = join3(t, LIT("send "), topic->name, LIT(""));
    attrs_begin(&t->attrs);
    messaging(t, topic, LIT("send"));
    text(t, LIT("messaging.client.id"), join3(t, service, LIT("-producer-1"), LIT("")));
    text(t, LIT("messaging.destination.partition.id"),
         number_text(t, rng_below(&t->rng, topic->partitions)));
    if (r->code == CODE_OK) {
        integer(t, LIT("messaging.kafka.offset"), (int64_t)t->offsets[topic - topology_topics]);
    }
    text(t, LIT("messaging.kafka.message.key"), fill(t, LIT("%o")));
    integer(t, LIT("messaging.message.body.size"), rng_between(&t->rng, 180, 2400));
    text(t, LIT("server.address"), LIT("kafka-bootstrap"));
    integer(t, LIT("server.port"), KAFKA_PORT);
    if (r->code != CODE_OK) {
        text(t, LIT("error.type"), LIT("_MSG_TIMED_OUT"));
    }
    threads(t, s);
    finish(t, s, r->code != CODE_OK, r->message);
}

void span_consume(struct traces *t, struct span *s, const struct operation *op,
                  const struct result *r)
{
    const struct topic *topic = &topology_topics[op->topic];
    sl_bytes service = topology_services[op->service].name;
    s->name = join3(t, LIT("process "), topic->name, LIT(""));
    attrs_begin(&t->attrs);
    messaging(t, topic, LIT("process"));
    text(t, LIT("messaging.consumer.group.name"), service);
    text(t, LIT("messaging.client.id"), join3(t, service, LIT("-consumer-1"), LIT("")));
    text(t, LIT("messaging.destination.partition.id"),
         number_text(t, rng_below(&t->rng, topic->partitions)));
    if (op->kind == OP_CONSUME_BATCH) {
        integer(t, LIT("messaging.batch.message_count"), s->link_count);
    } else {
        integer(t, LIT("messaging.kafka.offset"), (int64_t)t->offsets[op->topic]);
        text(t, LIT("messaging.kafka.message.key"), fill(t, LIT("%o")));
    }
    text(t, LIT("server.address"), LIT("kafka-bootstrap"));
    integer(t, LIT("server.port"), KAFKA_PORT);
    bool error = r->code != CODE_OK && !r->refused;
    if (error) {
        text(t, LIT("error.type"), code_name(r->code));
    }
    threads(t, s);
    finish(t, s, error, r->message);
}

void span_event_add(struct traces *t, struct span *s, sl_bytes name, uint64_t time,
                    struct attrs attrs)
{
    /* A span's events stand together: if other spans had some meanwhile, they move. */
    bool together = s->event_count == 0 || s->events + s->event_count == t->events + t->event_count;
    if (t->event_count + (together ? 0 : s->event_count) >= EVENTS_MAX) {
        return;
    }
    if (!together) {
        memcpy(&t->events[t->event_count], s->events, s->event_count * sizeof(*s->events));
        s->events = &t->events[t->event_count];
        t->event_count += s->event_count;
    }
    struct span_event *event = &t->events[t->event_count++];
    event->name = name;
    event->attrs = attrs;
    event->time = time < s->start ? s->start : time;
    if (s->event_count == 0) {
        s->events = event;
    }
    s->event_count++;
}

static const struct {
    sl_bytes type; /* of errors in calls to others */
    sl_bytes head;
    sl_bytes own; /* a frame of the service's own code: function and line follow */
    sl_bytes frames;
} stacks[LANGUAGE_COUNT] = {
    [LANG_GO] = {TXT("*url.Error"), TXT("goroutine %u [running]:\n"), TXT("main.(*Server)."),
                 TXT("\nnet/http.HandlerFunc.ServeHTTP(0xc000124a80?, {0x1a3f0a8?, 0xc0004be000?}, "
                     "0xc00045c300?)\n"
                     "\t/usr/local/go/src/net/http/server.go:2322 +0x29\n"
                     "go.opentelemetry.io/contrib/instrumentation/net/http/"
                     "otelhttp.(*middleware).serveHTTP(...)\n"
                     "\t/go/pkg/mod/go.opentelemetry.io/contrib/instrumentation/net/http/"
                     "otelhttp@v0.63.0/handler.go:179\n"
                     "net/http.serverHandler.ServeHTTP({0xc000316b40?}, {0x1a3f0a8?, "
                     "0xc0004be000?}, 0x6?)\n"
                     "\t/usr/local/go/src/net/http/server.go:3340 +0x8e\n")},
    [LANG_JAVA] =
        {TXT("java.net.http.HttpTimeoutException"), TXT(""), TXT("\tat com.shop.app.Handler."),
         TXT("\n\tat org.springframework.web.method.support.InvocableHandlerMethod.doInvoke("
             "InvocableHandlerMethod.java:258)\n"
             "\tat "
             "org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:"
             "1089)\n"
             "\tat jakarta.servlet.http.HttpServlet.service(HttpServlet.java:590)\n"
             "\tat "
             "org.apache.catalina.core.ApplicationFilterChain.doFilter(ApplicationFilterChain.java:"
             "116)\n"
             "\tat "
             "org.apache.tomcat.util.net.NioEndpoint$SocketProcessor.doRun(NioEndpoint.java:1739)\n"
             "\tat java.base/java.lang.Thread.run(Thread.java:1583)\n")},
    [LANG_PYTHON] =
        {TXT("httpx.ReadTimeout"), TXT("Traceback (most recent call last):\n"),
         TXT("  File \"/app/app/main.py\", in "),
         TXT("\n  File \"/usr/local/lib/python3.12/site-packages/starlette/routing.py\", line 73, "
             "in app\n"
             "    response = await f(request)\n"
             "  File \"/usr/local/lib/python3.12/site-packages/fastapi/routing.py\", line 302, in "
             "app\n"
             "    raw_response = await run_endpoint_function(\n")},
    [LANG_NODE] = {TXT("AbortError"), TXT(""), TXT("    at Object."),
                   TXT("\n    at process.processTicksAndRejections "
                       "(node:internal/process/task_queues:105:5)\n"
                       "    at async /app/node_modules/@shop/http/dist/router.js:88:13\n"
                       "    at async Server.handle (/app/dist/server.js:41:7)\n")},
};

void span_exception(struct traces *t, struct span *s, sl_bytes type, sl_bytes message,
                    uint64_t time)
{
    unsigned language = span_service(t, s)->language;
    sl_bytes name = type.n ? type : stacks[language].type;
    sl_bytes head = fill(t, stacks[language].head);
    text_begin(&t->text);
    text_add(&t->text, head);
    if (language != LANG_PYTHON) {
        text_add(&t->text, name);
        text_add(&t->text, LIT(": "));
        text_add(&t->text, message);
        text_char(&t->text, '\n');
    }
    text_add(&t->text, stacks[language].own);
    text_add(&t->text, s->name);
    text_add(&t->text, LIT(":"));
    text_uint(&t->text, 30 + s->name.n * 7 % 400);
    text_add(&t->text, stacks[language].frames);
    if (language == LANG_PYTHON) {
        text_add(&t->text, name);
        text_add(&t->text, LIT(": "));
        text_add(&t->text, message);
        text_char(&t->text, '\n');
    }
    sl_bytes stack = text_end(&t->text);
    attrs_begin(&t->attrs);
    text(t, LIT("exception.type"), name);
    text(t, LIT("exception.message"), message);
    text(t, LIT("exception.stacktrace"), stack);
    span_event_add(t, s, LIT("exception"), time, attrs_end(&t->attrs));
}
