/* Traces as people read them: a line each, or as a waterfall with the critical path. */
#include "commands/storage/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BAR = 40, LABEL = 60 };

static const struct set_span *span_at(const struct span_set *set, const struct set_trace *trace,
                                      uint32_t i)
{
    return &set->spans[set->places[trace->first + i].span];
}

static bool is_error(const struct set_span *span)
{
    return sl_message_number(sl_message_bytes(span->record, SPAN_STATUS), 3) == SL_SPAN_ERROR;
}

static uint64_t end_of(const struct set_span *span)
{
    return span->end > span->start ? span->end : span->start;
}

/* ---- facts ---- */

static uint32_t count_services(const struct span_set *set, const struct set_trace *trace)
{
    enum { MOST = 64 };
    sl_bytes seen[MOST];
    uint32_t n = 0;
    for (uint32_t i = 0; i < trace->n && n < MOST; i++) {
        const sl_bytes service = span_service(set, span_at(set, trace, i));
        uint32_t k = 0;
        while (k < n && !sl_eq(seen[k], service)) {
            k++;
        }
        if (k == n) {
            seen[n++] = service;
        }
    }
    return n;
}

struct child {
    uint64_t end;
    uint32_t span; /* of the trace */
};

static int compare_children(const void *left, const void *right)
{
    const struct child *a = left, *b = right;
    if (a->end != b->end) {
        return a->end > b->end ? -1 : 1;
    }
    return a->span > b->span ? -1 : a->span < b->span;
}

/* The children of a span, the last to end first. `last`: its child that starts last. */
static uint32_t sort_children(const struct span_set *set, const struct set_trace *trace,
                              uint32_t last, struct child *children)
{
    uint32_t n = 0;
    while (last != TRACE_NONE) {
        const uint32_t before = set->places[trace->first + last].sibling;
        children[n++] = (struct child){end_of(span_at(set, trace, last)), last};
        last = before == TRACE_NONE ? TRACE_NONE : before - trace->first;
    }
    if (n > 1) {
        qsort(children, n, sizeof *children, compare_children);
    }
    return n;
}

/* The critical path: what the trace's end waited for. Of the children of a span on it the last one
 * to end is on it, too, then the last one to end before that one's start, and so on. Children stand
 * behind their parents, so one walk over the spans finds them all. */
static bool mark_critical(struct trace_facts *facts, const struct span_set *set,
                          const struct set_trace *trace)
{
    const struct set_place *places = set->places + trace->first;
    uint32_t *last = malloc((size_t)trace->n * sizeof *last); /* child of each span */
    struct child *children = malloc((size_t)trace->n * sizeof *children);
    for (uint32_t i = 0; last && children && i < trace->n; i++) {
        last[i] = TRACE_NONE;
        if (places[i].parent != TRACE_NONE) {
            last[places[i].parent - trace->first] = i;
        }
    }
    facts->critical[0] = 1;
    for (uint32_t i = 0; last && children && i < trace->n; i++) {
        if (!facts->critical[i]) {
            continue;
        }
        const uint32_t n = sort_children(set, trace, last[i], children);
        uint64_t until = UINT64_MAX; /* a child may well end after its parent */
        for (uint32_t k = 0; k < n; k++) {
            if (children[k].end <= until) {
                facts->critical[children[k].span] = 1;
                until = span_at(set, trace, children[k].span)->start;
            }
        }
    }
    const bool fine = last && children;
    free(last);
    free(children);
    return fine;
}

bool trace_facts_make(struct trace_facts *f, const struct span_set *set,
                      const struct set_trace *trace)
{
    *f = (struct trace_facts){.start = UINT64_MAX};
    f->depths = calloc((size_t)trace->n + 1, sizeof *f->depths);
    f->critical = calloc((size_t)trace->n + 1, 1);
    uint32_t *widths = calloc((size_t)trace->n + 2, sizeof *widths);
    if (!f->depths || !f->critical || !widths || !mark_critical(f, set, trace)) {
        free(widths);
        trace_facts_free(f);
        return false;
    }
    for (uint32_t i = 0; i < trace->n; i++) {
        const struct set_span *span = span_at(set, trace, i);
        const uint32_t parent = set->places[trace->first + i].parent;
        f->depths[i] = parent == TRACE_NONE ? 1 : f->depths[parent - trace->first] + 1;
        f->depth = f->depths[i] > f->depth ? f->depths[i] : f->depth;
        widths[f->depths[i]]++;
        f->width = widths[f->depths[i]] > f->width ? widths[f->depths[i]] : f->width;
        f->start = span->start < f->start ? span->start : f->start;
        f->end = end_of(span) > f->end ? end_of(span) : f->end;
        f->errors += is_error(span);
    }
    f->services = count_services(set, trace);
    free(widths);
    return true;
}

void trace_facts_free(struct trace_facts *f)
{
    free(f->depths);
    free(f->critical);
    *f = (struct trace_facts){0};
}

/* ---- printing ---- */

/* Bytes that a terminal might take for commands become dots. */
static void print_text(sl_bytes text, size_t most)
{
    for (size_t i = 0; i < text.n && i < most; i++) {
        (void)putchar(text.p[i] < 0x20 || text.p[i] == 0x7f ? '.' : text.p[i]);
    }
}

static void print_id(const struct set_trace *trace)
{
    (void)printf("%016" PRIx64 "%016" PRIx64, trace->high, trace->low);
}

static void print_time(uint64_t ns)
{
    const time_t seconds = (time_t)(ns / 1000000000);
    struct tm parts;
    char date[32] = "?";
    if (gmtime_r(&seconds, &parts)) {
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    }
    (void)printf("%s.%03uZ", date, (unsigned)(ns / 1000000 % 1000));
}

void print_table_head(void)
{
    (void)printf("%-32s  %-24s  %12s  %6s %8s %6s %5s %5s  %s\n", "trace", "start", "ms", "spans",
                 "services", "errors", "depth", "width", "root");
}

void print_table_line(const struct span_set *set, const struct set_trace *trace,
                      const struct trace_facts *f)
{
    const struct set_span *root = span_at(set, trace, 0);
    print_id(trace);
    (void)fputs("  ", stdout);
    print_time(f->start);
    (void)printf("  %12.3f  %6u %8u %6u %5u %5u  ", (double)(f->end - f->start) / 1e6, trace->n,
                 f->services, f->errors, f->depth, f->width);
    print_text(span_service(set, root), LABEL);
    (void)fputs(": ", stdout);
    print_text(sl_message_bytes(root->record, SPAN_NAME), 2 * LABEL);
    (void)putchar('\n');
}

static void print_bar(const struct trace_facts *f, const struct set_span *span, char mark)
{
    const double all = f->end > f->start ? (double)(f->end - f->start) : 1;
    int from = (int)((double)(span->start - f->start) / all * BAR);
    int to = (int)((double)(end_of(span) - f->start) / all * BAR + 0.5);
    from = from < BAR ? from : BAR - 1;
    to = to > from ? to : from + 1;
    (void)putchar('|');
    for (int i = 0; i < BAR; i++) {
        (void)putchar(i >= from && i < to ? mark : ' ');
    }
    (void)putchar('|');
}

void print_waterfall(const struct span_set *set, const struct set_trace *trace,
                     const struct trace_facts *f)
{
    (void)fputs("trace ", stdout);
    print_id(trace);
    (void)fputs("  ", stdout);
    print_time(f->start);
    (void)printf("  %.3f ms, %u spans, %u services, %u errors; # is on the critical path\n",
                 (double)(f->end - f->start) / 1e6, trace->n, f->services, f->errors);
    for (uint32_t i = 0; i < trace->n; i++) {
        const struct set_span *span = span_at(set, trace, i);
        const int indent = (int)(f->depths[i] < 20 ? f->depths[i] : 20);
        print_bar(f, span, f->critical[i] ? '#' : '-');
        (void)printf(" %10.3f ms %s%*s", (double)(end_of(span) - span->start) / 1e6,
                     is_error(span) ? "!" : " ", indent, "");
        print_text(span_service(set, span), LABEL);
        (void)fputs(": ", stdout);
        print_text(sl_message_bytes(span->record, SPAN_NAME), 2 * LABEL);
        (void)putchar('\n');
    }
}

void trace_request(const struct span_set *set, const struct set_trace *trace, sl_writer *to)
{
    uint32_t scope = TRACE_NONE;
    size_t record_mark = 0, scope_mark = 0;
    for (uint32_t i = 0; i < trace->n; i++) {
        const struct set_span *span = span_at(set, trace, i);
        if (span->scope != scope) {
            if (scope != TRACE_NONE) {
                sl_write_end(to, scope_mark);
                sl_write_end(to, record_mark);
            }
            scope = span->scope;
            record_mark = sl_write_begin_sized(to, 1, 4096);
            sl_write_raw(to, set->resources[set->scopes[scope].resource]);
            scope_mark = sl_write_begin_sized(to, 2, 4096);
            sl_write_raw(to, set->scopes[scope].head);
        }
        sl_write_bytes(to, 2, span->record);
    }
    if (scope != TRACE_NONE) {
        sl_write_end(to, scope_mark);
        sl_write_end(to, record_mark);
    }
}
