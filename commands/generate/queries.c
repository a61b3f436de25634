/* The statements that the shop's services send to their databases and caches. Constant. */
#include "commands/generate/queries.h"

#include "commands/generate/topology.h"

#define SQL(id, db, op, table, us, count, sql)                                                     \
    [id] = {.store = db,                                                                           \
            .operation = TXT(op),                                                                  \
            .collection = TXT(table),                                                              \
            .summary = TXT(op " " table),                                                          \
            .text = TXT(sql),                                                                      \
            .median_us = us,                                                                       \
            .rows = count,                                                                         \
            .sigma = 0.6}
#define REDIS(id, db, op, us, command)                                                             \
    [id] = {.store = db,                                                                           \
            .operation = TXT(op),                                                                  \
            .summary = TXT(op),                                                                    \
            .text = TXT(command),                                                                  \
            .median_us = us,                                                                       \
            .sigma = 0.35}

const struct query topology_queries[QUERY_COUNT] = {
    SQL(Q_USER_BY_NAME, STORE_USERS, "SELECT", "users", 1400, 1,
        "SELECT id, email, password_hash, tier, locale, created_at FROM users WHERE lower(email) = "
        "$1"),
    SQL(Q_USER_BY_ID, STORE_USERS, "SELECT", "users", 900, 1,
        "SELECT u.id, u.email, u.tier, u.locale, a.street, a.city, a.zip, a.country FROM users u "
        "LEFT JOIN "
        "addresses a ON a.user_id = u.id AND a.is_default WHERE u.id = $1"),
    SQL(Q_USER_SEEN, STORE_USERS, "UPDATE", "users", 1800, 0,
        "UPDATE users SET last_login_at = now(), login_count = login_count + 1 WHERE id = $1"),
    REDIS(Q_SESSION_GET, STORE_SESSIONS, "GET", 380, "GET session:%s"),
    REDIS(Q_SESSION_SET, STORE_SESSIONS, "SETEX", 420, "SETEX session:%s 3600 ?"),
    SQL(Q_TOKEN_INSERT, STORE_USERS, "INSERT", "refresh_tokens", 2100, 0,
        "INSERT INTO refresh_tokens (id, user_id, issued_at, expires_at, fingerprint) VALUES ($1, "
        "$2, $3, $4, $5)"),
    SQL(Q_PRODUCT_GET, STORE_CATALOG, "SELECT", "products", 1500, 1,
        "SELECT id, sku, title, description, price_cents, currency, tax_class, image_url FROM "
        "products WHERE id = $1 "
        "AND NOT deleted"),
    REDIS(Q_PRODUCT_CACHE, STORE_CATALOG_CACHE, "GET", 350, "GET product:%p"),
    SQL(Q_PRODUCT_FEATURED, STORE_CATALOG, "SELECT", "products", 6200, 24,
        "SELECT p.id, p.sku, p.title, p.price_cents, p.image_url FROM products p JOIN campaigns c "
        "ON c.product_id = "
        "p.id WHERE c.starts_at <= now() AND c.ends_at > now() ORDER BY c.priority DESC LIMIT $1"),
    REDIS(Q_FEATURED_CACHE, STORE_CATALOG_CACHE, "GET", 520, "GET featured:%k:page:%n"),
    SQL(Q_PRICE_GET, STORE_CATALOG, "SELECT", "prices", 1100, 1,
        "SELECT amount_cents, currency, valid_to FROM prices WHERE product_id = $1 AND country = "
        "$2 AND valid_from <= "
        "now() ORDER BY valid_from DESC LIMIT 1"),
    REDIS(Q_SEARCH_CACHE, STORE_SEARCH_CACHE, "GET", 400, "GET search:%k:%q"),
    [Q_SEARCH_RUN] =
        {.store = STORE_SEARCH_INDEX,
         .operation = TXT("search"),
         .collection = TXT("products"),
         .summary = TXT("search products"),
         .text =
             TXT("{\"query\":{\"multi_match\":{\"query\":\"?\",\"fields\":[\"title^3\",\"brand\","
                 "\"description\"]}},\"size\":24,\"from\":?}"),
         .median_us = 14000,
         .rows = 24,
         .sigma = 0.7},
    REDIS(Q_FEATURES_RANGE, STORE_FEATURES, "ZREVRANGE", 600,
          "ZREVRANGE user:%u:affinity 0 49 WITHSCORES"),
    REDIS(Q_FEATURES_GET, STORE_FEATURES, "HMGET", 450,
          "HMGET features:user:%u orders_30d spend_30d device_age returns"),
    REDIS(Q_FEATURES_ADD, STORE_FEATURES, "ZINCRBY", 390, "ZINCRBY user:%u:affinity 1 product:%p"),
    REDIS(Q_CART_GET, STORE_CARTS, "HGETALL", 430, "HGETALL cart:%c"),
    REDIS(Q_CART_SET, STORE_CARTS, "HSET", 400, "HSET cart:%c product:%p ?"),
    REDIS(Q_CART_EXPIRE, STORE_CARTS, "EXPIRE", 310, "EXPIRE cart:%c 1209600"),
    REDIS(Q_CART_DEL, STORE_CARTS, "DEL", 330, "DEL cart:%c"),
    [Q_ORDER_BEGIN] = {.store = STORE_ORDERS,
                       .operation = TXT("BEGIN"),
                       .summary = TXT("BEGIN"),
                       .text = TXT("BEGIN"),
                       .median_us = 350},
    SQL(Q_ORDER_INSERT, STORE_ORDERS, "INSERT", "orders", 2600, 0,
        "INSERT INTO orders (id, user_id, status, total_cents, currency, shipping_address_id, "
        "placed_at, request_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"),
    SQL(Q_ORDER_ITEM, STORE_ORDERS, "INSERT", "order_items", 1300, 0,
        "INSERT INTO order_items (order_id, position, product_id, quantity, unit_cents) VALUES "
        "($1, $2, $3, $4, $5)"),
    [Q_ORDER_COMMIT] = {.store = STORE_ORDERS,
                        .operation = TXT("COMMIT"),
                        .summary = TXT("COMMIT"),
                        .text = TXT("COMMIT"),
                        .median_us = 2200,
                        .sigma = 0.8},
    SQL(Q_ORDER_LIST, STORE_ORDERS, "SELECT", "orders", 3800, 20,
        "SELECT id, status, total_cents, currency, placed_at FROM orders WHERE user_id = $1 ORDER "
        "BY placed_at DESC "
        "LIMIT $2 OFFSET $3"),
    SQL(Q_ORDER_ITEMS, STORE_ORDERS, "SELECT", "order_items", 900, 12,
        "SELECT product_id, quantity, unit_cents FROM order_items WHERE order_id = $1 ORDER BY "
        "position"),
    SQL(Q_ORDER_GET, STORE_ORDERS, "SELECT", "orders", 1200, 1,
        "SELECT * FROM orders WHERE id = $1 AND user_id = $2"),
    REDIS(Q_ORDER_CACHE, STORE_ORDER_CACHE, "GET", 370, "GET order:%o"),
    SQL(Q_PAYMENT_METHOD, STORE_PAYMENTS, "SELECT", "payment_methods", 1300, 3,
        "SELECT id, kind, token, last4, expires FROM payment_methods WHERE user_id = ? AND active "
        "= 1"),
    SQL(Q_PAYMENT_INSERT, STORE_PAYMENTS, "INSERT", "payments", 2800, 0,
        "INSERT INTO payments (id, order_id, amount_cents, currency, state, gateway_reference) "
        "VALUES (?, ?, ?, ?, ?, ?)"),
    SQL(Q_LEDGER_LOCK, STORE_LEDGER, "SELECT", "accounts", 3200, 1,
        "SELECT id, available_cents, currency, frozen FROM accounts WHERE card_token = ? FOR "
        "UPDATE"),
    SQL(Q_LEDGER_INSERT, STORE_LEDGER, "INSERT", "ledger_entries", 4100, 0,
        "INSERT INTO ledger_entries (account_id, amount_cents, currency, reference, booked_at) "
        "VALUES (?, ?, ?, ?, ?)"),
    SQL(Q_FRAUD_INSERT, STORE_FRAUD, "INSERT", "assessments", 1900, 0,
        "INSERT INTO assessments (order_id, user_id, score, model, rules_hit) VALUES (%%s, %%s, "
        "%%s, %%s, %%s)"),
    SQL(Q_FRAUD_HISTORY, STORE_FRAUD, "SELECT", "assessments", 2700, 50,
        "SELECT score, created_at, outcome FROM assessments WHERE user_id = %%s AND created_at > "
        "now() - interval "
        "'90 days' ORDER BY created_at DESC LIMIT 50"),
    SQL(Q_STOCK_GET, STORE_STOCK, "SELECT", "stock", 1200, 4,
        "SELECT warehouse_id, on_hand, reserved FROM stock WHERE product_id = %p AND on_hand > "
        "reserved"),
    REDIS(Q_STOCK_CACHE, STORE_STOCK_CACHE, "MGET", 420,
          "MGET stock:%p:fra1 stock:%p:ams2 stock:%p:waw1"),
    SQL(Q_STOCK_LOCK, STORE_STOCK, "SELECT", "stock", 2100, 1,
        "SELECT on_hand, reserved FROM stock WHERE product_id = %p AND warehouse_id = %w FOR "
        "UPDATE"),
    SQL(Q_STOCK_UPDATE, STORE_STOCK, "UPDATE", "stock", 1700, 0,
        "UPDATE stock SET reserved = reserved + %n WHERE product_id = %p AND warehouse_id = %w"),
    SQL(Q_BIN_LIST, STORE_WAREHOUSE, "SELECT", "bins", 2900, 18,
        "select \"bins\".\"id\", \"bins\".\"aisle\", \"bins\".\"shelf\", \"bins\".\"quantity\" "
        "from \"bins\" where "
        "\"bins\".\"product_id\" in (%l) and \"bins\".\"warehouse_id\" = $9 order by \"aisle\" "
        "asc"),
    SQL(Q_PICK_INSERT, STORE_WAREHOUSE, "INSERT", "pick_lists", 2300, 0,
        "insert into \"pick_lists\" (\"order_id\", \"warehouse_id\", \"bins\", \"created_at\") "
        "values ($1, $2, $3, $4) "
        "returning \"id\""),
    SQL(Q_SHIPMENT_INSERT, STORE_SHIPMENTS, "INSERT", "shipments", 2400, 0,
        "INSERT INTO shipments (tracking_id, order_id, carrier, service_level, weight_g) VALUES "
        "($1, $2, $3, $4, $5)"),
    SQL(Q_SHIPMENT_GET, STORE_SHIPMENTS, "SELECT", "shipments", 1000, 1,
        "SELECT tracking_id, carrier, state, eta, events FROM shipments WHERE tracking_id = $1"),
    SQL(Q_SHIPMENT_UPDATE, STORE_SHIPMENTS, "UPDATE", "shipments", 1500, 0,
        "UPDATE shipments SET state = $1, manifest_id = $2 WHERE tracking_id = ANY($3)"),
    SQL(Q_NOTE_INSERT, STORE_NOTIFICATIONS, "INSERT", "deliveries", 1700, 0,
        "INSERT INTO deliveries (user_id, channel, template, reference, sent_at) VALUES (%u, "
        "'email', 'order', %o, now())"),
    SQL(Q_NOTE_SEEN, STORE_NOTIFICATIONS, "SELECT", "deliveries", 800, 1,
        "SELECT 1 FROM deliveries WHERE user_id = %u AND template = 'payment' AND reference = %o"),
};
