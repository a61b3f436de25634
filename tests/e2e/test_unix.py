"""The OTLP receiver on unix sockets: served, left clean, and never at another's expense."""
import http.client
import os
import re
import signal
import socket
import stat
import unittest
from pathlib import Path

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.certs import Authority
from harness.send import Grpc, Http


class OverUnix(Http):
    """HTTP over a path; "@" in front: an abstract name."""

    def __init__(self, path, context=None):
        super().__init__("localhost:0", context=context)
        self._path = path

    def _connect(self):
        made = http.client.HTTPConnection("localhost")
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(self._path.replace("@", "\0"))
        made.sock = self._context.wrap_socket(s, server_hostname="localhost") if self._context else s
        return made


class Unix(EndToEnd):
    def paths(self):
        return {p: str(self.file(f"{p}.sock")) for p in ("grpc", "http")}

    def open(self, paths=None, exporter=None, tls=None, **options):
        self.at = paths or self.paths()
        keys = {p: {"transport": "unix", "endpoint": self.at[p], **({"tls": tls} if tls else {})}
                for p in self.at}
        return self.sluice(self.config(
            {"traces": pipeline(exporters="out")} if exporter else
            self.all_signals(exporters="nop"), {"out": exporter} if exporter else {"nop": None},
            receivers={"otlp": {"protocols": keys}}), **options)

    def sent(self, body=None, trust=None):
        body = body or otlp.spans(range(3))
        grpc = Grpc("unix:" + self.at["grpc"], credentials=trust and trust.credentials(),
                    name=trust and "localhost")
        for client in (grpc, OverUnix(self.at["http"], trust and trust.context())):
            self.addCleanup(client.close)
            self.assert_sent(client.send("traces", body))

    def test_requests_arrive_and_the_files_go(self):
        out = self.file("out.proto")
        sluice = self.sluice(self.config(
            {"traces": pipeline()}, {"file": {"path": str(out), "format": "proto"}},
            receivers={"otlp": otlp_receiver(
                **{p: {"transport": "unix", "endpoint": at} for p, at in self.paths().items()})}))
        self.at = self.paths()
        status = Path("/proc/self/status").read_text()
        umask = int(re.search(r"^Umask:\s*(\d+)", status, re.M).group(1), 8)
        for path in self.at.values():
            mode = os.stat(path).st_mode
            self.assertTrue(stat.S_ISSOCK(mode))
            self.assertEqual(stat.S_IMODE(mode), 0o777 & ~umask)
        bodies = [otlp.spans(range(n)) for n in (1, 9, 9000)]
        for body in bodies:
            self.sent(body)
        self.finish_empty(sluice)
        self.assertEqual(sorted(otlp.read_frames(out)), sorted(bodies * 2))
        for path in self.at.values():
            self.assertFalse(os.path.lexists(path))

    def test_what_a_killed_process_left_is_replaced(self):
        sluice = self.open()
        sluice.signal(signal.SIGKILL)
        sluice.process.wait()
        for path in self.at.values():
            self.assertTrue(os.path.lexists(path))
        self.open(name="again")
        self.sent()

    def refused(self, pattern, **options):
        sluice = self.open(start=False, name="second", **options)
        sluice.start(wait=False)
        self.assertEqual(sluice.wait(), 1, sluice.log())
        self.assertTrue(sluice.find(pattern, "error"), sluice.log())

    def test_a_socket_in_use_is_left_alone(self):
        first = self.open()
        self.refused("cannot listen on .*Address already in use")
        self.sent()
        self.finish(first)

    def test_another_file_is_left_alone(self):
        path = self.file("http.sock")
        path.write_text("precious")
        self.refused("it is not a socket")
        self.assertEqual(path.read_text(), "precious")
        path.unlink()
        path.symlink_to(self.file("elsewhere"))
        self.refused("it is not a socket")
        self.assertTrue(path.is_symlink())

    def test_what_another_has_put_there_is_left_alone(self):
        sluice = self.open()
        os.unlink(self.at["http"])
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.at["http"])
            other.listen()
            self.finish(sluice)
            self.assertTrue(os.path.lexists(self.at["http"]))
            self.assertFalse(os.path.lexists(self.at["grpc"]))

    def test_paths_that_cannot_be(self):
        self.refused("it is a path of 1 to 107 bytes",
                     paths={"http": str(self.file("x" * 120))})
        self.refused("No such file or directory", paths={"http": "/nowhere/at/all.sock"})

    def test_abstract_names(self):
        name = f"@sluice-test-{os.getpid()}"
        self.open(paths={"http": name})
        client = OverUnix(name)
        self.addCleanup(client.close)
        self.assert_sent(client.send("traces", otlp.spans(range(3))))
        self.assertFalse(os.path.lexists(name))

    def test_with_tls(self):
        ca = Authority(self.directory)
        self.open(tls=ca.issue().keys)
        self.sent(trust=ca)


if __name__ == "__main__":
    unittest.main()
