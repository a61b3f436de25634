"""Destinations that are not Sluice: they keep every request as it came, and answer as they are told."""
import gzip
import http.server
import socket
import struct
import threading
import time
import zlib
from collections import deque
from concurrent import futures
from dataclasses import dataclass, field

import cramjam
import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from . import zstd
from .otlp import SIGNALS
from .waiting import free_port, wait_until

HANG, RESET = "hang", "reset"  # no answer until release(); the connection breaks without one


@dataclass
class Request:
    signal: str
    body: bytes  # uncompressed
    at: float
    path: str
    headers: dict = field(default_factory=dict)
    wire: int = 0  # HTTP: bytes of the body as they came


@dataclass
class Reply:
    """What to answer. HTTP: `status` is a number; gRPC: the name of a code."""
    status: object
    retry_after: float | None = None
    body: bytes = b""
    message: str = "as the test wants it"
    held: bool = False  # not before release()


def partial(signal, rejected, message="some were bad"):
    response = SIGNALS[signal].response()
    setattr(response.partial_success, SIGNALS[signal].rejected, rejected)
    response.partial_success.error_message = message
    return response.SerializeToString()


class Destination:
    def __init__(self):
        self.requests = []
        self.replies = deque()  # of Reply, HANG or RESET; one for each request
        self.usually = None     # what to answer where `replies` is empty; None: success
        self._lock = threading.Lock()
        self._released = threading.Event()

    def _take(self, request):
        with self._lock:
            self.requests.append(request)
            reply = self.replies.popleft() if self.replies else self.usually
        if isinstance(reply, Reply) and reply.held:
            self._released.wait()
        return reply

    def script(self, *replies):
        with self._lock:
            self.replies.extend(replies)

    def release(self):
        """Those who hang go on, and nobody hangs any more."""
        with self._lock:
            self.usually = None
            self.replies.clear()
        self._released.set()

    def bodies(self, signal):
        return [r.body for r in list(self.requests) if r.signal == signal]

    def wait(self, n, seconds=15.0):
        """Until n requests have come."""
        wait_until(lambda: len(self.requests) >= n,
                   lambda: f"{n} requests; {len(self.requests)} have come", seconds)
        return self.requests


class _Methods(grpc.GenericRpcHandler):
    def __init__(self, destination):
        self._destination = destination
        self._signals = {s.grpc: name for name, s in SIGNALS.items()}

    def service(self, details):
        if details.method not in self._signals:
            return None
        signal = self._signals[details.method]
        headers = {k: v for k, v in details.invocation_metadata}
        return grpc.unary_unary_rpc_method_handler(
            lambda body, context: self._destination.answer(signal, details.method, headers, body,
                                                           context))


class GrpcDestination(Destination):
    """`credentials`: grpc.ServerCredentials, or in plain text. `endpoint`: such as unix:/path."""

    def __init__(self, credentials=None, endpoint=None, port=None):
        super().__init__()
        self.port = port or free_port()
        self.endpoint = endpoint or f"127.0.0.1:{self.port}"
        self._server = grpc.server(
            futures.ThreadPoolExecutor(32), handlers=(_Methods(self),),
            options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
        bound = (self._server.add_secure_port(self.endpoint, credentials) if credentials
                 else self._server.add_insecure_port(self.endpoint))
        if not bound:
            raise RuntimeError(f"cannot listen on {self.endpoint}")
        self._server.start()

    def answer(self, signal, path, headers, body, context):
        reply = self._take(Request(signal, body, time.monotonic(), path, headers))
        if reply == HANG:
            self._released.wait()
            context.abort(grpc.StatusCode.UNAVAILABLE, "it hung")
        if reply is None:
            return b""
        if reply.status == "OK":
            return reply.body
        code = grpc.StatusCode[reply.status]
        if reply.retry_after is not None:
            info, packed = error_details_pb2.RetryInfo(), any_pb2.Any()
            seconds = int(reply.retry_after)
            info.retry_delay.CopyFrom(duration_pb2.Duration(
                seconds=seconds, nanos=round((reply.retry_after - seconds) * 1e9)))
            packed.Pack(info)
            status = status_pb2.Status(code=code.value[0], message=reply.message, details=[packed])
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, reply.message)

    def close(self):
        self.release()
        self._server.stop(None).wait()


UNPACK = {None: bytes, "gzip": gzip.decompress, "zlib": zlib.decompress,
          "deflate": zlib.decompress, "zstd": zstd.decompress,
          "snappy": lambda body: bytes(cramjam.snappy.decompress_raw(body)),
          "x-snappy-framed": lambda body: bytes(cramjam.snappy.decompress(body)),
          "lz4": lambda body: bytes(cramjam.lz4.decompress(body))}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _signals = {s.http: name for name, s in SIGNALS.items()}

    def log_message(self, *args):
        pass

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while n := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(n)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_POST(self):
        wire = self._body()
        body = UNPACK[self.headers.get("Content-Encoding")](wire)
        headers = {k.lower(): v for k, v in self.headers.items()}
        owner = self.server.owner
        reply = owner._take(Request(self._signals.get(self.path, ""), body, time.monotonic(),
                                    self.path, headers, len(wire)))
        if reply == HANG:
            owner._released.wait()
            reply = RESET
        if reply == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        reply = reply or Reply(200)
        self.send_response(reply.status)
        if reply.retry_after is not None:
            self.send_header("Retry-After", str(reply.retry_after))
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    context = None

    def finish_request(self, request, client_address):
        if self.context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(10)
        with self.context.wrap_socket(request, server_side=True) as secure:
            secure.settimeout(None)
            super().finish_request(secure, client_address)

    def handle_error(self, request, client_address):
        """A connection that broke is for the test to find out about."""


class HttpDestination(Destination):
    """`context`: an ssl.SSLContext of a server, or in plain text."""

    def __init__(self, context=None, port=None):
        super().__init__()
        self.port = port or free_port()
        self.endpoint = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.owner = self
        self._server.context = context
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self):
        self.release()
        self._server.shutdown()
        self._server.server_close()
