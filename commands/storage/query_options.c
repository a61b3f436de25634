/* Reads the command line of `sluice query`. */
#include "commands/storage/query.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char help[] =
    "Usage: sluice query [OPTIONS] FILE|FOLDER...\n"
    "\n"
    "Finds traces in files of Sluice's blocks, and in folders the files that end with .sluice: "
    "those\n"
    "with a span that has all that is asked for. Blocks that cannot have one are not read.\n"
    "\n"
    "Options:\n"
    "  --trace ID          of 32 hexadecimal digits\n"
    "  --service NAME      the resource's service.name\n"
    "  --operation NAME    the span's name\n"
    "  --attribute K=V     of the span; may be given several times\n"
    "  --errors            with status error\n"
    "  --min-duration D    such as 250ms or 1.5s (ns, us, ms, s, m)\n"
    "  --max-duration D\n"
    "  --since TIME        that starts not before; 2025-09-15T10:00:00Z, or seconds since 1970\n"
    "  --until TIME        that starts not after\n"
    "  --limit N           traces (20)\n"
    "  --output FORM       table, json (OTLP JSON, a trace a line), jaeger (its JSON) or "
    "waterfall\n"
    "                      (table; with --trace: waterfall)\n"
    "\n"
    "Exit code 1 where nothing is found.\n";

static int refuse(const char *option, const char *value, const char *expected)
{
    (void)fprintf(stderr, "sluice query: %s %s: %s\n", option, value, expected);
    return STORAGE_USAGE;
}

static bool read_id(const char *text, uint8_t id[16])
{
    if (strlen(text) != 32 || strspn(text, "0123456789abcdefABCDEF") != 32) {
        return false;
    }
    for (size_t i = 0; i < 16; i++) {
        const char digits[3] = {text[2 * i], text[2 * i + 1], 0};
        id[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static bool read_duration(const char *text, uint64_t *ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}};
    char *end;
    const double v = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0 && end > text && v >= 0 && v * units[i].ns < 1e19) {
            *ns = (uint64_t)(v * units[i].ns);
            return true;
        }
    }
    return false;
}

static bool read_time(const char *text, uint64_t *ns)
{
    struct tm parts = {0};
    char *end;
    const double seconds = strtod(text, &end);
    if (end > text && *end == 0 && seconds >= 0 && seconds < 1e10) {
        *ns = (uint64_t)(seconds * 1e9);
        return true;
    }
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    const time_t whole = rest && strcmp(rest, "Z") == 0 ? timegm(&parts) : -1;
    *ns = (uint64_t)whole * 1000000000;
    return whole >= 0;
}

static int read_attribute(struct query_options *o, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || o->n_attributes == QUERY_ATTRIBUTES) {
        return refuse("--attribute", value, equals ? "there are too many" : "KEY=VALUE");
    }
    o->attributes[o->n_attributes].key = sl_slice(value, (size_t)(equals - value));
    o->attributes[o->n_attributes++].value = sl_str(equals + 1);
    return STORAGE_OK;
}

static int read_limit(struct query_options *o, const char *value)
{
    char *end;
    errno = 0;
    const unsigned long n = strtoul(value, &end, 10);
    o->limit = (uint32_t)n;
    return *value >= '0' && *value <= '9' && *end == 0 && errno == 0 && n > 0 && n <= 1000000
               ? STORAGE_OK
               : refuse("--limit", value, "a number from 1 to 1000000");
}

static int read_output(struct query_options *o, const char *value)
{
    static const char *const forms[] = {"table", "json", "jaeger", "waterfall"};
    for (uint32_t i = 0; i < 4; i++) {
        if (strcmp(forms[i], value) == 0) {
            o->output = (enum query_output)i;
            return STORAGE_OK;
        }
    }
    return refuse("--output", value, "table, json, jaeger or waterfall");
}

static int read_option(struct query_options *o, const char *option, const char *value,
                       bool *output_given)
{
    struct trace_query *q = &o->query;
    static const char duration[] = "a duration such as 250ms or 1.5s";
    static const char moment[] = "a time such as 2025-09-15T10:00:00Z, or seconds since 1970";
    if (strcmp(option, "--trace") == 0) {
        q->by_id = read_id(value, q->trace_id);
        return q->by_id ? STORAGE_OK : refuse(option, value, "32 hexadecimal digits");
    }
    if (strcmp(option, "--service") == 0) {
        q->service = sl_str(value);
        return STORAGE_OK;
    }
    if (strcmp(option, "--operation") == 0) {
        q->name = sl_str(value);
        return STORAGE_OK;
    }
    if (strcmp(option, "--attribute") == 0) {
        return read_attribute(o, value);
    }
    if (strcmp(option, "--min-duration") == 0) {
        return read_duration(value, &q->min_ns) ? STORAGE_OK : refuse(option, value, duration);
    }
    if (strcmp(option, "--max-duration") == 0) {
        return read_duration(value, &q->max_ns) ? STORAGE_OK : refuse(option, value, duration);
    }
    if (strcmp(option, "--since") == 0) {
        return read_time(value, &q->from_ns) ? STORAGE_OK : refuse(option, value, moment);
    }
    if (strcmp(option, "--until") == 0) {
        return read_time(value, &q->to_ns) ? STORAGE_OK : refuse(option, value, moment);
    }
    if (strcmp(option, "--limit") == 0) {
        return read_limit(o, value);
    }
    if (strcmp(option, "--output") == 0) {
        *output_given = true;
        return read_output(o, value);
    }
    return refuse("unknown option", option, "see sluice query --help");
}

int query_options_read(int argc, char **argv, struct query_options *o)
{
    bool output_given = false;
    int n_paths = 0;
    *o = (struct query_options){.limit = 20};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            (void)fputs(help, stdout);
            return STORAGE_HELP;
        }
        if (strcmp(argv[i], "--errors") == 0) {
            o->query.errors = true;
        } else if (argv[i][0] == '-') {
            if (i + 1 == argc) {
                return refuse(argv[i], "", "needs a value");
            }
            const int status = read_option(o, argv[i], argv[i + 1], &output_given);
            if (status != STORAGE_OK) {
                return status;
            }
            i++;
        } else {
            argv[n_paths++] = argv[i]; /* paths come to the front */
        }
    }
    if (n_paths == 0) {
        (void)fputs(help, stderr);
        return STORAGE_USAGE;
    }
    o->paths = (const char *const *)argv;
    o->n_paths = (uint32_t)n_paths;
    if (!output_given && o->query.by_id) {
        o->output = OUTPUT_WATERFALL;
    }
    return STORAGE_OK;
}
