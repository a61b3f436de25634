/* What the files of basicauth share. */
#ifndef SLUICE_EXTENSIONS_BASICAUTH_H
#define SLUICE_EXTENSIONS_BASICAUTH_H
#include "extensions/basicauth/htpasswd.h"
#include "extensions/credentials/watched_file.h"

#include <pthread.h>

struct htpasswd_config {
    sl_bytes file, inline_;
};

struct client_config {
    sl_bytes username, username_file, password, password_file;
    const sl_raw *aws_secrets_manager;
};

/* For receivers: who may come in. */
struct basic_server {
    sl_auth_server api; /* its `self` is the component */
    struct watched_file file;
    struct htpasswd *users;
    int64_t next_slow_ns; /* before it no slow hash is computed for wrong credentials */
};

/* For exporters: the header to show, made anew when a file has changed. */
struct basic_client {
    sl_auth_client api;
    struct watched_file username_file, password_file;
    char *username, *password; /* of the files; NULL: those of the config count */
    char *value;               /* "Basic ..." */
};

/* The component. The mutex guards what `server` and `client` hold after prepare. */
struct basicauth {
    sl_base base;
    struct htpasswd_config htpasswd;
    struct client_config client_auth;
    uint8_t htpasswd_given, client_given;

    pthread_mutex_t mutex;
    struct basic_server server;
    struct basic_client client;
};

/* server.c [control] */
int32_t basic_server_prepare(struct basicauth *, sl_error *);
void basic_server_deinit(struct basicauth *);

/* client.c [control] */
int32_t basic_client_prepare(struct basicauth *, sl_error *);
void basic_client_deinit(struct basicauth *);
#endif
