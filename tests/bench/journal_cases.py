"""What a pipeline's journal costs, and how it takes an outage of the destination."""

import os
import shutil
import statistics
import threading
import time

from measure import BenchError, Sink, send
from systems import Collector


def folder(context, name):
    """A fresh directory for a journal, on the file system that --journal names."""
    path = os.path.join(context.journal_folder or context.folder, f"journal-{name}")
    shutil.rmtree(path, ignore_errors=True)
    return path


def cost(context, kind, durability, items, requests, run_in_turns, median):
    """CPU per span with a journal against none, and what it keeps in memory."""
    data = context.data("traces", items)
    plain = Collector(kind)
    kept = Collector(kind, name="sluice-journal",
                     journal=(folder(context, durability), durability, "2GiB"))
    rounds = run_in_turns(context, [plain, kept], data, requests)
    added = statistics.median(r[kept.name]["cpu_ns_per_item"] - r["sluice"]["cpu_ns_per_item"]
                              for r in rounds)
    return {"spans": items, "durability": durability, "added_ns_per_item": round(added, 1),
            "without_ns_per_item": round(median(rounds, "sluice", "cpu_ns_per_item"), 1),
            "rss_kib": median(rounds, kept.name, "rss_kib"),
            "without_rss_kib": median(rounds, "sluice", "rss_kib"),
            "runs": [{s: r[s]["cpu_ns_per_item"] for s in r} for r in rounds]}


def outage(context, kind, max_mib):
    """The destination answers; it refuses until the journal is full; it answers again while new data
    comes. Rates, memory, and whether all that was acknowledged arrives."""
    data = context.data("traces", 1000)
    load = dict(connections=4, in_flight=2, timeout=30)
    path = folder(context, "outage")
    sink = Sink(kind, context.build, context.folder, extra=["--refuse"])
    process = None
    try:
        sink.switch()  # from refusing to answering
        system = Collector(kind, wait_for_result=False,
                           journal=(path, "process", f"{max_mib}MiB"))
        process, port = system.start(context, sink.port, None)
        before = send(context.build, kind, port, data, duration=3, **load)
        drain(process, sink, before["bytes_acknowledged"])
        sink.switch()
        peak_before = process.memory_kib()["VmRSS"]
        samples, stop = [], threading.Event()
        watcher = threading.Thread(target=watch, args=(process, samples, stop))
        watcher.start()
        filled = send(context.build, kind, port, data, duration=max(max_mib / 250, 2), **load)
        stop.set()
        watcher.join()
        sink.switch()
        since = time.monotonic()
        during = send(context.build, kind, port, data, duration=3, **load)
        sent = sum(r["bytes_acknowledged"] for r in (before, filled, during))
        received = drain(process, sink, sent)
        drained_s = time.monotonic() - since
    finally:
        if process:
            process.stop()
        sink.stop()
        shutil.rmtree(path, ignore_errors=True)
    if received < sent:
        raise BenchError(f"{sent - received} bytes of what was acknowledged did not arrive")
    return {"max_mib": max_mib, "items_per_s": before["items_per_s"],
            "items_per_s_in_outage": filled["items_per_s"],
            "mib_kept": round(filled["bytes_acknowledged"] / 2 ** 20),
            "refused_in_outage": filled["refused_retryable"],
            "items_per_s_while_draining": during["items_per_s"],
            "share_of_rate_while_draining": round(during["items_per_s"] / before["items_per_s"], 2),
            "drained_s": round(drained_s, 1), "rss_kib_before": peak_before,
            "rss_kib_in_outage": [min(samples), statistics.median(samples), max(samples)]}


def watch(process, samples, stop):
    while not stop.wait(0.1):
        samples.append(process.memory_kib()["VmRSS"])


def drain(process, sink, expected, patience_s=60):
    """Waits until the destination has acknowledged so many bytes, or got none for a while."""
    got, since = sink.counts()["acknowledged_bytes"], time.monotonic()
    while got < expected and time.monotonic() - since < patience_s:
        time.sleep(0.05)
        process.check()
        last, got = got, sink.counts()["acknowledged_bytes"]
        if got > last:
            since = time.monotonic()
    return got
