/* What `sluice generate` says when it is done, and while it works. */
#ifndef SLUICE_GENERATE_REPORT_H
#define SLUICE_GENERATE_REPORT_H

#include "commands/generate/output.h"
#include "commands/generate/send.h"
#include "commands/generate/stream.h"

#include <stdio.h>

void report_files(FILE *to, bool json, const struct output *o, const struct stream_counts *counts,
                  double seconds);
void report_send(FILE *to, bool json, const struct send_report *r);
/* One line on a terminal, written over the last one. */
void report_progress(const struct send_report *r);

#endif
