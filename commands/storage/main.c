/* sluice-storage, which `sluice convert`, `inspect` and `query` start: a program of its own, so that
 * `sluice` does not carry what only stored traces need. */
#include "commands/storage/commands.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        {"convert", convert_command}, {"inspect", inspect_command}, {"query", query_command}};
    for (size_t i = 0; argc > 0 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[0], commands[i].name) == 0) {
            const int status = commands[i].run(argc, argv);
            const bool flushed = fflush(stdout) == 0;
            return status == STORAGE_HELP ? STORAGE_OK : flushed ? status : STORAGE_FAILED;
        }
    }
    (void)fputs("sluice-storage: sluice convert, inspect and query start this program\n", stderr);
    return STORAGE_USAGE;
}
