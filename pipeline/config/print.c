/* A tree as YAML or JSON. Scalars keep their meaning: what is text is quoted wherever it could be
 * taken for something else. Control thread only. */
#include "pipeline/config/print.h"
#include "pipeline/config/bind_internal.h"
#include "pipeline/config/scalar.h"
#include <ctype.h>
#include <math.h>

struct printer {
    FILE *out;
    config_is_secret secret;
    void *user;
    uint32_t indent;
};

/* Characters beyond ASCII that YAML takes for line breaks or does not let stand as they are: the
 * controls from U+0080, U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF. 0: none of these; *n: its bytes. */
static unsigned special(sl_bytes t, size_t i, size_t *n)
{
    if (i + 1 < t.n && t.p[i] == 0xc2 && t.p[i + 1] < 0xa0) {
        *n = 2;
        return t.p[i + 1];
    }
    if (i + 2 >= t.n || (t.p[i] != 0xe2 && t.p[i] != 0xef))
        return 0;
    unsigned code = (t.p[i] & 0xfu) << 12 | (t.p[i + 1] & 0x3fu) << 6 | (t.p[i + 2] & 0x3fu);
    if (code != 0x2028 && code != 0x2029 && code != 0xfeff && code < 0xfffe)
        return 0;
    *n = 3;
    return code;
}

void print_quoted(FILE *out, sl_bytes text)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        size_t n = 1;
        unsigned code = c < 0x20 || c == 0x7f ? c : special(text, i, &n);
        if (c == '"' || c == '\\') {
            (void)fprintf(out, "\\%c", c);
        } else if (c == '\n' || c == '\t') {
            (void)fputs(c == '\n' ? "\\n" : "\\t", out);
        } else if (code || c == 0) {
            (void)fprintf(out, "\\u%04x", code);
            i += n - 1;
        } else {
            (void)fputc(c, out);
        }
    }
    (void)fputc('"', out);
}

/* A duration or a size: digits, then letters. */
static bool is_quantity(sl_bytes t)
{
    size_t i = 0;
    while (i < t.n && isdigit(t.p[i]))
        i++;
    if (i == 0 || i == t.n)
        return false;
    while (i < t.n && isalpha(t.p[i]))
        i++;
    return i == t.n && scalar_type(t) == SCALAR_TEXT;
}

/* Text that every YAML reader takes for text: a word, a path, an id. */
static bool is_plain(sl_bytes t)
{
    static const char *const booleans[] = {"y", "n", "yes", "no", "on", "off"};
    if (t.n == 0 || t.n > 200 || !(isalpha(t.p[0]) || t.p[0] == '/' || t.p[0] == '_'))
        return false;
    for (size_t i = 0; i < t.n; i++)
        if (!isalnum(t.p[i]) && !strchr("_/.-+@", t.p[i]) &&
            !(t.p[i] == ':' && i + 1 < t.n && t.p[i + 1] != ' '))
            return false;
    for (size_t i = 0; i < sizeof booleans / sizeof *booleans; i++)
        if (t.n == strlen(booleans[i]) && strncasecmp((const char *)t.p, booleans[i], t.n) == 0)
            return false;
    return scalar_type(t) == SCALAR_TEXT;
}

static bool is_secret(const struct printer *p, const struct config_node *n)
{
    return p->secret && n->kind == CONFIG_SCALAR && p->secret(p->user, n);
}

static bool is_text(const struct config_node *n)
{
    return n->quoted || scalar_type(n->text) == SCALAR_TEXT;
}

/* ---- YAML ---------------------------------------------------------------------------------- */

static void yaml_text(FILE *out, sl_bytes text)
{
    if (is_plain(text) || is_quantity(text))
        (void)fwrite(text.p, 1, text.n, out);
    else
        print_quoted(out, text);
}

/* A long key would not be found to be one without the question mark. */
static void yaml_key(const struct printer *p, sl_bytes key)
{
    if (key.n > 128)
        (void)fputs("? ", p->out);
    yaml_text(p->out, key);
    if (key.n > 128)
        (void)fprintf(p->out, "\n%*s", (int)p->indent, "");
}

static void yaml_leaf(const struct printer *p, const struct config_node *n)
{
    if (n->kind == CONFIG_NULL)
        (void)fputs("null", p->out);
    else if (is_secret(p, n))
        print_quoted(p->out, sl_str(CONFIG_REDACTED));
    else if (is_text(n))
        yaml_text(p->out, n->text);
    else
        (void)fwrite(n->text.p, 1, n->text.n, p->out);
    (void)fputc('\n', p->out);
}

int32_t config_print_yaml(FILE *out, const struct config_node *top, config_is_secret secret,
                          void *user)
{
    struct printer p = {.out = out, .secret = secret, .user = user};
    bool same_line = true; /* behind "- ", and at the very top */
    struct config_walk walk;
    config_walk_init(&walk, top);
    const struct config_node *n;
    for (enum config_step step; (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        if (step == CONFIG_LEAVE) {
            if (n->n && n != top)
                p.indent -= 2;
            continue;
        }
        bool in_map = n != top && n->parent->kind == CONFIG_MAP;
        if (n != top) {
            if (!same_line)
                (void)fprintf(out, "%*s", (int)p.indent, "");
            same_line = false;
            if (in_map)
                yaml_key(&p, n->key);
            (void)fputs(in_map ? ":" : "-", out);
        }
        if (step == CONFIG_LEAF || n->n == 0) {
            if (n != top)
                (void)fputc(' ', out);
            if (step == CONFIG_LEAF)
                yaml_leaf(&p, n);
            else
                (void)fputs(n->kind == CONFIG_MAP ? "{}\n" : "[]\n", out);
        } else if (n != top) {
            (void)fputc(in_map ? '\n' : ' ', out);
            same_line = !in_map;
            p.indent += 2;
        }
    }
    return ferror(out) ? SL_ERR_IO : SL_OK;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void json_number(FILE *out, const struct config_node *n)
{
    uint64_t u;
    int64_t i;
    double f;
    char text[48];
    if (scalar_type(n->text) == SCALAR_INT && scalar_u64(n->text, &u) == SL_OK) {
        (void)fprintf(out, "%llu", (unsigned long long)u);
    } else if (scalar_type(n->text) == SCALAR_INT && scalar_i64(n->text, &i) == SL_OK) {
        (void)fprintf(out, "%lld", (long long)i);
    } else if (scalar_f64(n->text, &f) == SL_OK && isfinite(f)) {
        scalar_write_f64(f, text);
        (void)fputs(text, out);
    } else {
        print_quoted(out, n->text); /* JSON has no such number */
    }
}

static void json_leaf(const struct printer *p, const struct config_node *n)
{
    bool truth;
    if (n->kind == CONFIG_NULL)
        (void)fputs("null", p->out);
    else if (is_secret(p, n))
        print_quoted(p->out, sl_str(CONFIG_REDACTED));
    else if (is_text(n))
        print_quoted(p->out, n->text);
    else if (scalar_bool(n->text, &truth) == SL_OK)
        (void)fputs(truth ? "true" : "false", p->out);
    else
        json_number(p->out, n);
}

int32_t config_print_json(FILE *out, const struct config_node *top, config_is_secret secret,
                          void *user)
{
    struct printer p = {.out = out, .secret = secret, .user = user};
    struct config_walk walk;
    config_walk_init(&walk, top);
    const struct config_node *n;
    for (enum config_step step; (step = config_walk_next(&walk, &n)) != CONFIG_DONE;) {
        bool map = n->kind == CONFIG_MAP;
        if (step == CONFIG_LEAVE) {
            p.indent -= 2;
            if (n->n)
                (void)fprintf(out, "\n%*s", (int)p.indent, "");
            (void)fputc(map ? '}' : ']', out);
            continue;
        }
        if (n != top) {
            (void)fprintf(out, "%s\n%*s", n == n->parent->first ? "" : ",", (int)p.indent, "");
            if (n->parent->kind == CONFIG_MAP) {
                print_quoted(out, n->key);
                (void)fputs(": ", out);
            }
        }
        if (step == CONFIG_ENTER) {
            (void)fputc(map ? '{' : '[', out);
            p.indent += 2;
        } else {
            json_leaf(&p, n);
        }
    }
    (void)fputc('\n', out);
    return ferror(out) ? SL_ERR_IO : SL_OK;
}

/* ---- secrets ------------------------------------------------------------------------------- */

bool config_secret_in(const sl_field *fields, const struct config_node *top,
                      const struct config_node *node)
{
    const struct config_node *way[CONFIG_MAX_DEPTH + 1];
    uint32_t n = 0;
    for (; node && node != top && n <= CONFIG_MAX_DEPTH; node = node->parent)
        way[n++] = node;
    if (node != top)
        return true;
    while (n-- > 0) {
        if (!way[n]->key.p)
            continue; /* an element of a list of structs */
        const sl_field *inside;
        const sl_field *f = table_find(fields, way[n]->key, &inside);
        if (!f || (f->flags & SL_SECRET))
            return true;
        if (!inside) /* what stands below is a map of texts, raw or ignored */
            return false;
        fields = inside;
    }
    return false;
}
