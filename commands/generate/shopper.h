/* One customer's visit: the values that all spans and logs of a trace share, and the templates they
 * fill. Used by the thread that generates. */
#ifndef SLUICE_GENERATE_SHOPPER_H
#define SLUICE_GENERATE_SHOPPER_H

#include "commands/generate/text.h"

struct shopper {
    uint32_t user;
    uint32_t product; /* changes with each repeated step */
    uint64_t order;
    uint64_t session[2];
    uint64_t request;
    uint32_t cart;
    uint32_t address; /* IPv4 */
    uint16_t port;
    uint16_t warehouse;
    uint32_t cents;
    uint8_t country;
    uint8_t word;
    uint8_t agent;
    uint8_t tier;
    uint8_t tenant;
};

void shopper_init(struct shopper *s, struct rng *r, uint64_t order);

/* Fills a template:
 *   %u user id     %o order id      %p product id    %c cart id     %s session id   %r request id
 *   %q search word %k country       %i IPv4 address  %t tracking id %w warehouse    %m amount
 *   %n 1 to 20     %l $1, $2, ...   %% a percent sign
 * A template without any is returned as it is. */
sl_bytes template_fill(struct text_pool *p, sl_bytes text, const struct shopper *s, struct rng *r);

sl_bytes shopper_country(const struct shopper *s);
sl_bytes shopper_agent(const struct shopper *s);
sl_bytes shopper_tier(const struct shopper *s);
sl_bytes shopper_address(struct text_pool *p, const struct shopper *s);
/* Attributes as applications add them, the n-th of an endless list. */
void shopper_extra(struct text_pool *p, struct attr_pool *a, const struct shopper *s, struct rng *r,
                   uint32_t n);
/* What a trace carries along as baggage: `length` bytes of key=value pairs. */
sl_bytes shopper_baggage(struct text_pool *p, const struct shopper *s, struct rng *r,
                         size_t length);

#endif
