/* Counts of two looks; see rates.h. */
#include "extensions/zpages/rates.h"

#include <stdlib.h>

#define APART_NS INT64_C(1000000000)

static uint64_t hash(uint64_t h, const void *p, size_t n)
{
    const uint8_t *at = p; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ at[i]) * UINT64_C(1099511628211);
    return h;
}

static uint64_t id_of(const sl_node_info *node)
{
    uint64_t h = UINT64_C(14695981039346656037);
    h = hash(h, &node->kind, sizeof node->kind);
    h = hash(h, &node->signal, sizeof node->signal);
    return hash(h, node->name, strlen(node->name));
}

uint64_t node_out(const sl_node_info *node)
{
    const bool at_an_end = node->kind == SL_KIND_exporter || node->kind == SL_KIND_receiver;
    return at_an_end ? node->ended[SL_DELIVERED] : node->forwarded;
}

void rates_init(struct rates *r, int64_t now_ns)
{
    memset(r, 0, sizeof *r);
    r->before.at_ns = r->latest.at_ns = now_ns;
}

void rates_deinit(struct rates *r)
{
    free(r->before.counts);
    free(r->latest.counts);
}

static void count_pipeline(void *ctx, const sl_pipeline_info *p)
{
    struct rates_look *look = ctx;
    for (uint32_t i = 0; i < p->n_nodes && !look->failed; i++) {
        if (look->n == look->room) {
            const uint32_t room = look->room ? look->room * 2 : 32;
            struct rates_count *moved = realloc(look->counts, room * sizeof *moved);
            look->failed = !moved;
            if (!moved)
                return;
            look->counts = moved;
            look->room = room;
        }
        const sl_node_info *node = p->nodes[i];
        look->counts[look->n++] = (struct rates_count){id_of(node), node->received, node_out(node)};
    }
}

int32_t rates_look(struct rates *r, const sl_host *h, const sl_inspect *inspect, int64_t now_ns)
{
    if (now_ns - r->latest.at_ns < APART_NS)
        return SL_OK;
    struct rates_look now = {.at_ns = now_ns};
    if (inspect->pipelines(h, count_pipeline, &now) != SL_OK || now.failed) {
        free(now.counts);
        return SL_ERR_NOMEM;
    }
    free(r->before.counts);
    r->before = r->latest;
    r->latest = now;
    return SL_OK;
}

struct rate rates_of(const struct rates *r, const sl_node_info *node, int64_t now_ns)
{
    const uint64_t id = id_of(node);
    const double seconds = (double)(now_ns - r->before.at_ns) / 1e9;
    struct rates_count before = {id, 0, 0};
    for (uint32_t i = 0; i < r->before.n; i++)
        if (r->before.counts[i].node == id)
            before = r->before.counts[i];
    const uint64_t in = node->received, out = node_out(node);
    if (seconds <= 0 || in < before.in || out < before.out) /* made anew by a reload */
        return (struct rate){0, 0};
    return (struct rate){(double)(in - before.in) / seconds, (double)(out - before.out) / seconds};
}
