/* Plugin files: what the registry reads without loading, which files the loader refuses and why,
 * and that damaged files are harmless. The fixtures' directory is the first argument; a seed may
 * follow. */
#include "pipeline/plugins/loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char *fixtures;
static uint64_t seed;

struct fixture {
    char directory[64];
    char path[256];
    struct plugin_registry *registry;
    struct plugin_loader *loader;
    sl_error error;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/sluice-plugins-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->registry = plugin_registry_create();
    f->loader = plugin_loader_create();
    f->error.size = sizeof f->error;
    assert_true(f->registry && f->loader);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    plugin_registry_destroy(f->registry);
    plugin_loader_destroy(f->loader);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->directory);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static uint8_t *read_fixture(const char *name, size_t *n)
{
    char path[512];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/loading_%s.so", fixtures, name);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *n = (size_t)st.st_size;
    uint8_t *bytes = malloc(*n);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, *n), st.st_size);
    close(fd);
    return bytes;
}

/* Its path, in f->path. */
static const char *path_of(struct fixture *f, const char *name)
{
    (void)snprintf(f->path, sizeof f->path, "%s/%s", f->directory, name);
    return f->path;
}

static void keep(char copy[256], const char *path)
{
    (void)snprintf(copy, 256, "%s", path);
}

static const char *put_bytes(struct fixture *f, const char *name, const void *bytes, size_t n)
{
    int fd = open(path_of(f, name), O_WRONLY | O_CREAT | O_TRUNC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
    return f->path;
}

static const char *put_fixture(struct fixture *f, const char *name, const char *fixture)
{
    size_t n;
    uint8_t *bytes = read_fixture(fixture, &n);
    put_bytes(f, name, bytes, n);
    free(bytes);
    return f->path;
}

static void expect_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

static void expect_refused(struct fixture *f, const char *path, int32_t status, const char *text)
{
    const struct plugin *plugin = NULL;
    assert_int_equal(plugin_load(f->loader, path, &plugin, &f->error), status);
    assert_null(plugin);
    assert_int_equal(strncmp(f->error.text, path, strlen(path)), 0);
    expect_contains(f->error.text, text);
}

static const struct plugin *load(struct fixture *f, const char *path)
{
    const struct plugin *plugin = NULL;
    if (plugin_load(f->loader, path, &plugin, &f->error) != SL_OK)
        fail_msg("%s", f->error.text);
    return plugin;
}

static const char *find(struct fixture *f, uint32_t kind, const char *name)
{
    const struct plugin_file *file;
    f->error.text[0] = 0;
    if (plugin_registry_find(f->registry, kind, sl_str(name), &file, &f->error) != SL_OK) {
        assert_null(file);
        return f->error.text;
    }
    return file->name;
}

static void test_scan(void **state)
{
    struct fixture *f = *state;
    struct plugin_file const *file;
    put_fixture(f, "b_good.so", "good");
    put_fixture(f, "a_older.so", "older");
    put_fixture(f, "c_future.so", "abi_minor");
    put_fixture(f, "d_helper.so", "no_section");
    put_bytes(f, "e_text.so", "#!/bin/sh\n", 10);
    put_bytes(f, "README.md", "x", 1);
    put_bytes(f, ".hidden.so", "x", 1);
    put_bytes(f, ".so", "x", 1);
    assert_int_equal(symlink("b_good.so", path_of(f, "f_link.so")), 0);
    assert_int_equal(mkfifo(path_of(f, "g_fifo.so"), 0600), 0);
    assert_int_equal(mkdir(path_of(f, "h_folder.so"), 0700), 0);
    assert_int_equal(plugin_registry_scan(f->registry, f->directory, &f->error), SL_OK);
    assert_int_equal(plugin_registry_scan(f->registry, f->directory, &f->error), SL_OK);

    static const struct {
        const char *name, *problem;
        uint32_t types;
    } expected[] = {{"a_older", NULL, 1},
                    {"b_good", NULL, 3},
                    {"c_future", "ABI 0.99, this Sluice has 0.1", 1},
                    {"d_helper", "not a plugin", 0},
                    {"e_text", "not a shared object (10 bytes)", 0},
                    {"f_link", "symbolic link", 0},
                    {"g_fifo", "not a regular file", 0},
                    {"h_folder", "not a regular file", 0}};
    assert_int_equal(plugin_registry_files(f->registry), 8);
    for (uint32_t i = 0; i < 8; i++) {
        file = plugin_registry_at(f->registry, i);
        assert_string_equal(file->name, expected[i].name);
        assert_string_equal(file->directory, f->directory);
        assert_int_equal(strncmp(file->path, f->directory, strlen(f->directory)), 0);
        assert_int_equal(file->n_types, expected[i].types);
        if (expected[i].problem)
            expect_contains(file->problem ? file->problem : "", expected[i].problem);
        else
            assert_null(file->problem);
    }
    assert_int_equal(plugin_registry_at(f->registry, 1)->abi_minor, SL_ABI_MINOR);
    assert_string_equal(find(f, SL_KIND_processor, "good"), "b_good");
    assert_string_equal(find(f, SL_KIND_processor, "good_alias"), "b_good");
    assert_string_equal(find(f, SL_KIND_extension, "good_extension"), "b_good");
    expect_contains(find(f, SL_KIND_exporter, "good"), "no plugin has the exporter \"good\"");
    expect_contains(f->error.text, f->directory);
    expect_contains(f->error.text, "c_future.so: built for plugin ABI");
    expect_contains(find(f, SL_KIND_processor, "broken"), "c_future.so: built for plugin ABI 0.99");

    assert_int_equal(plugin_registry_file(f->registry, sl_str("b_good"), &file, &f->error), SL_OK);
    assert_string_equal(file->name, "b_good");
    assert_int_equal(plugin_registry_file(f->registry, sl_str("e_text"), &file, &f->error),
                     SL_ERR_INVALID);
    assert_int_equal(plugin_registry_file(f->registry, sl_str("b_goo"), &file, &f->error),
                     SL_ERR_NOT_FOUND);
    assert_int_equal(plugin_registry_scan(f->registry, "/nowhere", &f->error), SL_ERR_NOT_FOUND);
    assert_string_equal(f->error.text, "plugin directory \"/nowhere\": No such file or directory");
}

static void test_conflicts(void **state)
{
    struct fixture *f = *state;
    const struct plugin_file *file;
    char second[96];
    put_fixture(f, "one.so", "good");
    put_fixture(f, "two.so", "clash");
    put_fixture(f, "three.so", "older");
    (void)snprintf(second, sizeof second, "%s/more", f->directory);
    assert_int_equal(mkdir(second, 0755), 0);
    put_fixture(f, "more/four.so", "clash");
    put_fixture(f, "more/three.so", "interface");
    assert_int_equal(plugin_registry_scan(f->registry, f->directory, &f->error), SL_OK);
    assert_int_equal(plugin_registry_conflicts(f->registry), 1);
    assert_int_equal(plugin_registry_scan(f->registry, second, &f->error), SL_OK);
    assert_int_equal(plugin_registry_conflicts(f->registry), 2);
    const struct plugin_conflict *conflict = plugin_registry_conflict(f->registry, 1);
    assert_int_equal(conflict->kind, SL_KIND_processor);
    assert_string_equal(conflict->name, "good");
    assert_string_equal(conflict->first->name, "one");
    assert_string_equal(conflict->second->name, "four");
    expect_contains(find(f, SL_KIND_processor, "good"), "one.so and in ");
    expect_contains(f->error.text, "two.so: remove one of the two");
    assert_string_equal(find(f, SL_KIND_processor, "good_alias"), "one");
    assert_string_equal(find(f, SL_KIND_codec, "shared"), "two"); /* several codecs may */
    file = plugin_registry_next(f->registry, SL_KIND_codec, sl_str("shared"), NULL);
    file = plugin_registry_next(f->registry, SL_KIND_codec, sl_str("shared"), file);
    assert_string_equal(file->name, "four");
    assert_null(plugin_registry_next(f->registry, SL_KIND_codec, sl_str("shared"), file));
    assert_int_equal(plugin_registry_file(f->registry, sl_str("three"), &file, &f->error),
                     SL_ERR_INVALID);
    expect_contains(f->error.text, "is in ");
    (void)snprintf(f->path, sizeof f->path, "%s, %s", f->directory, second);
    assert_string_equal(plugin_registry_directories(f->registry), f->path);
}

static void test_default_directory(void **state)
{
    struct fixture *f = *state;
    char exe[512], path[1024], expected[1024];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = 0;
    *strrchr(exe, '/') = 0;
    assert_int_equal(plugin_directory_default("/usr/lib/x", path, sizeof path, &f->error), SL_OK);
    assert_string_equal(path, "/usr/lib/x");
    assert_int_equal(plugin_directory_default("../lib", path, sizeof path, &f->error), SL_OK);
    (void)snprintf(expected, sizeof expected, "%s/../lib", exe);
    assert_string_equal(path, expected);
    assert_int_equal(plugin_directory_default("/usr/lib/x", path, 5, &f->error), SL_ERR_IO);
}

static void test_load(void **state)
{
    struct fixture *f = *state;
    const struct plugin *plugin = load(f, put_fixture(f, "good.so", "good"));
    const sl_type *type = plugin_type(plugin, SL_KIND_processor, sl_str("good"), SL_TRACES);
    assert_string_equal(plugin->path, f->path);
    assert_string_equal(plugin->name, "good");
    assert_string_equal(plugin->version, "1.2.3");
    assert_int_equal(plugin->n_types, 2);
    assert_non_null(type);
    assert_int_equal(type->size, sizeof(sl_type));
    assert_int_equal(type->stability, SL_BETA);
    assert_int_equal(type->process(NULL, NULL), SL_OK);
    assert_ptr_equal(plugin_type(plugin, SL_KIND_processor, sl_str("good_alias"), 0), type);
    assert_null(plugin_type(plugin, SL_KIND_processor, sl_str("good"), SL_TRACES | SL_METRICS));
    assert_null(plugin_type(plugin, SL_KIND_exporter, sl_str("good"), 0));
    type = plugin_type(plugin, SL_KIND_extension, sl_str("good_extension"), 0);
    assert_int_equal(type->stability, SL_DEVELOPMENT);
    assert_int_equal(type->config_size, sizeof(sl_base));
    assert_ptr_equal(load(f, f->path), plugin);

    plugin = load(f, put_fixture(f, "interface.so", "interface"));
    assert_int_equal(plugin->n_types, 0);
    assert_int_equal(*(const uint32_t *)plugin->interface_of("test.answer/1"), 42);
    assert_null(plugin->interface_of("test.answer/2"));
}

static void test_older(void **state)
{
    struct fixture *f = *state;
    const struct plugin *plugin = load(f, put_fixture(f, "older.so", "older"));
    const sl_type *type = plugin_type(plugin, SL_KIND_processor, sl_str("older"), 0);
    assert_null(plugin->interface_of);
    assert_non_null(type->process);
    assert_null(type->on_ready);
    assert_int_equal(type->size, sizeof(sl_type));
}

static void test_refusals(void **state)
{
    static const struct {
        const char *fixture;
        int32_t status;
        const char *text;
    } cases[] = {
        {"no_section", SL_ERR_INVALID, "not a plugin: it has no section .sluice"},
        {"no_symbol", SL_ERR_INVALID, "exports no data symbol sluice_plugin"},
        {"function", SL_ERR_INVALID, "exports no data symbol sluice_plugin"},
        {"short", SL_ERR_INVALID, "its sluice_plugin has 4 bytes"},
        {"magic", SL_ERR_INVALID, "magic is 0x12345678; an sl_plugin has 0x45434c53"},
        {"size", SL_ERR_INVALID, "size is 4096; the symbol has 40 bytes"},
        {"abi_minor", SL_ERR_UNSUPPORTED, "abi_minor is 99, this Sluice has 1"},
        {"abi_disagrees", SL_ERR_INVALID, "section .sluice says ABI 0.1, its sluice_plugin 0.99"},
        {"kind", SL_ERR_INVALID, "its section .sluice has gadget:broken, but it has no such type"},
        {"section_has_more", SL_ERR_INVALID, "section .sluice has exporter:phantom, but"},
        {"types_have_more", SL_ERR_INVALID, "has the type processor:not_in_the_section, but"},
        {"flags", SL_ERR_UNSUPPORTED,
         "type processor:broken: flags are 0x100002; this Sluice does not know 0x100000"},
        {"unresolved", SL_ERR_INVALID, "cannot be loaded: undefined symbol: nobody_defines_this"},
        {"unresolved_plain", SL_ERR_INVALID,
         "cannot be loaded: undefined symbol: nobody_defines_this"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s.so", cases[i].fixture);
        put_fixture(f, name, cases[i].fixture);
        expect_refused(f, f->path, cases[i].status, cases[i].text);
        expect_refused(f, f->path, cases[i].status, cases[i].text); /* and still when asked again */
    }
    expect_refused(f, path_of(f, "missing.so"), SL_ERR_NOT_FOUND, "No such file");
    expect_refused(f, path_of(f, "no/such.so"), SL_ERR_NOT_FOUND, "its folder: No such file");
}

static uint32_t open_descriptors(void)
{
    uint32_t n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* A plugin costs one descriptor, a refused one at most one, and asking again none. */
static void test_descriptors(void **state)
{
    struct fixture *f = *state;
    char good[256], magic[256], damaged[256];
    keep(good, put_fixture(f, "good.so", "good"));
    keep(magic, put_fixture(f, "magic.so", "magic"));
    keep(damaged, put_fixture(f, "unresolved.so", "unresolved"));
    uint32_t before = open_descriptors();
    for (int i = 0; i < 5; i++) {
        (void)load(f, good);
        expect_refused(f, magic, SL_ERR_INVALID, "magic");
        expect_refused(f, damaged, SL_ERR_INVALID, "cannot be loaded");
    }
    assert_int_equal(open_descriptors(), before + 2);
}

static void test_trust(void **state)
{
    struct fixture *f = *state;
    char path[256];
    keep(path, put_fixture(f, "good.so", "good"));
    assert_int_equal(chmod(path, 0757), 0);
    expect_refused(f, path, SL_ERR_DENIED, "it is world-writable (mode 0757): chmod o-w it");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chmod(f->directory, 0777), 0);
    expect_refused(f, path, SL_ERR_DENIED, "its folder is world-writable (mode 0777)");
    assert_int_equal(chmod(f->directory, 0755), 0);
    assert_int_equal(symlink("good.so", path_of(f, "link.so")), 0);
    expect_refused(f, path_of(f, "link.so"), SL_ERR_DENIED, "it is a symbolic link");
    assert_int_equal(mkfifo(path_of(f, "fifo.so"), 0600), 0);
    expect_refused(f, path_of(f, "fifo.so"), SL_ERR_INVALID, "not a regular file");
    if (geteuid() == 0) { /* only root can give files away */
        assert_int_equal(chown(path, 54321, (gid_t)-1), 0);
        expect_refused(f, path, SL_ERR_DENIED, "it belongs to uid 54321; trusted are root, uid 0");
        assert_int_equal(chown(path, 0, (gid_t)-1), 0);
        assert_int_equal(chown(f->directory, 54321, (gid_t)-1), 0);
        expect_refused(f, path, SL_ERR_DENIED, "its folder belongs to uid 54321");
        assert_int_equal(chown(f->directory, 0, (gid_t)-1), 0);
    }
    (void)load(f, path);
}

/* A file renamed over a loaded one is another plugin, though the dynamic loader knows the path; the
 * old one goes on. */
static void test_replaced(void **state)
{
    struct fixture *f = *state;
    char path[256], next[256];
    keep(path, put_fixture(f, "plugin.so", "good"));
    const struct plugin *first = load(f, path), *second;
    for (int i = 0; i < 3; i++) {
        keep(next, put_fixture(f, "next", i % 2 ? "good" : "clash"));
        assert_int_equal(rename(next, path), 0);
        second = load(f, path);
        assert_ptr_not_equal(first, second);
        assert_string_equal(second->version, i % 2 ? "1.2.3" : "2");
        assert_int_equal(second->types[0].process(NULL, NULL), i % 2 ? SL_OK : SL_ERR_REJECTED);
        assert_int_equal(first->types[0].process(NULL, NULL), SL_OK);
    }
    put_fixture(f, "overwritten.so", "older");
    (void)load(f, f->path);
    keep(path, f->path);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    expect_refused(f, path, SL_ERR_INVALID, "it was overwritten while this process has it loaded");
}

static void *load_good(void *arg)
{
    struct fixture *f = arg;
    sl_error error = {.size = sizeof error};
    const struct plugin *plugin = NULL;
    (void)plugin_load(f->loader, f->path, &plugin, &error);
    return (void *)(uintptr_t)plugin;
}

static void test_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    put_fixture(f, "good.so", "good");
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_good, f), 0);
    for (int i = 0; i < 4; i++) {
        void *plugin = NULL;
        pthread_join(threads[i], &plugin);
        assert_ptr_equal(plugin, load(f, f->path));
    }
}

static int32_t read_bytes(const uint8_t *bytes, size_t n, struct section *section, sl_error *error)
{
    int fd = memfd_create("hostile", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    error->text[0] = 0;
    int32_t status = section_read(fd, section, error);
    close(fd);
    if (status != SL_OK) {
        assert_true(error->text[0] != 0);
        assert_null(section->types);
    }
    return status;
}

static void test_truncated(void **state)
{
    struct fixture *f = *state;
    size_t n;
    uint8_t *bytes = read_fixture("good", &n);
    struct section section;
    assert_int_equal(read_bytes(bytes, n, &section, &f->error), SL_OK);
    section_deinit(&section);
    size_t step = n > 100000 ? n / 50000 : 1; /* sanitizers make it long */
    for (size_t keep = 0; keep < n; keep += keep < 4096 ? 1 : step)
        if (read_bytes(bytes, keep, &section, &f->error) == SL_OK)
            section_deinit(&section);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)bytes;
    assert_int_equal(read_bytes(bytes, header->e_shoff + 100, &section, &f->error), SL_ERR_INVALID);
    expect_contains(f->error.text, "lies beyond the end of the file");
    free(bytes);
}

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Random bytes in the headers, extreme numbers among them. */
static void test_mutated(void **state)
{
    static const uint64_t extremes[] = {0,          1,          0xff,       0xffff,
                                        0x7fffffff, 0xffffffff, UINT64_MAX, INT64_MAX};
    struct fixture *f = *state;
    size_t n;
    uint8_t *bytes = read_fixture("good", &n), *copy = malloc(n);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)bytes;
    uint32_t ok = 0, refused = 0;
    assert_non_null(copy);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 3000; round++) {
        struct section section;
        memcpy(copy, bytes, n);
        for (uint64_t edits = 1 + next_random() % 4; edits > 0; edits--) {
            uint64_t value = next_random() % 2 ? extremes[next_random() % 8] : next_random();
            uint64_t width = UINT64_C(1) << (next_random() % 4);
            uint64_t at =
                next_random() % 3 == 0
                    ? next_random() % sizeof *header
                    : header->e_shoff + next_random() % (header->e_shnum * sizeof(Elf64_Shdr));
            if (at + width <= n)
                memcpy(copy + at, &value, width);
        }
        if (read_bytes(copy, n, &section, &f->error) == SL_OK) {
            section_deinit(&section);
            ok++;
        } else {
            refused++;
        }
    }
    assert_true(ok > 0 && refused > 0);
    free(copy);
    free(bytes);
}

/* The text of the section, in a file made for it. */
static int32_t read_text(const char *text, size_t n, struct section *section, sl_error *error)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Shdr sections[2];
        char names[16];
    } head = {.names = "\0.sluice"};
    size_t bytes, size = sizeof head + n;
    uint8_t *good = read_fixture("good", &bytes), *file = malloc(size);
    assert_non_null(file);
    memcpy(&head.header, good, sizeof head.header);
    head.header.e_shoff = sizeof head.header;
    head.header.e_shnum = 2;
    head.header.e_shstrndx = 0;
    head.sections[0].sh_offset = sizeof head - sizeof head.names;
    head.sections[0].sh_size = sizeof head.names;
    head.sections[1].sh_name = 1;
    head.sections[1].sh_type = SHT_PROGBITS;
    head.sections[1].sh_offset = sizeof head;
    head.sections[1].sh_size = n;
    memcpy(file, &head, sizeof head);
    memcpy(file + sizeof head, text, n);
    int32_t status = read_bytes(file, size, section, error);
    free(file);
    free(good);
    return status;
}

#define TEXT(s) s, sizeof(s)

static void test_section_text(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *error; /* NULL: fine */
    } cases[] = {
        {TEXT("abi 0.1\0type processor:a\0\0\0\0type gadget:b_2"), NULL},
        {TEXT("type exporter:last\0abi 12.345"), NULL},
        {TEXT("abi 0.1\0abi 0.1\0newword x y"), NULL},
        {TEXT("type processor:a"), "no ABI version"},
        {TEXT("abi 0.1\0abi 0.2"), "the ABI versions 0.1 and 0.2"},
        {TEXT("abi 0"), "the ABI version \"0\""},
        {TEXT("abi 0.1x"), "the ABI version \"0.1x\""},
        {TEXT("abi 99999.1"), "the ABI version \"99999.1\""},
        {TEXT("abi 0.1\0type processor"), "the type \"processor\""},
        {TEXT("abi 0.1\0type :x"), "the type \":x\""},
        {TEXT("abi 0.1\0type processor:"), "the type \"processor:\""},
        {TEXT("abi 0.1\0type processor:1a"), "the type \"processor:1a\""},
        {TEXT("abi 0.1\0type processor:../x"), "the type \"processor:../x\""},
        {TEXT("abi 0.1\0type averyveryverylongkind:x"), "the type \"averyvery"},
        {TEXT("abi 0.1\0type codec:x\0type codec:x"), "codec:x twice"},
        {TEXT("abi 0.1\0type codec:x\n"), "the byte 10 at 20: not text"},
    };
    struct fixture *f = *state;
    struct section section;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t status = read_text(cases[i].text, cases[i].n, &section, &f->error);
        if (cases[i].error) {
            assert_int_equal(status, SL_ERR_INVALID);
            expect_contains(f->error.text, cases[i].error);
        } else {
            if (status != SL_OK)
                fail_msg("case %zu: %s", i, f->error.text);
            section_deinit(&section);
        }
        /* without the last NUL */
        if (read_text(cases[i].text, cases[i].n - 1, &section, &f->error) == SL_OK)
            section_deinit(&section);
    }
    assert_int_equal(read_text(cases[0].text, cases[0].n, &section, &f->error), SL_OK);
    assert_int_equal(section.n_types, 2);
    assert_int_equal(section.types[0].kind, SL_KIND_processor);
    assert_int_equal(section.types[1].kind, 0);
    assert_string_equal(section.types[1].kind_text, "gadget");
    assert_string_equal(section.types[1].name, "b_2");
    section_deinit(&section);

    char many[(SECTION_TYPES_MAX + 1) * 16] = "abi 0.1";
    size_t at = 8;
    for (int i = 0; i <= SECTION_TYPES_MAX; i++)
        at += (size_t)snprintf(many + at, sizeof many - at, "type codec:c%d", i) + 1;
    assert_int_equal(read_text(many, at, &section, &f->error), SL_ERR_TOO_LARGE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conflicts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trust, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mutated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_section_text, setup, teardown),
    };
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s DIRECTORY-OF-FIXTURES [SEED]\n", argv[0]);
        return 2;
    }
    fixtures = argv[1];
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
    seed = seed ? seed : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
