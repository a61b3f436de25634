/* See exporter_file_support.h. */
#include "tests/unit/exporter_file_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

const uint8_t two_spans[18] = {0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, 'a',
                               0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, 'b'};
const char two_spans_json[] = "{\"resourceSpans\":["
                              "{\"resource\":{},\"scopeSpans\":[{\"scope\":{},\"spans\":[{"
                              "\"name\":\"a\",\"status\":{}}]}]},"
                              "{\"resource\":{},\"scopeSpans\":[{\"scope\":{},\"spans\":[{"
                              "\"name\":\"b\",\"status\":{}}]}]}]}\n";

void fixture_open(struct fixture *f, struct exporter exporter)
{
    *f = (struct fixture){
        .h = plugin_host_create(), .type = sluice_plugin.types[0], .exporter = exporter};
    f->h->name = "file/test";
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/sluice-file-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof f->path, "%s/out", f->directory);
}

int32_t fixture_start(struct fixture *f)
{
    struct exporter *e = &f->exporter;
    f->error = (sl_error){.size = sizeof f->error};
    e->base.host = &f->h->host;
    e->directory_permissions = sl_str("0750");
    if (!e->path.n)
        e->path = sl_str(f->path);
    if (e->group_by.enabled && !e->group_by.resource_attribute.n)
        e->group_by.resource_attribute = sl_str("tenant");
    if (e->group_by.enabled && !e->group_by.max_open_files)
        e->group_by.max_open_files = 100;
    const int32_t status = f->type->prepare(e, &f->error);
    return status == SL_OK ? f->type->start(e, &f->error) : status;
}

void fixture_stop(struct fixture *f)
{
    f->type->stop(&f->exporter);
    f->type->stop(&f->exporter);
    f->type->destroy(&f->exporter);
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
    (void)st, (void)what, (void)ftw;
    return remove(path);
}

void fixture_close(struct fixture *f)
{
    fixture_stop(f);
    plugin_host_destroy(f->h);
    assert_int_equal(nftw(f->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int32_t fixture_send(struct fixture *f, uint32_t signal, const sl_bytes *segments, uint32_t n,
                     uint32_t items)
{
    sl_delivery *d = plugin_host_delivery_of(f->h, signal, segments, n, items);
    const int32_t status = plugin_host_send(f->type, &f->exporter, d, &f->send);
    plugin_host_end(f->h, d, SL_FAILED, NULL);
    return status;
}

int32_t fixture_send_spans(struct fixture *f)
{
    const sl_bytes segments[] = {sl_slice(two_spans, 9), sl_slice(two_spans + 9, 9)};
    return fixture_send(f, SL_TRACES, segments, 2, 2);
}

size_t fixture_read(const char *path, char *at, size_t room)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    const ssize_t n = read(fd, at, room);
    close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

void fixture_write(const char *path, const void *at, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, at, n), n);
    close(fd);
}

size_t fixture_size(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (size_t)st.st_size;
}

const char *fixture_list(struct fixture *f)
{
    static char names[4096];
    struct dirent **entries;
    size_t used = 0;
    const int n = scandir(f->directory, &entries, NULL, alphasort);
    assert_true(n >= 0);
    names[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.' || strlen(entries[i]->d_name) > 2)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? " " : "",
                                     entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return names;
}
