"""TLS on the OTLP receiver, over both protocols: who gets in, who does not, and what they hear."""
import http.client
import re
import socket
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.certs import Authority
from harness.process import command
from harness.send import PROTOBUF, Load
from harness.waiting import wait_until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
ALPN = {"http": None, "grpc": ["h2"]}
FAILED = (ssl.SSLError, ConnectionError)


class Tls(EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        certs = tempfile.TemporaryDirectory(prefix="sluice-certs-")
        cls.addClassCleanup(certs.cleanup)
        cls.ca, cls.other = Authority(certs.name), Authority(certs.name, "other")
        cls.server = cls.ca.issue()
        cls.client_cert = cls.ca.issue("client", hosts=())

    def open(self, grpc=None, http=None, log=None, **tls):
        keys = {"tls": {**self.server.keys, **tls}}
        self.sluice_ = self.sluice(self.config(
            self.all_signals(exporters="nop"), {"nop": None}, telemetry_logs=log,
            receivers={"otlp": otlp_receiver(grpc={**keys, **(grpc or {})},
                                             http={**keys, **(http or {})})}))
        return self.sluice_

    def tcp(self, protocol, timeout=20):
        host, port = getattr(self.sluice_, protocol)().split(":")
        s = socket.create_connection((host, int(port)), timeout=timeout)
        self.addCleanup(s.close)
        return s

    def connect(self, protocol, context=None, name="localhost", alpn="usual", **attributes):
        context = context or self.ca.context(**attributes)
        alpn = ALPN[protocol] if alpn == "usual" else alpn
        if alpn:
            context.set_alpn_protocols(alpn)
        s = context.wrap_socket(self.tcp(protocol), server_hostname=name)
        self.addCleanup(s.close)
        return s

    def ask(self, protocol, s):
        """Whether the connection serves: a request over HTTP, settings for settings over gRPC."""
        if protocol == "grpc":
            s.sendall(PREFACE)
            head = s.recv(9)
            return len(head) == 9 and head[3] == 4
        body = otlp.spans(range(3))
        s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = http.client.HTTPResponse(s)
        answer.begin()
        answer.read()
        return answer.status == 200

    def assert_served(self, protocol, *args, **kwargs):
        s = self.connect(protocol, *args, **kwargs)
        self.assertTrue(self.ask(protocol, s))
        return s

    def assert_refused(self, protocol, pattern, *args, **kwargs):
        """By the server, which says why by an alert: in the handshake, or right after it."""
        with self.assertRaisesRegex(ssl.SSLError, pattern):
            s = self.connect(protocol, *args, **kwargs)
            self.ask(protocol, s)

    def still_works(self, show=None):
        for protocol in ("http", "grpc"):
            client = self.client(self.sluice_, protocol, trust=self.ca, show=show)
            self.assert_sent(client.send("traces", otlp.spans(range(3))))

    def both(self):
        for protocol in ("http", "grpc"):
            with self.subTest(protocol):
                yield protocol


class Right(Tls):
    def test_requests_of_all_sizes(self):
        self.open(grpc={"max_recv_msg_size_mib": 20})
        for protocol in self.both():
            for compression in (None, "gzip"):
                client = self.client(self.sluice_, protocol, compression, trust=self.ca)
                for n in (1, 5, 4000, 3, 20000):  # one record, and many
                    self.assert_sent(client.send("traces", otlp.spans(range(n))))
        self.finish(self.sluice_)

    def test_what_arrives_is_what_was_sent(self):
        path = self.file("out.proto")
        self.sluice_ = self.sluice(self.config(
            {"traces": pipeline()}, {"file": {"path": str(path), "format": "proto"}},
            receivers={"otlp": otlp_receiver(grpc={"tls": self.server.keys},
                                             http={"tls": self.server.keys})}))
        sent = [otlp.spans(range(n, n + n * 7 + 1), padding=n) for n in range(0, 200, 9)]
        for protocol in ("http", "grpc"):
            client = self.client(self.sluice_, protocol, trust=self.ca)
            for body in sent:
                self.assert_sent(client.send("traces", body))
        self.finish_empty(self.sluice_)
        self.assertEqual(otlp.read_frames(path), sent + sent)

    def test_chunked_pipelined_and_kept_alive(self):
        self.open()
        s = self.assert_served("http")
        body = otlp.spans(range(500))
        head = (b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n")
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 999]), body[i:i + 999])
                          for i in range(0, len(body), 999))
        one = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        two = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        s.sendall((one + two) * 20)
        heard = b""
        while heard.count(b"HTTP/1.1 200") < 40:
            heard += s.recv(65536)

    def test_certificates_as_text(self):
        self.open(cert_file="", key_file="", **self.server.pems)
        self.still_works()
        printed = command("print-config", "--config", self.sluice_.path)
        self.assertEqual(printed.returncode, 0, printed.stderr)
        self.assertNotIn("PRIVATE", printed.stdout)

    def test_the_protocol_that_is_agreed_on(self):
        self.open()
        for protocol, offers, agreed in (("http", ["h2", "http/1.1"], "http/1.1"),
                                         ("http", None, None), ("grpc", ["http/1.1", "h2"], "h2")):
            s = self.assert_served(protocol, alpn=offers)
            self.assertEqual(s.selected_alpn_protocol(), agreed)
        for protocol, offers in (("http", ["h2"]), ("grpc", ["http/1.1"])):
            self.assert_refused(protocol, "no application protocol|NO_APPLICATION_PROTOCOL", alpn=offers)
        with self.assertRaises(FAILED + (AssertionError,)):  # gRPC wants it agreed upon
            self.assert_served("grpc", alpn=None)
        self.still_works()

    def test_half_closed(self):
        self.open()
        s = self.connect("http")
        body = otlp.spans(range(3))
        s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        socket.socket.shutdown(s, socket.SHUT_WR)
        self.assertIn(b"200 OK", s.recv(4096))


class ResponseHeaders(Tls):
    def test_they_stand_in_every_answer(self):
        self.sluice_ = self.sluice(self.config(
            self.all_signals(exporters="nop"), {"nop": None},
            receivers={"otlp": otlp_receiver(http={"response_headers": {
                "X-Frame-Options": "DENY", "Content-Type": "text/html"}})}))
        client = self.client(self.sluice_, "http")
        for path, body in (("/v1/traces", otlp.spans(range(3))), ("/v1/traces", b"bad"), ("/no", b"")):
            answer = client.request("POST", path, body, {"Content-Type": PROTOBUF})
            self.assertEqual(answer.headers["x-frame-options"], "DENY")
            self.assertNotIn("html", answer.headers["content-type"])


class Versions(Tls):
    def bounded(self, low=None, high=None):
        attributes = {k: getattr(ssl.TLSVersion, v) for k, v in
                      (("minimum_version", low), ("maximum_version", high)) if v}
        return self.ca.context(**attributes)

    def test_usually_1_2_and_1_3(self):
        self.open()
        for protocol in self.both():
            for version in ("TLSv1_2", "TLSv1_3"):
                s = self.assert_served(protocol, self.bounded(version, version))
                self.assertEqual(s.version(), version.replace("_", "."))
            context = self.bounded("TLSv1", "TLSv1_1")
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            self.assert_refused(protocol, "PROTOCOL_VERSION", context)

    def test_at_least_1_3(self):
        self.open(min_version="1.3")
        for protocol in self.both():
            self.assert_refused(protocol, "PROTOCOL_VERSION", self.bounded(high="TLSv1_2"))
            self.assert_served(protocol)

    def test_at_most_1_2(self):
        self.open(max_version="1.2")
        for protocol in self.both():
            self.assert_refused(protocol, "PROTOCOL_VERSION", self.bounded(low="TLSv1_3"))
            self.assertEqual(self.assert_served(protocol).version(), "TLSv1.2")

    def test_old_ones_if_asked_for(self):
        self.open(min_version="1.0")
        for protocol in self.both():
            context = self.bounded("TLSv1", "TLSv1")
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            self.assertEqual(self.assert_served(protocol, context).version(), "TLSv1")

    def test_cipher_suites(self):
        self.open(cipher_suites=["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"])
        for protocol in self.both():
            context = self.bounded(high="TLSv1_2")
            s = self.assert_served(protocol, context)
            self.assertEqual(s.cipher()[0], "ECDHE-ECDSA-CHACHA20-POLY1305")
            context = self.bounded(high="TLSv1_2")
            context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
            self.assert_refused(protocol, "HANDSHAKE_FAILURE", context)
            self.assertEqual(self.assert_served(protocol).version(), "TLSv1.3")

    def s_client(self, protocol, *args, typed=b"", name="http"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", getattr(self.sluice_, protocol)(), "-CAfile",
             str(self.ca.cert), *args], input=typed, capture_output=True, timeout=60)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def test_curves(self):
        self.open(curve_preferences=["P384", "X25519MLKEM768"])
        for protocol in self.both():
            alpn = ("-alpn", "h2") if protocol == "grpc" else ()
            self.assertRegex(self.s_client(protocol, *alpn), r"(secp384r1|P-384)")
            self.assertRegex(self.s_client(protocol, *alpn, "-groups", "X25519"), "handshake failure")

    def test_no_renegotiation(self):
        self.open()
        for protocol in self.both():
            alpn = ("-alpn", "h2") if protocol == "grpc" else ()
            heard = self.s_client(protocol, "-tls1_2", *alpn, typed=b"R\n")
            self.assertIn("RENEGOTIATING", heard)
            self.assertRegex(heard, "no renegotiation|handshake failure|unexpected eof")
            self.assertNotIn("RENEGOTIATING\ndepth", heard)
        self.still_works()


class WhoIsWho(Tls):
    def test_the_client_checks_the_server(self):
        """What a client that checks finds: not the server's doing, but it must cope."""
        expired = self.ca.issue("expired", days=-1)
        self.open()
        for protocol in self.both():
            with self.assertRaisesRegex(ssl.SSLError, "Hostname mismatch"):
                self.connect(protocol, name="elsewhere.example")
            with self.assertRaisesRegex(ssl.SSLError, "CERTIFICATE_VERIFY_FAILED"):
                self.connect(protocol, self.other.context())
        self.still_works()
        self.finish(self.sluice_)
        self.open(**expired.keys)
        for protocol in self.both():
            with self.assertRaisesRegex(ssl.SSLError, "certificate has expired"):
                self.connect(protocol)

    def test_the_server_checks_the_client(self):
        self.open(client_ca_file=str(self.ca.cert), log={"sampling": {"enabled": False}})
        expired = self.ca.issue("late", hosts=(), days=-1)
        stranger = self.other.issue("stranger", hosts=())
        for protocol in self.both():
            self.assert_served(protocol, self.ca.context(self.client_cert))
            self.assert_refused(protocol, "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE")
            self.assert_refused(protocol, "CERTIFICATE_EXPIRED", self.ca.context(expired))
            self.assert_refused(protocol, "UNKNOWN_CA", self.ca.context(stranger))
        self.sluice_.wait_log("the handshake with 127.0.0.1:.* failed: certificate has expired", 2)
        self.still_works(self.client_cert)
        page = self.sluice_.metrics()
        self.assertEqual(page.sum("sluice_tls_handshakes", result="failed"), 6)
        self.finish(self.sluice_)

    def test_a_session_cannot_be_resumed_past_the_check(self):
        self.open(client_ca_file=str(self.ca.cert))
        for protocol in self.both():
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = self.ca.context(self.client_cert, maximum_version=version)
                s = self.assert_served(protocol, context)
                if s.session is not None and s.session.has_ticket:
                    self.fail(f"{version}: a ticket was given")

    def test_an_intermediate_as_authority(self):
        """As in Go, what stands in the file is trusted, signed by itself or not."""
        self.open(client_ca_file=str(self.client_cert.cert))
        for protocol in self.both():
            self.assert_served(protocol, self.ca.context(self.client_cert))
            self.assert_refused(protocol, "UNKNOWN_CA|CERTIFICATE_UNKNOWN|BAD_CERTIFICATE",
                                self.ca.context(self.other.issue("x", hosts=())))


class Misunderstandings(Tls):
    def heard(self, s):
        heard = b""
        try:
            while more := s.recv(4096):
                heard += more
        except ConnectionError:
            pass
        return heard

    def test_plain_text_to_a_tls_port(self):
        self.open()
        s = self.tcp("http")
        s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.heard(s), b"HTTP/1.0 400 Bad Request\r\n\r\n"
                                        b"Client sent an HTTP request to an HTTPS server.\n")
        s = self.tcp("grpc")
        s.sendall(PREFACE)
        self.heard(s)  # cut off, one way or the other
        for protocol in ("http", "grpc"):
            s = self.tcp(protocol)
            s.sendall(bytes(range(256)) * 400)
            self.heard(s)
        self.still_works()
        self.finish(self.sluice_)

    def test_tls_to_a_plain_port(self):
        self.sluice_ = self.sluice(self.config(self.all_signals(exporters="nop"), {"nop": None}))
        for protocol in self.both():
            with self.assertRaises(FAILED):
                self.connect(protocol)
            client = self.client(self.sluice_, protocol)
            self.assert_sent(client.send("traces", otlp.spans(range(3))))

    def test_damaged_records(self):
        self.open()
        for protocol in self.both():
            s = self.connect(protocol)
            raw = socket.socket(fileno=socket.dup(s.fileno()))
            self.addCleanup(raw.close)
            raw.settimeout(20)
            raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))  # no record of this session's
            self.heard(raw)
        self.still_works()

    def test_slow_handshakes(self):
        self.open(http={"read_header_timeout": "300ms"})
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        for said in (b"", hello):
            s = self.tcp("http")
            s.sendall(said)
            self.assertIn(self.heard(s)[:1], (b"", b"\x15"))  # nothing, or an alert
        s = self.connect("http")  # in time, but then it says nothing
        self.assertEqual(s.recv(10), b"")
        self.still_works()

    def test_many_unfinished_handshakes(self):
        self.open()
        held = [self.tcp(p) for p in ("http", "grpc") for _ in range(150)]
        for s in held:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        self.still_works()
        for s in held:
            s.close()
        self.finish(self.sluice_)


class Rotation(Tls):
    def serial(self, protocol):
        s = self.assert_served(protocol)
        return s.getpeercert()["serialNumber"]

    def copies(self):
        mine = self.ca.issue("rotating")
        return mine, mine.keys

    def test_under_load(self):
        """Nobody's request is lost, open connections go on, new ones are met with the new one."""
        mine, keys = self.copies()
        self.open(**keys, reload_interval="10ms")
        clients = [self.client(self.sluice_, p, trust=self.ca) for p in ("http", "grpc") * 2]
        load = Load(clients, otlp.spans).start()
        for _ in range(5):
            before = {p: self.serial(p) for p in ("http", "grpc")}
            n = len(load.acknowledged)
            mine.replace(self.ca.issue("rotated"))
            for p in before:
                wait_until(lambda p=p: self.serial(p) != before[p], f"a new certificate over {p}")
            wait_until(lambda n=n: len(load.acknowledged) > n, "the load to go on")
        load.stop()
        self.assertEqual((load.lost, load.refusals, load.odd), ([], [], []))
        self.assertTrue(self.sluice_.find("have been read again"))
        self.finish(self.sluice_)

    def test_without_the_key_nothing_is_read_again(self):
        mine, keys = self.copies()
        self.open(**keys)
        before = self.serial("http")
        mine.replace(self.ca.issue("rotated"))
        self.assertEqual([self.serial("http") for _ in range(3)], [before] * 3)

    def test_new_files_that_are_no_good(self):
        mine, keys = self.copies()
        self.open(**keys, reload_interval="10ms")
        before = {p: self.serial(p) for p in ("http", "grpc")}
        mine.cert.write_text("nonsense")
        wait_until(lambda: self.serial("http") == before["http"] and self.serial("grpc") and
                   self.sluice_.find("the old ones stay in use.*cannot be read"), "a warning")
        good = self.ca.issue("good")
        mine.replace(good)
        for p in before:
            wait_until(lambda p=p: self.serial(p) != before[p], "the good one")

    def test_the_clients_authority(self):
        trusted = self.file("trusted.pem")
        trusted.write_text(self.ca.cert.read_text())
        self.open(client_ca_file=str(trusted), client_ca_file_reload=True)
        stranger = self.other.issue("stranger", hosts=())
        for protocol in self.both():
            self.assert_served(protocol, self.ca.context(self.client_cert))
            self.assert_refused(protocol, "UNKNOWN_CA", self.ca.context(stranger))
        trusted.write_text(self.other.cert.read_text())
        for protocol in self.both():
            self.assert_served(protocol, self.ca.context(stranger))
            self.assert_refused(protocol, "UNKNOWN_CA", self.ca.context(self.client_cert))


class Configs(Tls):
    def check(self, pattern, protocol="http", **tls):
        config = self.config({"traces": pipeline(exporters="nop")}, {"nop": None},
                             receivers={"otlp": {"protocols": {protocol: {"tls": tls}}}})
        made = self.sluice(config, start=False)
        done = command("validate", "--config", made.path)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout + done.stderr, pattern)

    def test_refused(self):
        good = self.server.keys
        other = self.other.issue()
        locked = self.file("locked.key")
        subprocess.run(["openssl", "ec", "-in", self.server.key, "-out", locked, "-aes128",
                        "-passout", "pass:x"], check=True, capture_output=True)
        for protocol in self.both():
            self.check("has no certificate", protocol)
            self.check("has a certificate, but no key", protocol, cert_file=good["cert_file"])
            self.check(f'protocols.{protocol}.tls.cert_file: cannot read "/nowhere": No such file',
                       protocol, cert_file="/nowhere", key_file=good["key_file"])
            self.check("key_file: cannot read .*: Is a directory", protocol,
                       cert_file=good["cert_file"], key_file="/tmp")
            self.check("the key does not belong to the certificate", protocol,
                       cert_file=good["cert_file"], key_file=str(other.key))
            self.check("it has a passphrase", protocol, cert_file=good["cert_file"],
                       key_file=str(locked))
            self.check("there is none in the PEM text", protocol, cert_pem="nothing",
                       key_file=good["key_file"])
            self.check("client_ca_file: no certificate authority", protocol, **good,
                       client_ca_file=good["key_file"])
            self.check('"TLS_NO" is no cipher suite', protocol, **good, cipher_suites=["TLS_NO"])
            self.check("OpenSSL .* has none of them", protocol, **good,
                       curve_preferences=["X25519MLKEM768"])
            self.check("min_version .1.3. is newer", protocol, **good, min_version="1.3",
                       max_version="1.2")
            self.check("tpm.enabled", protocol, **good, tpm={"enabled": True})
            self.check('unknown key "cert_fil"', protocol, cert_fil="x")

    def test_response_headers_refused(self):
        for key, value, pattern in (("A B", "x", "cannot be a header's name"),
                                    ("X", "a\r\nb", "characters that a header cannot have"),
                                    ("Content-Length", "5", "is the server's own")):
            made = self.sluice(self.config(
                {"traces": pipeline(exporters="nop")}, {"nop": None},
                receivers={"otlp": {"protocols": {"http": {"response_headers": {key: value}}}}}),
                start=False)
            done = command("validate", "--config", made.path)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout + done.stderr, pattern)

    def test_a_process_without_tls_has_no_openssl(self):
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters="nop")}, {"nop": None},
            receivers={"otlp": {"protocols": {"http": {"endpoint": otlp_receiver()["protocols"]
                                                       ["http"]["endpoint"]}}}}))
        maps = Path(f"/proc/{sluice.pid}/maps").read_text()
        self.assertIsNone(re.search(r"libssl|libcrypto", maps))
        self.finish(sluice)


if __name__ == "__main__":
    unittest.main()
