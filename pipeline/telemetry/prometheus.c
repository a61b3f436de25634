/* Writes the metrics page. Any thread. */
#include "pipeline/telemetry/prometheus.h"
#include "pipeline/telemetry/utf8.h"

enum { PAGE_BUFFER = 4096, NAME_MAX_BYTES = 256, VALUE_BYTES = 64 };

struct page {
    const struct prometheus_options *options;
    void (*write)(void *ctx, sl_bytes part);
    void *ctx;
    size_t used;
    char name[NAME_MAX_BYTES]; /* of the family, with its suffixes */
    char buffer[PAGE_BUFFER];
};

static void flush(struct page *page)
{
    if (page->used)
        page->write(page->ctx, sl_slice(page->buffer, page->used));
    page->used = 0;
}

static void put(struct page *page, const void *bytes, size_t n)
{
    const char *from = bytes;
    while (n > 0) {
        if (page->used == PAGE_BUFFER)
            flush(page);
        size_t part = n < PAGE_BUFFER - page->used ? n : PAGE_BUFFER - page->used;
        memcpy(page->buffer + page->used, from, part);
        page->used += part;
        from += part;
        n -= part;
    }
}

static void put_text(struct page *page, const char *text)
{
    put(page, text, strlen(text));
}

/* Backslash and newline are escaped, in a label's value quotes too. */
static void put_escaped(struct page *page, const char *text, bool quotes)
{
    size_t n = strlen(text), i = 0;
    while (i < n) {
        const uint8_t *p = (const uint8_t *)text + i;
        size_t length = utf8_sequence(p, n - i);
        if (length == 0) {
            put_text(page, UTF8_REPLACEMENT);
            length = 1;
        } else if (*p == '\n') {
            put_text(page, "\\n");
        } else {
            if (*p == '\\' || (*p == '"' && quotes))
                put_text(page, "\\");
            put(page, p, length);
        }
        i += length;
    }
}

static void put_label(struct page *page, const char *key, const char *value, bool *first)
{
    put_text(page, *first ? "{" : ",");
    *first = false;
    for (const char *p = key; *p; p++) {
        bool ok = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
                  (*p >= '0' && *p <= '9' && p != key);
        put(page, ok ? p : "_", 1);
    }
    put_text(page, "=\"");
    put_escaped(page, value, true);
    put_text(page, "\"");
}

/* The stored integer over the divisor, exactly where the divisor is a power of ten. */
static void write_value(char text[VALUE_BYTES], int64_t value, int64_t divisor)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t d = (uint64_t)divisor;
    int digits = 0;
    for (uint64_t power = 1; power < d; power *= 10)
        digits++;
    size_t n = (size_t)snprintf(text, VALUE_BYTES, "%s%llu", value < 0 ? "-" : "",
                                (unsigned long long)(magnitude / d));
    if (magnitude % d != 0) {
        n += (size_t)snprintf(text + n, VALUE_BYTES - n, ".%0*llu", digits,
                              (unsigned long long)(magnitude % d));
        while (text[n - 1] == '0')
            text[--n] = '\0';
    }
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n >= s && strcmp(name + n - s, suffix) == 0;
}

static void append(char name[NAME_MAX_BYTES], const char *suffix)
{
    size_t n = strlen(name);
    (void)snprintf(name + n, NAME_MAX_BYTES - n, "%s", suffix);
}

/* As the OpenTelemetry SDK's exporter names metrics: a suffix that is there is not repeated, and
 * _total comes last. Units in braces are annotations. */
static void name_family(char name[NAME_MAX_BYTES], const struct metric_def *def,
                        const struct prometheus_options *options)
{
    bool total = ends_with(def->name, "_total");
    (void)snprintf(name, NAME_MAX_BYTES, "%s", def->name);
    const char *unit = strcmp(def->unit, "s") == 0    ? "_seconds"
                       : strcmp(def->unit, "By") == 0 ? "_bytes"
                                                      : "";
    if (options->units && *unit && !ends_with(name, unit) && !total)
        append(name, unit);
    if (options->type_suffix && def->kind == SL_COUNTER && !total)
        append(name, "_total");
}

static void put_head(struct page *page, const char *name, const char *help, const char *type)
{
    put_text(page, "# HELP ");
    put_text(page, name);
    put_text(page, " ");
    put_escaped(page, help, false);
    put_text(page, "\n# TYPE ");
    put_text(page, name);
    put_text(page, " ");
    put_text(page, type);
    put_text(page, "\n");
}

static void put_family(void *ctx, const struct metric_def *def)
{
    struct page *page = ctx;
    name_family(page->name, def, page->options);
    put_head(page, page->name, def->help,
             def->kind == SL_COUNTER         ? "counter"
             : def->kind == METRIC_HISTOGRAM ? "histogram"
                                             : "gauge");
}

/* A line; `le` NULL: not of a bucket. */
static void put_line(struct page *page, const char *suffix, const struct metric_label *labels,
                     uint32_t n_labels, const char *le, const char *value)
{
    bool first = true;
    put_text(page, page->name);
    put_text(page, suffix);
    for (uint32_t i = 0; i < n_labels; i++)
        put_label(page, labels[i].key, labels[i].value, &first);
    if (page->options->scope) {
        put_label(page, "otel_scope_name", "sluice", &first);
        put_label(page, "otel_scope_schema_url", "", &first);
        put_label(page, "otel_scope_version", page->options->version ? page->options->version : "",
                  &first);
    }
    if (le)
        put_label(page, "le", le, &first);
    put_text(page, first ? " " : "} ");
    put_text(page, value);
    put_text(page, "\n");
}

static void put_series(void *ctx, const struct metric_def *def, const struct metric_label *labels,
                       uint32_t n_labels, int64_t value)
{
    char text[VALUE_BYTES];
    write_value(text, value, def->divisor);
    put_line(ctx, "", labels, n_labels, NULL, text);
}

static void put_histogram(void *ctx, const struct metric_def *def,
                          const struct metric_label *labels, uint32_t n_labels, int64_t sum,
                          const uint64_t *counts)
{
    char le[VALUE_BYTES], text[VALUE_BYTES];
    uint64_t count = 0;
    for (uint32_t i = 0; i <= def->n_bounds; i++) {
        count += counts[i];
        if (i < def->n_bounds)
            write_value(le, def->bounds[i], def->divisor);
        write_value(text, (int64_t)count, 1);
        put_line(ctx, "_bucket", labels, n_labels, i < def->n_bounds ? le : "+Inf", text);
    }
    write_value(text, sum, def->divisor);
    put_line(ctx, "_sum", labels, n_labels, NULL, text);
    write_value(text, (int64_t)count, 1);
    put_line(ctx, "_count", labels, n_labels, NULL, text);
}

void prometheus_write(struct metrics *metrics, const struct prometheus_options *options,
                      void (*write)(void *ctx, sl_bytes part), void *ctx)
{
    static const struct prometheus_options defaults = {0};
    struct page page;
    struct metrics_visitor visitor = {&page, put_family, put_series, put_histogram};
    page.options = options ? options : &defaults;
    page.write = write;
    page.ctx = ctx;
    page.used = 0;
    metrics_visit(metrics, &visitor);
    if (page.options->n_resource > 0) {
        bool first = true;
        put_head(&page, "target_info", "Target metadata", "gauge");
        put_text(&page, "target_info");
        for (uint32_t i = 0; i < page.options->n_resource; i++)
            put_label(&page, page.options->resource[i].key, page.options->resource[i].value,
                      &first);
        put_text(&page, "} 1\n");
    }
    flush(&page);
}
