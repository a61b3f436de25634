/* The processors `attributes` and `resource`: actions on the attributes of items, and of resources.
 * Only records that change are written anew. Each lane has an instance; the components are
 * read-only. */
#include "formats/match/match.h"
#include "formats/otlp/rewrite_delivery.h"
#include "formats/otlp/view_entries.h"
#include "processors/attributes/actions.h"

struct attributes_config {
    sl_base base;
    sl_list actions;
    uint8_t has_include, has_exclude;
    struct match_config include_config, exclude_config;

    /* set by prepare */
    struct actions *compiled;
    struct match *include, *exclude;
    struct decimal_powers powers;
};

struct resource_config {
    sl_base base;
    sl_list attributes;
    struct actions *compiled; /* set by prepare */
};

struct instance {
    struct otlp_delivery_rewriter rewriter;
    struct actions_runner actions;
    const struct attributes_config *config; /* NULL: resource */
    struct match_scratch match;
    uint32_t signal;  /* of the delivery at hand */
    bool resource_in; /* does what is in the resource and scope at hand come into question? */
    bool scope_in, metric_in; /* of them, what is in the scope, the metric at hand */
    bool scope_out;           /* exclude leaves it to the item */
    bool resource_out;
};

/* ---- who comes into question ---- */

/* `exclude` leaves out an item for which all of its properties match, on all levels. */
static enum otlp_verdict see_resource(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct instance *in = ctx;
    const struct attributes_config *c = in->config;
    (void)parts;
    in->resource_in = !c->include || match_resource(c->include, &in->match, record);
    in->resource_out = c->exclude && match_resource(c->exclude, &in->match, record);
    in->scope_in = in->resource_in;
    in->scope_out = in->resource_out;
    in->metric_in = true;
    return OTLP_KEEP;
}

static enum otlp_verdict see_scope(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct instance *in = ctx;
    const struct attributes_config *c = in->config;
    (void)parts;
    in->scope_in = in->resource_in && (!c->include || match_scope(c->include, &in->match, record));
    in->scope_out =
        in->resource_out && (!c->exclude || match_scope(c->exclude, &in->match, record));
    return OTLP_KEEP;
}

static enum otlp_verdict see_metric(void *ctx, sl_bytes record)
{
    struct instance *in = ctx;
    const struct attributes_config *c = in->config;
    const sl_bytes name = sl_message_bytes(record, 1);
    in->metric_in = in->scope_in && (!c->include || match_metric(c->include, &in->match, name)) &&
                    !(in->scope_out && match_metric(c->exclude, &in->match, name));
    return OTLP_KEEP;
}

static bool item_in(struct instance *in, sl_bytes record)
{
    const struct attributes_config *c = in->config;
    sl_span span;
    sl_log_record log;
    if (in->signal == SL_METRICS) {
        return in->metric_in;
    }
    if (!in->scope_in) {
        return false;
    }
    if (in->signal == SL_TRACES) {
        return otlp_read_span(record, &span) &&
               (!c->include || match_span(c->include, &in->match, &span)) &&
               !(in->scope_out && match_span(c->exclude, &in->match, &span));
    }
    return otlp_read_log(record, &log) &&
           (!c->include || match_log(c->include, &in->match, &log)) &&
           !(in->scope_out && match_log(c->exclude, &in->match, &log));
}

/* ---- what is done ---- */

static enum otlp_verdict change_item(void *ctx, sl_bytes record, uint32_t metric_type,
                                     struct otlp_parts *parts)
{
    struct instance *in = ctx;
    const struct attributes_config *c = in->config;
    if ((c->include || c->exclude) && !item_in(in, record)) {
        return OTLP_KEEP;
    }
    return actions_run(&in->actions, record, otlp_attrs_field(in->signal, metric_type), parts);
}

static enum otlp_verdict change_resource(void *ctx, sl_bytes record, struct otlp_parts *parts)
{
    struct instance *in = ctx;
    return actions_run(&in->actions, record, 1, parts);
}

static int32_t process(void *instance, sl_delivery *d)
{
    struct instance *in = instance;
    const struct attributes_config *c = in->config;
    struct otlp_rewrite_calls calls = {.resource = change_resource};
    if (!actions_begin(&in->actions, d->metadata))
        return SL_ERR_NOMEM;
    if (!d->payload)
        return SL_ERR_STATE;
    in->signal = d->payload->signal;
    if (c) {
        const bool rules = c->include || c->exclude;
        const bool scopes = (c->include && match_asks_scope(c->include)) ||
                            (c->exclude && match_asks_scope(c->exclude));
        calls = (struct otlp_rewrite_calls){
            .resource = rules ? see_resource : NULL,
            .scope = scopes ? see_scope : NULL,
            .metric = rules ? see_metric : NULL,
            .item = change_item,
        };
    }
    return otlp_rewrite_delivery(&in->rewriter, d, &calls, in, NULL, NULL);
}

/* ---- life ---- */

static void close_lane(void *instance)
{
    struct instance *in = instance;
    const sl_host *h = in->rewriter.host;
    actions_runner_deinit(&in->actions);
    pattern_matcher_free(in->match.matcher);
    otlp_scratch_free(&in->match.texts);
    otlp_delivery_rewriter_deinit(&in->rewriter);
    sl_release(h, in);
}

static int32_t open_lane(const sl_host *lane, const struct actions *actions,
                         const struct attributes_config *config, void **instance, sl_error *error)
{
    struct instance *in = sl_allocate(lane, sizeof *in);
    if (!in)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for a lane");
    *in = (struct instance){.config = config};
    int32_t status = otlp_delivery_rewriter_init(&in->rewriter, lane, error);
    if (status == SL_OK)
        status = actions_runner_init(&in->actions, actions, error);
    if (status == SL_OK && config) {
        in->match.powers = &config->powers;
        in->match.matcher = pattern_matcher_create(0);
        if (!in->match.matcher)
            status = sl_fail(error, SL_ERR_NOMEM, "no memory for a lane");
    }
    if (status != SL_OK) {
        close_lane(in);
        return status;
    }
    *instance = in;
    return SL_OK;
}

static int32_t open_attributes(void *component, const sl_host *lane, void **instance,
                               sl_error *error)
{
    const struct attributes_config *c = component;
    return open_lane(lane, c->compiled, c, instance, error);
}

static int32_t open_resource(void *component, const sl_host *lane, void **instance, sl_error *error)
{
    const struct resource_config *c = component;
    return open_lane(lane, c->compiled, NULL, instance, error);
}

static int32_t prepare_attributes(void *component, sl_error *error)
{
    struct attributes_config *c = component;
    decimal_powers_init(&c->powers);
    int32_t status = actions_compile(&c->actions, "actions", &c->compiled, error);
    if (status == SL_OK && c->has_include)
        status = match_compile(&c->include_config, "include", &c->include, error);
    if (status == SL_OK && c->has_exclude)
        status = match_compile(&c->exclude_config, "exclude", &c->exclude, error);
    return status;
}

static int32_t prepare_resource(void *component, sl_error *error)
{
    struct resource_config *c = component;
    return actions_compile(&c->attributes, "attributes", &c->compiled, error);
}

static void destroy_attributes(void *component)
{
    struct attributes_config *c = component;
    actions_free(c->compiled);
    match_free(c->include);
    match_free(c->exclude);
}

static void destroy_resource(void *component)
{
    struct resource_config *c = component;
    actions_free(c->compiled);
}

static const sl_field attributes_fields[] = {
    SL_LIST(struct attributes_config, actions, &action_struct, "What is done, one after the other.",
            .flags = SL_REQUIRED),
    {.key = "include",
     .kind = SL_FIELD_STRUCT,
     .of = &match_struct,
     .offset = (uint32_t)offsetof(struct attributes_config, include_config),
     .help = "Only items that match are changed.",
     SL_PRESENT(struct attributes_config, has_include)},
    {.key = "exclude",
     .kind = SL_FIELD_STRUCT,
     .of = &match_struct,
     .offset = (uint32_t)offsetof(struct attributes_config, exclude_config),
     .help = "Items that match are not changed, also those that include takes.",
     SL_PRESENT(struct attributes_config, has_exclude)},
    SL_END};

static const sl_field resource_fields[] = {
    SL_LIST(struct resource_config, attributes, &action_struct,
            "What is done, one after the other.", .flags = SL_REQUIRED),
    SL_END};

SL_TYPE(processor, attributes, .signals = SL_TRACES | SL_METRICS | SL_LOGS, .flags = SL_MUTATES,
        .stability = SL_BETA, SL_CONFIG(struct attributes_config, attributes_fields),
        .prepare = prepare_attributes, .destroy = destroy_attributes, .open = open_attributes,
        .close = close_lane, .process = process,
        .help = "Inserts, updates, deletes, hashes, extracts and converts attributes of spans, log "
                "records and metric points.");
SL_TYPE(processor, resource, .signals = SL_TRACES | SL_METRICS | SL_LOGS, .flags = SL_MUTATES,
        .stability = SL_BETA, SL_CONFIG(struct resource_config, resource_fields),
        .prepare = prepare_resource, .destroy = destroy_resource, .open = open_resource,
        .close = close_lane, .process = process,
        .help = "Inserts, updates, deletes, hashes, extracts and converts attributes of resources, "
                "without copying what is in them.");
SL_PLUGIN("0.1.0", &sl_type_attributes, &sl_type_resource);
