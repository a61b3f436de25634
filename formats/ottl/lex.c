/* The lexer of conditions. One thread for each parser. */
#include "formats/ottl/lex.h"
#include "formats/otlp/value_text.h"

bool ottl_fail_at(struct parser *p, size_t at, const char *format, ...)
{
    char reason[320];
    va_list args;
    if (p->status != SL_OK) {
        return false;
    }
    va_start(args, format);
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    *p->error_at = at;
    p->status = sl_fail(p->error, SL_ERR_INVALID, "at character %zu: %s", at + 1, reason);
    return false;
}

bool ottl_no_memory(struct parser *p)
{
    if (p->status == SL_OK) {
        p->status = sl_fail(p->error, SL_ERR_NOMEM, "no memory for a condition");
    }
    return false;
}

/* ---- lexer ---- */

static int hex(int c)
{
    return ottl_is_digit(c)       ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static size_t put_character(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    to[0] = (uint8_t)(0xe0 | c >> 12);
    to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    to[2] = (uint8_t)(0x80 | (c & 0x3f));
    return 3;
}

/* An escape of Go's at i, behind the backslash; returns what follows it, 0: there is none such. */
static size_t unescape(const struct parser *p, size_t i, uint8_t *to, size_t *n)
{
    static const char names[] = "abfnrtv\\\"'", values[] = "\a\b\f\n\r\t\v\\\"'";
    const int c = ottl_char_at(p, i);
    const char *known = c > 0 ? strchr(names, c) : NULL;
    if (known) {
        to[(*n)++] = (uint8_t)values[known - names];
        return i + 1;
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    uint32_t value = 0;
    for (size_t k = 1; k <= digits; k++) {
        const int digit = hex(ottl_char_at(p, i + k));
        if (digit < 0) {
            return 0;
        }
        value = value << 4 | (uint32_t)digit;
    }
    if (!digits || (c == 'x' && value >= 0x80) || (value >= 0xd800 && value < 0xe000)) {
        return 0;
    }
    *n += put_character(to + *n, value);
    return i + 1 + digits;
}

static bool lex_text(struct parser *p)
{
    size_t i = p->at + 1, n = 0;
    uint8_t *to = otlp_scratch_room(&p->to->texts, p->text.n + 4);
    if (!to) {
        return ottl_no_memory(p);
    }
    while (ottl_char_at(p, i) != '"') {
        if (i >= p->text.n) {
            return ottl_fail_at(p, p->at, "the text does not end; a quotation mark is missing");
        }
        if (p->text.p[i] != '\\') {
            to[n++] = p->text.p[i++];
            continue;
        }
        const size_t after = unescape(p, i + 1, to, &n);
        if (!after) {
            return ottl_fail_at(p, i, "there is no escape \\%c; write \\\\ for a backslash",
                                i + 1 < p->text.n ? p->text.p[i + 1] : '"');
        }
        i = after;
    }
    otlp_scratch_take(&p->to->texts, n);
    p->token = T_TEXT;
    p->literal = ottl_text(sl_slice(to, n));
    p->next = i + 1;
    return true;
}

static bool lex_bytes(struct parser *p)
{
    size_t i = p->at + 2, n = 0;
    uint8_t *to = otlp_scratch_room(&p->to->texts, p->text.n);
    if (!to) {
        return ottl_no_memory(p);
    }
    for (; hex(ottl_char_at(p, i)) >= 0 && hex(ottl_char_at(p, i + 1)) >= 0; i += 2) {
        to[n++] = (uint8_t)(hex(ottl_char_at(p, i)) << 4 | hex(ottl_char_at(p, i + 1)));
    }
    if (hex(ottl_char_at(p, i)) >= 0 || n == 0) {
        return ottl_fail_at(p, p->at, "bytes are written with two digits each, such as 0x0a");
    }
    otlp_scratch_take(&p->to->texts, n);
    p->token = T_BYTES;
    p->literal = (struct ottl_value){.type = OTTL_BYTES, .bytes = sl_slice(to, n)};
    p->next = i;
    return true;
}

static bool lex_number(struct parser *p)
{
    size_t i = p->at;
    bool fraction = false;
    while (ottl_is_digit(ottl_char_at(p, i))) {
        i++;
    }
    if (ottl_char_at(p, i) == '.' && ottl_is_digit(ottl_char_at(p, i + 1))) {
        fraction = true;
        for (i++; ottl_is_digit(ottl_char_at(p, i)); i++) {
        }
        const size_t sign = ottl_char_at(p, i + 1) == '-' || ottl_char_at(p, i + 1) == '+';
        if ((ottl_char_at(p, i) == 'e' || ottl_char_at(p, i) == 'E') &&
            ottl_is_digit(ottl_char_at(p, i + 1 + sign))) {
            for (i += 1 + sign; ottl_is_digit(ottl_char_at(p, i)); i++) {
            }
        }
    }
    const sl_bytes text = sl_slice(p->text.p + p->at, i - p->at);
    p->token = fraction ? T_DOUBLE : T_INT;
    p->literal = (struct ottl_value){.type = fraction ? OTTL_DOUBLE : OTTL_INT};
    p->next = i;
    if (!(fraction ? otlp_text_double(text, &p->literal.number.f)
                   : otlp_text_int(text, &p->literal.number.i))) {
        return ottl_fail_at(p, p->at, "the number is out of range");
    }
    return true;
}

static bool lex_comparison(struct parser *p, int c)
{
    const bool equal = ottl_char_at(p, p->at + 1) == '=';
    if ((c == '=' || c == '!') && !equal) {
        return ottl_fail_at(p, p->at,
                            c == '=' ? "a comparison is written ==, and arguments have no names"
                                     : "write not, or !=");
    }
    p->token = T_COMPARE;
    p->comparison = c == '='   ? CMP_EQ
                    : c == '!' ? CMP_NE
                    : c == '<' ? (equal ? CMP_LE : CMP_LT)
                               : (equal ? CMP_GE : CMP_GT);
    p->next = p->at + 1 + equal;
    return true;
}

bool ottl_advance(struct parser *p)
{
    while (p->next < p->text.n && strchr(" \t\r\n", p->text.p[p->next]) && p->text.p[p->next]) {
        p->next++;
    }
    p->at = p->next;
    const int c = ottl_char_at(p, p->at);
    if (c < 0) {
        p->token = T_END;
        p->lexeme = sl_slice(NULL, 0);
        return true;
    }
    bool ok = true;
    if (c == '"') {
        ok = lex_text(p);
    } else if (c == '0' && ottl_char_at(p, p->at + 1) == 'x') {
        ok = lex_bytes(p);
    } else if (ottl_is_digit(c) || (c == '.' && ottl_is_digit(ottl_char_at(p, p->at + 1)))) {
        ok = lex_number(p);
    } else if (strchr("=!<>", c)) {
        ok = lex_comparison(p, c);
    } else if (ottl_is_letter(c)) {
        p->token = c >= 'A' && c <= 'Z' ? T_UPPER : T_LOWER;
        for (p->next = p->at;
             ottl_is_letter(ottl_char_at(p, p->next)) || ottl_is_digit(ottl_char_at(p, p->next));
             p->next++) {
        }
    } else if (strchr("()[],.+-*/{}:", c)) {
        p->token = T_OTHER;
        p->next = p->at + 1;
    } else {
        return ottl_fail_at(p, p->at, "a character that means nothing here");
    }
    p->lexeme = sl_slice(p->text.p + p->at, p->next - p->at);
    return ok;
}

bool ottl_is(const struct parser *p, const char *lexeme)
{
    return p->token != T_TEXT && p->token != T_END && sl_eq(p->lexeme, sl_str(lexeme));
}

bool ottl_expect(struct parser *p, const char *lexeme)
{
    if (!ottl_is(p, lexeme)) {
        return ottl_fail_at(p, p->at,
                            p->token == T_END ? "the condition ends where \"%s\" was expected"
                                              : "\"%s\" was expected here",
                            lexeme);
    }
    return ottl_advance(p);
}
