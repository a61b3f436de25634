"""The pages about the running process: what they show, to people and to programs, and what they do not."""
import base64
import html.parser
import json
import unittest
from http.client import HTTPException

from google.rpc import status_pb2

from harness import certs, otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.destination import HANG, Reply
from harness.process import command
from harness.send import Http
from harness.waiting import endpoint, wait_until

PAGES = ("servicez", "pipelinez", "extensionz", "errorz")
EVIL = "<script>alert('x')</script>\"&"


class Reader(html.parser.HTMLParser):
    """Checks that tags are closed, and collects texts, tags and links."""
    VOID = {"meta", "link"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.texts = [], set(), [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)


class Zpages(EndToEnd):
    def start(self, pipelines=None, exporters=None, receivers=None, processors=None, **extensions):
        self.where = endpoint()
        self.sluice_ = self.sluice(self.config(
            pipelines or self.all_signals(exporters="nop"), exporters or {"nop": None},
            receivers=receivers, processors=processors,
            extensions={"zpages": {"endpoint": self.where}, **extensions},
            service={"extensions": ["zpages", *extensions]}))
        self.pages = Http(self.where)
        self.addCleanup(self.pages.close)
        wait_until(lambda: self.shown("servicez")["ready"], "gRPC to be loaded")
        return self.sluice_

    def page(self, name, path=None, method="GET", **headers):
        return self.pages.request(method, path or f"/debug/{name}", headers=headers)

    def shown(self, name):
        """As JSON."""
        answer = self.page(name, Accept="application/json")
        self.assertEqual((answer.code, answer.headers["content-type"]), (200, "application/json"))
        return json.loads(answer.body)

    def component(self, pipeline_, name):
        for p in self.shown("pipelinez")["pipelines"]:
            if p["name"] == pipeline_:
                return next(c for c in p["components"] if c["name"] == name)
        self.fail(f"no pipeline {pipeline_}")


class Pages(Zpages):
    def test_for_people(self):
        self.start()
        for name in PAGES:
            answer = self.page(name)
            self.assertEqual((answer.code, answer.headers["content-type"]),
                             (200, "text/html; charset=utf-8"), name)
            page = Reader(answer.body.decode())
            self.assertNotIn("script", page.tags)
            for link in page.links:  # nothing from elsewhere, and nothing that is not there
                self.assertTrue(link.startswith("/debug/"), link)
                self.assertEqual(self.page(None, link).code, 200, link)
            self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["cache-control"], "no-store")
            head = self.page(name, method="HEAD")
            self.assertEqual((head.code, head.body), (200, b""))

    def test_for_programs(self):
        self.start()
        for name in PAGES:
            by_query = self.page(name, f"/debug/{name}?format=json")
            self.assertEqual(by_query.headers["content-type"], "application/json")
            self.assertEqual(json.loads(by_query.body).keys(), self.shown(name).keys())

    def test_addresses(self):
        self.start()
        for path in ("/", "/debug", "/debug/"):
            answer = self.page(None, path)
            self.assertEqual((answer.code, answer.headers["location"]), (302, "/debug/servicez"))
        for path in ("/debug/tracez", "/debug/featurez", "/debug/expvarz"):
            answer = self.page(None, path)
            self.assertEqual(answer.code, 404)
            self.assertIn("Sluice", answer.message)
        self.assertEqual(self.page(None, "/debug/pprof").code, 404)
        for method in ("DELETE", "OPTIONS"):
            self.assertEqual(self.page("servicez", method=method).code, 405)


class Content(Zpages):
    def test_the_process_and_its_extensions(self):
        sluice = self.start(**{"bearertokenauth/b": {"token": "x"}})
        service = self.shown("servicez")
        self.assertEqual((service["pid"], service["ready"]), (sluice.pid, True))
        self.assertEqual(service["version"], command("version").stdout.split()[1])
        self.assertRegex(service["ready_since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertGreater(service["memory"]["limit"], service["memory"]["used"])
        self.assertEqual([(e["name"], e["status"]) for e in self.shown("extensionz")["extensions"]],
                         [("zpages", "ok"), ("bearertokenauth/b", "ok")])

    def test_items_and_rates(self):
        sluice = self.start({"traces/a": pipeline(exporters="nop", processors=["batch"]),
                             "logs": pipeline(exporters="nop")}, processors={"batch": {"timeout": "1ms"}})
        client = self.client(sluice, "http")
        for i in range(10):
            self.assert_sent(client.send("traces", otlp.spans(range(100))))
        self.assert_sent(client.send("logs", otlp.records(range(7))))
        wait_until(lambda: self.component("traces/a", "nop")["delivered"] == 1000, "all to arrive")
        page = self.shown("pipelinez")
        self.assertEqual([(p["name"], p["signal"], p["lanes"]) for p in page["pipelines"]],
                         [("traces/a", "traces", 1), ("logs", "logs", 1)])
        self.assertEqual([(c["name"], c["kind"]) for c in page["pipelines"][0]["components"]],
                         [("otlp", "receiver"), ("batch", "processor"), ("nop", "exporter")])
        for component in page["pipelines"][0]["components"]:
            self.assertEqual((component["received"], component["held"], component["status"]),
                             (1000, 0, "ok"), component)
        self.assertEqual(self.component("logs", "otlp")["received"], 7)
        self.assertGreater(self.component("traces/a", "otlp")["received_per_second"], 0)
        # a rate is of the time between looks: it ends when nothing comes any more
        wait_until(lambda: self.component("traces/a", "nop")["out_per_second"] == 0, "the rate to end")

    def test_a_queue_that_fills_and_a_destination_that_fails(self):
        destination = self.http_destination()
        destination.usually = HANG
        sluice = self.start({"traces": pipeline(exporters="otlphttp")}, {"otlphttp": {
            "endpoint": destination.endpoint, "sending_queue": {"queue_size": 10, "num_consumers": 1},
            "retry_on_failure": {"initial_interval": "10ms", "max_interval": "20ms"}}})
        client = self.client(sluice, "http")
        for i in range(6):
            self.assert_sent(client.send("traces", otlp.spans(range(i * 5, i * 5 + 5))))
        destination.wait(1)
        exporter = self.component("traces", "otlphttp")
        self.assertEqual((exporter["queue_size"], exporter["queue_capacity"], exporter["held"]), (5, 10, 30))
        self.assertEqual(exporter["in_flight"], 1)
        self.assertIn("5 of 10", "".join(Reader(self.page("pipelinez").body.decode()).texts))
        destination.release()  # the one that hung breaks, and is tried again
        wait_until(lambda: self.component("traces", "otlphttp")["delivered"] == 30, "the queue to empty")
        self.assertEqual(self.component("traces", "otlphttp")["queue_size"], 0)
        errors = self.shown("errorz")["errors"]
        self.assertEqual([(e["component"], e["level"], e["count"]) for e in errors],
                         [("otlphttp", "info", 1)], errors)
        self.assertIn("Will retry", errors[0]["text"])

    def test_the_latest_errors(self):
        destination = self.http_destination()
        destination.usually = Reply(400, body=status_pb2.Status(
            code=3, message=EVIL).SerializeToString())
        sluice = self.start({"traces": pipeline(exporters="otlphttp")},
                            {"otlphttp": {"endpoint": destination.endpoint}})
        self.expect_errors(sluice, "Exporting failed")
        self.assertEqual(self.shown("errorz")["errors"], [])
        self.assertIn("None.", self.page("errorz").message)
        client = self.client(sluice, "http")
        for _ in range(3):
            self.assert_sent(client.send("traces", otlp.spans(range(5))))
        errors = wait_until(lambda: [e for e in self.shown("errorz")["errors"] if e["count"] == 3],
                            "the errors to be told")
        self.assertEqual(len(self.shown("errorz")["errors"]), 1)  # three times the same
        self.assertEqual((errors[0]["component"], errors[0]["level"]), ("otlphttp", "error"))
        self.assertIn(EVIL, errors[0]["text"])
        for name in ("errorz", "servicez"):
            page = Reader(self.page(name).body.decode())
            self.assertIn(EVIL, "".join(page.texts))
            self.assertNotIn("script", page.tags)

    def test_names_beyond_ascii(self):
        name = "otlp/größe"
        self.start({"traces/größe": pipeline(name, exporters="nop")}, receivers={name: otlp_receiver()})
        self.assertEqual(self.component("traces/größe", name)["kind"], "receiver")
        self.assertIn(name, "".join(Reader(self.page("pipelinez").body.decode()).texts))


class Config(Zpages):
    def test_keys(self):
        base = ("receivers: {otlp: {protocols: {http: }}}\nexporters: {nop: }\n"
                "service: {extensions: [zpages], pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}\n"
                "extensions:\n  zpages:")
        for keys, code, says in (
                ("", 0, "no journal"), (" {expvar: {enabled: true}}", 0, r":5:\d+: note: .*Go's runtime"),
                (" {endpoint: ''}", 1, r":5:22: error: .*endpoint is empty"),
                (" {tls: {cert_file: a}}", 1, r":5:\d+: error: .*tls has a certificate, but no key"),
                (" {cors: {allowed_origins: [a]}}", 1, r":5:18: error: .*cors is not supported yet"),
                (" {auth: {request_params: [a]}}", 1, r':5:\d+: error: .*missing key "authenticator"'),
                (" {endpont: 'x'}", 1, r'unknown key "endpont" .*nearest: "endpoint"')):
            config = self.file("c.yaml")
            config.write_text(base + keys + "\n")
            done = command("validate", "--config", config)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertRegex(done.stderr + done.stdout, says)

    def test_who_may_look(self):
        """Over TLS, with a password: the same keys do the same for health_check."""
        authority = certs.Authority(self.directory, "authority")
        made, health = authority.issue(), endpoint()
        secured = {"tls": {"cert_file": str(made.cert), "key_file": str(made.key)},
                   "auth": {"authenticator": "basicauth"}}
        self.where = endpoint()
        self.sluice_ = self.sluice(self.config(
            self.all_signals(exporters="nop"), {"nop": None},
            extensions={"zpages": {"endpoint": self.where, **secured}, "health_check": {
                "endpoint": health, **secured}, "basicauth": {"htpasswd": {"inline": "ann:secret"}}},
            service={"extensions": ["zpages", "health_check", "basicauth"]}))
        right = {"Authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}
        wrong = {"Authorization": "Basic " + base64.b64encode(b"ann:other").decode()}
        for where, path in ((self.where, "/debug/pipelinez"), (health, "/")):
            client = Http(where, context=authority.context())
            self.addCleanup(client.close)
            for headers in ({}, wrong):
                answer = client.request("GET", path, headers=headers)
                self.assertEqual(answer.code, 401, answer)
                self.assertTrue(answer.headers["www-authenticate"].startswith("Basic "), answer.headers)
                self.assertNotIn("pipeline", answer.body.decode())
            wait_until(lambda: client.request("GET", path, headers=right).code == 200, "the page")
            plain = Http(where)
            self.addCleanup(plain.close)
            try:
                self.assertGreaterEqual(plain.request("GET", path, headers=right).code, 400)
            except (OSError, HTTPException):
                pass

    def test_an_authenticator_that_is_not_there(self):
        self.where = endpoint()
        other = self.sluice(self.config(
            self.all_signals(exporters="nop"), {"nop": None},
            extensions={"zpages": {"endpoint": self.where, "auth": {"authenticator": "basicauth/none"}}},
            service={"extensions": ["zpages"]}), start=False)
        self.expect_errors(other, "Cannot start: extension \"zpages\"")
        other.start(wait=False)
        self.assertEqual(other.wait(), 1)
        self.assertTrue(other.find('auth.authenticator is "basicauth/none"', "error"), other.log())

    def test_an_address_that_is_taken(self):
        self.start()
        other = self.sluice(self.config(self.all_signals(exporters="nop"), {"nop": None},
                                        extensions={"zpages": {"endpoint": self.where}},
                                        service={"extensions": ["zpages"]}), start=False, name="other")
        self.expect_errors(other, "Cannot start: extension \"zpages\"")
        other.start(wait=False)
        self.assertEqual(other.wait(), 1)


if __name__ == "__main__":
    unittest.main()
