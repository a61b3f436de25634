#!/usr/bin/env python3
"""otlp_view.py VIEW_CASES [--seed N] [--count N]: compares what formats/otlp's views say of random
requests, and what is cut from them, with what google.protobuf reads in the same bytes."""
import argparse
import random
import struct
import subprocess
import sys

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

REQUESTS = {
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "logs": logs_service_pb2.ExportLogsServiceRequest,
}
RECORDS = {"traces": "resource_spans", "metrics": "resource_metrics", "logs": "resource_logs"}
SCOPES = {"traces": "scope_spans", "metrics": "scope_metrics", "logs": "scope_logs"}
ITEMS = {"traces": "spans", "metrics": "metrics", "logs": "log_records"}


def without(message, field):
    copy = type(message)()
    copy.CopyFrom(message)
    copy.ClearField(field)
    return copy.SerializeToString(deterministic=True)


def flatten(signal, request):
    """(record, scope, metric, data, item, bytes) of every item; the bytes stand for the item and all
    that it stands in."""
    for record in getattr(request, RECORDS[signal]):
        record_bytes = without(record, SCOPES[signal])
        for scope in getattr(record, SCOPES[signal]):
            headers = (record_bytes, without(scope, ITEMS[signal]))
            for item in getattr(scope, ITEMS[signal]):
                kind = item.WhichOneof("data") if signal == "metrics" else None
                if signal != "metrics":
                    yield record, scope, None, None, item, (*headers, item.SerializeToString())
                elif kind:
                    data = getattr(item, kind)
                    metric = type(item)()
                    metric.CopyFrom(item)
                    getattr(metric, kind).ClearField("data_points")
                    for point in data.data_points:
                        yield record, scope, item, data, point, (
                            *headers, metric.SerializeToString(), point.SerializeToString())


def expected(signal, record, scope, metric, data, item):
    said = {
        "attributes": len(item.attributes),
        "resource_schema_url": record.schema_url,
        "resource_attributes": len(record.resource.attributes),
        "scope_schema_url": scope.schema_url,
        "scope_name": scope.scope.name,
        "scope_version": scope.scope.version,
        "scope_attributes": len(scope.scope.attributes),
    }
    if signal == "traces":
        said |= {name: getattr(item, name) for name in
                 ("name", "start_time_unix_nano", "end_time_unix_nano", "trace_state")}
        said["status"] = min(item.status.code % (1 << 64), 255)
        said["status_message"] = item.status.message
    elif signal == "logs":
        said |= {name: getattr(item, name) for name in
                 ("severity_text", "event_name", "time_unix_nano", "observed_time_unix_nano")}
    else:
        temporality = getattr(data, "aggregation_temporality", 0)
        said |= {
            "metric_name": metric.name,
            "metric_unit": metric.unit,
            "metric_description": metric.description,
            "metric_type": metric.DESCRIPTOR.fields_by_name[metric.WhichOneof("data")].number,
            "temporality": min(temporality % (1 << 64), 255),
            "monotonic": int(getattr(data, "is_monotonic", False)),
            "metadata": len(metric.metadata),
            "time_unix_nano": item.time_unix_nano,
            "start_time_unix_nano": item.start_time_unix_nano,
        }
    return said


def same(field, ours, theirs):
    if isinstance(theirs, int):
        # protobuf cuts an enum to 32 bits; the view looks at all 64
        return int(ours) == theirs or (field in ("status", "temporality") and ours == "255")
    return bytes.fromhex(ours) == theirs.encode()


def check(signal, wire, lines, cut, chosen):
    request = REQUESTS[signal].FromString(wire)
    items = list(flatten(signal, request))
    lines = lines.decode().splitlines()
    if len(lines) != len(items):
        return f"{len(lines)} items, protobuf has {len(items)}"
    for i, (line, entry) in enumerate(zip(lines, items)):
        record, scope, _, _, item, _ = entry
        said = dict(part.split("=", 1) for part in line.split(" "))
        for field, message in (("record", item), ("resource", record.resource),
                               ("scope", scope.scope)):
            read = type(message).FromString(bytes.fromhex(said.pop(field)))
            if read.SerializeToString(deterministic=True) != \
                    message.SerializeToString(deterministic=True):
                return f"item {i}: {field} is {read}, protobuf has {message}"
        for field, value in expected(signal, *entry[:5]).items():
            if not same(field, said[field], value):
                return f"item {i}: {field} is {said[field]}, protobuf has {value!r}"
    theirs = [items[i][5] for i in chosen]
    ours = [entry[5] for entry in flatten(signal, REQUESTS[signal].FromString(cut))]
    if ours != theirs:
        return f"the cut of {chosen} differs: {cut.hex()}"
    return None


def cases(stream):
    def string():
        head = stream.read(4)
        return stream.read(struct.unpack("<I", head)[0]) if head else None

    while (signal := string()) is not None:
        wire, lines, cut, chosen = (string() for _ in range(4))
        yield signal.decode(), wire, lines, cut, [n for n, in struct.iter_unpack("<I", chosen)]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 63))
    arguments.add_argument("--count", type=int, default=1500)
    given = arguments.parse_args()
    print(f"seed {given.seed}")
    seen = items = 0
    command = [given.program, str(given.seed), str(given.count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for case in cases(process.stdout):
            difference = check(*case)
            if difference:
                print(f"case {seen}, {case[0]}: {difference}\nwire {case[1].hex()}")
                process.kill()
                return 1
            seen, items = seen + 1, items + len(case[4])
    print(f"{seen} cases, {items} items cut")
    return 0 if process.returncode == 0 and seen == given.count else 1


if __name__ == "__main__":
    sys.exit(main())
