/* What the shop's services do: their operations and the calls that each makes. Constant. The call
 * trees have no cycles, so following them ends. */
#include "commands/generate/operations.h"

#include "commands/generate/queries.h"
#include "commands/generate/topology.h"

#define CALL(op, ...)                                                                              \
    {                                                                                              \
        .kind = STEP_CALL, .target = op, ##__VA_ARGS__                                             \
    }
#define RUN(query, ...)                                                                            \
    {                                                                                              \
        .kind = STEP_QUERY, .target = query, ##__VA_ARGS__                                         \
    }
/* A look into the cache, and into the database for what is not there. */
#define CACHED(key, query, ...)                                                                    \
    {                                                                                              \
        .kind = STEP_CACHED, .target = key, .fallback = query, ##__VA_ARGS__                       \
    }
#define PUBLISH(topic, ...)                                                                        \
    {                                                                                              \
        .kind = STEP_PUBLISH, .target = topic, ##__VA_ARGS__                                       \
    }
#define OUTSIDE(party, ...)                                                                        \
    {                                                                                              \
        .kind = STEP_OUTSIDE, .target = party, ##__VA_ARGS__                                       \
    }
#define STEPS(...)                                                                                 \
    .steps = (const struct step[]){__VA_ARGS__},                                                   \
    .step_count = sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step)
#define HTTP(svc, verb, url) .kind = OP_HTTP, .service = svc, .method = TXT(verb), .route = TXT(url)
#define RPC(svc, name, call) .kind = OP_RPC, .service = svc, .method = TXT(name), .route = TXT(call)
#define LOCAL(svc, name) .kind = OP_LOCAL, .service = svc, .route = TXT(name)

const struct operation topology_operations[OPERATION_COUNT] = {
    [GW_HOME] = {HTTP(SVC_GATEWAY, "GET", "/"), .path = TXT("/"), .work_us = 900,
                 STEPS(
                     CALL(AUTH_VERIFY, .optional = true, .timeout_ms = 500, .chance = 0.7),
                     CALL(CATALOG_FEATURED, .timeout_ms = 2000),
                     CALL(RECOMMEND_LIST, .parallel = true, .optional = true, .timeout_ms = 800))},
    [GW_SEARCH] = {HTTP(SVC_GATEWAY, "GET", "/api/v1/search"), .path = TXT("/api/v1/search"),
                   .query = TXT("q=%q&page=%n&currency=EUR"), .work_us = 700,
                   STEPS(CALL(SEARCH_QUERY, .retries = 1, .timeout_ms = 3000))},
    [GW_PRODUCT] = {HTTP(SVC_GATEWAY, "GET", "/api/v1/products/{productId}"),
                    .path = TXT("/api/v1/products/%p"), .work_us = 800,
                    STEPS(CALL(CATALOG_GET, .retries = 1),
                          CALL(INVENTORY_CHECK, .parallel = true, .optional = true),
                          CALL(RECOMMEND_LIST, .parallel = true, .optional = true,
                               .timeout_ms = 800, .chance = 0.8))},
    [GW_LOGIN] = {HTTP(SVC_GATEWAY, "POST", "/api/v1/login"), .path = TXT("/api/v1/login"),
                  .work_us = 800,
                  STEPS(CALL(GW_RATE_LIMIT), CALL(USER_AUTHENTICATE, .retries = 1))},
    [GW_CART] = {HTTP(SVC_GATEWAY, "GET", "/api/v1/cart"), .path = TXT("/api/v1/cart"),
                 .work_us = 600,
                 STEPS(CALL(AUTH_VERIFY, .timeout_ms = 1000), CALL(CART_GET, .retries = 1))},
    [GW_CART_ADD] = {HTTP(SVC_GATEWAY, "POST", "/api/v1/cart/items"),
                     .path = TXT("/api/v1/cart/items"), .success_status = 201, .work_us = 700,
                     STEPS(CALL(AUTH_VERIFY, .timeout_ms = 1000), CALL(CART_ADD),
                           PUBLISH(TOPIC_ACTIVITY, .optional = true))},
    [GW_CHECKOUT] = {HTTP(SVC_GATEWAY, "POST", "/api/v1/orders"), .path = TXT("/api/v1/orders"),
                     .success_status = 201, .work_us = 1100, .rejection = 0.01,
                     .rejected_status = 429,
                     .rejected_message = TXT("rate limit of 10 orders a minute exceeded"),
                     STEPS(CALL(GW_RATE_LIMIT), CALL(AUTH_VERIFY, .timeout_ms = 1000, .retries = 1),
                           CALL(ORDER_CREATE, .timeout_ms = 12000))},
    [GW_ORDERS] = {HTTP(SVC_GATEWAY, "GET", "/api/v1/users/{userId}/orders"),
                   .path = TXT("/api/v1/users/%u/orders"), .query = TXT("page=%n&size=20"),
                   .work_us = 700,
                   STEPS(CALL(AUTH_VERIFY, .timeout_ms = 1000),
                         CALL(ORDER_LIST, .timeout_ms = 4000))},
    [GW_ORDER] = {HTTP(SVC_GATEWAY, "GET", "/api/v1/orders/{orderId}"),
                  .path = TXT("/api/v1/orders/%o"), .work_us = 700,
                  STEPS(CALL(AUTH_VERIFY, .timeout_ms = 1000), CALL(ORDER_GET, .retries = 1))},
    [GW_PROFILE] = {HTTP(SVC_GATEWAY, "GET", "/api/v1/users/{userId}"),
                    .path = TXT("/api/v1/users/%u"), .work_us = 600,
                    STEPS(CALL(AUTH_VERIFY, .timeout_ms = 1000), CALL(USER_GET, .retries = 1))},
    [GW_TRACK] = {HTTP(SVC_GATEWAY, "GET", "/api/v1/shipments/{trackingId}"),
                  .path = TXT("/api/v1/shipments/%t"), .work_us = 600, STEPS(CALL(SHIPPING_TRACK))},
    [GW_UNKNOWN] = {HTTP(SVC_GATEWAY, "GET", ""), .path = TXT("/wp-content/plugins/%q/%n.php"),
                    .work_us = 180, .rejection = 1, .rejected_status = 404,
                    .rejected_message = TXT("no route")},
    [GW_HEALTH] = {HTTP(SVC_GATEWAY, "GET", "/healthz"), .path = TXT("/healthz"), .work_us = 120},
    [GW_RATE_LIMIT] = {LOCAL(SVC_GATEWAY, "ratelimit.Check"), .work_us = 60},

    [USER_AUTHENTICATE] =
        {HTTP(SVC_USER, "POST", "/users/authenticate"), .path = TXT("/users/authenticate"),
         .work_us = 1500, .failure = 0.012, .rejection = 0.06, .rejected_status = 401,
         .rejected_message = TXT("bad credentials"),
         .fault =
             {TXT("java.sql.SQLTransientConnectionException"),
              TXT("HikariPool-1 - Connection is not available, request timed out after 30%n04ms")},
         .log = TXT("User %u authenticated from %i in region %k"),
         STEPS(RUN(Q_USER_BY_NAME), CALL(USER_HASH), CALL(AUTH_ISSUE, .retries = 1),
               RUN(Q_USER_SEEN, .optional = true), PUBLISH(TOPIC_ACTIVITY, .optional = true))},
    [USER_HASH] = {LOCAL(SVC_USER, "PasswordEncoder.matches"), .work_us = 68000, .sigma = 0.12},
    [USER_GET] = {HTTP(SVC_USER, "GET", "/users/{id}"), .path = TXT("/users/%u"), .work_us = 1100,
                  .failure = 0.006, .rejection = 0.004, .rejected_status = 404,
                  .rejected_message = TXT("user not found"),
                  .fault = {TXT("org.springframework.dao.QueryTimeoutException"),
                            TXT("PreparedStatementCallback; SQL [SELECT u.id ...]; canceling "
                                "statement due to timeout")},
                  .log = TXT("Loaded profile of user %u (%n addresses)"), STEPS(RUN(Q_USER_BY_ID))},
    [AUTH_VERIFY] = {RPC(SVC_AUTH, "AuthService", "VerifyToken"), .work_us = 250, .failure = 0.003,
                     .rejection = 0.012, .rejected_status = 16,
                     .rejected_message = TXT("token expired"),
                     .fault = {TXT("*redis.Error"), TXT("redis: connection pool timeout")},
                     STEPS(RUN(Q_SESSION_GET))},
    [AUTH_ISSUE] = {RPC(SVC_AUTH, "AuthService", "IssueToken"), .work_us = 700, .failure = 0.006,
                    .fault = {TXT("*pgconn.PgError"),
                              TXT("ERROR: deadlock detected (SQLSTATE 40P01), process %n%n71")},
                    .log = TXT("issued token for user %u, session %s, ttl 3600s"),
                    STEPS(CALL(AUTH_SIGN), RUN(Q_TOKEN_INSERT),
                          RUN(Q_SESSION_SET, .parallel = true))},
    [AUTH_SIGN] = {LOCAL(SVC_AUTH, "jwt.Sign"), .work_us = 900, .sigma = 0.15},

    [CATALOG_GET] = {HTTP(SVC_CATALOG, "GET", "/products/{id}"), .path = TXT("/products/%p"),
                     .work_us = 500, .failure = 0.006, .rejection = 0.015, .rejected_status = 404,
                     .rejected_message = TXT("product not found"),
                     .fault = {TXT("*net.OpError"),
                               TXT("read tcp 10.42.%n.%n:43%n10->10.43.7.12:5432: i/o timeout")},
                     .log = TXT("GET /products/%p served from cache for %k"),
                     STEPS(CACHED(Q_PRODUCT_CACHE, Q_PRODUCT_GET), CALL(CATALOG_PRICE))},
    [CATALOG_FEATURED] = {HTTP(SVC_CATALOG, "GET", "/products"), .path = TXT("/products"),
                          .query = TXT("featured=true&country=%k&page=%n"), .work_us = 900,
                          .failure = 0.006,
                          .fault = {TXT("*errors.errorString"),
                                    TXT("sql: Scan error on column index %n")},
                          STEPS(CACHED(Q_FEATURED_CACHE, Q_PRODUCT_FEATURED))},
    [CATALOG_PRICE] = {LOCAL(SVC_CATALOG, "pricing.Resolve"), .work_us = 220,
                       STEPS(RUN(Q_PRICE_GET, .chance = 0.4))},
    [SEARCH_QUERY] = {HTTP(SVC_SEARCH, "GET", "/search"), .path = TXT("/search"),
                      .query = TXT("q=%q&page=%n"), .work_us = 2200, .failure = 0.018,
                      .fault = {TXT("org.elasticsearch.client.ResponseException"),
                                TXT("method [POST], host [http://search-index:9200], URI "
                                    "[/products/_search], status line "
                                    "[HTTP/1.1 429 Too Many Requests]")},
                      .log = TXT("Query '%q' (page %n) found %n%n hits"),
                      STEPS(CACHED(Q_SEARCH_CACHE, Q_SEARCH_RUN), CALL(SEARCH_RANK),
                            CALL(CATALOG_GET, .parallel = true, .optional = true, .times_min = 1,
                                 .times_max = 4, .chance = 0.3))},
    [SEARCH_RANK] = {LOCAL(SVC_SEARCH, "RankingService.rerank"), .work_us = 3100},
    [RECOMMEND_LIST] = {RPC(SVC_RECOMMENDATION, "Recommender", "ListRecommendations"),
                        .work_us = 2400, .failure = 0.012,
                        .fault = {TXT("KeyError"), TXT("'product:%p'")},
                        .log = TXT("%n recommendations for user %u, model v%n"),
                        STEPS(RUN(Q_FEATURES_RANGE),
                              CALL(ML_PREDICT, .optional = true, .timeout_ms = 400))},
    [RECOMMEND_LEARN] = {.kind = OP_CONSUME_BATCH,
                         .service = SVC_RECOMMENDATION,
                         .topic = TOPIC_ACTIVITY,
                         .work_us = 5200,
                         .failure = 0.009,
                         .fault = {TXT("redis.exceptions.TimeoutError"),
                                   TXT("Timeout reading from features-cache:6379")},
                         .log = TXT("applied batch of activity events, offset %o"),
                         STEPS(RUN(Q_FEATURES_ADD, .times_min = 2, .times_max = 8))},
    [ML_PREDICT] = {HTTP(SVC_ML_MODEL, "POST", "/v1/models/{model}:predict"),
                    .path = TXT("/v1/models/shop-%n:predict"), .work_us = 2000, .failure = 0.024,
                    .fault = {TXT("torch.cuda.OutOfMemoryError"),
                              TXT("CUDA out of memory. Tried to allocate %n.%n0 MiB")},
                    STEPS(RUN(Q_FEATURES_GET, .times_min = 1, .times_max = 3), CALL(ML_INFER))},
    [ML_INFER] = {LOCAL(SVC_ML_MODEL, "model.forward"), .work_us = 21000, .sigma = 0.5},
    [CART_GET] = {HTTP(SVC_CART, "GET", "/carts/:cartId"), .path = TXT("/carts/%c"), .work_us = 900,
                  .failure = 0.006,
                  .fault = {TXT("TypeError"),
                            TXT("Cannot read properties of undefined (reading 'sku')")},
                  .log = TXT("cart %c has %n items"),
                  STEPS(RUN(Q_CART_GET), CALL(CATALOG_GET, .parallel = true, .optional = true,
                                              .times_min = 1, .times_max = 5, .timeout_ms = 1500))},
    [CART_ADD] = {HTTP(SVC_CART, "POST", "/carts/:cartId/items"), .path = TXT("/carts/%c/items"),
                  .success_status = 201, .work_us = 800, .rejection = 0.02, .rejected_status = 409,
                  .rejected_message = TXT("sold out"),
                  .log = TXT("added product %p to cart %c for user %u"),
                  STEPS(CALL(INVENTORY_CHECK, .timeout_ms = 1500), RUN(Q_CART_SET),
                        RUN(Q_CART_EXPIRE))},

    [ORDER_CREATE] = {HTTP(SVC_ORDER, "POST", "/orders"), .path = TXT("/orders"),
                      .success_status = 201, .work_us = 2600, .failure = 0.012,
                      .fault = {TXT("org.springframework.dao.CannotAcquireLockException"),
                                TXT("could not execute statement [ERROR: could not serialize "
                                    "access due to concurrent "
                                    "update] for order %o")},
                      .log = TXT("Order %o placed by user %u: %n items, total %m EUR, request %r"),
                      STEPS(CALL(CART_GET, .retries = 1), CALL(ORDER_VALIDATE),
                            CALL(INVENTORY_RESERVE, .retries = 2, .timeout_ms = 3000),
                            CALL(PAYMENT_AUTHORIZE, .timeout_ms = 9000), CALL(ORDER_STORE),
                            PUBLISH(TOPIC_ORDERS), RUN(Q_CART_DEL, .optional = true))},
    [ORDER_VALIDATE] = {LOCAL(SVC_ORDER, "OrderValidator.validate"), .work_us = 900,
                        STEPS(
                            OUTSIDE(OUT_TAX, .optional = true, .timeout_ms = 700, .chance = 0.35))},
    [ORDER_STORE] = {LOCAL(SVC_ORDER, "OrderRepository.save"), .work_us = 700,
                     STEPS(RUN(Q_ORDER_BEGIN), RUN(Q_ORDER_INSERT),
                           RUN(Q_ORDER_ITEM, .times_min = 1, .times_max = 6), RUN(Q_ORDER_COMMIT))},
    [ORDER_LIST] = {HTTP(SVC_ORDER, "GET", "/orders"), .path = TXT("/orders"),
                    .query = TXT("userId=%u&page=%n"), .work_us = 1500, .failure = 0.009,
                    .fault = {TXT("java.util.concurrent.TimeoutException"),
                              TXT("no result within 3%n00 ms")},
                    .log = TXT("Listed orders of user %u, page %n"),
                    STEPS(RUN(Q_ORDER_LIST), RUN(Q_ORDER_ITEMS, .times_min = 1, .times_max = 12))},
    [ORDER_GET] = {HTTP(SVC_ORDER, "GET", "/orders/{id}"), .path = TXT("/orders/%o"),
                   .work_us = 1000, .failure = 0.006, .rejection = 0.01, .rejected_status = 404,
                   .rejected_message = TXT("order not found"),
                   .fault = {TXT("java.lang.IllegalStateException"),
                             TXT("order %o has no shipping address")},
                   STEPS(
                       CACHED(Q_ORDER_CACHE, Q_ORDER_GET), RUN(Q_ORDER_ITEMS),
                       CALL(SHIPPING_TRACK, .optional = true, .chance = 0.5, .timeout_ms = 1500))},
    [PAYMENT_AUTHORIZE] =
        {RPC(SVC_PAYMENT, "PaymentService", "Authorize"), .work_us = 2100, .failure = 0.012,
         .fault = {TXT("java.lang.NullPointerException"),
                   TXT("Cannot invoke \"PaymentMethod.token()\" because \"method\" is null")},
         .log = TXT("Payment of %m EUR for order %o authorized, reference %r"),
         STEPS(RUN(Q_PAYMENT_METHOD), CALL(FRAUD_SCORE, .timeout_ms = 1500, .retries = 1),
               CALL(BANK_CHARGE, .timeout_ms = 3000, .retries = 2), RUN(Q_PAYMENT_INSERT),
               PUBLISH(TOPIC_PAYMENTS, .optional = true))},
    [BANK_CHARGE] = {HTTP(SVC_BANK, "POST", "/v2/charges"), .path = TXT("/v2/charges"),
                     .success_status = 201, .work_us = 42000, .sigma = 0.8, .failure = 0.04,
                     .rejection = 0.045, .rejected_status = 402,
                     .rejected_message = TXT("insufficient funds"),
                     .fault = {TXT("com.bank.core.SettlementUnavailableException"),
                               TXT("settlement host sh-0%w did not answer, correlation id %r")},
                     .log = TXT("charge %r: %m EUR from card ending %n%n, acquirer reference %o"),
                     STEPS(RUN(Q_LEDGER_LOCK), CALL(BANK_LIMITS), RUN(Q_LEDGER_INSERT))},
    [BANK_LIMITS] = {LOCAL(SVC_BANK, "LimitCheck.evaluate"), .work_us = 5200},
    [FRAUD_SCORE] =
        {RPC(SVC_FRAUD, "FraudService", "Score"), .work_us = 3000, .failure = 0.018,
         .rejection = 0.015, .rejected_status = 9, .rejected_message = TXT("score above threshold"),
         .fault = {TXT("ValueError"), TXT("feature 'device_age' is missing for user %u")},
         .log = TXT("scored order %o of user %u: 0.%n%n, %n rules hit"),
         STEPS(RUN(Q_FEATURES_GET), RUN(Q_FRAUD_HISTORY, .parallel = true), CALL(FRAUD_RULES),
               CALL(ML_PREDICT, .optional = true, .timeout_ms = 600), RUN(Q_FRAUD_INSERT))},
    [FRAUD_RULES] = {LOCAL(SVC_FRAUD, "rules.evaluate"), .work_us = 4100},
    [INVENTORY_CHECK] = {RPC(SVC_INVENTORY, "InventoryService", "CheckAvailability"),
                         .work_us = 350, .failure = 0.009,
                         .fault = {TXT("*mysql.MySQLError"),
                                   TXT("Error 1205 (HY000): Lock wait timeout exceeded")},
                         STEPS(CACHED(Q_STOCK_CACHE, Q_STOCK_GET))},
    [INVENTORY_RESERVE] =
        {RPC(SVC_INVENTORY, "InventoryService", "Reserve"), .work_us = 800, .failure = 0.045,
         .rejection = 0.01, .rejected_status = 9, .rejected_message = TXT("not enough stock"),
         .fault = {TXT("*mysql.MySQLError"),
                   TXT("Error 1213 (40001): Deadlock found when trying to get lock; product %p")},
         .log = TXT("reserved %n units of product %p in warehouse %w for order %o"),
         STEPS(RUN(Q_STOCK_LOCK, .times_min = 1, .times_max = 4),
               RUN(Q_STOCK_UPDATE, .times_min = 1, .times_max = 4))},

    [WAREHOUSE_PICK] = {.kind = OP_CONSUME,
                        .service = SVC_WAREHOUSE,
                        .topic = TOPIC_ORDERS,
                        .work_us = 3300,
                        .failure = 0.03,
                        .fault = {TXT("PickingError"), TXT("no bin with %n units of product %p")},
                        .log = TXT("pick list for order %o in warehouse %w: %n bins"),
                        STEPS(RUN(Q_BIN_LIST), CALL(WAREHOUSE_ROUTE), RUN(Q_PICK_INSERT),
                              CALL(SHIPPING_CREATE, .retries = 2))},
    [WAREHOUSE_ROUTE] = {LOCAL(SVC_WAREHOUSE, "planRoute"), .work_us = 8800, .sigma = 0.6},
    [SHIPPING_CREATE] = {HTTP(SVC_SHIPPING, "POST", "/shipments"), .path = TXT("/shipments"),
                         .success_status = 201, .work_us = 1200, .failure = 0.012,
                         .fault = {TXT("FetchError"), TXT("socket hang up")},
                         .log = TXT("shipment %t created for order %o, %n%n0 g"),
                         STEPS(OUTSIDE(OUT_CARRIER, .retries = 2, .timeout_ms = 2500),
                               RUN(Q_SHIPMENT_INSERT), PUBLISH(TOPIC_SHIPMENTS, .optional = true))},
    [SHIPPING_TRACK] = {HTTP(SVC_SHIPPING, "GET", "/shipments/:trackingId"),
                        .path = TXT("/shipments/%t"), .work_us = 900, .rejection = 0.03,
                        .rejected_status = 404, .rejected_message = TXT("unknown tracking id"),
                        STEPS(RUN(Q_SHIPMENT_GET))},
    [SHIPPING_MANIFEST] = {.kind = OP_CONSUME_BATCH,
                           .service = SVC_SHIPPING,
                           .topic = TOPIC_SHIPMENTS,
                           .work_us = 9000,
                           .log = TXT("manifest %o closed at %k"),
                           STEPS(RUN(Q_SHIPMENT_UPDATE), OUTSIDE(OUT_BLOB, .retries = 1))},
    [NOTIFY_ORDER] = {.kind = OP_CONSUME,
                      .service = SVC_NOTIFICATION,
                      .topic = TOPIC_ORDERS,
                      .work_us = 1100,
                      .failure = 0.012,
                      .fault = {TXT("Error"), TXT("template 'order' has no locale '%k'")},
                      .log = TXT("sent order confirmation %o to user %u"),
                      STEPS(CALL(USER_GET, .retries = 1), CALL(NOTIFY_RENDER),
                            OUTSIDE(OUT_MAIL, .retries = 3, .timeout_ms = 4000),
                            RUN(Q_NOTE_INSERT))},
    [NOTIFY_PAYMENT] = {.kind = OP_CONSUME,
                        .service = SVC_NOTIFICATION,
                        .topic = TOPIC_PAYMENTS,
                        .work_us = 900,
                        STEPS(RUN(Q_NOTE_SEEN))},
    [NOTIFY_RENDER] = {LOCAL(SVC_NOTIFICATION, "renderTemplate"), .work_us = 4200},
};

const uint32_t topology_operation_count = OPERATION_COUNT;

const struct journey topology_journeys[] = {
    {GW_HOME, 16},    {GW_SEARCH, 17},  {GW_PRODUCT, 22}, {GW_LOGIN, 7}, {GW_CART, 8},
    {GW_CART_ADD, 9}, {GW_CHECKOUT, 7}, {GW_ORDERS, 3},   {GW_ORDER, 3}, {GW_PROFILE, 3},
    {GW_TRACK, 3},    {GW_UNKNOWN, 1},  {GW_HEALTH, 1},
};

const uint32_t topology_journey_count = sizeof(topology_journeys) / sizeof(topology_journeys[0]);

static const uint16_t order_consumers[] = {WAREHOUSE_PICK, NOTIFY_ORDER};
static const uint16_t payment_consumers[] = {NOTIFY_PAYMENT};
static const uint16_t shipment_consumers[] = {SHIPPING_MANIFEST};
static const uint16_t activity_consumers[] = {RECOMMEND_LEARN};

const struct topic topology_topics[TOPIC_COUNT] = {
    [TOPIC_ORDERS] = {TXT("orders.created"), 12, 0, 12, order_consumers, 2},
    [TOPIC_PAYMENTS] = {TXT("payments.authorized"), 6, 0, 9, payment_consumers, 1},
    [TOPIC_SHIPMENTS] = {TXT("shipments.requested"), 3, 16, 900, shipment_consumers, 1},
    [TOPIC_ACTIVITY] = {TXT("user.activity"), 24, 32, 350, activity_consumers, 1},
};

const struct outsider topology_outsiders[] = {
    [OUT_CARRIER] = {TXT("api.parcel-express.example"), TXT("POST"), TXT("/v3/labels/%t"), 130000,
                     0.03, 503},
    [OUT_MAIL] = {TXT("smtp-relay.mailhub.example"), TXT("POST"), TXT("/v1/messages/%r"), 85000,
                  0.04, 429},
    [OUT_TAX] = {TXT("vat.rates.example"), TXT("GET"), TXT("/rates/%k"), 60000, 0.02, 500},
    [OUT_BLOB] = {TXT("manifests.s3.eu-central-1.example"), TXT("PUT"),
                  TXT("/2025/manifest-%o.json"), 38000, 0.01, 503},
};
