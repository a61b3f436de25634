"""The test case that all end-to-end tests derive from. Whatever a test started is stopped at its end,
and then held to account: the ledger balances, the exit code is 0, nothing was left, and no line of
the log is an error, unless the test said what it expects."""
import re
import tempfile
import unittest
from pathlib import Path

from . import schema
from .destination import GrpcDestination, HttpDestination
from .process import NOTHING_LEFT, SANITIZERS, Sluice
from .send import Grpc, Http
from .waiting import endpoint, free_port


def telemetry(**more):
    """service::telemetry on a free port, with every line of the log."""
    return {"logs": {"level": "info", "sampling": {"enabled": False}, **more},
            "metrics": {"readers": [{"pull": {"exporter": {"prometheus": {
                "host": "127.0.0.1", "port": free_port()}}}}]}}


def otlp_receiver(grpc=None, http=None):
    """Both protocols on free ports; more keys of each as dicts."""
    return {"protocols": {"grpc": {"endpoint": endpoint(), **(grpc or {})},
                          "http": {"endpoint": endpoint(), **(http or {})}}}


def pipeline(receivers="otlp", exporters="file", processors=(), **more):
    def listed(x):
        return [x] if isinstance(x, str) else list(x)
    return {"receivers": listed(receivers), "processors": listed(processors),
            "exporters": listed(exporters), **more}


class EndToEnd(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="sluice-e2e-")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self._sluices = []
        self._expected = {}

    def file(self, name):
        return self.directory / name

    def config(self, pipelines, exporters, receivers=None, processors=None, telemetry_logs=None,
               service=None, **sections):
        """A config; receivers: one otlp unless given."""
        return {"receivers": receivers or {"otlp": otlp_receiver()},
                "processors": processors or {}, "exporters": exporters, **sections,
                "service": {"telemetry": telemetry(**(telemetry_logs or {})),
                            "pipelines": pipelines, **(service or {})}}

    def all_signals(self, **keys):
        """The same pipeline for each signal."""
        return {signal: pipeline(**keys) for signal in ("traces", "metrics", "logs")}

    def sluice(self, config, start=True, **options):
        """Started and ready."""
        made = Sluice(self.directory, config, **options)
        self._sluices.append(made)
        self.addCleanup(made.kill)
        if not start:
            return made
        made.start()
        if isinstance(config, dict) and not SANITIZERS:
            self.assertEqual(schema.errors(schema.validator(), config), [], "what runs is valid by the schema, too")
        return made

    def expect_errors(self, sluice, pattern):
        """Lines of level error that match are part of the test."""
        self._expected[sluice] = pattern

    def grpc_destination(self):
        made = GrpcDestination()
        self.addCleanup(made.close)
        return made

    def http_destination(self):
        made = HttpDestination()
        self.addCleanup(made.close)
        return made

    def client(self, sluice, transport, compression=None, receiver="otlp", trust=None, show=None):
        """`trust`: the certs.Authority that a TLS server must have its certificate from; `show`: the
        client's own."""
        if transport == "grpc":
            made = Grpc(sluice.grpc(receiver), compression, trust and trust.credentials(show))
        else:
            made = Http(sluice.http(receiver), compression, context=trust and trust.context(show))
        self.addCleanup(made.close)
        return made

    def assert_sent(self, answer):
        self.assertTrue(answer.ok, answer)
        return answer

    # ---- the account ----

    def finish(self, sluice, code=0, ledger=True):
        """Stops it. Returns the last page of metrics."""
        page = sluice.check_ledger() if ledger else None
        self.assertEqual(sluice.stop(), code, sluice.log())
        self.check_log(sluice)
        if code == 0:
            self.assertIn(NOTHING_LEFT, sluice.lines[-1].text)
        return page

    def finish_empty(self, sluice):
        """Waits until nothing is held, then stops it."""
        sluice.wait_metrics(lambda p: p.sum("sluice_held_items") == 0, "everything to leave")
        return self.finish(sluice)

    def check_log(self, sluice):
        for line in sluice.lines:
            self.assertNotRegex(line.text, r"Sanitizer|runtime error:|Assertion|SUMMARY:",
                                sluice.log())
            expected = self._expected.get(sluice)
            if line.level == "error" and not (expected and re.search(expected, line.text)):
                self.fail(f"an error that the test does not expect: {line}\n\n{sluice.log()}")

    def tearDown(self):
        for sluice in self._sluices:
            if sluice.process is not None and sluice.running():
                self.finish(sluice)
