/* What a kill would leave of the journals in a storage's directory, while they are in use. */
#ifndef SLUICE_TESTS_JOURNAL_IMAGE_H
#define SLUICE_TESTS_JOURNAL_IMAGE_H
#include <stdbool.h>

/* Copies the streams of a storage, in the order of their names: those that data reaches later must
 * have the later names, so that no record has ended in one without being in the next. What is there
 * already is overwritten. False: an error of the file system. */
bool journal_image_take(const char *storage, const char *image);
#endif
