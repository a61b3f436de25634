/* Runs a fuzz target over the files of a corpus folder, without libFuzzer, so that every build does
 * it as a test. The target has a small stack, as threads of libraries have. */
#include <dirent.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STACK = 256 << 10, FILE_MAX = 1 << 20 };

struct replay {
    const char *folder;
    unsigned files;
    int failed;
};

/* A copy that ends where the memory does, so that sanitizers see each step beyond. */
static uint8_t *read_file(const char *path, size_t *n)
{
    uint8_t *bytes = malloc(FILE_MAX), *exact = NULL;
    FILE *file = fopen(path, "rb");
    if (bytes && file) {
        *n = fread(bytes, 1, FILE_MAX, file);
        exact = ferror(file) ? NULL : malloc(*n ? *n : 1);
        if (exact) {
            memcpy(exact, bytes, *n);
        }
    }
    if (file) {
        fclose(file);
    }
    free(bytes);
    return exact;
}

static void *replay_run(void *ctx)
{
    struct replay *r = ctx;
    DIR *folder = opendir(r->folder);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        char path[4096];
        size_t n;
        if (entry->d_name[0] == '.') {
            continue;
        }
        const int length = snprintf(path, sizeof path, "%s/%s", r->folder, entry->d_name);
        uint8_t *bytes = length > 0 && (size_t)length < sizeof path ? read_file(path, &n) : NULL;
        if (!bytes) {
            fprintf(stderr, "%s/%s cannot be read\n", r->folder, entry->d_name);
            r->failed = 1;
            break;
        }
        (void)LLVMFuzzerTestOneInput(bytes, n);
        free(bytes);
        r->files++;
    }
    if (folder) {
        closedir(folder);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    struct replay r = {.folder = argv[1]};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    if (pthread_create(&thread, &attributes, replay_run, &r) != 0) {
        fprintf(stderr, "no thread\n");
        return 1;
    }
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    if (r.files == 0) {
        fprintf(stderr, "%s: no files\n", r.folder);
        return 1;
    }
    printf("%u files\n", r.files);
    return r.failed;
}
