/* Text from elsewhere, such as names of the config and error texts, as HTML and JSON. */
#ifndef SLUICE_EXTENSIONS_ZPAGES_ESCAPE_H
#define SLUICE_EXTENSIONS_ZPAGES_ESCAPE_H
#include <stdio.h>

void put_html(FILE *, const char *text);
/* With its quotes. */
void put_json(FILE *, const char *text);
#endif
