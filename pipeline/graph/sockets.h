/* Listening sockets of the process: made for components, kept over a reload. Control thread. */
#ifndef SLUICE_PIPELINE_SOCKETS_H
#define SLUICE_PIPELINE_SOCKETS_H
#include <sluice/plugin.h>

struct sockets;

struct sockets *sockets_create(void);
void sockets_destroy(struct sockets *); /* closes what is open */
/* "host:port" with transport "", "tcp", "tcp4" or "tcp6", a path with "unix". The address is taken
 * exclusively. */
int32_t sockets_open(struct sockets *, sl_bytes endpoint, sl_bytes transport, int32_t *fd,
                     sl_error *);
void sockets_done(struct sockets *, int32_t fd);
#endif
