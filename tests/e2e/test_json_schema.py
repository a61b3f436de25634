"""The reference of configuration files: the JSON Schema against a validator that is not ours, and the
examples that stand beside the plugins."""
import copy
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

from harness import schema
from harness.process import BUILD, command

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(ROOT.glob("*/*/example.yaml"))
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

VALID = """\
receivers:
  otlp/in:
    protocols:
      grpc: {max_recv_msg_size_mib: 8, tls: {min_version: 1.3}}
      http:
processors:
  batch: {timeout: 1m30s, metadata_keys: [a, b]}
  batch/b: {timeout: 0, metadata_keys: 'a,b'}
exporters:
  otlp_http:
    endpoint: http://localhost:4318
    headers: {a: b, c: 5}
    write_buffer_size: 64KiB
    sending_queue: {num_consumers: 2}
  debug: {verbosity: detailed}
  nop:
connectors:
  forward/x: {}
extensions:
  health_check:
service:
  extensions: [health_check]
  telemetry: {logs: {level: warn}}
  memory: {limit: 256MiB}
  pipelines:
    traces/in: {receivers: [otlp/in], processors: [batch], exporters: [forward/x], lanes: 2}
    traces: {receivers: [forward/x], exporters: [otlp_http, debug]}
    logs: {receivers: [otlp/in], processors: [batch/b], exporters: [nop]}
"""


def changed(config, path, value):
    """A copy in which the key at the path has another value."""
    made = copy.deepcopy(config)
    *way, last = path
    inside = made
    for key in way:
        inside[key] = inside.get(key) or {}
        inside = inside[key]
    inside[last] = value
    return made


HTTP = ("exporters", "otlp_http")
GRPC = ("receivers", "otlp/in", "protocols", "grpc")


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.validator = schema.validator()
        cls.valid = yaml.safe_load(VALID)

    def errors(self, config):
        return schema.errors(self.validator, config)

    def test_configs_are_valid(self):
        self.assertTrue(EXAMPLES and CONFIGS)
        for path in EXAMPLES + CONFIGS:
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(self.errors(yaml.safe_load(path.read_text())), [])
        self.assertEqual(self.errors(self.valid), [])

    def test_substitution_may_stand_anywhere(self):
        for path in (GRPC, GRPC + ("max_recv_msg_size_mib",), ("processors", "batch"),
                     ("processors", "batch", "timeout"), ("processors",), HTTP + ("headers",),
                     HTTP + ("sending_queue", "enabled"), HTTP + ("write_buffer_size",),
                     HTTP + ("compression",), ("exporters", "debug", "verbosity"),
                     ("service", "pipelines"), ("service", "pipelines", "logs"),
                     ("service", "pipelines", "logs", "exporters"),
                     ("service", "telemetry", "metrics", "readers")):
            with self.subTest(".".join(path)):
                self.assertEqual(self.errors(changed(self.valid, path, "${env:X}")), [])

    def test_mistakes_are_found_where_they_are(self):
        cases = [
            (("exporter",), {}, ()), (("processors", "bach"), {}, ("processors",)),
            (("processors", "bach/x"), {}, ("processors",)), (("processors", "batch/"), {}, ("processors",)),
            (("processors", "batch", "send_batch_sise"), 5, ("processors", "batch")),
            (("processors", "batch", "send_batch_size"), -1, None),
            (("processors", "batch", "send_batch_size"), "many", None),
            (("processors", "batch", "timeout"), "soon", None), (("processors", "batch", "timeout"), 1.5, None),
            (("processors", "batch", "metadata_keys"), {"a": 1}, None),
            (("exporters", "debug", "verbosity"), "talkative", None),
            (HTTP + ("write_buffer_size",), "many", None), (HTTP + ("sending_queue",), [], None),
            (HTTP + ("sending_queue", "num_consumers"), 0, None), (HTTP + ("headers",), 5, None),
            (HTTP + ("sending_queue", "enabled"), "perhaps", None),
            (GRPC + ("endpont",), "localhost:1", GRPC), (GRPC + ("tls", "min_version"), 1.5, None),
            (("receivers", "otlp/in"), {}, ("receivers", "otlp/in")),
            (("service", "telemetri"), {}, ("service",)), (("service", "pipelines"), {}, None),
            (("service", "pipelines", "trace"), {}, ("service", "pipelines")),
            (("service", "pipelines", "logs", "exporters"), 5, None),
            (("service", "pipelines", "logs", "lanes"), 65, None)]
        for path, value, where in cases:
            with self.subTest(f"{'.'.join(path)}: {value}"):
                found = list(self.validator.iter_errors(changed(self.valid, path, value)))
                self.assertEqual([tuple(e.absolute_path) for e in found], [path if where is None else where])
        without = copy.deepcopy(self.valid)
        del without["service"]["pipelines"]["logs"]["exporters"]
        self.assertTrue(self.errors(without))
        del without["service"]
        self.assertTrue(self.errors(without))

    def test_what_editors_show(self):
        batch = self.validator.schema["definitions"]["processor.batch"]
        timeout = batch["properties"]["timeout"]
        self.assertEqual(timeout["default"], "200ms")
        self.assertRegex(timeout["description"], r"How long .*\(between 0s and 24h\)")
        self.assertIn("Merges", batch["description"])
        grpc = self.validator.schema["definitions"]["receiver.otlp"]["properties"]["protocols"]["properties"]["grpc"]
        self.assertTrue(grpc["properties"]["read_buffer_size"]["x-ignored"])
        self.assertTrue(grpc["properties"]["tls"]["properties"]["key_pem"]["writeOnly"])
        address = self.validator.schema["definitions"]["service"]["properties"]["telemetry"]["properties"]["metrics"]
        self.assertTrue(address["properties"]["address"]["deprecated"])
        self.assertEqual(self.validator.schema["properties"]["exporters"]["properties"]["otlp_http"],
                         {"$ref": "#/definitions/exporter.otlp_http"})

    def test_usage(self):
        for args in (("config",), ("config", "shema"), ("config", "schema", "x"), ("config", "--json")):
            done = command(*args)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stdout, "")
        self.assertEqual(command("config", "schema", "--plugins", "/nonexistent").returncode, 1)
        self.assertEqual(command("components", "batch", "--format", "toml").returncode, 2)


class Reference(unittest.TestCase):
    def test_examples_are_valid(self):
        for path in EXAMPLES:
            with self.subTest(path.relative_to(ROOT)):
                done = command("validate", "--config", path)
                self.assertEqual(done.returncode, 0, done.stderr)
                notes = r"(error|warning|note): (?!extension .* has no effect)"
                self.assertNotRegex(done.stderr, r"\b" + notes)

    def test_the_pages_are_up_to_date(self):
        done = subprocess.run([sys.executable, ROOT / "scripts" / "config-docs", "--build", BUILD, "--check"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
