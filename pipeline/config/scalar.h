/* What a scalar means: null, booleans, numbers as the collector's YAML reads them; durations as Go
 * writes them; sizes. Pure functions. */
#ifndef SLUICE_CONFIG_SCALAR_H
#define SLUICE_CONFIG_SCALAR_H
#include <sluice/plugin.h>

enum scalar_type { SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT, SCALAR_TEXT };

/* By the characters of a plain scalar. */
enum scalar_type scalar_type(sl_bytes text);

/* SL_OK, SL_ERR_INVALID (not of this form), SL_ERR_TOO_LARGE (does not fit). */
int32_t scalar_bool(sl_bytes text, bool *v);
int32_t scalar_i64(sl_bytes text, int64_t *v);
int32_t scalar_u64(sl_bytes text, uint64_t *v);
int32_t scalar_f64(sl_bytes text, double *v);
/* "1h2m3.5s", "-1.5ms"; a unit is needed, except for "0". */
int32_t scalar_duration(sl_bytes text, int64_t *ns);
/* "64KiB", "2MB", "1.5GiB", "4096". */
int32_t scalar_size(sl_bytes text, uint64_t *bytes);

/* The shortest text that reads back as the same; `out` has room for 48 bytes. */
void scalar_write_duration(int64_t ns, char *out);
void scalar_write_size(uint64_t bytes, char *out);
void scalar_write_f64(double v, char *out);

#endif
