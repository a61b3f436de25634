"""The probabilistic sampler against the same rules written in Python, over random and recorded items: which
are kept, what they say of it, and that nothing else of them changes."""
import random
import re
import unittest

from harness import otlp, wire
from harness.case import EndToEnd, pipeline

ALL = 1 << 56


def hashed(seed, data):
    h = 2166136261
    for byte in seed.to_bytes(4, "little") + data:
        h = (h ^ byte) * 16777619 & 0xffffffff
    low, high = h & 0x3fff, h >> 18
    return (0x3fff - low) << 42 | (high ^ high << 10) << 14 | low


def text_of(threshold):
    return f"{threshold:014x}".rstrip("0") or "0"


class Rules:
    """50 % and the like: percentages whose thresholds need no rounding."""

    def __init__(self, mode, percentage, seed=0):
        self.mode, self.share, self.seed = mode, percentage / 100, seed

    def decide(self, trace_id, rv, th):
        """None: left out; else rv and th of what is kept."""
        if not any(trace_id) and not rv:
            return None
        if self.mode == "hash_seed":
            if rv or th:
                return None
            randomness = hashed(self.seed, trace_id)
            threshold = round((1 - self.share) * (1 << 14)) << 42
            return (f"{randomness:014x}", text_of(threshold)) if threshold <= randomness else None
        randomness = int(rv, 16) if rv else int.from_bytes(trace_id[9:], "big")
        before = int(th.ljust(14, "0"), 16) if th else 0
        if before > randomness:
            return None
        if self.mode == "equalizing":
            threshold = max(before, round((1 - self.share) * ALL))
        else:
            threshold = ALL - round((ALL - before) * self.share)
        return (rv, text_of(threshold)) if threshold <= randomness else None


def ot_of(trace_state):
    found = re.search(r"(?:^|,)ot=([^,]*)", trace_state)
    fields = dict(f.split(":", 1) for f in found.group(1).split(";")) if found else {}
    return fields.get("rv", ""), fields.get("th", "")


def some_spans(rng, n):
    message = otlp.traces.ExportTraceServiceRequest()
    for r in range(3):
        resource = message.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = f"s{r}"
        for s in range(2):
            scope = resource.scope_spans.add()
            for i in range(n // 6):
                span = scope.spans.add(
                    trace_id=rng.randbytes(16) if rng.random() > 0.03 else bytes(16),
                    span_id=rng.randbytes(8), name=f"{r}{s}{i}", kind=1 + i % 5)
                for k in range(rng.randrange(4)):
                    span.attributes.add(key=f"k{k}").value.int_value = k
                what = rng.random()
                if what < 0.2:
                    span.trace_state = "vendor=1"
                elif what < 0.3:
                    span.trace_state = "ot=th:8,vendor=1"
                elif what < 0.4:
                    span.trace_state = f"ot=rv:{rng.randrange(ALL):014x}"
    return message


class Sampler(EndToEnd):
    def through(self, processor, signal, requests):
        """What comes out of it, and the metrics."""
        path = self.file(f"{len(self._sluices)}.proto")
        sluice = self.sluice(self.config(
            {signal: pipeline(processors=["probabilistic_sampler"])},
            {"file": {"path": str(path), "format": "proto"}},
            processors={"probabilistic_sampler": processor}), name=path.stem)
        client = self.client(sluice, "http")
        for body in requests:
            self.assert_sent(client.send(signal, body))
        return [otlp.parse(signal, r) for r in otlp.read_frames(path)], self.finish(sluice)

    def test_decisions_and_what_is_written(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        for mode in ("hash_seed", "proportional", "equalizing"):
            for percentage in (100, 75, 50, 25, 6.25, 0):
                with self.subTest(mode=mode, percentage=percentage, seed=seed):
                    sent = [some_spans(rng, 120) for _ in range(5)]
                    out, page = self.through(
                        {"mode": mode, "sampling_percentage": percentage, "hash_seed": 22},
                        "traces", [m.SerializeToString() for m in sent])
                    rules, kept = Rules(mode, percentage, 22), {}
                    for span in (s for m in sent for s in otlp.each_item("traces", m)):
                        verdict = rules.decide(span.trace_id, *ot_of(span.trace_state)) \
                            if percentage else None
                        if verdict:
                            kept[span.span_id] = (span, verdict)
                    arrived = {s.span_id: s for m in out for s in otlp.each_item("traces", m)}
                    self.assertEqual(set(arrived), set(kept))
                    for span_id, span in arrived.items():
                        was, verdict = kept[span_id]
                        self.assertEqual(ot_of(span.trace_state), verdict)
                        self.assertEqual("vendor=1" in span.trace_state, "vendor=1" in was.trace_state)
                        span.trace_state = was.trace_state
                        self.assertEqual(span, was)
                    for m in out:  # no resource or scope without spans is left
                        self.assertTrue(all(s.spans for r in m.resource_spans for s in r.scope_spans))
                    name = "otelcol_processor_probabilistic_sampler_count_traces_sampled"
                    self.assertEqual(page.sum(name, sampled="true"), len(kept))
                    self.assertEqual(page.sum(name, sampled="false"), 600 - len(kept))

    def test_recorded_with_unknown_fields(self):
        """100 %: nothing is left out, and everything but the trace state is byte for byte."""
        descriptor = otlp.SIGNALS["traces"].request.DESCRIPTOR
        sent = [wire.with_unknown_fields(descriptor, body) for body in otlp.recorded("traces")[::4]]
        for mode, written in (("hash_seed", "ot=rv:"), ("proportional", "ot=th:0")):
            out, _ = self.through({"mode": mode, "sampling_percentage": 100}, "traces", sent)
            spans = [s for m in out for s in otlp.each_item("traces", m)]
            self.assertTrue(spans)
            for span in spans:
                self.assertIn(written, span.trace_state)
                span.ClearField("trace_state")
            before = [otlp.parse("traces", body) for body in sent]
            for m in before:
                for span in otlp.each_item("traces", m):
                    span.ClearField("trace_state")
            # unknown fields of the request itself belong to no span, and go nowhere
            self.assertTrue([list(m.resource_spans) for m in out] ==
                            [list(m.resource_spans) for m in before], "something else has changed")

    def test_logs(self):
        bodies = otlp.recorded("logs")[:60]
        out, page = self.through(
            {"sampling_percentage": 100, "fail_closed": False, "attribute_source": "record",
             "from_attribute": "nobody.has.it", "sampling_priority": "nor.this"}, "logs", bodies)
        kept = [i for m in out for i in otlp.each_item("logs", m)]
        sent = [i for b in bodies for i in otlp.each_item("logs", otlp.parse("logs", b))]
        self.assertEqual(len(kept), len(sent))
        self.assertEqual(page.sum("otelcol_processor_probabilistic_sampler_count_logs_sampled",
                                  policy="missing_randomness", sampled="true"), len(sent))
        for now, was in zip(kept, sent):
            told = [a for a in now.attributes if a.key.startswith("sampling.")]
            self.assertEqual([(a.key, a.value.string_value) for a in told],
                             [("sampling.threshold", "0")])
            for a in told:
                now.attributes.remove(a)
            self.assertEqual(now, was)


if __name__ == "__main__":
    unittest.main()
