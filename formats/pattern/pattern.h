/* Regular expressions as they stand in the Collector's configs: RE2's syntax as Go has it, matched
 * by PCRE2, leftmost-first like Go. README.md says where the two differ.
 *
 * Matching is bounded whatever the text is: by backtracking steps for each place where a match may
 * begin, and by processor time for the text. A text above the bound is COSTLY, and its user decides
 * what that means. Patterns are read-only once compiled, and shared by all threads; a matcher is
 * one thread's at a time. */
#ifndef SLUICE_FORMATS_PATTERN_H
#define SLUICE_FORMATS_PATTERN_H
#include <sluice/plugin.h>

struct pattern;
struct pattern_matcher;

enum pattern_result {
    PATTERN_COSTLY = -1, /* above the bound */
    PATTERN_NO = 0,
    PATTERN_YES = 1
};

enum { PATTERN_BUDGET_MS = 20 /* processor time for one text */ };

/* SL_ERR_INVALID with the reason and the offset, or SL_ERR_NOMEM. */
int32_t pattern_compile(sl_bytes text, struct pattern **pattern, sl_error *error);
void pattern_free(struct pattern *pattern);

/* Number of the groups in parentheses; names of group 1 and on, empty where it has none. */
uint32_t pattern_groups(const struct pattern *pattern);
sl_bytes pattern_group_name(const struct pattern *pattern, uint32_t group);

/* For patterns of at most `groups` groups; NULL: no memory. */
struct pattern_matcher *pattern_matcher_create(uint32_t groups);
void pattern_matcher_free(struct pattern_matcher *matcher);

/* enum pattern_result. Bytes of the text that are no UTF-8 match nothing; the search begins at `from`, the text before it is
 * seen by ^ and \b. */
int32_t pattern_find(const struct pattern *pattern, struct pattern_matcher *matcher, sl_bytes text,
                     size_t from);
/* What group `group` (0: the whole match) matched in the last text; .p is NULL where it did not
 * take part. */
sl_bytes pattern_group(const struct pattern_matcher *matcher, sl_bytes text, uint32_t group);

static inline int32_t pattern_match(const struct pattern *pattern, struct pattern_matcher *matcher,
                                    sl_bytes text)
{
    return pattern_find(pattern, matcher, text, 0);
}

/* Steps through all matches as Go's ReplaceAll does: from left to right, without overlap, and
 * without an empty match right behind another. Zero it, then:
 *     while ((found = pattern_next(pattern, matcher, text, &all)) == PATTERN_YES)
 *         ... all.begin, all.end ... */
struct pattern_all {
    size_t begin, end; /* of the match */
    size_t at, last_end;
};
int32_t pattern_next(const struct pattern *pattern, struct pattern_matcher *matcher, sl_bytes text,
                     struct pattern_all *all);

#endif
