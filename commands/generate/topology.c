/* The shop's services, stores and instrumentation libraries, and the resources that a seed gives
 * them: pods, nodes, processes. Built once by the thread that generates, immutable afterwards. */
#include "commands/generate/topology.h"

#include <stdlib.h>

#define SERVICE(id, label, ver, pkg, lang, count, current)                                         \
    [id] = {TXT(label), TXT(ver), TXT(pkg), lang, count, current}

const struct service topology_services[SERVICE_COUNT] = {
    SERVICE(SVC_GATEWAY, "api-gateway", "3.14.2", "shop.gateway", LANG_GO, 3, true),
    SERVICE(SVC_USER, "user", "2.31.0", "com.shop.user", LANG_JAVA, 2, false),
    SERVICE(SVC_AUTH, "auth", "1.9.4", "shop.auth.v1", LANG_GO, 3, true),
    SERVICE(SVC_CATALOG, "catalog", "4.2.11", "shop.catalog", LANG_GO, 3, true),
    SERVICE(SVC_SEARCH, "search", "1.22.0", "com.shop.search", LANG_JAVA, 2, false),
    SERVICE(SVC_RECOMMENDATION, "recommendation", "0.18.3", "shop.recommendation.v1", LANG_PYTHON,
            2, false),
    SERVICE(SVC_ML_MODEL, "ml-model", "0.7.1", "shop.models", LANG_PYTHON, 2, false),
    SERVICE(SVC_CART, "cart", "5.0.6", "@shop/cart", LANG_NODE, 2, true),
    SERVICE(SVC_ORDER, "order", "6.3.1", "com.shop.order", LANG_JAVA, 3, false),
    SERVICE(SVC_PAYMENT, "payment", "2.8.0", "shop.payment.v1", LANG_JAVA, 2, false),
    SERVICE(SVC_BANK, "bank", "11.2.0", "com.bank.core", LANG_JAVA, 2, false),
    SERVICE(SVC_FRAUD, "fraud", "1.4.9", "shop.fraud.v1", LANG_PYTHON, 2, false),
    SERVICE(SVC_INVENTORY, "inventory", "3.3.3", "shop.inventory.v1", LANG_GO, 2, true),
    SERVICE(SVC_WAREHOUSE, "warehouse", "1.12.0", "@shop/warehouse", LANG_NODE, 2, true),
    SERVICE(SVC_SHIPPING, "shipping", "2.0.15", "@shop/shipping", LANG_NODE, 2, true),
    SERVICE(SVC_NOTIFICATION, "notification", "0.41.2", "@shop/notification", LANG_NODE, 2, true),
};

#define POSTGRES(id, db, server)                                                                   \
    [id] = {TXT("postgresql"), TXT(db), TXT(server), 5432, ROLE_POSTGRES}
#define MYSQL(id, db, server) [id] = {TXT("mysql"), TXT(db), TXT(server), 3306, ROLE_MYSQL}
#define CACHE(id, server) [id] = {TXT("redis"), TXT("0"), TXT(server), 6379, ROLE_REDIS}

const struct store topology_stores[STORE_COUNT] = {
    POSTGRES(STORE_USERS, "users", "user-db"),
    CACHE(STORE_SESSIONS, "session-cache"),
    POSTGRES(STORE_CATALOG, "catalog", "catalog-db"),
    CACHE(STORE_CATALOG_CACHE, "catalog-cache"),
    [STORE_SEARCH_INDEX] = {TXT("elasticsearch"), TXT("shop"), TXT("search-index"), 9200,
                            ROLE_SEARCH},
    CACHE(STORE_SEARCH_CACHE, "search-cache"),
    CACHE(STORE_FEATURES, "features-cache"),
    CACHE(STORE_CARTS, "cart-cache"),
    POSTGRES(STORE_ORDERS, "orders", "order-db"),
    CACHE(STORE_ORDER_CACHE, "order-cache"),
    MYSQL(STORE_PAYMENTS, "payments", "payment-db"),
    MYSQL(STORE_LEDGER, "ledger", "bank-db"),
    POSTGRES(STORE_FRAUD, "fraud", "fraud-db"),
    MYSQL(STORE_STOCK, "inventory", "inventory-db"),
    CACHE(STORE_STOCK_CACHE, "inventory-cache"),
    POSTGRES(STORE_WAREHOUSE, "warehouse", "warehouse-db"),
    POSTGRES(STORE_SHIPMENTS, "shipping", "shipping-db"),
    POSTGRES(STORE_NOTIFICATIONS, "notification", "notification-db"),
};

#define CONTRIB "go.opentelemetry.io/contrib/instrumentation/"

static const struct scope libraries[LANGUAGE_COUNT][ROLE_COUNT] =
    {
        [LANG_GO] =
            {
                [ROLE_HTTP_SERVER] = {TXT(CONTRIB "net/http/otelhttp"), TXT("0.63.0")},
                [ROLE_HTTP_CLIENT] = {TXT(CONTRIB "net/http/otelhttp"), TXT("0.63.0")},
                [ROLE_RPC] = {TXT(CONTRIB "google.golang.org/grpc/otelgrpc"), TXT("0.63.0")},
                [ROLE_POSTGRES] = {TXT("github.com/exaring/otelpgx"), TXT("0.9.3")},
                [ROLE_MYSQL] = {TXT("github.com/XSAM/otelsql"), TXT("0.40.0")},
                [ROLE_REDIS] = {TXT("github.com/redis/go-redis/extra/redisotel"), TXT("9.14.0")},
                [ROLE_KAFKA] = {TXT("github.com/twmb/franz-go/plugin/kotel"), TXT("1.6.0")},
                [ROLE_RUNTIME] = {TXT(CONTRIB "runtime"), TXT("0.63.0")},
                [ROLE_LOG] = {TXT("go.opentelemetry.io/contrib/bridges/otelslog"), TXT("0.13.0")},
            },
        [LANG_JAVA] =
            {
                [ROLE_HTTP_SERVER] = {TXT("io.opentelemetry.tomcat-10.0"), TXT("2.20.1-alpha")},
                [ROLE_HTTP_CLIENT] = {TXT("io.opentelemetry.java-http-client"),
                                      TXT("2.20.1-alpha")},
                [ROLE_RPC] = {TXT("io.opentelemetry.grpc-1.6"), TXT("2.20.1-alpha")},
                [ROLE_POSTGRES] = {TXT("io.opentelemetry.jdbc"), TXT("2.20.1-alpha")},
                [ROLE_MYSQL] = {TXT("io.opentelemetry.jdbc"), TXT("2.20.1-alpha")},
                [ROLE_REDIS] = {TXT("io.opentelemetry.lettuce-5.1"), TXT("2.20.1-alpha")},
                [ROLE_SEARCH] = {TXT("io.opentelemetry.elasticsearch-rest-7.0"),
                                 TXT("2.20.1-alpha")},
                [ROLE_KAFKA] = {TXT("io.opentelemetry.kafka-clients-0.11"), TXT("2.20.1-alpha")},
                [ROLE_RUNTIME] = {TXT("io.opentelemetry.runtime-telemetry-java8"),
                                  TXT("2.20.1-alpha")},
                [ROLE_LOG] = {TXT("com.shop.logging.Audit"), TXT("")},
            },
        [LANG_PYTHON] =
            {
                [ROLE_HTTP_SERVER] = {TXT("opentelemetry.instrumentation.fastapi"), TXT("0.58b0")},
                [ROLE_HTTP_CLIENT] = {TXT("opentelemetry.instrumentation.httpx"), TXT("0.58b0")},
                [ROLE_RPC] = {TXT("opentelemetry.instrumentation.grpc"), TXT("0.58b0")},
                [ROLE_POSTGRES] = {TXT("opentelemetry.instrumentation.psycopg2"), TXT("0.58b0")},
                [ROLE_REDIS] = {TXT("opentelemetry.instrumentation.redis"), TXT("0.58b0")},
                [ROLE_KAFKA] = {TXT("opentelemetry.instrumentation.confluent_kafka"),
                                TXT("0.58b0")},
                [ROLE_RUNTIME] = {TXT("opentelemetry.instrumentation.system_metrics"),
                                  TXT("0.58b0")},
                [ROLE_LOG] = {TXT("opentelemetry.sdk._logs"), TXT("1.37.0")},
            },
        [LANG_NODE] =
            {
                [ROLE_HTTP_SERVER] = {TXT("@opentelemetry/instrumentation-http"), TXT("0.205.0")},
                [ROLE_HTTP_CLIENT] = {TXT("@opentelemetry/instrumentation-undici"), TXT("0.16.0")},
                [ROLE_RPC] = {TXT("@opentelemetry/instrumentation-grpc"), TXT("0.205.0")},
                [ROLE_POSTGRES] = {TXT("@opentelemetry/instrumentation-pg"), TXT("0.58.0")},
                [ROLE_REDIS] = {TXT("@opentelemetry/instrumentation-ioredis"), TXT("0.53.0")},
                [ROLE_KAFKA] = {TXT("@opentelemetry/instrumentation-kafkajs"), TXT("0.14.0")},
                [ROLE_RUNTIME] = {TXT("@opentelemetry/instrumentation-runtime-node"),
                                  TXT("0.18.0")},
                [ROLE_LOG] = {TXT("@opentelemetry/instrumentation-winston"), TXT("0.50.0")},
            },
};

static const struct {
    sl_bytes name;
    sl_bytes sdk_version;
    sl_bytes runtime;
    sl_bytes runtime_version;
    sl_bytes executable;
    sl_bytes arguments[3];
} languages[LANGUAGE_COUNT] = {
    [LANG_GO] = {TXT("go"),
                 TXT("1.38.0"),
                 TXT("go"),
                 TXT("go1.25.1"),
                 TXT("/app/server"),
                 {TXT("/app/server"), TXT("-config"), TXT("/etc/app/config.yaml")}},
    [LANG_JAVA] = {TXT("java"),
                   TXT("1.54.1"),
                   TXT("OpenJDK Runtime Environment"),
                   TXT("21.0.8+9-LTS"),
                   TXT("/opt/java/openjdk/bin/java"),
                   {TXT("/opt/java/openjdk/bin/java"), TXT("-jar"), TXT("/app/app.jar")}},
    [LANG_PYTHON] = {TXT("python"),
                     TXT("1.37.0"),
                     TXT("cpython"),
                     TXT("3.12.11"),
                     TXT("/usr/local/bin/python3.12"),
                     {TXT("/usr/local/bin/python3.12"), TXT("-m"), TXT("app.main")}},
    [LANG_NODE] = {TXT("nodejs"),
                   TXT("2.1.0"),
                   TXT("nodejs"),
                   TXT("22.19.0"),
                   TXT("/usr/local/bin/node"),
                   {TXT("/usr/local/bin/node"), TXT("--enable-source-maps"),
                    TXT("/app/dist/main.js")}},
};

static const sl_bytes zones[] = {TXT("eu-central-1a"), TXT("eu-central-1b"), TXT("eu-central-1c")};

uint16_t topology_scope(enum service_id service, enum scope_role role)
{
    unsigned own = LANGUAGE_COUNT * ROLE_COUNT + (unsigned)service;
    unsigned library = (unsigned)topology_services[service].language * ROLE_COUNT + role;
    return (uint16_t)(role == ROLE_LOCAL ? own : library);
}

uint16_t topology_machine_scope(void)
{
    return LANGUAGE_COUNT * ROLE_COUNT + SERVICE_COUNT;
}

uint16_t topology_store_scope(void)
{
    return LANGUAGE_COUNT * ROLE_COUNT + SERVICE_COUNT + 1;
}

static void scopes_fill(struct topology *t)
{
    memcpy(t->scopes, libraries, sizeof(libraries));
    for (unsigned s = 0; s < SERVICE_COUNT; s++) {
        struct scope own = {topology_services[s].package, topology_services[s].version};
        t->scopes[LANGUAGE_COUNT * ROLE_COUNT + s] = own;
    }
    struct scope machine = {TXT("github.com/open-telemetry/opentelemetry-collector-contrib/"
                                "receiver/hostmetricsreceiver"),
                            TXT("0.136.0")};
    struct scope store = {
        TXT("github.com/open-telemetry/opentelemetry-collector-contrib/receiver/sqlqueryreceiver"),
        TXT("0.136.0")};
    t->scopes[topology_machine_scope()] = machine;
    t->scopes[topology_store_scope()] = store;
}

static void add_cluster(struct topology *t, sl_bytes node, sl_bytes zone)
{
    attrs_text(&t->attrs, LIT("deployment.environment.name"), LIT("production"));
    attrs_text(&t->attrs, LIT("cloud.provider"), LIT("aws"));
    attrs_text(&t->attrs, LIT("cloud.region"), LIT("eu-central-1"));
    attrs_text(&t->attrs, LIT("cloud.availability_zone"), zone);
    attrs_text(&t->attrs, LIT("k8s.cluster.name"), LIT("shop-prod"));
    attrs_text(&t->attrs, LIT("k8s.node.name"), node);
}

static sl_bytes join(struct text_pool *p, sl_bytes a, sl_bytes b)
{
    text_begin(p);
    text_add(p, a);
    text_add(p, b);
    return text_end(p);
}

static sl_bytes uuid(struct text_pool *p, struct rng *r)
{
    text_begin(p);
    text_uuid(p, r);
    return text_end(p);
}

static sl_bytes node_name(struct text_pool *p, uint32_t number)
{
    text_begin(p);
    text_add(p, LIT("ip-10-42-"));
    text_uint(p, 16 + number / 200);
    text_char(p, '-');
    text_uint(p, 20 + number % 200);
    text_add(p, LIT(".eu-central-1.compute.internal"));
    return text_end(p);
}

static void service_resource(struct topology *t, struct rng *r, const struct service *s,
                             sl_bytes replica_set, struct resource *out)
{
    struct text_pool *p = &t->text;
    uint32_t node = rng_below(r, t->machine_count);
    text_begin(p);
    text_add(p, replica_set);
    text_char(p, '-');
    text_suffix(p, r, 5);
    sl_bytes pod = text_end(p);
    text_begin(p);
    for (int i = 0; i < 4; i++) {
        text_hex(p, rng_u64(r), 16);
    }
    sl_bytes container = text_end(p);
    sl_bytes instance = uuid(p, r);
    sl_bytes pod_uid = uuid(p, r);
    sl_bytes image = join(p, LIT("registry.shop.example/"), s->name);

    attrs_begin(&t->attrs);
    attrs_text(&t->attrs, LIT("service.name"), s->name);
    attrs_text(&t->attrs, LIT("service.namespace"), LIT("shop"));
    attrs_text(&t->attrs, LIT("service.version"), s->version);
    attrs_text(&t->attrs, LIT("service.instance.id"), instance);
    add_cluster(t, node_name(p, node), zones[node % 3]);
    attrs_text(&t->attrs, LIT("k8s.namespace.name"), LIT("shop"));
    attrs_text(&t->attrs, LIT("k8s.deployment.name"), s->name);
    attrs_text(&t->attrs, LIT("k8s.replicaset.name"), replica_set);
    attrs_text(&t->attrs, LIT("k8s.pod.name"), pod);
    attrs_text(&t->attrs, LIT("k8s.pod.uid"), pod_uid);
    attrs_text(&t->attrs, LIT("k8s.container.name"), s->name);
    attrs_text(&t->attrs, LIT("container.id"), container);
    attrs_text(&t->attrs, LIT("container.image.name"), image);
    attrs_text(&t->attrs, LIT("host.name"), pod);
    attrs_text(&t->attrs, LIT("host.arch"), LIT("amd64"));
    attrs_text(&t->attrs, LIT("os.type"), LIT("linux"));
    attrs_int(&t->attrs, LIT("process.pid"), s->language == LANG_NODE ? 18 : 1);
    attrs_text(&t->attrs, LIT("process.executable.path"), languages[s->language].executable);
    attrs_list(&t->attrs, LIT("process.command_args"), languages[s->language].arguments, 3);
    attrs_text(&t->attrs, LIT("process.runtime.name"), languages[s->language].runtime);
    attrs_text(&t->attrs, LIT("process.runtime.version"), languages[s->language].runtime_version);
    attrs_text(&t->attrs, LIT("telemetry.sdk.name"), LIT("opentelemetry"));
    attrs_text(&t->attrs, LIT("telemetry.sdk.language"), languages[s->language].name);
    attrs_text(&t->attrs, LIT("telemetry.sdk.version"), languages[s->language].sdk_version);
    out->attrs = attrs_end(&t->attrs);
    out->service = s->name;
    out->instance = instance;
    out->schema_url = LIT("https://opentelemetry.io/schemas/1.37.0");
}

static void machine_resource(struct topology *t, struct rng *r, uint32_t number,
                             struct resource *out)
{
    struct text_pool *p = &t->text;
    sl_bytes name = node_name(p, number);
    sl_bytes instance = uuid(p, r);
    attrs_begin(&t->attrs);
    attrs_text(&t->attrs, LIT("service.name"), LIT("node-agent"));
    attrs_text(&t->attrs, LIT("service.instance.id"), instance);
    add_cluster(t, name, zones[number % 3]);
    attrs_text(&t->attrs, LIT("host.name"), name);
    attrs_text(&t->attrs, LIT("host.type"), LIT("m7i.2xlarge"));
    attrs_text(&t->attrs, LIT("os.type"), LIT("linux"));
    out->attrs = attrs_end(&t->attrs);
    out->service = LIT("node-agent");
    out->instance = instance;
    out->schema_url = LIT("https://opentelemetry.io/schemas/1.37.0");
}

static void store_resource(struct topology *t, struct rng *r, const struct store *s,
                           struct resource *out)
{
    sl_bytes instance = uuid(&t->text, r);
    uint32_t node = rng_below(r, t->machine_count);
    attrs_begin(&t->attrs);
    attrs_text(&t->attrs, LIT("service.name"), s->host);
    attrs_text(&t->attrs, LIT("service.namespace"), LIT("shop"));
    attrs_text(&t->attrs, LIT("service.instance.id"), instance);
    add_cluster(t, node_name(&t->text, node), zones[node % 3]);
    attrs_text(&t->attrs, LIT("k8s.namespace.name"), LIT("shop"));
    attrs_text(&t->attrs, LIT("k8s.statefulset.name"), s->host);
    attrs_text(&t->attrs, LIT("k8s.pod.name"), join(&t->text, s->host, LIT("-0")));
    attrs_text(&t->attrs, LIT("db.system.name"), s->system);
    out->attrs = attrs_end(&t->attrs);
    out->service = s->host;
    out->instance = instance;
    out->schema_url = LIT("https://opentelemetry.io/schemas/1.37.0");
}

enum sl_status topology_create(uint64_t seed, uint32_t scale, struct topology **out)
{
    if (scale == 0 || scale > TOPOLOGY_SCALE_MAX) {
        return SL_ERR_INVALID;
    }
    struct topology *t = calloc(1, sizeof(*t));
    if (!t) {
        return SL_ERR_NOMEM;
    }
    t->machine_count = 6 * scale;
    uint32_t count = t->machine_count + STORE_COUNT;
    for (unsigned s = 0; s < SERVICE_COUNT; s++) {
        t->service_instances[s] = topology_services[s].instances * scale;
        count += t->service_instances[s];
    }
    t->resources = calloc(count, sizeof(*t->resources));
    t->owners = malloc(count);
    enum sl_status status = t->resources && t->owners ? SL_OK : SL_ERR_NOMEM;
    if (status == SL_OK) {
        status = text_pool_init(&t->text, (size_t)count * 640);
    }
    if (status == SL_OK) {
        status = attr_pool_init(&t->attrs, count * 32);
    }
    if (status != SL_OK) {
        topology_destroy(t);
        return status;
    }
    memset(t->owners, SERVICE_COUNT, count);
    scopes_fill(t);
    struct rng r;
    rng_init(&r, seed, 1);
    for (unsigned s = 0; s < SERVICE_COUNT; s++) {
        t->service_first[s] = t->resource_count;
        text_begin(&t->text);
        text_add(&t->text, topology_services[s].name);
        text_char(&t->text, '-');
        text_hex(&t->text, rng_u64(&r), 9);
        sl_bytes replica_set = text_end(&t->text);
        for (uint32_t i = 0; i < t->service_instances[s]; i++) {
            t->owners[t->resource_count] = (uint8_t)s;
            service_resource(t, &r, &topology_services[s], replica_set,
                             &t->resources[t->resource_count++]);
        }
    }
    t->machine_first = t->resource_count;
    for (uint32_t i = 0; i < t->machine_count; i++) {
        machine_resource(t, &r, i, &t->resources[t->resource_count++]);
    }
    t->store_first = t->resource_count;
    for (unsigned s = 0; s < STORE_COUNT; s++) {
        store_resource(t, &r, &topology_stores[s], &t->resources[t->resource_count++]);
    }
    if (t->text.failed || t->attrs.failed) {
        topology_destroy(t);
        return SL_ERR_TOO_LARGE;
    }
    *out = t;
    return SL_OK;
}

void topology_destroy(struct topology *t)
{
    if (!t) {
        return;
    }
    free(t->resources);
    free(t->owners);
    text_pool_deinit(&t->text);
    attr_pool_deinit(&t->attrs);
    free(t);
}
