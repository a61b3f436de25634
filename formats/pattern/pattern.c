/* See pattern.h. PCRE2 counts steps anew for each place where a match may begin, so the places are
 * tried in windows, and the thread's processor time is looked at between them. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "formats/pattern/pattern.h"
#include "formats/pattern/needs.h"

#include <pcre2.h>
#include <stdlib.h>
#include <time.h>

enum {
    STEPS = 50000,   /* for each place: some 0.1 ms */
    WINDOW = 128,    /* places between two looks at the clock */
    DEPTH_KIB = 512, /* heap of one match without the compiler */
    JIT_STACK_FIRST = 32 * 1024,
    JIT_STACK_MAX = 512 * 1024
};

struct pattern {
    pcre2_code *code;
    uint32_t groups;
    struct pattern_needs needs;
};

struct pattern_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* A code unit that PCRE2 knows every match to have. Letters may stand for their other case. */
static void need_unit(struct pattern_needs *needs, const pcre2_code *code, uint32_t type_of,
                      uint32_t unit_of)
{
    uint32_t type = 0, c = 0;
    (void)pcre2_pattern_info(code, type_of, &type);
    (void)pcre2_pattern_info(code, unit_of, &c);
    if (type == 1 && c < 0x80 && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z')) {
        pattern_needs_add(needs, (uint8_t)c);
    }
}

static struct pattern_needs needs_of(const pcre2_code *code, sl_bytes text)
{
    struct pattern_needs needs = {.bytes = 0};
    (void)pcre2_pattern_info(code, PCRE2_INFO_MINLENGTH, &needs.bytes);
    pattern_needs_read(&needs, text);
    need_unit(&needs, code, PCRE2_INFO_LASTCODETYPE, PCRE2_INFO_LASTCODEUNIT);
    need_unit(&needs, code, PCRE2_INFO_FIRSTCODETYPE, PCRE2_INFO_FIRSTCODEUNIT);
    return needs;
}

int32_t pattern_compile(sl_bytes text, struct pattern **pattern, sl_error *error)
{
    int code;
    PCRE2_SIZE offset = 0;
    struct pattern *p = calloc(1, sizeof *p);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int32_t status = SL_ERR_NOMEM;
    if (!p || !context) {
        (void)sl_fail(error, status, "no memory for a pattern");
        goto done;
    }
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    p->code = pcre2_compile(text.n ? text.p : (PCRE2_SPTR) "", text.n,
                            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
                                PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
                            &code, &offset, context);
    if (!p->code) {
        PCRE2_UCHAR reason[160] = "";
        (void)pcre2_get_error_message(code, reason, sizeof reason);
        status = sl_fail(error, SL_ERR_INVALID, "pattern \"%.*s\", at its character %zu: %s",
                         (int)(text.n < 120 ? text.n : 120), (const char *)text.p, offset + 1,
                         (const char *)reason);
        goto done;
    }
    /* Where the system allows no generated code it is interpreted, some ten times slower. */
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    (void)pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &p->groups);
    p->needs = needs_of(p->code, text);
    *pattern = p;
    status = SL_OK;
done:
    pcre2_compile_context_free(context);
    if (status != SL_OK) {
        free(p);
    }
    return status;
}

void pattern_free(struct pattern *pattern)
{
    if (pattern) {
        pcre2_code_free(pattern->code);
        free(pattern);
    }
}

uint32_t pattern_groups(const struct pattern *pattern)
{
    return pattern->groups;
}

sl_bytes pattern_group_name(const struct pattern *pattern, uint32_t group)
{
    uint32_t names = 0, size = 0;
    PCRE2_SPTR entry = NULL;
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMECOUNT, &names);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMETABLE, &entry);
    for (uint32_t i = 0; i < names; i++, entry += size) {
        if (((uint32_t)entry[0] << 8 | entry[1]) == group) {
            return sl_str((const char *)entry + 2);
        }
    }
    return sl_slice(NULL, 0);
}

struct pattern_matcher *pattern_matcher_create(uint32_t groups)
{
    struct pattern_matcher *m = calloc(1, sizeof *m);
    if (!m) {
        return NULL;
    }
    m->data = pcre2_match_data_create(groups + 1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    if (!m->data || !m->context) {
        pattern_matcher_free(m);
        return NULL;
    }
    (void)pcre2_set_match_limit(m->context, STEPS);
    (void)pcre2_set_heap_limit(m->context, DEPTH_KIB);
    if (m->stack) { /* NULL: without the compiler of PCRE2, or without memory; then the thread's */
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
    }
    return m;
}

void pattern_matcher_free(struct pattern_matcher *matcher)
{
    if (matcher) {
        pcre2_match_data_free(matcher->data);
        pcre2_match_context_free(matcher->context);
        pcre2_jit_stack_free(matcher->stack);
        free(matcher);
    }
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The time that a text may take. The processor's is a system call away, so it is not asked for before
 * the system's coarse clock has moved on. */
struct budget {
    int64_t tick_ns, end_ns; /* 0: not yet */
};

static bool is_spent(struct budget *b)
{
    if (b->end_ns) {
        return clock_ns(CLOCK_THREAD_CPUTIME_ID) > b->end_ns;
    }
    const int64_t tick_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
    if (b->tick_ns == 0) {
        b->tick_ns = tick_ns;
    } else if (tick_ns != b->tick_ns) {
        b->end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + PATTERN_BUDGET_MS * INT64_C(1000000);
    }
    return false;
}

/* The next place behind `at` where a character begins. */
static size_t next_character(sl_bytes text, size_t at)
{
    do {
        at++;
    } while (at < text.n && (text.p[at] & 0xc0) == 0x80);
    return at;
}

int32_t pattern_find(const struct pattern *pattern, struct pattern_matcher *matcher, sl_bytes text,
                     size_t from)
{
    struct budget budget = {.tick_ns = 0};
    if (!pattern_needs_met(&pattern->needs, text.n ? text.p + from : (const uint8_t *)"",
                           text.n - from)) {
        return PATTERN_NO;
    }
    for (;;) {
        const size_t left = text.n - from;
        const size_t last = left > WINDOW ? from + WINDOW : text.n;
        (void)pcre2_set_offset_limit(matcher->context, last);
        const int found = pcre2_match(pattern->code, text.n ? text.p : (PCRE2_SPTR) "", text.n,
                                      from, PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
        if (found >= 0) {
            return PATTERN_YES;
        }
        if (found != PCRE2_ERROR_NOMATCH) {
            return PATTERN_COSTLY;
        }
        if (last == text.n) {
            return PATTERN_NO;
        }
        from = next_character(text, last);
        if (is_spent(&budget)) {
            return PATTERN_COSTLY;
        }
    }
}

sl_bytes pattern_group(const struct pattern_matcher *matcher, sl_bytes text, uint32_t group)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(matcher->data);
    if (group >= pcre2_get_ovector_count(matcher->data) || at[2 * group] == PCRE2_UNSET ||
        at[2 * group + 1] > text.n || at[2 * group] > at[2 * group + 1]) {
        return sl_slice(NULL, 0);
    }
    return sl_slice(text.p + at[2 * group], at[2 * group + 1] - at[2 * group]);
}

int32_t pattern_next(const struct pattern *pattern, struct pattern_matcher *matcher, sl_bytes text,
                     struct pattern_all *all)
{
    while (all->at <= text.n) {
        const int32_t found = pattern_find(pattern, matcher, text, all->at);
        if (found != PATTERN_YES) {
            return found;
        }
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(matcher->data);
        const size_t begin = at[0], end = at[1] < begin ? begin : at[1];
        const bool counts = end > all->last_end || begin == 0;
        const size_t next = next_character(text, all->at);
        all->at = next > end ? next : end;
        all->last_end = end;
        if (counts) {
            all->begin = begin;
            all->end = end;
            return PATTERN_YES;
        }
    }
    return PATTERN_NO;
}
