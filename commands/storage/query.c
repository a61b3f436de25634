/* sluice query: finds traces in files of blocks. */
#include "commands/storage/query.h"
#include "formats/otlp/json_write.h"
#include "formats/otlp/proto/trace_service.pb-c.h"
#include "formats/trace/memory.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct search {
    const struct query_options *options;
    sl_writer found; /* requests with the traces that may match */
    uint32_t traces; /* in them */
    uint64_t blocks, searched;
};

static bool enough(const struct search *s)
{
    /* by its id a trace may lie in several blocks; other candidates may turn out to be none */
    return !s->options->query.by_id && s->options->n_attributes == 0 &&
           s->traces >= s->options->limit;
}

static int32_t search_file(struct search *s, const char *path, sl_error *error)
{
    struct mapped file;
    struct block_index index = {0};
    sl_error why = {.size = sizeof why};
    int32_t status = mapped_open(&file, path, error);
    if (status != SL_OK) {
        return status;
    }
    status = block_index_read(file.bytes, &index, &why);
    if (status != SL_OK) {
        sl_fail(error, status, "%s: %s", path, why.text);
    }
    for (uint32_t i = 0; status == SL_OK && i < index.n && !enough(s); i++) {
        const struct block_entry *entry = &index.at[i];
        uint32_t traces;
        status = trace_block_query(sl_slice(file.bytes.p + entry->at, (size_t)entry->info.bytes),
                                   &s->options->query, decode_limit(&entry->info), &s->found,
                                   &traces, &why);
        if (status != SL_OK) {
            sl_fail(error, status, "%s: at byte %" PRIu64 ": %s", path, entry->at, why.text);
        }
        s->traces += traces;
        s->blocks++;
        s->searched += traces > 0;
    }
    block_index_free(&index);
    mapped_close(&file);
    return status;
}

static int is_blocks(const struct dirent *entry)
{
    return format_of_path(entry->d_name) == FORMAT_SLUICE;
}

static int32_t search_path(struct search *s, const char *path, sl_error *error)
{
    struct stat about;
    struct dirent **entries;
    if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)) {
        return search_file(s, path, error);
    }
    const int n = scandir(path, &entries, is_blocks, alphasort);
    if (n < 0) {
        return sl_fail(error, SL_ERR_IO, "%s: the folder cannot be read", path);
    }
    int32_t status = SL_OK;
    for (int i = 0; i < n; i++) {
        char file[4096];
        const int length = snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (status == SL_OK && length < (int)sizeof file && !enough(s)) {
            status = search_file(s, file, error);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* ---- output ---- */

struct printer {
    const struct query_options *options;
    struct json_schema *schema;
    struct json_out json;
    struct value_texts texts;
    sl_writer request;
    uint32_t printed;
};

static int32_t print_json_bytes(void *context, const uint8_t *at, size_t n)
{
    (void)context;
    return fwrite(at, 1, n, stdout) == n ? SL_OK : SL_ERR_IO;
}

static bool printer_open(struct printer *p)
{
    p->request = heap_writer();
    decimal_powers_init(&p->texts.powers);
    return json_out_init(&p->json, UINT64_MAX, print_json_bytes, NULL) == SL_OK &&
           json_schema_create(
               &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
               &p->schema) == SL_OK;
}

static void printer_close(struct printer *p)
{
    json_out_deinit(&p->json);
    json_schema_destroy(p->schema);
    otlp_scratch_free(&p->texts.scratch);
    free(p->request.at);
}

static void put_json(struct printer *p, const char *text)
{
    const size_t n = strlen(text);
    memcpy(json_out_reserve(&p->json, n), text, n);
    json_out_commit(&p->json, n);
}

static bool print_json(struct printer *p, const struct span_set *set, const struct set_trace *trace)
{
    p->request.used = 0;
    trace_request(set, trace, &p->request);
    const sl_bytes request = sl_written(&p->request);
    if (p->request.failed || json_write(p->schema, &request, 1, &p->json, NULL) != SL_OK) {
        return false;
    }
    put_json(p, "\n");
    return true;
}

static bool print_text_form(struct printer *p, const struct span_set *set,
                            const struct set_trace *trace)
{
    struct trace_facts facts;
    if (!trace_facts_make(&facts, set, trace)) {
        return false;
    }
    if (p->options->output == OUTPUT_TABLE) {
        if (p->printed == 0) {
            print_table_head();
        }
        print_table_line(set, trace, &facts);
    } else {
        print_waterfall(set, trace, &facts);
    }
    trace_facts_free(&facts);
    return true;
}

static bool print_trace(struct printer *p, const struct span_set *set,
                        const struct set_trace *trace)
{
    if (p->options->output == OUTPUT_JSON) {
        return print_json(p, set, trace);
    }
    if (p->options->output != OUTPUT_JAEGER) {
        return print_text_form(p, set, trace);
    }
    put_json(p, p->printed == 0 ? "{\"data\":[" : ",");
    jaeger_trace(&p->json, &p->texts, set, trace);
    return true;
}

static int32_t print_found(struct search *s, uint32_t *printed, sl_error *error)
{
    struct span_set set = {.arena = {.limit = UINT64_MAX}};
    struct printer p = {.options = s->options};
    bool fine = printer_open(&p);
    int32_t status = span_set_add(&set, sl_written(&s->found));
    status = status == SL_OK ? span_set_order(&set) : status;
    for (uint32_t i = 0; fine && status == SL_OK && i < set.n_traces; i++) {
        if (p.printed < s->options->limit &&
            trace_matches(s->options, &p.texts, &set, &set.traces[i])) {
            fine = print_trace(&p, &set, &set.traces[i]);
            p.printed++;
        }
    }
    if (fine && p.options->output == OUTPUT_JAEGER) {
        put_json(&p, p.printed == 0 ? "{\"data\":[]}\n" : "]}\n");
    }
    fine = fine && json_out_finish(&p.json) == SL_OK;
    *printed = p.printed;
    printer_close(&p);
    span_set_free(&set);
    return fine && status == SL_OK
               ? SL_OK
               : sl_fail(error, SL_ERR_NOMEM,
                         "no memory for what was found, or no room to print it");
}

int query_command(int argc, char **argv)
{
    struct query_options options;
    sl_error error = {.size = sizeof error};
    uint32_t printed = 0;
    const int usage = query_options_read(argc, argv, &options);
    if (usage != STORAGE_OK) {
        return usage;
    }
    struct search search = {.options = &options, .found = heap_writer()};
    int32_t status = SL_OK;
    for (uint32_t i = 0; status == SL_OK && i < options.n_paths && !enough(&search); i++) {
        status = search_path(&search, options.paths[i], &error);
    }
    status = status == SL_OK ? print_found(&search, &printed, &error) : status;
    if (status != SL_OK) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "sluice query: %s\n", error.text);
    } else {
        (void)fprintf(stderr, "%u traces; read %" PRIu64 " of %" PRIu64 " blocks\n", printed,
                      search.searched, search.blocks);
    }
    free(search.found.at);
    return status == SL_OK && printed > 0 ? STORAGE_OK : STORAGE_FAILED;
}
