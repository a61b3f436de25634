"""The same with the SDK of Node.js, which writes its protobuf by hand and not as others do."""
import base64
import json
import os
import shutil
import subprocess
import unittest
from pathlib import Path

from harness.otlp import SIGNALS
from harness.process import BUILD, environment
from harness.through import Through
from harness.waiting import PATIENCE

MODULES = Path(os.environ.get("SLUICE_NODE") or BUILD / "node") / "node_modules"
MISSING = not (MODULES.is_dir() and shutil.which("node"))


@unittest.skipIf(MISSING and "SLUICE_NODE" not in os.environ,
                 f"no Node packages at {MODULES}; install them with: tests/e2e/setup {MODULES.parent}")
class NodeSdk(Through):
    def test_arrives_as_it_was_sent(self):
        sluice = self.open()
        sent = {signal: [] for signal in SIGNALS}
        senders = []
        for transport in ("grpc", "http"):
            for compression in ("gzip", "none"):
                tap = self.file(f"{transport}-{compression}")
                where = sluice.grpc() if transport == "grpc" else sluice.http()
                senders.append((tap, subprocess.Popen(
                    ["node", str(Path(__file__).parent / "node" / "send.js"), transport, compression,
                     where, str(tap)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                    env=environment(NODE_PATH=str(MODULES)))))
        for tap, sender in senders:
            said, _ = sender.communicate(timeout=60 * PATIENCE)
            self.assertEqual(sender.returncode, 0, said)
            for line in tap.read_text().splitlines():
                request = json.loads(line)
                sent[request["signal"]].append(base64.b64decode(request["body"]))
        self.close(sent)


if __name__ == "__main__":
    unittest.main()
