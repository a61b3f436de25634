/* The commands that work on stored traces, and their options. One thread. */
#ifndef SLUICE_STORAGE_COMMANDS_H
#define SLUICE_STORAGE_COMMANDS_H
#include "commands/storage/trace_files.h"

enum storage_exit {
    STORAGE_OK = 0,
    STORAGE_FAILED = 1,
    STORAGE_USAGE = 2,
    STORAGE_HELP = 3 /* help was asked for and given: the process ends with 0 */
};

/* argv[0] is the command's name. They return an exit code. */
int convert_command(int argc, char **argv);
int inspect_command(int argc, char **argv);
int query_command(int argc, char **argv);

struct convert_options {
    const char *in, *out;
    enum file_format in_format;
    struct writer_options writer;
};

/* STORAGE_OK, or what the process is to end with, after a message. */
int convert_options_read(int argc, char **argv, struct convert_options *options);

#endif
