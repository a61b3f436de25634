/* From service::telemetry::logs to the process's log. Control thread. */
#ifndef SLUICE_PIPELINE_LOGS_H
#define SLUICE_PIPELINE_LOGS_H
#include "pipeline/config/service.h"
#include "pipeline/telemetry/log.h"

/* The outputs that are open for it. */
struct logs {
    struct log_options options;
    int files[LOG_OUTPUTS_MAX];
    uint32_t n_files;
};

/* Opens the outputs. On an error nothing is open. */
int32_t logs_open(struct logs *, const struct service_logs *, sl_error *);
/* The log writes there from now on. The initial fields are those of the config, which must still be
 * there. SL_ERR_NOMEM: it goes on as it was. */
int32_t logs_apply(const struct logs *, const struct service_logs *, struct log *);
void logs_close(struct logs *);
#endif
