"""What processors make of recorded traffic, item for item and with unknown fields at every level, held
against the same said in Python over google.protobuf's objects."""
import json
import unittest
from pathlib import Path

from harness import otlp, wire
from harness.case import EndToEnd, pipeline
from harness.process import command

import otlp_transform as oracle

SIGNALS = tuple(otlp.SIGNALS)


def service_of(record):
    return next((oracle.plain_text(a.value) for a in record.resource.attributes
                 if a.key == "service.name"), "<nil-service-name>")


class Transform(EndToEnd):
    def requests(self):
        """Recorded ones, every fourth with unknown fields, and some that are all alike."""
        made = {}
        for signal in SIGNALS:
            descriptor = otlp.SIGNALS[signal].request.DESCRIPTOR
            made[signal] = [wire.with_unknown_fields(descriptor, body) if i % 4 == 0 else body
                            for i, body in enumerate(otlp.recorded(signal)[::3])]
            made[signal] += [otlp.MAKE[signal](range(n)) for n in (1, 20, 400)]
        return made

    def through(self, processors, requests, receivers=None, headers=None):
        """Sends all over HTTP; returns signal to what arrived, request for request."""
        exporters = {f"file/{s}": {"path": str(self.file(f"{s}.proto")), "format": "proto"}
                     for s in SIGNALS}
        pipelines = {s: pipeline(processors=tuple(processors), exporters=f"file/{s}")
                     for s in SIGNALS}
        sluice = self.sluice(self.config(pipelines, exporters, receivers=receivers,
                                         processors=processors))
        client = self.client(sluice, "http")
        for signal, bodies in requests.items():
            for body in bodies:
                self.assert_sent(client.send(signal, body, **({"headers": headers} if headers else {})))
        self.page = self.finish_empty(sluice)
        return {signal: otlp.read_frames(self.file(f"{signal}.proto")) for signal in requests}

    def compare(self, signal, arrived, expected):
        """Bytes that arrived against messages."""
        self.assertEqual(len(arrived), len(expected))
        for got, message in zip(arrived, expected):
            found = otlp.parse(signal, got)
            wanted = oracle.canonical(signal, message)
            if oracle.canonical(signal, found) != wanted:
                self.assertEqual(str(found), str(message))
                self.fail("they differ in unknown fields")

    def check(self, processors, expect):
        """`expect`: (signal, bytes) to the message that should arrive."""
        requests = self.requests()
        for signal, arrived in self.through(processors, requests).items():
            with self.subTest(signal=signal):
                expected = [expect(signal, body) for body in requests[signal]]
                self.assertNotEqual([m.SerializeToString() for m in expected],
                                    [otlp.parse(signal, b).SerializeToString()
                                     for b in requests[signal]], "nothing is to change")
                self.compare(signal, arrived, expected)


class Documented(EndToEnd):
    def test_configs_of_the_documentation_are_valid(self):
        said = command("validate", "--config",
                       Path(__file__).resolve().parents[1] / "data" / "configs" / "transform.yaml")
        self.assertEqual(said.returncode, 0, said.stderr)


class Attributes(Transform):
    ACTIONS = [
        {"key": "environment", "value": "production", "action": "insert"},
        {"key": "seq", "action": "convert", "converted_type": "string"},
        {"key": "copied", "from_attribute": "seq", "action": "upsert"},
        {"key": "seq", "action": "delete"},
        {"key": "http.request.method", "action": "hash"},
        {"key": "db.system", "action": "update", "value": "hidden"},
        {"key": "n", "action": "UPSERT", "value": 42},
        {"key": "ratio", "action": "insert", "value": 0.25},
        {"key": "yes", "action": "insert", "value": True},
        {"key": "list", "action": "insert", "value": ["a", 1, {"b": [True]}]},
        {"pattern": "^(net|server)\\.", "action": "delete"},
        {"pattern": "(?i)route$", "action": "hash"},
        {"key": "url.full", "action": "extract",
         "pattern": "^(?P<url_scheme>[a-z]+)://(?P<url_host>[^/:]+)"},
        {"key": "missing", "from_attribute": "not there", "action": "insert", "default_value": "none"},
    ]

    def test_every_action(self):
        self.check({"attributes": {"actions": self.ACTIONS}},
                   lambda signal, body: oracle.attributes(signal, body, otlp.parse, self.ACTIONS))

    def test_one_insert(self):
        actions = self.ACTIONS[:1]
        self.check({"attributes": {"actions": actions}},
                   lambda signal, body: oracle.attributes(signal, body, otlp.parse, actions))

    def test_include_and_exclude(self):
        actions = [{"key": "seen", "value": True, "action": "upsert"}]
        rules = {"include": {"match_type": "regexp", "resources": [{"key": "service.name", "value": "e"}]},
                 "exclude": {"match_type": "regexp", "resources": [{"key": "service.name", "value": "^e2e$"}]}}

        def applies(record, *_):
            return "e" in service_of(record) and service_of(record) != "e2e"
        self.check({"attributes": {"actions": actions, **rules}},
                   lambda signal, body: oracle.attributes(signal, body, otlp.parse, actions, applies))


class Resource(Transform):
    def test_every_action(self):
        actions = [
            {"key": "cluster", "value": "one", "action": "upsert"},
            {"key": "service.name", "value": "renamed", "action": "update"},
            {"key": "telemetry.sdk.language", "action": "hash"},
            {"pattern": "^process\\.", "action": "delete"},
            {"key": "host.name", "from_attribute": "cluster", "action": "insert"},
        ]
        self.check({"resource": {"attributes": actions}},
                   lambda signal, body: oracle.resource(signal, body, otlp.parse, actions))


def attribute(item, key):
    return next((oracle.python_of(a.value) for a in item.attributes if a.key == key), None)


class Filter(Transform):
    def check_filter(self, config, signal, **unwanted):
        requests = {signal: self.requests()[signal]}
        expected = [oracle.filtered(signal, body, otlp.parse, **unwanted) for body in requests[signal]]
        before = sum(otlp_count(signal, otlp.parse(signal, b)) for b in requests[signal])
        left = [m for m in expected if m is not None]
        after = sum(otlp_count(signal, m) for m in left)
        arrived = self.through({"filter": config}, requests)[signal]
        self.compare(signal, arrived, left)
        name = {"traces": "spans", "metrics": "datapoints", "logs": "logs"}[signal]
        self.assertEqual(self.page.sum(f"otelcol_processor_filter_{name}_filtered"), before - after)
        self.assertLess(after, before)
        self.assertGreater(after, 0)

    def test_spans(self):
        self.check_filter(
            {"traces": {"span": ['kind == SPAN_KIND_INTERNAL and status.code != STATUS_CODE_ERROR',
                                 'attributes["seq"] != nil and attributes["seq"] < 7']}},
            "traces", unwanted_item=lambda r, s, _, span: (
                (span.kind == 1 and span.status.code != 2) or (attribute(span, "seq") or 0) < 7
                and attribute(span, "seq") is not None))

    def test_events(self):
        self.check_filter(
            {"traces": {"spanevent": ['name != "exception"'], "span": ['IsMatch(name, "[02468]$")']}},
            "traces", unwanted_item=lambda r, s, _, span: span.name[-1:] in tuple("02468"),
            unwanted_event=lambda r, s, span, event: event.name != "exception")

    def test_points(self):
        self.check_filter(
            {"metrics": {"datapoint": ['attributes["seq"] != nil and attributes["seq"] >= 10'],
                         "metric": ['type == METRIC_DATA_TYPE_HISTOGRAM or unit == "By"']}},
            "metrics",
            unwanted_item=lambda r, s, m, p: (attribute(p, "seq") or 0) >= 10,
            unwanted_metric=lambda r, s, m: m.WhichOneof("data") == "histogram" or m.unit == "By")

    def test_log_records(self):
        self.check_filter(
            {"log_conditions": ['log.severity_number >= SEVERITY_NUMBER_WARN',
                                'IsMatch(log.body, "^record .*3$")',
                                'resource.attributes["service.name"] == nil']},
            "logs", unwanted_item=lambda r, s, _, log: (
                log.severity_number >= 13 or service_of(r) == "<nil-service-name>"
                or (log.body.string_value.startswith("record ") and log.body.string_value.endswith("3"))))

    def test_resources_by_the_old_rules(self):
        self.check_filter(
            {"spans": {"exclude": {"match_type": "strict", "services": ["e2e"]}}},
            "traces", unwanted_item=lambda r, *_: service_of(r) == "e2e")

    def test_errors_refuse_the_request_or_do_not(self):
        condition = 'attributes["seq"]["x"] == 1'
        for mode, refused in (("propagate", True), ("ignore", False), ("silent", False)):
            with self.subTest(mode=mode):
                sluice = self.sluice(self.config(
                    {"logs": pipeline(processors=["filter"], exporters="nop")}, {"nop": None},
                    processors={"filter": {"error_mode": mode, "logs": {"log_record": [condition]}}}))
                self.expect_errors(sluice, "Cannot evaluate the condition|filter")
                answer = self.client(sluice, "http").send("logs", otlp.records(range(3)))
                self.assertEqual(answer.ok, not refused, answer)
                self.finish_empty(sluice)
                self.assertEqual("Cannot evaluate the condition" in sluice.log(), mode != "silent")

    def test_places_of_errors(self):
        config = self.config({"logs": pipeline(processors=["filter"], exporters="nop")}, {"nop": None},
                             processors={"filter": {"logs": {"log_record": ["bod == 1"]}}})
        file = self.file("wrong.yaml")
        file.write_text(json.dumps(config))
        said = command("validate", "--config", file)
        self.assertNotEqual(said.returncode, 0)
        self.assertRegex(said.stderr + said.stdout,
                         r'logs.log_record, line \d+, column \d+: at character 1: there is no path "bod"')


class Redaction(Transform):
    SECRETS = ("4111111111111111", "ann@example.com", "hunter2")

    def secret_logs(self):
        """Log records with secrets in every place of the body and the attributes."""
        bodies = ["pay with 4111111111111111", "write to ann@example.com, twice: ann@example.com",
                  {"card": "4111111111111111", "inner": {"mail": ["ann@example.com", 5, {"deep": "hunter2"}]},
                   "password": "hunter2", "plain": 7, "note": "ann@example.com"},
                  ["hunter2", {"token": "x"}], 4111111111111111, True]
        message = otlp.SIGNALS["logs"].request()
        record = message.resource_logs.add()
        record.resource.attributes.add(key="owner").value.string_value = "ann@example.com"
        scope = record.scope_logs.add()
        scope.scope.attributes.add(key="password").value.string_value = "hunter2"
        for body in bodies:
            log = scope.log_records.add(severity_number=9)
            log.body.CopyFrom(oracle.value_of(body))
            for key, value in (("mail", "ann@example.com"), ("password", "hunter2"), ("n", 4111111111111111),
                               ("http.request.method", "GET")):
                log.attributes.add(key=key).value.CopyFrom(oracle.value_of(value))
        return message.SerializeToString()

    def check_redaction(self, config, secrets=()):
        requests = self.requests()
        requests["logs"].append(self.secret_logs())
        redaction = oracle.Redaction(config)
        for signal, arrived in self.through({"redaction": config}, requests).items():
            with self.subTest(signal=signal):
                self.compare(signal, arrived, [redaction.request(signal, body, otlp.parse)
                                               for body in requests[signal]])
                for secret in secrets:
                    self.assertNotIn(secret.encode(), b"".join(arrived))

    BLOCKED = {"blocked_values": ["4[0-9]{12}(?:[0-9]{3})?", "[a-z]+@example\\.com", "hunter."],
               "blocked_key_patterns": ["pass.*", ".*token.*"]}

    def test_masked_values(self):
        self.check_redaction({"allow_all_keys": True, "summary": "debug", "redact_all_types": True,
                              **self.BLOCKED}, self.SECRETS)

    def test_allowed_keys(self):
        self.check_redaction({"allowed_keys": ["seq", "mail", "service.name", "inner", "deep", "name"],
                              "ignored_keys": ["n"], "ignored_key_patterns": ["^http\\."],
                              "allowed_values": ["^ann@example"], "summary": "info", **self.BLOCKED})

    def test_hashes(self):
        for kind, key in (("md5", None), ("sha1", None), ("sha3", None), ("hmac-sha256", "k"),
                          ("hmac-sha512", "k")):
            with self.subTest(kind=kind):
                more = {"hmac_key": key} if key else {}
                config = {"allow_all_keys": True, "hash_function": kind, **more, **self.BLOCKED}
                requests = {"logs": [self.secret_logs()]}
                arrived = self.through({"redaction": config}, requests)["logs"][-1:]
                self.compare("logs", arrived, [oracle.Redaction(config).request(
                    "logs", requests["logs"][0], otlp.parse)])
                self.assertNotIn(b"hunter2", arrived[0])

    def test_everything_goes_by_default(self):
        self.check_redaction({})


def otlp_count(signal, message):
    return sum(1 for _ in otlp.each_item(signal, message))


if __name__ == "__main__":
    unittest.main()
