#!/usr/bin/env python3
"""CPU per request of HTTP server libraries that take OTLP bodies, and the cost of opening them.

Each server reads the body into one piece of memory and answers 200 without a body; bench_load
sends over eight kept-alive connections. Servers take turns; medians are printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from measure import Process, free_port, send  # noqa: E402
from run import Data  # noqa: E402

SERVERS = {
    "libmicrohttpd": ["bench_http_mhd"],
    "libmicrohttpd, pooled bodies": ["bench_http_mhd", "--pool"],
    "libmicrohttpd, pooled bodies, 1 MiB a connection":
        ["bench_http_mhd", "--pool", "--memory", "1048576"],
    "http-parser on libuv": ["bench_http_uv"],
    "http-parser on libuv, pooled bodies": ["bench_http_uv", "--pool"],
}
LIBRARIES = ("libmicrohttpd.so.12", "libhttp_parser.so.2.9", "libuv.so.1", "libnghttp2.so.14",
             "libgnutls.so.30", "libssl.so.3")


def run_once(options, folder, command, data, requests):
    every = sorted(os.sched_getaffinity(0))
    mine, others = ({every[-1]}, set(every[:-1])) if len(every) > 1 else (None, None)
    port = free_port()
    server = Process([f"{options.build}/{command[0]}", *command[1:], str(port)], folder, mine)
    try:
        server.wait_port(port)
        load = dict(cpus=others, connections=2, in_flight=4)
        send(options.build, "http", port, data, requests=requests // 5, **load)
        before = server.quiet_cpu_ns()
        report = send(options.build, "http", port, data, requests=requests, **load)
        after = server.quiet_cpu_ns()
        if report["acknowledged"] != requests:
            sys.exit(f"{command}: {report}")
        return {"us": (after - before) / requests / 1000, "rss_kib": server.memory_kib()["VmHWM"],
                "p50_ms": report["p50_ms"]}
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--data", required=True, help="folder with traces-1000.otlp, traces-20.otlp")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for items, requests in ((1000, 4000), (20, 40000)):
            data = Data(os.path.join(options.data, f"traces-{items}.otlp"), "traces", items)
            runs = {name: [] for name in SERVERS}
            for _ in range(options.runs):
                for name, command in SERVERS.items():
                    runs[name].append(run_once(options, folder, command, data, requests))
            for name, results in runs.items():
                print(json.dumps({
                    "server": name, "spans": items,
                    **{f"{key}": round(statistics.median(r[key] for r in results), 2)
                       for key in ("us", "rss_kib", "p50_ms")},
                    "us_runs": [round(r["us"], 1) for r in results]}), flush=True)
    for library in LIBRARIES:
        results = [json.loads(subprocess.check_output([f"{options.build}/bench_dlopen", library]))
                   for _ in range(21)]
        print(json.dumps({"library": library,
                          "ms": statistics.median(r["ms"] for r in results),
                          "rss_kib": statistics.median(r["rss_kib"] for r in results)}))


if __name__ == "__main__":
    main()
