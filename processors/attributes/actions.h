/* Lists of actions on attributes, for the processors `attributes` and `resource`. Compiled once and
 * then read-only; each lane has a runner of its own. The order of the actions counts: each sees what
 * the one before has left.
 * Source: internal/coreinternal/attraction of opentelemetry-collector-contrib. */
#ifndef SLUICE_PROCESSORS_ACTIONS_H
#define SLUICE_PROCESSORS_ACTIONS_H
#include "formats/digest/digest.h"
#include "formats/otlp/attr_edit.h"
#include "formats/otlp/decimal.h"
#include "formats/otlp/rewrite.h"
#include "formats/pattern/pattern.h"

struct action_config {
    sl_bytes key, action, pattern, from_attribute, from_context, converted_type;
    const sl_raw *value, *default_value;
};

extern const sl_struct action_struct;

struct actions;

/* `list` holds action_configs, which must outlive the actions, and is called `name` in errors. */
int32_t actions_compile(const sl_list *list, const char *name, struct actions **actions,
                        sl_error *error);
void actions_free(struct actions *actions);

struct actions_runner {
    const struct actions *actions;
    struct otlp_attr_edit edit;
    struct pattern_matcher *matcher;
    struct digest *sha256;
    sl_bytes
        *context; /* AnyValue messages from the delivery's metadata, one an action; or .p NULL */
    struct otlp_scratch context_texts;
};

int32_t actions_runner_init(struct actions_runner *runner, const struct actions *actions,
                            sl_error *error);
void actions_runner_deinit(struct actions_runner *runner);

/* Before the records of a delivery. False: no memory. */
bool actions_begin(struct actions_runner *runner, const sl_metadata *metadata);
/* Runs all actions on a record whose attributes are field `field`; to be returned from a rewriter's
 * call. */
enum otlp_verdict actions_run(struct actions_runner *runner, sl_bytes record, uint32_t field,
                              struct otlp_parts *parts);

#endif
