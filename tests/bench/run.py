#!/usr/bin/env python3
"""Runs the benchmarks; see README.md beside this file.

Every figure is of the measured process alone, for a fixed amount of work, as the median of
several runs; each run starts fresh processes, and the systems that are compared take turns.
"""

import argparse
import itertools
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import journal_cases
import templates
from measure import BenchError, Process, Sink, cpu_ns, free_port, memory_kib, send
from systems import Collector, Context, Relay, collector_command


# ---- one run --------------------------------------------------------------------------------


def children_ns():
    """CPU time of the load programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


class Machine:
    """How much of the processors went to anything but this benchmark: where it is more than
    a few percent, the figures of the run are worth little."""

    def __init__(self):
        self.start = self.read()

    @staticmethod
    def read():
        with open("/proc/stat", encoding="ascii") as f:
            ticks = [int(x) for x in f.readline().split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # busy, all

    def foreign_share(self, own_ns):
        busy, every = (now - then for now, then in zip(self.read(), self.start))
        own = own_ns / 1e9 * os.sysconf("SC_CLK_TCK")
        return round(max(busy - own, 0) / max(every, 1), 3)


def run_once(context, system, data, requests, pinned=True):
    """Sends `requests` after a warm-up of a fifth; returns what they cost and what was received."""
    sut_cpus, other_cpus = context.cpus(pinned)
    sink = Sink(system.kind, context.build, context.folder, other_cpus)
    process = None
    try:
        process, port = system.start(context, sink.port, sut_cpus)
        load = dict(cpus=other_cpus, connections=2, in_flight=4, timeout=30)
        warm = send(context.build, system.kind, port, data, requests=max(requests // 5, 8), **load)
        before = process.quiet_cpu_ns()
        machine, others = Machine(), cpu_ns(sink.pid) + children_ns()
        report = send(context.build, system.kind, port, data, requests=requests, **load)
        after = process.quiet_cpu_ns()
        others = cpu_ns(sink.pid) + children_ns() - others
        memory = process.memory_kib()
        received = sink.counts()
    finally:
        if process:
            process.stop()
        sink.stop()
    bytes_sent = warm["bytes_acknowledged"] + report["bytes_acknowledged"]
    arrived = received["bytes"] == bytes_sent if system.keeps_bytes else received["bytes"] > 0
    if report["acknowledged"] != requests or not arrived:
        raise BenchError(f"{system.name}: {report['acknowledged']} of {requests} requests were "
                         f"acknowledged, {received['bytes']} of {bytes_sent} bytes arrived "
                         f"({report['last_problem']})")
    return {
        "system": system.name,
        "cpu_ns_per_item": (after - before) / report["items_acknowledged"],
        "cpu_us_per_request": (after - before) / requests / 1000,
        "items_per_s": report["items_per_s"],
        "p50_ms": report["p50_ms"],
        "p99_ms": report["p99_ms"],
        "bytes_per_item": report["bytes_per_item"],
        "rss_kib": memory["VmRSS"],
        "rss_anon_kib": memory["RssAnon"],
        "peak_rss_kib": memory["VmHWM"],
        "foreign_share": machine.foreign_share(after - before + others),
    }


def run_in_turns(context, systems, data, requests, pinned=True):
    """All systems, as often as asked, in an order that turns round each time."""
    rounds = []
    for i in range(context.runs):
        order = systems if i % 2 == 0 else systems[::-1]
        results = {s.name: run_once(context, s, data, requests, pinned) for s in order}
        rounds.append(results)
    return rounds


def median(rounds, system, key):
    return statistics.median(r[system][key] for r in rounds)


def ratio(rounds, system, base, key="cpu_ns_per_item"):
    """Median of the quotients within each round, in which drift of the machine cancels."""
    return round(statistics.median(r[system][key] / r[base][key] for r in rounds), 3)


def costs(rounds, system):
    return {key: round(median(rounds, system, key), 1)
            for key in ("cpu_ns_per_item", "cpu_us_per_request", "items_per_s", "p50_ms", "p99_ms",
                        "rss_kib", "rss_anon_kib", "peak_rss_kib")} | {
        "foreign_share": round(median(rounds, system, "foreign_share"), 3)}


def flat(rounds):
    """The runs for the report, with figures rounded."""
    return [{k: round(v, 2) if isinstance(v, float) else v for k, v in run.items()}
            for results in rounds for run in results.values()]


# ---- cases ----------------------------------------------------------------------------------


def requests_for(context, items):
    return max(int((3000 if items >= 1000 else 40000) * context.scale), 40)


def transport(context, kind, signal, items):
    """Pass-through against the bare relay of the same transport."""
    data = context.data(signal, items)
    systems = [Relay(kind), Collector(kind, signal=signal)]
    if kind == "grpc":
        systems.insert(1, Relay(kind, tuned=True))
    rounds = run_in_turns(context, systems, data, requests_for(context, items))
    result = {"spans": items, "signal": signal,
              "bytes_per_item": median(rounds, "sluice", "bytes_per_item"),
              **costs(rounds, "sluice"),
              "relay_ns_per_item": round(median(rounds, "relay", "cpu_ns_per_item"), 1),
              "ratio": ratio(rounds, "sluice", "relay")}
    if kind == "grpc":
        result["tuned_relay_ns_per_item"] = round(
            median(rounds, "relay-tuned", "cpu_ns_per_item"), 1)
        result["tuned_ratio"] = ratio(rounds, "sluice", "relay-tuned")
    return {**result, "runs": flat(rounds)}


def batch(context, kind):
    """What the batch processor adds to each span. Batches of four requests, so that the eight in
    flight fill two, and no answer waits for the batch's timeout."""
    data = context.data("traces", 1000)
    plain = Collector(kind)
    batched = Collector(kind, name="sluice-batch", batch_size=4000)
    rounds = run_in_turns(context, [plain, batched], data, requests_for(context, 1000))
    added = statistics.median(r["sluice-batch"]["cpu_ns_per_item"] - r["sluice"]["cpu_ns_per_item"]
                              for r in rounds)
    return {"spans": 1000, "added_ns_per_item": round(added, 1), **costs(rounds, "sluice-batch"),
            "without_ns_per_item": round(median(rounds, "sluice", "cpu_ns_per_item"), 1),
            "runs": flat(rounds)}


def transform(context, kind, processor):
    """What a processor adds to each span."""
    data = context.data("traces", 1000)
    plain = Collector(kind)
    changed = Collector(kind, name="sluice-" + processor, processor=processor)
    rounds = run_in_turns(context, [plain, changed], data, requests_for(context, 1000))
    added = statistics.median(r[changed.name]["cpu_ns_per_item"] - r["sluice"]["cpu_ns_per_item"]
                              for r in rounds)
    return {"spans": 1000, "added_ns_per_item": round(added, 1), **costs(rounds, changed.name),
            "without_ns_per_item": round(median(rounds, "sluice", "cpu_ns_per_item"), 1),
            "runs": flat(rounds)}


def journal_cost(context, kind, durability, items):
    need_sut(context)
    return journal_cases.cost(context, kind, durability, items, requests_for(context, items),
                              run_in_turns, median)


def lanes(context, kind):
    """CPU per span with two lanes against one, on all processors."""
    data = context.data("traces", 1000)
    one = Collector(kind, name="sluice-1", lanes=1)
    two = Collector(kind, name="sluice-2", lanes=2)
    rounds = run_in_turns(context, [one, two], data, requests_for(context, 1000), pinned=False)
    return {"spans": 1000, "ratio": ratio(rounds, "sluice-2", "sluice-1"),
            **costs(rounds, "sluice-2"),
            "one_lane_ns_per_item": round(median(rounds, "sluice-1", "cpu_ns_per_item"), 1),
            "runs": flat(rounds)}


def floors(context):
    """The relays alone."""
    for signal, items, kind in itertools.product(("traces",), (1000, 20), ("grpc", "http")):
        data = context.data(signal, items)
        systems = [Relay(kind)] + ([Relay(kind, tuned=True)] if kind == "grpc" else [])
        rounds = run_in_turns(context, systems, data, requests_for(context, items))
        for s in systems:
            emit({"case": f"floor-{kind}-{items}", "system": s.name, "spans": items,
                  "bytes_per_item": median(rounds, s.name, "bytes_per_item"),
                  **costs(rounds, s.name), "runs": flat([{s.name: r[s.name]} for r in rounds])})


def need_sut(context):
    if not context.sut:
        raise BenchError("this case needs a collector (--sut)")


def idle(context):
    """Memory with both OTLP servers up and nothing to do."""
    need_sut(context)
    runs = []
    for _ in range(context.runs):
        ports = {"grpc": free_port(), "http": free_port()}
        process = Process(collector_command(context, templates.config(None, ports, None)),
                          context.folder)
        try:
            for port in ports.values():
                process.wait_port(port)
            process.quiet_cpu_ns()
            start = cpu_ns(process.pid)
            time.sleep(2)
            runs.append({**memory_kib(process.pid),
                         "cpu_ms_per_s": (cpu_ns(process.pid) - start) / 2e6})
        finally:
            process.stop()
    return {"rss_kib": statistics.median(r["VmRSS"] for r in runs),
            "rss_anon_kib": statistics.median(r["RssAnon"] for r in runs),
            "cpu_ms_per_s": round(statistics.median(r["cpu_ms_per_s"] for r in runs), 3),
            "runs": runs}


class MemoryWatch(threading.Thread):
    """Reads a process's memory twenty times a second until told to end."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.samples, self.end = pid, [], threading.Event()
        self.start()

    def run(self):
        while not self.end.wait(0.05):
            self.samples.append(memory_kib(self.pid))

    def finish(self):
        self.end.set()
        self.join()
        return self.samples


def rate_100k(context):
    """100,000 spans/s through gRPC, requests of 1000, two in flight: memory and CPU share."""
    data = context.data("traces", 1000)
    runs = []
    for _ in range(context.runs):
        sut_cpus, other_cpus = context.cpus(True)
        sink = Sink("grpc", context.build, context.folder, other_cpus)
        process = None
        try:
            process, port = Collector("grpc").start(context, sink.port, sut_cpus)
            watch = MemoryWatch(process.pid)
            before = process.quiet_cpu_ns()
            report = send(context.build, "grpc", port, data, cpus=other_cpus, connections=1,
                          in_flight=2, item_rate=100_000, duration=10 * min(context.scale, 1))
            after = process.quiet_cpu_ns()
            samples = watch.finish()
            runs.append({"items_per_s": report["items_per_s"],
                         "acknowledged": report["acknowledged"], "p99_ms": report["p99_ms"],
                         "cpu_ns_per_item": (after - before) / report["items_acknowledged"],
                         "peak_rss_kib": process.memory_kib()["VmHWM"],
                         "rss_kib": statistics.median(s["VmRSS"] for s in samples),
                         "rss_anon_kib": statistics.median(s["RssAnon"] for s in samples)})
        finally:
            if process:
                process.stop()
            sink.stop()
    return {"spans": 1000, **{key: round(statistics.median(r[key] for r in runs), 1)
                              for key in runs[0]}, "runs": runs}


def drain(process, sink, expected, patience_s=15):
    """Waits until the destination has taken so many bytes, or has got none for a while."""
    counts, since = sink.counts(), time.monotonic()
    while counts["acknowledged_bytes"] < expected and time.monotonic() - since < patience_s:
        time.sleep(0.2)
        process.check()
        last, counts = counts, sink.counts()
        if counts["acknowledged_bytes"] > last["acknowledged_bytes"]:
            since = time.monotonic()
    return counts


def overload(context, kind):
    """Twice the load that it can take, while the destination stops: peak memory against the
    budget, refusals, and whether all that was acknowledged arrives once the destination is back."""
    need_sut(context)
    data = context.data("traces", 1000)
    top = run_once(context, Collector(kind), data, requests_for(context, 1000), pinned=False)
    runs = []
    for _ in range(context.runs):
        sink = Sink(kind, context.build, context.folder)
        process = None
        try:
            system = Collector(kind, wait_for_result=False, budget_mib=context.budget_mib)
            process, port = system.start(context, sink.port, None)
            stopper = threading.Timer(2, sink.switch)
            stopper.start()
            report = send(context.build, kind, port, data, connections=8, in_flight=8, timeout=10,
                          item_rate=2 * top["items_per_s"], duration=10 * min(context.scale, 1))
            stopper.join()
            peak = process.memory_kib()["VmHWM"]
            sink.switch()
            received = drain(process, sink, report["bytes_acknowledged"])
        finally:
            if process:
                process.stop()
            sink.stop()
        lost = max(report["bytes_acknowledged"] - received["acknowledged_bytes"], 0)
        runs.append({"peak_rss_kib": peak, "acknowledged": report["acknowledged"],
                     "refused": report["refused_retryable"] + report["refused_permanent"],
                     "refused_permanent": report["refused_permanent"],
                     "told_when": report["refusals_delayed"], "failed": report["failed"],
                     "bytes_lost": lost, "last_problem": report["last_problem"]})
    peak = max(r["peak_rss_kib"] for r in runs)
    return {"offered_items_per_s": round(2 * top["items_per_s"]),
            "budget_kib": context.budget_mib * 1024, "peak_rss_kib": peak,
            "ratio": round(peak / (context.budget_mib * 1024), 3),
            "refused": statistics.median(r["refused"] for r in runs),
            "bytes_lost": max(r["bytes_lost"] for r in runs), "runs": runs}


def file_run(context, keys, data, requests):
    """CPU of the process alone for so many requests over HTTP into a file, or into nothing."""
    sut_cpus, other_cpus = context.cpus(True)
    port = free_port()
    process = Process(collector_command(context, templates.file_config(
        {"http": port}, data.signal, keys)), context.folder, sut_cpus)
    try:
        process.wait_port(port)
        load = dict(cpus=other_cpus, connections=2, in_flight=4, timeout=30)
        send(context.build, "http", port, data, requests=max(requests // 5, 8), **load)
        before = process.quiet_cpu_ns()
        machine, others = Machine(), children_ns()
        report = send(context.build, "http", port, data, requests=requests, **load)
        after = process.quiet_cpu_ns()
        others = children_ns() - others
        memory = process.memory_kib()
    finally:
        process.stop()
    if report["acknowledged"] != requests:
        raise BenchError(f"{report['acknowledged']} of {requests} requests were acknowledged "
                         f"({report['last_problem']})")
    return {"cpu_ns": after - before, "items": report["items_acknowledged"],
            "bytes": report["bytes_acknowledged"], "peak_rss_kib": memory["VmHWM"],
            "foreign_share": machine.foreign_share(after - before + others)}


def file_out(context, form, compression=None):
    """What writing to a file adds to a request, in memory (/dev/shm), so that no disk is measured:
    bytes of the file, and of protobuf, for each second of CPU."""
    need_sut(context)
    data = context.data("traces", 1000)
    requests = max(int(800 * context.scale), 40)
    runs = []
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="sluice-bench-") as folder:
        path = os.path.join(folder, "out")
        keys = {"path": path, "format": form}
        if compression:
            keys["compression"] = compression
        for _ in range(context.runs):
            nothing = file_run(context, None, data, requests)
            file = file_run(context, keys, data, requests)
            written = os.path.getsize(path) * requests / (requests + max(requests // 5, 8))
            os.unlink(path)
            added = file["cpu_ns"] - nothing["cpu_ns"]
            runs.append({"added_ns_per_item": added / file["items"],
                         "file_mb_per_s": written / added * 1e3,
                         "protobuf_mb_per_s": file["bytes"] / added * 1e3,
                         "cpu_ns_per_item": file["cpu_ns"] / file["items"],
                         "peak_rss_kib": file["peak_rss_kib"],
                         "foreign_share": max(file["foreign_share"], nothing["foreign_share"])})
    return {"spans": 1000, **{key: round(statistics.median(r[key] for r in runs), 3)
                              for key in runs[0]}, "runs": flat([{str(i): r for i, r in enumerate(runs)}])}


def started(context, command, ports):
    """Starts a program and waits for its first good answers; the times by kind."""
    command = [os.path.abspath(command[0]), *command[1:]]
    probe = [f"{context.build}/bench_startup"]
    for kind, port in ports.items():
        probe += [f"--{kind}", f"127.0.0.1:{port}"]
    done = subprocess.run([*probe, "--", *command], capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip())
    return json.loads(done.stdout.splitlines()[-1])


def startup(context, kinds):
    """From exec to the first good answer of each server, nop exporter; with gRPC in turns with the
    bare gRPC relay, which loads the same libraries."""
    need_sut(context)
    runs = []
    sink = Sink("grpc", context.build, context.folder) if "grpc" in kinds else None
    try:
        for _ in range(max(context.runs, 11)):
            ports = {kind: free_port() for kind in kinds}
            run = started(context, collector_command(
                context, templates.config(None, ports, None)), ports)
            if sink:
                port = free_port()
                relay = started(context, [f"{context.build}/bench_relay_grpc",
                                          "--listen", f"127.0.0.1:{port}",
                                          "--upstream", f"127.0.0.1:{sink.port}"], {"grpc": port})
                run |= {f"relay_{key}": relay[key] for key in ("grpc_connected_ms", "grpc_ms")}
                run["ratio"] = run["grpc_ms"] / relay["grpc_ms"]
            runs.append(run)
    finally:
        if sink:
            sink.stop()
    keys = [key for key in runs[0] if key.endswith("_ms")]
    # other work on the machine only ever adds, so the least is worth knowing too
    return {**{key: statistics.median(r[key] for r in runs) for key in keys},
            **{f"{key}_least": min(r[key] for r in runs) for key in keys},
            **({"ratio": round(statistics.median(r["ratio"] for r in runs), 3)} if sink else {}),
            "runs": runs}


# ---- TLS ------------------------------------------------------------------------------------


def make_certificate(context):
    """Files beside each other, named by what is returned with .pem and .key behind."""
    base = os.path.join(context.folder, "server")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout",
                    base + ".key", "-out", base + ".pem"], check=True, capture_output=True)
    return base


def taken(context, kind, data, requests, tls, program):
    """CPU in us for each request that a server takes and forgets, with TLS through a front."""
    sut_cpus, other_cpus = context.cpus(True)
    port, front = free_port(), None
    if program == "sluice":
        config = templates.config(None, {kind: port}, None, tls=tls)
        process = Process(collector_command(context, config), context.folder, sut_cpus)
    else:
        process = Process([f"{context.build}/{program}", "--listen", f"127.0.0.1:{port}",
                           *(["--tls", tls] if tls else [])], context.folder, sut_cpus)
    try:
        process.wait_port(port)
        if tls:
            to, port = port, free_port()
            front = Process([f"{context.build}/bench_tls_front", "--listen", f"127.0.0.1:{port}",
                             "--upstream", f"127.0.0.1:{to}",
                             *(["--h2"] if kind == "grpc" else [])], context.folder, other_cpus)
            front.wait_port(port)
        load = dict(cpus=other_cpus, connections=2, in_flight=4, timeout=30)
        send(context.build, kind, port, data, requests=max(requests // 5, 8), **load)
        before = process.quiet_cpu_ns()
        report = send(context.build, kind, port, data, requests=requests, **load)
        used = process.quiet_cpu_ns() - before
    finally:
        for p in (front, process):
            if p:
                p.stop()
    if report["acknowledged"] != requests:
        raise BenchError(f"{report['acknowledged']} of {requests} requests were acknowledged "
                         f"({report['last_problem']})")
    return used / requests / 1000


def tls_cost(context, kind, items):
    """What TLS adds to each request, against what OpenSSL alone adds for the same bytes; and over
    gRPC against what gRPC's own TLS adds."""
    need_sut(context)
    data, tls = context.data("traces", items), make_certificate(context)
    requests = requests_for(context, items) // 2
    programs = ["sluice"] + (["bench_sink_grpc"] if kind == "grpc" else [])
    runs = []
    for _ in range(context.runs):
        run = {}
        for program in programs:
            for secure in (None, tls):
                key = program.replace("bench_sink_grpc", "grpc") + ("_tls" if secure else "_plain")
                run[key + "_us"] = taken(context, kind, data, requests, secure, program)
        size = os.path.getsize(data.path) // len(list(frames(data.path)))
        floor = subprocess.run([f"{context.build}/bench_tls_floor", tls + ".pem", tls + ".key",
                                str(size), str(requests)], capture_output=True, text=True,
                               check=True)
        run |= {"openssl_" + k: v for k, v in json.loads(floor.stdout).items()}
        runs.append(run)
    middle = {k: round(statistics.median(r[k] for r in runs), 1) for k in runs[0]}
    added = {p: round(statistics.median(r[p + "_tls_us"] - r[p + "_plain_us"] for r in runs), 1)
             for p in ("sluice", "openssl") + (("grpc",) if kind == "grpc" else ())}
    return {"items": items, **middle, "added_us": added,
            "ratio": round(statistics.median(
                (r["sluice_tls_us"] - r["sluice_plain_us"]) /
                (r["openssl_tls_us"] - r["openssl_plain_us"]) for r in runs), 3), "runs": runs}


def frames(path):
    """The lengths of a framed file's requests."""
    with open(path, "rb") as f:
        while head := f.read(4):
            n = int.from_bytes(head, "big")
            f.seek(n, os.SEEK_CUR)
            yield n


SIGNALS = ("traces", "logs", "metrics")
CASES = {
    **{f"{kind}-{items}-{signal}": (lambda c, k=kind, s=signal, n=items: transport(c, k, s, n))
       for kind in ("grpc", "http") for items in (1000, 20) for signal in SIGNALS},
    "batch-grpc": lambda c: batch(c, "grpc"),
    "batch-http": lambda c: batch(c, "http"),
    **{f"{processor}-{kind}": (lambda c, k=kind, p=processor: transform(c, k, p))
       for processor in templates.PROCESSORS for kind in ("http", "grpc")},
    "lanes-grpc": lambda c: lanes(c, "grpc"),
    "lanes-http": lambda c: lanes(c, "http"),
    "file-proto": lambda c: file_out(c, "proto"),
    "file-json": lambda c: file_out(c, "json"),
    "file-zstd": lambda c: file_out(c, "proto", "zstd"),
    "idle": idle,
    "rate-100k": rate_100k,
    "overload-grpc": lambda c: overload(c, "grpc"),
    "overload-http": lambda c: overload(c, "http"),
    "startup-http": lambda c: startup(c, ["http"]),
    "startup-both": lambda c: startup(c, ["http", "grpc"]),
    **{f"journal-{kind}-{items}": (lambda c, k=kind, n=items: journal_cost(c, k, "process", n))
       for kind in ("http", "grpc") for items in (1000, 20)},
    "journal-power-http": lambda c: journal_cost(c, "http", "power", 1000),
    "journal-outage-http": lambda c: journal_cases.outage(c, "http", max(int(2048 * c.scale), 64)),
    "floors": floors,
    **{f"tls-{kind}-{items}": (lambda c, k=kind, n=items: tls_cost(c, k, n))
       for kind in ("http", "grpc") for items in (1000, 20)},
}


def emit(result):
    print(json.dumps(result), flush=True)


def select(names):
    """A name selects the case, or all whose names begin with it: `grpc`, `http-1000`, `startup`."""
    chosen = []
    for name in names:
        found = [c for c in CASES if c == name or c.startswith(name + "-")]
        if not found:
            sys.exit(f'run.py: no case "{name}"; there are: {", ".join(CASES)}')
        chosen += [c for c in found if c not in chosen]
    return chosen


def main():
    repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="case names or their beginnings; default: all")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--build", default=os.path.join(repository, "build"),
                        help="folder with the bench_* programs")
    parser.add_argument("--sut", help='the collector; default: BUILD/sluice; "relay": the bare '
                                      "relay stands in, to try the runner")
    parser.add_argument("--data", help="folder with SIGNAL-ITEMS.otlp files of framed requests; "
                                       "what is missing is generated")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1, help="amount of work, 1 as published")
    parser.add_argument("--no-pin", action="store_true",
                        help="leave all processes to the scheduler")
    parser.add_argument("--budget-mib", type=int, default=256, help="of the overload cases")
    parser.add_argument("--journal", metavar="DIR",
                        help="where the journal cases keep theirs; default: the temporary folder")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return 0
    sut = options.sut or os.path.join(options.build, "sluice")
    if sut != "relay" and not os.access(sut, os.X_OK):
        sys.exit(f"run.py: {sut} is not there; build it, or say --sut PATH")
    # so that the processes at hand are ended too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.py: ended"))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        context = Context(build=options.build, sut=None if sut == "relay" else os.path.abspath(sut),
                          runs=options.runs, scale=options.scale, pin=not options.no_pin,
                          folder=folder, data_folder=options.data or f"{options.build}/bench-data",
                          budget_mib=options.budget_mib, journal_folder=options.journal)
        for name in select(options.cases) if options.cases else CASES:
            try:
                result = CASES[name](context)
                if result:
                    emit({"case": name, **result})
            except BenchError as problem:
                failed += 1
                emit({"case": name, "problem": str(problem)})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
