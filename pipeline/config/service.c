/* The collector's top level: sections of components, and the pipelines that refer to them. What is
 * named is looked up here, once; everything behind works with pointers. Control thread only. */
#include "pipeline/config/nearest.h"
#include "pipeline/config/service_internal.h"
#include <ctype.h>

#define MAX_MEMORY ((size_t)64 * 1024 * 1024)
#define MAX_TYPE 63u
#define MAX_NAME 1024u
#define MAX_COMPONENTS 4096u
#define MAX_PIPELINES 1024u

struct builder {
    struct service_config *s;
    const struct config_allocator *allocator;
    struct config_diagnostics *d;
    const struct config_node *root;
    bool no_memory;
};

static const struct {
    const char *section, *name;
} kinds[] = {{"", ""},
             {"receivers", "receiver"},
             {"processors", "processor"},
             {"exporters", "exporter"},
             {"connectors", "connector"},
             {"extensions", "extension"}};
static const struct {
    uint32_t signal;
    const char *name;
} signals[] = {
    {SL_TRACES, "traces"}, {SL_METRICS, "metrics"}, {SL_LOGS, "logs"}, {SL_PROFILES, "profiles"}};

const char *service_kind_name(uint32_t kind)
{
    return kind <= SL_KIND_extension ? kinds[kind].name : "";
}

const char *service_section_name(uint32_t kind)
{
    return kind <= SL_KIND_extension ? kinds[kind].section : "";
}

const char *service_signal_name(uint32_t signal)
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signals[i].signal == signal)
            return signals[i].name;
    return "";
}

const struct service_component *service_find(const struct service_config *s, uint32_t kind,
                                             const char *id)
{
    for (uint32_t i = 0; i < s->n_components; i++)
        if (s->components[i].kind == kind && strcmp(s->components[i].id, id) == 0)
            return &s->components[i];
    return NULL;
}

/* ---- ids ----------------------------------------------------------------------------------- */

static sl_bytes trimmed(sl_bytes t)
{
    while (t.n && isspace(t.p[0]))
        t = sl_slice(t.p + 1, t.n - 1);
    while (t.n && isspace(t.p[t.n - 1]))
        t.n--;
    return t;
}

/* Spaces, control characters and symbols may not stand in a name; of what is not ASCII, only the
 * spaces and formatting characters are known here. */
static bool name_character(sl_bytes t, size_t i)
{
    uint8_t c = t.p[i];
    if (c < 0x80)
        return c > 0x20 && c != 0x7f && !strchr("$+<=>^`|~", c);
    if (c == 0xc2 && i + 1 < t.n)
        return t.p[i + 1] > 0xa0; /* U+0080 to U+00A0 */
    if (i + 2 >= t.n)
        return true;
    uint32_t three = (uint32_t)c << 16 | (uint32_t)t.p[i + 1] << 8 | t.p[i + 2];
    return three != 0xe19a80 && !(three >= 0xe28080 && three <= 0xe2808f) &&
           !(three >= 0xe280a8 && three <= 0xe280af) && !(three >= 0xe2819f && three <= 0xe281af) &&
           three != 0xe38080 && three != 0xefbbbf;
}

struct id {
    const char *id, *type, *name;
};

static bool refuse_id(struct builder *b, sl_bytes text, struct config_place at, const char *why)
{
    diagnostics_add(b->d, CONFIG_ERROR, at, "\"%.*s\" is not an id: %s",
                    (int)(text.n < 100 ? text.n : 100), (const char *)text.p, why);
    return false;
}

/* type[/name] in its normal form. */
static bool read_id(struct builder *b, sl_bytes text, struct config_place at, struct id *out)
{
    const uint8_t *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
    sl_bytes type = slash ? sl_slice(text.p, (size_t)(slash - text.p)) : text, name = {NULL, 0};
    if (slash)
        name = trimmed(sl_slice(slash + 1, text.n - type.n - 1));
    type = trimmed(type);
    bool ok = type.n > 0 && type.n <= MAX_TYPE && isalpha(type.p[0]);
    for (size_t i = 0; ok && i < type.n; i++)
        ok = isalnum(type.p[i]) || type.p[i] == '_';
    if (!ok)
        return refuse_id(b, text, at,
                         "a type has 1 to 63 letters, digits and _, and begins with a letter");
    if (slash && (name.n == 0 || name.n > MAX_NAME))
        return refuse_id(b, text, at, "a name behind / has 1 to 1024 characters");
    for (size_t i = 0; i < name.n; i++)
        if (!name_character(name, i))
            return refuse_id(b, text, at, "a name has no spaces, control characters or symbols");
    char *id = arena_take(&b->s->arena, type.n + name.n + 2);
    sl_bytes type_copy = arena_copy(&b->s->arena, type.p, type.n);
    sl_bytes name_copy = arena_copy(&b->s->arena, name.p, name.n);
    if (!id || !type_copy.p || !name_copy.p) {
        b->no_memory = true;
        return false;
    }
    (void)snprintf(id, type.n + name.n + 2, slash ? "%s/%s" : "%s%s", (const char *)type_copy.p,
                   (const char *)name_copy.p);
    *out = (struct id){id, (const char *)type_copy.p, (const char *)name_copy.p};
    return true;
}

/* ---- components ---------------------------------------------------------------------------- */

static const struct config_node *section(struct builder *b, const char *key)
{
    const struct config_node *node = config_find(b->root, sl_str(key));
    if (node && node->kind != CONFIG_MAP && node->kind != CONFIG_NULL) {
        diagnostics_add(b->d, CONFIG_ERROR, node->at, "\"%s\" wants a map, found %s", key,
                        config_kind_name(node));
        return NULL;
    }
    return node;
}

static void add_component(struct builder *b, uint32_t kind, const struct config_node *c)
{
    struct service_config *s = b->s;
    struct id id;
    if (!read_id(b, c->key, c->key_at, &id))
        return;
    const struct service_component *twin = service_find(s, kind, id.id);
    if (twin) {
        diagnostics_add(b->d, CONFIG_ERROR, c->key_at, "%s \"%s\" is already defined at %s:%u:%u",
                        kinds[kind].name, id.id, twin->at.file ? twin->at.file : "", twin->at.line,
                        twin->at.column);
        return;
    }
    s->components[s->n_components++] = (struct service_component){
        .id = id.id, .type = id.type, .name = id.name, .kind = kind, .at = c->key_at, .node = c};
}

static void add_components(struct builder *b)
{
    uint32_t n = 0;
    const struct config_node *sections[SL_KIND_extension + 1] = {NULL};
    for (uint32_t kind = SL_KIND_receiver; kind <= SL_KIND_extension; kind++) {
        sections[kind] = section(b, kinds[kind].section);
        n += sections[kind] ? sections[kind]->n : 0;
    }
    if (n > MAX_COMPONENTS) {
        diagnostics_add(b->d, CONFIG_ERROR, b->root->at, "more than %u components", MAX_COMPONENTS);
        return;
    }
    b->s->components = arena_take_array(&b->s->arena, n, sizeof *b->s->components);
    if (!b->s->components) {
        b->no_memory = true;
        return;
    }
    for (uint32_t kind = SL_KIND_receiver; kind <= SL_KIND_extension; kind++)
        for (const struct config_node *c = sections[kind] ? sections[kind]->first : NULL; c;
             c = c->next)
            add_component(b, kind, c);
}

static void check_top_keys(struct builder *b)
{
    for (const struct config_node *c = b->root->first; c; c = c->next) {
        bool known = sl_eq(c->key, sl_str("service"));
        struct nearest near = nearest_to(c->key);
        nearest_try(&near, "service");
        for (uint32_t kind = SL_KIND_receiver; kind <= SL_KIND_extension; kind++) {
            known |= sl_eq(c->key, sl_str(kinds[kind].section));
            nearest_try(&near, kinds[kind].section);
        }
        if (!known && near.found)
            diagnostics_add(b->d, CONFIG_ERROR, c->key_at,
                            "unknown key \"%.100s\" at the top (nearest: \"%s\")",
                            (const char *)c->key.p, near.found);
        else if (!known)
            diagnostics_add(b->d, CONFIG_ERROR, c->key_at,
                            "unknown key \"%.100s\" at the top (known: receivers, processors, "
                            "exporters, connectors, extensions, service)",
                            (const char *)c->key.p);
    }
}

/* ---- references ---------------------------------------------------------------------------- */

static struct service_component *find(struct builder *b, uint32_t kind, const char *id)
{
    for (uint32_t i = 0; i < b->s->n_components; i++)
        if (b->s->components[i].kind == kind && strcmp(b->s->components[i].id, id) == 0)
            return &b->s->components[i];
    return NULL;
}

static void report_undefined(struct builder *b, uint32_t kind, uint32_t other, const char *id,
                             const char *what, struct config_place at)
{
    struct nearest near = nearest_to(sl_str(id));
    for (uint32_t i = 0; i < b->s->n_components; i++) {
        const struct service_component *c = &b->s->components[i];
        if (strcmp(c->id, id) == 0) {
            diagnostics_add(b->d, CONFIG_ERROR, at,
                            "%s wants %s \"%s\", but \"%s\" is defined under \"%s\"", what,
                            kinds[kind].name, id, id, kinds[c->kind].section);
            return;
        }
        if (c->kind == kind || c->kind == other)
            nearest_try(&near, c->id);
    }
    if (near.found)
        diagnostics_add(b->d, CONFIG_ERROR, at,
                        "%s wants %s \"%s\", which is not defined (nearest: \"%s\")", what,
                        kinds[kind].name, id, near.found);
    else
        diagnostics_add(b->d, CONFIG_ERROR, at,
                        "%s wants %s \"%s\", which is not defined; add it under \"%s\"", what,
                        kinds[kind].name, id, kinds[kind].section);
}

static struct service_ref *refer(struct builder *b, const char *what, uint32_t kind,
                                 const sl_list *ids, const struct config_node *node, uint32_t *n)
{
    uint32_t other = kind == SL_KIND_receiver || kind == SL_KIND_exporter ? SL_KIND_connector : 0;
    struct service_ref *refs = arena_take_array(&b->s->arena, ids->n, sizeof *refs);
    const struct config_node *c = node && node->kind == CONFIG_LIST ? node->first : NULL;
    *n = 0;
    b->no_memory |= !refs;
    for (uint32_t i = 0; i < ids->n && !b->no_memory; i++, c = c ? c->next : NULL) {
        struct config_place at = c ? c->at : node->at;
        struct id id;
        if (!read_id(b, *SL_LIST_AT(sl_bytes, *ids, i), at, &id))
            continue;
        struct service_component *to = find(b, kind, id.id);
        if (!to && other)
            to = find(b, other, id.id);
        if (!to) {
            report_undefined(b, kind, other, id.id, what, at);
            continue;
        }
        to->used = true;
        bool twice = false;
        for (uint32_t k = 0; k < *n; k++)
            twice |= refs[k].component == to;
        if (twice)
            diagnostics_add(b->d, kind == SL_KIND_processor ? CONFIG_ERROR : CONFIG_WARNING, at,
                            "%s names \"%s\" twice%s", what, id.id,
                            kind == SL_KIND_processor ? "" : "; it is used once");
        else
            refs[(*n)++] = (struct service_ref){to, at};
    }
    return refs;
}

/* ---- pipelines ----------------------------------------------------------------------------- */

static bool read_signal(struct builder *b, const struct config_node *c, const struct id *id,
                        uint32_t *signal)
{
    struct nearest near = nearest_to(sl_str(id->type));
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (strcmp(signals[i].name, id->type) == 0) {
            *signal = signals[i].signal;
            return true;
        }
        nearest_try(&near, signals[i].name);
    }
    diagnostics_add(b->d, CONFIG_ERROR, c->key_at,
                    "the pipeline \"%s\" is of no known signal (%s%s%s)", id->id,
                    near.found ? "nearest: \"" : "known: traces, metrics, logs, profiles",
                    near.found ? near.found : "", near.found ? "\"" : "");
    return false;
}

static void add_pipeline(struct builder *b, const struct config_node *c)
{
    struct service_config *s = b->s;
    struct service_pipeline p = {.at = c->key_at};
    struct id id;
    if (!read_id(b, c->key, c->key_at, &id) || !read_signal(b, c, &id, &p.signal))
        return;
    p.id = id.id;
    p.name = id.name;
    for (uint32_t i = 0; i < s->n_pipelines; i++) {
        if (strcmp(s->pipelines[i].id, p.id) == 0) {
            diagnostics_add(b->d, CONFIG_ERROR, c->key_at,
                            "the pipeline \"%s\" is already defined at %u:%u", p.id,
                            s->pipelines[i].at.line, s->pipelines[i].at.column);
            return;
        }
    }
    char what[160];
    (void)snprintf(what, sizeof what, "pipeline \"%.120s\"", p.id);
    struct config_part part = {service_pipeline_fields(), sizeof(struct service_pipeline_settings),
                               NULL};
    struct config_bound *bound;
    int32_t rc = config_bind(what, c, c->key_at, &part, 1, b->allocator, b->d, &bound);
    b->no_memory |= rc == SL_ERR_NOMEM;
    if (rc)
        return;
    const struct service_pipeline_settings *set = part.out;
    const struct config_node *receivers = config_find(c, sl_str("receivers"));
    const struct config_node *exporters = config_find(c, sl_str("exporters"));
    p.lanes = set->lanes;
    p.has_journal = set->has_journal;
    p.journal = set->journal;
    p.journal_at = p.at;
    if (p.has_journal) {
        const struct config_node *journal = config_find(c, sl_str("journal"));
        p.journal_at = journal->key_at;
        p.journal.storage = arena_copy(&s->arena, set->journal.storage.p, set->journal.storage.n);
        b->no_memory |= !p.journal.storage.p;
    }
    p.receivers = refer(b, what, SL_KIND_receiver, &set->receivers, receivers, &p.n_receivers);
    p.processors = refer(b, what, SL_KIND_processor, &set->processors,
                         config_find(c, sl_str("processors")), &p.n_processors);
    p.exporters = refer(b, what, SL_KIND_exporter, &set->exporters, exporters, &p.n_exporters);
    if (set->receivers.n == 0)
        diagnostics_add(b->d, CONFIG_ERROR, receivers->at, "%s has no receiver", what);
    if (set->exporters.n == 0)
        diagnostics_add(b->d, CONFIG_ERROR, exporters->at, "%s has no exporter", what);
    config_free(bound);
    s->pipelines[s->n_pipelines++] = p;
}

static void add_pipelines(struct builder *b, const struct config_node *service)
{
    const struct config_node *node = config_find(service, sl_str("pipelines"));
    if (!node)
        return; /* a missing key, and reported as such */
    if (node->kind != CONFIG_MAP || node->n == 0) {
        diagnostics_add(b->d, CONFIG_ERROR, node->at,
                        "\"pipelines\" wants a map with at least one pipeline, such as traces");
        return;
    }
    if (node->n > MAX_PIPELINES) {
        diagnostics_add(b->d, CONFIG_ERROR, node->at, "more than %u pipelines", MAX_PIPELINES);
        return;
    }
    b->s->pipelines = arena_take_array(&b->s->arena, node->n, sizeof *b->s->pipelines);
    b->no_memory |= !b->s->pipelines;
    for (const struct config_node *c = node->first; c && !b->no_memory; c = c->next)
        add_pipeline(b, c);
}

/* ---- what belongs together ----------------------------------------------------------------- */

static bool is_used_as(const struct builder *b, const struct service_component *c, bool receiver)
{
    for (uint32_t i = 0; i < b->s->n_pipelines; i++) {
        const struct service_pipeline *p = &b->s->pipelines[i];
        const struct service_ref *refs = receiver ? p->receivers : p->exporters;
        uint32_t n = receiver ? p->n_receivers : p->n_exporters;
        for (uint32_t k = 0; k < n; k++)
            if (refs[k].component == c)
                return true;
    }
    return false;
}

static void check_connector(struct builder *b, const struct service_component *c)
{
    static const uint32_t ends[] = {SL_KIND_receiver, SL_KIND_exporter};
    for (size_t i = 0; i < 2; i++)
        if (find(b, ends[i], c->id))
            diagnostics_add(b->d, CONFIG_ERROR, c->at,
                            "\"%s\" is both a connector and %s; give one of them another name",
                            c->id, i ? "an exporter" : "a receiver");
    bool from = is_used_as(b, c, false), to = is_used_as(b, c, true);
    if (from && !to)
        diagnostics_add(b->d, CONFIG_ERROR, c->at,
                        "connector \"%s\" is an exporter of a pipeline, but no pipeline has it as "
                        "a receiver",
                        c->id);
    if (to && !from)
        diagnostics_add(b->d, CONFIG_ERROR, c->at,
                        "connector \"%s\" is a receiver of a pipeline, but no pipeline has it as "
                        "an exporter",
                        c->id);
}

static void check_components(struct builder *b)
{
    for (uint32_t i = 0; i < b->s->n_components; i++) {
        const struct service_component *c = &b->s->components[i];
        if (c->kind == SL_KIND_connector)
            check_connector(b, c);
        if (!c->used)
            diagnostics_add(b->d, CONFIG_WARNING, c->at,
                            "%s \"%s\" is defined but not used; it is not started",
                            kinds[c->kind].name, c->id);
    }
}

static void bind_service(struct builder *b, const struct config_node *service)
{
    struct service_config *s = b->s;
    struct config_part part = {service_fields(), sizeof(struct service_settings), NULL};
    int32_t rc =
        config_bind("service", service, service->at, &part, 1, b->allocator, b->d, &s->bound);
    b->no_memory |= rc == SL_ERR_NOMEM;
    if (rc)
        return;
    const struct service_settings *set = part.out;
    service_settle(s, set, service, b->d);
    s->extensions = refer(b, "service", SL_KIND_extension, &set->extensions,
                          config_find(service, sl_str("extensions")), &s->n_extensions);
}

int32_t service_init(struct service_config *s, const struct config_tree *tree,
                     const struct config_allocator *allocator, struct config_diagnostics *d)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena, allocator, MAX_MEMORY);
    struct builder b = {.s = s, .allocator = allocator, .d = d, .root = tree->root};
    uint32_t errors = d->count[CONFIG_ERROR];
    check_top_keys(&b);
    add_components(&b);
    const struct config_node *service = section(&b, "service");
    if (!config_find(b.root, sl_str("service")))
        diagnostics_add(d, CONFIG_ERROR, b.root->at,
                        "missing key \"service\": it says which pipelines there are");
    if (service && !b.no_memory) {
        bind_service(&b, service);
        add_pipelines(&b, service);
        /* With a reference that leads nowhere, "not used" would only distract. */
        if (!b.no_memory && d->count[CONFIG_ERROR] == errors)
            check_components(&b);
    }
    if (b.no_memory)
        diagnostics_no_memory(d);
    return b.no_memory ? SL_ERR_NOMEM : d->count[CONFIG_ERROR] > errors ? SL_ERR_INVALID : SL_OK;
}

void service_deinit(struct service_config *s)
{
    config_free(s->bound);
    s->bound = NULL;
    arena_deinit(&s->arena);
}
