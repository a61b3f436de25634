/* An HTTP server on a thread of its own, or on the loop that plugins share; started and stopped
 * from [control]. */
#ifndef SLUICE_FORMATS_HTTP_THREAD_H
#define SLUICE_FORMATS_HTTP_THREAD_H
#include "formats/http/loop.h"
#include "formats/http/server.h"

struct http_thread;

/* Serves the listening socket, which stays the caller's. `name` is the thread's (15 characters).
 * Without `security` (NULL) it speaks plain text. */
int32_t http_thread_start(const struct http_handler *, const struct http_limits *, int fd,
                          const struct tls_security *, const char *name, struct http_thread **,
                          sl_error *);
/* The same on the shared loop, for servers whose requests go out again by HTTP. */
int32_t http_thread_start_on(const http_loop *, const struct http_handler *,
                             const struct http_limits *, int fd, const struct tls_security *,
                             struct http_thread **, sl_error *);
/* Stops accepting and waits, `wait_ms` at the most, until each request has been answered; true: all
 * of them were. */
bool http_thread_drain(struct http_thread *, uint64_t wait_ms);
/* Closes what is open, joins the thread and frees everything; NULL is legal. */
void http_thread_stop(struct http_thread *);

#endif
