/* The least host that an authenticator needs, for fuzzing and timing: metadata from malloc, the
 * system's clock, no log. The extension itself is linked into the program. */
#ifndef SLUICE_TESTS_AUTH_HOST_H
#define SLUICE_TESTS_AUTH_HOST_H
#include <sluice/plugin.h>

const sl_host *auth_host(void);
void auth_host_pass(int64_t ns); /* its clock is so much later from now on */
/* create and prepare; `config` is the type's config struct. NULL: it refuses it. */
const sl_auth_server *auth_open(const sl_type *, void *config, void **component);
#endif
