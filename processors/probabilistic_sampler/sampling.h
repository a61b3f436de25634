/* Consistent probability sampling: an item is kept when its randomness R is not below the threshold
 * T, both of 56 bits. Sources: OpenTelemetry's "TraceState: Probability Sampling" and OTEP 235, W3C
 * Trace Context Level 2, and for the hash the Collector's probabilistic sampler, with which every
 * decision agrees. Pure functions, any thread. */
#ifndef SLUICE_PROCESSORS_SAMPLING_H
#define SLUICE_PROCESSORS_SAMPLING_H
#include "sluice/plugin.h"

enum { HEX_DIGITS = 14 /* of 56 bits */ };

#define RANDOMNESS_ALL ((UINT64_C(1) << 56) - 1) /* kept at every probability but 0 */
#define THRESHOLD_ALWAYS UINT64_C(0)
#define THRESHOLD_NEVER (UINT64_C(1) << 56)

/* The least probability that can be told. */
#define PROBABILITY_MIN (1.0 / 72057594037927936.0)

/* The threshold of a probability from PROBABILITY_MIN to 1, rounded to `precision` significant hex
 * digits (1 to 14; 0: 14). false: out of that range. */
bool threshold_of_probability(double probability, uint32_t precision, uint64_t *threshold);
double probability_of_threshold(uint64_t threshold);

/* The low 56 bits of the trace id, big end first. */
uint64_t randomness_of_trace_id(const uint8_t id[16]);
/* FNV-1a of 32 bits over the seed (low byte first) and the bytes; its 14 low bits decide. */
uint64_t randomness_of_hash(uint32_t seed, sl_bytes bytes);
/* The threshold for the same; THRESHOLD_NEVER for what is too little for 14 bits. */
uint64_t threshold_of_hash(float percentage);

bool is_zero_id(const uint8_t id[16]);

/* 14 digits of a randomness; 1 to 14 of a threshold, in which zeros at the end are left out.
 * Upper and lower case. */
bool randomness_of_text(sl_bytes text, uint64_t *randomness);
bool threshold_of_text(sl_bytes text, uint64_t *threshold);
/* Both return the length. */
size_t text_of_randomness(uint64_t randomness, char out[HEX_DIGITS]);
size_t text_of_threshold(uint64_t threshold, char out[HEX_DIGITS]); /* not of THRESHOLD_NEVER */

#endif
