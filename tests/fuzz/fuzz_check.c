/* Fuzz target: the wire check. The first byte chooses the signal and the depth limit, the rest is
 * the request. What the quick check lets pass, the thorough one must, too. */
#include "formats/otlp/check_fast.h"
#include <stdlib.h>

/* The thorough check alone: the same code, with a quick check that never knows. */
static const uint8_t *never_known(enum otlp_type type, const uint8_t *p, const uint8_t *end,
                                  const uint8_t *limit, uint32_t max_depth, struct otlp_run *run)
{
    (void)type;
    (void)end;
    (void)limit;
    (void)max_depth;
    *run = (struct otlp_run){.records = 0};
    return p;
}
#define otlp_check_run never_known
#define otlp_check otlp_check_thorough
#include "formats/otlp/check.c"
#undef otlp_check
#undef otlp_check_run
int32_t otlp_check(uint32_t signal, const uint8_t *bytes, size_t n,
                   const struct otlp_limits *limits, struct otlp_checked *result, sl_error *error);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t signals[] = {SL_TRACES, SL_METRICS, SL_LOGS};
    if (size == 0) {
        return 0;
    }
    const uint32_t signal = signals[data[0] % 3];
    const struct otlp_limits limits = {.max_depth = data[0] / 3};
    struct otlp_checked quick = {.items = 0}, thorough = {.items = 0};
    sl_error errors[2] = {{.size = sizeof(sl_error)}, {.size = sizeof(sl_error)}};
    const int32_t status = otlp_check(signal, data + 1, size - 1, &limits, &quick, &errors[0]);
    if (otlp_check_thorough(signal, data + 1, size - 1, &limits, &thorough, &errors[1]) != status ||
        quick.items != thorough.items || quick.records != thorough.records ||
        strcmp(errors[0].text, errors[1].text) != 0) {
        abort();
    }
    return 0;
}
