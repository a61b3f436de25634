/* The known word nearest to a misspelt one. Pure functions. */
#include "pipeline/config/nearest.h"
#include <ctype.h>

#define LONGEST 64u

/* The optimal string alignment distance; letters differ by case for nothing. */
static unsigned distance(sl_bytes a, sl_bytes b)
{
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (unsigned j = 0; j <= b.n; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            int x = tolower(a.p[i - 1]), y = tolower(b.p[j - 1]);
            unsigned best = last[j - 1] + (x != y);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && x == tolower(b.p[j - 2]) && tolower(a.p[i - 2]) == y &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        unsigned *reused = before;
        before = last;
        last = now;
        now = reused;
    }
    return last[b.n];
}

struct nearest nearest_to(sl_bytes word)
{
    /* A third of the letters may be wrong, but not more than four. */
    unsigned allowed = word.n < 3 ? 1 : word.n / 3 > 4 ? 4 : (unsigned)(word.n / 3);
    return (struct nearest){.word = word, .distance = allowed + 1};
}

void nearest_try(struct nearest *n, const char *known)
{
    sl_bytes b = sl_str(known);
    if (n->word.n > LONGEST || b.n > LONGEST)
        return;
    unsigned d = distance(n->word, b);
    if (d < n->distance) {
        n->distance = d;
        n->found = known;
    }
}
