/* Listening sockets of the process: made for components, kept over a reload. Any thread. */
#ifndef SLUICE_PIPELINE_SOCKETS_H
#define SLUICE_PIPELINE_SOCKETS_H
#include <sluice/plugin.h>

struct sockets;
struct graph;
struct component;

struct sockets *sockets_create(void);
void sockets_destroy(struct sockets *); /* closes what is open */
/* "host:port" with transport "", "tcp", "tcp4" or "tcp6", a path with "unix". The address is taken
 * exclusively, but for what sockets_share says. `owner`: NULL for the process itself. */
int32_t sockets_open(struct sockets *, const struct component *owner, sl_bytes endpoint,
                     sl_bytes transport, int32_t *fd, sl_error *);
void sockets_done(struct sockets *, int32_t fd);
void sockets_done_by(struct sockets *, const struct component *owner); /* all of a component's */

/* For the time in which a reload starts what is new: what components of this graph that do not stay
 * have open may be opened again by others, and what the process has open by itself. The same endpoint is then the same socket, so that no connection
 * is refused meanwhile; another one on the same port is another socket beside it. NULL: no more. */
void sockets_share(struct sockets *, const struct graph *);
#endif
