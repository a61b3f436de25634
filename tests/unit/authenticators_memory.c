/* Authenticators while memory is short: every single allocation of their lives fails once, or all do from
 * it on. Whoever is right is let in or told to come again, and what a file said meanwhile counts once
 * there is memory again. */
#include "tests/support/auth_host.h"
#include "tests/support/failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

extern const sl_plugin sluice_plugin_basicauth, sluice_plugin_bearertokenauth;

enum { OLD, NEW, SECRETS };

struct authenticator {
    const sl_plugin *plugin;
    const char *interface, *key; /* of the file in the config */
    struct {
        const char *in_file, *in_header;
    } secrets[SECRETS];
};

static const struct authenticator authenticators[] = {
    {&sluice_plugin_basicauth,
     SL_AUTH_CLIENT,
     "client_auth.password_file",
     {{"old", "Basic bWU6b2xk"}, {"new", "Basic bWU6bmV3"}}},
    {&sluice_plugin_basicauth,
     SL_AUTH_SERVER,
     "htpasswd.file",
     {{"me:{SHA}wA27ydrfvh4jLpOnKd1HUvreCr8=", "Basic bWU6b2xk"},
      {"me:{SHA}wqawPxkN+ytKqR+K+NR3qbw0Adw=", "Basic bWU6bmV3"}}},
    {&sluice_plugin_bearertokenauth,
     SL_AUTH_CLIENT,
     "filename",
     {{"old", "Bearer old"}, {"new", "Bearer new"}}},
    {&sluice_plugin_bearertokenauth,
     SL_AUTH_SERVER,
     "filename",
     {{"old", "Bearer old"}, {"new", "Bearer new"}}},
};

/* The link leads to one of two files that stay as they are: switching leaves no trace in them. */
static char directory[] = "/tmp/sluice-auth-XXXXXX";
static char files[SECRETS][64], link_path[64];

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Files that were written just now are read twice; after this they have not been. */
static void wait_for_age(const char *path)
{
    struct stat st;
    struct timespec now;
    assert_int_equal(stat(path, &st), 0);
    do {
        (void)clock_gettime(CLOCK_REALTIME, &now);
    } while ((now.tv_sec - st.st_ctim.tv_sec) * 1000000000 + now.tv_nsec - st.st_ctim.tv_nsec <
             50000000);
}

static void lead_to(int secret)
{
    (void)unlink(link_path);
    assert_int_equal(symlink(files[secret], link_path), 0);
    auth_host_pass(INT64_C(2000000000)); /* it is looked at once a second */
}

/* ---- the config, by its table ---- */

static void set_text(const sl_field *f, uint8_t *config, const char *path, const char *value)
{
    const size_t n = strcspn(path, ".");
    for (; f->key; f++) {
        if (strncmp(f->key, path, n) != 0 || f->key[n] != '\0')
            continue;
        if (f->present)
            config[f->present - 1] = 1;
        if (path[n])
            set_text(f->of->fields, config + f->offset, path + n + 1, value);
        else
            *(sl_bytes *)(void *)(config + f->offset) = sl_str(value);
        return;
    }
    fail_msg("no key %s", path);
}

static void *config_of(const struct authenticator *a)
{
    const sl_type *type = a->plugin->types[0];
    uint8_t *config = calloc(1, type->config_size);
    assert_non_null(config);
    for (const sl_field *f = type->fields; f->key; f++)
        if (f->kind == SL_FIELD_TEXT && f->text)
            set_text(f, config, f->key, f->text);
    set_text(type->fields, config, a->key, link_path);
    if (strcmp(a->key, "client_auth.password_file") == 0)
        set_text(type->fields, config, "client_auth.username", "me");
    ((sl_base *)(void *)config)->host = auth_host();
    return config;
}

/* ---- asking ---- */

static int32_t ask(const struct authenticator *a, void *component, int secret, bool *right)
{
    const void *table = a->plugin->types[0]->interface_of(component, a->interface);
    const char *header = a->secrets[secret].in_header;
    const sl_metadata *m = NULL;
    sl_error error = {.size = sizeof error};
    int32_t status;
    if (strcmp(a->interface, SL_AUTH_CLIENT) == 0) {
        const sl_auth_client *client = table;
        status = client->headers(client->self, &m, &error);
        *right = status == SL_OK && sl_eq(m->at[0].value, sl_str(header));
    } else {
        const sl_auth_server *server = table;
        const sl_meta_entry entry = {sl_str("authorization"), sl_str(header)};
        status = server->authenticate(server->self, &entry, 1, &m, &error);
        *right = status == SL_OK;
    }
    if (m)
        sl_metadata_unref(auth_host(), m);
    return status;
}

/* Memory may be short in here. */
static bool live(const struct authenticator *a, void *component)
{
    const sl_type *type = a->plugin->types[0];
    sl_error error = {.size = sizeof error};
    bool right;
    if (type->prepare(component, &error) != SL_OK) {
        assert_true(error.text[0]);
        return false;
    }
    int32_t status = ask(a, component, OLD, &right);
    assert_true(right || status == SL_ERR_NOMEM);
    lead_to(NEW);
    status = ask(a, component, NEW, &right);
    if (!right && status != SL_ERR_NOMEM) { /* what is known still counts */
        status = ask(a, component, OLD, &right);
        assert_true(right || status == SL_ERR_NOMEM);
    }
    return true;
}

static bool one_failure(const struct authenticator *a, uint64_t n, bool goes_on)
{
    const sl_type *type = a->plugin->types[0];
    sl_error error = {.size = sizeof error};
    void *config = config_of(a), *component;
    bool right;
    lead_to(OLD);
    assert_int_equal(type->create(config, &component, &error), SL_OK);
    failing_memory_at(n, goes_on);
    const bool lives = live(a, component);
    const bool failed = failing_memory_has_failed();
    failing_memory_at(0, false);
    assert_true(lives || failed);
    auth_host_pass(INT64_C(2000000000));
    if (lives && (ask(a, component, NEW, &right) != SL_OK || !right))
        fail_msg("%s: allocation %lu failed, and the file is not seen any more", a->key,
                 (unsigned long)n);
    type->destroy(component);
    free(config);
    return failed;
}

static void every_allocation(bool goes_on)
{
    for (size_t i = 0; i < sizeof authenticators / sizeof *authenticators; i++) {
        const struct authenticator *a = &authenticators[i];
        for (int s = 0; s < SECRETS; s++)
            put_file(files[s], a->secrets[s].in_file);
        wait_for_age(files[NEW]);
        uint64_t n = 1;
        while (one_failure(a, n, goes_on))
            n++;
        print_message("%s: %lu allocations\n", a->key, (unsigned long)n - 1);
        assert_true(n > 4);
    }
}

static void one_fails(void **state)
{
    (void)state;
    every_allocation(false);
}

static void all_fail(void **state)
{
    (void)state;
    every_allocation(true);
}

static int remove_files(void **state)
{
    (void)state;
    for (int s = 0; s < SECRETS; s++)
        (void)unlink(files[s]);
    (void)unlink(link_path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fails),
        cmocka_unit_test(all_fail),
    };
    if (!mkdtemp(directory))
        return 1;
    (void)snprintf(files[OLD], sizeof files[OLD], "%s/old", directory);
    (void)snprintf(files[NEW], sizeof files[NEW], "%s/new", directory);
    (void)snprintf(link_path, sizeof link_path, "%s/link", directory);
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
