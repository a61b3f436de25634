"""The configurations in configs/, run as they are with addresses of the test's own: what is sent through them,
and what comes out."""
import re
import unittest
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from harness import certs, otlp, zstd
from harness.case import EndToEnd
from harness.destination import Reply
from harness.waiting import endpoint, free_port, wait_until

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SIGNALS = ("traces", "metrics", "logs")
TOKEN = "a-token-of-the-test"


def switched_on(text):
    """With what begins with # and no space behind it."""
    return re.sub(r"(?m)^( *)#(?=\S)|^( *)#(?=  )", r"\1\2", text)


def telling(text):
    """With a log that also says how it ended."""
    return text.replace("level: warn", "level: info")


def attributes(holder):
    return {a.key: MessageToDict(a.value) for a in holder.attributes}


class Configs(EndToEnd):
    def shipped(self, name, change=lambda text: text, **env):
        places = {"SLUICE_GRPC": endpoint(), "SLUICE_HTTP": endpoint(), "SLUICE_HEALTH": endpoint(),
                  "SLUICE_ZPAGES": endpoint(), "SLUICE_METRICS_PORT": str(free_port()),
                  "SLUICE_OUT": str(self.directory)}
        sluice = self.sluice(change((CONFIGS / name).read_text()), env={**places, **env}, start=False)
        sluice.start(wait=False)
        sluice.wait_listening(places["SLUICE_GRPC"])
        sluice.wait_listening(places["SLUICE_HTTP"])
        return sluice

    def send_each(self, sluice):
        for signal in SIGNALS:
            for transport in ("grpc", "http"):
                self.assert_sent(self.client(sluice, transport).send(signal, otlp.MAKE[signal](range(20))))

    def assert_arrived(self, destination, times=2):
        for signal in SIGNALS:
            self.assertEqual(sorted(otlp.seqs(signal, *destination.bodies(signal))),
                             sorted(list(range(20)) * times), signal)

    def test_each_has_a_test(self):
        tested = re.findall(r'shipped\("([\w-]+\.yaml)"', Path(__file__).read_text())
        self.assertEqual({p.name for p in CONFIGS.glob("*.yaml")}, set(tested))

    def test_quickstart(self):
        sluice = self.shipped("quickstart.yaml")
        self.send_each(sluice)
        self.finish_empty(sluice)
        for signal in SIGNALS:
            lines = self.file(f"{signal}.jsonl").read_text().splitlines()
            self.assertEqual(sum(sum(1 for _ in otlp.each_item(signal, otlp.from_json(signal, line)))
                                 for line in lines), 40)

    def test_gateway(self):
        backend = self.grpc_destination()
        sluice = self.shipped("gateway.yaml", SLUICE_BACKEND=backend.endpoint)
        self.send_each(sluice)
        self.finish_empty(sluice)
        self.assert_arrived(backend)
        self.assertEqual(len(backend.requests), 3)  # batches

    def test_gateway_with_tls_and_tokens(self):
        backend = self.grpc_destination()
        authority = certs.Authority(self.directory)
        server, client = authority.issue(), authority.issue("client")
        self.file("tokens").write_text(TOKEN + "\n")
        sluice = self.shipped("gateway.yaml", switched_on, SLUICE_BACKEND=backend.endpoint,
                              SLUICE_CERT=str(server.cert), SLUICE_KEY=str(server.key),
                              SLUICE_CLIENT_CA=str(authority.cert), SLUICE_TOKENS=str(self.file("tokens")))
        for token, code in ((TOKEN, 200), ("another", 401)):
            http = self.client(sluice, "http", trust=authority, show=client)
            answer = http.request("POST", "/v1/traces", otlp.spans(range(20)), {
                "Content-Type": "application/x-protobuf", "Authorization": f"Bearer {token}"})
            self.assertEqual(answer.code, code)
        refused = self.client(sluice, "grpc", trust=authority, show=client).send("traces", otlp.spans([1]))
        self.assertEqual(refused.code, "UNAUTHENTICATED")
        self.assertFalse(self.client(sluice, "grpc", trust=authority).send("traces", otlp.spans([1])).ok)
        self.finish_empty(sluice)
        self.assertEqual(len(otlp.seqs("traces", *backend.bodies("traces"))), 20)

    def test_agent(self):
        gateway = self.http_destination()
        sluice = self.shipped("agent.yaml", SLUICE_GATEWAY=f"http://127.0.0.1:{gateway.port}", HOSTNAME="here",
                              SLUICE_ENVIRONMENT="test")
        self.send_each(sluice)
        self.finish_empty(sluice)
        self.assert_arrived(gateway)
        for signal in SIGNALS:
            for body in gateway.bodies(signal):
                found = attributes(otlp.parse(signal, body).ListFields()[0][1][0].resource)
                self.assertEqual(found["host.name"], {"stringValue": "here"})
                self.assertEqual(found["deployment.environment.name"], {"stringValue": "test"})

    def test_sidecar(self):
        gateway = self.grpc_destination()
        sluice = self.shipped("sidecar.yaml", telling, SLUICE_GATEWAY=gateway.endpoint)
        self.send_each(sluice)
        self.assert_arrived(gateway)  # no later than the answers
        gateway.script(Reply("INVALID_ARGUMENT"))
        answer = self.client(sluice, "grpc").send("traces", otlp.spans([1]))
        self.assertFalse(answer.ok)
        self.assertFalse(answer.retryable)
        self.expect_errors(sluice, "INVALID_ARGUMENT")
        self.finish(sluice)

    def test_durable(self):
        a, b = self.http_destination(), self.http_destination()
        b.usually = Reply(503)
        places = {"SLUICE_A": a.endpoint, "SLUICE_B": b.endpoint}
        sluice = self.shipped("durable.yaml", **places)
        self.send_each(sluice)
        wait_until(lambda: all(len(otlp.seqs(s, *a.bodies(s))) == 40 for s in SIGNALS),
                   lambda: "all to arrive at the one that is there")
        sluice.kill()
        b.requests.clear()
        b.usually = None
        sluice = self.shipped("durable.yaml", **places)
        wait_until(lambda: all(set(otlp.seqs(s, *b.bodies(s))) == set(range(20)) for s in SIGNALS),
                   lambda: "all to arrive at the one that was away")
        self.finish_empty(sluice)

    def test_redaction(self):
        sluice = self.shipped("redaction.yaml")
        spans = otlp.parse("traces", otlp.spans(range(3)))
        probe, whole, plain = spans.resource_spans[0].scope_spans[0].spans
        for span, values in ((probe, {"url.path": "/healthz"}), (plain, {"url.path": "/cart"}), (whole, {
                "enduser.id": "alice", "http.request.header.authorization": "Bearer hunter2",
                "session_Token": "hunter3", "note": "card 4111111111111111 of bob@mail.test",
                "contact": "help@example.com"})):
            for key, value in values.items():
                span.attributes.add(key=key).value.string_value = value
        self.assert_sent(self.client(sluice, "grpc").send("traces", spans.SerializeToString()))
        logs = otlp.parse("logs", otlp.records(range(2)))
        debug, kept = logs.resource_logs[0].scope_logs[0].log_records
        debug.severity_number, kept.severity_number = 5, 17
        kept.body.string_value = "paid with 5111111111111111"
        self.assert_sent(self.client(sluice, "http").send("logs", logs.SerializeToString()))
        self.finish_empty(sluice)
        text = self.file("traces.jsonl").read_text() + self.file("logs.jsonl").read_text()
        for secret in ("hunter", "4111111111111111", "5111111111111111", "bob@", "alice", "healthz"):
            self.assertNotIn(secret, text)
        written = otlp.from_json("traces", self.file("traces.jsonl").read_text())
        found = {s.span_id: attributes(s) for s in written.resource_spans[0].scope_spans[0].spans}
        self.assertEqual(set(found), {whole.span_id, plain.span_id})
        mine = found[whole.span_id]
        self.assertEqual(mine["contact"], {"stringValue": "help@example.com"})
        self.assertEqual(mine["note"], {"stringValue": "card **** of ****"})
        self.assertEqual(mine["redaction.masked.count"], {"intValue": "2"})
        self.assertRegex(mine["enduser.id"]["stringValue"], r"^[0-9a-f]{40,64}$")
        record, = otlp.from_json("logs", self.file("logs.jsonl").read_text()).resource_logs[0].scope_logs[0].log_records
        self.assertEqual(record.body.string_value, "paid with ****")

    def test_fan_out(self):
        backend, second = self.grpc_destination(), self.http_destination()
        sluice = self.shipped("fan-out.yaml", SLUICE_BACKEND=backend.endpoint,
                              SLUICE_SECOND=f"http://127.0.0.1:{second.port}")
        for transport, seqs in (("grpc", range(500)), ("http", range(500, 1000))):
            self.assert_sent(self.client(sluice, transport).send("traces", otlp.spans(seqs)))
        page = self.finish_empty(sluice)
        self.assertEqual(set(otlp.seqs("traces", *backend.bodies("traces"))), set(range(1000)))
        archived = [zstd.decompress(frame) for frame in otlp.read_frames(self.file("archive.otlp"))]
        self.assertEqual(set(otlp.seqs("traces", *archived)), set(range(1000)))
        sampled = otlp.seqs("traces", *second.bodies("traces"))
        self.assertTrue(50 < len(sampled) < 200, len(sampled))
        self.assertEqual(page.sum("otelcol_receiver_accepted_spans"), 1000)


if __name__ == "__main__":
    unittest.main()
