"""One sluice through which everything goes: OTLP in over both protocols, and out through every exporter
that there is, to files and to recording destinations. What comes out is compared with what went in."""
from collections import Counter

from . import otlp, wire
from .case import EndToEnd, pipeline

SIGNALS = tuple(otlp.SIGNALS)


class Through(EndToEnd):
    """Derived tests call open() and at the end close()."""

    def open(self, processors=None, lanes=1):
        self.grpc_to, self.http_to = self.grpc_destination(), self.http_destination()
        self.grpc_plain, self.http_plain = self.grpc_destination(), self.http_destination()
        exporters = {
            "file/proto": {"path": str(self.file("{}.proto")), "format": "proto"},
            "file/json": {"path": str(self.file("{}.jsonl"))},
            "otlp": {"endpoint": self.grpc_to.endpoint, "tls": {"insecure": True}},
            "otlp/plain": {"endpoint": self.grpc_plain.endpoint, "tls": {"insecure": True},
                           "compression": "none"},
            "otlphttp": {"endpoint": self.http_to.endpoint},
            "otlphttp/plain": {"endpoint": self.http_plain.endpoint, "compression": "none"}}
        named, pipelines = {}, {}
        for signal in SIGNALS:  # a file holds one signal
            mine = {f"{k}-{signal}": {**v, "path": v["path"].format(signal)}
                    for k, v in exporters.items() if k.startswith("file/")}
            named.update(mine)
            pipelines[signal] = pipeline(
                exporters=[*mine, *(e for e in exporters if not e.startswith("file/"))],
                processors=tuple(processors or ()), lanes=lanes)
        named.update({k: v for k, v in exporters.items() if not k.startswith("file/")})
        self.through = self.sluice(self.config(pipelines, named, processors=processors))
        return self.through

    def outputs(self, signal):
        """Name and requests, in protobuf, of each exporter."""
        yield "file/proto", otlp.read_frames(self.file(f"{signal}.proto"))
        yield "otlp", self.grpc_to.bodies(signal)
        yield "otlp/plain", self.grpc_plain.bodies(signal)
        yield "otlphttp", self.http_to.bodies(signal)
        yield "otlphttp/plain", self.http_plain.bodies(signal)

    def _check_counts(self, page, sent):
        for signal, requests in sent.items():
            n = sum(self.count(signal, r) for r in requests)
            items = otlp.SIGNALS[signal].items
            self.assertEqual(page.sum(f"otelcol_receiver_accepted_{items}", receiver="otlp"), n)
            self.assertEqual(page.sum(f"otelcol_exporter_sent_{items}"), 6 * n, page)

    @staticmethod
    def count(signal, data):
        return sum(1 for _ in otlp.each_item(signal, otlp.parse(signal, data)))

    def send_all(self, requests, compressions=(None, "gzip"), transports=("grpc", "http")):
        """Everything over both transports, plain and compressed. Returns what was sent."""
        sent = {signal: [] for signal in requests}
        for transport in transports:
            for compression in compressions:
                client = self.client(self.through, transport, compression)
                for signal, bodies in requests.items():
                    for body in bodies:
                        self.assert_sent(client.send(signal, body))
                        sent[signal].append(body)
        return sent

    def close(self, sent):
        """Byte for byte, request for request; `sent`: signal to requests."""
        page = self.finish_empty(self.through)
        self._check_counts(page, sent)
        for signal, requests in sent.items():
            self.assertTrue(requests, signal)
            for name, arrived in self.outputs(signal):
                with self.subTest(signal=signal, exporter=name):
                    self.assertEqual(len(arrived), len(requests))
                    missing, extra = Counter(requests) - Counter(arrived), Counter(arrived) - Counter(requests)
                    if missing or extra:  # tell it by fields
                        self.assertEqual(str(otlp.parse(signal, next(iter(extra)))),
                                         str(otlp.parse(signal, next(iter(missing)))))
                        self.fail("the same fields, but other bytes")
            with self.subTest(signal=signal, exporter="file/json"):
                lines = otlp.read_lines(self.file(f"{signal}.jsonl"))
                self.assertIsNone(otlp.json_difference(signal, requests, lines))
        with self.subTest("compression"):
            self.assert_compressed(sent)

    def close_items(self, sent, most=None):
        """Item for item, where a processor may merge and split; no request has more than `most`."""
        page = self.finish_empty(self.through)
        self._check_counts(page, sent)
        for signal, requests in sent.items():
            expected = wire.items(signal, *requests)
            for name, arrived in self.outputs(signal):
                with self.subTest(signal=signal, exporter=name):
                    found = wire.items(signal, *arrived)
                    self.assertEqual(sum(found.values()), sum(expected.values()))
                    self.assertFalse(expected - found, "items are missing, or are not as they were")
                    for request in arrived if most else ():
                        self.assertLessEqual(wire.count(signal, request), most)
            with self.subTest(signal=signal, exporter="file/json"):
                lines = otlp.read_lines(self.file(f"{signal}.jsonl"))
                frames = otlp.read_frames(self.file(f"{signal}.proto"))
                self.assertIsNone(otlp.json_difference(signal, frames, lines))
        return page

    def assert_compressed(self, sent):
        for request in self.http_to.requests:
            self.assertEqual(request.headers.get("content-encoding"), "gzip")
        for request in self.http_plain.requests:
            self.assertNotIn("content-encoding", request.headers)
            self.assertEqual(request.wire, len(request.body))
