"""The file exporter: every combination of its formats holds what was sent, a killed process leaves whole
records and all that it acknowledged, and a full disk loses nothing."""
import itertools
import json
import re
import resource
import threading
import unittest
from collections import Counter

from harness import otlp, wire, zstd
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.send import Load
from harness.waiting import wait_until

SIGNALS = tuple(otlp.SIGNALS)
QUICK = {"initial_interval": "50ms", "max_interval": "100ms", "randomization_factor": 0}
ROTATED = r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}"


def records(path, keys):
    """The records of a file, as bytes of protobuf or as parsed JSON."""
    compressed = keys.get("compression") == "zstd"
    if keys["format"] == "json" and not compressed:
        return otlp.read_lines(path)
    frames = otlp.read_frames(path)
    if compressed:
        frames = [zstd.decompress(frame) for frame in frames]
    if keys["format"] == "json":
        return [json.loads(frame, parse_int=float) for frame in frames]
    return frames


class Formats(EndToEnd):
    def kinds(self):
        """Name and keys of an exporter for each combination."""
        for form, compression, rotating, grouped in itertools.product(
                ("json", "proto"), ("", "zstd"), (False, True), (False, True)):
            name = f"{form}-{compression or 'plain'}-{'rotated' if rotating else 'one'}" \
                   f"-{'grouped' if grouped else 'whole'}"
            keys = {"format": form, "compression": compression, "create_directory": True}
            if rotating:
                keys["rotation"] = {"max_megabytes": 1, "max_backups": 0}
            if grouped:
                keys["group_by"] = {"enabled": True, "resource_attribute": "service.name",
                                    "max_open_files": 2}
            yield name, keys

    def setUp(self):
        super().setUp()
        self.exporters, pipelines = {}, {}
        for signal in SIGNALS:
            named = {}
            for name, keys in self.kinds():
                directory = self.file(signal) / name
                path = directory / ("to/*/x.data" if "group_by" in keys else "x.data")
                named[f"file/{signal}-{name}"] = {**keys, "path": str(path)}
            pipelines[signal] = pipeline(exporters=list(named))
            self.exporters.update(named)
        self.through = self.sluice(self.config(pipelines, self.exporters))
        self.sent = {signal: [] for signal in SIGNALS}

    def send(self, times=1):
        client = self.client(self.through, "http")
        for signal in SIGNALS:
            for body in otlp.recorded(signal) * times:
                self.assert_sent(client.send(signal, body))
                self.sent[signal].append(body)

    def files(self, signal, name):
        """All files of an exporter, the rotated ones first and in order."""
        found = sorted(p for p in (self.file(signal) / name).rglob("*") if p.is_file())
        for path in found:
            self.assertRegex(path.name, rf"^x({ROTATED})?\.data$")
        return sorted(found, key=lambda p: (p.parent, p.name == "x.data", p.name))

    def services(self, signal, data):
        return {a.value.string_value for r in getattr(otlp.parse(signal, data), {
            "traces": "resource_spans", "metrics": "resource_metrics", "logs": "resource_logs"}[signal])
            for a in r.resource.attributes if a.key == "service.name"}

    def test_every_combination_holds_what_was_sent(self):
        self.send(times=2)
        self.finish_empty(self.through)
        for signal in SIGNALS:
            grouped_frames = None
            for name, keys in sorted(self.kinds(), key=lambda k: k[0], reverse=True):  # proto first
                with self.subTest(signal=signal, exporter=name):
                    files = self.files(signal, name)
                    found = [r for path in files for r in records(path, keys)]
                    sizes = [path.stat().st_size for path in files]
                    if "rotation" in keys:
                        self.assertLessEqual(max(sizes), 1 << 20)
                    elif "group_by" not in keys:
                        self.assertEqual(len(files), 1)
                    if "group_by" not in keys:
                        if keys["format"] == "json":
                            self.assertIsNone(otlp.json_difference(signal, self.sent[signal], found))
                        else:
                            self.assertEqual(found, self.sent[signal])  # in order, too
                        continue
                    if keys["format"] == "json":
                        self.assertIsNone(otlp.json_difference(signal, grouped_frames, found))
                        continue
                    grouped_frames = found
                    expected, arrived = (wire.items(signal, *r) for r in (self.sent[signal], found))
                    self.assertEqual(expected, arrived)
                    for path in files:
                        for record in records(path, keys):
                            self.assertEqual(self.services(signal, record), {path.parent.name})
        rotated = [p for p in self.directory.rglob("*") if re.search(ROTATED, p.name)]
        self.assertGreater(len(rotated), 3, "nothing was rotated, so nothing was shown")


class Crash(EndToEnd):
    KINDS = {"json": {"format": "json", "append": True},
             "proto": {"format": "proto", "append": True},
             "zstd": {"format": "proto", "append": True, "compression": "zstd", "fsync": "interval"},
             "zstd json": {"format": "json", "append": True, "compression": "zstd"},
             "rotated": {"format": "json", "rotation": {"max_megabytes": 1}},
             "synced": {"format": "proto", "append": True, "fsync": "always"}}

    def arrived(self, keys):
        found = Counter()
        for path in self.directory.glob("out*.data"):
            for record in records(path, keys):
                if keys["format"] == "json":
                    found.update(int(a["value"]["intValue"]) for r in record["resourceSpans"]
                                 for s in r["scopeSpans"] for span in s["spans"]
                                 for a in span["attributes"] if a["key"] == "seq")
                else:
                    found.update(otlp.seqs("traces", record))
        return found

    def killed_and_started_again(self, keys):
        path = self.file("out.data")
        config = self.config({"traces": pipeline()}, {"file": {**keys, "path": str(path)}})
        sluice = self.sluice(config)
        load = Load([self.client(sluice, "http") for _ in range(3)],
                    lambda seqs: otlp.spans(seqs, padding=3000), items=50).start()
        wait_until(lambda: len(load.acknowledged) >= 3000, "acknowledgements", 30)
        sluice.kill()
        load.stop()
        again = self.sluice(config, name="again")
        self.assert_sent(self.client(again, "http").send("traces", otlp.spans([9_999_999])))
        self.finish(again)
        arrived = self.arrived(keys)
        self.assertEqual((load.acknowledged | {9_999_999}) - set(arrived), set(),
                         "acknowledged, and lost")
        self.assertEqual(max(arrived.values()), 1, "something was written twice")
        for file in self.directory.glob("out*.data"):
            file.unlink()

    def test_killed(self):
        for name, keys in self.KINDS.items():
            with self.subTest(name):
                self.killed_and_started_again(keys)


class Trouble(EndToEnd):
    def test_a_full_disk(self):
        """The limit on a file's size stands in for the disk's: writes fall short, and then fail."""
        for keys in ({"format": "json"}, {"format": "proto"},
                     {"format": "proto", "compression": "zstd"}):
            with self.subTest(**keys):
                path = self.file("out.data")
                sluice = self.sluice(self.config(
                    {"traces": pipeline()},
                    {"file": {**keys, "path": str(path), "retry_on_failure": QUICK}}))
                client = self.client(sluice, "http")
                for i in range(10):
                    self.assert_sent(client.send("traces", otlp.spans([i], padding=1000)))
                # not at the end of a record
                _, hard = resource.prlimit(sluice.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(sluice.pid, resource.RLIMIT_FSIZE, (path.stat().st_size + 7, hard))
                answers = []
                sender = threading.Thread(
                    target=lambda: answers.append(
                        client.send("traces", otlp.spans([10], padding=1000))))
                sender.start()
                sluice.wait_log("Will retry the request after interval", 3)
                self.assertEqual(len(records(path, keys)), 10)  # whole, while it is full
                self.assertEqual(answers, [])
                resource.prlimit(sluice.pid, resource.RLIMIT_FSIZE, (hard, hard))
                sender.join(20)
                self.assertTrue(answers and answers[0].ok, answers)
                self.finish(sluice)
                self.assertEqual(len(records(path, keys)), 11)

    def test_a_disk_that_stays_full(self):
        sluice = self.sluice(self.config(
            {"traces": pipeline()},
            {"file": {"path": "/dev/full",
                      "retry_on_failure": {"enabled": False}}}))
        self.expect_errors(sluice, "No space left on device")
        for transport in ("http", "grpc"):
            answer = self.client(sluice, transport).send("traces", otlp.spans([1]))
            self.assertFalse(answer.ok)
            self.assertTrue(answer.retryable, answer)
        self.finish(sluice)

    def test_two_processes_and_one_file(self):
        exporter = {"file": {"path": str(self.file("out.json"))}}
        first = self.sluice(self.config({"traces": pipeline()}, exporter))
        self.assert_sent(self.client(first, "http").send("traces", otlp.spans([1])))
        second = self.sluice(self.config({"traces": pipeline()}, exporter), start=False, name="second")
        second.start(wait=False)
        self.assertEqual(second.wait(), 1)
        self.assertTrue(second.find("another process writes it"), second.log())
        self.assertEqual(len(otlp.read_lines(self.file("out.json"))), 1)

    def test_several_signals_in_one_file(self):
        path = self.file("out.json")
        sluice = self.sluice(self.config(self.all_signals(), {"file": {"path": str(path)}}))
        client = self.client(sluice, "http")
        for i in range(20):
            for signal in SIGNALS:
                self.assert_sent(client.send(signal, otlp.MAKE[signal]([i])))
        self.finish(sluice)
        kinds = Counter(next(iter(line)) for line in otlp.read_lines(path))
        self.assertEqual(kinds, {"resourceSpans": 20, "resourceMetrics": 20, "resourceLogs": 20})


if __name__ == "__main__":
    unittest.main()
