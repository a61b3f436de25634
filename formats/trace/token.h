/* What a span consists of, beside its place in its trace: the tokens of its class. */
#ifndef SLUICE_FORMATS_TRACE_TOKEN_H
#define SLUICE_FORMATS_TRACE_TOKEN_H
#include "formats/trace/memory.h"

/* Written in blocks: never renumber. Attributes belong to the event or link that is open, or to the
 * span. */
enum token_kind {
    TOKEN_NAME = 0, /* text; of a span whose class has none */
    TOKEN_TRACE_STATE = 1,
    TOKEN_DROPPED_ATTRIBUTES = 2, /* number */
    TOKEN_DROPPED_EVENTS = 3,
    TOKEN_DROPPED_LINKS = 4,
    TOKEN_STATUS_MESSAGE = 5, /* text */
    TOKEN_ATTR_ABSENT = 6,    /* an attribute without a value; has no column, as the next */
    TOKEN_ATTR_NULL = 7,      /* with an empty AnyValue */
    TOKEN_ATTR_TEXT = 8,
    TOKEN_ATTR_BOOL = 9,
    TOKEN_ATTR_INT = 10,
    TOKEN_ATTR_DOUBLE = 11, /* number: the bits */
    TOKEN_ATTR_BYTES = 12,
    TOKEN_ATTR_ANY = 13,   /* text: an AnyValue message as it is */
    TOKEN_ATTR_OTHER = 14, /* text: a KeyValue message as it is */
    TOKEN_EVENT = 15,      /* number: time after the span's start */
    TOKEN_EVENT_NAME = 16, /* text */
    TOKEN_EVENT_DROPPED = 17,
    TOKEN_EVENT_OTHER = 18, /* text: an Event message as it is */
    TOKEN_LINK = 19,        /* three numbers: the trace id's halves, then the span id */
    TOKEN_LINK_LOW = 20,
    TOKEN_LINK_SPAN = 21,
    TOKEN_LINK_STATE = 22,
    TOKEN_LINK_DROPPED = 23,
    TOKEN_LINK_FLAGS = 24,
    TOKEN_LINK_OTHER = 25, /* text: a Link message as it is */
    TOKEN_END = 26,        /* of an event or a link */
    TOKEN_REST = 27,       /* text: all fields but the span's place, as they are */
    TOKEN_WHOLE = 28,      /* text: the Span message as it is */
    TOKEN_KINDS = 29
};

enum column_kind { COLUMN_NONE, COLUMN_NUMBER, COLUMN_TEXT };

static inline enum column_kind column_of(uint32_t token_kind)
{
    static const uint8_t kinds[TOKEN_KINDS] = {
        [TOKEN_NAME] = COLUMN_TEXT,
        [TOKEN_TRACE_STATE] = COLUMN_TEXT,
        [TOKEN_DROPPED_ATTRIBUTES] = COLUMN_NUMBER,
        [TOKEN_DROPPED_EVENTS] = COLUMN_NUMBER,
        [TOKEN_DROPPED_LINKS] = COLUMN_NUMBER,
        [TOKEN_STATUS_MESSAGE] = COLUMN_TEXT,
        [TOKEN_ATTR_TEXT] = COLUMN_TEXT,
        [TOKEN_ATTR_BOOL] = COLUMN_NUMBER,
        [TOKEN_ATTR_INT] = COLUMN_NUMBER,
        [TOKEN_ATTR_DOUBLE] = COLUMN_NUMBER,
        [TOKEN_ATTR_BYTES] = COLUMN_TEXT,
        [TOKEN_ATTR_ANY] = COLUMN_TEXT,
        [TOKEN_ATTR_OTHER] = COLUMN_TEXT,
        [TOKEN_EVENT] = COLUMN_NUMBER,
        [TOKEN_EVENT_NAME] = COLUMN_TEXT,
        [TOKEN_EVENT_DROPPED] = COLUMN_NUMBER,
        [TOKEN_EVENT_OTHER] = COLUMN_TEXT,
        [TOKEN_LINK] = COLUMN_NUMBER,
        [TOKEN_LINK_LOW] = COLUMN_NUMBER,
        [TOKEN_LINK_SPAN] = COLUMN_NUMBER,
        [TOKEN_LINK_STATE] = COLUMN_TEXT,
        [TOKEN_LINK_DROPPED] = COLUMN_NUMBER,
        [TOKEN_LINK_FLAGS] = COLUMN_NUMBER,
        [TOKEN_LINK_OTHER] = COLUMN_TEXT,
        [TOKEN_REST] = COLUMN_TEXT,
        [TOKEN_WHOLE] = COLUMN_TEXT,
    };
    return (enum column_kind)kinds[token_kind];
}

/* What all spans of a class have in common beside their tokens. */
struct class_head {
    uint32_t scope;
    uint32_t name; /* TRACE_NONE: none, or a token */
    uint32_t kind, status, flags;
    uint32_t has; /* enum class_has */
};

enum class_has {
    CLASS_STATUS = 1,        /* a Status message */
    CLASS_REMOTE_PARENT = 2, /* a parent that is not in the trace's tree: its id is kept */
    CLASS_HAS_ALL = 3
};

/* Classes with fewer spans share columns: those of one token type are one. So do all classes those
 * of texts that are written in place. */
enum { CLASS_SMALL = 16 };

#endif
