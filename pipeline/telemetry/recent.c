/* The ring of the latest lines; see recent.h. */
#include "pipeline/telemetry/recent.h"

#include <stdlib.h>

/* As much as fits, cut between characters. */
static void append(char *to, size_t room, size_t *used, sl_bytes text)
{
    size_t n = text.n < room - 1 - *used ? text.n : room - 1 - *used;
    while (n > 0 && n < text.n && (text.p[n] & 0xc0) == 0x80)
        n--;
    if (n)
        memcpy(to + *used, text.p, n);
    *used += n;
    to[*used] = 0;
}

static const sl_log_field *error_in(struct log_fields fields)
{
    for (uint32_t i = 0; i < fields.n; i++)
        if (strcmp(fields.at[i].key, "error") == 0)
            return &fields.at[i];
    return NULL;
}

/* Other fields are left out: numbers would make each line another one. */
static void compose(struct recent_line *line, sl_bytes text, struct log_fields of_component,
                    const sl_log_field *error)
{
    size_t used = 0;
    append(line->text, sizeof line->text, &used, text);
    if (error) {
        append(line->text, sizeof line->text, &used, sl_str(": "));
        append(line->text, sizeof line->text, &used, error->value);
    }
    used = 0;
    if (of_component.n) /* its id comes first */
        append(line->component, sizeof line->component, &used, of_component.at[0].value);
}

void recent_add(struct recent *r, int64_t at_ns, int32_t level, sl_bytes text,
                struct log_fields of_component, struct log_fields of_line)
{
    struct recent_line line = {.level = level};
    struct recent_line *place = &r->at[0];
    const sl_log_field *error = error_in(of_line);
    if (level < SL_LOG_WARN && !error)
        return;
    compose(&line, text, of_component, error);
    for (uint32_t i = 0; i < RECENT_LINES; i++) {
        struct recent_line *l = &r->at[i];
        if (l->count && l->level == level && strcmp(l->component, line.component) == 0 &&
            strcmp(l->text, line.text) == 0) {
            place = l;
            line.count = l->count;
            break;
        }
        if (l->turn < place->turn)
            place = l;
    }
    line.count++;
    line.at_ns = at_ns;
    line.turn = ++r->turn;
    *place = line;
}

static int compare(const void *a, const void *b)
{
    const struct recent_line *x = a, *y = b;
    return (x->turn < y->turn) - (x->turn > y->turn);
}

uint32_t recent_sort(struct recent *r)
{
    uint32_t n = 0;
    qsort(r->at, RECENT_LINES, sizeof r->at[0], compare);
    while (n < RECENT_LINES && r->at[n].count)
        n++;
    return n;
}
