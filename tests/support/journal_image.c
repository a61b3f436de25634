/* Records are appended, so a file is copied from its end to its beginning: then what is in the copy
 * has all before it in the copy, too, as it has on a disk. Files that come and go meanwhile make it
 * begin anew. */
#include "tests/support/journal_image.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* Reads a page until it was the same twice: else some of a write might be in it, but not its begin. */
static ssize_t read_page(int fd, off_t at, uint8_t page[PAGE])
{
    uint8_t again[PAGE];
    for (;;) {
        const ssize_t n = pread(fd, page, PAGE, at);
        if (n < 0 || (pread(fd, again, PAGE, at) == n && !memcmp(page, again, (size_t)n)))
            return n;
    }
}

static bool is_zero(const uint8_t *page, ssize_t n)
{
    return !page[0] && !memcmp(page, page + 1, (size_t)n - 1);
}

static bool copy_pages(int from, int to)
{
    uint8_t page[PAGE];
    const off_t size = lseek(from, 0, SEEK_END);
    if (size < 0 || ftruncate(to, 0) || ftruncate(to, size))
        return false;
    for (off_t at = (size + PAGE - 1) / PAGE * PAGE; at > 0;) {
        at -= PAGE;
        const ssize_t n = read_page(from, at, page);
        if (n < 0 || (n > 0 && !is_zero(page, n) && pwrite(to, page, (size_t)n, at) != n))
            return false;
    }
    return true;
}

/* A file that has gone meanwhile is none. */
static bool copy_file(const char *from, const char *to)
{
    const int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0)
        return true;
    const int copy = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const bool ok = copy >= 0 && copy_pages(source, copy);
    (void)close(source);
    if (copy >= 0)
        (void)close(copy);
    return ok;
}

/* The names and files of a directory as one number. */
static uint64_t listing(const char *path)
{
    uint64_t sum = 0;
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        uint64_t hash = e->d_ino * UINT64_C(0x9e3779b97f4a7c15);
        for (const char *p = e->d_name; *p; p++)
            hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
        sum += hash;
    }
    if (dir)
        (void)closedir(dir);
    return sum;
}

static bool copy_stream(const char *from, const char *to)
{
    char source[2 * PATH_MAX], copy[2 * PATH_MAX];
    bool ok = true;
    for (uint64_t before = ~listing(from); ok && before != listing(from);) {
        before = listing(from);
        DIR *dir = opendir(to);
        for (const struct dirent *e; dir && (e = readdir(dir));) {
            (void)snprintf(copy, sizeof copy, "%s/%s", to, e->d_name);
            (void)unlink(copy);
        }
        if (dir)
            (void)closedir(dir);
        else
            ok = mkdir(to, 0700) == 0;
        dir = opendir(from);
        for (const struct dirent *e; ok && dir && (e = readdir(dir));) {
            (void)snprintf(source, sizeof source, "%s/%s", from, e->d_name);
            (void)snprintf(copy, sizeof copy, "%s/%s", to, e->d_name);
            if (e->d_type == DT_REG)
                ok = copy_file(source, copy);
        }
        if (dir)
            (void)closedir(dir);
    }
    return ok;
}

bool journal_image_take(const char *storage, const char *image)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct dirent **streams;
    bool ok = mkdir(image, 0700) == 0 || !access(image, W_OK);
    const int n = scandir(storage, &streams, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        (void)snprintf(from, sizeof from, "%s/%s", storage, streams[i]->d_name);
        (void)snprintf(to, sizeof to, "%s/%s", image, streams[i]->d_name);
        if (streams[i]->d_name[0] != '.')
            ok = ok && copy_stream(from, to);
        free(streams[i]);
    }
    if (n >= 0)
        free(streams);
    return ok && n >= 0;
}
