/* The health_check extension, on a scripted host. */
#include "tests/support/receiver_host.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

extern const sl_plugin sluice_plugin_health_check;

struct fixture {
    struct receiver_host *host;
    const sl_type *type;
    void *config, *component;
    char text[2048];
};

/* Sets a text of the config by its key, as the host does. */
static void set_text(const sl_field *fields, uint8_t *base, const char *key, const char *value)
{
    for (const sl_field *f = fields; f->key; f++) {
        if (strcmp(f->key, key) == 0) {
            *(sl_bytes *)(void *)(base + f->offset) = sl_str(value);
            return;
        }
    }
    fail_msg("no key %s", key);
}

static const sl_field *field(const sl_field *fields, const char *key)
{
    while (fields->key && strcmp(fields->key, key) != 0)
        fields++;
    assert_non_null(fields->key);
    return fields;
}

static int set_up(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    f->host = receiver_host_create();
    f->type = sluice_plugin_health_check.types[0];
    f->config = calloc(1, f->type->config_size);
    ((sl_base *)f->config)->host = &f->host->host;
    for (const sl_field *k = f->type->fields; k->key; k++) {
        if (k->kind == SL_FIELD_TEXT && k->text)
            set_text(f->type->fields, (uint8_t *)f->config, k->key, k->text);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    if (f->component) {
        f->type->stop(f->component);
        f->type->stop(f->component);
    }
    receiver_host_destroy(f->host);
    free(f->config);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    sl_error error = {.size = sizeof error};
    f->component = f->config;
    assert_int_equal(f->type->prepare(f->component, &error), SL_OK);
    if (f->type->start(f->component, &error) != SL_OK)
        fail_msg("%s", error.text);
}

static int ask(struct fixture *f, const char *request)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(receiver_host_port(f->host, 0))};
    struct timeval patience = {10, 0};
    char all[512];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    int n =
        snprintf(all, sizeof all, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", request);
    assert_int_equal(send(fd, all, (size_t)n, 0), n);
    size_t got = 0;
    ssize_t more;
    while ((more = recv(fd, f->text + got, sizeof f->text - 1 - got, 0)) > 0)
        got += (size_t)more;
    f->text[got] = 0;
    close(fd);
    return atoi(f->text + 9);
}

static void healthy_or_not(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    f->host->unhealthy = true;
    start(f);
    assert_int_equal(ask(f, "GET /"), 503);
    assert_non_null(strstr(f->text, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(f->text, "\r\n\r\n{\"status\":\"Server not available\",\"upSince\":"
                                    "\"0001-01-01T00:00:00Z\",\"uptime\":\"\"}"));
    pthread_mutex_lock(&f->host->mutex);
    f->host->unhealthy = false;
    f->host->up_since_ns = INT64_C(1757930400000000001); /* 2025-09-15 10:00 */
    f->host->wall_ns = f->host->up_since_ns + INT64_C(3723456000000);
    pthread_mutex_unlock(&f->host->mutex);
    assert_int_equal(ask(f, "GET /any/page?x=y"), 200); /* "/" has all below it */
    assert_non_null(strstr(f->text, "{\"status\":\"Server available\",\"upSince\":"
                                    "\"2025-09-15T10:00:00.000000001Z\",\"uptime\":"
                                    "\"1h2m3.456s\"}"));
    pthread_mutex_lock(&f->host->mutex);
    f->host->wall_ns = f->host->up_since_ns + INT64_C(62005000000);
    pthread_mutex_unlock(&f->host->mutex);
    assert_int_equal(ask(f, "GET /"), 200);
    assert_non_null(strstr(f->text, "\"uptime\":\"1m2.005s\""));
    pthread_mutex_lock(&f->host->mutex);
    f->host->wall_ns = f->host->up_since_ns - 5; /* the clock was set back */
    pthread_mutex_unlock(&f->host->mutex);
    assert_int_equal(ask(f, "HEAD /"), 200);
    assert_null(strstr(f->text, "uptime"));
    assert_int_equal(ask(f, "GET /"), 200);
    assert_non_null(strstr(f->text, "\"uptime\":\"0.000s\""));
    assert_int_equal(ask(f, "POST /"), 411);
    assert_int_equal(ask(f, "DELETE /"), 405);
}

static void own_path_and_texts(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const sl_field *body = field(f->type->fields, "response_body");
    uint8_t *base = (uint8_t *)f->config;
    set_text(f->type->fields, base, "path", "/health/status");
    base[body->present - 1] = 1;
    set_text(body->of->fields, base + body->offset, "healthy", "good");
    set_text(body->of->fields, base + body->offset, "unhealthy", "bad");
    start(f);
    assert_int_equal(ask(f, "GET /health/status"), 200);
    assert_non_null(strstr(f->text, "\r\n\r\ngood"));
    assert_int_equal(ask(f, "GET /health/status/x"), 404);
    assert_int_equal(ask(f, "GET /"), 404);
    pthread_mutex_lock(&f->host->mutex);
    f->host->unhealthy = true;
    pthread_mutex_unlock(&f->host->mutex);
    assert_int_equal(ask(f, "GET /health/status"), 503);
    assert_non_null(strstr(f->text, "\r\n\r\nbad"));
}

static void refusals(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static const sl_raw value = {
        .size = sizeof value, .kind = 1, .file = "c.yaml", .line = 7, .column = 3};
    sl_error error = {.size = sizeof error};
    uint8_t *base = (uint8_t *)f->config;
    const sl_field *server = field(f->type->fields, "server"); /* its keys stand at the top */
    const sl_field *cors = field(server->of->fields, "cors");
    const sl_raw **at = (const sl_raw **)(void *)(base + server->offset + cors->offset);
    *at = &value;
    assert_int_equal(f->type->prepare(f->config, &error), SL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "cors is not supported"));
    assert_ptr_equal(error.at, at);
    *at = NULL;
    set_text(f->type->fields, base, "path", "health");
    assert_int_equal(f->type->prepare(f->config, &error), SL_ERR_INVALID);
    set_text(f->type->fields, base, "path", "/");
    set_text(f->type->fields, base, "endpoint", "taken:1");
    f->component = f->config;
    assert_int_equal(f->type->start(f->component, &error), SL_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(healthy_or_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_path_and_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
