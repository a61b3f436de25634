"""A proxy that brings everything to one port, whatever is asked for, and remembers what was."""
import socket
import threading

from .waiting import free_port


def _pour(source, to):
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Proxy:
    def __init__(self, to_port):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.heads = []  # of requests: the first line, then the headers
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def asked(self):
        """First lines."""
        return [head[0] for head in self.heads]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, socket.create_connection(("127.0.0.1", self._to_port)) as target:
            head = b""
            while b"\r\n\r\n" not in head:
                data = connection.recv(65536)
                if not data:
                    return
                head += data
            lines = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
            self.heads.append(lines)
            if lines[0].startswith("CONNECT "):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                method, url, version = lines[0].split(" ")
                path = "/" + url.split("://", 1)[1].split("/", 1)[1]
                target.sendall(f"{method} {path} {version}".encode() + head[len(lines[0]):])
            back = threading.Thread(target=_pour, args=(target, connection), daemon=True)
            back.start()
            _pour(connection, target)
            back.join()

    def close(self):
        self._listener.close()
