/* The known word nearest to a misspelt one: Damerau-Levenshtein with adjacent letters swapped, for
 * words of up to 64 characters. Pure functions. */
#ifndef SLUICE_CONFIG_NEAREST_H
#define SLUICE_CONFIG_NEAREST_H
#include <sluice/plugin.h>

struct nearest {
    sl_bytes word;
    unsigned distance;
    const char *found; /* NULL: nothing is near */
};

struct nearest nearest_to(sl_bytes word);
void nearest_try(struct nearest *n, const char *known);

#endif
