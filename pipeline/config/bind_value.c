/* Single values of a bound config: what stands in the file against what the field's kind, bounds
 * and names allow. Control thread only. */
#include "pipeline/config/bind_internal.h"
#include "pipeline/config/nearest.h"
#include "pipeline/config/scalar.h"
#include <strings.h>

#define SHOWN 60 /* characters of a wrong value in a message */

const char *bind_path(const struct binder *b, const struct config_node *node, char *out)
{
    const struct config_node *way[CONFIG_MAX_DEPTH + 2];
    uint32_t n = 0;
    for (; node && node != b->top && n < CONFIG_MAX_DEPTH + 2; node = node->parent)
        way[n++] = node;
    size_t at = 0;
    out[0] = '\0';
    while (n-- > 0 && at < BIND_PATH - 1) {
        int more;
        if (way[n]->key.p) {
            more = snprintf(out + at, BIND_PATH - at, "%s%s", at ? "." : "",
                            (const char *)way[n]->key.p);
        } else {
            uint32_t i = 0;
            for (const struct config_node *c = way[n]->parent ? way[n]->parent->first : NULL;
                 c && c != way[n]; c = c->next)
                i++;
            more = snprintf(out + at, BIND_PATH - at, "[%u]", i);
        }
        at += more > 0 ? (size_t)more : 0;
    }
    return out;
}

void bind_default(const sl_field *f, uint8_t *base)
{
    uint8_t *m = base + f->offset;
    switch (f->kind) {
    case SL_FIELD_BOOL:
        *m = f->def.u != 0;
        break;
    case SL_FIELD_U32:
    case SL_FIELD_ENUM:
        *(uint32_t *)(void *)m = (uint32_t)f->def.u;
        break;
    case SL_FIELD_I64:
    case SL_FIELD_DURATION:
        *(int64_t *)(void *)m = f->def.i;
        break;
    case SL_FIELD_U64:
    case SL_FIELD_SIZE:
        *(uint64_t *)(void *)m = f->def.u;
        break;
    case SL_FIELD_F64:
        *(double *)(void *)m = f->def.f;
        break;
    case SL_FIELD_TEXT:
        *(sl_bytes *)(void *)m = sl_str(f->text);
        break;
    case SL_FIELD_UNION:
        *(uint32_t *)(void *)(base + f->tag) = (uint32_t)f->def.u;
        break;
    default: /* lists, maps, raw: the struct was zeroed; structs have frames of their own */
        break;
    }
}

/* ---- bounds -------------------------------------------------------------------------------- */

static void write_number(const sl_field *f, sl_number v, char *out)
{
    switch (f->kind) {
    case SL_FIELD_F64:
        scalar_write_f64(v.f, out);
        break;
    case SL_FIELD_DURATION:
        scalar_write_duration(v.i, out);
        break;
    case SL_FIELD_I64:
        (void)snprintf(out, 48, "%lld", (long long)v.i);
        break;
    case SL_FIELD_SIZE:
        scalar_write_size(v.u, out);
        break;
    default:
        (void)snprintf(out, 48, "%llu", (unsigned long long)v.u);
    }
}

static bool is_open_above(const sl_field *f)
{
    switch (f->kind) {
    case SL_FIELD_I64:
    case SL_FIELD_DURATION:
        return f->max.i == INT64_MAX;
    case SL_FIELD_F64:
        return f->max.f > 1e300;
    case SL_FIELD_U32:
        return f->max.u == UINT32_MAX;
    default:
        return f->max.u >= (uint64_t)INT64_MAX;
    }
}

const char *bind_bounds(const sl_field *f, char *out)
{
    out[0] = '\0';
    if (!sl_field_is_bounded(f))
        return out;
    char low[48], high[48];
    write_number(f, f->min, low);
    write_number(f, f->max, high);
    const char *unit = f->unit ? f->unit : "";
    if (is_open_above(f))
        (void)snprintf(out, BIND_BOUNDS, "at least %s%s%.40s", low, *unit ? " " : "", unit);
    else
        (void)snprintf(out, BIND_BOUNDS, "between %s and %s%s%.40s", low, high, *unit ? " " : "",
                       unit);
    return out;
}

static bool within(const sl_field *f, sl_number v)
{
    if (!sl_field_is_bounded(f))
        return true;
    switch (f->kind) {
    case SL_FIELD_F64:
        return v.f >= f->min.f && v.f <= f->max.f;
    case SL_FIELD_I64:
    case SL_FIELD_DURATION:
        return v.i >= f->min.i && v.i <= f->max.i;
    default:
        return v.u >= f->min.u && v.u <= f->max.u;
    }
}

/* ---- messages ------------------------------------------------------------------------------ */

/* What stands there, unless it is secret. */
static const char *found(const sl_field *f, const struct config_node *n, char *out)
{
    if (n->kind != CONFIG_SCALAR)
        (void)snprintf(out, SHOWN + 16, "%s", config_kind_name(n));
    else if (f->flags & SL_SECRET)
        (void)snprintf(out, SHOWN + 16, "something else");
    else
        (void)snprintf(out, SHOWN + 16, n->text.n > SHOWN ? "\"%.57s...\"" : "\"%.60s\"",
                       (const char *)n->text.p);
    return out;
}

static void refuse(struct binder *b, const sl_field *f, const struct config_node *n,
                   const char *wanted)
{
    char path[BIND_PATH], shown[SHOWN + 16];
    BIND_ERROR(b, n, "\"%s\" of %s wants %s, found %s", bind_path(b, n, path), b->what, wanted,
               found(f, n, shown));
}

static void refuse_bounds(struct binder *b, const sl_field *f, const struct config_node *n)
{
    char path[BIND_PATH], shown[SHOWN + 16], bounds[BIND_BOUNDS];
    BIND_ERROR(b, n, "\"%s\" of %s must be %s, found %s", bind_path(b, n, path), b->what,
               bind_bounds(f, bounds), found(f, n, shown));
}

static sl_bytes text_of(const struct config_node *n)
{
    return n->original.p ? n->original : n->text;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static int32_t read_duration(struct binder *b, const struct config_node *n, int64_t *v)
{
    int32_t rc = scalar_duration(n->text, v);
    if (rc != SL_ERR_INVALID || n->quoted || scalar_type(n->text) != SCALAR_INT)
        return rc;
    rc = scalar_i64(n->text, v);
    if (rc == SL_OK && *v != 0) {
        char path[BIND_PATH], shown[48];
        scalar_write_duration(*v, shown);
        diagnostics_add(b->d, CONFIG_WARNING, n->at,
                        "\"%s\" of %s has no unit and is taken as nanoseconds (%s), as the "
                        "OpenTelemetry Collector does; write for example \"5s\"",
                        bind_path(b, n, path), b->what, shown);
    }
    return rc;
}

static void store(const sl_field *f, uint8_t *m, sl_number v)
{
    if (f->kind == SL_FIELD_U32)
        *(uint32_t *)(void *)m = (uint32_t)v.u;
    else
        memcpy(m, &v, sizeof v);
}

static void bind_number(struct binder *b, const sl_field *f, uint8_t *m,
                        const struct config_node *n)
{
    sl_number v = {.u = 0};
    int32_t rc;
    const char *wanted;
    switch (f->kind) {
    case SL_FIELD_DURATION:
        wanted = "a duration such as \"1m30s\" or \"200ms\"";
        rc = read_duration(b, n, &v.i);
        break;
    case SL_FIELD_SIZE:
        wanted = "a size such as \"64KiB\", \"2MB\" or a number of bytes";
        rc = scalar_size(n->text, &v.u);
        break;
    case SL_FIELD_F64:
        wanted = "a number";
        rc = n->quoted ? SL_ERR_INVALID : scalar_f64(n->text, &v.f);
        break;
    case SL_FIELD_I64:
        wanted = "a whole number";
        rc = n->quoted ? SL_ERR_INVALID : scalar_i64(n->text, &v.i);
        break;
    default:
        wanted = "a whole number that is not negative";
        rc = n->quoted ? SL_ERR_INVALID : scalar_u64(n->text, &v.u);
        if (rc == SL_OK && f->kind == SL_FIELD_U32 && v.u > UINT32_MAX)
            rc = SL_ERR_TOO_LARGE;
    }
    double number;
    if (rc == SL_ERR_INVALID && n->quoted && scalar_f64(n->text, &number) == SL_OK &&
        f->kind != SL_FIELD_DURATION && f->kind != SL_FIELD_SIZE) {
        char path[BIND_PATH];
        BIND_ERROR(b, n,
                   "\"%s\" of %s wants %s, found text; remove the quotes, and let ${...} be "
                   "the whole value",
                   bind_path(b, n, path), b->what, wanted);
    } else if (rc == SL_ERR_TOO_LARGE && sl_field_is_bounded(f)) {
        refuse_bounds(b, f, n);
    } else if (rc == SL_ERR_TOO_LARGE && f->kind != SL_FIELD_I64 && n->text.p[0] != '-') {
        char path[BIND_PATH], shown[SHOWN + 16];
        BIND_ERROR(b, n, "\"%s\" of %s is too large, found %s", bind_path(b, n, path), b->what,
                   found(f, n, shown));
    } else if (rc) {
        refuse(b, f, n, wanted);
    } else if (!within(f, v)) {
        refuse_bounds(b, f, n);
    } else {
        store(f, m, v);
    }
}

/* ---- names, text --------------------------------------------------------------------------- */

int64_t bind_name(struct binder *b, const char *const *names, const struct config_node *node,
                  bool secret)
{
    char path[BIND_PATH];
    if (node->kind != CONFIG_SCALAR) {
        BIND_ERROR(b, node, "\"%s\" of %s wants a name, found %s", bind_path(b, node, path),
                   b->what, config_kind_name(node));
        return -1;
    }
    sl_bytes text = text_of(node);
    int64_t loose = -1;
    struct nearest near = nearest_to(text);
    for (int64_t i = 0; names[i]; i++) {
        if (sl_eq(text, sl_str(names[i])))
            return i;
        if (text.n == strlen(names[i]) && strncasecmp((const char *)text.p, names[i], text.n) == 0)
            loose = i;
    }
    if (loose >= 0 || diagnostics_full(b->d, CONFIG_ERROR)) {
        if (loose < 0)
            BIND_ERROR(b, node, "a wrong name");
        return loose;
    }
    char list[256];
    size_t at = 0;
    for (int64_t i = 0; names[i]; i++) {
        nearest_try(&near, names[i]);
        if (at < sizeof list)
            at +=
                (size_t)snprintf(list + at, sizeof list - at, "%s\"%s\"", i ? ", " : "", names[i]);
    }
    const char *value = secret ? "(secret)" : (const char *)text.p;
    if (near.found && !secret)
        BIND_ERROR(b, node, "unknown value \"%.60s\" of \"%s\" in %s (nearest: \"%s\")", value,
                   bind_path(b, node, path), b->what, near.found);
    else
        BIND_ERROR(b, node, "unknown value \"%.60s\" of \"%s\" in %s (known: %s%s)", value,
                   bind_path(b, node, path), b->what, list, at >= sizeof list ? "..." : "");
    return -1;
}

static bool keep_text(struct binder *b, sl_bytes text, sl_bytes *out)
{
    *out = arena_copy(b->arena, text.p, text.n);
    b->no_memory |= !out->p;
    return out->p != NULL;
}

/* "a,b" stands for [a, b], as in the collector. */
static void bind_texts(struct binder *b, const sl_field *f, sl_list *list,
                       const struct config_node *node)
{
    bool many = node->kind == CONFIG_LIST;
    sl_bytes text = text_of(node);
    if (!many && node->kind != CONFIG_SCALAR) {
        refuse(b, f, node, "a list of texts");
        return;
    }
    uint32_t n = many ? node->n : text.n > 0;
    for (size_t i = 0; !many && i < text.n; i++)
        n += text.p[i] == ',';
    sl_bytes *at = n ? arena_take_array(b->arena, n, sizeof *at) : NULL;
    if (n && !at) {
        b->no_memory = true;
        return;
    }
    *list = (sl_list){.at = at, .n = n, .stride = sizeof *at};
    const struct config_node *c = many ? node->first : NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (many) {
            if (c->kind == CONFIG_SCALAR || c->original.p)
                (void)keep_text(b, text_of(c), &at[i]);
            else
                refuse(b, f, c, "text");
            c = c->next;
            continue;
        }
        const uint8_t *comma = memchr(text.p, ',', text.n);
        size_t length = comma ? (size_t)(comma - text.p) : text.n;
        (void)keep_text(b, sl_slice(text.p, length), &at[i]);
        text = sl_slice(text.p + length + 1, comma ? text.n - length - 1 : 0);
    }
}

/* One {name: , value: } of a list that stands for a map. */
static bool bind_pair(struct binder *b, const sl_field *f, const struct config_node *pair,
                      sl_meta_entry *entry)
{
    const struct config_node *name = config_find(pair, sl_str("name"));
    const struct config_node *value = config_find(pair, sl_str("value"));
    if (!name || name->kind != CONFIG_SCALAR || pair->n != (value ? 2u : 1u) ||
        (value && value->kind >= CONFIG_LIST && !value->original.p)) {
        refuse(b, f, pair, "a map of texts, or a list of {name: , value: }");
        return false;
    }
    return keep_text(b, text_of(name), &entry->key) &&
           keep_text(b, value ? text_of(value) : sl_str(""), &entry->value);
}

static void bind_map(struct binder *b, const sl_field *f, sl_list *list,
                     const struct config_node *node)
{
    if (node->kind != CONFIG_MAP && node->kind != CONFIG_LIST) {
        refuse(b, f, node, "a map of texts");
        return;
    }
    sl_meta_entry *at = node->n ? arena_take_array(b->arena, node->n, sizeof *at) : NULL;
    if (node->n && !at) {
        b->no_memory = true;
        return;
    }
    *list = (sl_list){.at = at, .n = node->n, .stride = sizeof *at};
    for (const struct config_node *c = node->first; c; c = c->next, at++) {
        if (node->kind == CONFIG_LIST)
            (void)bind_pair(b, f, c, at);
        else if (c->kind >= CONFIG_LIST && !c->original.p)
            refuse(b, f, c, "text");
        else if (keep_text(b, c->key, &at->key))
            (void)keep_text(b, text_of(c), &at->value);
    }
}

void bind_scalar(struct binder *b, const sl_field *f, uint8_t *base, const struct config_node *n)
{
    uint8_t *m = base + f->offset;
    bool value;
    int64_t index;
    switch (f->kind) {
    case SL_FIELD_TEXT:
        /* Numbers and booleans are text as they were written. */
        if (n->kind == CONFIG_SCALAR || n->original.p)
            (void)keep_text(b, text_of(n), (sl_bytes *)(void *)m);
        else
            refuse(b, f, n, "text");
        return;
    case SL_FIELD_TEXTS:
        bind_texts(b, f, (sl_list *)(void *)m, n);
        return;
    case SL_FIELD_MAP:
        bind_map(b, f, (sl_list *)(void *)m, n);
        return;
    case SL_FIELD_ENUM:
        index = bind_name(b, f->names, n, (f->flags & SL_SECRET) != 0);
        if (index >= 0)
            *(uint32_t *)(void *)m = (uint32_t)index;
        return;
    case SL_FIELD_BOOL:
        if (n->kind != CONFIG_SCALAR || n->quoted || scalar_bool(n->text, &value))
            refuse(b, f, n, "true or false");
        else
            *m = value;
        return;
    default:
        if (n->kind != CONFIG_SCALAR)
            refuse(b, f, n,
                   f->kind == SL_FIELD_DURATION ? "a duration"
                   : f->kind == SL_FIELD_SIZE   ? "a size"
                                                : "a number");
        else
            bind_number(b, f, m, n);
    }
}
