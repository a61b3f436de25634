/* Fuzz target: the probabilistic sampler. The first byte chooses signal, mode and percentage, the rest
 * is a span's or log record's message. What is written into an item that is kept can be read again,
 * and says the same. */
#include "formats/otlp/view_entries.h"
#include "processors/probabilistic_sampler/sampler.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

static void check_again(const struct item *was, struct item *again)
{
    require(!again->malformed);
    require(sl_eq(again->state.threshold_text, was->state.threshold_text));
    require(sl_eq(again->state.randomness_text, was->state.randomness_text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const double percentages[] = {0, 0.001, 10, 50, 99.9, 100, 250};
    if (size == 0 || size > 1 << 16) {
        return 0;
    }
    struct sampler s = {.mode = data[0] / 2 % 3,
                        .sampling_percentage = percentages[data[0] / 6 % 7],
                        .sampling_precision = 1 + data[0] % HEX_DIGITS,
                        .attribute_source = data[0] >> 7,
                        .fail_closed = data[0] % 5 == 0,
                        .from_attribute = sl_str("from"),
                        .sampling_priority = sl_str("priority")};
    const sl_bytes record = sl_slice(data + 1, size - 1);
    char scratch[2][32];
    struct item item, again;
    sampler_prepare(&s);
    uint8_t *fresh = malloc(size + 2 * TRACESTATE_ROOM);
    sl_writer out = sl_writer_fixed(fresh, fresh ? size + 2 * TRACESTATE_ROOM : 0);
    if (data[0] % 2) {
        sl_span span;
        if (!otlp_read_span(record, &span)) { /* the host hands out nothing else */
            free(fresh);
            return 0;
        }
        span_read(&span, &item);
        sampler_decide(&s, &item);
        if (item.changed) {
            span_write(&span, &item, &out);
            require(otlp_read_span(sl_written(&out), &span));
            span_read(&span, &again);
        }
    } else {
        sl_log_record log;
        if (!otlp_read_log(record, &log)) {
            free(fresh);
            return 0;
        }
        log_read(&s, &log, &item, scratch[0]);
        sampler_decide(&s, &item);
        if (item.changed) {
            log_write(&log, &item, &out);
            require(otlp_read_log(sl_written(&out), &log));
            log_read(&s, &log, &again, scratch[1]);
        }
    }
    if (item.changed && !out.failed) {
        check_again(&item, &again);
    }
    free(fresh);
    return 0;
}
