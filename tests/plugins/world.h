/* How the reload tests talk to the plugin test_world: what its components do and have seen outlives
 * them, as what a destination has and a sender knows outlives a reload. */
#ifndef SLUICE_TESTS_WORLD_H
#define SLUICE_TESTS_WORLD_H
#include "tests/plugins/test_interfaces.h"

enum { WORLD_NAMES = 8 };

/* type->interface_of of any component of the plugin. [any] */
#define TEST_WORLD "test.world/1"
typedef struct test_world {
    void (*reset)(void);
    /* Offers numbered spans through the source of that name, as test_source does; SL_ERR_NOT_FOUND
     * where none runs. */
    int32_t (*offer)(const char *source, uint32_t first, uint32_t n);
    void (*counts)(struct test_counts *); /* of all sources, ever */
    /* What sinks of that name do from now on; enum test_sink_mode without PARTIAL. */
    void (*mode)(const char *sink, uint32_t mode);
    uint32_t (*seen)(uint32_t span); /* how often one of the sinks took it */
    uint32_t (*seen_by)(const char *sink, uint32_t span);
    bool (*acknowledged)(uint32_t span); /* none of its offer has failed or was rejected */
    uint64_t (*items)(const char *sink);
    uint32_t (*components)(void); /* that exist now */
} test_world;

#endif
