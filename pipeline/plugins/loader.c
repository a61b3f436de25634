/* Opens plugins. The file is opened once; owner, section and code are all taken from that
 * descriptor, so that nobody can swap the file in between.
 *
 * The dynamic loader is given /proc/self/fd/N: for a path that it knows it returns the library that
 * it loaded from there first, even if the file is another one by now. N therefore stays open for
 * good, as the library stays mapped: no other file gets the number, and so none the path. That
 * costs a descriptor for each plugin and 1 us of the 40 us that loading takes; a copy in a memfd
 * was measured at 250 us for a plugin of 600 KB. The price: $ORIGIN means nothing in a plugin's
 * RPATH.
 *
 * A file that is refused once it is mapped is remembered, so that asking again does not map it
 * again. */
#include "pipeline/plugins/loader.h"
#include "pipeline/plugins/type_check.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first members of sl_plugin, without which it says nothing; the rest is zero where its size
 * ends before. */
#define PLUGIN_SIZE_MIN (offsetof(sl_plugin, types) + sizeof(const sl_type *const *))

/* What makes a file the same file. */
struct identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct loaded {
    struct plugin plugin;
    struct identity identity;
    int32_t status; /* SL_OK, or why it was refused */
    char *refusal;
    char *path, *name;
    sl_type *types;
    struct loaded *next;
};

struct plugin_loader {
    pthread_mutex_t lock; /* held while a plugin is loaded, as the dynamic loader holds its own */
    struct loaded *first;
};

struct plugin_loader *plugin_loader_create(void)
{
    struct plugin_loader *loader = calloc(1, sizeof *loader);
    if (loader)
        pthread_mutex_init(&loader->lock, NULL);
    return loader;
}

static void loaded_destroy(struct loaded *loaded)
{
    if (!loaded)
        return;
    free(loaded->refusal);
    free(loaded->path);
    free(loaded->name);
    free(loaded->types);
    free(loaded);
}

void plugin_loader_destroy(struct plugin_loader *loader)
{
    if (!loader)
        return;
    while (loader->first) {
        struct loaded *loaded = loader->first;
        loader->first = loaded->next;
        loaded_destroy(loaded);
    }
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}

/* Who may have written it: root, whoever runs this process, and whoever owns this program. */
static int32_t check_owner(const struct stat *st, const char *what, sl_error *error)
{
    struct stat exe;
    if (st->st_mode & S_IWOTH)
        return sl_fail(error, SL_ERR_DENIED, "%s is world-writable (mode %04o): chmod o-w it", what,
                       st->st_mode & 07777);
    if (st->st_uid == 0 || st->st_uid == geteuid())
        return SL_OK;
    if (stat("/proc/self/exe", &exe) != 0)
        return sl_fail(error, SL_ERR_DENIED,
                       "%s belongs to uid %u; trusted are root and uid %u, who runs Sluice", what,
                       st->st_uid, geteuid());
    if (st->st_uid == exe.st_uid)
        return SL_OK;
    return sl_fail(
        error, SL_ERR_DENIED,
        "%s belongs to uid %u; trusted are root, uid %u, who runs Sluice, and uid %u, who "
        "owns its executable",
        what, st->st_uid, geteuid(), exe.st_uid);
}

/* Opens the file and checks it and its folder. */
static int32_t open_checked(const char *path, int *fd, struct stat *st, sl_error *error)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    struct stat folder_st;
    int32_t status = SL_OK;
    *fd = -1;
    if (!folder)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (at < 0 || fstat(at, &folder_st) != 0)
        status = sl_fail(error, errno == ENOENT ? SL_ERR_NOT_FOUND : SL_ERR_IO, "its folder: %s",
                         strerror(errno));
    else
        status = check_owner(&folder_st, "its folder", error);
    if (status == SL_OK) {
        *fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (*fd < 0 && errno == ELOOP)
            status =
                sl_fail(error, SL_ERR_DENIED, "it is a symbolic link: put the file itself there");
        else if (*fd < 0)
            status = sl_fail(error, errno == ENOENT ? SL_ERR_NOT_FOUND : SL_ERR_IO, "%s",
                             strerror(errno));
        else if (fstat(*fd, st) != 0)
            status = sl_fail(error, SL_ERR_IO, "%s", strerror(errno));
        else if (!S_ISREG(st->st_mode))
            status = sl_fail(error, SL_ERR_INVALID, "not a regular file");
        else
            status = check_owner(st, "it", error);
    }
    if (at >= 0)
        close(at);
    return status;
}

/* Maps the library and finds its one symbol, which must be its own and an object.
 *
 * A plugin whose symbols are not all there is refused, and does not end the process at the first
 * call of one. One that sees to that itself lets the libraries that it uses bind as they like:
 * gRPC's save a fifth of the time that they take to load. */
static int32_t map_library(int fd, bool binds_now, bool *mapped, const sl_plugin **plugin,
                           uint64_t *bytes, sl_error *error)
{
    const int mode = binds_now ? RTLD_LAZY : RTLD_NOW;
    char by_fd[64];
    Dl_info info;
    const Elf64_Sym *symbol = NULL;
    size_t n = (size_t)snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", fd);
    void *library = dlopen(by_fd, mode | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        const char *text = dlerror();
        text = text ? text : "unknown error";
        if (strncmp(text, by_fd, n) == 0) /* names the path; the user knows the file by another */
            text += n + (text[n] == ':') + (text[n] == ':' && text[n + 1] == ' ');
        return sl_fail(error, SL_ERR_INVALID, "cannot be loaded: %s", text);
    }
    *mapped = true;
    *plugin = dlsym(library, "sluice_plugin");
    if (!*plugin || !dladdr1(*plugin, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol ||
        ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT)
        return sl_fail(error, SL_ERR_INVALID,
                       "it exports no data symbol sluice_plugin: write SL_PLUGIN(\"1.0\", ...) in "
                       "one of its files");
    struct stat owner, own;
    if (stat(info.dli_fname, &owner) != 0 || fstat(fd, &own) != 0 || owner.st_ino != own.st_ino ||
        owner.st_dev != own.st_dev)
        return sl_fail(error, SL_ERR_INVALID,
                       "its symbol sluice_plugin is that of a library it uses, %s", info.dli_fname);
    *bytes = symbol->st_size;
    return SL_OK;
}

static int32_t check_plugin(const sl_plugin *plugin, uint64_t bytes, const struct section *section,
                            sl_error *error)
{
    if (bytes < PLUGIN_SIZE_MIN)
        return sl_fail(error, SL_ERR_INVALID,
                       "its sluice_plugin has %llu bytes; an sl_plugin has at least %zu",
                       (unsigned long long)bytes, PLUGIN_SIZE_MIN);
    if (plugin->magic != SL_MAGIC)
        return sl_fail(error, SL_ERR_INVALID, "magic is 0x%08x; an sl_plugin has 0x%08x",
                       plugin->magic, SL_MAGIC);
    if (plugin->size < PLUGIN_SIZE_MIN || plugin->size > bytes)
        return sl_fail(error, SL_ERR_INVALID, "size is %u; the symbol has %llu bytes, at least %zu",
                       plugin->size, (unsigned long long)bytes, PLUGIN_SIZE_MIN);
    if (plugin->abi_major != section->abi_major || plugin->abi_minor != section->abi_minor)
        return sl_fail(
            error, SL_ERR_INVALID, "its section .sluice says ABI %u.%u, its sluice_plugin %u.%u",
            section->abi_major, section->abi_minor, plugin->abi_major, plugin->abi_minor);
    if (plugin->n_types > SECTION_TYPES_MAX || (plugin->n_types > 0 && !plugin->types))
        return sl_fail(error, SL_ERR_INVALID, "n_types is %u, at most %u%s", plugin->n_types,
                       (unsigned)SECTION_TYPES_MAX, plugin->types ? "" : ", and types is NULL");
    return SL_OK;
}

/* Before 1.0 another minor version is another ABI. */
static int32_t check_abi(const struct section *section, sl_error *error)
{
    if (section->abi_major == SL_ABI_MAJOR && section->abi_minor == SL_ABI_MINOR)
        return SL_OK;
    bool major = section->abi_major != SL_ABI_MAJOR;
    return sl_fail(
        error, SL_ERR_UNSUPPORTED,
        "abi_%s is %u, this Sluice has %u (ABI %u.%u against %u.%u): build it again with "
        "this Sluice's sluice/plugin.h",
        major ? "major" : "minor", major ? section->abi_major : section->abi_minor,
        major ? SL_ABI_MAJOR : SL_ABI_MINOR, section->abi_major, section->abi_minor, SL_ABI_MAJOR,
        SL_ABI_MINOR);
}

/* Crosses the name off the section's; false: it is not there. */
static bool take_name(struct section *section, uint32_t kind, const char *name)
{
    for (uint32_t i = 0; i < section->n_types; i++) {
        struct section_type *at = &section->types[i];
        if (at->kind == kind && strcmp(at->name, name) == 0) {
            at->kind = UINT32_MAX;
            return true;
        }
    }
    return false;
}

static int32_t take_types(struct loaded *loaded, const sl_plugin *plugin, struct section *section,
                          sl_error *error)
{
    loaded->types = calloc(plugin->n_types ? plugin->n_types : 1, sizeof *loaded->types);
    if (!loaded->types)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for %u types", plugin->n_types);
    for (uint32_t i = 0; i < plugin->n_types; i++) {
        sl_type *type = &loaded->types[i];
        int32_t status = type_take(plugin->types[i], type, error);
        if (status != SL_OK)
            return status;
        const char *name = type->name;
        for (uint32_t k = 0; name; name = type->aliases ? type->aliases[k++] : NULL)
            if (!take_name(section, type->kind, name))
                return sl_fail(error, SL_ERR_INVALID,
                               "it has the type %s:%s, but its section .sluice does not: write "
                               "SL_TYPE or SL_ALIAS for it",
                               plugin_kind_name(type->kind), name);
    }
    for (uint32_t i = 0; i < section->n_types; i++)
        if (section->types[i].kind != UINT32_MAX)
            return sl_fail(error, SL_ERR_INVALID,
                           "its section .sluice has %s:%s, but it has no such type%s",
                           section->types[i].kind_text, section->types[i].name,
                           section->types[i].kind ? ": list it in SL_PLUGIN or in aliases" : "");
    return SL_OK;
}

/* Everything after the file was found trustworthy. *mapped: its code is in this process for good.
 */
static int32_t load(struct loaded *loaded, int fd, bool *mapped, sl_error *error)
{
    struct section section;
    const sl_plugin *plugin = NULL;
    uint64_t bytes = 0;
    *mapped = false;
    int32_t status = section_read(fd, &section, error);
    if (status != SL_OK)
        return status == SL_ERR_NOT_FOUND ? SL_ERR_INVALID : status;
    status = check_abi(&section, error);
    if (status == SL_OK)
        status = map_library(fd, section.binds_now, mapped, &plugin, &bytes, error);
    if (status == SL_OK)
        status = check_plugin(plugin, bytes, &section, error);
    if (status == SL_OK)
        status = take_types(loaded, plugin, &section, error);
    if (status == SL_OK) {
        sl_plugin ours = {0};
        memcpy(&ours, plugin, plugin->size < sizeof ours ? plugin->size : sizeof ours);
        loaded->plugin.path = loaded->path;
        loaded->plugin.name = loaded->name;
        loaded->plugin.version = ours.version ? ours.version : "";
        loaded->plugin.n_types = ours.n_types;
        loaded->plugin.types = loaded->types;
        loaded->plugin.interface_of = ours.interface_of;
    }
    section_deinit(&section);
    return status;
}

static struct loaded *loaded_create(const char *path, const struct stat *st)
{
    struct loaded *loaded = calloc(1, sizeof *loaded);
    if (!loaded)
        return NULL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    loaded->path = strdup(path);
    loaded->name = strndup(name, n > 3 && strcmp(name + n - 3, ".so") == 0 ? n - 3 : n);
    loaded->identity = (struct identity){st->st_dev, st->st_ino, st->st_size, st->st_mtim};
    if (!loaded->path || !loaded->name) {
        loaded_destroy(loaded);
        return NULL;
    }
    return loaded;
}

/* Under the lock. *loaded NULL: it is a new file. */
static int32_t find_loaded(struct plugin_loader *loader, const struct stat *st,
                           struct loaded **loaded, sl_error *error)
{
    for (struct loaded *at = loader->first; at; at = at->next) {
        const struct identity *id = &at->identity;
        if (id->device != st->st_dev || id->inode != st->st_ino)
            continue;
        if (id->size != st->st_size || id->changed.tv_sec != st->st_mtim.tv_sec ||
            id->changed.tv_nsec != st->st_mtim.tv_nsec)
            return sl_fail(
                error, SL_ERR_INVALID,
                "it was overwritten while this process has it loaded: replace a plugin "
                "by renaming the new file over it, as `install` and `mv` do, and restart");
        *loaded = at;
        return SL_OK;
    }
    return SL_OK;
}

int32_t plugin_load(struct plugin_loader *loader, const char *path, const struct plugin **plugin,
                    sl_error *error)
{
    sl_error detail = {.size = sizeof detail};
    struct loaded *loaded = NULL;
    struct stat st;
    int fd = -1;
    bool keep = false;
    *plugin = NULL;
    pthread_mutex_lock(&loader->lock);
    int32_t status = open_checked(path, &fd, &st, &detail);
    if (status == SL_OK)
        status = find_loaded(loader, &st, &loaded, &detail);
    if (status == SL_OK && loaded) {
        status = loaded->status;
        if (status != SL_OK)
            sl_fail(&detail, status, "%s", loaded->refusal);
    } else if (status == SL_OK) {
        loaded = loaded_create(path, &st);
        status =
            loaded ? load(loaded, fd, &keep, &detail) : sl_fail(&detail, SL_ERR_NOMEM, "no memory");
        if (loaded && status != SL_OK && keep)
            loaded->refusal = strdup(detail.text);
        if (keep && (status == SL_OK || loaded->refusal)) {
            loaded->status = status;
            loaded->next = loader->first;
            loader->first = loaded;
        } else {
            loaded_destroy(loaded);
        }
    }
    if (status == SL_OK)
        *plugin = &loaded->plugin;
    pthread_mutex_unlock(&loader->lock);
    if (fd >= 0 && !keep)
        close(fd);
    if (status != SL_OK)
        sl_fail(error, status, "%s: %s", path, detail.text);
    return status;
}

const sl_type *plugin_type(const struct plugin *plugin, uint32_t kind, sl_bytes name,
                           uint32_t signals)
{
    for (uint32_t i = 0; i < plugin->n_types; i++) {
        const sl_type *type = &plugin->types[i];
        if (type->kind != kind || (type->signals & signals) != signals)
            continue;
        const char *at = type->name;
        for (uint32_t k = 0; at; at = type->aliases ? type->aliases[k++] : NULL)
            if (sl_eq(sl_str(at), name))
                return type;
    }
    return NULL;
}
