/* Escaping; what is not UTF-8 becomes U+FFFD. Pure functions, any thread. */
#include "extensions/zpages/escape.h"
#include "formats/otlp/utf8.h"

#include <stdint.h>
#include <string.h>

/* Writes the character at `p`, if it is one beyond ASCII; returns its bytes. */
static size_t put_beyond_ascii(FILE *out, const uint8_t *p, size_t n)
{
    const size_t length = otlp_utf8_length(p, n);
    if (length)
        (void)fwrite(p, 1, length, out);
    else
        (void)fputs("\xef\xbf\xbd", out);
    return length ? length : 1;
}

/* NULL: the character may stand for itself. */
static const char *entity_of(uint8_t c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default: /* controls are nothing that a page may have */
        return c >= 0x20 && c != 0x7f ? NULL : " ";
    }
}

void put_html(FILE *out, const char *text)
{
    const size_t n = strlen(text);
    const uint8_t *p = (const uint8_t *)text;
    for (size_t i = 0; i < n;) {
        const uint8_t c = p[i];
        if (c >= 0x80) {
            i += put_beyond_ascii(out, p + i, n - i);
            continue;
        }
        const char *entity = entity_of(c);
        if (entity)
            (void)fputs(entity, out);
        else
            (void)fputc(c, out);
        i++;
    }
}

void put_json(FILE *out, const char *text)
{
    const size_t n = strlen(text);
    const uint8_t *p = (const uint8_t *)text;
    (void)fputc('"', out);
    for (size_t i = 0; i < n;) {
        const uint8_t c = p[i];
        if (c >= 0x80) {
            i += put_beyond_ascii(out, p + i, n - i);
            continue;
        }
        i++;
        if (c == '"' || c == '\\')
            (void)fprintf(out, "\\%c", c);
        else if (c < 0x20)
            (void)fprintf(out, "\\u%04x", c);
        else
            (void)fputc(c, out);
    }
    (void)fputc('"', out);
}
