"""The Python SDK sends traces, metrics and logs over gRPC and HTTP/protobuf, with gzip and without;
what comes out of every exporter is what the SDK made, byte for byte."""
import math
import unittest

import grpc
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from harness.otlp import SIGNALS
from harness.through import Through

CLASSES = {("grpc", "traces"): GrpcSpans, ("grpc", "metrics"): GrpcMetrics, ("grpc", "logs"): GrpcLogs,
           ("http", "traces"): HttpSpans, ("http", "metrics"): HttpMetrics, ("http", "logs"): HttpLogs}
ENCODERS = {"traces": encode_spans, "metrics": encode_metrics, "logs": encode_logs}
COMPRESSION = {"grpc": {"gzip": grpc.Compression.Gzip, "none": grpc.Compression.NoCompression},
               "http": {"gzip": Compression.Gzip, "none": Compression.NoCompression}}


def tapped(cls, signal, to, results):
    """The exporter's class, which also writes down what it was asked to send."""
    class Tapped(cls):
        def export(self, data, *args, **kwargs):
            to[signal].append(ENCODERS[signal](data).SerializeToString())
            result = super().export(data, *args, **kwargs)
            results.append(result)
            return result
    return Tapped


class Sdk:
    """Providers whose exporters are tapped."""

    def __init__(self, sluice, transport, compression):
        self.sent = {signal: [] for signal in SIGNALS}
        self.results = []
        self._where = (sluice, transport, compression)
        self._resource = Resource.create({
            "service.name": f"python-{transport}-{compression}", "e2e.list": ["a", "b"],
            "e2e.share": 0.25, "e2e.flag": True, "e2e.empty": ""})

    def _exporter(self, signal):
        sluice, transport, compression = self._where
        keys = {"compression": COMPRESSION[transport][compression]}
        if transport == "grpc":
            keys.update(endpoint=f"http://{sluice.grpc()}", insecure=True)
        else:
            keys.update(endpoint=f"http://{sluice.http()}{SIGNALS[signal].http}")
        return tapped(CLASSES[transport, signal], signal, self.sent, self.results)(**keys)

    def traces(self):
        provider = TracerProvider(resource=self._resource)
        provider.add_span_processor(
            BatchSpanProcessor(self._exporter("traces"), max_export_batch_size=32))
        tracer = provider.get_tracer("e2e.traces", "1.2.3", "https://example.com/schema")
        for i in range(50):
            with tracer.start_as_current_span(
                    f"parent {i}", kind=trace.SpanKind.SERVER,
                    attributes={"i": i, "big": 2**62, "nan": math.inf, "list": [1, 2], "ü": "☃"}) as parent:
                with tracer.start_as_current_span(
                        "child", kind=trace.SpanKind.CLIENT,
                        links=[trace.Link(parent.get_span_context(), {"why": "test"})]) as child:
                    child.add_event("happened", {"at": i, "flag": False})
                    if i % 3 == 0:
                        child.record_exception(ValueError(f"bad {i}"))
                        child.set_status(trace.Status(trace.StatusCode.ERROR, f"bad {i}"))
        provider.shutdown()

    def metrics(self):
        reader = PeriodicExportingMetricReader(self._exporter("metrics"), math.inf)
        exponential = View(instrument_name="e2e.exponential",
                           aggregation=ExponentialBucketHistogramAggregation())
        provider = MeterProvider([reader], self._resource, views=[exponential])
        meter = provider.get_meter("e2e.metrics", "2", "https://example.com/schema")
        meter.create_observable_gauge("e2e.gauge", [lambda _: [Observation(-3.5, {"room": "a"})]], "Cel")
        counter = meter.create_counter("e2e.counter", "{thing}", "counts")
        up_down = meter.create_up_down_counter("e2e.updown")
        histogram = meter.create_histogram("e2e.histogram", "s")
        exponential = meter.create_histogram("e2e.exponential", "s")
        tracer = TracerProvider().get_tracer("exemplars")
        for turn in range(3):
            with tracer.start_as_current_span("sampled"):
                for i in range(20):
                    counter.add(i, {"series": f"s{i % 4}"})
                    up_down.add(5 if i % 2 else -7, {"series": i})
                    histogram.record(i * 0.7, {"turn": turn})
                    exponential.record(2**i / 1000)
            reader.force_flush()
        provider.shutdown()

    def logs(self):
        provider = LoggerProvider(self._resource)
        provider.add_log_record_processor(
            BatchLogRecordProcessor(self._exporter("logs"), max_export_batch_size=10))
        logger = provider.get_logger("e2e.logs", "3")
        bodies = ["text", "", "☃", 17, -1.5, True, ["a", 1, [2]], {"deep": {"deeper": [1, {"x": "y"}]}},
                  b"\x00\x01\xff", None]
        tracer = TracerProvider().get_tracer("correlated")
        for i in range(35):
            with tracer.start_as_current_span("around"):
                logger.emit(LogRecord(
                    timestamp=1700000000000000000 + i, body=bodies[i % len(bodies)],
                    severity_number=SeverityNumber(i % 24 + 1), severity_text="as it was",
                    event_name="e2e.event" if i % 2 else None,
                    attributes={"i": i, "nested": {"a": [1, "b"]}, "bytes": b"\x01\x02"}))
        provider.shutdown()


class PythonSdk(Through):
    def test_arrives_as_it_was_sent(self):
        sluice = self.open()
        sent = {signal: [] for signal in SIGNALS}
        for transport in ("grpc", "http"):
            for compression in ("gzip", "none"):
                sdk = Sdk(sluice, transport, compression)
                for signal in SIGNALS:
                    getattr(sdk, signal)()
                    self.assertTrue(sdk.sent[signal], signal)
                    sent[signal] += sdk.sent[signal]
                self.assertEqual({r.name for r in sdk.results}, {"SUCCESS"}, (transport, compression))
        self.close(sent)


if __name__ == "__main__":
    unittest.main()
