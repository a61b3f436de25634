"""What the OTLP receiver refuses, how, and what that costs."""
import gzip
import re
import socket
import threading
import unittest
import zlib

from google.rpc import code_pb2

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.process import SANITIZERS
from harness.send import PROTOBUF, status_of
from harness.waiting import wait_until

MIB = 1024 * 1024
HEADERS = {"Content-Type": PROTOBUF}


class Receiver(EndToEnd):
    def setUp(self):
        super().setUp()
        self.sluice_ = self.sluice(self.config(
            self.all_signals(exporters="nop"), {"nop": None},
            receivers={"otlp": otlp_receiver(grpc={"max_recv_msg_size_mib": 1},
                                             http={"max_request_body_size": MIB})}))
        self.http = self.client(self.sluice_, "http")
        self.grpc = self.client(self.sluice_, "grpc")

    def post(self, body, path="/v1/traces", **headers):
        return self.http.request("POST", path, body,
                                 {**HEADERS, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def check_status(self, answer, http, code):
        """An error of OTLP/HTTP: the status in the body, in the request's content type."""
        self.assertEqual(answer.code, http, answer)
        self.assertEqual(answer.headers["content-type"], PROTOBUF)
        status = status_of(answer)
        self.assertEqual(code_pb2.Code.Name(status.code), code)
        self.assertTrue(status.message)
        return status

    def still_works(self):
        for client in (self.http, self.grpc):
            self.assert_sent(client.send("traces", otlp.spans(range(3))))


class Http(Receiver):
    def test_wrong_content_type(self):
        for wrong in ("text/plain", "application/x-protobufs", "application/octet-stream", ""):
            answer = self.post(b"", Content_Type=wrong)
            self.assertEqual(answer.code, 415, (wrong, answer))
            self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
            self.assertTrue(answer.body)
        self.still_works()

    def test_content_type_with_parameters(self):
        for right in (PROTOBUF + "; charset=utf-8", "Application/X-Protobuf", PROTOBUF + " ;q=1"):
            self.assert_sent(self.post(otlp.spans(range(1)), Content_Type=right))

    def test_wrong_method(self):
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
            answer = self.http.request(method, "/v1/traces", headers=HEADERS)
            self.assertEqual(answer.code, 405, method)
            self.assertEqual(answer.headers.get("allow"), "POST")
        self.still_works()

    def test_unknown_path(self):
        for path in ("/", "/v1/trace", "/v1/traces/", "/v2/traces", "/v1/profiles", "/V1/traces"):
            self.assertEqual(self.post(b"", path).code, 404, path)
        self.still_works()

    def test_malformed(self):
        good = otlp.spans(range(2))
        wrong_id = otlp.traces.ExportTraceServiceRequest.FromString(good)
        wrong_id.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
        cases = {"no protobuf": b"hello, world", "truncated": good[:-3], "one byte": b"\x0a",
                 "a wild length": b"\x0a\xff\xff\xff\xff\x0f", "a group": b"\x0b\x0c",
                 "json": b'{"resourceSpans":[]}', "field number 0": b"\x02\x00",
                 "a short trace id": wrong_id.SerializeToString(),
                 "a wrong wire type": b"\x08\x01",
                 "text that is not UTF-8": good.replace(b"operation 0", b"operation\xff\xff")}
        for name, body in cases.items():
            with self.subTest(name):
                self.check_status(self.post(body), 400, "INVALID_ARGUMENT")
                answer = self.grpc.send("traces", body)
                self.assertEqual((answer.code, answer.retryable), ("INVALID_ARGUMENT", False), answer)
        page = self.sluice_.metrics()
        for transport in ("http", "grpc"):
            self.assertEqual(page.sum(f"sluice_receiver_refused_{transport}_requests",
                                      reason="malformed"), len(cases))
        self.still_works()

    def test_every_truncation(self):
        """Cut anywhere, a request is refused, or is the whole request that it then is."""
        good = b"".join(otlp.spans([i]) for i in range(2))
        for n in range(len(good)):
            try:
                otlp.parse("traces", good[:n])
                whole = True
            except Exception:  # noqa: BLE001 whatever protobuf raises
                whole = False
            answer = self.post(good[:n])
            self.assertEqual(answer.code, 200 if whole else 400, n)

    def test_unknown_encodings(self):
        for encoding in ("br", "x-unknown", "gzip, gzip"):
            self.check_status(self.post(b"", Content_Encoding=encoding), 400, "INVALID_ARGUMENT")
        self.assert_sent(self.post(otlp.spans([1]), Content_Encoding="identity"))
        self.assert_sent(self.post(gzip.compress(otlp.spans([1])), Content_Encoding="GZIP"))

    def test_damaged_gzip(self):
        packed = gzip.compress(otlp.spans(range(50)))
        damaged = bytearray(packed)
        damaged[-6] ^= 1  # the checksum
        for name, body in (("truncated", packed[:-1]), ("checksum", bytes(damaged)), ("none", b""),
                           ("plain", otlp.spans([1])), ("zlib", zlib.compress(otlp.spans([1])))):
            with self.subTest(name):
                self.check_status(self.post(body, Content_Encoding="gzip"), 400, "INVALID_ARGUMENT")
        self.still_works()

    def test_too_large(self):
        body = otlp.spans(range(100), padding=MIB // 90)
        self.assertGreater(len(body), MIB)
        status = self.check_status(self.post(body), 413, "RESOURCE_EXHAUSTED")
        self.assertFalse(status.details, "what is too large for good has no RetryInfo")
        self.check_status(self.post(gzip.compress(body), Content_Encoding="gzip"), 413,
                          "RESOURCE_EXHAUSTED")
        self.still_works()

    def test_too_large_is_refused_from_its_declared_length(self):
        host, port = self.sluice_.http().split(":")
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                      b"Content-Length: 1099511627776\r\n\r\n")
            self.assertIn(b" 413 ", s.recv(4096).split(b"\r\n")[0])

    def test_chunked(self):
        body = otlp.spans(range(20))

        def chunks():
            for i in range(0, len(body), 100):
                yield body[i:i + 100]
        self.assert_sent(self.post(chunks()))
        # what follows the refusal is read for a mebibyte: more may break the connection
        endless = self.post((b"x" * 65536 for _ in range(30)))
        self.check_status(endless, 413, "RESOURCE_EXHAUSTED")
        self.still_works()

    def test_empty_requests_succeed(self):
        for signal, s in otlp.SIGNALS.items():
            envelope = s.request()
            getattr(envelope, envelope.DESCRIPTOR.fields[0].name).add()
            for body in (b"", envelope.SerializeToString()):
                answer = self.assert_sent(self.http.send(signal, body))
                self.assertEqual(s.response.FromString(answer.body), s.response())
                self.assert_sent(self.grpc.send(signal, body))
            self.assert_sent(self.post(gzip.compress(b""), s.http, Content_Encoding="gzip"))

    def test_a_connection_that_breaks_within_a_request(self):
        host, port = self.sluice_.http().split(":")
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=10) as s:
                s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
                          b"Content-Type: application/x-protobuf\r\n\r\n" + b"x" * 5000)
        self.still_works()
        wait_until(lambda: self.sluice_.metrics().sum("sluice_memory_budget_used_bytes") < MIB,
                   "the requests' memory to come back")

    def test_not_http(self):
        host, port = self.sluice_.http().split(":")
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                     b"GET " + b"/" * 100000, b"\r\n" * 50000, b"\x00" * 1000):
            with socket.create_connection((host, int(port)), timeout=10) as s:
                try:
                    s.sendall(junk)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
                except OSError:
                    pass  # cut off in the middle of it
        self.still_works()

    def test_pipelined_requests_are_answered_in_order(self):
        host, port = self.sluice_.http().split(":")
        good, bad = otlp.spans([1]), b"bad"
        text = b"".join(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                        b"Connection: %s\r\nContent-Length: %d\r\n\r\n%s" % (c, len(b), b)
                        for b, c in ((good, b"keep-alive"), (bad, b"keep-alive"), (good, b"close")))
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.sendall(text)
            heard = b""
            while more := s.recv(65536):
                heard += more
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", heard), [b"200", b"400", b"200"])


class Grpc(Receiver):
    def test_unknown_method(self):
        for method in ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/a/b",
                       "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"):
            self.assertEqual(self.grpc.call(method, b"").code, "UNIMPLEMENTED", method)
        self.still_works()

    def test_too_large(self):
        body = otlp.spans(range(100), padding=MIB // 90)
        for compression in (None, "gzip"):
            answer = self.client(self.sluice_, "grpc", compression).send("traces", body)
            self.assertEqual(answer.code, "RESOURCE_EXHAUSTED", answer)
            self.assertIsNone(answer.retry_after)
            self.assertFalse(answer.retryable)
        self.still_works()


class Bombs(Receiver):
    """Small requests that want much memory."""
    LARGE = 400 * MIB

    def grown(self, send):
        before = self.sluice_.memory("VmHWM")
        send()
        return self.sluice_.memory("VmHWM") - before

    def check_growth(self, send, most=24 * MIB):
        grown = self.grown(send)
        if not SANITIZERS:
            self.assertLess(grown, most)
        self.still_works()

    def test_gzip_bomb_over_http(self):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(self.LARGE // MIB)) + packer.flush()
        self.assertLess(len(bomb), MIB)

        def send():
            for _ in range(3):
                self.check_status(self.post(bomb, Content_Encoding="gzip"), 413, "RESOURCE_EXHAUSTED")
        self.check_growth(send)

    def test_gzip_bomb_over_grpc(self):
        bomb = bytes(100 * MIB)  # gRPC's client packs it
        client = self.client(self.sluice_, "grpc", "gzip")

        def send():
            answer = client.send("traces", bomb)
            self.assertEqual((answer.code, answer.retryable), ("RESOURCE_EXHAUSTED", False), answer)
        self.check_growth(send)

    def test_many_empty_spans(self):
        inside = b"\x12\x00" * (MIB // 2 - 20)  # half a million spans in a megabyte
        scope = b"\x12" + otlp_length(len(inside)) + inside
        body = b"\x0a" + otlp_length(len(scope)) + scope
        self.check_growth(lambda: self.assertIn(self.post(body).code, (200, 400, 413)))

    def test_deep_values(self):
        value = b"\x0a\x01x"  # a string, in lists in lists
        for _ in range(2000):
            value = b"\x0a" + otlp_length(len(value)) + value
            value = b"\x2a" + otlp_length(len(value)) + value
        for tag in (b"\x12", b"\x0a", b"\x0a", b"\x0a"):  # KeyValue.value, attributes, resource, the rest
            value = tag + otlp_length(len(value)) + value

        def send():
            self.check_status(self.post(value), 400, "INVALID_ARGUMENT")
            self.assertEqual(self.grpc.send("traces", value).code, "INVALID_ARGUMENT")
        self.check_growth(send)

    def test_many_connections_that_say_nothing(self):
        host, port = self.sluice_.http().split(":")
        held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(200)]
        try:
            self.check_growth(self.still_works)
        finally:
            for s in held:
                s.close()


class Many(EndToEnd):
    def test_many_clients_at_once(self):
        path = self.file("out.proto")
        sluice = self.sluice(self.config({"traces": pipeline()},
                                         {"file": {"path": str(path), "format": "proto"}}))
        answers = []

        def send(n):
            client = self.client(sluice, ("http", "grpc")[n % 2], (None, "gzip")[n // 2 % 2])
            for i in range(5):
                answers.append(client.send("traces", otlp.spans(range(n * 100 + i * 10, n * 100 + i * 10 + 10))))
        senders = [threading.Thread(target=send, args=(n,)) for n in range(24)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
        self.assertEqual([a for a in answers if not a.ok], [])
        self.finish(sluice)
        arrived = otlp.seqs("traces", *otlp.read_frames(path))
        self.assertEqual(sorted(arrived), sorted(n * 100 + i for n in range(24) for i in range(50)))

    def test_an_address_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            where = "127.0.0.1:%d" % taken.getsockname()[1]
            for protocol in ("grpc", "http"):
                sluice = self.sluice(self.config(
                    {"traces": pipeline(exporters="nop")}, {"nop": None},
                    receivers={"otlp": {"protocols": {protocol: {"endpoint": where}}}}), start=False)
                sluice.start(wait=False)
                self.assertEqual(sluice.wait(), 1)
                self.assertTrue(sluice.find(f"Cannot start: .*otlp.*{where}", "error"), sluice.log())


def otlp_length(n):
    from harness.wire import varint
    return varint(n)


if __name__ == "__main__":
    unittest.main()
