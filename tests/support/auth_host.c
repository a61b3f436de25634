#include "tests/support/auth_host.h"
#include <stdlib.h>
#include <time.h>

static const sl_metadata *make(const sl_host *h, const sl_metadata *base,
                               const sl_meta_entry *entries, uint32_t n)
{
    const uint32_t n_base = base ? base->n : 0;
    size_t text = 0;
    (void)h;
    for (uint32_t i = 0; i < n_base + n; i++) {
        const sl_meta_entry *e = i < n_base ? &base->at[i] : &entries[i - n_base];
        text += e->key.n + e->value.n;
    }
    sl_metadata *m = malloc(sizeof *m + (n_base + n) * sizeof(sl_meta_entry) + text);
    if (!m)
        return NULL;
    sl_meta_entry *at = (sl_meta_entry *)(void *)(m + 1);
    uint8_t *to = (uint8_t *)(at + n_base + n);
    *m = (sl_metadata){.size = sizeof *m, .n = n_base + n, .at = at};
    for (uint32_t i = 0; i < n_base + n; i++) {
        const sl_meta_entry *e = i < n_base ? &base->at[i] : &entries[i - n_base];
        const sl_bytes both[] = {e->key, e->value};
        sl_bytes *copies[] = {&at[i].key, &at[i].value};
        for (int k = 0; k < 2; k++) {
            *copies[k] = sl_slice(to, both[k].n);
            if (both[k].n)
                memcpy(to, both[k].p, both[k].n);
            to += both[k].n;
        }
    }
    return m;
}

static void unref(const sl_host *h, const sl_metadata *m)
{
    (void)h;
    free((void *)(uintptr_t)m);
}

static bool log_enabled(const sl_host *h, int32_t level)
{
    (void)h;
    (void)level;
    return false;
}

static int64_t passed_ns;

void auth_host_pass(int64_t ns)
{
    passed_ns += ns;
}

static int64_t now(const sl_host *h)
{
    struct timespec t;
    (void)h;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec + passed_ns;
}

const sl_host *auth_host(void)
{
    static const sl_host_table table = {.size = sizeof table,
                                        .log_enabled = log_enabled,
                                        .now = now,
                                        .metadata_make = make,
                                        .metadata_unref = unref};
    static const sl_host host = {&table};
    return &host;
}

const sl_auth_server *auth_open(const sl_type *type, void *config, void **component)
{
    sl_error error = {.size = sizeof error};
    ((sl_base *)config)->host = auth_host();
    if (type->create(config, component, &error) != SL_OK)
        return NULL;
    if (type->prepare(*component, &error) == SL_OK)
        return type->interface_of(*component, SL_AUTH_SERVER);
    type->destroy(*component);
    return NULL;
}
