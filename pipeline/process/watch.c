/* Files are changed in many ways: written in place, replaced by another of the same name, or, in
 * Kubernetes, by turning a symbolic link of the folder's. So the folders are watched, the one that
 * holds the name and the one that holds what it leads to; whatever happens there is only a reason
 * to look, a little later, whether one of the files is another than before. On the main loop. */
#include "pipeline/process/watch.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const int64_t SETTLE_NS = INT64_C(500000000);

/* What tells a file from another, and from itself after a change; zeros: it is not there. */
struct look {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct file {
    char *path;
    struct look look;
};

struct folder {
    uv_fs_event_t event;
    struct folder *next;
    char path[];
};

struct watch {
    uv_loop_t *loop;
    struct clock *clock;
    struct clock_timer settle;
    bool looks;     /* the timer is armed */
    bool unsettled; /* the last look found a change that has not been told */
    void (*changed)(void *arg);
    void *arg;
    struct file *files;
    uint32_t n_files;
    struct folder *folders;
};

static struct look look_at(const char *path)
{
    struct stat st;
    struct look l;
    memset(&l, 0, sizeof l);
    if (stat(path, &st) == 0)
        l = (struct look){.device = st.st_dev,
                          .inode = st.st_ino,
                          .size = st.st_size,
                          .modified = st.st_mtim,
                          .changed = st.st_ctim};
    return l;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same(const struct look *a, const struct look *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

static void look_later(struct watch *w)
{
    if (w->looks)
        return;
    w->looks = clock_arm(w->clock, &w->settle, clock_now(w->clock) + SETTLE_NS) == 0;
}

/* An editor writes in several steps: a change is told once the files have stayed as they are from
 * one look to the next. What else happens in their folders, such as an exporter that writes its own
 * files there without a pause, cannot put that off. */
static void settled(struct clock_timer *timer)
{
    struct watch *w = (struct watch *)(void *)((uint8_t *)timer - offsetof(struct watch, settle));
    bool changed = false;
    w->looks = false;
    for (uint32_t i = 0; i < w->n_files; i++) {
        const struct look now = look_at(w->files[i].path);
        changed |= !same(&now, &w->files[i].look);
        w->files[i].look = now;
    }
    const bool tell = w->unsettled && !changed;
    w->unsettled = changed;
    if (changed)
        look_later(w);
    if (tell)
        w->changed(w->arg);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct watch *w = event->data;
    (void)name;
    (void)events;
    (void)status;
    look_later(w);
}

struct watch *watch_create(uv_loop_t *loop, struct clock *clock, void (*changed)(void *arg),
                           void *arg)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->loop = loop;
    w->clock = clock;
    w->settle.fire = settled;
    w->changed = changed;
    w->arg = arg;
    return w;
}

static void free_folder(uv_handle_t *handle)
{
    free((struct folder *)(void *)((uint8_t *)handle - offsetof(struct folder, event)));
}

static void drop_folders(struct watch *w)
{
    while (w->folders) {
        struct folder *f = w->folders;
        w->folders = f->next;
        uv_close((uv_handle_t *)&f->event, free_folder);
    }
}

static int watch_folder(struct watch *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (slash == path ? 1 : (size_t)(slash - path)) : 1;
    const char *name = slash ? path : ".";
    for (const struct folder *f = w->folders; f; f = f->next)
        if (strlen(f->path) == n && !strncmp(f->path, name, n))
            return 0;
    struct folder *f = calloc(1, sizeof *f + n + 1);
    if (!f)
        return ENOMEM;
    memcpy(f->path, name, n);
    (void)uv_fs_event_init(w->loop, &f->event);
    f->event.data = w;
    f->next = w->folders;
    w->folders = f;
    return -uv_fs_event_start(&f->event, on_event, f->path, 0);
}

static int watch_file(struct watch *w, const char *path)
{
    char *leads_to = realpath(path, NULL);
    const int one = watch_folder(w, path);
    const int other = leads_to ? watch_folder(w, leads_to) : 0;
    free(leads_to);
    return one ? one : other;
}

static bool has(const struct watch *w, const char *path)
{
    for (uint32_t i = 0; i < w->n_files; i++)
        if (!strcmp(w->files[i].path, path))
            return true;
    return false;
}

static bool add(struct watch *w, const char *path)
{
    struct file *files = realloc(w->files, (w->n_files + 1) * sizeof *files);
    if (!files)
        return false;
    w->files = files;
    files[w->n_files] = (struct file){.path = strdup(path), .look = look_at(path)};
    w->n_files += files[w->n_files].path != NULL;
    return files[w->n_files - 1].path != NULL;
}

static void drop_files(struct watch *w)
{
    for (uint32_t i = 0; i < w->n_files; i++)
        free(w->files[i].path);
    free(w->files);
    w->files = NULL;
    w->n_files = 0;
}

int watch_files(struct watch *w, char *const *paths, uint32_t n, bool also)
{
    int failed = 0;
    drop_folders(w); /* links may lead elsewhere now */
    if (!also)
        drop_files(w);
    for (uint32_t i = 0; i < n; i++)
        if (!has(w, paths[i]) && !add(w, paths[i]))
            failed = ENOMEM;
    for (uint32_t i = 0; i < w->n_files; i++) {
        const int one = watch_file(w, w->files[i].path);
        failed = failed ? failed : one;
    }
    return failed;
}

void watch_destroy(struct watch *w)
{
    if (!w)
        return;
    clock_disarm(w->clock, &w->settle);
    drop_folders(w);
    (void)uv_run(w->loop, UV_RUN_NOWAIT); /* frees them */
    drop_files(w);
    free(w);
}
