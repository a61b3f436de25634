#ifndef SLUICE_PLUGIN_H
#define SLUICE_PLUGIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- 1. base ------------------------------------------------------------------------------ */

/* What a call answers. Closed list; a reader treats an unknown negative value as SL_ERR_FAILED. */
enum sl_status {
    SL_OK = 0,
    SL_ERR_FAILED = -1,       /* for no reason below; may be tried again */
    SL_ERR_FULL = -2,         /* no room now; the caller keeps what it has and hears `ready` */
    SL_ERR_NOMEM = -3,        /* memory, or the memory budget, is used up; may be tried again */
    SL_ERR_INVALID = -4,      /* the argument, or the bytes, are malformed; for good */
    SL_ERR_UNSUPPORTED = -5,  /* this host, plugin or component cannot do it; for good */
    SL_ERR_REJECTED = -6,     /* refused for good by a policy or a destination */
    SL_ERR_TOO_LARGE = -7,    /* above a limit; for good */
    SL_ERR_UNAVAILABLE = -8,  /* a destination cannot be reached or is throttled; try again */
    SL_ERR_TIMEOUT = -9,      /* no answer in time; try again */
    SL_ERR_DENIED = -10,      /* credentials are missing (unauthenticated) or do not allow it */
    SL_ERR_NOT_FOUND = -11,
    SL_ERR_IO = -12,          /* a file or socket failed; the error's text has errno */
    SL_ERR_SHUTDOWN = -13,    /* the host or component is stopping */
    SL_ERR_STATE = -14        /* not legal in this state */
};

/* Signals, usable as a mask. */
enum sl_signal { SL_TRACES = 1, SL_METRICS = 2, SL_LOGS = 4, SL_PROFILES = 8 };

/* A slice of bytes or UTF-8 text; not NUL-terminated unless a field says so. Same layout as
 * struct iovec. Never owned by whoever holds the slice: the giver says until when it is valid. */
typedef struct sl_bytes {
    const uint8_t *p;
    size_t n;
} sl_bytes;

/* Filled by a call that fails, if the caller passed one; always NUL-terminated. */
typedef struct sl_error {
    uint32_t size; /* set by the caller: sizeof(sl_error) */
    int32_t code;  /* enum sl_status */
    char text[504];
} sl_error;

static inline sl_bytes sl_slice(const void *p, size_t n)
{
    sl_bytes b;
    b.p = (const uint8_t *)p;
    b.n = n;
    return b;
}

static inline sl_bytes sl_str(const char *s)
{
    return sl_slice(s, s ? strlen(s) : 0);
}

static inline bool sl_eq(sl_bytes a, sl_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

#endif
