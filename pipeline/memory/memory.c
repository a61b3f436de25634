/* The memory budget and the buffer pool. Any thread: the budget is one atomic, the pool a mutex
 * taken once for each payload. */
#include "pipeline/memory/memory.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SMALLEST_SHIFT = 9, /* 512 B */
    LARGEST_SHIFT = 23, /* 8 MiB; larger buffers are not kept */
    STEPS = 4,          /* classes for each doubling: at most a fifth of a buffer is unused */
    CLASSES = (LARGEST_SHIFT - SMALLEST_SHIFT) * STEPS + 1
};

/* What the pool keeps at most: several requests of the usual megabyte, and what processors make of
 * them. */
static const uint64_t POOL_BYTES = UINT64_C(16) << 20;

struct free_buffer {
    struct free_buffer *next;
};

struct memory {
    _Atomic uint64_t limit;
    _Atomic uint64_t used;
    _Atomic uint64_t pooled;
    _Atomic uint64_t taken; /* buffers, ever */
    uint64_t taken_seen;    /* by memory_rested */
    _Atomic bool watched;   /* `used` was called and memory_rested has not said true */
    void (*used_call)(void *);
    void *used_arg;
    pthread_mutex_t mutex;
    struct free_buffer *free[CLASSES];
};

/* Large buffers are mapped by themselves: what is freed between them cannot keep them from going
 * back to the system, and they do not break up the heap. */
static const uint64_t MAPPED_FROM = UINT64_C(128) << 10;

static uint8_t *buffer_allocate(uint64_t size)
{
    if (size < MAPPED_FROM)
        return malloc(size);
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void buffer_free(void *buffer, uint64_t size)
{
    if (size < MAPPED_FROM)
        free(buffer);
    else if (buffer)
        (void)munmap(buffer, size);
}

static uint64_t class_size(uint32_t class)
{
    const uint64_t base = UINT64_C(1) << (SMALLEST_SHIFT + class / STEPS);
    return base + base / STEPS * (class % STEPS);
}

/* CLASSES where the buffer is too large to be kept. */
static uint32_t class_of(uint64_t bytes)
{
    uint32_t class = 0;
    if (bytes > (UINT64_C(1) << SMALLEST_SHIFT)) {
        const uint32_t shift = 63 - (uint32_t)__builtin_clzll(bytes - 1);
        if (shift >= LARGEST_SHIFT)
            return bytes > (UINT64_C(1) << LARGEST_SHIFT) ? CLASSES : CLASSES - 1;
        class = (shift - SMALLEST_SHIFT) * STEPS;
        while (class_size(class) < bytes)
            class ++;
    }
    return class;
}

struct memory *memory_create(uint64_t limit)
{
    struct memory *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    atomic_init(&m->limit, limit);
    if (pthread_mutex_init(&m->mutex, NULL)) {
        free(m);
        return NULL;
    }
    return m;
}

void memory_destroy(struct memory *m)
{
    if (!m)
        return;
    memory_trim(m);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

bool memory_reserve(struct memory *m, uint64_t bytes)
{
    const uint64_t limit = memory_limit(m);
    const uint64_t before = atomic_fetch_add_explicit(&m->used, bytes, memory_order_relaxed);
    if (!limit || (before + bytes >= bytes && before + bytes <= limit)) {
        if (limit && before + bytes + memory_pooled(m) > limit)
            memory_trim(m);
        return true;
    }
    atomic_fetch_sub_explicit(&m->used, bytes, memory_order_relaxed);
    return false;
}

void memory_give_back(struct memory *m, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&m->used, bytes, memory_order_relaxed);
}

bool memory_takes_in(const struct memory *m, uint64_t bytes)
{
    const uint64_t used = memory_used(m), limit = memory_limit(m);
    return !limit || (used + bytes >= bytes && used + bytes <= limit - limit / 4);
}

uint8_t *memory_buffer_take(struct memory *m, uint64_t bytes, uint64_t *capacity)
{
    const uint32_t class = class_of(bytes);
    const uint64_t size = class < CLASSES ? class_size(class) : bytes;
    uint8_t *buffer = NULL;
    if (class < CLASSES) {
        pthread_mutex_lock(&m->mutex);
        if (m->free[class]) {
            buffer = (uint8_t *)m->free[class];
            m->free[class] = m->free[class]->next;
            atomic_fetch_sub_explicit(&m->pooled, size, memory_order_relaxed);
        }
        pthread_mutex_unlock(&m->mutex);
    }
    if (!memory_reserve(m, size)) {
        buffer_free(buffer, size);
        return NULL;
    }
    if (!buffer && !(buffer = buffer_allocate(size)))
        memory_give_back(m, size);
    *capacity = size;
    atomic_fetch_add_explicit(&m->taken, 1, memory_order_relaxed);
    if (m->used_call && !atomic_load_explicit(&m->watched, memory_order_relaxed) &&
        !atomic_exchange(&m->watched, true))
        m->used_call(m->used_arg);
    return buffer;
}

void memory_on_use(struct memory *m, void (*used)(void *), void *arg)
{
    m->used_arg = arg;
    m->used_call = used;
}

bool memory_rested(struct memory *m)
{
    const uint64_t taken = atomic_load_explicit(&m->taken, memory_order_relaxed);
    if (taken != m->taken_seen) {
        m->taken_seen = taken;
        return false;
    }
    atomic_store(&m->watched, false);
    return true;
}

void memory_buffer_give(struct memory *m, uint8_t *buffer, uint64_t capacity)
{
    if (!buffer)
        return;
    const uint32_t class = class_of(capacity);
    const uint64_t limit = memory_limit(m);
    memory_give_back(m, capacity);
    if (class < CLASSES && memory_pooled(m) + capacity <= POOL_BYTES &&
        (!limit || memory_used(m) + memory_pooled(m) + capacity <= limit)) {
        struct free_buffer *f = (struct free_buffer *)(void *)buffer;
        pthread_mutex_lock(&m->mutex);
        f->next = m->free[class];
        m->free[class] = f;
        atomic_fetch_add_explicit(&m->pooled, capacity, memory_order_relaxed);
        pthread_mutex_unlock(&m->mutex);
        return;
    }
    buffer_free(buffer, capacity);
}

void memory_trim(struct memory *m)
{
    struct free_buffer *all[CLASSES];
    pthread_mutex_lock(&m->mutex);
    memcpy(all, m->free, sizeof all);
    memset(m->free, 0, sizeof m->free);
    atomic_store_explicit(&m->pooled, 0, memory_order_relaxed);
    pthread_mutex_unlock(&m->mutex);
    for (uint32_t class = 0; class < CLASSES; class ++) {
        while (all[class]) {
            struct free_buffer *next = all[class]->next;
            buffer_free(all[class], class_size(class));
            all[class] = next;
        }
    }
}

uint64_t memory_limit(const struct memory *m)
{
    return atomic_load_explicit(&m->limit, memory_order_relaxed);
}

void memory_set_limit(struct memory *m, uint64_t limit)
{
    atomic_store_explicit(&m->limit, limit, memory_order_relaxed);
    if (limit && memory_used(m) + memory_pooled(m) > limit)
        memory_trim(m);
}

uint64_t memory_used(const struct memory *m)
{
    return atomic_load_explicit(&m->used, memory_order_relaxed);
}

uint64_t memory_pooled(const struct memory *m)
{
    return atomic_load_explicit(&m->pooled, memory_order_relaxed);
}
