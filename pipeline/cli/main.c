/* sluice: finds the command and runs it. */
#include "pipeline/cli/options.h"
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Payload buffers are pooled by the runtime. For the rest two arenas are enough. What is freed
 * stays with the process while it is busy - giving it back and faulting it in again was a fifth of
 * the gRPC path's CPU - and goes back to the system when it rests (service.c). */
static void tune_allocator(void)
{
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
}

/* A command that is a program of its own stands beside sluice in a build tree, and in libexec where
 * it is installed. Returns only when there is none. */
static int run_program(const struct cli_command *c, char **argv)
{
    char self[4096], path[4096 + 256];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    (void)snprintf(path, sizeof path, "%s/%s", self, c->program);
    (void)execv(path, argv);
    (void)snprintf(path, sizeof path, "%s/%s/%s", self, SLUICE_LIBEXEC_DIRECTORY, c->program);
    (void)execv(path, argv);
    (void)fprintf(stderr, "sluice %s: the program %s is neither in %s nor in %s/%s\n", c->name,
                  c->program, self, self, SLUICE_LIBEXEC_DIRECTORY);
    return CLI_FAILED;
}

static const struct cli_command *find_command(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        cli_print_usage(stderr);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        if (argc > 2 && find_command(argv[2]) && !find_command(argv[2])->program)
            cli_print_help(find_command(argv[2]), stdout);
        else
            cli_print_usage(stdout);
        return CLI_OK;
    }
    const bool is_version = !strcmp(argv[1], "--version") || !strcmp(argv[1], "-v");
    const struct cli_command *c = find_command(is_version ? "version" : argv[1]);
    /* As the Collector: options alone mean run. */
    if (!c && argv[1][0] == '-') {
        c = find_command("run");
        return c->run(c, argc, argv);
    }
    if (!c) {
        (void)fprintf(stderr, "sluice: unknown command \"%s\"\n\n", argv[1]);
        cli_print_usage(stderr);
        return CLI_USAGE;
    }
    return c->program ? run_program(c, argv + 1) : c->run(c, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    tune_allocator();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* whoever writes a file hears EFBIG instead */
    return cli_flush_output(run_command(argc, argv));
}
