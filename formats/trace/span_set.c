#include "formats/trace/span_set.h"

enum { RECORD_SCOPES = 2, SCOPE_SPANS = 2, REQUEST_RECORDS = 1 };

/* ---- interning ---- */

/* The fields of a message other than message field `number`, one after another. .p NULL: no memory.
 */
static sl_bytes others(struct trace_arena *arena, sl_bytes message, uint32_t number)
{
    size_t n = 0;
    uint8_t *at = NULL;
    for (int filling = 0; filling < 2; filling++) {
        sl_wire w = sl_wire_of(message);
        const uint8_t *from = w.p;
        while (sl_wire_next(&w)) {
            if (w.number != number || w.type != SL_BYTES) {
                const size_t part = (size_t)(w.p - from);
                if (filling) {
                    memcpy(at + n, from, part);
                }
                n += part;
            }
            from = w.p;
        }
        if (!filling) {
            at = arena_get(arena, n + 1, 1);
            if (!at) {
                return sl_slice(NULL, 0);
            }
            n = 0;
        }
    }
    return sl_slice(at, n);
}

static uint32_t intern_resource(struct span_set *set, sl_bytes head)
{
    const uint64_t hash = hash_bytes((uintptr_t)set, head);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&set->resource_map, hash, &at)) != TRACE_NONE) {
        if (sl_eq(set->resources[i], head)) {
            return i;
        }
    }
    void *resources = set->resources;
    if (!array_room(&resources, set->n_resources, &set->room_resources, 1,
                    sizeof *set->resources)) {
        return TRACE_NONE;
    }
    set->resources = resources;
    set->resources[set->n_resources] = head;
    return map_add(&set->resource_map, hash, set->n_resources) ? set->n_resources++ : TRACE_NONE;
}

static uint32_t intern_scope(struct span_set *set, uint32_t resource, sl_bytes head)
{
    const uint64_t hash = hash_bytes((uintptr_t)set ^ ((uint64_t)resource << 16), head);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&set->scope_map, hash, &at)) != TRACE_NONE) {
        if (set->scopes[i].resource == resource && sl_eq(set->scopes[i].head, head)) {
            return i;
        }
    }
    void *scopes = set->scopes;
    if (!array_room(&scopes, set->n_scopes, &set->room_scopes, 1, sizeof *set->scopes)) {
        return TRACE_NONE;
    }
    set->scopes = scopes;
    set->scopes[set->n_scopes] = (struct set_scope){.resource = resource, .head = head};
    return map_add(&set->scope_map, hash, set->n_scopes) ? set->n_scopes++ : TRACE_NONE;
}

static uint32_t intern_trace(struct span_set *set, uint64_t high, uint64_t low)
{
    const uint64_t hash = hash_mix(high ^ (uintptr_t)set, low);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&set->trace_map, hash, &at)) != TRACE_NONE) {
        if (set->traces[i].high == high && set->traces[i].low == low) {
            return i;
        }
    }
    void *traces = set->traces;
    if (!array_room(&traces, set->n_traces, &set->room_traces, 1, sizeof *set->traces)) {
        return TRACE_NONE;
    }
    set->traces = traces;
    set->traces[set->n_traces] = (struct set_trace){.high = high, .low = low};
    return map_add(&set->trace_map, hash, set->n_traces) ? set->n_traces++ : TRACE_NONE;
}

/* ---- adding ---- */

static uint64_t big_endian(const uint8_t *p)
{
    return __builtin_bswap64(sl_get_fixed64(p));
}

static int32_t add_span(struct span_set *set, uint32_t scope, sl_bytes record)
{
    void *spans = set->spans;
    if (!array_room(&spans, set->n_spans, &set->room_spans, 1, sizeof *set->spans)) {
        return SL_ERR_NOMEM;
    }
    set->spans = spans;
    struct set_span *span = &set->spans[set->n_spans];
    *span = (struct set_span){.record = record, .scope = scope};
    sl_bytes trace_id = sl_slice(NULL, 0), id = trace_id, parent = trace_id;
    sl_wire w = sl_wire_of(record);
    while (sl_wire_next(&w)) {
        if (!is_place_field(&w)) {
            continue;
        }
        switch (w.number) {
        case SPAN_TRACE_ID:
            trace_id = w.bytes;
            break;
        case SPAN_ID:
            id = w.bytes;
            break;
        case SPAN_PARENT_ID:
            parent = w.bytes;
            break;
        case SPAN_START:
            span->start = w.value;
            break;
        default:
            span->end = w.value;
        }
    }
    if (w.p != w.end) {
        return SL_ERR_INVALID;
    }
    if (set->unit) {
        span->start -= span->start % set->unit;
        span->end -= span->end % set->unit;
    }
    span->whole = trace_id.n != 16 || id.n != 8 || (parent.n != 0 && parent.n != 8);
    if (span->whole) {
        span->start = span->end = 0;
        span->trace = intern_trace(set, 0, 0);
    } else {
        span->id = sl_get_fixed64(id.p);
        span->has_parent = parent.n > 0;
        span->parent_id = parent.n > 0 ? sl_get_fixed64(parent.p) : 0;
        span->trace = intern_trace(set, big_endian(trace_id.p), big_endian(trace_id.p + 8));
    }
    if (span->trace == TRACE_NONE) {
        return SL_ERR_NOMEM;
    }
    set->n_spans++;
    return SL_OK;
}

static int32_t add_scope(struct span_set *set, uint32_t resource, sl_bytes message)
{
    const sl_bytes head = others(&set->arena, message, SCOPE_SPANS);
    const uint32_t scope = head.p ? intern_scope(set, resource, head) : TRACE_NONE;
    if (scope == TRACE_NONE) {
        return SL_ERR_NOMEM;
    }
    sl_wire w = sl_wire_of(message);
    while (sl_wire_next(&w)) {
        if (w.number == SCOPE_SPANS && w.type == SL_BYTES) {
            const int32_t status = add_span(set, scope, w.bytes);
            if (status != SL_OK) {
                return status;
            }
        }
    }
    return w.p == w.end ? SL_OK : SL_ERR_INVALID;
}

static int32_t add_resource(struct span_set *set, sl_bytes message)
{
    const sl_bytes head = others(&set->arena, message, RECORD_SCOPES);
    const uint32_t resource = head.p ? intern_resource(set, head) : TRACE_NONE;
    if (resource == TRACE_NONE) {
        return SL_ERR_NOMEM;
    }
    sl_wire w = sl_wire_of(message);
    while (sl_wire_next(&w)) {
        if (w.number == RECORD_SCOPES && w.type == SL_BYTES) {
            const int32_t status = add_scope(set, resource, w.bytes);
            if (status != SL_OK) {
                return status;
            }
        }
    }
    return w.p == w.end ? SL_OK : SL_ERR_INVALID;
}

int32_t span_set_add(struct span_set *set, sl_bytes request)
{
    sl_wire w = sl_wire_of(request);
    while (sl_wire_next(&w)) {
        if (w.number == REQUEST_RECORDS && w.type == SL_BYTES) {
            const int32_t status = add_resource(set, w.bytes);
            if (status != SL_OK) {
                return status;
            }
        }
    }
    set->bytes += request.n;
    return w.p == w.end ? SL_OK : SL_ERR_INVALID;
}

/* ---- order ---- */

/* A span of the trace that is being put in order. */
struct node {
    uint64_t start, end;
    uint64_t id;
    uint32_t span;
    uint32_t parent, first_child, last_child, next; /* nodes */
    uint32_t children;
    uint32_t place; /* TRACE_NONE: not placed yet */
};

struct forest {
    struct node *nodes;
    uint32_t n;
    struct trace_map ids; /* where there are many */
    uint32_t placed;
};

static int compare_nodes(const void *left, const void *right)
{
    const struct node *a = left, *b = right;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    if (a->end != b->end) {
        return a->end > b->end ? -1 : 1;
    }
    return a->span < b->span ? -1 : a->span > b->span;
}

/* Few nodes come almost in order. */
static void sort_nodes(struct node *nodes, uint32_t n)
{
    if (n > 64) {
        qsort(nodes, n, sizeof *nodes, compare_nodes);
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        uint32_t k = i;
        const struct node node = nodes[i];
        for (; k > 0 && compare_nodes(&nodes[k - 1], &node) > 0; k--) {
            nodes[k] = nodes[k - 1];
        }
        nodes[k] = node;
    }
}

enum { FEW = 24 /* nodes that are searched one by one */ };

static uint32_t find_id(const struct forest *f, uint64_t id)
{
    if (f->n <= FEW) {
        for (uint32_t i = 0; i < f->n; i++) {
            if (f->nodes[i].id == id) {
                return i;
            }
        }
        return TRACE_NONE;
    }
    const uint64_t hash = hash_mix(id, (uintptr_t)f);
    uint64_t at = map_first(hash);
    uint32_t i;
    while ((i = map_next(&f->ids, hash, &at)) != TRACE_NONE && f->nodes[i].id != id) {
    }
    return i;
}

/* Of several nodes with the same id, the first counts. */
static bool index_ids(struct forest *f)
{
    map_free(&f->ids);
    for (uint32_t i = 0; f->n > FEW && i < f->n; i++) {
        const bool again = find_id(f, f->nodes[i].id) != TRACE_NONE;
        if (!again && !map_add(&f->ids, hash_mix(f->nodes[i].id, (uintptr_t)f), i)) {
            return false;
        }
    }
    return true;
}

static void link_children(struct span_set *set, struct forest *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        struct node *node = &f->nodes[i];
        const struct set_span *span = &set->spans[node->span];
        node->parent = !span->whole && span->has_parent ? find_id(f, span->parent_id) : TRACE_NONE;
        if (node->parent == i ||
            (node->parent != TRACE_NONE && set->spans[f->nodes[node->parent].span].whole)) {
            node->parent = TRACE_NONE;
        }
        if (node->parent == TRACE_NONE) {
            continue;
        }
        struct node *parent = &f->nodes[node->parent];
        if (parent->children++ == 0) {
            parent->first_child = i;
        } else {
            f->nodes[parent->last_child].next = i;
        }
        parent->last_child = i;
    }
}

/* Places a root and all below it. A node on a circle is the root of what hangs on it: its link to
 * its parent is cut by then. */
static void place_tree(struct span_set *set, struct forest *f, uint32_t first, uint32_t root,
                       uint32_t sibling)
{
    uint32_t at = root, before = sibling;
    for (;;) {
        struct node *node = &f->nodes[at];
        node->place = first + f->placed++;
        set->places[node->place] = (struct set_place){
            .span = node->span,
            .parent = at == root ? TRACE_NONE : f->nodes[node->parent].place,
            .sibling = before,
            .children = node->children,
        };
        if (node->first_child != TRACE_NONE) {
            at = node->first_child;
            before = TRACE_NONE;
            continue;
        }
        while (at != root && f->nodes[at].next == TRACE_NONE) {
            at = f->nodes[at].parent;
        }
        if (at == root) {
            return;
        }
        before = f->nodes[at].place;
        at = f->nodes[at].next;
    }
}

/* Takes a node from its parent's children. */
static void cut_link(struct forest *f, uint32_t i)
{
    struct node *parent = &f->nodes[f->nodes[i].parent];
    uint32_t before = TRACE_NONE;
    for (uint32_t k = parent->first_child; k != i; k = f->nodes[k].next) {
        before = k;
    }
    if (before == TRACE_NONE) {
        parent->first_child = f->nodes[i].next;
    } else {
        f->nodes[before].next = f->nodes[i].next;
    }
    parent->last_child = parent->last_child == i ? before : parent->last_child;
    parent->children--;
    f->nodes[i].next = TRACE_NONE;
    f->nodes[i].parent = TRACE_NONE;
}

/* A node that is not placed after all trees are is on a circle, or below one: this finds one that
 * is on it. */
static uint32_t on_circle(const struct forest *f, uint32_t i)
{
    uint32_t slow = i, fast = f->nodes[i].parent;
    while (slow != fast) {
        slow = f->nodes[slow].parent;
        fast = f->nodes[f->nodes[fast].parent].parent;
    }
    return slow;
}

static void place_trace(struct span_set *set, struct forest *f, struct set_trace *trace)
{
    uint32_t before = TRACE_NONE;
    f->placed = 0;
    link_children(set, f);
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->nodes[i].parent == TRACE_NONE) {
            place_tree(set, f, trace->first, i, before);
            before = f->nodes[i].place;
        }
    }
    for (uint32_t i = 0; f->placed < f->n && i < f->n; i++) {
        if (f->nodes[i].place == TRACE_NONE) {
            const uint32_t root = on_circle(f, i);
            cut_link(f, root);
            place_tree(set, f, trace->first, root, before);
            before = f->nodes[root].place;
        }
    }
}

static int compare_traces(const void *left, const void *right)
{
    const struct set_trace *a = left, *b = right;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    return a->first < b->first ? -1 : a->first > b->first;
}

/* Sorts the traces by their first span's start. `first` of each is its old index before, and the
 * place of its first span after. `nodes` of all spans are then in that order. */
static bool sort_traces(struct span_set *set, struct node *nodes)
{
    uint32_t *next = malloc(((size_t)set->n_traces + 1) * sizeof *next);
    if (!next) {
        return false;
    }
    for (uint32_t i = 0; i < set->n_traces; i++) {
        set->traces[i].start = UINT64_MAX;
        set->traces[i].first = i;
    }
    for (uint32_t i = 0; i < set->n_spans; i++) {
        struct set_trace *trace = &set->traces[set->spans[i].trace];
        trace->start = set->spans[i].start < trace->start ? set->spans[i].start : trace->start;
        trace->n++;
    }
    qsort(set->traces, set->n_traces, sizeof *set->traces, compare_traces);
    uint32_t at = 0;
    for (uint32_t i = 0; i < set->n_traces; i++) {
        next[set->traces[i].first] = at;
        set->traces[i].first = at;
        at += set->traces[i].n;
    }
    for (uint32_t i = 0; i < set->n_spans; i++) {
        const struct set_span *span = &set->spans[i];
        nodes[next[span->trace]++] = (struct node){.start = span->start,
                                                   .end = span->end,
                                                   .id = span->id,
                                                   .span = i,
                                                   .first_child = TRACE_NONE,
                                                   .last_child = TRACE_NONE,
                                                   .next = TRACE_NONE,
                                                   .place = TRACE_NONE};
    }
    free(next);
    return true;
}

int32_t span_set_order(struct span_set *set)
{
    struct forest f = {0};
    struct node *nodes = malloc(((size_t)set->n_spans + 1) * sizeof *nodes);
    set->places = malloc(((size_t)set->n_spans + 1) * sizeof *set->places);
    bool fine = nodes && set->places && (set->n_spans == 0 || sort_traces(set, nodes));
    for (uint32_t i = 0; fine && i < set->n_traces; i++) {
        struct set_trace *trace = &set->traces[i];
        f.nodes = nodes + trace->first;
        f.n = trace->n;
        sort_nodes(f.nodes, f.n);
        fine = index_ids(&f);
        if (fine) {
            place_trace(set, &f, trace);
            trace->start = set->spans[set->places[trace->first].span].start;
        }
    }
    map_free(&f.ids);
    free(nodes);
    return fine ? SL_OK : SL_ERR_NOMEM;
}

void span_set_free(struct span_set *set)
{
    arena_free(&set->arena);
    free(set->resources);
    free(set->scopes);
    free(set->spans);
    free(set->traces);
    free(set->places);
    map_free(&set->resource_map);
    map_free(&set->scope_map);
    map_free(&set->trace_map);
    *set = (struct span_set){0};
}
