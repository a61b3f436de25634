#include "formats/trace/doubles.h"
#include <math.h>

enum { PLACES = 7, AS_BITS = PLACES };

static const double powers[PLACES] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

/* v * 10^places as a whole number, if dividing it gives v again to the last bit. */
static bool scaled(int64_t bits, uint32_t places, int64_t *whole)
{
    const double v = sl_get_double((uint64_t)bits);
    const double product = v * powers[places];
    if (!(fabs(product) < 0x1p53)) {
        return false;
    }
    *whole = (int64_t)llround(product);
    const double back = (double)*whole / powers[places];
    return memcmp(&back, &bits, sizeof back) == 0;
}

bool doubles_write(struct number_writer *w, const int64_t *bits, uint32_t n)
{
    if (n == 0) {
        return true;
    }
    int64_t *whole = malloc(n * sizeof *whole);
    if (!whole) {
        return false;
    }
    uint32_t places = 0;
    for (uint32_t i = 0; i < n && places < PLACES; i++) {
        while (places < PLACES && !scaled(bits[i], places, &whole[i])) {
            places++;
            i = 0; /* from the start, with more places */
        }
    }
    for (uint32_t i = 0; i < n && places < PLACES; i++) {
        places = scaled(bits[i], places, &whole[i]) ? places : AS_BITS;
    }
    write_number(&w->about, places);
    const bool fine = numbers_write(w, places < PLACES ? whole : bits, n);
    free(whole);
    return fine;
}

int32_t doubles_read(struct number_reader *r, int64_t *bits, uint32_t n)
{
    uint64_t places;
    if (n == 0) {
        return SL_OK;
    }
    if (!read_number(r, &places) || places > AS_BITS) {
        return SL_ERR_INVALID;
    }
    const int32_t status = numbers_read(r, bits, n);
    for (uint32_t i = 0; status == SL_OK && places < PLACES && i < n; i++) {
        const double v = (double)bits[i] / powers[places];
        memcpy(&bits[i], &v, sizeof v);
    }
    return status;
}
