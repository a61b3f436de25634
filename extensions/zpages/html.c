/* The pages for people: plain HTML, no scripts, nothing from another address. */
#include "extensions/zpages/escape.h"
#include "extensions/zpages/page.h"

#include <inttypes.h>

const char style_sheet[] =
    "body{font:14px/1.5 system-ui,sans-serif;margin:1.5em;max-width:110em}\n"
    "nav a{margin-right:1em}\n"
    "h1{font-size:1.4em}h2{font-size:1.15em;margin-top:1.6em}\n"
    "table{border-collapse:collapse}\n"
    "th,td{padding:.15em .7em;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".bad{color:#b00020;font-weight:bold}.low{color:#777}\n"
    "@media(prefers-color-scheme:dark){body{background:#151515;color:#ddd}a{color:#8ab4f8}\n"
    "th,td{border-color:#444}.bad{color:#ff7b7b}}\n";

static void begin(struct page *p, const char *title)
{
    (void)fprintf(
        p->out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<title>%s - Sluice</title>\n<link rel=\"stylesheet\" href=\"/debug/style.css\">\n"
        "</head>\n<body>\n<nav><a href=\"/debug/servicez\">servicez</a>"
        "<a href=\"/debug/pipelinez\">pipelinez</a><a href=\"/debug/extensionz\">extensionz</a>"
        "<a href=\"/debug/errorz\">errorz</a></nav>\n<h1>%s</h1>\n",
        title, title);
}

static void end(struct page *p)
{
    (void)fputs("</body>\n</html>\n", p->out);
}

/* ---- cells ---- */

static void cell(struct page *p, const char *text)
{
    (void)fputs("<td>", p->out);
    put_html(p->out, text);
    (void)fputs("</td>", p->out);
}

/* A number that is bad news unless it is 0. */
static void bad_cell(struct page *p, uint64_t n)
{
    (void)fprintf(p->out, "<td class=\"n%s\">%" PRIu64 "</td>", n ? " bad" : " low", n);
}

static void number_cell(struct page *p, uint64_t n)
{
    (void)fprintf(p->out, "<td class=\"n\">%" PRIu64 "</td>", n);
}

static void rate_cell(struct page *p, double rate)
{
    (void)fprintf(p->out, "<td class=\"n\">%.*f</td>", rate > 0 && rate < 100 ? 1 : 0, rate);
}

static void status_cell(struct page *p, const sl_node_info *n)
{
    (void)fprintf(p->out, "<td%s>%s", n->status >= SL_STATUS_RECOVERABLE ? " class=\"bad\"" : "",
                  status_name(n->status));
    if (n->text[0]) {
        (void)fputs(": ", p->out);
        put_html(p->out, n->text);
    }
    (void)fputs("</td>", p->out);
}

static void bytes_text(struct page *p, uint64_t n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint32_t unit = 0;
    double value = (double)n;
    for (; value >= 1024 && unit < 6; unit++)
        value /= 1024;
    (void)fprintf(p->out, "%.*f %s", unit ? 1 : 0, value, units[unit]);
}

static void row(struct page *p, const char *name, const char *value)
{
    (void)fprintf(p->out, "<tr><th>%s</th>", name);
    cell(p, value);
    (void)fputs("</tr>\n", p->out);
}

static void bytes_row(struct page *p, const char *name, uint64_t n)
{
    (void)fprintf(p->out, "<tr><th>%s</th><td>", name);
    bytes_text(p, n);
    (void)fputs("</td></tr>\n", p->out);
}

/* ---- errors ---- */

static void error_row(void *ctx, const sl_log_line *l)
{
    struct page *p = ctx;
    char when[40];
    if (p->rows++ == 0)
        (void)fputs("<table>\n<tr><th>last at</th><th>level</th><th>component</th>"
                    "<th class=\"n\">times</th><th>text</th></tr>\n",
                    p->out);
    (void)fputs("<tr>", p->out);
    cell(p, time_text(l->at_ns, when));
    (void)fprintf(p->out, "<td%s>%s</td>", l->level >= SL_LOG_ERROR ? " class=\"bad\"" : "",
                  level_name(l->level));
    cell(p, l->component);
    number_cell(p, l->count);
    cell(p, l->text);
    (void)fputs("</tr>\n", p->out);
}

static void errors(struct page *p)
{
    p->rows = 0;
    if (p->inspect->problems(p->host, error_row, p) != SL_OK)
        (void)fputs("<p>No memory to show them.</p>\n", p->out);
    (void)fputs(p->rows ? "</table>\n" : "<p>None.</p>\n", p->out);
}

void html_errors(struct page *p)
{
    begin(p, "errorz");
    (void)fputs("<p>The latest warnings and errors of the log, and sends that are tried again; "
                "each text once.</p>\n",
                p->out);
    errors(p);
    end(p);
}

/* ---- the process ---- */

void html_service(struct page *p)
{
    sl_process_info i = {.size = sizeof i};
    char text[80], when[40];
    p->inspect->process(p->host, &i);
    begin(p, "servicez");
    (void)fputs("<table>\n", p->out);
    row(p, "version", i.version);
    (void)snprintf(text, sizeof text, "%" PRId64, i.pid);
    row(p, "process", text);
    row(p, "state", p->process->healthy(p->host) ? "ready" : "not ready");
    row(p, "ready since", time_text(p->process->up_since(p->host), when));
    bytes_row(p, "memory in use", i.memory_used);
    if (i.memory_limit)
        bytes_row(p, "memory budget", i.memory_limit);
    else
        row(p, "memory budget", "no limit");
    bytes_row(p, "memory kept for reuse", i.memory_pooled);
    (void)fputs("</table>\n<h2>Latest warnings and errors</h2>\n", p->out);
    errors(p);
    end(p);
}

/* ---- pipelines ---- */

static void node_row(struct page *p, const sl_node_info *n)
{
    const struct rate rate = rates_of(p->rates, n, p->now_ns);
    (void)fputs("<tr>", p->out);
    cell(p, n->name);
    cell(p, kind_name(n->kind));
    status_cell(p, n);
    number_cell(p, n->received);
    rate_cell(p, rate.in);
    number_cell(p, node_out(n));
    rate_cell(p, rate.out);
    number_cell(p, n->ended[SL_DROPPED] + n->ended[SL_ABSORBED]);
    bad_cell(p, n->ended[SL_EXPIRED]);
    bad_cell(p, n->ended[SL_FAILED]);
    bad_cell(p, n->ended[SL_REJECTED]);
    number_cell(p, n->held);
    if (n->queue_capacity) {
        const double fill = (double)n->queue_size / (double)n->queue_capacity;
        (void)fprintf(p->out,
                      "<td>%" PRIu64 " of %" PRIu64 " <meter value=\"%.3f\" high=\"0.8\"></meter>"
                      "</td>",
                      n->queue_size, n->queue_capacity, fill < 1 ? fill : 1);
    } else {
        (void)fputs("<td></td>", p->out);
    }
    (void)fputs("</tr>\n", p->out);
}

static void pipeline_table(void *ctx, const sl_pipeline_info *i)
{
    struct page *p = ctx;
    (void)fputs("<h2>", p->out);
    put_html(p->out, i->name);
    (void)fprintf(p->out, "</h2>\n<p>%u lane%s; waiting for %s: %" PRIu64 " requests, ", i->lanes,
                  i->lanes == 1 ? "" : "s", i->lanes == 1 ? "it" : "them", i->waiting);
    bytes_text(p, i->waiting_bytes);
    (void)fputs("</p>\n<table>\n<tr><th>component</th><th>kind</th><th>status</th>"
                "<th class=\"n\">in</th><th class=\"n\">in/s</th><th class=\"n\">out</th>"
                "<th class=\"n\">out/s</th><th class=\"n\">dropped</th><th class=\"n\">expired</th>"
                "<th class=\"n\">failed</th><th class=\"n\">rejected</th><th class=\"n\">held</th>"
                "<th>queue</th></tr>\n",
                p->out);
    for (uint32_t n = 0; n < i->n_nodes; n++)
        node_row(p, i->nodes[n]);
    (void)fputs("</table>\n", p->out);
}

void html_pipelines(struct page *p)
{
    begin(p, "pipelinez");
    (void)fprintf(
        p->out,
        "<p>Spans, metric points or log records, of all pipelines of the same signal that "
        "a component is in. Rates are of the last %.1f seconds.</p>\n",
        (double)(p->now_ns - p->rates->before.at_ns) / 1e9);
    if (p->inspect->pipelines(p->host, pipeline_table, p) != SL_OK)
        (void)fputs("<p>No memory to show them.</p>\n", p->out);
    end(p);
}

/* ---- extensions ---- */

static void extension_row(void *ctx, const sl_node_info *n)
{
    struct page *p = ctx;
    (void)fputs("<tr>", p->out);
    cell(p, n->name);
    status_cell(p, n);
    (void)fputs("</tr>\n", p->out);
}

void html_extensions(struct page *p)
{
    begin(p, "extensionz");
    (void)fputs("<table>\n<tr><th>extension</th><th>status</th></tr>\n", p->out);
    if (p->inspect->extensions(p->host, extension_row, p) != SL_OK)
        (void)fputs("<tr><td colspan=\"2\">No memory to show them.</td></tr>\n", p->out);
    (void)fputs("</table>\n", p->out);
    end(p);
}
