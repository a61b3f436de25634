/* Reads the command line of `sluice convert`. */
#include "commands/storage/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "Usage: sluice convert [OPTIONS] IN OUT\n"
    "\n"
    "Converts traces from one form to another. The end of a file's name tells its form:\n"
    "  .sluice  Sluice's blocks\n"
    "  .otlp    OTLP requests in protobuf, each after its length in 4 bytes, big-endian\n"
    "  .json    OTLP JSON, one request a line\n"
    "OUT may be - for standard output. A file that is there already is replaced once all is "
    "written.\n"
    "\n"
    "Options:\n"
    "  --input-format F, --output-format F   sluice, otlp or json, whatever the name says\n"
    "  --ids keep|derive   derive: blocks leave out the span ids, and readers make others (keep)\n"
    "  --time ns|us|ms     to what times are cut in blocks (ns: kept as they are)\n"
    "  --level N           of zstd for text in blocks, 1 to 22 (9)\n"
    "  --block MIB         OTLP bytes in one block, 1 to 1024 (32)\n";

/* Where a value stands in a list of words; UINT32_MAX: it does not. */
static uint32_t word_index(const char *value, const char *const *words)
{
    for (uint32_t i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

static int refuse(const char *option, const char *value, const char *expected)
{
    (void)fprintf(stderr, "sluice convert: %s %s: %s\n", option, value, expected);
    return STORAGE_USAGE;
}

static bool number(const char *value, unsigned long most, unsigned long *n)
{
    char *end;
    errno = 0;
    *n = strtoul(value, &end, 10);
    return *value >= '0' && *value <= '9' && *end == 0 && errno == 0 && *n >= 1 && *n <= most;
}

static int read_option(struct convert_options *o, const char *option, const char *value)
{
    static const char *const ids[] = {"keep", "derive", NULL};
    static const char *const times[] = {"ns", "us", "ms", NULL};
    static const uint32_t time_modes[] = {0, TRACE_MICROSECONDS, TRACE_MILLISECONDS};
    unsigned long n;
    if (strcmp(option, "--ids") == 0) {
        const uint32_t i = word_index(value, ids);
        o->writer.trace.mode |= i == 1 ? TRACE_DERIVED_IDS : 0u;
        return i < 2 ? STORAGE_OK : refuse(option, value, "keep or derive");
    }
    if (strcmp(option, "--time") == 0) {
        const uint32_t i = word_index(value, times);
        o->writer.trace.mode |= i < 3 ? time_modes[i] : 0;
        return i < 3 ? STORAGE_OK : refuse(option, value, "ns, us or ms");
    }
    if (strcmp(option, "--level") == 0) {
        const bool good = number(value, TRACE_LEVEL_MAX, &n);
        o->writer.trace.level = (uint32_t)n;
        return good ? STORAGE_OK : refuse(option, value, "a number from 1 to 22");
    }
    if (strcmp(option, "--block") == 0) {
        const bool good = number(value, 1024, &n);
        o->writer.block_bytes = (uint64_t)n << 20;
        return good ? STORAGE_OK : refuse(option, value, "a number from 1 to 1024");
    }
    if (strcmp(option, "--input-format") == 0 || strcmp(option, "--output-format") == 0) {
        const enum file_format format = format_named(value);
        *(option[2] == 'i' ? &o->in_format : &o->writer.format) = format;
        return format < FORMATS ? STORAGE_OK : refuse(option, value, "sluice, otlp or json");
    }
    return refuse("unknown option", option, "see sluice convert --help");
}

/* Files whose form nothing has told get it from their names. */
static int find_formats(struct convert_options *o)
{
    if (o->in_format == FORMATS) {
        o->in_format = format_of_path(o->in);
    }
    if (o->writer.format == FORMATS) {
        o->writer.format = format_of_path(o->out);
    }
    if (o->in_format == FORMATS || o->writer.format == FORMATS) {
        const bool in = o->in_format == FORMATS;
        (void)fprintf(stderr,
                      "sluice convert: %s: the name ends with none of .sluice, .otlp and .json; "
                      "%s says what it is\n",
                      in ? o->in : o->out, in ? "--input-format" : "--output-format");
        return STORAGE_USAGE;
    }
    return STORAGE_OK;
}

int convert_options_read(int argc, char **argv, struct convert_options *o)
{
    *o = (struct convert_options){.in_format = FORMATS,
                                  .writer = {.format = FORMATS, .block_bytes = 32 << 20}};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            (void)fputs(help, stdout);
            return STORAGE_HELP;
        }
        if (argv[i][0] == '-' && argv[i][1] != 0) {
            if (i + 1 == argc) {
                return refuse(argv[i], "", "needs a value");
            }
            const int status = read_option(o, argv[i], argv[i + 1]);
            if (status != STORAGE_OK) {
                return status;
            }
            i++;
        } else if (!o->in) {
            o->in = argv[i];
        } else if (!o->out) {
            o->out = argv[i];
        } else {
            return refuse("too many files:", argv[i], "IN and OUT");
        }
    }
    if (!o->in || !o->out) {
        (void)fputs(help, stderr);
        return STORAGE_USAGE;
    }
    return find_formats(o);
}
