"""What the OTLP receiver refuses, how, and what that costs."""
import gzip
import json
import re
import socket
import struct
import subprocess
import threading
import unittest
import zlib

import cramjam
from google.rpc import code_pb2

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.process import SANITIZERS
from harness.send import PROTOBUF, status_of
from harness.waiting import wait_until

MIB = 1024 * 1024
HEADERS = {"Content-Type": PROTOBUF}
JSON = "application/json"


def zstd(data, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, stdout=subprocess.PIPE, check=True).stdout


# Content encodings, and what packs in them.
def packer(pack):
    return lambda data: bytes(pack(data))


PACKERS = {"gzip": gzip.compress, "zlib": zlib.compress, "deflate": zlib.compress, "zstd": zstd,
           "x-snappy-framed": packer(cramjam.snappy.compress), "lz4": packer(cramjam.lz4.compress),
           "snappy": packer(cramjam.snappy.compress_raw)}


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
        for encoding in ("br", "x-unknown", "gzip, gzip", "lz4, lz4", "zstd, zstd"):
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

    def test_encodings(self):
        text = otlp.as_sent_json("traces", otlp.spans(range(20)))
        for encoding, pack in PACKERS.items():
            for content_type, body in ((PROTOBUF, otlp.spans(range(20))), (JSON, text)):
                with self.subTest(encoding, content_type=content_type):
                    headers = {"Content_Encoding": encoding, "Content_Type": content_type}
                    packed = pack(body)
                    self.assert_sent(self.post(packed, **headers))
                    for damaged in (packed[:-1], packed[:len(packed) // 2], packed + b"x", body, b""):
                        self.assertEqual(self.post(damaged, **headers).code, 400)
        self.assert_sent(self.post(PACKERS["x-snappy-framed"](otlp.spans([1])), Content_Encoding="snappy"))
        self.assert_sent(self.post(zstd(otlp.spans([1])) + zstd(otlp.spans([2])), Content_Encoding="zstd"))
        self.check_status(self.post(zlib.compress(otlp.spans([1]))[2:-4], Content_Encoding="deflate"), 400,
                          "INVALID_ARGUMENT")
        page = self.sluice_.metrics()
        self.assertEqual(page.sum("otelcol_receiver_accepted_spans", transport="http"), 20 * 14 + 3)

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


class Json(Receiver):
    def post_json(self, body, path="/v1/traces", **headers):
        return self.post(body if isinstance(body, bytes) else body.encode(), path, Content_Type=JSON, **headers)

    def check_refused(self, answer, http=400, code=code_pb2.INVALID_ARGUMENT):
        """An error in JSON, as the request."""
        self.assertEqual(answer.code, http, answer)
        self.assertEqual(answer.headers["content-type"], JSON)
        status = json.loads(answer.body)
        self.assertEqual(status["code"], code)
        return status["message"]

    def test_empty_requests_succeed(self):
        for signal, s in otlp.SIGNALS.items():
            envelope = s.request.DESCRIPTOR.fields[0].json_name
            for body in ("{}", '{"%s":[]}' % envelope, '{"%s":[{}]}' % envelope, ' {"x":null} '):
                answer = self.assert_sent(self.post_json(body, s.http))
                self.assertEqual((answer.body, answer.headers["content-type"]), (b"{}", JSON), signal)
        self.assert_sent(self.post(b"{}", Content_Type="application/json; charset=utf-8"))

    def test_malformed(self):
        def span(fields):
            return '{"resourceSpans":[{"scopeSpans":[{"spans":[{%s}]}]}]}' % fields
        cases = {
            "nothing": ("", "an object is expected"),
            "a list": ("[]", "an object is expected"),
            "protobuf": (otlp.spans([1]), "an object is expected"),
            "a byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
            "UTF-16": ("{}".encode("utf-16"), "an object is expected"),
            "garbage behind": ("{}{}", "the text's end"),
            "a trailing comma": ('{"resourceSpans":[{},]}', "resourceSpans[1]: an object"),
            "single quotes": ("{'resourceSpans':[]}", "a key in quotes"),
            "a comment": ('{/**/"resourceSpans":[]}', "a key in quotes"),
            "not UTF-8": (span('"name":"').encode() + b"\xff", "not valid UTF-8"),
            "a control character": (span('"name":"a\nb"'), "control character 0x0a"),
            "a wrong escape": (span('"name":"\\x41"'), "escapes"),
            "an object for a list": ('{"resourceSpans":{}}', "an array is expected"),
            "null in a list": ('{"resourceSpans":[null]}', "an object is expected, not: null"),
            "a name for a number": (span('"startTimeUnixNano":"now"'), "unsigned 64-bit integer"),
            "a fraction": (span('"droppedEventsCount":1.5'), "unsigned 32-bit integer"),
            "a negative count": (span('"droppedEventsCount":-1'), "unsigned 32-bit integer"),
            "a count of 33 bits": (span('"droppedEventsCount":4294967296'), "unsigned 32-bit integer"),
            "a time of 65 bits": (span('"endTimeUnixNano":"18446744073709551616"'), "unsigned 64-bit"),
            "1e400": (span('"attributes":[{"value":{"doubleValue":1e400}}]'), "too large"),
            "NaN without quotes": (span('"attributes":[{"value":{"doubleValue":NaN}}]'), "a number"),
            "an unknown enum value": (span('"kind":"SERVER"'), "enum"),
            "a truth in quotes": (span('"attributes":[{"value":{"boolValue":"true"}}]'), "true or false"),
            "a short trace id": (span('"traceId":"0102"'), "32 hex digits"),
            "a trace id in base64": (span('"traceId":"AQIDBAUGBwgJCgsMDQ4PEA=="'), "32 hex digits"),
            "base64 of five": (span('"attributes":[{"value":{"bytesValue":"AAAAA"}}]'), "base64")}
        for name, (body, says) in cases.items():
            with self.subTest(name):
                self.assertIn(says, self.check_refused(self.post_json(body)))
        self.assertEqual(self.sluice_.metrics().sum("sluice_receiver_refused_http_requests",
                                                    reason="malformed"), len(cases))
        self.still_works()

    def test_errors_say_where(self):
        body = '{"resourceSpans":[{},\n {"scopeSpans":[{"spans":[{},{"kind":[]}]}]}]}'
        self.assertIn("line 2, column 38, resourceSpans[1].scopeSpans[0].spans[1].kind: ",
                      self.check_refused(self.post_json(body)))

    def test_every_truncation(self):
        good = otlp.as_sent_json("traces", otlp.spans([1, 2]))
        for n in range(len(good)):
            self.check_refused(self.post_json(good[:n]))
        self.assert_sent(self.post_json(good))

    def test_half_a_surrogate_pair_costs_nobody_the_request(self):
        self.assert_sent(self.post_json(
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"cut off \\ud83d"}]}]}]}'))

    def test_refused_by_headers(self):
        self.check_refused(self.post_json("{}", Content_Encoding="br"))
        message = self.check_refused(self.post_json(b"x" * (MIB + 1)), 413, code_pb2.RESOURCE_EXHAUSTED)
        self.assertIn("max_request_body_size", message)


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

    def test_what_other_libraries_send(self):
        """gRPC's C core knows neither zstd nor snappy; Go's clients send them."""
        def call(body, encoding, flag=1):
            path = self.file("frame")
            path.write_bytes(struct.pack(">BI", flag, len(body)) + body)
            made = subprocess.run(
                ["curl", "-sS", "--http2-prior-knowledge", "-m", "20", "-D", "-", "-o", "/dev/null",
                 "-H", "content-type: application/grpc", "-H", "te: trailers", "-H", f"grpc-encoding: {encoding}",
                 "--data-binary", f"@{path}", f"http://{self.sluice_.grpc()}{otlp.SIGNALS['traces'].grpc}"],
                stdout=subprocess.PIPE, text=True, check=True)
            return re.search(r"^grpc-status: (\d+)", made.stdout, re.M)[1]
        for encoding, pack, bomb in (("zstd", zstd, 100), ("snappy", PACKERS["x-snappy-framed"], 10)):
            for body, status in ((pack(otlp.spans(range(5))), code_pb2.OK),
                                 (pack(otlp.spans(range(5)))[:-1], code_pb2.INVALID_ARGUMENT),
                                 (pack(bytes(bomb * MIB)), code_pb2.RESOURCE_EXHAUSTED)):
                self.assertEqual(int(call(body, encoding)), status)
        self.assertEqual(self.sluice_.metrics().sum("otelcol_receiver_accepted_spans"), 10)
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

    def test_zstd_bombs(self):
        bombs = [zstd(bytes(self.LARGE), *options) for options in ((), ("--no-content-size",))]
        bombs.append(zlib.compress(bytes(self.LARGE)))
        self.assertLess(len(bombs[0]), MIB // 20)

        def send():
            for bomb, encoding in zip(bombs, ("zstd", "zstd", "deflate")):
                self.check_status(self.post(bomb, Content_Encoding=encoding), 413, "RESOURCE_EXHAUSTED")
        self.check_growth(send)

    def test_zstd_windows(self):
        """A window is memory that the frame asks for."""
        def frame(exponent):
            return bytes.fromhex("28b52ffd00") + bytes([exponent << 3]) + bytes.fromhex("010000")

        def send():
            for _ in range(20):
                self.assert_sent(self.post(frame(15), Content_Encoding="zstd"))
            for exponent in (16, 21, 31):
                self.check_status(self.post(frame(exponent), Content_Encoding="zstd"), 413,
                                  "RESOURCE_EXHAUSTED")
        self.check_growth(send)

    def test_json(self):
        """A megabyte that is not worth it."""
        n = MIB - 100
        points = '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"explicitBounds":['
        values = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":'
        texts = {"lists": "[" * n, "objects": '{"a":' * (n // 5), "unknown lists": '{"x":' + "[" * n,
                 "unknown objects": '{"x":' + '{"a":' * (n // 5),
                 "deep values": values + '{"arrayValue":{"values":[' * (n // 25),
                 "closed deep values": values + '{"arrayValue":{"values":[' * 2000 + "]}}" * 2000 + "}]}]}]}",
                 "numbers": points + "0," * (n // 2 - 100) + "0]}]}}]}]}]}",
                 "a long number": points + "1" * (n - 200) + "]}]}}]}]}]}",
                 "a string without end": '{"x":"' + "a" * n,
                 "backslashes": '{"x":"' + "\\" * n, "spaces": " " * n}

        def send():
            for name, text in texts.items():
                with self.subTest(name):
                    path = "/v1/logs" if "values" in name else "/v1/metrics"
                    self.assertIn(self.post(text.encode(), path, Content_Type=JSON).code, (400, 413))
        self.check_growth(send)

    def test_json_of_many_empty_spans(self):
        body = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % ",".join(["{}"] * (MIB // 3 - 100))
        self.check_growth(lambda: self.assertIn(
            self.post(body.encode(), Content_Type=JSON).code, (200, 400, 413)))

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
