"""The same with the SDK of Node.js, which writes its protobuf by hand and not as others do, and JSON."""
import base64
import json
import os
import shutil
import subprocess
import unittest
from collections import Counter
from pathlib import Path

from harness import otlp
from harness.case import EndToEnd, pipeline
from harness.otlp import SIGNALS
from harness.process import BUILD, environment
from harness.through import Through
from harness.waiting import PATIENCE

MODULES = Path(os.environ.get("SLUICE_NODE") or BUILD / "node") / "node_modules"
MISSING = not (MODULES.is_dir() and shutil.which("node"))
needs_node = unittest.skipIf(
    MISSING and "SLUICE_NODE" not in os.environ,
    f"no Node packages at {MODULES}; install them with: tests/e2e/setup {MODULES.parent}")


def send_all(test, sluice, transports):
    """What the SDK made, by signal; each transport plain and compressed, side by side."""
    sent = {signal: [] for signal in SIGNALS}
    senders = []
    for transport in transports:
        for compression in ("gzip", "none"):
            tap = test.file(f"{transport}-{compression}")
            where = sluice.grpc() if transport == "grpc" else sluice.http()
            senders.append((tap, subprocess.Popen(
                ["node", str(Path(__file__).parent / "node" / "send.js"), transport, compression,
                 where, str(tap)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=environment(NODE_PATH=str(MODULES)))))
    for tap, sender in senders:
        said, _ = sender.communicate(timeout=60 * PATIENCE)
        test.assertEqual(sender.returncode, 0, said)
        for line in tap.read_text().splitlines():
            request = json.loads(line)
            sent[request["signal"]].append(base64.b64decode(request["body"]))
    return sent


@needs_node
class NodeSdk(Through):
    def test_arrives_as_it_was_sent(self):
        self.close(send_all(self, self.open(), ("grpc", "http")))


@needs_node
class NodeSdkJson(EndToEnd):
    def test_is_what_protobuf_reads_in_it(self):
        exporters = {f"file/{s}": {"path": str(self.file(f"{s}.proto")), "format": "proto"} for s in SIGNALS}
        sluice = self.sluice(self.config(
            {s: pipeline(exporters=f"file/{s}") for s in SIGNALS}, exporters))
        sent = send_all(self, sluice, ("json",))
        self.finish_empty(sluice)
        for signal, bodies in sent.items():
            with self.subTest(signal):
                self.assertTrue(bodies)
                expected = Counter(otlp.canonical(otlp.from_json(signal, body)) for body in bodies)
                arrived = Counter(otlp.canonical(otlp.parse(signal, data))
                                  for data in otlp.read_frames(self.file(f"{signal}.proto")))
                self.assertEqual(expected, arrived)


if __name__ == "__main__":
    unittest.main()
