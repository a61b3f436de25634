/* Scans plugin directories. Filled by one thread at start or reload; then read-only. */
#include "pipeline/plugins/registry.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES_MAX = 1024,
    DIRECTORIES_MAX = 64,
    PROBLEM_BYTES = sizeof(((sl_error *)0)->text),
    PATH_BYTES = 4096
};

struct entry {
    struct plugin_file file;
    struct section section;
    bool not_a_plugin;
    char problem[PROBLEM_BYTES];
    char strings[]; /* path, name */
};

struct directory {
    dev_t device;
    ino_t inode;
    char *path;
};

struct plugin_registry {
    struct entry **files;
    uint32_t n_files, room_files;
    struct plugin_conflict *conflicts;
    uint32_t n_conflicts, room_conflicts;
    struct directory directories[DIRECTORIES_MAX];
    uint32_t n_directories;
    char *directories_text;
};

struct plugin_registry *plugin_registry_create(void)
{
    return calloc(1, sizeof(struct plugin_registry));
}

void plugin_registry_destroy(struct plugin_registry *registry)
{
    if (!registry)
        return;
    for (uint32_t i = 0; i < registry->n_files; i++) {
        section_deinit(&registry->files[i]->section);
        free(registry->files[i]);
    }
    for (uint32_t i = 0; i < registry->n_directories; i++)
        free(registry->directories[i].path);
    free(registry->files);
    free(registry->conflicts);
    free(registry->directories_text);
    free(registry);
}

static bool is_plugin_name(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && name[0] != '.' && strcmp(name + n - 3, ".so") == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* The names *.so in a directory, sorted; the caller frees them. */
static int32_t list_names(DIR *stream, const char *directory, char ***names, uint32_t *n,
                          sl_error *error)
{
    const struct dirent *at;
    uint32_t room = 0;
    *names = NULL;
    *n = 0;
    errno = 0;
    while ((at = readdir(stream)) != NULL) {
        if (!is_plugin_name(at->d_name))
            continue;
        if (*n == FILES_MAX)
            return sl_fail(error, SL_ERR_TOO_LARGE, "plugin directory \"%s\": more than %u files",
                           directory, (unsigned)FILES_MAX);
        if (*n == room) {
            room = room ? room * 2 : 32;
            char **more = realloc(*names, room * sizeof *more);
            if (!more)
                return SL_ERR_NOMEM;
            *names = more;
        }
        if (((*names)[*n] = strdup(at->d_name)) == NULL)
            return SL_ERR_NOMEM;
        (*n)++;
    }
    if (errno)
        return sl_fail(error, SL_ERR_IO, "plugin directory \"%s\": cannot be read: %s", directory,
                       strerror(errno));
    if (*n > 1)
        qsort(*names, *n, sizeof **names, compare_names);
    return SL_OK;
}

static struct entry *entry_create(const char *directory, const char *name)
{
    size_t n = strlen(name), path = strlen(directory) + 1 + n + 1;
    struct entry *entry = calloc(1, sizeof *entry + path + n + 1);
    if (!entry)
        return NULL;
    (void)snprintf(entry->strings, path, "%s/%s", directory, name);
    (void)snprintf(entry->strings + path, n + 1, "%.*s", (int)(n - 3), name);
    entry->file.directory = directory;
    entry->file.path = entry->strings;
    entry->file.name = entry->strings + path;
    return entry;
}

static void entry_read(struct entry *entry, int directory, const char *name)
{
    sl_error error = {.size = sizeof error};
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        (void)snprintf(entry->problem, sizeof entry->problem, "%s",
                       errno == ELOOP ? "a symbolic link: put the file itself there"
                                      : strerror(errno));
    } else {
        int32_t status = section_read(fd, &entry->section, &error);
        entry->not_a_plugin = status == SL_ERR_NOT_FOUND;
        if (status != SL_OK)
            (void)snprintf(entry->problem, sizeof entry->problem, "%s", error.text);
        else if (entry->section.abi_major != SL_ABI_MAJOR ||
                 entry->section.abi_minor != SL_ABI_MINOR)
            (void)snprintf(entry->problem, sizeof entry->problem,
                           "built for plugin ABI %u.%u, this Sluice has %u.%u: build it again with "
                           "this Sluice's sluice/plugin.h",
                           entry->section.abi_major, entry->section.abi_minor, SL_ABI_MAJOR,
                           SL_ABI_MINOR);
        close(fd);
    }
    entry->file.abi_major = entry->section.abi_major;
    entry->file.abi_minor = entry->section.abi_minor;
    entry->file.n_types = entry->section.n_types;
    entry->file.types = entry->section.types;
    entry->file.problem = entry->problem[0] ? entry->problem : NULL;
}

static bool has_type(const struct plugin_file *file, uint32_t kind, sl_bytes name)
{
    for (uint32_t i = 0; i < file->n_types; i++)
        if (file->types[i].kind == kind && sl_eq(sl_str(file->types[i].name), name))
            return true;
    return false;
}

static int32_t add_conflicts(struct plugin_registry *registry, const struct plugin_file *file)
{
    for (uint32_t i = 0; i < file->n_types; i++) {
        const struct section_type *type = &file->types[i];
        if (type->kind == 0 || type->kind == SL_KIND_codec)
            continue;
        const struct plugin_file *first =
            plugin_registry_next(registry, type->kind, sl_str(type->name), NULL);
        if (first == file)
            continue;
        if (registry->n_conflicts == registry->room_conflicts) {
            uint32_t room = registry->room_conflicts ? registry->room_conflicts * 2 : 8;
            struct plugin_conflict *more =
                realloc(registry->conflicts, room * sizeof *registry->conflicts);
            if (!more)
                return SL_ERR_NOMEM;
            registry->conflicts = more;
            registry->room_conflicts = room;
        }
        registry->conflicts[registry->n_conflicts++] =
            (struct plugin_conflict){type->kind, type->name, first, file};
    }
    return SL_OK;
}

static int32_t add_file(struct plugin_registry *registry, const char *directory, int fd,
                        const char *name)
{
    if (registry->n_files == registry->room_files) {
        uint32_t room = registry->room_files ? registry->room_files * 2 : 32;
        struct entry **more = realloc(registry->files, room * sizeof(struct entry *));
        if (!more)
            return SL_ERR_NOMEM;
        registry->files = more;
        registry->room_files = room;
    }
    struct entry *entry = entry_create(directory, name);
    if (!entry)
        return SL_ERR_NOMEM;
    registry->files[registry->n_files++] = entry;
    entry_read(entry, fd, name);
    return add_conflicts(registry, &entry->file);
}

/* Notes the directory. *known: it was read before, perhaps by another path. */
static int32_t add_directory(struct plugin_registry *registry, const char *path,
                             const struct stat *st, bool *known)
{
    *known = false;
    for (uint32_t i = 0; i < registry->n_directories; i++)
        if (registry->directories[i].device == st->st_dev &&
            registry->directories[i].inode == st->st_ino)
            *known = true;
    if (*known)
        return SL_OK;
    if (registry->n_directories == DIRECTORIES_MAX)
        return SL_ERR_TOO_LARGE;
    const char *before = registry->directories_text;
    size_t n = strlen(path) + (before ? strlen(before) + 2 : 0) + 1;
    char *text = malloc(n), *copy = strdup(path);
    if (!text || !copy) {
        free(text);
        free(copy);
        return SL_ERR_NOMEM;
    }
    (void)snprintf(text, n, "%s%s%s", before ? before : "", before ? ", " : "", path);
    free(registry->directories_text);
    registry->directories_text = text;
    registry->directories[registry->n_directories++] =
        (struct directory){st->st_dev, st->st_ino, copy};
    return SL_OK;
}

int32_t plugin_registry_scan(struct plugin_registry *registry, const char *directory,
                             sl_error *error)
{
    struct stat st;
    char **names = NULL;
    uint32_t n = 0;
    bool known = false;
    if (error)
        error->text[0] = 0;
    DIR *stream = opendir(directory);
    if (!stream || fstat(dirfd(stream), &st) != 0) {
        int reason = errno;
        if (stream)
            closedir(stream);
        return sl_fail(error, reason == ENOENT ? SL_ERR_NOT_FOUND : SL_ERR_IO,
                       "plugin directory \"%s\": %s", directory, strerror(reason));
    }
    int32_t status = add_directory(registry, directory, &st, &known);
    if (status == SL_OK && !known)
        status = list_names(stream, directory, &names, &n, error);
    for (uint32_t i = 0; i < n && status == SL_OK; i++)
        status = add_file(registry, registry->directories[registry->n_directories - 1].path,
                          dirfd(stream), names[i]);
    free_names(names, n);
    closedir(stream);
    if (status == SL_ERR_NOMEM)
        sl_fail(error, status, "plugin directory \"%s\": no memory", directory);
    else if (status == SL_ERR_TOO_LARGE && error && !error->text[0])
        sl_fail(error, status, "plugin directory \"%s\": more than %u directories", directory,
                (unsigned)DIRECTORIES_MAX);
    return status;
}

int32_t plugin_directory_default(const char *installed, char *path, size_t capacity,
                                 sl_error *error)
{
    char exe[PATH_BYTES];
    struct stat st;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    int length = -1;
    if (n > 0) {
        exe[n] = 0;
        char *slash = strrchr(exe, '/');
        if (slash) {
            *slash = 0;
            length = snprintf(path, capacity, "%s/plugins", exe);
            if (length >= 0 && (size_t)length < capacity && stat(path, &st) == 0 &&
                S_ISDIR(st.st_mode))
                return SL_OK;
        }
    }
    if (installed[0] == '/')
        length = snprintf(path, capacity, "%s", installed);
    else if (n > 0) {
        char joined[2 * PATH_BYTES];
        (void)snprintf(joined, sizeof joined, "%s/%s", exe, installed);
        char *shown = realpath(joined, NULL); /* without ".." where the directory is there */
        length = snprintf(path, capacity, "%s", shown ? shown : joined);
        free(shown);
    }
    if (length < 0 || (size_t)length >= capacity)
        return sl_fail(error, SL_ERR_IO,
                       "cannot find the plugin directory beside the executable: use --plugins DIR");
    return SL_OK;
}

const struct plugin_file *plugin_registry_next(const struct plugin_registry *registry,
                                               uint32_t kind, sl_bytes name,
                                               const struct plugin_file *after)
{
    for (uint32_t i = 0; i < registry->n_files; i++) {
        const struct plugin_file *file = &registry->files[i]->file;
        if (after) {
            if (file == after)
                after = NULL;
        } else if (has_type(file, kind, name)) {
            return file;
        }
    }
    return NULL;
}

int32_t plugin_registry_find(const struct plugin_registry *registry, uint32_t kind, sl_bytes name,
                             const struct plugin_file **found, sl_error *error)
{
    const char *kind_name = plugin_kind_name(kind) ? plugin_kind_name(kind) : "component";
    const struct plugin_file *file = plugin_registry_next(registry, kind, name, NULL), *second;
    const struct entry *damaged = NULL;
    *found = NULL;
    if (!file) {
        for (uint32_t i = 0; i < registry->n_files && !damaged; i++)
            if (registry->files[i]->problem[0] && !registry->files[i]->not_a_plugin)
                damaged = registry->files[i];
        return sl_fail(error, SL_ERR_NOT_FOUND,
                       "no plugin has the %s \"%.*s\" (looked in %s)%s%s%s%s", kind_name,
                       (int)(name.n < 100 ? name.n : 100), (const char *)name.p,
                       plugin_registry_directories(registry), damaged ? "; left out: " : "",
                       damaged ? damaged->file.path : "", damaged ? ": " : "",
                       damaged ? damaged->problem : "");
    }
    second = kind == SL_KIND_codec ? NULL : plugin_registry_next(registry, kind, name, file);
    if (second)
        return sl_fail(error, SL_ERR_INVALID,
                       "the %s \"%.*s\" is in %s and in %s: remove one of the two", kind_name,
                       (int)name.n, (const char *)name.p, file->path, second->path);
    if (file->problem)
        return sl_fail(error, SL_ERR_INVALID, "%s: %s", file->path, file->problem);
    *found = file;
    return SL_OK;
}

int32_t plugin_registry_file(const struct plugin_registry *registry, sl_bytes name,
                             const struct plugin_file **found, sl_error *error)
{
    const struct plugin_file *file = NULL;
    *found = NULL;
    for (uint32_t i = 0; i < registry->n_files; i++) {
        const struct plugin_file *at = &registry->files[i]->file;
        if (!sl_eq(sl_str(at->name), name))
            continue;
        if (file)
            return sl_fail(error, SL_ERR_INVALID,
                           "the plugin file \"%s.so\" is in %s and in %s: remove one of the two",
                           at->name, file->directory, at->directory);
        file = at;
    }
    if (!file)
        return sl_fail(error, SL_ERR_NOT_FOUND, "no plugin file \"%.*s.so\" in %s",
                       (int)(name.n < 100 ? name.n : 100), (const char *)name.p,
                       plugin_registry_directories(registry));
    if (file->problem)
        return sl_fail(error, SL_ERR_INVALID, "%s: %s", file->path, file->problem);
    *found = file;
    return SL_OK;
}

uint32_t plugin_registry_files(const struct plugin_registry *registry)
{
    return registry->n_files;
}

const struct plugin_file *plugin_registry_at(const struct plugin_registry *registry, uint32_t i)
{
    return &registry->files[i]->file;
}

uint32_t plugin_registry_conflicts(const struct plugin_registry *registry)
{
    return registry->n_conflicts;
}

const struct plugin_conflict *plugin_registry_conflict(const struct plugin_registry *registry,
                                                       uint32_t i)
{
    return &registry->conflicts[i];
}

const char *plugin_registry_directories(const struct plugin_registry *registry)
{
    return registry->directories_text ? registry->directories_text : "no directory";
}
