/* The command line of `sluice generate`. */
#ifndef SLUICE_GENERATE_OPTIONS_H
#define SLUICE_GENERATE_OPTIONS_H

#include "commands/generate/output.h"
#include "commands/generate/send.h"
#include "commands/generate/stream.h"

enum { FROM_MAX = 16, HEADERS_MAX = 32 };

struct options {
    struct stream_options stream; /* without sink */
    struct send_options send;
    struct send_header headers[HEADERS_MAX];
    const char *from[FROM_MAX]; /* recorded files instead of generated telemetry */
    uint32_t from_count;
    const char *folder;
    const char *file;
    const char *to;
    enum output_format format;
    bool json;     /* the report */
    bool progress; /* even where standard error is no terminal */
    bool help;
};

/* Pointers lead into argv, and headers are cut there. On failure the error says which argument is
 * wrong and why. */
enum sl_status options_parse(struct options *o, int argc, char **argv, sl_error *error);

extern const char options_usage[];

#endif
