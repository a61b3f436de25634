/* Memory for bytes whose number is not known beforehand: inflated bodies, transcoded JSON. */
#ifndef SLUICE_FORMATS_BYTE_TARGET_H
#define SLUICE_FORMATS_BYTE_TARGET_H
#include <stddef.h>
#include <stdint.h>

/* `grow` makes room for at least `capacity` bytes in all (more is welcome), keeps what is written,
 * and sets both outputs; any status but SL_OK ends the writing with that status. The first call has
 * nothing to keep. */
struct byte_target {
    void *ctx;
    int32_t (*grow)(void *ctx, size_t capacity, uint8_t **at, size_t *got);
};

#endif
