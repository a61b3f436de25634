"""The ways out: how otlp and otlphttp secure, prove, compress and route what they send, with whom they
do not speak, and that no secret is ever shown."""
import json
import ssl
import tempfile
import unittest

import grpc

from harness import otlp
from harness.certs import Authority
from harness.case import EndToEnd
from harness.destination import GrpcDestination, HttpDestination
from harness.process import command
from harness.proxy import Proxy
from harness.waiting import endpoint, wait_until

QUICK = {"initial_interval": "50ms", "max_interval": "200ms", "randomization_factor": 0}
NO_RETRY = {"enabled": False}
FAILS = "Retries are off|not retryable"


def server_context(certificate, clients=None, **attributes):
    """Of a Python server; `clients`: the authority that must have signed their certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    if clients:
        context.load_verify_locations(clients.cert)
        context.verify_mode = ssl.CERT_REQUIRED
    for key, value in attributes.items():
        setattr(context, key, value)
    return context


class Export(EndToEnd):
    kinds = ("otlphttp", "otlp")

    def destination(self, kind, certificate=None, clients=None, port=None, **attributes):
        """Secured where there is a certificate."""
        if kind == "otlphttp":
            context = server_context(certificate, clients, **attributes) if certificate else None
            made = HttpDestination(context, port)
        else:
            credentials = None
            if certificate:
                credentials = grpc.ssl_server_credentials(
                    [(certificate.key.read_bytes(), certificate.cert.read_bytes())],
                    clients.cert.read_bytes() if clients else None, clients is not None)
            made = GrpcDestination(credentials, port=port)
        self.addCleanup(made.close)
        return made

    def exporting(self, kind, to, at=None, env=None, **keys):
        exporter = {"endpoint": at or to.endpoint, "retry_on_failure": QUICK, **keys}
        return self.sluice(self.config(self.all_signals(exporters=kind), {kind: exporter}), env=env,
                           name=f"{kind}-{len(self._sluices)}")

    def send(self, sluice, n=5):
        self.client(sluice, "http").send("traces", otlp.spans(range(n)))

    def arrives(self, sluice, to, n=5):
        before = len(to.requests)
        self.send(sluice, n)
        to.wait(before + 1)
        self.assertEqual(to.requests[-1].body, otlp.spans(range(n)))
        self.finish_empty(sluice)

    def never_arrives(self, sluice, to, pattern=None):
        """The attempt fails, and the log says why."""
        self.expect_errors(sluice, FAILS)
        self.send(sluice)
        line = sluice.wait_log(FAILS)
        if pattern:
            self.assertRegex(sluice.log(), pattern)
        self.assertEqual(to.requests, [], line)
        self.finish_empty(sluice)


class Secured(Export):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory(prefix="sluice-certs-")
        cls.addClassCleanup(cls._folder.cleanup)
        cls.ca, cls.other = (Authority(cls._folder.name, name) for name in ("ca", "other"))
        cls.server = cls.ca.issue("server")
        cls.mine, cls.foreign = cls.ca.issue("client"), cls.other.issue("client")

    def test_the_right_authority(self):
        for kind in self.kinds:
            for tls in ({"ca_file": str(self.ca.cert)}, {"ca_pem": self.ca.cert.read_text()},
                        {"ca_file": str(self.ca.cert), "include_system_ca_certs_pool": True}):
                with self.subTest(kind, tls=list(tls)):
                    to = self.destination(kind, self.server)
                    self.arrives(self.exporting(kind, to, tls=tls), to)

    def test_the_system_s_authorities(self):
        for kind in self.kinds:
            with self.subTest(kind):
                to = self.destination(kind, self.server)
                sluice = self.exporting(kind, to, env={"SSL_CERT_FILE": str(self.ca.cert)})
                self.arrives(sluice, to)

    def test_a_scheme_says_that_it_is_secured(self):
        to = self.destination("otlp", self.server)
        self.arrives(self.exporting("otlp", to, f"https://{to.endpoint}", tls={
            "insecure": True, "ca_file": str(self.ca.cert)}), to)
        to = self.destination("otlp", self.server)
        self.arrives(self.exporting("otlp", to, f"https://{to.endpoint}", tls={"insecure": True},
                                    env={"SSL_CERT_FILE": str(self.ca.cert)}), to)

    def test_servers_that_are_not_trusted(self):
        servers = {"authority": self.other.issue("server"),
                   "name": self.ca.issue("server", ("DNS:elsewhere.test",)),
                   "expired": self.ca.issue("server", days=-1),
                   "no name": self.ca.issue("127.0.0.1", ())}
        for kind in self.kinds:
            for what, certificate in servers.items():
                with self.subTest(kind, what=what):
                    to = self.destination(kind, certificate)
                    sluice = self.exporting(kind, to, retry_on_failure=NO_RETRY,
                                            tls={"ca_file": str(self.ca.cert)})
                    self.never_arrives(sluice, to, "(?i)certificate|handshake|host ?name|server name")
                    to = self.destination(kind, certificate)
                    self.arrives(self.exporting(kind, to, tls={"insecure_skip_verify": True}), to)

    def test_a_server_s_other_name(self):
        certificate = self.ca.issue("server", ("DNS:otlp.example",))
        for kind in self.kinds:
            with self.subTest(kind):
                to = self.destination(kind, certificate)
                tls = {"ca_file": str(self.ca.cert), "server_name_override": "otlp.example"}
                self.arrives(self.exporting(kind, to, tls=tls), to)
                if kind == "otlphttp":
                    self.assertEqual(to.requests[0].headers["host"], f"127.0.0.1:{to.port}")

    def test_clients_show_who_they_are(self):
        for kind in self.kinds:
            for keys in (self.mine.keys, self.mine.pems):
                with self.subTest(kind, keys=list(keys)):
                    to = self.destination(kind, self.server, self.ca)
                    self.arrives(self.exporting(kind, to, tls={"ca_file": str(self.ca.cert), **keys}),
                                 to)
            for what, keys in (("none", {}), ("foreign", self.foreign.keys)):
                with self.subTest(kind, what=what):
                    to = self.destination(kind, self.server, self.ca)
                    sluice = self.exporting(kind, to, retry_on_failure=NO_RETRY,
                                            tls={"ca_file": str(self.ca.cert), **keys})
                    self.never_arrives(sluice, to)

    def test_rotated_certificates_are_taken(self):
        for kind in self.kinds:
            with self.subTest(kind):
                mine = self.ca.issue("rotated")
                to = self.destination(kind, self.server, self.ca)
                keys = {"disable_keep_alives": True} if kind == "otlphttp" else {}
                sluice = self.exporting(kind, to, **keys, tls={
                    "ca_file": str(self.ca.cert), "reload_interval": "50ms", **mine.keys})
                self.send(sluice)
                to.wait(1)
                to.close()
                again = self.destination(kind, self.server, self.other, port=to.port)
                self.send(sluice)
                sluice.wait_log("Will retry", 2)
                self.assertEqual(again.requests, [])
                mine.replace(self.foreign)
                again.wait(1)
                sluice.wait_log("have been read again")
                # what does not fit is not taken, and said
                mine.key.write_text(self.mine.key.read_text())
                self.expect_errors(sluice, "What was read before stays in use: .*key")

                def look():
                    self.send(sluice)
                    return sluice.find("What was read before stays in use")
                wait_until(look, "the complaint")
                before = len(again.requests)
                self.send(sluice)
                again.wait(before + 1)
                self.finish_empty(sluice)

    def test_versions(self):
        to = self.destination("otlphttp", self.server, maximum_version=ssl.TLSVersion.TLSv1_2)
        self.arrives(self.exporting("otlphttp", to, tls={"ca_file": str(self.ca.cert)}), to)
        to = self.destination("otlphttp", self.server, maximum_version=ssl.TLSVersion.TLSv1_2)
        sluice = self.exporting("otlphttp", to, retry_on_failure=NO_RETRY, tls={
            "ca_file": str(self.ca.cert), "min_version": "1.3"})
        self.never_arrives(sluice, to)
        to = self.destination("otlphttp", self.server, minimum_version=ssl.TLSVersion.TLSv1_3)
        sluice = self.exporting("otlphttp", to, retry_on_failure=NO_RETRY, tls={
            "ca_file": str(self.ca.cert), "max_version": "1.2"})
        self.never_arrives(sluice, to)

    def test_plain_and_secured_do_not_mix(self):
        for kind in self.kinds:
            with self.subTest(kind):
                to = self.destination(kind)
                at = f"https://127.0.0.1:{to.port}" if kind == "otlphttp" else to.endpoint
                sluice = self.exporting(kind, to, at, retry_on_failure=NO_RETRY,
                                        tls={"ca_file": str(self.ca.cert)})
                self.never_arrives(sluice, to)
                to = self.destination(kind, self.server)
                at = f"http://127.0.0.1:{to.port}" if kind == "otlphttp" else to.endpoint
                sluice = self.exporting(kind, to, at, retry_on_failure=NO_RETRY,
                                        tls={"insecure": True})
                self.never_arrives(sluice, to)

    def test_what_cannot_work_is_said_before_it_starts(self):
        for kind, endpoint in (("otlphttp", "https://localhost:1"), ("otlp", "localhost:1")):
            for tls, pattern in (
                    ({"ca_file": "/nowhere/ca.pem"}, "tls.ca_file: .*/nowhere/ca.pem"),
                    ({"ca_pem": "no certificate"}, "no certificate authority"),
                    ({"cert_file": str(self.mine.cert)}, "certificate needs its key"),
                    ({"cert_file": str(self.mine.cert), "key_file": str(self.foreign.key)},
                     "does not belong"),
                    ({"tpm": {"enabled": True}}, "trusted platform module")):
                with self.subTest(kind, tls=list(tls)):
                    config = self.config(self.all_signals(exporters=kind),
                                         {kind: {"endpoint": endpoint, "tls": tls}})
                    path = self.file("bad.yaml")
                    path.write_text(json.dumps(config))
                    done = command("validate", "--config", path)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertRegex(done.stdout + done.stderr, pattern)


class Routed(Export):
    def proxy(self, to):
        made = Proxy(to.port)
        self.addCleanup(made.close)
        return made

    def test_a_proxy_of_the_config(self):
        to = self.destination("otlphttp")
        proxy = self.proxy(to)
        url = proxy.url.replace("//", "//me:s3cret@")
        sluice = self.exporting("otlphttp", to, proxy_url=url, compression="none")
        self.arrives(sluice, to)
        self.assertEqual(proxy.asked, [f"POST {to.endpoint}/v1/traces HTTP/1.1"])
        self.assertIn("Proxy-Authorization: Basic bWU6czNjcmV0", proxy.heads[0])

    def test_a_proxy_of_the_environment(self):
        ca = Authority(self.directory)
        certificate = ca.issue("server", ("DNS:otlp.test",))
        tls = {"ca_file": str(ca.cert)}
        for kind, scheme, secured, asked in (
                ("otlphttp", "http://", False, "POST http://otlp.test:4000/v1/traces HTTP/1.1"),
                ("otlphttp", "https://", True, "CONNECT otlp.test:4000 HTTP/1.1"),
                ("otlp", "", False, "CONNECT otlp.test:4000 HTTP/1.1"),
                ("otlp", "", True, "CONNECT otlp.test:4000 HTTP/1.1")):
            with self.subTest(kind, secured=secured):
                to = self.destination(kind, certificate if secured else None)
                proxy = self.proxy(to)
                variable = "HTTP_PROXY" if scheme == "http://" else "HTTPS_PROXY"
                sluice = self.exporting(
                    kind, to, f"{scheme}otlp.test:4000", env={variable: proxy.url},
                    compression="none", tls=tls if secured else {"insecure": True})
                self.arrives(sluice, to)
                self.assertEqual(proxy.asked[0], asked)

    def test_no_proxy(self):
        for kind in self.kinds:
            with self.subTest(kind):
                to = self.destination(kind)
                proxy = self.proxy(to)
                env = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
                self.arrives(self.exporting(kind, to, env=env, tls={"insecure": True}), to)
                self.assertEqual(proxy.asked, [])  # never for loopback addresses
                name = "otlp.test:4000" if kind == "otlp" else "http://otlp.test:4000"
                sluice = self.exporting(kind, to, name, retry_on_failure=NO_RETRY, timeout="5s",
                                        env={**env, "NO_PROXY": ".example, otlp.test:4000"},
                                        tls={"insecure": True})
                to.requests.clear()
                self.never_arrives(sluice, to)  # there is no such name
                self.assertEqual(proxy.asked, [])

    def test_unix_sockets(self):
        path = self.file("grpc.sock")
        to = GrpcDestination(endpoint=f"unix:{path}")
        self.addCleanup(to.close)
        self.arrives(self.exporting("otlp", to, f"unix://{path}", tls={"insecure": True}), to)


class Packed(Export):
    def test_compressions(self):
        for compression in ("gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4", "none"):
            with self.subTest(compression):
                to = self.destination("otlphttp")
                self.arrives(self.exporting("otlphttp", to, compression=compression), to, 500)
                got = to.requests[0]
                self.assertEqual(got.headers.get("content-encoding"),
                                 None if compression == "none" else compression)
                self.assertLess(got.wire, len(got.body) / {
                    "none": 0.9, "snappy": 2.5, "x-snappy-framed": 2.5, "lz4": 2.5}.get(compression, 4))

    def test_json(self):
        for signal, make in otlp.MAKE.items():
            with self.subTest(signal):
                to = self.destination("otlphttp")
                sluice = self.exporting("otlphttp", to, encoding="json", compression={"traces": "zstd", "metrics": "snappy"}.get(
                    signal, "lz4"))
                self.client(sluice, "http").send(signal, make(range(50)))
                got = to.wait(1)[0]
                self.assertEqual(got.headers["content-type"], "application/json")
                self.assertIsNone(otlp.json_difference(signal, [make(range(50))],
                                                       [json.loads(got.body)]))
                self.finish_empty(sluice)


class Chained(Export):
    """Sluice to Sluice."""

    def chain(self, receiver, exporters):
        """Both exporters, to a second one with this receiver, which writes files."""
        signals = {s: {"receivers": ["otlp"], "exporters": [f"file/{s}"]} for s in otlp.MAKE}
        files = {f"file/{s}": {"path": str(self.file(f"{s}.proto")), "format": "proto"} for s in otlp.MAKE}
        second = self.sluice(self.config(signals, files, {"otlp": receiver}), name="second")
        first = self.sluice(self.config(self.all_signals(exporters=list(exporters)), exporters),
                            name="first")
        client = self.client(first, "http")
        for signal, make in otlp.MAKE.items():
            self.assert_sent(client.send(signal, make(range(20))))
        self.finish_empty(first)
        self.finish(second)
        for signal, make in otlp.MAKE.items():
            self.assertEqual(otlp.read_frames(self.file(f"{signal}.proto")), [make(range(20))] * 2)

    def test_secured(self):
        ca = Authority(self.directory)
        tls = {**ca.issue("server").keys, "client_ca_file": str(ca.cert)}
        grpc_at, http_at = endpoint(), endpoint()
        client = {"ca_file": str(ca.cert), **ca.issue("client").keys}
        self.chain({"protocols": {"grpc": {"endpoint": grpc_at, "tls": tls},
                                  "http": {"endpoint": http_at, "tls": tls}}},
                   {"otlp": {"endpoint": grpc_at, "tls": client, "retry_on_failure": QUICK},
                    "otlphttp": {"endpoint": f"https://{http_at}", "tls": client,
                                 "compression": "zstd", "retry_on_failure": QUICK}})

    def test_over_unix_sockets(self):
        for compression in ("none", "gzip"):
            with self.subTest(compression):
                sockets = {p: str(self.file(f"{p}-{compression}.sock")) for p in ("grpc", "http")}
                exporter = {"compression": compression, "retry_on_failure": QUICK}
                for signal in otlp.MAKE:
                    self.file(f"{signal}.proto").unlink(missing_ok=True)
                self.chain({"protocols": {p: {"endpoint": path, "transport": "unix"}
                                          for p, path in sockets.items()}},
                           {"otlp": {"endpoint": f"unix://{sockets['grpc']}",
                                     "tls": {"insecure": True}, **exporter},
                            "otlphttp": {"endpoint": f"unix://{sockets['http']}", **exporter}})


class Secrets(Export):
    CANARY = "canary-5ecret"

    def test_no_secret_is_shown(self):
        ca = Authority(self.directory)
        key = ca.issue("client")
        canary_key = key.key.read_text().splitlines()[1]
        for kind in self.kinds:
            with self.subTest(kind):
                to = self.destination(kind)
                keys = {"headers": {"authorization": f"Bearer {self.CANARY}", "x-key": self.CANARY},
                        "retry_on_failure": NO_RETRY, "timeout": "5s",
                        "tls": {"insecure": True, **key.pems}}
                if kind == "otlphttp":
                    keys["traces_endpoint"] = f"{to.endpoint}/missing?key={self.CANARY}"
                    keys["proxy_url"] = f"http://me:{self.CANARY}@127.0.0.1:1"
                sluice = self.exporting(kind, to, **keys)
                self.expect_errors(sluice, FAILS)
                to.close()
                self.send(sluice)
                sluice.wait_log(FAILS)
                outputs = [sluice.log(), str(sluice.metrics())]
                for args in (("print-config",), ("validate",)):
                    done = command(*args, "--config", sluice.path)
                    outputs += [done.stdout, done.stderr]
                for output in outputs:
                    self.assertNotIn(self.CANARY, output.replace(f"/missing?key={self.CANARY}", ""))
                    self.assertNotIn(canary_key, output)
                self.assertNotIn(self.CANARY, sluice.log())
                self.finish_empty(sluice)


if __name__ == "__main__":
    unittest.main()
