/* Times the file exporter alone: the requests of a recorded file (see frames.h) go through `send`
 * again and again, and one JSON line says what it cost.
 *     bench_file traces|metrics|logs FILE OUT json|proto [zstd] [SECONDS] */
#include "exporters/file/file.h"
#include "tests/bench/frames.h"
#include "tests/support/plugin_host.h"

#include <stdlib.h>
#include <unistd.h>

extern const sl_plugin sluice_plugin;

/* What is written before the file is begun anew, so that it does not fill the memory. */
static const uint64_t MOST = UINT64_C(1) << 30;

int main(int argc, char **argv)
{
    const uint32_t signal = argc > 1 ? signal_named(argv[1]) : 0;
    const bool zstd = argc > 5 && strcmp(argv[5], "zstd") == 0;
    const double seconds = argc > 5 + zstd ? atof(argv[5 + zstd]) : 2;
    struct frames frames;
    if (argc < 5 || !signal) {
        fprintf(stderr, "usage: %s traces|metrics|logs FILE OUT json|proto [zstd] [SECONDS]\n",
                argv[0]);
        return 2;
    }
    struct plugin_host *h = plugin_host_create();
    const sl_type *type = sluice_plugin.types[0];
    struct exporter e = {.base.host = &h->host,
                         .path = sl_str(argv[3]),
                         .directory_permissions = sl_str("0755"),
                         .format = strcmp(argv[4], "proto") == 0 ? FORMAT_PROTO : FORMAT_JSON,
                         .compression_name = zstd ? sl_str("zstd") : sl_slice(NULL, 0)};
    sl_error error = {.size = sizeof error};
    h->name = "file";
    if (!frames_read(argv[2], &frames))
        return 1;
    if (type->prepare(&e, &error) != SL_OK || type->start(&e, &error) != SL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    uint64_t in = 0, out = 0;
    double took = 0;
    for (size_t i = 0; took < seconds; i = (i + 1) % frames.n) {
        sl_delivery *d = plugin_host_delivery_of(h, signal, &frames.at[i], 1, 1);
        sl_send send = {.size = sizeof send, .error.size = sizeof send.error};
        const double start = cpu_now();
        const int32_t status = type->send(&e, d, &send);
        took += cpu_now() - start;
        plugin_host_end(h, d, SL_DELIVERED, NULL);
        if (status != SL_OK) {
            fprintf(stderr, "%s\n", send.error.text);
            return 1;
        }
        in += frames.at[i].n;
        if (e.output->size > MOST) {
            out += e.output->size;
            type->destroy(&e);
            if (type->start(&e, &error) != SL_OK)
                return 1;
        }
    }
    out += e.output->size;
    printf("{\"bench\":\"file\",\"signal\":\"%s\",\"format\":\"%s\",\"compression\":\"%s\","
           "\"protobuf_mb_per_s\":%.0f,\"file_mb_per_s\":%.0f}\n",
           argv[1], argv[4], zstd ? "zstd" : "", (double)in / took * 1e-6,
           (double)out / took * 1e-6);
    type->destroy(&e);
    plugin_host_destroy(h);
    (void)unlink(argv[3]);
    frames_deinit(&frames);
    return 0;
}
