#include "pipeline/graph/codecs.h"
#include "pipeline/graph/build.h"
#include "pipeline/graph/component.h"
#include <stdlib.h>

enum { MAX_CODECS = 32 };

struct codecs {
    pthread_mutex_t mutex; /* guards what follows */
    struct component *all[MAX_CODECS];
    uint32_t n;
};

struct codecs *codecs_create(void)
{
    struct codecs *c = calloc(1, sizeof *c);
    if (c && pthread_mutex_init(&c->mutex, NULL)) {
        free(c);
        c = NULL;
    }
    return c;
}

void codecs_destroy(struct codecs *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->n; i++)
        component_destroy(c->all[i]);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

static struct component *make(struct runtime *r, const char *encoding, uint32_t signal)
{
    sl_error error = {.size = sizeof error};
    struct config_diagnostics d;
    const struct service_component sc = {
        .id = encoding, .type = encoding, .name = "", .kind = SL_KIND_codec, .used = true};
    const sl_type *type = find_type(r, SL_KIND_codec, sl_str(encoding), signal, &error);
    if (!type || !type->decode)
        return NULL;
    diagnostics_init(&d, NULL);
    struct component *c = component_create(NULL, r, type, &sc, NULL, &d);
    diagnostics_deinit(&d);
    if (c && component_start(c, &error) != SL_OK) {
        component_destroy(c);
        c = NULL;
    }
    return c;
}

struct component *codecs_find(struct runtime *r, const char *encoding, uint32_t signal)
{
    struct codecs *all = r->codecs;
    struct component *c = NULL;
    pthread_mutex_lock(&all->mutex);
    for (uint32_t i = 0; i < all->n && !c; i++)
        if (!strcmp(all->all[i]->id, encoding) && (all->all[i]->type->signals & signal))
            c = all->all[i];
    if (!c && all->n < MAX_CODECS && (c = make(r, encoding, signal)))
        all->all[all->n++] = c;
    pthread_mutex_unlock(&all->mutex);
    return c;
}
