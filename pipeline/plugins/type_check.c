/* Checks a plugin's component types and their config tables. Tables may refer to enclosing structs,
 * so structs are kept in a list and each is checked once. Any thread. */
#include "pipeline/plugins/type_check.h"
#include "pipeline/plugins/section.h"

enum {
    TYPE_SIZE_MAX = 4096,
    CONFIG_SIZE_MAX = 1 << 20,
    STRUCTS_MAX = 256,
    KEYS_MAX = 512,
    NAMES_MAX = 1024
};

static const uint32_t known_flags = SL_TRACE_AFFINITY | SL_HOLDS | SL_MUTATES | SL_QUEUE |
                                    SL_RETRY | SL_TIMEOUT | SL_ANY_ENCODING | SL_INERT;
static const uint32_t known_field_flags =
    SL_REQUIRED | SL_SECRET | SL_IGNORED | SL_DEPRECATED | SL_INLINE | SL_BOUNDED;

/* Structs still to be checked, and those that were. */
struct table {
    const sl_struct *structs[STRUCTS_MAX];
    uint32_t n;
};

static int32_t add_struct(struct table *table, const char *key, const sl_struct *s, sl_error *error)
{
    if (!s || !s->fields || s->size == 0 || s->size > CONFIG_SIZE_MAX)
        return sl_fail(error, SL_ERR_INVALID, "config key \"%s\": its struct has %u bytes%s", key,
                       s ? s->size : 0, s && s->fields ? "" : " and no fields");
    for (uint32_t i = 0; i < table->n; i++)
        if (table->structs[i] == s)
            return SL_OK;
    if (table->n == STRUCTS_MAX)
        return sl_fail(error, SL_ERR_TOO_LARGE, "config key \"%s\": more than %u structs", key,
                       (unsigned)STRUCTS_MAX);
    table->structs[table->n++] = s;
    return SL_OK;
}

/* Names until NULL; 0: none, or too many. */
static uint32_t count_names(const char *const *names)
{
    uint32_t n = 0;
    while (names && n <= NAMES_MAX && names[n])
        n++;
    return n <= NAMES_MAX ? n : 0;
}

/* Bytes and alignment of the member that a field fills; 0: it fills none. */
static uint64_t member_size(const sl_field *f, uint32_t n_names, uint32_t *align)
{
    uint64_t size = 0;
    *align = 8;
    switch (f->kind) {
    case SL_FIELD_BOOL:
        *align = 1;
        return 1;
    case SL_FIELD_U32:
    case SL_FIELD_ENUM:
        *align = 4;
        return 4;
    case SL_FIELD_TEXT:
        return sizeof(sl_bytes);
    case SL_FIELD_TEXTS:
    case SL_FIELD_MAP:
    case SL_FIELD_LIST:
        return sizeof(sl_list);
    case SL_FIELD_STRUCT:
        *align = 1;
        return f->of ? f->of->size : 0;
    case SL_FIELD_UNION:
        *align = 1;
        for (uint32_t i = 0; i < n_names; i++)
            if (f->choices && f->choices[i] && f->choices[i]->size > size)
                size = f->choices[i]->size;
        return size;
    case SL_FIELD_RAW:
        return f->flags & SL_IGNORED ? 0 : sizeof(const sl_raw *);
    default:
        return 8;
    }
}

static bool fits(uint32_t struct_size, uint32_t first, uint32_t offset, uint64_t size,
                 uint32_t align)
{
    return offset >= first && (uint64_t)offset + size <= struct_size && offset % align == 0;
}

static int32_t check_bounds(const sl_field *f, sl_error *error)
{
    bool ok = true, bounded = sl_field_is_bounded(f), optional = !(f->flags & SL_REQUIRED);
    switch (f->kind) {
    case SL_FIELD_BOOL:
        ok = !bounded && f->def.u <= 1;
        break;
    case SL_FIELD_U32:
        ok = f->def.u <= UINT32_MAX && (!bounded || f->max.u <= UINT32_MAX);
        /* fall through */
    case SL_FIELD_U64:
    case SL_FIELD_SIZE:
        ok = ok && (!bounded || (f->min.u <= f->max.u &&
                                 !(optional && (f->def.u < f->min.u || f->def.u > f->max.u))));
        break;
    case SL_FIELD_I64:
    case SL_FIELD_DURATION:
        ok = !bounded ||
             (f->min.i <= f->max.i && !(optional && (f->def.i < f->min.i || f->def.i > f->max.i)));
        break;
    case SL_FIELD_F64:
        ok = !bounded || (f->min.f <= f->max.f &&
                          !(optional && !(f->def.f >= f->min.f && f->def.f <= f->max.f)));
        break;
    default:
        ok = !bounded;
    }
    return ok ? SL_OK
              : sl_fail(error, SL_ERR_INVALID,
                        "config key \"%s\": its default and bounds do not fit each other or its "
                        "kind %u",
                        f->key, f->kind);
}

/* `first`: offset at which the struct's members may begin. */
static int32_t check_field(struct table *table, const sl_struct *s, uint32_t first,
                           const sl_field *f, sl_error *error)
{
    uint32_t align, n_names = count_names(f->names);
    bool named = f->kind == SL_FIELD_ENUM || f->kind == SL_FIELD_UNION;
    if (f->kind < SL_FIELD_BOOL || f->kind > SL_FIELD_RAW)
        return sl_fail(error, SL_ERR_INVALID, "config key \"%s\": kind %u; known are 1 to %u",
                       f->key, f->kind, SL_FIELD_RAW);
    if (f->flags & ~known_field_flags)
        return sl_fail(error, SL_ERR_INVALID, "config key \"%s\": unknown flags 0x%x of 0x%x",
                       f->key, f->flags & ~known_field_flags, f->flags);
    if (!f->help || !*f->help)
        return sl_fail(error, SL_ERR_INVALID, "config key \"%s\": no help text", f->key);
    if (named && (n_names == 0 || f->def.u >= n_names))
        return sl_fail(error, SL_ERR_INVALID, "config key \"%s\": default %llu of %u names", f->key,
                       (unsigned long long)f->def.u, n_names);
    if ((f->flags & SL_INLINE) && f->kind != SL_FIELD_STRUCT)
        return sl_fail(error, SL_ERR_INVALID,
                       "config key \"%s\": SL_INLINE is for structs, not for kind %u", f->key,
                       f->kind);
    int32_t status = check_bounds(f, error);
    if (status == SL_OK && (f->kind == SL_FIELD_STRUCT || f->kind == SL_FIELD_LIST))
        status = add_struct(table, f->key, f->of, error);
    if (f->kind == SL_FIELD_UNION) {
        if (!f->choices || !f->tag_key)
            return sl_fail(error, SL_ERR_INVALID, "config key \"%s\": a union without %s", f->key,
                           f->choices ? "tag_key" : "choices");
        for (uint32_t i = 0; i < n_names && status == SL_OK; i++)
            if (f->choices[i])
                status = add_struct(table, f->key, f->choices[i], error);
    }
    if (status != SL_OK)
        return status;
    uint64_t size = member_size(f, n_names, &align);
    if ((size > 0 && !fits(s->size, first, f->offset, size, align)) ||
        (f->kind == SL_FIELD_UNION && !fits(s->size, first, f->tag, 4, 4)) ||
        (f->present && !fits(s->size, first, f->present - 1, 1, 1)))
        return sl_fail(error, SL_ERR_INVALID,
                       "config key \"%s\": %llu bytes at %u, in a struct of %u bytes whose members "
                       "begin at %u",
                       f->key, (unsigned long long)size, f->offset, s->size, first);
    return SL_OK;
}

/* The keys that stand at one level of the file: those of inlined structs stand with their parent's,
 * and none may stand there twice. */
static int32_t check_keys(const sl_struct *s, sl_error *error)
{
    const char *keys[KEYS_MAX];
    const sl_struct *levels[STRUCTS_MAX];
    uint32_t n = 0, n_levels = 1;
    levels[0] = s;
    for (uint32_t level = 0; level < n_levels; level++) {
        for (const sl_field *f = levels[level]->fields; f->key; f++) {
            if (f->flags & SL_INLINE) {
                if (n_levels == STRUCTS_MAX || f->of == s)
                    return sl_fail(error, SL_ERR_INVALID,
                                   "config key \"%s\": its struct is inlined into itself", f->key);
                levels[n_levels++] = f->of;
                continue;
            }
            for (uint32_t i = 0; i < n; i++)
                if (strcmp(keys[i], f->key) == 0)
                    return sl_fail(error, SL_ERR_INVALID,
                                   "config key \"%s\" stands twice in one table", f->key);
            if (n == KEYS_MAX)
                return sl_fail(error, SL_ERR_TOO_LARGE,
                               "config key \"%s\": more than %u keys in one table", f->key,
                               (unsigned)KEYS_MAX);
            keys[n++] = f->key;
        }
    }
    return SL_OK;
}

static int32_t check_config(const sl_type *type, sl_error *error)
{
    struct table table = {.n = 1};
    sl_struct top = {type->config_size, 0, type->fields};
    int32_t status = SL_OK;
    table.structs[0] = &top;
    for (uint32_t i = 0; i < table.n && status == SL_OK; i++) {
        const sl_struct *s = table.structs[i];
        uint32_t fields = 0;
        for (const sl_field *f = s->fields; f->key && status == SL_OK; f++) {
            if (++fields > KEYS_MAX || !*f->key)
                return sl_fail(error, SL_ERR_INVALID, "a config table has %s",
                               *f->key ? "no end: SL_END is missing" : "an empty key");
            status = check_field(&table, s, i == 0 ? (uint32_t)sizeof(sl_base) : 0, f, error);
        }
    }
    for (uint32_t i = 0; i < table.n && status == SL_OK; i++)
        status = check_keys(table.structs[i], error);
    return status;
}

/* The callback without which a type of this kind does nothing. */
static const char *missing_callback(const sl_type *type)
{
    switch (type->kind) {
    case SL_KIND_receiver:
        return type->start ? NULL : "start";
    case SL_KIND_processor:
    case SL_KIND_connector:
        return type->process ? NULL : "process";
    case SL_KIND_exporter:
        return type->send ? NULL : "send";
    case SL_KIND_codec:
        return type->encode && type->decode ? NULL : type->encode ? "decode" : "encode";
    default:
        return NULL;
    }
}

static int32_t check_type(sl_type *type, sl_error *error)
{
    const char *kind = plugin_kind_name(type->kind), *missing = missing_callback(type);
    if (!kind)
        return sl_fail(error, SL_ERR_INVALID, "kind is %u; known are %u to %u", type->kind,
                       SL_KIND_receiver, SL_KIND_codec);
    if (type->flags & ~known_flags)
        return sl_fail(error, SL_ERR_UNSUPPORTED, "flags are 0x%x; this Sluice does not know 0x%x",
                       type->flags, type->flags & ~known_flags);
    if ((type->flags & SL_INERT) && (type->kind != SL_KIND_extension || !type->help))
        return sl_fail(error, SL_ERR_INVALID,
                       "SL_INERT is for extensions, whose help says why they do nothing");
    if (type->stability > SL_STABILITY_DEPRECATED)
        return sl_fail(error, SL_ERR_INVALID, "stability is %u; known are %u to %u",
                       type->stability, SL_DEVELOPMENT, SL_STABILITY_DEPRECATED);
    if (type->signals == 0 && type->kind != SL_KIND_extension)
        return sl_fail(error, SL_ERR_INVALID, "signals is 0: it takes nothing");
    if (type->timeout_ns < 0)
        return sl_fail(error, SL_ERR_INVALID, "timeout_ns is %lld: below 0",
                       (long long)type->timeout_ns);
    if (missing)
        return sl_fail(error, SL_ERR_INVALID, "%s is NULL, which a type of kind %s needs", missing,
                       kind);
    for (uint32_t i = 0; type->aliases && type->aliases[i]; i++)
        if (i == SECTION_TYPES_MAX || !plugin_name_ok(sl_str(type->aliases[i])))
            return sl_fail(error, SL_ERR_INVALID, "aliases[%u] is not a name", i);
    if (type->stability == 0)
        type->stability = SL_DEVELOPMENT;
    if (type->config_size == 0 && !type->fields)
        type->config_size = sizeof(sl_base);
    if (type->config_size < sizeof(sl_base) || type->config_size > CONFIG_SIZE_MAX)
        return sl_fail(error, SL_ERR_INVALID, "config_size is %u; it must be %zu to %u",
                       type->config_size, sizeof(sl_base), (unsigned)CONFIG_SIZE_MAX);
    return type->fields ? check_config(type, error) : SL_OK;
}

int32_t type_take(const sl_type *theirs, sl_type *ours, sl_error *error)
{
    sl_error detail = {.size = sizeof detail};
    memset(ours, 0, sizeof *ours);
    if (!theirs)
        return sl_fail(error, SL_ERR_INVALID, "a type is NULL");
    if (theirs->size < offsetof(sl_type, create) || theirs->size > TYPE_SIZE_MAX)
        return sl_fail(error, SL_ERR_INVALID, "a type's size is %u; it must be %zu to %u",
                       theirs->size, offsetof(sl_type, create), (unsigned)TYPE_SIZE_MAX);
    memcpy(ours, theirs, theirs->size < sizeof *ours ? theirs->size : sizeof *ours);
    ours->size = sizeof *ours;
    if (!ours->name ||
        !plugin_name_ok(sl_slice(ours->name, strnlen(ours->name, PLUGIN_NAME_MAX + 1))))
        return sl_fail(error, SL_ERR_INVALID,
                       "a type has no name of letters, digits and underscores");
    int32_t status = check_type(ours, &detail);
    if (status != SL_OK)
        sl_fail(error, status, "type %s:%s: %s",
                plugin_kind_name(ours->kind) ? plugin_kind_name(ours->kind) : "?", ours->name,
                detail.text);
    return status;
}
