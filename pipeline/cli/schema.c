/* `sluice config`: what may stand in a configuration as a whole, as a JSON Schema for editors, and
 * the part that belongs to no component as Markdown for the reference. Main thread. */
#include "pipeline/cli/schema.h"
#include "pipeline/cli/installed.h"
#include "pipeline/config/describe.h"
#include "pipeline/graph/component.h"
#include <stdlib.h>

enum { SECTIONS = INSTALLED_KINDS - 1 };

/* `arg` is the comma in front. An alias has the definition of its type. */
static int print_definition(const struct plugin_file *file, const sl_type *type,
                            const char *version, const char *name, void *arg)
{
    (void)file;
    (void)version;
    char pointer[160];
    (void)snprintf(pointer, sizeof pointer, "/definitions/%s.%s", service_kind_name(type->kind),
                   type->name);
    (void)printf("%s\"%s.%s\":", (const char *)arg, service_kind_name(type->kind), name);
    if (strcmp(name, type->name)) {
        (void)printf("{\"$ref\":\"#%s\"}", pointer);
        return CLI_OK;
    }
    sl_field *fields = installed_fields(type);
    const int32_t status =
        fields ? describe_json_part(stdout, fields, pointer, type->help, NULL) : SL_ERR_NOMEM;
    free(fields);
    return status == SL_OK ? CLI_OK : CLI_FAILED;
}

/* The types of one kind, each once: where two files have the same name, the first counts. */
static int each_type(const struct plugin_registry *r, uint32_t kind,
                     int (*print)(const struct plugin_file *, uint32_t kind, const char *name,
                                  const char *comma),
                     const char *comma)
{
    for (uint32_t i = 0; i < plugin_registry_files(r); i++) {
        const struct plugin_file *f = plugin_registry_at(r, i);
        for (uint32_t t = 0; t < f->n_types; t++) {
            if (f->types[t].kind != kind ||
                plugin_registry_next(r, kind, sl_str(f->types[t].name), NULL) != f)
                continue;
            const int code = print(f, kind, f->types[t].name, comma);
            if (code)
                return code;
            comma = ",";
        }
    }
    return CLI_OK;
}

static int define(const struct plugin_file *file, uint32_t kind, const char *name,
                  const char *comma)
{
    char before[2];
    (void)snprintf(before, sizeof before, "%s", comma);
    return installed_describe(file, kind, name, print_definition, before);
}

/* Editors propose `properties`; names of one's own are only matched. */
static int refer(const struct plugin_file *file, uint32_t kind, const char *name, const char *comma)
{
    (void)file;
    (void)printf("%s\"%s\":{\"$ref\":\"#/definitions/%s.%s\"}", comma, name,
                 service_kind_name(kind), name);
    return CLI_OK;
}

static int refer_named(const struct plugin_file *file, uint32_t kind, const char *name,
                       const char *comma)
{
    (void)file;
    (void)printf("%s\"^%s/.+$\":{\"$ref\":\"#/definitions/%s.%s\"}", comma, name,
                 service_kind_name(kind), name);
    return CLI_OK;
}

static void print_pipelines(void)
{
    (void)printf("\"service.pipelines\":{\"description\":\"Which components make up each "
                 "pipeline.\",\"type\":[\"object\",\"string\"],\"pattern\":\"[$][{]\","
                 "\"minProperties\":1,\"properties\":{");
    const char *comma = "";
    for (uint32_t s = 0; s < SIGNALS; s++) {
        (void)printf("%s\"%s\":{\"$ref\":\"#/definitions/service.pipeline\"}", comma,
                     service_signal_name(1u << s));
        comma = ",";
    }
    (void)printf("},\"patternProperties\":{\"^(");
    comma = "";
    for (uint32_t s = 0; s < SIGNALS; s++) {
        (void)printf("%s%s", comma, service_signal_name(1u << s));
        comma = "|";
    }
    (void)printf(")/.+$\":{\"$ref\":\"#/definitions/service.pipeline\"}},"
                 "\"additionalProperties\":false},");
}

static int print_schema(const struct plugin_registry *r)
{
    static const struct describe_reference references[] = {
        {"pipelines", "/definitions/service.pipelines"}, {NULL, NULL}};
    int code = CLI_OK;
    (void)printf("{\"$schema\":\"" DESCRIBE_SCHEMA
                 "\",\"title\":\"Configuration of Sluice %s\",\"type\":\"object\","
                 "\"required\":[\"service\"],\"additionalProperties\":false,\"properties\":{",
                 SLUICE_VERSION);
    for (uint32_t k = 0; k < SECTIONS && code == CLI_OK; k++) {
        const uint32_t kind = installed_kinds[k];
        (void)printf("\"%s\":{\"description\":\"The %s, each as type or type/name.\",\"type\":["
                     "\"object\",\"string\",\"null\"],\"pattern\":\"[$][{]\",\"properties\":{",
                     service_section_name(kind), service_section_name(kind));
        (void)each_type(r, kind, refer, "");
        (void)printf("},\"patternProperties\":{");
        (void)each_type(r, kind, refer_named, "");
        (void)printf("},\"additionalProperties\":false},");
    }
    (void)printf("\"service\":{\"$ref\":\"#/definitions/service\"}},\"definitions\":{");
    print_pipelines();
    (void)printf("\"service\":");
    (void)describe_json_part(stdout, service_fields(), "/definitions/service",
                             "What runs, and what the process itself is told.", references);
    (void)printf(",\"service.pipeline\":");
    (void)describe_json_part(stdout, service_pipeline_fields(), "/definitions/service.pipeline",
                             "The way of one signal.", NULL);
    for (uint32_t k = 0; k < SECTIONS && code == CLI_OK; k++)
        code = each_type(r, installed_kinds[k], define, ",");
    (void)printf("}}\n");
    return code;
}

static void print_service_reference(void)
{
    (void)printf("# `service`\n\nWhich components run, how pipelines join them, and what the "
                 "process itself is told.\n\n## Keys\n\n");
    (void)describe_markdown(stdout, service_fields());
    (void)printf("\n## Keys of each pipeline\n\n"
                 "A pipeline stands under `service.pipelines` as its signal, ");
    for (uint32_t s = 0; s < SIGNALS; s++)
        (void)printf("%s`%s`", s ? ", " : "", service_signal_name(1u << s));
    (void)printf(", or as the signal and a name of its own, `traces/in`.\n\n");
    (void)describe_markdown(stdout, service_pipeline_fields());
}

int config_describe(const struct cli_values *v)
{
    const char *what = v->n_arguments == 1 ? v->arguments[0] : "";
    if (!strcmp(what, "service")) {
        print_service_reference();
        return CLI_OK;
    }
    if (strcmp(what, "schema")) {
        (void)fprintf(stderr, "sluice config: say schema or service\n"
                              "Try: sluice config --help\n");
        return CLI_USAGE;
    }
    struct plugin_registry *r = installed_scan(v);
    if (!r)
        return CLI_FAILED;
    const int code = print_schema(r);
    plugin_registry_destroy(r);
    return code;
}
