"""OTLP's three signals: their messages, requests made for tests, and what the file exporter wrote."""
import functools
import json
import lzma
import struct
import sys
from collections import namedtuple
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "oracle"))
from otlp_json import hex_ids, otlp_form, unlike  # noqa: E402
from otlp_json_back import as_google  # noqa: E402

Signal = namedtuple("Signal", "name request response http grpc items rejected")
_GRPC = "/opentelemetry.proto.collector.{}.v1.{}Service/Export"

SIGNALS = {s.name: s for s in (
    Signal("traces", traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse,
           "/v1/traces", _GRPC.format("trace", "Trace"), "spans", "rejected_spans"),
    Signal("metrics", metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse,
           "/v1/metrics", _GRPC.format("metrics", "Metrics"), "metric_points",
           "rejected_data_points"),
    Signal("logs", logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse,
           "/v1/logs", _GRPC.format("logs", "Logs"), "log_records", "rejected_log_records"))}


# ---- requests ----

def _attribute(to, key, value):
    added = to.add(key=key)
    if isinstance(value, int):
        added.value.int_value = value
    else:
        added.value.string_value = value


def _scope(containers, name, of):
    container = getattr(containers, of).add()
    _attribute(container.resource.attributes, "service.name", name)
    scope = getattr(container, of.replace("resource", "scope")).add()
    scope.scope.name, scope.scope.version = "e2e", "1"
    return scope


def spans(seqs, service="e2e", padding=0, trace=None):
    """A request of one span for each number; the number is an attribute and the span id."""
    message = traces.ExportTraceServiceRequest()
    scope = _scope(message, service, "resource_spans")
    for seq in seqs:
        span = scope.spans.add(
            trace_id=(trace if trace is not None else seq + 1).to_bytes(16, "big"),
            span_id=(seq + 1).to_bytes(8, "big"), name=f"operation {seq % 7}", kind=2,
            start_time_unix_nano=1700000000000000000 + seq,
            end_time_unix_nano=1700000000001000000 + seq)
        _attribute(span.attributes, "seq", seq)
        if padding:
            _attribute(span.attributes, "padding", "x" * padding)
    return message.SerializeToString()


def points(seqs, service="e2e"):
    message = metrics.ExportMetricsServiceRequest()
    scope = _scope(message, service, "resource_metrics")
    metric = scope.metrics.add(name="e2e.count", unit="1")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    for seq in seqs:
        point = metric.sum.data_points.add(time_unix_nano=1700000000000000000 + seq, as_int=seq)
        _attribute(point.attributes, "seq", seq)
    return message.SerializeToString()


def records(seqs, service="e2e"):
    message = logs.ExportLogsServiceRequest()
    scope = _scope(message, service, "resource_logs")
    for seq in seqs:
        record = scope.log_records.add(time_unix_nano=1700000000000000000 + seq, severity_number=9)
        record.body.string_value = f"record {seq}"
        _attribute(record.attributes, "seq", seq)
    return message.SerializeToString()


MAKE = {"traces": spans, "metrics": points, "logs": records}


def parse(signal, data):
    return SIGNALS[signal].request.FromString(data)


def from_json(signal, text):
    """What google.protobuf reads in OTLP's JSON."""
    message = SIGNALS[signal].request()
    return json_format.ParseDict(as_google(message.DESCRIPTOR, json.loads(text)), message,
                                 ignore_unknown_fields=True)


def canonical(message):
    """Its bytes, the same for messages that are the same."""
    return message.SerializeToString(deterministic=True)


def each_item(signal, message):
    if signal == "traces":
        return (i for r in message.resource_spans for s in r.scope_spans for i in s.spans)
    if signal == "logs":
        return (i for r in message.resource_logs for s in r.scope_logs for i in s.log_records)
    return (i for r in message.resource_metrics for s in r.scope_metrics for m in s.metrics
            for i in getattr(m, m.WhichOneof("data")).data_points)


def seqs(signal, *requests):
    """The numbers that spans(), points() and records() gave out, as they are found in requests."""
    return [a.value.int_value for data in requests
            for item in each_item(signal, parse(signal, data))
            for a in item.attributes if a.key == "seq"]


# ---- what the file exporter wrote ----

def split_frames(data, where):
    """Messages, each behind its length in four bytes, big end first."""
    at, frames = 0, []
    while at < len(data):
        (n,) = struct.unpack_from(">I", data, at)
        if at + 4 + n > len(data):
            raise AssertionError(f"{where}: ends within a message")
        frames.append(data[at + 4:at + 4 + n])
        at += 4 + n
    return frames


def read_frames(path):
    return split_frames(Path(path).read_bytes(), path)


def read_lines(path):
    """One JSON object a line. Numbers as float, as the comparison wants them."""
    text = Path(path).read_text("utf-8")
    if text and not text.endswith("\n"):
        raise AssertionError(f"{path}: the last line does not end")
    return [json.loads(line, parse_int=float) for line in text.splitlines()]


def as_json(signal, data):
    """What OTLP's JSON form of the request is, by google.protobuf."""
    message = parse(signal, data)
    return otlp_form(message.DESCRIPTOR,
                     json_format.MessageToDict(message, use_integers_for_enums=True))


def as_sent_json(signal, data):
    """The same as text, as senders write it: objects only where there are any."""
    message = parse(signal, data)
    return json.dumps(hex_ids(message.DESCRIPTOR,
                              json_format.MessageToDict(message, use_integers_for_enums=True))).encode()


def _canonical(value):
    return json.dumps(value, sort_keys=True)


@functools.lru_cache(maxsize=1024)
def _expected(signal, data):
    """With all numbers as float, as those of read_lines()."""
    return _canonical(json.loads(_canonical(as_json(signal, data)), parse_int=float))


def json_difference(signal, sent, lines):
    """None where the lines are the sent requests in some order, else the first difference."""
    expected = sorted(_expected(signal, data) for data in sent)
    found = sorted(_canonical(line) for line in lines)
    if len(expected) != len(found):
        return f"{len(expected)} requests were sent, {len(found)} lines are there"
    return next((unlike(json.loads(b, parse_int=float), json.loads(a, parse_int=float))
                 for a, b in zip(expected, found) if a != b), None)


# ---- recorded traffic ----

def recorded(signal):
    """Requests as instrumented programs sent them; see tests/data/README.md."""
    path = Path(__file__).resolve().parents[2] / "data" / "recorded" / f"{signal}.otlp.xz"
    return split_frames(lzma.decompress(path.read_bytes()), path)
