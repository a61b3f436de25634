/* Fuzz target: OTTL conditions on records that nobody checked. The first byte chooses the context, the
 * second how long the condition is; the rest is the record, which stands for every message. */
#include "formats/otlp/view_entries.h"
#include "formats/ottl/ottl.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const size_t left = size - 2, n = data[1] < left ? data[1] : left;
    const sl_bytes text = sl_slice(data + 2, n), record = sl_slice(data + 2 + n, left - n);
    const enum ottl_context context = (enum ottl_context)(data[0] % OTTL_CONTEXTS);
    static const uint32_t types[] = {SL_METRIC_GAUGE, SL_METRIC_HISTOGRAM, SL_METRIC_EXPONENTIAL,
                                     SL_METRIC_SUMMARY};
    struct ottl *condition = NULL;
    sl_error error = {.size = sizeof error};
    size_t at = 0;
    (void)ottl_infer(text);
    if (ottl_compile(context, text, &condition, &at, &error) != SL_OK) {
        if (at > text.n || !error.text[0]) {
            abort();
        }
        return 0;
    }
    sl_span span;
    sl_log_record log;
    sl_event event;
    sl_repeated events = sl_repeated_of(record, 11);
    (void)otlp_read_span(record, &span);
    (void)otlp_read_log(record, &log);
    (void)sl_event_next(&events, &event);
    const struct ottl_subject subject = {.resource = record,
                                         .scope = record,
                                         .span = &span,
                                         .event = &event,
                                         .log = &log,
                                         .metric = record,
                                         .point = record,
                                         .metric_type = types[data[0] / OTTL_CONTEXTS % 4]};
    struct ottl_machine *machine = ottl_machine_create();
    if (machine) {
        (void)ottl_eval(condition, machine, &subject, &error);
    }
    ottl_machine_free(machine);
    ottl_free(condition);
    return 0;
}
