"""Certificates for a test, made by the openssl program: authorities, servers, clients, good and bad
ones. Keys are small elliptic ones, so that a test makes a dozen in a second."""
import shutil
import ssl
import subprocess
from pathlib import Path

import grpc

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
LOCAL = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(map(str, args))}: {done.stderr}")


class Certificate:
    """Paths of a certificate and its key, both PEM."""

    def __init__(self, directory, name):
        self.cert, self.key = Path(directory) / f"{name}.pem", Path(directory) / f"{name}.key"

    @property
    def keys(self):
        """The config keys that name it."""
        return {"cert_file": str(self.cert), "key_file": str(self.key)}

    @property
    def pems(self):
        return {"cert_pem": self.cert.read_text(), "key_pem": self.key.read_text()}

    def replace(self, other):
        """Puts the other one in its place, each file at once."""
        for mine, its in ((self.key, other.key), (self.cert, other.cert)):
            beside = mine.with_name(mine.name + ".new")
            shutil.copy(its, beside)
            beside.rename(mine)


class Authority:
    """Signs certificates; its own is self-signed. `directory` is the test's."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = Path(directory), name
        self.own = Certificate(directory, name)
        self._issued = 0
        _openssl("req", "-x509", *_KEY, "-days", 30, "-subj", f"/CN={name}", "-keyout", self.own.key,
                 "-out", self.own.cert, "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    @property
    def cert(self):
        return self.own.cert

    def issue(self, name="server", hosts=LOCAL, days=30):
        """For those names; days=-1: expired."""
        self._issued += 1
        made = Certificate(self.directory, f"{self.name}-{name}-{self._issued}")
        request = made.cert.with_suffix(".csr")
        names = ["-addext", "subjectAltName=" + ",".join(hosts)] if hosts else []
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request,
                 *names)
        _openssl("x509", "-req", "-in", request, "-CA", self.own.cert, "-CAkey", self.own.key,
                 "-days", days, "-copy_extensions", "copyall", "-out", made.cert)
        return made

    def credentials(self, client=None):
        """The same for a gRPC client."""
        return grpc.ssl_channel_credentials(
            self.cert.read_bytes(), client and client.key.read_bytes(),
            client and client.cert.read_bytes())

    def context(self, client=None, alpn=None, **attributes):
        """What a Python client needs to trust it; `attributes` are set on the ssl.SSLContext."""
        context = ssl.create_default_context(cafile=str(self.cert))
        if client is not None:
            context.load_cert_chain(client.cert, client.key)
        if alpn is not None:
            context.set_alpn_protocols(list(alpn))
        for key, value in attributes.items():
            setattr(context, key, value)
        return context
