/* Ledgers: files that are mapped by the program that writes them and by the test that reads along,
 * with a byte for each span number. They survive whoever writes them, and the test needs to ask
 * nobody. In the byte order of the machine:
 *
 *     8 x 8 bytes  counts, see below
 *     n x 1 byte   what is known of span n
 */
#ifndef SLUICE_E2E_KILL_LEDGER_H
#define SLUICE_E2E_KILL_LEDGER_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEDGER_SPANS = 256 * 1024 * 1024
}; /* the file is sparse: numbers that are not used take no room */

/* What the sender writes: */
enum {
    LEDGER_UNKNOWN = 1, /* sent; refused, or no answer came */
    LEDGER_ACKNOWLEDGED = 2
};

/* A destination writes how often the span was delivered, up to 255. */

struct ledger {
    _Atomic uint64_t issued;       /* sender: numbers below may have been sent */
    _Atomic uint64_t acknowledged; /* sender: spans */
    _Atomic uint64_t delivered;    /* destination: spans, each as often as it came */
    _Atomic uint64_t requests;     /* sender: begun; destination: received whole */
    _Atomic uint64_t spoilt;       /* destination: spans that are none of ours, or changed */
    _Atomic uint64_t refused;      /* destination: requests that were not answered with OK */
    _Atomic uint64_t unanswered;   /* sender, over HTTP: rounds in which an answer did not come */
    uint64_t reserved;
    _Atomic uint8_t spans[];
};

/* Maps the file, which is made where it is missing. NULL after a message on stderr. */
struct ledger *ledger_open(const char *path);
/* Any file of so many bytes, likewise. */
void *ledger_map(const char *path, size_t bytes);
#endif
