/* A visit's values and their forms in texts. Popular products and busy customers come up often, as
 * in a real shop: value distributions decide what compression can do. Runs on the thread that
 * generates. */
#include "commands/generate/shopper.h"

static const sl_bytes countries[] = {TXT("DE"), TXT("FR"), TXT("NL"), TXT("PL"), TXT("AT"),
                                     TXT("IT"), TXT("ES"), TXT("BE"), TXT("DK"), TXT("CZ")};
static const sl_bytes tiers[] = {TXT("bronze"), TXT("silver"), TXT("gold"), TXT("platinum")};
static const sl_bytes words[] = {
    TXT("running+shoes"), TXT("laptop"),       TXT("kettle"),   TXT("desk"),
    TXT("headphones"),    TXT("rain+jacket"),  TXT("espresso"), TXT("bike+light"),
    TXT("monitor"),       TXT("usb-c+cable"),  TXT("tent"),     TXT("lego"),
    TXT("office+chair"),  TXT("winter+tyres"), TXT("yoga+mat"), TXT("keyboard"),
    TXT("drill"),         TXT("sofa"),         TXT("backpack"), TXT("air+fryer"),
    TXT("phone+case"),    TXT("lamp"),         TXT("book"),     TXT("coffee+grinder")};
static const sl_bytes agents[] = {
    TXT("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/140.0.0.0 Safari/537.36"),
    TXT("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
        "Gecko) Version/18.6 "
        "Mobile/15E148 Safari/604.1"),
    TXT("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/140.0.0.0 Mobile "
        "Safari/537.36"),
    TXT("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:142.0) Gecko/20100101 Firefox/142.0"),
    TXT("ShopApp/7.12.1 (Android 15; Pixel 8)"),
    TXT("ShopApp/7.12.0 (iOS 18.6; iPhone15,2)"),
    TXT("Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example/info)"),
};
static const sl_bytes variants[] = {TXT("control"), TXT("treatment-a"), TXT("treatment-b")};
static const sl_bytes regions[] = {TXT("eu-central"), TXT("eu-west"), TXT("eu-north")};

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

void shopper_init(struct shopper *s, struct rng *r, uint64_t order)
{
    s->user = 10000 + rng_skewed(r, 240000);
    s->product = 100000 + rng_skewed(r, 18000);
    s->order = order;
    s->session[0] = rng_u64(r);
    s->session[1] = rng_u64(r);
    s->request = rng_u64(r);
    s->cart = 4000000 + s->user * 3 + rng_below(r, 3);
    uint64_t draw =
        rng_mix(s->user); /* a customer comes back from the same place with the same device */
    s->address = (uint32_t)(draw >> 8) | 0x01000000;
    s->country = (uint8_t)((draw >> 40) % COUNT(countries));
    s->agent = (uint8_t)((draw >> 48) % COUNT(agents));
    s->tier = (uint8_t)((draw >> 56) % 7 % COUNT(tiers));
    s->tenant = (uint8_t)((draw >> 60) % 5);
    s->port = (uint16_t)rng_between(r, 32768, 60999);
    s->warehouse = (uint16_t)rng_between(r, 1, 3);
    s->cents = 499 + (uint32_t)rng_lognormal(r, 4200, 0.9);
    s->word = (uint8_t)rng_skewed(r, COUNT(words));
}

static void tracking_add(struct text_pool *p, const struct shopper *s)
{
    text_add(p, LIT("PX"));
    text_uint_padded(p, rng_mix(s->order) % UINT64_C(1000000000000), 12);
    text_add(p, countries[s->country]);
}

static void address_add(struct text_pool *p, const struct shopper *s)
{
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        text_uint(p, (s->address >> (shift - 8)) & 255);
        if (shift > 8) {
            text_char(p, '.');
        }
    }
}

static void list_add(struct text_pool *p, struct rng *r)
{
    uint32_t n = rng_between(r, 1, 8);
    for (uint32_t i = 1; i <= n; i++) {
        text_add(p, i > 1 ? LIT(", $") : LIT("$"));
        text_uint(p, i);
    }
}

static void value_add(struct text_pool *p, uint8_t letter, const struct shopper *s, struct rng *r)
{
    switch (letter) {
    case 'u':
        text_uint(p, s->user);
        break;
    case 'o':
        text_uint(p, s->order);
        break;
    case 'p':
        text_uint(p, s->product);
        break;
    case 'c':
        text_uint(p, s->cart);
        break;
    case 's':
        text_hex(p, s->session[0], 16);
        text_hex(p, s->session[1], 16);
        break;
    case 'r':
        text_add(p, LIT("req-"));
        text_hex(p, s->request, 16);
        break;
    case 'q':
        text_add(p, words[s->word]);
        break;
    case 'k':
        text_add(p, countries[s->country]);
        break;
    case 'i':
        address_add(p, s);
        break;
    case 't':
        tracking_add(p, s);
        break;
    case 'w':
        text_uint(p, s->warehouse);
        break;
    case 'm':
        text_fixed(p, s->cents);
        break;
    case 'n':
        text_uint(p, rng_between(r, 1, 20));
        break;
    case 'l':
        list_add(p, r);
        break;
    default:
        text_char(p, (char)letter);
        break;
    }
}

sl_bytes template_fill(struct text_pool *p, sl_bytes text, const struct shopper *s, struct rng *r)
{
    const uint8_t *end = text.p + text.n;
    const uint8_t *next = text.n ? memchr(text.p, '%', text.n) : NULL;
    if (!next) {
        return text;
    }
    text_begin(p);
    const uint8_t *at = text.p;
    while (next && next + 1 < end) {
        text_add(p, sl_slice(at, (size_t)(next - at)));
        value_add(p, next[1], s, r);
        at = next + 2;
        next = memchr(at, '%', (size_t)(end - at));
    }
    text_add(p, sl_slice(at, (size_t)(end - at)));
    return text_end(p);
}

sl_bytes shopper_country(const struct shopper *s)
{
    return countries[s->country];
}

sl_bytes shopper_agent(const struct shopper *s)
{
    return agents[s->agent];
}

sl_bytes shopper_tier(const struct shopper *s)
{
    return tiers[s->tier];
}

sl_bytes shopper_address(struct text_pool *p, const struct shopper *s)
{
    text_begin(p);
    address_add(p, s);
    return text_end(p);
}

void shopper_extra(struct text_pool *p, struct attr_pool *a, const struct shopper *s, struct rng *r,
                   uint32_t n)
{
    switch (n) {
    case 0:
        attrs_text(a, LIT("app.correlation.id"), template_fill(p, LIT("%r"), s, r));
        return;
    case 1:
        attrs_text(a, LIT("app.session.id"), template_fill(p, LIT("%s"), s, r));
        return;
    case 2:
        attrs_text(a, LIT("app.customer.tier"), tiers[s->tier]);
        return;
    case 3:
        attrs_text(a, LIT("app.experiment.checkout"), variants[s->user % COUNT(variants)]);
        return;
    case 4:
        attrs_int(a, LIT("app.tenant.id"), 100 + s->tenant);
        return;
    case 5:
        attrs_text(a, LIT("app.region"), regions[s->country % COUNT(regions)]);
        return;
    case 6:
        attrs_bool(a, LIT("app.customer.returning"), s->user % 3 != 0);
        return;
    case 7:
        attrs_double(a, LIT("app.cart.value"), (double)s->cents / 100);
        return;
    case 8:
        attrs_int(a, LIT("app.cart.items"), rng_between(r, 1, 9));
        return;
    case 9:
        attrs_text(a, LIT("app.campaign"), template_fill(p, LIT("autumn-%k-%n"), s, r));
        return;
    default:
        break;
    }
    text_begin(p);
    text_add(p, LIT("app.tag."));
    text_uint(p, n - 9);
    sl_bytes key = text_end(p);
    attrs_text(a, key, template_fill(p, LIT("v%n-%w"), s, r));
}

sl_bytes shopper_baggage(struct text_pool *p, const struct shopper *s, struct rng *r, size_t length)
{
    text_begin(p);
    size_t start = p->used;
    text_add(p, LIT("user="));
    text_uint(p, s->user);
    text_add(p, LIT(",session="));
    text_hex(p, s->session[0], 16);
    while (p->used - start < length && !p->failed) {
        text_add(p, LIT(",flag."));
        text_add(p, words[rng_below(r, COUNT(words))]);
        text_char(p, '=');
        if (rng_chance(r, 0.5)) {
            text_add(p, variants[rng_below(r, COUNT(variants))]);
        } else {
            text_hex(p, rng_u64(r), 8);
        }
    }
    if (p->used - start > length) {
        p->used = start + length;
    }
    return text_end(p);
}
