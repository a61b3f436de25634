/* Decides about one item, by the rules of the Collector's probabilistic sampler in each of its
 * modes. Any thread. */
#include "processors/probabilistic_sampler/sampler.h"

void sampler_prepare(struct sampler *s)
{
    const float percentage = s->sampling_percentage > 100 ? 100.0F : (float)s->sampling_percentage;
    s->ratio = (double)percentage / 100;
    s->never = percentage == 0;
    if (s->ratio < PROBABILITY_MIN)
        s->ratio = PROBABILITY_MIN;
    if (s->mode == MODE_HASH_SEED) {
        s->threshold = threshold_of_hash(percentage);
        s->never = s->never || s->threshold == THRESHOLD_NEVER;
    } else {
        (void)threshold_of_probability(s->ratio, s->sampling_precision, &s->threshold);
    }
}

static bool has_randomness(const struct item *item)
{
    return item->state.randomness_text.n > 0;
}

static bool has_threshold(const struct item *item)
{
    return item->state.threshold_text.n > 0;
}

static void set_randomness(struct item *item, uint64_t randomness)
{
    const size_t n = text_of_randomness(randomness, item->randomness_text);
    item->state.randomness = randomness;
    item->state.randomness_text = sl_slice(item->randomness_text, n);
    item->changed = true;
}

static void clear_threshold(struct item *item)
{
    item->state.threshold = 0;
    item->state.threshold_text = sl_slice(NULL, 0);
    item->changed = true;
}

/* Tells a lower probability than before; a higher one would be a lie. */
static void set_threshold(struct item *item, uint64_t threshold)
{
    if (has_threshold(item) && item->state.threshold > threshold)
        return;
    const size_t n = text_of_threshold(threshold, item->threshold_text);
    const sl_bytes text = sl_slice(item->threshold_text, n);
    item->changed = item->changed || !sl_eq(text, item->state.threshold_text);
    item->state.threshold = threshold;
    item->state.threshold_text = text;
}

/* By the hash of the trace id or an attribute. Items with sampling information of OpenTelemetry's
 * are left alone: this mode would falsify it. */
static bool hash_randomness(const struct sampler *s, struct item *item, uint64_t *randomness,
                            bool *writable)
{
    *randomness = RANDOMNESS_ALL;
    if (!is_zero_id(item->trace_id) && (!item->is_log || s->attribute_source == SOURCE_TRACE_ID)) {
        *randomness = randomness_of_hash(s->hash_seed, sl_slice(item->trace_id, 16));
        item->policy = POLICY_TRACE_ID_HASH;
    } else if (item->hashed.n > 0) {
        *randomness = randomness_of_hash(s->hash_seed, item->hashed);
        item->policy = POLICY_ATTRIBUTE;
    }
    *writable = !item->malformed && !has_randomness(item) && !has_threshold(item);
    if (*writable && (!item->is_log || item->policy != POLICY_MISSING_RANDOMNESS))
        set_randomness(item, *randomness);
    return *writable;
}

static bool own_randomness(struct item *item, uint64_t *randomness, bool *writable)
{
    *randomness = RANDOMNESS_ALL;
    *writable = !item->malformed;
    if (item->malformed)
        return false;
    if (has_randomness(item)) {
        *randomness = item->state.randomness;
        item->policy = POLICY_SAMPLING_RANDOMNESS;
    } else if (!is_zero_id(item->trace_id)) {
        *randomness = randomness_of_trace_id(item->trace_id);
        item->policy = POLICY_TRACE_ID_W3C;
    }
    return true;
}

/* false: something is wrong with what the item says of its sampling. */
static bool find_randomness(const struct sampler *s, struct item *item, uint64_t *randomness,
                            bool *writable)
{
    item->policy = POLICY_MISSING_RANDOMNESS;
    if (s->never) { /* no randomness is needed, and none is missed */
        *randomness = RANDOMNESS_ALL;
        *writable = !item->malformed;
        item->policy = POLICY_SAMPLING_PRIORITY;
        return !item->malformed;
    }
    if (!(s->mode == MODE_HASH_SEED ? hash_randomness(s, item, randomness, writable)
                                    : own_randomness(item, randomness, writable)))
        return false;
    if (item->policy == POLICY_MISSING_RANDOMNESS)
        return false;
    if (*writable && has_threshold(item) && item->state.threshold > *randomness) {
        clear_threshold(item); /* it should not have been sampled: the threshold is a lie */
        return false;
    }
    return true;
}

static uint64_t threshold_for(const struct sampler *s, const struct item *item)
{
    uint64_t threshold;
    if (s->never)
        return THRESHOLD_NEVER;
    if (s->mode == MODE_HASH_SEED || !has_threshold(item))
        return s->threshold;
    if (s->mode == MODE_EQUALIZING)
        return item->state.threshold > s->threshold ? item->state.threshold : s->threshold;
    return threshold_of_probability(probability_of_threshold(item->state.threshold) * s->ratio,
                                    s->sampling_precision, &threshold)
               ? threshold
               : THRESHOLD_NEVER;
}

void sampler_decide(const struct sampler *s, struct item *item)
{
    uint64_t randomness, threshold;
    bool writable;
    item->changed = false;
    if (find_randomness(s, item, &randomness, &writable))
        threshold = threshold_for(s, item);
    else
        threshold = s->fail_closed ? THRESHOLD_NEVER : THRESHOLD_ALWAYS;
    if (item->has_priority) {
        threshold = item->priority;
        item->policy = POLICY_SAMPLING_PRIORITY;
    }
    item->sampled = threshold <= randomness;
    if (item->sampled && writable)
        set_threshold(item, threshold);
    item->changed = item->changed && item->sampled && writable;
}
