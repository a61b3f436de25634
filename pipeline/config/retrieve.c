/* The providers behind --config and ${...}. Control thread only. */
#include "pipeline/config/retrieve.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT(d, at, ...)                                                                         \
    do {                                                                                           \
        if (d)                                                                                     \
            diagnostics_add((d), CONFIG_ERROR, (at), __VA_ARGS__);                                 \
    } while (0)

bool uri_split(sl_bytes uri, sl_bytes *scheme, sl_bytes *rest)
{
    size_t n = 0;
    while (n < uri.n && (isalpha(uri.p[n]) ||
                         (n > 0 && (isdigit(uri.p[n]) || (uri.p[n] && strchr("+.-", uri.p[n]))))))
        n++;
    if (n < 2 || n == uri.n || uri.p[n] != ':')
        return false;
    *scheme = sl_slice(uri.p, n);
    *rest = sl_slice(uri.p + n + 1, uri.n - n - 1);
    return true;
}

static bool is_utf8(sl_bytes t)
{
    for (size_t i = 0; i < t.n;) {
        uint8_t c = t.p[i];
        size_t more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 || t.n - i <= more)
            return false;
        uint32_t code = more ? c & (0x3fu >> more) : c;
        for (size_t k = 1; k <= more; k++) {
            if ((t.p[i + k] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (t.p[i + k] & 0x3fu);
        }
        if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
            (more == 3 && (code < 0x10000 || code > 0x10ffff)))
            return false;
        i += more + 1;
    }
    return true;
}

/* Reads to the end; answers SL_ERR_IO with errno, SL_ERR_TOO_LARGE or SL_ERR_NOMEM. */
static int32_t read_all(int fd, size_t expected, struct config_arena *arena, sl_bytes *out)
{
    size_t room = expected < CONFIG_MAX_FILE ? expected + 1 : CONFIG_MAX_FILE + 1, n = 0;
    if (room < 4096)
        room = 4096;
    uint8_t *p = arena_take(arena, room + 1);
    while (p) {
        ssize_t got = read(fd, p + n, room - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return SL_ERR_IO;
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > CONFIG_MAX_FILE)
            return SL_ERR_TOO_LARGE;
        if (n < room)
            continue;
        uint8_t *larger = arena_take(arena, room * 2 + 1);
        if (larger)
            memcpy(larger, p, n);
        p = larger;
        room *= 2;
    }
    *out = sl_slice(p, n);
    return p ? SL_OK : SL_ERR_NOMEM;
}

static int32_t from_file(const struct config_sources *s, sl_bytes rest, bool embedded,
                         struct config_arena *arena, struct config_place at,
                         struct config_diagnostics *d, sl_bytes *text)
{
    sl_bytes path = arena_copy(arena, rest.p, rest.n);
    if (!path.p)
        return SL_ERR_NOMEM;
    const char *name = (const char *)path.p;
    if (s->on_file)
        s->on_file(s->on_file_arg, name);
    /* A pipe is welcome as --config, but must not hold up what merely refers to it. */
    int fd = open(name, O_RDONLY | O_CLOEXEC | (embedded ? O_NONBLOCK : 0));
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        REPORT(d, at, "cannot open the file \"%s\": %s", name, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return SL_ERR_IO;
    }
    int32_t rc = SL_ERR_INVALID;
    if (S_ISDIR(st.st_mode) || (embedded && !S_ISREG(st.st_mode)))
        REPORT(d, at, "\"%s\" is not a regular file", name);
    else
        rc = read_all(fd, st.st_size > 0 ? (size_t)st.st_size : 0, arena, text);
    if (rc == SL_ERR_IO)
        REPORT(d, at, "cannot read the file \"%s\": %s", name, strerror(errno));
    if (rc == SL_ERR_TOO_LARGE)
        REPORT(d, at, "the file \"%s\" is larger than %u bytes", name, CONFIG_MAX_FILE);
    (void)close(fd);
    return rc;
}

static int32_t from_environment(const struct config_sources *s, sl_bytes rest, bool embedded,
                                struct config_arena *arena, struct config_place at,
                                struct config_diagnostics *d, struct retrieved *out)
{
    sl_bytes name = rest, other = {NULL, 0};
    for (size_t i = 0; i + 1 < rest.n && !other.p; i++) {
        if (rest.p[i] == ':' && rest.p[i + 1] == '-') {
            name.n = i;
            other = sl_slice(rest.p + i + 2, rest.n - i - 2);
        }
    }
    bool valid = name.n > 0 && !isdigit(name.p[0]);
    for (size_t i = 0; i < name.n; i++)
        valid = valid && (isalnum(name.p[i]) || name.p[i] == '_');
    if (!valid) {
        REPORT(d, at,
               "\"%.*s\" cannot be the name of an environment variable (letters, digits and _ can)",
               (int)(name.n < 100 ? name.n : 100), (const char *)name.p);
        return SL_ERR_INVALID;
    }
    sl_bytes copy = arena_copy(arena, name.p, name.n);
    if (!copy.p)
        return SL_ERR_NOMEM;
    const char *value = s->environment ? s->environment(s->user, (const char *)copy.p)
                                       : getenv((const char *)copy.p);
    if (value) {
        out->text = arena_copy(arena, value, strlen(value));
    } else {
        out->as_text = other.p && other.n == 0;
        out->text = arena_copy(arena, other.p, other.n);
        if (!other.p && d)
            diagnostics_add(d, embedded ? CONFIG_WARNING : CONFIG_ERROR, at,
                            "the environment variable %s is not set%s", (const char *)copy.p,
                            embedded ? "; nothing stands in its place" : "");
        if (!other.p && !embedded)
            return SL_ERR_NOT_FOUND;
    }
    return out->text.p ? SL_OK : SL_ERR_NOMEM;
}

int32_t retrieve(const struct config_sources *s, sl_bytes scheme, sl_bytes rest, bool embedded,
                 struct config_arena *arena, struct config_place at, struct config_diagnostics *d,
                 struct retrieved *out)
{
    *out = (struct retrieved){.as_text = false};
    int32_t rc;
    if (sl_eq(scheme, sl_str("file"))) {
        rc = from_file(s, rest, embedded, arena, at, d, &out->text);
    } else if (sl_eq(scheme, sl_str("env"))) {
        rc = from_environment(s, rest, embedded, arena, at, d, out);
    } else if (sl_eq(scheme, sl_str("yaml"))) {
        out->text = arena_copy(arena, rest.p, rest.n);
        rc = out->text.p ? SL_OK : SL_ERR_NOMEM;
    } else {
        bool remote = sl_eq(scheme, sl_str("http")) || sl_eq(scheme, sl_str("https"));
        REPORT(d, at, "%s \"%.*s\" (known: file, env, yaml)%s",
               remote ? "Sluice does not read its configuration over" : "unknown scheme",
               (int)(scheme.n < 60 ? scheme.n : 60), (const char *)scheme.p,
               embedded && rest.n && rest.p[0] == '-'
                   ? "; a default is written ${env:NAME:-default}"
                   : "");
        return SL_ERR_UNSUPPORTED;
    }
    if (rc == SL_ERR_NOMEM && d)
        diagnostics_no_memory(d);
    if (rc == SL_OK && !is_utf8(out->text)) {
        REPORT(d, at, "the value of \"%.*s\" is not UTF-8 text", (int)(rest.n < 100 ? rest.n : 100),
               (const char *)rest.p);
        rc = SL_ERR_INVALID;
    }
    return rc;
}
