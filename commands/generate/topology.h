/* The online shop that the generator plays: its services and their operations with call trees,
 * databases, caches, topics and outside parties, and who runs them (resources, instrumentation
 * scopes). Constant tables and what a seed makes of them; immutable after topology_create. */
#ifndef SLUICE_GENERATE_TOPOLOGY_H
#define SLUICE_GENERATE_TOPOLOGY_H

#include "commands/generate/text.h"

enum language { LANG_GO, LANG_JAVA, LANG_PYTHON, LANG_NODE, LANGUAGE_COUNT };

/* What a span is about; with the language it names the instrumentation library. */
enum scope_role {
    ROLE_HTTP_SERVER,
    ROLE_HTTP_CLIENT,
    ROLE_RPC,
    ROLE_POSTGRES,
    ROLE_MYSQL,
    ROLE_REDIS,
    ROLE_SEARCH,
    ROLE_KAFKA,
    ROLE_LOCAL,   /* the service's own code */
    ROLE_RUNTIME, /* metrics of the language's runtime */
    ROLE_LOG,
    ROLE_COUNT
};

enum service_id {
    SVC_GATEWAY,
    SVC_USER,
    SVC_AUTH,
    SVC_CATALOG,
    SVC_SEARCH,
    SVC_RECOMMENDATION,
    SVC_ML_MODEL,
    SVC_CART,
    SVC_ORDER,
    SVC_PAYMENT,
    SVC_BANK,
    SVC_FRAUD,
    SVC_INVENTORY,
    SVC_WAREHOUSE,
    SVC_SHIPPING,
    SVC_NOTIFICATION,
    SERVICE_COUNT
};

struct service {
    sl_bytes name;
    sl_bytes version;
    sl_bytes package; /* the RPC package and the scope of its own spans */
    enum language language;
    uint8_t instances;
    bool rpc_names_current; /* rpc.system.name and a full rpc.method; the others still send
                               rpc.system */
};

enum store_id {
    STORE_USERS,
    STORE_SESSIONS,
    STORE_CATALOG,
    STORE_CATALOG_CACHE,
    STORE_SEARCH_INDEX,
    STORE_SEARCH_CACHE,
    STORE_FEATURES,
    STORE_CARTS,
    STORE_ORDERS,
    STORE_ORDER_CACHE,
    STORE_PAYMENTS,
    STORE_LEDGER,
    STORE_FRAUD,
    STORE_STOCK,
    STORE_STOCK_CACHE,
    STORE_WAREHOUSE,
    STORE_SHIPMENTS,
    STORE_NOTIFICATIONS,
    STORE_COUNT
};

struct store {
    sl_bytes system; /* db.system.name */
    sl_bytes name;   /* db.namespace */
    sl_bytes host;
    uint16_t port;
    enum scope_role role;
};

/* A statement. Texts with % are templates; traces.c lists the letters. */
struct query {
    enum store_id store;
    sl_bytes operation;
    sl_bytes collection;
    sl_bytes summary; /* and the span's name */
    sl_bytes text;
    uint32_t median_us;
    uint16_t rows; /* at most that many come back; 0: no row count */
    double sigma;  /* 0: 0.5 */
};

enum topic_id { TOPIC_ORDERS, TOPIC_PAYMENTS, TOPIC_SHIPMENTS, TOPIC_ACTIVITY, TOPIC_COUNT };

struct topic {
    sl_bytes name;
    uint16_t partitions;
    uint16_t batch; /* consumers take that many at most; their span then links to the messages. 0:
                       one by one */
    uint32_t delay_ms;         /* until a consumer has it, median */
    const uint16_t *consumers; /* operations */
    uint32_t consumer_count;
};

/* A party that sends no telemetry: a call to it ends in a client span. */
struct outsider {
    sl_bytes host;
    sl_bytes method;
    sl_bytes path;
    uint32_t median_us;
    double failure;
    uint16_t failure_status;
};

enum step_kind { STEP_CALL, STEP_QUERY, STEP_CACHED, STEP_PUBLISH, STEP_OUTSIDE };

/* One thing that an operation does. Zero is the default: always, once, one after another, 5 s, no
 * retry. */
struct step {
    enum step_kind kind;
    uint16_t target;   /* operation, query, topic or outsider */
    uint16_t fallback; /* STEP_CACHED: the query after a miss */
    bool parallel;     /* starts together with the step before it */
    bool optional;     /* its failure does not make the operation fail */
    uint8_t retries;
    uint8_t times_min;
    uint8_t times_max; /* repeated; parallel ones at the same time */
    uint32_t timeout_ms;
    double chance;
};

enum operation_kind { OP_HTTP, OP_RPC, OP_LOCAL, OP_CONSUME, OP_CONSUME_BATCH };

struct fault {
    sl_bytes type;    /* exception.type */
    sl_bytes message; /* template */
};

struct operation {
    enum operation_kind kind;
    enum service_id service;
    enum topic_id topic;      /* of a consumer */
    sl_bytes method;          /* HTTP method, or RPC Service/Method's Service */
    sl_bytes route;           /* HTTP route, RPC method, or the name of an internal span */
    sl_bytes path;            /* template */
    sl_bytes query;           /* template */
    uint32_t work_us;         /* its own work, median */
    double sigma;             /* of its work; 0: 0.45 */
    double failure;           /* how often it fails by itself */
    double rejection;         /* how often it refuses the request */
    uint16_t rejected_status; /* HTTP or gRPC status of a refusal */
    uint16_t success_status;  /* HTTP; 0: 200 */
    sl_bytes rejected_message;
    struct fault fault;
    sl_bytes log; /* template of its one line of log; empty: none */
    const struct step *steps;
    uint32_t step_count;
};

struct journey {
    uint16_t operation; /* of the gateway */
    uint16_t weight;
};

extern const struct service topology_services[SERVICE_COUNT];
extern const struct store topology_stores[STORE_COUNT];
extern const struct topic topology_topics[TOPIC_COUNT];
extern const struct outsider topology_outsiders[];
extern const struct query topology_queries[];
extern const struct operation topology_operations[];
extern const uint32_t topology_operation_count;
extern const struct journey topology_journeys[];
extern const uint32_t topology_journey_count;

#define TOPOLOGY_SCALE_MAX 200
#define TOPOLOGY_SCOPES (LANGUAGE_COUNT * ROLE_COUNT + SERVICE_COUNT + 2)

/* Resources: the instances of each service, then the machines and stores, which send metrics only.
 */
struct topology {
    struct resource *resources;
    uint8_t *owners; /* of each resource: its service, or SERVICE_COUNT */
    uint32_t resource_count;
    uint32_t service_first[SERVICE_COUNT];
    uint32_t service_instances[SERVICE_COUNT];
    uint32_t machine_first;
    uint32_t machine_count;
    uint32_t store_first;
    struct scope scopes[TOPOLOGY_SCOPES];
    struct text_pool text;
    struct attr_pool attrs;
};

/* `scale` multiplies the number of instances of each service and of the machines. */
enum sl_status topology_create(uint64_t seed, uint32_t scale, struct topology **out);
void topology_destroy(struct topology *t);

/* The scope of a service's spans in a role. */
uint16_t topology_scope(enum service_id service, enum scope_role role);
/* The scopes of metrics about machines and about stores. */
uint16_t topology_machine_scope(void);
uint16_t topology_store_scope(void);

#endif
