/* The same as the pages for people, for programs. */
#include "extensions/zpages/escape.h"
#include "extensions/zpages/page.h"

#include <inttypes.h>

static void member(struct page *p, const char *name, const char *text)
{
    (void)fprintf(p->out, "\"%s\":", name);
    put_json(p->out, text);
}

/* The comma in front of all elements of a list but the first. */
static void next(struct page *p)
{
    if (p->rows++)
        (void)fputc(',', p->out);
}

static void node(struct page *p, const sl_node_info *n)
{
    (void)fputc('{', p->out);
    member(p, "name", n->name);
    (void)fprintf(p->out, ",\"kind\":\"%s\",\"status\":\"%s\"", kind_name(n->kind),
                  status_name(n->status));
    if (n->text[0]) {
        (void)fputc(',', p->out);
        member(p, "status_text", n->text);
    }
}

/* ---- errors ---- */

static void problem(void *ctx, const sl_log_line *l)
{
    struct page *p = ctx;
    char when[40];
    next(p);
    (void)fprintf(p->out, "{\"at\":\"%s\",\"level\":\"%s\",\"count\":%" PRIu64 ",",
                  time_text(l->at_ns, when), level_name(l->level), l->count);
    member(p, "component", l->component);
    (void)fputc(',', p->out);
    member(p, "text", l->text);
    (void)fputc('}', p->out);
}

static void problems(struct page *p)
{
    p->rows = 0;
    (void)fputs("\"errors\":[", p->out);
    (void)p->inspect->problems(p->host, problem, p);
    (void)fputc(']', p->out);
}

void json_errors(struct page *p)
{
    (void)fputc('{', p->out);
    problems(p);
    (void)fputs("}\n", p->out);
}

/* ---- the process ---- */

void json_service(struct page *p)
{
    sl_process_info i = {.size = sizeof i};
    char when[40];
    p->inspect->process(p->host, &i);
    (void)fputc('{', p->out);
    member(p, "version", i.version);
    (void)fprintf(p->out,
                  ",\"pid\":%" PRId64
                  ",\"ready\":%s,\"ready_since\":\"%s\",\"memory\":{\"limit\":%" PRIu64
                  ",\"used\":%" PRIu64 ",\"pooled\":%" PRIu64 "},",
                  i.pid, p->process->healthy(p->host) ? "true" : "false",
                  time_text(p->process->up_since(p->host), when), i.memory_limit, i.memory_used,
                  i.memory_pooled);
    problems(p);
    (void)fputs("}\n", p->out);
}

/* ---- pipelines ---- */

static void counted_node(struct page *p, const sl_node_info *n)
{
    const struct rate rate = rates_of(p->rates, n, p->now_ns);
    node(p, n);
    (void)fprintf(p->out,
                  ",\"received\":%" PRIu64 ",\"received_per_second\":%.3f,\"forwarded\":%" PRIu64
                  ",\"delivered\":%" PRIu64 ",\"absorbed\":%" PRIu64 ",\"dropped\":%" PRIu64
                  ",\"expired\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"rejected\":%" PRIu64
                  ",\"out_per_second\":%.3f,\"held\":%" PRIu64,
                  n->received, rate.in, n->forwarded, n->ended[SL_DELIVERED], n->ended[SL_ABSORBED],
                  n->ended[SL_DROPPED], n->ended[SL_EXPIRED], n->ended[SL_FAILED],
                  n->ended[SL_REJECTED], rate.out, n->held);
    if (n->kind == SL_KIND_exporter)
        (void)fprintf(p->out, ",\"held_bytes\":%" PRIu64 ",\"in_flight\":%u", n->held_bytes,
                      n->in_flight);
    if (n->queue_capacity)
        (void)fprintf(p->out, ",\"queue_size\":%" PRIu64 ",\"queue_capacity\":%" PRIu64,
                      n->queue_size, n->queue_capacity);
    (void)fputc('}', p->out);
}

static void pipeline(void *ctx, const sl_pipeline_info *i)
{
    struct page *p = ctx;
    next(p);
    (void)fputc('{', p->out);
    member(p, "name", i->name);
    (void)fprintf(p->out,
                  ",\"signal\":\"%s\",\"lanes\":%u,\"waiting\":%" PRIu64
                  ",\"waiting_bytes\":%" PRIu64 ",\"components\":[",
                  signal_name(i->signal), i->lanes, i->waiting, i->waiting_bytes);
    for (uint32_t n = 0; n < i->n_nodes; n++) {
        if (n)
            (void)fputc(',', p->out);
        counted_node(p, i->nodes[n]);
    }
    (void)fputs("]}", p->out);
}

void json_pipelines(struct page *p)
{
    (void)fprintf(p->out, "{\"rates_over_seconds\":%.3f,\"pipelines\":[",
                  (double)(p->now_ns - p->rates->before.at_ns) / 1e9);
    (void)p->inspect->pipelines(p->host, pipeline, p);
    (void)fputs("]}\n", p->out);
}

/* ---- extensions ---- */

static void extension(void *ctx, const sl_node_info *n)
{
    struct page *p = ctx;
    next(p);
    node(p, n);
    (void)fputc('}', p->out);
}

void json_extensions(struct page *p)
{
    (void)fputs("{\"extensions\":[", p->out);
    (void)p->inspect->extensions(p->host, extension, p);
    (void)fputs("]}\n", p->out);
}
