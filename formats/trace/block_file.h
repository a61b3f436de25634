/* Files of blocks: one block after another, then, once the file is closed, a footer with the heads
 * of all of them. Without a footer (the writer is at work, or was killed) the blocks are found one
 * by one. Pure functions over bytes; any thread. */
#ifndef SLUICE_FORMATS_TRACE_BLOCK_FILE_H
#define SLUICE_FORMATS_TRACE_BLOCK_FILE_H
#include "formats/trace/trace_block.h"

struct block_entry {
    uint64_t at; /* in the file */
    struct trace_block_info info;
};

/* Zero it; block_index_free. */
struct block_index {
    struct block_entry *at;
    uint32_t n, room;
    uint64_t end; /* behind the last whole block: where a writer goes on */
    bool closed;  /* there is a footer */
};

/* Finds the blocks of a file; only heads are looked at. Where the file is cut off within a block,
 * or a footer, the index has what comes before. SL_ERR_INVALID: something else than a block stands
 * in it, and the index has what comes before; SL_ERR_UNSUPPORTED: of a newer version. */
int32_t block_index_read(sl_bytes file, struct block_index *index, sl_error *error);
void block_index_free(struct block_index *index);

/* The footer of a file that is being written. Zero it; free heads.at. */
struct block_footer {
    sl_writer heads; /* from heap_writer() */
};

/* To be told of each block, in order. False: no memory. */
bool block_footer_add(struct block_footer *footer, sl_bytes block);

/* Appends the footer; sticky failure as in all writers. */
void block_footer_write(const struct block_footer *footer, sl_writer *to);

#endif
