"""Clients that mean ill, over HTTP/2 and HTTP/1.1: what they hear, what they cost, and that nobody else
notices."""
import os
import re
import socket
import struct
import threading
import unittest

from harness import h2, otlp
from harness.case import EndToEnd, otlp_receiver
from harness.certs import Authority
from harness.process import SANITIZERS
from harness.waiting import wait_until

MIB = 1024 * 1024
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Hostile(EndToEnd):
    def setUp(self):
        super().setUp()
        self.sluice_ = self.sluice(self.config(self.all_signals(exporters="nop"), {"nop": None},
                                               receivers={"otlp": otlp_receiver()}))
        self.good = [self.client(self.sluice_, p) for p in ("grpc", "http")]
        self.others_work()
        self.before = self.sluice_.memory("VmHWM")

    def others_work(self):
        for client in self.good:
            self.assert_sent(client.send("traces", otlp.spans(range(3))))

    def tearDown(self):
        self.others_work()
        if not SANITIZERS:
            self.assertLess(self.sluice_.memory("VmHWM") - self.before, 64 * MIB)
        self.finish(self.sluice_)
        super().tearDown()


class Http2(Hostile):
    def connect(self):
        made = h2.Client(self.sluice_.grpc())
        self.addCleanup(made.close)
        return made

    def flood(self, piece, times, client=None):
        """Sends without reading, while others are served. How often it was possible."""
        client = client or self.connect()
        sent = []

        def send():
            for _ in range(times):
                if not client.send(piece):
                    return
                sent.append(1)
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        while thread.is_alive():
            self.others_work()
            thread.join(0.01)
        client.close()
        return len(sent)

    def test_endless_continuations(self):
        client = self.connect()
        client.send(h2.frame(h2.HEADERS, 0, 1, h2.request(EXPORT)))
        piece = h2.frame(h2.CONTINUATION, 0, 1, h2.literal("x", b"y" * 16000)) * 16
        # gRPC's core counts a header list frame by frame; it is the receiver that ends it
        self.assertLess(self.flood(piece, 8000, client), 8000)  # 2 GiB
        self.sluice_.wait_log("sends without end, but no request")

    def test_empty_continuations(self):
        client = self.connect()
        client.send(h2.frame(h2.HEADERS, 0, 1, h2.request(EXPORT)))
        self.flood(h2.frame(h2.CONTINUATION, 0, 1) * 5000, 100, client)

    def test_settings(self):
        self.flood(h2.frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 3, 100)) * 2000, 100)

    def test_pings(self):
        self.flood(h2.frame(h2.PING, 0, 0, b"12345678") * 2000, 100)

    def test_rapid_reset(self):
        client = self.connect()
        block = h2.request(EXPORT)
        for start in range(1, 40001, 2000):
            piece = b"".join(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block) +
                             h2.frame(h2.RST_STREAM, 0, stream, struct.pack(">I", 8))
                             for stream in range(start, start + 2000, 2))
            self.others_work()
            if not client.send(piece):
                break
        client.close()

    def test_more_streams_than_allowed(self):
        """A client is told how many there may be, and one that opens more is sent away."""
        client = self.connect()
        frames = client.frames()
        told = next(payload for kind, _flags, _stream, payload in frames if kind == h2.SETTINGS)
        self.assertEqual(dict(struct.iter_unpack(">HI", told))[3], 100)  # MAX_CONCURRENT_STREAMS
        block = h2.request(EXPORT)
        client.send(h2.frame(h2.SETTINGS, h2.ACK, 0) +
                    b"".join(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block)
                             for stream in range(1, 1001, 2)))
        client.end()
        served = {stream for kind, _flags, stream, _payload in frames if stream}
        self.assertLessEqual(len(served), 100)
        client.close()

    def test_messages_that_never_come(self):
        """Room for them is reserved, at others' expense, but not for ever."""
        clients = [self.connect() for _ in range(2)]
        for client in clients:
            client.send(b"".join(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.request(EXPORT))
                                 for stream in range(1, 181, 2)))
        wait_until(lambda: not self.good[0].send("traces", otlp.spans(range(3))).ok, "no more room")
        # Connections are looked at when bytes arrive.
        wait_until(lambda: self.good[0].send("traces", otlp.spans(range(3))).ok and
                   len(self.sluice_.find("its messages do not arrive")) == 2, "room again", 30)

    def test_a_header_list_above_the_limit(self):
        client = self.connect()
        block = h2.request(EXPORT, **{f"x-{i}": "y" * 1000 for i in range(40)})
        parts = [block[i:i + 8000] for i in range(0, len(block), 8000)]
        client.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, parts[0]) + b"".join(
            h2.frame(h2.CONTINUATION, h2.END_HEADERS if p is parts[-1] else 0, 1, p)
            for p in parts[1:]))
        heard = self.about(client, 1)
        self.assertTrue(heard, "the request is answered with an error")

    @staticmethod
    def about(client, wanted):
        """The first frame of a stream, or what ends the connection."""
        for kind, _flags, stream, _payload in client.frames():
            if stream == wanted or kind == h2.GOAWAY:
                return kind in (h2.HEADERS, h2.RST_STREAM, h2.GOAWAY)
        return True

    def test_broken_frames(self):
        block = h2.request(EXPORT)
        opened = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, block)
        cases = {
            "a frame above the size": b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(100000),
            "data on no stream": h2.frame(h2.DATA, 0, 0, b"x"),
            "headers on no stream": h2.frame(h2.HEADERS, h2.END_HEADERS, 0, block),
            "a continuation of nothing": h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, block),
            "a frame within headers": h2.frame(h2.HEADERS, 0, 1, block) + h2.frame(h2.PING, 0, 0, bytes(8)),
            "a window of 2^31": opened + h2.frame(h2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
            "settings of 5 bytes": h2.frame(h2.SETTINGS, 0, 0, b"12345"),
            "a ping of 7 bytes": h2.frame(h2.PING, 0, 0, b"1234567"),
            "an index that is not there": h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\xff\xff\xff\x0f"),
            "an endless integer": h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\x7f" + b"\xff" * 50),
            "a padded frame of padding": h2.frame(h2.DATA, 8, 1, b"\xff"),
        }
        for name, data in cases.items():
            with self.subTest(name):
                client = self.connect()
                client.send(data)
                client.end()
                for _ in client.frames():
                    pass  # whatever it says, it ends
                client.close()
                self.others_work()

    def test_messages_that_lie_about_their_length(self):
        for length, data in ((0xffffffff, b"x"), (10, b"x"), (0, b"extra"), (3, b"abcdef")):
            client = self.connect()
            body = b"\x00" + struct.pack(">I", length) + data
            client.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.request(EXPORT)) +
                        h2.frame(h2.DATA, h2.END_STREAM, 1, body))
            self.assertTrue(self.about(client, 1), (length, data))
            client.close()

    def test_streams_that_stop_within_a_message(self):
        """They hold what they sent, and are let go with their connection."""
        clients = []
        for _ in range(8):
            client = self.connect()
            clients.append(client)
            for stream in range(1, 41, 2):
                client.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.request(EXPORT)) +
                            h2.frame(h2.DATA, 0, stream, b"\x00\x00\x10\x00\x00" + bytes(2000)))
        for client in clients:
            client.close()


class OverTls(EndToEnd):
    def setUp(self):
        super().setUp()
        self.ca = Authority(self.directory)
        self.sluice_ = self.sluice(self.config(
            self.all_signals(exporters="nop"), {"nop": None},
            receivers={"otlp": otlp_receiver(grpc={"tls": self.ca.issue().keys})}))
        self.good = self.client(self.sluice_, "grpc", trust=self.ca)
        self.assert_sent(self.good.send("traces", otlp.spans(range(3))))

    def connect(self, timeout=20):
        made = h2.Client(self.sluice_.grpc(), timeout, self.ca.context(alpn=["h2"]))
        self.addCleanup(made.close)
        return made

    def tearDown(self):
        self.assert_sent(self.good.send("traces", otlp.spans(range(3))))
        self.finish(self.sluice_)
        super().tearDown()

    def test_endless_continuations(self):
        before = self.sluice_.memory("VmHWM")
        client = self.connect()
        client.send(h2.frame(h2.HEADERS, 0, 1, h2.request(EXPORT)))
        piece = h2.frame(h2.CONTINUATION, 0, 1, h2.literal("x", b"y" * 16000)) * 16
        self.assertTrue(any(not client.send(piece) for _ in range(8000)))
        if not SANITIZERS:
            self.assertLess(self.sluice_.memory("VmHWM") - before, 8 * MIB)

    def test_messages_that_never_come(self):
        for client in [self.connect() for _ in range(2)]:
            client.send(b"".join(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.request(EXPORT))
                                 for stream in range(1, 181, 2)))
        wait_until(lambda: not self.good.send("traces", otlp.spans(range(3))).ok, "no more room")
        wait_until(lambda: self.good.send("traces", otlp.spans(range(3))).ok and
                   len(self.sluice_.find("its messages do not arrive")) == 2, "room again", 30)

    def test_who_never_reads(self):
        """Their connections end although the answers to them cannot leave."""
        def descriptors():
            return len(os.listdir(f"/proc/{self.sluice_.pid}/fd"))
        before = descriptors()
        for client in [self.connect(2) for _ in range(3)]:
            while client.send(h2.frame(h2.SETTINGS, 0, 0) * 10000):
                pass  # each is answered, until nothing more goes either way
        self.assertGreater(descriptors(), before)
        wait_until(lambda: descriptors() <= before, "the connections to be closed", 40)


class Busy(EndToEnd):
    """What the guard against endless header lists must leave alone."""

    def test_much_data_on_one_connection(self):
        sluice = self.sluice(self.config(self.all_signals(exporters="nop"), {"nop": None},
                                         receivers={"otlp": otlp_receiver()}))
        client = self.client(sluice, "grpc")
        body = otlp.spans(range(10), padding=380000)
        self.assertGreater(len(body), 3 * MIB)
        answers = []

        def send():
            for _ in range(5):
                answers.append(client.send("traces", body))
        senders = [threading.Thread(target=send) for _ in range(5)]
        for s in senders:
            s.start()
        for s in senders:
            s.join(60)
        self.assertEqual([a for a in answers if not a.ok], [])
        unknown = [client.call("/a/b", bytes(100000)).code for _ in range(200)]
        self.assertEqual(set(unknown), {"UNIMPLEMENTED"})
        self.assert_sent(client.send("traces", body))
        self.assertFalse(sluice.find("sends without end"))
        self.finish(sluice)


class Http1(Hostile):
    HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"

    def exchange(self, data, end=True):
        """The statuses of all answers, until the server ends the connection."""
        host, port = self.sluice_.http().split(":")
        heard = b""
        with socket.create_connection((host, int(port)), timeout=20) as s:
            try:
                s.sendall(data)
                if end:
                    s.shutdown(socket.SHUT_WR)
                while more := s.recv(65536):
                    heard += more
            except ConnectionError:
                pass
        return [int(x) for x in re.findall(rb"HTTP/1\.1 (\d+)", heard)]

    def test_two_ways_to_read_it(self):
        """A request that two servers might cut differently gets 400, and nothing behind it is read."""
        second = self.HEAD + b"Content-Length: 0\r\n\r\n"
        chunked = b"0\r\n\r\n"
        cases = {
            "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
            "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunked,
            "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
            "the same length twice": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
            "a signed length": b"Content-Length: +0\r\n\r\n",
            "a negative length": b"Content-Length: -1\r\n\r\n",
            "a hexadecimal length": b"Content-Length: 0x0\r\n\r\n",
            "a length of 2^64": b"Content-Length: 18446744073709551616\r\n\r\n",
            "no length at all": b"Content-Length:\r\n\r\n",
            "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
            "chunked, but not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n" + chunked,
            "another coding": b"Transfer-Encoding: identity\r\n\r\n",
            "a coding in disguise": b"Transfer-Encoding: \x0bchunked\r\n\r\n" + chunked,
            "a folded header": b"Content-Length: 0\r\nX: a\r\n b\r\n\r\n",
            "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n" + chunked,
            "a space before the colon": b"Content-Length : 0\r\n\r\n",
            "a name with a space": b"Content-Length: 0\r\nX Y: z\r\n\r\n",
            "a NUL": b"Content-Length: 0\r\nX: \x00\r\n\r\n",
            "no host": None,
            "a bad chunk size": b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
            "a negative chunk size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
            "a chunk size of 2^64": b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
            "a chunk without its end": b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        }
        for name, rest in cases.items():
            with self.subTest(name):
                data = (self.HEAD + rest if rest is not None else
                        b"POST /v1/traces HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
                self.assertEqual(self.exchange(data + second), [400])

    def test_limits_of_the_head(self):
        for name, data, status in (
                ("a long header", self.HEAD + b"X: " + b"y" * MIB, 431),
                ("many headers", self.HEAD + b"X: y\r\n" * 10000, 431),
                ("a long target", b"POST /" + b"x" * MIB, 414)):
            with self.subTest(name):
                self.assertIn(self.exchange(data), ([status], []))  # [] where it is cut off
        small = self.HEAD + b"X: " + b"y" * 17000 + b"\r\n\r\n"
        self.assertEqual(self.exchange(small), [431])

    def test_trailers_are_bounded(self):
        data = (self.HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: yyyyyyyyyyyyyyyy\r\n" * 1200)
        self.assertEqual(self.exchange(data), [431])

    def test_what_other_protocols_say(self):
        self.assertEqual(self.exchange(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n")[:1], [505])
        self.assertEqual(self.exchange(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")[:1], [405])
        upgrade = (b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                   b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
                   b"Content-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.exchange(upgrade), [200])  # there is nothing to upgrade to


if __name__ == "__main__":
    unittest.main()
