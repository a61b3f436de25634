"""Who may send: authenticators on both protocols with right, wrong and no credentials, files of secrets
that are changed, what goes with the data as metadata, and web pages. Secrets are planted, and looked for
in everything that Sluice says."""
import base64
import hashlib
import json
import os
import socket
import unittest

from google.rpc import code_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.process import command
from harness.send import PROTOBUF, Http, status_of
from harness.waiting import endpoint, wait_until

SECRETS = ("open-sesame-1", "wrong-secret-2", "tok-en-secret-3", "pass-file-secret-4",
           "inline-secret-5", "exported-secret-6")
SENT, WRONG, TOKEN, FROM_FILE, INLINE, EXPORTED = SECRETS
# SENT with cost 10: the twentieth part of a second
BCRYPT = "$2y$10$abcdefghijklmnopqrstuuMkmeyl4vSCMnvi1et5KbmPLo5Kz279q"
METHOD = otlp.SIGNALS["traces"].grpc


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def htpasswd_sha(name, password):
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
    return f"{name}:{{SHA}}{digest}\n"


class Auth(EndToEnd):
    def receiver(self, authenticator, http=None, grpc=None):
        auth = {"auth": {"authenticator": authenticator}} if authenticator else {}
        return {"otlp": otlp_receiver(grpc={**auth, **(grpc or {})}, http={**auth, **(http or {})})}

    def start(self, extensions, authenticator, pipelines=None, exporters=None, processors=None,
              **receiver):
        self.sluice_ = self.sluice(self.config(
            pipelines or {"traces": pipeline(exporters="file")},
            exporters or {"file": {"path": str(self.file("out")), "format": "proto"}},
            receivers=self.receiver(authenticator, **receiver), processors=processors,
            extensions=extensions, service={"extensions": list(extensions)}))
        self.http = self.client(self.sluice_, "http")
        self.grpc = self.client(self.sluice_, "grpc")
        return self.sluice_

    def send_http(self, credential=None, path="/v1/traces", header="Authorization", body=None, **more):
        headers = {"Content-Type": PROTOBUF, **more}
        if credential is not None:
            headers[header] = credential
        return self.http.request("POST", path, otlp.spans(range(2)) if body is None else body, headers)

    def send_grpc(self, credential=None, header="authorization", *more):
        metadata = list(more) + ([(header, credential)] if credential is not None else [])
        return self.grpc.call(METHOD, otlp.spans(range(2)), metadata=metadata)

    def check_refused(self, credential, challenge, **how):
        """Both protocols say that they do not know who it is, and do not repeat what was shown."""
        answer = self.send_http(credential, **how)
        self.assertEqual(answer.code, 401, answer)
        self.assertEqual(answer.headers.get("www-authenticate"), challenge)
        self.assertEqual(answer.headers["content-type"], PROTOBUF)
        status = status_of(answer)
        self.assertEqual(code_pb2.Code.Name(status.code), "UNAUTHENTICATED")
        self.assertTrue(status.message)
        said = str(answer.headers) + status.message
        grpc = self.send_grpc(credential, **{k: v.lower() for k, v in how.items()})
        self.assertEqual((grpc.code, grpc.retryable), ("UNAUTHENTICATED", False), grpc)
        said += grpc.message + str(grpc.headers)
        for secret in SECRETS:
            self.assertNotIn(secret, said)
        return status.message

    def check_let_in(self, credential, **how):
        self.assert_sent(self.send_http(credential, **how))
        self.assert_sent(self.send_grpc(credential, **{k: v.lower() for k, v in how.items()}))

    def refused(self, transport):
        return self.sluice_.metrics().sum(f"sluice_receiver_refused_{transport}_requests",
                                          reason="unauthenticated")

    def replace(self, name, text):
        """As those do who change secrets: another file takes the name."""
        new = self.file(name + ".new")
        new.write_text(text)
        os.replace(new, self.file(name))


class Basic(Auth):
    CHALLENGE = 'Basic realm="sluice", charset="UTF-8"'

    def test_right_wrong_and_no_credentials(self):
        self.start({"basicauth/server": {"htpasswd": {"inline": htpasswd_sha("ann", SENT)}}},
                   "basicauth/server")
        cases = {None: "no basic auth provided", basic("ann", WRONG): "invalid credentials",
                 basic("bob", SENT): "invalid credentials", basic("ann", ""): "invalid credentials",
                 "Bearer " + SENT: "invalid authorization scheme prefix",
                 "Basic " + SENT: "invalid authorization format"}
        for credential, message in cases.items():
            with self.subTest(credential):
                self.assertEqual(self.check_refused(credential, self.CHALLENGE), message)
        self.check_let_in(basic("ann", SENT))
        for transport in ("http", "grpc"):
            self.assertEqual(self.refused(transport), len(cases))
        page = self.finish(self.sluice_)
        self.assertEqual(page.sum("otelcol_receiver_accepted_spans"), 4)
        self.assertEqual(page.sum("otelcol_receiver_refused_spans"), 0)

    def test_is_told_in_the_content_type_that_was_sent(self):
        self.start({"basicauth": {"htpasswd": {"inline": f"ann:{SENT}"}}}, "basicauth")
        answer = self.send_http(basic("ann", WRONG), **{"Content-Type": "application/json"})
        self.assertEqual((answer.code, answer.headers["content-type"]), (401, "application/json"))
        self.assertEqual(json.loads(answer.body), {"code": 16, "message": "invalid credentials"})
        self.assertEqual(answer.headers["www-authenticate"], self.CHALLENGE)

    def test_everything_is_behind_it(self):
        """A stranger does not learn which paths, methods and types there are."""
        self.start({"basicauth": {"htpasswd": {"inline": f"ann:{SENT}"}}}, "basicauth")
        for method, path, kind in (("POST", "/v1/none", PROTOBUF), ("GET", "/v1/traces", PROTOBUF),
                                   ("OPTIONS", "/v1/traces", PROTOBUF),
                                   ("POST", "/v1/traces", "text/plain")):
            answer = self.http.request(method, path, b"", {"Content-Type": kind})
            self.assertEqual(answer.code, 401, (method, path, kind))
        self.assertEqual(self.send_http(basic("ann", SENT), "/v1/none").code, 404)

    def test_is_decided_before_the_body_comes(self):
        self.start({"basicauth": {"htpasswd": {"inline": f"ann:{SENT}"}}}, "basicauth")
        host, port = self.sluice_.http().split(":")
        with socket.create_connection((host, int(port)), timeout=20) as s:
            s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                      b"Content-Length: 10000000\r\n\r\n")
            self.assertIn(b" 401 ", s.recv(4096).split(b"\r\n")[0])
        with socket.create_connection((host, int(port)), timeout=20) as s:
            s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                      b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n")
            self.assertIn(b" 401 ", s.recv(4096).split(b"\r\n")[0])
        used = self.sluice_.metrics().sum("sluice_memory_budget_used_bytes")
        self.assertLess(used, 1 << 20)

    def test_a_file_of_users_that_changes(self):
        self.file("users").write_text(htpasswd_sha("ann", SENT))
        self.start({"basicauth": {"htpasswd": {"file": str(self.file("users"))}}}, "basicauth")
        self.check_let_in(basic("ann", SENT))
        self.replace("users", htpasswd_sha("eve", FROM_FILE))
        wait_until(lambda: self.send_http(basic("eve", FROM_FILE)).ok, "the new user to be known")
        self.check_let_in(basic("eve", FROM_FILE))
        self.check_refused(basic("ann", SENT), self.CHALLENGE)
        os.unlink(self.file("users"))
        self.expect_errors(self.sluice_, "the users read before stay in use")
        wait_until(lambda: self.send_http(basic("eve", FROM_FILE)).ok and
                   self.sluice_.find("the users read before stay in use"), "the missing file to be told")
        self.check_let_in(basic("eve", FROM_FILE))

    def test_guessing_does_not_hold_up_those_who_know(self):
        """A slow hash is computed once for who knows; guesses get a tenth of the time."""
        self.start({"basicauth": {"htpasswd": {"inline": f"ann:{BCRYPT}"}}}, "basicauth")
        self.check_let_in(basic("ann", SENT))
        guesses = iter(range(100000))

        def guess():
            return self.send_http(basic("ann", f"guess {next(guesses)}"))
        told_to_wait = wait_until(lambda: next((a for a in (guess(), guess()) if a.code != 401), None),
                                  "guesses to be slowed down")
        self.assertEqual((told_to_wait.code, told_to_wait.retry_after), (503, 1))
        self.check_let_in(basic("ann", SENT))
        wait_until(lambda: self.send_grpc(basic("ann", f"guess {next(guesses)}")).code == "UNAVAILABLE",
                   "guesses to be slowed down")
        self.check_let_in(basic("ann", SENT))
        wait_until(lambda: guess().code == 401, "another guess to be heard")

    def test_the_name_goes_with_the_data(self):
        """Batches by auth.username, which a sender cannot claim by a header of its own."""
        users = f"ann:{SENT}\nbob:{SENT}"
        self.start({"basicauth": {"htpasswd": {"inline": users}}}, "basicauth",
                   pipelines={"traces": pipeline(exporters="file", processors=["batch"])},
                   processors={"batch": {"timeout": "10m", "send_batch_size": 8,
                                         "metadata_keys": ["auth.username"]}},
                   http={"include_metadata": True}, grpc={"include_metadata": True})
        for name in ("ann", "bob", "ann", "bob"):
            self.assert_sent(self.send_http(basic(name, SENT), **{"auth.username": "eve"}))
            self.assert_sent(self.send_grpc(basic(name, SENT), "authorization", ("auth.username", "ann")))
        self.sluice_.wait_metrics(lambda p: p.sum("otelcol_exporter_sent_spans") == 16, "two batches")
        batches = otlp.read_frames(self.file("out"))
        self.assertEqual([len(otlp.seqs("traces", b)) for b in batches], [8, 8])


class Bearer(Auth):
    def test_right_wrong_and_no_credentials(self):
        self.start({"bearertokenauth": {"token": TOKEN}}, "bearertokenauth")
        for credential in (None, "Bearer " + WRONG, TOKEN, "Bearer", "Basic " + TOKEN,
                           "Bearer " + TOKEN[:-1]):
            with self.subTest(credential):
                self.check_refused(credential, "Bearer")
        self.check_let_in("Bearer " + TOKEN)

    def test_a_header_of_ones_own(self):
        self.start({"bearertokenauth": {"tokens": [TOKEN, SENT], "header": "X-Sender", "scheme": ""}},
                   "bearertokenauth")
        for token in (TOKEN, SENT):
            self.check_let_in(token, header="X-Sender")
        self.check_refused(WRONG, "Bearer", header="X-Sender")
        self.check_refused(TOKEN, "Bearer", header="Authorization")

    def test_a_file_of_tokens_that_changes(self):
        self.file("token").write_text(TOKEN + "\n")
        self.start({"bearertokenauth": {"filename": str(self.file("token"))}}, "bearertokenauth")
        self.check_let_in("Bearer " + TOKEN)
        self.check_refused("Bearer ", "Bearer")
        self.replace("token", FROM_FILE + "\n")
        wait_until(lambda: self.send_grpc("Bearer " + FROM_FILE).ok, "the new token to be known")
        self.check_let_in("Bearer " + FROM_FILE)
        self.check_refused("Bearer " + TOKEN, "Bearer")

    def test_a_parameter_of_the_query(self):
        self.start({"bearertokenauth": {"token": TOKEN, "header": "key", "scheme": ""}},
                   "bearertokenauth", http={"auth": {"authenticator": "bearertokenauth",
                                                     "request_params": ["key"]}})
        self.assert_sent(self.send_http(None, f"/v1/traces?x=y&key={TOKEN}"))
        # the query counts more than the header
        self.assertEqual(self.send_http(TOKEN, f"/v1/traces?key={WRONG}", header="Key").code, 401)
        self.assert_sent(self.send_http(TOKEN, header="Key"))


class Sdk(Auth):
    def exporters(self, authorization):
        headers = {"authorization": authorization} if authorization else {}
        return (GrpcSpans(endpoint=f"http://{self.sluice_.grpc()}", insecure=True, headers=headers),
                HttpSpans(endpoint=f"http://{self.sluice_.http()}/v1/traces", headers=headers))

    def results(self, authorization):
        for exporter in self.exporters(authorization):
            seen = []
            send, exporter.export = exporter.export, lambda spans: seen.append(send(spans)) or seen[-1]
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            with provider.get_tracer("e2e").start_as_current_span("work"):
                pass
            provider.shutdown()
            yield seen

    def test_python_sdk_with_headers(self):
        self.start({"bearertokenauth": {"token": TOKEN}}, "bearertokenauth")
        for right, result in ((f"Bearer {TOKEN}", SpanExportResult.SUCCESS),
                              (f"Bearer {WRONG}", SpanExportResult.FAILURE),
                              (None, SpanExportResult.FAILURE)):
            self.assertEqual(list(self.results(right)), [[result], [result]], right)
        self.assertEqual(self.finish(self.sluice_).sum("otelcol_receiver_accepted_spans"), 2)


class Metadata(Auth):
    def batches(self, **protocols):
        self.start({}, None, pipelines={"traces": pipeline(exporters="file", processors=["batch"])},
                   processors={"batch": {"timeout": "10m", "send_batch_size": 8,
                                         "metadata_keys": ["X-Tenant"],
                                         "metadata_cardinality_limit": 2}}, **protocols)

    def send_tenant(self, transport, tenant):
        return (self.send_http(None, X_Tenant="", **{"X-Tenant": tenant}) if transport == "http"
                else self.send_grpc(tenant, "x-tenant"))

    def test_batches_by_metadata(self):
        self.batches(http={"include_metadata": True}, grpc={"include_metadata": True})
        for transport in ("http", "grpc"):
            for tenant in ("one", "two", "one", "two"):
                self.assert_sent(self.send_tenant(transport, tenant))
        self.sluice_.wait_metrics(lambda p: p.sum("otelcol_exporter_sent_spans") == 16, "two batches")
        batches = otlp.read_frames(self.file("out"))
        self.assertEqual([len(otlp.seqs("traces", b)) for b in batches], [8, 8])
        # one combination too many is refused for good
        for tenant in ("one", "two"):
            self.assert_sent(self.send_tenant("http", tenant))
        answer = self.send_tenant("http", "three")
        self.assertFalse(answer.ok or answer.retryable, answer)

    def test_is_not_kept_unless_asked_for(self):
        self.batches()
        for tenant in ("one", "two", "one", "two"):
            self.assert_sent(self.send_tenant("http", tenant))
        self.sluice_.wait_metrics(lambda p: p.sum("otelcol_exporter_sent_spans") == 8, "one batch")
        self.assertEqual(len(otlp.read_frames(self.file("out"))), 1)


class Cors(Auth):
    ORIGIN = "https://app.example"
    ASKED = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "content-type"}

    def start_with(self, authenticator=None, **cors):
        extensions = {"bearertokenauth": {"token": TOKEN}} if authenticator else {}
        self.start(extensions, authenticator, http={"cors": cors})

    def allowed(self, answer):
        return {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}

    def ask(self, **headers):
        return self.http.request("OPTIONS", "/v1/traces", headers={
            **self.ASKED, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def test_a_page_asks_and_sends(self):
        """A page has no credentials when it asks whether it may send; then it needs them."""
        self.start_with("bearertokenauth", allowed_origins=["https://*.example"], max_age=7200,
                        exposed_headers=["retry-after"], allowed_headers=["authorization", "Content-Type"])
        answer = self.ask(Access_Control_Request_Headers="authorization,content-type")
        self.assertEqual((answer.code, answer.body), (204, b""))
        self.assertNotIn("content-length", answer.headers)
        self.assertEqual(self.allowed(answer), {
            "access-control-allow-origin": self.ORIGIN, "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization,content-type",
            "access-control-allow-credentials": "true", "access-control-max-age": "7200"})
        self.assertEqual(answer.headers["vary"], "Origin, Access-Control-Request-Method, "
                         "Access-Control-Request-Headers")
        wanted = {"access-control-allow-origin": self.ORIGIN, "access-control-allow-credentials": "true",
                  "access-control-expose-headers": "Retry-After"}
        for credential, path, code in ((None, "/v1/traces", 401), ("Bearer " + TOKEN, "/v1/traces", 200),
                                       ("Bearer " + TOKEN, "/v1/none", 404)):
            answer = self.send_http(credential, path, Origin=self.ORIGIN)
            self.assertEqual(answer.code, code)
            self.assertEqual(self.allowed(answer), wanted)
            self.assertEqual(answer.headers["vary"], "Origin")

    def test_other_pages(self):
        self.start_with(allowed_origins=[self.ORIGIN])
        for headers in ({"Origin": "https://evil.example"}, {"Origin": self.ORIGIN + ".evil"},
                        {"Access_Control_Request_Method": "DELETE"},
                        {"Access_Control_Request_Headers": "x-other"}):
            answer = self.ask(**headers)
            self.assertEqual(answer.code, 204)
            self.assertEqual(self.allowed(answer), {}, headers)
        answer = self.send_http(Origin="https://evil.example")  # it is the browser that keeps pages out
        self.assertEqual((answer.code, self.allowed(answer)), (200, {}))
        self.assertEqual(answer.headers["vary"], "Origin")
        self.assertEqual(self.allowed(self.send_http()), {})
        # what only looks like a question
        answer = self.http.request("OPTIONS", "/v1/traces", headers={"Origin": self.ORIGIN})
        self.assertEqual(answer.code, 405)

    def test_any_page(self):
        self.start_with(allowed_origins=["*"], allowed_headers=["*"])
        self.assertEqual(self.allowed(self.ask(Access_Control_Request_Headers="x-any")), {
            "access-control-allow-origin": "*", "access-control-allow-methods": "POST",
            "access-control-allow-headers": "x-any", "access-control-allow-credentials": "true"})

    def test_without_it(self):
        self.start_with()
        answer = self.ask()
        self.assertEqual((answer.code, self.allowed(answer)), (405, {}))
        self.assertNotIn("vary", self.send_http(Origin=self.ORIGIN).headers)


class Config(Auth):
    def validate(self, authenticator, extensions, listed=None, protocol="http"):
        config = self.file("c.yaml")
        config.write_text("\n".join((
            "receivers:", "  otlp:", "    protocols:", f"      {protocol}:", "        auth:",
            f"          authenticator: {authenticator}", "exporters: {nop: {}}",
            f"extensions: {extensions}", "service:",
            f"  extensions: [{', '.join(extensions if listed is None else listed)}]",
            "  pipelines: {traces: {receivers: [otlp], exporters: [nop]}}")))
        done = command("validate", "--config", config)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def test_an_authenticator_that_is_not_there(self):
        server = {"basicauth/a": {"htpasswd": {"inline": "a:b"}}}
        client = {"basicauth/b": {"client_auth": {"username": "a"}}}
        self.assertEqual(self.validate("basicauth/a", server).returncode, 0)
        for protocol in ("http", "grpc"):
            for name, extensions, listed, says in (
                    ("basicauth/x", server, None, '"basicauth/x", which is no extension of service.extensions'),
                    ("basicauth/a", server, [], '"basicauth/a", which is no extension of service.extensions'),
                    ("nop", server, None, '"nop", which is no extension'),
                    ("basicauth/b", client, None, "which proves who sends but does not check it")):
                done = self.validate(name, extensions, listed, protocol)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, f"c.yaml:6:26: error: receiver \"otlp\": protocols."
                                              f"{protocol}.auth.authenticator is {'.*' + says}")
        done = self.validate("", server)
        self.assertRegex(done.stderr, r"c.yaml:\d:\d+: error: .*protocols.http.auth names no authenticator")


class Secrets(Auth):
    def everything_said(self):
        yield "the log", self.sluice_.log()
        yield "the metrics page", str(self.sluice_.metrics())
        pages = Http(self.sluice_.config["extensions"]["zpages"]["endpoint"])
        self.addCleanup(pages.close)
        for name in ("servicez", "pipelinez", "extensionz", "errorz"):
            for query in ("", "?format=json"):
                yield name + query, pages.request("GET", f"/debug/{name}{query}").message
        for args in (("print-config",), ("print-config", "--format", "json"), ("validate",),
                     ("print-config", "--validate")):
            done = command(*args, "--config", self.sluice_.path)
            yield " ".join(args), done.stdout + done.stderr

    def test_are_nowhere(self):
        self.file("password").write_text(FROM_FILE)
        self.file("users").write_text(f"bob:{FROM_FILE}\n")
        users = {"file": str(self.file("users")), "inline": f"ann:{INLINE}"}
        self.start({"basicauth": {"htpasswd": users},
                    "basicauth/client": {"client_auth": {"username": "a", "password": EXPORTED,
                                                         "password_file": str(self.file("password"))}},
                    "bearertokenauth": {"token": TOKEN}, "bearertokenauth/several": {"tokens": [TOKEN]},
                    "zpages": {"endpoint": endpoint()}},
                   "basicauth", http={"include_metadata": True}, grpc={"include_metadata": True})
        self.check_let_in(basic("ann", INLINE))
        self.check_let_in(basic("bob", FROM_FILE))
        self.check_refused(basic("ann", WRONG), Basic.CHALLENGE)
        self.send_http(basic("ann", INLINE), Cookie=SENT, X_Api_Key=SENT, body=b"broken")
        self.file("users").write_text("")  # read again, and refused: the inline one is left
        wait_until(lambda: not self.send_http(basic("bob", FROM_FILE)).ok, "the emptied file to be read")
        coded = [basic(n, s).split()[1] for n in ("ann", "bob", "a") for s in SECRETS]
        for where, text in self.everything_said():
            for secret in (*SECRETS, *coded):
                self.assertNotIn(secret, text, where)

    def test_are_not_in_errors(self):
        """A config that is wrong beside its secrets."""
        config = self.config({"traces": pipeline(exporters="nop")}, {"nop": None}, extensions={
            "basicauth": {"htpasswd": {"inline": f"{INLINE}"}},
            "basicauth/b": {"client_auth": {"username": f"a:{EXPORTED}", "password": SENT}},
            "bearertokenauth": {"token": TOKEN + "\n"}, "bearertokenauth/b": {"tokens": {SENT: WRONG}},
        }, service={"extensions": ["basicauth", "basicauth/b", "bearertokenauth", "bearertokenauth/b"]})
        sluice = self.sluice(config, start=False)
        done = command("validate", "--config", sluice.path)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count(": error: "), 4, done.stderr)
        for secret in SECRETS:
            self.assertNotIn(secret, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
