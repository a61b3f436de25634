"""HTTP/2 frame by frame, for clients that do what no library would."""
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _integer(n, prefix):
    most = (1 << prefix) - 1
    if n < most:
        return bytes((n,))
    out, n = bytearray((most,)), n - most
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes((n,))


def literal(name, value):
    """A header that is written out and not remembered."""
    name, value = name.encode(), value if isinstance(value, bytes) else value.encode()
    return b"\x00" + _integer(len(name), 7) + name + _integer(len(value), 7) + value


def request(path, **more):
    """The headers of a gRPC request."""
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x",
               "content-type": "application/grpc", "te": "trailers", **more}
    return b"".join(literal(k, v) for k, v in headers.items())


class Client:
    def __init__(self, endpoint, timeout=20, context=None):
        host, port = endpoint.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        if context is not None:  # an ssl.SSLContext: TLS
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data):
        """False: the server has ended the connection."""
        try:
            self.socket.sendall(data)
            return True
        except (ConnectionError, TimeoutError, ssl.SSLError):
            return False

    def end(self):
        """Sends no more."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it is ended already

    def frames(self):
        """(kind, flags, stream, payload) until the server ends the connection."""
        data = b""
        try:
            while True:
                while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
                    more = self.socket.recv(65536)
                    if not more:
                        return
                    data += more
                n = int.from_bytes(data[:3], "big")
                yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:9 + n]
                data = data[9 + n:]
        except (ConnectionError, TimeoutError):
            return

    def close(self):
        self.socket.close()
