/* Listening on a path. Any thread. */
#ifndef SLUICE_PIPELINE_UNIX_SOCKET_H
#define SLUICE_PIPELINE_UNIX_SOCKET_H
#include <sluice/plugin.h>

/* A socket at the path, or, with "@" in front, of the abstract name; its mode is what the umask
 * leaves, as in Go: usually its owner's alone to write to. A socket that nobody listens on any more
 * is replaced; anything else at the path is left alone, and is an error. */
int32_t unix_socket_listen(sl_bytes path, int *fd, sl_error *error);
/* Closes a listening socket of any kind. A path is removed where nobody listens on it any more: a
 * copy of the descriptor, which a reload keeps, or another process keeps it. */
void unix_socket_close(int fd);
#endif
