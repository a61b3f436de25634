/* The log's outputs and options, as the config names them. Control thread. */
#include "pipeline/process/logs.h"
#include <unistd.h>

enum { INITIAL_FIELDS_MAX = 16 };

int32_t logs_open(struct logs *out, const struct service_logs *l, sl_error *error)
{
    static const int32_t levels[] = {SL_LOG_DEBUG, SL_LOG_INFO, SL_LOG_WARN, SL_LOG_ERROR,
                                     SL_LOG_ERROR};
    struct log_options *o = &out->options;
    out->n_files = 0;
    log_options_init(o);
    o->level = levels[l->level];
    o->encoding = l->encoding == SERVICE_JSON ? LOG_JSON : LOG_CONSOLE;
    o->sampling = (struct log_sampling){.enabled = l->sampling.enabled != 0,
                                        .tick_ns = l->sampling.tick,
                                        .initial = l->sampling.initial,
                                        .thereafter = l->sampling.thereafter};
    if (l->output_paths.n)
        o->n_outputs = 0;
    for (uint32_t i = 0; i < l->output_paths.n && i < LOG_OUTPUTS_MAX; i++) {
        bool owned;
        int fd;
        const sl_bytes *path = SL_LIST_AT(sl_bytes, l->output_paths, i);
        const int32_t status = log_output_open((const char *)path->p, &fd, &owned, error);
        if (status != SL_OK) {
            logs_close(out);
            return status;
        }
        o->outputs[o->n_outputs++] = fd;
        if (owned)
            out->files[out->n_files++] = fd;
    }
    return SL_OK;
}

int32_t logs_apply(const struct logs *logs, const struct service_logs *l, struct log *log)
{
    sl_log_field fields[INITIAL_FIELDS_MAX];
    struct log_options o = logs->options;
    const sl_raw *initial = l->initial_fields;
    for (uint32_t i = 0; initial && i < initial->n && i < INITIAL_FIELDS_MAX; i++) {
        fields[i].key = (const char *)initial->children[i].key.p;
        fields[i].value = initial->children[i].text;
        o.n_initial_fields = i + 1;
    }
    o.initial_fields = fields;
    return log_configure(log, &o);
}

void logs_close(struct logs *logs)
{
    for (uint32_t i = 0; i < logs->n_files; i++)
        (void)close(logs->files[i]);
    logs->n_files = 0;
}
