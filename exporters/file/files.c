/* The files of group_by that are open, found by their path; the one that was not written to for the
 * longest time is closed for a new one. Under the exporter's mutex. */
#include "exporters/file/file.h"

#include <stdlib.h>

struct files {
    struct output **buckets;
    uint32_t n, max, mask;
    struct output *newest, *oldest;
};

struct files *files_create(uint32_t max_open)
{
    struct files *f = calloc(1, sizeof *f);
    uint32_t buckets = 16;
    while (buckets < max_open)
        buckets *= 2;
    if (f)
        f->buckets = calloc(buckets, sizeof *f->buckets);
    if (!f || !f->buckets) {
        free(f);
        return NULL;
    }
    f->max = max_open;
    f->mask = buckets - 1;
    return f;
}

static void unlink_output(struct files *f, struct output *o)
{
    if (o->newer)
        o->newer->older = o->older;
    else
        f->newest = o->older;
    if (o->older)
        o->older->newer = o->newer;
    else
        f->oldest = o->newer;
    o->newer = o->older = NULL;
}

static void put_first(struct files *f, struct output *o)
{
    o->older = f->newest;
    if (f->newest)
        f->newest->newer = o;
    else
        f->oldest = o;
    f->newest = o;
}

static void drop(struct files *f, struct output *o)
{
    struct output **at = &f->buckets[o->hash & f->mask];
    while (*at != o)
        at = &(*at)->chain;
    *at = o->chain;
    unlink_output(f, o);
    f->n--;
    output_destroy(o);
}

void files_destroy(struct files *f)
{
    if (!f)
        return;
    while (f->oldest)
        drop(f, f->oldest);
    free(f->buckets);
    free(f);
}

void files_each(struct files *f, void (*visit)(void *, struct output *), void *arg)
{
    for (struct output *o = f->newest; o; o = o->older)
        visit(arg, o);
}

static uint64_t hash_of(const char *at, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)at[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

/* The exporter's path with the value for its *. The directory is what stands in front of the last /
 * before the *. */
static int32_t make(struct exporter *e, const char *value, size_t n, struct output **output,
                    sl_error *error)
{
    const char *pattern = (const char *)e->path.p;
    const char *star = memchr(pattern, '*', e->path.n);
    const size_t before = (size_t)(star - pattern), behind = e->path.n - before - 1;
    const char *slash = memrchr(pattern, '/', before);
    char *path = malloc(before + n + behind + 1);
    if (!path)
        return sl_fail(error, SL_ERR_NOMEM, "no memory to open a file");
    memcpy(path, pattern, before);
    memcpy(path + before, value, n);
    memcpy(path + before + n, star + 1, behind);
    const char *rest = slash ? path + (slash - pattern) + 1 : path;
    const int32_t status = output_create(e, path, before + n + behind, rest, output, error);
    free(path);
    return status;
}

int32_t files_get(struct exporter *e, const char *value, size_t n, struct output **output,
                  sl_error *error)
{
    struct files *f = e->files;
    struct output *o;
    int32_t status = make(e, value, n, &o, error);
    if (status != SL_OK)
        return status;
    o->hash = hash_of(o->place.path, strlen(o->place.path));
    struct output **bucket = &f->buckets[o->hash & f->mask], *found = *bucket;
    while (found && strcmp(found->place.path, o->place.path) != 0)
        found = found->chain;
    if (found) {
        output_destroy(o);
        o = found;
        unlink_output(f, o);
    } else {
        if (f->n >= f->max)
            drop(f, f->oldest);
        o->chain = *bucket;
        *bucket = o;
        f->n++;
    }
    put_first(f, o);
    *output = o;
    return SL_OK;
}
