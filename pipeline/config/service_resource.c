/* service.telemetry.resource: attributes of the process itself, as a map or, as the Collector writes
 * it today, as a list of names and values. Control thread only. */
#include "pipeline/config/service_internal.h"

/* Keys that stand beside the list. */
static const char *const not_attributes[] = {"schema_url", "attributes_list",
                                             "detection/development", NULL};

static bool is_attribute(sl_bytes key)
{
    for (uint32_t i = 0; not_attributes[i]; i++)
        if (sl_eq(key, sl_str(not_attributes[i])))
            return false;
    return true;
}

/* A later one goes before an earlier one of the same name. */
static void put(struct service_config *s, sl_bytes name, const struct config_node *value,
                struct config_diagnostics *d)
{
    if (value->kind != CONFIG_SCALAR && value->kind != CONFIG_NULL) {
        diagnostics_add(d, CONFIG_ERROR, value->at,
                        "the attribute \"%.*s\" of service.telemetry.resource wants one value, "
                        "found %s",
                        (int)name.n, (const char *)name.p, config_kind_name(value));
        return;
    }
    uint32_t i = 0;
    while (i < s->n_resource && !sl_eq(sl_str(s->resource[i].name), name))
        i++;
    s->n_resource += i == s->n_resource;
    s->resource[i].name = (const char *)name.p;
    s->resource[i].value = value->kind == CONFIG_NULL ? NULL : (const char *)value->text.p;
}

static void put_list(struct service_config *s, const struct config_node *list,
                     struct config_diagnostics *d)
{
    for (const struct config_node *c = list->first; c; c = c->next) {
        const struct config_node *name = config_find(c, sl_str("name"));
        const struct config_node *value = config_find(c, sl_str("value"));
        if (name && value && name->kind == CONFIG_SCALAR)
            put(s, name->text, value, d);
        else
            diagnostics_add(d, CONFIG_ERROR, c->at,
                            "an attribute of service.telemetry.resource wants a \"name\" and a "
                            "\"value\"");
    }
}

void service_settle_resource(struct service_config *s, const struct config_node *resource,
                             struct config_diagnostics *d)
{
    if (!resource || resource->kind == CONFIG_NULL)
        return;
    if (resource->kind != CONFIG_MAP) {
        diagnostics_add(d, CONFIG_ERROR, resource->at,
                        "\"telemetry.resource\" of service wants a map, found %s",
                        config_kind_name(resource));
        return;
    }
    const struct config_node *list = config_find(resource, sl_str("attributes"));
    list = list && list->kind == CONFIG_LIST ? list : NULL;
    s->resource = arena_take_array(&s->arena, (size_t)resource->n + (list ? list->n : 0),
                                   sizeof *s->resource);
    if (!s->resource) {
        diagnostics_no_memory(d);
        return;
    }
    for (const struct config_node *c = resource->first; c; c = c->next) {
        if (!is_attribute(c->key))
            diagnostics_add(d, CONFIG_NOTE, c->key_at,
                            "\"telemetry.resource.%s\" of service has no effect in Sluice: write "
                            "the attributes themselves",
                            (const char *)c->key.p);
        else if (c != list)
            put(s, c->key, c, d);
    }
    if (list)
        put_list(s, list, d);
}
