/* Reads the section ".sluice" of a shared object, and how it binds, without loading it: a small
 * reader of ELF64 headers that trusts nothing in the file. Any thread. */
#ifndef SLUICE_PIPELINE_SECTION_H
#define SLUICE_PIPELINE_SECTION_H
#include <sluice/plugin.h>

enum {
    SECTION_BYTES_MAX = 64 * 1024, /* of the section ".sluice" */
    SECTION_TYPES_MAX = 256,       /* names in one plugin, aliases included */
    PLUGIN_NAME_MAX = 64           /* bytes of a type's name */
};

/* "type processor:batch" */
struct section_type {
    uint32_t kind; /* enum sl_kind; 0: a kind that this Sluice does not know */
    char kind_text[16];
    char name[PLUGIN_NAME_MAX + 1];
};

struct section {
    uint32_t abi_major, abi_minor;
    bool binds_now; /* it has all of its own symbols bound when it is loaded, or is not loaded */
    uint32_t n_types;
    struct section_type *types; /* heap; aliases stand beside the names */
};

/* SL_ERR_NOT_FOUND: not a plugin, as it has no such section. SL_ERR_INVALID: damaged, or for
 * another machine. The error says what is wrong, without the file's name. */
int32_t section_read(int fd, struct section *, sl_error *);
void section_deinit(struct section *);

/* "receiver" for SL_KIND_receiver; NULL: unknown. */
const char *plugin_kind_name(uint32_t kind);
/* Letters, digits and underscores, beginning with a letter. */
bool plugin_name_ok(sl_bytes name);
#endif
