/* The extension "basicauth": names and passwords, which receivers check (htpasswd) or exporters show
 * (client_auth), as the OpenTelemetry Collector has it. [control] */
#include "extensions/basicauth/basicauth.h"

static const sl_field htpasswd_fields[] = {
    SL_TEXT(struct htpasswd_config, file,
            "A file as htpasswd writes it; read again when it has changed."),
    {.key = "inline",
     .kind = SL_FIELD_TEXT,
     .flags = SL_SECRET,
     .offset = SL_OFFSET_(struct htpasswd_config, inline_, sl_bytes),
     .help = "Lines as in the file; they count more than the file's for the same user."},
    SL_END};
static const sl_struct htpasswd_struct = {sizeof(struct htpasswd_config), 0, htpasswd_fields};

static const sl_field client_fields[] = {
    SL_TEXT(struct client_config, username, "The name to show."),
    SL_TEXT(struct client_config, username_file,
            "A file with the name, in place of username; read again when it has changed."),
    SL_TEXT(struct client_config, password, "The password to show.", .flags = SL_SECRET),
    SL_TEXT(struct client_config, password_file,
            "A file with the password, in place of password; read again when it has changed."),
    SL_RAW(struct client_config, aws_secrets_manager, "Not in Sluice: refused when set."),
    SL_END};
static const sl_struct client_struct = {sizeof(struct client_config), 0, client_fields};

static const sl_field fields[] = {
    SL_STRUCT(struct basicauth, htpasswd, &htpasswd_struct, "Who may come in, for receivers.",
              SL_PRESENT(struct basicauth, htpasswd_given)),
    SL_STRUCT(struct basicauth, client_auth, &client_struct, "Who sends, for exporters.",
              SL_PRESENT(struct basicauth, client_given)),
    SL_END};

static int32_t create(void *config, void **component, sl_error *error)
{
    struct basicauth *b = config;
    if (pthread_mutex_init(&b->mutex, NULL) != 0)
        return sl_fail(error, SL_ERR_NOMEM, "no memory");
    *component = b;
    return SL_OK;
}

static int32_t prepare(void *component, sl_error *error)
{
    struct basicauth *b = component;
    if (b->htpasswd_given && b->client_given)
        return sl_fail(error, SL_ERR_INVALID, "only one of htpasswd and client_auth may be given");
    if (b->htpasswd_given)
        return basic_server_prepare(b, error);
    if (b->client_given)
        return basic_client_prepare(b, error);
    return sl_fail(error, SL_ERR_INVALID,
                   "htpasswd (for receivers) or client_auth (for exporters) must be given");
}

static void destroy(void *component)
{
    struct basicauth *b = component;
    basic_server_deinit(b);
    basic_client_deinit(b);
    pthread_mutex_destroy(&b->mutex);
}

static const void *interface_of(void *component, const char *id)
{
    const struct basicauth *b = component;
    if (b->htpasswd_given && strcmp(id, SL_AUTH_SERVER) == 0)
        return &b->server.api;
    if (b->client_given && strcmp(id, SL_AUTH_CLIENT) == 0)
        return &b->client.api;
    return NULL;
}

SL_TYPE(extension, basicauth,
        .help = "Names and passwords: receivers that name it in auth check them, exporters that "
                "name it show one.",
        .stability = SL_BETA, SL_CONFIG(struct basicauth, fields), .create = create,
        .prepare = prepare, .destroy = destroy, .interface_of = interface_of);
SL_PLUGIN("0.1.0", &sl_type_basicauth);
