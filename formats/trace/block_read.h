/* A block that is being decoded: what its topology says, and where its spans are. Internal. */
#ifndef SLUICE_FORMATS_TRACE_BLOCK_READ_H
#define SLUICE_FORMATS_TRACE_BLOCK_READ_H
#include "formats/trace/container.h"
#include "formats/trace/texts.h"
#include "formats/trace/times.h"
#include "formats/trace/token.h"

struct read_scope {
    uint32_t resource;
    sl_bytes head;
};

struct read_type {
    uint32_t kind;
    sl_bytes key;
    uint32_t n; /* texts; 0 where the columns have them, or where there are none */
    sl_bytes *texts;
    /* the column that classes share, and how much of it has been used */
    uint32_t n_shared, at_shared;
    int64_t *shared;
    sl_bytes *shared_texts;   /* where n is 0 */
    uint8_t *wanted;          /* of shared_texts; NULL: all */
    uint64_t n_values, bytes; /* in all columns */
};

/* Start and end values of the spans of a class, or of all small ones. */
struct read_times {
    uint64_t unit;
    uint32_t start, end; /* references */
    int64_t *starts, *ends;
    uint32_t at; /* the next span's */
};

struct read_class {
    struct class_head head;
    uint32_t n_tokens;
    const uint32_t *types;
    uint32_t n;     /* spans */
    uint32_t first; /* in by_class */
    struct read_times times;
    bool whole;
};

struct read_shape {
    uint32_t class; /* the number of classes: several roots */
    uint32_t first, n;
    uint32_t depth, spans; /* of the subtree; spans UINT32_MAX: that many or more */
};

struct read_place {
    struct span_times times;
    uint64_t id, parent_id; /* their bytes */
    uint32_t trace;
    bool has_parent;
};

struct block_reader {
    struct trace_block_info info;
    struct container_sections sections;
    struct trace_arena arena, scratch;
    struct number_reader values;
    struct text_reader texts;
    sl_bytes *resources, *names;
    struct read_scope *scopes;
    struct read_type *types;
    struct read_class *classes;
    uint32_t n_resources, n_scopes, n_names, n_types, n_classes;
    struct read_shape *shapes;
    uint32_t n_shapes;
    uint32_t *children;
    uint32_t *shape_of; /* traces */
    uint64_t *trace_high, *trace_low;
    struct read_place *places;
    const uint8_t *selected;                      /* of each trace: is it written? NULL: all are */
    uint32_t *class_of, *by_class;                /* places */
    void *memory;                                 /* of the topology */
    const char *part;                             /* what is being read: for errors */
    uint64_t shape_bytes, start_bytes, end_bytes; /* of their streams */
};

/* The next number of the topology. False: there is none, or it is larger than it may be. */
static inline bool next_number(struct block_reader *b, uint64_t most, uint32_t *v)
{
    uint64_t number;
    if (!read_number(&b->values, &number) || number > most) {
        return false;
    }
    *v = (uint32_t)number;
    return true;
}

/* A reader over a whole block; close it even where this fails. */
int32_t block_open(struct block_reader *b, sl_bytes bytes, uint64_t limit, sl_error *error);
void block_close(struct block_reader *b);

/* Reads parts `first` .. `first` + n - 1 of what is named below, in that order. */
enum block_part { PART_LISTS, PART_SHAPES, PART_IDS, PART_PLACES, PART_DICTIONARIES, BLOCK_PARTS };
int32_t read_parts(struct block_reader *b, uint32_t first, uint32_t n);

/* For an error of what they say; returns the status. */
int32_t block_error(const struct block_reader *b, int32_t status, uint64_t limit, sl_error *error);

/* Each reads the next part of a block. SL_OK, SL_ERR_INVALID or SL_ERR_NOMEM. */
int32_t read_lists(struct block_reader *b);
int32_t read_shapes(struct block_reader *b);
int32_t read_ids(struct block_reader *b);
int32_t read_places(struct block_reader *b);
int32_t read_dictionaries(struct block_reader *b);

/* Does a token of this class share its type's column? */
static inline bool is_shared(const struct read_class *class, const struct read_type *type)
{
    const enum column_kind kind = column_of(type->kind);
    return kind != COLUMN_NONE && (class->n < CLASS_SMALL || (kind == COLUMN_TEXT && type->n == 0));
}

/* False: a text that is to stand for fields as they are is no message. */
bool good_texts(const struct read_type *type, const sl_bytes *texts, uint32_t n);

/* Reads the classes' columns and appends their spans: at most `limit` bytes. */
int32_t write_spans(struct block_reader *b, uint64_t limit, sl_writer *to);

#endif
