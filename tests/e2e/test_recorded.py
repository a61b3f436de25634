"""What really instrumented programs in three languages sent, replayed over both transports: it comes out
byte for byte. So do requests with unknown fields at every level."""
import gzip
import unittest
from collections import Counter

from harness import otlp, wire
from harness.case import EndToEnd, pipeline
from harness.through import SIGNALS, Through


class Recorded(Through):
    def test_replayed_over_both_transports(self):
        self.open()
        self.close(self.send_all({signal: otlp.recorded(signal) for signal in SIGNALS}))

    def test_unknown_fields_at_every_level(self):
        self.open()
        requests = {}
        for signal in SIGNALS:
            descriptor = otlp.SIGNALS[signal].request.DESCRIPTOR
            requests[signal] = [wire.with_unknown_fields(descriptor, body)
                                for body in otlp.recorded(signal)[::8]]
        self.close(self.send_all(requests))


class AsJson(EndToEnd):
    """The same as JSON: what arrives is the same message, if not the same bytes."""

    def test_replayed(self):
        exporters = {f"file/{s}": {"path": str(self.file(f"{s}.proto")), "format": "proto"} for s in SIGNALS}
        sluice = self.sluice(self.config(
            {s: pipeline(exporters=f"file/{s}") for s in SIGNALS}, exporters))
        http = self.client(sluice, "http")
        for signal in SIGNALS:
            for i, body in enumerate(otlp.recorded(signal)):
                text = otlp.as_sent_json(signal, body)
                headers = {"Content-Type": "application/json"}
                if i % 3 == 0:
                    text, headers["Content-Encoding"] = gzip.compress(text), "gzip"
                self.assert_sent(http.request("POST", otlp.SIGNALS[signal].http, text, headers))
        self.finish_empty(sluice)
        for signal in SIGNALS:
            sent = Counter(otlp.canonical(otlp.parse(signal, data)) for data in otlp.recorded(signal))
            arrived = Counter(otlp.canonical(otlp.parse(signal, data))
                              for data in otlp.read_frames(self.file(f"{signal}.proto")))
            self.assertEqual(sent, arrived, signal)


class Merged(Through):
    """The same with the batch processor, which lists and cuts bytes, and must not change an item."""

    def recorded_with_unknown_fields(self):
        requests = {}
        for signal in SIGNALS:
            descriptor = otlp.SIGNALS[signal].request.DESCRIPTOR
            requests[signal] = [wire.with_unknown_fields(descriptor, body) if i % 4 == 0 else body
                                for i, body in enumerate(otlp.recorded(signal))]
        return requests

    def test_merging(self):
        batch = {"batch": {"timeout": "50ms", "send_batch_size": 400}}
        self.open(processors=batch)
        sent = self.send_all(self.recorded_with_unknown_fields(), compressions=(None,))
        page = self.close_items(sent)
        merged = len(otlp.read_frames(self.file("logs.proto")))
        self.assertLess(merged, len(sent["logs"]))
        self.assertGreater(page.sum("otelcol_processor_batch_timeout_trigger_send", processor="batch"), 0)
        self.assertGreater(
            page.sum("otelcol_processor_batch_batch_size_trigger_send", processor="batch"), 0)

    def test_splitting(self):
        batch = {"batch": {"timeout": "50ms", "send_batch_size": 37, "send_batch_max_size": 37}}
        self.open(processors=batch)
        sent = self.send_all(self.recorded_with_unknown_fields(), compressions=(None,))
        self.close_items(sent, most=37)

    def test_two_lanes(self):
        batch = {"batch": {"timeout": "50ms", "send_batch_size": 100, "send_batch_max_size": 150}}
        self.open(processors=batch, lanes=2)
        sent = self.send_all(self.recorded_with_unknown_fields(), compressions=(None,))
        self.close_items(sent, most=150)


if __name__ == "__main__":
    unittest.main()
