/* The journal's calls on the file system in memory. */
#ifndef SLUICE_TESTS_DISK_JOURNAL_H
#define SLUICE_TESTS_DISK_JOURNAL_H
#include "pipeline/journal/io.h"
#include "tests/support/disk.h"

/* A table that works on the disk, while both are there. */
struct journal_io disk_journal_io(struct disk *);
#endif
