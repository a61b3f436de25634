/* The tokens of conditions, shared by the lexer and the parser. */
#ifndef SLUICE_FORMATS_OTTL_LEX_H
#define SLUICE_FORMATS_OTTL_LEX_H
#include "formats/ottl/internal.h"

enum token {
    T_END,
    T_TEXT,
    T_INT,
    T_DOUBLE,
    T_BYTES,
    T_LOWER, /* identifiers by their first letter */
    T_UPPER,
    T_COMPARE,
    T_OTHER /* one character: ( ) [ ] , . + - * / { } : */
};

struct parser {
    struct ottl *to;
    enum ottl_context context;
    sl_bytes text;
    size_t next; /* behind the token */
    enum token token;
    size_t at; /* of the token */
    sl_bytes lexeme;
    struct ottl_value literal; /* of TEXT, INT, DOUBLE, BYTES */
    enum ottl_comparison comparison;
    uint32_t depth, stack;
    size_t *error_at;
    sl_error *error;
    int32_t status;
};

/* Each answers false after the first error, of which the parser has the place and the text. */
bool ottl_fail_at(struct parser *p, size_t at, const char *format, ...) SL_PRINTF_(3, 4);
bool ottl_no_memory(struct parser *p);
/* Reads the next token. */
bool ottl_advance(struct parser *p);
/* Is the token this identifier or sign? */
bool ottl_is(const struct parser *p, const char *lexeme);
/* It must be, and is stepped over. */
bool ottl_expect(struct parser *p, const char *lexeme);

static inline bool ottl_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool ottl_is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline int ottl_char_at(const struct parser *p, size_t i)
{
    return i < p->text.n ? p->text.p[i] : -1;
}

#endif
