"""What Sluice says of itself: health, metrics, logs."""
import json
import re
import unittest

from harness import metrics, otlp
from harness.case import EndToEnd, pipeline
from harness.destination import HANG
from harness.waiting import endpoint, free_port, wait_until


class Health(EndToEnd):
    def checked(self, **keys):
        where = endpoint()
        self.host, port = where.split(":")
        self.port = int(port)
        return self.config({"traces": pipeline(exporters="otlphttp")},
                           {"otlphttp": {"endpoint": self.to.endpoint, "timeout": "0s"}},
                           extensions={"health_check": {"endpoint": where, **keys}},
                           service={"extensions": ["health_check"], "shutdown": {"timeout": "20s"}})

    def ask(self, path="/", method="GET"):
        return metrics.get(self.host, self.port, path, method)

    def setUp(self):
        super().setUp()
        self.to = self.http_destination()

    def test_healthy_then_draining(self):
        sluice = self.sluice(self.checked())
        wait_until(lambda: self.ask()[0] == 200, "status 200")  # gRPC comes up behind HTTP
        status, headers, body = self.ask()
        self.assertTrue(headers["Content-Type"].startswith("application/json"))
        said = json.loads(body)
        self.assertEqual(said["status"], "Server available")
        self.assertRegex(said["upSince"], r"^20\d\d-\d\d-\d\dT")
        self.assertTrue(said["uptime"])
        self.assertEqual(self.ask(method="HEAD")[0], 200)
        self.to.usually = HANG
        self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans([1])))
        self.to.wait(1)
        sluice.signal()  # it drains, as long as the destination has the span
        status, _, body = wait_until(lambda: (a := self.ask()) and a[0] == 503 and a, "status 503")
        self.assertEqual(json.loads(body)["status"], "Server not available")
        self.to.release()
        self.assertEqual(sluice.wait(), 0, sluice.log())

    def test_keys(self):
        self.sluice(self.checked(path="/health", response_body={"healthy": "fine"}))
        self.assertEqual(self.ask("/")[0], 404)
        wait_until(lambda: self.ask("/health")[0] == 200, "status 200")
        self.assertEqual(self.ask("/health")[2], b"fine")


class Metrics(EndToEnd):
    def served(self, keys=None, **more):
        config = self.config(self.all_signals(exporters=["nop", "otlphttp"], processors="batch"),
                             {"nop": None, "otlphttp": {"endpoint": self.to.endpoint}},
                             processors={"batch": {"timeout": "10ms"}})
        config["service"]["telemetry"].update(more)
        prometheus = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
        prometheus.update(keys or {})
        return self.sluice(config)

    def setUp(self):
        super().setUp()
        self.to = self.http_destination()

    def send_all(self, sluice):
        for transport in ("grpc", "http"):
            client = self.client(sluice, transport)
            for signal, make in otlp.MAKE.items():
                self.assert_sent(client.send(signal, make(range(11))))
        return sluice.wait_metrics(lambda p: p.sum("sluice_held_items") == 0 and all(
            p.sum(f"otelcol_exporter_sent_{s.items}") == 44 for s in otlp.SIGNALS.values()),
            "everything to be counted as sent")

    def test_names_and_counts(self):
        sluice = self.served()
        page = self.send_all(sluice)
        for signal in otlp.SIGNALS.values():
            for transport in ("grpc", "http"):
                self.assertEqual(page.sum(f"otelcol_receiver_accepted_{signal.items}", receiver="otlp",
                                          transport=transport), 11)
                self.assertEqual(page.sum(f"otelcol_receiver_refused_{signal.items}"), 0)
            for exporter in ("nop", "otlphttp"):
                self.assertEqual(page.sum(f"otelcol_exporter_sent_{signal.items}", exporter=exporter), 22)
                self.assertEqual(page.sum(f"otelcol_exporter_send_failed_{signal.items}",
                                          exporter=exporter), 0)
            self.assertEqual(page.sum("otelcol_exporter_queue_size", exporter="otlphttp",
                                      data_type=signal.name), 0)
            self.assertEqual(page.sum("otelcol_exporter_queue_capacity", exporter="otlphttp",
                                      data_type=signal.name), 1000)
            for direction in ("incoming", "outgoing"):
                self.assertEqual(page.sum(f"otelcol_processor_{direction}_items", processor="batch",
                                          otel_signal=signal.name), 22)
        self.assertGreater(page.sum("otelcol_processor_batch_timeout_trigger_send", processor="batch"), 0)
        self.assertGreater(page.sum("otelcol_process_uptime"), 0)
        self.assertGreater(page.sum("otelcol_process_cpu_seconds"), 0)
        self.assertGreater(page.sum("otelcol_process_memory_rss"), 1 << 20)
        self.assertLess(page.sum("otelcol_process_memory_rss"), 1 << 40)
        for name, kind in (("otelcol_receiver_accepted_spans", "counter"),
                           ("otelcol_exporter_queue_size", "gauge"),
                           ("otelcol_process_uptime", "counter")):
            self.assertEqual(page.types[name], kind)
            self.assertTrue(page.helps[name])
        target = page.all("target_info")
        self.assertEqual(len(target), 1, page.text[:2000])
        self.assertEqual(target[0][0]["service_name"], "sluice")
        self.assertTrue(target[0][0]["service_instance_id"])

    def test_with_suffixes(self):
        sluice = self.served({"without_type_suffix": False, "without_units": False})
        self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans([1])))
        page = sluice.wait_metrics(lambda p: p.sum("otelcol_receiver_accepted_spans_total") == 1, "the count")
        self.assertEqual(page.sum("otelcol_receiver_accepted_spans"), 0)
        self.assertTrue(page.all("otelcol_process_uptime_seconds_total"), page.text)
        self.assertTrue(page.all("otelcol_process_memory_rss_bytes"), page.text)
        self.assertEqual(sluice.stop(), 0)  # the harness reads the names without suffixes

    def test_resource(self):
        sluice = self.served(resource={"service.name": "mine", "service.instance.id": None, "team": "x"})
        target = sluice.metrics().all("target_info")[0][0]
        self.assertEqual((target["service_name"], target["team"]), ("mine", "x"))
        self.assertNotIn("service_instance_id", target)

    def test_the_page_alone_is_served(self):
        sluice = self.served()
        prometheus = sluice.config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
        where = prometheus["host"], prometheus["port"]
        self.assertEqual(metrics.get(*where, "/")[0], 404)
        self.assertEqual(metrics.get(*where, "/metrics", "POST")[0], 405)
        status, headers, _ = metrics.get(*where)
        self.assertEqual(status, 200)
        self.assertRegex(headers["Content-Type"], r"^text/plain; version=0\.0\.4")

    def test_level_none(self):
        config = self.config({"traces": pipeline(exporters="nop")}, {"nop": None})
        port = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]["port"]
        config["service"]["telemetry"]["metrics"]["level"] = "none"
        sluice = self.sluice(config)
        with self.assertRaises(ConnectionRefusedError):
            metrics.get("127.0.0.1", port)
        self.assertEqual(sluice.stop(), 0)

    def test_its_port_is_taken(self):
        first = self.served()
        second = self.sluice(dict(first.config, receivers={"otlp": {"protocols": {"http": {
            "endpoint": endpoint()}}}}), start=False, name="second")
        second.start(wait=False)
        self.assertEqual(second.wait(), 1)
        self.assertTrue(second.find("Cannot start: service::telemetry::metrics", "error"), second.log())


class Logs(EndToEnd):
    def logged(self, **logs):
        to = endpoint()  # nobody listens
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters="otlphttp")},
            {"otlphttp": {"endpoint": f"http://{to}", "retry_on_failure": {"enabled": False}}},
            telemetry_logs=logs), start=False)
        self.expect_errors(sluice, "Exporting failed")
        sluice.start(wait=False)
        sluice.wait_listening(sluice.http())
        client = self.client(sluice, "http")
        for i in range(40):
            answer = client.send("traces", otlp.spans([i]))
            # a failure that is quick is heard in time
            self.assertTrue(answer.ok or answer.retryable, answer)
        sluice.wait_metrics(lambda p: p.sum("otelcol_exporter_send_failed_spans") == 40, "40 failures")
        return sluice

    def test_json(self):
        sluice = self.logged(encoding="json", initial_fields={"team": "x \"y\""})
        self.finish(sluice)
        self.assertGreater(len(sluice.lines), 40)
        for line in sluice.lines:
            self.assertIn(line.level, ("debug", "info", "warn", "error"), line)
            self.assertRegex(line.fields["ts"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertEqual(line.fields["team"], "x \"y\"")
        failed = sluice.find("Exporting failed", "error")
        self.assertEqual(len(failed), 40)
        self.assertEqual(failed[0].fields["otelcol.component.id"], "otlphttp")
        self.assertEqual(failed[0].fields["otelcol.component.kind"], "exporter")
        self.assertEqual(failed[0].fields["items"], "1")
        self.assertTrue(failed[0].fields["error"])

    def test_console(self):
        sluice = self.logged()
        self.finish(sluice)
        for line in sluice.lines:
            self.assertRegex(line.text, r"^20\d\d-\d\d-\d\dT[\d:.]+Z\t(debug|info|warn|error)\t[^\t]+(\t\{.*\})?$")

    def test_sampling(self):
        sluice = self.logged(sampling={"enabled": True, "initial": 3, "thereafter": 10, "tick": "1h"})
        self.assertEqual(len(sluice.find("Exporting failed")), 3 + (40 - 3) // 10)
        page = self.finish(sluice)
        self.assertEqual(page.sum("sluice_log_lines_suppressed_total"), 40 - 6)

    def test_level(self):
        sluice = self.logged(level="error")
        self.assertEqual({line.level for line in sluice.lines}, {"error"})
        self.assertEqual(sluice.stop(), 0)

    def test_to_a_file(self):
        path = self.file("own.log")
        config = self.config({"traces": pipeline(exporters="nop")}, {"nop": None},
                             telemetry_logs={"output_paths": [str(path)]})
        sluice = self.sluice(config, start=False)
        sluice.start(wait=False)
        wait_until(lambda: path.exists() and "Everything is ready" in path.read_text(), "the log")
        self.assertEqual(sluice.stop(), 0)
        self.assertEqual(sluice.lines, [])
        self.assertIn("Nothing was left", path.read_text())


# As it stands in many a repository; only the ports come from outside.
WILD = """\
# OpenTelemetry Collector, gateway
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:${env:GRPC_PORT}
        max_recv_msg_size_mib: 16
        keepalive:
          server_parameters:
            max_connection_idle: 11s
            max_connection_age: 12s
      http:
        endpoint: "0.0.0.0:${env:HTTP_PORT}"

processors:
  batch:
    send_batch_size: 1024
    timeout: 200ms
  batch/traces:
    timeout: 1s
    send_batch_size: 50
    send_batch_max_size: ${env:MAX_SIZE:-60}

exporters:
  debug:
    verbosity: basic
    sampling_initial: 5
    sampling_thereafter: 200
  file/archive: &archive
    path: ${env:OUT}/traces.json
    flush_interval: 100ms
    append: true
  file/metrics:
    <<: *archive
    path: ${env:OUT}/metrics.json
  otlp/tempo:
    endpoint: "${env:TEMPO}"
    tls:
      insecure: true
    sending_queue:
      enabled: true
      num_consumers: 4
      queue_size: 100
    retry_on_failure:
      enabled: true
      initial_interval: 5s
      max_interval: 30s
      max_elapsed_time: 300s
    headers:
      X-Scope-OrgID: anonymous
  otlphttp/loki:
    endpoint: http://${env:LOKI}
    compression: gzip
    timeout: 10s
  nop:

extensions:
  health_check:
    endpoint: 127.0.0.1:${HEALTH_PORT}

service:
  extensions: [health_check]
  telemetry:
    logs:
      level: ${env:LOG_LEVEL:-info}
      encoding: json
    metrics:
      level: detailed
      readers:
        - pull:
            exporter:
              prometheus:
                host: '127.0.0.1'
                port: ${env:METRICS_PORT}
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch/traces]
      exporters: [otlp/tempo, file/archive, debug]
    metrics:
      receivers: [otlp]
      processors: [batch]
      exporters: [file/metrics, nop]
    logs:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlphttp/loki]
"""


class Wild(EndToEnd):
    def test_a_config_as_found_in_the_wild(self):
        tempo, loki = self.grpc_destination(), self.http_destination()
        health = free_port()
        sluice = self.sluice(WILD, env={
            "GRPC_PORT": str(free_port()), "HTTP_PORT": str(free_port()), "HEALTH_PORT": str(health),
            "METRICS_PORT": str(free_port()), "OUT": str(self.directory), "TEMPO": tempo.endpoint,
            "LOKI": loki.endpoint.removeprefix("http://")})
        for transport in ("grpc", "http"):
            address = getattr(sluice, transport)()
            sluice.config["receivers"]["otlp"]["protocols"][transport]["endpoint"] = address.replace(
                "0.0.0.0", "127.0.0.1")
        wait_until(lambda: metrics.get("127.0.0.1", health, "/")[0] == 200, "health")
        sent = {signal: otlp.recorded(signal)[:10] for signal in otlp.SIGNALS}
        for transport in ("grpc", "http"):
            client = self.client(sluice, transport, "gzip")
            for signal, bodies in sent.items():
                for body in bodies:
                    self.assert_sent(client.send(signal, body))
        self.finish(sluice)

        def items(signal, bodies):
            return sum(1 for b in bodies for _ in otlp.each_item(signal, otlp.parse(signal, b)))
        self.assertEqual(items("traces", tempo.bodies("traces")), 2 * items("traces", sent["traces"]))
        self.assertEqual(items("logs", loki.bodies("logs")), 2 * items("logs", sent["logs"]))
        self.assertEqual(tempo.requests[0].headers["x-scope-orgid"], "anonymous")
        self.assertTrue(all(items("traces", [b]) <= 60 for b in tempo.bodies("traces")))
        for name in ("traces", "metrics"):
            self.assertTrue(otlp.read_lines(self.file(f"{name}.json")))
        self.assertIsNone(otlp.json_difference("traces", tempo.bodies("traces"),
                                               otlp.read_lines(self.file("traces.json"))))
        self.assertTrue(all(re.match(r"\{", line.text) for line in sluice.lines if line.level))


if __name__ == "__main__":
    unittest.main()
