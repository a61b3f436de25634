"""Senders of raw requests, so that a test decides about every byte."""
import gzip
import http.client
import threading
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2, status_pb2

from .otlp import SIGNALS

PROTOBUF = "application/x-protobuf"


@dataclass
class Answer:
    ok: bool
    code: object = None             # HTTP status, or the gRPC code's name
    message: str = ""
    retryable: bool = False
    retry_after: float | None = None  # seconds that the server asks for
    body: bytes = b""               # HTTP: as it came; gRPC: the response message
    headers: dict = field(default_factory=dict)

    def rejected(self, signal):
        """Of a partial success: how many, and why."""
        partial = SIGNALS[signal].response.FromString(self.body).partial_success
        return getattr(partial, SIGNALS[signal].rejected), partial.error_message


def _retry_info(details):
    for detail in details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    return None


class Grpc:
    """OTLP over gRPC."""
    RETRYABLE = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")

    def __init__(self, endpoint, compression=None, credentials=None, name=None):
        """`name`: what the server's certificate must say, where it is not in the endpoint."""
        self._compression = {None: None, "gzip": grpc.Compression.Gzip}[compression]
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1),
                   ("grpc.enable_retries", 0), ("grpc.initial_reconnect_backoff_ms", 100)]
        if name is not None:
            options.append(("grpc.ssl_target_name_override", name))
        self._channel = (
            grpc.secure_channel(endpoint, credentials, options, self._compression) if credentials
            else grpc.insecure_channel(endpoint, options, self._compression))

    def call(self, method, data, timeout=20, metadata=()):
        try:
            body = self._channel.unary_unary(method)(data, timeout=timeout, metadata=metadata)
            return Answer(True, "OK", body=body)
        except grpc.RpcError as e:
            trailers = dict(e.trailing_metadata() or ())
            status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
            delay, code = _retry_info(status.details), e.code().name
            retryable = code in self.RETRYABLE or (code == "RESOURCE_EXHAUSTED" and delay is not None)
            return Answer(False, code, e.details() or "", retryable, delay, headers=trailers)

    def send(self, signal, data, timeout=20):
        return self.call(SIGNALS[signal].grpc, data, timeout)

    def close(self):
        self._channel.close()


class Http:
    """OTLP over HTTP, one connection."""
    RETRYABLE = (429, 502, 503, 504)

    def __init__(self, endpoint, compression=None, timeout=20, context=None):
        self._host, port = endpoint.rsplit(":", 1)
        self._port, self._compression, self._timeout = int(port), compression, timeout
        self._context = context  # an ssl.SSLContext: TLS
        self._connection = None

    def _connect(self):
        if self._context is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout,
                                               context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def request(self, method, path, body=b"", headers=None):
        """Raises OSError or HTTPException where there is no answer."""
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.request(method, path, body, headers or {})
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        headers = {k.lower(): v for k, v in answer.getheaders()}
        after = headers.get("retry-after")
        return Answer(200 <= answer.status < 300, answer.status, body.decode("utf-8", "replace"),
                      answer.status in self.RETRYABLE, float(after) if after else None, body, headers)

    def send(self, signal, data, content_type=PROTOBUF):
        headers = {"Content-Type": content_type}
        if self._compression == "gzip":
            data = gzip.compress(data, 1)
            headers["Content-Encoding"] = "gzip"
        return self.request("POST", SIGNALS[signal].http, data, headers)

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def status_of(answer):
    """The google.rpc.Status in an HTTP error's body."""
    return status_pb2.Status.FromString(answer.body)


class Load:
    """Senders that run side by side until told to stop, each with numbers of its own. `make(seqs)`
    gives a request; what was acknowledged, and what was refused, is kept by number."""
    STEP = 1_000_000

    def __init__(self, clients, make, signal="traces", items=20):
        self.acknowledged, self.refusals, self.lost, self.odd = set(), [], [], []
        self._make, self._signal, self._items = make, signal, items
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(i, c), daemon=True)
                         for i, c in enumerate(clients)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def _run(self, index, client):
        seq = index * self.STEP
        while not self._stop.is_set():
            numbers = range(seq, seq + self._items)
            seq += self._items
            try:
                answer = client.send(self._signal, self._make(numbers))
            except (OSError, http.client.HTTPException) as e:
                with self._lock:
                    self.lost.append(repr(e))
                if isinstance(e, ConnectionRefusedError):
                    return
                continue
            with self._lock:
                if answer.ok:
                    self.acknowledged.update(numbers)
                elif answer.retryable:
                    self.refusals.append(answer)
                else:
                    self.odd.append(answer)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        if any(thread.is_alive() for thread in self._threads):
            raise AssertionError("a sender waits for an answer for 30 s")
