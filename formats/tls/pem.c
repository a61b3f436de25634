/* PEM texts, from the config or from files; may hold keys, so they are wiped. */
#include "formats/tls/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20 };

static int32_t read_all(int fd, char *text, size_t n)
{
    size_t have = 0;
    while (have < n) {
        ssize_t got = read(fd, text + have, n - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? SL_ERR_IO : SL_ERR_INVALID; /* it has become shorter meanwhile */
        have += (size_t)got;
    }
    text[n] = '\0';
    return SL_OK;
}

static int32_t read_file(const char *name, char **text)
{
    struct stat st;
    int32_t status = SL_ERR_IO;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make it wait */
    if (fd < 0)
        return SL_ERR_IO;
    if (fstat(fd, &st) == 0) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        if (S_ISREG(st.st_mode) && st.st_size <= PEM_MAX) {
            *text = (char *)malloc((size_t)st.st_size + 1);
            status = *text ? read_all(fd, *text, (size_t)st.st_size) : SL_ERR_NOMEM;
        } else if (S_ISREG(st.st_mode)) {
            status = SL_ERR_TOO_LARGE;
        }
    }
    const int saved = errno;
    (void)close(fd);
    errno = saved;
    return status;
}

int32_t tls_pem_read(sl_bytes file, sl_bytes pem, const char *path, const char *what, char **text,
                     sl_error *error)
{
    *text = NULL;
    if (pem.n > 0) {
        *text = strndup((const char *)pem.p, pem.n);
        return *text ? SL_OK : sl_fail(error, SL_ERR_NOMEM, "%s.%s_pem: no memory", path, what);
    }
    if (file.n == 0)
        return SL_ERR_NOT_FOUND;
    const char *name = (const char *)file.p;
    const int32_t status = read_file(name, text);
    if (status == SL_OK)
        return SL_OK;
    const int failed = errno;
    tls_pem_free(*text);
    *text = NULL;
    return sl_fail(error, status, "%s.%s_file: cannot read \"%s\": %s", path, what, name,
                   status == SL_ERR_TOO_LARGE ? "it has more than 1 MiB"
                   : status == SL_ERR_IO      ? strerror(failed)
                   : status == SL_ERR_NOMEM   ? "no memory"
                                              : "it changes while it is read");
}

void tls_pem_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
