/* What must hold for a component type before the host relies on it: a plugin's mistake is refused
 * at load with a sentence, not found later as a crash. Any thread. */
#ifndef SLUICE_PIPELINE_TYPE_CHECK_H
#define SLUICE_PIPELINE_TYPE_CHECK_H
#include <sluice/plugin.h>

/* Copies what both sides know of a type into the host's table and checks it: kind, name, flags,
 * callbacks of its kind, config table. The error does not name the file. */
int32_t type_take(const sl_type *theirs, sl_type *ours, sl_error *error);
#endif
