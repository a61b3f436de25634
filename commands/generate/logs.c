/* Log records that the shop's programs write while they work: one line of business a call, access
 * logs, warnings of retries and lost helpers, errors with their exception. Runs on the thread that
 * generates. */
#include "commands/generate/walk.h"

enum { SEVERITY_DEBUG = 5, SEVERITY_INFO = 9, SEVERITY_WARN = 13, SEVERITY_ERROR = 17 };

static sl_bytes severity_name(enum language language, unsigned severity)
{
    static const sl_bytes names[4] = {TXT("DEBUG"), TXT("INFO"), TXT("WARN"), TXT("ERROR")};
    static const sl_bytes python[4] = {TXT("DEBUG"), TXT("INFO"), TXT("WARNING"), TXT("ERROR")};
    static const sl_bytes node[4] = {TXT("debug"), TXT("info"), TXT("warn"), TXT("error")};
    unsigned level = (severity - SEVERITY_DEBUG) / 4;
    return language == LANG_PYTHON ? python[level]
           : language == LANG_NODE ? node[level]
                                   : names[level];
}

/* Opens a record and the list of its attributes; NULL if the trace has as many as it may have. */
static struct log_record *record_begin(struct traces *t, const struct span *s, uint64_t time,
                                       unsigned severity, sl_bytes body)
{
    if (t->log_count == LOGS_MAX) {
        return NULL;
    }
    const struct service *service = span_service(t, s);
    enum service_id id = (enum service_id)(service - topology_services);
    struct log_record *l = &t->logs[t->log_count++];
    memset(l, 0, sizeof(*l));
    l->time = time < s->start ? s->start : time;
    l->observed = l->time + 20000 + rng_below(&t->rng, 900000);
    l->resource = s->resource;
    l->scope = topology_scope(id, ROLE_LOG);
    l->severity = (uint8_t)severity;
    l->severity_text = severity_name(service->language, severity);
    l->traced = true;
    l->context = s->context;
    l->body = body;
    attrs_begin(&t->attrs);
    if (service->language == LANG_JAVA) {
        attrs_text(&t->attrs, LIT("log.logger"), service->package);
        attrs_int(&t->attrs, LIT("thread.id"), rng_between(&t->rng, 41, 88));
    } else if (service->language == LANG_PYTHON) {
        attrs_text(&t->attrs, LIT("code.function.name"), service->package);
        attrs_int(&t->attrs, LIT("code.line.number"), 40 + (int64_t)(body.n * 13 % 300));
    }
    return l;
}

static void record_end(struct traces *t, struct log_record *l)
{
    l->attrs = attrs_end(&t->attrs);
}

static sl_bytes fill(struct traces *t, sl_bytes template)
{
    return template_fill(&t->text, template, &t->shopper, &t->rng);
}

static void duration_add(struct traces *t, const struct span *s)
{
    uint64_t us = (s->end - s->start) / 1000;
    text_uint(&t->text, us / 1000);
    text_char(&t->text, '.');
    text_uint_padded(&t->text, us % 1000, 3);
    text_add(&t->text, LIT(" ms"));
}

static sl_bytes operation_path(struct traces *t, const struct operation *op)
{
    return op->path.n ? fill(t, op->path) : op->route;
}

static void log_access(struct traces *t, const struct span *s, const struct operation *op,
                       const struct result *r)
{
    sl_bytes path = operation_path(t, op);
    text_begin(&t->text);
    text_add(&t->text, op->method);
    text_char(&t->text, ' ');
    text_add(&t->text, path);
    text_char(&t->text, ' ');
    text_uint(&t->text, r->http);
    text_char(&t->text, ' ');
    duration_add(t, s);
    struct log_record *l = record_begin(t, s, s->end, SEVERITY_INFO, text_end(&t->text));
    if (l) {
        attrs_text(&t->attrs, LIT("http.request.method"), op->method);
        attrs_int(&t->attrs, LIT("http.response.status_code"), r->http);
        attrs_text(&t->attrs, LIT("app.request.id"), fill(t, LIT("%r")));
        record_end(t, l);
    }
}

static void log_failure(struct traces *t, const struct span *s, const struct operation *op,
                        const struct result *r)
{
    sl_bytes path = operation_path(t, op);
    text_begin(&t->text);
    if (r->refused) {
        text_add(&t->text, LIT("Rejected "));
        text_add(&t->text, path);
        text_add(&t->text, LIT(": "));
        text_add(&t->text, r->message);
    } else {
        text_add(&t->text, s->name);
        text_add(&t->text, LIT(" failed after "));
        duration_add(t, s);
        text_add(&t->text, LIT(": "));
        text_add(&t->text, code_name(r->code));
        text_add(&t->text, LIT(": "));
        text_add(&t->text, r->message);
    }
    sl_bytes body = text_end(&t->text);
    struct log_record *l =
        record_begin(t, s, s->end, r->refused ? SEVERITY_WARN : SEVERITY_ERROR, body);
    if (!l) {
        return;
    }
    attrs_text(&t->attrs, LIT("enduser.id"), fill(t, LIT("%u")));
    if (!r->refused && r->code == CODE_INTERNAL && op->fault.type.n) {
        attrs_text(&t->attrs, LIT("exception.type"), op->fault.type);
        attrs_text(&t->attrs, LIT("exception.message"), r->message);
        l->event_name = LIT("exception");
    }
    record_end(t, l);
}

void log_operation(struct traces *t, const struct span *s, const struct operation *op,
                   const struct result *r)
{
    if (op->kind == OP_LOCAL) {
        return;
    }
    if (r->code != CODE_OK) {
        log_failure(t, s, op, r);
        return;
    }
    enum language language = span_service(t, s)->language;
    if (rng_chance(&t->rng, 0.04)) {
        sl_bytes body = fill(t, LIT("handling request %r of user %u, session %s"));
        struct log_record *l = record_begin(t, s, s->start + 4000, SEVERITY_DEBUG, body);
        if (l) {
            record_end(t, l);
        }
    }
    if (op->log.n) {
        struct log_record *l =
            record_begin(t, s, s->end - (s->end - s->start) / 32, SEVERITY_INFO, fill(t, op->log));
        if (l) {
            attrs_text(&t->attrs, LIT("enduser.id"), fill(t, LIT("%u")));
            attrs_text(&t->attrs, LIT("app.order.id"), fill(t, LIT("%o")));
            record_end(t, l);
        }
    }
    if (op->kind == OP_HTTP && (language == LANG_GO || language == LANG_NODE)) {
        log_access(t, s, op, r);
    }
}

void log_retry(struct traces *t, const struct span *s, const struct call *call, uint64_t wait)
{
    sl_bytes target =
        call->outsider ? call->outsider->host : topology_services[call->operation->service].name;
    text_begin(&t->text);
    text_add(&t->text, LIT("call to "));
    text_add(&t->text, target);
    text_add(&t->text, LIT(" failed with "));
    text_add(&t->text, code_name(call->result.code));
    text_add(&t->text, LIT(", attempt "));
    text_uint(&t->text, call->attempt + 2);
    text_add(&t->text, LIT(" in "));
    text_uint(&t->text, wait / 1000000);
    text_add(&t->text, LIT(" ms"));
    struct log_record *l = record_begin(t, s, call->result.end, SEVERITY_WARN, text_end(&t->text));
    if (l) {
        attrs_text(&t->attrs, LIT("server.address"), target);
        attrs_int(&t->attrs, LIT("retry.attempt"), call->attempt + 1);
        record_end(t, l);
    }
}

void log_degraded(struct traces *t, const struct span *s, uint64_t time, sl_bytes what)
{
    text_begin(&t->text);
    text_add(&t->text, what);
    text_add(&t->text, LIT(" is not available, continuing without it for user "));
    text_uint(&t->text, t->shopper.user);
    struct log_record *l = record_begin(t, s, time, SEVERITY_WARN, text_end(&t->text));
    if (l) {
        record_end(t, l);
    }
}
