/* Files that are full get a name with the time of it, and old ones go. Names are those of the
 * OpenTelemetry Collector: in front of the extension, "-2006-01-02T15-04-05.000"; its newer versions
 * add "-size" and the like, which is understood but not written. Under the exporter's mutex. */
#include "exporters/file/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { STAMP = 23, NAME_ROOM = 256 }; /* STAMP: "2006-01-02T15-04-05.000" */

static const int64_t MS = 1000000, DAY_MS = INT64_C(86400000);

/* "data.json": 4 */
static size_t stem_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

static bool rotated_name(const char *name, int64_t ms, bool local, char out[NAME_ROOM])
{
    const time_t seconds = (time_t)(ms / 1000);
    const size_t stem = stem_of(name);
    struct tm t;
    char stamp[32];
    if (!(local ? localtime_r(&seconds, &t) : gmtime_r(&seconds, &t)))
        return false;
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H-%M-%S", &t);
    const int n = snprintf(out, NAME_ROOM, "%.*s-%s.%03d%s", (int)stem, name, stamp,
                           (int)(ms % 1000), name + stem);
    return n > 0 && n < NAME_ROOM;
}

static bool number(const char *at, size_t n, int *value)
{
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        *value = *value * 10 + (at[i] - '0');
    }
    return true;
}

/* The time in the name of a rotated file, in ms since 1970; false: it is none of this file. */
static bool rotated_at(const char *name, const char *rotated, bool local, int64_t *ms)
{
    const size_t stem = stem_of(name), n = strlen(rotated), extension = strlen(name + stem);
    struct tm t = {.tm_isdst = -1};
    int milli;
    if (n < stem + 1 + STAMP + extension || memcmp(rotated, name, stem) != 0 ||
        rotated[stem] != '-' || strcmp(rotated + n - extension, name + stem) != 0)
        return false;
    const char *s = rotated + stem + 1, *reason = s + STAMP;
    const sl_bytes why = sl_slice(reason, n - extension - (size_t)(reason - rotated));
    if (why.n && !sl_eq(why, sl_str("-size")) && !sl_eq(why, sl_str("-time")) &&
        !sl_eq(why, sl_str("-manual")))
        return false;
    if (s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != '-' || s[16] != '-' ||
        s[19] != '.' || !number(s, 4, &t.tm_year) || !number(s + 5, 2, &t.tm_mon) ||
        !number(s + 8, 2, &t.tm_mday) || !number(s + 11, 2, &t.tm_hour) ||
        !number(s + 14, 2, &t.tm_min) || !number(s + 17, 2, &t.tm_sec) ||
        !number(s + 20, 3, &milli))
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    *ms = (int64_t)(local ? mktime(&t) : timegm(&t)) * 1000 + milli;
    return true;
}

struct old_file {
    int64_t ms;
    char *name;
};

static int newest_first(const void *a, const void *b)
{
    const struct old_file *x = a, *y = b;
    return x->ms < y->ms ? 1 : x->ms > y->ms ? -1 : strcmp(y->name, x->name);
}

/* All rotated files of this one; what there is no memory for stays for the next time. */
static size_t list_old(const struct output *o, DIR *directory, const char *name,
                       struct old_file **files)
{
    size_t n = 0, room = 0;
    *files = NULL;
    for (const struct dirent *d; (d = readdir(directory));) {
        int64_t ms;
        if (!rotated_at(name, d->d_name, o->exporter->rotation.localtime, &ms))
            continue;
        if (n == room) {
            const size_t more = room ? 2 * room : 128;
            struct old_file *grown = realloc(*files, more * sizeof *grown);
            if (!grown)
                break;
            *files = grown;
            room = more;
        }
        char *copy = strdup(d->d_name);
        if (!copy)
            break;
        (*files)[n++] = (struct old_file){ms, copy};
    }
    if (n)
        qsort(*files, n, sizeof **files, newest_first);
    return n;
}

void rotate_prune(struct output *o)
{
    const struct exporter *e = o->exporter;
    const struct rotation *r = &e->rotation;
    const char *name;
    if (!r->max_backups && !r->max_days)
        return;
    const int fd = place_open_directory(&o->place, 0, &name);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory) {
        sl_log(sl_host_of(e), SL_LOG_WARN, "cannot look for old files of \"%s\": %s", o->place.path,
               strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    struct old_file *old;
    const size_t n = list_old(o, directory, name, &old);
    const int64_t oldest = sl_wall_clock(sl_host_of(e)) / MS - (int64_t)r->max_days * DAY_MS;
    for (size_t i = 0; i < n; i++) {
        const bool goes =
            (r->max_backups && i >= r->max_backups) || (r->max_days && old[i].ms < oldest);
        if (goes && unlinkat(fd, old[i].name, 0) && errno != ENOENT)
            sl_log(sl_host_of(e), SL_LOG_WARN, "cannot remove \"%s\", which is too old: %s",
                   old[i].name, strerror(errno));
        free(old[i].name);
    }
    free(old);
    (void)closedir(directory);
}

/* A name that is taken is not taken over: two files of one millisecond both stay. */
static int rename_file(struct output *o, int directory, const char *name, int64_t ms)
{
    enum { TRIES = 1000 };
    const struct exporter *e = o->exporter;
    char to[NAME_ROOM];
    for (int i = 0; i < TRIES; i++) {
        if (!rotated_name(name, ms + i, e->rotation.localtime, to)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        if (e->calls->renameat2(directory, name, directory, to, RENAME_NOREPLACE) == 0)
            return 0;
        /* EINVAL: a file system without it; the look beforehand does, as nobody else makes these */
        if (errno == EINVAL && faccessat(directory, to, F_OK, AT_SYMLINK_NOFOLLOW) &&
            errno == ENOENT)
            return e->calls->renameat2(directory, name, directory, to, 0);
        if (errno != EEXIST && errno != EINVAL)
            return -1;
    }
    return -1;
}

int32_t output_rotate(struct output *o, sl_error *error)
{
    const struct exporter *e = o->exporter;
    const char *name;
    const int directory = place_open_directory(&o->place, 0, &name);
    const int renamed =
        directory < 0 ? -1 : rename_file(o, directory, name, sl_wall_clock(sl_host_of(e)) / MS);
    const int failed = errno;
    if (directory >= 0)
        (void)close(directory);
    if (renamed && failed != ENOENT) /* ENOENT: somebody has moved it away already */
        return sl_fail(error, SL_ERR_IO, "rotating \"%.300s\": %s", o->place.path,
                       strerror(failed));
    output_close(o);
    const int32_t status = output_open(o, error);
    if (status == SL_OK)
        rotate_prune(o);
    return status;
}
