/* A small text file that is read again when it has changed: credentials that are rotated. No thread
 * and no timer watches it: whoever needs the text looks, and the file is looked at once a second at
 * most. Follows symbolic links, so that a file that is replaced by switching a link is seen. One
 * thread at a time. */
#ifndef SLUICE_EXTENSIONS_WATCHED_FILE_H
#define SLUICE_EXTENSIONS_WATCHED_FILE_H
#include <sluice/plugin.h>
#include <sys/types.h>
#include <time.h>

struct watched_file {
    const char *path; /* the owner's */
    size_t max;       /* bytes */
    int64_t look_ns;  /* `now` at which it is looked at again */
    bool failing;
    bool known; /* the rest tells which file was read */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

enum watched_news {
    WATCHED_SAME,    /* nothing new, or it still cannot be read */
    WATCHED_CHANGED, /* *text is the new content */
    WATCHED_FAILED   /* it cannot be read any more; what was read before may stay in use */
};

void watched_file_init(struct watched_file *, const char *path, size_t max);
/* `now_ns`: the host's clock. *text: NUL-terminated, `n` bytes, the caller's to end by
 * secret_free; NULL but for WATCHED_CHANGED. `error` is set for WATCHED_FAILED. */
enum watched_news watched_file_look(struct watched_file *, int64_t now_ns, char **text, size_t *n,
                                    sl_error *error);

/* What was read last could not be taken over, and is to be read again when the file is looked at next. */
void watched_file_forget(struct watched_file *);

/* Overwrites and frees. NULL is allowed. */
void secret_free(char *text, size_t n);
/* Compares in a time that depends on the lengths alone. */
bool secret_equal(sl_bytes a, sl_bytes b);
/* Without white space at both ends. */
sl_bytes secret_trim(sl_bytes text);
#endif
