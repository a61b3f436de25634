"""`sluice query`: finds exactly the traces that have a span with all that is asked for, in every output."""
import collections
import json
import struct

from harness import otlp
from harness.case import EndToEnd
from harness.process import command


def text(value):
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind == "string_value" else str(getattr(value, kind)) if kind == "int_value" else None


class Query(EndToEnd):
    def setUp(self):
        super().setUp()
        requests = otlp.recorded("traces")
        self.source = self.file("in.otlp")
        self.source.write_bytes(b"".join(struct.pack(">I", len(data)) + data for data in requests))
        self.blocks = self.file("in.sluice")
        done = command("convert", self.source, self.blocks)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.traces = collections.defaultdict(list)
        for data in requests:
            for r in otlp.parse("traces", data).resource_spans:
                service = next((a.value.string_value for a in r.resource.attributes if a.key == "service.name"), "")
                for s in r.scope_spans:
                    for span in s.spans:
                        self.traces[span.trace_id.hex()].append((service, span))

    def query(self, *args, code=0):
        done = command("query", *args)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def found(self, *args, code=0):
        """The ids of the traces in the table."""
        lines = self.query("--limit", "1000000", *args, self.blocks, code=code).stdout.splitlines()
        return sorted(line.split()[0] for line in lines[1:])

    def expected(self, matches):
        return sorted(t for t, spans in self.traces.items() if any(matches(service, span) for service, span in spans))

    def test_by_what_spans_have(self):
        services = {service for spans in self.traces.values() for service, _ in spans}
        for service in services:
            self.assertEqual(self.found("--service", service), self.expected(lambda s, _: s == service))
        names = {span.name for spans in self.traces.values() for _, span in spans}
        for name in sorted(names)[:20]:
            self.assertEqual(self.found("--operation", name), self.expected(lambda _, span: span.name == name))
        errors = self.expected(lambda _, span: span.status.code == 2)
        self.assertEqual(self.found("--errors", code=0 if errors else 1), errors)
        self.assertEqual(self.found(), sorted(self.traces))
        self.assertEqual(self.found("--service", "nobody", code=1), [])

    def test_by_times(self):
        def duration(span):
            return span.end_time_unix_nano - span.start_time_unix_nano

        every = sorted(duration(span) for spans in self.traces.values() for _, span in spans)
        middle = every[len(every) * 99 // 100]
        self.assertEqual(self.found("--min-duration", f"{middle}ns"), self.expected(lambda _, s: duration(s) >= middle))
        self.assertEqual(self.found("--max-duration", f"{every[0]}ns"),
                         self.expected(lambda _, s: duration(s) <= every[0]))
        start = sorted(span.start_time_unix_nano for spans in self.traces.values() for _, span in spans)
        since = start[len(start) // 2] // 10**9
        self.assertEqual(self.found("--since", str(since)),
                         self.expected(lambda _, s: s.start_time_unix_nano >= since * 10**9))
        self.assertEqual(self.found("--until", str(since)),
                         self.expected(lambda _, s: s.start_time_unix_nano <= since * 10**9))
        self.assertEqual(self.found("--since", "2001-01-01T00:00:00Z"), sorted(self.traces))

    def test_by_attributes_of_one_span(self):
        pairs = collections.Counter((a.key, text(a.value)) for spans in self.traces.values() for _, span in spans
                                    for a in span.attributes if text(a.value) is not None)
        for (key, value), _ in pairs.most_common(400)[::40]:
            self.assertEqual(self.found("--attribute", f"{key}={value}"), self.expected(
                lambda _, span: any(a.key == key and text(a.value) == value for a in span.attributes)), (key, value))
        service, span = next(pair for spans in self.traces.values() for pair in spans if pair[1].attributes)
        key, value = span.attributes[0].key, text(span.attributes[0].value)
        self.assertEqual(
            self.found("--attribute", f"{key}={value}", "--service", service, "--operation", span.name),
            self.expected(lambda s, x: s == service and x.name == span.name
                          and any(a.key == key and text(a.value) == value for a in x.attributes)))

    def test_by_id(self):
        trace, spans = max(self.traces.items(), key=lambda item: len(item[1]))
        shown = self.query("--trace", trace, self.blocks).stdout
        self.assertIn(f"trace {trace}", shown)
        self.assertEqual(len(shown.splitlines()), 1 + len(spans))
        for _, span in spans:
            self.assertIn(f": {span.name}\n", shown)
        self.assertIn("#", shown)
        said = self.query("--trace", "0" * 31 + "1", self.blocks, code=1)
        self.assertIn("0 traces; read 0 of 1 blocks", said.stderr)

    def test_json_is_the_trace(self):
        trace, spans = max(self.traces.items(), key=lambda item: len(item[1]))
        line, = self.query("--trace", trace.upper(), "--output", "json", self.blocks).stdout.splitlines()
        message = otlp.from_json("traces", line)
        self.assertEqual(sorted(otlp.canonical(s) for s in otlp.each_item("traces", message)),
                         sorted(otlp.canonical(s) for _, s in spans))

    def test_jaegers_json(self):
        trace, spans = max(self.traces.items(), key=lambda item: len(item[1]))
        shown = json.loads(self.query("--trace", trace, "--output", "jaeger", self.blocks).stdout)["data"]
        self.assertEqual([t["traceID"] for t in shown], [trace])
        found = {s["spanID"]: s for s in shown[0]["spans"]}
        self.assertEqual(len(found), len(spans))
        for service, span in spans:
            jaeger = found[span.span_id.hex()]
            self.assertEqual(jaeger["operationName"], span.name)
            self.assertEqual(jaeger["startTime"], span.start_time_unix_nano // 1000)
            self.assertEqual(shown[0]["processes"][jaeger["processID"]]["serviceName"], service)
            parents = [r["spanID"] for r in jaeger["references"] if r["refType"] == "CHILD_OF"]
            self.assertEqual(parents, [span.parent_span_id.hex()] if span.parent_span_id else [])
            self.assertEqual([t["key"] for t in jaeger["tags"]][:len(span.attributes)],
                             [a.key for a in span.attributes])
            self.assertEqual(len(jaeger["logs"]), len(span.events))

    def test_folders_and_limits(self):
        folder = self.file("folder")
        folder.mkdir()
        for name in ("a.sluice", "b.sluice", "c.txt"):
            (folder / name).write_bytes(self.blocks.read_bytes() if name != "c.txt" else b"no blocks")
        said = self.query("--limit", "3", folder)
        self.assertEqual(len(said.stdout.splitlines()), 4)
        self.assertIn("read 1 of 1 blocks", said.stderr)
        trace = next(iter(self.traces))
        self.assertIn("read 2 of 2 blocks", self.query("--trace", trace, folder).stderr)

    def test_usage(self):
        for args in (["--trace", "xyz"], ["--min-duration", "5"], ["--since", "today"], ["--limit", "0"],
                     ["--attribute", "novalue"], ["--output", "xml"], ["--what", "x"]):
            self.assertIn("sluice query: ", self.query(*args, self.blocks, code=2).stderr)
        self.query(code=2)
        self.assertIn("Usage: sluice query", self.query("--help").stdout)
