/* Where a file lies: paths and directories. What telemetry says may name files below the operator's
 * directory, and nothing else. Any thread. */
#include "exporters/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int32_t place_init(struct place *place, const char *path, size_t n, const char *rest)
{
    *place = (struct place){.path = malloc(n + 1), .grouped = rest != NULL};
    if (!place->path)
        return SL_ERR_NOMEM;
    memcpy(place->path, path, n);
    place->path[n] = '\0';
    const char *slash = strrchr(place->path, '/');
    place->rest = rest ? place->path + (rest - path) : slash ? slash + 1 : place->path;
    const size_t before = (size_t)(place->rest - place->path);
    place->directory = before ? strndup(place->path, before) : strdup(".");
    if (!place->directory) {
        place_deinit(place);
        return SL_ERR_NOMEM;
    }
    return SL_OK;
}

void place_deinit(struct place *place)
{
    free(place->path);
    free(place->directory);
    *place = (struct place){.path = NULL};
}

/* Makes the directories of the path, from the top. It is written to and restored. */
static int make_directories(char *path, mode_t mode)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        const bool failed = mkdir(path, mode) && errno != EEXIST;
        *at = '/';
        if (failed)
            return -1;
    }
    return mkdir(path, mode) && errno != EEXIST ? -1 : 0;
}

int place_open_directory(const struct place *place, mode_t mode, const char **name)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
    *name = place->rest;
    if ((mode || place->grouped) && make_directories(place->directory, mode ? mode : 0755))
        return -1;
    int fd = open(place->directory, FLAGS);
    for (const char *slash; fd >= 0 && (slash = strchr(*name, '/')); *name = slash + 1) {
        char part[PLACE_VALUE_MAX];
        const size_t n = (size_t)(slash - *name);
        if (n == 0)
            continue;
        if (n >= sizeof part) {
            (void)close(fd);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, *name, n);
        part[n] = '\0';
        const bool made = !mkdirat(fd, part, mode ? mode : 0755) || errno == EEXIST;
        const int next = made ? openat(fd, part, FLAGS | O_NOFOLLOW) : -1;
        const int failed = errno;
        (void)close(fd);
        errno = failed;
        fd = next;
    }
    return fd;
}

/* Values that are cut stay different by a hash of all of the part. FNV-1a. */
static size_t cut_name(sl_bytes part, char *out)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < part.n; i++)
        h = (h ^ part.p[i]) * UINT64_C(0x100000001b3);
    size_t n = PLACE_NAME_MAX - 17;
    while (n > 0 && (out[n] & 0xc0) == 0x80) /* not within a character */
        n--;
    return n + (size_t)snprintf(out + n, 18, "-%016llx", (unsigned long long)h);
}

size_t place_clean(sl_bytes value, char out[PLACE_VALUE_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < value.n;) {
        const uint8_t *slash = memchr(value.p + i, '/', value.n - i);
        const sl_bytes part =
            sl_slice(value.p + i, slash ? (size_t)(slash - value.p) - i : value.n - i);
        i += part.n + 1;
        if (part.n == 0 || sl_eq(part, sl_str(".")))
            continue;
        if (sl_eq(part, sl_str(".."))) { /* one up, but not further than the beginning */
            while (used > 0 && out[--used] != '/')
                ;
            continue;
        }
        if (used + 1 + PLACE_NAME_MAX + 1 > PLACE_VALUE_MAX)
            break;
        if (used)
            out[used++] = '/';
        char *name = out + used;
        const size_t n = part.n < PLACE_NAME_MAX ? part.n : PLACE_NAME_MAX;
        for (size_t k = 0; k < n; k++)
            name[k] =
                part.p[k] < 0x20 || part.p[k] == 0x7f || part.p[k] == '\\' ? '_' : (char)part.p[k];
        used += part.n > PLACE_NAME_MAX ? cut_name(part, name) : n;
    }
    return used;
}
