/* Random wire bytes of a message type, for tests that compare two readers of them. One thread. */
#ifndef SLUICE_TESTS_ORACLE_RANDOM_MESSAGE_H
#define SLUICE_TESTS_ORACLE_RANDOM_MESSAGE_H
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct random_bytes {
    uint8_t *at; /* owned; free() */
    size_t n, room;
};

enum random_style {
    /* Records in any order, scalars several times, numbers packed or not, empty packed records,
     * unknown fields. */
    RANDOM_WHOLE,
    /* Besides, what protobuf-c reads wrongly: singular messages in several parts, negative zeros,
     * and known fields with another wire type, which count as unknown. */
    RANDOM_WILD
};

uint64_t random_next(uint64_t *state);

/* Appends a message, at most `depth` messages deep, to `bytes`. Text is valid UTF-8. */
void random_message(uint64_t *state, const ProtobufCMessageDescriptor *type, int depth,
                    enum random_style style, struct random_bytes *bytes);

#endif
