/* What the pages are made from, and the pages. On the HTTP server's thread. */
#ifndef SLUICE_EXTENSIONS_ZPAGES_PAGE_H
#define SLUICE_EXTENSIONS_ZPAGES_PAGE_H
#include "extensions/zpages/rates.h"

#include <stdio.h>

struct page {
    FILE *out;
    const sl_host *host;
    const sl_inspect *inspect;
    const sl_process *process;
    const struct rates *rates;
    int64_t now_ns; /* of the host's clock, at which the page is made */
    uint32_t rows;  /* for the callbacks of a page */
};

/* html.c */
extern const char style_sheet[];
void html_service(struct page *);
void html_pipelines(struct page *);
void html_extensions(struct page *);
void html_errors(struct page *);

/* json.c */
void json_service(struct page *);
void json_pipelines(struct page *);
void json_extensions(struct page *);
void json_errors(struct page *);

/* zpages.c: words of both */
const char *kind_name(uint32_t kind);
const char *status_name(int32_t status);
const char *level_name(int32_t level);
const char *signal_name(uint32_t signal);
/* "2025-09-15T10:00:00.123Z", or "" for 0. */
const char *time_text(int64_t wall_ns, char out[40]);
#endif
